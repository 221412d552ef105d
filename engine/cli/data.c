/* perilune data: which data sets are there; a sample as a picture; drawn digits as files. */
#include "cli/data.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "cli/json.h"
#include "cli/table.h"
#include "cli/words.h"
#include "data/sources.h"
#include "picture/png.h"

#define COUNT_MOST 10000000

static const cli_option own_options[] = {
    {"output", "PATH", "image: the PNG file (default NAME-INDEX.png); make: the folder"},
    {"test", NULL, "image: from the test part instead of the training part"},
    {"count", "N", "make: how many training digits (default 10000); a sixth of it for tests"},
    {"seed", "S", "image, make: seed of the drawn digits (default 0)"},
    JSON_OPTION,
    {NULL, NULL, NULL},
};

const char *const data_names[] = {"mnist", "fashion-mnist", "cifar10", NULL};
static const char *const all_names[] = {"mnist", "fashion-mnist", "cifar10", "digits", NULL};
static const char *const verbs[] = {"list", "image", "make", NULL};

int data_load(const char *name, dataset **train, dataset **test, error *e)
{
    return !strcmp(name, "cifar10") ? source_cifar10(NULL, train, test, e) : source_idx(name, NULL, train, test, e);
}

/* ------------------------------------------------------------------------------------------------- list ---- */

typedef struct listed {
    const char *name;
    char where[4096]; /* "": nowhere */
    dataset *train, *test;
    error e; /* why it could not be loaded */
} listed;

static void look(const char *name, listed *out)
{
    *out = (listed){.name = name};
    if (source_find(name, out->where, sizeof out->where))
        data_load(name, &out->train, &out->test, &out->e);
}

static void leave(listed *l)
{
    dataset_free(l->train);
    dataset_free(l->test);
}

static const char *shape_words(const dataset *set, char out[WORDS])
{
    const column *c = &dataset_parts(set)->inputs[0];
    int n = 0;
    out[0] = 0;
    for (uint32_t i = 0; i < c->rank && n < WORDS - 24; i++)
        n += snprintf(out + n, (size_t)(WORDS - n), "%s%lld", i ? "x" : "", (long long)c->shape[i]);
    return out;
}

static json_t *listed_json(const listed *l)
{
    char shape[WORDS];
    return JSON_OBJECT({"name", json_text(l->name)}, {"folder", *l->where ? json_text(l->where) : json_null()},
                       {"train", l->train ? json_integer(l->train->count) : json_null()},
                       {"test", l->test ? json_integer(l->test->count) : json_null()},
                       {"shape", l->train ? json_text(shape_words(l->train, shape)) : json_null()},
                       {"classes", l->train ? json_integer(dataset_parts(l->train)->nclasses) : json_null()},
                       {"error", l->e.status ? json_text(l->e.text) : json_null()});
}

static void add_row(table *t, const listed *l)
{
    char count[32], shape[WORDS];
    table_cell(t, INK_BOLD, "%s", l->name);
    table_cell(t, INK_PLAIN, "%s", l->train ? text_thousands(l->train->count, count) : "");
    table_cell(t, INK_PLAIN, "%s", l->test ? text_thousands(l->test->count, count) : "");
    table_cell(t, INK_PLAIN, "%s", l->train ? shape_words(l->train, shape) : "");
    if (l->e.status)
        table_cell(t, INK_BAD, "%s", l->e.text);
    else
        table_cell(t, *l->where ? INK_PLAIN : INK_DIM, "%s", *l->where ? l->where : "not found");
}

static int list(const arguments *a)
{
    static const table_column columns[] = {{"data set", 0, 0, 0},        {"train", TABLE_RIGHT, 0, 0},
                                           {"test", TABLE_RIGHT, 0, 0},  {"shape", 0, 0, 0},
                                           {"where", TABLE_WRAP, 20, 0}, {NULL, 0, 0, 0}};
    view_style style = style_of_output(0);
    table t = table_begin(columns, &style);
    json_t *all = json_array();
    int missing = 0;
    for (int i = 0; data_names[i]; i++) {
        listed l;
        look(data_names[i], &l);
        missing |= !*l.where;
        add_row(&t, &l);
        all = json_push(all, listed_json(&l));
        leave(&l);
    }
    table_cell(&t, INK_BOLD, "digits");
    table_cell(&t, INK_PLAIN, "any");
    table_cell(&t, INK_PLAIN, "any");
    table_cell(&t, INK_PLAIN, "28x28x1");
    table_cell(&t, INK_PLAIN, "drawn from a seed; needs no file");
    int status = CLI_DONE;
    if (arguments_given(a, "json"))
        status = json_print(a, all);
    else if (table_print(&t, 0, stdout))
        status = command_fail(a->command, "out of memory");
    else if (missing)
        puts("\nLooked in $PERILUNE_DATA, ./data and the user's data folder; 'perilune data image NAME 1' says how to "
             "get one.");
    if (!arguments_given(a, "json"))
        json_decref(all);
    table_free(&t);
    return status;
}

/* ------------------------------------------------------------------------------------------------ image ---- */

/* The set, of which sample `index` (from 1) is there; drawn ones are drawn that far. */
static int load_part(const arguments *a, const char *name, int64_t index, int64_t seed, dataset **set, error *e)
{
    int test = arguments_given(a, "test");
    *set = NULL;
    if (!strcmp(name, "digits"))
        return source_digits(NULL, index, (uint64_t)seed, set, e);
    return data_load(name, test ? NULL : set, test ? set : NULL, e);
}

static int write_sample(const dataset *set, int64_t i, const char *path, error *e)
{
    const column *c = &dataset_parts(set)->inputs[0];
    if (c->dtype != PLN_U8 || c->rank != 3)
        return error_set(e, PLN_E_INVALID, "the samples of this set are no pictures");
    size_t size = (size_t)column_size(c);
    picture p = {0};
    int status = picture_make(c->shape[1], c->shape[0], (int)c->shape[2], &p, e);
    if (status == PLN_E_OK)
        memcpy(p.pixels, (const uint8_t *)c->bytes + (size_t)dataset_at(set, i) * size, size);
    if (status == PLN_E_OK)
        status = picture_write(path, &p, e);
    picture_free(&p);
    return status;
}

static void say_sample(const dataset *set, int64_t index, const char *path)
{
    int32_t label = 0;
    int64_t i = index - 1;
    const storage_parts *parts = dataset_parts(set);
    dataset_gather_target(set, &i, 1, &label);
    char at[32], all[32];
    printf("%s: %s%s%s, sample %s of %s, ", path, parts->name, *parts->part ? " " : "", parts->part,
           text_thousands(index, at), text_thousands(set->count, all));
    if (parts->classes)
        printf("a picture of '%s'\n", parts->classes[label]);
    else
        printf("class %d\n", (int)label);
}

static int image(const arguments *a)
{
    error e;
    char name_path[256];
    dataset *set = NULL;
    int64_t index = 0, seed = 0;
    if (a->nwords != 3)
        return command_misuse(a->command, "image wants a data set and a number: perilune data image mnist 1");
    const char *name = a->words[1], *path = arguments_text(a, "output"), *near = text_nearest(name, all_names);
    if (!near || strcmp(near, name) != 0)
        return near ? command_misuse(a->command, "there is no data set '%s' (did you mean '%s'?)", name, near)
                    : command_misuse(a->command,
                                     "there is no data set '%s'; there are mnist, fashion-mnist, cifar10 and "
                                     "digits",
                                     name);
    if (!text_parse_integer(a->words[2], &index) || index < 1 || index > COUNT_MOST)
        return command_misuse(a->command, "samples are numbered from 1, got '%s'", a->words[2]);
    if (arguments_integer(a, "seed", 0, INT64_MAX, &seed))
        return CLI_MISUSED;
    snprintf(name_path, sizeof name_path, "%s-%lld.png", name, (long long)index);
    path = path ? path : name_path;
    int status = load_part(a, name, index, seed, &set, &e);
    if (status == PLN_E_OK && index > set->count)
        status = error_set(&e, PLN_E_INVALID, "%s has samples 1 to %lld, not %lld", name, (long long)set->count,
                           (long long)index);
    if (status == PLN_E_OK)
        status = write_sample(set, index - 1, path, &e);
    if (status == PLN_E_OK)
        say_sample(set, index, path);
    dataset_free(set);
    return status == PLN_E_OK ? CLI_DONE : command_error(a->command, &e);
}

/* ------------------------------------------------------------------------------------------------- make ---- */

static int make_part(const char *folder, const char *part, int64_t count, uint64_t seed, lanes *pool, error *e)
{
    dataset *set = NULL;
    int status = source_digits(pool, count, seed, &set, e);
    if (status == PLN_E_OK)
        status = data_write_idx(folder, part, set, e);
    dataset_free(set);
    return status;
}

static int make_folder(const char *path, error *e)
{
    struct stat st;
    if (mkdir(path, 0777) == 0 || (errno == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode)))
        return PLN_E_OK;
    return error_system(e, errno, "cannot make the folder %s", path);
}

static int make(const arguments *a)
{
    error e;
    lanes *pool = NULL;
    char many[32], few[32];
    int64_t count = 10000, seed = 0;
    const char *folder = arguments_text(a, "output");
    if (a->nwords != 2 || strcmp(a->words[1], "digits") != 0)
        return command_misuse(a->command, "what can be made is digits: perilune data make digits --output FOLDER");
    if (!folder)
        return command_misuse(a->command, "make wants a folder: perilune data make digits --output FOLDER");
    if (arguments_integer(a, "count", 1, COUNT_MOST, &count) || arguments_integer(a, "seed", 0, INT64_MAX - 1, &seed))
        return CLI_MISUSED;
    int64_t tests = (count + 5) / 6;
    int status = make_folder(folder, &e);
    if (status == PLN_E_OK)
        status = lanes_open(lanes_available(), &pool, &e);
    if (status == PLN_E_OK)
        status = make_part(folder, "train", count, (uint64_t)seed, pool, &e);
    if (status == PLN_E_OK)
        status = make_part(folder, "t10k", tests, (uint64_t)seed + 1, pool, &e);
    lanes_close(pool);
    if (status != PLN_E_OK)
        return command_error(a->command, &e);
    printf("%s: %s training and %s test digits, as IDX files like MNIST's\n", folder, text_thousands(count, many),
           text_thousands(tests, few));
    return CLI_DONE;
}

/* ------------------------------------------------------------------------------------------- the command ---- */

static int run(const arguments *a)
{
    const char *verb = a->nwords ? a->words[0] : "list";
    if (!strcmp(verb, "list") && a->nwords <= 1)
        return list(a);
    if (!strcmp(verb, "image"))
        return image(a);
    if (!strcmp(verb, "make"))
        return make(a);
    if (!strcmp(verb, "list"))
        return command_misuse(a->command, "list takes no further words, got '%s'", a->words[1]);
    const char *near = text_nearest(verb, verbs);
    return near ? command_misuse(a->command, "unknown word '%s' (did you mean '%s'?)", verb, near)
                : command_misuse(a->command, "unknown word '%s'; there are list, image and make", verb);
}

const command command_data = {
    .name = "data",
    .summary = "Data sets: where they are, a sample as PNG, drawn digits as files",
    .usage = "[list | image NAME INDEX | make digits] [options]",
    .text =
        "Sets are looked for in $PERILUNE_DATA, ./data and $XDG_DATA_HOME/perilune (~/.local/share/perilune), in\n"
        "folders named mnist, fashion-mnist and cifar-10-batches-bin, plain or .gz.  digits are drawn, from a seed,\n"
        "and need no file.  Samples count from 1.",
    .options = own_options,
    .example = "perilune data\n"
               "perilune data image mnist 18 --test --output seven.png\n"
               "perilune data make digits --count 60000 --seed 1 --output data/mnist",
    .min_words = 0,
    .max_words = 3,
    .run = run,
};

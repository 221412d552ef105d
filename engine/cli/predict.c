/* perilune predict: what do models say of pictures? */
#include "cli/predict.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/database.h"
#include "cli/json.h"
#include "cli/table.h"
#include "cli/words.h"
#include "picture/png.h"

#define WIDTH_MOST   84 /* cells; wider bars are no better to read */
#define CLASSES_MOST 12 /* bars of one answer: the best, when there are more classes */

static const cli_option own_options[] = {
    {"model", "MODEL", "a run (7, last, best:mnist-cnn) or a .safetensors file; may be repeated"},
    {"raw", NULL, "do not look for a digit: resize the picture as it is"},
    {"brief", NULL, "one line a picture"},
    {"no-record", NULL, "do not record the answers in the database"},
    JSON_OPTION,
    {"plugins", "FOLDERS", "where plugins are looked for first, separated by ':'"},
    DATABASE_OPTION,
    {NULL, NULL, NULL},
};

typedef struct session {
    const arguments *a;
    store *s; /* NULL: no database; closed before the first answer */
    registry *plugins;
    answerer *models;
    int nmodels;
    view_style style;
    table brief;
    json_t *list;        /* with --json */
    predictions answers; /* to be recorded */
} session;

/* ---------------------------------------------------------------------------------------------- printing ---- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void print_head(const session *s, const answerer *m, const char *image, const answer *v)
{
    char number[32], share[32] = "";
    const char *class = answerer_class(m, v->best, number);
    if (v->probabilities)
        snprintf(share, sizeof share, "   %.1f %%", 100 * (double)v->scores[v->best]);
    int used = words_width(base_name(image)) + 3 + words_width(class) + words_width(share);
    int pad = s->style.width - used - words_width(m->label);
    printf("%s   %s%s%s%s%*s%s%s%s\n", base_name(image), ink_on(&s->style, INK_BOLD), class,
           ink_off(&s->style, INK_BOLD), share, pad > 3 ? pad : 3, "", ink_on(&s->style, INK_DIM), m->label,
           ink_off(&s->style, INK_DIM));
}

/* The classes to show: all, or the best few of many; in the order of the classes. */
static int choose(const answer *v, int64_t n, int64_t which[CLASSES_MOST])
{
    int count = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t better = 0;
        for (int64_t k = 0; k < n; k++)
            better += v->scores[k] > v->scores[i] || (v->scores[k] == v->scores[i] && k < i);
        if (better < CLASSES_MOST && count < CLASSES_MOST)
            which[count++] = i;
    }
    return count;
}

static void bars_of(const session *s, const answerer *m, const answer *v, int width, text *out)
{
    char numbers[CLASSES_MOST][32];
    const char *names[CLASSES_MOST];
    double values[CLASSES_MOST];
    int64_t which[CLASSES_MOST];
    int n = choose(v, m->outputs, which);
    for (int i = 0; i < n; i++) {
        names[i] = answerer_class(m, which[i], numbers[i]);
        values[i] = v->scores[which[i]];
    }
    if (v->probabilities) {
        view_bars(names, values, n, width, &s->style, out);
        return;
    }
    for (int i = 0; i < n; i++)
        text_format(out, "%-8s  %12.6g\n", m->outputs > 1 ? names[i] : "value", values[i]);
}

/* Lines of blanks above a block, so that it stands in the middle of `lines`. */
static void centre(const text *block, int lines, text *out)
{
    int n = 0;
    for (const char *c = block->bytes; c && *c; c++)
        n += *c == '\n';
    for (int i = 0; i < (lines - n) / 2; i++)
        text_add(out, " \n");
    if (block->bytes)
        text_add(out, block->bytes);
}

static int print_block(const session *s, const answerer *m, const char *image, const answer *v, error *e)
{
    text left = {0}, right = {0}, centred = {0}, both = {0};
    view_style narrow = s->style;
    narrow.width = s->style.width - 3;
    int status = view_picture(&v->seen, &narrow, 1, &left, e);
    if (status != PLN_E_OK)
        goto fail;
    int room = s->style.width - 3 - view_width(left.bytes ? left.bytes : "") - 4;
    bars_of(s, m, v, room < 24 ? s->style.width - 3 : room, &right);
    int lines = 0;
    for (const char *c = left.bytes; c && *c; c++)
        lines += *c == '\n';
    centre(&right, lines, &centred);
    view_side_by_side(left.bytes ? left.bytes : "", centred.bytes ? centred.bytes : "", 4, &narrow, &both);
    if (left.failed || right.failed || centred.failed || both.failed) {
        status = error_memory(e);
        goto fail;
    }
    print_head(s, m, image, v);
    for (const char *line = both.bytes; line && *line;) {
        size_t n = strcspn(line, "\n");
        printf("   %.*s\n", (int)n, line);
        line += n + (line[n] == '\n');
    }
fail:
    text_free(&left);
    text_free(&right);
    text_free(&centred);
    text_free(&both);
    return status;
}

static void add_brief(session *s, const answerer *m, const char *image, const answer *v)
{
    char number[32];
    table_cell(&s->brief, INK_PLAIN, "%s", image);
    table_cell(&s->brief, INK_BOLD, "%s", answerer_class(m, v->best, number));
    table_cell(&s->brief, INK_PLAIN, v->probabilities ? "%.1f %%" : "%.6g",
               (v->probabilities ? 100.0 : 1.0) * (double)v->scores[v->best]);
    table_cell(&s->brief, INK_DIM, "%s", m->label);
}

static json_t *answer_json(const answerer *m, const char *image, const answer *v)
{
    char number[32];
    json_t *scores = json_array();
    for (int64_t i = 0; i < m->outputs; i++)
        scores = json_push(scores, json_number(v->scores[i]));
    return JSON_OBJECT({"image", json_text(image)}, {"model", json_text(m->file)},
                       {"run", m->run ? json_integer(m->run) : json_null()}, {"class", json_integer(v->best)},
                       {"name", json_text(answerer_class(m, v->best, number))},
                       {"confidence", v->probabilities ? json_number(v->scores[v->best]) : json_null()},
                       {v->probabilities ? "probabilities" : "scores", scores},
                       {"microseconds", json_integer(v->microseconds)});
}

static json_t *failure_json(const char *image, const error *e)
{
    return JSON_OBJECT({"image", json_text(image)}, {"error", json_text(e->text)});
}

/* ------------------------------------------------------------------------------------------- the command ---- */

static int ask(session *s, answerer *m, const char *image, const picture *p, error *e)
{
    answer v = {0};
    int status = answer_make(m, p, arguments_given(s->a, "raw"), &v, e);
    if (status != PLN_E_OK)
        return status;
    if (arguments_given(s->a, "json"))
        s->list = json_push(s->list, answer_json(m, image, &v));
    else if (arguments_given(s->a, "brief"))
        add_brief(s, m, image, &v);
    else
        status = print_block(s, m, image, &v, e);
    if (status == PLN_E_OK && !arguments_given(s->a, "no-record"))
        status = predictions_add(&s->answers, m, image, &v, e);
    answer_free(&v);
    return status;
}

static int ask_all(session *s, const char *image)
{
    error e;
    picture p = {0};
    int failed = picture_read(image, &p, &e) != PLN_E_OK;
    for (int i = 0; i < s->nmodels && !failed; i++)
        if (ask(s, &s->models[i], image, &p, &e) != PLN_E_OK) {
            failed = 1;
            if (!strstr(e.text, image))
                error_prefix(&e, "%s: ", image);
        }
    picture_free(&p);
    if (!failed)
        return CLI_DONE;
    if (s->list)
        s->list = json_push(s->list, failure_json(image, &e));
    fflush(stdout);
    return command_error(s->a->command, &e);
}

/* For models that are runs; what is recorded is written later.  Without --model, a database that is not there is no failure
 * unless it was named. */
static int open_database(session *s)
{
    const arguments *a = s->a;
    const char *word;
    int needed = arguments_given(a, "db") && !arguments_given(a, "model");
    for (int i = 0; (word = arguments_nth(a, "model", i)); i++)
        needed |= !answerer_is_file(word) && access(word, F_OK) != 0;
    int wanted = !arguments_given(a, "model") && access(database_path(a), F_OK) == 0;
    return needed || wanted ? database_open(a, STORE_READ, &s->s) : CLI_DONE;
}

static int open_models(session *s)
{
    error e;
    int n = 0;
    while (arguments_nth(s->a, "model", n))
        n++;
    s->models = calloc((size_t)n + 1, sizeof *s->models);
    if (!s->models)
        return command_fail(s->a->command, "out of memory");
    if (registry_open(arguments_text(s->a, "plugins"), &s->plugins, &e) != PLN_E_OK)
        return command_error(s->a->command, &e);
    if (n == 0 && answerer_open_default(s->s, s->plugins, &s->models[s->nmodels++], &e) != PLN_E_OK)
        return command_error(s->a->command, &e);
    for (int i = 0; i < n; i++)
        if (answerer_open(s->s, s->plugins, arguments_nth(s->a, "model", i), &s->models[s->nmodels++], &e) != PLN_E_OK)
            return command_error(s->a->command, &e);
    return CLI_DONE;
}

static int ask_images(session *s)
{
    static const table_column columns[] = {{"image", 0, 12, 0},
                                           {"answer", TABLE_RIGHT, 0, 0},
                                           {"share", TABLE_RIGHT, 0, 0},
                                           {"model", 0, 8, 1},
                                           {NULL, 0, 0, 0}};
    int status = CLI_DONE, json = arguments_given(s->a, "json"), brief = arguments_given(s->a, "brief");
    s->style = style_of_output(WIDTH_MOST);
    s->brief = table_begin(columns, &s->style);
    s->list = json ? json_array() : NULL;
    for (int i = 0; i < s->a->nwords; i++) {
        int failed = ask_all(s, s->a->words[i]);
        status = failed ? failed : status;
        if (!failed && !json && !brief && i + 1 < s->a->nwords)
            putchar('\n');
    }
    if (json && json_print(s->a, s->list) != CLI_DONE)
        status = CLI_FAILED;
    if (brief && !json && s->brief.count && table_print(&s->brief, 0, stdout))
        status = command_fail(s->a->command, "out of memory");
    table_free(&s->brief);
    return status;
}

static int run(const arguments *a)
{
    session s = {.a = a};
    int status = open_database(&s);
    if (!status)
        status = open_models(&s);
    store_close(s.s, 0, NULL);
    if (!status)
        status = ask_images(&s);
    fflush(stdout);
    predictions_write(&s.answers, database_path(a));
    free(s.answers.list);
    for (int i = 0; i < s.nmodels; i++)
        answerer_close(&s.models[i]);
    free(s.models);
    registry_free(s.plugins);
    return status;
}

const command command_predict = {
    .name = "predict",
    .summary = "Ask a trained model about PNG pictures",
    .usage = "IMAGE.png... [options]",
    .text =
        "Shows what the model saw and what it answers.  Where the classes are digits, the drawn digit is looked for,\n"
        "scaled and centred as MNIST's are; light on dark or dark on light, of any size.  Without --model, the newest\n"
        "finished run is asked, or a net that comes with Perilune.  Where there is a database, answers are recorded "
        "in\n"
        "its table predictions.  '-' reads the picture from standard input.",
    .options = own_options,
    .example = "perilune predict seven.png\nperilune predict *.png --model best:mnist-cnn --model 4 --brief",
    .min_words = 1,
    .max_words = -1,
    .run = run,
};

/* perilune plugins: what layers, optimizers, losses and metrics there are, and the options of each. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/flow.h"
#include "cli/json.h"
#include "cli/table.h"
#include "cli/words.h"
#include "plugin/options.h"

static const cli_option own_options[] = {
    {"kind", "KIND", "only layers, optimizers, losses or metrics"},
    {"files", NULL, "show each type's plugin, version and file instead of what it does"},
    JSON_OPTION,
    {"plugins", "FOLDERS", "where plugins are looked for first, separated by ':'"},
    {NULL, NULL, NULL},
};

static const char *const plurals[] = {"", "layers", "optimizers", "losses", "metrics", NULL};

/* ------------------------------------------------------------------------------------------------ words ---- */

static const char *const type_names[] = {"?", "integer", "number", "boolean", "choice", "integers", "text"};

static const char *type_name(const pln_option *o)
{
    return o->type < sizeof type_names / sizeof *type_names ? type_names[o->type] : "?";
}

static void default_words(const pln_option *o, text *out)
{
    char number[32];
    int nchoices = 0;
    while (o->type == PLN_CHOICE && o->choices && o->choices[nchoices])
        nchoices++;
    if (o->flags & PLN_REQUIRED)
        text_add(out, "required");
    else if (o->type == PLN_TEXT)
        text_add(out, o->dflt_text ? o->dflt_text : "none");
    else if (o->type == PLN_BOOL)
        text_add(out, o->dflt != 0 ? "true" : "false");
    else if (o->type == PLN_CHOICE)
        text_add(out, o->dflt >= 0 && o->dflt < nchoices ? o->choices[(int)o->dflt] : "none");
    else if (o->type == PLN_INTS && !(o->flags & PLN_SPREAD))
        text_add(out, "none");
    else
        text_add(out, text_real(o->dflt, number));
}

#define NO_BOUND 1e6 /* a limit from here on is the host's, not something to keep in mind */

/* "from 1", "above 0 to 1", "0 to below 1", "same, valid". */
static void allowed_words(const pln_option *o, text *out)
{
    char number[32];
    if (o->flags & PLN_INITIALIZER)
        text_add(out, "an initializer");
    for (int i = 0; o->type == PLN_CHOICE && o->choices && o->choices[i]; i++)
        text_format(out, "%s%s", i ? ", " : "", o->choices[i]);
    if (o->lo == o->hi || o->type == PLN_TEXT || o->type == PLN_BOOL || o->type == PLN_CHOICE)
        return;
    int has_lo = o->lo > -NO_BOUND, has_hi = o->hi < NO_BOUND;
    if (has_lo)
        text_format(out, "%s%s", o->flags & PLN_OPEN_LO ? "above " : has_hi ? "" : "from ", text_real(o->lo, number));
    if (has_hi)
        text_format(out, "%s%s%s", has_lo ? " to " : "up to ", o->flags & PLN_OPEN_HI ? "below " : "",
                    text_real(o->hi, number));
}

/* ------------------------------------------------------------------------------------------------- JSON ---- */

static json_t *default_json(const pln_option *o)
{
    if (o->flags & PLN_REQUIRED)
        return json_null();
    switch (o->type) {
    case PLN_INT:
        return json_integer((json_int_t)o->dflt);
    case PLN_REAL:
        return json_number(o->dflt);
    case PLN_BOOL:
        return json_boolean(o->dflt != 0);
    case PLN_INTS:
        return o->flags & PLN_SPREAD ? json_integer((json_int_t)o->dflt) : json_null();
    default: {
        text words = {0};
        default_words(o, &words);
        json_t *j = json_text(o->type == PLN_TEXT ? o->dflt_text : words.bytes);
        text_free(&words);
        return j;
    }
    }
}

static json_t *option_json(const pln_option *o)
{
    int bounded = o->lo != o->hi;
    json_t *choices = json_array();
    for (int i = 0; o->type == PLN_CHOICE && o->choices && o->choices[i]; i++)
        choices = json_push(choices, json_string(o->choices[i]));
    return JSON_OBJECT({"name", json_text(o->name)}, {"help", json_text(o->help)}, {"type", json_text(type_name(o))},
                       {"required", json_boolean(o->flags & PLN_REQUIRED)}, {"live", json_boolean(o->flags & PLN_LIVE)},
                       {"default", default_json(o)}, {"least", bounded ? json_number(o->lo) : json_null()},
                       {"most", bounded ? json_number(o->hi) : json_null()}, {"choices", choices});
}

static json_t *entry_json(const plugin_entry *p)
{
    json_t *options_list = json_array();
    for (uint32_t i = 0; i < p->head->noptions; i++)
        options_list = json_push(options_list, option_json(options_at(p->head, i)));
    return JSON_OBJECT({"kind", json_text(plugin_kind_name(p->kind))}, {"name", json_text(p->head->name)},
                       {"help", json_text(p->head->help)}, {"id", json_text(p->head->id)},
                       {"plugin", json_text(p->plugin->id)}, {"version", json_text(p->plugin->version)},
                       {"licence", json_text(p->plugin->licence)}, {"file", json_text(p->path)},
                       {"options", options_list});
}

/* ---------------------------------------------------------------------------------------------- choosing ---- */

typedef struct chosen {
    const plugin_entry **entry;
    int count;
} chosen;

static int by_kind_and_name(const void *a, const void *b)
{
    const plugin_entry *x = *(const plugin_entry *const *)a, *y = *(const plugin_entry *const *)b;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    int order = strcasecmp(x->head->name, y->head->name);
    return order ? order : strcmp(x->head->name, y->head->name);
}

/* The first of a kind and name is what scripts get. */
static int is_hidden(const registry *r, int i)
{
    const plugin_entry *p = registry_at(r, i);
    for (int k = 0; k < i; k++)
        if (registry_at(r, k)->kind == p->kind && !strcmp(registry_at(r, k)->head->name, p->head->name))
            return 1;
    return 0;
}

static int choose(const registry *r, uint32_t kind, const char *name, chosen *out)
{
    out->entry = calloc((size_t)registry_count(r) + 1, sizeof *out->entry);
    if (!out->entry)
        return 0;
    for (int i = 0; i < registry_count(r); i++) {
        const plugin_entry *p = registry_at(r, i);
        if ((!kind || p->kind == kind) && (!name || !strcmp(p->head->name, name)) && !is_hidden(r, i))
            out->entry[out->count++] = p;
    }
    qsort(out->entry, (size_t)out->count, sizeof *out->entry, by_kind_and_name);
    return 1;
}

static int read_kind(const arguments *a, uint32_t *kind)
{
    const char *word = arguments_text(a, "kind");
    *kind = 0;
    if (!word)
        return CLI_DONE;
    for (uint32_t k = PLN_LAYER; k <= PLN_METRIC; k++)
        if (!strcmp(word, plurals[k]) || !strcmp(word, plugin_kind_name(k)))
            *kind = k;
    return *kind ? CLI_DONE
                 : command_misuse(a->command,
                                  "--kind: there is no kind '%s'; there are layers, optimizers, losses and metrics",
                                  word);
}

static int say_unknown(const arguments *a, const registry *r, const char *name)
{
    const char **names = calloc((size_t)registry_count(r) + 1, sizeof *names);
    if (!names)
        return command_fail(a->command, "out of memory");
    for (int i = 0; i < registry_count(r); i++)
        names[i] = registry_at(r, i)->head->name;
    const char *near = text_nearest(name, names);
    int status = near ? command_fail(a->command, "there is no '%s' (did you mean '%s'?)", name, near)
                      : command_fail(a->command, "there is no '%s'; 'perilune plugins' lists what there is", name);
    free(names);
    return status;
}

/* ---------------------------------------------------------------------------------------------- printing ---- */

static void print_identity(const plugin_entry *p, const view_style *style)
{
    printf("%s%s%s   %s   %s%s %s%s\n", ink_on(style, INK_BOLD), p->head->name, ink_off(style, INK_BOLD),
           plugin_kind_name(p->kind), ink_on(style, INK_DIM), p->plugin->id, p->plugin->version,
           ink_off(style, INK_DIM));
    if (p->head->help)
        printf("%s\n", p->head->help);
}

static int print_options(const plugin_entry *p, const view_style *style)
{
    static const table_column columns[] = {{"option", 0, 0, 0},
                                           {"type", 0, 0, 2},
                                           {"default", 0, 12, 0},
                                           {"allowed", 0, 14, 1},
                                           {"what it is", TABLE_WRAP, 24, 0},
                                           {NULL, 0, 0, 0}};
    table t = table_begin(columns, style);
    for (uint32_t i = 0; i < p->head->noptions; i++) {
        const pln_option *o = options_at(p->head, i);
        text dflt = {0}, bounds = {0};
        default_words(o, &dflt);
        allowed_words(o, &bounds);
        table_cell(&t, INK_BOLD, "%s", o->name);
        table_cell(&t, INK_PLAIN, "%s", type_name(o));
        table_cell(&t, o->flags & PLN_REQUIRED ? INK_WARN : INK_PLAIN, "%s", dflt.bytes ? dflt.bytes : "");
        table_cell(&t, INK_PLAIN, "%s", bounds.bytes ? bounds.bytes : "");
        table_cell(&t, INK_PLAIN, "%s", o->help ? o->help : "");
        t.failed |= dflt.failed || bounds.failed;
        text_free(&dflt);
        text_free(&bounds);
    }
    putchar('\n');
    int failed = p->head->noptions ? table_print(&t, 0, stdout) : 0;
    if (!p->head->noptions)
        puts("no options");
    table_free(&t);
    return failed;
}

static int print_details(const chosen *c, const view_style *style)
{
    int failed = 0;
    for (int i = 0; i < c->count && !failed; i++) {
        if (i)
            putchar('\n');
        print_identity(c->entry[i], style);
        failed = print_options(c->entry[i], style);
        printf("\n%sfile%s  %s\n", ink_on(style, INK_DIM), ink_off(style, INK_DIM), c->entry[i]->path);
    }
    return failed;
}

static int print_kind(const chosen *c, uint32_t kind, int files, const view_style *style)
{
    static const table_column short_columns[] = {{"name", 0, 0, 0}, {"help", 0, 20, 0}, {NULL, 0, 0, 0}};
    static const table_column file_columns[] = {
        {"name", 0, 0, 0}, {"plugin", 0, 12, 0}, {"version", 0, 0, 1}, {"file", 0, 12, 0}, {NULL, 0, 0, 0}};
    table t = table_begin(files ? file_columns : short_columns, style);
    int n = 0;
    t.untitled = 1;
    for (int i = 0; i < c->count; i++) {
        const plugin_entry *p = c->entry[i];
        if (p->kind != kind)
            continue;
        n++;
        table_cell(&t, INK_BOLD, "%s", p->head->name);
        table_cell(&t, INK_PLAIN, "%s", files ? p->plugin->id : p->head->help ? p->head->help : "");
        if (files) {
            table_cell(&t, INK_PLAIN, "%s", p->plugin->version);
            table_cell(&t, INK_DIM, "%s", p->path);
        }
    }
    if (n)
        printf("%s%s%s\n", ink_on(style, INK_DIM), plurals[kind], ink_off(style, INK_DIM));
    int failed = table_print(&t, 2, stdout);
    table_free(&t);
    return failed;
}

static int print_chosen(const arguments *a, const chosen *c)
{
    view_style style = style_of_output(a->nwords ? 120 : 0);
    int failed = 0, printed = 0;
    if (a->nwords)
        return print_details(c, &style) ? command_fail(a->command, "out of memory") : CLI_DONE;
    for (uint32_t k = PLN_LAYER; k <= PLN_METRIC && !failed; k++) {
        int any = 0;
        for (int i = 0; i < c->count; i++)
            any |= c->entry[i]->kind == k;
        if (any && printed++)
            putchar('\n');
        failed = any ? print_kind(c, k, arguments_given(a, "files"), &style) : 0;
    }
    if (!printed)
        fputs("no plugins were found; $PERILUNE_PLUGINS or --plugins names folders to look in\n", stderr);
    return failed ? command_fail(a->command, "out of memory") : CLI_DONE;
}

/* ------------------------------------------------------------------------------------------- the command ---- */

static void say_failed(void *context, const char *path, const char *why)
{
    (void)context;
    fprintf(stderr, "perilune plugins: %s%s%s\n", strstr(why, path) ? "" : path, strstr(why, path) ? "" : ": ", why);
}

static json_t *chosen_json(const chosen *c)
{
    json_t *list = json_array();
    for (int i = 0; i < c->count; i++)
        list = json_push(list, entry_json(c->entry[i]));
    return list;
}

static int run(const arguments *a)
{
    error e;
    uint32_t kind = 0;
    registry *r = NULL;
    chosen c = {0};
    const char *name = a->nwords ? a->words[0] : NULL;
    int status = read_kind(a, &kind);
    if (status)
        return status;
    if (registry_open(arguments_text(a, "plugins"), &r, &e) != PLN_E_OK ||
        registry_load_all(r, say_failed, NULL, &e) != PLN_E_OK)
        status = command_error(a->command, &e);
    else if (!choose(r, kind, name, &c))
        status = command_fail(a->command, "out of memory");
    else if (name && !c.count)
        status = say_unknown(a, r, name);
    else
        status = arguments_given(a, "json") ? json_print(a, chosen_json(&c)) : print_chosen(a, &c);
    free(c.entry);
    registry_free(r);
    return status;
}

const command command_plugins = {
    .name = "plugins",
    .summary = "List layers, optimizers, losses and metrics; or the options of one",
    .usage = "[NAME] [options]",
    .text = "All of them are plugins, shared objects over one public header.  Folders are searched in this order:\n"
            "--plugins, $PERILUNE_PLUGINS, $XDG_DATA_HOME/perilune/plugins, those that came with the program.",
    .options = own_options,
    .example = "perilune plugins Conv2D\nperilune plugins --kind optimizers",
    .min_words = 0,
    .max_words = 1,
    .run = run,
};

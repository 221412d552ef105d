/* perilune diff: two runs side by side: what was done otherwise, and what came of it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/database.h"
#include "cli/json.h"
#include "cli/line_diff.h"
#include "cli/run_words.h"
#include "cli/table.h"
#include "cli/words.h"

static const cli_option options[] = {
    {"all", NULL, "also what usually differs: hosts, uuids, hashes of plugins"},
    JSON_OPTION,
    DATABASE_OPTION,
    {NULL, NULL, NULL},
};

typedef struct pair {
    store_detail a, b;
    store_diff diff;
} pair;

/* --------------------------------------------------------------------------------------------- metrics ---- */

typedef struct measured {
    char name[160];
    double a, b; /* NaN: not measured */
} measured;

/* The value of an epoch column in the run's best epoch (its last when there is none). */
static double epoch_value(const store_detail *d, int column)
{
    const store_epoch *row = NULL;
    for (size_t i = 0; i < d->epochs; i++)
        if (d->run.best_epoch == 0 || d->epoch[i].epoch == d->run.best_epoch)
            row = &d->epoch[i];
    return row && row->present & 1u << column ? row->value[column] : NAN;
}

static double evaluation_value(const store_detail *d, const store_evaluation *like)
{
    for (size_t i = 0; i < d->evaluations; i++)
        if (!strcmp(d->evaluation[i].dataset, like->dataset) && !strcmp(d->evaluation[i].name, like->name))
            return d->evaluation[i].value;
    return NAN;
}

static int is_listed(const measured *list, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(list[i].name, name))
            return 1;
    return 0;
}

/* Core metrics at the best epochs, then evaluations of either run; list holds EPOCH_COLUMNS + both runs' evaluations. */
static int collect(const pair *p, measured *list)
{
    int n = 0;
    static const int columns[] = {EPOCH_LOSS, EPOCH_ACCURACY, EPOCH_VAL_LOSS, EPOCH_VAL_ACCURACY};
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        measured m = {.a = epoch_value(&p->a, columns[i]), .b = epoch_value(&p->b, columns[i])};
        snprintf(m.name, sizeof m.name, "%s", store_epoch_names[columns[i]]);
        if (!isnan(m.a) || !isnan(m.b))
            list[n++] = m;
    }
    for (int side = 0; side < 2; side++) {
        const store_detail *d = side ? &p->b : &p->a;
        for (size_t i = 0; i < d->evaluations; i++) {
            const store_evaluation *v = &d->evaluation[i];
            measured m = {.a = evaluation_value(&p->a, v), .b = evaluation_value(&p->b, v)};
            snprintf(m.name, sizeof m.name, "%s: %s", v->dataset, v->name);
            if (!is_listed(list, n, m.name))
                list[n++] = m;
        }
    }
    return n;
}

static const table_column columns[] = {
    {"", 0, 0, 0},           {"", 0, 10, 0}, {"", TABLE_RIGHT, 10, 0}, {"", TABLE_RIGHT, 10, 0},
    {"", TABLE_RIGHT, 0, 1}, {NULL, 0, 0, 0}};

static void add_measured(table *t, const measured *m, int first)
{
    char a[WORDS], b[WORDS], change[WORDS] = "";
    if (!isnan(m->a) && !isnan(m->b) && m->a != m->b)
        snprintf(change, sizeof change, "%+.4f", m->b - m->a);
    table_cell(t, INK_DIM, "%s", first ? "result" : "");
    table_cell(t, INK_PLAIN, "%s", m->name);
    table_cell(t, INK_PLAIN, "%s", isnan(m->a) ? "-" : words_metric(m->a, a));
    table_cell(t, INK_PLAIN, "%s", isnan(m->b) ? "-" : words_metric(m->b, b));
    table_cell(t, INK_DIM, "%s", change);
}

/* --------------------------------------------------------------------------------------------- differences ---- */

/* Hashes and names that differ between any two runs say little. */
static int is_told(const store_difference *d, int all)
{
    static const char *const usual[] = {"uuid",        "host",           "pid",      "fingerprint", "name",
                                        "created",     "started",        "finished", "digest",      "model",
                                        "epochs_done", "epochs_planned", NULL};
    if (all)
        return 1;
    for (size_t i = 0; usual[i]; i++)
        if (!strcmp(d->what, "run") && !strcmp(d->name, usual[i]))
            return 0;
    return strcmp(d->what, "script") != 0; /* its lines follow */
}

/* Long hashes are told apart by their beginnings. */
static void add_value(table *t, const char *s)
{
    int is_hash = s && strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64;
    table_cell(t, s ? INK_PLAIN : INK_DIM, "%.*s", is_hash ? 12 : 400, s ? s : "-");
}

static int add_differences(table *t, const store_diff *d, int all)
{
    const char *what = "";
    int n = 0;
    for (size_t i = 0; i < d->count; i++) {
        const store_difference *x = &d->difference[i];
        if (!is_told(x, all))
            continue;
        table_cell(t, INK_DIM, "%s", strcmp(what, x->what) ? x->what : "");
        table_cell(t, INK_PLAIN, "%s", x->name);
        add_value(t, x->a);
        add_value(t, x->b);
        table_cell(t, INK_PLAIN, "%s", "");
        what = x->what;
        n++;
    }
    return n;
}

static void add_head(table *t, const pair *p)
{
    table_cell(t, INK_PLAIN, "%s", "");
    table_cell(t, INK_PLAIN, "%s", "");
    table_cell(t, INK_BOLD, "run %lld", (long long)p->a.run.id);
    table_cell(t, INK_BOLD, "run %lld", (long long)p->b.run.id);
    table_cell(t, INK_PLAIN, "%s", "");
}

static void add_both(table *t, const char *name, const char *a, const char *b)
{
    table_cell(t, INK_DIM, "%s", "");
    table_cell(t, INK_PLAIN, "%s", name);
    table_cell(t, INK_PLAIN, "%s", a);
    table_cell(t, INK_PLAIN, "%s", b);
    table_cell(t, INK_PLAIN, "%s", "");
}

static void add_runs(table *t, const pair *p)
{
    char a[WORDS], b[WORDS];
    double now = store_now();
    add_both(t, "experiment", p->a.run.experiment, p->b.run.experiment);
    add_both(t, "state", run_state_name(&p->a.run), run_state_name(&p->b.run));
    add_both(t, "epochs", run_epochs(&p->a.run, a), run_epochs(&p->b.run, b));
    add_both(t, "time", words_seconds(run_seconds(&p->a.run, now), a), words_seconds(run_seconds(&p->b.run, now), b));
}

static int same_bits(const pair *p)
{
    const char *a = p->a.run.digest, *b = p->b.run.digest;
    return a && b && !strcmp(a, b);
}

static int print_pair(const arguments *a, const pair *p)
{
    view_style style = style_of_output(0);
    table t = table_begin(columns, &style);
    measured *list = calloc(p->a.evaluations + p->b.evaluations + EPOCH_COLUMNS, sizeof *list);
    int n = list ? collect(p, list) : 0, failed = !list;
    t.untitled = 1;
    add_head(&t, p);
    add_runs(&t, p);
    int told = add_differences(&t, &p->diff, arguments_given(a, "all"));
    for (int i = 0; i < n; i++)
        add_measured(&t, &list[i], i == 0);
    failed = failed || table_print(&t, 0, stdout);
    table_free(&t);
    free(list);
    if (failed)
        return command_fail(a->command, "out of memory");
    if (p->diff.script_a || p->diff.script_b) {
        puts("\nscript");
        if (line_diff_print(p->diff.script_a ? p->diff.script_a : "", p->diff.script_b ? p->diff.script_b : "", &style))
            return command_fail(a->command, "out of memory");
    } else if (!told) {
        puts("\nnothing that was recorded differs");
    }
    if (same_bits(p))
        puts("\nthe same digest: both computed the same bits");
    return CLI_DONE;
}

/* ------------------------------------------------------------------------------------------------- JSON ---- */

static json_t *pair_json(const pair *p)
{
    json_t *differences = json_array(), *results = json_object();
    measured *list = calloc(p->a.evaluations + p->b.evaluations + EPOCH_COLUMNS, sizeof *list);
    int n = list ? collect(p, list) : 0;
    for (int i = 0; i < n; i++)
        results =
            json_put(results, list[i].name, JSON_OBJECT({"a", json_number(list[i].a)}, {"b", json_number(list[i].b)}));
    free(list);
    for (size_t i = 0; i < p->diff.count; i++) {
        const store_difference *d = &p->diff.difference[i];
        differences = json_push(differences, JSON_OBJECT({"what", json_text(d->what)}, {"name", json_text(d->name)},
                                                         {"a", json_text(d->a)}, {"b", json_text(d->b)}));
    }
    return JSON_OBJECT({"a", run_json(&p->a.run)}, {"b", run_json(&p->b.run)},
                       {"same_bits", json_boolean(same_bits(p))}, {"results", results}, {"differences", differences},
                       {"script_a", json_text(p->diff.script_a)}, {"script_b", json_text(p->diff.script_b)});
}

static int run(const arguments *a)
{
    error e;
    pair p = {0};
    store *s = NULL;
    int64_t first = 0, second = 0;
    int status = database_open(a, STORE_READ, &s);
    if (!status)
        status = database_find_run(a, s, a->words[0], &first);
    if (!status)
        status = database_find_run(a, s, a->words[1], &second);
    if (!status && (store_read_run(s, first, &p.a, &e) != PLN_E_OK || store_read_run(s, second, &p.b, &e) != PLN_E_OK ||
                    store_diff_runs(s, first, second, &p.diff, &e) != PLN_E_OK))
        status = command_error(a->command, &e);
    if (!status)
        status = arguments_given(a, "json") ? json_print(a, pair_json(&p)) : print_pair(a, &p);
    store_detail_free(&p.a);
    store_detail_free(&p.b);
    store_diff_free(&p.diff);
    store_close(s, 0, NULL);
    return status;
}

const command command_diff = {
    .name = "diff",
    .summary = "Two runs side by side: parameters, results, script, machine",
    .usage = "RUN RUN [options]",
    .text =
        "Shows what differs, and the results of both: metrics at each one's best epoch, and what evaluate measured.\n"
        "RUN is a number, 'last', 'best', 'best:EXPERIMENT', or the beginning of a uuid.",
    .options = options,
    .example = "perilune diff best last",
    .min_words = 2,
    .max_words = 2,
    .run = run,
};

/* perilune runs: what has been recorded, the newest first. */
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "cli/database.h"
#include "cli/json.h"
#include "cli/run_words.h"
#include "cli/table.h"
#include "cli/words.h"

static const cli_option options[] = {
    {"experiment", "NAME", "only this experiment's runs"},
    {"state", "STATE", "only runs in this state: running, done, failed, ..."},
    {"tag", "WORD", "only runs with this tag"},
    {"best", NULL, "the best first, instead of the newest"},
    {"limit", "N", "at most N runs (default 20; 0: all)"},
    JSON_OPTION,
    DATABASE_OPTION,
    {NULL, NULL, NULL},
};

static int read_state(const arguments *a, int *state)
{
    const char *word = arguments_text(a, "state");
    *state = -1;
    if (!word)
        return CLI_DONE;
    for (int i = 0; i < STORE_STATES; i++)
        if (!strcmp(word, store_state_names[i]))
            *state = i;
    if (*state >= 0)
        return CLI_DONE;
    const char *near = text_nearest(word, store_state_names);
    return near ? command_misuse(a->command, "--state: there is no state '%s' (did you mean '%s'?)", word, near)
                : command_misuse(a->command,
                                 "--state: there is no state '%s'; there are queued, running, done, pruned, "
                                 "failed, interrupted, lost, cached",
                                 word);
}

static json_t *runs_json(const store_runs *runs)
{
    json_t *list = json_array();
    for (size_t i = 0; i < runs->count; i++)
        list = json_push(list, run_json(&runs->run[i]));
    return list;
}

static void add_row(table *t, const store_run *r, double now)
{
    char a[WORDS];
    table_cell(t, INK_BOLD, "%lld", (long long)r->id);
    table_cell(t, INK_PLAIN, "%s", r->experiment ? r->experiment : "");
    table_cell(t, INK_PLAIN, "%s", r->name ? r->name : "");
    table_cell(t, run_state_ink(r), "%s", run_state_name(r));
    table_cell(t, INK_PLAIN, "%s", run_epochs(r, a));
    table_cell(t, INK_PLAIN, "%s", r->score_name && r->best_epoch ? words_metric(r->score, a) : "");
    table_cell(t, INK_DIM, "%s", r->score_name && r->best_epoch ? r->score_name : "");
    table_cell(t, INK_PLAIN, "%s", words_seconds(run_seconds(r, now), a));
    table_cell(t, INK_DIM, "%s", words_ago(r->started > 0 ? r->started : r->created, now, a));
}

static int print_table(const arguments *a, const store_runs *runs)
{
    static const table_column columns[] = {
        {"id", TABLE_RIGHT, 0, 0}, {"experiment", TABLE_KEEP, 8, 0}, {"name", 0, 8, 1},
        {"state", 0, 0, 0},        {"epochs", TABLE_RIGHT, 0, 3},    {"best", TABLE_RIGHT, 0, 0},
        {"metric", 0, 0, 4},       {"time", TABLE_RIGHT, 0, 5},      {"started", 0, 0, 6},
        {NULL, 0, 0, 0},
    };
    view_style style = style_of_output(0);
    table t = table_begin(columns, &style);
    double now = store_now();
    for (size_t i = 0; i < runs->count; i++)
        add_row(&t, &runs->run[i], now);
    int failed = table_print(&t, 0, stdout);
    table_free(&t);
    return failed ? command_fail(a->command, "out of memory") : CLI_DONE;
}

static void say_none(const arguments *a, const store *s)
{
    int filtered = arguments_given(a, "experiment") || arguments_given(a, "state") || arguments_given(a, "tag");
    if (filtered)
        fprintf(stderr, "no run in %s is like that; 'perilune runs' lists all\n", store_path(s));
    else
        fprintf(stderr, "no runs in %s yet; 'perilune run SCRIPT' makes one\n", store_path(s));
}

static int run(const arguments *a)
{
    error e;
    int64_t limit = 20;
    store *s = NULL;
    store_runs runs = {0};
    store_filter filter = store_filter_all();
    if (read_state(a, &filter.state) || arguments_integer(a, "limit", 0, INT32_MAX, &limit))
        return CLI_MISUSED;
    filter.experiment = arguments_text(a, "experiment");
    filter.tag = arguments_text(a, "tag");
    filter.order = arguments_given(a, "best") ? STORE_BEST : STORE_NEWEST;
    filter.limit = limit;
    int status = database_open(a, STORE_READ, &s);
    if (status)
        return status;
    if (store_list_runs(s, &filter, &runs, &e) != PLN_E_OK)
        status = command_error(a->command, &e);
    else if (arguments_given(a, "json"))
        status = json_print(a, runs_json(&runs));
    else if (runs.count)
        status = print_table(a, &runs);
    else
        say_none(a, s);
    store_runs_free(&runs);
    store_close(s, 0, NULL);
    return status;
}

const command command_runs = {
    .name = "runs",
    .summary = "List the runs that were recorded",
    .usage = "[options]",
    .text =
        "Each fit of a script is a run.  'best' is the metric that the run is judged by, at its best epoch; 'perilune\n"
        "show ID' tells all about one.  A run whose process died without a word is 'lost'.",
    .options = options,
    .example = "perilune runs --experiment mnist-cnn --best --limit 5",
    .min_words = 0,
    .max_words = 0,
    .run = run,
};

/* perilune show: all that is known about one run, on a page. */
#include "cli/show.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/database.h"
#include "cli/flow.h"
#include "cli/run_words.h"
#include "cli/table.h"
#include "cli/words.h"

static const cli_option options[] = {
    {"epochs", "N", "at most N rows of the epoch table (default 24; 0: all)"},
    {"script", NULL, "print the script that was run, and nothing else"},
    JSON_OPTION,
    DATABASE_OPTION,
    {NULL, NULL, NULL},
};

int show_read(store *s, int64_t id, show_run *out, error *e)
{
    *out = (show_run){0};
    int status = store_read_run(s, id, &out->detail, e);
    if (status != PLN_E_OK)
        return status;
    out->metrics = calloc(out->detail.metrics + 1, sizeof *out->metrics);
    if (!out->metrics) {
        show_free(out);
        return error_memory(e);
    }
    for (size_t i = 0; i < out->detail.metrics && status == PLN_E_OK; i++) {
        show_metric *m = &out->metrics[i];
        m->name = out->detail.metric[i];
        status = store_read_metric(s, id, m->name, &m->points, &m->count, e);
    }
    if (status != PLN_E_OK)
        show_free(out);
    return status;
}

void show_free(show_run *r)
{
    for (size_t i = 0; r->metrics && i < r->detail.metrics; i++)
        free(r->metrics[i].points);
    free(r->metrics);
    store_detail_free(&r->detail);
    *r = (show_run){0};
}

/* ---------------------------------------------------------------------------------------------- the head ---- */

static void print_head(const store_detail *d, const view_style *style)
{
    char a[WORDS];
    const store_run *r = &d->run;
    double now = store_now();
    int ink = run_state_ink(r);
    flow f = flow_begin(style, "");
    char number[32];
    snprintf(number, sizeof number, "run %lld", (long long)r->id);
    f.label = number;
    flow_item(&f, INK_BOLD, "%s%s%s", r->experiment ? r->experiment : "", r->name ? " / " : "", r->name ? r->name : "");
    flow_item(&f, ink, "%s", run_state_name(r));
    flow_item(&f, INK_PLAIN, "epochs %s", run_epochs(r, a));
    flow_item(&f, INK_PLAIN, "%s", words_seconds(run_seconds(r, now), a));
    flow_item(&f, INK_PLAIN, "%s", words_ago(r->started > 0 ? r->started : r->created, now, a));
    for (size_t i = 0; i < d->tags; i++)
        flow_item(&f, INK_PLAIN, "#%s", d->tag[i]);
    flow_end(&f);
    f = flow_begin(style, "best");
    if (r->best_epoch && r->score_name)
        flow_item(&f, INK_PLAIN, "%s %s in epoch %lld", r->score_name, words_metric(r->score, a),
                  (long long)r->best_epoch);
    flow_end(&f);
    f = flow_begin(style, "why");
    if (r->message && *r->message)
        flow_item(&f, ink, "%s", r->message);
    if (r->message && *r->message && r->source && r->line)
        flow_item(&f, INK_PLAIN, "%s:%lld", r->source, (long long)r->line);
    if (r->state == STORE_LOST)
        flow_item(&f, ink, "its process is gone; perilune resume %lld goes on from its last checkpoint",
                  (long long)r->id);
    flow_end(&f);
}

/* Those from one source, in a flow. */
static void print_params_from(const store_detail *d, const char *source, const view_style *style)
{
    char a[WORDS];
    flow f = flow_begin(style, !strcmp(source, "default")  ? "defaults"
                               : !strcmp(source, "script") ? "in script"
                                                           : source);
    for (size_t i = 0; i < d->params; i++)
        if (!strcmp(d->param[i].source ? d->param[i].source : "", source))
            flow_item(&f, INK_PLAIN, "%s %s", d->param[i].name, words_value(&d->param[i].value, a));
    flow_end(&f);
}

static int is_first_of_source(const store_detail *d, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (d->param[k].source && !strcmp(d->param[k].source, d->param[i].source))
            return 0;
    return 1;
}

/* What was given first, then the defaults. */
static void print_params(const store_detail *d, const view_style *style)
{
    if (d->params)
        putchar('\n');
    for (int defaults = 0; defaults < 2; defaults++)
        for (size_t i = 0; i < d->params; i++) {
            const char *source = d->param[i].source;
            if (source && (strcmp(source, "default") == 0) == defaults && is_first_of_source(d, i))
                print_params_from(d, source, style);
        }
}

/* --------------------------------------------------------------------------------------------- the command ---- */

static int print_script(const arguments *a, const store_launch *l)
{
    if (!l->script.text)
        return command_fail(a->command, "the script's text was not recorded for this run");
    fwrite(l->script.text, 1, l->script.bytes, stdout);
    return CLI_DONE;
}

static int print_all(const arguments *a, const show_run *r, int64_t most)
{
    view_style style = style_of_output(0);
    print_head(&r->detail, &style);
    print_params(&r->detail, &style);
    if (show_epochs(r, &style, most))
        return command_fail(a->command, "out of memory");
    show_curves(r, &style);
    show_results(r, &style);
    show_origin(r, &style);
    return CLI_DONE;
}

static int run(const arguments *a)
{
    error e;
    int64_t id = 0, most = 24;
    store *s = NULL;
    show_run r = {0};
    if (arguments_integer(a, "epochs", 0, INT32_MAX, &most))
        return CLI_MISUSED;
    int status = database_open_run(a, STORE_READ, &s, &id);
    if (status) {
        store_close(s, 0, NULL);
        return status;
    }
    if (show_read(s, id, &r, &e) != PLN_E_OK)
        status = command_error(a->command, &e);
    else if (arguments_given(a, "json"))
        status = json_print(a, show_json(&r));
    else if (arguments_given(a, "script"))
        status = print_script(a, &r.detail.launch);
    else
        status = print_all(a, &r, most);
    show_free(&r);
    store_close(s, 0, NULL);
    return status;
}

const command command_show = {
    .name = "show",
    .summary = "Show one run: epochs, results, where it came from",
    .usage = "[RUN] [options]",
    .text = "RUN is a number, 'last' (the default), 'best', 'best:EXPERIMENT', or the beginning of a uuid.",
    .options = options,
    .example = "perilune show best:mnist-cnn\nperilune show 7 --json",
    .min_words = 0,
    .max_words = 1,
    .run = run,
};

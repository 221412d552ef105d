/* What a run gave, and where it came from: evaluations, files, script, git, data, plugins, machine. */
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/flow.h"
#include "cli/run_words.h"
#include "cli/show.h"
#include "cli/words.h"

/* ---------------------------------------------------------------------------------------------- results ---- */

static void print_evaluations(const store_detail *d, const view_style *style)
{
    char a[WORDS];
    flow f = flow_begin(style, "evaluated");
    for (size_t i = 0; i < d->evaluations; i++) {
        if (i == 0 || strcmp(d->evaluation[i].dataset, d->evaluation[i - 1].dataset) != 0) {
            flow_line(&f);
            flow_item(&f, INK_PLAIN, "%s", d->evaluation[i].dataset);
        }
        flow_item(&f, INK_PLAIN, "%s %s", d->evaluation[i].name, words_metric(d->evaluation[i].value, a));
    }
    flow_end(&f);
}

/* The path as it is seen from here. */
static const char *near_path(const char *path)
{
    char here[4096];
    size_t n = getcwd(here, sizeof here) ? strlen(here) : 0;
    return n > 1 && !strncmp(path, here, n) && path[n] == '/' ? path + n + 1 : path;
}

static void print_files(const store_artifact *files, size_t count, const char *title, const view_style *style)
{
    char a[WORDS];
    flow f = flow_begin(style, title);
    for (size_t i = 0; i < count; i++) {
        flow_line(&f);
        flow_item(&f, INK_PLAIN, "%s   %s%s", words_bytes(files[i].bytes, a), near_path(files[i].path),
                  access(files[i].path, F_OK) == 0 ? "" : "   (gone)");
    }
    flow_end(&f);
}

void show_results(const show_run *r, const view_style *style)
{
    const store_detail *d = &r->detail;
    if (!d->evaluations && !d->checkpoints && !d->artifacts && !d->notes)
        return;
    putchar('\n');
    print_evaluations(d, style);
    print_files(d->checkpoint, d->checkpoints, "weights", style);
    print_files(d->artifact, d->artifacts, "files", style);
    flow f = flow_begin(style, "notes");
    for (size_t i = 0; i < d->notes; i++) {
        flow_line(&f);
        flow_item(&f, INK_PLAIN, "%s", d->note[i].text ? d->note[i].text : "");
    }
    flow_end(&f);
}

/* ----------------------------------------------------------------------------------------------- origin ---- */

static void print_script(const store_launch *l, const view_style *style)
{
    flow f = flow_begin(style, "script");
    if (!l->id)
        return;
    flow_item(&f, INK_PLAIN, "%s", l->script.name ? l->script.name : "(none)");
    for (size_t i = 0; i < l->arg_count; i++)
        flow_item(&f, INK_PLAIN, "%s", l->args[i]);
    if (l->git_commit)
        flow_item(&f, INK_PLAIN, "git %.12s%s", l->git_commit,
                  l->git_diff && *l->git_diff ? " with uncommitted changes" : "");
    flow_end(&f);
}

static void print_datasets(const store_detail *d, const view_style *style)
{
    char samples[32];
    flow f = flow_begin(style, "data");
    for (size_t i = 0; i < d->datasets; i++) {
        const store_dataset *s = &d->dataset[i];
        flow_line(&f);
        flow_item(&f, INK_PLAIN, "%s", s->role);
        flow_item(&f, INK_PLAIN, "%s, %s of %s", s->name ? s->name : "?", text_thousands(s->samples, samples),
                  s->shape ? s->shape : "?");
        flow_item(&f, INK_PLAIN, "%.12s", s->digest ? s->digest : "");
    }
    flow_end(&f);
}

static void print_plugins(const store_detail *d, const view_style *style)
{
    flow f = flow_begin(style, "plugins");
    for (size_t i = 0; i < d->plugins; i++)
        flow_item(&f, INK_PLAIN, "%s %s", d->plugin[i].type ? d->plugin[i].type : "?",
                  d->plugin[i].version ? d->plugin[i].version : "");
    flow_end(&f);
}

static void print_machine(const store_detail *d, const view_style *style)
{
    static const char *const told[] = {"cpu", "kernels", "system", NULL};
    flow f = flow_begin(style, "machine");
    flow_item(&f, INK_PLAIN, "%s", d->run.host ? d->run.host : "?");
    for (int k = 0; told[k]; k++)
        for (size_t i = 0; i < d->environments; i++)
            if (!strcmp(d->environment[i].name, told[k]))
                flow_item(&f, INK_PLAIN, "%s", d->environment[i].value);
    if (d->run.threads)
        flow_item(&f, INK_PLAIN, "%lld thread%s", (long long)d->run.threads, d->run.threads == 1 ? "" : "s");
    flow_end(&f);
}

static void print_line(const view_style *style, const char *label, const char *what)
{
    flow f = flow_begin(style, label);
    if (what)
        flow_item(&f, INK_PLAIN, "%s", what);
    flow_end(&f);
}

void show_origin(const show_run *r, const view_style *style)
{
    char count[32];
    const store_detail *d = &r->detail;
    flow f = flow_begin(style, "model");
    putchar('\n');
    flow_item(&f, INK_PLAIN, "%s parameters", text_thousands(d->run.parameters, count));
    flow_item(&f, INK_PLAIN, "seed %lld", (long long)d->run.seed);
    flow_end(&f);
    print_script(&d->launch, style);
    print_datasets(d, style);
    print_plugins(d, style);
    print_machine(d, style);
    print_line(style, "fingerprint", d->run.fingerprint);
    print_line(style, "digest", d->run.digest);
    print_line(style, "inexact", d->run.inexact);
}

/* The epochs of a run: a table of what was measured, and its curves in a line each. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/show.h"
#include "cli/table.h"
#include "cli/words.h"

#define COLUMNS_MAX 24
#define NAME_MAX_   24

typedef struct epoch_columns {
    table_column column[COLUMNS_MAX + 1];
    int source[COLUMNS_MAX]; /* EPOCH_*, or EPOCH_COLUMNS + number of the custom metric, or -1: the epoch's number */
    int count;
} epoch_columns;

static int is_present(const store_detail *d, int column)
{
    for (size_t i = 0; i < d->epochs; i++)
        if (d->epoch[i].present & 1u << column)
            return 1;
    return 0;
}

static void add_column(epoch_columns *c, const char *title, int source, int drop)
{
    if (c->count == COLUMNS_MAX)
        return;
    c->source[c->count] = source;
    c->column[c->count++] = (table_column){title, TABLE_RIGHT, 0, drop};
}

static int is_per_epoch(const show_run *r, const show_metric *m)
{
    return m->count > 0 && m->count <= r->detail.epochs;
}

static void choose_columns(const show_run *r, epoch_columns *c)
{
    static const struct {
        int source, drop;
        const char *title;
    } core[] = {{EPOCH_LOSS, 0, "loss"},
                {EPOCH_ACCURACY, 0, "accuracy"},
                {EPOCH_VAL_LOSS, 0, "val_loss"},
                {EPOCH_VAL_ACCURACY, 0, "val_accuracy"}},
      more[] = {{EPOCH_LEARNING_RATE, 6, "lr"}, {EPOCH_IMAGES_PER_SECOND, 5, "samples/s"}, {EPOCH_SECONDS, 7, "time"}};
    add_column(c, "epoch", -1, 0);
    for (size_t i = 0; i < sizeof core / sizeof *core; i++)
        if (is_present(&r->detail, core[i].source))
            add_column(c, core[i].title, core[i].source, core[i].drop);
    for (size_t i = 0; i < r->detail.metrics && c->count < COLUMNS_MAX - 4; i++)
        if (is_per_epoch(r, &r->metrics[i]))
            add_column(c, r->metrics[i].name, EPOCH_COLUMNS + (int)i, 8);
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        if (is_present(&r->detail, more[i].source))
            add_column(c, more[i].title, more[i].source, more[i].drop);
    c->column[c->count] = (table_column){NULL, 0, 0, 0};
}

static double metric_at(const show_metric *m, int64_t step, int *found)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->points[i].step == step) {
            *found = 1;
            return m->points[i].value;
        }
    *found = 0;
    return NAN;
}

static const char *cell_words(const show_run *r, const store_epoch *row, int source, char out[WORDS])
{
    int found = source < EPOCH_COLUMNS && source >= 0 ? (row->present >> source & 1u) != 0 : 0;
    double v = source >= EPOCH_COLUMNS ? metric_at(&r->metrics[source - EPOCH_COLUMNS], row->epoch, &found)
               : source >= 0           ? row->value[source]
                                       : 0;
    char thousands[32];
    out[0] = 0;
    if (source < 0)
        snprintf(out, WORDS, "%lld", (long long)row->epoch);
    else if (!found)
        return out;
    else if (source == EPOCH_LEARNING_RATE)
        words_rate(v, out);
    else if (source == EPOCH_SECONDS)
        words_seconds(v, out);
    else if (source == EPOCH_IMAGES_PER_SECOND)
        snprintf(out, WORDS, "%s", v >= 0 && v < 1e15 ? text_thousands((int64_t)(v + 0.5), thousands) : "");
    else
        words_metric(v, out);
    return out;
}

/* Which rows are shown when there are more than `most`: the first few, the best, the last. */
static int is_shown(const store_detail *d, size_t i, int64_t most)
{
    int64_t n = (int64_t)d->epochs, at = (int64_t)i;
    return most == 0 || n <= most || at < most / 4 || at >= n - (most - most / 4) ||
           d->epoch[i].epoch == d->run.best_epoch;
}

int show_epochs(const show_run *r, const view_style *style, int64_t most)
{
    char a[WORDS];
    const store_detail *d = &r->detail;
    epoch_columns c = {.count = 0};
    int64_t hidden = 0;
    if (!d->epochs)
        return PLN_E_OK;
    choose_columns(r, &c);
    table t = table_begin(c.column, style);
    for (size_t i = 0; i < d->epochs; i++) {
        int best = d->epoch[i].epoch == d->run.best_epoch;
        if (!is_shown(d, i, most)) {
            hidden++;
            continue;
        }
        for (int k = 0; k < c.count; k++)
            table_cell(&t, best ? INK_BOLD : INK_PLAIN, "%s", cell_words(r, &d->epoch[i], c.source[k], a));
    }
    putchar('\n');
    int failed = table_print(&t, 0, stdout);
    table_free(&t);
    if (hidden)
        printf("%s(%lld epochs between are not shown; --epochs 0 shows all)%s\n", ink_on(style, INK_DIM),
               (long long)hidden, ink_off(style, INK_DIM));
    return failed;
}

/* --------------------------------------------------------------------------------------------- the curves ---- */

typedef struct curve {
    const char *name;
    int source;
    double *values;
    double lo, hi, first, last;
} curve;

static int read_curve(const store_detail *d, curve *c)
{
    c->values = calloc(d->epochs + 1, sizeof *c->values);
    c->lo = INFINITY;
    c->hi = -INFINITY;
    c->first = c->last = NAN;
    for (size_t i = 0; c->values && i < d->epochs; i++) {
        double v = d->epoch[i].present & 1u << c->source ? d->epoch[i].value[c->source] : NAN;
        c->values[i] = v;
        if (!isfinite(v))
            continue;
        c->lo = fmin(c->lo, v);
        c->hi = fmax(c->hi, v);
        c->first = isnan(c->first) ? v : c->first;
        c->last = v;
    }
    return c->values != NULL;
}

static void print_curve(const store_detail *d, const curve *c, double lo, double hi, const view_style *style)
{
    char a[WORDS], b[WORDS];
    text line = {0};
    int width = style->width - 12 - 2 - 24;
    words_spark(c->values, (int64_t)d->epochs, lo, hi, width < 8 ? 8 : width > 48 ? 48 : width, style, &line);
    if (!line.failed && line.bytes)
        printf("%s%-12s%s  %s  %s %s %s\n", ink_on(style, INK_DIM), c->name, ink_off(style, INK_DIM), line.bytes,
               words_metric(c->first, a), style->utf8 ? "→" : "->", words_metric(c->last, b));
    text_free(&line);
}

/* Training and validation share one scale, so that their distance can be seen. */
static void print_pair(const store_detail *d, curve *train, curve *val, const view_style *style)
{
    int has_train = read_curve(d, train) && isfinite(train->lo), has_val = read_curve(d, val) && isfinite(val->lo);
    double lo = fmin(train->lo, val->lo), hi = fmax(train->hi, val->hi);
    if (has_train)
        print_curve(d, train, lo, hi, style);
    if (has_val)
        print_curve(d, val, lo, hi, style);
    free(train->values);
    free(val->values);
}

void show_curves(const show_run *r, const view_style *style)
{
    const store_detail *d = &r->detail;
    curve loss = {"loss", EPOCH_LOSS, NULL, 0, 0, 0, 0}, val_loss = {"val_loss", EPOCH_VAL_LOSS, NULL, 0, 0, 0, 0};
    curve accuracy = {"accuracy", EPOCH_ACCURACY, NULL, 0, 0, 0, 0},
          val_accuracy = {"val_accuracy", EPOCH_VAL_ACCURACY, NULL, 0, 0, 0, 0};
    if (d->epochs < 3)
        return;
    putchar('\n');
    print_pair(d, &loss, &val_loss, style);
    print_pair(d, &accuracy, &val_accuracy, style);
}

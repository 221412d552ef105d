/* show.h: the parts of `perilune show`. */
#ifndef CLI_SHOW_H
#define CLI_SHOW_H

#include <stdio.h>

#include "cli/command.h"
#include "cli/json.h"
#include "picture/view.h"
#include "store/store.h"

/* A custom metric's points, one list for each name in detail->metric. */
typedef struct show_metric {
    const char *name; /* the detail's */
    store_metric *points;
    size_t count;
} show_metric;

typedef struct show_run {
    store_detail detail;
    show_metric *metrics; /* [detail.metrics] */
} show_run;

int show_read(store *s, int64_t id, show_run *out, error *e);
void show_free(show_run *r);

/* The epoch table, at most `most` rows of it (the first, the best and the last), and the curves under it. */
int show_epochs(const show_run *r, const view_style *style, int64_t most);
void show_curves(const show_run *r, const view_style *style);

/* Evaluations, files, and where it came from. */
void show_results(const show_run *r, const view_style *style);
void show_origin(const show_run *r, const view_style *style);

json_t *show_json(const show_run *r);

#endif

/* Inside the room: what a trainer is made of, and so what a checkpoint holds. */
#ifndef NET_CHECKPOINT_H
#define NET_CHECKPOINT_H

#include "base/text.h"
#include "net/evaluate.h"
#include "net/update.h"

/* Columns of one epoch's record: loss, metrics, val_loss, val_metrics. */
#define TRAINER_COLUMNS(nmetrics) (2 * (1 + (int64_t)(nmetrics)))

/* Where a training stands. */
typedef struct progress {
    int64_t epoch;               /* finished ones, 0-based */
    int64_t batch;               /* done in this epoch */
    uint64_t step;               /* batches done in all */
    int64_t samples;             /* of this epoch */
    double loss;                 /* sum over them */
    double training, validation; /* seconds spent in this epoch before the present call */
} progress;

struct trainer {
    model *m;
    recipe *r;
    fit_options o;
    plan *p;
    update *u;
    evaluator v; /* v.p is NULL without validation data */
    random_key key;
    int64_t batches;
    progress at;
    double *cells[RECIPE_METRICS];
    double *history; /* [epochs done][columns] */
    int64_t history_rows;
    double grad_norm, began;
    int validating, stopped, rate_offset;
};

#endif

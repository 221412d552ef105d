/* Inside the room: evaluation that stops between batches, for the trainer's validation part. */
#ifndef NET_EVALUATE_H
#define NET_EVALUATE_H

#include "net/plan.h"

typedef struct evaluator {
    plan *p;
    recipe *r;
    const dataset *set;
    int64_t done; /* samples */
    double loss;  /* sum over them */
    double *cells[RECIPE_METRICS];
} evaluator;

int evaluator_open(model *m, recipe *r, const dataset *set, int64_t batch_size, lanes *pool, evaluator *v, error *e);
void evaluator_free(evaluator *v);
void evaluator_begin(evaluator *v);
/* One batch; *more is 0 after the last. */
int evaluator_next(evaluator *v, int *more, error *e);

double metric_value(const recipe *r, int metric, const double *cells);

/* Do the inputs of the set have the shapes that the model takes? */
int data_fits(const model *m, const dataset *set, error *e);
/* The target as a slot; an error if the set has none. */
int data_target(const dataset *set, pln_slot *target, error *e);

#endif

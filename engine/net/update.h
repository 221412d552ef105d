/* The update: the optimizer over all trainable parameters, cut into slices; clipping before it.
 * Thread rule: one thread; the work runs on the lanes. */
#ifndef NET_UPDATE_H
#define NET_UPDATE_H

#include "base/lanes.h"
#include "net/plan.h"
#include "net/train.h"
#include "plugin/host.h"

#define UPDATE_SLOTS PLUGIN_SLOTS

typedef struct update_slice {
    int parameter;
    int64_t offset, count;
} update_slice;

struct update;
typedef struct hot_gradient {
    struct update *u;
    int parameter;
} hot_gradient;

typedef struct update {
    model *m;
    recipe *r;
    lanes *pool;
    host services;
    float *slots[UPDATE_SLOTS]; /* [m->ntrainable] each, or NULL: not used by these options */
    const char *names[UPDATE_SLOTS];
    int nslots;
    update_slice *slices;
    int64_t nslices;
    double *sums;           /* [nslices] squares of the gradient */
    float *gscale;          /* [m->nparameters] */
    hot_gradient *hot;      /* [m->nparameters] */
    const char *may_be_hot; /* [m->nparameters], the plan's */
    double rate, k[8];      /* of this step */
    uint64_t step;
} update;

int update_open(model *m, recipe *r, lanes *pool, update **out, error *e);
void update_free(update *u);

/* Lets gradients of this plan be updated while they are in cache, where the optimizer and the recipe allow it. */
void update_join(update *u, plan *p);

/* Begins a step: what all slices share; whether gradients of the plan go into their sinks (unless `norm_wanted`). */
void update_begin(update *u, plan *p, double rate, uint64_t step, int norm_wanted);

/* Ends it: clips, and updates whatever was not hot.  *norm, if not NULL, receives the global norm of the gradient
 * before clipping (the step must have begun with norm_wanted). */
int update_end(update *u, plan *p, double *norm, error *e);

#endif

/* The update: the optimizer over all trainable parameters, cut into slices; clipping before it.
 * Thread rule: one thread; the work runs on the lanes. */
#ifndef NET_UPDATE_H
#define NET_UPDATE_H

#include "base/lanes.h"
#include "net/train.h"
#include "plugin/host.h"

#define UPDATE_SLOTS 8

typedef struct update_slice {
    int parameter;
    int64_t offset, count;
} update_slice;

typedef struct update {
    model *m;
    recipe *r;
    lanes *pool;
    host services;
    float *slots[UPDATE_SLOTS];     /* [m->ntrainable] each, or NULL: not used by these options */
    const char *names[UPDATE_SLOTS];
    int nslots;
    update_slice *slices;
    int64_t nslices;
    double *sums;                   /* [nslices] squares of the gradient */
    float *gscale;                  /* [m->nparameters] */
} update;

int update_open(model *m, recipe *r, lanes *pool, update **out, error *e);
void update_free(update *u);

/* One step with these gradients ([ntrainable]; clipvalue changes them).  *norm, if not NULL, receives the global norm of
 * the gradient before clipping. */
int update_run(update *u, float *gradients, double rate, uint64_t step, double *norm, error *e);

#endif

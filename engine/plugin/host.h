/* The host: the table of services that plugins are given, and what stands behind it.
 *
 * One host serves one user of plugins at a time (a model being built, a plan being run): it holds the lanes that the
 * services run on and the first error that a plugin reported.
 *
 * Thread rule: the services follow plugin.h; host_open, host_take_error and host_free belong to one thread.
 */
#ifndef PLUGIN_HOST_H
#define PLUGIN_HOST_H

#include <pthread.h>

#include "base/error.h"
#include "base/lanes.h"
#include "base/random.h"
#include "perilune/plugin.h"

#define PLAN_SLOTS 64 /* most slots of one node */

/* What plugin.h's opaque node is: where it stands in the script and in the model, and the key of its random numbers. */
struct pln_node {
    random_key key;
    char where[256]; /* "mnist_cnn.lua:11", or "" */
    char label[192]; /* "layer 3 (Dense)" */
};

/* What plugin.h's opaque plan is: the slots that a layer's `plan` declared. */
struct pln_plan {
    const pln_node *node;
    int nslots;
    pln_slot slots[PLAN_SLOTS];
};

/* Takes the finished blocks of a gradient that is updated while it is in cache (PLN_GRAD_ONCE).  A gradient tensor whose
 * data is NULL points to one with its `host` field; gemm hands it elements offset .. offset+count-1 of the gradient.  conv, which
 * does not finish it block by block, writes all of it to `memory` and sets `kept`: then it is updated after the step. */
typedef struct host_sink {
    int (*take)(void *context, int64_t offset, int64_t count, float *block); /* [any] */
    void *context;
    float *memory;
    int kept;       /* in this step; update_begin sets it to 0 */
    int64_t length; /* of a row of the product that is running */
} host_sink;

typedef struct host {
    pln_host table; /* first: plugins hand it back to us */
    lanes *pool;
    pthread_mutex_t lock;
    error first;         /* status 0: none */
    int64_t first_piece; /* the piece that reported it */
} host;

/* Which piece of the batch this thread works on from now on; errors of the lowest piece win, whatever lane was faster. */
void host_at_piece(int64_t piece);

void host_open(host *h, lanes *pool);
void host_free(host *h);

/* Runs a layer's plan into `plan`; PLN_E_INVALID with the message "where: label: text". */
int host_plan(host *h, const pln_layer *type, const void *opts, int mode, const pln_slot *const *in, uint32_t nin,
              const pln_node *node, pln_plan *plan, error *e);

/* Turns the status of a plugin's call into one of ours: when it is not PLN_OK, moves the reported error to `e`. */
int host_take_error(host *h, int status, error *e);

#endif

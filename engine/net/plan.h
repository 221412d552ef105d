/* The plan: a model, a batch size and a purpose turned into memory and a list of operations.
 *
 * An operation is one call of one plugin function (or one of the host's own: gathering a batch, adding gradients).  It is
 * either piecewise (its samples do not depend on each other, so lanes take pieces of the batch) or whole (called once; gemm and conv
 * inside it use the lanes).  Consecutive piecewise operations form one region: a lane carries its piece through all of
 * them while it is in cache, without waiting for the others.  Forward, loss and backward are one list, so a region may begin
 * in the forward pass and end in the backward pass.
 *
 * All memory is laid out before the first batch (memory.c); a plan has a capacity, and any smaller batch runs in it
 * unchanged.  Pieces depend on the capacity alone, which is why results do not depend on lanes.
 *
 * Thread rule: one thread builds and runs a plan; the work runs on its lanes.
 */
#ifndef NET_PLAN_H
#define NET_PLAN_H

#include "base/lanes.h"
#include "data/dataset.h"
#include "net/graph.h"
#include "net/train.h"

/* ---- memory ---- */

#define BUFFER_FOREVER (1 << 30)

typedef struct buffer {
    int64_t bytes;
    int first, last; /* regions in which it is alive; first > last: never touched */
    int64_t offset;  /* in the plan's memory, a multiple of 64 */
} buffer;

/* Greedy by size (Pisarchyk and Lee, "Efficient memory management for deep neural net inference", 2020, "greedy by size"):
 * the largest first, each at the lowest offset where it overlaps nothing that is alive at the same time.  Returns the bytes
 * needed in all. */
int64_t memory_lay_out(buffer *buffers, int n, int *order);

/* ---- operations ---- */

enum { OP_GATHER = 1, OP_FORWARD, OP_BACKWARD, OP_LOSS, OP_METRIC, OP_ADD, OP_COPY, OP_ZERO };

/* How a tensor of an operation finds its data. */
typedef struct bind {
    int buffer; /* -1: `base` is outside the plan (weights), or there is no data */
    int absent; /* the plugin sees NULL instead of a tensor */
    char *base;
    int64_t sample_bytes; /* one sample on; 0: no batch tensor */
    int64_t piece_bytes;  /* one piece on: partial gradients */
    int64_t lane_bytes;   /* one lane on: scratch */
    int hot;              /* the number of the parameter whose gradient may go into plan.sinks; -1: none */
} bind;

/* A run of binds within an operation. */
typedef struct span {
    int at, n;
} span;

typedef struct op_lane {
    pln_call call;
    pln_loss_call loss;
    pln_tensor *tensors;   /* [nbinds] */
    pln_tensor **pointers; /* [nbinds], NULL where absent */
} op_lane;

typedef struct op {
    int kind, node, piecewise, region;
    int part; /* GATHER: which input; METRIC: which metric */
    int nbinds;
    bind *binds;
    pln_tensor *shapes; /* [nbinds] what the lanes' tensors begin as */
    span in, out, dout, din, param, dparam, state, keep, scratch;
    float beta;
    op_lane *lane; /* [lanes] for piecewise operations, [1] otherwise */
} op;

/* Gradients of a parameter that pieces wrote apart, to be added up in order. */
typedef struct partial {
    int parameter, buffer;
    int64_t stride; /* floats from piece to piece */
    float beta;     /* 0: the first use of the layer */
} partial;

typedef struct plan_request {
    const model *m;
    const recipe *r;  /* NULL: prediction, no loss */
    int mode;         /* PLN_TRAIN or PLN_INFER */
    int backward;     /* gradients of the parameters */
    int64_t capacity; /* samples */
    uint64_t seed;
    lanes *pool;
    int dry;                /* lay out memory and allocate none of it: the plan cannot run */
    const pln_slot *target; /* with a recipe: what the data set gives; shape[0] == PLN_BATCH */
} plan_request;

typedef struct plan {
    const model *m;
    const recipe *r;
    lanes *pool;
    host services;
    int mode, lanes;
    int64_t capacity, piece, pieces; /* samples; samples a piece; pieces of a full batch */
    pln_node *nodes;                 /* [m->nnodes] */
    buffer *buffers;
    int nbuffers;
    op *ops;
    int nops, nregions;
    partial *partials;
    int npartials;
    char *memory;
    int64_t bytes;
    float *gradients; /* [m->ntrainable] */
    char *may_be_hot; /* [m->nparameters]: one gemm of a whole operation finishes the gradient */
    host_sink *sinks; /* [m->nparameters], filled in by the update */
    int hot;          /* this step: gradients that may be hot go into their sinks */
    int linked;       /* the loss takes the link's input */
    int target_buffer, value_buffer, scale_buffer;
    uint32_t ncells[RECIPE_METRICS];
    double *cells[RECIPE_METRICS];  /* [pieces][ncells] */
    int output_buffer[MODEL_PORTS]; /* of a prediction */
} plan;

/* The samples of one step. */
typedef struct plan_batch {
    int64_t n;              /* 1 .. capacity */
    const dataset *set;     /* or NULL: `in` */
    const float *const *in; /* [ninputs], [n, size] */
    const int64_t *which;   /* [n] sample numbers; NULL: by order */
    random_key key;         /* order: sample i is number permute(begin + i) of shuffle `row`, */
    uint64_t row;           /*        or begin + i if !shuffled */
    int64_t begin;
    int shuffled;
    const float *class_weight; /* [nclass_weight] or NULL */
    int64_t nclass_weight;
    const float *sample_weight; /* [set->count], by number in the view, or NULL */
    uint64_t step;
} plan_batch;

int plan_build(const plan_request *q, plan **out, error *e);
void plan_free(plan *p);

/* Runs all operations on a batch; afterwards gradients (with backward), values and cells are there. */
int plan_run(plan *p, const plan_batch *b, error *e);

/* Results of the batch just run, in sample order. */
double plan_loss(const plan *p, int64_t n);                           /* sum of weight * loss over its samples */
void plan_cells(const plan *p, int metric, int64_t n, double *cells); /* adds to cells */
const float *plan_output(const plan *p, int output);                  /* predictions [n, …] */

#endif

/* Inside the room: a plan being built.  draft.c has the pieces that operations are made of, draft_flow.c decides what flows
 * where and shares memory with whom, draft_operations.c writes the list of operations, plan.c puts it all together. */
#ifndef NET_DRAFT_H
#define NET_DRAFT_H

#include "net/plan.h"

#define PARTIAL_FLOATS 65536 /* most floats of partial gradients that pieces of one node may write */
#define ALIGN_FLOATS   16
#define BUFFER_MOST    (INT64_C(1) << 46) /* bytes; so that sums of them fit 64 bits */

/* What is known of a node while building. */
typedef struct draft_node {
    const layer *l;
    pln_plan slots;
    int skipped; /* joined into the loss: not run */
    int piecewise;
    int backward;               /* its backward runs */
    unsigned keep_in, keep_out; /* bits: inputs and outputs that backward reads */
    int keep_buffer[PLAN_SLOTS];
} draft_node;

/* What is known of a value (node, output): see draft_at. */
typedef struct draft_value {
    int buffer;   /* its data; shared by views and in-place results */
    int gradient; /* buffer of its gradient; -1: none yet */
    int wants;    /* a gradient is of use: something trainable is upstream */
    int written;  /* its gradient has been written once already */
} draft_value;

typedef struct draft {
    plan *p;
    const plan_request *q;
    draft_node *nodes;
    draft_value *values; /* [nnodes * MODEL_PORTS] */
    value pred;          /* what the loss reads */
    error *e;
} draft;

/* ---- pieces (draft.c) ---- */

/* What is known of a value. */
draft_value *draft_at(const draft *d, value v);
/* How its layer declared it. */
const pln_slot *draft_slot(const draft *d, value v);
/* Elements of one sample (or of all, where the shape does not grow with the batch). */
int64_t slot_elements(const pln_slot *s);
/* Does its first dimension grow with the batch? */
int slot_grows(const pln_slot *s);
/* A new buffer for floats * times floats; -1 without memory, or when no machine has so much. */
int draft_buffer(draft *d, int64_t floats, int64_t times);
/* Buffer b is alive in this region. */
void draft_touch(draft *d, int b, int region);
/* A new operation (NULL without memory); piecewise neighbours share a region. */
op *draft_op(draft *d, int kind, int node, int piecewise);
/* A further tensor of an operation; NULL without memory. */
pln_tensor *draft_bind(op *x, bind b);
/* A tensor's shape and strides from a slot. */
void tensor_shape(pln_tensor *t, const pln_slot *s);
/* Binds the plan's memory (b == -1: a tensor without data). */
int draft_bind_buffer(draft *d, op *x, int b, const pln_slot *s);
/* Binds memory outside of the plan. */
int draft_bind_outside(draft *d, op *x, void *base, const pln_slot *s);
/* The plugin sees NULL. */
int draft_bind_absent(draft *d, op *x);
/* Is its output the input under another shape? */
int draft_is_view(const draft *d, int node);
/* Is its output filled from the data set? */
int draft_is_source(const draft *d, int node);
/* Binds values; bit i of `have`: value i has data. */
int draft_bind_values(draft *d, op *x, const value *v, int n, unsigned have, span *where);
/* The same with the outputs of node i. */
int draft_bind_outputs(draft *d, op *x, int i, unsigned have, span *where);
/* A parameter's shape as a slot. */
void parameter_slot(const parameter *p, pln_slot *s);
/* Binds node i's parameters or states: the model's own memory. */
int draft_bind_weights(draft *d, op *x, int i, uint32_t kind, span *where);
/* Binds what forward keeps for backward. */
int draft_bind_keep(draft *d, op *x, int i, span *where);
/* Binds scratch: one for each lane of a piecewise operation, large enough for a piece. */
int draft_bind_scratch(draft *d, op *x, int i, span *where);

/* ---- what flows where (draft_flow.c) ---- */

/* Runs node i's plan; decides whether it is piecewise. */
int draft_declare(draft *d, int i);
/* Joins the last layer with the loss where both bear the same link and nobody else reads its output. */
void draft_join_loss(draft *d);
/* Do prediction and target fit the loss and the metrics? */
int draft_check_loss(draft *d);
/* Which values have something trainable upstream? */
void draft_want_gradients(draft *d);
/* Which nodes have a backward pass? */
int draft_mark_backward(draft *d);
/* Buffers of node i's outputs: views and in-place results share their input's. */
int draft_place_values(draft *d, int i);

/* ---- operations (draft_operations.c) ---- */

/* Adds all operations: forward, loss, metrics, backward. */
int draft_operations(draft *d);

#endif

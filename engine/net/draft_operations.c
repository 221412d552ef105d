/* The list of operations: forward, loss and metrics, backward. */
#include "net/draft.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int add_forward(draft *d, int i)
{
    const node *n = d->q->m->nodes[i];
    if (draft_is_source(d, i)) {
        op *g = draft_op(d, OP_GATHER, i, 1);
        if (!g)
            return error_memory(d->e);
        for (int k = 0; k < d->q->m->ninputs; k++)
            if (d->q->m->inputs[k].node == i)
                g->part = k;
        return draft_bind_outputs(d, g, i, 1, &g->out);
    }
    if (draft_is_view(d, i) || d->nodes[i].skipped)
        return PLN_OK;
    if (!d->nodes[i].l->type->forward)
        return error_set(d->e, PLN_E_INVALID, "%s declares an output that is no view, and has no forward function",
                         d->nodes[i].l->entry->head->name);
    op *x = draft_op(d, OP_FORWARD, i, d->nodes[i].piecewise);
    if (!x)
        return error_memory(d->e);
    int status = draft_bind_values(d, x, n->in, n->nin, ~0u, &x->in);
    if (status == PLN_OK)
        status = draft_bind_outputs(d, x, i, ~0u, &x->out);
    if (status == PLN_OK)
        status = draft_bind_weights(d, x, i, PLN_PARAM, &x->param);
    if (status == PLN_OK)
        status = draft_bind_weights(d, x, i, PLN_STATE, &x->state);
    if (status == PLN_OK)
        status = draft_bind_keep(d, x, i, &x->keep);
    return status == PLN_OK ? draft_bind_scratch(d, x, i, &x->scratch) : status;
}

static int same_value(value a, value b)
{
    return a.node == b.node && a.output == b.output;
}

/* How many gradients flow into a value: from the loss and from the nodes that read it. */
static int contributions(const draft *d, value v)
{
    const model *m = d->q->m;
    int n = same_value(v, d->pred);
    for (int i = 0; i < m->nnodes; i++)
        for (int k = 0; k < m->nodes[i]->nin; k++)
            n += d->nodes[i].backward && same_value(m->nodes[i]->in[k], v);
    return n;
}

static int new_gradient(draft *d, value v)
{
    int b = draft_buffer(d, slot_elements(draft_slot(d, v)), d->p->capacity);
    return b < 0 ? error_memory(d->e) : b;
}

/* Where a contribution to v's gradient is written: the gradient itself the first time, then a buffer that is added. */
static int gradient_target(draft *d, value v, int *b)
{
    draft_value *dv = draft_at(d, v);
    if (dv->gradient < 0 && (dv->gradient = draft_buffer(d, slot_elements(draft_slot(d, v)), d->p->capacity)) < 0)
        return error_memory(d->e);
    *b = dv->gradient;
    if (dv->written && (*b = draft_buffer(d, slot_elements(draft_slot(d, v)), d->p->capacity)) < 0)
        return error_memory(d->e);
    return PLN_OK;
}

/* gradient(v) += buffer b, or = where it is the first. */
static int add_move(draft *d, int kind, value v, int from)
{
    op *x = draft_op(d, kind, v.node, 1);
    if (!x)
        return error_memory(d->e);
    x->in = (span){0, 1};
    x->out = (span){1, 1};
    int status = draft_bind_buffer(d, x, from, draft_slot(d, v));
    return status == PLN_OK ? draft_bind_buffer(d, x, draft_at(d, v)->gradient, draft_slot(d, v)) : status;
}

/* The buffer b holds a contribution to v's gradient: it is the gradient, or it is added to it. */
static int contributed(draft *d, value v, int b)
{
    draft_value *dv = draft_at(d, v);
    if (dv->written)
        return add_move(d, OP_ADD, v, b);
    dv->written = 1;
    return PLN_OK;
}

static int add_loss(draft *d)
{
    plan *p = d->p;
    const pln_slot one = {.dtype = PLN_F32, .rank = 1, .shape = {PLN_BATCH}};
    op *g = draft_op(d, OP_GATHER, d->pred.node, 1);
    if (!g)
        return error_memory(d->e);
    g->part = -1;
    p->target_buffer = draft_buffer(d, slot_elements(d->q->target), p->capacity);
    p->value_buffer = draft_buffer(d, 1, p->capacity);
    p->scale_buffer = draft_buffer(d, 1, p->capacity);
    if (p->target_buffer < 0 || p->value_buffer < 0 || p->scale_buffer < 0)
        return error_memory(d->e);
    g->out = (span){0, 2};
    if (draft_bind_buffer(d, g, p->target_buffer, d->q->target) != PLN_OK ||
        draft_bind_buffer(d, g, p->scale_buffer, &one) != PLN_OK)
        return PLN_E_MEMORY;

    op *x = draft_op(d, OP_LOSS, d->pred.node, 1);
    if (!x)
        return error_memory(d->e);
    const pln_slot *pred = draft_slot(d, d->pred);
    int status = draft_bind_values(d, x, &d->pred, 1, 1, &x->in);
    if (status == PLN_OK)
        status = draft_bind_buffer(d, x, p->target_buffer, d->q->target);
    if (status == PLN_OK)
        status = draft_bind_buffer(d, x, p->value_buffer, &one);
    if (status == PLN_OK)
        status = draft_bind_buffer(d, x, p->scale_buffer, &one);
    int64_t scratch = (4 * slot_elements(pred) * p->piece + 63) / 64 * 64; /* a piece has few samples */
    int b = draft_buffer(d, scratch / 4, p->lanes);
    if (status != PLN_OK || b < 0)
        return error_memory(d->e);
    draft_touch(d, b, x->region);
    pln_tensor *t = draft_bind(x, (bind){.buffer = b, .hot = -1, .lane_bytes = scratch});
    if (!t)
        return error_memory(d->e);
    tensor_shape(t, pred);
    p->buffers[p->value_buffer].last = p->buffers[p->scale_buffer].last = BUFFER_FOREVER; /* plan_loss reads them */
    if (d->q->backward && draft_at(d, d->pred)->wants) {
        if ((status = gradient_target(d, d->pred, &b)) == PLN_OK)
            status = draft_bind_buffer(d, x, b, pred);
        draft_at(d, d->pred)->written = 1;
    } else {
        status = draft_bind_absent(d, x);
    }
    return status;
}

static int add_metric(draft *d, int i)
{
    int by_order = d->q->r->metrics[i].entry->head->flags & PLN_ORDER_ONLY;
    value pred = by_order ? d->pred : d->q->m->outputs[0];
    const pln_slot one = {.dtype = PLN_F32, .rank = 1, .shape = {PLN_BATCH}};
    op *x = draft_op(d, OP_METRIC, pred.node, 1);
    if (!x)
        return error_memory(d->e);
    x->part = i;
    int status = draft_bind_values(d, x, &pred, 1, 1, &x->in);
    if (status == PLN_OK)
        status = draft_bind_buffer(d, x, d->p->target_buffer, d->q->target);
    return status == PLN_OK ? draft_bind_buffer(d, x, d->p->scale_buffer, &one) : status;
}

static int used_once(const draft *d, const layer *l)
{
    int uses = 0;
    for (int i = 0; i < d->q->m->nnodes; i++)
        uses += d->nodes[i].l == l;
    return uses == 1;
}

/* dparam: the gradients' own place, or a place for each piece. */
static int bind_dparams(draft *d, op *x, int i)
{
    plan *p = d->p;
    const model *m = d->q->m;
    const layer *l = d->nodes[i].l;
    x->dparam = (span){x->nbinds, l->nparameters};
    int later_use = 0;
    for (int k = i + 1; k < m->nnodes; k++)
        later_use |= d->nodes[k].l == l && d->nodes[k].backward;
    x->beta = later_use && !x->piecewise ? 1.0f : 0.0f;
    for (int k = 0; k < l->nparameters; k++) {
        int index = l->parameters + k;
        const parameter *q = &m->parameters[index];
        pln_slot s;
        parameter_slot(q, &s);
        if (!q->trainable) {
            if (draft_bind_absent(d, x) != PLN_OK)
                return PLN_E_MEMORY;
            continue;
        }
        if (!x->piecewise) {
            if (draft_bind_outside(d, x, p->gradients + q->offset, &s) != PLN_OK)
                return PLN_E_MEMORY;
            if ((q->flags & PLN_GRAD_ONCE) && used_once(d, l)) {
                x->binds[x->nbinds - 1].hot = index;
                p->may_be_hot[index] = 1;
            }
            continue;
        }
        int64_t stride = (q->size + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
        int b = draft_buffer(d, stride, p->pieces);
        partial *grown = realloc(p->partials, (size_t)(p->npartials + 1) * sizeof *grown);
        if (grown)
            p->partials = grown;
        pln_tensor *t =
            b < 0 || !grown ? NULL : draft_bind(x, (bind){.buffer = b, .hot = -1, .piece_bytes = 4 * stride});
        if (!t)
            return error_memory(d->e);
        tensor_shape(t, &s);
        draft_touch(d, b, x->region);
        p->buffers[b].last = BUFFER_FOREVER;
        p->partials[p->npartials++] = (partial){index, b, stride, later_use ? 1.0f : 0.0f};
    }
    return PLN_OK;
}

/* A gradient that nobody wrote: zeros (one output of several is unused). */
static int ensure_gradient(draft *d, value v)
{
    draft_value *dv = draft_at(d, v);
    if (dv->written)
        return PLN_OK;
    int b;
    int status = gradient_target(d, v, &b);
    if (status != PLN_OK)
        return status;
    op *x = draft_op(d, OP_ZERO, v.node, 1);
    if (!x)
        return error_memory(d->e);
    x->out = (span){0, 1};
    dv->written = 1;
    return draft_bind_buffer(d, x, b, draft_slot(d, v));
}

/* The gradient of a view is its input's, under another shape. */
static int pass_through(draft *d, int i)
{
    const node *n = d->q->m->nodes[i];
    value out = {i, 0}, in = n->in[draft_slot(d, out)->index];
    if (!draft_at(d, in)->wants)
        return PLN_OK;
    if (contributions(d, in) == 1) {
        draft_at(d, in)->gradient = draft_at(d, out)->gradient;
        draft_at(d, in)->written = 1;
        return PLN_OK;
    }
    draft_value *dv = draft_at(d, in);
    if (dv->written)
        return add_move(d, OP_ADD, in, draft_at(d, out)->gradient);
    int b, status = gradient_target(d, in, &b);
    if (status == PLN_OK)
        status = add_move(d, OP_COPY, in, draft_at(d, out)->gradient);
    dv->written = 1;
    return status;
}

/* din: over dout where the layer allows and nobody else adds to it. */
static int choose_din(draft *d, int i, int k, int *b)
{
    const node *n = d->q->m->nodes[i];
    const pln_slot *s = draft_slot(d, (value){i, 0});
    draft_value *in = draft_at(d, n->in[k]);
    int in_place = (s->flags & PLN_IN_PLACE) && (int)s->index == k && n->nout == 1;
    if (in_place && !in->written && contributions(d, n->in[k]) == 1 &&
        slot_elements(s) == slot_elements(draft_slot(d, n->in[k]))) {
        in->gradient = *b = draft_at(d, (value){i, 0})->gradient;
        return PLN_OK;
    }
    return gradient_target(d, n->in[k], b);
}

static int add_backward(draft *d, int i)
{
    const node *n = d->q->m->nodes[i];
    draft_node *dn = &d->nodes[i];
    int din[MODEL_PORTS], status = PLN_OK;
    for (int o = 0; o < n->nout && status == PLN_OK; o++)
        status = ensure_gradient(d, (value){i, o});
    if (status != PLN_OK)
        return status;
    if (draft_is_view(d, i))
        return pass_through(d, i);
    op *x = draft_op(d, OP_BACKWARD, i, dn->piecewise);
    if (!x)
        return error_memory(d->e);
    status = draft_bind_values(d, x, n->in, n->nin, dn->keep_in, &x->in);
    if (status == PLN_OK)
        status = draft_bind_outputs(d, x, i, dn->keep_out, &x->out);
    x->dout = (span){x->nbinds, n->nout};
    for (int o = 0; o < n->nout && status == PLN_OK; o++)
        status = draft_bind_buffer(d, x, draft_at(d, (value){i, o})->gradient, draft_slot(d, (value){i, o}));
    x->din = (span){x->nbinds, n->nin};
    for (int k = 0; k < n->nin && status == PLN_OK; k++) {
        din[k] = -1;
        if (!draft_at(d, n->in[k])->wants)
            status = draft_bind_absent(d, x);
        else if ((status = choose_din(d, i, k, &din[k])) == PLN_OK)
            status = draft_bind_buffer(d, x, din[k], draft_slot(d, n->in[k]));
        for (int j = 0; j < k && status == PLN_OK; j++) /* the same value twice: two buffers */
            if (din[k] >= 0 && din[j] == din[k])
                status = (din[k] = new_gradient(d, n->in[k])) < 0 ? PLN_E_MEMORY : PLN_OK;
        if (status == PLN_OK && din[k] >= 0) {
            x->binds[x->nbinds - 1].buffer = din[k];
            draft_touch(d, din[k], x->region);
        }
    }
    if (status == PLN_OK)
        status = draft_bind_weights(d, x, i, PLN_PARAM, &x->param);
    if (status == PLN_OK)
        status = bind_dparams(d, x, i);
    if (status == PLN_OK)
        status = draft_bind_weights(d, x, i, PLN_STATE, &x->state);
    if (status == PLN_OK)
        status = draft_bind_keep(d, x, i, &x->keep);
    if (status == PLN_OK)
        status = draft_bind_scratch(d, x, i, &x->scratch);
    for (int k = 0; k < n->nin && status == PLN_OK; k++)
        if (din[k] >= 0)
            status = contributed(d, n->in[k], din[k]);
    return status;
}

int draft_operations(draft *d)
{
    const model *m = d->q->m;
    int status = PLN_OK;
    for (int i = 0; i < m->nnodes && status == PLN_OK; i++)
        status = add_forward(d, i);
    if (!d->q->r)
        return status;
    if (status == PLN_OK)
        status = add_loss(d);
    for (int i = 0; i < d->q->r->nmetrics && status == PLN_OK; i++)
        status = add_metric(d, i);
    for (int i = m->nnodes - 1; i >= 0 && d->q->backward && status == PLN_OK; i--)
        if (d->nodes[i].backward)
            status = add_backward(d, i);
    return status;
}

/* The pieces that a plan is made of: buffers, operations, and the binding of tensors to them. */
#include "net/draft.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

draft_value *draft_at(const draft *d, value v)
{
    return &d->values[v.node * MODEL_PORTS + v.output];
}

const pln_slot *draft_slot(const draft *d, value v)
{
    const pln_plan *s = &d->nodes[v.node].slots;
    for (int i = 0, n = 0; i < s->nslots; i++)
        if (s->slots[i].kind == PLN_OUTPUT && n++ == v.output)
            return &s->slots[i];
    return NULL;
}

/* Elements of one sample (or of all, where the shape does not grow with the batch). */
int64_t slot_elements(const pln_slot *s)
{
    int64_t n = 1;
    for (uint32_t i = 0; i < s->rank; i++)
        n *= s->shape[i] == PLN_BATCH ? 1 : s->shape[i];
    return n;
}

int slot_grows(const pln_slot *s)
{
    return s->rank > 0 && s->shape[0] == PLN_BATCH;
}

/* ---- arrays that grow ---- */

int draft_buffer(draft *d, int64_t floats, int64_t times)
{
    plan *p = d->p;
    int64_t bytes;
    if (__builtin_mul_overflow(floats, times, &bytes) || bytes > BUFFER_MOST / 4)
        return -1;
    bytes *= 4;
    buffer *grown = realloc(p->buffers, (size_t)(p->nbuffers + 1) * sizeof *grown);
    if (!grown)
        return -1;
    p->buffers = grown;
    p->buffers[p->nbuffers] = (buffer){.bytes = bytes, .first = 1, .last = 0};
    return p->nbuffers++;
}

void draft_touch(draft *d, int b, int region)
{
    buffer *x = &d->p->buffers[b];
    if (x->first > x->last) {
        x->first = x->last = region;
        return;
    }
    x->first = region < x->first ? region : x->first;
    x->last = region > x->last ? region : x->last;
}

/* A new operation; piecewise neighbours share a region. */
op *draft_op(draft *d, int kind, int node, int piecewise)
{
    plan *p = d->p;
    op *grown = realloc(p->ops, (size_t)(p->nops + 1) * sizeof *grown);
    if (!grown)
        return NULL;
    p->ops = grown;
    op *x = &p->ops[p->nops];
    *x = (op){.kind = kind, .node = node, .piecewise = piecewise};
    int joins = p->nops > 0 && piecewise && p->ops[p->nops - 1].piecewise;
    x->region = joins ? p->ops[p->nops - 1].region : p->nregions++;
    p->nops++;
    return x;
}

pln_tensor *draft_bind(op *x, bind b)
{
    bind *binds = realloc(x->binds, (size_t)(x->nbinds + 1) * sizeof *binds);
    if (binds)
        x->binds = binds;
    pln_tensor *shapes = binds ? realloc(x->shapes, (size_t)(x->nbinds + 1) * sizeof *shapes) : NULL;
    if (!shapes)
        return NULL;
    x->shapes = shapes;
    x->binds[x->nbinds] = b;
    pln_tensor *t = &x->shapes[x->nbinds++];
    *t = (pln_tensor){.size = PLN_SIZE_TO(pln_tensor, host), .dtype = PLN_F32};
    return t;
}

void tensor_shape(pln_tensor *t, const pln_slot *s)
{
    int64_t stride = 1;
    t->dtype = s->dtype;
    t->rank = s->rank;
    t->time_axis = s->time_axis;
    for (int i = (int)s->rank - 1; i >= 0; i--) {
        t->shape[i] = s->shape[i] == PLN_BATCH ? 0 : s->shape[i];
        t->stride[i] = stride;
        stride *= s->shape[i] == PLN_BATCH ? 1 : s->shape[i];
    }
}

/* Binds a tensor of the plan's memory to an operation; all element types in use have four bytes. */
int draft_bind_buffer(draft *d, op *x, int b, const pln_slot *s)
{
    bind y = {.buffer = b, .hot = -1, .sample_bytes = slot_grows(s) ? 4 * slot_elements(s) : 0};
    pln_tensor *t = draft_bind(x, y);
    if (!t)
        return error_memory(d->e);
    tensor_shape(t, s);
    if (b >= 0)
        draft_touch(d, b, x->region);
    return PLN_OK;
}

int draft_bind_outside(draft *d, op *x, void *base, const pln_slot *s)
{
    pln_tensor *t = draft_bind(x, (bind){.buffer = -1, .hot = -1, .base = base});
    if (!t)
        return error_memory(d->e);
    tensor_shape(t, s);
    return PLN_OK;
}

int draft_bind_absent(draft *d, op *x)
{
    return draft_bind(x, (bind){.buffer = -1, .hot = -1, .absent = 1}) ? PLN_OK : error_memory(d->e);
}

int draft_is_view(const draft *d, int node)
{
    const pln_slot *s = draft_slot(d, (value){node, 0});
    return (s->flags & PLN_VIEW) != 0;
}

int draft_is_source(const draft *d, int node)
{
    return d->nodes[node].l->type->max_in == 0;
}

/* ---- binding what a node needs ---- */

int draft_bind_values(draft *d, op *x, const value *v, int n, unsigned have, span *where)
{
    *where = (span){x->nbinds, n};
    for (int i = 0; i < n; i++) {
        int b = have >> i & 1 ? draft_at(d, v[i])->buffer : -1;
        if (draft_bind_buffer(d, x, b, draft_slot(d, v[i])) != PLN_OK)
            return PLN_E_MEMORY;
    }
    return PLN_OK;
}

int draft_bind_outputs(draft *d, op *x, int i, unsigned have, span *where)
{
    value v[MODEL_PORTS];
    int n = d->q->m->nodes[i]->nout;
    for (int k = 0; k < n; k++)
        v[k] = (value){i, k};
    return draft_bind_values(d, x, v, n, have, where);
}

void parameter_slot(const parameter *p, pln_slot *s)
{
    *s = (pln_slot){.dtype = PLN_F32, .rank = (uint32_t)p->rank};
    memcpy(s->shape, p->shape, sizeof s->shape);
}

/* Parameters and states: the model's own memory. */
int draft_bind_weights(draft *d, op *x, int i, uint32_t kind, span *where)
{
    const model *m = d->q->m;
    const layer *l = d->nodes[i].l;
    int first = l->parameters + (kind == PLN_STATE ? l->nparameters : 0);
    int n = kind == PLN_STATE ? l->nstates : l->nparameters;
    *where = (span){x->nbinds, n};
    for (int k = 0; k < n; k++) {
        pln_slot s;
        parameter_slot(&m->parameters[first + k], &s);
        if (draft_bind_outside(d, x, m->weights + m->parameters[first + k].offset, &s) != PLN_OK)
            return PLN_E_MEMORY;
    }
    return PLN_OK;
}

/* What forward keeps for backward. */
int draft_bind_keep(draft *d, op *x, int i, span *where)
{
    draft_node *n = &d->nodes[i];
    *where = (span){x->nbinds, 0};
    for (int k = 0; k < n->slots.nslots; k++) {
        const pln_slot *s = &n->slots.slots[k];
        if (s->kind != PLN_KEEP)
            continue;
        where->n++;
        if (d->q->mode == PLN_INFER) {
            if (draft_bind_absent(d, x) != PLN_OK)
                return PLN_E_MEMORY;
            continue;
        }
        if (n->keep_buffer[k] < 0)
            n->keep_buffer[k] = draft_buffer(d, slot_elements(s), slot_grows(s) ? d->p->capacity : 1);
        if (n->keep_buffer[k] < 0 || draft_bind_buffer(d, x, n->keep_buffer[k], s) != PLN_OK)
            return error_memory(d->e);
    }
    return PLN_OK;
}

/* Scratch: one for each lane of a piecewise operation, large enough for a piece. */
int draft_bind_scratch(draft *d, op *x, int i, span *where)
{
    *where = (span){x->nbinds, 0};
    for (int k = 0; k < d->nodes[i].slots.nslots; k++) {
        const pln_slot *s = &d->nodes[i].slots.slots[k];
        if (s->kind != PLN_SCRATCH)
            continue;
        where->n++;
        int64_t samples = !slot_grows(s) ? 1 : x->piecewise ? d->p->piece : d->p->capacity;
        int64_t floats;
        if (__builtin_mul_overflow(slot_elements(s), samples, &floats) || floats > BUFFER_MOST / 4)
            return error_memory(d->e);
        floats = (floats + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
        int64_t bytes = 4 * floats;
        int b = draft_buffer(d, floats, x->piecewise ? d->p->lanes : 1);
        if (b < 0)
            return error_memory(d->e);
        draft_touch(d, b, x->region);
        pln_tensor *t = draft_bind(x, (bind){.buffer = b, .hot = -1, .lane_bytes = x->piecewise ? bytes : 0});
        if (!t)
            return error_memory(d->e);
        tensor_shape(t, s);
    }
    return PLN_OK;
}

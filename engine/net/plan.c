/* Building a plan.  In order: what each node declares; what the loss joins; which values need gradients; which values
 * share memory; the operations, forward then loss then backward; where everything lies. */
#include "net/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARTIAL_FLOATS 65536 /* most floats of partial gradients that pieces of one node may write */
#define PIECES_WANTED  8     /* of a small batch */
#define PIECE_MOST     8     /* samples; a piece's activations should stay in a core's cache */
#define ALIGN_FLOATS   16

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

/* What is known of a value (node, output): indices into draft.values are value_at(). */
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

static draft_value *at(const draft *d, value v)
{
    return &d->values[v.node * MODEL_PORTS + v.output];
}

static const pln_slot *slot_of(const draft *d, value v)
{
    const pln_plan *s = &d->nodes[v.node].slots;
    for (int i = 0, n = 0; i < s->nslots; i++)
        if (s->slots[i].kind == PLN_OUTPUT && n++ == v.output)
            return &s->slots[i];
    return NULL;
}

/* Elements of one sample (or of all, where the shape does not grow with the batch). */
static int64_t sample_count(const pln_slot *s)
{
    int64_t n = 1;
    for (uint32_t i = 0; i < s->rank; i++)
        n *= s->shape[i] == PLN_BATCH ? 1 : s->shape[i];
    return n;
}

static int grows(const pln_slot *s)
{
    return s->rank > 0 && s->shape[0] == PLN_BATCH;
}

/* ---- arrays that grow ---- */

static int add_buffer(draft *d, int64_t bytes)
{
    plan *p = d->p;
    buffer *grown = realloc(p->buffers, (size_t)(p->nbuffers + 1) * sizeof *grown);
    if (!grown)
        return -1;
    p->buffers = grown;
    p->buffers[p->nbuffers] = (buffer){.bytes = bytes, .first = 1, .last = 0};
    return p->nbuffers++;
}

static void touch(draft *d, int b, int region)
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
static op *add_op(draft *d, int kind, int node, int piecewise)
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

static pln_tensor *add_bind(op *x, bind b)
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

static void shape_tensor(pln_tensor *t, const pln_slot *s)
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
static int bind_buffer(draft *d, op *x, int b, const pln_slot *s)
{
    bind y = {.buffer = b, .hot = -1, .sample_bytes = grows(s) ? 4 * sample_count(s) : 0};
    pln_tensor *t = add_bind(x, y);
    if (!t)
        return error_memory(d->e);
    shape_tensor(t, s);
    if (b >= 0)
        touch(d, b, x->region);
    return PLN_OK;
}

static int bind_outside(draft *d, op *x, void *base, const pln_slot *s)
{
    pln_tensor *t = add_bind(x, (bind){.buffer = -1, .hot = -1, .base = base});
    if (!t)
        return error_memory(d->e);
    shape_tensor(t, s);
    return PLN_OK;
}

static int bind_absent(draft *d, op *x)
{
    return add_bind(x, (bind){.buffer = -1, .hot = -1, .absent = 1}) ? PLN_OK : error_memory(d->e);
}

/* ---- what the nodes declare ---- */

static int plan_node(draft *d, int i)
{
    const model *m = d->q->m;
    draft_node *n = &d->nodes[i];
    const node *x = m->nodes[i];
    n->l = m->layers[x->layer];
    pln_node *label = &d->p->nodes[i];
    graph_label(m, n->l, label);
    label->key = random_key_make(d->q->seed, RANDOM_LAYER, x->name);
    int status = graph_plan(m, n->l, x->in, x->nin, d->q->mode, &n->slots, d->e);
    if (status != PLN_OK)
        return status;
    int64_t floats = 0;
    for (int k = 0; k < n->slots.nslots; k++) {
        const pln_slot *s = &n->slots.slots[k];
        if (s->kind == PLN_KEEP_INPUT)
            n->keep_in |= 1u << s->index;
        if (s->kind == PLN_KEEP_OUTPUT)
            n->keep_out |= 1u << s->index;
        if (s->kind == PLN_PARAM)
            floats += sample_count(s);
    }
    n->piecewise = (n->l->type->flags & PLN_SAMPLEWISE) && floats * d->p->pieces <= PARTIAL_FLOATS;
    return PLN_OK;
}

static int is_view(const draft *d, int node)
{
    const pln_slot *s = slot_of(d, (value){node, 0});
    return (s->flags & PLN_VIEW) != 0;
}

static int is_source(const draft *d, int node)
{
    return d->nodes[node].l->type->max_in == 0;
}

/* ---- the loss ---- */

static const pln_loss *loss_type(const draft *d)
{
    return (const pln_loss *)(const void *)d->q->r->loss.entry->head;
}

static const pln_metric *metric_type(const draft *d, int i)
{
    return (const pln_metric *)(const void *)d->q->r->metrics[i].entry->head;
}

static int all_metrics_by_order(const draft *d)
{
    for (int i = 0; i < d->q->r->nmetrics; i++)
        if (!(d->q->r->metrics[i].entry->head->flags & PLN_ORDER_ONLY))
            return 0;
    return 1;
}

/* Joins the last layer with the loss where both bear the same link and nobody else reads its output. */
static void join_loss(draft *d)
{
    const model *m = d->q->m;
    value out = m->outputs[0];
    const pln_layer *last = d->nodes[out.node].l->type;
    const char *link = loss_type(d)->link;
    d->pred = out;
    if (!link || !last->link || strcmp(link, last->link) != 0 || m->nodes[out.node]->nin != 1)
        return;
    d->pred = m->nodes[out.node]->in[0];
    d->p->linked = 1;
    int read_elsewhere = 0;
    for (int i = 0; i < m->nnodes; i++)
        for (int k = 0; k < m->nodes[i]->nin; k++)
            read_elsewhere += m->nodes[i]->in[k].node == out.node;
    if (!read_elsewhere && all_metrics_by_order(d))
        d->nodes[out.node].skipped = 1;
}

static int check_loss(draft *d)
{
    const recipe *r = d->q->r;
    host *h = &d->p->services;
    pln_node at_compile = {.label = ""};
    snprintf(at_compile.where, sizeof at_compile.where, "%s", r->where);
    snprintf(at_compile.label, sizeof at_compile.label, "loss %s", r->loss.entry->head->name);
    const pln_slot *pred = slot_of(d, d->q->m->outputs[0]);
    int status =
        host_take_error(h, loss_type(d)->check(&h->table, r->loss.opts.bytes, &at_compile, pred, d->q->target), d->e);
    for (int i = 0; i < r->nmetrics && status == PLN_OK; i++) {
        snprintf(at_compile.label, sizeof at_compile.label, "metric %s", r->metrics[i].name);
        status = host_take_error(h,
                                 metric_type(d, i)->cells(&h->table, r->metrics[i].opts.bytes, &at_compile, pred,
                                                          d->q->target, &d->p->ncells[i]),
                                 d->e);
        if (status == PLN_OK && (d->p->ncells[i] < 1 || d->p->ncells[i] > 4096))
            status = error_set(d->e, PLN_E_INVALID, "metric %s asks for %u cells; 1 to 4096 are possible",
                               r->metrics[i].name, d->p->ncells[i]);
    }
    return status;
}

/* ---- who wants gradients ---- */

static int has_trainable(const draft *d, int i)
{
    const layer *l = d->nodes[i].l;
    for (int k = 0; k < l->nparameters; k++)
        if (d->q->m->parameters[l->parameters + k].trainable)
            return 1;
    return 0;
}

static void want_gradients(draft *d)
{
    const model *m = d->q->m;
    for (int i = 0; i < m->nnodes; i++) {
        int wants = has_trainable(d, i);
        for (int k = 0; k < m->nodes[i]->nin; k++)
            wants |= at(d, m->nodes[i]->in[k])->wants;
        for (int k = 0; k < m->nodes[i]->nout; k++)
            at(d, (value){i, k})->wants = wants;
    }
}

/* Which nodes' backward runs: those that a gradient reaches and that have a use for it. */
static int mark_backward(draft *d)
{
    const model *m = d->q->m;
    char *reached = calloc((size_t)m->nnodes + 1, 1);
    if (!reached)
        return error_memory(d->e);
    reached[d->pred.node] = 1;
    int status = PLN_OK;
    for (int i = m->nnodes - 1; i >= 0; i--) {
        draft_node *n = &d->nodes[i];
        if (!reached[i] || n->skipped || is_source(d, i) || !at(d, (value){i, 0})->wants)
            continue;
        if (!n->l->type->backward && !is_view(d, i) && status == PLN_OK)
            status = error_set(d->e, PLN_E_INVALID,
                               "%s%s%s has no backward function: it cannot be trained through; set "
                               "trainable = false on the layers before it, or use the model for prediction alone",
                               n->l->where, n->l->where[0] ? ": " : "", n->l->entry->head->name);
        n->backward = 1;
        for (int k = 0; k < m->nodes[i]->nin; k++)
            reached[m->nodes[i]->in[k].node] = 1;
    }
    free(reached);
    return status;
}

/* ---- values' memory ---- */

/* May node i write its result over value v?  Nobody may read what lies in that buffer afterwards. */
static int may_overwrite(const draft *d, int i, value v)
{
    const model *m = d->q->m;
    int b = at(d, v)->buffer;
    for (int k = 0; k < i; k++)
        for (int o = 0; o < m->nodes[k]->nout; o++) {
            value w = {k, o};
            if (at(d, w)->buffer != b)
                continue;
            if (d->nodes[k].backward && (d->nodes[k].keep_out >> o & 1))
                return 0;
            if (d->q->r && w.node == d->pred.node && w.output == d->pred.output)
                return 0;
            for (int j = 0; j < m->noutputs; j++)
                if (m->outputs[j].node == k && m->outputs[j].output == o)
                    return 0;
            for (int c = k + 1; c < m->nnodes; c++)
                for (int port = 0; port < m->nodes[c]->nin; port++) {
                    value in = m->nodes[c]->in[port];
                    if (in.node != k || in.output != o || d->nodes[c].skipped)
                        continue;
                    int kept = d->nodes[c].backward && (d->nodes[c].keep_in >> port & 1);
                    int later = c > i || (c == i && (port != 0 || v.node != k || v.output != o));
                    if (kept || later)
                        return 0;
                }
        }
    return 1;
}

static int place_values(draft *d, int i)
{
    const node *x = d->q->m->nodes[i];
    for (int o = 0; o < x->nout; o++) {
        value v = {i, o};
        const pln_slot *s = slot_of(d, v);
        draft_value *dv = at(d, v);
        if (s->flags & PLN_VIEW) {
            dv->buffer = at(d, x->in[s->index])->buffer;
            continue;
        }
        if ((s->flags & PLN_IN_PLACE) && s->index == 0 && sample_count(s) == sample_count(slot_of(d, x->in[0])) &&
            may_overwrite(d, i, x->in[0])) {
            dv->buffer = at(d, x->in[0])->buffer;
            continue;
        }
        dv->buffer = add_buffer(d, 4 * sample_count(s) * d->p->capacity);
        if (dv->buffer < 0)
            return error_memory(d->e);
    }
    return PLN_OK;
}

/* ---- operations ---- */

static int bind_values(draft *d, op *x, const value *v, int n, unsigned have, span *where)
{
    *where = (span){x->nbinds, n};
    for (int i = 0; i < n; i++) {
        int b = have >> i & 1 ? at(d, v[i])->buffer : -1;
        if (bind_buffer(d, x, b, slot_of(d, v[i])) != PLN_OK)
            return PLN_E_MEMORY;
    }
    return PLN_OK;
}

static int bind_outputs(draft *d, op *x, int i, unsigned have, span *where)
{
    value v[MODEL_PORTS];
    int n = d->q->m->nodes[i]->nout;
    for (int k = 0; k < n; k++)
        v[k] = (value){i, k};
    return bind_values(d, x, v, n, have, where);
}

static void parameter_slot(const parameter *p, pln_slot *s)
{
    *s = (pln_slot){.dtype = PLN_F32, .rank = (uint32_t)p->rank};
    memcpy(s->shape, p->shape, sizeof s->shape);
}

/* Parameters and states: the model's own memory. */
static int bind_weights(draft *d, op *x, int i, uint32_t kind, span *where)
{
    const model *m = d->q->m;
    const layer *l = d->nodes[i].l;
    int first = l->parameters + (kind == PLN_STATE ? l->nparameters : 0);
    int n = kind == PLN_STATE ? l->nstates : l->nparameters;
    *where = (span){x->nbinds, n};
    for (int k = 0; k < n; k++) {
        pln_slot s;
        parameter_slot(&m->parameters[first + k], &s);
        if (bind_outside(d, x, m->weights + m->parameters[first + k].offset, &s) != PLN_OK)
            return PLN_E_MEMORY;
    }
    return PLN_OK;
}

/* What forward keeps for backward. */
static int bind_keep(draft *d, op *x, int i, span *where)
{
    draft_node *n = &d->nodes[i];
    *where = (span){x->nbinds, 0};
    for (int k = 0; k < n->slots.nslots; k++) {
        const pln_slot *s = &n->slots.slots[k];
        if (s->kind != PLN_KEEP)
            continue;
        where->n++;
        if (d->q->mode == PLN_INFER) {
            if (bind_absent(d, x) != PLN_OK)
                return PLN_E_MEMORY;
            continue;
        }
        if (n->keep_buffer[k] < 0)
            n->keep_buffer[k] = add_buffer(d, 4 * sample_count(s) * (grows(s) ? d->p->capacity : 1));
        if (n->keep_buffer[k] < 0 || bind_buffer(d, x, n->keep_buffer[k], s) != PLN_OK)
            return error_memory(d->e);
    }
    return PLN_OK;
}

/* Scratch: one for each lane of a piecewise operation, large enough for a piece. */
static int bind_scratch(draft *d, op *x, int i, span *where)
{
    *where = (span){x->nbinds, 0};
    for (int k = 0; k < d->nodes[i].slots.nslots; k++) {
        const pln_slot *s = &d->nodes[i].slots.slots[k];
        if (s->kind != PLN_SCRATCH)
            continue;
        where->n++;
        int64_t samples = !grows(s) ? 1 : x->piecewise ? d->p->piece : d->p->capacity;
        int64_t bytes = (4 * sample_count(s) * samples + 63) / 64 * 64;
        int b = add_buffer(d, bytes * (x->piecewise ? d->p->lanes : 1));
        if (b < 0)
            return error_memory(d->e);
        touch(d, b, x->region);
        pln_tensor *t = add_bind(x, (bind){.buffer = b, .hot = -1, .lane_bytes = x->piecewise ? bytes : 0});
        if (!t)
            return error_memory(d->e);
        shape_tensor(t, s);
    }
    return PLN_OK;
}

static int add_forward(draft *d, int i)
{
    const node *n = d->q->m->nodes[i];
    if (is_source(d, i)) {
        op *g = add_op(d, OP_GATHER, i, 1);
        if (!g)
            return error_memory(d->e);
        for (int k = 0; k < d->q->m->ninputs; k++)
            if (d->q->m->inputs[k].node == i)
                g->part = k;
        return bind_outputs(d, g, i, 1, &g->out);
    }
    if (is_view(d, i) || d->nodes[i].skipped)
        return PLN_OK;
    if (!d->nodes[i].l->type->forward)
        return error_set(d->e, PLN_E_INVALID, "%s declares an output that is no view, and has no forward function",
                         d->nodes[i].l->entry->head->name);
    op *x = add_op(d, OP_FORWARD, i, d->nodes[i].piecewise);
    if (!x)
        return error_memory(d->e);
    int status = bind_values(d, x, n->in, n->nin, ~0u, &x->in);
    if (status == PLN_OK)
        status = bind_outputs(d, x, i, ~0u, &x->out);
    if (status == PLN_OK)
        status = bind_weights(d, x, i, PLN_PARAM, &x->param);
    if (status == PLN_OK)
        status = bind_weights(d, x, i, PLN_STATE, &x->state);
    if (status == PLN_OK)
        status = bind_keep(d, x, i, &x->keep);
    return status == PLN_OK ? bind_scratch(d, x, i, &x->scratch) : status;
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
    int b = add_buffer(d, 4 * sample_count(slot_of(d, v)) * d->p->capacity);
    return b < 0 ? error_memory(d->e) : b;
}

/* Where a contribution to v's gradient is written: the gradient itself the first time, then a buffer that is added. */
static int gradient_target(draft *d, value v, int *b)
{
    draft_value *dv = at(d, v);
    if (dv->gradient < 0 && (dv->gradient = add_buffer(d, 4 * sample_count(slot_of(d, v)) * d->p->capacity)) < 0)
        return error_memory(d->e);
    *b = dv->gradient;
    if (dv->written && (*b = add_buffer(d, 4 * sample_count(slot_of(d, v)) * d->p->capacity)) < 0)
        return error_memory(d->e);
    return PLN_OK;
}

/* gradient(v) += buffer b, or = where it is the first. */
static int add_move(draft *d, int kind, value v, int from)
{
    op *x = add_op(d, kind, v.node, 1);
    if (!x)
        return error_memory(d->e);
    x->in = (span){0, 1};
    x->out = (span){1, 1};
    int status = bind_buffer(d, x, from, slot_of(d, v));
    return status == PLN_OK ? bind_buffer(d, x, at(d, v)->gradient, slot_of(d, v)) : status;
}

/* The buffer b holds a contribution to v's gradient: it is the gradient, or it is added to it. */
static int contributed(draft *d, value v, int b)
{
    draft_value *dv = at(d, v);
    if (dv->written)
        return add_move(d, OP_ADD, v, b);
    dv->written = 1;
    return PLN_OK;
}

static int add_loss(draft *d)
{
    plan *p = d->p;
    const pln_slot one = {.dtype = PLN_F32, .rank = 1, .shape = {PLN_BATCH}};
    op *g = add_op(d, OP_GATHER, d->pred.node, 1);
    if (!g)
        return error_memory(d->e);
    g->part = -1;
    p->target_buffer = add_buffer(d, 4 * sample_count(d->q->target) * p->capacity);
    p->value_buffer = add_buffer(d, 4 * p->capacity);
    p->scale_buffer = add_buffer(d, 4 * p->capacity);
    if (p->target_buffer < 0 || p->value_buffer < 0 || p->scale_buffer < 0)
        return error_memory(d->e);
    g->out = (span){0, 2};
    if (bind_buffer(d, g, p->target_buffer, d->q->target) != PLN_OK ||
        bind_buffer(d, g, p->scale_buffer, &one) != PLN_OK)
        return PLN_E_MEMORY;

    op *x = add_op(d, OP_LOSS, d->pred.node, 1);
    if (!x)
        return error_memory(d->e);
    const pln_slot *pred = slot_of(d, d->pred);
    int status = bind_values(d, x, &d->pred, 1, 1, &x->in);
    if (status == PLN_OK)
        status = bind_buffer(d, x, p->target_buffer, d->q->target);
    if (status == PLN_OK)
        status = bind_buffer(d, x, p->value_buffer, &one);
    if (status == PLN_OK)
        status = bind_buffer(d, x, p->scale_buffer, &one);
    int64_t scratch = (4 * sample_count(pred) * p->piece + 63) / 64 * 64;
    int b = add_buffer(d, scratch * p->lanes);
    if (status != PLN_OK || b < 0)
        return error_memory(d->e);
    touch(d, b, x->region);
    pln_tensor *t = add_bind(x, (bind){.buffer = b, .hot = -1, .lane_bytes = scratch});
    if (!t)
        return error_memory(d->e);
    shape_tensor(t, pred);
    p->buffers[p->value_buffer].last = p->buffers[p->scale_buffer].last = BUFFER_FOREVER; /* plan_loss reads them */
    if (d->q->backward && at(d, d->pred)->wants) {
        if ((status = gradient_target(d, d->pred, &b)) == PLN_OK)
            status = bind_buffer(d, x, b, pred);
        at(d, d->pred)->written = 1;
    } else {
        status = bind_absent(d, x);
    }
    return status;
}

static int add_metric(draft *d, int i)
{
    int by_order = d->q->r->metrics[i].entry->head->flags & PLN_ORDER_ONLY;
    value pred = by_order ? d->pred : d->q->m->outputs[0];
    const pln_slot one = {.dtype = PLN_F32, .rank = 1, .shape = {PLN_BATCH}};
    op *x = add_op(d, OP_METRIC, pred.node, 1);
    if (!x)
        return error_memory(d->e);
    x->part = i;
    int status = bind_values(d, x, &pred, 1, 1, &x->in);
    if (status == PLN_OK)
        status = bind_buffer(d, x, d->p->target_buffer, d->q->target);
    return status == PLN_OK ? bind_buffer(d, x, d->p->scale_buffer, &one) : status;
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
            if (bind_absent(d, x) != PLN_OK)
                return PLN_E_MEMORY;
            continue;
        }
        if (!x->piecewise) {
            if (bind_outside(d, x, p->gradients + q->offset, &s) != PLN_OK)
                return PLN_E_MEMORY;
            if ((q->flags & PLN_GRAD_ONCE) && used_once(d, l)) {
                x->binds[x->nbinds - 1].hot = index;
                p->may_be_hot[index] = 1;
            }
            continue;
        }
        int64_t stride = (q->size + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
        int b = add_buffer(d, 4 * stride * p->pieces);
        partial *grown = realloc(p->partials, (size_t)(p->npartials + 1) * sizeof *grown);
        if (grown)
            p->partials = grown;
        pln_tensor *t = b < 0 || !grown ? NULL : add_bind(x, (bind){.buffer = b, .hot = -1, .piece_bytes = 4 * stride});
        if (!t)
            return error_memory(d->e);
        shape_tensor(t, &s);
        touch(d, b, x->region);
        p->buffers[b].last = BUFFER_FOREVER;
        p->partials[p->npartials++] = (partial){index, b, stride, later_use ? 1.0f : 0.0f};
    }
    return PLN_OK;
}

/* A gradient that nobody wrote: zeros (one output of several is unused). */
static int ensure_gradient(draft *d, value v)
{
    draft_value *dv = at(d, v);
    if (dv->written)
        return PLN_OK;
    int b;
    int status = gradient_target(d, v, &b);
    if (status != PLN_OK)
        return status;
    op *x = add_op(d, OP_ZERO, v.node, 1);
    if (!x)
        return error_memory(d->e);
    x->out = (span){0, 1};
    dv->written = 1;
    return bind_buffer(d, x, b, slot_of(d, v));
}

/* The gradient of a view is its input's, under another shape. */
static int pass_through(draft *d, int i)
{
    const node *n = d->q->m->nodes[i];
    value out = {i, 0}, in = n->in[slot_of(d, out)->index];
    if (!at(d, in)->wants)
        return PLN_OK;
    if (contributions(d, in) == 1) {
        at(d, in)->gradient = at(d, out)->gradient;
        at(d, in)->written = 1;
        return PLN_OK;
    }
    draft_value *dv = at(d, in);
    if (dv->written)
        return add_move(d, OP_ADD, in, at(d, out)->gradient);
    int b, status = gradient_target(d, in, &b);
    if (status == PLN_OK)
        status = add_move(d, OP_COPY, in, at(d, out)->gradient);
    dv->written = 1;
    return status;
}

/* din: over dout where the layer allows and nobody else adds to it. */
static int choose_din(draft *d, int i, int k, int *b)
{
    const node *n = d->q->m->nodes[i];
    const pln_slot *s = slot_of(d, (value){i, 0});
    draft_value *in = at(d, n->in[k]);
    int in_place = (s->flags & PLN_IN_PLACE) && (int)s->index == k && n->nout == 1;
    if (in_place && !in->written && contributions(d, n->in[k]) == 1 &&
        sample_count(s) == sample_count(slot_of(d, n->in[k]))) {
        in->gradient = *b = at(d, (value){i, 0})->gradient;
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
    if (is_view(d, i))
        return pass_through(d, i);
    op *x = add_op(d, OP_BACKWARD, i, dn->piecewise);
    if (!x)
        return error_memory(d->e);
    status = bind_values(d, x, n->in, n->nin, dn->keep_in, &x->in);
    if (status == PLN_OK)
        status = bind_outputs(d, x, i, dn->keep_out, &x->out);
    x->dout = (span){x->nbinds, n->nout};
    for (int o = 0; o < n->nout && status == PLN_OK; o++)
        status = bind_buffer(d, x, at(d, (value){i, o})->gradient, slot_of(d, (value){i, o}));
    x->din = (span){x->nbinds, n->nin};
    for (int k = 0; k < n->nin && status == PLN_OK; k++) {
        din[k] = -1;
        if (!at(d, n->in[k])->wants)
            status = bind_absent(d, x);
        else if ((status = choose_din(d, i, k, &din[k])) == PLN_OK)
            status = bind_buffer(d, x, din[k], slot_of(d, n->in[k]));
        for (int j = 0; j < k && status == PLN_OK; j++) /* the same value twice: two buffers */
            if (din[k] >= 0 && din[j] == din[k])
                status = (din[k] = new_gradient(d, n->in[k])) < 0 ? PLN_E_MEMORY : PLN_OK;
        if (status == PLN_OK && din[k] >= 0) {
            x->binds[x->nbinds - 1].buffer = din[k];
            touch(d, din[k], x->region);
        }
    }
    if (status == PLN_OK)
        status = bind_weights(d, x, i, PLN_PARAM, &x->param);
    if (status == PLN_OK)
        status = bind_dparams(d, x, i);
    if (status == PLN_OK)
        status = bind_weights(d, x, i, PLN_STATE, &x->state);
    if (status == PLN_OK)
        status = bind_keep(d, x, i, &x->keep);
    if (status == PLN_OK)
        status = bind_scratch(d, x, i, &x->scratch);
    for (int k = 0; k < n->nin && status == PLN_OK; k++)
        if (din[k] >= 0)
            status = contributed(d, n->in[k], din[k]);
    return status;
}

static int add_operations(draft *d)
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

/* ---- memory and lanes ---- */

static int make_lanes(plan *p, op *x)
{
    int n = x->piecewise ? p->lanes : 1;
    x->lane = calloc((size_t)n, sizeof *x->lane);
    if (!x->lane)
        return 0;
    for (int i = 0; i < n; i++) {
        op_lane *l = &x->lane[i];
        l->tensors = calloc((size_t)x->nbinds + 1, sizeof *l->tensors);
        l->pointers = calloc((size_t)x->nbinds + 1, sizeof(pln_tensor *));
        if (!l->tensors || !l->pointers)
            return 0;
        if (x->nbinds)
            memcpy(l->tensors, x->shapes, (size_t)x->nbinds * sizeof *l->tensors);
        for (int b = 0; b < x->nbinds; b++)
            l->pointers[b] = x->binds[b].absent ? NULL : &l->tensors[b];
    }
    return 1;
}

static void fill_call(const draft *d, op *x, int lane)
{
    const plan *p = d->p;
    op_lane *l = &x->lane[lane];
    pln_tensor **t = l->pointers;
    if (x->kind == OP_FORWARD || x->kind == OP_BACKWARD) {
        l->call = (pln_call){.size = PLN_SIZE_TO(pln_call, lane),
                             .mode = (uint32_t)p->mode,
                             .nin = (uint32_t)x->in.n,
                             .nout = (uint32_t)x->out.n,
                             .opts = d->nodes[x->node].l->opts.bytes,
                             .node = &p->nodes[x->node],
                             .in = (const pln_tensor *const *)t + x->in.at,
                             .out = t + x->out.at,
                             .dout = (const pln_tensor *const *)t + x->dout.at,
                             .din = t + x->din.at,
                             .param = (const pln_tensor *const *)t + x->param.at,
                             .dparam = t + x->dparam.at,
                             .beta = x->beta,
                             .state = t + x->state.at,
                             .keep = t + x->keep.at,
                             .scratch = t + x->scratch.at,
                             .lane = (uint32_t)lane};
    }
    if (x->kind == OP_LOSS || x->kind == OP_METRIC) {
        const recipe_part *part = x->kind == OP_LOSS ? &p->r->loss : &p->r->metrics[x->part];
        int by_order = part->entry->head->flags & PLN_ORDER_ONLY;
        l->loss = (pln_loss_call){.size = PLN_SIZE_TO(pln_loss_call, linked),
                                  .lane = (uint32_t)lane,
                                  .opts = part->opts.bytes,
                                  .node = &p->nodes[x->node],
                                  .pred = t[0],
                                  .target = t[1],
                                  .linked = p->linked && (x->kind == OP_LOSS || by_order)};
        if (x->kind == OP_LOSS) {
            l->loss.scratch = t[4];
            l->loss.dpred = t[5];
        }
    }
}

static int allocate(draft *d)
{
    plan *p = d->p;
    int *order = calloc((size_t)p->nbuffers + 1, sizeof *order);
    p->bytes = order ? memory_lay_out(p->buffers, p->nbuffers, order) : -1;
    free(order);
    if (p->bytes < 0)
        return error_memory(d->e);
    if (d->q->dry)
        return PLN_OK;
    p->memory = aligned_alloc(64, (size_t)p->bytes + 64);
    if (!p->memory)
        return error_set(d->e, PLN_E_MEMORY,
                         "out of memory: a batch of %lld needs %.1f MB; a smaller batch_size needs less",
                         (long long)p->capacity, (double)p->bytes / 1e6);
    for (int i = 0; i < RECIPE_METRICS && p->r && i < p->r->nmetrics; i++)
        if (!(p->cells[i] = calloc((size_t)p->pieces * p->ncells[i], sizeof(double))))
            return error_memory(d->e);
    for (int i = 0; i < p->nops; i++) {
        op *x = &p->ops[i];
        for (int b = 0; b < x->nbinds; b++)
            if (x->binds[b].buffer >= 0)
                x->binds[b].base = p->memory + p->buffers[x->binds[b].buffer].offset;
        if (!make_lanes(p, x))
            return error_memory(d->e);
        for (int l = 0; l < (x->piecewise ? p->lanes : 1); l++)
            fill_call(d, x, l);
    }
    return PLN_OK;
}

static int allocate_gradients(draft *d)
{
    plan *p = d->p;
    p->may_be_hot = calloc((size_t)p->m->nparameters + 1, 1);
    p->sinks = calloc((size_t)p->m->nparameters + 1, sizeof *p->sinks);
    if (!p->may_be_hot || !p->sinks)
        return error_memory(d->e);
    if (!d->q->backward || d->q->dry)
        return PLN_OK;
    size_t bytes = ((size_t)p->m->ntrainable * sizeof(float) + 63) / 64 * 64 + 64;
    p->gradients = aligned_alloc(64, bytes);
    if (!p->gradients)
        return error_memory(d->e);
    memset(p->gradients, 0, bytes);
    return PLN_OK;
}

static void keep_outputs(draft *d)
{
    for (int i = 0; i < d->q->m->noutputs; i++) {
        d->p->output_buffer[i] = at(d, d->q->m->outputs[i])->buffer;
        if (!d->q->r)
            touch(d, d->p->output_buffer[i], BUFFER_FOREVER);
    }
}

static int build(draft *d)
{
    const model *m = d->q->m;
    int status = PLN_OK;
    for (int i = 0; i < m->nnodes && status == PLN_OK; i++)
        status = plan_node(d, i);
    if (status == PLN_OK && d->q->r) {
        status = d->q->dry ? PLN_OK : check_loss(d);
        if (status == PLN_OK)
            join_loss(d);
    }
    if (status != PLN_OK)
        return status;
    if (d->q->backward) {
        want_gradients(d);
        if ((status = mark_backward(d)) != PLN_OK)
            return status;
    }
    for (int i = 0; i < m->nnodes && status == PLN_OK; i++)
        if (!d->nodes[i].skipped)
            status = place_values(d, i);
    if (status == PLN_OK)
        status = allocate_gradients(d);
    if (status == PLN_OK)
        status = add_operations(d);
    if (status == PLN_OK)
        keep_outputs(d);
    return status == PLN_OK ? allocate(d) : status;
}

/* Samples of a piece: of the capacity alone, never of the lanes. */
static int64_t piece_of(int64_t capacity)
{
    int64_t n = capacity / PIECES_WANTED;
    return n < 1 ? 1 : n > PIECE_MOST ? PIECE_MOST : n;
}

int plan_build(const plan_request *q, plan **out, error *e)
{
    const model *m = q->m;
    plan *p = calloc(1, sizeof *p);
    draft d = {.p = p,
               .q = q,
               .e = e,
               .nodes = calloc((size_t)m->nnodes + 1, sizeof *d.nodes),
               .values = calloc((size_t)m->nnodes * MODEL_PORTS + 1, sizeof *d.values)};
    int status = PLN_OK;
    if (!p || !d.nodes || !d.values) {
        status = error_memory(e);
        goto done;
    }
    for (int i = 0; i < m->nnodes; i++)
        for (int k = 0; k < PLAN_SLOTS; k++)
            d.nodes[i].keep_buffer[k] = -1;
    for (int i = 0; i < m->nnodes * MODEL_PORTS; i++)
        d.values[i].buffer = d.values[i].gradient = -1;
    p->m = m;
    p->r = q->r;
    p->pool = q->pool;
    p->mode = q->mode;
    p->lanes = q->pool ? lanes_count(q->pool) : 1;
    p->capacity = q->capacity;
    p->piece = piece_of(q->capacity);
    p->pieces = (q->capacity + p->piece - 1) / p->piece;
    host_open(&p->services, q->pool);
    p->nodes = calloc((size_t)m->nnodes + 1, sizeof *p->nodes);
    status = p->nodes ? build(&d) : error_memory(e);
done:
    free(d.nodes);
    free(d.values);
    if (status != PLN_OK) {
        plan_free(p);
        return status;
    }
    *out = p;
    return PLN_OK;
}

void plan_free(plan *p)
{
    if (!p)
        return;
    for (int i = 0; i < p->nops; i++) {
        op *x = &p->ops[i];
        for (int l = 0; x->lane && l < (x->piecewise ? p->lanes : 1); l++) {
            free(x->lane[l].tensors);
            free(x->lane[l].pointers);
        }
        free(x->lane);
        free(x->binds);
        free(x->shapes);
    }
    for (int i = 0; i < RECIPE_METRICS; i++)
        free(p->cells[i]);
    host_free(&p->services);
    free(p->ops);
    free(p->buffers);
    free(p->partials);
    free(p->nodes);
    free(p->memory);
    free(p->gradients);
    free(p->may_be_hot);
    free(p->sinks);
    free(p);
}

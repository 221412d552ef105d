/* Building a plan.  In order: what each node declares; what the loss joins; which values need gradients; which values
 * share memory; the operations, forward then loss then backward; where everything lies. */
#include "net/draft.h"

#include <stdlib.h>
#include <string.h>

#define PIECES_WANTED 8 /* of a small batch */
#define PIECE_MOST    8 /* samples; a piece's activations should stay in a core's cache */

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
        d->p->output_buffer[i] = draft_at(d, d->q->m->outputs[i])->buffer;
        if (!d->q->r)
            draft_touch(d, d->p->output_buffer[i], BUFFER_FOREVER);
    }
}

static int build(draft *d)
{
    const model *m = d->q->m;
    int status = PLN_OK;
    for (int i = 0; i < m->nnodes && status == PLN_OK; i++)
        status = draft_declare(d, i);
    if (status == PLN_OK && d->q->r) {
        status = d->q->dry ? PLN_OK : draft_check_loss(d);
        if (status == PLN_OK)
            draft_join_loss(d);
    }
    if (status != PLN_OK)
        return status;
    if (d->q->backward) {
        draft_want_gradients(d);
        if ((status = draft_mark_backward(d)) != PLN_OK)
            return status;
    }
    for (int i = 0; i < m->nnodes && status == PLN_OK; i++)
        if (!d->nodes[i].skipped)
            status = draft_place_values(d, i);
    if (status == PLN_OK)
        status = allocate_gradients(d);
    if (status == PLN_OK)
        status = draft_operations(d);
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

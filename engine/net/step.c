/* Running a plan: the hot loop of training.  Nothing here allocates. */
#include <math.h>
#include <string.h>

#include "base/fpu.h"
#include "net/plan.h"

#define REDUCE_SLICE 4096 /* floats of a gradient that one piece adds up */

typedef struct run {
    plan *p;
    const plan_batch *b;
    int first, last; /* operations of the region */
} run;

/* Points an operation's tensors at samples `from` .. from+n-1. */
static void bind_piece(plan *p, const op *x, op_lane *l, int lane, int64_t piece, int64_t from, int64_t n)
{
    for (int i = 0; i < x->nbinds; i++) {
        const bind *b = &x->binds[i];
        pln_tensor *t = &l->tensors[i];
        if (b->base)
            t->data = b->base + from * b->sample_bytes + piece * b->piece_bytes + lane * b->lane_bytes;
        t->first = from;
        if (b->hot >= 0) {
            t->host = p->hot ? &p->sinks[b->hot] : NULL;
            t->data = p->hot ? NULL : t->data;
        }
        if (t->rank && x->shapes[i].shape[0] == 0)
            t->shape[0] = n;
    }
}

/* ---- the host's own operations ---- */

static int64_t sample_number(const plan_batch *b, int64_t i)
{
    if (b->which)
        return b->which[i];
    if (!b->shuffled)
        return b->begin + i;
    return (int64_t)random_permute(b->key, b->row, (uint64_t)b->set->count, (uint64_t)(b->begin + i));
}

/* scale = weight / samples of the batch, so that the gradients are those of the weighted mean over the batch, as Keras has it. */
static void gather_scale(const plan_batch *b, const int64_t *which, const pln_tensor *target, float *scale, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float w = 1.0f;
        if (b->sample_weight)
            w *= b->sample_weight[which[i]];
        if (b->class_weight && target->dtype == PLN_I32) {
            int32_t label = ((const int32_t *)target->data)[i];
            w *= label >= 0 && label < b->nclass_weight ? b->class_weight[label] : 1.0f;
        }
        scale[i] = w / (float)b->n;
    }
}

static void gather(const plan *p, const op *x, const op_lane *l, const plan_batch *b, int64_t from, int64_t n)
{
    const pln_tensor *t = l->pointers[x->out.at];
    int64_t which[64], block = (int64_t)(sizeof which / sizeof which[0]);
    (void)p;
    if (!b->set) {
        size_t bytes = (size_t)x->binds[x->out.at].sample_bytes;
        memcpy(t->data, (const char *)b->in[x->part] + (size_t)from * bytes, (size_t)n * bytes);
        return;
    }
    for (int64_t done = 0; done < n; done += block) {
        int64_t m = n - done < block ? n - done : block;
        for (int64_t i = 0; i < m; i++)
            which[i] = sample_number(b, from + done + i);
        char *out = (char *)t->data + done * x->binds[x->out.at].sample_bytes;
        if (x->part >= 0) {
            dataset_gather_input(b->set, x->part, which, m, out);
            continue;
        }
        dataset_gather_target(b->set, which, m, out);
        pln_tensor part = *t;
        part.data = out;
        gather_scale(b, which, &part, (float *)l->pointers[x->out.at + 1]->data + done, m);
    }
}

static int64_t elements(const op *x, int at, int64_t n)
{
    return n * x->binds[at].sample_bytes / 4;
}

static void move(const op *x, const op_lane *l, int64_t n)
{
    float *out = l->pointers[x->out.at]->data;
    int64_t count = elements(x, x->out.at, n);
    if (x->kind == OP_ZERO) {
        memset(out, 0, (size_t)count * sizeof *out);
        return;
    }
    const float *in = l->pointers[x->in.at]->data;
    if (x->kind == OP_COPY)
        memcpy(out, in, (size_t)count * sizeof *out);
    else
        for (int64_t i = 0; i < count; i++)
            out[i] += in[i];
}

/* ---- calls ---- */

static int call_loss(plan *p, op_lane *l, const plan_batch *b)
{
    const pln_loss *type = (const pln_loss *)(const void *)p->r->loss.entry->head;
    l->loss.step = b->step;
    l->loss.value = l->pointers[2]->data;
    l->loss.scale = l->pointers[3]->data;
    return type->run(&p->services.table, &l->loss);
}

static int call_metric(plan *p, const op *x, op_lane *l, const plan_batch *b, int64_t piece)
{
    const pln_metric *type = (const pln_metric *)(const void *)p->r->metrics[x->part].entry->head;
    double *cells = p->cells[x->part] + piece * p->ncells[x->part];
    memset(cells, 0, p->ncells[x->part] * sizeof *cells);
    l->loss.step = b->step;
    l->loss.weight = NULL;
    return type->update(&p->services.table, &l->loss, cells);
}

static int call(plan *p, const op *x, const plan_batch *b, int lane, int64_t piece, int64_t from, int64_t n)
{
    op_lane *l = &x->lane[lane];
    const pln_layer *type = p->m->layers[p->m->nodes[x->node]->layer]->type;
    bind_piece(p, x, l, lane, piece, from, n);
    l->call.step = b->step;
    switch (x->kind) {
    case OP_GATHER:
        gather(p, x, l, b, from, n);
        return PLN_OK;
    case OP_FORWARD:
        return type->forward(&p->services.table, &l->call);
    case OP_BACKWARD:
        return type->backward(&p->services.table, &l->call);
    case OP_LOSS:
        return call_loss(p, l, b);
    case OP_METRIC:
        return call_metric(p, x, l, b, piece);
    default:
        move(x, l, n);
        return PLN_OK;
    }
}

static int run_piece(void *context, int64_t piece, int lane)
{
    const run *r = context;
    int64_t from = piece * r->p->piece, n = r->p->piece;
    if (from + n > r->b->n)
        n = r->b->n - from;
    host_at_piece(piece);
    for (int i = r->first; i <= r->last; i++) {
        int status = call(r->p, &r->p->ops[i], r->b, lane, piece, from, n);
        if (status != PLN_OK)
            return status;
    }
    return PLN_OK;
}

/* ---- gradients that pieces wrote apart ---- */

static int reduce_slice(void *context, int64_t slice, int lane)
{
    const run *r = context;
    const plan *p = r->p;
    int64_t pieces = (r->b->n + p->piece - 1) / p->piece;
    (void)lane;
    for (int i = 0; i < p->npartials; i++) {
        const partial *part = &p->partials[i];
        const parameter *q = &p->m->parameters[part->parameter];
        int64_t slices = (q->size + REDUCE_SLICE - 1) / REDUCE_SLICE;
        if (slice >= slices) {
            slice -= slices;
            continue;
        }
        int64_t begin = slice * REDUCE_SLICE, end = begin + REDUCE_SLICE < q->size ? begin + REDUCE_SLICE : q->size;
        const float *from = (const float *)(const void *)(p->memory + p->buffers[part->buffer].offset);
        float *to = p->gradients + q->offset;
        if (part->beta == 0.0f)
            memcpy(to + begin, from + begin, (size_t)(end - begin) * sizeof *to);
        for (int64_t k = part->beta == 0.0f; k < pieces; k++) {
            const float *add = from + k * part->stride;
            for (int64_t j = begin; j < end; j++)
                to[j] += add[j];
        }
        return PLN_OK;
    }
    return PLN_OK;
}

/* One layer's uses are in the list in backward order: the one with beta 0 comes first, and slices of one parameter must not
 * run at once.  So parts with beta 1 make their own turn. */
static int reduce_partials(run *r)
{
    plan *p = r->p;
    int64_t slices = 0;
    int again = 0;
    for (int i = 0; i < p->npartials; i++) {
        slices += (p->m->parameters[p->partials[i].parameter].size + REDUCE_SLICE - 1) / REDUCE_SLICE;
        again |= p->partials[i].beta != 0.0f;
    }
    if (!again && slices > 8)
        return lanes_run(p->pool, slices, reduce_slice, r);
    for (int64_t s = 0; s < slices; s++)
        reduce_slice(r, s, 0);
    return PLN_OK;
}

static int run_all(plan *p, const plan_batch *b)
{
    run r = {.p = p, .b = b};
    int64_t pieces = (b->n + p->piece - 1) / p->piece;
    int status = PLN_OK, finite = 0;
    for (int i = 0; i < p->nops && status == PLN_OK; i = r.last + 1) {
        r.first = r.last = i;
        while (r.last + 1 < p->nops && p->ops[r.last + 1].region == p->ops[i].region)
            r.last++;
        if (p->hot && p->ops[i].kind == OP_BACKWARD && !p->ops[i].piecewise && !finite) {
            finite = isfinite(plan_loss(p, b->n));
            if (!finite)
                return PLN_OK; /* before anything is updated: the trainer sees the loss */
        }
        if (p->ops[i].piecewise)
            status = lanes_run(p->pool, pieces, run_piece, &r);
        else
            status = call(p, &p->ops[i], b, 0, 0, 0, b->n);
    }
    return status == PLN_OK && p->npartials ? reduce_partials(&r) : status;
}

int plan_run(plan *p, const plan_batch *b, error *e)
{
    unsigned state = fpu_enter();
    int status = run_all(p, b);
    fpu_leave(state);
    return host_take_error(&p->services, status, e);
}

double plan_loss(const plan *p, int64_t n)
{
    const float *values = (const float *)(const void *)(p->memory + p->buffers[p->value_buffer].offset);
    const float *scale = (const float *)(const void *)(p->memory + p->buffers[p->scale_buffer].offset);
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)values[i] * ((double)scale[i] * (double)n);
    return sum;
}

void plan_cells(const plan *p, int metric, int64_t n, double *cells)
{
    int64_t pieces = (n + p->piece - 1) / p->piece;
    for (int64_t k = 0; k < pieces; k++)
        for (uint32_t i = 0; i < p->ncells[metric]; i++)
            cells[i] += p->cells[metric][k * p->ncells[metric] + i];
}

const float *plan_output(const plan *p, int output)
{
    return (const float *)(const void *)(p->memory + p->buffers[p->output_buffer[output]].offset);
}

/* The optimizer's step.  Parameters are cut into slices of fixed size, so that the work spreads over the lanes and the bits
 * do not depend on how many there are; norms add up slice by slice in order, in double. */
#include "net/update.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fpu.h"

#define SLICE 16384 /* floats: with two moments, 256 KiB of a core's cache */

static const pln_optimizer *optimizer(const update *u)
{
    return (const pln_optimizer *)(const void *)u->r->optimizer.entry->head;
}

static int64_t slices_of(const update *u, const parameter *p)
{
    if (!p->trainable || p->size == 0)
        return 0;
    return optimizer(u)->flags & PLN_ELEMENTWISE ? (p->size + SLICE - 1) / SLICE : 1;
}

static int cut(update *u)
{
    for (int i = 0; i < u->m->nparameters; i++)
        u->nslices += slices_of(u, &u->m->parameters[i]);
    u->slices = calloc((size_t)u->nslices + 1, sizeof *u->slices);
    u->sums = calloc((size_t)u->nslices + 1, sizeof *u->sums);
    u->gscale = calloc((size_t)u->m->nparameters + 1, sizeof *u->gscale);
    u->hot = calloc((size_t)u->m->nparameters + 1, sizeof *u->hot);
    if (!u->slices || !u->sums || !u->gscale || !u->hot)
        return 0;
    int64_t n = 0;
    for (int i = 0; i < u->m->nparameters; i++) {
        const parameter *p = &u->m->parameters[i];
        int64_t k = slices_of(u, p);
        for (int64_t s = 0; s < k; s++) {
            int64_t offset = s * SLICE, count = k == 1 ? p->size : p->size - offset < SLICE ? p->size - offset : SLICE;
            u->slices[n++] = (update_slice){i, offset, count};
        }
    }
    return 1;
}

static int make_slots(update *u)
{
    const pln_optimizer *o = optimizer(u);
    uint32_t used = o->uses ? o->uses(u->r->optimizer.opts.bytes) : ~0u;
    size_t bytes = ((size_t)u->m->ntrainable * sizeof(float) + 63) / 64 * 64 + 64;
    for (; o->slots && o->slots[u->nslots] && u->nslots < UPDATE_SLOTS; u->nslots++) {
        u->names[u->nslots] = o->slots[u->nslots];
        if (!(used >> u->nslots & 1))
            continue;
        float *slot = u->slots[u->nslots] = aligned_alloc(64, bytes);
        if (!slot)
            return 0;
        memset(slot, 0, bytes);
    }
    return 1;
}

int update_open(model *m, recipe *r, lanes *pool, update **out, error *e)
{
    update *u = calloc(1, sizeof *u);
    if (!u)
        return error_memory(e);
    u->m = m;
    u->r = r;
    u->pool = pool;
    host_open(&u->services, pool);
    if (!cut(u) || !make_slots(u)) {
        update_free(u);
        return error_memory(e);
    }
    *out = u;
    return PLN_OK;
}

void update_free(update *u)
{
    if (!u)
        return;
    for (int i = 0; i < UPDATE_SLOTS; i++)
        free(u->slots[i]);
    host_free(&u->services);
    free(u->slices);
    free(u->sums);
    free(u->gscale);
    free(u->hot);
    free(u);
}

typedef struct pass {
    update *u;
    float *gradients;
    const host_sink *sinks; /* of a hot step, else NULL */
} pass;

static int clip_values(void *context, int64_t piece, int lane)
{
    const pass *s = context;
    const update_slice *x = &s->u->slices[piece];
    float *g = s->gradients + s->u->m->parameters[x->parameter].offset + x->offset, c = (float)s->u->r->clipvalue;
    (void)lane;
    for (int64_t i = 0; i < x->count; i++)
        g[i] = g[i] > c ? c : g[i] < -c ? -c : g[i];
    return PLN_OK;
}

/* Sixteen running sums, added up in order: a defined order that vectors follow. */
static int sum_squares(void *context, int64_t piece, int lane)
{
    const pass *s = context;
    const update_slice *x = &s->u->slices[piece];
    const float *g = s->gradients + s->u->m->parameters[x->parameter].offset + x->offset;
    double acc[16] = {0}, sum = 0;
    int64_t i = 0;
    (void)lane;
    for (; i + 16 <= x->count; i += 16)
        for (int k = 0; k < 16; k++)
            acc[k] += (double)g[i + k] * (double)g[i + k];
    for (; i < x->count; i++)
        acc[0] += (double)g[i] * (double)g[i];
    for (int k = 0; k < 16; k++)
        sum += acc[k];
    s->u->sums[piece] = sum;
    return PLN_OK;
}

/* gscale of every parameter from the norms; returns the global norm. */
static double scale_by_norms(update *u)
{
    const recipe *r = u->r;
    double all = 0;
    for (int64_t i = 0; i < u->nslices; i++)
        all += u->sums[i];
    for (int64_t i = 0; i < u->nslices && r->clipnorm > 0;) {
        int p = u->slices[i].parameter;
        double own = 0;
        for (; i < u->nslices && u->slices[i].parameter == p; i++)
            own += u->sums[i];
        own = sqrt(own);
        u->gscale[p] = own > r->clipnorm ? (float)(r->clipnorm / own) : 1.0f;
    }
    double norm = sqrt(all);
    if (r->global_clipnorm > 0 && norm > r->global_clipnorm)
        for (int i = 0; i < u->m->nparameters; i++)
            u->gscale[i] = (float)(r->global_clipnorm / norm);
    return norm;
}

/* The optimizer on `count` elements of a parameter, from `offset` on. */
static int update_range(const update *u, int parameter_index, int64_t offset, int64_t count, const float *g)
{
    const parameter *p = &u->m->parameters[parameter_index];
    float *slots[UPDATE_SLOTS];
    for (int i = 0; i < u->nslots; i++)
        slots[i] = u->slots[i] ? u->slots[i] + p->offset + offset : NULL;
    pln_update call = {.size = PLN_SIZE_TO(pln_update, k),
                       .param_flags = p->flags,
                       .offset = offset,
                       .count = count,
                       .w = u->m->weights + p->offset + offset,
                       .g = g,
                       .slot = slots,
                       .gscale = u->gscale[parameter_index],
                       .lr = u->rate,
                       .step = u->step,
                       .opts = u->r->optimizer.opts.bytes,
                       .k = u->k};
    return optimizer(u)->update(&u->services.table, &call);
}

static int update_piece(void *context, int64_t piece, int lane)
{
    const pass *s = context;
    const update_slice *x = &s->u->slices[piece];
    const parameter *p = &s->u->m->parameters[x->parameter];
    (void)lane;
    if (s->sinks && s->u->may_be_hot[x->parameter] && !s->sinks[x->parameter].kept)
        return PLN_OK; /* was updated as it was made */
    return update_range(s->u, x->parameter, x->offset, x->count, s->gradients + p->offset + x->offset);
}

/* A part of a gradient, straight from the product that made it. */
static int take_block(void *context, int64_t offset, int64_t count, float *block)
{
    const hot_gradient *hot = context;
    return update_range(hot->u, hot->parameter, offset, count, block);
}

void update_join(update *u, plan *p)
{
    u->may_be_hot = p->may_be_hot;
    for (int i = 0; i < u->m->nparameters; i++) {
        u->hot[i] = (hot_gradient){u, i};
        float *memory = u->m->parameters[i].trainable ? p->gradients + u->m->parameters[i].offset : NULL;
        p->sinks[i] = (host_sink){.take = take_block, .context = &u->hot[i], .memory = memory};
    }
}

void update_begin(update *u, plan *p, double rate, uint64_t step, int norm_wanted)
{
    const recipe *r = u->r;
    const pln_optimizer *o = optimizer(u);
    int clips = r->clipvalue > 0 || r->clipnorm > 0 || r->global_clipnorm > 0;
    u->rate = rate;
    u->step = step;
    p->hot = !norm_wanted && !clips && (o->flags & PLN_ELEMENTWISE);
    for (int i = 0; i < u->m->nparameters; i++) {
        u->gscale[i] = 1.0f;
        p->sinks[i].kept = 0;
    }
    if (o->begin)
        o->begin(r->optimizer.opts.bytes, step, rate, u->k);
}

int update_end(update *u, plan *p, double *norm, error *e)
{
    const recipe *r = u->r;
    pass s = {.u = u, .gradients = p->gradients, .sinks = p->hot ? p->sinks : NULL};
    unsigned state = fpu_enter();
    if (norm || r->clipnorm > 0 || r->global_clipnorm > 0) {
        lanes_run(u->pool, u->nslices, sum_squares, &s);
        double global = scale_by_norms(u);
        if (norm)
            *norm = global;
    }
    if (r->clipvalue > 0)
        lanes_run(u->pool, u->nslices, clip_values, &s);
    int status = lanes_run(u->pool, u->nslices, update_piece, &s);
    fpu_leave(state);
    return host_take_error(&u->services, status, e);
}

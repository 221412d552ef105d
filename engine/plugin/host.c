/* The host table: every service that plugin.h promises, over base and kernels. */
#include "plugin/host.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/gemm_sink.h"
#include "kernels/kernels.h"

#define SUM_WIDTH 4096

/* The table comes to plugins as const; the host behind it is ours to change. */
static host *behind(const pln_host *table)
{
    return (host *)(uintptr_t)table;
}

static _Thread_local int64_t at_piece;

void host_at_piece(int64_t piece)
{
    at_piece = piece;
}

/* Keeps the first error of the lowest piece: what follows is mostly its consequence. */
static void report(host *h, const pln_node *node, const char *format, va_list args)
{
    pthread_mutex_lock(&h->lock);
    if (h->first.status == PLN_E_OK || at_piece < h->first_piece) {
        char said[1024];
        vsnprintf(said, sizeof said, format, args);
        h->first.status = PLN_E_INVALID;
        h->first_piece = at_piece;
        snprintf(h->first.text, sizeof h->first.text, "%s%s%s%s%s", node ? node->where : "",
                 node && node->where[0] ? ": " : "", node ? node->label : "", node && node->label[0] ? ": " : "", said);
    }
    pthread_mutex_unlock(&h->lock);
}

static int service_fail(const pln_host *table, const pln_node *node, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    report(behind(table), node, format, args);
    va_end(args);
    return PLN_FAIL;
}

static int service_refuse(const pln_host *table, pln_plan *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    report(behind(table), p->node, format, args);
    va_end(args);
    return PLN_FAIL;
}

/* What is wrong with a slot, or NULL. */
static const char *slot_fault(const pln_slot *s)
{
    if (s->size < PLN_SIZE_TO(pln_slot, shape))
        return "its size field is too small";
    if (s->kind < PLN_OUTPUT || s->kind > PLN_SCRATCH)
        return "its kind is unknown";
    if (s->kind == PLN_KEEP_INPUT || s->kind == PLN_KEEP_OUTPUT)
        return NULL;
    if (s->rank > PLN_RANK)
        return "it has too many dimensions";
    if (s->dtype != PLN_F32 && s->dtype != PLN_I32)
        return "its dtype is neither PLN_F32 nor PLN_I32";
    if (s->kind == PLN_OUTPUT && (s->rank < 1 || s->shape[0] != PLN_BATCH))
        return "an output's first dimension must be PLN_BATCH";
    int64_t count = 1;
    for (uint32_t i = 0; i < s->rank; i++) {
        if (s->shape[i] < 1 && !(i == 0 && s->shape[0] == PLN_BATCH))
            return "a dimension is below 1";
        if (s->shape[i] > 0 && __builtin_mul_overflow(count, s->shape[i], &count))
            return "it is too large";
    }
    if (count > (INT64_C(1) << 40))
        return "it has more than 2^40 elements";
    if ((s->kind == PLN_PARAM || s->kind == PLN_STATE) && (!s->name || !s->name[0] || strlen(s->name) > 63))
        return "it has no name, or one longer than 63 characters";
    return NULL;
}

static int service_slot(const pln_host *table, pln_plan *p, const pln_slot *slot)
{
    const char *fault = slot_fault(slot);
    if (fault)
        return service_refuse(table, p, "slot %d (%s) is wrong: %s", p->nslots + 1, slot->name ? slot->name : "no name",
                              fault);
    if (p->nslots == PLAN_SLOTS)
        return service_refuse(table, p, "more than %d slots", PLAN_SLOTS);
    p->slots[p->nslots++] = *slot;
    return PLN_OK;
}

typedef struct ranges {
    int64_t n, grain;
    uint32_t width;
    pln_body *body;
    pln_sum_body *sum_body;
    void *ctx;
    double *sums;
} ranges;

static int run_range(void *context, int64_t piece, int lane)
{
    const ranges *r = context;
    int64_t begin = piece * r->grain, end = begin + r->grain < r->n ? begin + r->grain : r->n;
    return r->body(r->ctx, begin, end, (uint32_t)lane);
}

static int sum_range(void *context, int64_t piece, int lane)
{
    (void)lane;
    const ranges *r = context;
    int64_t begin = piece * r->grain, end = begin + r->grain < r->n ? begin + r->grain : r->n;
    return r->sum_body(r->ctx, begin, end, r->sums + piece * r->width);
}

static int service_parallel_for(const pln_host *table, int64_t n, int64_t grain, pln_body *body, void *ctx)
{
    if (n <= 0)
        return PLN_OK;
    ranges r = {.n = n, .grain = grain < 1 ? 1 : grain > n ? n : grain, .body = body, .ctx = ctx};
    return lanes_run(behind(table)->pool, (n + r.grain - 1) / r.grain, run_range, &r);
}

/* A few sums fit on the stack; training allocates nothing for the sizes that layers use. */
static int service_sum(const pln_host *table, int64_t n, int64_t grain, uint32_t width, pln_sum_body *body, void *ctx,
                       double *out)
{
    double few[SUM_WIDTH];
    if (width > SUM_WIDTH)
        return service_fail(table, NULL, "sum: width %u is above %d", width, SUM_WIDTH);
    memset(out, 0, width * sizeof *out);
    if (n <= 0)
        return PLN_OK;
    ranges r = {.n = n, .grain = grain < 1 ? 1 : grain > n ? n : grain, .width = width, .sum_body = body, .ctx = ctx};
    int64_t pieces = (n + r.grain - 1) / r.grain;
    if (pieces > (INT64_C(1) << 40) / (width + 1))
        return service_fail(table, NULL, "sum: %lld ranges of %u sums are too many; use a larger grain",
                            (long long)pieces, width);
    size_t count = (size_t)pieces * width;
    r.sums = count <= SUM_WIDTH ? few : malloc(count * sizeof(double));
    if (!r.sums)
        return service_fail(table, NULL, "out of memory");
    memset(r.sums, 0, count * sizeof(double));
    int status = lanes_run(behind(table)->pool, pieces, sum_range, &r);
    for (int64_t p = 0; p < pieces; p++)
        for (uint32_t i = 0; i < width; i++)
            out[i] += r.sums[(size_t)p * width + i];
    if (r.sums != few)
        free(r.sums);
    return status;
}

/* Streams of one node lie apart by the high bits of the row; a step is a row. */
static int service_random(const pln_host *table, const pln_call *c, uint32_t stream, uint32_t dist, int64_t first,
                          int64_t n, float *out)
{
    uint64_t row = ((uint64_t)stream << 48) ^ c->step;
    if (first < 0 || n < 0 || (dist != PLN_UNIFORM && dist != PLN_NORMAL))
        return service_fail(table, c->node, "random: a negative range or an unknown distribution");
    if (dist == PLN_UNIFORM)
        random_fill_uniform(c->node->key, row, (uint64_t)first, (uint64_t)n, out);
    else
        random_fill_normal(c->node->key, row, (uint64_t)first, (uint64_t)n, out);
    return PLN_OK;
}

static int memory_or(const pln_host *table, int status, const char *what)
{
    return status == PLN_OK ? PLN_OK
                            : service_fail(table, NULL, "%s: %s", what,
                                           status == PLN_E_MEMORY ? "out of memory" : "unknown operation");
}

static int has_data(const pln_tensor *t)
{
    return t && t->data;
}

static int pass_rows_on(void *context, int64_t row, int64_t rows, float *block, int lane)
{
    const host_sink *sink = context;
    (void)lane;
    return sink->take(sink->context, row * sink->length, rows * sink->length, block);
}

static int service_gemm(const pln_host *table, const pln_gemm *g)
{
    if (g->size < PLN_SIZE_TO(pln_gemm, colsum) || g->m < 0 || g->n < 0 || g->k < 0 || !g->c || !has_data(g->a) ||
        !has_data(g->b))
        return service_fail(table, NULL,
                            "gemm: its size field is too small, a dimension is negative, or an operand has no data "
                            "(declare PLN_KEEP_INPUT or PLN_KEEP_OUTPUT for what backward reads)");
    host_sink *sink = g->c->data ? NULL : g->c->host;
    if (!sink && !g->c->data)
        return service_fail(table, NULL, "gemm: the result has no data");
    if (!sink)
        return memory_or(table, gemm_run(behind(table)->pool, g), "gemm");
    if (g->off_c != 0 || g->ldc != g->n)
        return service_fail(table, NULL, "gemm: a PLN_GRAD_ONCE gradient must be the whole result");
    sink->length = g->n;
    int status = gemm_run_into(behind(table)->pool, g, pass_rows_on, sink);
    return status == PLN_E_MEMORY ? memory_or(table, status, "gemm")
           : status == PLN_OK     ? PLN_OK
                                  : service_fail(table, NULL, "the optimizer failed on a finished gradient");
}

static int service_conv(const pln_host *table, const pln_conv *c)
{
    int reads = c->pass == PLN_CONV_FORWARD  ? has_data(c->x) && has_data(c->w)
                : c->pass == PLN_CONV_DINPUT ? has_data(c->w) && has_data(c->y)
                                             : has_data(c->x) && has_data(c->y);
    if (c->size < PLN_SIZE_TO(pln_conv, beta) || !c->out || !reads || c->pass < PLN_CONV_FORWARD ||
        c->pass > PLN_CONV_DWEIGHT)
        return service_fail(table, NULL,
                            "conv: its size field is too small, its pass is unknown, or an operand has no data "
                            "(declare PLN_KEEP_INPUT or PLN_KEEP_OUTPUT for what backward reads)");
    host_sink *sink = c->out->data ? NULL : c->out->host;
    if (sink) {
        pln_conv into = *c;
        pln_tensor gradient = *c->out;
        gradient.data = sink->memory;
        into.out = &gradient;
        sink->kept = 1;
        return memory_or(table, conv_run(behind(table)->pool, &into), "conv");
    }
    return memory_or(table, conv_run(behind(table)->pool, c), "conv");
}

static int service_map(const pln_host *table, uint32_t op, int64_t n, const float *x, float *out)
{
    return memory_or(table, map_run(op, n, x, out), "map");
}

static void service_log(const pln_host *table, int level, const char *format, ...)
{
    (void)table;
    static const char *const levels[] = {"debug", "note", "warning"};
    if (level <= 0)
        return;
    char said[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(said, sizeof said, format, args);
    va_end(args);
    fprintf(stderr, "%s: %s\n", levels[level > 2 ? 2 : level], said);
}

static const void *service_extension(const pln_host *table, const char *id)
{
    (void)table;
    (void)id;
    return NULL;
}

void host_open(host *h, lanes *pool)
{
    *h = (host){.pool = pool};
    h->table = (pln_host){
        .size = PLN_SIZE_TO(pln_host, extension),
        .major = PLN_MAJOR,
        .minor = PLN_MINOR,
        .fail = service_fail,
        .slot = service_slot,
        .refuse = service_refuse,
        .parallel_for = service_parallel_for,
        .sum = service_sum,
        .random = service_random,
        .gemm = service_gemm,
        .conv = service_conv,
        .map = service_map,
        .log = service_log,
        .extension = service_extension,
    };
    pthread_mutex_init(&h->lock, NULL);
}

void host_free(host *h)
{
    pthread_mutex_destroy(&h->lock);
}

int host_take_error(host *h, int status, error *e)
{
    if (status == PLN_OK)
        return PLN_OK;
    if (h->first.status == PLN_E_OK)
        error_set(&h->first, PLN_E_INVALID, "a plugin failed and did not say why (it should have called fail)");
    if (e)
        *e = h->first;
    status = h->first.status;
    h->first = (error){0};
    return status;
}

/* Of one sample. */
static int64_t elements(const pln_slot *s)
{
    int64_t n = 1;
    for (uint32_t i = 0; i < s->rank; i++)
        n *= s->shape[i] == PLN_BATCH ? 1 : s->shape[i];
    return n;
}

int host_plan(host *h, const pln_layer *type, const void *opts, int mode, const pln_slot *const *in, uint32_t nin,
              const pln_node *node, pln_plan *plan, error *e)
{
    plan->node = node;
    plan->nslots = 0;
    int outputs = 0, views = 0, status = host_take_error(h, type->plan(&h->table, plan, opts, mode, in, nin), e);
    if (status != PLN_OK)
        return status;
    for (int i = 0; i < plan->nslots; i++) {
        const pln_slot *s = &plan->slots[i];
        outputs += s->kind == PLN_OUTPUT;
        int names_input =
            s->kind == PLN_KEEP_INPUT || (s->kind == PLN_OUTPUT && (s->flags & (PLN_VIEW | PLN_IN_PLACE)));
        if (names_input && s->index >= nin)
            return error_set(e, PLN_E_INVALID, "%s: slot %d means input %u; there are %u", node->label, i + 1, s->index,
                             nin);
        if (s->kind == PLN_KEEP_OUTPUT && s->index >= PLAN_SLOTS / 8)
            return error_set(e, PLN_E_INVALID, "%s: slot %d means output %u", node->label, i + 1, s->index);
        if (s->kind == PLN_OUTPUT && (s->flags & PLN_VIEW)) {
            views++;
            if (elements(s) != elements(in[s->index]) || s->dtype != in[s->index]->dtype)
                return error_set(e, PLN_E_INVALID, "%s: a view must have as many elements as its input, and their type",
                                 node->label);
        }
    }
    if (views && outputs != 1)
        return error_set(e, PLN_E_INVALID, "%s: a view must be the only output", node->label);
    if (outputs < 1)
        return error_set(e, PLN_E_INVALID, "%s: declares no output", node->label);
    return PLN_OK;
}

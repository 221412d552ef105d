/* lstm.c: LSTM, long short-term memory (Hochreiter and Schmidhuber 1997, with forget gates; Keras's order of gates).
 *
 *     x [n,t,d]   kernel [d,4u]   recurrent_kernel [u,4u]   bias [4u]   y [n,u], or [n,t,u] with return_sequences
 *
 *     z_t = x_t kernel + h_{t-1} recurrent_kernel + bias             [n,4u], h_{-1} = c_{-1} = 0
 *     i, f, g, o = sigmoid(z_i), sigmoid(z_f), tanh(z_g), sigmoid(z_o)   the four quarters of z_t
 *     c_t = f c_{t-1} + i g
 *     h_t = o tanh(c_t)                                              y = the last h, or all
 *
 *     backwards in time, with dh_t from y and from step t+1, dc_t from step t+1:
 *     dc_t += dh_t o (1 - tanh(c_t)^2)
 *     dz_t  = dc_t g i (1-i),  dc_t c_{t-1} f (1-f),  dc_t i (1-g^2),  dh_t tanh(c_t) o (1-o)
 *     dc_{t-1} = dc_t f            dh_{t-1} += dz_t recurrent_kernel^T
 *
 *     dx = dz kernel^T    dkernel = x^T dz    drecurrent_kernel = h_{t-1}^T dz    dbias = sum of dz   over all n and t
 *
 * The products with x take all time steps at once.  h_{t-1} is kept where step t finds it (a zero row at t = 0), so
 * that drecurrent_kernel is one product too. */
#include "perilune/plugin.h"

#define GEMM(...) PLN_GEMM(h, .alpha = 1, __VA_ARGS__)

typedef struct lstm {
    int64_t units, return_sequences, use_bias, unit_forget_bias;
    const char *kernel_initializer, *recurrent_initializer, *bias_initializer;
} lstm;

static const pln_option options[] = {
    {"units", "number of cells, and of outputs", PLN_INT, PLN_REQUIRED | PLN_POSITIONAL, offsetof(lstm, units), .lo = 1,
     .hi = 1 << 20},
    {"return_sequences", "give the output of every time step instead of the last one's", PLN_BOOL, 0,
     offsetof(lstm, return_sequences), .dflt = 0},
    {"use_bias", "add a trained number to each gate", PLN_BOOL, 0, offsetof(lstm, use_bias), .dflt = 1},
    {"unit_forget_bias", "begin with 1 as the bias of the forget gates, so that cells remember", PLN_BOOL, 0,
     offsetof(lstm, unit_forget_bias), .dflt = 1},
    {"kernel_initializer", "how the kernel [d, 4 units] begins", PLN_TEXT, PLN_INITIALIZER,
     offsetof(lstm, kernel_initializer), .dflt_text = "glorot_uniform"},
    {"recurrent_initializer", "how the recurrent kernel [units, 4 units] begins", PLN_TEXT, PLN_INITIALIZER,
     offsetof(lstm, recurrent_initializer), .dflt_text = "orthogonal"},
    {"bias_initializer", "how the bias [4 units] begins", PLN_TEXT, PLN_INITIALIZER, offsetof(lstm, bias_initializer),
     .dflt_text = "zeros"},
};

/* The quarters of the bias at the beginning: those of i, f, g and o. */
#define UNIT_FORGET_BIAS "zeros|ones|zeros|zeros"

/* In the order in which plan declares them. */
enum { KERNEL, RECURRENT, BIAS }; /* param */
enum { GATES, CELLS, BEFORE };    /* keep, or scratch when inferring: gates [n,t,4u], c_t [n,t,u], h_{t-1} [n,t,u] */
enum { DGATES, DHIDDEN, DCELL, TANH }; /* scratch when training: dz [n,t,4u], and of the current step three [n,u] */

static int plan_memory(const pln_host *h, pln_plan *p, int mode, int64_t t, int64_t u)
{
    const uint32_t kept = mode == PLN_TRAIN ? PLN_KEEP : PLN_SCRATCH;

    if (PLN_SLOT(h, p, .kind = kept, .name = "gates", .dtype = PLN_F32, .rank = 3, .shape = {PLN_BATCH, t, 4 * u}) ||
        PLN_SLOT(h, p, .kind = kept, .name = "cells", .dtype = PLN_F32, .rank = 3, .shape = {PLN_BATCH, t, u}) ||
        PLN_SLOT(h, p, .kind = kept, .name = "hidden before", .dtype = PLN_F32, .rank = 3, .shape = {PLN_BATCH, t, u}))
        return PLN_FAIL;
    if (mode != PLN_TRAIN)
        return PLN_OK;
    return PLN_SLOT(h, p, .kind = PLN_SCRATCH, .name = "dgates", .dtype = PLN_F32, .rank = 3,
                    .shape = {PLN_BATCH, t, 4 * u}) ||
           PLN_SLOT(h, p, .kind = PLN_SCRATCH, .name = "dhidden", .dtype = PLN_F32, .rank = 2,
                    .shape = {PLN_BATCH, u}) ||
           PLN_SLOT(h, p, .kind = PLN_SCRATCH, .name = "dcell", .dtype = PLN_F32, .rank = 2, .shape = {PLN_BATCH, u}) ||
           PLN_SLOT(h, p, .kind = PLN_SCRATCH, .name = "tanh", .dtype = PLN_F32, .rank = 2, .shape = {PLN_BATCH, u});
}

static int is_zeros(const char *s)
{
    const char *zeros = "zeros";

    while (*s && *s == *zeros)
        s++, zeros++;
    return *s == *zeros;
}

static int plan(const pln_host *h, pln_plan *p, const void *opts, int mode, const pln_slot *const *in, uint32_t nin)
{
    const lstm *o = opts;
    const pln_slot *x = in[0];
    const int64_t u = o->units;
    (void)nin;

    if (x->rank != 3)
        return h->refuse(h, p,
                         "needs 2 dimensions [time, features], got %d; nn.Reshape { time, features } before it "
                         "makes them",
                         (int)x->rank - 1);
    if (o->use_bias && o->unit_forget_bias && !is_zeros(o->bias_initializer))
        return h->refuse(h, p,
                         "unit_forget_bias begins the bias with 0 and 1; with bias_initializer = \"%s\" write "
                         "unit_forget_bias = false",
                         o->bias_initializer);
    const int64_t t = x->shape[1], d = x->shape[2];

    if (o->return_sequences ? PLN_SLOT(h, p, .kind = PLN_OUTPUT, .dtype = PLN_F32, .rank = 3, .time_axis = 1,
                                       .shape = {PLN_BATCH, t, u})
                            : PLN_SLOT(h, p, .kind = PLN_OUTPUT, .dtype = PLN_F32, .rank = 2, .shape = {PLN_BATCH, u}))
        return PLN_FAIL;
    if (PLN_SLOT(h, p, .kind = PLN_KEEP_INPUT, .index = 0) ||
        PLN_SLOT(h, p, .kind = PLN_PARAM, .name = "kernel", .axes = "IO", .init = o->kernel_initializer,
                 .flags = PLN_GRAD_ONCE, .dtype = PLN_F32, .rank = 2, .shape = {d, 4 * u}) ||
        PLN_SLOT(h, p, .kind = PLN_PARAM, .name = "recurrent_kernel", .axes = "IO", .init = o->recurrent_initializer,
                 .flags = PLN_GRAD_ONCE, .dtype = PLN_F32, .rank = 2, .shape = {u, 4 * u}))
        return PLN_FAIL;
    if (o->use_bias && PLN_SLOT(h, p, .kind = PLN_PARAM, .name = "bias", .axes = "O",
                                .init = o->unit_forget_bias ? UNIT_FORGET_BIAS : o->bias_initializer,
                                .flags = PLN_NO_DECAY, .dtype = PLN_F32, .rank = 1, .shape = {4 * u}))
        return PLN_FAIL;
    return plan_memory(h, p, mode, t, u);
}

/* One time step of all samples: what the bodies of parallel_for need. */
typedef struct step {
    const pln_host *h;
    int64_t t, steps, u;
    int sequences;
    float *gates, *cells, *before; /* [n,steps,4u], [n,steps,u], [n,steps,u] */
    float *y;                      /* [n,u] or [n,steps,u] */
    const float *dy;
    float *dgates, *dhidden, *dcell, *tanh;
} step;

static float *memory(const pln_call *c, int i)
{
    return c->mode == PLN_TRAIN ? c->keep[i]->data : c->scratch[i]->data;
}

static pln_tensor *memory_tensor(const pln_call *c, int i)
{
    return c->mode == PLN_TRAIN ? c->keep[i] : c->scratch[i];
}

static step step_of(const pln_host *h, const pln_call *c)
{
    const lstm *o = c->opts;

    return (step){.h = h,
                  .steps = memory_tensor(c, CELLS)->shape[1],
                  .u = o->units,
                  .sequences = (int)o->return_sequences,
                  .gates = memory(c, GATES),
                  .cells = memory(c, CELLS),
                  .before = memory(c, BEFORE)};
}

/* Samples that are worth a piece of their own: about 4096 gates. */
static int64_t grain_of(int64_t u)
{
    return 1 + 1024 / u;
}

/* From z_t, in place, to the gates, c_t and h_t. */
static int step_forward(void *ctx, int64_t begin, int64_t end, uint32_t lane)
{
    const step *s = ctx;
    const int64_t u = s->u;
    (void)lane;

    for (int64_t n = begin; n < end; n++) {
        const int64_t at = n * s->steps + s->t;
        const int last = s->t + 1 == s->steps;
        float *gate = s->gates + at * 4 * u, *cell = s->cells + at * u;
        float *y = s->sequences ? s->y + at * u : s->y + n * u;
        float *hidden = last ? y : s->before + (at + 1) * u;
        const float *i = gate, *f = gate + u, *g = gate + 2 * u, *o = gate + 3 * u, *old = cell - u;

        if (s->h->map(s->h, PLN_MAP_SIGMOID, 2 * u, gate, gate) ||
            s->h->map(s->h, PLN_MAP_TANH, u, gate + 2 * u, gate + 2 * u) ||
            s->h->map(s->h, PLN_MAP_SIGMOID, u, gate + 3 * u, gate + 3 * u))
            return PLN_FAIL;
        for (int64_t k = 0; k < u; k++)
            cell[k] = i[k] * g[k];
        for (int64_t k = 0; s->t > 0 && k < u; k++)
            cell[k] += f[k] * old[k];
        if (s->h->map(s->h, PLN_MAP_TANH, u, cell, hidden))
            return PLN_FAIL;
        for (int64_t k = 0; k < u; k++)
            hidden[k] *= o[k];
        for (int64_t k = 0; s->sequences && !last && k < u; k++)
            y[k] = hidden[k];
    }
    return PLN_OK;
}

static int forward(const pln_host *h, const pln_call *c)
{
    const lstm *o = c->opts;
    const pln_tensor *x = c->in[0];
    const int64_t n = x->shape[0], d = x->shape[2], u = o->units;
    pln_tensor *gates = memory_tensor(c, GATES), *before = memory_tensor(c, BEFORE);
    step s = step_of(h, c);

    s.y = c->out[0]->data;
    if (GEMM(.m = n * s.steps, .n = 4 * u, .k = d, .a = x, .lda = d, .b = c->param[KERNEL], .ldb = 4 * u, .c = gates,
             .ldc = 4 * u, .bias = o->use_bias ? c->param[BIAS] : NULL))
        return PLN_FAIL;
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < u; k++)
            s.before[i * s.steps * u + k] = 0;
    for (s.t = 0; s.t < s.steps; s.t++) {
        if (s.t > 0 && GEMM(.m = n, .n = 4 * u, .k = u, .a = before, .off_a = s.t * u, .lda = s.steps * u,
                            .b = c->param[RECURRENT], .ldb = 4 * u, .c = gates, .off_c = s.t * 4 * u,
                            .ldc = s.steps * 4 * u, .beta = 1))
            return PLN_FAIL;
        if (h->parallel_for(h, n, grain_of(u), step_forward, &s))
            return PLN_FAIL;
    }
    return PLN_OK;
}

/* One sample's cells: dz from dh and dc, and dc of the step before in its place. */
static void cell_backward(int64_t u, const float *restrict gate, const float *restrict old, const float *restrict tanh,
                          const float *restrict dh, float *restrict dc, float *restrict dz)
{
    const float *i = gate, *f = gate + u, *g = gate + 2 * u, *o = gate + 3 * u;

    for (int64_t k = 0; k < u; k++)
        dz[3 * u + k] = dh[k] * tanh[k] * o[k] * (1 - o[k]);
    for (int64_t k = 0; k < u; k++)
        dc[k] += dh[k] * o[k] * (1 - tanh[k] * tanh[k]);
    for (int64_t k = 0; k < u; k++)
        dz[k] = dc[k] * g[k] * i[k] * (1 - i[k]);
    for (int64_t k = 0; k < u; k++)
        dz[2 * u + k] = dc[k] * i[k] * (1 - g[k] * g[k]);
    for (int64_t k = 0; k < u; k++)
        dz[u + k] = 0;
    for (int64_t k = 0; old && k < u; k++)
        dz[u + k] = dc[k] * old[k] * f[k] * (1 - f[k]);
    for (int64_t k = 0; k < u; k++)
        dc[k] *= f[k];
}

/* dz_t, and dc_{t-1} in dcell, from dhidden and dcell of step t+1 and from dy. */
static int step_backward(void *ctx, int64_t begin, int64_t end, uint32_t lane)
{
    const step *s = ctx;
    const int64_t u = s->u;
    (void)lane;

    for (int64_t n = begin; n < end; n++) {
        const int64_t at = n * s->steps + s->t;
        const int last = s->t + 1 == s->steps;
        const float *cell = s->cells + at * u, *dy = s->sequences ? s->dy + at * u : last ? s->dy + n * u : NULL;
        float *dh = s->dhidden + n * u, *dc = s->dcell + n * u, *tanh = s->tanh + n * u;

        if (s->h->map(s->h, PLN_MAP_TANH, u, cell, tanh))
            return PLN_FAIL;
        for (int64_t k = 0; last && k < u; k++)
            dh[k] = dc[k] = 0;
        for (int64_t k = 0; dy && k < u; k++)
            dh[k] += dy[k];
        cell_backward(u, s->gates + at * 4 * u, s->t > 0 ? cell - u : NULL, tanh, dh, dc, s->dgates + at * 4 * u);
    }
    return PLN_OK;
}

/* The bias alone, for frozen kernels. */
static void sum_rows(int64_t rows, int64_t n, const float *dz, float beta, float *dbias)
{
    for (int64_t j = 0; j < n; j++)
        dbias[j] = beta == 0 ? 0 : beta * dbias[j];
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < n; j++)
            dbias[j] += dz[i * n + j];
}

/* From all dz to the parameters; dx comes first (PLN_GRAD_ONCE).  The bias rides along with a trained kernel. */
static int finish_gradients(const pln_host *h, const pln_call *c, const pln_tensor *dz)
{
    const lstm *o = c->opts;
    const pln_tensor *x = c->in[0];
    const int64_t rows = x->shape[0] * x->shape[1], d = c->param[KERNEL]->shape[0], u = o->units;
    pln_tensor *dx = c->din[0], *dkernel = c->dparam[KERNEL], *drecurrent = c->dparam[RECURRENT];
    pln_tensor *dbias = o->use_bias ? c->dparam[BIAS] : NULL;

    if (dx && GEMM(.m = rows, .n = d, .k = 4 * u, .a = dz, .lda = 4 * u, .b = c->param[KERNEL], .ldb = 4 * u,
                   .flags = PLN_TRANS_B, .c = dx, .ldc = d))
        return PLN_FAIL;
    if (dkernel && GEMM(.m = d, .n = 4 * u, .k = rows, .a = x, .lda = d, .flags = PLN_TRANS_A, .b = dz, .ldb = 4 * u,
                        .c = dkernel, .ldc = 4 * u, .beta = c->beta, .colsum = dbias))
        return PLN_FAIL;
    if (drecurrent &&
        GEMM(.m = u, .n = 4 * u, .k = rows, .a = c->keep[BEFORE], .lda = u, .flags = PLN_TRANS_A, .b = dz, .ldb = 4 * u,
             .c = drecurrent, .ldc = 4 * u, .beta = c->beta, .colsum = dkernel ? NULL : dbias))
        return PLN_FAIL;
    if (dbias && !dkernel && !drecurrent)
        sum_rows(rows, 4 * u, dz->data, c->beta, dbias->data);
    return PLN_OK;
}

static int backward(const pln_host *h, const pln_call *c)
{
    const lstm *o = c->opts;
    const int64_t n = c->in[0]->shape[0], u = o->units;
    const pln_tensor *dz = c->scratch[DGATES];
    step s = step_of(h, c);

    s.dy = c->dout[0]->data;
    s.dgates = dz->data;
    s.dhidden = c->scratch[DHIDDEN]->data;
    s.dcell = c->scratch[DCELL]->data;
    s.tanh = c->scratch[TANH]->data;
    for (s.t = s.steps - 1; s.t >= 0; s.t--) {
        if (h->parallel_for(h, n, grain_of(u), step_backward, &s))
            return PLN_FAIL;
        if (s.t > 0 &&
            GEMM(.m = n, .n = u, .k = 4 * u, .a = dz, .off_a = s.t * 4 * u, .lda = s.steps * 4 * u,
                 .b = c->param[RECURRENT], .ldb = 4 * u, .flags = PLN_TRANS_B, .c = c->scratch[DHIDDEN], .ldc = u))
            return PLN_FAIL;
    }
    return finish_gradients(h, c, dz);
}

static const pln_layer lstm_layer = {
    .size = PLN_SIZE_TO(pln_layer, backward),
    .kind = PLN_LAYER,
    .id = "org.perilune.lstm",
    .name = "LSTM",
    .help = "reads a sequence step by step, with cells that remember and gates that decide what",
    .version = 1,
    .flags = PLN_SAMPLEWISE,
    .noptions = sizeof options / sizeof options[0],
    .options = options,
    .option_stride = sizeof options[0],
    .opts_size = sizeof(lstm),
    .min_in = 1,
    .max_in = 1,
    .plan = plan,
    .forward = forward,
    .backward = backward,
};

PLN_PLUGIN("org.perilune.lstm", "1.0", "MIT", &lstm_layer);

/* batch_normalization.c: BatchNormalization over the last axis (Ioffe and Szegedy 2015; numbers as in Keras 3).
 *
 *     x, y [m,c]: all axes but the last are m rows        gamma, beta, moving_mean, moving_variance [c]
 *
 *     training    mean = sum(x) / m        var = sum(x^2) / m - mean^2        r = 1 / sqrt(var + epsilon)
 *                 moving = momentum moving + (1 - momentum) (mean, var)
 *     inferring   mean, var = the moving ones
 *     both        y = (x - mean) r gamma + beta
 *
 *     with x^ = (x - mean) r, all sums over the m rows, divided by m for the means:
 *     dbeta = sum(dy)        dgamma = sum(dy x^)
 *     dx    = gamma r (dy - mean(dy) - x^ mean(dy x^))
 *
 * Samples depend on each other, so in training the layer gets the whole batch and cuts it itself, with
 * the host's sum (in double, added up in a fixed order) and parallel_for. */
#include "perilune/plugin.h"

#define CHANNELS 256 /* channels whose sums are taken in one go: 2 x 256 doubles on the stack */
#define RANGES   8   /* ranges of rows that are summed apart */

typedef struct batch_normalization {
    int64_t axis, center, scale;
    double momentum, epsilon;
    const char *beta_initializer, *gamma_initializer, *moving_mean_initializer, *moving_variance_initializer;
} batch_normalization;

static const pln_option options[] = {
    {"axis", "the axis of the channels: only the last one, -1", PLN_INT, 0, offsetof(batch_normalization, axis),
     .dflt = -1, .lo = -1, .hi = PLN_RANK - 1},
    {"momentum", "how much of the moving averages remains after a step", PLN_REAL, 0,
     offsetof(batch_normalization, momentum), .dflt = 0.99, .lo = 0, .hi = 1},
    {"epsilon", "added to the variance, so that nothing is divided by 0", PLN_REAL, PLN_OPEN_LO,
     offsetof(batch_normalization, epsilon), .dflt = 1e-3, .lo = 0, .hi = 1},
    {"center", "add a trained beta", PLN_BOOL, 0, offsetof(batch_normalization, center), .dflt = 1},
    {"scale", "multiply by a trained gamma", PLN_BOOL, 0, offsetof(batch_normalization, scale), .dflt = 1},
    {"beta_initializer", "how beta [c] begins", PLN_TEXT, PLN_INITIALIZER,
     offsetof(batch_normalization, beta_initializer), .dflt_text = "zeros"},
    {"gamma_initializer", "how gamma [c] begins", PLN_TEXT, PLN_INITIALIZER,
     offsetof(batch_normalization, gamma_initializer), .dflt_text = "ones"},
    {"moving_mean_initializer", "how the moving mean [c] begins", PLN_TEXT, PLN_INITIALIZER,
     offsetof(batch_normalization, moving_mean_initializer), .dflt_text = "zeros"},
    {"moving_variance_initializer", "how the moving variance [c] begins", PLN_TEXT, PLN_INITIALIZER,
     offsetof(batch_normalization, moving_variance_initializer), .dflt_text = "ones"},
};

/* In the order in which plan declares them.  beta's number depends on whether there is a gamma: see params(). */
enum { MOVING_MEAN, MOVING_VARIANCE }; /* state */
enum { MEAN, R };                      /* keep */
enum { SHIFT, FACTOR, ADDEND };        /* scratch: y = (x - SHIFT) FACTOR + ADDEND, and the like in backward */

static int plan(const pln_host *h, pln_plan *p, const void *opts, int mode, const pln_slot *const *in, uint32_t nin)
{
    const batch_normalization *o = opts;
    const pln_slot *x = in[0];
    pln_slot y = {.size = PLN_SIZE_TO(pln_slot, shape), .kind = PLN_OUTPUT, .dtype = PLN_F32, .rank = x->rank};
    (void)mode, (void)nin;

    if (x->rank < 2)
        return h->refuse(h, p, "needs samples of at least one dimension, got single numbers");
    if (o->axis != -1 && o->axis != (int64_t)x->rank - 1)
        return h->refuse(h, p, "axis %d is not the last one; channels come last: write axis = -1", (int)o->axis);
    for (uint32_t i = 0; i < x->rank; i++)
        y.shape[i] = x->shape[i];
    y.time_axis = x->time_axis;
    const int64_t c = x->shape[x->rank - 1];

    if (h->slot(h, p, &y) || PLN_SLOT(h, p, .kind = PLN_KEEP_INPUT, .index = 0))
        return PLN_FAIL;
    if (o->scale && PLN_SLOT(h, p, .kind = PLN_PARAM, .name = "gamma", .axes = "O", .init = o->gamma_initializer,
                             .flags = PLN_NO_DECAY, .dtype = PLN_F32, .rank = 1, .shape = {c}))
        return PLN_FAIL;
    if (o->center && PLN_SLOT(h, p, .kind = PLN_PARAM, .name = "beta", .axes = "O", .init = o->beta_initializer,
                              .flags = PLN_NO_DECAY, .dtype = PLN_F32, .rank = 1, .shape = {c}))
        return PLN_FAIL;
    return PLN_SLOT(h, p, .kind = PLN_STATE, .name = "moving_mean", .init = o->moving_mean_initializer,
                    .dtype = PLN_F32, .rank = 1, .shape = {c}) ||
           PLN_SLOT(h, p, .kind = PLN_STATE, .name = "moving_variance", .init = o->moving_variance_initializer,
                    .dtype = PLN_F32, .rank = 1, .shape = {c}) ||
           PLN_SLOT(h, p, .kind = PLN_KEEP, .name = "mean", .dtype = PLN_F32, .rank = 1, .shape = {c}) ||
           PLN_SLOT(h, p, .kind = PLN_KEEP, .name = "r", .dtype = PLN_F32, .rank = 1, .shape = {c}) ||
           PLN_SLOT(h, p, .kind = PLN_SCRATCH, .name = "shift", .dtype = PLN_F32, .rank = 1, .shape = {c}) ||
           PLN_SLOT(h, p, .kind = PLN_SCRATCH, .name = "factor", .dtype = PLN_F32, .rank = 1, .shape = {c}) ||
           PLN_SLOT(h, p, .kind = PLN_SCRATCH, .name = "addend", .dtype = PLN_F32, .rank = 1, .shape = {c});
}

/* One pass over rows of c channels: what its bodies need to know. */
typedef struct pass {
    const float *x, *dy;   /* [m,c] */
    float *out;            /* [m,c]: y or dx */
    int64_t c, from, n;    /* sums: channels from .. from+n-1 */
    const float *mean, *r; /* [c] */
    const float *shift, *factor, *addend, *slope;
} pass;

static int64_t count_rows(const pln_tensor *t)
{
    int64_t rows = 1;
    for (uint32_t i = 0; i + 1 < t->rank; i++)
        rows *= t->shape[i];
    return rows;
}

static float *data_of(const pln_tensor *t)
{
    return t ? t->data : NULL;
}

/* gamma and beta, or their gradients; NULL where there is none. */
static void params(const batch_normalization *o, const pln_tensor *const *p, const float **gamma, const float **beta)
{
    *gamma = o->scale ? data_of(p[0]) : NULL;
    *beta = o->center ? data_of(p[o->scale ? 1 : 0]) : NULL;
}

/* acc[0..n-1] += x, acc[n..2n-1] += x^2 */
static int sum_moments(void *ctx, int64_t begin, int64_t end, double *acc)
{
    const pass *p = ctx;

    for (int64_t i = begin; i < end; i++) {
        const float *x = p->x + i * p->c + p->from;
        for (int64_t j = 0; j < p->n; j++) {
            const double v = x[j];
            acc[j] += v;
            acc[p->n + j] += v * v;
        }
    }
    return PLN_OK;
}

/* acc[0..n-1] += dy, acc[n..2n-1] += dy x^ */
static int sum_gradients(void *ctx, int64_t begin, int64_t end, double *acc)
{
    const pass *p = ctx;
    const float *mean = p->mean + p->from, *r = p->r + p->from;

    for (int64_t i = begin; i < end; i++) {
        const float *x = p->x + i * p->c + p->from, *dy = p->dy + i * p->c + p->from;
        for (int64_t j = 0; j < p->n; j++) {
            acc[j] += dy[j];
            acc[p->n + j] += (double)dy[j] * ((x[j] - mean[j]) * r[j]);
        }
    }
    return PLN_OK;
}

/* y = (x - shift) factor + addend */
static int normalize(void *ctx, int64_t begin, int64_t end, uint32_t lane)
{
    const pass *p = ctx;
    (void)lane;

    for (int64_t i = begin; i < end; i++) {
        const float *x = p->x + i * p->c;
        float *y = p->out + i * p->c;
        for (int64_t j = 0; j < p->c; j++)
            y[j] = (x[j] - p->shift[j]) * p->factor[j] + p->addend[j];
    }
    return PLN_OK;
}

/* dx = factor (dy - shift - (x - mean) slope) */
static int spread_gradient(void *ctx, int64_t begin, int64_t end, uint32_t lane)
{
    const pass *p = ctx;
    (void)lane;

    for (int64_t i = begin; i < end; i++) {
        const float *x = p->x + i * p->c, *dy = p->dy + i * p->c;
        float *dx = p->out + i * p->c;
        for (int64_t j = 0; j < p->c; j++)
            dx[j] = p->factor[j] * (dy[j] - p->shift[j] - (x[j] - p->mean[j]) * p->slope[j]);
    }
    return PLN_OK;
}

/* Rows in a range of `sum`: a cut into RANGES, whatever the lanes. */
static int64_t grain_of(int64_t rows)
{
    return (rows + RANGES - 1) / RANGES;
}

/* keep[MEAN], keep[R] and the moving averages, from the batch. */
static int take_statistics(const pln_host *h, const pln_call *c, int64_t rows, int64_t channels)
{
    const batch_normalization *o = c->opts;
    pass p = {.x = c->in[0]->data, .c = channels};
    float *mean = c->keep[MEAN]->data, *r = c->keep[R]->data;
    float *moving_mean = c->state[MOVING_MEAN]->data, *moving_variance = c->state[MOVING_VARIANCE]->data;
    double sums[2 * CHANNELS];

    for (p.from = 0; p.from < channels; p.from += p.n) {
        p.n = channels - p.from < CHANNELS ? channels - p.from : CHANNELS;
        if (h->sum(h, rows, grain_of(rows), 2 * (uint32_t)p.n, sum_moments, &p, sums))
            return PLN_FAIL;
        for (int64_t j = 0; j < p.n; j++) {
            const double m = sums[j] / (double)rows, spread = sums[p.n + j] / (double)rows - m * m;
            const double variance = spread < 0 ? 0 : spread;
            const int64_t k = p.from + j;
            mean[k] = (float)m;
            r[k] = (float)(1 / __builtin_sqrt(variance + o->epsilon));
            moving_mean[k] = (float)(o->momentum * moving_mean[k] + (1 - o->momentum) * m);
            moving_variance[k] = (float)(o->momentum * moving_variance[k] + (1 - o->momentum) * variance);
        }
    }
    return PLN_OK;
}

static int forward(const pln_host *h, const pln_call *c)
{
    const batch_normalization *o = c->opts;
    const pln_tensor *in = c->in[0];
    const int64_t rows = count_rows(in), channels = in->shape[in->rank - 1];
    float *shift = c->scratch[SHIFT]->data, *factor = c->scratch[FACTOR]->data, *addend = c->scratch[ADDEND]->data;
    const float *gamma, *beta;

    params(o, c->param, &gamma, &beta);
    if (c->mode == PLN_TRAIN && take_statistics(h, c, rows, channels))
        return PLN_FAIL;
    for (int64_t j = 0; j < channels; j++) {
        float r;
        if (c->mode == PLN_TRAIN) {
            shift[j] = ((const float *)c->keep[MEAN]->data)[j];
            r = ((const float *)c->keep[R]->data)[j];
        } else {
            shift[j] = ((const float *)c->state[MOVING_MEAN]->data)[j];
            r = (float)(1 / __builtin_sqrt(((const float *)c->state[MOVING_VARIANCE]->data)[j] + o->epsilon));
        }
        factor[j] = gamma ? gamma[j] * r : r;
        addend[j] = beta ? beta[j] : 0;
    }
    pass p = {.x = in->data, .out = c->out[0]->data, .c = channels, .shift = shift, .factor = factor, .addend = addend};
    return h->parallel_for(h, rows, 1 + 8192 / channels, normalize, &p);
}

static void add_gradient(float *to, int64_t j, float beta, double g)
{
    if (to)
        to[j] = beta == 0 ? (float)g : beta * to[j] + (float)g;
}

static int backward(const pln_host *h, const pln_call *c)
{
    const batch_normalization *o = c->opts;
    const pln_tensor *in = c->in[0];
    const int64_t rows = count_rows(in), channels = in->shape[in->rank - 1];
    float *shift = c->scratch[SHIFT]->data, *factor = c->scratch[FACTOR]->data, *slope = c->scratch[ADDEND]->data;
    const float *mean = c->keep[MEAN]->data, *r = c->keep[R]->data, *gamma, *beta;
    float *dgamma = o->scale ? data_of(c->dparam[0]) : NULL;
    float *dbeta = o->center ? data_of(c->dparam[o->scale ? 1 : 0]) : NULL;
    pass p = {.x = in->data, .dy = c->dout[0]->data, .c = channels, .mean = mean, .r = r};
    double sums[2 * CHANNELS];

    params(o, c->param, &gamma, &beta);
    for (p.from = 0; p.from < channels; p.from += p.n) {
        p.n = channels - p.from < CHANNELS ? channels - p.from : CHANNELS;
        if (h->sum(h, rows, grain_of(rows), 2 * (uint32_t)p.n, sum_gradients, &p, sums))
            return PLN_FAIL;
        for (int64_t j = 0; j < p.n; j++) {
            const int64_t k = p.from + j;
            shift[k] = (float)(sums[j] / (double)rows);
            slope[k] = (float)(sums[p.n + j] / (double)rows * r[k]);
            factor[k] = gamma ? gamma[k] * r[k] : r[k];
            add_gradient(dbeta, k, c->beta, sums[j]);
            add_gradient(dgamma, k, c->beta, sums[p.n + j]);
        }
    }
    if (!c->din[0])
        return PLN_OK;
    p.out = c->din[0]->data;
    p.shift = shift;
    p.factor = factor;
    p.slope = slope;
    return h->parallel_for(h, rows, 1 + 8192 / channels, spread_gradient, &p);
}

static const pln_layer batch_normalization_layer = {
    .size = PLN_SIZE_TO(pln_layer, backward),
    .kind = PLN_LAYER,
    .id = "org.perilune.batch_normalization",
    .name = "BatchNormalization",
    .help = "gives every channel mean 0 and variance 1 over the batch, then a trained gain and shift",
    .version = 1,
    .flags = PLN_SAMPLEWISE_INFER,
    .noptions = sizeof options / sizeof options[0],
    .options = options,
    .option_stride = sizeof options[0],
    .opts_size = sizeof(batch_normalization),
    .min_in = 1,
    .max_in = 1,
    .plan = plan,
    .forward = forward,
    .backward = backward,
};

PLN_PLUGIN("org.perilune.batch_normalization", "1.0", "MIT", &batch_normalization_layer);

/* layer_normalization.c: LayerNormalization over the last axis (Ba, Kiros and Hinton 2016; numbers as in Keras 3).
 *
 *     x, y [rows,c]: all axes but the last are rows        gamma, beta [c]
 *
 *     of each row   mean = sum(x) / c        var = sum((x - mean)^2) / c        r = 1 / sqrt(var + epsilon)
 *     x^     = (x - mean) r
 *     y      = x^ gamma + beta
 *     dbeta  = sum of dy over the rows       dgamma = sum of dy x^ over the rows
 *     dx     = r (g - mean(g) - x^ mean(g x^))   with g = dy gamma, the means over the row
 *
 * Backward takes mean and r from x again rather than keeping them: a row is in the cache by then anyway. */
#include "perilune/plugin.h"

typedef struct layer_normalization {
    int64_t axis, center, scale;
    double epsilon;
    const char *beta_initializer, *gamma_initializer;
} layer_normalization;

static const pln_option options[] = {
    {"axis", "the axis that is normalized: only the last one, -1", PLN_INT, 0, offsetof(layer_normalization, axis),
     .dflt = -1, .lo = -1, .hi = PLN_RANK - 1},
    {"epsilon", "added to the variance, so that nothing is divided by 0", PLN_REAL, PLN_OPEN_LO,
     offsetof(layer_normalization, epsilon), .dflt = 1e-3, .lo = 0, .hi = 1},
    {"center", "add a trained beta", PLN_BOOL, 0, offsetof(layer_normalization, center), .dflt = 1},
    {"scale", "multiply by a trained gamma", PLN_BOOL, 0, offsetof(layer_normalization, scale), .dflt = 1},
    {"beta_initializer", "how beta [c] begins", PLN_TEXT, PLN_INITIALIZER,
     offsetof(layer_normalization, beta_initializer), .dflt_text = "zeros"},
    {"gamma_initializer", "how gamma [c] begins", PLN_TEXT, PLN_INITIALIZER,
     offsetof(layer_normalization, gamma_initializer), .dflt_text = "ones"},
};

static int plan(const pln_host *h, pln_plan *p, const void *opts, int mode, const pln_slot *const *in, uint32_t nin)
{
    const layer_normalization *o = opts;
    const pln_slot *x = in[0];
    pln_slot y = {.size = PLN_SIZE_TO(pln_slot, shape), .kind = PLN_OUTPUT, .dtype = PLN_F32, .rank = x->rank};
    (void)mode, (void)nin;

    if (x->rank < 2)
        return h->refuse(h, p, "needs samples of at least one dimension, got single numbers");
    if (o->axis != -1 && o->axis != (int64_t)x->rank - 1)
        return h->refuse(h, p, "axis %d is not the last one; write axis = -1", (int)o->axis);
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
    return PLN_OK;
}

static int64_t count_rows(const pln_tensor *t)
{
    int64_t rows = 1;
    for (uint32_t i = 0; i + 1 < t->rank; i++)
        rows *= t->shape[i];
    return rows;
}

/* gamma and beta, or their gradients; NULL where there is none. */
static float *gamma_of(const layer_normalization *o, const pln_tensor *const *p)
{
    return o->scale && p[0] ? p[0]->data : NULL;
}

static float *beta_of(const layer_normalization *o, const pln_tensor *const *p)
{
    const int i = o->scale ? 1 : 0;
    return o->center && p[i] ? p[i]->data : NULL;
}

/* Sums of a row run in PARTS chains, which become vectors; a single chain of additions would wait for itself. */
#define PARTS 8

static double add_up(const double part[PARTS])
{
    return ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
}

static double sum(int64_t n, const float *x)
{
    double part[PARTS] = {0};
    int64_t j = 0;

    for (; j + PARTS <= n; j += PARTS)
        for (int64_t k = 0; k < PARTS; k++)
            part[k] += x[j + k];
    for (; j < n; j++)
        part[j % PARTS] += x[j];
    return add_up(part);
}

/* sum of (a - shift) b */
static double dot(int64_t n, const float *a, double shift, const float *b)
{
    double part[PARTS] = {0};
    int64_t j = 0;

    for (; j + PARTS <= n; j += PARTS)
        for (int64_t k = 0; k < PARTS; k++)
            part[k] += (a[j + k] - shift) * b[j + k];
    for (; j < n; j++)
        part[j % PARTS] += (a[j] - shift) * b[j];
    return add_up(part);
}

typedef struct statistics {
    float mean, r;
} statistics;

/* sum((x - mean)^2) = sum((x - mean) x), for the exact mean */
static statistics take(int64_t c, const float *x, double epsilon)
{
    const double mean = sum(c, x) / (double)c, variance = dot(c, x, mean, x) / (double)c;

    return (statistics){(float)mean, (float)(1 / __builtin_sqrt((variance < 0 ? 0 : variance) + epsilon))};
}

static int forward(const pln_host *h, const pln_call *c)
{
    const layer_normalization *o = c->opts;
    const pln_tensor *in = c->in[0];
    const int64_t rows = count_rows(in), n = in->shape[in->rank - 1];
    const float *x = in->data, *gamma = gamma_of(o, c->param), *beta = beta_of(o, c->param);
    float *y = c->out[0]->data;
    (void)h;

    for (int64_t i = 0; i < rows; i++, x += n, y += n) {
        const statistics s = take(n, x, o->epsilon);
        for (int64_t j = 0; j < n; j++)
            y[j] = (x[j] - s.mean) * s.r;
        for (int64_t j = 0; gamma && j < n; j++)
            y[j] *= gamma[j];
        for (int64_t j = 0; beta && j < n; j++)
            y[j] += beta[j];
    }
    return PLN_OK;
}

/* What dparam holds before the first row is added: beta times what was there. */
static void begin_gradient(int64_t n, float beta, float *g)
{
    for (int64_t j = 0; g && j < n; j++)
        g[j] = beta == 0 ? 0 : beta * g[j];
}

/* dx of one row, which holds g until the sums over it are known. */
static void row_gradient(int64_t n, const float *x, const float *dy, const float *gamma, statistics s, float *dx)
{
    for (int64_t j = 0; j < n; j++)
        dx[j] = dy[j];
    for (int64_t j = 0; gamma && j < n; j++)
        dx[j] *= gamma[j];
    const float mean = (float)(sum(n, dx) / (double)n);
    const float slope = (float)(dot(n, x, s.mean, dx) * s.r / (double)n) * s.r;
    for (int64_t j = 0; j < n; j++)
        dx[j] = s.r * (dx[j] - mean - (x[j] - s.mean) * slope);
}

static int backward(const pln_host *h, const pln_call *c)
{
    const layer_normalization *o = c->opts;
    const pln_tensor *in = c->in[0];
    const int64_t rows = count_rows(in), n = in->shape[in->rank - 1];
    const pln_tensor *const *dparam = (const pln_tensor *const *)c->dparam;
    const float *x = in->data, *dy = c->dout[0]->data, *gamma = gamma_of(o, c->param);
    float *dgamma = gamma_of(o, dparam), *dbeta = beta_of(o, dparam), *dx = c->din[0] ? c->din[0]->data : NULL;
    (void)h;

    begin_gradient(n, c->beta, dgamma);
    begin_gradient(n, c->beta, dbeta);
    for (int64_t i = 0; i < rows; i++, x += n, dy += n) {
        const statistics s = take(n, x, o->epsilon);
        for (int64_t j = 0; dgamma && j < n; j++)
            dgamma[j] += dy[j] * ((x[j] - s.mean) * s.r);
        for (int64_t j = 0; dbeta && j < n; j++)
            dbeta[j] += dy[j];
        if (dx)
            row_gradient(n, x, dy, gamma, s, dx + i * n);
    }
    return PLN_OK;
}

static const pln_layer layer_normalization_layer = {
    .size = PLN_SIZE_TO(pln_layer, backward),
    .kind = PLN_LAYER,
    .id = "org.perilune.layer_normalization",
    .name = "LayerNormalization",
    .help = "gives every row of features mean 0 and variance 1, then a trained gain and shift",
    .version = 1,
    .flags = PLN_SAMPLEWISE,
    .noptions = sizeof options / sizeof options[0],
    .options = options,
    .option_stride = sizeof options[0],
    .opts_size = sizeof(layer_normalization),
    .min_in = 1,
    .max_in = 1,
    .plan = plan,
    .forward = forward,
    .backward = backward,
};

PLN_PLUGIN("org.perilune.layer_normalization", "1.0", "MIT", &layer_normalization_layer);

/* relu_layers.c: ReLU, LeakyReLU and ELU, the activations that have options.
 *
 *                y                                       dx / dy
 *     ReLU       max_value          if x >= max_value    0
 *                x                  if x >= threshold    1
 *                slope (x - threshold)      otherwise    slope
 *     LeakyReLU  x > 0 ? x : slope x                     y > 0 ? 1 : slope
 *     ELU        x > 0 ? x : alpha (e^x - 1)             y > 0 ? 1 : y + alpha
 *
 * ReLU reads x in backward; the other two need y alone and may overwrite their input. */
#include "perilune/plugin.h"

/* For every element.  gcc makes vectors of all these loops (with -fno-trapping-math of the ?: too). */
#define EACH for (int64_t i = 0; i < n; i++)

#define BLOCK 512

typedef struct relu {
    double max_value, negative_slope, threshold;
} relu;

typedef struct leaky_relu {
    double negative_slope;
} leaky_relu;

typedef struct elu {
    double alpha;
} elu;

static const pln_option relu_options[] = {
    {"max_value", "where the output stops to grow; 0: nowhere", PLN_REAL, 0, offsetof(relu, max_value), .lo = 0,
     .hi = 1e30},
    {"negative_slope", "slope below the threshold", PLN_REAL, 0, offsetof(relu, negative_slope), .lo = 0, .hi = 1e30},
    {"threshold", "where the output begins to follow the input", PLN_REAL, 0, offsetof(relu, threshold), .lo = 0,
     .hi = 1e30},
};

static const pln_option leaky_relu_options[] = {
    {"negative_slope", "slope below 0", PLN_REAL, PLN_POSITIONAL, offsetof(leaky_relu, negative_slope), .dflt = 0.3,
     .lo = 0, .hi = 1e30},
};

static const pln_option elu_options[] = {
    {"alpha", "minus the limit for very negative inputs", PLN_REAL, PLN_POSITIONAL, offsetof(elu, alpha), .dflt = 1,
     .lo = 0, .hi = 1e30},
};

static int plan_like(const pln_host *h, pln_plan *p, const pln_slot *x, uint32_t flags)
{
    pln_slot y = {.size = PLN_SIZE_TO(pln_slot, shape), .kind = PLN_OUTPUT, .flags = flags, .index = 0};

    y.dtype = PLN_F32;
    y.rank = x->rank;
    y.time_axis = x->time_axis;
    for (uint32_t i = 0; i < x->rank; i++)
        y.shape[i] = x->shape[i];
    return h->slot(h, p, &y);
}

static int plan_relu(const pln_host *h, pln_plan *p, const void *opts, int mode, const pln_slot *const *in,
                     uint32_t nin)
{
    const relu *o = opts;
    (void)mode, (void)nin;

    if (o->max_value != 0 && o->max_value < o->threshold)
        return h->refuse(h, p, "max_value %g lies below threshold %g", o->max_value, o->threshold);
    return plan_like(h, p, in[0], 0) || PLN_SLOT(h, p, .kind = PLN_KEEP_INPUT, .index = 0);
}

static int plan_in_place(const pln_host *h, pln_plan *p, const void *opts, int mode, const pln_slot *const *in,
                         uint32_t nin)
{
    (void)opts, (void)mode, (void)nin;
    return plan_like(h, p, in[0], PLN_IN_PLACE) || PLN_SLOT(h, p, .kind = PLN_KEEP_OUTPUT, .index = 0);
}

static int64_t count(const pln_tensor *t)
{
    int64_t n = 1;
    for (uint32_t i = 0; i < t->rank; i++)
        n *= t->shape[i];
    return n;
}

static int relu_forward(const pln_host *h, const pln_call *c)
{
    const relu *o = c->opts;
    const float slope = (float)o->negative_slope, low = (float)o->threshold;
    const float high = o->max_value == 0 ? 3.4e38f : (float)o->max_value, *x = c->in[0]->data;
    float *y = c->out[0]->data;
    int64_t n = count(c->in[0]);
    (void)h;

    EACH y[i] = x[i] < low ? slope * (x[i] - low) : x[i] >= high ? high : x[i];
    return PLN_OK;
}

static int relu_backward(const pln_host *h, const pln_call *c)
{
    const relu *o = c->opts;
    const float slope = (float)o->negative_slope, low = (float)o->threshold;
    const float high = o->max_value == 0 ? 3.4e38f : (float)o->max_value;
    const float *x = c->in[0]->data, *dy = c->dout[0]->data;
    int64_t n = count(c->dout[0]);
    (void)h;

    if (!c->din[0])
        return PLN_OK;
    float *dx = c->din[0]->data;
    EACH dx[i] = (x[i] < low ? slope : x[i] >= high ? 0 : 1) * dy[i];
    return PLN_OK;
}

static int leaky_relu_forward(const pln_host *h, const pln_call *c)
{
    const leaky_relu *o = c->opts;
    const float slope = (float)o->negative_slope, *x = c->in[0]->data;
    float *y = c->out[0]->data;
    int64_t n = count(c->in[0]);
    (void)h;

    EACH y[i] = x[i] > 0 ? x[i] : slope * x[i];
    return PLN_OK;
}

static int leaky_relu_backward(const pln_host *h, const pln_call *c)
{
    const leaky_relu *o = c->opts;
    const float slope = (float)o->negative_slope, *y = c->out[0]->data, *dy = c->dout[0]->data;
    int64_t n = count(c->dout[0]);
    (void)h;

    if (!c->din[0])
        return PLN_OK;
    float *dx = c->din[0]->data;
    EACH dx[i] = (y[i] > 0 ? 1 : slope) * dy[i];
    return PLN_OK;
}

static int elu_forward(const pln_host *h, const pln_call *c)
{
    const elu *o = c->opts;
    const float alpha = (float)o->alpha, *x = c->in[0]->data;
    float *y = c->out[0]->data, t[BLOCK];

    for (int64_t left = count(c->in[0]), n; left > 0; left -= n, x += n, y += n) {
        n = left < BLOCK ? left : BLOCK;
        EACH t[i] = x[i] > 0 ? 0 : x[i];
        if (h->map(h, PLN_MAP_EXPM1, n, t, t))
            return PLN_FAIL;
        EACH y[i] = (x[i] > 0 ? x[i] : 0) + alpha * t[i];
    }
    return PLN_OK;
}

static int elu_backward(const pln_host *h, const pln_call *c)
{
    const elu *o = c->opts;
    const float alpha = (float)o->alpha, *y = c->out[0]->data, *dy = c->dout[0]->data;
    int64_t n = count(c->dout[0]);
    (void)h;

    if (!c->din[0])
        return PLN_OK;
    float *dx = c->din[0]->data;
    EACH dx[i] = (y[i] > 0 ? 1 : y[i] + alpha) * dy[i];
    return PLN_OK;
}

#define SHARED(table, type)                                                                                            \
    .size = PLN_SIZE_TO(pln_layer, backward), .kind = PLN_LAYER, .version = 1, .flags = PLN_SAMPLEWISE, .min_in = 1,   \
    .max_in = 1, .noptions = sizeof table / sizeof table[0], .options = table, .option_stride = sizeof table[0],       \
    .opts_size = sizeof(type)

static const pln_layer relu_layer = {
    SHARED(relu_options, relu),
    .id = "org.perilune.relu_layer",
    .name = "ReLU",
    .help = "max(x, 0), with an upper bound, a slope below and a threshold where wanted",
    .plan = plan_relu,
    .forward = relu_forward,
    .backward = relu_backward,
};

static const pln_layer leaky_relu_layer = {
    SHARED(leaky_relu_options, leaky_relu),
    .id = "org.perilune.leaky_relu_layer",
    .name = "LeakyReLU",
    .help = "x where positive, a small multiple of it elsewhere",
    .plan = plan_in_place,
    .forward = leaky_relu_forward,
    .backward = leaky_relu_backward,
};

static const pln_layer elu_layer = {
    SHARED(elu_options, elu),
    .id = "org.perilune.elu_layer",
    .name = "ELU",
    .help = "x where positive, alpha (e^x - 1) elsewhere",
    .plan = plan_in_place,
    .forward = elu_forward,
    .backward = elu_backward,
};

PLN_PLUGIN("org.perilune.relu_layers", "1.0", "MIT", &relu_layer, &leaky_relu_layer, &elu_layer);

/* activations.c: functions of single elements, y[i] = f(x[i]), as layers without options.
 *
 * Each is two formulas on short blocks: y from x, and dx from dy and whichever of x and y its derivative is written in.
 * Those that need y alone may overwrite their input (PLN_IN_PLACE), which saves memory and a trip through it.
 *
 *     name         y                                   dx / dy
 *     linear       x                                   1                          (a view)
 *     relu         max(x, 0)                           y > 0 ? 1 : 0
 *     leaky_relu   x > 0 ? x : x / 5                   y > 0 ? 1 : 1/5
 *     elu          x > 0 ? x : e^x - 1                 y > 0 ? 1 : y + 1
 *     selu         S (x > 0 ? x : A (e^x - 1))         y > 0 ? S : y + S A        (Klambauer et al. 2017)
 *     exponential  e^x                                 y
 *     sigmoid      1 / (1 + e^-x)                      y (1 - y)
 *     tanh         tanh(x)                             1 - y^2
 *     softplus     log(1 + e^x)                        1 - e^-y
 *     softsign     x / (1 + |x|)                       (1 - |y|)^2
 *     silu         x s, s = sigmoid(x)                 s (1 + x (1 - s))
 *     gelu         x P, P = (1 + erf(x / sqrt 2)) / 2  P + x e^(-x^2 / 2) / sqrt(2 pi)
 *
 * e^x, tanh and the like come from the host's map, whose bits are the same on every machine; libm's are not. */
#include "perilune/plugin.h"

#define BLOCK 512 /* elements at a time: temporaries live on the stack, in the first-level cache */

/* For every element.  gcc makes vectors of all these loops (with -fno-trapping-math of the ?: too). */
#define EACH for (int64_t i = 0; i < n; i++)

/* y = f(x) on n <= BLOCK elements; y may be x. */
typedef int block_forward(const pln_host *h, int64_t n, const float *x, float *y);
/* dx = dy f' on n <= BLOCK elements, with f' from v, which is x or y; dx may be dy. */
typedef int block_backward(const pln_host *h, int64_t n, const float *v, const float *dy, float *dx);

static int relu_y(const pln_host *h, int64_t n, const float *x, float *y)
{
    (void)h;
    EACH y[i] = x[i] < 0 ? 0 : x[i]; /* this way round a NaN stays one */
    return PLN_OK;
}

static int relu_dx(const pln_host *h, int64_t n, const float *y, const float *dy, float *dx)
{
    (void)h;
    EACH dx[i] = (y[i] > 0 ? 1.0f : 0.0f) * dy[i];
    return PLN_OK;
}

static int leaky_relu_y(const pln_host *h, int64_t n, const float *x, float *y)
{
    (void)h;
    EACH y[i] = x[i] > 0 ? x[i] : 0.2f * x[i];
    return PLN_OK;
}

static int leaky_relu_dx(const pln_host *h, int64_t n, const float *y, const float *dy, float *dx)
{
    (void)h;
    EACH dx[i] = (y[i] > 0 ? 1 : 0.2f) * dy[i];
    return PLN_OK;
}

static int elu_y(const pln_host *h, int64_t n, const float *x, float *y)
{
    float t[BLOCK] = {0};

    EACH t[i] = x[i] > 0 ? 0 : x[i];
    if (h->map(h, PLN_MAP_EXPM1, n, t, t))
        return PLN_FAIL;
    EACH y[i] = (x[i] > 0 ? x[i] : 0) + t[i];
    return PLN_OK;
}

static int elu_dx(const pln_host *h, int64_t n, const float *y, const float *dy, float *dx)
{
    (void)h;
    EACH dx[i] = (y[i] > 0 ? 1 : y[i] + 1) * dy[i];
    return PLN_OK;
}

#define SELU_S  1.05070099f
#define SELU_SA 1.75809935f /* S times A = 1.67326324 */

static int selu_y(const pln_host *h, int64_t n, const float *x, float *y)
{
    float t[BLOCK] = {0};

    EACH t[i] = x[i] > 0 ? 0 : x[i];
    if (h->map(h, PLN_MAP_EXPM1, n, t, t))
        return PLN_FAIL;
    EACH y[i] = SELU_S * (x[i] > 0 ? x[i] : 0) + SELU_SA * t[i];
    return PLN_OK;
}

static int selu_dx(const pln_host *h, int64_t n, const float *y, const float *dy, float *dx)
{
    (void)h;
    EACH dx[i] = (y[i] > 0 ? SELU_S : y[i] + SELU_SA) * dy[i];
    return PLN_OK;
}

static int exponential_y(const pln_host *h, int64_t n, const float *x, float *y)
{
    return h->map(h, PLN_MAP_EXP, n, x, y);
}

static int exponential_dx(const pln_host *h, int64_t n, const float *y, const float *dy, float *dx)
{
    (void)h;
    EACH dx[i] = y[i] * dy[i];
    return PLN_OK;
}

static int sigmoid_y(const pln_host *h, int64_t n, const float *x, float *y)
{
    return h->map(h, PLN_MAP_SIGMOID, n, x, y);
}

static int sigmoid_dx(const pln_host *h, int64_t n, const float *y, const float *dy, float *dx)
{
    (void)h;
    EACH dx[i] = y[i] * (1 - y[i]) * dy[i];
    return PLN_OK;
}

static int tanh_y(const pln_host *h, int64_t n, const float *x, float *y)
{
    return h->map(h, PLN_MAP_TANH, n, x, y);
}

static int tanh_dx(const pln_host *h, int64_t n, const float *y, const float *dy, float *dx)
{
    (void)h;
    EACH dx[i] = (1 - y[i] * y[i]) * dy[i];
    return PLN_OK;
}

/* log(1 + e^x) = max(x, 0) + log(1 + e^-|x|), where nothing overflows. */
static int softplus_y(const pln_host *h, int64_t n, const float *x, float *y)
{
    float t[BLOCK];

    EACH t[i] = x[i] > 0 ? -x[i] : x[i];
    if (h->map(h, PLN_MAP_EXP, n, t, t) || h->map(h, PLN_MAP_LOG1P, n, t, t))
        return PLN_FAIL;
    EACH y[i] = (x[i] < 0 ? 0 : x[i]) + t[i];
    return PLN_OK;
}

static int softplus_dx(const pln_host *h, int64_t n, const float *y, const float *dy, float *dx)
{
    float t[BLOCK] = {0};

    EACH t[i] = -y[i];
    if (h->map(h, PLN_MAP_EXPM1, n, t, t))
        return PLN_FAIL;
    EACH dx[i] = -t[i] * dy[i];
    return PLN_OK;
}

static int softsign_y(const pln_host *h, int64_t n, const float *x, float *y)
{
    (void)h;
    EACH y[i] = x[i] / (1 + (x[i] < 0 ? -x[i] : x[i]));
    return PLN_OK;
}

static int softsign_dx(const pln_host *h, int64_t n, const float *y, const float *dy, float *dx)
{
    (void)h;
    EACH
    {
        float t = 1 - (y[i] < 0 ? -y[i] : y[i]);
        dx[i] = t * t * dy[i];
    }
    return PLN_OK;
}

static int silu_y(const pln_host *h, int64_t n, const float *x, float *y)
{
    float s[BLOCK];

    if (h->map(h, PLN_MAP_SIGMOID, n, x, s))
        return PLN_FAIL;
    EACH y[i] = x[i] * s[i];
    return PLN_OK;
}

static int silu_dx(const pln_host *h, int64_t n, const float *x, const float *dy, float *dx)
{
    float s[BLOCK];

    if (h->map(h, PLN_MAP_SIGMOID, n, x, s))
        return PLN_FAIL;
    EACH dx[i] = s[i] * (1 + x[i] * (1 - s[i])) * dy[i];
    return PLN_OK;
}

/* t = erf(x / sqrt 2) */
static int gelu_erf(const pln_host *h, int64_t n, const float *x, float *t)
{
    EACH t[i] = x[i] * 0.70710678f;
    return h->map(h, PLN_MAP_ERF, n, t, t);
}

static int gelu_y(const pln_host *h, int64_t n, const float *x, float *y)
{
    float t[BLOCK] = {0};

    if (gelu_erf(h, n, x, t))
        return PLN_FAIL;
    EACH y[i] = 0.5f * x[i] * (1 + t[i]);
    return PLN_OK;
}

static int gelu_dx(const pln_host *h, int64_t n, const float *x, const float *dy, float *dx)
{
    float t[BLOCK] = {0}, e[BLOCK] = {0};

    EACH e[i] = -0.5f * x[i] * x[i];
    if (gelu_erf(h, n, x, t) || h->map(h, PLN_MAP_EXP, n, e, e))
        return PLN_FAIL;
    EACH dx[i] = (0.5f * (1 + t[i]) + 0.39894228f * x[i] * e[i]) * dy[i];
    return PLN_OK;
}

/* ----------------------------------------------------------------------------------------- what all share ---- */

static int64_t count(const pln_tensor *t)
{
    int64_t n = 1;
    for (uint32_t i = 0; i < t->rank; i++)
        n *= t->shape[i];
    return n;
}

static int run_forward(const pln_host *h, const pln_call *c, block_forward *f)
{
    const float *x = c->in[0]->data;
    float *y = c->out[0]->data;

    for (int64_t i = 0, n = count(c->in[0]); i < n; i += BLOCK)
        if (f(h, n - i < BLOCK ? n - i : BLOCK, x + i, y + i))
            return PLN_FAIL;
    return PLN_OK;
}

static int run_backward(const pln_host *h, const pln_call *c, block_backward *f, const pln_tensor *kept)
{
    const float *v = kept->data, *dy = c->dout[0]->data;

    if (!c->din[0])
        return PLN_OK;
    float *dx = c->din[0]->data;
    for (int64_t i = 0, n = count(c->dout[0]); i < n; i += BLOCK)
        if (f(h, n - i < BLOCK ? n - i : BLOCK, v + i, dy + i, dx + i))
            return PLN_FAIL;
    return PLN_OK;
}

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

static int plan_view(const pln_host *h, pln_plan *p, const void *opts, int mode, const pln_slot *const *in,
                     uint32_t nin)
{
    (void)opts, (void)mode, (void)nin;
    return plan_like(h, p, in[0], PLN_VIEW);
}

static int plan_in(const pln_host *h, pln_plan *p, const void *opts, int mode, const pln_slot *const *in, uint32_t nin)
{
    (void)opts, (void)mode, (void)nin;
    return plan_like(h, p, in[0], 0) || PLN_SLOT(h, p, .kind = PLN_KEEP_INPUT, .index = 0);
}

static int plan_out(const pln_host *h, pln_plan *p, const void *opts, int mode, const pln_slot *const *in, uint32_t nin)
{
    (void)opts, (void)mode, (void)nin;
    return plan_like(h, p, in[0], PLN_IN_PLACE) || PLN_SLOT(h, p, .kind = PLN_KEEP_OUTPUT, .index = 0);
}

/* What the table of layers is made of: `kept` is in or out, what backward reads. */
#define FUNCTIONS(word, kept)                                                                                          \
    static int word##_forward(const pln_host *h, const pln_call *c)                                                    \
    {                                                                                                                  \
        return run_forward(h, c, word##_y);                                                                            \
    }                                                                                                                  \
    static int word##_backward(const pln_host *h, const pln_call *c)                                                   \
    {                                                                                                                  \
        return run_backward(h, c, word##_dx, c->kept[0]);                                                              \
    }

#define LAYER(word, text, ...)                                                                                         \
    static const pln_layer word##_layer = {.size = PLN_SIZE_TO(pln_layer, backward),                                   \
                                           .kind = PLN_LAYER,                                                          \
                                           .id = "org.perilune." #word,                                                \
                                           .name = #word,                                                              \
                                           .help = text,                                                               \
                                           .version = 1,                                                               \
                                           .flags = PLN_SAMPLEWISE,                                                    \
                                           .min_in = 1,                                                                \
                                           .max_in = 1,                                                                \
                                           __VA_ARGS__}

#define ACTIVATION(word, kept, joined, text)                                                                           \
    FUNCTIONS(word, kept)                                                                                              \
    LAYER(word, text, .link = joined, .plan = plan_##kept, .forward = word##_forward, .backward = word##_backward)

ACTIVATION(relu, out, NULL, "max(x, 0)");
ACTIVATION(leaky_relu, out, NULL, "x where positive, x / 5 elsewhere");
ACTIVATION(elu, out, NULL, "x where positive, e^x - 1 elsewhere");
ACTIVATION(selu, out, NULL, "elu, scaled so that deep nets of it keep mean 0 and variance 1");
ACTIVATION(exponential, out, NULL, "e^x");
ACTIVATION(sigmoid, out, "pln.logits.sigmoid", "1 / (1 + e^-x): a number between 0 and 1");
ACTIVATION(tanh, out, NULL, "hyperbolic tangent: a number between -1 and 1");
ACTIVATION(softplus, out, NULL, "log(1 + e^x), a smooth relu");
ACTIVATION(softsign, out, NULL, "x / (1 + |x|): a number between -1 and 1");
ACTIVATION(silu, in, NULL, "x sigmoid(x), also called swish");
ACTIVATION(gelu, in, NULL, "x times the share of a normal distribution that lies below x (exact, with erf)");
LAYER(linear, "x, unchanged", .plan = plan_view);

static const void *const descriptors[] = {
    &linear_layer,  &relu_layer, &leaky_relu_layer, &elu_layer,      &selu_layer,     &exponential_layer,
    &sigmoid_layer, &tanh_layer, &silu_layer,       &softplus_layer, &softsign_layer, &gelu_layer,
    NULL,
};

const pln_plugin perilune_plugin = {
    .magic = PLN_MAGIC,
    .size = PLN_SIZE_TO(pln_plugin, descriptors),
    .major = PLN_MAJOR,
    .minor = PLN_MINOR,
    .id = "org.perilune.activations",
    .version = "1.0",
    .licence = "MIT",
    .descriptors = descriptors,
};

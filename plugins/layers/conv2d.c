/* conv2d.c: Conv2D, a two-dimensional convolution (cross-correlation, as in Keras).
 *
 *     x [n,h,w,c]   kernel [kh,kw,c/groups,f]   bias [f]   y [n,oh,ow,f]
 *
 *     y[.,i,j,.]    = bias + sum over u, v of x[., i*sh + u*dh - lo, j*sw + v*dw - lo, .] kernel[u,v,.,.]
 *     dx, dkernel   = the same sum, read for the other two
 *     dbias         = sum of dy over n, oh and ow
 *
 * Taps outside of the picture are zero.  With an effective kernel k = (kernel_size - 1) * dilation + 1:
 *     "valid"   o = (in - k) / stride + 1, no padding
 *     "same"    o = ceil(in / stride), padding max((o - 1) * stride + k - in, 0), the smaller half before (TensorFlow's
 *               rule: a strided convolution pads like Keras, not like PyTorch)
 *
 * The host's conv does the arithmetic; this file is the geometry. */
#include "perilune/plugin.h"

typedef struct conv2d {
    int64_t filters, kernel_size[2], strides[2], padding, dilation_rate[2], groups, use_bias;
    const char *kernel_initializer, *bias_initializer;
} conv2d;

enum { VALID, SAME };
static const char *const paddings[] = {"valid", "same", NULL};

static const pln_option options[] = {
    {"filters", "number of output channels", PLN_INT, PLN_REQUIRED, offsetof(conv2d, filters), .lo = 1, .hi = 1 << 20},
    {"kernel_size", "height and width of the kernel", PLN_INTS, PLN_REQUIRED | PLN_SPREAD,
     offsetof(conv2d, kernel_size), 2, .lo = 1, .hi = 1 << 16},
    {"strides", "steps between neighbouring outputs, down and across", PLN_INTS, PLN_SPREAD, offsetof(conv2d, strides),
     2, .dflt = 1, .lo = 1, .hi = 1 << 16},
    {"padding", "\"valid\": whole windows only; \"same\": outputs = ceil(inputs / stride)", PLN_CHOICE, 0,
     offsetof(conv2d, padding), .choices = paddings},
    {"dilation_rate", "distance between neighbouring taps of the kernel", PLN_INTS, PLN_SPREAD,
     offsetof(conv2d, dilation_rate), 2, .dflt = 1, .lo = 1, .hi = 1 << 16},
    {"groups", "cut the channels into so many groups, each with its own filters", PLN_INT, 0, offsetof(conv2d, groups),
     .dflt = 1, .lo = 1, .hi = 1 << 20},
    {"use_bias", "add a trained number to each output channel", PLN_BOOL, 0, offsetof(conv2d, use_bias), .dflt = 1},
    {"kernel_initializer", "how the kernel [kh, kw, c / groups, filters] begins", PLN_TEXT, PLN_INITIALIZER,
     offsetof(conv2d, kernel_initializer), .dflt_text = "glorot_uniform"},
    {"bias_initializer", "how the bias [filters] begins", PLN_TEXT, PLN_INITIALIZER, offsetof(conv2d, bias_initializer),
     .dflt_text = "zeros"},
};

enum { KERNEL, BIAS }; /* param, in the order in which plan declares them */

/* One axis: `in` places, what is padded before and after them, and `out` windows. */
typedef struct axis {
    int64_t out, lo, hi;
} axis;

static axis lay_out(const conv2d *o, int i, int64_t in)
{
    int64_t k = (o->kernel_size[i] - 1) * o->dilation_rate[i] + 1, stride = o->strides[i];
    axis a = {0};

    if (o->padding == SAME) {
        a.out = (in + stride - 1) / stride;
        int64_t total = (a.out - 1) * stride + k - in;
        a.lo = total > 0 ? total / 2 : 0;
        a.hi = total > 0 ? total - a.lo : 0;
    } else if (in >= k) {
        a.out = (in - k) / stride + 1;
    }
    return a;
}

static int refuse_shape(const pln_host *h, pln_plan *p, const pln_slot *x)
{
    const long long a = x->shape[1], b = x->shape[2];

    if (x->rank == 2)
        return h->refuse(h, p,
                         "needs 3 dimensions [height, width, channels], got [%lld]; "
                         "put nn.Reshape { height, width, channels } before it",
                         a);
    if (x->rank == 3)
        return h->refuse(h, p,
                         "needs 3 dimensions [height, width, channels], got [%lld, %lld]; "
                         "put nn.Reshape { %lld, %lld, 1 } before it",
                         a, b, a, b);
    return h->refuse(h, p, "needs 3 dimensions [height, width, channels], got %d", (int)x->rank - 1);
}

static int plan(const pln_host *h, pln_plan *p, const void *opts, int mode, const pln_slot *const *in, uint32_t nin)
{
    const conv2d *o = opts;
    const pln_slot *x = in[0];
    (void)mode, (void)nin;

    if (x->rank != 4)
        return refuse_shape(h, p, x);
    const long long height = x->shape[1], width = x->shape[2], channels = x->shape[3];
    if (channels % o->groups != 0 || o->filters % o->groups != 0)
        return h->refuse(h, p, "groups %lld must divide both the %lld input channels and the %lld filters",
                         (long long)o->groups, channels, (long long)o->filters);
    const axis down = lay_out(o, 0, height), across = lay_out(o, 1, width);
    if (down.out < 1 || across.out < 1)
        return h->refuse(h, p,
                         "a kernel of %lld x %lld (dilation %lld x %lld) does not fit into an input of %lld x %lld; "
                         "make it smaller, or write padding = \"same\"",
                         (long long)o->kernel_size[0], (long long)o->kernel_size[1], (long long)o->dilation_rate[0],
                         (long long)o->dilation_rate[1], height, width);

    if (PLN_SLOT(h, p, .kind = PLN_OUTPUT, .dtype = PLN_F32, .rank = 4,
                 .shape = {PLN_BATCH, down.out, across.out, o->filters}) ||
        PLN_SLOT(h, p, .kind = PLN_KEEP_INPUT, .index = 0) ||
        PLN_SLOT(h, p, .kind = PLN_PARAM, .name = "kernel", .axes = "HWIO", .init = o->kernel_initializer,
                 .flags = PLN_GRAD_ONCE, .dtype = PLN_F32, .rank = 4,
                 .shape = {o->kernel_size[0], o->kernel_size[1], channels / o->groups, o->filters}))
        return PLN_FAIL;
    if (o->use_bias && PLN_SLOT(h, p, .kind = PLN_PARAM, .name = "bias", .axes = "O", .init = o->bias_initializer,
                                .flags = PLN_NO_DECAY, .dtype = PLN_F32, .rank = 1, .shape = {o->filters}))
        return PLN_FAIL;
    return PLN_OK;
}

/* The convolution with everything but the tensors, which differ from pass to pass. */
static pln_conv describe(const pln_call *c, uint32_t pass, const pln_tensor *x)
{
    const conv2d *o = c->opts;
    const axis down = lay_out(o, 0, x->shape[1]), across = lay_out(o, 1, x->shape[2]);

    return (pln_conv){.size = PLN_SIZE_TO(pln_conv, beta),
                      .pass = pass,
                      .groups = (uint32_t)o->groups,
                      .stride = {o->strides[0], o->strides[1]},
                      .dilation = {o->dilation_rate[0], o->dilation_rate[1]},
                      .pad_lo = {down.lo, across.lo},
                      .pad_hi = {down.hi, across.hi}};
}

static int forward(const pln_host *h, const pln_call *c)
{
    const conv2d *o = c->opts;
    pln_conv conv = describe(c, PLN_CONV_FORWARD, c->in[0]);

    conv.x = c->in[0];
    conv.w = c->param[KERNEL];
    conv.bias = o->use_bias ? c->param[BIAS] : NULL;
    conv.out = c->out[0];
    return h->conv(h, &conv);
}

static int input_gradient(const pln_host *h, const pln_call *c)
{
    pln_conv conv = describe(c, PLN_CONV_DINPUT, c->din[0]);

    conv.w = c->param[KERNEL];
    conv.y = c->dout[0];
    conv.out = c->din[0];
    return h->conv(h, &conv);
}

static int kernel_gradient(const pln_host *h, const pln_call *c, pln_tensor *dbias)
{
    pln_conv conv = describe(c, PLN_CONV_DWEIGHT, c->in[0]);

    conv.x = c->in[0];
    conv.y = c->dout[0];
    conv.out = c->dparam[KERNEL];
    conv.out_bias = dbias;
    conv.beta = c->beta;
    return h->conv(h, &conv);
}

/* The bias alone, for a frozen kernel: dy [n,oh,ow,f]. */
static void bias_gradient(const pln_tensor *dy, float beta, float *dbias)
{
    const float *g = dy->data;
    int64_t places = dy->shape[0] * dy->shape[1] * dy->shape[2], filters = dy->shape[3];

    for (int64_t j = 0; j < filters; j++)
        dbias[j] = beta == 0 ? 0 : beta * dbias[j];
    for (int64_t i = 0; i < places; i++)
        for (int64_t j = 0; j < filters; j++)
            dbias[j] += g[i * filters + j];
}

/* The input's gradient first: the kernel may be updated as soon as its own is known (PLN_GRAD_ONCE). */
static int backward(const pln_host *h, const pln_call *c)
{
    const conv2d *o = c->opts;
    pln_tensor *dbias = o->use_bias ? c->dparam[BIAS] : NULL;

    if (c->din[0] && input_gradient(h, c))
        return PLN_FAIL;
    if (c->dparam[KERNEL])
        return kernel_gradient(h, c, dbias);
    if (dbias)
        bias_gradient(c->dout[0], c->beta, dbias->data);
    return PLN_OK;
}

static const pln_layer conv2d_layer = {
    .size = PLN_SIZE_TO(pln_layer, backward),
    .kind = PLN_LAYER,
    .id = "org.perilune.conv2d",
    .name = "Conv2D",
    .help = "slides a small kernel over a picture: every output is a weighted sum of the window below it",
    .version = 1,
    .flags = PLN_SAMPLEWISE,
    .noptions = sizeof options / sizeof options[0],
    .options = options,
    .option_stride = sizeof options[0],
    .opts_size = sizeof(conv2d),
    .min_in = 1,
    .max_in = 1,
    .plan = plan,
    .forward = forward,
    .backward = backward,
};

PLN_PLUGIN("org.perilune.conv2d", "1.0", "MIT", &conv2d_layer);

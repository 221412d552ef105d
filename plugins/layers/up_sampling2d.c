/* up_sampling2d.c: UpSampling2D, which repeats the rows and columns of a picture.
 *
 *     x [n,h,w,c]   y [n, h*a, w*b, c]   with size {a, b}
 *
 *     y[.,i,j,.]  = x[., i / a, j / b, .]  (rounded down)
 *     dx[.,i,j,.] = sum of dy over the a*b places that show it */
#include "perilune/plugin.h"

typedef struct upsampling {
    int64_t size[2], interpolation;
} upsampling;

static const char *const interpolations[] = {"nearest", NULL};

static const pln_option options[] = {
    {"size", "how often each row and each column is repeated", PLN_INTS, PLN_SPREAD | PLN_POSITIONAL,
     offsetof(upsampling, size), 2, .dflt = 2, .lo = 1, .hi = 1 << 12},
    {"interpolation", "how the places between are filled", PLN_CHOICE, 0, offsetof(upsampling, interpolation),
     .choices = interpolations},
};

static int plan(const pln_host *h, pln_plan *p, const void *opts, int mode, const pln_slot *const *in, uint32_t nin)
{
    const upsampling *o = opts;
    const pln_slot *x = in[0];
    (void)mode, (void)nin;

    if (x->rank != 4)
        return h->refuse(h, p, "needs 3 dimensions [height, width, channels], got %d", (int)x->rank - 1);
    return PLN_SLOT(h, p, .kind = PLN_OUTPUT, .dtype = PLN_F32, .rank = 4,
                    .shape = {PLN_BATCH, x->shape[1] * o->size[0], x->shape[2] * o->size[1], x->shape[3]});
}

static int forward(const pln_host *h, const pln_call *c)
{
    const upsampling *o = c->opts;
    const pln_tensor *in = c->in[0], *out = c->out[0];
    const int64_t channels = in->shape[3];
    const float *x = in->data;
    float *y = out->data;
    (void)h;

    for (int64_t i = 0; i < out->shape[0] * out->shape[1]; i++) /* rows of all samples: sizes divide */
        for (int64_t j = 0; j < out->shape[2]; j++, y += channels) {
            const float *from = x + (i / o->size[0] * in->shape[2] + j / o->size[1]) * channels;
            for (int64_t k = 0; k < channels; k++)
                y[k] = from[k];
        }
    return PLN_OK;
}

static int backward(const pln_host *h, const pln_call *c)
{
    if (!c->din[0])
        return PLN_OK;
    const upsampling *o = c->opts;
    const pln_tensor *din = c->din[0], *dout = c->dout[0];
    const int64_t channels = din->shape[3];
    const float *dy = dout->data;
    float *dx = din->data;
    (void)h;

    for (int64_t i = 0; i < din->shape[0] * din->shape[1] * din->shape[2] * channels; i++)
        dx[i] = 0;
    for (int64_t i = 0; i < dout->shape[0] * dout->shape[1]; i++)
        for (int64_t j = 0; j < dout->shape[2]; j++, dy += channels) {
            float *to = dx + (i / o->size[0] * din->shape[2] + j / o->size[1]) * channels;
            for (int64_t k = 0; k < channels; k++)
                to[k] += dy[k];
        }
    return PLN_OK;
}

static const pln_layer up_sampling2d_layer = {
    .size = PLN_SIZE_TO(pln_layer, backward),
    .kind = PLN_LAYER,
    .id = "org.perilune.up_sampling2d",
    .name = "UpSampling2D",
    .help = "repeats the rows and columns of a picture",
    .version = 1,
    .flags = PLN_SAMPLEWISE,
    .noptions = sizeof options / sizeof options[0],
    .options = options,
    .option_stride = sizeof options[0],
    .opts_size = sizeof(upsampling),
    .min_in = 1,
    .max_in = 1,
    .plan = plan,
    .forward = forward,
    .backward = backward,
};

PLN_PLUGIN("org.perilune.up_sampling2d", "1.0", "MIT", &up_sampling2d_layer);

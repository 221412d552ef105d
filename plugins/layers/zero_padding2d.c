/* zero_padding2d.c: ZeroPadding2D, a frame of zeros around a picture.
 *
 *     x [n,h,w,c]   y [n, top + h + bottom, left + w + right, c]
 *
 *     y = x in the middle, 0 around it        dx = the middle of dy */
#include "perilune/plugin.h"

typedef struct padding {
    int64_t padding[4], count;
} padding;

static const pln_option options[] = {
    {"padding", "one number for all sides, {vertical, horizontal}, or {top, bottom, left, right}; 1 where not given",
     PLN_INTS, PLN_POSITIONAL, offsetof(padding, padding), 4, offsetof(padding, count), .lo = 0, .hi = 1 << 20},
};

typedef struct frame {
    int64_t top, bottom, left, right;
} frame;

static frame frame_of(const padding *o)
{
    const int64_t *p = o->padding;

    if (o->count == 4)
        return (frame){p[0], p[1], p[2], p[3]};
    if (o->count == 2)
        return (frame){p[0], p[0], p[1], p[1]};
    if (o->count == 1)
        return (frame){p[0], p[0], p[0], p[0]};
    return (frame){1, 1, 1, 1};
}

static int plan(const pln_host *h, pln_plan *p, const void *opts, int mode, const pln_slot *const *in, uint32_t nin)
{
    const padding *o = opts;
    const pln_slot *x = in[0];
    const frame f = frame_of(o);
    (void)mode, (void)nin;

    if (o->count == 3)
        return h->refuse(h, p,
                         "padding has 3 numbers; it takes 1 (all sides), 2 {vertical, horizontal} or 4 {top, "
                         "bottom, left, right}");
    if (x->rank != 4)
        return h->refuse(h, p, "needs 3 dimensions [height, width, channels], got %d", (int)x->rank - 1);
    return PLN_SLOT(h, p, .kind = PLN_OUTPUT, .dtype = PLN_F32, .rank = 4,
                    .shape = {PLN_BATCH, f.top + x->shape[1] + f.bottom, f.left + x->shape[2] + f.right, x->shape[3]});
}

static void copy(int64_t n, const float *from, float *to)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = from[i];
}

static int forward(const pln_host *h, const pln_call *c)
{
    const pln_tensor *in = c->in[0], *out = c->out[0];
    const frame f = frame_of(c->opts);
    const int64_t row = in->shape[2] * in->shape[3], wide = out->shape[2] * out->shape[3];
    const float *x = in->data;
    float *y = out->data;
    (void)h;

    for (int64_t i = 0; i < out->shape[0] * out->shape[1] * wide; i++)
        y[i] = 0;
    for (int64_t s = 0; s < in->shape[0]; s++)
        for (int64_t i = 0; i < in->shape[1]; i++, x += row)
            copy(row, x, y + (s * out->shape[1] + f.top + i) * wide + f.left * in->shape[3]);
    return PLN_OK;
}

static int backward(const pln_host *h, const pln_call *c)
{
    if (!c->din[0])
        return PLN_OK;
    const pln_tensor *din = c->din[0], *dout = c->dout[0];
    const frame f = frame_of(c->opts);
    const int64_t row = din->shape[2] * din->shape[3], wide = dout->shape[2] * dout->shape[3];
    const float *dy = dout->data;
    float *dx = din->data;
    (void)h;

    for (int64_t s = 0; s < din->shape[0]; s++)
        for (int64_t i = 0; i < din->shape[1]; i++, dx += row)
            copy(row, dy + (s * dout->shape[1] + f.top + i) * wide + f.left * din->shape[3], dx);
    return PLN_OK;
}

static const pln_layer zero_padding2d_layer = {
    .size = PLN_SIZE_TO(pln_layer, backward),
    .kind = PLN_LAYER,
    .id = "org.perilune.zero_padding2d",
    .name = "ZeroPadding2D",
    .help = "puts a frame of zeros around a picture",
    .version = 1,
    .flags = PLN_SAMPLEWISE,
    .noptions = sizeof options / sizeof options[0],
    .options = options,
    .option_stride = sizeof options[0],
    .opts_size = sizeof(padding),
    .min_in = 1,
    .max_in = 1,
    .plan = plan,
    .forward = forward,
    .backward = backward,
};

PLN_PLUGIN("org.perilune.zero_padding2d", "1.0", "MIT", &zero_padding2d_layer);

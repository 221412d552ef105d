/* global_pooling.c: GlobalAveragePooling2D and GlobalMaxPooling2D, one number for each channel of a picture.
 *
 *     x [n,h,w,c]   y [n,c], or [n,1,1,c] with keepdims
 *
 *     GlobalAveragePooling2D   y = sum of x over h and w / (h w)       dx = dy / (h w)
 *     GlobalMaxPooling2D       y = max of x over h and w               dx = dy at the place of the maximum, 0 elsewhere
 *
 * Of equal values the first is chosen; GlobalMaxPooling2D keeps its place. */
#include "perilune/plugin.h"

typedef struct pooling {
    int64_t keepdims;
} pooling;

static const pln_option options[] = {
    {"keepdims", "keep height and width as dimensions of 1", PLN_BOOL, 0, offsetof(pooling, keepdims), .dflt = 0},
};

static int plan_average(const pln_host *h, pln_plan *p, const void *opts, int mode, const pln_slot *const *in,
                        uint32_t nin)
{
    const pooling *o = opts;
    const pln_slot *x = in[0];
    (void)mode, (void)nin;

    if (x->rank != 4)
        return h->refuse(h, p, "needs 3 dimensions [height, width, channels], got %d", (int)x->rank - 1);
    if (o->keepdims)
        return PLN_SLOT(h, p, .kind = PLN_OUTPUT, .dtype = PLN_F32, .rank = 4, .shape = {PLN_BATCH, 1, 1, x->shape[3]});
    return PLN_SLOT(h, p, .kind = PLN_OUTPUT, .dtype = PLN_F32, .rank = 2, .shape = {PLN_BATCH, x->shape[3]});
}

static int plan_max(const pln_host *h, pln_plan *p, const void *opts, int mode, const pln_slot *const *in, uint32_t nin)
{
    return plan_average(h, p, opts, mode, in, nin) ||
           PLN_SLOT(h, p, .kind = PLN_KEEP, .name = "place", .dtype = PLN_I32, .rank = 2,
                    .shape = {PLN_BATCH, in[0]->shape[3]});
}

static int average_forward(const pln_host *h, const pln_call *c)
{
    const pln_tensor *in = c->in[0];
    const int64_t places = in->shape[1] * in->shape[2], channels = in->shape[3];
    const float *x = in->data, share = 1 / (float)places;
    float *y = c->out[0]->data;
    (void)h;

    for (int64_t s = 0; s < in->shape[0]; s++, y += channels) {
        for (int64_t k = 0; k < channels; k++)
            y[k] = 0;
        for (int64_t i = 0; i < places; i++, x += channels)
            for (int64_t k = 0; k < channels; k++)
                y[k] += x[k];
        for (int64_t k = 0; k < channels; k++)
            y[k] *= share;
    }
    return PLN_OK;
}

static int average_backward(const pln_host *h, const pln_call *c)
{
    if (!c->din[0])
        return PLN_OK;
    const pln_tensor *din = c->din[0];
    const int64_t places = din->shape[1] * din->shape[2], channels = din->shape[3];
    const float *dy = c->dout[0]->data, share = 1 / (float)places;
    float *dx = din->data;
    (void)h;

    for (int64_t s = 0; s < din->shape[0]; s++, dy += channels)
        for (int64_t i = 0; i < places; i++, dx += channels)
            for (int64_t k = 0; k < channels; k++)
                dx[k] = dy[k] * share;
    return PLN_OK;
}

static int max_forward(const pln_host *h, const pln_call *c)
{
    const pln_tensor *in = c->in[0];
    const int64_t places = in->shape[1] * in->shape[2], channels = in->shape[3];
    const float *x = in->data;
    float *y = c->out[0]->data;
    int32_t *place = c->mode == PLN_TRAIN ? c->keep[0]->data : NULL;
    (void)h;

    for (int64_t s = 0; s < in->shape[0]; s++, x += places * channels, y += channels)
        for (int64_t k = 0; k < channels; k++) {
            int64_t best = 0;
            for (int64_t i = 1; i < places; i++) {
                float v = x[i * channels + k];
                if (v > x[best * channels + k] || v != v) /* a NaN wins, so that it is not hidden */
                    best = i;
            }
            y[k] = x[best * channels + k];
            if (place)
                place[s * channels + k] = (int32_t)best;
        }
    return PLN_OK;
}

static int max_backward(const pln_host *h, const pln_call *c)
{
    if (!c->din[0])
        return PLN_OK;
    const pln_tensor *din = c->din[0];
    const int64_t places = din->shape[1] * din->shape[2], channels = din->shape[3];
    const float *dy = c->dout[0]->data;
    const int32_t *place = c->keep[0]->data;
    float *dx = din->data;
    (void)h;

    for (int64_t i = 0; i < din->shape[0] * places * channels; i++)
        dx[i] = 0;
    for (int64_t s = 0; s < din->shape[0]; s++, dx += places * channels)
        for (int64_t k = 0; k < channels; k++)
            dx[place[s * channels + k] * channels + k] = dy[s * channels + k];
    return PLN_OK;
}

#define SHARED                                                                                                         \
    .size = PLN_SIZE_TO(pln_layer, backward), .kind = PLN_LAYER, .version = 1, .flags = PLN_SAMPLEWISE, .min_in = 1,   \
    .max_in = 1, .noptions = sizeof options / sizeof options[0], .options = options,                                   \
    .option_stride = sizeof options[0], .opts_size = sizeof(pooling)

static const pln_layer average_layer = {
    SHARED,
    .id = "org.perilune.global_average_pooling2d",
    .name = "GlobalAveragePooling2D",
    .help = "the mean of each channel over the whole picture",
    .plan = plan_average,
    .forward = average_forward,
    .backward = average_backward,
};

static const pln_layer max_layer = {
    SHARED,
    .id = "org.perilune.global_max_pooling2d",
    .name = "GlobalMaxPooling2D",
    .help = "the largest value of each channel in the whole picture",
    .plan = plan_max,
    .forward = max_forward,
    .backward = max_backward,
};

PLN_PLUGIN("org.perilune.global_pooling", "1.0", "MIT", &average_layer, &max_layer);

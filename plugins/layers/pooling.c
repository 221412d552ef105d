/* pooling.c: MaxPooling2D and AveragePooling2D, which make pictures smaller, window by window.
 *
 *     x [n,h,w,c]   y [n,oh,ow,c]   each channel by itself
 *
 *     MaxPooling2D      y = the largest x of the window         dx = sum of dy over the windows that chose x
 *     AveragePooling2D  y = sum of x over the window / size     dx = sum of dy / size over the windows that hold x
 *
 * With padding "same" a window may stick out of the picture; only the part inside counts, also for the size.
 * Of equal values the first is chosen, in the order of rows.  MaxPooling2D keeps the number of the chosen tap, so that
 * backward is a comparison for each tap over all channels at once: vectors, where a scatter would go one by one. */
#include "perilune/plugin.h"

typedef struct pooling {
    int64_t pool_size[2], strides[2], padding;
} pooling;

enum { VALID, SAME };
static const char *const paddings[] = {"valid", "same", NULL};

static const pln_option options[] = {
    {"pool_size", "height and width of a window", PLN_INTS, PLN_SPREAD, offsetof(pooling, pool_size), 2, .dflt = 2,
     .lo = 1, .hi = 1 << 15},
    {"strides", "steps between windows, down and across; 0: pool_size", PLN_INTS, PLN_SPREAD,
     offsetof(pooling, strides), 2, .dflt = 0, .lo = 0, .hi = 1 << 15},
    {"padding", "\"valid\": whole windows only; \"same\": outputs = ceil(inputs / stride)", PLN_CHOICE, 0,
     offsetof(pooling, padding), .choices = paddings},
};

/* One axis of the picture: `in` places under `out` windows of `size` every `stride`, the first at -lo. */
typedef struct axis {
    int64_t in, out, size, stride, lo;
} axis;

static axis lay_out(const pooling *o, int i, int64_t in)
{
    axis a = {.in = in, .size = o->pool_size[i], .stride = o->strides[i] ? o->strides[i] : o->pool_size[i]};

    if (o->padding == SAME) {
        a.out = (in + a.stride - 1) / a.stride;
        int64_t total = (a.out - 1) * a.stride + a.size - in;
        a.lo = total > 0 ? total / 2 : 0;
    } else if (in >= a.size) {
        a.out = (in - a.size) / a.stride + 1;
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

/* The output alone; MaxPooling2D adds what it keeps. */
static int plan_output(const pln_host *h, pln_plan *p, const pooling *o, const pln_slot *x, pln_slot *y)
{
    if (x->rank != 4)
        return refuse_shape(h, p, x);
    const axis down = lay_out(o, 0, x->shape[1]), across = lay_out(o, 1, x->shape[2]);
    if (down.out < 1 || across.out < 1)
        return h->refuse(h, p,
                         "a window of %lld x %lld does not fit into an input of %lld x %lld; make pool_size "
                         "smaller, or write padding = \"same\"",
                         (long long)down.size, (long long)across.size, (long long)down.in, (long long)across.in);
    *y = (pln_slot){.size = PLN_SIZE_TO(pln_slot, shape),
                    .kind = PLN_OUTPUT,
                    .dtype = PLN_F32,
                    .rank = 4,
                    .shape = {PLN_BATCH, down.out, across.out, x->shape[3]}};
    return h->slot(h, p, y);
}

static int plan_average(const pln_host *h, pln_plan *p, const void *opts, int mode, const pln_slot *const *in,
                        uint32_t nin)
{
    pln_slot y;
    (void)mode, (void)nin;

    return plan_output(h, p, opts, in[0], &y);
}

static int plan_max(const pln_host *h, pln_plan *p, const void *opts, int mode, const pln_slot *const *in, uint32_t nin)
{
    pln_slot y;
    (void)mode, (void)nin;

    if (plan_output(h, p, opts, in[0], &y))
        return PLN_FAIL;
    return PLN_SLOT(h, p, .kind = PLN_KEEP, .name = "chosen tap", .dtype = PLN_I32, .rank = 4,
                    .shape = {PLN_BATCH, y.shape[1], y.shape[2], y.shape[3]});
}

/* The part of a window along one axis that lies in the picture: places begin .. end-1; tap 0 is at place `first`. */
typedef struct span {
    int64_t first, begin, end;
} span;

static span cover(const axis *a, int64_t i)
{
    span s = {.first = i * a->stride - a->lo};

    s.begin = s.first < 0 ? 0 : s.first;
    s.end = s.first + a->size > a->in ? a->in : s.first + a->size;
    return s;
}

/* A window of a picture [.,width,channels], `taps` wide. */
typedef struct window {
    span rows, cols;
    int64_t width, taps, channels;
} window;

/* Where the element of row u, column v and channel 0 is, and the number of this tap in the window. */
static int64_t place(const window *w, int64_t u, int64_t v)
{
    return (u * w->width + v) * w->channels;
}

static int32_t tap(const window *w, int64_t u, int64_t v)
{
    return (int32_t)((u - w->rows.first) * w->taps + v - w->cols.first);
}

/* What is done with a window: x is the picture or its gradient, y and chosen are the [channels] of the window. */
typedef void window_body(const window *w, float *x, float *y, int32_t *chosen);

/* Calls body for every window: x [n,h,w,c], y and chosen [n,oh,ow,c]; chosen may be NULL. */
static void walk(const pooling *o, const pln_tensor *x, const pln_tensor *y, const pln_tensor *chosen,
                 window_body *body)
{
    const axis down = lay_out(o, 0, x->shape[1]), across = lay_out(o, 1, x->shape[2]);
    const int64_t channels = x->shape[3];
    float *picture = x->data, *to = y->data;
    int32_t *which = chosen ? chosen->data : NULL;

    for (int64_t s = 0; s < x->shape[0]; s++, picture += down.in * across.in * channels)
        for (int64_t i = 0; i < down.out; i++)
            for (int64_t j = 0; j < across.out; j++, to += channels) {
                const window w = {cover(&down, i), cover(&across, j), across.in, across.size, channels};
                body(&w, picture, to, which);
                which += which ? channels : 0;
            }
}

static void clear(const pln_tensor *x)
{
    float *p = x->data;
    for (int64_t i = 0, n = x->shape[0] * x->shape[1] * x->shape[2] * x->shape[3]; i < n; i++)
        p[i] = 0;
}

/* y = x where it is larger (or not a number, which must not be hidden); chosen, if wanted, remembers the tap. */
static void take(int64_t n, const float *restrict x, int32_t number, float *restrict y, int32_t *restrict chosen)
{
    for (int64_t k = 0; chosen && k < n; k++)
        chosen[k] = x[k] > y[k] || x[k] != x[k] ? number : chosen[k];
    for (int64_t k = 0; k < n; k++)
        y[k] = x[k] > y[k] || x[k] != x[k] ? x[k] : y[k];
}

static void max_window(const window *w, float *x, float *y, int32_t *chosen)
{
    const float *first = x + place(w, w->rows.begin, w->cols.begin);

    for (int64_t k = 0; k < w->channels; k++)
        y[k] = first[k];
    for (int64_t k = 0; chosen && k < w->channels; k++)
        chosen[k] = tap(w, w->rows.begin, w->cols.begin);
    for (int64_t u = w->rows.begin; u < w->rows.end; u++)
        for (int64_t v = w->cols.begin; v < w->cols.end; v++)
            take(w->channels, x + place(w, u, v), tap(w, u, v), y, chosen);
}

/* dx += dy where this tap was chosen */
static void give(int64_t n, float *restrict dx, int32_t number, const float *restrict dy,
                 const int32_t *restrict chosen)
{
    for (int64_t k = 0; k < n; k++) {
        const float g = dy[k];
        dx[k] += chosen[k] == number ? g : 0;
    }
}

static void max_window_gradient(const window *w, float *dx, float *dy, int32_t *chosen)
{
    for (int64_t u = w->rows.begin; u < w->rows.end; u++)
        for (int64_t v = w->cols.begin; v < w->cols.end; v++)
            give(w->channels, dx + place(w, u, v), tap(w, u, v), dy, chosen);
}

static int max_forward(const pln_host *h, const pln_call *c)
{
    (void)h;
    walk(c->opts, c->in[0], c->out[0], c->mode == PLN_TRAIN ? c->keep[0] : NULL, max_window);
    return PLN_OK;
}

static int max_backward(const pln_host *h, const pln_call *c)
{
    (void)h;
    if (!c->din[0])
        return PLN_OK;
    clear(c->din[0]);
    walk(c->opts, c->din[0], c->dout[0], c->keep[0], max_window_gradient);
    return PLN_OK;
}

/* 1 / the number of taps inside the picture */
static float share(const window *w)
{
    return 1 / (float)((w->rows.end - w->rows.begin) * (w->cols.end - w->cols.begin));
}

/* y += factor x */
static void add(int64_t n, float factor, const float *restrict x, float *restrict y)
{
    for (int64_t k = 0; k < n; k++)
        y[k] += factor * x[k];
}

static void average_window(const window *w, float *x, float *y, int32_t *unused)
{
    (void)unused;
    for (int64_t k = 0; k < w->channels; k++)
        y[k] = 0;
    for (int64_t u = w->rows.begin; u < w->rows.end; u++)
        for (int64_t v = w->cols.begin; v < w->cols.end; v++)
            add(w->channels, 1, x + place(w, u, v), y);
    for (int64_t k = 0; k < w->channels; k++)
        y[k] *= share(w);
}

static void average_window_gradient(const window *w, float *dx, float *dy, int32_t *unused)
{
    (void)unused;
    for (int64_t u = w->rows.begin; u < w->rows.end; u++)
        for (int64_t v = w->cols.begin; v < w->cols.end; v++)
            add(w->channels, share(w), dy, dx + place(w, u, v));
}

static int average_forward(const pln_host *h, const pln_call *c)
{
    (void)h;
    walk(c->opts, c->in[0], c->out[0], NULL, average_window);
    return PLN_OK;
}

static int average_backward(const pln_host *h, const pln_call *c)
{
    (void)h;
    if (!c->din[0])
        return PLN_OK;
    clear(c->din[0]);
    walk(c->opts, c->din[0], c->dout[0], NULL, average_window_gradient);
    return PLN_OK;
}

#define SHARED                                                                                                         \
    .size = PLN_SIZE_TO(pln_layer, backward), .kind = PLN_LAYER, .version = 1, .flags = PLN_SAMPLEWISE, .min_in = 1,   \
    .max_in = 1, .noptions = sizeof options / sizeof options[0], .options = options,                                   \
    .option_stride = sizeof options[0], .opts_size = sizeof(pooling)

static const pln_layer max_layer = {
    SHARED,
    .id = "org.perilune.max_pooling2d",
    .name = "MaxPooling2D",
    .help = "keeps the largest value of each window",
    .plan = plan_max,
    .forward = max_forward,
    .backward = max_backward,
};

static const pln_layer average_layer = {
    SHARED,
    .id = "org.perilune.average_pooling2d",
    .name = "AveragePooling2D",
    .help = "keeps the mean of each window",
    .plan = plan_average,
    .forward = average_forward,
    .backward = average_backward,
};

PLN_PLUGIN("org.perilune.pooling", "1.0", "MIT", &max_layer, &average_layer);

/* softmax.c: softmax, log_softmax and the layer Softmax, over the last axis.
 *
 *     x, y [rows, classes];  m = max of the row, s = sum over the row of e^(x - m)
 *
 *     softmax       y = e^(x - m) / s          dx = y (dy - sum(dy y))
 *     log_softmax   y = x - m - log(s)         dx = dy - e^y sum(dy)
 *
 * softmax and Softmax carry the link "pln.logits.softmax": a cross-entropy with the same link takes their input instead
 * of their output and computes both in one, which neither overflows nor divides by a tiny probability. */
#include "perilune/plugin.h"

typedef struct softmax {
    int64_t axis;
} softmax;

static const pln_option options[] = {
    {"axis", "the axis whose elements add up to 1: only the last one, -1", PLN_INT, 0, offsetof(softmax, axis),
     .dflt = -1, .lo = -1, .hi = PLN_RANK - 1},
};

static int plan(const pln_host *h, pln_plan *p, const void *opts, int mode, const pln_slot *const *in, uint32_t nin)
{
    const pln_slot *x = in[0];
    pln_slot y = {.size = PLN_SIZE_TO(pln_slot, shape), .kind = PLN_OUTPUT, .dtype = PLN_F32, .rank = x->rank};
    (void)opts, (void)mode, (void)nin;

    if (x->rank < 2)
        return h->refuse(h, p, "needs samples of at least one dimension, got single numbers");
    for (uint32_t i = 0; i < x->rank; i++)
        y.shape[i] = x->shape[i];
    y.time_axis = x->time_axis;
    return h->slot(h, p, &y) || PLN_SLOT(h, p, .kind = PLN_KEEP_OUTPUT, .index = 0);
}

static int plan_layer(const pln_host *h, pln_plan *p, const void *opts, int mode, const pln_slot *const *in,
                      uint32_t nin)
{
    const softmax *o = opts;

    if (o->axis != -1 && o->axis != (int64_t)in[0]->rank - 1)
        return h->refuse(h, p, "axis %d is not the last one; write axis = -1", (int)o->axis);
    return plan(h, p, opts, mode, in, nin);
}

/* All axes but the last. */
static int64_t count_rows(const pln_tensor *t)
{
    int64_t rows = 1;
    for (uint32_t i = 0; i + 1 < t->rank; i++)
        rows *= t->shape[i];
    return rows;
}

/* y = x - the largest of the row */
static void subtract_max(int64_t rows, int64_t n, const float *x, float *y)
{
    for (int64_t r = 0; r < rows; r++, x += n, y += n) {
        float m = x[0];
        for (int64_t j = 1; j < n; j++)
            m = x[j] > m ? x[j] : m;
        for (int64_t j = 0; j < n; j++)
            y[j] = x[j] - m;
    }
}

static double sum(int64_t n, const float *x)
{
    double s = 0;
    for (int64_t j = 0; j < n; j++)
        s += x[j];
    return s;
}

static int softmax_forward(const pln_host *h, const pln_call *c)
{
    const pln_tensor *x = c->in[0];
    float *y = c->out[0]->data;
    int64_t rows = count_rows(x), n = x->shape[x->rank - 1];

    subtract_max(rows, n, x->data, y);
    if (h->map(h, PLN_MAP_EXP, rows * n, y, y))
        return PLN_FAIL;
    for (int64_t r = 0; r < rows; r++, y += n) {
        float scale = (float)(1 / sum(n, y));
        for (int64_t j = 0; j < n; j++)
            y[j] *= scale;
    }
    return PLN_OK;
}

static int softmax_backward(const pln_host *h, const pln_call *c)
{
    const pln_tensor *out = c->out[0];
    const float *y = out->data, *dy = c->dout[0]->data;
    int64_t rows = count_rows(out), n = out->shape[out->rank - 1];
    (void)h;

    if (!c->din[0])
        return PLN_OK;
    float *dx = c->din[0]->data;
    for (int64_t r = 0; r < rows; r++, y += n, dy += n, dx += n) {
        double dot = 0;
        for (int64_t j = 0; j < n; j++)
            dot += (double)dy[j] * y[j];
        for (int64_t j = 0; j < n; j++)
            dx[j] = y[j] * (dy[j] - (float)dot);
    }
    return PLN_OK;
}

/* Needs e^(x - m) of a row beside x - m, a stretch of BLOCK classes at a time. */
#define BLOCK 512

static int log_softmax_forward(const pln_host *h, const pln_call *c)
{
    const pln_tensor *x = c->in[0];
    float *y = c->out[0]->data, e[BLOCK];
    int64_t rows = count_rows(x), n = x->shape[x->rank - 1];

    subtract_max(rows, n, x->data, y);
    for (int64_t r = 0; r < rows; r++, y += n) {
        double s = 0;
        for (int64_t i = 0; i < n; i += BLOCK) {
            int64_t k = n - i < BLOCK ? n - i : BLOCK;
            if (h->map(h, PLN_MAP_EXP, k, y + i, e))
                return PLN_FAIL;
            s += sum(k, e);
        }
        float log_s = (float)s;
        if (h->map(h, PLN_MAP_LOG, 1, &log_s, &log_s))
            return PLN_FAIL;
        for (int64_t j = 0; j < n; j++)
            y[j] -= log_s;
    }
    return PLN_OK;
}

static int log_softmax_backward(const pln_host *h, const pln_call *c)
{
    const pln_tensor *out = c->out[0];
    const float *y = out->data, *dy = c->dout[0]->data;
    int64_t rows = count_rows(out), n = out->shape[out->rank - 1];
    float e[BLOCK];

    if (!c->din[0])
        return PLN_OK;
    float *dx = c->din[0]->data;
    for (int64_t r = 0; r < rows; r++, y += n, dy += n, dx += n) {
        float s = (float)sum(n, dy);
        for (int64_t i = 0; i < n; i += BLOCK) {
            int64_t k = n - i < BLOCK ? n - i : BLOCK;
            if (h->map(h, PLN_MAP_EXP, k, y + i, e))
                return PLN_FAIL;
            for (int64_t j = 0; j < k; j++)
                dx[i + j] = dy[i + j] - e[j] * s;
        }
    }
    return PLN_OK;
}

#define SHARED                                                                                                         \
    .size = PLN_SIZE_TO(pln_layer, backward), .kind = PLN_LAYER, .version = 1, .flags = PLN_SAMPLEWISE, .min_in = 1,   \
    .max_in = 1

static const pln_layer softmax_word = {
    SHARED,
    .id = "org.perilune.softmax",
    .name = "softmax",
    .help = "turns scores into probabilities: e^x, divided by its sum over the last axis",
    .link = "pln.logits.softmax",
    .plan = plan,
    .forward = softmax_forward,
    .backward = softmax_backward,
};

static const pln_layer log_softmax_word = {
    SHARED,
    .id = "org.perilune.log_softmax",
    .name = "log_softmax",
    .help = "the logarithm of softmax, without computing softmax",
    .plan = plan,
    .forward = log_softmax_forward,
    .backward = log_softmax_backward,
};

static const pln_layer softmax_layer = {
    SHARED,
    .id = "org.perilune.softmax_layer",
    .name = "Softmax",
    .help = "turns scores into probabilities: e^x, divided by its sum over the last axis",
    .link = "pln.logits.softmax",
    .noptions = sizeof options / sizeof options[0],
    .options = options,
    .option_stride = sizeof options[0],
    .opts_size = sizeof(softmax),
    .plan = plan_layer,
    .forward = softmax_forward,
    .backward = softmax_backward,
};

PLN_PLUGIN("org.perilune.softmax", "1.0", "MIT", &softmax_word, &log_softmax_word, &softmax_layer);

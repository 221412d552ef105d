/* merge.c: Add, Subtract, Multiply and Average, element by element over inputs of one shape.
 *
 *                y                      dx_i
 *     Add        x_0 + x_1 + ...        dy
 *     Subtract   x_0 - x_1              dy, -dy
 *     Multiply   x_0 x_1 ...            dy times all others
 *     Average    (x_0 + x_1 ...) / nin  dy / nin
 *
 * Multiply reads its inputs in backward; the others read nothing and may write over their first input. */
#include "perilune/plugin.h"

#define MOST 8 /* inputs */

/* Refuses inputs that differ in shape, and declares an output of the same. */
static int plan_like(const pln_host *h, pln_plan *p, const pln_slot *const *in, uint32_t nin, uint32_t flags)
{
    pln_slot y = {.size = PLN_SIZE_TO(pln_slot, shape), .kind = PLN_OUTPUT, .flags = flags, .index = 0};

    for (uint32_t i = 1; i < nin; i++) {
        if (in[i]->rank != in[0]->rank)
            return h->refuse(h, p,
                             "all inputs must have one shape, but the first has %d dimensions and number %d has %d",
                             (int)in[0]->rank - 1, (int)i + 1, (int)in[i]->rank - 1);
        for (uint32_t k = 1; k < in[0]->rank; k++)
            if (in[i]->shape[k] != in[0]->shape[k])
                return h->refuse(h, p,
                                 "all inputs must have one shape, but dimension %d is %lld in the first and %lld in "
                                 "number %d",
                                 (int)k, (long long)in[0]->shape[k], (long long)in[i]->shape[k], (int)i + 1);
    }
    y.dtype = PLN_F32;
    y.rank = in[0]->rank;
    y.time_axis = in[0]->time_axis;
    for (uint32_t k = 0; k < y.rank; k++)
        y.shape[k] = in[0]->shape[k];
    return h->slot(h, p, &y);
}

static int plan_linear(const pln_host *h, pln_plan *p, const void *opts, int mode, const pln_slot *const *in,
                       uint32_t nin)
{
    (void)opts, (void)mode;
    return plan_like(h, p, in, nin, PLN_IN_PLACE);
}

static int plan_multiply(const pln_host *h, pln_plan *p, const void *opts, int mode, const pln_slot *const *in,
                         uint32_t nin)
{
    (void)opts, (void)mode;
    for (uint32_t i = 0; i < nin; i++)
        if (PLN_SLOT(h, p, .kind = PLN_KEEP_INPUT, .index = i))
            return PLN_FAIL;
    return plan_like(h, p, in, nin, 0);
}

static int64_t count(const pln_tensor *t)
{
    int64_t n = 1;
    for (uint32_t i = 0; i < t->rank; i++)
        n *= t->shape[i];
    return n;
}

/* y = scale (x_0 + x_1 + ...).  Sums in a block, because y may be one of the inputs. */
static int sum_forward(const pln_call *c, float scale)
{
    enum { BLOCK = 512 };
    float *y = c->out[0]->data, t[BLOCK];

    for (int64_t begin = 0, all = count(c->out[0]); begin < all; begin += BLOCK) {
        const int64_t n = all - begin < BLOCK ? all - begin : BLOCK;
        for (int64_t i = 0; i < n; i++)
            t[i] = 0;
        for (uint32_t k = 0; k < c->nin; k++) {
            const float *x = (const float *)c->in[k]->data + begin;
            for (int64_t i = 0; i < n; i++)
                t[i] += x[i];
        }
        for (int64_t i = 0; i < n; i++)
            y[begin + i] = scale * t[i];
    }
    return PLN_OK;
}

/* dx_k = scale dy; dx_0 may be dy, so it is written last. */
static int scaled_backward(const pln_call *c, uint32_t k, float scale)
{
    const float *dy = c->dout[0]->data;

    if (!c->din[k])
        return PLN_OK;
    float *dx = c->din[k]->data;
    for (int64_t i = 0, n = count(c->dout[0]); i < n; i++)
        dx[i] = scale * dy[i];
    return PLN_OK;
}

static int add_forward(const pln_host *h, const pln_call *c)
{
    (void)h;
    return sum_forward(c, 1);
}

static int add_backward(const pln_host *h, const pln_call *c)
{
    (void)h;
    for (uint32_t k = c->nin; k-- > 0;)
        scaled_backward(c, k, 1);
    return PLN_OK;
}

static int average_forward(const pln_host *h, const pln_call *c)
{
    (void)h;
    return sum_forward(c, 1 / (float)c->nin);
}

static int average_backward(const pln_host *h, const pln_call *c)
{
    (void)h;
    for (uint32_t k = c->nin; k-- > 0;)
        scaled_backward(c, k, 1 / (float)c->nin);
    return PLN_OK;
}

static int subtract_forward(const pln_host *h, const pln_call *c)
{
    const float *a = c->in[0]->data, *b = c->in[1]->data;
    float *y = c->out[0]->data;
    (void)h;

    for (int64_t i = 0, n = count(c->out[0]); i < n; i++)
        y[i] = a[i] - b[i];
    return PLN_OK;
}

static int subtract_backward(const pln_host *h, const pln_call *c)
{
    (void)h;
    return scaled_backward(c, 1, -1) || scaled_backward(c, 0, 1);
}

static int multiply_forward(const pln_host *h, const pln_call *c)
{
    const float *x = c->in[0]->data;
    float *y = c->out[0]->data;
    int64_t n = count(c->out[0]);
    (void)h;

    for (int64_t i = 0; i < n; i++)
        y[i] = x[i];
    for (uint32_t k = 1; k < c->nin; k++) {
        x = c->in[k]->data;
        for (int64_t i = 0; i < n; i++)
            y[i] *= x[i];
    }
    return PLN_OK;
}

static int multiply_backward(const pln_host *h, const pln_call *c)
{
    const float *dy = c->dout[0]->data;
    int64_t n = count(c->dout[0]);
    (void)h;

    for (uint32_t k = 0; k < c->nin; k++) {
        if (!c->din[k])
            continue;
        float *dx = c->din[k]->data;
        for (int64_t i = 0; i < n; i++)
            dx[i] = dy[i];
        for (uint32_t other = 0; other < c->nin; other++) {
            const float *x = c->in[other]->data;
            for (int64_t i = 0; other != k && i < n; i++)
                dx[i] *= x[i];
        }
    }
    return PLN_OK;
}

#define LAYER(variable, type, word, most, text, planned, goes, returns)                                                \
    static const pln_layer variable = {.size = PLN_SIZE_TO(pln_layer, backward),                                       \
                                       .kind = PLN_LAYER,                                                              \
                                       .id = "org.perilune." word,                                                     \
                                       .name = type,                                                                   \
                                       .help = text,                                                                   \
                                       .version = 1,                                                                   \
                                       .flags = PLN_SAMPLEWISE,                                                        \
                                       .min_in = 2,                                                                    \
                                       .max_in = most,                                                                 \
                                       .plan = planned,                                                                \
                                       .forward = goes,                                                                \
                                       .backward = returns}

LAYER(add_layer, "Add", "add", MOST, "the sum of its inputs", plan_linear, add_forward, add_backward);
LAYER(subtract_layer, "Subtract", "subtract", 2, "the first input minus the second", plan_linear, subtract_forward,
      subtract_backward);
LAYER(multiply_layer, "Multiply", "multiply", MOST, "the product of its inputs, element by element", plan_multiply,
      multiply_forward, multiply_backward);
LAYER(average_layer, "Average", "average", MOST, "the mean of its inputs", plan_linear, average_forward,
      average_backward);

PLN_PLUGIN("org.perilune.merge", "1.0", "MIT", &add_layer, &subtract_layer, &multiply_layer, &average_layer);

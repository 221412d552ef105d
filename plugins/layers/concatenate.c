/* concatenate.c: Concatenate, which joins its inputs along one axis.
 *
 *     x_i [..., a_i, ...]   y [..., a_0 + a_1 + ..., ...]   all other dimensions equal
 *
 *     y = x_0, x_1, ... side by side        dx_i = its part of dy
 *
 * With everything before the axis as rows, and the axis and everything behind it as one row's elements, both directions
 * copy pieces of rows. */
#include "perilune/plugin.h"

#define MOST 8 /* inputs */

typedef struct concatenate {
    int64_t axis;
} concatenate;

static const pln_option options[] = {
    {"axis", "where to join: -1 the last axis, 1 the first after the batch", PLN_INT, 0, offsetof(concatenate, axis),
     .dflt = -1, .lo = -(PLN_RANK - 1), .hi = PLN_RANK - 1},
};

/* -1 is the last axis.  The batch, 0, is none to join. */
static int64_t axis_of(const concatenate *o, uint32_t rank)
{
    return o->axis < 0 ? o->axis + rank : o->axis;
}

static int plan(const pln_host *h, pln_plan *p, const void *opts, int mode, const pln_slot *const *in, uint32_t nin)
{
    const int64_t axis = axis_of(opts, in[0]->rank);
    pln_slot y = {.size = PLN_SIZE_TO(pln_slot, shape), .kind = PLN_OUTPUT, .dtype = PLN_F32, .rank = in[0]->rank};
    (void)mode;

    if (axis < 1 || axis >= (int64_t)y.rank)
        return h->refuse(h, p, "axis %d is none of the %d dimensions of a sample; -1 is the last, 1 the first",
                         (int)((const concatenate *)opts)->axis, (int)y.rank - 1);
    for (uint32_t k = 0; k < y.rank; k++)
        y.shape[k] = in[0]->shape[k];
    for (uint32_t i = 1; i < nin; i++) {
        if (in[i]->rank != y.rank)
            return h->refuse(h, p, "the first input has %d dimensions and number %d has %d", (int)y.rank - 1,
                             (int)i + 1, (int)in[i]->rank - 1);
        for (uint32_t k = 1; k < y.rank; k++)
            if (k != axis && in[i]->shape[k] != y.shape[k])
                return h->refuse(h, p,
                                 "dimension %d is %lld in the first input and %lld in number %d; only dimension %d, "
                                 "the axis of joining, may differ",
                                 (int)k, (long long)y.shape[k], (long long)in[i]->shape[k], (int)i + 1, (int)axis);
        y.shape[axis] += in[i]->shape[axis];
    }
    y.time_axis = in[0]->time_axis;
    return h->slot(h, p, &y);
}

/* The elements of a row: the axis and what is behind it. */
static int64_t count_from(const pln_tensor *t, int64_t axis)
{
    int64_t n = 1;
    for (uint32_t k = (uint32_t)axis; k < t->rank; k++)
        n *= t->shape[k];
    return n;
}

static int64_t count_before(const pln_tensor *t, int64_t axis)
{
    int64_t n = 1;
    for (int64_t k = 0; k < axis; k++)
        n *= t->shape[k];
    return n;
}

/* rows of n elements, from one row length to another */
static void copy(int64_t rows, int64_t n, const float *from, int64_t from_length, float *to, int64_t to_length)
{
    for (int64_t r = 0; r < rows; r++, from += from_length, to += to_length)
        for (int64_t i = 0; i < n; i++)
            to[i] = from[i];
}

static int forward(const pln_host *h, const pln_call *c)
{
    const int64_t axis = axis_of(c->opts, c->out[0]->rank), length = count_from(c->out[0], axis);
    const int64_t rows = count_before(c->out[0], axis);
    float *y = c->out[0]->data;
    (void)h;

    for (uint32_t i = 0; i < c->nin; i++) {
        const int64_t n = count_from(c->in[i], axis);
        copy(rows, n, c->in[i]->data, n, y, length);
        y += n;
    }
    return PLN_OK;
}

static int backward(const pln_host *h, const pln_call *c)
{
    const int64_t axis = axis_of(c->opts, c->dout[0]->rank), length = count_from(c->dout[0], axis);
    const int64_t rows = count_before(c->dout[0], axis);
    const float *dy = c->dout[0]->data;
    (void)h;

    for (uint32_t i = 0; i < c->nin; i++) {
        const int64_t n = count_from(c->in[i], axis);
        if (c->din[i])
            copy(rows, n, dy, length, c->din[i]->data, n);
        dy += n;
    }
    return PLN_OK;
}

static const pln_layer concatenate_layer = {
    .size = PLN_SIZE_TO(pln_layer, backward),
    .kind = PLN_LAYER,
    .id = "org.perilune.concatenate",
    .name = "Concatenate",
    .help = "joins its inputs along one axis",
    .version = 1,
    .flags = PLN_SAMPLEWISE,
    .noptions = sizeof options / sizeof options[0],
    .options = options,
    .option_stride = sizeof options[0],
    .opts_size = sizeof(concatenate),
    .min_in = 2,
    .max_in = MOST,
    .plan = plan,
    .forward = forward,
    .backward = backward,
};

PLN_PLUGIN("org.perilune.concatenate", "1.0", "MIT", &concatenate_layer);

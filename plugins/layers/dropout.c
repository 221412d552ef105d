/* dropout.c: Dropout, which hides a share of its inputs in training (Srivastava et al. 2014, "inverted" as in Keras).
 *
 *     u  = uniform numbers in [0,1), one for each element
 *     m  = u >= rate ? 1 / (1 - rate) : 0
 *     y  = x m
 *     dx = dy m
 *
 * Nothing is kept for backward: the host's random numbers are keyed by seed, node, step and element, so that the same
 * mask can be drawn again.  Inferring, it is a view of its input. */
#include "perilune/plugin.h"

#define BLOCK 512 /* elements at a time: their random numbers live on the stack */

typedef struct dropout {
    double rate;
} dropout;

static const pln_option options[] = {
    {"rate", "share of the inputs that are set to 0 in training", PLN_REAL, PLN_REQUIRED | PLN_POSITIONAL | PLN_OPEN_HI,
     offsetof(dropout, rate), .lo = 0, .hi = 1},
};

static int plan(const pln_host *h, pln_plan *p, const void *opts, int mode, const pln_slot *const *in, uint32_t nin)
{
    const dropout *o = opts;
    const pln_slot *x = in[0];
    pln_slot y = {.size = PLN_SIZE_TO(pln_slot, shape), .kind = PLN_OUTPUT, .index = 0, .dtype = PLN_F32};
    (void)nin;

    y.flags = mode == PLN_INFER || o->rate == 0 ? PLN_VIEW : PLN_IN_PLACE;
    y.rank = x->rank;
    y.time_axis = x->time_axis;
    for (uint32_t i = 0; i < x->rank; i++)
        y.shape[i] = x->shape[i];
    return h->slot(h, p, &y);
}

/* to = from under the mask of this node, step and these samples; `to` may be `from`. */
static int mask(const pln_host *h, const pln_call *c, const pln_tensor *from, pln_tensor *to)
{
    const dropout *o = c->opts;
    const float rate = (float)o->rate, scale = (float)(1 / (1 - o->rate)), *x = from->data;
    float *y = to->data, u[BLOCK];
    int64_t sample = 1;

    for (uint32_t i = 1; i < from->rank; i++)
        sample *= from->shape[i];
    for (int64_t done = 0, all = from->shape[0] * sample; done < all; done += BLOCK) {
        int64_t n = all - done < BLOCK ? all - done : BLOCK;
        if (h->random(h, c, 0, PLN_UNIFORM, from->first * sample + done, n, u))
            return PLN_FAIL;
        for (int64_t i = 0; i < n; i++)
            u[i] = u[i] >= rate ? scale : 0;
        for (int64_t i = 0; i < n; i++)
            y[done + i] = x[done + i] * u[i];
    }
    return PLN_OK;
}

static int forward(const pln_host *h, const pln_call *c)
{
    return mask(h, c, c->in[0], c->out[0]);
}

static int backward(const pln_host *h, const pln_call *c)
{
    return c->din[0] ? mask(h, c, c->dout[0], c->din[0]) : PLN_OK;
}

static const pln_layer dropout_layer = {
    .size = PLN_SIZE_TO(pln_layer, backward),
    .kind = PLN_LAYER,
    .id = "org.perilune.dropout",
    .name = "Dropout",
    .help = "hides a share of its inputs in training, so that no output relies on a few of them",
    .version = 1,
    .flags = PLN_SAMPLEWISE,
    .noptions = sizeof options / sizeof options[0],
    .options = options,
    .option_stride = sizeof options[0],
    .opts_size = sizeof(dropout),
    .min_in = 1,
    .max_in = 1,
    .plan = plan,
    .forward = forward,
    .backward = backward,
};

PLN_PLUGIN("org.perilune.dropout", "1.0", "MIT", &dropout_layer);

/* Adagrad: every weight's step shrinks with the gradients that it has seen.
 *
 *     s  += g^2
 *     w  -= lr * g / sqrt(initial_accumulator_value + s + epsilon)
 *
 * Source: Duchi, Hazan and Singer 2011; Keras 3.  Keras keeps initial + s in one array; arrays begin at 0 here, so the
 * constant is added where it is used. */
#include "common.h"

typedef struct adagrad_opts {
    double learning_rate, initial_accumulator_value, epsilon, weight_decay;
} adagrad_opts;

static const pln_option options[] = {
    OPTION_LEARNING_RATE(adagrad_opts, 0.001),
    OPTION_REAL(adagrad_opts, initial_accumulator_value, "Where the sums of squared gradients begin", PLN_OPEN_HI, 0.1,
                0, __builtin_inf()),
    OPTION_EPSILON(adagrad_opts),
    OPTION_WEIGHT_DECAY(adagrad_opts, 0),
};

static const char *const slots[] = {"accumulator", NULL};

VECTOR_CLONES static void step(int64_t n, float *restrict w, float *restrict s, const float *restrict g, float gscale,
                               float lr, float initial, float epsilon, float decay)
{
    for (int64_t i = 0; i < n; i++) {
        float gi = gscale * g[i];
        s[i] = s[i] + gi * gi;
        w[i] = w[i] - w[i] * decay - lr * gi / __builtin_sqrtf(initial + s[i] + epsilon);
    }
}

static int update(const pln_host *h, const pln_update *u)
{
    (void)h;
    const adagrad_opts *o = u->opts;
    step(u->count, u->w, u->slot[0], u->g, u->gscale, (float)u->lr, (float)o->initial_accumulator_value,
         (float)o->epsilon, decay_share(u, o->weight_decay));
    return PLN_OK;
}

static const pln_optimizer adagrad = {
    OPTIMIZER("org.perilune.adagrad", "Adagrad", "Steps divided by the root of the sum of squared gradients",
              adagrad_opts, options, slots),
    .update = update,
};

static const void *const descriptors[] = {&adagrad, NULL};

const pln_plugin perilune_plugin = OPTIMIZER_PLUGIN("org.perilune.adagrad", descriptors);

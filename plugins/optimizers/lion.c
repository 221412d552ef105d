/* Lion: steps of one size, whose sign comes from a mixture of momentum and gradient.
 *
 *     w  -= lr * sign(beta_1 * m + (1 - beta_1) * g)          sign(0) = 0
 *     m   = beta_2 * m + (1 - beta_2) * g
 *
 * Source: Chen et al. 2023 (arXiv 2302.06675); Keras 3. */
#include "common.h"

typedef struct lion_opts {
    double learning_rate, beta_1, beta_2, weight_decay;
} lion_opts;

static const pln_option options[] = {
    OPTION_LEARNING_RATE(lion_opts, 0.001),
    OPTION_RATE(lion_opts, beta_1, "Share of the momentum in the step's direction", 0.9),
    OPTION_RATE(lion_opts, beta_2, "Decay rate of the momentum", 0.99),
    OPTION_WEIGHT_DECAY(lion_opts, 0),
};

static const char *const slots[] = {"momentum", NULL};

VECTOR_CLONES static void step(int64_t n, float *restrict w, float *restrict m, const float *restrict g, float gscale,
                               float lr, float mix, float mix_rest, float keep, float keep_rest, float decay)
{
    for (int64_t i = 0; i < n; i++) {
        float gi = gscale * g[i], c = mix * m[i] + mix_rest * gi;
        float sign = (float)((c > 0) - (c < 0)) + 0 * c; /* 0 * c: NaN is not hidden */
        w[i] = w[i] - w[i] * decay - lr * sign;
        m[i] = keep * m[i] + keep_rest * gi;
    }
}

static int update(const pln_host *h, const pln_update *u)
{
    (void)h;
    const lion_opts *o = u->opts;
    step(u->count, u->w, u->slot[0], u->g, u->gscale, (float)u->lr, (float)o->beta_1, (float)(1 - o->beta_1),
         (float)o->beta_2, (float)(1 - o->beta_2), decay_share(u, o->weight_decay));
    return PLN_OK;
}

static const pln_optimizer lion = {
    OPTIMIZER("org.perilune.lion", "Lion", "Steps of one size in the direction of momentum and gradient", lion_opts,
              options, slots),
    .update = update,
};

static const void *const descriptors[] = {&lion, NULL};

const pln_plugin perilune_plugin = OPTIMIZER_PLUGIN("org.perilune.lion", descriptors);

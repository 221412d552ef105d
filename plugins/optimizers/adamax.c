/* Adamax: Adam with the largest recent gradient in place of the root mean square.
 *
 *     t   = step + 1
 *     m  += (1 - beta_1) * (g - m)
 *     u   = max(beta_2 * u, |g|)
 *     w  -= lr / (1 - beta_1^t) * m / (u + epsilon)
 *
 * Source: Kingma and Ba 2015 (arXiv 1412.6980), section 7.1; Keras 3. */
#include "common.h"

typedef struct adamax_opts {
    double learning_rate, beta_1, beta_2, epsilon, weight_decay;
} adamax_opts;

static const pln_option options[] = {
    OPTION_LEARNING_RATE(adamax_opts, 0.001),
    OPTION_RATE(adamax_opts, beta_1, "Decay rate of the gradient's running mean", 0.9),
    OPTION_RATE(adamax_opts, beta_2, "Decay rate of the largest gradient", 0.999),
    OPTION_EPSILON(adamax_opts),
    OPTION_WEIGHT_DECAY(adamax_opts, 0),
};

static const char *const slots[] = {"m", "u", NULL};

VECTOR_CLONES static void step(int64_t n, float *restrict w, float *restrict m, float *restrict top,
                               const float *restrict g, float gscale, float alpha, float mean, float keep,
                               float epsilon, float decay)
{
    for (int64_t i = 0; i < n; i++) {
        float gi = gscale * g[i], size = __builtin_fabsf(gi), old = keep * top[i];
        float largest = old > size ? old : size;
        m[i] = m[i] + mean * (gi - m[i]);
        top[i] = largest;
        w[i] = w[i] - w[i] * decay - alpha * m[i] / (largest + epsilon);
    }
}

static void begin(const void *opts, uint64_t step_number, double lr, double k[8])
{
    const adamax_opts *o = opts;
    k[0] = lr / (1 - power(o->beta_1, step_number + 1));
}

static int update(const pln_host *h, const pln_update *u)
{
    (void)h;
    const adamax_opts *o = u->opts;
    step(u->count, u->w, u->slot[0], u->slot[1], u->g, u->gscale, (float)u->k[0], (float)(1 - o->beta_1),
         (float)o->beta_2, (float)o->epsilon, decay_share(u, o->weight_decay));
    return PLN_OK;
}

static const pln_optimizer adamax = {
    OPTIMIZER("org.perilune.adamax", "Adamax", "Adam with the largest recent gradient in the denominator", adamax_opts,
              options, slots),
    .begin = begin,
    .update = update,
};

static const void *const descriptors[] = {&adamax, NULL};

const pln_plugin perilune_plugin = OPTIMIZER_PLUGIN("org.perilune.adamax", descriptors);

/* Adam, and AdamW, which is Adam with weight decay switched on.
 *
 *     t     = step + 1
 *     alpha = lr * sqrt(1 - beta_2^t) / (1 - beta_1^t)         once a step, in double
 *     m    += (1 - beta_1) * (g - m)
 *     v    += (1 - beta_2) * (g^2 - v)
 *     w    -= w * lr * weight_decay                            not for biases and gains
 *     w    -= alpha * m / (sqrt(v) + epsilon)
 *     amsgrad: vhat = max(vhat, v) stands for v in the last line
 *
 * Source: Kingma and Ba 2015 (arXiv 1412.6980), the form before section 2.1, in which epsilon is "epsilon hat", as in
 * Keras 3 (PyTorch adds epsilon after the correction of v); Reddi, Kale and Kumar 2018 for amsgrad; Loshchilov and
 * Hutter 2019 (arXiv 1711.05101) for AdamW.
 *
 * The loop is bound by memory: four arrays are read and three written.  The root and the division are IEEE's, because
 * the fast approximations differ between makers of processors. */
#include "common.h"

typedef struct adam_opts {
    double learning_rate, beta_1, beta_2, epsilon, weight_decay;
    int64_t amsgrad;
} adam_opts;

#define ADAM_OPTIONS(decay)                                                                                            \
    OPTION_LEARNING_RATE(adam_opts, 0.001),                                                                            \
        OPTION_RATE(adam_opts, beta_1, "Decay rate of the gradient's running mean", 0.9),                              \
        OPTION_RATE(adam_opts, beta_2, "Decay rate of the squared gradient's running mean", 0.999),                    \
        OPTION_EPSILON(adam_opts),                                                                                     \
        OPTION_BOOL(adam_opts, amsgrad, "Divide by the largest mean square so far instead of the present one"),        \
        OPTION_WEIGHT_DECAY(adam_opts, decay)

static const pln_option adam_options[] = {ADAM_OPTIONS(0)};
static const pln_option adamw_options[] = {ADAM_OPTIONS(0.004)};

enum { M, V, VHAT };
static const char *const slots[] = {"m", "v", "vhat", NULL};

/* What is the same for every weight in a step. */
typedef struct factors {
    float gscale, alpha, mean, square, epsilon, decay;
} factors;

VECTOR_CLONES static void step_adam(int64_t n, float *restrict w, float *restrict m, float *restrict v,
                                    const float *restrict g, factors f)
{
    for (int64_t i = 0; i < n; i++) {
        float gi = f.gscale * g[i];
        float mi = m[i] + f.mean * (gi - m[i]);
        float vi = v[i] + f.square * (gi * gi - v[i]);
        m[i] = mi;
        v[i] = vi;
        w[i] = w[i] - w[i] * f.decay - f.alpha * mi / (__builtin_sqrtf(vi) + f.epsilon);
    }
}

VECTOR_CLONES static void step_amsgrad(int64_t n, float *restrict w, float *restrict m, float *restrict v,
                                       float *restrict vhat, const float *restrict g, factors f)
{
    for (int64_t i = 0; i < n; i++) {
        float gi = f.gscale * g[i];
        float mi = m[i] + f.mean * (gi - m[i]);
        float vi = v[i] + f.square * (gi * gi - v[i]);
        float top = vi > vhat[i] ? vi : vhat[i];
        m[i] = mi;
        v[i] = vi;
        vhat[i] = top;
        w[i] = w[i] - w[i] * f.decay - f.alpha * mi / (__builtin_sqrtf(top) + f.epsilon);
    }
}

static void begin(const void *opts, uint64_t step, double lr, double k[8])
{
    const adam_opts *o = opts;
    double b1 = power(o->beta_1, step + 1), b2 = power(o->beta_2, step + 1);
    k[0] = lr * __builtin_sqrt(1 - b2) / (1 - b1);
}

static int update(const pln_host *h, const pln_update *u)
{
    (void)h;
    const adam_opts *o = u->opts;
    factors f = {.gscale = u->gscale,
                 .alpha = (float)u->k[0],
                 .mean = (float)(1 - o->beta_1),
                 .square = (float)(1 - o->beta_2),
                 .epsilon = (float)o->epsilon,
                 .decay = decay_share(u, o->weight_decay)};
    if (o->amsgrad)
        step_amsgrad(u->count, u->w, u->slot[M], u->slot[V], u->slot[VHAT], u->g, f);
    else
        step_adam(u->count, u->w, u->slot[M], u->slot[V], u->g, f);
    return PLN_OK;
}

static uint32_t uses(const void *opts)
{
    return 1u << M | 1u << V | (((const adam_opts *)opts)->amsgrad ? 1u << VHAT : 0);
}

static const pln_optimizer adam = {
    OPTIMIZER("org.perilune.adam", "Adam", "Adam: steps scaled by running means of the gradient and of its square",
              adam_opts, adam_options, slots),
    .begin = begin,
    .update = update,
    .uses = uses,
};
static const pln_optimizer adamw = {
    OPTIMIZER("org.perilune.adamw", "AdamW", "Adam with decoupled weight decay", adam_opts, adamw_options, slots),
    .begin = begin,
    .update = update,
    .uses = uses,
};

static const void *const descriptors[] = {&adam, &adamw, NULL};

const pln_plugin perilune_plugin = OPTIMIZER_PLUGIN("org.perilune.adam", descriptors);

/* RMSprop: steps divided by the root of a running mean of the squared gradient.
 *
 *     v    = rho * v + (1 - rho) * g^2
 *     a    = rho * a + (1 - rho) * g                    centered only
 *     d    = v + epsilon, or v - a^2 + epsilon if centered
 *     inc  = lr * g / sqrt(d)
 *     w   -= inc, or with momentum mu:  m = mu * m + inc;  w -= m
 *
 * Source: Tieleman and Hinton 2012 (lecture 6e of their course); Graves 2013 (arXiv 1308.0850) for the centred form;
 * Keras 3, where epsilon stands inside the root.  Our one difference: v - a^2 is a variance, and where rounding makes
 * it negative we take 0, while Keras takes the root of a negative number. */
#include "common.h"

typedef struct rmsprop_opts {
    double learning_rate, rho, momentum, epsilon, weight_decay;
    int64_t centered;
} rmsprop_opts;

static const pln_option options[] = {
    OPTION_LEARNING_RATE(rmsprop_opts, 0.001),
    OPTION_RATE(rmsprop_opts, rho, "Decay rate of the running means", 0.9),
    OPTION_REAL(rmsprop_opts, momentum, "How much of the last step is added to this one; 0: none", 0, 0, 0, 1),
    OPTION_EPSILON(rmsprop_opts),
    OPTION_BOOL(rmsprop_opts, centered, "Divide by the gradient's deviation instead of its size"),
    OPTION_WEIGHT_DECAY(rmsprop_opts, 0),
};

enum { V, M, A };
static const char *const slots[] = {"velocity", "momentum", "average_gradient", NULL};

/* What is the same for every weight in a step. */
typedef struct factors {
    float gscale, lr, rho, rest, mu, epsilon, decay;
} factors;

/* lr * g / sqrt(d) of one weight. */
static inline float increment(float g, float *v, const factors *f)
{
    *v = f->rho * *v + f->rest * (g * g);
    return f->lr * g / __builtin_sqrtf(*v + f->epsilon);
}

static inline float increment_centered(float g, float *v, float *a, const factors *f)
{
    *v = f->rho * *v + f->rest * (g * g);
    *a = f->rho * *a + f->rest * g;
    float variance = *v - *a * *a;
    return f->lr * g / __builtin_sqrtf((variance < 0 ? 0 : variance) + f->epsilon);
}

VECTOR_CLONES static void step_plain(int64_t n, float *restrict w, float *restrict v, const float *restrict g,
                                     factors f)
{
    for (int64_t i = 0; i < n; i++)
        w[i] = w[i] - w[i] * f.decay - increment(f.gscale * g[i], &v[i], &f);
}

VECTOR_CLONES static void step_momentum(int64_t n, float *restrict w, float *restrict v, float *restrict m,
                                        const float *restrict g, factors f)
{
    for (int64_t i = 0; i < n; i++) {
        m[i] = f.mu * m[i] + increment(f.gscale * g[i], &v[i], &f);
        w[i] = w[i] - w[i] * f.decay - m[i];
    }
}

VECTOR_CLONES static void step_centered(int64_t n, float *restrict w, float *restrict v, float *restrict a,
                                        const float *restrict g, factors f)
{
    for (int64_t i = 0; i < n; i++)
        w[i] = w[i] - w[i] * f.decay - increment_centered(f.gscale * g[i], &v[i], &a[i], &f);
}

VECTOR_CLONES static void step_centered_momentum(int64_t n, float *restrict w, float *restrict v, float *restrict m,
                                                 float *restrict a, const float *restrict g, factors f)
{
    for (int64_t i = 0; i < n; i++) {
        m[i] = f.mu * m[i] + increment_centered(f.gscale * g[i], &v[i], &a[i], &f);
        w[i] = w[i] - w[i] * f.decay - m[i];
    }
}

static int update(const pln_host *h, const pln_update *u)
{
    (void)h;
    const rmsprop_opts *o = u->opts;
    factors f = {.gscale = u->gscale,
                 .lr = (float)u->lr,
                 .rho = (float)o->rho,
                 .rest = (float)(1 - o->rho),
                 .mu = (float)o->momentum,
                 .epsilon = (float)o->epsilon,
                 .decay = decay_share(u, o->weight_decay)};
    if (o->centered && o->momentum > 0)
        step_centered_momentum(u->count, u->w, u->slot[V], u->slot[M], u->slot[A], u->g, f);
    else if (o->centered)
        step_centered(u->count, u->w, u->slot[V], u->slot[A], u->g, f);
    else if (o->momentum > 0)
        step_momentum(u->count, u->w, u->slot[V], u->slot[M], u->g, f);
    else
        step_plain(u->count, u->w, u->slot[V], u->g, f);
    return PLN_OK;
}

static uint32_t uses(const void *opts)
{
    const rmsprop_opts *o = opts;
    return 1u << V | (o->momentum > 0 ? 1u << M : 0) | (o->centered ? 1u << A : 0);
}

static const pln_optimizer rmsprop = {
    OPTIMIZER("org.perilune.rmsprop", "RMSprop", "Steps divided by the root of the mean squared gradient", rmsprop_opts,
              options, slots),
    .update = update,
    .uses = uses,
};

static const void *const descriptors[] = {&rmsprop, NULL};

const pln_plugin perilune_plugin = OPTIMIZER_PLUGIN("org.perilune.rmsprop", descriptors);

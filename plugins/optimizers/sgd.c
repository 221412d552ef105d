/* SGD: gradient descent, with momentum and Nesterov's variant.
 *
 *     no momentum   w -= lr * g
 *     momentum mu   m = mu * m - lr * g;  w += m
 *     nesterov      m = mu * m - lr * g;  w += mu * m - lr * g
 *
 * Source: Keras 3, keras.optimizers.SGD; Sutskever, Martens, Dahl and Hinton 2013 for the momentum form, in which the
 * learning rate stands inside the momentum (in PyTorch it stands outside). */
#include "common.h"

typedef struct sgd_opts {
    double learning_rate, momentum, weight_decay;
    int64_t nesterov;
} sgd_opts;

static const pln_option options[] = {
    OPTION_LEARNING_RATE(sgd_opts, 0.01),
    OPTION_REAL(sgd_opts, momentum, "How much of the last step is added to this one; 0: none", 0, 0, 0, 1),
    OPTION_BOOL(sgd_opts, nesterov, "Nesterov's momentum: the gradient as if the step had been made already"),
    OPTION_WEIGHT_DECAY(sgd_opts, 0),
};

VECTOR_CLONES static void step_plain(int64_t n, float *restrict w, const float *restrict g, float gscale, float lr,
                                     float decay)
{
    for (int64_t i = 0; i < n; i++)
        w[i] = w[i] - w[i] * decay - gscale * g[i] * lr;
}

VECTOR_CLONES static void step_momentum(int64_t n, float *restrict w, float *restrict m, const float *restrict g,
                                        float gscale, float lr, float mu, float decay)
{
    for (int64_t i = 0; i < n; i++) {
        m[i] = mu * m[i] - gscale * g[i] * lr;
        w[i] = w[i] - w[i] * decay + m[i];
    }
}

VECTOR_CLONES static void step_nesterov(int64_t n, float *restrict w, float *restrict m, const float *restrict g,
                                        float gscale, float lr, float mu, float decay)
{
    for (int64_t i = 0; i < n; i++) {
        float step = gscale * g[i] * lr;
        m[i] = mu * m[i] - step;
        w[i] = w[i] - w[i] * decay + (mu * m[i] - step);
    }
}

static int update(const pln_host *h, const pln_update *u)
{
    (void)h;
    const sgd_opts *o = u->opts;
    float lr = (float)u->lr, mu = (float)o->momentum, decay = decay_share(u, o->weight_decay);
    if (o->momentum == 0)
        step_plain(u->count, u->w, u->g, u->gscale, lr, decay);
    else if (o->nesterov)
        step_nesterov(u->count, u->w, u->slot[0], u->g, u->gscale, lr, mu, decay);
    else
        step_momentum(u->count, u->w, u->slot[0], u->g, u->gscale, lr, mu, decay);
    return PLN_OK;
}

static uint32_t uses(const void *opts)
{
    return ((const sgd_opts *)opts)->momentum != 0;
}

static const char *const slots[] = {"momentum", NULL};

static const pln_optimizer sgd = {
    OPTIMIZER("org.perilune.sgd", "SGD", "Gradient descent, with momentum if asked for", sgd_opts, options, slots),
    .update = update,
    .uses = uses,
};

static const void *const descriptors[] = {&sgd, NULL};

const pln_plugin perilune_plugin = OPTIMIZER_PLUGIN("org.perilune.sgd", descriptors);

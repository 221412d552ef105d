/* Nadam: Adam with Nesterov's momentum.
 *
 *     t    = step + 1
 *     u_t  = beta_1 * (1 - 0.96^t / 2),  P_t = u_1 * u_2 * ... * u_t      once a step, in double
 *     m   += (1 - beta_1) * (g - m)
 *     v   += (1 - beta_2) * (g^2 - v)
 *     mhat = u_(t+1) * m / (1 - P_(t+1)) + (1 - u_t) * g / (1 - P_t)
 *     w   -= lr * mhat / (sqrt(v / (1 - beta_2^t)) + epsilon)
 *
 * Source: Dozat 2015 (report for CS 229); Keras 3.  The product P is computed from t alone, so that a resumed run needs
 * nothing but the step's number. */
#include "common.h"

typedef struct nadam_opts {
    double learning_rate, beta_1, beta_2, epsilon, weight_decay;
} nadam_opts;

static const pln_option options[] = {
    OPTION_LEARNING_RATE(nadam_opts, 0.001),
    OPTION_RATE(nadam_opts, beta_1, "Decay rate of the gradient's running mean", 0.9),
    OPTION_RATE(nadam_opts, beta_2, "Decay rate of the squared gradient's running mean", 0.999),
    OPTION_EPSILON(nadam_opts),
    OPTION_WEIGHT_DECAY(nadam_opts, 0),
};

static const char *const slots[] = {"m", "v", NULL};

enum { MEAN_SHARE, GRADIENT_SHARE, CORRECTION }; /* the entries of k */

VECTOR_CLONES static void step(int64_t n, float *restrict w, float *restrict m, float *restrict v,
                               const float *restrict g, float gscale, const float *restrict k, float mean, float square,
                               float epsilon, float decay)
{
    float from_mean = k[MEAN_SHARE], from_gradient = k[GRADIENT_SHARE], correction = k[CORRECTION];
    for (int64_t i = 0; i < n; i++) {
        float gi = gscale * g[i];
        m[i] = m[i] + mean * (gi - m[i]);
        v[i] = v[i] + square * (gi * gi - v[i]);
        w[i] = w[i] - w[i] * decay -
               (from_mean * m[i] + from_gradient * gi) / (__builtin_sqrtf(correction * v[i]) + epsilon);
    }
}

/* u_t; 0.96^t is below half an ulp of 1 after FADED steps, and u_t is beta_1. */
enum { FADED = 1000 };
static double u_at(double beta_1, uint64_t t)
{
    return t > FADED ? beta_1 : beta_1 * (1 - 0.5 * power(0.96, t));
}

static void begin(const void *opts, uint64_t step_number, double lr, double k[8])
{
    const nadam_opts *o = opts;
    uint64_t t = step_number + 1;
    double product = t > FADED ? power(o->beta_1, t - FADED) : 1;
    for (uint64_t i = 1; i <= t && i <= FADED; i++)
        product *= u_at(o->beta_1, i);
    double now = u_at(o->beta_1, t), next = u_at(o->beta_1, t + 1);
    k[MEAN_SHARE] = lr * next / (1 - product * next);
    k[GRADIENT_SHARE] = lr * (1 - now) / (1 - product);
    k[CORRECTION] = 1 / (1 - power(o->beta_2, t));
}

static int update(const pln_host *h, const pln_update *u)
{
    (void)h;
    const nadam_opts *o = u->opts;
    float k[] = {(float)u->k[MEAN_SHARE], (float)u->k[GRADIENT_SHARE], (float)u->k[CORRECTION]};
    step(u->count, u->w, u->slot[0], u->slot[1], u->g, u->gscale, k, (float)(1 - o->beta_1), (float)(1 - o->beta_2),
         (float)o->epsilon, decay_share(u, o->weight_decay));
    return PLN_OK;
}

static const pln_optimizer nadam = {
    OPTIMIZER("org.perilune.nadam", "Nadam", "Adam with Nesterov's momentum", nadam_opts, options, slots),
    .begin = begin,
    .update = update,
};

static const void *const descriptors[] = {&nadam, NULL};

const pln_plugin perilune_plugin = OPTIMIZER_PLUGIN("org.perilune.nadam", descriptors);

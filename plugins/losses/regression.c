/* Losses that look at one prediction p and its target y at a time.  With e = p - y:
 *
 *     mean_squared_error, mse     e^2                                          2 e
 *     mean_absolute_error, mae    |e|                                          sign(e), 0 at 0
 *     huber                       e^2 / 2, beyond delta delta * (|e| - delta / 2)   e, beyond delta delta * sign(e)
 *     hinge                       max(1 - p * y, 0)                            -y, or 0
 *     squared_hinge               max(1 - p * y, 0)^2                          -2 y max(1 - p * y, 0)
 *
 * A sample's value is the mean over its values.  The hinges want y = -1 or 1; as in Keras, targets of 0 count as -1
 * (Keras looks whether the whole batch is 0 and 1, we look at the value alone).  Source: Keras 3, keras.losses. */
#include "common.h"

typedef struct huber_opts {
    double delta;
} huber_opts;

/* Value of one prediction; *slope receives its derivative by p. */
typedef float one(float p, float y, float delta, float *slope);

static inline float squared(float p, float y, float delta, float *slope)
{
    (void)delta;
    float e = p - y;
    *slope = 2 * e;
    return e * e;
}

static inline float absolute(float p, float y, float delta, float *slope)
{
    (void)delta;
    float e = p - y;
    *slope = e > 0 ? 1 : e < 0 ? -1 : e; /* e: 0, or NaN */
    return __builtin_fabsf(e);
}

static inline float huber(float p, float y, float delta, float *slope)
{
    float e = p - y, size = __builtin_fabsf(e);
    if (size > delta) {
        *slope = e > 0 ? delta : -delta;
        return delta * (size - 0.5f * delta);
    }
    *slope = e;
    return 0.5f * e * e;
}

static inline float hinge(float p, float y, float delta, float *slope)
{
    (void)delta;
    float sign = y == 0 ? -1 : y, gap = 1 - p * sign;
    *slope = gap <= 0 ? 0 : -sign;
    return gap <= 0 ? 0 : gap;
}

static inline float squared_hinge(float p, float y, float delta, float *slope)
{
    float gap = hinge(p, y, delta, slope);
    *slope *= 2 * gap;
    return gap * gap;
}

/* The loop that all of them share; inlined, so that each has its own. */
static inline int mean(const pln_loss_call *c, one *f, float delta)
{
    const float *p = c->pred->data;
    float *d = c->dpred ? c->dpred->data : NULL;
    int64_t size = sample_size(c->pred->shape, c->pred->rank);
    for (int64_t s = 0, i = 0; s < c->pred->shape[0]; s++) {
        float scale = d ? c->scale[s] / (float)size : 0, slope;
        double sum = 0;
        for (int64_t end = i + size; i < end; i++) {
            sum += (double)f(p[i], target_at(c->target, i), delta, &slope);
            if (d)
                d[i] = scale * slope;
        }
        c->value[s] = (float)(sum / (double)size);
    }
    return PLN_OK;
}

static int run_squared(const pln_host *h, const pln_loss_call *c)
{
    (void)h;
    return mean(c, squared, 0);
}

static int run_absolute(const pln_host *h, const pln_loss_call *c)
{
    (void)h;
    return mean(c, absolute, 0);
}

static int run_huber(const pln_host *h, const pln_loss_call *c)
{
    (void)h;
    return mean(c, huber, (float)((const huber_opts *)c->opts)->delta);
}

static int run_hinge(const pln_host *h, const pln_loss_call *c)
{
    (void)h;
    return mean(c, hinge, 0);
}

static int run_squared_hinge(const pln_host *h, const pln_loss_call *c)
{
    (void)h;
    return mean(c, squared_hinge, 0);
}

static int check(const pln_host *h, const void *opts, const pln_node *node, const pln_slot *pred,
                 const pln_slot *target)
{
    (void)opts;
    return check_same_shape(h, node, pred, target);
}

static const pln_option huber_options[] = {
    {.name = "delta",
     .help = "Where the loss turns from a square into a line",
     .type = PLN_REAL,
     .flags = PLN_OPEN_LO | PLN_OPEN_HI,
     .offset = offsetof(huber_opts, delta),
     .dflt = 1,
     .lo = 0,
     .hi = __builtin_inf()},
};

#define SQUARED  "Mean of the squared differences"
#define ABSOLUTE "Mean of the differences' sizes"

static const pln_loss losses[] = {
    {LOSS("org.perilune.mean_squared_error", "mean_squared_error", SQUARED, check, run_squared)},
    {LOSS("org.perilune.mse", "mse", SQUARED ": mean_squared_error", check, run_squared)},
    {LOSS("org.perilune.mean_absolute_error", "mean_absolute_error", ABSOLUTE, check, run_absolute)},
    {LOSS("org.perilune.mae", "mae", ABSOLUTE ": mean_absolute_error", check, run_absolute)},
    {LOSS("org.perilune.huber", "huber", "Squared for small differences, linear for large ones", check, run_huber),
     LOSS_OPTIONS(huber_opts, huber_options)},
    {LOSS("org.perilune.hinge", "hinge", "How far scores fall short of the margin; targets are -1 and 1", check,
          run_hinge)},
    {LOSS("org.perilune.squared_hinge", "squared_hinge", "The hinge, squared; targets are -1 and 1", check,
          run_squared_hinge)},
};

static const void *const descriptors[] = {&losses[0], &losses[1], &losses[2], &losses[3],
                                          &losses[4], &losses[5], &losses[6], NULL};

const pln_plugin perilune_plugin = LOSS_PLUGIN("org.perilune.regression", descriptors);

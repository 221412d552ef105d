/* Cross-entropy of yes and no: one score for each question, targets from 0 to 1.
 *
 *     logits         value = max(x, 0) - x * y + log(1 + exp(-|x|))
 *                    dx = sigmoid(x) - y
 *     probabilities  p = clip(x, 1e-7, 1 - 1e-7)
 *                    value = -y * log(p) - (1 - y) * log(1 - p)
 *                    dx = (p - y) / (p * (1 - p)), 0 where clipped
 *
 * A sample's value is the mean over its scores.  label_smoothing s makes y = y * (1 - s) + s / 2.  Source: Keras 3,
 * keras.losses.BinaryCrossentropy.  A model that ends in a sigmoid is linked: the loss takes what went into it, which
 * is exact where probabilities round to 0 or 1. */
#include "common.h"

typedef struct binary_opts {
    int64_t from_logits;
    double label_smoothing;
} binary_opts;

/* What one call is about. */
typedef struct job {
    const pln_loss_call *c;
    int64_t size;       /* scores in a sample */
    float keep, spread; /* smoothing: y = keep * y + spread */
} job;

static float y_at(const job *t, int64_t i)
{
    return t->keep * target_at(t->c->target, i) + t->spread;
}

static int run_logits(const pln_host *h, const job *t)
{
    const pln_loss_call *c = t->c;
    const float *x = c->pred->data;
    float *e = c->scratch->data, *d = c->dpred ? c->dpred->data : NULL;
    int64_t n = c->pred->shape[0], total = n * t->size;
    for (int64_t i = 0; i < total; i++)
        e[i] = -__builtin_fabsf(x[i]);
    if (h->map(h, PLN_MAP_EXP, total, e, e))
        return PLN_FAIL;
    for (int64_t i = 0; d && i < total; i++) {
        float p = (x[i] >= 0 ? 1 : e[i]) / (1 + e[i]);
        d[i] = c->scale[i / t->size] / (float)t->size * (p - y_at(t, i));
    }
    if (h->map(h, PLN_MAP_LOG1P, total, e, e))
        return PLN_FAIL;
    for (int64_t s = 0, i = 0; s < n; s++) {
        double sum = 0;
        for (int64_t end = i + t->size; i < end; i++)
            sum += (double)((x[i] > 0 ? x[i] : 0) - x[i] * y_at(t, i) + e[i]);
        c->value[s] = (float)(sum / (double)t->size);
    }
    return PLN_OK;
}

/* Adds -sum of y * log(p), or of (1 - y) * log(1 - p) for `no`, to each sample's value. */
static int add_side(const pln_host *h, const job *t, int no)
{
    const pln_loss_call *c = t->c;
    const float *x = c->pred->data;
    float *p = c->scratch->data;
    int64_t n = c->pred->shape[0], total = n * t->size;
    for (int64_t i = 0; i < total; i++)
        p[i] = no ? 1 - clip_probability(x[i]) : clip_probability(x[i]);
    if (h->map(h, PLN_MAP_LOG, total, p, p))
        return PLN_FAIL;
    for (int64_t s = 0, i = 0; s < n; s++) {
        double sum = 0;
        for (int64_t end = i + t->size; i < end; i++)
            sum -= (double)((no ? 1 - y_at(t, i) : y_at(t, i)) * p[i]);
        c->value[s] += (float)(sum / (double)t->size);
    }
    return PLN_OK;
}

static int run_probabilities(const pln_host *h, const job *t)
{
    const pln_loss_call *c = t->c;
    const float *x = c->pred->data;
    float *d = c->dpred ? c->dpred->data : NULL;
    int64_t n = c->pred->shape[0];
    for (int64_t s = 0; s < n; s++)
        c->value[s] = 0;
    if (add_side(h, t, 0) || add_side(h, t, 1))
        return PLN_FAIL;
    for (int64_t i = 0; d && i < n * t->size; i++) {
        float slope = x[i] < EPSILON || x[i] > 1 - EPSILON ? 0 : (x[i] - y_at(t, i)) / (x[i] * (1 - x[i]));
        d[i] = c->scale[i / t->size] / (float)t->size * slope;
    }
    return PLN_OK;
}

static int run(const pln_host *h, const pln_loss_call *c)
{
    const binary_opts *o = c->opts;
    job t = {.c = c,
             .size = sample_size(c->pred->shape, c->pred->rank),
             .keep = (float)(1 - o->label_smoothing),
             .spread = (float)(0.5 * o->label_smoothing)};
    if (c->linked && o->from_logits)
        return h->fail(
            h, c->node,
            "has from_logits = true, but the model ends in a sigmoid, whose outputs are probabilities; leave "
            "out one of the two");
    return c->linked || o->from_logits ? run_logits(h, &t) : run_probabilities(h, &t);
}

static int check(const pln_host *h, const void *opts, const pln_node *node, const pln_slot *pred,
                 const pln_slot *target)
{
    (void)opts;
    return check_same_shape(h, node, pred, target);
}

static const pln_option options[] = {
    {.name = "from_logits",
     .help = "The scores have not been through a sigmoid",
     .type = PLN_BOOL,
     .offset = offsetof(binary_opts, from_logits)},
    {.name = "label_smoothing",
     .help = "Share of each target that is moved to one half",
     .type = PLN_REAL,
     .offset = offsetof(binary_opts, label_smoothing),
     .lo = 0,
     .hi = 1},
};

static const pln_loss binary = {
    LOSS("org.perilune.binary_crossentropy", "binary_crossentropy",
         "Cross-entropy between scores and yes-or-no targets", check, run),
    LOSS_OPTIONS(binary_opts, options),
    .link = "pln.logits.sigmoid",
    .metric = "binary_accuracy",
};

static const void *const descriptors[] = {&binary, NULL};

const pln_plugin perilune_plugin = LOSS_PLUGIN("org.perilune.binary_crossentropy", descriptors);

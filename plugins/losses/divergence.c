/* Losses between distributions, or directions.
 *
 *     kl_divergence      sum over the last axis of y * log(y / p), with y and p clipped to [1e-7, 1]
 *                        dp = -y / p, 0 where p was clipped
 *     poisson            mean over a sample of p - y * log(p + 1e-7)
 *                        dp = 1 - y / (p + 1e-7)
 *     cosine_similarity  -sum over the last axis of u * v, with u = y/|y|, v = p/|p|: -1 is the best
 *                        dp = -(u - (u.v) v) / |p|;  a length below 1e-6 counts as 1e-6
 *
 * The first and the last are means over a sample's rows.  Source: Keras 3, keras.losses. */
#include "common.h"

static int64_t row_length(const pln_tensor *p)
{
    return p->rank > 1 ? p->shape[p->rank - 1] : 1;
}

static float clip_positive(float x)
{
    return x < EPSILON ? EPSILON : x > 1 ? 1 : x;
}

static int run_poisson(const pln_host *h, const pln_loss_call *c)
{
    const float *p = c->pred->data;
    float *log = c->scratch->data, *d = c->dpred ? c->dpred->data : NULL;
    int64_t n = c->pred->shape[0], size = sample_size(c->pred->shape, c->pred->rank);
    for (int64_t i = 0; i < n * size; i++)
        log[i] = p[i] + EPSILON;
    if (h->map(h, PLN_MAP_LOG, n * size, log, log))
        return PLN_FAIL;
    for (int64_t s = 0, i = 0; s < n; s++) {
        double sum = 0;
        for (int64_t end = i + size; i < end; i++) {
            float y = target_at(c->target, i);
            sum += (double)(p[i] - y * log[i]);
            if (d)
                d[i] = c->scale[s] / (float)size * (1 - y / (p[i] + EPSILON));
        }
        c->value[s] = (float)(sum / (double)size);
    }
    return PLN_OK;
}

static int run_divergence(const pln_host *h, const pln_loss_call *c)
{
    const float *p = c->pred->data;
    float *log = c->scratch->data, *d = c->dpred ? c->dpred->data : NULL;
    int64_t n = c->pred->shape[0], size = sample_size(c->pred->shape, c->pred->rank);
    int64_t rows = size / row_length(c->pred);
    for (int64_t i = 0; i < n * size; i++)
        log[i] = clip_positive(target_at(c->target, i)) / clip_positive(p[i]);
    if (h->map(h, PLN_MAP_LOG, n * size, log, log))
        return PLN_FAIL;
    for (int64_t s = 0, i = 0; s < n; s++) {
        double sum = 0;
        for (int64_t end = i + size; i < end; i++) {
            float y = clip_positive(target_at(c->target, i));
            sum += (double)(y * log[i]);
            if (d)
                d[i] = p[i] < EPSILON || p[i] > 1 ? 0 : c->scale[s] / (float)rows * (-y / p[i]);
        }
        c->value[s] = (float)(sum / (double)rows);
    }
    return PLN_OK;
}

/* 1 / |x| of a row, whose square is at least 1e-12. */
static double inverse_length(double square)
{
    return 1 / __builtin_sqrt(square < 1e-12 ? 1e-12 : square);
}

static int run_cosine(const pln_host *h, const pln_loss_call *c)
{
    (void)h;
    const float *p = c->pred->data;
    float *d = c->dpred ? c->dpred->data : NULL;
    int64_t n = c->pred->shape[0], length = row_length(c->pred);
    int64_t rows = sample_size(c->pred->shape, c->pred->rank) / length;
    for (int64_t s = 0; s < n; s++) {
        double value = 0;
        for (int64_t r = s * rows; r < (s + 1) * rows; r++) {
            double pp = 0, yy = 0, py = 0;
            for (int64_t i = r * length; i < (r + 1) * length; i++) {
                double y = (double)target_at(c->target, i), x = (double)p[i];
                pp += x * x;
                yy += y * y;
                py += x * y;
            }
            double ip = inverse_length(pp), iy = inverse_length(yy), along = pp < 1e-12 ? 0 : py * ip * ip;
            value -= py * ip * iy;
            for (int64_t i = r * length; d && i < (r + 1) * length; i++)
                d[i] = (float)((double)c->scale[s] / (double)rows * -ip * iy *
                               ((double)target_at(c->target, i) - along * (double)p[i]));
        }
        c->value[s] = (float)(value / (double)rows);
    }
    return PLN_OK;
}

static int check(const pln_host *h, const void *opts, const pln_node *node, const pln_slot *pred,
                 const pln_slot *target)
{
    (void)opts;
    return check_same_shape(h, node, pred, target);
}

static const pln_loss kl = {LOSS("org.perilune.kl_divergence", "kl_divergence",
                                 "Kullback and Leibler's divergence of the prediction from the target", check,
                                 run_divergence)};
static const pln_loss poisson = {
    LOSS("org.perilune.poisson", "poisson", "For counts: Poisson's negative log-likelihood", check, run_poisson)};
static const pln_loss cosine = {LOSS("org.perilune.cosine_similarity", "cosine_similarity",
                                     "Minus the cosine between prediction and target", check, run_cosine)};

static const void *const descriptors[] = {&kl, &poisson, &cosine, NULL};

const pln_plugin perilune_plugin = LOSS_PLUGIN("org.perilune.divergence", descriptors);

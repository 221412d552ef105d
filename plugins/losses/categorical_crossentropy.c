/* Cross-entropy of classes: sparse_categorical_crossentropy, whose targets are class numbers, and
 * categorical_crossentropy, whose targets are rows of probabilities (one-hot or soft).
 *
 * With x a row of scores [c], y its target row (one-hot at the class number) and M = sum of y:
 *
 *     logits         value  = M * log(sum_k exp(x_k - max)) - sum_k y_k * (x_k - max)
 *                    dx_k   = M * softmax(x)_k - y_k
 *     probabilities  q = x / sum(x), p = clip(q, 1e-7, 1 - 1e-7)
 *                    value  = -sum_k y_k * log(p_k)
 *                    dx_k   = (g_k - sum_j g_j q_j) / sum(x),  g_k = -y_k / q_k, and 0 where q was clipped
 *
 * Predictions [n,...,c] have one row for each position; a sample's value is the mean over its rows.  label_smoothing s
 * makes y = y * (1 - s) + s / c.  Source: Keras 3, keras.losses and its backends' nn.py.
 *
 * A model that ends in Softmax is linked: the loss takes what went into the Softmax, which is exact where
 * probabilities round to 0 or 1, and cheaper. */
#include "common.h"

typedef struct class_opts {
    int64_t from_logits;
    double label_smoothing;
} class_opts;

/* What one call is about. */
typedef struct job {
    const pln_host *h;
    const pln_loss_call *c;
    int64_t classes, rows; /* classes; rows of scores in a sample */
    const int32_t *label;  /* [n, rows], or NULL when the targets are rows */
    const float *y;        /* [n, rows, classes], or NULL */
    float keep, spread;    /* smoothing: y = keep * y + spread */
} job;

enum { BLOCK = 64 }; /* rows done together, so that map has something to chew on */

static float y_at(const job *t, int64_t row, int64_t k)
{
    return t->label ? (float)(t->label[row] == k) : t->keep * t->y[row * t->classes + k] + t->spread;
}

/* y log p, where a y of 0 silences an infinite logarithm. */
static float dot(const job *t, int64_t row, const float *z, float *mass)
{
    float sum = 0;
    *mass = 0;
    for (int64_t k = 0; k < t->classes; k++) {
        float y = y_at(t, row, k);
        *mass += y;
        if (y != 0)
            sum += y * z[k];
    }
    return sum;
}

/* Rows first .. first+count-1 of scores that are logits. */
static int logits_block(const job *t, int64_t first, int64_t count)
{
    int64_t classes = t->classes;
    const float *x = (const float *)t->c->pred->data + first * classes;
    float *e = (float *)t->c->scratch->data + first * classes;
    float sum[BLOCK], lse[BLOCK], mass[BLOCK], hit[BLOCK];
    for (int64_t r = 0; r < count; r++, x += classes, e += classes) {
        float top = x[0];
        for (int64_t k = 1; k < classes; k++)
            top = x[k] > top ? x[k] : top;
        for (int64_t k = 0; k < classes; k++)
            e[k] = x[k] - top;
        hit[r] = dot(t, first + r, e, &mass[r]);
    }
    e -= count * classes;
    if (t->h->map(t->h, PLN_MAP_EXP, count * classes, e, e))
        return PLN_FAIL;
    for (int64_t r = 0; r < count; r++) {
        sum[r] = 0;
        for (int64_t k = 0; k < classes; k++)
            sum[r] += e[r * classes + k];
    }
    if (t->h->map(t->h, PLN_MAP_LOG, count, sum, lse))
        return PLN_FAIL;
    for (int64_t r = 0; r < count; r++, e += classes) {
        int64_t sample = (first + r) / t->rows;
        t->c->value[sample] += mass[r] * lse[r] - hit[r];
        if (!t->c->dpred)
            continue;
        float *d = (float *)t->c->dpred->data + (first + r) * classes;
        float scale = t->c->scale[sample] / (float)t->rows, share = mass[r] / sum[r];
        for (int64_t k = 0; k < classes; k++)
            d[k] = scale * (e[k] * share - y_at(t, first + r, k));
    }
    return PLN_OK;
}

/* d value / d x of one row of probabilities, times scale. */
static void probability_gradient(const job *t, int64_t row, const float *x, float sum, float scale, float *d)
{
    float along = 0;
    for (int64_t k = 0; k < t->classes; k++) {
        float q = x[k] / sum;
        d[k] = q < EPSILON || q > 1 - EPSILON ? 0 : -y_at(t, row, k) / q;
        along += d[k] * q;
    }
    for (int64_t k = 0; k < t->classes; k++)
        d[k] = scale * (d[k] - along) / sum;
}

/* The same rows, of scores that are probabilities. */
static int probabilities_block(const job *t, int64_t first, int64_t count)
{
    int64_t classes = t->classes;
    const float *x = (const float *)t->c->pred->data + first * classes;
    float *p = (float *)t->c->scratch->data + first * classes;
    float sum[BLOCK], mass;
    for (int64_t r = 0; r < count; r++) {
        sum[r] = 0;
        for (int64_t k = 0; k < classes; k++)
            sum[r] += x[r * classes + k];
        for (int64_t k = 0; k < classes; k++)
            p[r * classes + k] = clip_probability(x[r * classes + k] / sum[r]);
    }
    if (t->h->map(t->h, PLN_MAP_LOG, count * classes, p, p))
        return PLN_FAIL;
    for (int64_t r = 0; r < count; r++, x += classes, p += classes) {
        int64_t row = first + r, sample = row / t->rows;
        t->c->value[sample] -= dot(t, row, p, &mass);
        if (t->c->dpred)
            probability_gradient(t, row, x, sum[r], t->c->scale[sample] / (float)t->rows,
                                 (float *)t->c->dpred->data + row * classes);
    }
    return PLN_OK;
}

static int run(const job *t, int from_logits)
{
    const pln_loss_call *c = t->c;
    int64_t n = c->pred->shape[0], total = n * t->rows;
    if (c->linked && from_logits)
        return t->h->fail(
            t->h, c->node,
            "has from_logits = true, but the model ends in a softmax, whose outputs are probabilities; leave "
            "out one of the two");
    for (int64_t i = 0; i < n; i++)
        c->value[i] = 0;
    for (int64_t first = 0; first < total; first += BLOCK) {
        int64_t count = total - first < BLOCK ? total - first : BLOCK;
        if (c->linked || from_logits ? logits_block(t, first, count) : probabilities_block(t, first, count))
            return PLN_FAIL;
    }
    for (int64_t i = 0; i < n; i++)
        c->value[i] /= (float)t->rows;
    return PLN_OK;
}

static job job_begin(const pln_host *h, const pln_loss_call *c)
{
    const pln_tensor *p = c->pred;
    return (job){
        .h = h, .c = c, .classes = p->shape[p->rank - 1], .rows = sample_size(p->shape, p->rank - 1), .keep = 1};
}

static int run_sparse(const pln_host *h, const pln_loss_call *c)
{
    job t = job_begin(h, c);
    t.label = c->target->data;
    for (int64_t i = 0; i < c->pred->shape[0] * t.rows; i++)
        if (t.label[i] < 0 || t.label[i] >= t.classes)
            return h->fail(h, c->node,
                           "found label %d in sample %lld of the batch, but the model gives %lld class scores, for "
                           "labels 0 to %lld",
                           (int)t.label[i], (long long)(c->pred->first + i / t.rows), (long long)t.classes,
                           (long long)t.classes - 1);
    return run(&t, ((const class_opts *)c->opts)->from_logits != 0);
}

static int run_dense(const pln_host *h, const pln_loss_call *c)
{
    const class_opts *o = c->opts;
    job t = job_begin(h, c);
    t.y = c->target->data;
    t.keep = (float)(1 - o->label_smoothing);
    t.spread = (float)(o->label_smoothing / (double)t.classes);
    return run(&t, o->from_logits != 0);
}

static int check_sparse(const pln_host *h, const void *opts, const pln_node *node, const pln_slot *pred,
                        const pln_slot *target)
{
    (void)opts;
    return check_class_numbers(h, node, pred, target);
}

static int check_dense(const pln_host *h, const void *opts, const pln_node *node, const pln_slot *pred,
                       const pln_slot *target)
{
    (void)opts;
    if (check_same_shape(h, node, pred, target))
        return PLN_FAIL;
    if (pred->rank < 2 || pred->shape[pred->rank - 1] < 2)
        return h->fail(h, node,
                       "wants one row of at least 2 class scores a sample, model gives one; use binary_crossentropy");
    if (target->dtype != PLN_F32)
        return h->fail(h, node, "wants rows of float32 probabilities as targets, these are whole numbers");
    return PLN_OK;
}

#define FROM_LOGITS                                                                                                    \
    {                                                                                                                  \
        .name = "from_logits", .help = "The scores have not been through a softmax", .type = PLN_BOOL,                 \
        .offset = offsetof(class_opts, from_logits)                                                                    \
    }

static const pln_option sparse_options[] = {FROM_LOGITS};
static const pln_option dense_options[] = {
    FROM_LOGITS,
    {.name = "label_smoothing",
     .help = "Share of each target that is spread evenly over the classes",
     .type = PLN_REAL,
     .offset = offsetof(class_opts, label_smoothing),
     .lo = 0,
     .hi = 1},
};

static const pln_loss sparse = {
    LOSS("org.perilune.sparse_categorical_crossentropy", "sparse_categorical_crossentropy",
         "Cross-entropy between class scores and class numbers", check_sparse, run_sparse),
    LOSS_OPTIONS(class_opts, sparse_options),
    .link = "pln.logits.softmax",
    .metric = "sparse_categorical_accuracy",
};
static const pln_loss dense = {
    LOSS("org.perilune.categorical_crossentropy", "categorical_crossentropy",
         "Cross-entropy between class scores and rows of class probabilities", check_dense, run_dense),
    LOSS_OPTIONS(class_opts, dense_options),
    .link = "pln.logits.softmax",
    .metric = "categorical_accuracy",
};

static const void *const descriptors[] = {&sparse, &dense, NULL};

const pln_plugin perilune_plugin = LOSS_PLUGIN("org.perilune.categorical_crossentropy", descriptors);

/* How often the model is right: sparse_categorical_accuracy (targets are class numbers), categorical_accuracy (targets
 * are rows), sparse_top_k_categorical_accuracy and binary_accuracy.
 *
 *     categorical   the first largest score's place equals the class number, or the first largest target's place
 *     top k         fewer than k scores are larger than the score of the class
 *     binary        (score > threshold) == target
 *
 * The value is the mean over rows, or single values for binary_accuracy, weighted by sample.  All but the last look at
 * the scores' order alone, so logits will do.  A row with NaN in it is never right.  Source: Keras 3, keras.metrics.
 * */
#include "common.h"

typedef struct top_opts {
    int64_t k;
} top_opts;

typedef struct binary_opts {
    double threshold;
} binary_opts;

/* Place of the first largest of x[n]; -1 if one is not a number. */
static int64_t first_largest(int64_t n, const float *x)
{
    int64_t best = 0;
    for (int64_t i = 0; i < n; i++) {
        if (x[i] != x[i])
            return -1;
        if (x[i] > x[best])
            best = i;
    }
    return best;
}

static int right_sparse(const pln_loss_call *c, const float *x, int64_t classes, int64_t row)
{
    return first_largest(classes, x) == ((const int32_t *)c->target->data)[row];
}

static int right_dense(const pln_loss_call *c, const float *x, int64_t classes, int64_t row)
{
    int64_t found = first_largest(classes, x);
    return found >= 0 && found == first_largest(classes, (const float *)c->target->data + row * classes);
}

static int right_top(const pln_loss_call *c, const float *x, int64_t classes, int64_t row)
{
    int64_t label = ((const int32_t *)c->target->data)[row], larger = 0;
    if (label < 0 || label >= classes || first_largest(classes, x) < 0)
        return 0;
    for (int64_t k = 0; k < classes; k++)
        larger += x[k] > x[label];
    return larger < ((const top_opts *)c->opts)->k;
}

static int right_binary(const pln_loss_call *c, const float *x, int64_t classes, int64_t row)
{
    (void)classes;
    if (*x != *x)
        return 0;
    return (float)((double)*x > ((const binary_opts *)c->opts)->threshold) == target_at(c->target, row);
}

/* Adds up the rows, of `width` scores each, that are right. */
static int count(const pln_loss_call *c, int64_t width, double *cells,
                 int (*right)(const pln_loss_call *, const float *, int64_t, int64_t))
{
    const float *x = c->pred->data;
    int64_t rows = sample_size(c->pred->shape, c->pred->rank) / width;
    for (int64_t i = 0; i < c->pred->shape[0]; i++) {
        double hits = 0, weight = sample_weight(c, i);
        for (int64_t r = i * rows; r < (i + 1) * rows; r++)
            hits += right(c, x + r * width, width, r);
        cells[SUM] += weight * hits;
        cells[WEIGHT] += weight * (double)rows;
    }
    return PLN_OK;
}

static int64_t last_axis(const pln_loss_call *c)
{
    return c->pred->shape[c->pred->rank - 1];
}

static int update_sparse(const pln_host *h, const pln_loss_call *c, double *cells)
{
    (void)h;
    return count(c, last_axis(c), cells, right_sparse);
}

static int update_dense(const pln_host *h, const pln_loss_call *c, double *cells)
{
    (void)h;
    return count(c, last_axis(c), cells, right_dense);
}

static int update_top(const pln_host *h, const pln_loss_call *c, double *cells)
{
    (void)h;
    return count(c, last_axis(c), cells, right_top);
}

static int update_binary(const pln_host *h, const pln_loss_call *c, double *cells)
{
    (void)h;
    return count(c, 1, cells, right_binary);
}

static double result(const void *opts, const double *cells)
{
    (void)opts;
    return divide(cells[SUM], cells[WEIGHT]);
}

static int cells_sparse(const pln_host *h, const void *opts, const pln_node *node, const pln_slot *pred,
                        const pln_slot *target, uint32_t *ncells)
{
    (void)opts;
    *ncells = MEAN_CELLS;
    return check_class_numbers(h, node, pred, target);
}

static int cells_same(const pln_host *h, const void *opts, const pln_node *node, const pln_slot *pred,
                      const pln_slot *target, uint32_t *ncells)
{
    (void)opts;
    *ncells = MEAN_CELLS;
    return check_same_shape(h, node, pred, target);
}

static int cells_dense(const pln_host *h, const void *opts, const pln_node *node, const pln_slot *pred,
                       const pln_slot *target, uint32_t *ncells)
{
    if (cells_same(h, opts, node, pred, target, ncells))
        return PLN_FAIL;
    if (pred->rank < 2 || target->dtype != PLN_F32)
        return h->fail(h, node,
                       "wants rows of class scores and float32 rows as targets; for class numbers use "
                       "sparse_categorical_accuracy, for one score a sample binary_accuracy");
    return PLN_OK;
}

static const pln_option top_options[] = {
    {.name = "k",
     .help = "How many of the largest scores may hold the class",
     .type = PLN_INT,
     .offset = offsetof(top_opts, k),
     .dflt = 5,
     .lo = 1,
     .hi = 1e9},
};
static const pln_option binary_options[] = {OPTION_THRESHOLD(binary_opts)};

static const pln_metric sparse = {
    METRIC("org.perilune.sparse_categorical_accuracy", "sparse_categorical_accuracy",
           "How often the class with the largest score is the class number", cells_sparse, update_sparse, result),
    .flags = PLN_ORDER_ONLY,
};
static const pln_metric dense = {
    METRIC("org.perilune.categorical_accuracy", "categorical_accuracy",
           "How often the largest score stands where the largest target does", cells_dense, update_dense, result),
    .flags = PLN_ORDER_ONLY,
};
static const pln_metric top = {
    METRIC("org.perilune.sparse_top_k_categorical_accuracy", "sparse_top_k_categorical_accuracy",
           "How often the class number is among the k largest scores", cells_sparse, update_top, result),
    METRIC_OPTIONS(top_opts, top_options),
    .flags = PLN_ORDER_ONLY,
};
static const pln_metric binary = {
    METRIC("org.perilune.binary_accuracy", "binary_accuracy",
           "How often a score lies on its target's side of the threshold", cells_same, update_binary, result),
    METRIC_OPTIONS(binary_opts, binary_options),
};

static const void *const descriptors[] = {&sparse, &dense, &top, &binary, NULL};

const pln_plugin perilune_plugin = METRIC_PLUGIN("org.perilune.accuracy", descriptors);

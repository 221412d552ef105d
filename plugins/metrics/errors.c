/* Means of errors, with e = p - y: mean_squared_error (mse), mean_absolute_error (mae) and root_mean_squared_error.
 * All values of all samples count alike, weighted by sample.  Source: Keras 3, keras.metrics. */
#include "common.h"

static int add(const pln_loss_call *c, double *cells, int square)
{
    const float *p = c->pred->data;
    int64_t size = sample_size(c->pred->shape, c->pred->rank);
    for (int64_t s = 0, i = 0; s < c->pred->shape[0]; s++) {
        double sum = 0, weight = sample_weight(c, s);
        for (int64_t end = i + size; i < end; i++) {
            double e = (double)p[i] - (double)target_at(c->target, i);
            sum += square ? e * e : __builtin_fabs(e);
        }
        cells[SUM] += weight * sum;
        cells[WEIGHT] += weight * (double)size;
    }
    return PLN_OK;
}

static int update_squared(const pln_host *h, const pln_loss_call *c, double *cells)
{
    (void)h;
    return add(c, cells, 1);
}

static int update_absolute(const pln_host *h, const pln_loss_call *c, double *cells)
{
    (void)h;
    return add(c, cells, 0);
}

static double result_mean(const void *opts, const double *cells)
{
    (void)opts;
    return divide(cells[SUM], cells[WEIGHT]);
}

static double result_root(const void *opts, const double *cells)
{
    return __builtin_sqrt(result_mean(opts, cells));
}

static int cells_mean(const pln_host *h, const void *opts, const pln_node *node, const pln_slot *pred,
                      const pln_slot *target, uint32_t *ncells)
{
    (void)opts;
    *ncells = MEAN_CELLS;
    return check_same_shape(h, node, pred, target);
}

#define SQUARED  "Mean of the squared differences"
#define ABSOLUTE "Mean of the differences' sizes"

static const pln_metric metrics[] = {
    {METRIC("org.perilune.mean_squared_error", "mean_squared_error", SQUARED, cells_mean, update_squared, result_mean)},
    {METRIC("org.perilune.mse", "mse", SQUARED ": mean_squared_error", cells_mean, update_squared, result_mean)},
    {METRIC("org.perilune.mean_absolute_error", "mean_absolute_error", ABSOLUTE, cells_mean, update_absolute,
            result_mean)},
    {METRIC("org.perilune.mae", "mae", ABSOLUTE ": mean_absolute_error", cells_mean, update_absolute, result_mean)},
    {METRIC("org.perilune.root_mean_squared_error", "root_mean_squared_error",
            "Root of the mean of the squared differences", cells_mean, update_squared, result_root)},
};

static const void *const descriptors[] = {&metrics[0], &metrics[1], &metrics[2], &metrics[3], &metrics[4], NULL};

const pln_plugin perilune_plugin = METRIC_PLUGIN("org.perilune.errors", descriptors);

/* auc: the area under the curve of the true positive rate over the false positive rate (ROC).  It is the chance that a
 * random yes is scored above a random no; 0.5 is guessing.
 *
 * The T thresholds are i / (T - 1); a score falls into the bucket (threshold i, threshold i + 1], and the cells are
 * two histograms, of the yeses and the noes, so that pieces add up.  The area is summed by trapezoids.  Scores are
 * probabilities; a score that is none counts as the nearest one, NaN as 0.  Source: Keras 3, keras.metrics.AUC with its
 * defaults. */
#include "common.h"

typedef struct opts {
    int64_t num_thresholds;
} opts;

static int64_t bucket(float p, int64_t thresholds)
{
    if (!(p > 0))
        return 0;
    if (p >= 1)
        return thresholds - 2;
    double x = (double)p * (double)(thresholds - 1);
    int64_t floor = (int64_t)x;
    return (double)floor == x && floor > 0 ? floor - 1 : floor;
}

/* cells: [T] noes, then [T] yeses. */
static int update(const pln_host *h, const pln_loss_call *c, double *cells)
{
    (void)h;
    const float *p = c->pred->data;
    int64_t thresholds = ((const opts *)c->opts)->num_thresholds;
    int64_t size = sample_size(c->pred->shape, c->pred->rank);
    for (int64_t s = 0, i = 0; s < c->pred->shape[0]; s++)
        for (int64_t end = i + size; i < end; i++)
            cells[(target_at(c->target, i) != 0) * thresholds + bucket(p[i], thresholds)] += sample_weight(c, s);
    return PLN_OK;
}

static double result(const void *o, const double *cells)
{
    int64_t thresholds = ((const opts *)o)->num_thresholds;
    double no = 0, yes = 0, area = 0;
    for (int64_t i = thresholds; i-- > 0;) { /* from the highest threshold: (no, yes) walks along the curve */
        area += cells[i] * (yes + cells[thresholds + i] / 2);
        no += cells[i];
        yes += cells[thresholds + i];
    }
    return divide(area, no * yes);
}

static int cells_needed(const pln_host *h, const void *o, const pln_node *node, const pln_slot *pred,
                        const pln_slot *target, uint32_t *ncells)
{
    *ncells = (uint32_t)(2 * ((const opts *)o)->num_thresholds);
    return check_same_shape(h, node, pred, target);
}

static const pln_option options[] = {
    {.name = "num_thresholds",
     .help = "How many thresholds the curve is drawn with",
     .type = PLN_INT,
     .offset = offsetof(opts, num_thresholds),
     .dflt = 200,
     .lo = 2,
     .hi = 2048},
};

static const pln_metric auc = {
    METRIC("org.perilune.auc", "auc", "Area under the curve of true over false positives", cells_needed, update,
           result),
    METRIC_OPTIONS(opts, options),
};

static const void *const descriptors[] = {&auc, NULL};

const pln_plugin perilune_plugin = METRIC_PLUGIN("org.perilune.auc", descriptors);

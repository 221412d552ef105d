/* Yes or no: precision, recall and f1_score.  A score above the threshold says yes; a target other than 0 is yes.
 *
 *     precision  TP / (TP + FP)        how many of the yeses are right
 *     recall     TP / (TP + FN)        how many of those that should be yes are found
 *     f1_score   2 TP / (2 TP + FP + FN)
 *
 * 0 where the denominator is 0.  All scores of all samples are thrown together ("micro"), weighted by sample; Keras's
 * F1Score gives one number for each output unless told otherwise, so with a single output the two agree.  Source: Keras
 * 3, keras.metrics. */
#include "common.h"

typedef struct opts {
    double threshold;
} opts;

enum { TRUE_YES, FALSE_YES, FALSE_NO, CELLS };

static int update(const pln_host *h, const pln_loss_call *c, double *cells)
{
    (void)h;
    const float *p = c->pred->data;
    double threshold = ((const opts *)c->opts)->threshold;
    int64_t size = sample_size(c->pred->shape, c->pred->rank);
    for (int64_t s = 0, i = 0; s < c->pred->shape[0]; s++)
        for (int64_t end = i + size; i < end; i++) {
            int said = (double)p[i] > threshold, is = target_at(c->target, i) != 0;
            if (said || is)
                cells[said && is ? TRUE_YES : said ? FALSE_YES : FALSE_NO] += sample_weight(c, s);
        }
    return PLN_OK;
}

static double precision(const void *o, const double *cells)
{
    (void)o;
    return divide(cells[TRUE_YES], cells[TRUE_YES] + cells[FALSE_YES]);
}

static double recall(const void *o, const double *cells)
{
    (void)o;
    return divide(cells[TRUE_YES], cells[TRUE_YES] + cells[FALSE_NO]);
}

static double f1(const void *o, const double *cells)
{
    (void)o;
    return divide(2 * cells[TRUE_YES], 2 * cells[TRUE_YES] + cells[FALSE_YES] + cells[FALSE_NO]);
}

static int cells_needed(const pln_host *h, const void *o, const pln_node *node, const pln_slot *pred,
                        const pln_slot *target, uint32_t *ncells)
{
    (void)o;
    *ncells = CELLS;
    return check_same_shape(h, node, pred, target);
}

static const pln_option options[] = {OPTION_THRESHOLD(opts)};

static const pln_metric metrics[] = {
    {METRIC("org.perilune.precision", "precision", "How many of those called yes are yes", cells_needed, update,
            precision),
     METRIC_OPTIONS(opts, options)},
    {METRIC("org.perilune.recall", "recall", "How many of those that are yes were called so", cells_needed, update,
            recall),
     METRIC_OPTIONS(opts, options)},
    {METRIC("org.perilune.f1_score", "f1_score", "Harmonic mean of precision and recall", cells_needed, update, f1),
     METRIC_OPTIONS(opts, options)},
};

static const void *const descriptors[] = {&metrics[0], &metrics[1], &metrics[2], NULL};

const pln_plugin perilune_plugin = METRIC_PLUGIN("org.perilune.confusion", descriptors);

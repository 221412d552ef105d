/* What the built-in metrics share: the fields of a descriptor that are the same in all of them, and the mean.  A
 * plugin of your own needs none of this. */
#ifndef METRICS_COMMON_H
#define METRICS_COMMON_H

#include "../shapes.h"

/* A metric without options; with them, add .noptions, .options and .opts_size. */
#define METRIC(ident, type, prose, size_of, add, value)                                                                \
    .size = PLN_SIZE_TO(pln_metric, result), .kind = PLN_METRIC, .id = ident, .name = type, .help = prose,             \
    .version = 1, .option_stride = sizeof(pln_option), .cells = size_of, .update = add, .result = value

#define METRIC_OPTIONS(T, table) .noptions = sizeof(table) / sizeof *(table), .options = table, .opts_size = sizeof(T)

#define METRIC_PLUGIN(ident, descriptors)                                                                              \
    {                                                                                                                  \
        PLN_MAGIC, PLN_SIZE_TO(pln_plugin, descriptors), PLN_MAJOR, PLN_MINOR, ident, "0.1.0", "MIT", descriptors      \
    }

/* An option: scores above it count as "yes". */
#define OPTION_THRESHOLD(T)                                                                                            \
    {                                                                                                                  \
        .name = "threshold", .help = "Scores above it count as yes", .type = PLN_REAL,                                 \
        .offset = offsetof(T, threshold), .dflt = 0.5, .lo = 0, .hi = 1                                                \
    }

static inline double sample_weight(const pln_loss_call *c, int64_t sample)
{
    return c->weight ? (double)c->weight[sample] : 1;
}

/* Most metrics are a mean; its cells are the weighted sum and the sum of the weights. */
enum { SUM, WEIGHT, MEAN_CELLS };

static inline double divide(double a, double b)
{
    return b == 0 ? 0 : a / b; /* Keras's divide_no_nan: nothing seen yet is 0 */
}

#endif

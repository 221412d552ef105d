/* What the built-in losses share: the fields of a descriptor that are the same in all of them.  A plugin of your own
 * needs none of this. */
#ifndef LOSSES_COMMON_H
#define LOSSES_COMMON_H

#include "../shapes.h"

/* A loss without options; with them, add .noptions, .options and .opts_size. */
#define LOSS(ident, type, prose, fits, go)                                                                             \
    .size = PLN_SIZE_TO(pln_loss, run), .kind = PLN_LOSS, .id = ident, .name = type, .help = prose, .version = 1,      \
    .option_stride = sizeof(pln_option), .check = fits, .run = go

#define LOSS_OPTIONS(T, table) .noptions = sizeof(table) / sizeof *(table), .options = table, .opts_size = sizeof(T)

#define LOSS_PLUGIN(ident, descriptors)                                                                                \
    {                                                                                                                  \
        PLN_MAGIC, PLN_SIZE_TO(pln_plugin, descriptors), PLN_MAJOR, PLN_MINOR, ident, "0.1.0", "MIT", descriptors      \
    }

/* Keras's epsilon: probabilities are kept in [EPSILON, 1 - EPSILON], so that logarithms are finite. */
#define EPSILON 1e-7f
static inline float clip_probability(float p)
{
    return p < EPSILON ? EPSILON : p > 1 - EPSILON ? 1 - EPSILON : p; /* NaN stays NaN */
}

#endif

/* flatten.c: Flatten, which makes one row of each sample.
 *
 *     x [n, a, b, ...]   y [n, a*b*...]
 *
 *     y = x, under another shape
 *
 * A view: no memory moves and neither forward nor backward exists. */
#include "perilune/plugin.h"

static int plan(const pln_host *h, pln_plan *p, const void *opts, int mode, const pln_slot *const *in, uint32_t nin)
{
    int64_t count = 1;
    (void)opts, (void)mode, (void)nin;

    for (uint32_t i = 1; i < in[0]->rank; i++)
        count *= in[0]->shape[i];
    return PLN_SLOT(h, p, .kind = PLN_OUTPUT, .flags = PLN_VIEW, .index = 0, .dtype = in[0]->dtype, .rank = 2,
                    .shape = {PLN_BATCH, count});
}

static const pln_layer flatten_layer = {
    .size = PLN_SIZE_TO(pln_layer, backward),
    .kind = PLN_LAYER,
    .id = "org.perilune.flatten",
    .name = "Flatten",
    .help = "makes one row of each sample",
    .version = 1,
    .flags = PLN_SAMPLEWISE,
    .dtypes = PLN_DTYPE(PLN_F32) | PLN_DTYPE(PLN_I32) | PLN_DTYPE(PLN_U8),
    .min_in = 1,
    .max_in = 1,
    .plan = plan,
};

PLN_PLUGIN("org.perilune.flatten", "1.0", "MIT", &flatten_layer);

/* reshape.c: Reshape, which gives each sample another shape with as many elements.
 *
 *     x [n, a, b, ...]   y [n, target_shape...]
 *
 *     y = x, under another shape; one -1 in target_shape stands for whatever is left
 *
 * A view: no memory moves and neither forward nor backward exists. */
#include "perilune/plugin.h"

typedef struct reshape {
    int64_t target_shape[PLN_RANK - 1], count;
} reshape;

static const pln_option options[] = {
    {"target_shape", "new dimensions of a sample, without the batch; one may be -1: what is left", PLN_INTS,
     PLN_REQUIRED | PLN_POSITIONAL, offsetof(reshape, target_shape), PLN_RANK - 1, offsetof(reshape, count), .lo = -1,
     .hi = 1 << 28},
};

static int plan(const pln_host *h, pln_plan *p, const void *opts, int mode, const pln_slot *const *in, uint32_t nin)
{
    const reshape *o = opts;
    pln_slot y = {.size = PLN_SIZE_TO(pln_slot, shape), .kind = PLN_OUTPUT, .flags = PLN_VIEW, .index = 0};
    int64_t have = 1, want = 1, open = -1;
    (void)mode, (void)nin;

    for (uint32_t i = 1; i < in[0]->rank; i++)
        have *= in[0]->shape[i];
    y.dtype = in[0]->dtype;
    y.rank = (uint32_t)o->count + 1;
    y.shape[0] = PLN_BATCH;
    for (int64_t i = 0; i < o->count; i++) {
        int64_t d = o->target_shape[i];
        y.shape[i + 1] = d;
        if (d == 0)
            return h->refuse(h, p, "target_shape[%d] is 0; dimensions are at least 1, or -1 for what is left",
                             (int)i + 1);
        if (d == -1 && open >= 0)
            return h->refuse(h, p, "target_shape has more than one -1; only one dimension can be what is left");
        if (d == -1)
            open = i;
        else
            want *= want <= have ? d : 1; /* too large already: multiplied on, it might overflow */
    }
    if (open >= 0 && have % want == 0)
        y.shape[open + 1] = have / want;
    else if (open >= 0)
        return h->refuse(h, p,
                         "a sample has %lld elements, which do not divide into rows of the %lld that target_shape "
                         "asks for",
                         (long long)have, (long long)want);
    else if (have != want)
        return h->refuse(h, p, "a sample has %lld elements, but target_shape holds %s%lld", (long long)have,
                         want > have ? "at least " : "", (long long)want);
    return h->slot(h, p, &y);
}

static const pln_layer reshape_layer = {
    .size = PLN_SIZE_TO(pln_layer, backward),
    .kind = PLN_LAYER,
    .id = "org.perilune.reshape",
    .name = "Reshape",
    .help = "gives each sample another shape with as many elements",
    .version = 1,
    .flags = PLN_SAMPLEWISE,
    .dtypes = PLN_DTYPE(PLN_F32) | PLN_DTYPE(PLN_I32) | PLN_DTYPE(PLN_U8),
    .noptions = sizeof options / sizeof options[0],
    .options = options,
    .option_stride = sizeof options[0],
    .opts_size = sizeof(reshape),
    .min_in = 1,
    .max_in = 1,
    .plan = plan,
};

PLN_PLUGIN("org.perilune.reshape", "1.0", "MIT", &reshape_layer);

/* A plugin as careless people build them: with -ffast-math.  Up to version 12, gcc then links crtfastm.o into shared
 * objects too, whose constructor makes the loading thread flush denormals; ours does the same wherever it is built, and
 * changes the rounding for good measure.
 *
 * Its layer FastMath is the identity. */
#include <perilune/plugin.h>

#if defined(__x86_64__)
#define FLUSH      0x8040u /* FTZ and DAZ */
#define ROUND_DOWN 0x2000u

__attribute__((constructor)) static void careless(void)
{
    __builtin_ia32_ldmxcsr((__builtin_ia32_stmxcsr() | FLUSH | ROUND_DOWN) & ~0x3fu);
}
#endif

static int plan(const pln_host *h, pln_plan *p, const void *opts, int mode, const pln_slot *const *in, uint32_t nin)
{
    pln_slot y = {.size = PLN_SIZE_TO(pln_slot, shape), .kind = PLN_OUTPUT, .flags = PLN_VIEW, .dtype = PLN_F32};
    (void)opts, (void)mode, (void)nin;
    y.rank = in[0]->rank;
    for (uint32_t i = 0; i < y.rank; i++)
        y.shape[i] = in[0]->shape[i];
    return h->slot(h, p, &y);
}

static const pln_layer layer = {
    .size = PLN_SIZE_TO(pln_layer, backward),
    .kind = PLN_LAYER,
    .id = "org.perilune.tests.fast_math",
    .name = "FastMath",
    .help = "passes its input on",
    .version = 1,
    .min_in = 1,
    .max_in = 1,
    .plan = plan,
};

static const void *const descriptors[] = {&layer, NULL};

const pln_plugin perilune_plugin = {
    .magic = PLN_MAGIC,
    .size = PLN_SIZE_TO(pln_plugin, descriptors),
    .major = PLN_MAJOR,
    .minor = PLN_MINOR,
    .id = "org.perilune.tests.fast_math",
    .version = "1.0",
    .licence = "MIT",
    .descriptors = descriptors,
};

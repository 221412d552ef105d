/* Plugins with one thing wrong each, chosen by a macro; without one, a layer "Good" that passes its input on. */
#include <perilune/plugin.h>

__attribute__((unused)) static int plan(const pln_host *h, pln_plan *p, const void *opts, int mode,
                                        const pln_slot *const *in, uint32_t nin)
{
    (void)opts;
    (void)mode;
    (void)nin;
    pln_slot out = *in[0];
    out.size = PLN_SIZE_TO(pln_slot, shape);
    out.kind = PLN_OUTPUT;
    out.flags = PLN_VIEW;
    out.index = 0;
#ifdef BAD_SLOT
    out.shape[0] = 7;
#endif
#ifdef BAD_VIEW
    out.shape[1] *= 1000;
#endif
#ifdef BAD_INDEX
    out.index = 5;
#endif
#ifdef BAD_SILENT
    (void)h;
    (void)p;
    (void)out;
    return PLN_FAIL;
#else
    return h->slot(h, p, &out);
#endif
}

#ifdef BAD_CHOICE
static const char *const CHOICES[] = {"one", "two", NULL};
static const pln_option OPTIONS[] = {
    {.name = "far", .help = "its default is no choice", .type = PLN_CHOICE, .dflt = 7000, .choices = CHOICES},
};
#define BAD_OPTION
#elif defined(BAD_INITIALIZER)
static const pln_option OPTIONS[] = {
    {.name = "many", .help = "an initializer that is a number", .type = PLN_INT, .flags = PLN_INITIALIZER},
};
#define BAD_OPTION
#elif defined(BAD_COUNT)
static const pln_option OPTIONS[] = {
    {.name = "list", .help = "its count lies outside the struct", .type = PLN_INTS, .max_count = 1, .count_offset = 8},
};
#define BAD_OPTION
#elif defined(BAD_OPTION)
static const pln_option OPTIONS[] = {
    {.name = "outside", .help = "lies outside the struct", .type = PLN_INT, .offset = 4096},
};
#endif

__attribute__((unused)) static const pln_layer LAYER = {
#ifdef BAD_SIZE
    .size = 16,
#else
    .size = PLN_SIZE_TO(pln_layer, backward),
#endif
#ifdef BAD_KIND
    .kind = 99,
#else
    .kind = PLN_LAYER,
#endif
    .id = "org.perilune.tests.bad",
#ifdef BAD_NAME
    .name = "two words",
#else
    .name = "Good",
#endif
    .help = "passes its input on",
#ifdef BAD_OPTION
    .noptions = 1,
    .options = OPTIONS,
    .option_stride = sizeof(pln_option),
    .opts_size = 8,
#endif
    .min_in = 1,
    .max_in = 1,
#ifndef BAD_FUNCTION
    .plan = plan,
#endif
};

static const void *const DESCRIPTORS[] = {
#ifndef BAD_EMPTY
    &LAYER,
#endif
    NULL};

#ifdef BAD_SYMBOL
PLN_EXPORT extern const pln_plugin somebody_elses;
const pln_plugin somebody_elses = {
#else
const pln_plugin perilune_plugin = {
#endif
#ifdef BAD_MAGIC
    .magic = 0xBADC0DEu,
#else
    .magic = PLN_MAGIC,
#endif
    .size = PLN_SIZE_TO(pln_plugin, descriptors),
#ifdef BAD_VERSION
    .major = PLN_MAJOR + 1,
#else
    .major = PLN_MAJOR,
#endif
    .minor = PLN_MINOR + 100, /* a newer minor version is welcome */
    .id = "org.perilune.tests.bad",
    .version = "1.0",
    .licence = "MIT",
    .descriptors = DESCRIPTORS,
};

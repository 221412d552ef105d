/* input.c: Input, the place where a data set's samples enter the graph.
 *
 *     y [n, shape...] = the batch
 *
 * A source: it has no inputs and computes nothing; the host writes the batch into its output. */
#include "perilune/plugin.h"

typedef struct input {
    int64_t shape[PLN_RANK - 1], count;
} input;

static const pln_option options[] = {
    {"shape", "dimensions of one sample, without the batch: nn.Input { 28, 28, 1 }", PLN_INTS,
     PLN_REQUIRED | PLN_POSITIONAL, offsetof(input, shape), PLN_RANK - 1, offsetof(input, count), .lo = 1,
     .hi = 1 << 28},
};

static int plan(const pln_host *h, pln_plan *p, const void *opts, int mode, const pln_slot *const *in, uint32_t nin)
{
    const input *o = opts;
    pln_slot y = {.size = PLN_SIZE_TO(pln_slot, shape), .kind = PLN_OUTPUT, .dtype = PLN_F32};
    (void)mode, (void)in, (void)nin;

    if (o->count < 1)
        return h->refuse(h, p,
                         "needs the shape of a sample, got none; write nn.Input { 28, 28, 1 } for pictures of "
                         "28 x 28 grey values, nn.Input { 2 } for two numbers");
    y.rank = (uint32_t)o->count + 1;
    y.shape[0] = PLN_BATCH;
    for (int64_t i = 0; i < o->count; i++)
        y.shape[i + 1] = o->shape[i];
    return h->slot(h, p, &y);
}

static const pln_layer input_layer = {
    .size = PLN_SIZE_TO(pln_layer, backward),
    .kind = PLN_LAYER,
    .id = "org.perilune.input",
    .name = "Input",
    .help = "where samples enter the model",
    .version = 1,
    .flags = PLN_SAMPLEWISE,
    .noptions = sizeof options / sizeof options[0],
    .options = options,
    .option_stride = sizeof options[0],
    .opts_size = sizeof(input),
    .plan = plan,
};

PLN_PLUGIN("org.perilune.input", "1.0", "MIT", &input_layer);

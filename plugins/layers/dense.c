/* dense.c: Dense, the fully connected layer.
 *
 *     x [rows, in]   kernel [in, units]   bias [units]   y [rows, units]
 *
 *     y       = x kernel + bias
 *     dx      = dy kernel^T
 *     dkernel = x^T dy
 *     dbias   = sum of dy over the rows
 *
 * It works on the last axis; all others are rows.  The host's gemm does everything, the cutting included. */
#include "perilune/plugin.h"

typedef struct dense {
    int64_t units, use_bias;
    const char *kernel_initializer, *bias_initializer;
} dense;

static const pln_option options[] = {
    {"units", "number of outputs", PLN_INT, PLN_REQUIRED | PLN_POSITIONAL, offsetof(dense, units), .lo = 1,
     .hi = 1 << 28},
    {"use_bias", "add a trained number to each output", PLN_BOOL, 0, offsetof(dense, use_bias), .dflt = 1},
    {"kernel_initializer", "how the kernel [in, units] begins", PLN_TEXT, PLN_INITIALIZER,
     offsetof(dense, kernel_initializer), .dflt_text = "glorot_uniform"},
    {"bias_initializer", "how the bias [units] begins", PLN_TEXT, PLN_INITIALIZER, offsetof(dense, bias_initializer),
     .dflt_text = "zeros"},
};

enum { KERNEL, BIAS }; /* param, in the order in which plan declares them */

static int plan(const pln_host *h, pln_plan *p, const void *opts, int mode, const pln_slot *const *in, uint32_t nin)
{
    const dense *o = opts;
    const pln_slot *x = in[0];
    pln_slot y = {.size = PLN_SIZE_TO(pln_slot, shape), .kind = PLN_OUTPUT, .dtype = PLN_F32, .rank = x->rank};
    (void)mode, (void)nin;

    if (x->rank < 2)
        return h->refuse(h, p,
                         "needs samples of at least one dimension, got single numbers; "
                         "put nn.Reshape { 1 } before it");
    for (uint32_t i = 0; i + 1 < x->rank; i++)
        y.shape[i] = x->shape[i];
    y.shape[x->rank - 1] = o->units;
    y.time_axis = x->time_axis;

    if (h->slot(h, p, &y) || PLN_SLOT(h, p, .kind = PLN_KEEP_INPUT, .index = 0) ||
        PLN_SLOT(h, p, .kind = PLN_PARAM, .name = "kernel", .axes = "IO", .init = o->kernel_initializer,
                 .flags = PLN_GRAD_ONCE, .dtype = PLN_F32, .rank = 2, .shape = {x->shape[x->rank - 1], o->units}))
        return PLN_FAIL;
    if (o->use_bias && PLN_SLOT(h, p, .kind = PLN_PARAM, .name = "bias", .axes = "O", .init = o->bias_initializer,
                                .flags = PLN_NO_DECAY, .dtype = PLN_F32, .rank = 1, .shape = {o->units}))
        return PLN_FAIL;
    return PLN_OK;
}

/* All axes but the last. */
static int64_t count_rows(const pln_tensor *t)
{
    int64_t rows = 1;
    for (uint32_t i = 0; i + 1 < t->rank; i++)
        rows *= t->shape[i];
    return rows;
}

static int forward(const pln_host *h, const pln_call *c)
{
    const dense *o = c->opts;
    const pln_tensor *x = c->in[0];
    int64_t in = x->shape[x->rank - 1];

    return PLN_GEMM(h, .m = count_rows(x), .n = o->units, .k = in, .a = x, .lda = in, .b = c->param[KERNEL],
                    .ldb = o->units, .c = c->out[0], .ldc = o->units, .alpha = 1,
                    .bias = o->use_bias ? c->param[BIAS] : NULL);
}

/* The bias alone, for a frozen kernel. */
static void sum_rows(int64_t rows, int64_t units, const float *dy, float beta, float *dbias)
{
    for (int64_t j = 0; j < units; j++)
        dbias[j] = beta == 0 ? 0 : beta * dbias[j];
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < units; j++)
            dbias[j] += dy[i * units + j];
}

/* The input's gradient first: the second gemm may already update the kernel (PLN_GRAD_ONCE). */
static int backward(const pln_host *h, const pln_call *c)
{
    const dense *o = c->opts;
    const pln_tensor *x = c->in[0], *dy = c->dout[0], *kernel = c->param[KERNEL];
    pln_tensor *dx = c->din[0], *dkernel = c->dparam[KERNEL], *dbias = o->use_bias ? c->dparam[BIAS] : NULL;
    int64_t rows = count_rows(dy), in = kernel->shape[0], units = o->units;

    if (dx && PLN_GEMM(h, .m = rows, .n = in, .k = units, .a = dy, .lda = units, .b = kernel, .ldb = units,
                       .flags = PLN_TRANS_B, .c = dx, .ldc = in, .alpha = 1))
        return PLN_FAIL;
    if (dkernel)
        return PLN_GEMM(h, .m = in, .n = units, .k = rows, .a = x, .lda = in, .flags = PLN_TRANS_A, .b = dy,
                        .ldb = units, .c = dkernel, .ldc = units, .alpha = 1, .beta = c->beta, .colsum = dbias);
    if (dbias)
        sum_rows(rows, units, dy->data, c->beta, dbias->data);
    return PLN_OK;
}

static const pln_layer dense_layer = {
    .size = PLN_SIZE_TO(pln_layer, backward),
    .kind = PLN_LAYER,
    .id = "org.perilune.dense",
    .name = "Dense",
    .help = "every output is a weighted sum of all inputs: y = x kernel + bias",
    .version = 1,
    .flags = PLN_SAMPLEWISE,
    .noptions = sizeof options / sizeof options[0],
    .options = options,
    .option_stride = sizeof options[0],
    .opts_size = sizeof(dense),
    .min_in = 1,
    .max_in = 1,
    .plan = plan,
    .forward = forward,
    .backward = backward,
};

PLN_PLUGIN("org.perilune.dense", "1.0", "MIT", &dense_layer);

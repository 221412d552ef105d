/* embedding.c: Embedding, a table of trained vectors looked up by number.
 *
 *     x [n, ...]: whole numbers 0 .. input_dim-1        table [input_dim, output_dim]        y [n, ..., output_dim]
 *
 *     y[i,.]      = table[x[i], .]
 *     dtable[k,.] = sum of dy[i,.] over all i with x[i] = k
 *
 * Numbers come as int32, or as float32 with whole values, which is what an Input gives.  They have no gradient. */
#include "perilune/plugin.h"

typedef struct embedding {
    int64_t input_dim, output_dim;
    const char *embeddings_initializer;
} embedding;

static const pln_option options[] = {
    {"input_dim", "how many numbers there are, 0 included: the rows of the table", PLN_INT, PLN_REQUIRED,
     offsetof(embedding, input_dim), .lo = 1, .hi = 1 << 24}, /* float32 holds whole numbers up to here */
    {"output_dim", "length of a number's vector", PLN_INT, PLN_REQUIRED, offsetof(embedding, output_dim), .lo = 1,
     .hi = 1 << 20},
    {"embeddings_initializer", "how the table [input_dim, output_dim] begins", PLN_TEXT, PLN_INITIALIZER,
     offsetof(embedding, embeddings_initializer), .dflt_text = "random_uniform"},
};

static int plan(const pln_host *h, pln_plan *p, const void *opts, int mode, const pln_slot *const *in, uint32_t nin)
{
    const embedding *o = opts;
    const pln_slot *x = in[0];
    pln_slot y = {.size = PLN_SIZE_TO(pln_slot, shape), .kind = PLN_OUTPUT, .dtype = PLN_F32, .rank = x->rank + 1};
    (void)mode, (void)nin;

    if (x->rank == PLN_RANK)
        return h->refuse(h, p, "has no room for one more dimension: its input has %d already", (int)x->rank - 1);
    for (uint32_t i = 0; i < x->rank; i++)
        y.shape[i] = x->shape[i];
    y.shape[x->rank] = o->output_dim;
    y.time_axis = x->time_axis;
    return h->slot(h, p, &y) || PLN_SLOT(h, p, .kind = PLN_KEEP_INPUT, .index = 0) ||
           PLN_SLOT(h, p, .kind = PLN_PARAM, .name = "embeddings", .axes = "IO", .init = o->embeddings_initializer,
                    .dtype = PLN_F32, .rank = 2, .shape = {o->input_dim, o->output_dim});
}

static int64_t count(const pln_tensor *t)
{
    int64_t n = 1;
    for (uint32_t i = 0; i < t->rank; i++)
        n *= t->shape[i];
    return n;
}

/* Number i of x, or -1 where it is none of 0 .. most-1. */
static int64_t number_at(const pln_tensor *x, int64_t i, int64_t most)
{
    if (x->dtype == PLN_I32) {
        const int32_t v = ((const int32_t *)x->data)[i];
        return v >= 0 && v < most ? v : -1;
    }
    const float v = ((const float *)x->data)[i];
    if (!(v >= 0 && v < (float)most) || v != (float)(int64_t)v)
        return -1;
    return (int64_t)v;
}

static int forward(const pln_host *h, const pln_call *c)
{
    const embedding *o = c->opts;
    const pln_tensor *x = c->in[0];
    const float *table = c->param[0]->data;
    float *y = c->out[0]->data;

    for (int64_t i = 0, n = count(x); i < n; i++, y += o->output_dim) {
        const int64_t row = number_at(x, i, o->input_dim);
        if (row < 0)
            return h->fail(h, c->node,
                           "looks up whole numbers from 0 to %lld (input_dim %lld), got %g in sample %lld of "
                           "the batch",
                           (long long)o->input_dim - 1, (long long)o->input_dim,
                           x->dtype == PLN_I32 ? ((const int32_t *)x->data)[i] : (double)((const float *)x->data)[i],
                           (long long)(x->first + i / (n / x->shape[0])));
        for (int64_t j = 0; j < o->output_dim; j++)
            y[j] = table[row * o->output_dim + j];
    }
    return PLN_OK;
}

static int backward(const pln_host *h, const pln_call *c)
{
    const embedding *o = c->opts;
    const pln_tensor *x = c->in[0];
    const float *dy = c->dout[0]->data;
    const int64_t n = count(x), size = o->input_dim * o->output_dim;
    (void)h;

    if (c->din[0]) {
        float *dx = c->din[0]->data;
        for (int64_t i = 0; i < n; i++)
            dx[i] = 0;
    }
    if (!c->dparam[0])
        return PLN_OK;
    float *dtable = c->dparam[0]->data;
    for (int64_t i = 0; i < size; i++)
        dtable[i] = c->beta == 0 ? 0 : c->beta * dtable[i];
    for (int64_t i = 0; i < n; i++, dy += o->output_dim) {
        const int64_t row = number_at(x, i, o->input_dim); /* forward has checked it */
        for (int64_t j = 0; row >= 0 && j < o->output_dim; j++)
            dtable[row * o->output_dim + j] += dy[j];
    }
    return PLN_OK;
}

static const pln_layer embedding_layer = {
    .size = PLN_SIZE_TO(pln_layer, backward),
    .kind = PLN_LAYER,
    .id = "org.perilune.embedding",
    .name = "Embedding",
    .help = "looks numbers up in a table of trained vectors",
    .version = 1,
    .flags = PLN_SAMPLEWISE,
    .dtypes = PLN_DTYPE(PLN_F32) | PLN_DTYPE(PLN_I32),
    .noptions = sizeof options / sizeof options[0],
    .options = options,
    .option_stride = sizeof options[0],
    .opts_size = sizeof(embedding),
    .min_in = 1,
    .max_in = 1,
    .plan = plan,
    .forward = forward,
    .backward = backward,
};

PLN_PLUGIN("org.perilune.embedding", "1.0", "MIT", &embedding_layer);

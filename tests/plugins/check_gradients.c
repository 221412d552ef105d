/* Gradients of every built-in layer against finite differences, in double (see double_host.h), over a table of
 * configurations.  For each:
 *
 *   - forward in training, over poisoned outputs and scratch; then backward, with poisoned scratch again and without
 *     the inputs and outputs that the layer did not ask to keep
 *   - L = sum of w * y with random w; every input's and parameter's gradient against (L(+e) - L(-e)) / 2e
 *   - beta: the gradient is added to beta times what was there
 *   - frozen parameters and unwanted input gradients (NULL) change nothing else
 *   - in place: the same numbers when y lies over x and dx over dy
 *   - in pieces of one sample: the same numbers, where the layer says so
 *   - inferring gives what training gives, where nothing is random
 *   - nothing is written outside of a tensor: each lies between guards */
#include "double_host.h"

/* The plugins, each compiled with -Dperilune_plugin=plugin_NAME. */
extern const pln_plugin plugin_dense, plugin_conv2d, plugin_dropout, plugin_activations, plugin_softmax,
    plugin_relu_layers, plugin_pooling, plugin_global_pooling, plugin_merge, plugin_concatenate, plugin_zero_padding2d,
    plugin_up_sampling2d, plugin_batch_normalization, plugin_layer_normalization, plugin_embedding, plugin_lstm,
    plugin_multi_head_attention;

enum {
    NUMBERS = 1, /* inputs are whole numbers 0 .. 4: no gradient */
    DIFFERS = 2  /* inferring differs from training */
};

/* Options as "name=1 other=2,3 kind=word"; shapes of the inputs, the batch included, as "2,3;2,4". */
typedef struct config {
    const pln_plugin *plugin;
    const char *layer, *options, *shapes;
    int flags;
} config;

static const config CONFIGS[] = {
    {&plugin_dense, "Dense", "units=3", "4,5", 0},
    {&plugin_dense, "Dense", "units=1 use_bias=0", "1,7", 0},
    {&plugin_dense, "Dense", "units=4", "2,3,2,5", 0},
    {&plugin_conv2d, "Conv2D", "filters=3 kernel_size=3,3", "2,5,6,2", 0},
    {&plugin_conv2d, "Conv2D", "filters=2 kernel_size=3,2 strides=2,3 padding=same use_bias=0", "2,7,8,3", 0},
    {&plugin_conv2d, "Conv2D", "filters=4 kernel_size=2,3 groups=2 padding=same", "2,4,5,4", 0},
    {&plugin_conv2d, "Conv2D", "filters=2 kernel_size=2,2 dilation_rate=2,3 padding=same", "1,6,7,2", 0},
    {&plugin_conv2d, "Conv2D", "filters=6 kernel_size=2,2 dilation_rate=2,1 groups=3 strides=1,2", "2,5,6,3", 0},
    {&plugin_dropout, "Dropout", "rate=0.4", "3,4,5", DIFFERS},
    {&plugin_activations, "relu", "", "4,130", 0},
    {&plugin_activations, "leaky_relu", "", "4,13", 0},
    {&plugin_activations, "elu", "", "4,13", 0},
    {&plugin_activations, "selu", "", "4,13", 0},
    {&plugin_activations, "exponential", "", "4,13", 0},
    {&plugin_activations, "sigmoid", "", "4,13", 0},
    {&plugin_activations, "tanh", "", "4,13", 0},
    {&plugin_activations, "softplus", "", "4,13", 0},
    {&plugin_activations, "softsign", "", "4,13", 0},
    {&plugin_activations, "silu", "", "4,13", 0},
    {&plugin_activations, "gelu", "", "2,3,3,37", 0},
    {&plugin_softmax, "softmax", "", "3,7", 0},
    {&plugin_softmax, "softmax", "", "2,3,1", 0},
    {&plugin_softmax, "log_softmax", "", "2,3,4", 0},
    {&plugin_softmax, "log_softmax", "", "1,600", 0},
    {&plugin_softmax, "Softmax", "axis=2", "2,3,4", 0},
    {&plugin_relu_layers, "ReLU", "", "3,20", 0},
    {&plugin_relu_layers, "ReLU", "max_value=1 negative_slope=0.1 threshold=0.25", "3,40", 0},
    {&plugin_relu_layers, "LeakyReLU", "", "3,20", 0},
    {&plugin_relu_layers, "ELU", "alpha=0.7", "3,400", 0},
    {&plugin_pooling, "MaxPooling2D", "", "2,4,6,3", 0},
    {&plugin_pooling, "MaxPooling2D", "pool_size=3,2 strides=2,1 padding=same", "2,5,4,5", 0},
    {&plugin_pooling, "MaxPooling2D", "pool_size=2,2 strides=3,3", "1,7,8,4", 0},
    {&plugin_pooling, "AveragePooling2D", "", "2,5,5,3", 0},
    {&plugin_pooling, "AveragePooling2D", "pool_size=3,3 strides=2,1 padding=same", "2,4,5,6", 0},
    {&plugin_global_pooling, "GlobalAveragePooling2D", "", "2,3,4,5", 0},
    {&plugin_global_pooling, "GlobalMaxPooling2D", "keepdims=1", "2,3,4,5", 0},
    {&plugin_merge, "Add", "", "2,3,4;2,3,4;2,3,4", 0},
    {&plugin_merge, "Subtract", "", "2,300;2,300", 0},
    {&plugin_merge, "Multiply", "", "2,3;2,3;2,3", 0},
    {&plugin_merge, "Average", "", "2,5;2,5", 0},
    {&plugin_concatenate, "Concatenate", "", "2,3,4;2,3,1;2,3,2", 0},
    {&plugin_concatenate, "Concatenate", "axis=1", "2,1,4;2,3,4", 0},
    {&plugin_zero_padding2d, "ZeroPadding2D", "", "2,2,3,2", 0},
    {&plugin_zero_padding2d, "ZeroPadding2D", "padding=2,0,1,3", "2,3,2,3", 0},
    {&plugin_up_sampling2d, "UpSampling2D", "size=2,3", "2,2,3,2", 0},
    {&plugin_batch_normalization, "BatchNormalization", "momentum=0.8", "5,3", DIFFERS},
    {&plugin_batch_normalization, "BatchNormalization", "center=0", "3,4,2,5", DIFFERS},
    {&plugin_batch_normalization, "BatchNormalization", "scale=0 epsilon=0.1", "9,300", DIFFERS},
    {&plugin_layer_normalization, "LayerNormalization", "", "3,2,6", 0},
    {&plugin_layer_normalization, "LayerNormalization", "scale=0", "3,6", 0},
    {&plugin_layer_normalization, "LayerNormalization", "center=0 epsilon=0.5", "3,6", 0},
    {&plugin_embedding, "Embedding", "input_dim=5 output_dim=3", "3,4", NUMBERS},
    {&plugin_lstm, "LSTM", "units=3", "2,4,2", 0},
    {&plugin_lstm, "LSTM", "units=2 return_sequences=1 use_bias=0", "3,5,3", 0},
    {&plugin_lstm, "LSTM", "units=4", "2,1,3", 0},
    {&plugin_multi_head_attention, "MultiHeadAttention", "num_heads=2 key_dim=3", "2,4,5", 0},
    {&plugin_multi_head_attention, "MultiHeadAttention", "num_heads=2 key_dim=2 value_dim=3 use_bias=0", "2,3,4;2,5,3",
     0},
    {&plugin_multi_head_attention, "MultiHeadAttention", "num_heads=3 key_dim=2 value_dim=1 use_causal_mask=1",
     "2,4,3;2,3,2;2,3,5", 0},
    {&plugin_multi_head_attention, "MultiHeadAttention", "num_heads=2 key_dim=2 dropout=0.3", "2,3,4", DIFFERS},
};

static const pln_layer *find_layer(const pln_plugin *p, const char *name)
{
    for (int i = 0; p->descriptors[i]; i++) {
        const pln_layer *l = p->descriptors[i];
        if (strcmp(l->name, name) == 0)
            return l;
    }
    fail_msg("no layer %s", name);
    return NULL;
}

static void make(bench *b, struct pln_plan *plan, const config *k, int mode)
{
    static const pln_node node;
    const pln_slot *in[MOST];
    uint64_t seed = 7;

    *b = (bench){.host = &double_host, .layer = find_layer(k->plugin, k->layer), .mode = mode, .node = &node};
    b->said = double_host_said;
    b->no_gradients = k->flags & NUMBERS;
    bench_open(b, k->options, k->shapes);
    for (int i = 0; i < b->nin; i++) {
        in[i] = &b->in_slots[i];
        cell_random(&b->in[i], &seed, -1.5, 1.5);
        for (int64_t j = 0; (k->flags & NUMBERS) && j < b->in[i].count; j++)
            b->in[i].data[j] = (double)((j * 7 + 3) % 5);
    }
    plan->nslots = 0;
    if (b->layer->plan(&double_host, plan, b->opts, mode, in, (uint32_t)b->nin))
        fail_msg("plan refuses: %s", double_host_said());
    bench_take(b, plan->slots, plan->nslots);
    for (int i = 0; i < b->nparam; i++)
        cell_random(&b->param[i], &seed, -1, 1);
    for (int i = 0; i < b->nstate; i++)
        cell_random(&b->state[i], &seed, 0.5, 1.5);
    for (int i = 0; i < b->nout; i++)
        cell_random(&b->dout[i], &seed, -1, 1);
}

static double loss(bench *b)
{
    double sum = 0;
    bench_call(b, 0, ALL);
    for (int i = 0; i < b->nout; i++)
        for (int64_t j = 0; j < b->out[i].count; j++)
            sum += b->out[i].data[j] * b->dout[i].data[j];
    return sum;
}

/* At most about this many elements of a tensor are differentiated. */
#define PROBES 60

static void check_differences(bench *b, const char *what, int number, cell *x, const double *gradient)
{
    const int64_t stride = x->count > PROBES ? x->count / PROBES : 1;
    for (int64_t i = 0; i < x->count; i += stride) {
        const double old = x->data[i], e = 1e-5;
        x->data[i] = old + e;
        const double up = loss(b);
        x->data[i] = old - e;
        const double down = loss(b);
        x->data[i] = old;
        assert_close(what, number, i, gradient[i], (up - down) / (2 * e), 2e-7);
    }
}

/* What a first forward and backward call gave. */
typedef struct results {
    double *din[MOST], *dparam[MOST], *out[MOST];
} results;

static results first_results(bench *b)
{
    results g = {0};
    bench_call(b, 0, ALL);
    for (int i = 0; i < b->nout; i++)
        g.out[i] = cell_copy(&b->out[i]);
    bench_call(b, 1, ALL);
    for (int i = 0; i < b->nin; i++)
        g.din[i] = cell_copy(&b->din[i]);
    for (int i = 0; i < b->nparam; i++)
        g.dparam[i] = cell_copy(&b->dparam[i]);
    return g;
}

static void results_free(results *g)
{
    for (int i = 0; i < MOST; i++) {
        free(g->din[i]);
        free(g->dparam[i]);
        free(g->out[i]);
    }
}

static void check_beta(bench *b, const results *g)
{
    how w = ALL;
    w.beta = 2;
    for (int i = 0; i < b->nparam; i++)
        for (int64_t j = 0; j < b->dparam[i].count; j++)
            b->dparam[i].data[j] = 10;
    bench_call(b, 1, w);
    for (int i = 0; i < b->nparam; i++)
        for (int64_t j = 0; j < b->dparam[i].count; j++)
            assert_close("with beta 2: dparam", i, j, b->dparam[i].data[j], 20 + g->dparam[i][j], 1e-12);
}

/* All but one gradient wanted. */
static void check_unwanted(bench *b, const results *g)
{
    for (int skip = 0; skip < b->nin + b->nparam; skip++) {
        how w = ALL;
        w.no_din = skip < b->nin ? skip : -1;
        w.no_dparam = skip < b->nin ? -1 : skip - b->nin;
        bench_forget(b);
        bench_call(b, 0, ALL);
        bench_call(b, 1, w);
        for (int i = 0; i < b->nin; i++)
            if (i != w.no_din && !b->no_gradients)
                assert_all_close("with others unwanted: din", i, &b->din[i], g->din[i], 1e-12);
        for (int i = 0; i < b->nparam; i++)
            if (i != w.no_dparam)
                assert_all_close("with others frozen: dparam", i, &b->dparam[i], g->dparam[i], 1e-12);
    }
}

/* One sample at a time, the last first. */
static void check_pieces(bench *b, const results *g)
{
    how w = ALL;
    if (!(b->layer->flags & PLN_SAMPLEWISE))
        return;
    bench_forget(b);
    w.n = 1;
    for (w.begin = b->batch - 1; w.begin >= 0; w.begin--)
        bench_call(b, 0, w);
    for (int i = 0; i < b->nout; i++)
        assert_all_close("in pieces: out", i, &b->out[i], g->out[i], 1e-12);
    for (w.begin = b->batch - 1; w.begin >= 0; w.begin--) {
        bench_call(b, 1, w);
        w.beta = 1;
    }
    for (int i = 0; i < b->nin && !b->no_gradients; i++)
        assert_all_close("in pieces: din", i, &b->din[i], g->din[i], 1e-11);
    for (int i = 0; i < b->nparam; i++)
        assert_all_close("in pieces: dparam", i, &b->dparam[i], g->dparam[i], 1e-11);
}

/* y over x and dx over dy, where the layer allows; x and dy are spoiled. */
static void check_in_place(bench *b, const results *g)
{
    how w = ALL;
    w.in_place = 1;
    if (b->slots[0].kind != PLN_OUTPUT || !(b->slots[0].flags & PLN_IN_PLACE))
        return;
    assert_int_equal(b->slots[0].index, 0);
    bench_call(b, 0, w);
    assert_all_close("in place: out", 0, &b->in[0], g->out[0], 1e-12);
    bench_call(b, 1, w);
    assert_all_close("in place: din", 0, &b->dout[0], g->din[0], 1e-12);
    for (int i = 1; i < b->nin; i++)
        assert_all_close("in place: din", i, &b->din[i], g->din[i], 1e-12);
}

static void check_inference(const config *k, const results *g)
{
    bench b;
    struct pln_plan plan;
    if (k->flags & DIFFERS)
        return;
    make(&b, &plan, k, PLN_INFER);
    bench_call(&b, 0, ALL);
    for (int i = 0; i < b.nout; i++)
        assert_all_close("inferring: out", i, &b.out[i], g->out[i], 1e-12);
    bench_free(&b);
}

static void gradients_are_right(void **state)
{
    bench b;
    struct pln_plan plan;
    make(&b, &plan, *state, PLN_TRAIN);
    results g = first_results(&b);
    for (int i = 0; i < b.nin && !b.no_gradients; i++)
        check_differences(&b, "din", i, &b.in[i], g.din[i]);
    for (int i = 0; i < b.nparam; i++)
        check_differences(&b, "dparam", i, &b.param[i], g.dparam[i]);
    bench_call(&b, 0, ALL);
    check_beta(&b, &g);
    check_unwanted(&b, &g);
    check_pieces(&b, &g);
    check_inference(*state, &g);
    check_in_place(&b, &g);
    results_free(&g);
    bench_free(&b);
}

/* A layer added to one of the files must not be forgotten here. */
static void every_layer_that_computes_is_in_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof CONFIGS / sizeof CONFIGS[0]; i++)
        for (int d = 0; CONFIGS[i].plugin->descriptors[d]; d++) {
            const pln_layer *l = CONFIGS[i].plugin->descriptors[d];
            int found = l->forward == NULL;
            for (size_t k = 0; k < sizeof CONFIGS / sizeof CONFIGS[0]; k++)
                found |= strcmp(CONFIGS[k].layer, l->name) == 0;
            if (!found)
                fail_msg("%s is not in the table", l->name);
        }
}

int main(void)
{
    enum { N = sizeof CONFIGS / sizeof CONFIGS[0] };
    static char names[N][200];
    struct CMUnitTest tests[N + 1];
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "gradients_of_%s(%s) [%s]", CONFIGS[i].layer, CONFIGS[i].options,
                 CONFIGS[i].shapes);
        tests[i] = (struct CMUnitTest){names[i], gradients_are_right, NULL, NULL, (void *)(uintptr_t)&CONFIGS[i]};
    }
    tests[N] = (struct CMUnitTest)cmocka_unit_test(every_layer_that_computes_is_in_the_table);
    return cmocka_run_group_tests_name("layers", tests, NULL, NULL);
}

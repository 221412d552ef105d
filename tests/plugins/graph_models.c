/* The graphs of test_graphs.c, and their data; see graph_models.h. */
#include "graph_models.h"

/* Applies a new layer to values; its first output. */
static value apply(model *m, const char *type, const value *in, int nin, const option_value *v, int n)
{
    layer *l;
    value out[MODEL_PORTS];
    DONE(layer_make(m->plugins, type, v, n, "graph.lua:1", &l, &why));
    DONE(model_apply(m, l, in, nin, out, NULL, &why));
    layer_free(l);
    return out[0];
}
#define ON(in, type, ...)                                                                                              \
    apply(m, type, &(in), 1, (const option_value[]){__VA_ARGS__},                                                      \
          sizeof((const option_value[]){__VA_ARGS__}) / sizeof(option_value))
#define YES(n)           ((option_value){.name = (n), .kind = VALUE_BOOL, .integer = 1})
#define NO(n)            ((option_value){.name = (n), .kind = VALUE_BOOL, .integer = 0})
#define PLAIN(in, type)  apply(m, type, &(in), 1, NULL, 0)
#define JOIN(type, a, b) apply(m, type, (const value[]){a, b}, 2, NULL, 0)
#define INPUT(...)       apply(m, "Input", NULL, 0, (const option_value[]){LIST(NULL, __VA_ARGS__)}, 1)
#define CLASSES(in)      ON(in, "Dense", INTEGER("units", GRAPH_CLASSES), TEXT("activation", "softmax"))

static int two_inputs(model *m, value *out)
{
    value a = INPUT(6), b = INPUT(4);
    value x = ON(a, "Dense", INTEGER("units", 5), TEXT("activation", "tanh"));
    value y = ON(b, "Dense", INTEGER("units", 7), TEXT("activation", "gelu"));
    value z = JOIN("Concatenate", x, y);
    out[0] = CLASSES(z);
    return 1;
}

/* One layer over two inputs, and over its own output. `units` decides whether its gradients are partial or whole. */
static int shared(model *m, value *out, int units)
{
    const option_value v[] = {INTEGER("units", units), TEXT("activation", "tanh"),
                              TEXT("kernel_initializer", "lecun_normal")};
    layer *l;
    value a = INPUT(6), b = INPUT(6), x[MODEL_PORTS], y[MODEL_PORTS], again[MODEL_PORTS];
    a = ON(a, "Dense", INTEGER("units", units));
    b = ON(b, "Dense", INTEGER("units", units));
    DONE(layer_make(m->plugins, "Dense", v, 3, "graph.lua:1", &l, &why));
    DONE(model_apply(m, l, &a, 1, x, NULL, &why));
    DONE(model_apply(m, l, &b, 1, y, NULL, &why));
    DONE(model_apply(m, l, x, 1, again, NULL, &why));
    layer_free(l);
    value d = JOIN("Subtract", again[0], y[0]);
    out[0] = CLASSES(d);
    return 1;
}

static int shared_small(model *m, value *out)
{
    return shared(m, out, 6);
}

static int shared_large(model *m, value *out)
{
    return shared(m, out, 128);
}

/* y = conv(x) + x, then a value added to itself, then a flattened value that two layers read. */
static int residual(model *m, value *out)
{
    value x = INPUT(6, 6, 1);
    value a = ON(x, "Conv2D", INTEGER("filters", 3), INTEGER("kernel_size", 3), TEXT("padding", "same"),
                 TEXT("activation", "softplus"));
    value b = ON(a, "Conv2D", INTEGER("filters", 3), INTEGER("kernel_size", 2), TEXT("padding", "same"),
                 TEXT("activation", "tanh"));
    value c = JOIN("Add", a, b);
    value d = JOIN("Add", c, c);
    value pooled = PLAIN(d, "AveragePooling2D"), flat = PLAIN(pooled, "Flatten");
    value left = ON(flat, "Dense", INTEGER("units", 4)),
          right = ON(flat, "Dense", INTEGER("units", 4), TEXT("activation", "sigmoid"));
    value gated = JOIN("Multiply", left, right);
    out[0] = CLASSES(gated);
    return 1;
}

/* A value whose view, activation and self all are read: nothing may be overwritten too early. */
static int branches(model *m, value *out)
{
    value x = INPUT(3, 4);
    value flat = PLAIN(x, "Flatten");
    value h = ON(flat, "Dense", INTEGER("units", 12));
    value folded = ON(h, "Reshape", LIST("target_shape", 3, 4)), unfolded = PLAIN(folded, "Flatten");
    value t = PLAIN(h, "tanh"), s = PLAIN(t, "sigmoid");
    value all = apply(m, "Add", (const value[]){h, unfolded, t, s}, 4, NULL, 0);
    out[0] = CLASSES(all);
    return 1;
}

static int several_outputs(model *m, value *out)
{
    value x = INPUT(8);
    value h = ON(x, "Dense", INTEGER("units", 6), TEXT("activation", "tanh"));
    out[0] = CLASSES(h);
    out[1] = ON(h, "Dense", INTEGER("units", 2), TEXT("activation", "sigmoid"));
    out[2] = h;
    return 3;
}

static int normalized(model *m, value *out)
{
    value x = INPUT(6, 6, 1);
    x = ON(x, "Conv2D", INTEGER("filters", 4), INTEGER("kernel_size", 3));
    x = PLAIN(x, "BatchNormalization");
    x = PLAIN(x, "softplus");
    x = ON(x, "Dropout", REAL("rate", 0.3));
    x = PLAIN(x, "AveragePooling2D");
    x = PLAIN(x, "Flatten");
    x = PLAIN(x, "LayerNormalization");
    out[0] = CLASSES(x);
    return 1;
}

static int sequence(model *m, value *out, int units)
{
    value x = INPUT(5, 3);
    x = ON(x, "LSTM", INTEGER("units", units), YES("return_sequences"));
    x = ON(x, "Dropout", REAL("rate", 0.2));
    x = ON(x, "LSTM", INTEGER("units", units - 1));
    out[0] = CLASSES(x);
    return 1;
}

static int recurrent(model *m, value *out)
{
    return sequence(m, out, 4);
}

static int recurrent_large(model *m, value *out)
{
    return sequence(m, out, 50);
}

static int attention(model *m, value *out, int key_dim)
{
    value x = INPUT(4, 6), memory = INPUT(5, 3);
    const option_value v[] = {INTEGER("num_heads", 2), INTEGER("key_dim", key_dim), REAL("dropout", 0.1)};
    value self = apply(m, "MultiHeadAttention", (const value[]){x, x}, 2, v, 3);
    value sum = JOIN("Add", x, self), even = PLAIN(sum, "LayerNormalization");
    value cross = apply(m, "MultiHeadAttention", (const value[]){even, memory}, 2, v, 2);
    value flat = PLAIN(cross, "Flatten");
    out[0] = CLASSES(flat);
    return 1;
}

static int attentive(model *m, value *out)
{
    return attention(m, out, 3);
}

static int attentive_large(model *m, value *out)
{
    return attention(m, out, 200);
}

/* Convolutions with a kernel too large to have one gradient a piece. */
static int convolved_large(model *m, value *out)
{
    value x = INPUT(6, 6, 1);
    x = ON(x, "Conv2D", INTEGER("filters", 24), INTEGER("kernel_size", 3), TEXT("padding", "same"),
           TEXT("activation", "tanh"));
    x = ON(x, "Conv2D", INTEGER("filters", 40), INTEGER("kernel_size", 3), INTEGER("strides", 2),
           TEXT("activation", "tanh"));
    x = PLAIN(x, "Flatten");
    x = ON(x, "Dense", INTEGER("units", 70), TEXT("activation", "tanh"));
    out[0] = CLASSES(x);
    return 1;
}

/* A frozen layer between trained ones: gradients go through it and leave it alone. */
static int frozen(model *m, value *out)
{
    value x = INPUT(6);
    x = ON(x, "Dense", INTEGER("units", 8), TEXT("activation", "tanh"));
    x = ON(x, "Dense", INTEGER("units", 8), NO("trainable"));
    x = ON(x, "Dense", INTEGER("units", 4), TEXT("activation", "elu"));
    out[0] = CLASSES(x);
    return 1;
}

/* Logits that are an output, and probabilities that another layer reads: softmax must run though the loss skips it. */
static int read_by_others(model *m, value *out)
{
    value x = INPUT(8);
    value h = ON(x, "Dense", INTEGER("units", 6), TEXT("activation", "tanh"));
    value logits = ON(h, "Dense", INTEGER("units", GRAPH_CLASSES));
    out[0] = PLAIN(logits, "softmax");
    out[1] = logits;
    out[2] = PLAIN(out[0], "tanh");
    return 3;
}

/* Dropout that might write over the input, which others read; an output that is a view of a view. */
static int dropped_input(model *m, value *out)
{
    value x = INPUT(6);
    value d = ON(x, "Dropout", REAL("rate", 0.25)), e = ON(d, "Dropout", REAL("rate", 0.25));
    value a = ON(x, "Dense", INTEGER("units", 4)), b = ON(d, "Dense", INTEGER("units", 4)),
          c = ON(e, "Dense", INTEGER("units", 4));
    value sum = apply(m, "Add", (const value[]){a, b, c}, 3, NULL, 0);
    value square = ON(sum, "Reshape", LIST("target_shape", 2, 2));
    out[0] = PLAIN(square, "Flatten");
    return 1;
}

static int regression(model *m, value *out)
{
    value x = INPUT(6);
    x = ON(x, "Dense", INTEGER("units", 8), TEXT("activation", "gelu"));
    out[0] = ON(x, "Dense", INTEGER("units", 2));
    return 1;
}

#define SPARSE "sparse_categorical_crossentropy"

const graph GRAPHS[] = {
    {"two inputs", two_inputs, SPARSE, 2, {{6}, {4}}, 0, 1},
    {"a small layer used three times", shared_small, SPARSE, 2, {{6}, {6}}, 0, 1},
    {"a large layer used three times", shared_large, SPARSE, 2, {{6}, {6}}, 0, 1},
    {"residual", residual, SPARSE, 1, {{6, 6, 1}}, 0, 1},
    {"branches", branches, SPARSE, 1, {{3, 4}}, 0, 1},
    {"several outputs", several_outputs, SPARSE, 1, {{8}}, 0, 3},
    {"read by others", read_by_others, SPARSE, 1, {{8}}, 0, 3},
    {"normalized", normalized, SPARSE, 1, {{6, 6, 1}}, 0, 1},
    {"recurrent", recurrent, SPARSE, 1, {{5, 3}}, 0, 1},
    {"recurrent, large", recurrent_large, SPARSE, 1, {{5, 3}}, 0, 1},
    {"attentive", attentive, SPARSE, 2, {{4, 6}, {5, 3}}, 0, 1},
    {"attentive, large", attentive_large, SPARSE, 2, {{4, 6}, {5, 3}}, 0, 1},
    {"convolved, large", convolved_large, SPARSE, 1, {{6, 6, 1}}, 0, 1},
    {"frozen", frozen, SPARSE, 1, {{6}}, 0, 1},
    {"dropped input", dropped_input, "mean_squared_error", 1, {{6}}, 4, 1},
    {"regression", regression, "mean_squared_error", 1, {{6}}, 2, 1},
};
const int NGRAPHS = sizeof GRAPHS / sizeof GRAPHS[0];

model *graph_model(registry *r, const graph *g, uint64_t seed)
{
    model *m = new_model(r);
    value out[MODEL_PORTS];
    int n = g->build(m, out);
    DONE(model_outputs(m, out, n, &why));
    DONE(model_initialize(m, seed, &why));
    return m;
}

/* ---- data ---- */

static void put_column(column *c, const graph *g, int input, float *numbers)
{
    *c = (column){.dtype = PLN_F32, .bytes = numbers};
    while (c->rank < 3 && g->shape[input][c->rank]) {
        c->shape[c->rank] = g->shape[input][c->rank];
        c->rank++;
    }
}

dataset *graph_data(const graph *g, int64_t n)
{
    random_key key = random_key_make(11, RANDOM_LAYER, g->name);
    storage_parts parts = {.name = "graph", .part = "train", .count = n, .ninputs = g->ninputs, .has_target = 1};
    float *first = NULL;
    for (int i = 0; i < g->ninputs; i++) {
        column c;
        put_column(&c, g, i, NULL);
        int64_t count = n * column_size(&c);
        float *x = malloc((size_t)count * sizeof *x);
        assert_non_null(x);
        random_fill_normal(key, (uint64_t)i, 0, (uint64_t)count, x);
        put_column(&parts.inputs[i], g, i, x);
        first = first ? first : x;
    }
    int64_t size = column_size(&parts.inputs[0]), values = g->target ? g->target : 1;
    char *target = malloc((size_t)(n * values) * 4);
    assert_non_null(target);
    for (int64_t i = 0; i < n * values; i++) {
        float sum = first[i / values * size] + first[i / values * size + 1] * (float)(1 + i % values);
        ((float *)(void *)target)[i] = sum;
        if (!g->target)
            ((int32_t *)(void *)target)[i] = sum < -0.5f ? 0 : sum < 0.5f ? 1 : 2;
    }
    parts.target =
        (column){.dtype = g->target ? PLN_F32 : PLN_I32, .rank = g->target != 0, .shape = {g->target}, .bytes = target};
    parts.nclasses = g->target ? 0 : GRAPH_CLASSES;
    dataset *set;
    DONE(dataset_make(&parts, &set, &why));
    return set;
}

void graph_data_free(dataset *set)
{
    const storage_parts *parts = dataset_parts(set);
    void *blocks[DATASET_INPUTS + 1];
    int n = parts->ninputs;
    for (int i = 0; i < n; i++)
        blocks[i] = (void *)(uintptr_t)parts->inputs[i].bytes;
    blocks[n] = (void *)(uintptr_t)parts->target.bytes;
    dataset_free(set);
    for (int i = 0; i <= n; i++)
        free(blocks[i]);
}

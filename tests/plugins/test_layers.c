/* The built-in layers as the engine runs them: the built shared objects, found by the registry, on the host's kernels.
 *
 *   - outputs, gradients and states against PyTorch (tests/fixtures/layers.txt, made by layers_torch.py)
 *   - the same bits with 1, 2 and 3 lanes
 *   - shapes, and refusals with a sentence that says what to do
 *
 * That the formulas are right is check_gradients.c's; this is about float32, order of axes, padding and Keras. */
#include "layer_bench.h"

#include "net/model.h"
#include "plugin/host.h"
#include "plugin/registry.h"

static registry *plugins;

/* A layer on the bench with the engine's host below it. */
typedef struct rig {
    bench b;
    host h;
    pln_node node;
    pln_plan plan;
    error e;
} rig;

/* The bench asks what went wrong without an argument; one rig is in use at a time. */
static rig *current;

static const char *what_the_host_said(void)
{
    host_take_error(&current->h, PLN_FAIL, &current->e);
    return current->e.text;
}

static const pln_layer *find(const char *name)
{
    const plugin_entry *entry;
    error e;
    if (registry_find(plugins, PLN_LAYER, name, &entry, &e) != PLN_OK)
        fail_msg("%s", e.text);
    return (const pln_layer *)(const void *)entry->head;
}

/* Plans the layer; the status of the plan. */
static int rig_open(rig *r, const char *layer, const char *options, const char *shapes, int mode, lanes *pool)
{
    const pln_slot *in[MOST];
    *r = (rig){.b = {.layer = find(layer), .mode = mode}};
    current = r;
    host_open(&r->h, pool);
    r->node.key = random_key_make(1, RANDOM_LAYER, layer);
    snprintf(r->node.label, sizeof r->node.label, "%s", layer);
    r->b.host = &r->h.table;
    r->b.node = &r->node;
    r->b.said = what_the_host_said;
    bench_open(&r->b, options, shapes);
    for (int i = 0; i < r->b.nin; i++)
        in[i] = &r->b.in_slots[i];
    return host_plan(&r->h, r->b.layer, r->b.opts, mode, in, (uint32_t)r->b.nin, &r->node, &r->plan, &r->e);
}

static void rig_take(rig *r)
{
    bench_take(&r->b, r->plan.slots, r->plan.nslots);
}

static void rig_close(rig *r)
{
    bench_free(&r->b);
    host_free(&r->h);
}

/* ---- PyTorch ---- */

#define ROOM 1024 /* numbers of a tensor in a file */

/* "kind 2 3 : 1 2 3 4 5 6". */
typedef struct line {
    char kind[16], shape[64];
    int64_t count;
    float x[ROOM];
} line;

typedef struct sheet {
    char layer[64], options[128];
    int mode, nlines;
    line lines[40];
} sheet;

static void read_line(line *l, char *text)
{
    char *numbers = strstr(text, " :");
    assert_non_null(numbers);
    *numbers = 0;
    numbers += 2;
    assert_int_equal(sscanf(text, "%15s %63[0-9 ]", l->kind, l->shape), 2);
    for (char *c = l->shape; *c; c++)
        *c = *c == ' ' ? ',' : *c;
    for (char *end;; numbers = end) {
        const double v = strtod(numbers, &end);
        if (end == numbers)
            return;
        assert_true(l->count < ROOM);
        l->x[l->count++] = (float)v;
    }
}

/* The next case of the file; 0 at its end. */
static int read_sheet(FILE *f, sheet *s)
{
    static char text[1 << 16];
    *s = (sheet){.nlines = 0};
    while (fgets(text, sizeof text, f)) {
        text[strcspn(text, "\n")] = 0;
        if (strncmp(text, "end", 3) == 0)
            return 1;
        if (sscanf(text, "case %63s %127[^\n]", s->layer, s->options) >= 1)
            continue;
        if (strncmp(text, "mode ", 5) == 0) {
            s->mode = strcmp(text + 5, "train") == 0 ? PLN_TRAIN : PLN_INFER;
            continue;
        }
        assert_true(s->nlines < 40);
        read_line(&s->lines[s->nlines++], text);
    }
    return 0;
}

/* Line number `number` of a kind, or NULL. */
static const line *find_line(const sheet *s, const char *kind, int number)
{
    for (int i = 0; i < s->nlines; i++)
        if (strcmp(s->lines[i].kind, kind) == 0 && number-- == 0)
            return &s->lines[i];
    return NULL;
}

static void fill(const sheet *s, const char *kind, cell *cells, int n)
{
    for (int i = 0; i < n; i++) {
        const line *l = find_line(s, kind, i);
        if (!l || l->count != cells[i].count)
            fail_msg("%s(%s): the file has %lld numbers for %s %d, the layer wants %lld", s->layer, s->options,
                     l ? (long long)l->count : 0, kind, i, (long long)cells[i].count);
        memcpy(cells[i].data, l->x, (size_t)l->count * sizeof(float));
    }
    assert_null(find_line(s, kind, n));
}

static void compare(const sheet *s, const char *kind, const cell *cells, int n)
{
    char what[256];
    snprintf(what, sizeof what, "%s(%s): %s", s->layer, s->options, kind);
    for (int i = 0; i < n; i++) {
        const line *l = find_line(s, kind, i);
        if (!l)
            fail_msg("the file has no %s %d", what, i);
        assert_int_equal(l->count, cells[i].count);
        assert_all_close(what, i, &cells[i], l->x, 2e-6);
    }
}

static void compare_sheet(const sheet *s)
{
    rig r;
    char shapes[256] = "";
    const line *l;
    for (int i = 0; (l = find_line(s, "in", i)) != NULL; i++)
        snprintf(shapes + strlen(shapes), sizeof shapes - strlen(shapes), "%s%s", i ? ";" : "", l->shape);
    if (rig_open(&r, s->layer, s->options, shapes, s->mode, NULL) != PLN_OK)
        fail_msg("%s", r.e.text);
    rig_take(&r);
    fill(s, "in", r.b.in, r.b.nin);
    fill(s, "param", r.b.param, r.b.nparam);
    fill(s, "state", r.b.state, r.b.nstate);
    fill(s, "dout", r.b.dout, r.b.nout);
    bench_call(&r.b, 0, ALL);
    compare(s, "out", r.b.out, r.b.nout);
    if (s->mode == PLN_TRAIN) {
        bench_call(&r.b, 1, ALL);
        compare(s, "din", r.b.din, r.b.nin);
        compare(s, "dparam", r.b.dparam, r.b.nparam);
        compare(s, "after", r.b.state, r.b.nstate);
    }
    rig_close(&r);
}

static void layers_agree_with_pytorch(void **state)
{
    (void)state;
    static sheet s;
    FILE *f = fopen(FIXTURES_DIR "/layers.txt", "r");
    assert_non_null(f);
    int cases = 0;
    while (read_sheet(f, &s)) {
        compare_sheet(&s);
        cases++;
    }
    fclose(f);
    assert_int_equal(cases, 33);
}

/* ---- lanes ---- */

typedef struct work {
    const char *layer, *options, *shapes;
} work;

/* Runs forward and backward, and appends the bits of everything to `bits`. */
static size_t run_on_lanes(const work *k, int count, float *bits, size_t room)
{
    rig r;
    lanes *pool;
    uint64_t seed = 5;
    size_t n = 0;
    assert_int_equal(lanes_open(count, &pool, NULL), PLN_OK);
    if (rig_open(&r, k->layer, k->options, k->shapes, PLN_TRAIN, pool) != PLN_OK)
        fail_msg("%s", r.e.text);
    rig_take(&r);
    for (int i = 0; i < r.b.nin; i++)
        cell_random(&r.b.in[i], &seed, -1, 1);
    for (int i = 0; i < r.b.nparam; i++)
        cell_random(&r.b.param[i], &seed, -0.5, 0.5);
    for (int i = 0; i < r.b.nstate; i++)
        cell_random(&r.b.state[i], &seed, 0.5, 1);
    cell_random(&r.b.dout[0], &seed, -1, 1);
    bench_call(&r.b, 0, ALL);
    bench_call(&r.b, 1, ALL);
    const cell *all[] = {r.b.out, r.b.din, r.b.dparam, r.b.state};
    const int counts[] = {r.b.nout, r.b.nin, r.b.nparam, r.b.nstate};
    for (int k2 = 0; k2 < 4; k2++)
        for (int i = 0; i < counts[k2]; i++) {
            const size_t size = (size_t)all[k2][i].count;
            assert_true(n + size <= room);
            memcpy(bits + n, all[k2][i].data, size * sizeof(float));
            n += size;
        }
    rig_close(&r);
    lanes_close(pool);
    return n;
}

static void bits_do_not_depend_on_lanes(void **state)
{
    (void)state;
    static const work WORK[] = {
        {"Dense", "units=70", "33,130"},
        {"Conv2D", "filters=9 kernel_size=3,3 padding=same", "12,14,13,5"},
        {"BatchNormalization", "", "40,9,7,12"},
        {"BatchNormalization", "", "70,600"},
        {"LSTM", "units=40 return_sequences=1", "37,6,11"},
        {"MultiHeadAttention", "num_heads=3 key_dim=8 dropout=0.2", "9,10,24"},
    };
    enum { BITS = 1 << 18 };
    float *one = malloc(BITS * sizeof *one), *many = malloc(BITS * sizeof *many);
    assert_non_null(one);
    assert_non_null(many);
    for (size_t i = 0; i < sizeof WORK / sizeof WORK[0]; i++) {
        const size_t n = run_on_lanes(&WORK[i], 1, one, BITS);
        for (int count = 2; count <= 3; count++) {
            assert_int_equal(run_on_lanes(&WORK[i], count, many, BITS), n);
            if (memcmp(one, many, n * sizeof *one) != 0)
                fail_msg("%s(%s): other bits with %d lanes than with one", WORK[i].layer, WORK[i].options, count);
        }
    }
    free(one);
    free(many);
}

/* ---- shapes and refusals ---- */

/* `says`: the output's shape as "26x26x10", or a part of the refusal. */
typedef struct expectation {
    const char *layer, *options, *shapes, *says;
} expectation;

static void shape_text(const pln_slot *s, char *text, size_t size)
{
    size_t n = 0;
    text[0] = 0;
    for (uint32_t i = 1; i < s->rank && n < size; i++)
        n += (size_t)snprintf(text + n, size - n, "%s%lld", i > 1 ? "x" : "", (long long)s->shape[i]);
}

static const pln_slot *output_of(const pln_plan *p)
{
    for (int i = 0; i < p->nslots; i++)
        if (p->slots[i].kind == PLN_OUTPUT)
            return &p->slots[i];
    return NULL;
}

static void outputs_have_kerass_shapes(void **state)
{
    (void)state;
    static const expectation SHAPES[] = {
        {"Dense", "units=128", "32,6760", "128"},
        {"Dense", "units=7", "32,5,6", "5x7"},
        {"Conv2D", "filters=10 kernel_size=3,3", "32,28,28,1", "26x26x10"},
        {"Conv2D", "filters=8 kernel_size=3,3 strides=2,2 padding=same", "32,15,16,3", "8x8x8"},
        {"Conv2D", "filters=8 kernel_size=3,3 dilation_rate=2,2", "32,15,16,3", "11x12x8"},
        {"MaxPooling2D", "", "32,27,28,4", "13x14x4"},
        {"MaxPooling2D", "pool_size=3,3 strides=2,2 padding=same", "32,27,28,4", "14x14x4"},
        {"AveragePooling2D", "pool_size=2,3 strides=1,1", "32,7,7,4", "6x5x4"},
        {"GlobalMaxPooling2D", "", "32,7,7,4", "4"},
        {"GlobalAveragePooling2D", "keepdims=1", "32,7,7,4", "1x1x4"},
        {"Flatten", "", "32,26,26,10", "6760"},
        {"Flatten", "", "32", "1"},
        {"Reshape", "target_shape=28,-1,1", "32,784", "28x28x1"},
        {"Dropout", "rate=0.5", "32,4,5", "4x5"},
        {"ZeroPadding2D", "padding=2,3", "32,4,5,1", "8x11x1"},
        {"UpSampling2D", "", "32,4,5,2", "8x10x2"},
        {"Concatenate", "", "32,4;32,5;32,6", "15"},
        {"Embedding", "input_dim=100 output_dim=8", "32,20", "20x8"},
        {"LSTM", "units=64", "32,28,28", "64"},
        {"LSTM", "units=64 return_sequences=1", "32,28,28", "28x64"},
        {"MultiHeadAttention", "num_heads=4 key_dim=16", "32,10,24;32,12,8", "10x24"},
    };
    for (size_t i = 0; i < sizeof SHAPES / sizeof SHAPES[0]; i++) {
        const expectation *x = &SHAPES[i];
        rig r;
        char text[128];
        if (rig_open(&r, x->layer, x->options, x->shapes, PLN_TRAIN, NULL) != PLN_OK)
            fail_msg("%s(%s): %s", x->layer, x->options, r.e.text);
        shape_text(output_of(&r.plan), text, sizeof text);
        if (strcmp(text, x->says) != 0)
            fail_msg("%s(%s) of %s gives %s, expected %s", x->layer, x->options, x->shapes, text, x->says);
        rig_close(&r);
    }
}

static void what_does_not_fit_is_refused_with_numbers_and_advice(void **state)
{
    (void)state;
    static const expectation REFUSALS[] = {
        {"Dense", "units=3", "4", "put nn.Reshape { 1 } before it"},
        {"Conv2D", "filters=3 kernel_size=3,3", "4,784", "got [784]; put nn.Reshape"},
        {"Conv2D", "filters=3 kernel_size=3,3", "4,28,28", "nn.Reshape { 28, 28, 1 } before it"},
        {"Conv2D", "filters=3 kernel_size=5,5", "4,28,4,1",
         "5 x 5 (dilation 1 x 1) does not fit into an input of 28 x 4"},
        {"Conv2D", "filters=4 kernel_size=1,1 groups=3", "4,5,5,6", "groups 3 must divide both the 6 input channels"},
        {"MaxPooling2D", "pool_size=3,3", "4,2,9,1", "3 x 3 does not fit into an input of 2 x 9"},
        {"MaxPooling2D", "", "4,20", "got [20]"},
        {"GlobalMaxPooling2D", "", "4,20", "3 dimensions [height, width, channels], got 1"},
        {"Reshape", "target_shape=28,27", "4,784", "784 elements, but target_shape holds 756"},
        {"Reshape", "target_shape=28,27", "4,10", "10 elements, but target_shape holds at least 28"},
        {"Reshape", "target_shape=-1,27", "4,784", "784 elements, which do not divide"},
        {"Reshape", "target_shape=-1,-1", "4,784", "more than one -1"},
        {"Reshape", "target_shape=0,4", "4,784", "target_shape[1] is 0"},
        {"Softmax", "axis=1", "4,3,5", "axis 1 is not the last one"},
        {"ReLU", "max_value=1 threshold=2", "4,3", "max_value 1 lies below threshold 2"},
        {"Add", "", "4,3;4,5", "dimension 1 is 3 in the first and 5 in number 2"},
        {"Add", "", "4,3;4,3,1", "the first has 1 dimensions and number 2 has 2"},
        {"Concatenate", "", "4,3,2;4,4,2", "dimension 1 is 3 in the first input and 4 in number 2"},
        {"Concatenate", "axis=3", "4,3,2;4,3,2", "axis 3 is none of the 2 dimensions"},
        {"ZeroPadding2D", "padding=1,2,3", "4,3,2,1", "padding has 3 numbers"},
        {"UpSampling2D", "", "4,3", "needs 3 dimensions"},
        {"BatchNormalization", "axis=1", "4,3,2,1", "axis 1 is not the last one"},
        {"LayerNormalization", "", "4", "at least one dimension"},
        {"LSTM", "units=3", "4,5", "needs 2 dimensions [time, features], got 1"},
        {"MultiHeadAttention", "num_heads=1 key_dim=2", "4,5,3;4,6", "got 1 in input 2"},
        {"MultiHeadAttention", "num_heads=1 key_dim=2", "4,5,3;4,6,3;4,7,3", "6 values and 7 keys"},
    };
    for (size_t i = 0; i < sizeof REFUSALS / sizeof REFUSALS[0]; i++) {
        const expectation *x = &REFUSALS[i];
        rig r;
        if (rig_open(&r, x->layer, x->options, x->shapes, PLN_TRAIN, NULL) == PLN_OK)
            fail_msg("%s(%s) of %s is not refused", x->layer, x->options, x->shapes);
        if (!strstr(r.e.text, x->says))
            fail_msg("%s(%s) of %s says \"%s\", expected \"%s\" in it", x->layer, x->options, x->shapes, r.e.text,
                     x->says);
        rig_close(&r);
    }
}

static void views_and_what_is_not_run_say_so(void **state)
{
    (void)state;
    static const work VIEWS[] = {{"Flatten", "", "4,3,2"},
                                 {"Reshape", "target_shape=6", "4,3,2"},
                                 {"linear", "", "4,3"},
                                 {"Dropout", "rate=0", "4,3"}};
    for (size_t i = 0; i < sizeof VIEWS / sizeof VIEWS[0]; i++) {
        rig r;
        assert_int_equal(rig_open(&r, VIEWS[i].layer, VIEWS[i].options, VIEWS[i].shapes, PLN_TRAIN, NULL), PLN_OK);
        assert_true(output_of(&r.plan)->flags & PLN_VIEW);
        rig_close(&r);
    }
    rig r;
    assert_int_equal(rig_open(&r, "Dropout", "rate=0.5", "4,3", PLN_INFER, NULL), PLN_OK);
    assert_true(output_of(&r.plan)->flags & PLN_VIEW);
    rig_close(&r);
}

static void dropout_hides_its_share_and_keeps_the_mean(void **state)
{
    (void)state;
    rig r;
    assert_int_equal(rig_open(&r, "Dropout", "rate=0.3", "100,1000", PLN_TRAIN, NULL), PLN_OK);
    rig_take(&r);
    double sum = 0, zeros = 0;
    for (int64_t i = 0; i < r.b.in[0].count; i++)
        r.b.in[0].data[i] = 1;
    bench_call(&r.b, 0, ALL);
    for (int64_t i = 0; i < r.b.out[0].count; i++) {
        sum += r.b.out[0].data[i];
        zeros += r.b.out[0].data[i] == 0;
    }
    assert_close("share of zeros", 0, 0, zeros / 1e5, 0.3, 0.005);
    assert_close("mean", 0, 0, sum / 1e5, 1, 0.01);
    rig_close(&r);
}

/* A number that is none, once in, must show in what comes out: so one notices a training run that has gone wrong. */
static void a_nan_is_not_hidden(void **state)
{
    (void)state;
    static const work WORK[] = {{"relu", "", "1,8"},
                                {"ReLU", "", "1,8"},
                                {"elu", "", "1,8"},
                                {"selu", "", "1,8"},
                                {"ELU", "", "1,8"},
                                {"softplus", "", "1,8"},
                                {"leaky_relu", "", "1,8"},
                                {"gelu", "", "1,8"},
                                {"softmax", "", "1,8"},
                                {"MaxPooling2D", "", "1,2,4,1"},
                                {"GlobalMaxPooling2D", "", "1,2,4,1"}};
    for (size_t i = 0; i < sizeof WORK / sizeof WORK[0]; i++) {
        rig r;
        int found = 0;
        assert_int_equal(rig_open(&r, WORK[i].layer, WORK[i].options, WORK[i].shapes, PLN_TRAIN, NULL), PLN_OK);
        rig_take(&r);
        for (int k = 0; k < 8; k++)
            r.b.in[0].data[k] = k == 5 ? NAN : (float)k - 3;
        bench_call(&r.b, 0, ALL);
        for (int64_t k = 0; k < r.b.out[0].count; k++)
            found |= isnan(r.b.out[0].data[k]);
        if (!found)
            fail_msg("%s hides a NaN", WORK[i].layer);
        rig_close(&r);
    }
}

static void extreme_inputs_give_finite_outputs(void **state)
{
    (void)state;
    static const char *const LAYERS[] = {"sigmoid", "tanh",    "softplus",    "softsign", "silu",
                                         "gelu",    "softmax", "log_softmax", "elu",      "selu"};
    for (size_t i = 0; i < sizeof LAYERS / sizeof LAYERS[0]; i++) {
        rig r;
        assert_int_equal(rig_open(&r, LAYERS[i], "", "1,6", PLN_TRAIN, NULL), PLN_OK);
        rig_take(&r);
        memcpy(r.b.in[0].data, (const float[]){-1e4f, -200, -30, 30, 200, 1e4f}, 6 * sizeof(float));
        for (int k = 0; k < 6; k++)
            r.b.dout[0].data[k] = 1;
        bench_call(&r.b, 0, ALL);
        bench_call(&r.b, 1, ALL);
        for (int k = 0; k < 6; k++)
            if (!isfinite(r.b.out[0].data[k]) || !isfinite(r.b.din[0].data[k]))
                fail_msg("%s(%g) is %g, its gradient %g", LAYERS[i], (double)r.b.in[0].data[k],
                         (double)r.b.out[0].data[k], (double)r.b.din[0].data[k]);
        rig_close(&r);
    }
}

static void embedding_names_the_number_that_is_not_in_its_table(void **state)
{
    (void)state;
    static const float WRONG[] = {5, -1, 1.5f, NAN, 1e30f};
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        rig r;
        assert_int_equal(rig_open(&r, "Embedding", "input_dim=5 output_dim=2", "2,2", PLN_TRAIN, NULL), PLN_OK);
        rig_take(&r);
        memcpy(r.b.in[0].data, (const float[]){0, 4, 1, WRONG[i]}, 4 * sizeof(float));
        const pln_tensor *in = &r.b.in[0].t, *param = &r.b.param[0].t;
        pln_tensor *out = &r.b.out[0].t;
        const pln_call c = {.size = PLN_SIZE_TO(pln_call, lane),
                            .mode = PLN_TRAIN,
                            .nin = 1,
                            .nout = 1,
                            .opts = r.b.opts,
                            .node = &r.node,
                            .in = &in,
                            .out = &out,
                            .param = &param};
        assert_int_equal(r.b.layer->forward(r.b.host, &c), PLN_FAIL);
        const char *said = what_the_host_said();
        if (!strstr(said, "whole numbers from 0 to 4 (input_dim 5)") || !strstr(said, "in sample 1 of the batch"))
            fail_msg("says \"%s\"", said);
        rig_close(&r);
    }
}

/* In a model, where the host fills the weights. */
static void an_lstm_begins_with_open_forget_gates(void **state)
{
    (void)state;
    static const double shape[] = {5, 3};
    const option_value input = {.name = "shape", .kind = VALUE_LIST, .list = shape, .count = 2};
    const option_value units = {.name = "units", .kind = VALUE_INT, .integer = 4};
    layer *layers[2];
    model *m;
    value v[MODEL_PORTS];
    error e = {.text = ""};
    int ok = model_make(plugins, &m, &e) == PLN_OK &&
             layer_make(plugins, "Input", &input, 1, NULL, &layers[0], &e) == PLN_OK &&
             layer_make(plugins, "LSTM", &units, 1, NULL, &layers[1], &e) == PLN_OK &&
             model_apply(m, layers[0], NULL, 0, v, NULL, &e) == PLN_OK &&
             model_apply(m, layers[1], v, 1, v, NULL, &e) == PLN_OK && model_outputs(m, v, 1, &e) == PLN_OK &&
             model_initialize(m, 1, &e) == PLN_OK;
    if (!ok)
        fail_msg("%s", e.text);
    assert_int_equal(m->nparameters, 3);
    assert_string_equal(m->parameters[2].name, "bias");
    for (int i = 0; i < 16; i++)
        assert_true(model_parameter(m, 2)[i] == (i / 4 == 1 ? 1 : 0));
    double dot = 0, square = 0; /* of two rows of the recurrent kernel, which is orthogonal */
    for (int i = 0; i < 16; i++) {
        dot += (double)model_parameter(m, 1)[i] * model_parameter(m, 1)[16 + i];
        square += (double)model_parameter(m, 1)[i] * model_parameter(m, 1)[i];
    }
    assert_close("dot", 0, 0, dot, 0, 1e-6);
    assert_close("square", 0, 0, square, 1, 1e-6);
    layer_free(layers[0]);
    layer_free(layers[1]);
    model_free(m);
}

static int open_registry(void **state)
{
    error e;
    (void)state;
    if (registry_open(PLUGINS_DIR, &plugins, &e) != PLN_OK) {
        print_error("%s\n", e.text);
        return -1;
    }
    return 0;
}

static int close_registry(void **state)
{
    (void)state;
    registry_free(plugins);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_agree_with_pytorch),
        cmocka_unit_test(bits_do_not_depend_on_lanes),
        cmocka_unit_test(outputs_have_kerass_shapes),
        cmocka_unit_test(what_does_not_fit_is_refused_with_numbers_and_advice),
        cmocka_unit_test(views_and_what_is_not_run_say_so),
        cmocka_unit_test(dropout_hides_its_share_and_keeps_the_mean),
        cmocka_unit_test(a_nan_is_not_hidden),
        cmocka_unit_test(extreme_inputs_give_finite_outputs),
        cmocka_unit_test(embedding_names_the_number_that_is_not_in_its_table),
        cmocka_unit_test(an_lstm_begins_with_open_forget_gates),
    };
    return cmocka_run_group_tests(tests, open_registry, close_registry);
}

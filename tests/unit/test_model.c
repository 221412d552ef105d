/* Models: shapes, names, sharing, messages with the script's line, architecture as JSON and back. */
#include "net_helper.h"

#include <string.h>

#include "net/plan.h"

static registry *plugins;

static int begin(void **state)
{
    (void)state;
    plugins = plugins_of_this_build();
    return 0;
}

static int end(void **state)
{
    (void)state;
    registry_free(plugins);
    return 0;
}

static void the_chapters_net_has_866798_parameters(void **state)
{
    (void)state;
    model *m = new_model(plugins);
    value at = {-1, 0};
    int64_t trainable;
    char shape[64];
    CHAIN(m, &at, "Input", LIST(NULL, 28, 28, 1));
    CHAIN(m, &at, "Conv2D", INTEGER("filters", 10), INTEGER("kernel_size", 3));
    model_shape_text(model_slot(m, at), shape, sizeof shape);
    assert_string_equal(shape, "(None, 26, 26, 10)");
    chain(m, &at, "Flatten", NULL, 0);
    CHAIN(m, &at, "Dense", INTEGER("units", 128), TEXT("activation", "relu"));
    CHAIN(m, &at, "Dropout", REAL("rate", 0.2));
    CHAIN(m, &at, "Dense", INTEGER("units", 10), TEXT("activation", "softmax"));
    finish_model(m, at, 42);
    assert_int_equal(model_count(m, &trainable), 866798);
    assert_int_equal(trainable, 866798);
    model_free(m);
}

static void layers_are_named_as_keras_names_them(void **state)
{
    (void)state;
    model *m = small_cnn(plugins, 1);
    assert_string_equal(m->layers[0]->name, "input");
    assert_string_equal(m->layers[1]->name, "conv2d");
    assert_string_equal(m->layers[3]->name, "dense");
    int second = 0;
    for (int i = 0; i < m->nlayers; i++)
        second += strcmp(m->layers[i]->name, "dense_1") == 0;
    assert_int_equal(second, 1);
    model_free(m);
}

static void initial_weights_follow_the_seed_and_the_names_alone(void **state)
{
    (void)state;
    model *a = small_cnn(plugins, 1), *b = small_cnn(plugins, 1), *c = small_cnn(plugins, 2);
    size_t bytes = (size_t)a->nweights * sizeof(float);
    assert_memory_equal(a->weights, b->weights, bytes);
    assert_memory_not_equal(a->weights, c->weights, bytes);
    /* A layer put before it does not change the last layer's numbers. */
    model *d = new_model(plugins);
    value at = {-1, 0};
    CHAIN(d, &at, "Input", LIST(NULL, 8, 8, 1));
    chain(d, &at, "Flatten", NULL, 0);
    CHAIN(d, &at, "Dense", INTEGER("units", 32), TEXT("name", "dense"));
    CHAIN(d, &at, "Dense", INTEGER("units", 4), TEXT("name", "dense_1"));
    finish_model(d, at, 1);
    const float *p = NULL, *q = NULL;
    for (int i = 0; i < a->nparameters; i++)
        if (strcmp(a->layers[a->parameters[i].layer]->name, "dense_1") == 0 &&
            strcmp(a->parameters[i].name, "kernel") == 0)
            p = model_parameter(a, i);
    for (int i = 0; i < d->nparameters; i++)
        if (strcmp(d->layers[d->parameters[i].layer]->name, "dense_1") == 0 &&
            strcmp(d->parameters[i].name, "kernel") == 0)
            q = model_parameter(d, i);
    assert_non_null(p);
    assert_non_null(q);
    assert_memory_equal(p, q, 32 * 4 * sizeof(float));
    model_free(a);
    model_free(b);
    model_free(c);
    model_free(d);
}

static void an_architecture_read_back_is_the_same_model(void **state)
{
    (void)state;
    model *a = small_cnn(plugins, 1), *b;
    json_t *j = model_json(a);
    DONE(model_from_json(plugins, j, &b, &why));
    DONE(model_initialize(b, 1, &why));
    json_t *k = model_json(b);
    assert_true(json_equal(j, k));
    assert_int_equal(a->nweights, b->nweights);
    assert_memory_equal(a->weights, b->weights, (size_t)a->nweights * sizeof(float));
    json_decref(j);
    json_decref(k);
    model_free(a);
    model_free(b);
}

static void a_layer_used_twice_has_one_set_of_parameters(void **state)
{
    (void)state;
    model *m = new_model(plugins), *back;
    layer *in, *dense, *add;
    value x[MODEL_PORTS], y[MODEL_PORTS], z[MODEL_PORTS], out[MODEL_PORTS];
    const option_value shape = LIST(NULL, 6), units = INTEGER("units", 6);
    DONE(layer_make(plugins, "Input", &shape, 1, "a.lua:1", &in, &why));
    DONE(layer_make(plugins, "Dense", &units, 1, "a.lua:2", &dense, &why));
    DONE(layer_make(plugins, "Add", NULL, 0, "a.lua:3", &add, &why));
    DONE(model_apply(m, in, NULL, 0, x, NULL, &why));
    DONE(model_apply(m, dense, x, 1, y, NULL, &why));
    DONE(model_apply(m, dense, y, 1, z, NULL, &why));
    DONE(model_apply(m, add, (const value[]){y[0], z[0]}, 2, out, NULL, &why));
    finish_model(m, out[0], 1);
    assert_int_equal(model_count(m, NULL), 42);
    json_t *j = model_json(m);
    DONE(model_from_json(plugins, j, &back, &why));
    assert_int_equal(model_count(back, NULL), 42);
    assert_int_equal(back->nnodes, m->nnodes);
    json_decref(j);
    layer_free(in);
    layer_free(dense);
    layer_free(add);
    model_free(m);
    model_free(back);
}

static void other_shapes_at_the_second_use_are_refused(void **state)
{
    (void)state;
    model *m = new_model(plugins);
    layer *in, *dense;
    value x[MODEL_PORTS], y[MODEL_PORTS], z[MODEL_PORTS];
    const option_value shape = LIST(NULL, 6), units = INTEGER("units", 3);
    DONE(layer_make(plugins, "Input", &shape, 1, "a.lua:1", &in, &why));
    DONE(layer_make(plugins, "Dense", &units, 1, "a.lua:2", &dense, &why));
    DONE(model_apply(m, in, NULL, 0, x, NULL, &why));
    DONE(model_apply(m, dense, x, 1, y, NULL, &why));
    assert_int_equal(model_apply(m, dense, y, 1, z, NULL, &why), PLN_E_INVALID);
    assert_string_equal(why.text,
                        "a.lua:2: Dense 'dense' is used twice with inputs of different shapes: its kernel would be "
                        "(3, 3) here and (6, 3) there");
    layer_free(in);
    layer_free(dense);
    model_free(m);
}

static void an_error_names_the_line_of_the_layer(void **state)
{
    (void)state;
    layer *l;
    const option_value filter[] = {INTEGER("filter", 10), INTEGER("kernel_size", 3)};
    assert_int_equal(layer_make(plugins, "Conv2D", filter, 2, "mnist_cnn.lua:11", &l, &why), PLN_E_INVALID);
    assert_string_equal(why.text, "mnist_cnn.lua:11: Conv2D: unknown option 'filter' (did you mean 'filters'?)");
    assert_int_equal(layer_make(plugins, "Dens", NULL, 0, "mnist_cnn.lua:12", &l, &why), PLN_E_MISSING);
    assert_string_equal(why.text, "mnist_cnn.lua:12: unknown layer 'Dens' (did you mean 'Dense'?)");
    const option_value relux[] = {INTEGER("units", 10), TEXT("activation", "relux")};
    assert_int_equal(layer_make(plugins, "Dense", relux, 2, "a.lua:1", &l, &why), PLN_E_MISSING);
    assert_string_equal(why.text, "a.lua:1: Dense: activation: unknown layer 'relux' (did you mean 'relu'?)");
    const option_value init[] = {INTEGER("units", 10), TEXT("kernel_initializer", "glorot")};
    assert_int_equal(layer_make(plugins, "Dense", init, 2, "a.lua:1", &l, &why), PLN_E_INVALID);
    assert_non_null(strstr(why.text, "Dense: option 'kernel_initializer': unknown initializer 'glorot'"));
}

static void a_layer_belongs_to_one_model(void **state)
{
    (void)state;
    model *a = new_model(plugins), *b = new_model(plugins);
    layer *in;
    value x[MODEL_PORTS];
    const option_value shape = LIST(NULL, 6);
    DONE(layer_make(plugins, "Input", &shape, 1, "a.lua:1", &in, &why));
    DONE(model_apply(a, in, NULL, 0, x, NULL, &why));
    assert_int_equal(model_apply(b, in, NULL, 0, x, NULL, &why), PLN_E_INVALID);
    assert_non_null(strstr(why.text, "belongs to another model"));
    layer_free(in);
    model_free(a);
    model_free(b);
}

static void a_layer_that_leads_nowhere_is_named(void **state)
{
    (void)state;
    model *m = new_model(plugins);
    value at = {-1, 0}, early;
    CHAIN(m, &at, "Input", LIST(NULL, 6));
    CHAIN(m, &at, "Dense", INTEGER("units", 3));
    early = at;
    CHAIN(m, &at, "Dense", INTEGER("units", 2));
    assert_int_equal(model_outputs(m, &early, 1, &why), PLN_E_INVALID);
    assert_string_equal(why.text, "test.lua:1: Dense: its output leads to no output of the model");
    model_free(m);
}

/* A value read by two layers and by an in-place one: gradients add up, nothing is overwritten that is still read. */
static void a_value_read_twice_gets_both_gradients(void **state)
{
    (void)state;
    float losses[2];
    for (int step = 0; step < 2; step++) {
        model *m = new_model(plugins);
        layer *in, *first, *relu, *add;
        value x[MODEL_PORTS], h[MODEL_PORTS], a[MODEL_PORTS], out[MODEL_PORTS];
        const option_value shape = LIST(NULL, 2),
                           units[] = {INTEGER("units", 2), TEXT("kernel_initializer", "identity"), TEXT("name", "d")};
        DONE(layer_make(plugins, "Input", &shape, 1, "", &in, &why));
        DONE(layer_make(plugins, "Dense", units, 3, "", &first, &why));
        DONE(layer_make(plugins, "relu", NULL, 0, "", &relu, &why));
        DONE(layer_make(plugins, "Add", NULL, 0, "", &add, &why));
        DONE(model_apply(m, in, NULL, 0, x, NULL, &why));
        DONE(model_apply(m, first, x, 1, h, NULL, &why));
        DONE(model_apply(m, relu, h, 1, a, NULL, &why));
        DONE(model_apply(m, add, (const value[]){h[0], a[0]}, 2, out, NULL, &why));
        finish_model(m, out[0], 1);
        recipe r = {0};
        DONE(recipe_loss(&r, plugins, "mean_squared_error", NULL, 0, &why));
        const pln_slot target = {.dtype = PLN_F32, .rank = 2, .shape = {PLN_BATCH, 2}};
        plan_request q = {.m = m, .r = &r, .mode = PLN_TRAIN, .backward = 1, .capacity = 1, .target = &target};
        plan *p;
        DONE(plan_build(&q, &p, &why));
        const float input[2] = {3, -5}, zero[2] = {0, 0};
        storage_parts parts = {.name = "one", .part = "", .count = 1, .ninputs = 1, .has_target = 1};
        parts.inputs[0] = (column){.name = "x", .dtype = PLN_F32, .rank = 1, .shape = {2}, .bytes = input};
        parts.target = (column){.name = "y", .dtype = PLN_F32, .rank = 1, .shape = {2}, .bytes = zero};
        dataset *set;
        DONE(dataset_make(&parts, &set, &why));
        plan_batch b = {.n = 1, .set = set};
        DONE(plan_run(p, &b, &why));
        losses[step] = (float)plan_loss(p, 1);
        /* y = h + relu(h), h = x: y = (6, -5), loss = (36 + 25) / 2; dL/dy = y; dL/dh = (12, -5) */
        assert_true(losses[step] == 30.5f);
        const float *g = p->gradients + m->parameters[0].offset;
        const float want[4] = {3 * 12.0f, 3 * -5.0f, -5 * 12.0f, -5 * -5.0f};
        assert_memory_equal(g, want, sizeof want);
        plan_free(p);
        dataset_free(set);
        recipe_free(&r);
        layer_free(in);
        layer_free(first);
        layer_free(relu);
        layer_free(add);
        model_free(m);
    }
    assert_true(losses[0] == losses[1]);
}

static void no_two_living_buffers_overlap(void **state)
{
    (void)state;
    for (uint32_t trial = 0; trial < 300; trial++) {
        random_key key = random_key_make(trial, RANDOM_LAYER, "buffers");
        buffer b[40];
        int order[40], n = 1 + (int)(random_bits(key, 0, 0) % 40);
        int64_t sum = 0;
        for (int i = 0; i < n; i++) {
            uint32_t r = random_bits(key, 1, (uint64_t)i);
            b[i] = (buffer){.bytes = 1 + r % 5000, .first = (int)(r >> 16 & 15)};
            b[i].last = b[i].first + (int)(r >> 24 & 7);
            sum += (b[i].bytes + 63) / 64 * 64;
        }
        int64_t total = memory_lay_out(b, n, order);
        assert_true(total > 0 && total <= sum);
        for (int i = 0; i < n; i++) {
            assert_true(b[i].offset % 64 == 0 && b[i].offset + b[i].bytes <= total);
            for (int k = 0; k < i; k++)
                if (b[i].first <= b[k].last && b[k].first <= b[i].last)
                    assert_true(b[i].offset + b[i].bytes <= b[k].offset || b[k].offset + b[k].bytes <= b[i].offset);
        }
    }
}

static void planned_memory_is_told_before_it_is_taken(void **state)
{
    (void)state;
    model *m = small_cnn(plugins, 1);
    recipe r = classification(plugins);
    int64_t small, large, predicting;
    DONE(plan_memory(m, &r, 32, &small, &why));
    DONE(plan_memory(m, &r, 320, &large, &why));
    DONE(plan_memory(m, NULL, 32, &predicting, &why));
    assert_true(predicting > m->nweights * 4 && predicting < small && small < large);
    model_free(m);
    recipe_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_chapters_net_has_866798_parameters),
        cmocka_unit_test(layers_are_named_as_keras_names_them),
        cmocka_unit_test(initial_weights_follow_the_seed_and_the_names_alone),
        cmocka_unit_test(an_architecture_read_back_is_the_same_model),
        cmocka_unit_test(a_layer_used_twice_has_one_set_of_parameters),
        cmocka_unit_test(other_shapes_at_the_second_use_are_refused),
        cmocka_unit_test(an_error_names_the_line_of_the_layer),
        cmocka_unit_test(a_layer_belongs_to_one_model),
        cmocka_unit_test(a_layer_that_leads_nowhere_is_named),
        cmocka_unit_test(a_value_read_twice_gets_both_gradients),
        cmocka_unit_test(no_two_living_buffers_overlap),
        cmocka_unit_test(planned_memory_is_told_before_it_is_taken),
    };
    return cmocka_run_group_tests(tests, begin, end);
}

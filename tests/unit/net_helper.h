/* What the net room's tests share: plugins of this build, and models put together in a few lines. */
#ifndef TESTS_NET_HELPER_H
#define TESTS_NET_HELPER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "data/dataset.h"
#include "net/train.h"

static error why;

/* A call that must succeed; its message is shown when it does not. */
#define DONE(call)                                                                                                     \
    do {                                                                                                               \
        if ((call) != PLN_OK)                                                                                          \
            fail_msg("%s: %s", #call, why.text);                                                                       \
    } while (0)

#define INTEGER(n, v) ((option_value){.name = (n), .kind = VALUE_INT, .integer = (v)})
#define REAL(n, v)    ((option_value){.name = (n), .kind = VALUE_REAL, .real = (v)})
#define TEXT(n, v)    ((option_value){.name = (n), .kind = VALUE_TEXT, .text = (v)})
#define LIST(n, ...)                                                                                                   \
    ((option_value){.name = (n),                                                                                       \
                    .kind = VALUE_LIST,                                                                                \
                    .list = (const double[]){__VA_ARGS__},                                                             \
                    .count = sizeof((const double[]){__VA_ARGS__}) / sizeof(double)})

static inline registry *plugins_of_this_build(void)
{
    registry *r;
    DONE(registry_open(PLUGIN_FOLDER, &r, &why));
    return r;
}

/* Adds a layer to the end of a chain; *at is the chain's last value (node -1: the first layer). */
static inline void chain(model *m, value *at, const char *type, const option_value *v, int n)
{
    layer *l;
    value out[MODEL_PORTS];
    DONE(layer_make(m->plugins, type, v, n, "test.lua:1", &l, &why));
    DONE(model_apply(m, l, at, at->node < 0 ? 0 : 1, out, NULL, &why));
    layer_free(l);
    *at = out[0];
}
#define CHAIN(m, at, type, ...)                                                                                        \
    chain(m, at, type, (const option_value[]){__VA_ARGS__},                                                            \
          sizeof((const option_value[]){__VA_ARGS__}) / sizeof(option_value))

static inline model *new_model(registry *r)
{
    model *m;
    DONE(model_make(r, &m, &why));
    return m;
}

static inline void finish_model(model *m, value at, uint64_t seed)
{
    DONE(model_outputs(m, &at, 1, &why));
    DONE(model_initialize(m, seed, &why));
}

/* The chapter's net, smaller: 8x8 pictures, convolution, dense, dropout, dense. */
static inline model *small_cnn(registry *r, uint64_t seed)
{
    model *m = new_model(r);
    value at = {-1, 0};
    CHAIN(m, &at, "Input", LIST(NULL, 8, 8, 1));
    CHAIN(m, &at, "Conv2D", INTEGER("filters", 4), INTEGER("kernel_size", 3));
    chain(m, &at, "Flatten", NULL, 0);
    CHAIN(m, &at, "Dense", INTEGER("units", 32), TEXT("activation", "relu"));
    CHAIN(m, &at, "Dropout", REAL("rate", 0.2));
    CHAIN(m, &at, "Dense", INTEGER("units", 4), TEXT("activation", "softmax"));
    finish_model(m, at, seed);
    return m;
}

static inline recipe classification(registry *r)
{
    recipe c = {0};
    DONE(recipe_optimizer(&c, r, "Adam", NULL, 0, &why));
    DONE(recipe_loss(&c, r, "sparse_categorical_crossentropy", NULL, 0, &why));
    DONE(recipe_metric(&c, r, "accuracy", NULL, 0, &why));
    return c;
}

/* n pictures of 8x8: a bright quarter says the class, on noise. */
static inline dataset *quarters(int64_t n)
{
    uint8_t *pixels = malloc((size_t)n * 64);
    int32_t *labels = malloc((size_t)n * sizeof *labels);
    random_key key = random_key_make(5, RANDOM_LAYER, "quarters");
    for (int64_t i = 0; i < n; i++) {
        labels[i] = (int32_t)(random_bits(key, 0, (uint64_t)i) & 3);
        for (int64_t p = 0; p < 64; p++) {
            int quarter = (p / 8 >= 4) * 2 + (p % 8 >= 4);
            uint32_t noise = random_bits(key, 1 + (uint64_t)i, (uint64_t)p) & 127;
            pixels[i * 64 + p] = (uint8_t)(noise + (quarter == labels[i] ? 100 : 0));
        }
    }
    storage_parts parts = {
        .name = "quarters", .part = "train", .count = n, .ninputs = 1, .has_target = 1, .nclasses = 4};
    parts.inputs[0] =
        (column){.name = "image", .dtype = PLN_U8, .rank = 3, .shape = {8, 8, 1}, .scale = 1 / 255.0f, .bytes = pixels};
    parts.target = (column){.name = "label", .dtype = PLN_I32, .bytes = labels};
    dataset *set;
    DONE(dataset_make(&parts, &set, &why));
    return set;
}

static inline void free_quarters(dataset *set)
{
    const storage_parts *parts = dataset_parts(set);
    void *pixels = (void *)(uintptr_t)parts->inputs[0].bytes, *labels = (void *)(uintptr_t)parts->target.bytes;
    dataset_free(set);
    free(pixels);
    free(labels);
}

/* Trains to the end; returns the last epoch's event. */
static inline trainer_event train_all(trainer *t)
{
    trainer_event x, lastly = {0};
    for (;;) {
        DONE(trainer_next(t, 0, 1e9, &x, &why));
        if (x.kind == TRAINER_DONE)
            return lastly;
        lastly = x;
    }
}

#endif

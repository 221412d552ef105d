/* How much faster do two lanes train than one?  The chapter's CNN on drawn noise, at batches of 32 and 128: pairs of
 * rounds, one lane and two lanes next to each other in time, and the median of the pairs' ratios.
 *
 *     PERILUNE_PLUGINS=build/plugins bench_lanes [lanes]
 *
 * Two lanes should be at least 1.6 times as fast as one; the exit status says whether they were.  Anything else that runs on
 * the machine lowers the figure. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "data/dataset.h"
#include "net/train.h"

#define PAIRS   9
#define SAMPLES 1280
#define WANTED  1.6

static error why;

/* A bench has nothing to clean up when it cannot go on. */
#define DONE(call)                                                                                                     \
    do {                                                                                                               \
        if ((call) != PLN_OK) {                                                                                        \
            fprintf(stderr, "%s\n", why.text);                                                                         \
            return 1;                                                                                                  \
        }                                                                                                              \
    } while (0)

/* A training that can be continued for some epochs at a time. */
typedef struct runner {
    lanes *pool;
    model *m;
    recipe r;
    trainer *t;
} runner;

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int add(model *m, value *at, const char *type, const option_value *v, int n)
{
    layer *l;
    value out[MODEL_PORTS];
    DONE(layer_make(m->plugins, type, v, n, NULL, &l, &why));
    DONE(model_apply(m, l, at, at->node >= 0, out, NULL, &why));
    layer_free(l);
    *at = out[0];
    return 0;
}

static int make_model(registry *plugins, model **out)
{
    const double shape[] = {28, 28, 1};
    const option_value input = {.kind = VALUE_LIST, .list = shape, .count = 3};
    const option_value conv[] = {{.name = "filters", .kind = VALUE_INT, .integer = 10},
                                 {.name = "kernel_size", .kind = VALUE_INT, .integer = 3}};
    const option_value hidden[] = {{.name = "units", .kind = VALUE_INT, .integer = 128},
                                   {.name = "activation", .kind = VALUE_TEXT, .text = "relu"}};
    const option_value rate = {.name = "rate", .kind = VALUE_REAL, .real = 0.2};
    const option_value output[] = {{.name = "units", .kind = VALUE_INT, .integer = 10},
                                   {.name = "activation", .kind = VALUE_TEXT, .text = "softmax"}};
    value at = {-1, 0};
    DONE(model_make(plugins, out, &why));
    if (add(*out, &at, "Input", &input, 1) || add(*out, &at, "Conv2D", conv, 2) || add(*out, &at, "Flatten", NULL, 0) ||
        add(*out, &at, "Dense", hidden, 2) || add(*out, &at, "Dropout", &rate, 1) || add(*out, &at, "Dense", output, 2))
        return 1;
    DONE(model_outputs(*out, &at, 1, &why));
    DONE(model_initialize(*out, 1, &why));
    return 0;
}

static int make_data(dataset **set)
{
    static uint8_t pixels[SAMPLES * 784];
    static int32_t labels[SAMPLES];
    const random_key key = random_key_make(1, RANDOM_DIGITS, "bench");
    for (int i = 0; i < SAMPLES * 784; i++)
        pixels[i] = (uint8_t)random_bits(key, 0, (uint64_t)i);
    for (int i = 0; i < SAMPLES; i++)
        labels[i] = (int32_t)(random_bits(key, 1, (uint64_t)i) % 10);
    storage_parts parts = {
        .name = "noise", .part = "train", .count = SAMPLES, .ninputs = 1, .has_target = 1, .nclasses = 10};
    parts.inputs[0] = (column){
        .name = "image", .dtype = PLN_U8, .rank = 3, .shape = {28, 28, 1}, .scale = 1 / 255.0f, .bytes = pixels};
    parts.target = (column){.name = "label", .dtype = PLN_I32, .bytes = labels};
    DONE(dataset_make(&parts, set, &why));
    return 0;
}

static int open_runner(runner *x, registry *plugins, const dataset *set, int count, int batch)
{
    *x = (runner){0};
    DONE(lanes_open(count, &x->pool, &why));
    if (make_model(plugins, &x->m))
        return 1;
    DONE(recipe_optimizer(&x->r, plugins, "Adam", NULL, 0, &why));
    DONE(recipe_loss(&x->r, plugins, "sparse_categorical_crossentropy", NULL, 0, &why));
    DONE(recipe_metric(&x->r, plugins, "accuracy", NULL, 0, &why));
    const fit_options o = {.train = set, .epochs = 1000000, .batch_size = batch, .seed = 1, .shuffle = 1};
    DONE(trainer_open(x->m, &x->r, &o, x->pool, &x->t, &why));
    return 0;
}

static void close_runner(runner *x)
{
    trainer_free(x->t);
    recipe_free(&x->r);
    model_free(x->m);
    lanes_close(x->pool);
}

/* Seconds for an epoch. */
static int epoch(runner *x, double *took)
{
    trainer_event e;
    const double begin = seconds();
    DONE(trainer_next(x->t, 0, 1e9, &e, &why));
    *took = seconds() - begin;
    return 0;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int compare(registry *plugins, const dataset *set, int count, int batch, int *good)
{
    runner one, many;
    double ratio[PAIRS], best[2] = {1e9, 1e9}, took[2];
    if (open_runner(&one, plugins, set, 1, batch) || open_runner(&many, plugins, set, count, batch))
        return 1;
    for (int i = -2; i < PAIRS; i++) { /* two rounds to warm up */
        if (epoch(&one, &took[0]) || epoch(&many, &took[1]))
            return 1;
        for (int k = 0; k < 2; k++)
            best[k] = took[k] < best[k] ? took[k] : best[k];
        if (i >= 0)
            ratio[i] = took[0] / took[1];
    }
    qsort(ratio, PAIRS, sizeof *ratio, by_size);
    const double median = ratio[PAIRS / 2];
    printf("batch %3d: %7.0f images/s with one lane, %7.0f with %d; pairs: %.2f times as fast (%.2f to %.2f)\n", batch,
           SAMPLES / best[0], SAMPLES / best[1], count, median, ratio[0], ratio[PAIRS - 1]);
    *good &= median >= WANTED;
    close_runner(&many);
    close_runner(&one);
    return 0;
}

int main(int argc, char **argv)
{
    registry *plugins;
    dataset *set;
    const int count = argc > 1 ? atoi(argv[1]) : 2;
    int good = 1;
    DONE(registry_open(NULL, &plugins, &why));
    if (make_data(&set) || compare(plugins, set, count, 32, &good) || compare(plugins, set, count, 128, &good))
        return 1;
    if (!good)
        printf("less than %.1f times as fast\n", WANTED);
    dataset_free(set);
    registry_free(plugins);
    return !good;
}

/* The chapter's CNN with weights, pictures and labels from a formula: the same as in tests/fixtures/chapter_cnn.py, so that
 * PyTorch's losses can be compared with ours and no file holds 866,798 weights. */
#ifndef TESTS_CHAPTER_CNN_H
#define TESTS_CHAPTER_CNN_H

#include "../unit/net_helper.h"

#define CHAPTER_SAMPLES 624 /* with batches of 32: 19 and one of 16 */
#define CHAPTER_BATCH   32

enum { CHAPTER_LABEL = 1, CHAPTER_PIXEL, CHAPTER_CONV, CHAPTER_HIDDEN, CHAPTER_OUTPUT };

/* Number i of a stream: 32 bits that depend on (stream, i) alone (the finalizer of MurmurHash3). */
static inline uint32_t chapter_number(uint32_t stream, uint32_t i)
{
    uint32_t x = i + stream * 0x9E3779B9u;
    x = (x ^ x >> 16) * 0x85EBCA6Bu;
    x = (x ^ x >> 13) * 0xC2B2AE35u;
    return x ^ x >> 16;
}

/* Multiples of 2^-23 in [-limit, limit). */
static inline void chapter_weights(float *w, uint32_t stream, int64_t n, float limit)
{
    for (int64_t i = 0; i < n; i++)
        w[i] = (float)((int32_t)(chapter_number(stream, (uint32_t)i) >> 8) - (1 << 23)) / (float)(1 << 23) * limit;
}

/* Input, Conv2D, Flatten, Dense, Dropout of `rate`, Dense. */
static inline model *chapter_cnn(registry *r, double rate)
{
    model *m = new_model(r);
    value at = {-1, 0};
    CHAIN(m, &at, "Input", LIST(NULL, 28, 28, 1));
    CHAIN(m, &at, "Conv2D", INTEGER("filters", 10), INTEGER("kernel_size", 3));
    chain(m, &at, "Flatten", NULL, 0);
    CHAIN(m, &at, "Dense", INTEGER("units", 128), TEXT("activation", "relu"));
    CHAIN(m, &at, "Dropout", REAL("rate", rate));
    CHAIN(m, &at, "Dense", INTEGER("units", 10), TEXT("activation", "softmax"));
    finish_model(m, at, 1);
    assert_int_equal(m->nparameters, 6); /* kernel and bias, three times; the biases begin with zeros */
    const float limit[] = {1 / 4.0f, 1 / 32.0f, 1 / 4.0f};
    for (int i = 0; i < 3; i++)
        chapter_weights(model_parameter(m, 2 * i), CHAPTER_CONV + (uint32_t)i, m->parameters[2 * i].size, limit[i]);
    return m;
}

/* Noise with one of ten fields (two rows of five) a little brighter: the label.  Frees with free_quarters. */
static inline dataset *chapter_data(void)
{
    uint8_t *pixels = malloc((size_t)CHAPTER_SAMPLES * 784);
    int32_t *labels = malloc((size_t)CHAPTER_SAMPLES * sizeof *labels);
    for (uint32_t i = 0; i < CHAPTER_SAMPLES; i++) {
        labels[i] = (int32_t)(chapter_number(CHAPTER_LABEL, i) % 10);
        for (uint32_t p = 0; p < 784; p++) {
            int field = (int)(p / 28 / 14 * 5 + p % 28 * 5 / 28);
            pixels[i * 784 + p] =
                (uint8_t)((chapter_number(CHAPTER_PIXEL, i * 784 + p) & 127) + (field == labels[i] ? 64 : 0));
        }
    }
    storage_parts parts = {
        .name = "chapter", .part = "train", .count = CHAPTER_SAMPLES, .ninputs = 1, .has_target = 1, .nclasses = 10};
    parts.inputs[0] = (column){
        .name = "image", .dtype = PLN_U8, .rank = 3, .shape = {28, 28, 1}, .scale = 1 / 255.0f, .bytes = pixels};
    parts.target = (column){.name = "label", .dtype = PLN_I32, .bytes = labels};
    dataset *set;
    DONE(dataset_make(&parts, &set, &why));
    return set;
}

#endif

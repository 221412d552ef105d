/* Convolutions against their definition, to the bit: every version this CPU runs, several lane counts, all three
 * passes, over sizes, kernels, strides, dilations, groups and padding. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/lanes.h"
#include "base/random.h"
#include "kernels/conv.h"
#include "kernels/dispatch.h"
#include "kernels/kernels.h"

typedef struct shape {
    int64_t n, h, w, c, f, kh, kw;
    uint32_t groups;
    int64_t stride[2], dilation[2], pad_lo[2], pad_hi[2];
} shape;

#define PLAIN                                                                                                          \
    1, {1, 1}, {1, 1}, {0, 0},                                                                                         \
    {                                                                                                                  \
        0, 0                                                                                                           \
    }

static const int lane_counts[] = {1, 2, 3};
#define POOLS 3
static lanes *pools[POOLS];
static random_key key;
static uint64_t row;

static int64_t out_size(const shape *s, int axis)
{
    int64_t in = axis ? s->w : s->h, kernel = axis ? s->kw : s->kh;
    return (in + s->pad_lo[axis] + s->pad_hi[axis] - (kernel - 1) * s->dilation[axis] - 1) / s->stride[axis] + 1;
}

static pln_tensor tensor(int64_t a, int64_t b, int64_t c, int64_t d)
{
    pln_tensor t = {.size = PLN_SIZE_TO(pln_tensor, host),
                    .dtype = PLN_F32,
                    .rank = 4,
                    .shape = {a, b, c, d},
                    .stride = {b * c * d, c * d, d, 1}};
    float *p = malloc((size_t)(a * b * c * d) * sizeof *p);
    assert_non_null(p);
    random_fill_uniform(key, row++, 0, (uint64_t)(a * b * c * d), p);
    for (int64_t i = 0; i < a * b * c * d; i++)
        p[i] = p[i] * 2 - 1;
    t.data = p;
    return t;
}

static size_t bytes_of(const pln_tensor *t)
{
    return (size_t)(t->shape[0] * t->shape[1] * t->shape[2] * t->shape[3]) * sizeof(float);
}

static void *copy(const pln_tensor *t)
{
    void *p = malloc(bytes_of(t));
    assert_non_null(p);
    memcpy(p, t->data, bytes_of(t));
    return p;
}

static void compare(const shape *s, const pln_conv *c, int pool, const char *what, const pln_tensor *got,
                    const pln_tensor *want)
{
    size_t i = 0;
    if (memcmp(got->data, want->data, bytes_of(got)) == 0)
        return;
    while (memcmp((float *)got->data + i, (float *)want->data + i, sizeof(float)) == 0)
        i++;
    fail_msg(
        "%s, pool %d, pass %u: %s differs at %zu: expected %.9g, got %.9g; n %lld h %lld w %lld c %lld f %lld kernel "
        "%lldx%lld groups %u stride %lld,%lld dilation %lld,%lld padding %lld,%lld and %lld,%lld beta %g",
        kernels_name(), pool, c->pass, what, i, (double)((float *)want->data)[i], (double)((float *)got->data)[i],
        (long long)s->n, (long long)s->h, (long long)s->w, (long long)s->c, (long long)s->f, (long long)s->kh,
        (long long)s->kw, s->groups, (long long)s->stride[0], (long long)s->stride[1], (long long)s->dilation[0],
        (long long)s->dilation[1], (long long)s->pad_lo[0], (long long)s->pad_lo[1], (long long)s->pad_hi[0],
        (long long)s->pad_hi[1], (double)c->beta);
}

/* Runs one pass by its definition, then with every version and every pool. `out` and `bias` hold old values. */
static void pass_agrees(const shape *s, pln_conv c, pln_tensor *out, pln_tensor *bias)
{
    pln_tensor want = *out, want_bias = *bias, old = *out, old_bias = *bias;
    old.data = copy(out);
    old_bias.data = copy(bias);
    int with_bias = c.out_bias != NULL;
    c.out = &want;
    c.out_bias = with_bias ? &want_bias : NULL;
    conv_ref(&c);
    for (int isa = 0; isa < ISA_COUNT; isa++) {
        if (kernels_force(kernels_isa_name(isa)) != PLN_E_OK)
            continue;
        for (int pool = -1; pool < POOLS; pool++) {
            pln_tensor got = old, got_bias = old_bias;
            got.data = copy(&old);
            got_bias.data = copy(&old_bias);
            c.out = &got;
            c.out_bias = with_bias ? &got_bias : NULL;
            assert_int_equal(conv_run(pool < 0 ? NULL : pools[pool], &c), PLN_OK);
            compare(s, &c, pool, "the result", &got, &want);
            compare(s, &c, pool, "the bias", &got_bias, &want_bias);
            free(got.data);
            free(got_bias.data);
        }
    }
    free(old.data);
    free(old_bias.data);
}

static void poison(pln_tensor *t)
{
    for (size_t i = 0; i < bytes_of(t) / sizeof(float); i++)
        ((float *)t->data)[i] = NAN;
}

static void agree(const shape *s, int bias, float beta)
{
    pln_tensor x = tensor(s->n, s->h, s->w, s->c), w = tensor(s->kh, s->kw, s->c / s->groups, s->f);
    pln_tensor y = tensor(s->n, out_size(s, 0), out_size(s, 1), s->f), b = tensor(s->f, 1, 1, 1);
    for (uint32_t pass = PLN_CONV_FORWARD; pass <= PLN_CONV_DWEIGHT; pass++) {
        pln_conv c = {.size = PLN_SIZE_TO(pln_conv, beta), .pass = pass, .groups = s->groups};
        memcpy(c.stride, s->stride, sizeof c.stride);
        memcpy(c.dilation, s->dilation, sizeof c.dilation);
        memcpy(c.pad_lo, s->pad_lo, sizeof c.pad_lo);
        memcpy(c.pad_hi, s->pad_hi, sizeof c.pad_hi);
        pln_tensor *out = pass == PLN_CONV_FORWARD ? &y : pass == PLN_CONV_DINPUT ? &x : &w;
        pln_tensor kept = *out;
        out->data = copy(&kept);
        c.x = pass == PLN_CONV_DINPUT ? NULL : &x;
        c.w = pass == PLN_CONV_DWEIGHT ? NULL : &w;
        c.y = pass == PLN_CONV_FORWARD ? NULL : &y;
        c.bias = pass == PLN_CONV_FORWARD && bias ? &b : NULL;
        pln_tensor sums = b;
        sums.data = copy(&b);
        c.out_bias = pass == PLN_CONV_DWEIGHT && bias ? &sums : NULL;
        c.beta = pass == PLN_CONV_DWEIGHT ? beta : 0;
        if (c.beta == 0) {
            poison(out);
            if (c.out_bias)
                poison(&sums);
        }
        pass_agrees(s, c, out, &sums);
        free(sums.data);
        free(out->data);
        *out = kept;
    }
    free(x.data);
    free(w.data);
    free(y.data);
    free(b.data);
}

static void first_layers_agree(void **state)
{
    static const shape shapes[] = {
        {32, 28, 28, 1, 10, 3, 3, PLAIN},
        {3, 28, 28, 1, 32, 3, 3, PLAIN},
        {5, 28, 28, 1, 8, 5, 5, PLAIN},
        {3, 28, 28, 1, 8, 3, 3, PLAIN},
        {2, 28, 28, 1, 16, 5, 5, PLAIN},
        {4, 16, 16, 3, 32, 3, 3, PLAIN},
        {1, 28, 28, 1, 20, 5, 5, PLAIN},
        {3, 9, 40, 1, 13, 3, 3, PLAIN},
        {3, 28, 28, 1, 33, 3, 3, PLAIN},
        {2, 12, 12, 2, 24, 3, 3, PLAIN},
        {3, 5, 5, 1, 10, 5, 5, PLAIN},
        {3, 12, 11, 1, 10, 4, 2, PLAIN},
        {7, 28, 28, 1, 10, 3, 3, 1, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
        {4, 28, 28, 1, 6, 5, 5, 1, {1, 1}, {1, 1}, {2, 2}, {2, 2}},
        {4, 28, 28, 1, 10, 3, 3, 1, {2, 2}, {1, 1}, {0, 0}, {1, 1}},
        {4, 28, 28, 1, 10, 3, 3, 1, {1, 1}, {2, 2}, {0, 0}, {0, 0}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        agree(&shapes[i], i % 3 != 1, (float)(i % 2) * 0.5f);
}

static void later_layers_agree(void **state)
{
    static const shape shapes[] = {
        {9, 13, 13, 32, 64, 3, 3, PLAIN},
        {2, 14, 14, 64, 64, 3, 3, 1, {1, 1}, {1, 1}, {1, 1}, {1, 1}}, /* k = 576: two chunks */
        {2, 6, 6, 80, 20, 3, 3, 1, {1, 1}, {1, 1}, {0, 0}, {0, 0}},
        {33, 4, 4, 8, 12, 1, 1, PLAIN},
        {600, 1, 1, 8, 12, 1, 1, PLAIN}, /* more than a chunk of samples */
        {2, 7, 7, 600, 5, 1, 1, PLAIN},
    };
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        agree(&shapes[i], i % 2 == 0, (float)(i % 3) * 0.5f);
}

static void strides_dilations_groups_and_padding_agree(void **state)
{
    static const shape shapes[] = {
        {3, 11, 9, 4, 6, 3, 3, 1, {2, 2}, {1, 1}, {0, 0}, {0, 0}},
        {3, 12, 10, 4, 6, 3, 3, 1, {2, 2}, {1, 1}, {0, 0}, {1, 1}}, /* Keras's "same" for even sizes: one side only */
        {1, 13, 12, 3, 8, 4, 2, 1, {3, 2}, {1, 1}, {1, 0}, {2, 1}},
        {2, 13, 14, 4, 5, 3, 3, 1, {1, 1}, {2, 2}, {2, 2}, {2, 2}},
        {2, 13, 14, 4, 6, 3, 2, 1, {2, 3}, {2, 3}, {1, 2}, {3, 0}},
        {2, 10, 10, 8, 6, 3, 3, 2, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
        {2, 10, 11, 8, 12, 3, 3, 4, {2, 1}, {1, 2}, {1, 2}, {0, 1}},
        {2, 9, 9, 6, 6, 3, 3, 6, {1, 1}, {1, 1}, {1, 1}, {1, 1}}, /* depthwise */
        {2, 9, 9, 6, 12, 5, 5, 6, {2, 2}, {1, 1}, {2, 2}, {2, 2}},
        {2, 9, 9, 3, 4, 2, 2, 1, {4, 4}, {1, 1}, {0, 0}, {0, 0}}, /* stride above the kernel: points nobody reads */
        {2, 3, 3, 3, 4, 5, 5, 1, {1, 1}, {1, 1}, {4, 4}, {4, 4}}, /* more padding than image */
        {1, 1, 1, 1, 1, 1, 1, PLAIN},
        {2, 8, 8, 300, 7, 2, 2, 1, {2, 2}, {1, 1}, {0, 0}, {0, 0}},
        {2, 8, 8, 7, 300, 3, 3, 1, {2, 2}, {1, 1}, {1, 1}, {1, 1}}, /* phases of one and of several chunks */
        {2, 1, 50, 4, 8, 1, 5, 1, {1, 1}, {1, 1}, {0, 4}, {0, 0}},  /* causal, one-dimensional */
    };
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        agree(&shapes[i], i % 2 == 0, (float)(i % 3) * 0.5f);
}

static void random_shapes_agree(void **state)
{
    static const int64_t batches[] = {1, 3, 32};
    (void)state;
    for (uint64_t i = 0; i < 80; i++) {
        uint32_t r[16];
        for (int j = 0; j < 16; j++)
            r[j] = random_bits(key, 1000000 + i, (uint64_t)j);
        uint32_t groups = r[0] % 4 ? 1 : 2;
        int few = i % 2 == 0; /* one input channel: its own kernels */
        shape s = {batches[r[1] % 3],
                   5 + r[2] % 14,
                   5 + r[3] % 20,
                   few ? 1 : groups * (1 + r[4] % 9),
                   few ? 1 + r[5] % 40 : groups * (1 + r[5] % 20),
                   few && i % 4 ? 3 + r[6] % 2 * 2 : 1 + r[6] % 4,
                   0,
                   few ? 1 : groups,
                   {1 + r[8] % 3 * (r[8] >> 8 & 1), 1 + r[9] % 3 * (r[9] >> 8 & 1)},
                   {1 + r[10] % 2, 1 + r[10] % 2},
                   {r[11] % 3, r[12] % 3},
                   {r[13] % 3, r[14] % 3}};
        s.kw = few && i % 4 ? s.kh : 1 + r[7] % 4;
        if (few && r[15] & 4)
            for (int axis = 0; axis < 2; axis++) {
                s.stride[axis] = s.dilation[axis] = 1;
                s.pad_lo[axis] = s.pad_hi[axis] = r[15] & 8 ? 0 : 1;
            }
        if (out_size(&s, 0) > 0 && out_size(&s, 1) > 0 &&
            s.h + s.pad_lo[0] + s.pad_hi[0] > (s.kh - 1) * s.dilation[0] &&
            s.w + s.pad_lo[1] + s.pad_hi[1] > (s.kw - 1) * s.dilation[1])
            agree(&s, r[15] & 1, r[15] & 2 ? 0 : 0.5f);
    }
}

/* The number is part of the definition: another one gives other bits. */
static void chunks_of_the_weight_gradient_are_whole_samples(void **state)
{
    static const int64_t sizes[][3] = {{1, 1, 512}, {11, 11, 4}, {16, 16, 2}, {23, 22, 1}, {26, 26, 1}, {224, 224, 1}};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        conv_shape s = {.oh = sizes[i][0], .ow = sizes[i][1]};
        assert_int_equal(conv_samples_per_chunk(&s), sizes[i][2]);
    }
}

/* Infinite weights in one tap row: output rows for which that row lies outside stay finite. */
static void taps_above_and_below_take_no_part(void **state)
{
    static const int64_t channels[] = {1, 4};
    (void)state;
    for (int i = 0; i < 2; i++)
        for (int isa = 0; isa < ISA_COUNT; isa++) {
            if (kernels_force(kernels_isa_name(isa)) != PLN_E_OK)
                continue;
            pln_tensor x = tensor(2, 9, 12, channels[i]), w = tensor(3, 3, channels[i], 10), y = tensor(2, 9, 10, 10);
            for (int64_t t = 0; t < 3 * channels[i] * 10; t++)
                ((float *)w.data)[t] = INFINITY;
            pln_conv c = {.size = PLN_SIZE_TO(pln_conv, beta),
                          .pass = PLN_CONV_FORWARD,
                          .groups = 1,
                          .stride = {1, 1},
                          .dilation = {1, 1},
                          .pad_lo = {1, 0},
                          .pad_hi = {1, 0},
                          .x = &x,
                          .w = &w,
                          .out = &y};
            for (int how = 0; how < 2; how++) {
                how ? conv_ref(&c) : (void)conv_run(pools[1], &c);
                for (int64_t j = 0; j < 100; j++) {
                    assert_true(isfinite(((float *)y.data)[j]));
                    assert_false(isfinite(((float *)y.data)[100 + j]));
                }
            }
            c = (pln_conv){.size = PLN_SIZE_TO(pln_conv, beta),
                           .pass = PLN_CONV_DINPUT,
                           .groups = 1,
                           .stride = {1, 1},
                           .dilation = {1, 1},
                           .pad_lo = {1, 0},
                           .pad_hi = {1, 0},
                           .y = &y,
                           .w = &w,
                           .out = &x};
            for (int64_t j = 0; j < 2 * 9 * 10 * 10; j++)
                ((float *)y.data)[j] = 1;
            for (int how = 0; how < 2; how++) {
                how ? conv_ref(&c) : (void)conv_run(pools[1], &c);
                for (int64_t j = 0; j < 12 * channels[i]; j++) {
                    assert_true(isfinite(((float *)x.data)[8 * 12 * channels[i] + j]));
                    assert_false(isfinite(((float *)x.data)[j]));
                }
            }
            free(x.data);
            free(w.data);
            free(y.data);
        }
}

static int open_pools(void **state)
{
    (void)state;
    key = random_key_make(1, RANDOM_INIT, "conv");
    for (int i = 0; i < POOLS; i++)
        if (lanes_open(lane_counts[i], &pools[i], NULL) != PLN_E_OK)
            return -1;
    return 0;
}

static int close_pools(void **state)
{
    (void)state;
    for (int i = 0; i < POOLS; i++)
        lanes_close(pools[i]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_layers_agree),
        cmocka_unit_test(later_layers_agree),
        cmocka_unit_test(strides_dilations_groups_and_padding_agree),
        cmocka_unit_test(random_shapes_agree),
        cmocka_unit_test(chunks_of_the_weight_gradient_are_whole_samples),
        cmocka_unit_test(taps_above_and_below_take_no_part),
    };
    return cmocka_run_group_tests(tests, open_pools, close_pools);
}

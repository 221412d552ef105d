/* Philox against its published answers; streams that depend on nothing but their counters; and distributions, with
 * fixed keys, so that these tests give the same answer each time. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/random.h"

static random_key test_key(const char *name)
{
    return random_key_make(20240229, RANDOM_LAYER, name);
}

/* Random123, tests/kat_vectors, "philox4x32 10": counter, key, answer. */
static void the_published_answers_come_out(void **state)
{
    (void)state;
    static const uint32_t kat[3][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d, 0x41c83b0e, 0xa20bc7c6,
         0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09, 0x94fdcceb, 0x5001e420,
         0x24126ea1},
    };
    for (int i = 0; i < 3; i++) {
        random_key key = {{kat[i][4], kat[i][5]}};
        uint32_t out[4];
        random_block(key, kat[i], out);
        assert_memory_equal(out, kat[i] + 6, sizeof out);
    }
}

static void keys_differ_in_each_of_their_parts(void **state)
{
    (void)state;
    random_key keys[] = {random_key_make(1, RANDOM_INIT, "a"),
                         random_key_make(2, RANDOM_INIT, "a"),
                         random_key_make(1, RANDOM_LAYER, "a"),
                         random_key_make(1, RANDOM_INIT, "b"),
                         random_key_make(1, RANDOM_INIT, ""),
                         random_key_make(1, RANDOM_INIT, NULL),
                         random_key_make(1u | UINT64_C(1) << 32, RANDOM_INIT, "a")};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(&keys[i], &keys[j], sizeof *keys);
    random_key again = random_key_make(1, RANDOM_INIT, "a");
    assert_memory_equal(&again, &keys[0], sizeof again);
}

/* ------------------------------------------------------------------------------- numbers depend on counters alone */

static const uint64_t rows[] = {0, 1, 77, UINT64_C(1) << 32, UINT64_MAX};
static const uint64_t starts[] = {0, 1, 3, 1000, (UINT64_C(1) << 34) - 40, UINT64_C(1) << 40};

static void uniform_numbers_are_the_upper_bits_of_random_bits(void **state)
{
    (void)state;
    random_key key = test_key("bits");
    float out[1200];
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (size_t s = 0; s < sizeof starts / sizeof *starts; s++) {
            random_fill_uniform(key, rows[r], starts[s], 1200, out);
            for (uint64_t i = 0; i < 1200; i++) {
                uint64_t index = starts[s] + i;
                uint32_t counter[4] = {(uint32_t)(index / 4), (uint32_t)(index / 4 >> 32), (uint32_t)rows[r],
                                       (uint32_t)(rows[r] >> 32)};
                uint32_t block[4];
                random_block(key, counter, block);
                assert_int_equal(random_bits(key, rows[r], index), block[index % 4]);
                float expected = (float)(block[index % 4] >> 8) / 16777216.0f;
                assert_memory_equal(&out[i], &expected, sizeof expected);
            }
        }
}

typedef void fill(random_key key, uint64_t row, uint64_t first, uint64_t n, float *out);

static void any_cut_gives_the_same_numbers(void **state)
{
    (void)state;
    static fill *const fills[] = {random_fill_uniform, random_fill_normal};
    enum { N = 3000 };
    static const uint64_t pieces[] = {1, 2, 3, 4, 5, 7, 8, 31, 255, 256, 257, 1000};
    random_key key = test_key("cut");
    float whole[N], cut[N + 1];
    for (int f = 0; f < 2; f++)
        for (size_t s = 0; s < sizeof starts / sizeof *starts; s++) {
            fills[f](key, 5, starts[s], N, whole);
            for (size_t p = 0; p < sizeof pieces / sizeof *pieces; p++) {
                cut[N] = -77;
                for (uint64_t done = 0; done < N; done += pieces[p])
                    fills[f](key, 5, starts[s] + done, done + pieces[p] < N ? pieces[p] : N - done, cut + done);
                assert_memory_equal(whole, cut, sizeof whole);
                assert_true(cut[N] == -77); /* nothing is written behind the end */
            }
        }
    whole[0] = 3;
    random_fill_uniform(key, 0, 0, 0, whole);
    assert_true(whole[0] == 3);
}

/* Recorded once.  They must come out on every processor and with every compiler. */
static void the_bits_are_the_same_everywhere(void **state)
{
    (void)state;
    static fill *const fills[] = {random_fill_uniform, random_fill_normal};
    static const char *const expected[] = {"b65e22b5d98d88480c502e650197f4847e5342eeaeb5819b71769b09eb5f780a",
                                           "3c1e272f9d0bd74a2b37ef4883953808934d530bf910fe752a3e175bf84ec35c"};
    enum { N = 100000 };
    float *out = malloc(N * sizeof *out);
    assert_non_null(out);
    for (int f = 0; f < 2; f++) {
        hash h;
        char hex[HASH_HEX];
        fills[f](test_key("bits everywhere"), 3, 2, N, out);
        hash_begin(&h);
        hash_bytes(&h, out, N * sizeof *out);
        hash_end(&h, hex);
        assert_string_equal(hex, expected[f]);
    }
    free(out);
}

static void rows_and_names_give_other_numbers(void **state)
{
    (void)state;
    float a[64], b[64], c[64];
    random_fill_uniform(test_key("a"), 0, 0, 64, a);
    random_fill_uniform(test_key("a"), 1, 0, 64, b);
    random_fill_uniform(test_key("b"), 0, 0, 64, c);
    for (int i = 0; i < 64; i++)
        assert_true((a[i] != b[i]) + (a[i] != c[i]) + (b[i] != c[i]) >= 2);
}

/* -------------------------------------------------------------------------------------------------- distributions */

enum { SAMPLES = 1 << 20 };

static float *sample(fill *f, const char *name)
{
    float *x = malloc(SAMPLES * sizeof *x);
    assert_non_null(x);
    f(test_key(name), 0, 0, SAMPLES, x);
    return x;
}

/* The moment E x^power, within five standard errors of what it should be (`spread`: standard deviation of x^power). */
static void assert_moment(const float *x, int power, double expected, double spread)
{
    double sum = 0;
    for (int i = 0; i < SAMPLES; i++)
        sum += pow(x[i], power);
    assert_true(fabs(sum / SAMPLES - expected) < 5 * spread / sqrt(SAMPLES));
}

/* Pearson's statistic over `cells` equally likely cells, within five standard deviations of its mean cells-1. */
static void assert_chi_square(const int *counts, int cells, int total)
{
    double expected = (double)total / cells, chi = 0;
    for (int i = 0; i < cells; i++)
        chi += (counts[i] - expected) * (counts[i] - expected) / expected;
    assert_true(fabs(chi - (cells - 1)) < 5 * sqrt(2.0 * (cells - 1)));
}

static void uniform_numbers_are_uniform_and_below_one(void **state)
{
    (void)state;
    float *x = sample(random_fill_uniform, "uniform");
    int counts[256] = {0}, pairs[256] = {0};
    for (int i = 0; i < SAMPLES; i++) {
        assert_true(x[i] >= 0 && x[i] < 1);
        assert_true(x[i] * 16777216.0f == floorf(x[i] * 16777216.0f));
        counts[(int)(x[i] * 256)]++;
    }
    for (int i = 0; i + 1 < SAMPLES; i += 2) /* neighbours are independent */
        pairs[(int)(x[i] * 16) * 16 + (int)(x[i + 1] * 16)]++;
    assert_chi_square(counts, 256, SAMPLES);
    assert_chi_square(pairs, 256, SAMPLES / 2);
    assert_moment(x, 1, 0.5, sqrt(1.0 / 12));
    assert_moment(x, 2, 1.0 / 3, sqrt(1.0 / 5 - 1.0 / 9));
    free(x);
}

static void normal_numbers_are_normal(void **state)
{
    (void)state;
    float *x = sample(random_fill_normal, "normal");
    int counts[256] = {0}, quadrants[64] = {0}, beyond_4 = 0;
    for (int i = 0; i < SAMPLES; i++) {
        double below = 0.5 * erfc(-x[i] / sqrt(2));
        assert_true(below >= 0 && below < 1);
        counts[(int)(below * 256)]++;
        beyond_4 += fabsf(x[i]) > 4;
    }
    for (int i = 0; i + 1 < SAMPLES; i += 2) /* the two of a pair are independent: the angle is uniform */
        quadrants[(int)((atan2(x[i + 1], x[i]) / 3.14159265358979323846 + 1) * 31.999999)]++;
    assert_chi_square(counts, 256, SAMPLES);
    assert_chi_square(quadrants, 64, SAMPLES / 2);
    assert_moment(x, 1, 0, 1);
    assert_moment(x, 2, 1, sqrt(2));
    assert_moment(x, 3, 0, sqrt(15));
    assert_moment(x, 4, 3, sqrt(96));
    assert_true(beyond_4 > 30 && beyond_4 < 110); /* 66.4 expected */
    free(x);
}

/* Box and Muller in double, from the same bits. */
static void normal_numbers_follow_their_formula(void **state)
{
    (void)state;
    random_key key = test_key("formula");
    float x[2000];
    random_fill_normal(key, 9, 0, 2000, x);
    for (uint64_t i = 0; i < 2000; i += 2) {
        double u = ((random_bits(key, 9, i) >> 1) + 0.5) / 2147483648.0;
        double angle = ((double)(random_bits(key, 9, i + 1) >> 8) / 16777216.0 - 0.125) * 2 * 3.14159265358979323846;
        double r = sqrt(-2 * log(u));
        assert_true(fabs(x[i] - r * cos(angle)) < 4e-6);
        assert_true(fabs(x[i + 1] - r * sin(angle)) < 4e-6);
    }
}

static void doubles_have_53_bits_and_are_uniform(void **state)
{
    (void)state;
    random_key key = test_key("double");
    int counts[256] = {0}, low_bits[8] = {0};
    for (uint64_t i = 0; i < 1 << 18; i++) {
        double x = random_double(key, 1, i);
        assert_true(x >= 0 && x < 1);
        counts[(int)(x * 256)]++;
        low_bits[(uint64_t)(x * 9007199254740992.0) & 7]++;
    }
    assert_chi_square(counts, 256, 1 << 18);
    assert_chi_square(low_bits, 8, 1 << 18);
}

/* --------------------------------------------------------------------------------------------------- permutations */

static void assert_bijection(random_key key, uint64_t row, uint64_t n, unsigned char *seen)
{
    memset(seen, 0, n);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t to = random_permute(key, row, n, i);
        assert_true(to < n);
        assert_false(seen[to]);
        seen[to] = 1;
    }
}

static void a_permutation_reaches_every_place_once(void **state)
{
    (void)state;
    static const uint64_t large[] = {1023, 1024, 1025, 4096, 4097, 60000, 65536, 65537, 1000003};
    unsigned char *seen = malloc(1000003);
    assert_non_null(seen);
    random_key key = test_key("permute");
    for (uint64_t n = 1; n <= 300; n++)
        for (uint64_t row = 0; row < 5; row++)
            assert_bijection(key, row, n, seen);
    for (size_t i = 0; i < sizeof large / sizeof *large; i++)
        assert_bijection(key, 7, large[i], seen);
    free(seen);
}

static void a_permutation_of_huge_sets_stays_inside(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {(UINT64_C(1) << 32) + 1, UINT64_C(1) << 62, (UINT64_C(1) << 62) + 1, UINT64_MAX};
    random_key key = test_key("huge");
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (uint64_t i = 0; i < 1000; i++) {
            uint64_t a = random_permute(key, 0, sizes[s], i), b = random_permute(key, 0, sizes[s], sizes[s] - 1 - i);
            assert_true(a < sizes[s] && b < sizes[s] && a != b);
        }
}

/* Over many shuffles each sample comes to each place equally often, and the order of two samples is a fair coin. */
static void every_place_is_as_likely_as_any_other(void **state)
{
    (void)state;
    random_key key = test_key("fair");
    for (uint64_t n = 3; n <= 12; n += 3) {
        int places[12 * 12] = {0}, before = 0;
        enum { SHUFFLES = 20000 };
        for (uint64_t row = 0; row < SHUFFLES; row++) {
            for (uint64_t i = 0; i < n; i++)
                places[i * n + random_permute(key, row, n, i)]++;
            before += random_permute(key, row, n, 0) < random_permute(key, row, n, n - 1);
        }
        for (uint64_t i = 0; i < n; i++)
            assert_chi_square(places + i * n, (int)n, SHUFFLES);
        assert_true(abs(before - SHUFFLES / 2) < 5 * sqrt(SHUFFLES) / 2);
    }
}

/* In one shuffle of a real data set: no sample near its old place more often than chance, no runs. */
static void a_large_shuffle_leaves_no_order(void **state)
{
    (void)state;
    random_key key = test_key("shuffle");
    enum { N = 60000 };
    int jumps[64] = {0}, ascents = 0;
    uint64_t last = 0;
    for (uint64_t i = 0; i < N; i++) {
        uint64_t to = random_permute(key, 3, N, i);
        jumps[(to + N - i) % N * 64 / N]++;
        ascents += i > 0 && to > last;
        last = to;
    }
    assert_chi_square(jumps, 64, N);
    assert_true(abs(ascents - N / 2) < 5 * sqrt(N / 12.0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_answers_come_out),
        cmocka_unit_test(keys_differ_in_each_of_their_parts),
        cmocka_unit_test(uniform_numbers_are_the_upper_bits_of_random_bits),
        cmocka_unit_test(any_cut_gives_the_same_numbers),
        cmocka_unit_test(the_bits_are_the_same_everywhere),
        cmocka_unit_test(rows_and_names_give_other_numbers),
        cmocka_unit_test(uniform_numbers_are_uniform_and_below_one),
        cmocka_unit_test(normal_numbers_are_normal),
        cmocka_unit_test(normal_numbers_follow_their_formula),
        cmocka_unit_test(doubles_have_53_bits_and_are_uniform),
        cmocka_unit_test(a_permutation_reaches_every_place_once),
        cmocka_unit_test(a_permutation_of_huge_sets_stays_inside),
        cmocka_unit_test(every_place_is_as_likely_as_any_other),
        cmocka_unit_test(a_large_shuffle_leaves_no_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

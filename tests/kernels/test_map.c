/* The element-wise functions: every version gives the bits of the reference, the reference is within its bound of the
 * true value, and the ends of the domains are right. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/fpu.h"
#include "base/hash.h"
#include "kernels/dispatch.h"
#include "kernels/kernels.h"

/* `bound`: what no result may exceed, in units in the last place of the true value; the worst met over all floats is in
 * map_formulas.h.  pln_map promises 2. */
typedef struct function {
    uint32_t op;
    const char *name;
    double (*truth)(double x);
    double bound;
} function;

static double true_sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static const function functions[] = {
    {PLN_MAP_EXP, "exp", exp, 1.1},
    {PLN_MAP_LOG, "log", log, 0.9},
    {PLN_MAP_TANH, "tanh", tanh, 1.4},
    {PLN_MAP_ERF, "erf", erf, 1.2},
    {PLN_MAP_SIGMOID, "sigmoid", true_sigmoid, 1.6},
    {PLN_MAP_EXPM1, "expm1", expm1, 1.4},
    {PLN_MAP_LOG1P, "log1p", log1p, 1.5},
    {PLN_MAP_SIN, "sin", sin, 1.7},
    {PLN_MAP_COS, "cos", cos, 1.7},
};
enum { FUNCTIONS = sizeof functions / sizeof *functions };

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* All floats, thinned out by a prime: every exponent, both signs, infinities and NaNs; then where it gets difficult. */
enum { STRIDE = 4099, SAMPLE_MOST = 1100000 };

static int make_sample(float *x)
{
    static const uint32_t edges[] = {0x00000000,
                                     0x00000001,
                                     0x007fffff,
                                     0x00800000,
                                     0x2e800000,
                                     0x30800000,
                                     0x3f000000,
                                     0x3f200000,
                                     0x3f3504f3,
                                     0x3f490fdb,
                                     0x3f800000,
                                     0x3fb504f3,
                                     0x3fc90fdb,
                                     0x40490fdb,
                                     0x407ae148,
                                     0x411ccccd,
                                     0x41a00000,
                                     0x42aeac50,
                                     0x42b17218,
                                     0x42b20000,
                                     0x42cff1b4,
                                     0x4e800000,
                                     0x6f79be45 /* nearest to a multiple of pi/2 */,
                                     0x7f7fffff,
                                     0x7f800000,
                                     0x7f800001,
                                     0x7fc00000,
                                     0x7fffffff};
    int n = 0;
    for (uint64_t bits = 0; bits < UINT64_C(1) << 32; bits += STRIDE)
        x[n++] = float_of((uint32_t)bits);
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
        for (int step = -50; step <= 50; step++) {
            x[n++] = float_of(edges[i] + (uint32_t)step);
            x[n++] = float_of((edges[i] + (uint32_t)step) ^ 0x80000000u);
        }
    assert_true(n <= SAMPLE_MOST);
    return n;
}

static float *buffer(void)
{
    float *x = malloc(SAMPLE_MOST * sizeof *x);
    assert_non_null(x);
    return x;
}

static void show_difference(const char *version, const char *name, float x, float got, float expected)
{
    fail_msg("%s %s(%a) is %a (0x%08x), expected %a (0x%08x)", version, name, x, got, bits_of(got), expected,
             bits_of(expected));
}

/* Leaves the best version chosen. */
static void for_each_version(void (*check)(const char *version))
{
    int checked = 0;
    for (int isa = 0; isa < ISA_COUNT; isa++)
        if (kernels_force(kernels_isa_name(isa)) == 0) {
            assert_string_equal(kernels_name(), kernels_isa_name(isa));
            check(kernels_isa_name(isa));
            checked++;
        }
    assert_true(checked >= 1);
}

/* ------------------------------------------------------------------------------------------------ bits and bounds */

static void check_bits(const char *version)
{
    float *x = buffer(), *expected = buffer(), *got = buffer();
    int n = make_sample(x);
    for (int f = 0; f < FUNCTIONS; f++) {
        assert_int_equal(map_ref(functions[f].op, n, x, expected), 0);
        assert_int_equal(map_run(functions[f].op, n, x, got), 0);
        for (int i = 0; i < n; i++)
            if (bits_of(got[i]) != bits_of(expected[i]))
                show_difference(version, functions[f].name, x[i], got[i], expected[i]);
    }
    free(x);
    free(expected);
    free(got);
}

static void every_version_gives_the_bits_of_the_reference(void **state)
{
    (void)state;
    for_each_version(check_bits); /* with the caller's own floating-point state, denormals and all */
    unsigned fpu = fpu_enter();
    for_each_version(check_bits);
    fpu_leave(fpu);
}

/* Recorded once.  They must come out on every processor and with every compiler. */
static void the_bits_are_the_same_everywhere(void **state)
{
    (void)state;
    float *x = buffer();
    hash h;
    char hex[HASH_HEX];
    hash_begin(&h);
    for (int f = 0; f < FUNCTIONS; f++) {
        int n = make_sample(x);
        unsigned fpu = fpu_enter();
        map_run(functions[f].op, n, x, x);
        fpu_leave(fpu);
        hash_bytes(&h, x, (size_t)n * sizeof *x);
    }
    hash_end(&h, hex);
    assert_string_equal(hex, "4c43fe2a4baf5af6948bda1c8964797386c2bb4593abead9fc54597f0535919d");
    free(x);
}

/* Is `y` the flushed form of a true value below the least normal float? */
static int flushed(double truth, float y)
{
    return fabs(truth) < 0x1p-126 && fabsf(y) <= 0x1p-126f && (truth >= 0) == !(bits_of(y) >> 31);
}

/* Beyond the largest float: infinity, or the largest float while the truth is nearer than 2 units. */
static int overflowed(double truth, float y)
{
    return fabs(truth) > 0x1.fffffep127 && fabsf(y) >= 0x1.fffffep127f && (truth > 0) == (y > 0) &&
           (isinf(y) || fabs(truth) < 0x1.000002p128);
}

static double error_in_ulp(double truth, float y)
{
    int exponent;
    frexp(truth, &exponent);
    return fabs(y - truth) / ldexp(1, exponent - 24);
}

static void no_result_is_further_from_the_truth_than_its_bound(void **state)
{
    (void)state;
    float *x = buffer(), *y = buffer();
    int n = make_sample(x);
    for (int f = 0; f < FUNCTIONS; f++) {
        double worst = 0;
        unsigned fpu = fpu_enter();
        map_run(functions[f].op, n, x, y);
        fpu_leave(fpu);
        for (int i = 0; i < n; i++) {
            double argument = fabsf(x[i]) < 0x1p-126f ? copysign(0, x[i]) : x[i]; /* denormals count as zero */
            double truth = functions[f].truth(argument);
            if (truth != truth ? y[i] != y[i] : y[i] == truth || flushed(truth, y[i]) || overflowed(truth, y[i]))
                continue;
            double distance = error_in_ulp(truth, y[i]);
            if (!(distance <= functions[f].bound))
                fail_msg("%s(%a) is %a, %g ulp from %a", functions[f].name, x[i], y[i], distance, truth);
            worst = distance > worst ? distance : worst;
        }
        assert_true(worst > 0.4); /* something was measured */
    }
    free(x);
    free(y);
}

/* ------------------------------------------------------------------------------------------------ special values */

static void check_special(const char *version)
{
    static const float inf = INFINITY;
    static const struct {
        uint32_t op;
        float x, y;
    } values[] = {
        {PLN_MAP_EXP, 0, 1},
        {PLN_MAP_EXP, -0.0f, 1},
        {PLN_MAP_EXP, INFINITY, INFINITY},
        {PLN_MAP_EXP, -INFINITY, 0},
        {PLN_MAP_EXP, 3e38f, INFINITY},
        {PLN_MAP_EXP, -3e38f, 0},
        {PLN_MAP_EXP, 89, INFINITY},
        {PLN_MAP_EXP, -200, 0},
        {PLN_MAP_EXP, 1, 0x1.5bf0a8p+1f},
        {PLN_MAP_LOG, 1, 0},
        {PLN_MAP_LOG, 0, -INFINITY},
        {PLN_MAP_LOG, -0.0f, -INFINITY},
        {PLN_MAP_LOG, -1, NAN},
        {PLN_MAP_LOG, -3e38f, NAN},
        {PLN_MAP_LOG, -INFINITY, NAN},
        {PLN_MAP_LOG, INFINITY, INFINITY},
        {PLN_MAP_LOG, 1e-40f, -INFINITY},
        {PLN_MAP_LOG, 2, 0x1.62e43p-1f},
        {PLN_MAP_TANH, 0, 0},
        {PLN_MAP_TANH, -0.0f, -0.0f},
        {PLN_MAP_TANH, INFINITY, 1},
        {PLN_MAP_TANH, -INFINITY, -1},
        {PLN_MAP_TANH, 3e38f, 1},
        {PLN_MAP_TANH, 1e-20f, 1e-20f},
        {PLN_MAP_ERF, 0, 0},
        {PLN_MAP_ERF, -0.0f, -0.0f},
        {PLN_MAP_ERF, INFINITY, 1},
        {PLN_MAP_ERF, -INFINITY, -1},
        {PLN_MAP_ERF, -3e38f, -1},
        {PLN_MAP_SIGMOID, 0, 0.5f},
        {PLN_MAP_SIGMOID, -0.0f, 0.5f},
        {PLN_MAP_SIGMOID, INFINITY, 1},
        {PLN_MAP_SIGMOID, -INFINITY, 0},
        {PLN_MAP_SIGMOID, 3e38f, 1},
        {PLN_MAP_SIGMOID, -3e38f, 0},
        {PLN_MAP_EXPM1, 0, 0},
        {PLN_MAP_EXPM1, -0.0f, -0.0f},
        {PLN_MAP_EXPM1, INFINITY, INFINITY},
        {PLN_MAP_EXPM1, -INFINITY, -1},
        {PLN_MAP_EXPM1, 1e-20f, 1e-20f},
        {PLN_MAP_EXPM1, -3e38f, -1},
        {PLN_MAP_EXPM1, 0x1p-126f, 0x1p-126f},
        {PLN_MAP_LOG1P, 0, 0},
        {PLN_MAP_LOG1P, -0.0f, -0.0f},
        {PLN_MAP_LOG1P, -1, -INFINITY},
        {PLN_MAP_LOG1P, -1.5f, NAN},
        {PLN_MAP_LOG1P, -INFINITY, NAN},
        {PLN_MAP_LOG1P, INFINITY, INFINITY},
        {PLN_MAP_LOG1P, 1e-20f, 1e-20f},
        {PLN_MAP_LOG1P, 0x1p-126f, 0x1p-126f},
        {PLN_MAP_SIN, 0, 0},
        {PLN_MAP_SIN, -0.0f, -0.0f},
        {PLN_MAP_SIN, INFINITY, NAN},
        {PLN_MAP_SIN, -INFINITY, NAN},
        {PLN_MAP_SIN, 1e-20f, 1e-20f},
        {PLN_MAP_COS, 0, 1},
        {PLN_MAP_COS, -0.0f, 1},
        {PLN_MAP_COS, INFINITY, NAN},
        {PLN_MAP_COS, 1e-20f, 1},
    };
    static const uint32_t nans[] = {0x7fc00000, 0xffc00000, 0x7fc12345, 0x7f800001, 0xff800001, 0xffffffff};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        for (int lane = 0; lane < 40; lane++) { /* in every place of a vector, and behind the last whole one */
            float x[41], y[41];
            for (int j = 0; j < 41; j++)
                x[j] = 0.25f;
            x[lane] = values[i].x;
            map_run(values[i].op, 41, x, y);
            float expected = values[i].y != values[i].y ? float_of(0x7fc00000) : values[i].y;
            if (bits_of(y[lane]) != bits_of(expected))
                show_difference(version, functions[values[i].op - 1].name, x[lane], y[lane], expected);
        }
    for (int f = 0; f < FUNCTIONS; f++)
        for (size_t i = 0; i < sizeof nans / sizeof *nans; i++) {
            float x = float_of(nans[i]), y = inf;
            map_run(functions[f].op, 1, &x, &y);
            if (bits_of(y) != 0x7fc00000)
                show_difference(version, functions[f].name, x, y, float_of(0x7fc00000));
        }
}

static void the_ends_of_the_domains_are_right(void **state)
{
    (void)state;
    unsigned fpu = fpu_enter();
    for_each_version(check_special);
    fpu_leave(fpu);
}

static void odd_functions_are_odd_to_the_bit(void **state)
{
    (void)state;
    static const uint32_t odd[] = {PLN_MAP_TANH, PLN_MAP_ERF, PLN_MAP_SIN};
    float *x = buffer(), *y = buffer();
    int n = make_sample(x);
    for (int f = 0; f < 3; f++) {
        map_run(odd[f], n, x, y);
        for (int i = 0; i < n; i++) {
            float minus = -x[i], mirrored;
            map_ref(odd[f], 1, &minus, &mirrored);
            if (x[i] == x[i] && y[i] == y[i])
                assert_int_equal(bits_of(mirrored), bits_of(y[i]) ^ 0x80000000u);
        }
    }
    free(x);
    free(y);
}

/* -------------------------------------------------------------------------------------------------------- calling */

enum { ROOM = 150 };

static void check_lengths(const char *version)
{
    for (int f = 0; f < FUNCTIONS; f++)
        for (int offset = 0; offset < 5; offset++)
            for (int n = 0; n <= 100; n++) {
                float x[ROOM], expected[ROOM], out[ROOM], in_place[ROOM];
                for (int i = 0; i < ROOM; i++) {
                    x[i] = 0.07f * (float)(i + 1);
                    expected[i] = out[i] = -77;
                    in_place[i] = i >= offset && i < offset + n ? x[i] : -77;
                }
                map_ref(functions[f].op, n, x + offset, expected + offset);
                map_run(functions[f].op, n, x + offset, out + offset);
                map_run(functions[f].op, n, in_place + offset, in_place + offset);
                if (memcmp(out, expected, sizeof out) != 0 || memcmp(in_place, expected, sizeof out) != 0)
                    fail_msg("%s %s: %d numbers at offset %d differ, or something beside them", version,
                             functions[f].name, n, offset);
            }
}

static void any_length_and_place_works_also_in_place(void **state)
{
    (void)state;
    for_each_version(check_lengths);
}

static void an_unknown_function_is_refused_and_nothing_written(void **state)
{
    (void)state;
    static const uint32_t unknown[] = {0, PLN_MAP_COS + 1, UINT32_MAX};
    for (int i = 0; i < 3; i++) {
        float x = 1, y = 77;
        assert_int_equal(map_run(unknown[i], 1, &x, &y), PLN_E_INVALID);
        assert_int_equal(map_ref(unknown[i], 1, &x, &y), PLN_E_INVALID);
        assert_true(y == 77);
    }
}

static void check_convert(const char *version)
{
    static const float scales[][2] = {{1, 0}, {1.0f / 255, 0}, {1.0f / 127.5f, -1}, {0.3081f, -0.1307f}, {0, 5}};
    uint8_t bytes[300];
    for (int i = 0; i < 300; i++)
        bytes[i] = (uint8_t)i;
    for (int s = 0; s < 5; s++)
        for (int n = 0; n <= 300; n = n < 70 ? n + 1 : n + 23) {
            float out[301];
            out[n] = -77;
            convert_u8(n, bytes, scales[s][0], scales[s][1], out);
            for (int i = 0; i < n; i++) {
                volatile float product = scales[s][0] * (float)bytes[i];
                volatile float expected = product + scales[s][1];
                if (bits_of(out[i]) != bits_of(expected))
                    show_difference(version, "convert_u8", bytes[i], out[i], expected);
            }
            assert_true(out[n] == -77);
        }
}

static void bytes_become_floats_with_two_roundings(void **state)
{
    (void)state;
    for_each_version(check_convert);
}

static void a_version_that_is_none_is_refused(void **state)
{
    (void)state;
    const char *before = kernels_name();
    assert_int_equal(kernels_force("avx3"), PLN_E_INVALID);
    assert_int_equal(kernels_force(""), PLN_E_INVALID);
    assert_int_equal(kernels_force(NULL), PLN_E_INVALID);
    assert_string_equal(kernels_name(), before);
    assert_int_equal(kernels_force("plain"), 0);
    assert_int_equal(kernels_isa(), ISA_PLAIN);
    assert_int_equal(kernels_force(before), 0);
    assert_false(kernels_supported(ISA_COUNT));
    assert_false(kernels_supported(-1));
    assert_null(kernels_isa_name(ISA_COUNT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_version_gives_the_bits_of_the_reference),
        cmocka_unit_test(the_bits_are_the_same_everywhere),
        cmocka_unit_test(no_result_is_further_from_the_truth_than_its_bound),
        cmocka_unit_test(the_ends_of_the_domains_are_right),
        cmocka_unit_test(odd_functions_are_odd_to_the_bit),
        cmocka_unit_test(any_length_and_place_works_also_in_place),
        cmocka_unit_test(an_unknown_function_is_refused_and_nothing_written),
        cmocka_unit_test(bytes_become_floats_with_two_roundings),
        cmocka_unit_test(a_version_that_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

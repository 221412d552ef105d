/* The growing buffer, the nearest spelling, and numbers under any locale. */
#include <float.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fpu.h"
#include "base/random.h"
#include "base/text.h"

/* ------------------------------------------------------------------------------------------------------- buffers */

static void a_text_grows_and_always_ends_with_a_zero(void **state)
{
    (void)state;
    text t = {0};
    text_add(&t, "");
    assert_string_equal(t.bytes, "");
    for (int i = 0; i < 1000; i++) {
        text_add(&t, "ab");
        text_format(&t, "%d,%s", i, "c");
        assert_int_equal(t.bytes[t.length], 0);
        assert_int_equal(strlen(t.bytes), t.length);
        assert_true(t.length < t.capacity);
    }
    assert_false(t.failed);
    assert_memory_equal(t.bytes, "ab0,cab1,c", 10);
    assert_string_equal(t.bytes + t.length - 7, "ab999,c");
    text_free(&t);
    assert_null(t.bytes);
    text_free(&t); /* twice is harmless */
}

static void bytes_with_zeros_in_them_are_kept(void **state)
{
    (void)state;
    text t = {0};
    text_add_bytes(&t, "a\0b", 3);
    text_add_bytes(&t, NULL, 0);
    assert_int_equal(t.length, 3);
    assert_memory_equal(t.bytes, "a\0b", 4);
    text_free(&t);
}

static void an_impossible_size_fails_and_leaves_the_text_as_it_was(void **state)
{
    (void)state;
    text t = {0};
    text_add(&t, "abc");
    text_add_bytes(&t, "x", SIZE_MAX - 1);
    assert_true(t.failed);
    text_add(&t, "def"); /* nothing happens any more */
    text_format(&t, "%d", 1);
    assert_string_equal(t.bytes, "abc");
    assert_int_equal(t.length, 3);
    text_free(&t);
    assert_false(t.failed);
}

static void a_copy_is_a_copy_and_of_null_there_is_none(void **state)
{
    (void)state;
    char original[] = "abc", *copy = text_copy(original);
    original[0] = 'x';
    assert_string_equal(copy, "abc");
    free(copy);
    assert_null(text_copy(NULL));
}

/* ---------------------------------------------------------------------------------------------- nearest spelling */

static void the_spelling_that_was_meant_is_found(void **state)
{
    (void)state;
    static const char *const names[] = {"filters",       "kernel_size", "strides", "padding",      "activation",
                                        "use_bias",      "Dense",       "Conv2D",  "MaxPooling2D", "AveragePooling2D",
                                        "Flatten",       "relu",        "sigmoid", "softmax",      "tanh",
                                        "learning_rate", NULL};
    static const char *const cases[][2] = {
        {"filter", "filters"},
        {"Dens", "Dense"},
        {"dense", "Dense"},
        {"Desne", "Dense"},
        {"kernelsize", "kernel_size"},
        {"kernel-size", "kernel_size"},
        {"stride", "strides"},
        {"conv2d", "Conv2D"},
        {"Conv2", "Conv2D"},
        {"MaxPool2D", "MaxPooling2D"},
        {"MaxPool", "MaxPooling2D"},
        {"flaten", "Flatten"},
        {"RELU", "relu"},
        {"rleu", "relu"},
        {"relux", "relu"},
        {"sofmtax", "softmax"},
        {"learningrate", "learning_rate"},
        {"padding", "padding"},
        {"act", "activation"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *found = text_nearest(cases[i][0], names);
        assert_non_null(found);
        assert_string_equal(found, cases[i][1]);
    }
}

static void what_is_far_from_everything_gets_no_suggestion(void **state)
{
    (void)state;
    static const char *const names[] = {"sigmoid", "Dense", "strides", "lr", "x", "", NULL};
    static const char *const words[] = {"relux", "momentum", "Flatten", "bias", "y", "ab", "", "Density function"};
    static const char *const none[] = {NULL};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        assert_null(text_nearest(words[i], names));
    assert_null(text_nearest("relu", none));
    assert_null(text_nearest(NULL, names));
    assert_null(text_nearest("relu", NULL));
}

static void the_nearer_of_two_wins_and_the_first_of_equals(void **state)
{
    (void)state;
    static const char *const names[] = {"MaxPooling1D", "MaxPooling2D", "beta_1", "beta_2", "Beta_1", NULL};
    assert_string_equal(text_nearest("MaxPoolng2D", names), "MaxPooling2D");
    assert_string_equal(text_nearest("MaxPooling", names), "MaxPooling1D");
    assert_string_equal(text_nearest("beta2", names), "beta_2");
    assert_string_equal(text_nearest("Beta_1", names), "Beta_1");
    assert_string_equal(text_nearest("BETA_2", names), "beta_2");
}

static void very_long_words_are_harmless(void **state)
{
    (void)state;
    char word[5000];
    memset(word, 'a', sizeof word - 1);
    word[sizeof word - 1] = 0;
    const char *const names[] = {word, "Dense", NULL};
    assert_null(text_nearest(word, names));
    assert_string_equal(text_nearest("Dens", names), "Dense");
    word[64] = 0;
    assert_ptr_equal(text_nearest(word, names), word);
}

/* ------------------------------------------------------------------------------------------------------- numbers */

static void thousands_are_set_apart(void **state)
{
    (void)state;
    static const struct {
        int64_t value;
        const char *expected;
    } cases[] = {{0, "0"},
                 {7, "7"},
                 {999, "999"},
                 {1000, "1,000"},
                 {-1000, "-1,000"},
                 {-999, "-999"},
                 {866798, "866,798"},
                 {1234567, "1,234,567"},
                 {INT64_MAX, "9,223,372,036,854,775,807"},
                 {INT64_MIN, "-9,223,372,036,854,775,808"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[32];
        assert_ptr_equal(text_thousands(cases[i].value, out), out);
        assert_string_equal(out, cases[i].expected);
    }
}

static const struct {
    double value;
    const char *expected;
} reals[] = {{0, "0"},
             {-0.0, "-0"},
             {3, "3"},
             {-1, "-1"},
             {100, "100"},
             {0.1, "0.1"},
             {0.001, "0.001"},
             {0.0001, "0.0001"},
             {0.00001, "1e-05"},
             {1e-7, "1e-07"},
             {-1.5e-7, "-1.5e-07"},
             {0.1 + 0.2, "0.30000000000000004"},
             {1.0 / 3, "0.3333333333333333"},
             {2.0 / 3, "0.6666666666666666"},
             {123456.789, "123456.789"},
             {1e15, "1000000000000000"},
             {9007199254740993.0, "9007199254740992"},
             {1e16, "1e+16"},
             {1.5e16, "1.5e+16"},
             {1e22, "1e+22"},
             {1e23, "1e+23"},
             {1e100, "1e+100"},
             {DBL_MAX, "1.7976931348623157e+308"},
             {-DBL_MAX, "-1.7976931348623157e+308"},
             {DBL_MIN, "2.2250738585072014e-308"},
             {5e-324, "5e-324"},
             {0x1p-1060, "8.095e-320"},
             {INFINITY, "inf"},
             {-INFINITY, "-inf"},
             {NAN, "nan"}};

static void reals_are_as_short_as_they_can_be(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        char out[32];
        assert_ptr_equal(text_real(reals[i].value, out), out);
        assert_string_equal(out, reals[i].expected);
    }
}

static void reals_read_back_to_the_bit(void **state)
{
    (void)state;
    random_key key = random_key_make(1, RANDOM_LUA, "text");
    for (unsigned flushed = 0; flushed < 2; flushed++) {
        unsigned fpu = flushed ? fpu_enter() : 0;
        for (uint64_t i = 0; i < 20000; i++) {
            uint64_t bits = (uint64_t)random_bits(key, flushed, 2 * i) << 32 | random_bits(key, flushed, 2 * i + 1),
                     back;
            if (i % 4 == 0)
                bits &= ~(UINT64_C(0x7ff) << 52); /* a denormal */
            double value, read;
            memcpy(&value, &bits, sizeof value);
            if ((bits >> 52 & 0x7ff) == 0x7ff)
                continue;
            char out[32];
            assert_true(strlen(text_real(value, out)) < sizeof out);
            assert_true(text_parse_real(out, &read));
            memcpy(&back, &read, sizeof back);
            assert_int_equal(back, bits);
        }
        if (flushed)
            fpu_leave(fpu);
    }
}

static void a_text_that_is_no_real_is_refused_and_the_value_kept(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",    " ",     " 1",    "1 ",     "1,5",   "0x10",   "1e",      "e5",
                                        "--1", "1.2.3", "one",   "nan(1)", "1e999", "-1e999", "infinit", "+",
                                        "-",   ".",     "1_000", "١",      "1f",    "1-2"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        double value = 77;
        assert_false(text_parse_real(wrong[i], &value));
        assert_true(value == 77);
    }
    double value = 77;
    assert_false(text_parse_real(NULL, &value));
    static const struct {
        const char *text;
        double value;
    } right[] = {{"1", 1},           {"-1.5", -1.5},
                 {"+2", 2},          {".5", .5},
                 {"5.", 5},          {"1e3", 1e3},
                 {"1E-3", 1e-3},     {"1e-400", 0},
                 {"inf", INFINITY},  {"-Infinity", -INFINITY},
                 {"007", 7},         {"1e+16", 1e16},
                 {"5e-324", 5e-324}, {"0.10000000000000000000000000000000000001", 0.1}};
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        assert_true(text_parse_real(right[i].text, &value));
        assert_true(value == right[i].value);
    }
    assert_true(text_parse_real("NaN", &value));
    assert_true(value != value);
}

static void a_text_that_is_no_integer_is_refused_and_the_value_kept(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "-",
                                        "+",
                                        " 1",
                                        "1 ",
                                        "1.0",
                                        "1e3",
                                        "0x10",
                                        "--1",
                                        "9223372036854775808",
                                        "-9223372036854775809",
                                        "99999999999999999999999",
                                        "1,000",
                                        "a"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int64_t value = 77;
        assert_false(text_parse_integer(wrong[i], &value));
        assert_int_equal(value, 77);
    }
    int64_t value;
    assert_false(text_parse_integer(NULL, &value));
    assert_true(text_parse_integer("9223372036854775807", &value));
    assert_true(value == INT64_MAX);
    assert_true(text_parse_integer("-9223372036854775808", &value));
    assert_true(value == INT64_MIN);
    assert_true(text_parse_integer("+007", &value));
    assert_int_equal(value, 7);
}

/* A locale with a decimal comma: an installed one, or one compiled from the system's sources; 0 if there is neither. */
static locale_t comma_locale(void)
{
    static const char *const installed[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "es_ES.UTF-8", "pl_PL.UTF-8", "ru_RU.UTF-8"};
    locale_t comma = (locale_t)0;
    for (size_t i = 0; i < sizeof installed / sizeof *installed && !comma; i++)
        comma = newlocale(LC_ALL_MASK, installed[i], (locale_t)0);
    if (comma)
        return comma;
    char folder[] = "/tmp/perilune-locale-XXXXXX", command[128];
    assert_non_null(mkdtemp(folder));
    snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 >/dev/null 2>&1", folder);
    int compiled = system(command);
    setenv("LOCPATH", folder, 1);
    comma = newlocale(LC_NUMERIC_MASK | LC_CTYPE_MASK, "de_DE.UTF-8", (locale_t)0);
    unsetenv("LOCPATH");
    snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
    if (compiled != 0 && !comma)
        print_message("# no locale with a decimal comma here, and localedef could not make one\n");
    return comma;
}

static void a_locale_with_a_decimal_comma_changes_nothing(void **state)
{
    locale_t comma = comma_locale();
    if (!comma)
        return;
    locale_t before = uselocale(comma);
    char sample[16];
    snprintf(sample, sizeof sample, "%.1f", 0.5);
    assert_string_equal(sample, "0,5"); /* the locale is really one with a comma */
    reals_are_as_short_as_they_can_be(state);
    reals_read_back_to_the_bit(state);
    a_text_that_is_no_real_is_refused_and_the_value_kept(state);
    thousands_are_set_apart(state);
    uselocale(before);
    freelocale(comma);
}

static void utf8_is_told_from_what_is_not(void **state)
{
    (void)state;
    assert_true(text_is_utf8("") && text_is_utf8("plain") && text_is_utf8("\xe6\x95\xb0\xe5\xad\x97") &&
                text_is_utf8("\xf0\x9f\x98\x80"));
    const char *const bad[] = {"\xe9", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                               "\x80", "\xe6\x95"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(text_is_utf8(bad[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_is_told_from_what_is_not),
        cmocka_unit_test(a_text_grows_and_always_ends_with_a_zero),
        cmocka_unit_test(bytes_with_zeros_in_them_are_kept),
        cmocka_unit_test(an_impossible_size_fails_and_leaves_the_text_as_it_was),
        cmocka_unit_test(a_copy_is_a_copy_and_of_null_there_is_none),
        cmocka_unit_test(the_spelling_that_was_meant_is_found),
        cmocka_unit_test(what_is_far_from_everything_gets_no_suggestion),
        cmocka_unit_test(the_nearer_of_two_wins_and_the_first_of_equals),
        cmocka_unit_test(very_long_words_are_harmless),
        cmocka_unit_test(thousands_are_set_apart),
        cmocka_unit_test(reals_are_as_short_as_they_can_be),
        cmocka_unit_test(reals_read_back_to_the_bit),
        cmocka_unit_test(a_text_that_is_no_real_is_refused_and_the_value_kept),
        cmocka_unit_test(a_text_that_is_no_integer_is_refused_and_the_value_kept),
        cmocka_unit_test(a_locale_with_a_decimal_comma_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

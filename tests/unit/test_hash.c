/* SHA-256 against the examples of FIPS 180-4, and the encodings of texts and numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/hash.h"

static void known_answers_come_out(void **state)
{
    (void)state;
    static const char *const answers[][2] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
        for (size_t cut = 0; cut <= strlen(answers[i][0]); cut++) {
            hash h;
            char hex[HASH_HEX];
            hash_begin(&h);
            hash_bytes(&h, answers[i][0], cut);
            hash_bytes(&h, answers[i][0] + cut, strlen(answers[i][0]) - cut);
            hash_end(&h, hex);
            assert_string_equal(hex, answers[i][1]);
        }
}

static void of_texts(char hex[HASH_HEX], const char *a, const char *b)
{
    hash h;
    hash_begin(&h);
    hash_text(&h, a);
    hash_text(&h, b);
    hash_end(&h, hex);
}

static void texts_do_not_run_into_each_other_and_null_is_not_empty(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"ab", "c"},   {"a", "bc"},  {"abc", ""}, {"", "abc"}, {"abc", NULL},
                                           {NULL, "abc"}, {NULL, NULL}, {"", NULL},  {NULL, ""},  {"", ""}};
    enum { PAIRS = sizeof pairs / sizeof *pairs };
    char hex[PAIRS][HASH_HEX];
    for (int i = 0; i < PAIRS; i++)
        of_texts(hex[i], pairs[i][0], pairs[i][1]);
    for (int i = 0; i < PAIRS; i++)
        for (int j = 0; j < i; j++)
            assert_string_not_equal(hex[i], hex[j]);
}

/* The encodings are part of every fingerprint ever stored: these digests were made from the bytes with sha256sum. */
static void encodings_stay_as_they_are(void **state)
{
    (void)state;
    hash h;
    char hex[HASH_HEX];
    hash_begin(&h);
    hash_integer(&h, 0x0102030405060708);
    hash_end(&h, hex); /* printf '\x08\x07\x06\x05\x04\x03\x02\x01' | sha256sum */
    assert_string_equal(hex, "380b980886b7a3e726b5c2776160d7842b8f139eaea1e6acf7442cdf890e6287");
    hash_begin(&h);
    hash_text(&h, "abc");
    hash_end(&h, hex); /* printf '\x03\0\0\0\0\0\0\0abc' | sha256sum */
    assert_string_equal(hex, "ce91dc5eec0139adf091900d225971d6ad246a845bad791b5693a9d0d55dd391");
    hash_begin(&h);
    hash_real(&h, 1.0);
    hash_end(&h, hex); /* printf '\0\0\0\0\0\0\xf0\x3f' | sha256sum */
    assert_string_equal(hex, "6c3c396ed6b5c36dcae172271f462051b1266b851e92df3deea8ac65478fd712");
}

static void reals_are_told_apart_by_their_bits(void **state)
{
    (void)state;
    hash h;
    char plus[HASH_HEX], minus[HASH_HEX];
    hash_begin(&h);
    hash_real(&h, 0.0);
    hash_end(&h, plus);
    hash_begin(&h);
    hash_real(&h, -0.0);
    hash_end(&h, minus);
    assert_string_not_equal(plus, minus);
}

static void a_file_has_the_hash_of_its_bytes(void **state)
{
    (void)state;
    char path[] = "/tmp/perilune-hash-XXXXXX", hex[HASH_HEX], expected[HASH_HEX];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    hash h;
    hash_begin(&h);
    for (int i = 0; i < 10000; i++) {
        char line[32];
        int n = snprintf(line, sizeof line, "line %d\n", i * i);
        assert_int_equal(write(fd, line, (size_t)n), n);
        hash_bytes(&h, line, (size_t)n);
    }
    close(fd);
    hash_end(&h, expected);
    error e;
    assert_int_equal(hash_file(path, hex, &e), 0);
    assert_string_equal(hex, expected);
    unlink(path);
}

static void a_file_that_is_not_there_or_cannot_be_read_is_named(void **state)
{
    (void)state;
    char hex[HASH_HEX];
    error e;
    assert_int_equal(hash_file("/nonexistent/weights", hex, &e), PLN_E_MISSING);
    assert_int_equal(e.status, PLN_E_MISSING);
    assert_non_null(strstr(e.text, "/nonexistent/weights"));
    assert_int_equal(hash_file("/tmp", hex, &e), PLN_E_IO); /* a folder opens, but does not read */
    assert_non_null(strstr(e.text, "/tmp"));
    assert_int_equal(hash_file("/nonexistent/weights", hex, NULL), PLN_E_MISSING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers_come_out),
        cmocka_unit_test(texts_do_not_run_into_each_other_and_null_is_not_empty),
        cmocka_unit_test(encodings_stay_as_they_are),
        cmocka_unit_test(reals_are_told_apart_by_their_bits),
        cmocka_unit_test(a_file_has_the_hash_of_its_bytes),
        cmocka_unit_test(a_file_that_is_not_there_or_cannot_be_read_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The drawn digits: pure, even, normalised like MNIST, and legible. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fenv.h>
#include <string.h>

#include "data/digits_strokes.h"
#include "data/sources.h"

enum { SIDE = 28, SIZE = SIDE * SIDE };

static dataset *draw(lanes *pool, int64_t count, uint64_t seed)
{
    dataset *set = NULL;
    error e = {0};
    if (source_digits(pool, count, seed, &set, &e) != PLN_OK)
        fail_msg("%s", e.text);
    return set;
}

static const uint8_t *image(const dataset *set, int64_t i)
{
    return (const uint8_t *)dataset_parts(set)->inputs[0].bytes + i * SIZE;
}

static int label(const dataset *set, int64_t i)
{
    return ((const int32_t *)dataset_parts(set)->target.bytes)[i];
}

static void sample_i_depends_on_the_seed_and_i_alone(void **state)
{
    (void)state;
    lanes *pool;
    assert_int_equal(lanes_open(3, &pool, NULL), PLN_OK);
    fesetround(FE_UPWARD); /* the caller's own state must not matter */
    dataset *few = draw(NULL, 7, 5);
    fesetround(FE_TONEAREST);
    dataset *many = draw(pool, 1234, 5), *other = draw(NULL, 1234, 6);
    int same = 0;
    for (int64_t i = 0; i < 7; i++) {
        assert_int_equal(label(few, i), label(many, i));
        assert_memory_equal(image(few, i), image(many, i), SIZE);
    }
    for (int64_t i = 0; i < 1234; i++)
        same += memcmp(image(many, i), image(other, i), SIZE) == 0;
    assert_int_equal(same, 0);
    lanes_close(pool);
    dataset_free(few);
    dataset_free(many);
    dataset_free(other);
}

static void the_bytes_are_the_same_everywhere(void **state)
{
    (void)state;
    char hex[HASH_HEX];
    dataset *set = draw(NULL, 1000, 42);
    assert_int_equal(dataset_digest(set, hex, NULL), PLN_OK);
    assert_string_equal(hex, "b1d7506cb2d4e290a7a93c4b60b08d6d6a517375749a3f9cef85c2a0d8e89e88");
    dataset_free(set);
}

static void every_ten_samples_have_every_digit_once(void **state)
{
    (void)state;
    dataset *set = draw(NULL, 500, 3);
    int first_differs = 0;
    for (int64_t block = 0; block < 50; block++) {
        int seen[10] = {0};
        for (int64_t i = 0; i < 10; i++)
            seen[label(set, 10 * block + i)]++;
        for (int d = 0; d < 10; d++)
            assert_int_equal(seen[d], 1);
        first_differs += label(set, 10 * block) != label(set, 0);
    }
    assert_true(first_differs > 25);
    assert_string_equal(dataset_parts(set)->name, "digits");
    assert_string_equal(dataset_parts(set)->classes[7], "7");
    dataset_free(set);
}

static void digits_are_normalised_like_mnist(void **state)
{
    (void)state;
    dataset *set = draw(NULL, 2000, 11);
    int touching = 0;
    for (int64_t i = 0; i < 2000; i++) {
        const uint8_t *p = image(set, i);
        int x0 = SIDE, x1 = -1, y0 = SIDE, y1 = -1, dark = 0;
        double mass = 0, mx = 0, my = 0;
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++) {
                int v = p[y * SIDE + x];
                if (v == 0)
                    continue;
                x0 = x < x0 ? x : x0, x1 = x > x1 ? x : x1, y0 = y < y0 ? y : y0, y1 = y > y1 ? y : y1;
                mass += v, mx += v * (x + 0.5), my += v * (y + 0.5);
                dark += v > 200;
            }
        assert_true(mass > 2000.0);
        assert_true(dark > 5);
        assert_true(x1 - x0 < 20 && y1 - y0 < 20);
        touching += x1 - x0 >= 17 || y1 - y0 >= 17;
        /* a box that would leave the field is held back; that takes a very lopsided digit */
        assert_true(mx / mass > 12.4 && mx / mass < 15.6);
        assert_true(my / mass > 12.4 && my / mass < 15.6);
    }
    assert_true(touching > 1950);
    dataset_free(set);
}

/* The nearest neighbour among 4,000 drawn digits names 90 % of 400 others: they are legible and not all alike. */
static void digits_can_be_told_apart(void **state)
{
    (void)state;
    dataset *known = draw(NULL, 4000, 1), *asked = draw(NULL, 400, 2);
    int right = 0;
    for (int64_t i = 0; i < 400; i++) {
        int64_t best = INT64_MAX;
        int guess = -1;
        for (int64_t k = 0; k < 4000; k++) {
            int64_t distance = 0;
            const uint8_t *a = image(asked, i), *b = image(known, k);
            for (int j = 0; j < SIZE; j++)
                distance += (a[j] - b[j]) * (a[j] - b[j]);
            assert_true(distance > 0);
            if (distance < best)
                best = distance, guess = label(known, k);
        }
        right += guess == label(asked, i);
    }
    print_message("# nearest neighbour: %d of 400\n", right);
    assert_true(right >= 320 && right < 400);
    dataset_free(known);
    dataset_free(asked);
}

static void impossible_counts_are_refused(void **state)
{
    (void)state;
    static const int64_t counts[] = {0, -1, INT64_MIN, INT64_MAX, (int64_t)UINT32_MAX + 1};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        dataset *set = NULL;
        error e = {0};
        assert_int_equal(source_digits(NULL, counts[i], 1, &set, &e), PLN_E_INVALID);
        assert_non_null(strstr(e.text, "drawn digits were asked for"));
        assert_null(set);
    }
}

static void every_digit_has_several_ways_of_writing_it(void **state)
{
    (void)state;
    int ways[10] = {0};
    for (int i = 0; i < glyphs_count; i++) {
        const glyph *g = &glyphs[i];
        assert_true(g->digit < 10 && g->weight > 0 && g->npoints <= STROKE_POINTS && g->nposes <= STROKE_POSES);
        ways[g->digit]++;
        for (int k = 0; k < g->nposes; k++) /* the pen goes down and up at the same points in each pose */
            for (int j = 0; j < g->npoints; j++)
                assert_int_equal(g->pose[k][j].pen, g->pose[0][j].pen);
    }
    for (int d = 0; d < 10; d++)
        assert_true(ways[d] >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sample_i_depends_on_the_seed_and_i_alone),
        cmocka_unit_test(the_bytes_are_the_same_everywhere),
        cmocka_unit_test(every_ten_samples_have_every_digit_once),
        cmocka_unit_test(digits_are_normalised_like_mnist),
        cmocka_unit_test(digits_can_be_told_apart),
        cmocka_unit_test(impossible_counts_are_refused),
        cmocka_unit_test(every_digit_has_several_ways_of_writing_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

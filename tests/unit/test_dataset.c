/* Data sets: views, digests, gathering, ownership. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "data/dataset.h"

static int released;

static void count_release(void *owner)
{
    released += owner != NULL;
}

/* Ten samples of [2,3] bytes (sample i holds 10 i .. 10 i + 5), an int32 label i % 4 and a float32 pair (i, -i). */
static uint8_t pixels[60];
static int32_t labels[10];
static float pairs[20];
static const char *const classes[] = {"a", "b", "c", "d", NULL};

static storage_parts ten(void)
{
    for (int i = 0; i < 10; i++) {
        for (int j = 0; j < 6; j++)
            pixels[6 * i + j] = (uint8_t)(10 * i + j);
        labels[i] = i % 4;
        pairs[2 * i] = (float)i;
        pairs[2 * i + 1] = (float)-i;
    }
    storage_parts p = {.name = "ten", .part = "train", .count = 10, .ninputs = 2, .has_target = 1, .nclasses = 4};
    p.inputs[0] = (column){.name = "image", .dtype = PLN_U8, .rank = 2, .shape = {2, 3}, .scale = 0.5f, .shift = 1.0f};
    p.inputs[0].bytes = pixels;
    p.inputs[1] = (column){.name = "pair", .dtype = PLN_F32, .rank = 1, .shape = {2}, .bytes = pairs};
    p.target = (column){.name = "label", .dtype = PLN_I32, .bytes = labels};
    p.classes = classes;
    p.release = count_release;
    p.owner = pixels;
    released = 0;
    return p;
}

static dataset *make_ten(void)
{
    storage_parts p = ten();
    dataset *set = NULL;
    assert_int_equal(dataset_make(&p, &set, NULL), PLN_OK);
    return set;
}

static void a_batch_is_gathered_as_floats_and_class_numbers(void **state)
{
    (void)state;
    dataset *set = make_ten();
    const int64_t which[3] = {9, 0, 3};
    float images[18], values[6];
    int32_t classes_of[3];
    dataset_gather_input(set, 0, which, 3, images);
    dataset_gather_input(set, 1, which, 3, values);
    dataset_gather_target(set, which, 3, classes_of);
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 6; j++)
            assert_true(images[6 * i + j] == 0.5f * (float)(10 * which[i] + j) + 1.0f);
        assert_true(values[2 * i] == (float)which[i] && values[2 * i + 1] == (float)-which[i]);
        assert_int_equal(classes_of[i], which[i] % 4);
    }
    dataset_free(set);
}

static void views_of_views_show_the_right_samples(void **state)
{
    (void)state;
    dataset *set = make_ten(), *slice, *pick, *part, *again;
    const int64_t some[4] = {5, 1, 1, 0}, all[2] = {0, 1};
    int32_t label[2];
    assert_int_equal(dataset_slice(set, 2, 8, &slice, NULL), PLN_OK);
    assert_int_equal(slice->count, 6);
    assert_int_equal(dataset_at(slice, 5), 7);
    assert_int_equal(dataset_pick(slice, some, 4, &pick, NULL), PLN_OK);
    assert_int_equal(dataset_at(pick, 0), 7);
    assert_int_equal(dataset_at(pick, 2), 3);
    assert_int_equal(dataset_slice(pick, 2, 4, &part, NULL), PLN_OK);
    assert_int_equal(part->count, 2);
    assert_int_equal(dataset_at(part, 0), 3);
    assert_int_equal(dataset_at(part, 1), 2);
    assert_int_equal(dataset_pick(part, all, 1, &again, NULL), PLN_OK);
    assert_int_equal(dataset_at(again, 0), 3);
    dataset_gather_target(part, all, 2, label);
    assert_int_equal(label[0], 3);
    assert_int_equal(label[1], 2);
    dataset_free(set);
    dataset_free(slice);
    dataset_free(pick);
    dataset_free(part);
    dataset_free(again);
}

static void the_last_view_releases_the_storage(void **state)
{
    (void)state;
    dataset *set = make_ten(), *slice, *empty;
    assert_int_equal(dataset_slice(set, 0, 4, &slice, NULL), PLN_OK);
    assert_int_equal(dataset_slice(slice, 4, 4, &empty, NULL), PLN_OK);
    assert_int_equal(empty->count, 0);
    dataset_free(set);
    dataset_free(empty);
    assert_int_equal(released, 0);
    assert_string_equal(dataset_parts(slice)->name, "ten");
    dataset_free(slice);
    assert_int_equal(released, 1);
    dataset_free(NULL);
}

static void names_are_copied(void **state)
{
    (void)state;
    storage_parts p = ten();
    char name[] = "mine", first[] = "first";
    const char *const own[] = {first, "b", "c", "d", NULL};
    p.name = name;
    p.classes = own;
    dataset *set;
    assert_int_equal(dataset_make(&p, &set, NULL), PLN_OK);
    name[0] = first[0] = 'X';
    assert_string_equal(dataset_parts(set)->name, "mine");
    assert_string_equal(dataset_parts(set)->classes[0], "first");
    assert_string_equal(dataset_parts(set)->classes[3], "d");
    assert_null(dataset_parts(set)->classes[4]);
    dataset_free(set);
}

static void samples_outside_the_set_are_refused(void **state)
{
    (void)state;
    dataset *set = make_ten(), *view = NULL;
    error e = {0};
    static const int64_t bad[][2] = {{-1, 3}, {3, 11}, {5, 4}, {11, 11}, {0, INT64_MAX}, {INT64_MIN, 0}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(dataset_slice(set, bad[i][0], bad[i][1], &view, &e), PLN_E_INVALID);
    assert_int_equal(dataset_slice(set, 3, 11, &view, &e), PLN_E_INVALID);
    assert_non_null(strstr(e.text, "11"));
    assert_non_null(strstr(e.text, "has 10"));
    const int64_t which[2] = {3, 10};
    assert_int_equal(dataset_pick(set, which, 2, &view, &e), PLN_E_INVALID);
    assert_non_null(strstr(e.text, "sample 10"));
    assert_int_equal(dataset_pick(set, which, -1, &view, &e), PLN_E_INVALID);
    assert_null(view);
    dataset_free(set);
}

typedef struct refusal {
    const char *says;
    void (*spoil)(storage_parts *p);
} refusal;

static void spoil_count(storage_parts *p)
{
    p->count = -1;
}
static void spoil_many(storage_parts *p)
{
    p->count = (int64_t)UINT32_MAX + 1;
}
static void spoil_dtype(storage_parts *p)
{
    p->inputs[0].dtype = 99;
}
static void spoil_rank(storage_parts *p)
{
    p->inputs[1].rank = PLN_RANK;
}
static void spoil_shape(storage_parts *p)
{
    p->inputs[0].shape[1] = 0;
}
static void spoil_overflow(storage_parts *p)
{
    p->inputs[0].shape[0] = p->inputs[0].shape[1] = INT64_C(1) << 40;
}
static void spoil_memory(storage_parts *p)
{
    p->inputs[0].shape[0] = INT64_C(1) << 60;
    p->inputs[0].shape[1] = 1;
}
static void spoil_bytes(storage_parts *p)
{
    p->inputs[1].bytes = NULL;
}
static void spoil_label(storage_parts *p)
{
    p->nclasses = 3;
}
static void spoil_classes(storage_parts *p)
{
    p->target.dtype = PLN_F32;
}
static void spoil_inputs(storage_parts *p)
{
    p->ninputs = DATASET_INPUTS + 1;
}

static void impossible_storages_are_refused_and_released(void **state)
{
    (void)state;
    static const refusal refusals[] = {
        {"-1 samples", spoil_count},
        {"4294967296 samples", spoil_many},
        {"element type 99", spoil_dtype},
        {"8 dimensions", spoil_rank},
        {"dimension 2", spoil_shape},
        {"dimension 2", spoil_overflow},
        {"more than memory", spoil_memory},
        {"'pair' has no bytes", spoil_bytes},
        {"sample 3 (counted from 0) is 3", spoil_label},
        {"classes need", spoil_classes},
        {"9 inputs", spoil_inputs},
    };
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        storage_parts p = ten();
        dataset *set = NULL;
        error e = {0};
        refusals[i].spoil(&p);
        assert_int_equal(dataset_make(&p, &set, &e), PLN_E_INVALID);
        if (!strstr(e.text, refusals[i].says))
            fail_msg("expected \"%s\" in: %s", refusals[i].says, e.text);
        assert_null(set);
        assert_int_equal(released, 1);
    }
}

static void digest_of(const dataset *set, char hex[HASH_HEX])
{
    assert_int_equal(dataset_digest(set, hex, NULL), PLN_OK);
    assert_int_equal(strlen(hex), 64);
}

static void equal_samples_have_equal_digests_and_others_not(void **state)
{
    (void)state;
    char whole[HASH_HEX], view[HASH_HEX], other[HASH_HEX];
    dataset *set = make_ten(), *slice, *pick;
    digest_of(set, whole);
    assert_int_equal(dataset_slice(set, 0, 10, &slice, NULL), PLN_OK);
    digest_of(slice, view);
    assert_string_equal(view, whole);
    dataset_free(slice);

    /* a list that is a run is the run */
    const int64_t run[3] = {4, 5, 6}, turned[3] = {6, 5, 4};
    assert_int_equal(dataset_slice(set, 4, 7, &slice, NULL), PLN_OK);
    assert_int_equal(dataset_pick(set, run, 3, &pick, NULL), PLN_OK);
    digest_of(slice, view);
    digest_of(pick, other);
    assert_string_equal(view, other);
    assert_string_not_equal(view, whole);
    dataset_free(pick);
    assert_int_equal(dataset_pick(set, turned, 3, &pick, NULL), PLN_OK);
    digest_of(pick, other);
    assert_string_not_equal(view, other);
    dataset_free(pick);
    dataset_free(slice);

    /* the name is not part of it, a byte and the scale are */
    storage_parts p = ten();
    p.name = "another";
    dataset *named;
    assert_int_equal(dataset_make(&p, &named, NULL), PLN_OK);
    digest_of(named, other);
    assert_string_equal(other, whole);
    dataset_free(named);
    p.inputs[0].scale = 0.25f;
    assert_int_equal(dataset_make(&p, &named, NULL), PLN_OK);
    digest_of(named, other);
    assert_string_not_equal(other, whole);
    dataset_free(named);
    p.inputs[0].scale = 0.5f;
    pixels[59]++;
    assert_int_equal(dataset_make(&p, &named, NULL), PLN_OK);
    digest_of(named, other);
    assert_string_not_equal(other, whole);
    dataset_free(named);
    dataset_free(set);
}

static void *ask(void *context)
{
    char *hex = malloc(HASH_HEX);
    dataset *view;
    for (int i = 0; i < 200; i++)
        if (!dataset_slice(context, 0, 10, &view, NULL))
            dataset_free(view);
    dataset_digest(context, hex, NULL);
    return hex;
}

static void threads_may_share_a_set(void **state)
{
    (void)state;
    dataset *set = make_ten();
    pthread_t threads[4];
    char *hex[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask, set), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], (void **)&hex[i]);
    for (int i = 1; i < 4; i++)
        assert_string_equal(hex[i], hex[0]);
    for (int i = 0; i < 4; i++)
        free(hex[i]);
    assert_int_equal(released, 0);
    dataset_free(set);
    assert_int_equal(released, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_is_gathered_as_floats_and_class_numbers),
        cmocka_unit_test(views_of_views_show_the_right_samples),
        cmocka_unit_test(the_last_view_releases_the_storage),
        cmocka_unit_test(names_are_copied),
        cmocka_unit_test(samples_outside_the_set_are_refused),
        cmocka_unit_test(impossible_storages_are_refused_and_released),
        cmocka_unit_test(equal_samples_have_equal_digests_and_others_not),
        cmocka_unit_test(threads_may_share_a_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* CIFAR-10's binary batches: good files, bad files, real files. */
#include "data_files.h"

enum { SIDE = 32, PLANE = SIDE * SIDE, RECORD = 1 + 3 * PLANE };

#define FOLDER "data/cifar-10-batches-bin/"

/* Record i of batch b: label (b + i) % 10; byte j of plane c is 50 b + 3 i + 80 c + j, modulo 256. */
static uint8_t *make_batch(int b, int records)
{
    uint8_t *file = malloc((size_t)records * RECORD + 16);
    memset(file, 0, (size_t)records * RECORD + 16);
    for (int i = 0; i < records; i++) {
        file[i * RECORD] = (uint8_t)((b + i) % 10);
        for (int c = 0; c < 3; c++)
            for (int j = 0; j < PLANE; j++)
                file[i * RECORD + 1 + c * PLANE + j] = (uint8_t)(50 * b + 3 * i + 80 * c + j);
    }
    return file;
}

static void write_batch(const home *h, const char *name, int b, int records, int gz)
{
    uint8_t *file = make_batch(b, records);
    (gz ? write_gz : write_plain)(at(h, name), file, (size_t)records * RECORD);
    free(file);
}

static void check_samples(const dataset *set, int64_t first, int b, int records)
{
    const storage_parts *p = dataset_parts(set);
    const uint8_t *image = p->inputs[0].bytes;
    const int32_t *label = p->target.bytes;
    for (int i = 0; i < records; i++) {
        assert_int_equal(label[first + i], (b + i) % 10);
        for (int j = 0; j < PLANE; j++)
            for (int c = 0; c < 3; c++)
                assert_int_equal(image[((first + i) * PLANE + j) * 3 + c], (uint8_t)(50 * b + 3 * i + 80 * c + j));
    }
}

static void batches_are_joined_in_order_with_channels_last(void **state)
{
    const home *h = *state;
    dataset *train = NULL, *test = NULL;
    error e = {0};
    write_batch(h, FOLDER "data_batch_4.bin", 4, 3, 0); /* whatever batches are there */
    write_batch(h, FOLDER "data_batch_2.bin.gz", 2, 5, 1);
    write_batch(h, FOLDER "test_batch.bin.gz", 9, 4, 1);
    for (int round = 0; round < 2; round++) { /* read, then from the cache */
        assert_int_equal(source_cifar10(NULL, &train, &test, &e), PLN_OK);
        assert_int_equal(train->count, 8);
        assert_int_equal(test->count, 4);
        check_samples(train, 0, 2, 5);
        check_samples(train, 5, 4, 3);
        check_samples(test, 0, 9, 4);
        const column *image = &dataset_parts(train)->inputs[0];
        assert_int_equal(image->rank, 3);
        assert_int_equal(image->shape[0], SIDE);
        assert_int_equal(image->shape[1], SIDE);
        assert_int_equal(image->shape[2], 3);
        assert_string_equal(dataset_parts(train)->classes[0], "airplane");
        assert_string_equal(dataset_parts(train)->classes[9], "truck");
        dataset_free(train);
        dataset_free(test);
        assert_int_equal(count_cached(h, "cifar10-.*cache$"), 2);
    }
    write_batch(h, FOLDER "data_batch_1.bin", 1, 2, 0); /* one more: another set, not the cached one */
    assert_int_equal(source_cifar10(at(h, "data/cifar-10-batches-bin"), &train, NULL, &e), PLN_OK);
    assert_int_equal(train->count, 10);
    check_samples(train, 0, 1, 2);
    check_samples(train, 2, 2, 5);
    dataset_free(train);
}

static void plain_and_gzipped_batches_have_one_digest(void **state)
{
    const home *h = *state;
    char digest[2][HASH_HEX];
    dataset *train;
    for (int gz = 0; gz < 2; gz++) {
        write_batch(h, gz ? FOLDER "data_batch_1.bin.gz" : FOLDER "data_batch_1.bin", 1, 6, gz);
        assert_int_equal(source_cifar10(NULL, &train, NULL, NULL), PLN_OK);
        assert_int_equal(dataset_digest(train, digest[gz], NULL), PLN_OK);
        dataset_free(train);
        unlink(at(h, FOLDER "data_batch_1.bin"));
    }
    assert_string_equal(digest[0], digest[1]);
}

static void refuse(const home *h, const char *name, int status, const char *says)
{
    dataset *train = NULL;
    error e = {0};
    assert_int_equal(source_cifar10(NULL, &train, NULL, &e), status);
    assert_says(&e, at(h, name));
    assert_says(&e, says);
    assert_null(train);
}

static void spoilt_batches_are_refused_with_name_and_numbers(void **state)
{
    const home *h = *state;
    const char *plain = FOLDER "data_batch_1.bin", *packed = FOLDER "data_batch_1.bin.gz";
    uint8_t *file = make_batch(1, 3);
    write_plain(at(h, plain), file, 0);
    refuse(h, plain, PLN_E_FORMAT, "is empty (0 bytes)");
    write_plain(at(h, plain), file, RECORD + 7);
    refuse(h, plain, PLN_E_FORMAT, "expected a multiple of 3073 bytes, got 3080");
    write_plain(at(h, plain), file, 3 * RECORD + 1);
    refuse(h, plain, PLN_E_FORMAT, "got 9220");
    file[2 * RECORD] = 10;
    write_plain(at(h, plain), file, 3 * RECORD);
    refuse(h, plain, PLN_E_FORMAT, "picture 2 (counted from 0) is 10; labels are 0 .. 9");
    file[2 * RECORD] = 1;
    unlink(at(h, plain));

    write_gz(at(h, packed), file, 0);
    refuse(h, packed, PLN_E_FORMAT, "expected a multiple of 3073 bytes when inflated, got 0");
    write_plain(at(h, packed), "\x1f\x8b\x08", 3);
    refuse(h, packed, PLN_E_FORMAT, "truncated");

    /* a trailer that lies: more, fewer, absurdly many */
    write_gz(at(h, packed), file, 3 * RECORD);
    FILE *f = fopen(at(h, packed), "r+b");
    uint8_t bytes[4 * RECORD];
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    static const struct {
        uint32_t claim;
        const char *says;
    } lies[] = {
        {4 * RECORD, "gzip data cannot be inflated"},
        {2 * RECORD, ""},
        {UINT32_MAX - UINT32_MAX % RECORD, "more than a file of"},
    };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        for (int k = 0; k < 4; k++)
            bytes[n - 4 + (size_t)k] = (uint8_t)(lies[i].claim >> 8 * k);
        write_plain(at(h, packed), bytes, n);
        refuse(h, packed, PLN_E_FORMAT, lies[i].says);
    }
    free(file);
    assert_int_equal(count_cached(h, "cache"), 0);
}

static void a_folder_in_place_of_a_batch_is_refused(void **state)
{
    const home *h = *state;
    mkdir(at(h, FOLDER "data_batch_1.bin"), 0700);
    refuse(h, FOLDER "data_batch_1.bin", PLN_E_IO, "no regular file");
}

static void a_part_without_files_is_missing(void **state)
{
    const home *h = *state;
    dataset *train = NULL, *test = NULL;
    error e = {0};
    write_batch(h, FOLDER "data_batch_1.bin", 1, 2, 0);
    assert_int_equal(source_cifar10(NULL, &train, &test, &e), PLN_E_MISSING);
    assert_says(&e, "test_batch.bin");
    assert_null(train);
    assert_null(test);
}

static void real_cifar_is_read(void **state)
{
    const home *h = *state;
    char where[4096];
    dataset *train, *test;
    error e = {0};
    if (h->data)
        setenv("PERILUNE_DATA", h->data, 1);
    if (!h->data || !source_find("cifar10", where, sizeof where))
        return; /* the files are not here */
    assert_int_equal(source_cifar10(NULL, &train, &test, &e), PLN_OK);
    assert_int_equal(train->count % 10000, 0);
    assert_int_equal(test->count, 10000);
    int64_t histogram[10] = {0};
    for (int64_t i = 0; i < 10000; i++)
        histogram[((const int32_t *)dataset_parts(test)->target.bytes)[i]]++;
    for (int i = 0; i < 10; i++)
        assert_int_equal(histogram[i], 1000);
    /* the first test picture is a cat before a wall: its corner, from the file's planes */
    const uint8_t *image = dataset_parts(test)->inputs[0].bytes;
    assert_int_equal(((const int32_t *)dataset_parts(test)->target.bytes)[0], 3);
    assert_int_equal(image[0], 158);
    assert_int_equal(image[1], 112);
    assert_int_equal(image[2], 49);
    dataset_free(train);
    dataset_free(test);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, home_open, home_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(batches_are_joined_in_order_with_channels_last),
        TEST(plain_and_gzipped_batches_have_one_digest),
        TEST(spoilt_batches_are_refused_with_name_and_numbers),
        TEST(a_folder_in_place_of_a_batch_is_refused),
        TEST(a_part_without_files_is_missing),
        TEST(real_cifar_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* IDX files, where sets are looked for, and the cache: good files, bad files, real files. */
#include "data_files.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#define TRAIN_IMAGES "data/mnist/train-images-idx3-ubyte"
#define TRAIN_LABELS "data/mnist/train-labels-idx1-ubyte"
#define TEST_IMAGES  "data/mnist/t10k-images-idx3-ubyte"
#define TEST_LABELS  "data/mnist/t10k-labels-idx1-ubyte"

enum { COUNT = 30, SIDE = 28, IMAGES = 16 + COUNT * SIDE * SIDE, LABELS = 8 + COUNT };

static void put32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* 30 images: byte j of image i is 7 i + j; 30 labels: i % 10. */
static void make_images(uint8_t file[IMAGES])
{
    put32(file, 0x803);
    put32(file + 4, COUNT);
    put32(file + 8, SIDE);
    put32(file + 12, SIDE);
    for (int i = 0; i < COUNT; i++)
        for (int j = 0; j < SIDE * SIDE; j++)
            file[16 + i * SIDE * SIDE + j] = (uint8_t)(7 * i + j);
}

static void make_labels(uint8_t file[LABELS])
{
    put32(file, 0x801);
    put32(file + 4, COUNT);
    for (int i = 0; i < COUNT; i++)
        file[8 + i] = (uint8_t)(i % 10);
}

typedef void writer(const char *path, const void *bytes, size_t count);

static void write_good(const home *h, const char *images, const char *labels, writer *write)
{
    uint8_t image[IMAGES], label[LABELS];
    make_images(image);
    make_labels(label);
    write(at(h, images), image, IMAGES);
    write(at(h, labels), label, LABELS);
}

static dataset *load_train(void)
{
    dataset *set = NULL;
    error e = {0};
    if (source_idx("mnist", NULL, &set, NULL, &e) != PLN_OK)
        fail_msg("%s", e.text);
    return set;
}

static void check_good(const dataset *set)
{
    const storage_parts *p = dataset_parts(set);
    uint8_t image[IMAGES];
    make_images(image);
    assert_int_equal(set->count, COUNT);
    assert_int_equal(p->inputs[0].rank, 3);
    assert_int_equal(p->inputs[0].shape[0], SIDE);
    assert_int_equal(p->inputs[0].shape[1], SIDE);
    assert_int_equal(p->inputs[0].shape[2], 1);
    assert_int_equal(p->inputs[0].dtype, PLN_U8);
    assert_memory_equal(p->inputs[0].bytes, image + 16, COUNT * SIDE * SIDE);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(((const int32_t *)p->target.bytes)[i], i % 10);
    assert_int_equal(p->nclasses, 10);
    assert_string_equal(p->classes[9], "9");
    const int64_t which[1] = {1};
    float values[SIDE * SIDE];
    dataset_gather_input(set, 0, which, 1, values);
    assert_true(values[0] == (float)image[16 + SIDE * SIDE] * (1.0f / 255.0f));
}

/* ------------------------------------------------------------------------------------------------ good files ---- */

static void plain_and_gzipped_files_are_the_same_set(void **state)
{
    const home *h = *state;
    char plain[HASH_HEX], gz[HASH_HEX], computed[HASH_HEX];
    write_good(h, TRAIN_IMAGES, TRAIN_LABELS, write_plain);
    dataset *set = load_train();
    check_good(set);
    assert_string_equal(dataset_parts(set)->name, "mnist");
    assert_string_equal(dataset_parts(set)->part, "train");
    assert_int_equal(dataset_digest(set, plain, NULL), PLN_OK);
    parts_digest(dataset_parts(set), computed);
    assert_string_equal(plain, computed);
    dataset_free(set);
    unlink(at(h, TRAIN_IMAGES));
    unlink(at(h, TRAIN_LABELS));
    write_good(h, TRAIN_IMAGES ".gz", TRAIN_LABELS ".gz", write_gz);
    set = load_train();
    check_good(set);
    assert_int_equal(dataset_digest(set, gz, NULL), PLN_OK);
    assert_string_equal(plain, gz);
    dataset_free(set);
}

static void a_gz_that_a_browser_inflated_is_read(void **state)
{
    const home *h = *state;
    write_good(h, TRAIN_IMAGES ".gz", TRAIN_LABELS ".gz", write_plain);
    dataset *set = load_train();
    check_good(set);
    dataset_free(set);
}

static void only_the_wanted_part_is_needed(void **state)
{
    const home *h = *state;
    dataset *train = NULL, *test = NULL;
    error e = {0};
    write_good(h, TEST_IMAGES, TEST_LABELS, write_plain);
    assert_int_equal(source_idx("mnist", NULL, NULL, &test, &e), PLN_OK);
    assert_string_equal(dataset_parts(test)->part, "test");
    dataset_free(test);
    test = NULL;
    assert_int_equal(source_idx("mnist", NULL, &train, &test, &e), PLN_E_MISSING);
    assert_says(&e, "train-images-idx3-ubyte");
    assert_says(&e, at(h, "data/mnist"));
    assert_null(train);
    assert_null(test);
    write_good(h, TRAIN_IMAGES, TRAIN_LABELS, write_plain);
    assert_int_equal(source_idx("mnist", at(h, "data/mnist"), &train, &test, &e), PLN_OK);
    dataset_free(train);
    dataset_free(test);
}

static void fashion_has_its_class_names(void **state)
{
    const home *h = *state;
    dataset *set;
    mkdir(at(h, "data/fashion-mnist"), 0700);
    write_good(h, "data/fashion-mnist/train-images-idx3-ubyte", "data/fashion-mnist/train-labels-idx1-ubyte",
               write_plain);
    assert_int_equal(source_idx("fashion-mnist", NULL, &set, NULL, NULL), PLN_OK);
    assert_string_equal(dataset_parts(set)->classes[0], "T-shirt/top");
    assert_string_equal(dataset_parts(set)->classes[9], "Ankle boot");
    dataset_free(set);
}

/* --------------------------------------------------------------------------------------------------- places ---- */

static void a_missing_set_says_where_was_looked_and_what_to_do(void **state)
{
    const home *h = *state;
    dataset *set = NULL;
    error e = {0};
    char where[64];
    assert_int_equal(source_idx("mnist", NULL, &set, NULL, &e), PLN_E_MISSING);
    assert_says(&e, at(h, "data/mnist"));
    assert_says(&e, "./data/mnist");
    assert_says(&e, at(h, "share/perilune/mnist"));
    assert_says(&e, "PERILUNE_DATA");
    assert_says(&e, "train-images-idx3-ubyte.gz");
    assert_says(&e, "lab.data.digits");
    assert_int_equal(source_cifar10(NULL, &set, NULL, &e), PLN_E_MISSING);
    assert_says(&e, "cifar-10-binary.tar.gz");
    assert_int_equal(source_find("mnist", where, sizeof where), 0);
    assert_int_equal(source_idx("emnist", NULL, &set, NULL, &e), PLN_E_INVALID);
    assert_says(&e, "emnist");
    assert_null(set);
}

static void places_are_tried_in_their_order(void **state)
{
    const home *h = *state;
    char where[512];
    mkdir(at(h, "share"), 0700);
    mkdir(at(h, "share/perilune"), 0700);
    mkdir(at(h, "share/perilune/mnist"), 0700);
    write_good(h, "share/perilune/mnist/train-images-idx3-ubyte", "share/perilune/mnist/train-labels-idx1-ubyte",
               write_plain);
    assert_int_equal(source_find("mnist", where, sizeof where), 1); /* an empty folder before it does not count */
    assert_string_equal(where, at(h, "share/perilune/mnist"));
    assert_int_equal(source_find("mnist", where, 5), 0);
    write_good(h, TRAIN_IMAGES, TRAIN_LABELS, write_plain);
    assert_int_equal(source_find("mnist", where, sizeof where), 1);
    assert_string_equal(where, at(h, "data/mnist"));
}

/* ------------------------------------------------------------------------------------------------- bad files ---- */

typedef struct bad_file {
    const char *name; /* the file that is spoilt */
    int at, count;    /* its header's word at byte `at` becomes `value` when at >= 0; count > 0: its size */
    uint32_t value;
    int status;
    const char *says[3];
} bad_file;

static const bad_file bad_files[] = {
    {TRAIN_IMAGES, -1, 1000, 0, PLN_E_FORMAT, {"truncated or its header is wrong", "30 images of 28x28", "1000 bytes"}},
    {TRAIN_IMAGES, -1, 10, 0, PLN_E_FORMAT, {"truncated", "needs 16 bytes", "got 10"}},
    {TRAIN_IMAGES, -1, 3, 0, PLN_E_FORMAT, {"truncated", "needs 16 bytes", "got 3"}},
    {TRAIN_LABELS, -1, 20, 0, PLN_E_FORMAT, {"truncated or its header is wrong", "30 labels", "20 bytes"}},
    {TRAIN_IMAGES, -1, IMAGES + 5, 0, PLN_E_FORMAT, {"after its end", "expected 23536 bytes", "got 23541"}},
    {TRAIN_LABELS, -1, LABELS + 1, 0, PLN_E_FORMAT, {"after its end", "expected 38 bytes", "got 39"}},
    {TRAIN_IMAGES, 0, 0, 0x801, PLN_E_FORMAT, {"holds labels", "but images (0x00000803) are expected", "exchanged"}},
    {TRAIN_LABELS, 0, 0, 0x803, PLN_E_FORMAT, {"holds images", "but labels (0x00000801) are expected", "exchanged"}},
    {TRAIN_IMAGES,
     0,
     0,
     0x89504e47,
     PLN_E_FORMAT,
     {"no IDX file of images", "expected the magic number 0x00000803", "0x89504e47"}},
    {TRAIN_IMAGES, 4, 0, 0x80000000u, PLN_E_FORMAT, {"claims 2147483648 images of 28x28", "23536 bytes", "can hold"}},
    {TRAIN_IMAGES, 8, 0, 0xffffffffu, PLN_E_FORMAT, {"claims 30 images of 4294967295x28", "can hold", ""}},
    {TRAIN_LABELS, 4, 0, 0xffffffffu, PLN_E_FORMAT, {"claims 4294967295 labels", "can hold", ""}},
    {TRAIN_IMAGES, 4, 0, 0, PLN_E_EMPTY, {"holds no images", "", ""}},
    {TRAIN_LABELS, 4, 0, 0, PLN_E_EMPTY, {"holds no labels", "", ""}},
    {TRAIN_IMAGES, 12, 0, 0, PLN_E_FORMAT, {"28x0 pixels, which is impossible", "", ""}},
    {TRAIN_LABELS, 4, LABELS - 1, COUNT - 1, PLN_E_FORMAT, {"30 images", "29 labels", "do not belong together"}},
    {TRAIN_LABELS, 24, 0, 0x010a0203, PLN_E_FORMAT, {"image 17 (counted from 0) is 10", "0 .. 9", ""}},
};

static void spoil(const home *h, const bad_file *b, const char *ending, writer *write)
{
    char name[128];
    uint8_t file[IMAGES + 64] = {0};
    int images = strcmp(b->name, TRAIN_IMAGES) == 0;
    if (images)
        make_images(file);
    else
        make_labels(file);
    if (b->at >= 0)
        put32(file + b->at, b->value);
    snprintf(name, sizeof name, "%s%s", b->name, ending);
    write(at(h, name), file, b->count > 0 ? (size_t)b->count : images ? IMAGES : LABELS);
}

static void a_spoilt_file_is_refused_with_its_name_and_numbers(void **state)
{
    const home *h = *state;
    for (size_t i = 0; i < sizeof bad_files / sizeof *bad_files; i++) {
        const bad_file *b = &bad_files[i];
        dataset *set = NULL;
        error e = {0};
        write_good(h, TRAIN_IMAGES, TRAIN_LABELS, write_plain);
        spoil(h, b, "", write_plain);
        assert_int_equal(source_idx("mnist", NULL, &set, NULL, &e), b->status);
        assert_says(&e, at(h, b->name));
        for (int j = 0; j < 3; j++)
            assert_says(&e, b->says[j]);
        assert_null(set);
    }
    assert_int_equal(count_cached(h, "cache"), 0);
}

static void a_spoilt_gz_file_is_refused_too(void **state)
{
    const home *h = *state;
    for (size_t i = 0; i < sizeof bad_files / sizeof *bad_files; i++) {
        const bad_file *b = &bad_files[i];
        dataset *set = NULL;
        error e = {0};
        char name[128];
        write_good(h, TRAIN_IMAGES ".gz", TRAIN_LABELS ".gz", write_gz);
        spoil(h, b, ".gz", write_gz);
        assert_int_equal(source_idx("mnist", NULL, &set, NULL, &e), b->status);
        snprintf(name, sizeof name, "%s.gz", b->name);
        assert_says(&e, at(h, name));
        assert_null(set);
    }
}

static void a_gz_claim_within_the_format_is_still_checked(void **state)
{
    const home *h = *state;
    dataset *set = NULL;
    error e = {0};
    uint8_t file[IMAGES];
    write_good(h, TRAIN_IMAGES ".gz", TRAIN_LABELS ".gz", write_gz);
    make_images(file);
    write_gz(at(h, TRAIN_IMAGES ".gz"), file, 20000);
    assert_int_equal(source_idx("mnist", NULL, &set, NULL, &e), PLN_E_FORMAT);
    assert_says(&e, "truncated: expected 23536 bytes when inflated, got 20000");
}

static void an_empty_file_is_refused_with_its_name(void **state)
{
    const home *h = *state;
    dataset *set = NULL;
    error e = {0};
    write_good(h, TRAIN_IMAGES, TRAIN_LABELS, write_plain);
    write_plain(at(h, TRAIN_LABELS), "", 0);
    assert_int_equal(source_idx("mnist", NULL, &set, NULL, &e), PLN_E_FORMAT);
    assert_says(&e, at(h, TRAIN_LABELS));
    assert_says(&e, "is empty (0 bytes)");
}

static void damaged_and_cut_gzip_data_are_refused(void **state)
{
    const home *h = *state;
    uint8_t packed[IMAGES];
    dataset *set = NULL;
    error e = {0};
    write_good(h, TRAIN_IMAGES ".gz", TRAIN_LABELS ".gz", write_gz);
    FILE *f = fopen(at(h, TRAIN_IMAGES ".gz"), "rb");
    size_t n = fread(packed, 1, sizeof packed, f);
    fclose(f);
    assert_true(n > 200);
    write_plain(at(h, TRAIN_IMAGES ".gz"), packed, n / 2);
    assert_int_equal(source_idx("mnist", NULL, &set, NULL, &e), PLN_E_FORMAT);
    assert_says(&e, "truncated");
    for (size_t i = n / 2; i < n / 2 + 40; i++)
        packed[i] ^= 0x5a;
    write_plain(at(h, TRAIN_IMAGES ".gz"), packed, n);
    assert_int_equal(source_idx("mnist", NULL, &set, NULL, &e), PLN_E_FORMAT);
    assert_says(&e, at(h, TRAIN_IMAGES ".gz"));
    assert_null(set);
}

static void a_folder_or_pipe_in_place_of_a_file_is_refused(void **state)
{
    const home *h = *state;
    dataset *set = NULL;
    error e = {0};
    write_good(h, TRAIN_IMAGES, TRAIN_LABELS, write_plain);
    unlink(at(h, TRAIN_IMAGES));
    mkdir(at(h, TRAIN_IMAGES), 0700);
    assert_int_equal(source_idx("mnist", NULL, &set, NULL, &e), PLN_E_FORMAT);
    assert_says(&e, "no regular file");
    rmdir(at(h, TRAIN_IMAGES));
    assert_int_equal(mkfifo(at(h, TRAIN_IMAGES), 0600), 0);
    assert_int_equal(source_idx("mnist", NULL, &set, NULL, &e), PLN_E_FORMAT);
    assert_says(&e, "no regular file");
}

/* ----------------------------------------------------------------------------------------------------- cache ---- */

/* The path of the only file in the cache. */
static void cached_path(const home *h, char path[600])
{
    char command[600];
    snprintf(command, sizeof command, "ls '%s'/*.cache", at(h, "cache/perilune"));
    FILE *p = popen(command, "r");
    assert_non_null(fgets(path, 600, p));
    path[strcspn(path, "\n")] = 0;
    pclose(p);
}

static struct stat stat_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st;
}

static int same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void load_and_check(void)
{
    dataset *set = load_train();
    check_good(set);
    dataset_free(set);
}

static void the_cache_is_made_once_and_used_again(void **state)
{
    const home *h = *state;
    char path[600], first[HASH_HEX], second[HASH_HEX], computed[HASH_HEX];
    write_good(h, TRAIN_IMAGES ".gz", TRAIN_LABELS ".gz", write_gz);
    dataset *set = load_train();
    dataset_digest(set, first, NULL);
    dataset_free(set);
    assert_int_equal(count_cached(h, "idx-train-.*\\.cache$"), 1);
    assert_int_equal(count_cached(h, "making"), 0);
    cached_path(h, path);
    struct stat before = stat_of(path);
    set = load_train();
    check_good(set);
    dataset_digest(set, second, NULL);
    parts_digest(dataset_parts(set), computed);
    dataset_free(set);
    struct stat after = stat_of(path);
    assert_true(same_file(&before, &after));
    assert_string_equal(first, second);
    assert_string_equal(first, computed);
}

static void a_changed_source_makes_the_cache_anew(void **state)
{
    const home *h = *state;
    uint8_t label[LABELS];
    write_good(h, TRAIN_IMAGES, TRAIN_LABELS, write_plain);
    load_and_check();
    make_labels(label);
    label[8] = 7;
    usleep(20000); /* a file's time may have the grain of the kernel's tick */
    write_plain(at(h, TRAIN_LABELS), label, LABELS);
    dataset *set = load_train();
    assert_int_equal(((const int32_t *)dataset_parts(set)->target.bytes)[0], 7);
    dataset_free(set);
    assert_int_equal(count_cached(h, "cache"), 1);
}

static void a_damaged_cache_is_made_anew(void **state)
{
    const home *h = *state;
    char path[600];
    write_good(h, TRAIN_IMAGES, TRAIN_LABELS, write_plain);
    load_and_check();
    cached_path(h, path);
    struct stat good = stat_of(path);
    /* every 16th byte of the head, each flipped; then sizes; then no file at all */
    for (int i = 0; i < 240; i += 16) {
        uint8_t byte;
        int fd = open(path, O_RDWR);
        assert_int_equal(pread(fd, &byte, 1, i), 1);
        byte ^= 0x10;
        assert_int_equal(pwrite(fd, &byte, 1, i), 1);
        close(fd);
        struct stat bad = stat_of(path);
        load_and_check();
        struct stat after = stat_of(path);
        assert_false(same_file(&bad, &after));
        assert_int_equal(after.st_size, good.st_size);
    }
    static const int64_t sizes[] = {0, 10, 4096, 20000, 1 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_int_equal(truncate(path, sizes[i]), 0);
        load_and_check();
        struct stat after = stat_of(path);
        assert_int_equal(after.st_size, good.st_size);
    }
    /* a label in the contents that no class has: never handed on */
    int fd = open(path, O_RDWR);
    const int32_t wild = 1 << 30;
    assert_int_equal(pwrite(fd, &wild, 4, good.st_size - 4), 4);
    close(fd);
    load_and_check();
    assert_int_equal(count_cached(h, "cache"), 1);
}

static void a_cache_of_one_set_is_not_taken_for_another(void **state)
{
    const home *h = *state;
    char path[600];
    write_good(h, TRAIN_IMAGES, TRAIN_LABELS, write_plain);
    load_and_check();
    cached_path(h, path);
    /* the same path, size and bytes, but another file: inode and time tell */
    assert_int_equal(rename(at(h, TRAIN_IMAGES), at(h, "aside")), 0);
    uint8_t image[IMAGES];
    make_images(image);
    write_plain(at(h, TRAIN_IMAGES), image, IMAGES);
    struct stat before = stat_of(path);
    load_and_check();
    struct stat after = stat_of(path);
    assert_false(same_file(&before, &after));
}

static void without_a_writable_cache_the_set_lives_in_memory(void **state)
{
    const home *h = *state;
    write_good(h, TRAIN_IMAGES, TRAIN_LABELS, write_plain);
    write_plain(at(h, "file"), "x", 1);
    setenv("XDG_CACHE_HOME", at(h, "file"), 1); /* no folder can be made below a file, not even by root */
    load_and_check();
    setenv("XDG_CACHE_HOME", "/proc/nowhere", 1);
    load_and_check();
    setenv("XDG_CACHE_HOME", "relative", 1);
    unsetenv("HOME");
    load_and_check();
    unsetenv("XDG_CACHE_HOME");
    load_and_check();
    assert_int_equal(access("relative", F_OK), -1);
    setenv("HOME", h->path, 1);
    load_and_check();
    setenv("XDG_CACHE_HOME", at(h, ".cache"), 1);
    assert_int_equal(access(at(h, ".cache/perilune"), F_OK), 0);
}

static void a_cache_that_cannot_be_written_whole_leaves_nothing_behind(void **state)
{
    const home *h = *state;
    write_good(h, TRAIN_IMAGES, TRAIN_LABELS, write_plain);
    pid_t child = fork();
    if (child == 0) { /* every file ends at 8,192 bytes, as on a full disk */
        const struct rlimit limit = {8192, 8192};
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        dataset *set = NULL;
        int status = source_idx("mnist", NULL, &set, NULL, NULL);
        _exit(status ? 1 : memcmp((const uint8_t *)dataset_parts(set)->inputs[0].bytes, "\0\1\2\3", 4) != 0);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(count_cached(h, "idx"), 0);
    load_and_check();
    assert_int_equal(count_cached(h, "idx.*cache$"), 1);
}

static void who_finds_the_cache_being_made_does_without(void **state)
{
    const home *h = *state;
    char path[600], making[620];
    write_good(h, TRAIN_IMAGES, TRAIN_LABELS, write_plain);
    load_and_check();
    cached_path(h, path);
    unlink(path);
    snprintf(making, sizeof making, "%s.making", path);
    int fd = open(making, O_RDWR | O_CREAT, 0600);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    load_and_check();
    assert_int_equal(access(path, F_OK), -1);
    close(fd); /* as if its maker had been killed: the next one takes over */
    load_and_check();
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(access(making, F_OK), -1);
}

static void many_processes_may_make_it_at_once(void **state)
{
    const home *h = *state;
    pid_t child[8];
    write_good(h, TRAIN_IMAGES ".gz", TRAIN_LABELS ".gz", write_gz);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 8; i++) {
            child[i] = fork();
            if (child[i] == 0) {
                dataset *set = NULL;
                char known[HASH_HEX], computed[HASH_HEX];
                int wrong = source_idx("mnist", NULL, &set, NULL, NULL) != PLN_OK;
                if (!wrong) {
                    dataset_digest(set, known, NULL);
                    parts_digest(dataset_parts(set), computed);
                    wrong = strcmp(known, computed) != 0;
                }
                _exit(wrong);
            }
        }
        for (int i = 0; i < 8; i++) {
            int status = -1;
            assert_int_equal(waitpid(child[i], &status, 0), child[i]);
            assert_int_equal(status, 0);
        }
        assert_int_equal(count_cached(h, "cache$"), 1);
        char path[600];
        cached_path(h, path);
        unlink(path);
    }
}

/* ------------------------------------------------------------------------------------------------- real files ---- */

/* Points PERILUNE_DATA at the user's data again; is the set there? */
static int use_real(const home *h, const char *name)
{
    char where[4096];
    if (h->data)
        setenv("PERILUNE_DATA", h->data, 1);
    return h->data && source_find(name, where, sizeof where);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void check_histogram(const dataset *set, const int64_t want[10])
{
    int64_t got[10] = {0};
    const int32_t *label = dataset_parts(set)->target.bytes;
    for (int64_t i = 0; i < set->count; i++)
        got[label[i]]++;
    for (int i = 0; i < 10; i++)
        assert_int_equal(got[i], want[i]);
}

static void real_mnist_has_its_counts_labels_and_digest(void **state)
{
    const home *h = *state;
    dataset *train, *test;
    error e = {0};
    char known[HASH_HEX], computed[HASH_HEX];
    if (!use_real(h, "mnist"))
        return; /* the files are not here */
    double begin = now();
    assert_int_equal(source_idx("mnist", NULL, &train, &test, &e), PLN_OK);
    print_message("# MNIST without a cache: %.0f ms\n", 1e3 * (now() - begin));
    assert_int_equal(train->count, 60000);
    assert_int_equal(test->count, 10000);
    check_histogram(train, (const int64_t[10]){5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949});
    check_histogram(test, (const int64_t[10]){980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009});
    assert_int_equal(dataset_digest(train, known, NULL), PLN_OK);
    assert_string_equal(known, "4bc0351dfe8118658d7f464e685312a58a16488021ee17e2d0a9ea48bad5a92e");
    dataset_free(train);
    dataset_free(test);

    begin = now();
    assert_int_equal(source_idx("mnist", NULL, &train, &test, &e), PLN_OK);
    print_message("# MNIST from the cache: %.3f ms for both parts\n", 1e3 * (now() - begin));
    parts_digest(dataset_parts(train), computed);
    assert_string_equal(known, computed);
    dataset_free(train);
    dataset_free(test);
    assert_int_equal(count_cached(h, "cache$"), 2);
}

static void real_fashion_mnist_is_read(void **state)
{
    dataset *train, *test;
    error e = {0};
    if (!use_real(*state, "fashion-mnist"))
        return; /* the files are not here */
    assert_int_equal(source_idx("fashion-mnist", NULL, &train, &test, &e), PLN_OK);
    check_histogram(train, (const int64_t[10]){6000, 6000, 6000, 6000, 6000, 6000, 6000, 6000, 6000, 6000});
    assert_int_equal(test->count, 10000);
    dataset_free(train);
    dataset_free(test);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, home_open, home_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(plain_and_gzipped_files_are_the_same_set),
        TEST(a_gz_that_a_browser_inflated_is_read),
        TEST(only_the_wanted_part_is_needed),
        TEST(fashion_has_its_class_names),
        TEST(a_missing_set_says_where_was_looked_and_what_to_do),
        TEST(places_are_tried_in_their_order),
        TEST(a_spoilt_file_is_refused_with_its_name_and_numbers),
        TEST(a_spoilt_gz_file_is_refused_too),
        TEST(a_gz_claim_within_the_format_is_still_checked),
        TEST(an_empty_file_is_refused_with_its_name),
        TEST(damaged_and_cut_gzip_data_are_refused),
        TEST(a_folder_or_pipe_in_place_of_a_file_is_refused),
        TEST(the_cache_is_made_once_and_used_again),
        TEST(a_changed_source_makes_the_cache_anew),
        TEST(a_damaged_cache_is_made_anew),
        TEST(a_cache_of_one_set_is_not_taken_for_another),
        TEST(without_a_writable_cache_the_set_lives_in_memory),
        TEST(a_cache_that_cannot_be_written_whole_leaves_nothing_behind),
        TEST(who_finds_the_cache_being_made_does_without),
        TEST(many_processes_may_make_it_at_once),
        TEST(real_mnist_has_its_counts_labels_and_digest),
        TEST(real_fashion_mnist_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

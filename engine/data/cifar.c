/* CIFAR-10, binary version (Krizhevsky).
 *
 * A batch is a run of records of 3,073 bytes: the label (0 .. 9), then 1,024 red, 1,024 green and 1,024 blue bytes of a
 * picture of 32x32, row by row.  The engine's pictures are channels last, so the planes are woven together once, here,
 * and the cache keeps the result.  The training part is whatever is there of data_batch_1.bin .. data_batch_5.bin, in
 * that order, the test part test_batch.bin; plain or .gz.
 */
#include <string.h>

#include "data/cache.h"
#include "data/loaders.h"

#define SIDE    32
#define PLANE   (SIDE * SIDE)
#define RECORD  (1 + 3 * PLANE)
#define BATCHES 5

static const char *const train_files[] = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                          "data_batch_4.bin", "data_batch_5.bin", NULL};
static const char *const test_files[] = {"test_batch.bin", NULL};

typedef struct batch {
    reader file;
    int64_t records;
} batch;

/* Opens a batch and finds out how many records it should have. */
static int batch_open(batch *b, const char *path, error *e)
{
    int64_t bytes = 0;
    int status = reader_open(&b->file, path, e);
    if (!status)
        status = reader_claim(&b->file, &bytes, e);
    if (status)
        return status;
    if (bytes == 0 || bytes % RECORD != 0)
        return error_set(
            e, PLN_E_FORMAT,
            "%s is no whole batch of CIFAR-10 (binary version): expected a multiple of %d bytes%s, got %lld; get the "
            "file again",
            path, RECORD, reader_gzipped(&b->file) ? " when inflated" : "", (long long)bytes);
    if (!reader_can_hold(&b->file, bytes))
        return error_set(e, PLN_E_FORMAT,
                         "%s is damaged: it claims to hold %lld bytes, more than a file of %lld bytes can", path,
                         (long long)bytes, (long long)b->file.identity.size);
    b->records = bytes / RECORD;
    return PLN_E_OK;
}

/* Reads the batch's records into samples first .. first+records-1 of the block. */
static int batch_read(batch *b, const picture_set *of, pictures *p, int64_t first, error *e)
{
    uint8_t record[RECORD], extra;
    size_t got = 0;
    for (int64_t i = 0; i < b->records; i++) {
        int status = reader_read(&b->file, record, RECORD, &got, e);
        if (status)
            return status;
        if (got < RECORD)
            return error_set(e, PLN_E_FORMAT, "%s is truncated: expected %lld bytes%s, got %lld; get the file again",
                             b->file.path, (long long)(b->records * RECORD),
                             reader_gzipped(&b->file) ? " when inflated" : "",
                             (long long)(i * RECORD) + (long long)got);
        if (record[0] >= of->nclasses)
            return error_set(e, PLN_E_FORMAT,
                             "%s: the label of picture %lld (counted from 0) is %d; labels are 0 .. %lld", b->file.path,
                             (long long)i, record[0], (long long)of->nclasses - 1);
        p->labels[first + i] = record[0];
        uint8_t *out = p->images + (first + i) * 3 * PLANE;
        const uint8_t *red = record + 1, *green = red + PLANE, *blue = green + PLANE;
        for (int j = 0; j < PLANE; j++) {
            out[3 * j] = red[j];
            out[3 * j + 1] = green[j];
            out[3 * j + 2] = blue[j];
        }
    }
    int status = reader_read(&b->file, &extra, 1, &got, e);
    if (!status && got > 0)
        status = error_set(e, PLN_E_FORMAT, "%s has bytes after its end: expected %lld bytes%s", b->file.path,
                           (long long)(b->records * RECORD), reader_gzipped(&b->file) ? " when inflated" : "");
    return status;
}

static int part_read(const picture_set *of, cache_key *key, pictures *p, error *e)
{
    batch batches[BATCHES] = {0};
    int64_t count = 0, first = 0;
    int status = PLN_E_OK;
    for (int i = 0; !status && i < key->nsources; i++) {
        status = batch_open(&batches[i], key->sources[i], e);
        count += batches[i].records;
        key->identity[i] = batches[i].file.identity;
    }
    if (!status) {
        *p = (pictures){.count = count, .height = SIDE, .width = SIDE, .channels = 3};
        status = pictures_alloc(p, e);
    }
    for (int i = 0; !status && i < key->nsources; i++) {
        status = batch_read(&batches[i], of, p, first, e);
        first += batches[i].records;
    }
    for (int i = 0; i < key->nsources; i++)
        reader_close(&batches[i].file);
    if (status)
        pictures_free(p);
    else
        pictures_digest(p);
    return status;
}

int cifar_load(const picture_set *of, const char *folder, const char *part, dataset **set, error *e)
{
    const char *const *files = strcmp(part, "test") == 0 ? test_files : train_files;
    char path[FILE_PATH];
    pictures p = {0};
    cache_key key = {.kind = "cifar10", .part = part};
    for (int i = 0; files[i]; i++)
        if (file_find(folder, files[i], path) && !cache_key_add(&key, path))
            return error_set(e, PLN_E_IO, "cannot read %s: it is no regular file", path);
    if (key.nsources == 0)
        return error_set(e, PLN_E_MISSING, "%s: the %s part needs the file %s (or %s.gz) in %s, which is not there",
                         of->name, part, files[0], files[0], folder);
    int64_t bad = 0;
    int found = cache_find(&key, &p);
    if (found && !pictures_labels_fit(&p, of->nclasses, &bad)) {
        pictures_free(&p);
        found = 0;
    }
    if (!found) {
        int status = part_read(of, &key, &p, e);
        if (status)
            return status;
        cache_keep(&key, &p);
    }
    return pictures_dataset(&p, of, part, set, e);
}

int cifar_present(const char *folder)
{
    char path[FILE_PATH];
    for (int i = 0; train_files[i]; i++)
        if (file_find(folder, train_files[i], path))
            return 1;
    return file_find(folder, test_files[0], path);
}

/* IDX: the format of MNIST and Fashion-MNIST (LeCun, Cortes, Burges).
 *
 * All numbers are big-endian, 32 bits:
 *   images  magic 0x00000803, count, height, width, then count*height*width bytes, 0 white to 255 black
 *   labels  magic 0x00000801, count, then count bytes
 * The third byte of the magic number is the element type (8: bytes), the fourth the number of dimensions.
 *
 * A part of a set is two files, train-images-idx3-ubyte and train-labels-idx1-ubyte (t10k-… for the test part),
 * plain or .gz.  Nothing that a header claims is believed before it was compared with the file's size.
 */
#include <stdio.h>
#include <string.h>

#include "data/cache.h"
#include "data/loaders.h"

#define IDX_IMAGES 0x00000803u
#define IDX_LABELS 0x00000801u

/* Bytes after the end that are counted for the message. */
#define REST_LIMIT (1 << 20)

typedef struct idx_part {
    const char *part, *images, *labels;
} idx_part;

static const idx_part idx_parts[] = {
    {"train", "train-images-idx3-ubyte", "train-labels-idx1-ubyte"},
    {"test", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"},
};

static uint32_t big_endian(const uint8_t b[4])
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static int magic_refuse(const char *path, uint32_t magic, uint32_t want, error *e)
{
    const char *wanted = want == IDX_IMAGES ? "images" : "labels";
    if (magic == IDX_IMAGES || magic == IDX_LABELS)
        return error_set(e, PLN_E_FORMAT,
                         "%s holds %s (magic number 0x%08x), but %s (0x%08x) are expected; were two files exchanged?",
                         path, magic == IDX_IMAGES ? "images" : "labels", magic, wanted, want);
    return error_set(e, PLN_E_FORMAT, "%s is no IDX file of %s: expected the magic number 0x%08x, got 0x%08x", path,
                     wanted, want, magic);
}

/* Reads and checks a header of images (dims = 3) or labels (dims = 1) into shape[dims]; *bytes is what must follow. */
static int header_read(reader *r, int dims, int64_t *shape, int64_t *bytes, error *e)
{
    uint8_t head[16];
    size_t want = 4 + 4 * (size_t)dims, got = 0;
    uint32_t magic = dims == 3 ? IDX_IMAGES : IDX_LABELS;
    int status = reader_read(r, head, want, &got, e);
    if (status)
        return status;
    if (got >= 4 && big_endian(head) != magic)
        return magic_refuse(r->path, big_endian(head), magic, e);
    if (got < want)
        return error_set(e, PLN_E_FORMAT, "%s is truncated: its header needs %zu bytes, got %zu; get the file again",
                         r->path, want, got);
    int64_t total = 1;
    int fits = 1;
    for (int i = 0; i < dims; i++) {
        shape[i] = big_endian(head + 4 + 4 * i);
        fits = fits && !__builtin_mul_overflow(total, shape[i], &total);
    }
    if (shape[0] == 0)
        return error_set(e, PLN_E_EMPTY, "%s holds no %s: its header says 0", r->path, dims == 3 ? "images" : "labels");
    if (dims == 3 && (shape[1] == 0 || shape[2] == 0))
        return error_set(e, PLN_E_FORMAT, "%s holds images of %lldx%lld pixels, which is impossible", r->path,
                         (long long)shape[1], (long long)shape[2]);
    if (!fits || !reader_can_hold(r, total)) {
        const char *claim = dims == 3 ? "images" : "labels";
        char size[64] = "";
        if (dims == 3)
            snprintf(size, sizeof size, " of %lldx%lld pixels", (long long)shape[1], (long long)shape[2]);
        return error_set(
            e, PLN_E_FORMAT,
            "%s is truncated or its header is wrong: it claims %lld %s%s, more than a file of %lld bytes can hold",
            r->path, (long long)shape[0], claim, size, (long long)r->identity.size);
    }
    *bytes = total;
    return PLN_E_OK;
}

/* Reads exactly `bytes` bytes and makes sure that nothing follows. */
static int body_read(reader *r, int64_t header, int64_t bytes, uint8_t *out, error *e)
{
    size_t got = 0;
    int64_t rest = 0;
    int status = reader_read(r, out, (size_t)bytes, &got, e);
    if (!status && (int64_t)got < bytes)
        status = error_set(e, PLN_E_FORMAT, "%s is truncated: expected %lld bytes%s, got %lld; get the file again",
                           r->path, (long long)(header + bytes), reader_gzipped(r) ? " when inflated" : "",
                           (long long)header + (long long)got);
    if (!status)
        status = reader_rest(r, REST_LIMIT, &rest, e);
    if (!status && rest > 0)
        status = error_set(e, PLN_E_FORMAT, "%s has bytes after its end: expected %lld bytes%s, got %s%lld", r->path,
                           (long long)(header + bytes), reader_gzipped(r) ? " when inflated" : "",
                           rest < REST_LIMIT ? "" : "at least ", (long long)(header + bytes + rest));
    return status;
}

/* Labels are bytes in the file and int32 in memory: they are read into the tail of their own array and widened from its
 * beginning on, which never overtakes what is still to be read. */
static int labels_read(reader *r, pictures *p, int64_t nclasses, error *e)
{
    uint8_t *tail = (uint8_t *)(p->labels + p->count) - p->count;
    int status = body_read(r, 8, p->count, tail, e);
    if (status)
        return status;
    for (int64_t i = 0; i < p->count; i++) {
        uint8_t label = tail[i];
        p->labels[i] = label;
    }
    int64_t bad = 0;
    if (!pictures_labels_fit(p, nclasses, &bad))
        return error_set(e, PLN_E_FORMAT, "%s: the label of image %lld (counted from 0) is %d; labels are 0 .. %lld",
                         r->path, (long long)bad, p->labels[bad], (long long)nclasses - 1);
    return PLN_E_OK;
}

/* Reads both files of a part. */
static int part_read(const picture_set *of, cache_key *key, const char *images, const char *labels, pictures *p,
                     error *e)
{
    reader image = {0}, label = {0};
    int64_t shape[3], bytes = 0, count = 0, label_bytes = 0;
    int status = reader_open(&image, images, e);
    if (!status)
        status = reader_open(&label, labels, e);
    if (!status)
        status = header_read(&image, 3, shape, &bytes, e);
    if (!status)
        status = header_read(&label, 1, &count, &label_bytes, e);
    if (!status && count != shape[0])
        status =
            error_set(e, PLN_E_FORMAT, "%s holds %lld images, but %s holds %lld labels; they do not belong together",
                      images, (long long)shape[0], labels, (long long)count);
    if (status)
        goto fail;
    *p = (pictures){.count = shape[0], .height = shape[1], .width = shape[2], .channels = 1};
    status = pictures_alloc(p, e);
    if (!status)
        status = body_read(&image, 16, bytes, p->images, e);
    if (!status)
        status = labels_read(&label, p, of->nclasses, e);
    if (status)
        goto fail;
    key->identity[0] = image.identity;
    key->identity[1] = label.identity;
    pictures_digest(p);
fail:
    reader_close(&image);
    reader_close(&label);
    if (status)
        pictures_free(p);
    return status;
}

int idx_load(const picture_set *of, const char *folder, const char *part, dataset **set, error *e)
{
    const idx_part *files = &idx_parts[strcmp(part, "test") == 0];
    char images[FILE_PATH], labels[FILE_PATH];
    const char *missing = !file_find(folder, files->images, images)   ? files->images
                          : !file_find(folder, files->labels, labels) ? files->labels
                                                                      : NULL;
    if (missing)
        return error_set(e, PLN_E_MISSING, "%s: the %s part needs the file %s (or %s.gz) in %s, which is not there",
                         of->name, part, missing, missing, folder);
    pictures p = {0};
    cache_key key = {.kind = "idx", .part = part};
    int cacheable = cache_key_add(&key, images) && cache_key_add(&key, labels);
    int64_t bad = 0;
    int found = cacheable && cache_find(&key, &p);
    if (found && !pictures_labels_fit(&p, of->nclasses, &bad)) {
        pictures_free(&p);
        found = 0;
    }
    if (!found) {
        int status = part_read(of, &key, images, labels, &p, e);
        if (status)
            return status;
        if (cacheable)
            cache_keep(&key, &p);
    }
    return pictures_dataset(&p, of, part, set, e);
}

int idx_present(const char *folder)
{
    char path[FILE_PATH];
    for (int i = 0; i < 2; i++)
        if (file_find(folder, idx_parts[i].images, path) || file_find(folder, idx_parts[i].labels, path))
            return 1;
    return 0;
}

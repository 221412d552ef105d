/* The safetensors format: 8 bytes little-endian length, a JSON header, the data.  The header of a file from anywhere is
 * checked in full before a byte of data is used: lengths, types, shapes against sizes, offsets without holes or overlaps. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "net/weights.h"

#define HEADER_MOST (100u << 20)

typedef struct element {
    const char *name;
    uint32_t dtype;
    int64_t bytes;
} element;

static const element ELEMENTS[] = {
    {"F32", PLN_F32, 4}, {"BF16", PLN_BF16, 2}, {"F16", PLN_F16, 2},
    {"I32", PLN_I32, 4}, {"I64", PLN_I64, 8},   {"U8", PLN_U8, 1},
};

struct weights_file {
    char *map;
    size_t size;
    json_t *header;
    weights_tensor *tensors;
    int n;
};

static const element *element_named(const char *name)
{
    for (size_t i = 0; name && i < sizeof ELEMENTS / sizeof *ELEMENTS; i++)
        if (strcmp(ELEMENTS[i].name, name) == 0)
            return &ELEMENTS[i];
    return NULL;
}

static const element *element_of(uint32_t dtype)
{
    for (size_t i = 0; i < sizeof ELEMENTS / sizeof *ELEMENTS; i++)
        if (ELEMENTS[i].dtype == dtype)
            return &ELEMENTS[i];
    return NULL;
}

/* ---- reading ---- */

static int map_file(weights_file *f, const char *path, error *e)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC), status = PLN_OK;
    if (fd < 0)
        return error_system(e, errno, "cannot open the weights file %s", path);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        status = error_set(e, PLN_E_FORMAT, "%s is no regular file", path);
    else if (st.st_size < 8)
        status = error_set(e, PLN_E_FORMAT, "%s is no safetensors file: it has %lld bytes, at least 8 are needed", path,
                           (long long)st.st_size);
    if (status == PLN_OK) {
        f->size = (size_t)st.st_size;
        f->map = mmap(NULL, f->size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (f->map == MAP_FAILED) {
            f->map = NULL;
            status = error_system(e, errno, "cannot map the weights file %s", path);
        }
    }
    close(fd);
    return status;
}

static int read_shape(const json_t *shape, weights_tensor *t)
{
    t->rank = (int)json_array_size(shape);
    t->count = 1;
    if (!json_is_array(shape) || t->rank > PLN_RANK)
        return 0;
    for (int i = 0; i < t->rank; i++) {
        const json_t *n = json_array_get(shape, (size_t)i);
        if (!json_is_integer(n) || json_integer_value(n) < 0)
            return 0;
        t->shape[i] = json_integer_value(n);
        if (__builtin_mul_overflow(t->count, t->shape[i], &t->count))
            return 0;
    }
    return 1;
}

/* One tensor's entry: type, shape, and offsets that agree with them and lie in the file. */
static int read_tensor(weights_file *f, const char *path, const char *name, const json_t *j, int64_t data, error *e)
{
    weights_tensor *t = &f->tensors[f->n];
    const json_t *offsets = json_object_get(j, "data_offsets");
    const element *kind = element_named(json_string_value(json_object_get(j, "dtype")));
    int64_t room = (int64_t)f->size - data, bytes;
    t->name = name;
    if (!kind)
        return error_set(
            e, PLN_E_FORMAT, "%s: tensor '%.80s' has the dtype '%.20s', which this program does not read", path, name,
            json_is_string(json_object_get(j, "dtype")) ? json_string_value(json_object_get(j, "dtype")) : "(none)");
    t->dtype = kind->dtype;
    if (!read_shape(json_object_get(j, "shape"), t) || __builtin_mul_overflow(t->count, kind->bytes, &bytes))
        return error_set(e, PLN_E_FORMAT,
                         "%s: tensor '%.80s' has no proper shape (at most %d dimensions, none negative)", path, name,
                         PLN_RANK);
    int64_t begin = json_integer_value(json_array_get(offsets, 0)),
            end = json_integer_value(json_array_get(offsets, 1));
    if (json_array_size(offsets) != 2 || !json_is_integer(json_array_get(offsets, 0)) ||
        !json_is_integer(json_array_get(offsets, 1)) || begin < 0 || end < begin || end > room)
        return error_set(e, PLN_E_FORMAT,
                         "%s: tensor '%.80s' has data offsets outside the file (%lld to %lld of %lld bytes)", path,
                         name, (long long)begin, (long long)end, (long long)room);
    if (end - begin != bytes)
        return error_set(e, PLN_E_FORMAT, "%s: tensor '%.80s' needs %lld bytes by its shape, its offsets give %lld",
                         path, name, (long long)bytes, (long long)(end - begin));
    t->data = f->map + data + begin;
    f->n++;
    return PLN_OK;
}

static int by_place(const void *a, const void *b)
{
    const weights_tensor *const *x = a, *const *y = b;
    const char *p = (*x)->data, *q = (*y)->data;
    if (p != q)
        return p < q ? -1 : 1;
    return (*x)->count < (*y)->count ? -1 : (*x)->count > (*y)->count; /* an empty one comes first */
}

/* The data must be covered without holes and overlaps. */
static int check_cover(const weights_file *f, const char *path, const char *data, error *e)
{
    const weights_tensor **order = calloc((size_t)f->n + 1, sizeof *order);
    if (!order)
        return error_memory(e);
    for (int i = 0; i < f->n; i++)
        order[i] = &f->tensors[i];
    qsort(order, (size_t)f->n, sizeof *order, by_place);
    const char *at = data, *wrong = NULL;
    for (int i = 0; i < f->n && !wrong; i++) {
        if ((const char *)order[i]->data != at)
            wrong = order[i]->name;
        at = (const char *)order[i]->data + order[i]->count * element_of(order[i]->dtype)->bytes;
    }
    free(order);
    if (wrong)
        return error_set(e, PLN_E_FORMAT, "%s: tensor '%.80s' overlaps another one or leaves a hole", path, wrong);
    if (at != f->map + f->size)
        return error_set(e, PLN_E_FORMAT, "%s: %lld bytes at the end belong to no tensor", path,
                         (long long)(f->map + f->size - at));
    return PLN_OK;
}

static int read_header(weights_file *f, const char *path, error *e)
{
    uint64_t length = 0;
    const char *name;
    json_error_t why;
    json_t *one;
    for (int i = 7; i >= 0; i--)
        length = length << 8 | (unsigned char)f->map[i];
    if (length > HEADER_MOST || length > f->size - 8)
        return error_set(e, PLN_E_FORMAT,
                         "%s is no safetensors file, or it is cut off: its header claims %llu bytes, the file "
                         "has %zu",
                         path, (unsigned long long)length, f->size);
    f->header = json_loadb(f->map + 8, (size_t)length, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(f->header))
        return error_set(e, PLN_E_FORMAT, "%s: its header is no JSON object (%s)", path,
                         f->header ? "another value" : why.text);
    f->tensors = calloc(json_object_size(f->header) + 1, sizeof *f->tensors);
    if (!f->tensors)
        return error_memory(e);
    json_object_foreach(f->header, name, one)
    {
        if (strcmp(name, "__metadata__") == 0)
            continue;
        int status = read_tensor(f, path, name, one, 8 + (int64_t)length, e);
        if (status != PLN_OK)
            return status;
    }
    return check_cover(f, path, f->map + 8 + length, e);
}

int weights_open(const char *path, weights_file **out, error *e)
{
    weights_file *f = calloc(1, sizeof *f);
    int status = f ? map_file(f, path, e) : error_memory(e);
    if (status == PLN_OK)
        status = read_header(f, path, e);
    if (status != PLN_OK) {
        weights_close(f);
        return status;
    }
    *out = f;
    return PLN_OK;
}

void weights_close(weights_file *f)
{
    if (!f)
        return;
    if (f->map)
        munmap(f->map, f->size);
    json_decref(f->header);
    free(f->tensors);
    free(f);
}

const weights_tensor *weights_find(const weights_file *f, const char *name)
{
    for (int i = 0; i < f->n; i++)
        if (strcmp(f->tensors[i].name, name) == 0)
            return &f->tensors[i];
    return NULL;
}

int weights_count(const weights_file *f)
{
    return f->n;
}

const char *weights_metadata(const weights_file *f, const char *key)
{
    return json_string_value(json_object_get(json_object_get(f->header, "__metadata__"), key));
}

/* ---- writing ---- */

static json_t *make_header(const weights_tensor *tensors, int n, const json_t *metadata)
{
    json_t *header = json_object();
    int64_t at = 0;
    int failed = metadata && json_object_set(header, "__metadata__", (json_t *)(uintptr_t)metadata) != 0;
    for (int i = 0; i < n && !failed; i++) {
        const element *kind = element_of(tensors[i].dtype);
        json_t *shape = json_array();
        int64_t bytes = tensors[i].count * kind->bytes;
        for (int k = 0; k < tensors[i].rank; k++)
            failed |= json_array_append_new(shape, json_integer(tensors[i].shape[k])) != 0;
        failed |= json_object_set_new(header, tensors[i].name,
                                      json_pack("{s:s, s:o, s:[I, I]}", "dtype", kind->name, "shape", shape,
                                                "data_offsets", (json_int_t)at, (json_int_t)(at + bytes))) != 0;
        at += bytes;
    }
    if (!failed)
        return header;
    json_decref(header);
    return NULL;
}

static int write_all(int fd, const void *bytes, size_t n)
{
    const char *at = bytes;
    while (n > 0) {
        ssize_t done = write(fd, at, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return 0;
        at += done;
        n -= (size_t)done;
    }
    return 1;
}

/* The header is padded with spaces so that the data begin at a multiple of 64 and can be used where they are mapped. */
static int write_contents(int fd, const weights_tensor *tensors, int n, const char *header)
{
    size_t length = strlen(header), padded = (length + 8 + 63) / 64 * 64 - 8;
    unsigned char prefix[8];
    char spaces[64];
    memset(spaces, ' ', sizeof spaces);
    for (int i = 0; i < 8; i++)
        prefix[i] = (unsigned char)(padded >> 8 * i);
    if (!write_all(fd, prefix, 8) || !write_all(fd, header, length) || !write_all(fd, spaces, padded - length))
        return 0;
    for (int i = 0; i < n; i++)
        if (!write_all(fd, tensors[i].data, (size_t)(tensors[i].count * element_of(tensors[i].dtype)->bytes)))
            return 0;
    return fsync(fd) == 0;
}

int weights_write(const char *path, const weights_tensor *tensors, int n, const json_t *metadata, error *e)
{
    json_t *object = make_header(tensors, n, metadata);
    char *header = object ? json_dumps(object, JSON_COMPACT) : NULL;
    text temporary = {0};
    text_format(&temporary, "%s.%ld.tmp", path, (long)getpid());
    int status = PLN_OK, fd = -1;
    if (!header || temporary.failed) {
        status = error_memory(e);
    } else if ((fd = open(temporary.bytes, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) < 0) {
        status = error_system(e, errno, "cannot write %s", path);
    } else {
        if (!write_contents(fd, tensors, n, header))
            status = error_system(e, errno, "cannot write %s", path);
        if (close(fd) != 0 && status == PLN_OK)
            status = error_system(e, errno, "cannot write %s", path);
        if (status == PLN_OK && rename(temporary.bytes, path) != 0)
            status = error_system(e, errno, "cannot write %s", path);
        if (status != PLN_OK)
            unlink(temporary.bytes);
    }
    json_decref(object);
    free(header);
    text_free(&temporary);
    return status;
}

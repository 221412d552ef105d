/* IDX files out: drawn digits in the format in which MNIST is published (see data/idx.c for the format). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/data.h"

#define PATH 4096

static void put_big_endian(uint8_t out[4], int64_t value)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* Opens PATH.part for writing. */
static FILE *begin_file(const char *path, char part[PATH + 8], error *e)
{
    snprintf(part, PATH + 8, "%s.part", path);
    FILE *f = fopen(part, "wbe");
    if (!f)
        error_system(e, errno, "cannot write %s", path);
    return f;
}

/* Closes it and gives it its name; or removes it when something could not be written. */
static int end_file(FILE *f, const char *part, const char *path, int ok, error *e)
{
    int number = ok ? 0 : errno;
    if (fclose(f) != 0 && !number)
        number = errno;
    if (!number && rename(part, path) != 0)
        number = errno;
    if (!number)
        return PLN_E_OK;
    unlink(part);
    return error_system(e, number, "cannot write %s", path);
}

static int write_images(const char *path, const dataset *set, error *e)
{
    char part[PATH + 8];
    uint8_t head[16] = {0, 0, 8, 3};
    const column *c = &dataset_parts(set)->inputs[0];
    size_t size = (size_t)column_size(c);
    put_big_endian(head + 4, set->count);
    put_big_endian(head + 8, c->shape[0]);
    put_big_endian(head + 12, c->shape[1]);
    FILE *f = begin_file(path, part, e);
    if (!f)
        return e->status;
    int ok = fwrite(head, sizeof head, 1, f) == 1;
    for (int64_t i = 0; i < set->count && ok; i++)
        ok = fwrite((const uint8_t *)c->bytes + (size_t)dataset_at(set, i) * size, size, 1, f) == 1;
    return end_file(f, part, path, ok, e);
}

static int write_labels(const char *path, const dataset *set, error *e)
{
    char part[PATH + 8];
    uint8_t head[8] = {0, 0, 8, 1};
    const int32_t *labels = dataset_parts(set)->target.bytes;
    put_big_endian(head + 4, set->count);
    FILE *f = begin_file(path, part, e);
    if (!f)
        return e->status;
    int ok = fwrite(head, sizeof head, 1, f) == 1;
    for (int64_t i = 0; i < set->count && ok; i++)
        ok = fputc(labels[dataset_at(set, i)], f) != EOF;
    return end_file(f, part, path, ok, e);
}

int data_write_idx(const char *folder, const char *part, const dataset *set, error *e)
{
    char images[PATH], labels[PATH];
    const column *c = &dataset_parts(set)->inputs[0];
    if (c->dtype != PLN_U8 || c->rank != 3 || c->shape[2] != 1 || !dataset_parts(set)->nclasses)
        return error_set(e, PLN_E_INVALID, "only labelled gray pictures can be written as IDX files");
    if (snprintf(images, PATH, "%s/%s-images-idx3-ubyte", folder, part) >= PATH ||
        snprintf(labels, PATH, "%s/%s-labels-idx1-ubyte", folder, part) >= PATH)
        return error_set(e, PLN_E_INVALID, "the folder's name is too long");
    int status = write_images(images, set, e);
    return status == PLN_E_OK ? write_labels(labels, set, e) : status;
}

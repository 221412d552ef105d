/* Labelled pictures: why they are one block.
 *
 * MNIST, Fashion-MNIST, CIFAR-10 and the drawn digits differ in where their bytes come from and in nothing else.  Each
 * fills a block; what becomes of it (a data set, a file in the cache) is written once, here and in cache.c.
 */
#include "data/pictures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Where the labels begin; 0 when the shape is impossible. */
static size_t labels_offset(int64_t count, int64_t height, int64_t width, int64_t channels)
{
    int64_t bytes = count;
    if (count < 1 || height < 1 || width < 1 || channels < 1 || __builtin_mul_overflow(bytes, height, &bytes) ||
        __builtin_mul_overflow(bytes, width, &bytes) || __builtin_mul_overflow(bytes, channels, &bytes) ||
        __builtin_add_overflow(bytes, PICTURES_HEAD + 63, &bytes))
        return 0;
    return (size_t)bytes & ~(size_t)63;
}

size_t pictures_size(int64_t count, int64_t height, int64_t width, int64_t channels)
{
    size_t labels = labels_offset(count, height, width, channels), size = 0;
    if (!labels || __builtin_add_overflow(labels, (size_t)count * sizeof(int32_t), &size) || size > PTRDIFF_MAX)
        return 0;
    return size;
}

void pictures_place(pictures *p)
{
    p->images = (uint8_t *)p->block + PICTURES_HEAD;
    p->labels = (int32_t *)(void *)((uint8_t *)p->block + labels_offset(p->count, p->height, p->width, p->channels));
}

int pictures_alloc(pictures *p, error *e)
{
    p->size = pictures_size(p->count, p->height, p->width, p->channels);
    if (!p->size)
        return error_set(e, PLN_E_INVALID, "%lld pictures of %lldx%lldx%lld are impossible", (long long)p->count,
                         (long long)p->height, (long long)p->width, (long long)p->channels);
    void *block = mmap(NULL, p->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED)
        return error_set(e, PLN_E_MEMORY, "no memory for %lld pictures of %lldx%lldx%lld (%zu bytes)",
                         (long long)p->count, (long long)p->height, (long long)p->width, (long long)p->channels,
                         p->size);
    p->block = block;
    p->digest[0] = 0;
    pictures_place(p);
    return PLN_E_OK;
}

int pictures_labels_fit(const pictures *p, int64_t nclasses, int64_t *where)
{
    for (int64_t i = 0; i < p->count; i++)
        if (p->labels[i] < 0 || p->labels[i] >= nclasses) {
            *where = i;
            return 0;
        }
    return 1;
}

/* All that a data set of these pictures needs, but for names and ownership. */
static void parts_of(const pictures *p, storage_parts *parts)
{
    *parts = (storage_parts){.count = p->count, .ninputs = 1, .has_target = 1};
    column *image = &parts->inputs[0], *label = &parts->target;
    *image = (column){.name = "image", .dtype = PLN_U8, .rank = 3, .scale = 1.0f / 255.0f, .bytes = p->images};
    image->shape[0] = p->height;
    image->shape[1] = p->width;
    image->shape[2] = p->channels;
    *label = (column){.name = "label", .dtype = PLN_I32, .bytes = p->labels};
}

void pictures_digest(pictures *p)
{
    storage_parts parts;
    parts_of(p, &parts);
    parts_digest(&parts, p->digest);
}

void pictures_free(pictures *p)
{
    if (p->block)
        munmap(p->block, p->size);
    memset(p, 0, sizeof *p);
}

static void release_owner(void *owner)
{
    pictures_free(owner);
    free(owner);
}

int pictures_dataset(pictures *p, const picture_set *of, const char *part, dataset **set, error *e)
{
    pictures *owner = malloc(sizeof *owner);
    if (!owner) {
        pictures_free(p);
        return error_memory(e);
    }
    *owner = *p;
    memset(p, 0, sizeof *p);
    storage_parts parts;
    parts_of(owner, &parts);
    parts.name = of->name;
    parts.part = part;
    parts.classes = of->classes;
    parts.nclasses = of->nclasses;
    parts.digest = owner->digest[0] ? owner->digest : NULL;
    parts.release = release_owner;
    parts.owner = owner;
    return dataset_make(&parts, set, e);
}

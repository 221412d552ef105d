/* Data sets: why views.
 *
 * A validation split, a slice for a quick try and the whole set are the same bytes seen through different windows, so
 * a data set is a counted reference to one immutable storage and says which of its samples it shows: a run of them, or
 * a list.  Splitting 60,000 digits then costs nothing, and a batch is gathered from the storage whatever the view is.
 */
#include "data/dataset.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "kernels/kernels.h"

struct storage {
    storage_parts parts;    /* its strings are the storage's own copies */
    char **classes;         /* [nclasses + 1] or NULL */
    _Atomic(char *) digest; /* NULL until somebody asked for it */
    atomic_long references;
};

static size_t dtype_size(uint32_t dtype)
{
    switch (dtype) {
    case PLN_U8:
        return 1;
    case PLN_F32:
    case PLN_I32:
        return 4;
    default:
        return 0;
    }
}

int64_t column_size(const column *c)
{
    int64_t size = 1;
    for (uint32_t i = 0; i < c->rank; i++)
        size *= c->shape[i];
    return size;
}

/* ------------------------------------------------------------------------------------------------- storage ---- */

static void hash_column(hash *h, const column *c, int64_t count)
{
    hash_integer(h, c->dtype);
    hash_integer(h, c->rank);
    for (uint32_t i = 0; i < c->rank; i++)
        hash_integer(h, c->shape[i]);
    if (c->dtype == PLN_U8) {
        hash_real(h, c->scale);
        hash_real(h, c->shift);
    }
    if (count > 0)
        hash_bytes(h, c->bytes, (size_t)(count * column_size(c)) * dtype_size(c->dtype));
}

void parts_digest(const storage_parts *parts, char hex[HASH_HEX])
{
    hash h;
    hash_begin(&h);
    hash_text(&h, "data set");
    hash_integer(&h, parts->count);
    hash_integer(&h, parts->ninputs);
    hash_integer(&h, parts->has_target);
    for (int i = 0; i < parts->ninputs; i++)
        hash_column(&h, &parts->inputs[i], parts->count);
    if (parts->has_target)
        hash_column(&h, &parts->target, parts->count);
    hash_end(&h, hex);
}

static int column_check(const storage_parts *parts, const column *c, error *e)
{
    const char *set = parts->name ? parts->name : "data set";
    size_t element = dtype_size(c->dtype);
    if (!element)
        return error_set(e, PLN_E_INVALID, "%s: column '%.32s' has element type %u; bytes, float32 and int32 are known",
                         set, c->name, c->dtype);
    if (c->rank > PLN_RANK - 1)
        return error_set(e, PLN_E_INVALID, "%s: column '%.32s' has %u dimensions, at most %d are possible", set,
                         c->name, c->rank, PLN_RANK - 1);
    int64_t total = (int64_t)element;
    for (uint32_t i = 0; i < c->rank; i++)
        if (c->shape[i] < 1 || __builtin_mul_overflow(total, c->shape[i], &total))
            return error_set(e, PLN_E_INVALID, "%s: dimension %u of column '%.32s' is %lld, which is impossible", set,
                             i + 1, c->name, (long long)c->shape[i]);
    if (__builtin_mul_overflow(total, parts->count, &total))
        return error_set(e, PLN_E_INVALID, "%s: %lld samples of column '%.32s' are more than memory can hold", set,
                         (long long)parts->count, c->name);
    if (!c->bytes && parts->count > 0)
        return error_set(e, PLN_E_INVALID, "%s: column '%.32s' has no bytes", set, c->name);
    return PLN_E_OK;
}

static int classes_check(const storage_parts *parts, error *e)
{
    const column *c = &parts->target;
    const char *set = parts->name ? parts->name : "data set";
    if (!parts->has_target || c->dtype != PLN_I32 || c->rank != 0)
        return error_set(e, PLN_E_INVALID, "%s: classes need a target of one class number (int32) a sample", set);
    const int32_t *labels = c->bytes;
    for (int64_t i = 0; i < parts->count; i++)
        if (labels[i] < 0 || labels[i] >= parts->nclasses)
            return error_set(e, PLN_E_INVALID,
                             "%s: the label of sample %lld (counted from 0) is %d; labels are 0 .. %lld", set,
                             (long long)i, labels[i], (long long)parts->nclasses - 1);
    return PLN_E_OK;
}

static int parts_check(const storage_parts *parts, error *e)
{
    if (parts->count < 0 || parts->count > UINT32_MAX)
        return error_set(e, PLN_E_INVALID, "%s: %lld samples; a data set holds 0 .. %lld",
                         parts->name ? parts->name : "data set", (long long)parts->count, (long long)UINT32_MAX);
    if (parts->ninputs < 0 || parts->ninputs > DATASET_INPUTS)
        return error_set(e, PLN_E_INVALID, "%s: %d inputs; a data set holds at most %d",
                         parts->name ? parts->name : "data set", parts->ninputs, DATASET_INPUTS);
    int status = PLN_E_OK;
    for (int i = 0; !status && i < parts->ninputs; i++)
        status = column_check(parts, &parts->inputs[i], e);
    if (!status && parts->has_target)
        status = column_check(parts, &parts->target, e);
    if (!status && parts->nclasses != 0)
        status = classes_check(parts, e);
    return status;
}

static void storage_free(storage *s)
{
    for (char **name = s->classes; name && *name; name++)
        free(*name);
    free(s->classes);
    free((char *)s->parts.name);
    free((char *)s->parts.part);
    free(atomic_load(&s->digest));
    free(s);
}

/* Copies the strings of `from` into the storage, so that nothing of the caller's is kept but the columns. */
static int storage_copy(storage *s, const storage_parts *from)
{
    s->parts = *from;
    s->parts.classes = NULL;
    s->parts.digest = NULL;
    s->parts.name = text_copy(from->name ? from->name : "");
    s->parts.part = text_copy(from->part ? from->part : "");
    if (!s->parts.name || !s->parts.part)
        return PLN_E_MEMORY;
    if (from->digest) {
        char *copy = text_copy(from->digest);
        if (!copy)
            return PLN_E_MEMORY;
        atomic_store(&s->digest, copy);
    }
    if (!from->classes)
        return PLN_E_OK;
    size_t n = 0;
    while (from->classes[n])
        n++;
    s->classes = calloc(n + 1, sizeof *s->classes);
    if (!s->classes)
        return PLN_E_MEMORY;
    for (size_t i = 0; i < n; i++)
        if (!(s->classes[i] = text_copy(from->classes[i])))
            return PLN_E_MEMORY;
    s->parts.classes = (const char *const *)s->classes;
    return PLN_E_OK;
}

int dataset_make(const storage_parts *parts, dataset **set, error *e)
{
    storage *s = NULL;
    dataset *made = NULL;
    int status = parts_check(parts, e);
    if (status)
        goto fail;
    s = calloc(1, sizeof *s);
    made = calloc(1, sizeof *made);
    if (!s || !made || storage_copy(s, parts)) {
        status = error_memory(e);
        goto fail;
    }
    atomic_init(&s->references, 1);
    made->base = s;
    made->count = parts->count;
    *set = made;
    return PLN_E_OK;
fail:
    if (s)
        storage_free(s);
    free(made);
    if (parts->release)
        parts->release(parts->owner);
    return status;
}

/* --------------------------------------------------------------------------------------------------- views ---- */

/* An empty view of the same storage, which holds a reference. */
static dataset *view_make(const dataset *set)
{
    dataset *view = calloc(1, sizeof *view);
    if (view) {
        view->base = set->base;
        atomic_fetch_add_explicit(&view->base->references, 1, memory_order_relaxed);
    }
    return view;
}

int dataset_slice(const dataset *set, int64_t begin, int64_t end, dataset **view, error *e)
{
    if (begin < 0 || end < begin || end > set->count)
        return error_set(e, PLN_E_INVALID, "samples %lld up to %lld were asked for, but the data set has %lld",
                         (long long)begin, (long long)end, (long long)set->count);
    dataset *made = view_make(set);
    if (!made)
        return error_memory(e);
    made->count = end - begin;
    made->first = set->first + begin;
    if (set->index && made->count > 0) {
        made->first = 0;
        made->index = malloc((size_t)made->count * sizeof *made->index);
        if (!made->index) {
            dataset_free(made);
            return error_memory(e);
        }
        memcpy(made->index, set->index + begin, (size_t)made->count * sizeof *made->index);
    }
    *view = made;
    return PLN_E_OK;
}

/* A list that turns out to be a run is kept as one: it is smaller, and has the digest of the same slice. */
static void index_simplify(dataset *view)
{
    for (int64_t i = 0; i < view->count; i++)
        if (view->index[i] != (int64_t)view->index[0] + i)
            return;
    view->first = view->count > 0 ? view->index[0] : 0;
    free(view->index);
    view->index = NULL;
}

int dataset_pick(const dataset *set, const int64_t *which, int64_t n, dataset **view, error *e)
{
    if (n < 0 || n > UINT32_MAX)
        return error_set(e, PLN_E_INVALID, "a list of %lld samples; 0 .. %lld are possible", (long long)n,
                         (long long)UINT32_MAX);
    for (int64_t i = 0; i < n; i++)
        if (which[i] < 0 || which[i] >= set->count)
            return error_set(e, PLN_E_INVALID, "sample %lld (counted from 0) was asked for, but the data set has %lld",
                             (long long)which[i], (long long)set->count);
    dataset *made = view_make(set);
    if (!made)
        return error_memory(e);
    made->count = n;
    made->index = malloc((n > 0 ? (size_t)n : 1) * sizeof *made->index);
    if (!made->index) {
        dataset_free(made);
        return error_memory(e);
    }
    for (int64_t i = 0; i < n; i++)
        made->index[i] = (uint32_t)dataset_at(set, which[i]);
    index_simplify(made);
    *view = made;
    return PLN_E_OK;
}

void dataset_free(dataset *set)
{
    if (!set)
        return;
    storage *s = set->base;
    free(set->index);
    free(set);
    if (atomic_fetch_sub_explicit(&s->references, 1, memory_order_acq_rel) != 1)
        return;
    if (s->parts.release)
        s->parts.release(s->parts.owner);
    storage_free(s);
}

const storage_parts *dataset_parts(const dataset *set)
{
    return &set->base->parts;
}

/* -------------------------------------------------------------------------------------------------- digest ---- */

/* The storage's digest, computed by the first who asks.  Two threads may both compute it; one text is kept. */
static const char *storage_digest(storage *s)
{
    char *known = atomic_load_explicit(&s->digest, memory_order_acquire);
    if (known)
        return known;
    char hex[HASH_HEX];
    parts_digest(&s->parts, hex);
    char *copy = text_copy(hex);
    if (!copy)
        return NULL;
    if (atomic_compare_exchange_strong(&s->digest, &known, copy))
        return copy;
    free(copy);
    return known;
}

int dataset_digest(const dataset *set, char hex[HASH_HEX], error *e)
{
    const char *contents = storage_digest(set->base);
    if (!contents)
        return error_memory(e);
    if (!set->index && set->first == 0 && set->count == set->base->parts.count) {
        snprintf(hex, HASH_HEX, "%s", contents);
        return PLN_E_OK;
    }
    hash h;
    hash_begin(&h);
    hash_text(&h, contents);
    hash_integer(&h, set->count);
    hash_integer(&h, set->index != NULL);
    if (set->index)
        hash_bytes(&h, set->index, (size_t)set->count * sizeof *set->index);
    else if (set->count > 0)
        hash_integer(&h, set->first);
    hash_end(&h, hex);
    return PLN_E_OK;
}

/* -------------------------------------------------------------------------------------------------- gather ---- */

/* Shuffled samples lie anywhere in memory: the next one is on its way while this one is converted. */
static void prefetch(const uint8_t *sample, int64_t size)
{
    for (int64_t at = 0; at < size && at < 4096; at += 64)
        __builtin_prefetch(sample + at);
}

static void gather_column(const dataset *set, const column *c, const int64_t *which, int64_t n, void *out)
{
    int64_t size = column_size(c);
    if (c->dtype == PLN_U8) {
        const uint8_t *from = c->bytes;
        float *to = out;
        for (int64_t i = 0; i < n; i++) {
            if (i + 1 < n)
                prefetch(from + dataset_at(set, which[i + 1]) * size, size);
            convert_u8(size, from + dataset_at(set, which[i]) * size, c->scale, c->shift, to + i * size);
        }
        return;
    }
    /* float32 and int32 are both four bytes wide */
    const uint32_t *from = c->bytes;
    uint32_t *to = out;
    if (size == 1)
        for (int64_t i = 0; i < n; i++)
            to[i] = from[dataset_at(set, which[i])];
    else
        for (int64_t i = 0; i < n; i++)
            memcpy(to + i * size, from + dataset_at(set, which[i]) * size, (size_t)size * sizeof *to);
}

void dataset_gather_input(const dataset *set, int input, const int64_t *which, int64_t n, void *out)
{
    gather_column(set, &set->base->parts.inputs[input], which, n, out);
}

void dataset_gather_target(const dataset *set, const int64_t *which, int64_t n, void *out)
{
    gather_column(set, &set->base->parts.target, which, n, out);
}

/* Data sets: samples in memory as they came (bytes stay bytes), and views of them.
 *
 * A storage is one block of columns: inputs and a target, `count` samples each.  A data set is a view of a storage: a
 * run of samples, or a list of them.  take, slice and split make views and copy nothing.
 *
 * Thread rule: immutable after it was made; any thread may read.  References are counted atomically.
 */
#ifndef DATA_DATASET_H
#define DATA_DATASET_H

#include <stdint.h>

#include "base/error.h"
#include "base/hash.h"
#include "perilune/plugin.h"

#define DATASET_INPUTS 8

/* One column: `count` samples of `shape` each, contiguous. */
typedef struct column {
    char name[32];  /* "image", "label", … */
    uint32_t dtype; /* PLN_U8, PLN_F32 or PLN_I32 */
    uint32_t rank;  /* of one sample; 0: a number */
    int64_t shape[PLN_RANK - 1];
    float scale, shift; /* PLN_U8 only: value = scale * byte + shift */
    const void *bytes;  /* the storage's */
} column;

/* Elements of one sample of a column. */
int64_t column_size(const column *c);

typedef struct storage storage;

/* What a loader fills in to make a storage; all strings are copied. */
typedef struct storage_parts {
    const char *name; /* "mnist" */
    const char *part; /* "train", "test" or "" */
    int64_t count;
    int ninputs;
    column inputs[DATASET_INPUTS];
    int has_target;
    column target;              /* PLN_I32 with rank 0: class numbers; PLN_U8 labels are widened by the loader */
    const char *const *classes; /* class names, ended by NULL, or NULL */
    int64_t nclasses;           /* 0: the target is no class */
    const char *digest;         /* what parts_digest says (a loader's cache knows), or NULL: computed when asked for */
    void (*release)(void *owner); /* called once when nobody uses the storage any more; may be NULL */
    void *owner;
} storage_parts;

typedef struct dataset {
    storage *base;   /* a counted reference */
    int64_t count;   /* samples in this view */
    int64_t first;   /* where the view begins, when index is NULL */
    uint32_t *index; /* [count] sample numbers in the storage, owned; or NULL: first .. first+count-1 */
} dataset;

/* SHA-256 of the contents: the number of samples and each column's type, shape, scale and bytes; not of names, so that
 * the same samples have the same digest wherever they came from. */
void parts_digest(const storage_parts *parts, char hex[HASH_HEX]);

/* Makes a data set of all samples.  Owns parts->owner from here on, also when it fails (`release` has then been
 * called). Checks types, shapes and sizes, and that class numbers lie in 0 .. nclasses-1. */
int dataset_make(const storage_parts *parts, dataset **set, error *e);

/* A view of samples begin .. end-1 (0-based, of this view); it may be empty. Fails with PLN_E_INVALID outside it. */
int dataset_slice(const dataset *set, int64_t begin, int64_t end, dataset **view, error *e);

/* A view of the listed samples (numbers in this view, in any order, repetitions allowed). */
int dataset_pick(const dataset *set, const int64_t *which, int64_t n, dataset **view, error *e);

/* NULL is allowed. */
void dataset_free(dataset *set);

const storage_parts *dataset_parts(const dataset *set);

/* The number in the storage of sample i of this view. */
static inline int64_t dataset_at(const dataset *set, int64_t i)
{
    return set->index ? (int64_t)set->index[i] : set->first + i;
}

/* SHA-256 of the view: of the storage's contents and of which samples it shows, in their order.  A view of all samples
 * has the contents' digest (parts_digest).  The contents' digest is computed once a storage at most. */
int dataset_digest(const dataset *set, char hex[HASH_HEX], error *e);

/* Writes samples which[0 .. n-1] (numbers in this view, which the caller has checked) of input `input` as float32
 * (or as they are, if the column's type is PLN_F32 or PLN_I32) to out, one after the other.  Allocates nothing:
 * this is the first node of every training step. */
void dataset_gather_input(const dataset *set, int input, const int64_t *which, int64_t n, void *out);
void dataset_gather_target(const dataset *set, const int64_t *which, int64_t n, void *out);

#endif

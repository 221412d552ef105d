/* A block of labelled pictures: what every loader of this room makes, and what the cache keeps.
 *
 * One mapping holds a head of PICTURES_HEAD bytes (the cache's; unused in memory), `count` pictures of
 * [height,width,channels] bytes, and from the next multiple of 64 on `count` labels as int32.  A block in memory and a
 * file in the cache are laid out alike, so that one becomes the other by write() and mmap().
 *
 * Thread rule: belongs to one thread until it has become a data set, and is immutable from then on.
 */
#ifndef DATA_PICTURES_H
#define DATA_PICTURES_H

#include "data/dataset.h"

#define PICTURES_HEAD 4096

typedef struct pictures {
    int64_t count, height, width, channels;
    uint8_t *images;       /* [count,height,width,channels] */
    int32_t *labels;       /* [count] */
    char digest[HASH_HEX]; /* of the data set's contents; "": not known yet */
    void *block;           /* the mapping, owned */
    size_t size;           /* its bytes */
} pictures;

/* What a set is called, and its classes. */
typedef struct picture_set {
    const char *name;           /* "mnist" */
    const char *const *classes; /* ended by NULL */
    int64_t nclasses;
} picture_set;

/* The bytes of a block of this shape, or 0 when such a block is impossible. */
size_t pictures_size(int64_t count, int64_t height, int64_t width, int64_t channels);

/* Points `images` and `labels` into p->block, by the shape in `p`. */
void pictures_place(pictures *p);

/* Anonymous zeroed memory for a block of the shape in `p`; refused when the shape is impossible. */
int pictures_alloc(pictures *p, error *e);

/* The set's digest, stored in p->digest. */
void pictures_digest(pictures *p);

/* 1 if all labels are 0 .. nclasses-1; otherwise 0, and *where is the first that is not. */
int pictures_labels_fit(const pictures *p, int64_t nclasses, int64_t *where);

/* Makes a data set, which owns the block from here on (also when it fails). value = byte / 255. */
int pictures_dataset(pictures *p, const picture_set *of, const char *part, dataset **set, error *e);

/* Gives the block back; a zeroed struct is allowed. */
void pictures_free(pictures *p);

#endif

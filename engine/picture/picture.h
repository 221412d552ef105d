/* A picture in memory: bytes, row after row, channels last.
 *
 * Everything that reads, changes or draws pictures speaks this one struct, so that a decoder, the normalisation and a
 * model's input never need to know one another.  Values are sRGB-encoded (what a screen shows), not linear light.
 *
 * Ownership: `pixels` is malloc'd and belongs to the struct; every function that fills a picture takes it empty and
 * leaves it empty when it fails.  Thread rule: a picture belongs to one thread while it is written; any may read.
 */
#ifndef PICTURE_PICTURE_H
#define PICTURE_PICTURE_H

#include <stdint.h>

#include "base/error.h"

#define PICTURE_PIXELS_MAX INT64_C(64000000) /* pixels of one picture */
#define PICTURE_SIDE_MAX   INT64_C(1000000)  /* pixels of one side */

typedef struct picture {
    int64_t width, height;
    int channels;    /* 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha (alpha is not multiplied in; 255 is opaque) */
    uint8_t *pixels; /* [height][width][channels] */
} picture;

/* Makes a picture of zeros.  PLN_E_INVALID when a size is not positive, or above the two limits. */
int picture_make(int64_t width, int64_t height, int channels, picture *out, error *e);

/* Frees the pixels and empties the struct.  An empty picture and NULL are allowed. */
void picture_free(picture *p);

/* The same picture with another number of channels (1 .. 4).  Alpha that is dropped is composited over `under`
 * (0 black .. 255 white); alpha that is added is opaque; gray is (299 R + 587 G + 114 B) / 1000 (BT.601). */
int picture_convert(const picture *from, int channels, uint8_t under, picture *to, error *e);

/* The same picture, gray or RGB (other channels are PLN_E_INVALID), at another size; the aspect is the caller's affair.
 * An axis that shrinks averages areas (every source pixel counts exactly once), one that grows is bilinear. */
int picture_resize(const picture *from, int64_t width, int64_t height, picture *to, error *e);

#endif

/* A drawn digit as MNIST has them.
 *
 * "The images were size normalized to fit in a 20x20 pixel box while preserving their aspect ratio. The resulting
 * images contain grey levels as a result of the anti-aliasing technique used by the normalization algorithm. The
 * images were centered in a 28x28 image by computing the center of mass of the pixels, and translating the image so
 * as to position this point at the center of the 28x28 field." (LeCun, Cortes, Burges, the MNIST page)
 *
 * Measured on MNIST's training set, and so done here: the longer side is 20, the brightest pixel 254 or 255, the
 * centre of mass lies in [13.5, 14.5) counted in pixels from 0, so the shift is by whole pixels; strokes are 2.4
 * pixels wide in the median, and in 98 of 100 pictures 1.4 or wider. Thinner ones (a pencil line on a large sheet)
 * are widened first.
 *
 * Thread rule: pure.
 */
#ifndef PICTURE_NORMALISE_H
#define PICTURE_NORMALISE_H

#include <stdint.h>

#include "picture/picture.h"

#define NORMALISE_BOX   20 /* MNIST's */
#define NORMALISE_FRAME 28

/* What was found, for those who show it. */
typedef struct normalise_report {
    int64_t left, top, width, height; /* the digit's box, in the picture's pixels */
    int light;                        /* the ink is lighter than the paper */
    int transparent;                  /* drawn on a transparent ground: the ink is what is opaque */
    float paper;                      /* the paper's level, 0 .. 255 (of the colour with the most contrast) */
    float contrast;                   /* between ink and paper, 0 .. 255 */
    float stroke;                     /* mean width of a stroke in pixels of the result, before it was widened */
    int widened;                      /* it was */
} normalise_report;

/* Reads one digit from a picture of any size and channels into out[frame][frame]: paper 0, ink up to 255.  Its longer
 * side becomes `box` pixels (1 <= box <= frame <= 4096).  `report` may be NULL.
 * PLN_E_EMPTY: there is no ink; out is left as it was. */
int normalise_digit(const picture *p, int box, int frame, uint8_t *out, normalise_report *report, error *e);

#endif

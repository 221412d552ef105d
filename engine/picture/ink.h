/* Finding the ink of a picture: what was drawn, as opposed to what it was drawn on.
 *
 * The result is a plane of ink, 0 (paper) to 1, and which of it belongs to the drawing.  It is apart from the
 * normalisation so that one digit, a line of digits, and an answer picture with boxes can all start here.
 *
 *   1. The picture is reduced by a whole factor until its longer side is at most INK_SIDE (areas are averaged, which
 *      also averages noise away).
 *   2. The paper is the median of the border; the ink is what departs from it towards the side (darker or lighter) that
 *      holds more energy.  Where the border is transparent, the ink is either what is opaque, or what is drawn on it.
 *      Of red, green, blue and luma, the plane with the most contrast is taken (a yellow pen is invisible in luma).
 *   3. Otsu's threshold (IEEE Trans. SMC 9(1), 1979) parts strong ink from paper.  Too little contrast, or strong
 *      pixels scattered like noise, mean that there is no ink.
 *   4. Pieces of weak ink (above the paper's noise) that hold strong pixels are kept, specks dropped.
 *
 * Thread rule: pure.
 */
#ifndef PICTURE_INK_H
#define PICTURE_INK_H

#include <stdint.h>

#include "picture/picture.h"

#define INK_SIDE 512

/* What ink is in this picture, decided once from all of it. */
typedef struct ink_paper {
    int from_alpha;  /* ink is what is opaque; the rest of the struct is unused then */
    float colour[3]; /* a pixel's level is the sum of these times red, green, blue */
    float under;     /* and of this where it is transparent */
    float level;     /* the paper's */
    int light;       /* the ink is lighter than the paper */
} ink_paper;

typedef struct ink {
    ink_paper paper;
    int64_t factor;        /* pixels of the picture to one of the plane, along each axis */
    int64_t left, top;     /* where in the picture the plane begins */
    int64_t width, height; /* of the plane */
    float *plane;          /* [height][width], 0 .. 1; nothing but the drawing's ink */
    float contrast;        /* how far strong ink departs from the paper, 0 .. 255 */
    /* the drawing's box, in pixels of the plane */
    int64_t box_left, box_top, box_width, box_height;
} ink;

/* Finds the drawing.  `detail`: the box should be this many pixels of the plane across, if the picture has as many.
 * PLN_E_EMPTY ("no digit found") when there is no ink. */
int ink_find(const picture *p, int64_t detail, ink *out, error *e);

void ink_free(ink *k);

#endif

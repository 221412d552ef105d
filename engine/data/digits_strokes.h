/* The pen strokes of the drawn digits. */
#ifndef DATA_DIGITS_STROKES_H
#define DATA_DIGITS_STROKES_H

#include <stdint.h>

#define STROKE_POINTS 24 /* most points of a glyph */
#define STROKE_POSES  4

enum {
    PEN_DOWN = 0,   /* a smooth point of the line */
    PEN_CORNER = 1, /* the pen turns sharply here (how sharply is the writer's habit) */
    PEN_UP = 2      /* the pen is set down anew here: the first point of a stroke */
};

/* Where the pen passes: hundredths of the digit's height, y downwards. */
typedef struct pen_point {
    int8_t x, y;
    uint8_t pen;
} pen_point;

/* One way of writing a digit.  Its poses have the same points in other places; a writer's digit is a mixture. */
typedef struct glyph {
    uint8_t digit, weight; /* weights of a digit's glyphs are relative to each other */
    uint8_t npoints, nposes;
    const pen_point *pose[STROKE_POSES];
} glyph;

extern const glyph glyphs[];
extern const int glyphs_count;

#endif

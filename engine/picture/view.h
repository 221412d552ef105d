/* Pictures and numbers as lines of text, for terminals.
 *
 * Everything takes a style, so that what a pipe, an old terminal and a modern one get is decided in one place, and
 * tests can ask for each. All output is whole lines, each ended by '\n'; blocks of lines are put side by side
 * afterwards. Widths are counted in cells: ASCII and the block characters used here take one, colour codes none.
 *
 * Thread rule: pure, but for view_style_of, which looks at the environment.
 */
#ifndef PICTURE_VIEW_H
#define PICTURE_VIEW_H

#include <stdint.h>

#include "base/text.h"
#include "picture/picture.h"

enum {
    VIEW_PLAIN = 0,  /* no colour codes at all */
    VIEW_SHADES = 1, /* the 24 grays of a terminal with 256 colours */
    VIEW_TRUE = 2    /* 24 bits */
};

typedef struct view_style {
    int utf8;   /* block characters may be used; otherwise ASCII */
    int colour; /* VIEW_* */
    int width;  /* cells of a line */
} view_style;

/* The style for output to a file descriptor: colour only on a terminal, and never with NO_COLOR (no-color.org) or
 * TERM=dumb; UTF-8 by LC_ALL, LC_CTYPE or LANG, the first that is set; the width from the terminal, else COLUMNS,
 * else 80. */
view_style view_style_of(int fd);

/* A picture; bright is ink.  One cell is one pixel wide and two high: half blocks in two shades of gray, or, without
 * colour, ▀ ▄ █ where a pixel is above 95 of 255; ten shades of ASCII otherwise.  A picture wider than the style is
 * made smaller.  `trim` leaves out empty lines above and below.  Alpha is composited over black. */
int view_picture(const picture *p, const view_style *style, int trim, text *out, error *e);

/* A bar of `width` cells, filled to `fraction` (clamped to 0 .. 1) in eighths of a cell: ████▌ (#### in ASCII). More
 * than nothing is never shown as nothing. Exactly `width` cells are written, and no end of line. */
void view_bar(double fraction, int width, const view_style *style, text *out);

/* One line a class: name, bar, per cent ("7 ███████▌   97.3 %"). `names` NULL: 0, 1, 2 …; `width` cells a line, at
 * most the style's. The largest is bold where there is colour. Values are shares of 1; what is no number shows as
 * "nan". */
void view_bars(const char *const *names, const double *values, int count, int width, const view_style *style,
               text *out);

/* Cells of the longest line. */
int view_width(const char *lines);

/* Two blocks beside one another, `gap` cells apart; where the style is too narrow for both, one above the other. */
void view_side_by_side(const char *left, const char *right, int gap, const view_style *style, text *out);

#endif

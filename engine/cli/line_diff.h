/* line_diff.h: which lines two texts do not share. */
#ifndef CLI_LINE_DIFF_H
#define CLI_LINE_DIFF_H

#include "picture/view.h"

/* Prints lines of `a` that `b` lacks with '-', lines that `b` adds with '+', and up to two lines around them, each with
 * its number.  0, or PLN_E_MEMORY.  Texts whose middle parts (without the lines in common at both ends) are longer than
 * some thousand lines are shown as exchanged as a whole. */
int line_diff_print(const char *a, const char *b, const view_style *style);

#endif

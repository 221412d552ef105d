/* table.h: aligned columns on a terminal of any width, with few colours.
 *
 *     static const table_column columns[] = {{"id", TABLE_RIGHT, 0, 0}, {"experiment", 0, 8, 0}, {NULL, 0, 0, 0}};
 *     table t = table_begin(columns, &style);
 *     table_cell(&t, INK_BOLD, "%lld", id);
 *     table_cell(&t, INK_PLAIN, "%s", name);
 *     table_print(&t, 0, stdout);
 *     table_free(&t);
 *
 * Columns are as wide as their widest cell.  Where the terminal is narrower, columns with a `least` width are cut
 * first (the widest before the others), then columns with a `drop` number are left out, the highest first.
 * Columns that hold nothing at all are left out too.  Control characters in cells (a name from a file may hold
 * anything) are shown as '?'.
 * Thread rule: a table belongs to one thread.
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdio.h>

#include "picture/view.h"

/* How a text looks; nothing but the text itself where the style has no colour. */
enum { INK_PLAIN, INK_BOLD, INK_DIM, INK_GOOD, INK_BAD, INK_WARN };

enum {
    TABLE_RIGHT = 1,
    TABLE_KEEP = 2, /* shown even when all its cells are empty */
    TABLE_WRAP = 4  /* the last column: continued on further lines instead of being cut */
};

typedef struct table_column {
    const char *title; /* NULL ends the list */
    int flags;         /* TABLE_* */
    int least;         /* may be cut to this many cells; 0: never cut */
    int drop;          /* left out before columns with a lower number; 0: never */
} table_column;

typedef struct table_text {
    char *text;
    int ink, width;
} table_text;

typedef struct table {
    const table_column *columns;
    int ncolumns;
    view_style style;
    int untitled; /* no line of titles */
    table_text *cells;
    size_t count, room;
    int failed;
} table;

table table_begin(const table_column *columns, const view_style *style);
void table_cell(table *t, int ink, const char *format, ...) ERROR_FORMAT(3, 4);

/* Prints titles and rows, `indent` cells from the left.  0, or PLN_E_MEMORY when a cell could not be kept. */
int table_print(const table *t, int indent, FILE *out);
void table_free(table *t);

/* Codes that begin and end an ink: "" where the style has no colour. */
const char *ink_on(const view_style *style, int ink);
const char *ink_off(const view_style *style, int ink);

/* The style of standard output; width limited to `most` cells (0: not). */
view_style style_of_output(int most);

/* `s` with control characters replaced by '?', in place. */
char *words_clean(char *s);

#endif

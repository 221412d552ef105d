/* Tables: every listing of the program. */
#include "cli/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/words.h"

#define GAP         2
#define COLUMNS_MAX 32

static const char *const ink_codes[] = {"", "\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[33m"};

const char *ink_on(const view_style *style, int ink)
{
    return style->colour == VIEW_PLAIN ? "" : ink_codes[ink];
}

const char *ink_off(const view_style *style, int ink)
{
    return style->colour == VIEW_PLAIN || ink == INK_PLAIN ? "" : "\033[0m";
}

view_style style_of_output(int most)
{
    view_style s = view_style_of(STDOUT_FILENO);
    if (most > 0 && s.width > most)
        s.width = most;
    return s;
}

char *words_clean(char *s)
{
    for (unsigned char *c = (unsigned char *)s; *c; c++) {
        if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0) /* U+0080 to U+009F */
            *c++ = '?';
        if (*c < 0x20 || *c == 0x7f || (c > (unsigned char *)s && c[-1] == '?' && *c >= 0x80 && *c < 0xa0))
            *c = '?';
    }
    return s;
}

table table_begin(const table_column *columns, const view_style *style)
{
    table t = {.columns = columns, .style = *style};
    while (columns[t.ncolumns].title && t.ncolumns < COLUMNS_MAX)
        t.ncolumns++;
    return t;
}

static int make_room(table *t)
{
    if (t->count < t->room)
        return 1;
    size_t room = t->room ? 2 * t->room : 64;
    table_text *grown = realloc(t->cells, room * sizeof *grown);
    if (!grown)
        return 0;
    t->cells = grown;
    t->room = room;
    return 1;
}

void table_cell(table *t, int ink, const char *format, ...)
{
    char *s = NULL;
    va_list list;
    va_start(list, format);
    int n = vasprintf(&s, format, list);
    va_end(list);
    if (n < 0 || !make_room(t)) {
        if (n >= 0)
            free(s);
        t->failed = 1;
        return;
    }
    words_clean(s);
    t->cells[t->count++] = (table_text){s, ink, words_width(s)};
}

void table_free(table *t)
{
    for (size_t i = 0; i < t->count; i++)
        free(t->cells[i].text);
    free(t->cells);
    *t = (table){0};
}

/* ----------------------------------------------------------------------------------------------- widths ---- */

/* The widths of all columns; 0 for those with nothing in them. */
static void natural_widths(const table *t, int widths[COLUMNS_MAX])
{
    for (int c = 0; c < t->ncolumns; c++) {
        int widest = t->columns[c].flags & TABLE_KEEP;
        for (size_t i = (size_t)c; i < t->count; i += (size_t)t->ncolumns)
            if (t->cells[i].width > widest)
                widest = t->cells[i].width;
        int title = t->untitled ? 0 : words_width(t->columns[c].title);
        widths[c] = widest == 0 ? 0 : widest > title ? widest : title;
    }
}

static int total_width(const table *t, const int widths[COLUMNS_MAX])
{
    int sum = 0;
    for (int c = 0; c < t->ncolumns; c++)
        sum += widths[c] ? widths[c] + (sum ? GAP : 0) : 0;
    return sum;
}

/* The widest column that may still be cut, or -1. */
static int column_to_cut(const table *t, const int widths[COLUMNS_MAX])
{
    int best = -1;
    for (int c = 0; c < t->ncolumns; c++)
        if (t->columns[c].least && widths[c] > t->columns[c].least && (best < 0 || widths[c] > widths[best]))
            best = c;
    return best;
}

static int column_to_drop(const table *t, const int widths[COLUMNS_MAX])
{
    int best = -1;
    for (int c = 0; c < t->ncolumns; c++)
        if (widths[c] && t->columns[c].drop && (best < 0 || t->columns[c].drop > t->columns[best].drop))
            best = c;
    return best;
}

static void fit_widths(const table *t, int room, int widths[COLUMNS_MAX])
{
    int full[COLUMNS_MAX], c = 0;
    natural_widths(t, full);
    for (;;) {
        memcpy(widths, full, sizeof full);
        while (total_width(t, widths) > room && (c = column_to_cut(t, widths)) >= 0)
            widths[c]--;
        if (total_width(t, widths) <= room || (c = column_to_drop(t, widths)) < 0)
            return;
        full[c] = 0;
    }
}

/* --------------------------------------------------------------------------------------------- printing ---- */

/* Where to break a text that is wider than `width`: behind the last blank that fits, else anywhere. */
static size_t wrap_at(const char *s, int width)
{
    size_t n = words_prefix(s, width, NULL);
    if (!s[n])
        return n;
    for (size_t k = n + (s[n] == ' '); k > 1; k--)
        if (s[k - 1] == ' ')
            return k;
    return n;
}

static void print_inked(const table *t, const char *s, size_t n, int ink, FILE *out)
{
    fprintf(out, "%s%.*s%s", ink_on(&t->style, ink), (int)n, s, ink_off(&t->style, ink));
}

/* `left`: how many cells stand before this one in its line. */
static void print_wrapped(const table *t, const char *s, int ink, int width, int left, FILE *out)
{
    for (size_t n = wrap_at(s, width); *s; n = wrap_at(s, width)) {
        print_inked(t, s, n > 1 && s[n - 1] == ' ' ? n - 1 : n, ink, out);
        s += n;
        if (*s)
            fprintf(out, "\n%*s", left, "");
    }
}

static void print_cell(const table *t, const char *s, int ink, int cells, int width, int flags, int last, FILE *out)
{
    int used = cells, cut = cells > width;
    const char *dots = !cut ? "" : t->style.utf8 ? "…" : "~";
    size_t n = words_prefix(s, cut ? width - 1 : width, &used);
    used += cut;
    int pad = width > used && !(last && !cells) ? width - used : 0;
    fprintf(out, "%*s%s%.*s%s%s%*s", flags & TABLE_RIGHT ? pad : 0, "", ink_on(&t->style, ink), (int)n, s, dots,
            ink_off(&t->style, ink), last || flags & TABLE_RIGHT ? 0 : pad, "");
}

static int last_column(const table *t, const int widths[COLUMNS_MAX])
{
    int last = 0;
    for (int c = 0; c < t->ncolumns; c++)
        if (widths[c])
            last = c;
    return last;
}

/* One line: its cells are the titles (NULL) or cells[0 .. ncolumns-1]. */
static void print_line(const table *t, const table_text *cells, const int *widths, int indent, FILE *out)
{
    int left = 0, last = last_column(t, widths);
    for (int c = 0; c < t->ncolumns; c++) {
        const char *s = cells ? cells[c].text : t->columns[c].title;
        int ink = cells ? cells[c].ink : INK_DIM, width = cells ? cells[c].width : words_width(s);
        if (!widths[c])
            continue;
        int gap = left ? GAP : indent;
        fprintf(out, "%*s", gap, "");
        left += gap;
        if (c == last && t->columns[c].flags & TABLE_WRAP)
            print_wrapped(t, s, ink, widths[c], left, out);
        else
            print_cell(t, s, ink, width, widths[c], t->columns[c].flags, c == last, out);
        left += widths[c];
    }
    fputc('\n', out);
}

int table_print(const table *t, int indent, FILE *out)
{
    int widths[COLUMNS_MAX];
    if (t->failed)
        return PLN_E_MEMORY;
    fit_widths(t, t->style.width > indent ? t->style.width - indent : 1, widths);
    if (!t->untitled)
        print_line(t, NULL, widths, indent, out);
    for (size_t i = 0; i + (size_t)t->ncolumns <= t->count; i += (size_t)t->ncolumns)
        print_line(t, t->cells + i, widths, indent, out);
    return PLN_E_OK;
}

/* The longest common subsequence of lines, by the textbook's table; scripts are short. */
#include "cli/line_diff.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/table.h"

#define CELLS_MOST 16000000 /* of the table, two bytes each */
#define AROUND     2

typedef struct lines {
    const char **line;
    size_t *length, count;
} lines;

/* Cuts a text into lines (without their ends). */
static int cut(const char *s, lines *out)
{
    size_t n = 1;
    for (const char *c = s; *c; c++)
        n += *c == '\n';
    *out = (lines){calloc(n, sizeof *out->line), calloc(n, sizeof *out->length), 0};
    if (!out->line || !out->length)
        return 0;
    while (*s) {
        size_t length = strcspn(s, "\n");
        out->line[out->count] = s;
        out->length[out->count++] = length;
        s += length + (s[length] == '\n');
    }
    return 1;
}

static void leave(lines *l)
{
    free(l->line);
    free(l->length);
}

static int same(const lines *a, size_t i, const lines *b, size_t k)
{
    return a->length[i] == b->length[k] && !memcmp(a->line[i], b->line[k], a->length[i]);
}

/* Marks the lines of a[from..) and b[from..), m and n of them, that belong to the longest common subsequence:
 * best[i][k] = the length for the rests from line i and k on. */
static int mark_common(const lines *a, const lines *b, size_t from, size_t m, size_t n, char *keep_a, char *keep_b)
{
    size_t i = 0, k = 0, row = n + 1;
    if (m && n && (m + 1) > CELLS_MOST / row)
        return 1;
    uint16_t *best = calloc((m + 1) * row, sizeof *best);
    if (!best)
        return 0;
    for (i = m; i-- > 0;)
        for (k = n; k-- > 0;) {
            uint16_t down = best[(i + 1) * row + k], right = best[i * row + k + 1];
            best[i * row + k] = same(a, from + i, b, from + k) ? (uint16_t)(best[(i + 1) * row + k + 1] + 1)
                                : down > right                 ? down
                                                               : right;
        }
    for (i = k = 0; i < m && k < n;) {
        if (same(a, from + i, b, from + k))
            keep_a[from + i++] = keep_b[from + k++] = 1;
        else if (best[(i + 1) * row + k] >= best[i * row + k + 1])
            i++;
        else
            k++;
    }
    free(best);
    return 1;
}

static void print_line(const lines *l, size_t i, char sign, const view_style *style)
{
    int ink = sign == '-' ? INK_BAD : sign == '+' ? INK_GOOD : INK_DIM;
    char *copy = strndup(l->line[i], l->length[i]);
    printf("%s%c %4zu  %s%s\n", ink_on(style, ink), sign, i + 1, copy ? words_clean(copy) : "", ink_off(style, ink));
    free(copy);
}

/* Is a changed line within AROUND lines of this common one? */
static int is_near(const char *keep, size_t i, size_t count)
{
    for (size_t k = i > AROUND ? i - AROUND : 0; k <= i + AROUND && k < count; k++)
        if (!keep[k])
            return 1;
    return 0;
}

static void print_all(const lines *a, const lines *b, const char *keep_a, const char *keep_b, const view_style *style)
{
    size_t i = 0, k = 0, shown = 0;
    while (i < a->count || k < b->count) {
        if (i < a->count && !keep_a[i]) {
            print_line(a, i++, '-', style);
            shown = 1;
        } else if (k < b->count && !keep_b[k]) {
            print_line(b, k++, '+', style);
            shown = 1;
        } else {
            int near = is_near(keep_a, i, a->count) || is_near(keep_b, k, b->count);
            if (near)
                print_line(b, k, ' ', style);
            else if (shown)
                puts("  ...");
            shown = (size_t)near;
            i++;
            k++;
        }
    }
}

int line_diff_print(const char *a, const char *b, const view_style *style)
{
    lines x = {0}, y = {0};
    char *keep_a = NULL, *keep_b = NULL;
    int ok = cut(a, &x) && cut(b, &y);
    if (ok) {
        keep_a = calloc(x.count + 1, 1);
        keep_b = calloc(y.count + 1, 1);
    }
    ok = keep_a && keep_b;
    if (ok) {
        size_t head = 0, tail = 0, least = x.count < y.count ? x.count : y.count;
        while (head < least && same(&x, head, &y, head))
            head++;
        while (tail < least - head && same(&x, x.count - 1 - tail, &y, y.count - 1 - tail))
            tail++;
        memset(keep_a, 1, head);
        memset(keep_b, 1, head);
        memset(keep_a + x.count - tail, 1, tail);
        memset(keep_b + y.count - tail, 1, tail);
        ok = mark_common(&x, &y, head, x.count - head - tail, y.count - head - tail, keep_a, keep_b);
    }
    if (ok)
        print_all(&x, &y, keep_a, keep_b, style);
    free(keep_a);
    free(keep_b);
    leave(&x);
    leave(&y);
    return ok ? PLN_E_OK : PLN_E_MEMORY;
}

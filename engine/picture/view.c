/* Half blocks, bars of eighths, and their ASCII twins. */
#include "picture/view.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define INK_SEEN  96    /* a pixel from here on is ink where there are no shades */
#define WIDTH_MAX 10000 /* nobody's terminal is wider; a COLUMNS that says so is a mistake */
#define BOLD      "\033[1m"
#define RESET     "\033[0m"

/* ---- style ----------------------------------------------------------------------------------------------------- */

static int is_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (int i = 0; i < 3; i++) {
        const char *value = getenv(names[i]);
        if (value && value[0])
            return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
    }
    return 0;
}

static int colours_of(int fd)
{
    const char *off = getenv("NO_COLOR"), *term = getenv("TERM"), *depth = getenv("COLORTERM");
    if ((off && off[0]) || !term || strcmp(term, "dumb") == 0 || !isatty(fd))
        return VIEW_PLAIN;
    if (depth && (strcmp(depth, "truecolor") == 0 || strcmp(depth, "24bit") == 0))
        return VIEW_TRUE;
    return strstr(term, "256color") ? VIEW_SHADES : VIEW_PLAIN;
}

static int width_of(int fd)
{
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    const char *columns = getenv("COLUMNS");
    int64_t width;
    if (columns && text_parse_integer(columns, &width) && width > 0 && width <= WIDTH_MAX)
        return (int)width;
    return 80;
}

view_style view_style_of(int fd)
{
    return (view_style){.utf8 = is_utf8(), .colour = colours_of(fd), .width = width_of(fd)};
}

/* ---- pictures -------------------------------------------------------------------------------------------------- */

/* The 24 grays 232 .. 255 of the 256-colour table, black and white proper at the ends. */
static int shade_of(int gray)
{
    if (gray < 4)
        return 16;
    if (gray > 246)
        return 231;
    int step = (gray - 8 + 5) / 10;
    return 232 + (step < 0 ? 0 : step > 23 ? 23 : step);
}

static void colour_code(const view_style *style, int ground, int gray, text *out)
{
    if (style->colour == VIEW_TRUE)
        text_format(out, "\033[%d;2;%d;%d;%dm", ground ? 48 : 38, gray, gray, gray);
    else
        text_format(out, "\033[%d;5;%dm", ground ? 48 : 38, shade_of(gray));
}

static int pixel(const picture *p, int64_t x, int64_t y)
{
    return y < p->height ? p->pixels[y * p->width + x] : 0;
}

static void line_shades(const picture *p, int64_t y, const view_style *style, text *out)
{
    int upper = -1, lower = -1;
    for (int64_t x = 0; x < p->width; x++) {
        int a = pixel(p, x, y), b = pixel(p, x, y + 1);
        if (a != upper)
            colour_code(style, 0, a, out);
        if (b != lower)
            colour_code(style, 1, b, out);
        upper = a;
        lower = b;
        text_add(out, "▀");
    }
    text_add(out, RESET);
}

static void line_blocks(const picture *p, int64_t y, text *out)
{
    static const char *const blocks[] = {" ", "▀", "▄", "█"};
    for (int64_t x = 0; x < p->width; x++)
        text_add(out, blocks[(pixel(p, x, y) >= INK_SEEN) + 2 * (pixel(p, x, y + 1) >= INK_SEEN)]);
}

static void line_ascii(const picture *p, int64_t y, text *out)
{
    static const char ramp[] = " .:-=+*#%@";
    for (int64_t x = 0; x < p->width; x++) {
        int gray = (pixel(p, x, y) + pixel(p, x, y + 1) + 1) / 2;
        text_add_bytes(out, &ramp[gray * 10 / 256], 1);
    }
}

static int line_is_empty(const picture *p, int64_t y)
{
    for (int64_t x = 0; x < p->width; x++)
        if (pixel(p, x, y) >= INK_SEEN || pixel(p, x, y + 1) >= INK_SEEN)
            return 0;
    return 1;
}

static void picture_lines(const picture *p, const view_style *style, int trim, text *out)
{
    int64_t begin = 0, end = (p->height + 1) / 2;
    while (trim && begin < end && line_is_empty(p, 2 * begin))
        begin++;
    while (trim && begin < end && line_is_empty(p, 2 * (end - 1)))
        end--;
    for (int64_t line = begin; line < end; line++) {
        if (!style->utf8)
            line_ascii(p, 2 * line, out);
        else if (style->colour == VIEW_PLAIN)
            line_blocks(p, 2 * line, out);
        else
            line_shades(p, 2 * line, style, out);
        text_add(out, "\n");
    }
}

int view_picture(const picture *p, const view_style *style, int trim, text *out, error *e)
{
    picture gray = {0}, small = {0};
    const picture *shown = &gray;
    if (!p->pixels)
        return error_set(e, PLN_E_INVALID, "an empty picture cannot be shown; draw or read one first");
    int status = picture_convert(p, 1, 0, &gray, e);
    if (!status && style->width > 0 && gray.width > style->width) {
        int64_t height = gray.height * style->width / gray.width;
        status = picture_resize(&gray, style->width, height > 0 ? height : 1, &small, e);
        shown = &small;
    }
    if (!status)
        picture_lines(shown, style, trim, out);
    if (!status && out->failed)
        status = error_memory(e);
    picture_free(&gray);
    picture_free(&small);
    return status;
}

/* ---- bars ------------------------------------------------------------------------------------------------------ */

static void repeat(text *out, const char *s, int count)
{
    for (int i = 0; i < count; i++)
        text_add(out, s);
}

void view_bar(double fraction, int width, const view_style *style, text *out)
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    int parts = style->utf8 ? 8 : 1;
    if (width < 1)
        return;
    width = width < WIDTH_MAX ? width : WIDTH_MAX;
    double share = fraction > 0 ? fmin(fraction, 1) : 0; /* not a number: nothing */
    int filled = (int)(share * width * parts + 0.5);
    if (share > 0 && filled == 0)
        filled = 1;
    repeat(out, style->utf8 ? "█" : "#", filled / parts);
    text_add(out, eighths[filled % parts]);
    repeat(out, " ", width - (filled + parts - 1) / parts);
}

/* " 97.3 %", 7 cells.  By integers, since printf follows the locale. */
static void percent(double value, text *out)
{
    if (!(value >= -9 && value <= 9)) {
        text_add(out, "  nan %");
        return;
    }
    int tenths = (int)floor(fabs(value) * 1000 + 0.5);
    char digits[32];
    snprintf(digits, sizeof digits, "%s%d.%d", value < 0 && tenths ? "-" : "", tenths / 10, tenths % 10);
    text_format(out, "%5s %%", digits);
}

/* Cells of a text up to `end` (NULL: all): bytes that begin a character, colour codes skipped. */
static int cells(const char *s, const char *end)
{
    int count = 0;
    for (; *s && s != end; s++) {
        if (*s == '\033' && s[1] == '[') {
            while (s[1] && s + 1 != end && *s != 'm')
                s++;
            continue;
        }
        count += ((unsigned char)*s & 0xc0) != 0x80;
    }
    return count;
}

static int largest(const double *values, int count)
{
    int best = -1;
    for (int i = 0; i < count; i++)
        if (!isnan(values[i]) && (best < 0 || values[i] > values[best]))
            best = i;
    return best;
}

static const char *name_of(const char *const *names, int i, char number[16])
{
    if (names)
        return names[i];
    snprintf(number, 16, "%d", i);
    return number;
}

void view_bars(const char *const *names, const double *values, int count, int width, const view_style *style, text *out)
{
    char number[16];
    int label = 0, best = largest(values, count);
    for (int i = 0; i < count; i++) {
        int n = cells(name_of(names, i, number), NULL);
        label = n > label ? n : label;
    }
    width = style->width > 0 && width > style->width ? style->width : width;
    int bar = width - label - 1 - 2 - 7;
    for (int i = 0; i < count; i++) {
        const char *name = name_of(names, i, number);
        int bold = i == best && style->colour != VIEW_PLAIN;
        if (bold)
            text_add(out, BOLD);
        text_add(out, name);
        repeat(out, " ", label - cells(name, NULL) + 1);
        view_bar(values[i], bar, style, out);
        text_add(out, "  ");
        percent(values[i], out);
        text_add(out, bold ? RESET "\n" : "\n");
    }
}

/* ---- blocks ---------------------------------------------------------------------------------------------------- */

/* The line at *s without its end, and *s moved to the next; NULL when there is none. */
static const char *next_line(const char **s, size_t *length)
{
    const char *line = *s;
    if (!line[0])
        return NULL;
    *length = strcspn(line, "\n");
    *s = line + *length + (line[*length] == '\n');
    return line;
}

int view_width(const char *lines)
{
    int width = 0;
    size_t length;
    for (const char *line; (line = next_line(&lines, &length));) {
        int n = cells(line, line + length);
        width = n > width ? n : width;
    }
    return width;
}

static void add_lines(const char *lines, text *out)
{
    size_t length;
    for (const char *line; (line = next_line(&lines, &length));) {
        text_add_bytes(out, line, length);
        text_add(out, "\n");
    }
}

void view_side_by_side(const char *left, const char *right, int gap, const view_style *style, text *out)
{
    int width = view_width(left);
    size_t a = 0, b = 0;
    if (style->width > 0 && width + gap + view_width(right) > style->width) {
        add_lines(left, out);
        add_lines(right, out);
        return;
    }
    for (;;) {
        const char *l = next_line(&left, &a), *r = next_line(&right, &b);
        if (!l && !r)
            return;
        if (l)
            text_add_bytes(out, l, a);
        if (r && b > 0) {
            repeat(out, " ", width + gap - (l ? cells(l, l + a) : 0));
            text_add_bytes(out, r, b);
        }
        text_add(out, "\n");
    }
}

/* Numbers, times and sizes for people.  The program never calls setlocale, so printf writes '.'. */
#include "cli/words.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

const char *words_metric(double value, char out[WORDS])
{
    double size = fabs(value);
    if (isnan(value))
        snprintf(out, WORDS, "nan");
    else if (isinf(value) || (size != 0 && (size < 1e-3 || size >= 1e5)))
        snprintf(out, WORDS, "%.2e", value);
    else
        snprintf(out, WORDS, size >= 1000 ? "%.1f" : "%.4f", value);
    return out;
}

const char *words_rate(double value, char out[WORDS])
{
    snprintf(out, WORDS, isnan(value) ? "" : "%.1e", value);
    return out;
}

const char *words_seconds(double seconds, char out[WORDS])
{
    if (!(seconds >= 0) || seconds > 1e12) {
        out[0] = 0;
    } else if (seconds < 0.0995) {
        snprintf(out, WORDS, "%.1f ms", seconds * 1e3);
    } else if (seconds < 59.95) {
        snprintf(out, WORDS, seconds < 9.995 ? "%.2f s" : "%.1f s", seconds);
    } else {
        long long s = (long long)(seconds + 0.5);
        if (s < 3600)
            snprintf(out, WORDS, "%lld:%02lld", s / 60, s % 60);
        else
            snprintf(out, WORDS, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
    }
    return out;
}

static int local_time(double then, struct tm *t)
{
    time_t seconds = (time_t)then;
    return localtime_r(&seconds, t) != NULL;
}

const char *words_time(double then, char out[WORDS])
{
    struct tm t;
    out[0] = 0;
    if (then > 0 && local_time(then, &t))
        strftime(out, WORDS, "%Y-%m-%d %H:%M:%S", &t);
    return out;
}

const char *words_ago(double then, double now, char out[WORDS])
{
    double s = now - then;
    struct tm t;
    out[0] = 0;
    if (!(then > 0))
        return out;
    if (s < 10)
        snprintf(out, WORDS, "just now");
    else if (s < 60)
        snprintf(out, WORDS, "%d s ago", (int)s);
    else if (s < 3600)
        snprintf(out, WORDS, "%d min ago", (int)(s / 60));
    else if (s < 86400)
        snprintf(out, WORDS, "%d h ago", (int)(s / 3600));
    else if (s < 2 * 86400)
        snprintf(out, WORDS, "yesterday");
    else if (s < 14 * 86400)
        snprintf(out, WORDS, "%d days ago", (int)(s / 86400));
    else if (local_time(then, &t))
        strftime(out, WORDS, "%Y-%m-%d", &t);
    return out;
}

const char *words_bytes(int64_t bytes, char out[WORDS])
{
    static const char *const units[] = {"KB", "MB", "GB", "TB"};
    double n = (double)bytes;
    int unit = -1;
    for (; n >= 1024 && unit < 3; unit++)
        n /= 1024;
    if (unit < 0)
        snprintf(out, WORDS, "%lld B", (long long)bytes);
    else
        snprintf(out, WORDS, n < 10 ? "%.2f %s" : n < 100 ? "%.1f %s" : "%.0f %s", n, units[unit]);
    return out;
}

const char *words_value(const store_value *value, char out[WORDS])
{
    char number[32];
    switch (value->type) {
    case STORE_INTEGER:
        snprintf(out, WORDS, "%lld", (long long)value->integer);
        break;
    case STORE_BOOLEAN:
        snprintf(out, WORDS, "%s", value->integer ? "true" : "false");
        break;
    case STORE_REAL:
        snprintf(out, WORDS, "%s", text_real(value->real, number));
        break;
    case STORE_TEXT:
        if (snprintf(out, WORDS, "%s", value->text) >= WORDS) {
            size_t n = words_prefix(value->text, 40, NULL);
            snprintf(out, WORDS, "%.*s...", (int)(n < WORDS - 4 ? n : 0), value->text);
        }
        break;
    default:
        out[0] = 0;
    }
    return out;
}

/* ------------------------------------------------------------------------------------------------ cells ---- */

/* One character at *s; moves on.  A byte that begins none counts as a character of its own. */
static uint32_t next_character(const char **s)
{
    const unsigned char *p = (const unsigned char *)*s;
    int more = p[0] >= 0xf0 ? 3 : p[0] >= 0xe0 ? 2 : p[0] >= 0xc0 ? 1 : 0;
    uint32_t c = more == 3 ? p[0] & 7u : more == 2 ? p[0] & 15u : more == 1 ? p[0] & 31u : p[0];
    for (int i = 1; i <= more; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            *s += 1;
            return p[0];
        }
        c = c << 6 | (p[i] & 0x3fu);
    }
    *s += more + 1;
    return c;
}

/* Unicode's East Asian Width (UAX #11), by its large blocks; 0 for combining marks and joiners. */
static int character_width(uint32_t c)
{
    static const uint32_t wide[][2] = {{0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0x33ff},   {0x3400, 0x4dbf},
                                       {0x4e00, 0x9fff},   {0xa000, 0xa4cf},   {0xa960, 0xa97f},   {0xac00, 0xd7a3},
                                       {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},
                                       {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd}};
    static const uint32_t none[][2] = {{0x300, 0x36f}, {0x200b, 0x200f}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        if (c >= none[i][0] && c <= none[i][1])
            return 0;
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++)
        if (c >= wide[i][0] && c <= wide[i][1])
            return 2;
    return 1;
}

size_t words_prefix(const char *s, int cells, int *used)
{
    const char *at = s;
    int width = 0;
    while (*at) {
        const char *next = at;
        if (at[0] == '\033' && at[1] == '[') {
            next += strcspn(at, "m");
            at = next + (*next == 'm');
            continue;
        }
        int w = character_width(next_character(&next));
        if (width + w > cells)
            break;
        width += w;
        at = next;
    }
    if (used)
        *used = width;
    return (size_t)(at - s);
}

int words_width(const char *s)
{
    int used = 0;
    words_prefix(s, INT32_MAX, &used);
    return used;
}

/* ----------------------------------------------------------------------------------------------- sparks ---- */

/* The mean of the values that cell `i` of `cells` stands for; NaN when none of them is a number. */
static double cell_mean(const double *values, int64_t count, int i, int cells)
{
    int64_t begin = count * i / cells, end = count * (i + 1) / cells, n = 0;
    double sum = 0;
    for (int64_t k = begin; k < end; k++) {
        if (!isfinite(values[k]))
            continue;
        sum += values[k];
        n++;
    }
    return n ? sum / (double)n : NAN;
}

void words_spark(const double *values, int64_t count, double lo, double hi, int width, const view_style *style,
                 text *out)
{
    static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const ascii[] = {"_", ".", "-", "~", "=", "+", "*", "#"};
    int cells = count < width ? (int)count : width;
    for (int i = 0; i < cells; i++) {
        double v = cell_mean(values, count, i, cells);
        double share = hi > lo ? (v - lo) / (hi - lo) : 0.5;
        int level = isnan(v) ? -1 : (int)(fmin(fmax(share, 0), 1) * 7 + 0.5);
        text_add(out, level < 0 ? " " : style->utf8 ? blocks[level] : ascii[level]);
    }
}

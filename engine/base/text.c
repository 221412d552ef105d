/* Text that every room needs and C does not have: a buffer that grows, the spelling somebody probably meant, and
 * numbers that look the same under every locale (a German desktop must not write "0,001" into a JSON file). */
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------------------------------- the growing buffer ---- */

/* Makes room for `more` bytes and the final zero. */
static int reserve(text *t, size_t more)
{
    if (t->failed)
        return 0;
    size_t most = SIZE_MAX / 2;
    if (more >= most || t->length >= most - more - 1) {
        t->failed = 1;
        return 0;
    }
    size_t needed = t->length + more + 1;
    if (needed <= t->capacity)
        return 1;
    size_t capacity = t->capacity < 64 ? 64 : t->capacity;
    while (capacity < needed)
        capacity *= 2;
    char *bytes = realloc(t->bytes, capacity);
    if (!bytes) {
        t->failed = 1;
        return 0;
    }
    t->bytes = bytes;
    t->capacity = capacity;
    return 1;
}

void text_add_bytes(text *t, const void *bytes, size_t count)
{
    if (!reserve(t, count))
        return;
    if (count)
        memcpy(t->bytes + t->length, bytes, count);
    t->length += count;
    t->bytes[t->length] = 0;
}

void text_add(text *t, const char *s)
{
    text_add_bytes(t, s, strlen(s));
}

void text_format(text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0)
        t->failed = 1;
    if (n < 0 || !reserve(t, (size_t)n))
        return;
    va_start(args, format);
    vsnprintf(t->bytes + t->length, (size_t)n + 1, format, args);
    va_end(args);
    t->length += (size_t)n;
}

void text_free(text *t)
{
    free(t->bytes);
    *t = (text){0};
}

char *text_copy(const char *s)
{
    return s ? strdup(s) : NULL;
}

/* -------------------------------------------------------------------------------------- the nearest spelling ---- */

/* All costs in halves of an edit. */
#define EDIT      2
#define LONGEST   64 /* a longer word was not a misspelt name */
#define MOST_NEAR 6

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static int letter_cost(char a, char b)
{
    return a == b ? 0 : lower(a) == lower(b) ? 1 : EDIT;
}

static int smallest(int a, int b)
{
    return a < b ? a : b;
}

/* Optimal string alignment distance (Damerau's four edits, none inside another): d[i][j] of the first i letters of a
 * and the first j of b from its three neighbours and, for a transposition, the one two up and two left. */
static int distance(const char *a, int na, const char *b, int nb)
{
    int rows[3][LONGEST + 1];
    int *above2 = rows[0], *above = rows[1], *row = rows[2];
    for (int j = 0; j <= nb; j++)
        above[j] = j * EDIT;
    for (int i = 1; i <= na; i++) {
        row[0] = i * EDIT;
        for (int j = 1; j <= nb; j++) {
            int d = above[j - 1] + letter_cost(a[i - 1], b[j - 1]);
            d = smallest(d, smallest(above[j], row[j - 1]) + EDIT);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]) &&
                lower(a[i - 1]) != lower(a[i - 2]))
                d = smallest(d, above2[j - 2] + EDIT);
            row[j] = d;
        }
        int *oldest = above2;
        above2 = above;
        above = row;
        row = oldest;
    }
    return above[nb];
}

/* One edit for every three letters of the longer word, three at most; in words of one or two letters only case. */
static int near_enough(int na, int nb)
{
    int longer = na > nb ? na : nb;
    return longer < 3 ? 1 : smallest(longer / 3 * EDIT, MOST_NEAR);
}

static int begins_with(const char *name, const char *word, int length)
{
    for (int i = 0; i < length; i++)
        if (lower(name[i]) != lower(word[i])) /* stops at the end of name: word[i] is no zero */
            return 0;
    return 1;
}

const char *text_nearest(const char *word, const char *const *names)
{
    size_t length = word ? strlen(word) : 0;
    if (length == 0 || length > LONGEST || !names)
        return NULL;
    const char *best = NULL, *longer = NULL;
    int least = INT32_MAX;
    for (; *names; names++) {
        size_t n = strlen(*names);
        if (n == 0 || n > LONGEST)
            continue;
        int d = distance(word, (int)length, *names, (int)n);
        if (d < least && d <= near_enough((int)length, (int)n)) {
            least = d;
            best = *names;
        }
        if (!longer && length >= 3 && begins_with(*names, word, (int)length))
            longer = *names;
    }
    return best ? best : longer;
}

/* ----------------------------------------------------------------------------------------------------- numbers ---- */

char *text_thousands(int64_t value, char *out)
{
    char digits[24];
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    int n = snprintf(digits, sizeof digits, "%" PRIu64, magnitude);
    char *p = out;
    if (value < 0)
        *p++ = '-';
    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            *p++ = ',';
        *p++ = digits[i];
    }
    *p = 0;
    return out;
}

/* strtod with '.' as the decimal point.  glibc's "C" locale is a static object: making it costs nothing. */
static double read_c(const char *s, char **end)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    double value = c ? strtod_l(s, end, c) : strtod(s, end);
    if (c)
        freelocale(c);
    return value;
}

/* By their bits, because comparing denormals depends on the processor's state (fpu.h). */
static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* The digits and the decimal exponent of a finite value != 0, rounded to `precision` digits: d.ddd * 10^exponent.
 * Returns how many digits are left without trailing zeros. */
static int decimal(double magnitude, int precision, char digits[20], int *exponent)
{
    char written[64];
    snprintf(written, sizeof written, "%.*e", precision - 1, magnitude);
    char *e = strrchr(written, 'e');
    *exponent = (int)strtol(e + 1, NULL, 10);
    int n = 0;
    for (const char *p = written; p < e; p++) /* skips the decimal point, whatever the locale makes of it */
        if (*p >= '0' && *p <= '9' && n < 18)
            digits[n++] = *p;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    digits[n] = 0;
    return n;
}

static int reads_back(double magnitude, const char *digits, int count, int exponent)
{
    char written[64];
    snprintf(written, sizeof written, "%se%d", digits, exponent - (count - 1));
    return bits_of(read_c(written, NULL)) == bits_of(magnitude);
}

/* Lays the digits out as people write numbers: 1e+16 and more or less than 1e-04 with an exponent. */
static void lay_out(char *out, const char *digits, int count, int exponent)
{
    char *p = out;
    if (exponent < -4 || exponent >= 16) {
        *p++ = digits[0];
        if (count > 1)
            *p++ = '.';
        memcpy(p, digits + 1, (size_t)count - 1);
        p += count - 1;
        snprintf(p, (size_t)(31 - (p - out)), "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
        return;
    }
    if (exponent < 0) {
        *p++ = '0';
        *p++ = '.';
        for (int i = exponent + 1; i < 0; i++)
            *p++ = '0';
    }
    for (int i = 0; i < count || i <= exponent; i++) {
        if (exponent >= 0 && i == exponent + 1)
            *p++ = '.';
        *p++ = i < count ? digits[i] : '0';
    }
    *p = 0;
}

char *text_real(double value, char out[32])
{
    uint64_t bits = bits_of(value), magnitude_bits = bits & (UINT64_MAX >> 1);
    char *p = out;
    if (magnitude_bits > UINT64_C(0x7ff) << 52) {
        strcpy(out, "nan");
        return out;
    }
    if (bits != magnitude_bits)
        *p++ = '-';
    if (magnitude_bits == UINT64_C(0x7ff) << 52 || magnitude_bits == 0) {
        strcpy(p, magnitude_bits ? "inf" : "0");
        return out;
    }
    double magnitude;
    memcpy(&magnitude, &magnitude_bits, sizeof magnitude);
    /* A normal double keeps any 15 digits, so that fewer need not be tried: trailing zeros go anyway. */
    int precision = magnitude_bits >> 52 ? 15 : 1, count, exponent;
    char digits[20];
    do
        count = decimal(magnitude, precision++, digits, &exponent);
    while (precision <= 17 && !reads_back(magnitude, digits, count, exponent));
    lay_out(p, digits, count, exponent);
    return out;
}

/* strcasecmp follows the locale (a Turkish one has two kinds of i); this does not. */
static int same_word(const char *s, const char *word)
{
    while (*s && lower(*s) == *word) {
        s++;
        word++;
    }
    return *s == 0 && *word == 0;
}

int text_parse_real(const char *s, double *value)
{
    if (!s)
        return 0;
    const char *p = s + (*s == '-' || *s == '+');
    int word = same_word(p, "inf") || same_word(p, "infinity") || same_word(p, "nan");
    if (!word && strspn(p, "0123456789.eE+-") != strlen(p)) /* no blanks, no hexadecimal, no "nan(...)" */
        return 0;
    char *end;
    double read = read_c(s, &end);
    if (end == s || *end != 0)
        return 0;
    int overflow = (bits_of(read) & (UINT64_MAX >> 1)) == UINT64_C(0x7ff) << 52 && !word;
    if (overflow)
        return 0;
    *value = read;
    return 1;
}

int text_parse_integer(const char *s, int64_t *value)
{
    if (!s)
        return 0;
    const char *p = s + (*s == '-' || *s == '+');
    if (*p == 0 || strspn(p, "0123456789") != strlen(p))
        return 0;
    errno = 0;
    intmax_t read = strtoimax(s, NULL, 10);
    if (errno == ERANGE || read < INT64_MIN || read > INT64_MAX)
        return 0;
    *value = (int64_t)read;
    return 1;
}

int text_is_utf8(const char *s)
{
    const unsigned char *p = (const unsigned char *)s;
    while (*p) {
        uint32_t code = *p++, least;
        int more = code < 0x80                   ? 0
                   : code >= 0xC2 && code < 0xE0 ? 1
                   : code >= 0xE0 && code < 0xF0 ? 2
                   : code >= 0xF0 && code < 0xF5 ? 3
                                                 : -1;
        if (more < 0)
            return 0;
        least = more == 0 ? 0 : more == 1 ? 0x80 : more == 2 ? 0x800 : 0x10000;
        code &= more == 0 ? 0x7Fu : 0x3Fu >> more;
        for (; more > 0; more--, p++) {
            if ((*p & 0xC0) != 0x80)
                return 0;
            code = code << 6 | (*p & 0x3Fu);
        }
        if (code < least || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
            return 0;
    }
    return 1;
}

/* Small values: what may be a parameter, times as text, clean UTF-8, uuids. None of them follows the locale. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "store/internal.h"

store_value store_integer(int64_t value)
{
    return (store_value){.type = STORE_INTEGER, .integer = value};
}

store_value store_real(double value)
{
    return (store_value){.type = STORE_REAL, .real = value};
}

store_value store_text(const char *value)
{
    return (store_value){.type = value ? STORE_TEXT : STORE_NULL, .text = value};
}

store_value store_boolean(int value)
{
    return (store_value){.type = STORE_BOOLEAN, .integer = value != 0};
}

int store_value_equal(const store_value *a, const store_value *b)
{
    if (a->type != b->type)
        return 0;
    switch (a->type) {
    case STORE_INTEGER:
    case STORE_BOOLEAN:
        return a->integer == b->integer;
    case STORE_REAL:
        return a->real == b->real || (isnan(a->real) && isnan(b->real));
    case STORE_TEXT:
        return strcmp(a->text, b->text) == 0;
    default:
        return 1;
    }
}

double store_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t milliseconds = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    return (double)milliseconds / 1000.0;
}

/* Days since 1970 of a date in the Gregorian calendar, and back (Howard Hinnant, "chrono-compatible low-level date
 * algorithms"): eras of 400 years that begin in March. */
static int64_t days_of_date(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t in_era = year - era * 400;
    int64_t in_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

static void date_of_days(int64_t days, int64_t *year, int *month, int *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t in_era = days - era * 146097;
    int64_t y = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int64_t in_year = in_era - (365 * y + y / 4 - y / 100);
    int64_t m = (5 * in_year + 2) / 153;
    *day = (int)(in_year - (153 * m + 2) / 5 + 1);
    *month = (int)(m < 10 ? m + 3 : m - 9);
    *year = y + era * 400 + (*month <= 2);
}

static void put_digits(char *at, int digits, int64_t value)
{
    while (digits--) {
        at[digits] = (char)('0' + value % 10);
        value /= 10;
    }
}

const char *time_format(double time, char out[TIME_TEXT])
{
    /* 1970-01-01 .. 9999-12-31 */
    if (!(time > 0 && time < 253402300799.0))
        return NULL;
    int64_t ms = (int64_t)(time * 1000.0 + 0.5);
    int64_t seconds = ms / 1000, of_day = seconds % 86400, year;
    int month, day;
    date_of_days(seconds / 86400, &year, &month, &day);
    memcpy(out, "0000-00-00T00:00:00.000Z", 25);
    put_digits(out, 4, year);
    put_digits(out + 5, 2, month);
    put_digits(out + 8, 2, day);
    put_digits(out + 11, 2, of_day / 3600);
    put_digits(out + 14, 2, of_day / 60 % 60);
    put_digits(out + 17, 2, of_day % 60);
    put_digits(out + 20, 3, ms % 1000);
    return out;
}

double time_parse(const char *source)
{
    static const char shape[] = "0000-00-00T00:00:00.000Z";
    if (!source || strlen(source) != sizeof shape - 1)
        return 0;
    int64_t field[7] = {0};
    int at = 0;
    for (size_t i = 0; i < sizeof shape - 1; ++i) {
        if (shape[i] == '0') {
            if (source[i] < '0' || source[i] > '9')
                return 0;
            field[at] = field[at] * 10 + (source[i] - '0');
        } else {
            if (source[i] != shape[i])
                return 0;
            at += at < 6;
        }
    }
    int64_t days = days_of_date(field[0], (int)field[1], (int)field[2]);
    return (double)(((days * 24 + field[3]) * 60 + field[4]) * 60 + field[5]) + (double)field[6] / 1000.0;
}

/* The length of the UTF-8 sequence at `s` (RFC 3629: no overlong form, no surrogate, at most U+10FFFF), 0 when there is
 * none. */
static size_t utf8_length(const unsigned char *s, size_t bytes)
{
    unsigned char low = 0x80, high = 0xbf;
    size_t length;
    if (s[0] < 0x80)
        return 1;
    if (s[0] < 0xc2 || s[0] > 0xf4)
        return 0;
    length = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (s[0] == 0xe0)
        low = 0xa0;
    else if (s[0] == 0xed)
        high = 0x9f;
    else if (s[0] == 0xf0)
        low = 0x90;
    else if (s[0] == 0xf4)
        high = 0x8f;
    if (bytes < length || s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < length; ++i)
        if (s[i] < 0x80 || s[i] > 0xbf)
            return 0;
    return length;
}

size_t utf8_clean(const char *source, size_t bytes, char *out)
{
    const unsigned char *s = (const unsigned char *)source;
    size_t written = 0;
    for (size_t i = 0; i < bytes;) {
        size_t length = utf8_length(s + i, bytes - i);
        const char *from = length ? source + i : "\xef\xbf\xbd";
        size_t count = length ? length : 3;
        if (out)
            memcpy(out + written, from, count);
        written += count;
        i += length ? length : 1;
    }
    return written;
}

int utf8_valid(const char *source, size_t bytes)
{
    const unsigned char *s = (const unsigned char *)source;
    for (size_t i = 0; i < bytes;) {
        size_t length = s[i] < 0x80 ? 1 : utf8_length(s + i, bytes - i);
        if (!length)
            return 0;
        i += length;
    }
    return 1;
}

int store_uuid(char uuid[STORE_UUID], error *e)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char random[16];
    ssize_t got;
    do
        got = getrandom(random, sizeof random, 0);
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof random)
        return error_system(e, errno, "cannot name a run: the system gave no random numbers");
    random[6] = (unsigned char)(0x40 | (random[6] & 0x0f)); /* version 4 */
    random[8] = (unsigned char)(0x80 | (random[8] & 0x3f)); /* variant of RFC 9562 */
    char *at = uuid;
    for (int i = 0; i < 16; ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        *at++ = digits[random[i] >> 4];
        *at++ = digits[random[i] & 15];
    }
    *at = 0;
    return PLN_E_OK;
}

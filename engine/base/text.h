/* Text: a growing buffer, the nearest spelling, numbers as people read them.
 * Numbers never follow the locale. Thread rule: a buffer belongs to one thread; the rest are pure functions. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* A text that grows.  Begin with `text t = {0}`; end with text_free or hand `t.bytes` on (malloc'd).  After an
 * allocation failed, `failed` is set, further additions do nothing, and `bytes` stays a valid text or NULL. */
typedef struct text {
    char *bytes;
    size_t length, capacity;
    int failed;
} text;

void text_add(text *t, const char *s);
void text_add_bytes(text *t, const void *bytes, size_t count);
void text_format(text *t, const char *format, ...) ERROR_FORMAT(2, 3);
void text_free(text *t);

/* Is it UTF-8, without overlong forms and surrogates? */
int text_is_utf8(const char *s);

/* A copy in malloc'd memory, NULL when there is none (or `s` is NULL). */
char *text_copy(const char *s);

/* The entry of `names` (ended by NULL) nearest to `word` by edit distance (transpositions count one, case counts
 * half), or NULL when none is near enough to be meant. */
const char *text_nearest(const char *word, const char *const *names);

/* 866798 -> "866,798"; out holds at least 32 bytes.  Returns out. */
char *text_thousands(int64_t value, char *out);

/* The shortest decimal that reads back as the same double ("0.001", "1e-07"), '.' whatever the locale. */
char *text_real(double value, char out[32]);

/* Reads a whole double / integer, '.' whatever the locale.  Returns 0 and leaves *value alone when `s` is not one. */
int text_parse_real(const char *s, double *value);
int text_parse_integer(const char *s, int64_t *value);

#endif

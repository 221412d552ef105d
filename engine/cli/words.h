/* words.h: numbers, times and sizes as the commands print them; one place, so that all listings read alike.
 *
 * Every function writes into `out`, which holds at least WORDS bytes, and returns it.  "not known" (NaN, 0 for times, a
 * NULL text) is an empty text.  Thread rule: pure.
 */
#ifndef CLI_WORDS_H
#define CLI_WORDS_H

#include <stdint.h>

#include "picture/view.h"
#include "store/store.h"

#define WORDS 64

/* A metric: "0.9163", "12.3456", "1.00e-05", "nan". */
const char *words_metric(double value, char out[WORDS]);

/* A learning rate: "1.0e-03". */
const char *words_rate(double value, char out[WORDS]);

/* A duration: "8.3 ms", "0.80 s", "12.3 s", "1:23", "1:06:40". */
const char *words_seconds(double seconds, char out[WORDS]);

/* How long ago `then` was, seen from `now`: "just now", "3 min ago", "yesterday", "2026-05-01". */
const char *words_ago(double then, double now, char out[WORDS]);

/* "2026-05-01 12:34:56", in the local time zone. */
const char *words_time(double then, char out[WORDS]);

/* "3.31 MB" (1024 * 1024, as Keras counts). */
const char *words_bytes(int64_t bytes, char out[WORDS]);

/* A parameter's value: 0.001, 128, relu, true. */
const char *words_value(const store_value *value, char out[WORDS]);

/* Block characters as high as the values, lowest to highest of lo .. hi, drawn in at most `width` cells (neighbours are
 * averaged); what is no number is a blank. */
void words_spark(const double *values, int64_t count, double lo, double hi, int width, const view_style *style,
                 text *out);

/* Cells that a text takes on a terminal: wide characters (East Asian, pictographs) take two, combining ones none, colour
 * codes none. */
int words_width(const char *s);

/* The first bytes of `s` that take at most `cells` cells; *used receives how many cells they take (may be NULL). */
size_t words_prefix(const char *s, int cells, int *used);

#endif

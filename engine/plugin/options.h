/* Options: from what a script wrote to the struct that a plugin declared, checked against the declaration.
 * Thread rule: pure, apart from what they write. */
#ifndef PLUGIN_OPTIONS_H
#define PLUGIN_OPTIONS_H

#include <jansson.h>

#include "base/error.h"
#include "plugin/registry.h"

enum { VALUE_INT = 1, VALUE_REAL, VALUE_BOOL, VALUE_TEXT, VALUE_LIST, VALUE_OTHER };

/* A value as written in a script. */
typedef struct option_value {
    const char *name; /* NULL: the table's positional list or value */
    int kind;
    int64_t integer;    /* INT, BOOL */
    double real;        /* REAL */
    const char *text;   /* TEXT; OTHER: what it is, for the message ("a function") */
    const double *list; /* LIST of numbers */
    int64_t count;
} option_value;

/* A filled-in options struct and the texts it points to. */
typedef struct options {
    void *bytes; /* [head->opts_size] */
    char **texts;
    int ntexts;
} options;

/* Checks `values` against the declaration and fills in the rest with defaults.  `extra` (ended by NULL, may be NULL) are
 * further names that the caller understands, for suggestions.  On failure nothing is owned.
 * Messages begin with the type: "Conv2D: unknown option 'filter' (did you mean 'filters'?)". */
int options_make(const plugin_head *head, const option_value *values, int n, const char *const *extra, options *out,
                 error *e);
void options_free(options *o);

/* Sets one option that is PLN_LIVE. */
int options_set(const plugin_head *head, options *o, const option_value *value, error *e);

/* All options with their values, as a JSON object (a new reference) or NULL without memory. */
json_t *options_json(const plugin_head *head, const void *opts);

/* A value as it stands in a file, for options_make; `list` holds the numbers of a list. */
#define OPTIONS_LIST 64
void options_value_of_json(const char *name, const json_t *j, option_value *v, double list[OPTIONS_LIST]);

/* The declaration's entry number i (strides respected). */
const pln_option *options_at(const plugin_head *head, uint32_t i);

#endif

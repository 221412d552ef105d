/* json.h: what commands with --json print, through jansson.  Keys of a listing are those of its table in the database.
 * Thread rule: one thread. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <jansson.h>

#include "cli/command.h"
#include "store/store.h"

#define JSON_OPTION                                                                                                    \
    {                                                                                                                  \
        "json", NULL, "print JSON instead"                                                                             \
    }

/* Prints `j` on stdout and gives the reference back.  CLI_DONE, or CLI_FAILED after saying that there is no memory (`j`
 * NULL) or that it cannot be written. */
int json_print(const arguments *a, json_t *j);

/* A number, or null for what JSON cannot say (NaN, infinity); a text or null; a time as text in UTC, or null. */
json_t *json_number(double value);
json_t *json_text(const char *s);
json_t *json_time(double seconds);
json_t *json_value(const store_value *v);

/* An object of these fields, whose references it takes; NULL without memory.  Use:
 *     return JSON_OBJECT({"id", json_integer(7)}, {"name", json_text(name)}); */
typedef struct json_field {
    const char *name;
    json_t *value;
} json_field;
json_t *json_fields(const json_field *fields, size_t count);
#define JSON_OBJECT(...)                                                                                               \
    json_fields((const json_field[]){__VA_ARGS__}, sizeof((const json_field[]){__VA_ARGS__}) / sizeof(json_field))

/* Appends to an array that may be NULL already; NULL without memory (the array is then given back). */
json_t *json_push(json_t *array, json_t *value);

/* The same for an object. */
json_t *json_put(json_t *object, const char *name, json_t *value);

#endif

/* JSON for the commands that list. */
#include "cli/json.h"

#include <math.h>
#include <time.h>

int json_print(const arguments *a, json_t *j)
{
    if (!j)
        return command_fail(a->command, "out of memory");
    int failed = json_dumpf(j, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(17)) != 0 || putchar('\n') == EOF;
    json_decref(j);
    return failed || fflush(stdout) != 0 ? command_fail(a->command, "cannot write to standard output") : CLI_DONE;
}

json_t *json_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *json_text(const char *s)
{
    return s ? json_string(s) : json_null();
}

json_t *json_time(double seconds)
{
    struct tm t;
    char out[32], whole[48];
    time_t s = (time_t)floor(seconds);
    if (!(seconds > 0) || !gmtime_r(&s, &t) || !strftime(out, sizeof out, "%Y-%m-%dT%H:%M:%S", &t))
        return json_null();
    snprintf(whole, sizeof whole, "%s.%03dZ", out, (int)((seconds - floor(seconds)) * 1000));
    return json_string(whole);
}

json_t *json_value(const store_value *v)
{
    switch (v->type) {
    case STORE_INTEGER:
        return json_integer(v->integer);
    case STORE_BOOLEAN:
        return json_boolean(v->integer);
    case STORE_REAL:
        return json_number(v->real);
    case STORE_TEXT:
        return json_text(v->text);
    default:
        return json_null();
    }
}

json_t *json_fields(const json_field *fields, size_t count)
{
    json_t *o = json_object();
    int failed = !o;
    for (size_t i = 0; i < count; i++)
        failed |= json_object_set_new(o, fields[i].name, fields[i].value) != 0; /* takes the reference in any case */
    if (failed)
        json_decref(o);
    return failed ? NULL : o;
}

json_t *json_push(json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) == 0)
        return array;
    json_decref(array);
    return NULL;
}

json_t *json_put(json_t *object, const char *name, json_t *value)
{
    if (json_object_set_new(object, name, value) == 0)
        return object;
    json_decref(object);
    return NULL;
}

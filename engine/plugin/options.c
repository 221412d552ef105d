/* Options from scripts and files into a plugin's struct.  One declaration serves parsing, checking, storing and
 * documentation, so that a layer's author writes a table and never a parser. */
#include "plugin/options.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static const char *const KIND_WORDS[] = {
    [VALUE_INT] = "an integer", [VALUE_REAL] = "a number", [VALUE_BOOL] = "a boolean",
    [VALUE_TEXT] = "a string",  [VALUE_LIST] = "a list",   [VALUE_OTHER] = "something else",
};

const pln_option *options_at(const plugin_head *head, uint32_t i)
{
    return (const pln_option *)((const char *)head->options + (size_t)i * head->option_stride);
}

static int same_name(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static const pln_option *option_find(const plugin_head *head, const char *name)
{
    for (uint32_t i = 0; i < head->noptions; i++)
        if (same_name(options_at(head, i)->name, name))
            return options_at(head, i);
    return NULL;
}

static const pln_option *option_positional(const plugin_head *head)
{
    for (uint32_t i = 0; i < head->noptions; i++)
        if (options_at(head, i)->flags & PLN_POSITIONAL)
            return options_at(head, i);
    return NULL;
}

/* "unknown option 'filter' (did you mean 'filters'?)" */
static int unknown_option(const plugin_head *head, const char *name, const char *const *extra, error *e)
{
    size_t n = head->noptions, more = 0;
    while (extra && extra[more])
        more++;
    const char **names = calloc(n + more + 1, sizeof *names);
    if (!names)
        return error_memory(e);
    for (uint32_t i = 0; i < n; i++)
        names[i] = options_at(head, i)->name;
    for (size_t i = 0; i < more; i++)
        names[n + i] = extra[i];
    const char *near = text_nearest(name, names);
    text all = {0};
    for (size_t i = 0; i < n + more; i++)
        text_format(&all, "%s%s", i ? ", " : "", names[i]);
    if (near)
        error_set(e, PLN_E_INVALID, "%s: unknown option '%s' (did you mean '%s'?)", head->name, name, near);
    else if (n + more == 0)
        error_set(e, PLN_E_INVALID, "%s: unknown option '%s'; it has none", head->name, name);
    else
        error_set(e, PLN_E_INVALID, "%s: unknown option '%s'; it has %s", head->name, name,
                  all.bytes ? all.bytes : "others");
    text_free(&all);
    free(names);
    return PLN_E_INVALID;
}

/* ---- what a declaration wants, in words ---- */

static int bounded(const pln_option *o)
{
    return o->lo < o->hi;
}

/* "an integer", "a number between 0 and 1 (1 not allowed)", "one of valid, same" */
static void wanted(const pln_option *o, text *t)
{
    switch (o->type) {
    case PLN_INT:
        text_add(t, "an integer");
        break;
    case PLN_REAL:
        text_add(t, "a number");
        break;
    case PLN_BOOL:
        text_add(t, "true or false");
        break;
    case PLN_TEXT:
        text_add(t, "a string");
        break;
    case PLN_CHOICE:
        text_add(t, "one of ");
        for (int i = 0; o->choices[i]; i++)
            text_format(t, "%s\"%s\"", i ? ", " : "", o->choices[i]);
        break;
    case PLN_INTS:
        if (o->flags & PLN_SPREAD)
            text_format(t, "an integer or %u integers", (unsigned)o->max_count);
        else
            text_format(t, "a list of at most %u integers", (unsigned)o->max_count);
        break;
    }
    if (!bounded(o) || o->type == PLN_CHOICE || o->type == PLN_BOOL || o->type == PLN_TEXT)
        return;
    char lo[32], hi[32];
    int no_lo = o->flags & PLN_OPEN_LO, no_hi = o->flags & PLN_OPEN_HI;
    text_real(o->lo, lo);
    text_real(o->hi, hi);
    if (o->hi >= 1e9)
        text_format(t, no_lo ? " above %s" : " of at least %s", lo);
    else if (o->lo <= -1e9)
        text_format(t, no_hi ? " below %s" : " of at most %s", hi);
    else
        text_format(t, " from %s%s to %s%s", lo, no_lo ? " (excluded)" : "", hi, no_hi ? " (excluded)" : "");
}

static void given(const option_value *v, text *t)
{
    char number[32];
    switch (v->kind) {
    case VALUE_INT:
        text_format(t, "%lld", (long long)v->integer);
        break;
    case VALUE_REAL:
        text_add(t, isnan(v->real) ? "NaN" : isinf(v->real) ? "infinity" : text_real(v->real, number));
        break;
    case VALUE_BOOL:
        text_add(t, v->integer ? "true" : "false");
        break;
    case VALUE_TEXT:
        text_format(t, "\"%.60s\"", v->text);
        break;
    case VALUE_LIST:
        text_add(t, "{");
        for (int64_t i = 0; i < v->count && i < 8; i++)
            text_format(t, "%s%s", i ? ", " : "", text_real(v->list[i], number));
        text_add(t, v->count > 8 ? ", ...}" : "}");
        break;
    default:
        text_add(t, v->text ? v->text : KIND_WORDS[VALUE_OTHER]);
    }
}

static int misfit(const plugin_head *head, const pln_option *o, const option_value *v, error *e)
{
    text w = {0}, g = {0};
    wanted(o, &w);
    given(v, &g);
    const char *near = o->type == PLN_CHOICE && v->kind == VALUE_TEXT ? text_nearest(v->text, o->choices) : NULL;
    error_set(e, PLN_E_INVALID, "%s: option '%s' must be %s, not %s", head->name, o->name, w.bytes ? w.bytes : "",
              g.bytes ? g.bytes : "");
    if (near && e) {
        size_t n = strlen(e->text);
        snprintf(e->text + n, sizeof e->text - n, " (did you mean \"%s\"?)", near);
    }
    text_free(&w);
    text_free(&g);
    return PLN_E_INVALID;
}

/* ---- conversion ---- */

static int in_bounds(const pln_option *o, double x)
{
    if (!bounded(o))
        return 1;
    int above = o->flags & PLN_OPEN_LO ? x > o->lo : x >= o->lo;
    int below = o->flags & PLN_OPEN_HI ? x < o->hi : x <= o->hi;
    return above && below;
}

/* A whole number that an int64_t holds exactly. */
static int whole(double x, int64_t *out)
{
    if (!(x >= -9007199254740992.0 && x <= 9007199254740992.0) || x != floor(x))
        return 0;
    *out = (int64_t)x;
    return 1;
}

static int as_integer(const option_value *v, int64_t *out)
{
    if (v->kind == VALUE_INT) {
        *out = v->integer;
        return 1;
    }
    return v->kind == VALUE_REAL && whole(v->real, out);
}

static int add_text(options *out, const char *s, const char **kept)
{
    char **grown = realloc(out->texts, (size_t)(out->ntexts + 1) * sizeof *grown);
    if (!grown)
        return 0;
    out->texts = grown;
    char *copy = text_copy(s);
    if (!copy)
        return 0;
    grown[out->ntexts++] = copy;
    *kept = copy;
    return 1;
}

static int put_ints(const pln_option *o, const option_value *v, char *at, char *base)
{
    int64_t *list = (int64_t *)(void *)at, one;
    if (as_integer(v, &one)) {
        if (!in_bounds(o, (double)one))
            return 0;
        int64_t n = o->flags & PLN_SPREAD ? o->max_count : 1;
        for (int64_t i = 0; i < n; i++)
            list[i] = one;
        if (o->count_offset)
            memcpy(base + o->count_offset, &n, sizeof n);
        return 1;
    }
    if (v->kind != VALUE_LIST || v->count > o->max_count || v->count < 1 ||
        ((o->flags & PLN_SPREAD) && v->count != o->max_count))
        return 0;
    for (int64_t i = 0; i < v->count; i++)
        if (!whole(v->list[i], &list[i]) || !in_bounds(o, v->list[i]))
            return 0;
    if (o->count_offset)
        memcpy(base + o->count_offset, &v->count, sizeof v->count);
    return 1;
}

static int put_choice(const pln_option *o, const option_value *v, char *at)
{
    for (int64_t i = 0; v->kind == VALUE_TEXT && o->choices[i]; i++)
        if (same_name(o->choices[i], v->text)) {
            memcpy(at, &i, sizeof i);
            return 1;
        }
    return 0;
}

/* Writes a value into the struct; 0 when it does not fit, -1 without memory. */
static int put(const pln_option *o, const option_value *v, options *out)
{
    char *base = out->bytes, *at = base + o->offset;
    int64_t integer;
    double real;
    const char *kept;
    switch (o->type) {
    case PLN_INT:
        if (!as_integer(v, &integer) || !in_bounds(o, (double)integer))
            return 0;
        memcpy(at, &integer, sizeof integer);
        return 1;
    case PLN_REAL:
        real = v->kind == VALUE_INT ? (double)v->integer : v->real;
        if ((v->kind != VALUE_INT && v->kind != VALUE_REAL) || !isfinite(real) || !in_bounds(o, real))
            return 0;
        memcpy(at, &real, sizeof real);
        return 1;
    case PLN_BOOL:
        if (v->kind != VALUE_BOOL)
            return 0;
        memcpy(at, &v->integer, sizeof v->integer);
        return 1;
    case PLN_CHOICE:
        return put_choice(o, v, at);
    case PLN_INTS:
        return put_ints(o, v, at, base);
    case PLN_TEXT:
        if (v->kind != VALUE_TEXT)
            return 0;
        if (!add_text(out, v->text, &kept))
            return -1;
        memcpy(at, &kept, sizeof kept);
        return 1;
    }
    return 0;
}

/* The default goes in unchecked: it is the author's, and plugin_check has seen it. */
static int put_default(const pln_option *o, options *out)
{
    char *base = out->bytes, *at = base + o->offset;
    int64_t integer = (int64_t)o->dflt;
    switch (o->type) {
    case PLN_REAL:
        memcpy(at, &o->dflt, sizeof o->dflt);
        return 1;
    case PLN_TEXT:
        memcpy(at, &o->dflt_text, sizeof o->dflt_text);
        return 1;
    case PLN_INTS:
        for (uint32_t i = 0; (o->flags & PLN_SPREAD) && i < o->max_count; i++)
            memcpy(at + i * sizeof integer, &integer, sizeof integer);
        if ((o->flags & PLN_SPREAD) && o->count_offset)
            memcpy(base + o->count_offset, &(int64_t){o->max_count}, sizeof(int64_t));
        return 1;
    default:
        memcpy(at, &integer, sizeof integer);
        return 1;
    }
}

static int put_value(const plugin_head *head, const option_value *v, const char *const *extra, options *out, char *seen,
                     error *e)
{
    const pln_option *o = v->name ? option_find(head, v->name) : option_positional(head);
    if (!o && !v->name) {
        text g = {0};
        given(v, &g);
        error_set(e, PLN_E_INVALID, "%s: %s has no name; write the option's name before it, as in %s = ...", head->name,
                  g.bytes ? g.bytes : "a value", head->noptions ? options_at(head, 0)->name : "name");
        text_free(&g);
        return PLN_E_INVALID;
    }
    if (!o)
        return unknown_option(head, v->name, extra, e);
    uint32_t i = (uint32_t)(((const char *)o - (const char *)head->options) / head->option_stride);
    if (seen[i])
        return error_set(e, PLN_E_INVALID, "%s: option '%s' is given twice, by name and by position", head->name,
                         o->name);
    int status = put(o, v, out);
    if (status < 0)
        return error_memory(e);
    if (status == 0)
        return misfit(head, o, v, e);
    seen[i] = 1;
    return PLN_OK;
}

int options_make(const plugin_head *head, const option_value *values, int n, const char *const *extra, options *out,
                 error *e)
{
    int status = PLN_OK;
    char *seen = calloc(head->noptions + 1u, 1);
    *out = (options){.bytes = calloc(1, head->opts_size + 1u)};
    if (!seen || !out->bytes) {
        status = error_memory(e);
        goto fail;
    }
    for (uint32_t i = 0; i < head->noptions; i++)
        put_default(options_at(head, i), out);
    for (int i = 0; i < n; i++)
        if ((status = put_value(head, &values[i], extra, out, seen, e)) != PLN_OK)
            goto fail;
    for (uint32_t i = 0; i < head->noptions; i++) {
        const pln_option *o = options_at(head, i);
        if ((o->flags & PLN_REQUIRED) && !seen[i]) {
            text w = {0};
            wanted(o, &w);
            status = error_set(e, PLN_E_INVALID, "%s: option '%s' is missing; it must be %s (%s)", head->name, o->name,
                               w.bytes ? w.bytes : "", o->help);
            text_free(&w);
            goto fail;
        }
    }
    free(seen);
    return PLN_OK;
fail:
    free(seen);
    options_free(out);
    return status;
}

void options_free(options *o)
{
    for (int i = 0; i < o->ntexts; i++)
        free(o->texts[i]);
    free(o->texts);
    free(o->bytes);
    *o = (options){0};
}

int options_set(const plugin_head *head, options *o, const option_value *value, error *e)
{
    const pln_option *option = value->name ? option_find(head, value->name) : NULL;
    if (!option)
        return unknown_option(head, value->name ? value->name : "", NULL, e);
    if (!(option->flags & PLN_LIVE))
        return error_set(e, PLN_E_INVALID, "%s: option '%s' cannot be changed during training", head->name,
                         option->name);
    int status = put(option, value, o);
    return status > 0 ? PLN_OK : status < 0 ? error_memory(e) : misfit(head, option, value, e);
}

/* ---- JSON ---- */

static json_t *option_json(const pln_option *o, const char *base)
{
    const char *at = base + o->offset;
    int64_t integer = 0, count = o->max_count;
    double real;
    const char *s;
    switch (o->type) {
    case PLN_INT:
        memcpy(&integer, at, sizeof integer);
        return json_integer(integer);
    case PLN_BOOL:
        memcpy(&integer, at, sizeof integer);
        return json_boolean(integer != 0);
    case PLN_CHOICE:
        memcpy(&integer, at, sizeof integer);
        return json_string(o->choices[integer]);
    case PLN_REAL:
        memcpy(&real, at, sizeof real);
        return isfinite(real) ? json_real(real) : json_null(); /* only a default can be infinite */
    case PLN_TEXT:
        memcpy(&s, at, sizeof s);
        return s ? json_string(s) : json_null();
    }
    json_t *list = json_array();
    if (o->count_offset)
        memcpy(&count, base + o->count_offset, sizeof count);
    if (count == 0) { /* a list that was not given */
        json_decref(list);
        return json_null();
    }
    for (int64_t i = 0; list && i < count; i++) {
        memcpy(&integer, at + (size_t)i * sizeof integer, sizeof integer);
        json_array_append_new(list, json_integer(integer));
    }
    return list;
}

json_t *options_json(const plugin_head *head, const void *opts)
{
    json_t *object = json_object();
    for (uint32_t i = 0; object && i < head->noptions; i++) {
        const pln_option *o = options_at(head, i);
        if (json_object_set_new(object, o->name, option_json(o, opts)) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

void options_value_of_json(const char *name, const json_t *j, option_value *v, double list[OPTIONS_LIST])
{
    *v = (option_value){.name = name, .kind = VALUE_OTHER, .text = "a value of an unknown kind"};
    if (json_is_boolean(j)) {
        v->kind = VALUE_BOOL;
        v->integer = json_is_true(j);
    } else if (json_is_string(j)) {
        v->kind = VALUE_TEXT;
        v->text = json_string_value(j);
    } else if (json_is_integer(j)) {
        v->kind = VALUE_INT;
        v->integer = json_integer_value(j);
    } else if (json_is_real(j)) {
        v->kind = VALUE_REAL;
        v->real = json_real_value(j);
    } else if (json_is_array(j) && json_array_size(j) <= OPTIONS_LIST) {
        v->kind = VALUE_LIST;
        v->count = (int64_t)json_array_size(j);
        for (size_t i = 0; i < json_array_size(j); i++) {
            const json_t *one = json_array_get(j, i);
            list[i] = json_is_number(one) ? json_number_value(one) : NAN;
        }
        v->list = list;
    }
}

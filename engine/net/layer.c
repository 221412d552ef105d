/* Layer instances: a type with its options, and what the host itself understands of every layer: name, trainable,
 * activation. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "net/model.h"

static const char *const HOST_OPTIONS[] = {"name", "trainable", "activation", NULL};

static int declares(const plugin_head *head, const char *option)
{
    for (uint32_t i = 0; i < head->noptions; i++)
        if (strcmp(options_at(head, i)->name, option) == 0)
            return 1;
    return 0;
}

static int bad_host_option(const layer *l, const option_value *v, const char *want, error *e)
{
    return error_set(e, PLN_E_INVALID, "%s: option '%s' must be %s", l->entry->head->name, v->name, want);
}

static int take_name(layer *l, const option_value *v, error *e)
{
    if (v->kind != VALUE_TEXT || !v->text[0])
        return bad_host_option(l, v, "a string, at least one character long", e);
    if (strlen(v->text) > 79 || strpbrk(v->text, "/\"\\\n\r\t#"))
        return bad_host_option(l, v, "at most 79 bytes, without slash, quotes, backslash, # or line breaks", e);
    if (!text_is_utf8(v->text))
        return bad_host_option(l, v, "UTF-8", e);
    snprintf(l->name, sizeof l->name, "%s", v->text);
    l->named = 1;
    return PLN_OK;
}

/* "snake" becomes "Snake", "hard_snake" "HardSnake". */
static void camel_case(const char *name, char *out, size_t size)
{
    size_t n = 0;
    int upper = 1;
    for (; *name && n + 1 < size; name++) {
        if (*name == '_') {
            upper = 1;
            continue;
        }
        out[n++] = upper && *name >= 'a' && *name <= 'z' ? (char)(*name - 'a' + 'A') : *name;
        upper = 0;
    }
    out[n] = 0;
}

/* Activations are written in snake case: where none is called so, the layer Snake is meant by "snake". */
static int make_activation(registry *plugins, const char *name, layer **out, error *e)
{
    char camel[96];
    error ignored;
    int status = layer_make(plugins, name, NULL, 0, NULL, out, e);
    if (status != PLN_E_MISSING)
        return status;
    camel_case(name, camel, sizeof camel);
    if (strcmp(camel, name) == 0)
        return status;
    return layer_make(plugins, camel, NULL, 0, NULL, out, &ignored) == PLN_OK ? PLN_OK : status;
}

/* activation = "relu": one more layer, of that type, applied after each use. */
static int take_activation(layer *l, registry *plugins, const option_value *v, error *e)
{
    error why;
    if (v->kind == VALUE_OTHER && strcmp(v->text, "nil") == 0)
        return PLN_OK;
    if (v->kind != VALUE_TEXT)
        return bad_host_option(l, v, "the name of an activation, such as \"relu\"", e);
    if (make_activation(plugins, v->text, &l->activation, &why) != PLN_OK)
        return error_set(e, why.status, "%s: activation: %s", l->entry->head->name, why.text);
    l->activation->hidden = 1;
    if (l->activation->type->max_in != 1)
        return error_set(e, PLN_E_INVALID, "%s: activation '%s' is not a layer of one input", l->entry->head->name,
                         v->text);
    return PLN_OK;
}

static int take_host_option(layer *l, registry *plugins, const option_value *v, error *e)
{
    if (strcmp(v->name, "name") == 0)
        return take_name(l, v, e);
    if (strcmp(v->name, "activation") == 0)
        return take_activation(l, plugins, v, e);
    if (v->kind != VALUE_BOOL)
        return bad_host_option(l, v, "true or false", e);
    l->trainable = v->integer != 0;
    return PLN_OK;
}

static int is_host_option(const plugin_head *head, const char *name)
{
    for (int i = 0; name && HOST_OPTIONS[i]; i++)
        if (strcmp(HOST_OPTIONS[i], name) == 0)
            return !declares(head, name);
    return 0;
}

static int check_initializers(const layer *l, error *e)
{
    const plugin_head *head = l->entry->head;
    for (uint32_t i = 0; i < head->noptions; i++) {
        const pln_option *o = options_at(head, i);
        const char *value;
        error why;
        if (!(o->flags & PLN_INITIALIZER))
            continue;
        memcpy(&value, (const char *)l->opts.bytes + o->offset, sizeof value);
        if (value && initializer_check(value, &why) != PLN_OK)
            return error_set(e, PLN_E_INVALID, "%s: option '%s': %s", head->name, o->name, why.text);
    }
    return PLN_OK;
}

static int fill_layer(layer *l, registry *plugins, const char *type, const option_value *values, int n, error *e)
{
    int status = registry_find(plugins, PLN_LAYER, type, &l->entry, e), rest = 0;
    if (status != PLN_OK)
        return status;
    const plugin_head *head = l->entry->head;
    l->type = (const pln_layer *)(const void *)head;
    option_value *own = calloc((size_t)n + 1, sizeof *own);
    if (!own)
        return error_memory(e);
    for (int i = 0; i < n && status == PLN_OK; i++) {
        if (is_host_option(head, values[i].name))
            status = take_host_option(l, plugins, &values[i], e);
        else
            own[rest++] = values[i];
    }
    if (status == PLN_OK)
        status = options_make(head, own, rest, HOST_OPTIONS, &l->opts, e);
    free(own);
    return status == PLN_OK ? check_initializers(l, e) : status;
}

int layer_make(registry *plugins, const char *type, const option_value *values, int n, const char *where, layer **out,
               error *e)
{
    layer *l = calloc(1, sizeof *l);
    if (!l)
        return error_memory(e);
    l->references = 1;
    l->trainable = 1;
    l->parameters = -1;
    snprintf(l->where, sizeof l->where, "%s", where ? where : "");
    int status = fill_layer(l, plugins, type, values, n, e);
    if (status != PLN_OK) {
        if (l->where[0])
            error_prefix(e, "%s: ", l->where);
        layer_free(l);
        return status;
    }
    *out = l;
    return PLN_OK;
}

layer *layer_keep(layer *l)
{
    l->references++;
    return l;
}

void layer_free(layer *l)
{
    if (!l || --l->references > 0)
        return;
    layer_free(l->activation);
    options_free(&l->opts);
    free(l);
}

/* The architecture as JSON and back.  It says how a model was put together (layers, uses, outputs) in the same terms as
 * a script, and building from it takes the same path, so that both give one graph.  Nothing in it executes. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "net/model.h"

/* ---- writing ---- */

static json_t *layer_json(const layer *l)
{
    const plugin_head *head = l->entry->head;
    json_t *options = options_json(head, l->opts.bytes);
    if (options && l->activation)
        json_object_set_new(options, "activation", json_string(l->activation->entry->head->name));
    if (options && !l->trainable)
        json_object_set_new(options, "trainable", json_false());
    return json_pack("{s:s, s:s, s:s, s:i, s:o}", "name", l->name, "type", head->name, "plugin", head->id, "version",
                     (int)head->version, "options", options);
}

/* A value as [use, output]; uses are counted without the activations, which belong to their layers. */
static json_t *value_json(const model *m, value v, const int *use_of)
{
    const node *x = m->nodes[v.node];
    int output = v.output;
    if (m->layers[x->layer]->hidden) {
        output = x->in[0].output;
        return json_pack("[i, i]", use_of[x->in[0].node], output);
    }
    return json_pack("[i, i]", use_of[v.node], output);
}

static json_t *use_json(const model *m, const node *x, const int *layer_of, const int *use_of)
{
    json_t *in = json_array();
    int failed = !in;
    for (int i = 0; i < x->nin; i++)
        failed |= json_array_append_new(in, value_json(m, x->in[i], use_of)) != 0;
    if (failed) {
        json_decref(in);
        return NULL;
    }
    return json_pack("{s:i, s:o}", "layer", layer_of[x->layer], "in", in);
}

json_t *model_json(const model *m)
{
    json_t *layers = json_array(), *uses = json_array(), *outputs = json_array();
    int *layer_of = calloc((size_t)m->nlayers + 1, sizeof *layer_of);
    int *use_of = calloc((size_t)m->nnodes + 1, sizeof *use_of);
    int failed = !layers || !uses || !outputs || !layer_of || !use_of;
    for (int i = 0, n = 0; i < m->nlayers && !failed; i++)
        if (!m->layers[i]->hidden) {
            layer_of[i] = n++;
            failed |= json_array_append_new(layers, layer_json(m->layers[i])) != 0;
        }
    for (int i = 0, n = 0; i < m->nnodes && !failed; i++)
        if (!m->layers[m->nodes[i]->layer]->hidden) {
            use_of[i] = n++;
            failed |= json_array_append_new(uses, use_json(m, m->nodes[i], layer_of, use_of)) != 0;
        }
    for (int i = 0; i < m->noutputs && !failed; i++)
        failed |= json_array_append_new(outputs, value_json(m, m->outputs[i], use_of)) != 0;
    free(layer_of);
    free(use_of);
    if (failed) {
        json_decref(layers);
        json_decref(uses);
        json_decref(outputs);
        return NULL;
    }
    return json_pack("{s:i, s:o, s:o, s:o}", "format", 1, "layers", layers, "uses", uses, "outputs", outputs);
}

/* ---- reading ---- */

static int damaged(error *e, const char *what)
{
    return error_set(e, PLN_E_FORMAT, "the model's architecture is damaged: %s", what);
}

static int read_layer(registry *plugins, const json_t *j, layer **out, error *e)
{
    const char *type = json_string_value(json_object_get(j, "type")),
               *name = json_string_value(json_object_get(j, "name"));
    const char *id = json_string_value(json_object_get(j, "plugin")), *key;
    const json_t *options = json_object_get(j, "options");
    json_t *one;
    if (!type || !name || !id || !json_is_object(options))
        return damaged(e, "a layer without type, name, plugin or options");
    size_t n = json_object_size(options), i = 0;
    option_value *values = calloc(n + 1, sizeof *values);
    double *lists = calloc((n + 1) * OPTIONS_LIST, sizeof *lists);
    int status = values && lists ? PLN_OK : error_memory(e);
    if (status == PLN_OK) {
        json_object_foreach((json_t *)(uintptr_t)options, key, one)
        {
            if (json_is_null(one))
                continue;
            options_value_of_json(key, one, &values[i], lists + i * OPTIONS_LIST);
            i++;
        }
        values[i++] = (option_value){.name = "name", .kind = VALUE_TEXT, .text = name};
        status = layer_make(plugins, type, values, (int)i, NULL, out, e);
        if (status == PLN_E_MISSING)
            error_set(e, PLN_E_MISSING,
                      "the model needs the layer '%s' of the plugin '%s', version %lld, which is not there; "
                      "put its .so into a folder named by --plugins or $PERILUNE_PLUGINS",
                      type, id, (long long)json_integer_value(json_object_get(j, "version")));
    }
    free(values);
    free(lists);
    return status;
}

static int read_value(const json_t *j, value (*uses)[MODEL_PORTS], const int *nout, int n, value *out, error *e)
{
    int64_t use = json_integer_value(json_array_get(j, 0)), output = json_integer_value(json_array_get(j, 1));
    if (!json_is_integer(json_array_get(j, 0)) || use < 0 || use >= n || output < 0 || output >= nout[use])
        return damaged(e, "a value that does not exist");
    *out = uses[use][output];
    return PLN_OK;
}

static int read_values(const json_t *list, value (*uses)[MODEL_PORTS], const int *nout, int n, value out[MODEL_PORTS],
                       int *count, error *e)
{
    size_t size = json_array_size(list);
    if (!json_is_array(list) || size > MODEL_PORTS)
        return damaged(e, "a list of values that is none, or too long");
    for (size_t i = 0; i < size; i++)
        if (read_value(json_array_get(list, i), uses, nout, n, &out[i], e) != PLN_OK)
            return PLN_E_FORMAT;
    *count = (int)size;
    return PLN_OK;
}

static int read_uses(model *m, layer **layers, int nlayers, const json_t *j, error *e)
{
    const json_t *list = json_object_get(j, "uses");
    int n = (int)json_array_size(list), status = PLN_OK, count;
    value(*uses)[MODEL_PORTS] = calloc((size_t)n + 1, sizeof *uses), in[MODEL_PORTS];
    int *nout = calloc((size_t)n + 1, sizeof *nout);
    if (!uses || !nout)
        status = error_memory(e);
    for (int i = 0; i < n && status == PLN_OK; i++) {
        const json_t *use = json_array_get(list, (size_t)i), *which = json_object_get(use, "layer");
        int64_t l = json_integer_value(which);
        if (!json_is_integer(which) || l < 0 || l >= nlayers)
            status = damaged(e, "a use of a layer that does not exist");
        else if ((status = read_values(json_object_get(use, "in"), uses, nout, i, in, &count, e)) == PLN_OK)
            status = model_apply(m, layers[l], in, count, uses[i], &nout[i], e);
    }
    if (status == PLN_OK)
        status = read_values(json_object_get(j, "outputs"), uses, nout, n, in, &count, e);
    if (status == PLN_OK)
        status = model_outputs(m, in, count, e);
    free(uses);
    free(nout);
    return status;
}

int model_from_json(registry *plugins, const json_t *j, model **out, error *e)
{
    const json_t *list = json_object_get(j, "layers");
    int n = (int)json_array_size(list), made = 0, status;
    layer **layers = calloc((size_t)n + 1, sizeof(layer *));
    model *m = NULL;
    if (!layers)
        return error_memory(e);
    if (json_integer_value(json_object_get(j, "format")) != 1)
        status = error_set(e, PLN_E_FORMAT, "the model's architecture has format %lld, this program reads format 1",
                           (long long)json_integer_value(json_object_get(j, "format")));
    else
        status = model_make(plugins, &m, e);
    for (; made < n && status == PLN_OK; made++)
        status = read_layer(plugins, json_array_get(list, (size_t)made), &layers[made], e);
    if (status == PLN_OK)
        status = read_uses(m, layers, n, j, e);
    for (int i = 0; i < n; i++)
        layer_free(layers[i]);
    free(layers);
    if (status != PLN_OK) {
        model_free(m);
        return status;
    }
    *out = m;
    return PLN_OK;
}

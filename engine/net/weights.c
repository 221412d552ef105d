/* A model's file: its parameters under "layer/parameter", and in the metadata the architecture and class names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "net/weights.h"

static void parameter_key(const model *m, int i, char *out, size_t size)
{
    snprintf(out, size, "%s/%s", m->layers[m->parameters[i].layer]->name, m->parameters[i].name);
}

/* ---- saving ---- */

static json_t *classes_json(const model *m)
{
    json_t *list = json_array();
    int failed = !list;
    for (int i = 0; i < m->nclasses; i++)
        failed |= json_array_append_new(list, json_string(m->classes[i])) != 0;
    if (!failed)
        return list;
    json_decref(list);
    return NULL;
}

static int set_dumped(json_t *metadata, const char *key, json_t *what)
{
    char *s = what ? json_dumps(what, JSON_COMPACT) : NULL;
    int ok = s && json_object_set_new(metadata, key, json_string(s)) == 0;
    free(s);
    json_decref(what);
    return ok;
}

/* A copy with the keys in order, so that equal contents give equal bytes. */
static json_t *sorted_copy(const json_t *object)
{
    char *s = json_dumps(object, JSON_SORT_KEYS);
    json_t *copy = s ? json_loads(s, 0, NULL) : NULL;
    free(s);
    return copy;
}

static json_t *model_metadata(const model *m, const json_t *extra)
{
    json_t *metadata = extra ? sorted_copy(extra) : json_object();
    if (!metadata)
        return NULL;
    int ok = json_object_set_new(metadata, "format", json_string("perilune")) == 0 &&
             set_dumped(metadata, "perilune.architecture", model_json(m)) &&
             (!m->nclasses || set_dumped(metadata, "perilune.classes", classes_json(m)));
    if (ok)
        return metadata;
    json_decref(metadata);
    return NULL;
}

int model_save(const model *m, const char *path, const json_t *extra, error *e)
{
    weights_tensor *tensors = calloc((size_t)m->nparameters + 1, sizeof *tensors);
    char(*names)[192] = calloc((size_t)m->nparameters + 1, sizeof *names);
    json_t *metadata = model_metadata(m, extra);
    int status = tensors && names && metadata ? PLN_OK : error_memory(e);
    if (status == PLN_OK && !m->weights)
        status = error_set(e, PLN_E_INVALID, "the model has no weights yet");
    for (int i = 0; i < m->nparameters && status == PLN_OK; i++) {
        const parameter *p = &m->parameters[i];
        parameter_key(m, i, names[i], sizeof names[i]);
        tensors[i] = (weights_tensor){
            .name = names[i], .dtype = PLN_F32, .rank = p->rank, .count = p->size, .data = model_parameter(m, i)};
        memcpy(tensors[i].shape, p->shape, sizeof tensors[i].shape);
    }
    if (status == PLN_OK)
        status = weights_write(path, tensors, m->nparameters, metadata, e);
    json_decref(metadata);
    free(tensors);
    free(names);
    return status;
}

/* ---- loading ---- */

/* Half precisions to float32. */
static float half_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = h >> 10 & 31u, mantissa = h & 1023u, bits;
    float f;
    if (exponent == 0) {
        f = (float)mantissa * 0x1p-24f;
        return sign ? -f : f;
    }
    bits = exponent == 31 ? sign | 0x7F800000u | mantissa << 13 : sign | (exponent + 112u) << 23 | mantissa << 13;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static int copy_floats(const weights_tensor *t, float *out)
{
    const unsigned char *in = t->data;
    if (t->dtype == PLN_F32) {
        memcpy(out, in, (size_t)t->count * sizeof *out);
        return 1;
    }
    if (t->dtype != PLN_BF16 && t->dtype != PLN_F16)
        return 0;
    for (int64_t i = 0; i < t->count; i++) {
        uint16_t h = (uint16_t)(in[2 * i] | in[2 * i + 1] << 8);
        uint32_t bits = (uint32_t)h << 16;
        if (t->dtype == PLN_F16)
            out[i] = half_to_float(h);
        else
            memcpy(&out[i], &bits, sizeof bits);
    }
    return 1;
}

static int load_parameter(model *m, int i, const weights_file *f, const char *path, error *e)
{
    const parameter *p = &m->parameters[i];
    char key[192], want[128], have[128];
    parameter_key(m, i, key, sizeof key);
    const weights_tensor *t = weights_find(f, key);
    if (!t)
        return error_set(e, PLN_E_FORMAT, "%s has no tensor '%s', which the model needs", path, key);
    if (t->rank != p->rank || memcmp(t->shape, p->shape, sizeof(int64_t) * (size_t)p->rank) != 0) {
        pln_slot a = {.rank = (uint32_t)p->rank}, b = {.rank = (uint32_t)t->rank};
        memcpy(a.shape, p->shape, sizeof a.shape);
        memcpy(b.shape, t->shape, sizeof b.shape);
        model_shape_text(&a, want, sizeof want);
        model_shape_text(&b, have, sizeof have);
        return error_set(e, PLN_E_FORMAT, "%s: tensor '%s' has shape %s, the model wants %s", path, key, have, want);
    }
    if (!copy_floats(t, model_parameter(m, i)))
        return error_set(e, PLN_E_FORMAT, "%s: tensor '%s' holds integers, the model wants real numbers", path, key);
    return PLN_OK;
}

static int load_parameters(model *m, const weights_file *f, const char *path, error *e)
{
    int status = m->weights ? PLN_OK : model_initialize(m, 0, e);
    for (int i = 0; i < m->nparameters && status == PLN_OK; i++)
        status = load_parameter(m, i, f, path, e);
    return status;
}

int model_load_weights(model *m, const char *path, error *e)
{
    weights_file *f;
    int status = weights_open(path, &f, e);
    if (status != PLN_OK)
        return status;
    status = load_parameters(m, f, path, e);
    weights_close(f);
    return status;
}

int model_set_classes(model *m, const char *const *classes, int n, error *e)
{
    for (int i = 0; i < n; i++)
        if (!text_is_utf8(classes[i]))
            return error_set(e, PLN_E_INVALID, "the name of class %d is not UTF-8", i);
    for (int i = 0; i < m->nclasses; i++)
        free(m->classes[i]);
    free(m->classes);
    m->nclasses = 0;
    m->classes = calloc((size_t)n + 1, sizeof(char *));
    if (!m->classes)
        return error_memory(e);
    for (; m->nclasses < n; m->nclasses++)
        if (!(m->classes[m->nclasses] = text_copy(classes[m->nclasses])))
            return error_memory(e);
    return PLN_OK;
}

static int load_classes(model *m, const weights_file *f, error *e)
{
    const char *s = weights_metadata(f, "perilune.classes");
    json_t *list = s ? json_loads(s, 0, NULL) : NULL;
    size_t n = json_array_size(list);
    const char **names = calloc(n + 1, sizeof *names);
    int status = names ? PLN_OK : error_memory(e);
    for (size_t i = 0; i < n && names; i++) {
        names[i] = json_string_value(json_array_get(list, i));
        if (!names[i])
            names[i] = "";
    }
    if (status == PLN_OK && n && n < 1000000)
        status = model_set_classes(m, names, (int)n, e);
    free(names);
    json_decref(list);
    return status;
}

int model_load(registry *plugins, const char *path, model **out, error *e)
{
    weights_file *f;
    model *m = NULL;
    json_error_t why;
    int status = weights_open(path, &f, e);
    if (status != PLN_OK)
        return status;
    const char *s = weights_metadata(f, "perilune.architecture");
    json_t *j = s ? json_loads(s, JSON_REJECT_DUPLICATES, &why) : NULL;
    if (!s)
        status = error_set(e, PLN_E_FORMAT,
                           "%s holds weights and no architecture; build the model in a script and load them "
                           "with model:load_weights",
                           path);
    else if (!j)
        status = error_set(e, PLN_E_FORMAT, "%s: its architecture is no JSON (%s)", path, why.text);
    else if ((status = model_from_json(plugins, j, &m, e)) != PLN_OK)
        error_prefix(e, "%s: ", path);
    if (status == PLN_OK)
        status = load_parameters(m, f, path, e);
    if (status == PLN_OK)
        status = load_classes(m, f, e);
    json_decref(j);
    weights_close(f);
    if (status != PLN_OK) {
        model_free(m);
        return status;
    }
    *out = m;
    return PLN_OK;
}

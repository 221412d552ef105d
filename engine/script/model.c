/* Models: the graph being built, its weights, its files, and answers from it. */
#include "script/binding.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "net/weights.h"

static void model_release(void *object)
{
    model_free(object);
}

static model *check(lua_State *L)
{
    return script_check(L, 1, &model_type);
}

/* A value travels as one integer: node * MODEL_PORTS + output. */
static value to_value(lua_State *L, int index)
{
    lua_Integer v = lua_tointeger(L, index);
    return (value){(int)(v / MODEL_PORTS), (int)(v % MODEL_PORTS)};
}

static void push_value(lua_State *L, value v)
{
    lua_pushinteger(L, (lua_Integer)v.node * MODEL_PORTS + v.output);
}

static int to_values(lua_State *L, int table, value out[MODEL_PORTS])
{
    luaL_checktype(L, table, LUA_TTABLE);
    lua_Unsigned n = lua_rawlen(L, table);
    if (n > MODEL_PORTS)
        script_fail(L, "at most %d inputs or outputs, got %d", MODEL_PORTS, (int)(n < 9999 ? n : 9999));
    for (lua_Unsigned i = 0; i < n; i++) {
        lua_rawgeti(L, table, (lua_Integer)i + 1);
        out[i] = to_value(L, -1);
        lua_pop(L, 1);
    }
    return (int)n;
}

/* core.model() -> model */
static int model_new(lua_State *L)
{
    error e;
    context *c = context_get(L);
    model **m = (model **)script_new(L, &model_type);
    if (model_make(c->plugins, m, &e) != PLN_OK)
        return script_raise(L, &e);
    script_weigh(L, 4096);
    return 1;
}

/* model:apply(layer, { values }) -> { values } */
static int model_apply_layer(lua_State *L)
{
    error e;
    int nout = 0;
    model *m = check(L);
    layer *l = script_check(L, 2, &layer_type);
    value in[MODEL_PORTS], out[MODEL_PORTS];
    int nin = to_values(L, 3, in);
    if (model_apply(m, l, in, nin, out, &nout, &e) != PLN_OK)
        return script_raise(L, &e);
    script_weigh(L, 3072);
    lua_createtable(L, nout, 0);
    for (int i = 0; i < nout; i++) {
        push_value(L, out[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* model:outputs { values } */
static int set_outputs(lua_State *L)
{
    error e;
    value out[MODEL_PORTS];
    model *m = check(L);
    int n = to_values(L, 2, out);
    if (model_outputs(m, out, n, &e) != PLN_OK)
        return script_raise(L, &e);
    return 0;
}

/* model:initialize(seed) */
static int initialize(lua_State *L)
{
    error e;
    model *m = check(L);
    int fresh = !m->weights;
    if (model_initialize(m, (uint64_t)luaL_checkinteger(L, 2), &e) != PLN_OK)
        return script_raise(L, &e);
    if (fresh)
        script_weigh(L, (size_t)m->nweights * sizeof(float));
    return 0;
}

static int initialized(lua_State *L)
{
    lua_pushboolean(L, check(L)->weights != NULL);
    return 1;
}

/* model:count() -> parameters, trainable ones */
static int count(lua_State *L)
{
    int64_t trainable = 0;
    lua_pushinteger(L, model_count(check(L), &trainable));
    lua_pushinteger(L, trainable);
    return 2;
}

/* The shape of one sample as a table, without the batch. */
static void push_shape(lua_State *L, const pln_slot *s)
{
    lua_createtable(L, (int)s->rank, 0);
    for (uint32_t i = 1; i < s->rank; i++) {
        lua_pushinteger(L, s->shape[i]);
        lua_rawseti(L, -2, (lua_Integer)i);
    }
}

static int push_shapes(lua_State *L, const model *m, const value *v, int n)
{
    lua_createtable(L, n, 0);
    for (int i = 0; i < n; i++) {
        push_shape(L, model_slot(m, v[i]));
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* model:shapes() -> input shapes, output shapes (of one sample) */
static int shapes(lua_State *L)
{
    const model *m = check(L);
    push_shapes(L, m, m->inputs, m->ninputs);
    push_shapes(L, m, m->outputs, m->noutputs);
    return 2;
}

/* model:shape(value) -> shape of one sample */
static int shape(lua_State *L)
{
    const model *m = check(L);
    value v = to_value(L, 2);
    if (v.node < 0 || v.node >= m->nnodes || v.output >= m->nodes[v.node]->nout)
        return script_fail(L, "no such value in this model");
    push_shape(L, model_slot(m, v));
    return 1;
}

static int64_t layer_count(const model *m, const layer *l, int trainable_only)
{
    int64_t n = 0;
    for (int i = 0; i < l->nparameters + l->nstates; i++) {
        const parameter *p = &m->parameters[l->parameters + i];
        n += trainable_only && !p->trainable ? 0 : p->size;
    }
    return n;
}

static void push_node(lua_State *L, const model *m, const node *x)
{
    const layer *l = m->layers[x->layer];
    char text[128];
    lua_newtable(L);
    set_text(L, "name", x->name);
    set_text(L, "layer", l->name);
    set_text(L, "type", l->entry->head->name);
    set_text(L, "where", l->where);
    model_shape_text(&x->out[0], text, sizeof text);
    set_text(L, "shape", text);
    set_integer(L, "parameters", layer_count(m, l, 0));
    set_integer(L, "trainable_parameters", layer_count(m, l, 1));
    set_boolean(L, "trainable", l->trainable);
    set_boolean(L, "activation", l->hidden);
    lua_createtable(L, x->nin, 0);
    for (int i = 0; i < x->nin; i++) {
        lua_pushinteger(L, x->in[i].node + 1);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "inputs");
}

/* model:nodes() -> { { name=, layer=, type=, shape=, parameters=, inputs = { node numbers } … } } */
static int nodes(lua_State *L)
{
    const model *m = check(L);
    lua_createtable(L, m->nnodes, 0);
    for (int i = 0; i < m->nnodes; i++) {
        push_node(L, m, m->nodes[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static void parameter_name(const model *m, const parameter *p, char out[192])
{
    snprintf(out, 192, "%s/%s", m->layers[p->layer]->name, p->name);
}

/* model:parameters() -> { { name = "dense/kernel", shape = { 784, 10 }, size=, trainable=, state= } } */
static int parameters(lua_State *L)
{
    char name[192];
    const model *m = check(L);
    lua_createtable(L, m->nparameters, 0);
    for (int i = 0; i < m->nparameters; i++) {
        const parameter *p = &m->parameters[i];
        parameter_name(m, p, name);
        lua_newtable(L);
        set_text(L, "name", name);
        set_integer(L, "size", p->size);
        set_boolean(L, "trainable", p->trainable);
        set_boolean(L, "state", p->kind == PLN_STATE);
        set_text(L, "initializer", p->init);
        lua_createtable(L, p->rank, 0);
        for (int k = 0; k < p->rank; k++) {
            lua_pushinteger(L, p->shape[k]);
            lua_rawseti(L, -2, k + 1);
        }
        lua_setfield(L, -2, "shape");
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* ---- weights as Lua tables ---- */

static int find_parameter(lua_State *L, const model *m, const char *wanted)
{
    char name[192];
    for (int i = 0; i < m->nparameters; i++) {
        parameter_name(m, &m->parameters[i], name);
        if (!strcmp(name, wanted))
            return i;
    }
    lua_createtable(L, m->nparameters, 0); /* anchors the names */
    const char **names = script_buffer(L, (size_t)m->nparameters + 1, sizeof *names);
    for (int i = 0; i < m->nparameters; i++) {
        parameter_name(m, &m->parameters[i], name);
        names[i] = lua_pushstring(L, name);
        lua_rawseti(L, -3, i + 1);
    }
    const char *near = text_nearest(wanted, names);
    if (near)
        return script_fail(L, "no weights are called '%s' (did you mean '%s'?)", wanted, near);
    return script_fail(L, "no weights are called '%s'; they are named layer/parameter, such as '%s'", wanted,
                       m->nparameters ? names[0] : "dense/kernel");
}

/* Nested tables for an array of this shape; `at` advances. */
static void push_array(lua_State *L, const int64_t *dims, int rank, const float **at)
{
    if (!rank) {
        lua_pushnumber(L, (double)*(*at)++);
        return;
    }
    luaL_checkstack(L, 4, "weights");
    lua_createtable(L, (int)dims[0], 0);
    for (int64_t i = 0; i < dims[0]; i++) {
        push_array(L, dims + 1, rank - 1, at);
        lua_rawseti(L, -2, i + 1);
    }
}

static void read_array(lua_State *L, const char *name, const int64_t *dims, int rank, float **at)
{
    if (!rank) {
        if (lua_type(L, -1) != LUA_TNUMBER)
            script_fail(L, "'%s' wants numbers, got %s", name, luaL_typename(L, -1));
        *(*at)++ = (float)lua_tonumber(L, -1);
        return;
    }
    luaL_checkstack(L, 4, "weights");
    if (!lua_istable(L, -1))
        script_fail(L, "'%s' wants a table of %d entries here, got %s", name, (int)dims[0], luaL_typename(L, -1));
    if ((int64_t)lua_rawlen(L, -1) != dims[0])
        script_fail(L, "'%s' wants a table of %d entries here, got %d", name, (int)dims[0], (int)lua_rawlen(L, -1));
    for (int64_t i = 0; i < dims[0]; i++) {
        lua_rawgeti(L, -1, i + 1);
        read_array(L, name, dims + 1, rank - 1, at);
        lua_pop(L, 1);
    }
}

static void want_weights(lua_State *L, const model *m)
{
    if (!m->weights)
        script_fail(L, "the model has no weights yet");
}

/* model:read(name) -> nested tables */
static int read_weights(lua_State *L)
{
    const model *m = check(L);
    want_weights(L, m);
    int i = find_parameter(L, m, luaL_checkstring(L, 2));
    const float *at = model_parameter(m, i);
    push_array(L, m->parameters[i].shape, m->parameters[i].rank, &at);
    return 1;
}

/* model:write(name, nested tables): all or nothing */
static int write_weights(lua_State *L)
{
    const model *m = check(L);
    const char *name = luaL_checkstring(L, 2);
    want_weights(L, m);
    int i = find_parameter(L, m, name);
    const parameter *p = &m->parameters[i];
    float *copy = script_buffer(L, (size_t)p->size, sizeof *copy), *at = copy;
    lua_pushvalue(L, 3);
    read_array(L, name, p->shape, p->rank, &at);
    memcpy(model_parameter(m, i), copy, (size_t)p->size * sizeof *copy);
    return 0;
}

/* model:snapshot() -> all weights as one string; model:restore(string) puts them back */
static int snapshot(lua_State *L)
{
    const model *m = check(L);
    want_weights(L, m);
    lua_pushlstring(L, (const char *)m->weights, (size_t)m->nweights * sizeof(float));
    return 1;
}

static int restore(lua_State *L)
{
    size_t n;
    const model *m = check(L);
    const char *bytes = luaL_checklstring(L, 2, &n);
    want_weights(L, m);
    if (n != (size_t)m->nweights * sizeof(float))
        return script_fail(L, "these weights belong to another model: %d bytes, this one has %d", (int)n,
                           (int)(m->nweights * (int64_t)sizeof(float)));
    memcpy(m->weights, bytes, n);
    return 0;
}

/* model:digest() -> SHA-256 of all weights */
static int digest(lua_State *L)
{
    char hex[HASH_HEX];
    hash h;
    const model *m = check(L);
    want_weights(L, m);
    hash_begin(&h);
    for (int i = 0; i < m->nparameters; i++)
        hash_bytes(&h, model_parameter(m, i), (size_t)m->parameters[i].size * sizeof(float));
    hash_end(&h, hex);
    lua_pushstring(L, hex);
    return 1;
}

/* ---- class names ---- */

/* model:classes() -> list or nil; model:classes { names } */
static int classes(lua_State *L)
{
    error e;
    model *m = check(L);
    if (lua_isnoneornil(L, 2)) {
        if (!m->nclasses)
            return 0;
        lua_createtable(L, m->nclasses, 0);
        for (int i = 0; i < m->nclasses; i++) {
            lua_pushstring(L, m->classes[i]);
            lua_rawseti(L, -2, i + 1);
        }
        return 1;
    }
    luaL_checktype(L, 2, LUA_TTABLE);
    int n = (int)lua_rawlen(L, 2);
    const char **names = script_buffer(L, (size_t)n + 1, sizeof *names);
    for (int i = 0; i < n; i++) {
        names[i] = lua_rawgeti(L, 2, i + 1) == LUA_TSTRING ? lua_tostring(L, -1) : ""; /* the table keeps it alive */
        lua_pop(L, 1);
    }
    return model_set_classes(m, names, n, &e) == PLN_OK ? 0 : script_raise(L, &e);
}

/* ---- files ---- */

/* A new object of the table's texts; NULL without memory. */
static json_t *extra_strings(lua_State *L, int table)
{
    json_t *extra = json_object();
    int failed = !extra;
    if (!lua_istable(L, table))
        return extra;
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1))
        if (!failed && lua_type(L, -2) == LUA_TSTRING && lua_type(L, -1) == LUA_TSTRING)
            failed = json_object_set_new(extra, lua_tostring(L, -2), json_string(lua_tostring(L, -1)));
    if (!failed)
        return extra;
    json_decref(extra);
    return NULL;
}

/* model:save(path, { extra strings }) */
static int save(lua_State *L)
{
    error e;
    const model *m = check(L);
    const char *path = luaL_checkstring(L, 2);
    want_weights(L, m);
    json_t *extra = extra_strings(L, 3);
    if (!extra)
        return script_fail(L, "out of memory");
    int status = model_save(m, path, extra, &e);
    json_decref(extra);
    return status == PLN_OK ? 0 : script_raise(L, &e);
}

/* core.load_model(path) -> model */
static int load(lua_State *L)
{
    error e;
    const char *path = luaL_checkstring(L, 1);
    context *c = context_get(L);
    model **m = (model **)script_new(L, &model_type);
    if (model_load(c->plugins, path, m, &e) != PLN_OK)
        return script_raise(L, &e);
    script_weigh(L, (size_t)(*m)->nweights * sizeof(float));
    return 1;
}

/* model:load(path): the weights alone */
static int load_weights(lua_State *L)
{
    error e;
    model *m = check(L);
    if (model_load_weights(m, luaL_checkstring(L, 2), &e) != PLN_OK)
        return script_raise(L, &e);
    return 0;
}

/* model:json() -> the architecture */
static int architecture(lua_State *L)
{
    const model *m = check(L);
    char **s = (char **)script_memory(L);
    json_t *j = model_json(m);
    *s = j ? json_dumps(j, JSON_COMPACT) : NULL;
    json_decref(j);
    if (!*s)
        return script_fail(L, "out of memory");
    lua_pushstring(L, *s);
    return 1;
}

/* model:memory(recipe or nil, batch size) -> bytes that training (without a recipe: prediction) would take */
static int memory(lua_State *L)
{
    error e;
    int64_t bytes = 0, batch = luaL_checkinteger(L, 3);
    model *m = check(L);
    recipe *r = script_optional(L, 2, &recipe_type);
    if (plan_memory(m, r, batch, &bytes, &e) != PLN_OK)
        return script_raise(L, &e);
    lua_pushinteger(L, bytes);
    return 1;
}

/* ---- answers ---- */

static void predictor_release(void *object)
{
    predictor_free(object);
}

static const script_type predictor_type = {"perilune.predictor", predictor_release, NULL};

static int64_t slot_size(const model *m, value v)
{
    const pln_slot *s = model_slot(m, v);
    int64_t n = 1;
    for (uint32_t i = 1; i < s->rank; i++)
        n *= s->shape[i];
    return n;
}

static int64_t output_size(const model *m)
{
    int64_t n = 0;
    for (int i = 0; i < m->noutputs; i++)
        n += slot_size(m, m->outputs[i]);
    return n;
}

static void push_rows(lua_State *L, const float *out, int64_t n, int64_t size, int table, int64_t first)
{
    for (int64_t i = 0; i < n; i++) {
        lua_createtable(L, (int)size, 0);
        for (int64_t k = 0; k < size; k++) {
            lua_pushnumber(L, (double)out[i * size + k]);
            lua_rawseti(L, -2, k + 1);
        }
        lua_rawseti(L, table, first + i + 1);
    }
}

static predictor *open_predictor(lua_State *L, model *m, int64_t capacity)
{
    error e;
    want_weights(L, m);
    lanes *pool = context_pool(L);
    predictor **p = (predictor **)script_new(L, &predictor_type);
    if (predictor_open(m, capacity, pool, p, &e) != PLN_OK)
        script_raise(L, &e);
    return *p;
}

/* model:answer_set(dataset, batch) -> { { numbers } … } */
static int answer_set(lua_State *L)
{
    error e;
    model *m = check(L);
    const dataset *set = script_check(L, 2, &dataset_type);
    int64_t batch = luaL_optinteger(L, 3, 256), size = output_size(m);
    if (batch > set->count)
        batch = set->count > 0 ? set->count : 1;
    float *out = script_buffer(L, (size_t)(batch * size), sizeof *out);
    int64_t *which = script_buffer(L, (size_t)batch, sizeof *which);
    predictor *p = open_predictor(L, m, batch);
    lua_newtable(L);
    int rows = lua_gettop(L);
    for (int64_t first = 0; first < set->count; first += batch) {
        int64_t n = set->count - first < batch ? set->count - first : batch;
        for (int64_t i = 0; i < n; i++)
            which[i] = first + i;
        if (predictor_run_set(p, set, which, n, out, &e) != PLN_OK)
            return script_raise(L, &e);
        push_rows(L, out, n, size, rows, first);
    }
    script_release(L, rows - 1, &predictor_type);
    return 1;
}

/* model:answer { input 1 as a flat table of n * size numbers, … }, n -> { { numbers } … } */
static int answer(lua_State *L)
{
    error e;
    const float *in[MODEL_PORTS];
    model *m = check(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    int64_t n = luaL_checkinteger(L, 3), size = output_size(m);
    for (int i = 0; i < m->ninputs; i++) {
        int64_t want = slot_size(m, m->inputs[i]) * n;
        lua_rawgeti(L, 2, i + 1);
        if (!lua_istable(L, -1) || (int64_t)lua_rawlen(L, -1) != want)
            return script_fail(L, "input %d wants %d numbers, got %d", i + 1, (int)want,
                               lua_istable(L, -1) ? (int)lua_rawlen(L, -1) : 0);
        float *x = script_buffer(L, (size_t)want, sizeof *x);
        for (int64_t k = 0; k < want; k++) {
            lua_rawgeti(L, -2, k + 1);
            x[k] = (float)lua_tonumber(L, -1);
            lua_pop(L, 1);
        }
        in[i] = x;
    }
    float *out = script_buffer(L, (size_t)(n * size), sizeof *out);
    predictor *p = open_predictor(L, m, n);
    if (predictor_run(p, in, n, out, &e) != PLN_OK)
        return script_raise(L, &e);
    script_release(L, -1, &predictor_type);
    lua_newtable(L);
    push_rows(L, out, n, size, lua_gettop(L), 0);
    return 1;
}

static const luaL_Reg methods[] = {{"apply", model_apply_layer},
                                   {"outputs", set_outputs},
                                   {"initialize", initialize},
                                   {"initialized", initialized},
                                   {"count", count},
                                   {"shapes", shapes},
                                   {"shape", shape},
                                   {"nodes", nodes},
                                   {"parameters", parameters},
                                   {"read", read_weights},
                                   {"write", write_weights},
                                   {"snapshot", snapshot},
                                   {"restore", restore},
                                   {"digest", digest},
                                   {"classes", classes},
                                   {"save", save},
                                   {"load", load_weights},
                                   {"json", architecture},
                                   {"memory", memory},
                                   {"answer_set", answer_set},
                                   {"answer", answer},
                                   {NULL, NULL}};
const script_type model_type = {"perilune.model", model_release, methods};

void model_register(lua_State *L)
{
    static const luaL_Reg functions[] = {{"model", model_new}, {"load_model", load}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}

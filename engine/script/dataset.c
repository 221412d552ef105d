/* Data sets: from files, drawn, or from Lua tables; views of them; single samples for looking at. */
#include "script/binding.h"

#include <stdlib.h>
#include <string.h>

#include "data/sources.h"
#include "picture/png.h"

static void dataset_release(void *object)
{
    dataset_free(object);
}

static dataset *check(lua_State *L)
{
    return script_check(L, 1, &dataset_type);
}

/* ---- sources ---- */

/* core.idx(name, folder) -> train, test (each may be nil) */
static int from_idx(lua_State *L)
{
    error e;
    const char *name = luaL_checkstring(L, 1), *folder = luaL_optstring(L, 2, NULL);
    lua_settop(L, 2);
    dataset **train = (dataset **)script_new(L, &dataset_type);
    dataset **test = (dataset **)script_new(L, &dataset_type);
    if (source_idx(name, folder, train, test, &e) != PLN_OK)
        return script_raise(L, &e);
    return 2;
}

/* core.cifar10(folder) -> train, test */
static int from_cifar10(lua_State *L)
{
    error e;
    const char *folder = luaL_optstring(L, 1, NULL);
    lua_settop(L, 1);
    dataset **train = (dataset **)script_new(L, &dataset_type);
    dataset **test = (dataset **)script_new(L, &dataset_type);
    if (source_cifar10(folder, train, test, &e) != PLN_OK)
        return script_raise(L, &e);
    return 2;
}

/* core.digits(count, seed) -> set */
static int from_digits(lua_State *L)
{
    error e;
    int64_t count = luaL_checkinteger(L, 1);
    uint64_t seed = (uint64_t)luaL_checkinteger(L, 2);
    lanes *pool = context_pool(L);
    dataset **set = (dataset **)script_new(L, &dataset_type);
    if (source_digits(pool, count, seed, set, &e) != PLN_OK)
        return script_raise(L, &e);
    script_weigh(L, (size_t)count * 800);
    return 1;
}

/* core.find_data(name) -> folder or nil */
static int find_data(lua_State *L)
{
    char where[4096];
    if (!source_find(luaL_checkstring(L, 1), where, sizeof where))
        return 0;
    lua_pushstring(L, where);
    return 1;
}

/* ---- from Lua tables ---- */

/* Reads nested tables of numbers of shape dims[0..rank) into out, which advances.  The value is on the top. */
static void read_values(lua_State *L, const char *what, int64_t sample, const int64_t *dims, int rank, double **out)
{
    if (!rank) {
        if (lua_type(L, -1) != LUA_TNUMBER)
            script_fail(L, "%s: sample %d holds a %s where a number was expected", what, (int)sample + 1,
                        luaL_typename(L, -1));
        *(*out)++ = lua_tonumber(L, -1);
        return;
    }
    luaL_checkstack(L, 4, what);
    if (!lua_istable(L, -1))
        script_fail(L, "%s: sample %d holds a %s where a table of %d was expected", what, (int)sample + 1,
                    luaL_typename(L, -1), (int)dims[0]);
    if ((int64_t)lua_rawlen(L, -1) != dims[0])
        script_fail(L, "%s: sample %d has %d entries where the first sample has %d", what, (int)sample + 1,
                    (int)lua_rawlen(L, -1), (int)dims[0]);
    for (int64_t i = 0; i < dims[0]; i++) {
        lua_rawgeti(L, -1, i + 1);
        read_values(L, what, sample, dims + 1, rank - 1, out);
        lua_pop(L, 1);
    }
}

/* The shape of the first sample of the list on the top. */
static int read_shape(lua_State *L, const char *what, int64_t dims[PLN_RANK - 1])
{
    int rank = 0, top = lua_gettop(L);
    for (lua_rawgeti(L, -1, 1); lua_istable(L, -1); lua_rawgeti(L, -1, 1)) {
        if (rank == PLN_RANK - 1)
            script_fail(L, "%s: at most %d dimensions a sample", what, PLN_RANK - 1);
        dims[rank] = (int64_t)lua_rawlen(L, -1);
        if (!dims[rank++])
            script_fail(L, "%s: a table is empty", what);
        luaL_checkstack(L, 4, what);
    }
    lua_settop(L, top);
    return rank;
}

/* One column from the list on the top, as doubles in a pushed buffer below which it stays. */
static const double *read_column(lua_State *L, const char *what, int64_t count, column *c)
{
    int list = lua_gettop(L);
    if (!lua_istable(L, list) || (int64_t)lua_rawlen(L, list) != count)
        script_fail(L, "%s: %d samples were expected, got %d", what, (int)count,
                    lua_istable(L, list) ? (int)lua_rawlen(L, list) : 0);
    int64_t dims[PLN_RANK - 1] = {0}, size = 1;
    int rank = read_shape(L, what, dims);
    for (int i = 0; i < rank; i++) {
        if (dims[i] > INT64_C(1) << 32 || size > (INT64_C(1) << 40) / dims[i])
            script_fail(L, "%s: a sample is too large", what);
        size *= dims[i];
        c->shape[i] = dims[i];
    }
    c->rank = (uint32_t)rank;
    double *values = script_buffer(L, (size_t)count * (size_t)size, sizeof *values), *at = values;
    for (int64_t i = 0; i < count; i++) {
        lua_rawgeti(L, list, i + 1);
        read_values(L, what, i, dims, rank, &at);
        lua_pop(L, 1);
    }
    return values;
}

static int64_t aligned(int64_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static void store_column(column *c, int64_t count, const double *values, char *bytes)
{
    int64_t n = count * column_size(c);
    float *f = (float *)(void *)bytes;
    int32_t *k = (int32_t *)(void *)bytes;
    for (int64_t i = 0; i < n; i++) {
        if (c->dtype == PLN_I32)
            k[i] = (int32_t)values[i];
        else
            f[i] = (float)values[i];
    }
    c->bytes = bytes;
}

/* Class numbers must be whole and fit; dataset_make checks the range against nclasses. */
static void check_classes(lua_State *L, const double *values, int64_t count, int64_t nclasses)
{
    for (int64_t i = 0; i < count; i++)
        if (!(values[i] >= 0 && values[i] < (double)nclasses) || values[i] != (double)(int64_t)values[i])
            script_fail(L, "targets: sample %d has the class %g; classes are whole numbers from 0 to %d", (int)i + 1,
                        values[i], (int)nclasses - 1);
}

/* core.table { name=, count=, inputs = { { name=, values= } … }, targets=, classes = { names }, nclasses= } -> set */
static int from_table(lua_State *L)
{
    error e;
    storage_parts parts = {0};
    const double *values[DATASET_INPUTS], *targets = NULL;
    int64_t bytes = 0, at = 0;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    luaL_checkstack(L, 64, "data");
    parts.name = field_text(L, 1, "name");
    parts.part = "";
    parts.count = field_integer(L, 1, "count", 0);
    parts.nclasses = field_integer(L, 1, "nclasses", 0);
    lua_getfield(L, 1, "inputs");
    int inputs = lua_gettop(L);
    parts.ninputs = (int)lua_rawlen(L, inputs);
    if (parts.ninputs < 1 || parts.ninputs > DATASET_INPUTS)
        return script_fail(L, "inputs: 1 to %d columns are possible, got %d", DATASET_INPUTS, parts.ninputs);
    for (int i = 0; i < parts.ninputs; i++) {
        column *c = &parts.inputs[i];
        lua_rawgeti(L, inputs, i + 1);
        const char *name = field_text(L, lua_gettop(L), "name");
        strncpy(c->name, name ? name : "input", sizeof c->name - 1);
        c->dtype = PLN_F32;
        lua_getfield(L, -1, "values");
        values[i] = read_column(L, c->name, parts.count, c);
        if (!c->rank) { /* { 1, 2, 3 }: one number a sample */
            c->rank = 1;
            c->shape[0] = 1;
        }
        bytes += aligned(parts.count * column_size(c) * 4);
    }
    if (lua_getfield(L, 1, "targets") != LUA_TNIL) {
        parts.has_target = 1;
        strcpy(parts.target.name, "target");
        targets = read_column(L, "targets", parts.count, &parts.target);
        parts.target.dtype = parts.nclasses ? PLN_I32 : PLN_F32;
        if (parts.nclasses && parts.target.rank)
            return script_fail(L, "targets: with classes, each sample has one number");
        if (parts.nclasses)
            check_classes(L, targets, parts.count, parts.nclasses);
        bytes += aligned(parts.count * column_size(&parts.target) * 4);
    }
    if (lua_getfield(L, 1, "classes") == LUA_TTABLE) {
        const char **names = script_buffer(L, (size_t)parts.nclasses + 1, sizeof *names);
        for (int64_t i = 0; i < parts.nclasses; i++) {
            lua_rawgeti(L, -2, i + 1);
            names[i] = lua_tostring(L, -1); /* strings, as the Lua side made sure; the table keeps them */
            lua_pop(L, 1);
        }
        parts.classes = names;
    }
    char **memory = (char **)script_memory(L);
    dataset **set = (dataset **)script_new(L, &dataset_type);
    *memory = aligned_alloc(64, (size_t)bytes + 64);
    if (!*memory)
        return script_fail(L, "out of memory: the data need %d bytes", (int)bytes);
    for (int i = 0; i < parts.ninputs; i++) {
        store_column(&parts.inputs[i], parts.count, values[i], *memory + at);
        at += aligned(parts.count * column_size(&parts.inputs[i]) * 4);
    }
    if (parts.has_target)
        store_column(&parts.target, parts.count, targets, *memory + at);
    parts.release = free;
    parts.owner = *memory;
    *memory = NULL; /* dataset_make owns it now, also when it fails */
    if (dataset_make(&parts, set, &e) != PLN_OK)
        return script_raise(L, &e);
    script_weigh(L, (size_t)bytes);
    return 1;
}

/* ---- views ---- */

static int count(lua_State *L)
{
    lua_pushinteger(L, check(L)->count);
    return 1;
}

/* set:slice(begin, end), 0-based, end excluded */
static int slice(lua_State *L)
{
    error e;
    const dataset *set = check(L);
    int64_t begin = luaL_checkinteger(L, 2), end = luaL_checkinteger(L, 3);
    dataset **view = (dataset **)script_new(L, &dataset_type);
    if (dataset_slice(set, begin, end, view, &e) != PLN_OK)
        return script_raise(L, &e);
    return 1;
}

/* set:pick { numbers from 0 } */
static int pick(lua_State *L)
{
    error e;
    const dataset *set = check(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    size_t n = (size_t)lua_rawlen(L, 2);
    int64_t *which = script_buffer(L, n, sizeof *which);
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, 2, (lua_Integer)i + 1);
        which[i] = lua_tointeger(L, -1);
        lua_pop(L, 1);
    }
    dataset **view = (dataset **)script_new(L, &dataset_type);
    if (dataset_pick(set, which, (int64_t)n, view, &e) != PLN_OK)
        return script_raise(L, &e);
    return 1;
}

/* ---- looking ---- */

static const char *dtype_name(uint32_t dtype)
{
    return dtype == PLN_U8 ? "bytes" : dtype == PLN_I32 ? "integers" : "numbers";
}

static void push_column(lua_State *L, const column *c)
{
    lua_newtable(L);
    set_text(L, "name", c->name);
    set_text(L, "type", dtype_name(c->dtype));
    lua_createtable(L, (int)c->rank, 0);
    for (uint32_t i = 0; i < c->rank; i++) {
        lua_pushinteger(L, c->shape[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "shape");
}

/* set:facts() -> { name=, part=, total=, inputs = {…}, target=, classes= } */
static int facts(lua_State *L)
{
    const storage_parts *p = dataset_parts(check(L));
    lua_newtable(L);
    set_text(L, "name", p->name);
    set_text(L, "part", p->part);
    set_integer(L, "total", p->count);
    set_integer(L, "nclasses", p->nclasses);
    lua_createtable(L, p->ninputs, 0);
    for (int i = 0; i < p->ninputs; i++) {
        push_column(L, &p->inputs[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "inputs");
    if (p->has_target) {
        push_column(L, &p->target);
        lua_setfield(L, -2, "target");
    }
    if (p->classes) {
        lua_createtable(L, (int)p->nclasses, 0);
        for (int64_t i = 0; i < p->nclasses && p->classes[i]; i++) {
            lua_pushstring(L, p->classes[i]);
            lua_rawseti(L, -2, i + 1);
        }
        lua_setfield(L, -2, "classes");
    }
    return 1;
}

/* set:digest() -> SHA-256 of what the view shows */
static int digest(lua_State *L)
{
    error e;
    char hex[HASH_HEX];
    if (dataset_digest(check(L), hex, &e) != PLN_OK)
        return script_raise(L, &e);
    lua_pushstring(L, hex);
    return 1;
}

static int64_t check_sample(lua_State *L, const dataset *set, int arg)
{
    int64_t i = luaL_checkinteger(L, arg);
    if (i < 1 || i > set->count)
        script_fail(L, "there is no sample %lld; this set has 1 to %lld", (long long)i, (long long)set->count);
    return i - 1;
}

static void push_sample(lua_State *L, const column *c, const void *bytes)
{
    int64_t n = column_size(c);
    lua_createtable(L, (int)n, 0);
    for (int64_t k = 0; k < n; k++) {
        if (c->dtype == PLN_I32)
            lua_pushinteger(L, ((const int32_t *)bytes)[k]);
        else
            lua_pushnumber(L, (double)((const float *)bytes)[k]);
        lua_rawseti(L, -2, k + 1);
    }
}

/* set:input(sample, which) -> flat table of numbers */
static int input(lua_State *L)
{
    const dataset *set = check(L);
    const storage_parts *p = dataset_parts(set);
    int64_t i = check_sample(L, set, 2), which = luaL_optinteger(L, 3, 1);
    if (which < 1 || which > p->ninputs)
        return script_fail(L, "there is no input %d; this set has %d", (int)which, p->ninputs);
    const column *c = &p->inputs[which - 1];
    void *out = script_buffer(L, (size_t)column_size(c), 4);
    dataset_gather_input(set, (int)which - 1, &i, 1, out);
    push_sample(L, c, out);
    return 1;
}

/* set:target(sample) -> a number, a flat table, or nil */
static int target(lua_State *L)
{
    const dataset *set = check(L);
    const storage_parts *p = dataset_parts(set);
    int64_t i = check_sample(L, set, 2);
    if (!p->has_target)
        return 0;
    void *out = script_buffer(L, (size_t)column_size(&p->target), 4);
    dataset_gather_target(set, &i, 1, out);
    push_sample(L, &p->target, out);
    if (p->target.rank == 0)
        lua_rawgeti(L, -1, 1);
    return 1;
}

/* set:picture(sample, path): writes an image sample as PNG */
static int save_picture(lua_State *L)
{
    error e;
    const dataset *set = check(L);
    const column *c = &dataset_parts(set)->inputs[0];
    int64_t i = check_sample(L, set, 2);
    const char *path = luaL_checkstring(L, 3);
    if (c->rank != 3 || c->shape[2] < 1 || c->shape[2] > 4)
        return script_fail(L, "samples of this set are no pictures");
    int64_t n = column_size(c);
    float *values = script_buffer(L, (size_t)n, sizeof *values);
    uint8_t *bytes = script_buffer(L, (size_t)n, 1);
    dataset_gather_input(set, 0, &i, 1, values);
    for (int64_t k = 0; k < n; k++) {
        float v = values[k] * 255.0f + 0.5f;
        bytes[k] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
    picture p = {.width = c->shape[1], .height = c->shape[0], .channels = (int)c->shape[2], .pixels = bytes};
    return picture_write(path, &p, &e) == PLN_OK ? 0 : script_raise(L, &e);
}

static const luaL_Reg methods[] = {{"count", count},   {"slice", slice},          {"pick", pick},
                                   {"facts", facts},   {"digest", digest},        {"input", input},
                                   {"target", target}, {"picture", save_picture}, {NULL, NULL}};
const script_type dataset_type = {"perilune.dataset", dataset_release, methods};

void dataset_register(lua_State *L)
{
    static const luaL_Reg functions[] = {{"idx", from_idx},     {"cifar10", from_cifar10}, {"digits", from_digits},
                                         {"table", from_table}, {"find_data", find_data},  {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}

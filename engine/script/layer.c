/* Layers, and what the registry knows of all types. */
#include "script/binding.h"

#include <stdlib.h>
#include <string.h>

static void layer_release(void *object)
{
    layer_free(object);
}

/* core.layer(type, options, where) -> layer */
static int layer_new(lua_State *L)
{
    int n = 0;
    error e;
    const char *type = luaL_checkstring(L, 1), *where = luaL_optstring(L, 3, NULL);
    const option_value *values = script_options(L, 2, &n);
    layer **out = (layer **)script_new(L, &layer_type);
    if (layer_make(context_get(L)->plugins, type, values, n, where, out, &e) != PLN_OK)
        return script_raise(L, &e);
    script_weigh(L, 1024);
    return 1;
}

/* layer:inputs() -> least and most number of inputs */
static int layer_inputs(lua_State *L)
{
    const layer *l = script_check(L, 1, &layer_type);
    lua_pushinteger(L, l->type->min_in);
    lua_pushinteger(L, l->type->max_in);
    return 2;
}

/* layer:options() -> JSON of all its options */
static int layer_options(lua_State *L)
{
    const layer *l = script_check(L, 1, &layer_type);
    char **s = (char **)script_memory(L);
    json_t *j = options_json(l->entry->head, l->opts.bytes);
    *s = j ? json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(j);
    if (!*s)
        return script_fail(L, "out of memory");
    lua_pushstring(L, *s);
    return 1;
}

static uint32_t check_kind(lua_State *L, int arg)
{
    const char *word = luaL_checkstring(L, arg);
    for (uint32_t kind = PLN_LAYER; kind <= PLN_METRIC; kind++)
        if (!strcmp(plugin_kind_name(kind), word))
            return kind;
    return (uint32_t)script_fail(L, "'%s' is no kind of plugin", word);
}

/* core.find(kind, name) -> true, or nil and why not */
static int find_type(lua_State *L)
{
    const plugin_entry *entry;
    error e;
    uint32_t kind = check_kind(L, 1);
    if (registry_find(context_get(L)->plugins, kind, luaL_checkstring(L, 2), &entry, &e) == PLN_OK) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, e.text);
    return 2;
}

/* core.names(kind) -> the known names, sorted */
static int type_names(lua_State *L)
{
    uint32_t kind = check_kind(L, 1);
    const char ***names = (const char ***)(void *)script_memory(L);
    *names = registry_names(context_get(L)->plugins, kind);
    lua_newtable(L);
    for (lua_Integer i = 0; *names && (*names)[i]; i++) {
        lua_pushstring(L, (*names)[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static const char *const option_types[] = {"?", "integer", "number", "boolean", "choice", "integers", "string"};

/* One declared option as a table, for documentation and defaults. */
static void push_option(lua_State *L, const pln_option *o)
{
    lua_newtable(L);
    set_text(L, "name", o->name);
    set_text(L, "help", o->help);
    set_text(L, "type", option_types[o->type <= PLN_TEXT ? o->type : 0]);
    set_boolean(L, "required", (o->flags & PLN_REQUIRED) != 0);
    set_boolean(L, "live", (o->flags & PLN_LIVE) != 0);
    set_boolean(L, "positional", (o->flags & PLN_POSITIONAL) != 0);
    if (o->type == PLN_TEXT)
        set_text(L, "default", o->dflt_text);
    else if (o->type == PLN_BOOL)
        set_boolean(L, "default", o->dflt != 0);
    else if (o->type == PLN_REAL)
        set_real(L, "default", o->dflt);
    else if (o->type == PLN_CHOICE && o->choices)
        set_text(L, "default", o->choices[(int)o->dflt]);
    else
        set_integer(L, "default", (int64_t)o->dflt);
    if (o->type == PLN_CHOICE) {
        lua_newtable(L);
        for (lua_Integer i = 0; o->choices && o->choices[i]; i++) {
            lua_pushstring(L, o->choices[i]);
            lua_rawseti(L, -2, i + 1);
        }
        lua_setfield(L, -2, "choices");
    }
}

/* core.describe(kind, name) -> { name=, help=, id=, path=, version=, options = {…} } */
static int describe_type(lua_State *L)
{
    const plugin_entry *entry;
    error e;
    uint32_t kind = check_kind(L, 1);
    if (registry_find(context_get(L)->plugins, kind, luaL_checkstring(L, 2), &entry, &e) != PLN_OK)
        return script_raise(L, &e);
    lua_newtable(L);
    set_text(L, "name", entry->head->name);
    set_text(L, "help", entry->head->help);
    set_text(L, "id", entry->head->id);
    set_text(L, "path", entry->path);
    set_text(L, "version", entry->plugin->version);
    lua_createtable(L, (int)entry->head->noptions, 0);
    for (uint32_t i = 0; i < entry->head->noptions; i++) {
        push_option(L, options_at(entry->head, i));
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "options");
    return 1;
}

static const luaL_Reg methods[] = {{"inputs", layer_inputs}, {"options", layer_options}, {NULL, NULL}};
const script_type layer_type = {"perilune.layer", layer_release, methods};

void layer_register(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"layer", layer_new}, {"find", find_type}, {"names", type_names}, {"describe", describe_type}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}

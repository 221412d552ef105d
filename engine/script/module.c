/* The module: `require "perilune"`, in the program and in a stock lua5.4.
 *
 * The library's files are embedded; the first, init, returns the module.  Files reach each other through `load`, a
 * function that runs each file once a state: `local core, load = ...` stands at the head of every one. */
#include "script/binding.h"

#include <string.h>

#include "base/random.h"

static const library_file *find_file(const char *name)
{
    for (const library_file *f = library_files; f->name; f++)
        if (!strcmp(f->name, name))
            return f;
    return NULL;
}

/* load(name): upvalues core, table of what was loaded, and this function's own table entry. */
static int load_file(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    lua_settop(L, 1);
    if (lua_getfield(L, lua_upvalueindex(2), name) != LUA_TNIL)
        return 1;
    const library_file *f = find_file(name);
    if (!f)
        return 0;
    const char *chunk = lua_pushfstring(L, LIBRARY_PREFIX "%s)", name);
    if (luaL_loadbufferx(L, (const char *)f->bytes, f->count, chunk, "t") != LUA_OK)
        return lua_error(L);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_getfield(L, lua_upvalueindex(1), "load");
    lua_call(L, 2, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, lua_upvalueindex(2), name);
    return 1;
}

/* core.files(prefix) -> names of library files that begin so, without the prefix */
static int list_files(lua_State *L)
{
    size_t n;
    lua_Integer count = 0;
    const char *prefix = luaL_checklstring(L, 1, &n);
    lua_newtable(L);
    for (const library_file *f = library_files; f->name; f++) {
        if (strncmp(f->name, prefix, n) != 0)
            continue;
        lua_pushstring(L, f->name + n);
        lua_rawseti(L, -2, ++count);
    }
    return 1;
}

/* core.where() -> "script.lua:12", 12 */
static int where(lua_State *L)
{
    int line = 0;
    script_where(L, &line);
    lua_pushinteger(L, line);
    return 2;
}

/* core.fail(message): an error in the script's line */
static int fail(lua_State *L)
{
    return script_fail(L, "%s", luaL_checkstring(L, 1));
}

/* core.place(message) -> "script.lua:12", 12, "the rest"; or nil */
static int place(lua_State *L)
{
    const char *message = luaL_checkstring(L, 1);
    size_t n = script_place(message), colon = n;
    if (!n)
        return 0;
    while (message[colon - 1] != ':')
        colon--;
    lua_pushlstring(L, message, colon - 1);
    lua_pushlstring(L, message + colon, n - colon);
    lua_pushinteger(L, lua_tointeger(L, -1));
    lua_remove(L, -2);
    lua_pushstring(L, message + n + 2);
    return 3;
}

static void push_list(lua_State *L, char *const *list)
{
    lua_newtable(L);
    for (lua_Integer i = 0; list && list[i]; i++) {
        lua_pushstring(L, list[i]);
        lua_rawseti(L, -2, i + 1);
    }
}

/* core.settings() -> { script=, args=, sets=, seed=, threads= } */
static int settings(lua_State *L)
{
    const context *c = context_get(L);
    lua_newtable(L);
    set_text(L, "script", c->script);
    set_integer(L, "threads", c->threads);
    if (c->has_seed)
        set_integer(L, "seed", (lua_Integer)c->seed);
    push_list(L, c->args);
    lua_setfield(L, -2, "args");
    push_list(L, c->sets);
    lua_setfield(L, -2, "sets");
    return 1;
}

/* core.lua_seed(seed, name) -> two integers for math.randomseed */
static int lua_seed(lua_State *L)
{
    random_key key = random_key_make((uint64_t)luaL_checkinteger(L, 1), RANDOM_LUA, luaL_optstring(L, 2, NULL));
    lua_pushinteger(L, (lua_Integer)key.word[0]);
    lua_pushinteger(L, (lua_Integer)key.word[1]);
    return 2;
}

static void register_all(lua_State *L)
{
    static const luaL_Reg functions[] = {{"files", list_files}, {"where", where},       {"fail", fail},
                                         {"place", place},      {"settings", settings}, {"lua_seed", lua_seed},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
    set_text(L, "version", PERILUNE_VERSION);
    layer_register(L);
    model_register(L);
    dataset_register(L);
    train_register(L);
    record_register(L);
    terminal_register(L);
    interrupt_register(L);
    picture_register(L);
    replay_register(L);
    function_hash_register(L);
}

__attribute__((visibility("default"))) int luaopen_perilune(lua_State *L)
{
    context_get(L); /* before anything that it must outlive */
    lua_newtable(L);
    register_all(L);
    lua_pushvalue(L, -1);
    lua_newtable(L);
    lua_pushcclosure(L, load_file, 2);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "load");
    lua_pushliteral(L, "init");
    lua_call(L, 1, 1);
    return 1;
}

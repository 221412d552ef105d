/* Arguments: from Lua tables to what the engine's functions take, with messages that name the field. */
#include "script/binding.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- fields ---- */

static int field(lua_State *L, int table, const char *name)
{
    return lua_getfield(L, table, name);
}

int64_t field_integer(lua_State *L, int table, const char *name, int64_t fallback)
{
    int ok = 1;
    int64_t v = fallback;
    if (field(L, table, name) != LUA_TNIL)
        v = lua_tointegerx(L, -1, &ok);
    if (!ok || lua_type(L, -1) == LUA_TSTRING)
        script_fail(L, "'%s' must be an integer, got %s", name, luaL_tolstring(L, -1, NULL));
    lua_pop(L, 1);
    return v;
}

double field_real(lua_State *L, int table, const char *name, double fallback)
{
    double v = fallback;
    if (field(L, table, name) != LUA_TNIL) {
        if (lua_type(L, -1) != LUA_TNUMBER)
            script_fail(L, "'%s' must be a number, got %s", name, luaL_tolstring(L, -1, NULL));
        v = lua_tonumber(L, -1);
    }
    lua_pop(L, 1);
    return v;
}

const char *field_text(lua_State *L, int table, const char *name)
{
    const char *s = NULL;
    if (field(L, table, name) != LUA_TNIL) {
        if (lua_type(L, -1) != LUA_TSTRING)
            script_fail(L, "'%s' must be a string, got %s", name, luaL_typename(L, -1));
        s = lua_tostring(L, -1);
    }
    lua_pop(L, 1);
    return s;
}

int field_boolean(lua_State *L, int table, const char *name, int fallback)
{
    int v = fallback;
    if (field(L, table, name) != LUA_TNIL) {
        if (!lua_isboolean(L, -1))
            script_fail(L, "'%s' must be true or false, got %s", name, luaL_typename(L, -1));
        v = lua_toboolean(L, -1);
    }
    lua_pop(L, 1);
    return v;
}

void set_integer(lua_State *L, const char *name, int64_t value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, name);
}

void set_real(lua_State *L, const char *name, double value)
{
    lua_pushnumber(L, value);
    lua_setfield(L, -2, name);
}

void set_text(lua_State *L, const char *name, const char *value)
{
    if (!value)
        return;
    lua_pushstring(L, value);
    lua_setfield(L, -2, name);
}

void set_boolean(lua_State *L, const char *name, int value)
{
    lua_pushboolean(L, value);
    lua_setfield(L, -2, name);
}

/* ---- option values ---- */

static const char *kind_text(int type)
{
    switch (type) {
    case LUA_TFUNCTION:
        return "a function";
    case LUA_TTABLE:
        return "a table";
    case LUA_TTHREAD:
        return "a coroutine";
    case LUA_TNIL:
        return "nil";
    default:
        return "an object";
    }
}

/* A table that is a list of numbers.  Its doubles are anchored in `anchor` (a table), at its end. */
static void read_list(lua_State *L, int index, int anchor, option_value *v)
{
    lua_Unsigned n = lua_rawlen(L, index);
    lua_Integer entries = 0;
    v->kind = VALUE_OTHER;
    v->text = "a table";
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
        entries++;
    if ((lua_Unsigned)entries != n || n > 1u << 20)
        return;
    double *list = script_buffer(L, (size_t)n, sizeof *list);
    for (lua_Unsigned i = 0; i < n; i++) {
        int type = lua_rawgeti(L, index, (lua_Integer)i + 1);
        if (type != LUA_TNUMBER) {
            v->text =
                type == LUA_TSTRING ? "a list that holds a string" : "a list that holds something else than numbers";
            lua_pop(L, 2);
            return;
        }
        list[i] = lua_tonumber(L, -1);
        lua_pop(L, 1);
    }
    lua_rawseti(L, anchor, (lua_Integer)lua_rawlen(L, anchor) + 1);
    v->kind = VALUE_LIST;
    v->list = list;
    v->count = (int64_t)n;
}

/* The value at `index` (absolute). */
static void read_value(lua_State *L, int index, int anchor, option_value *v)
{
    size_t length = 0;
    int type = lua_type(L, index);
    switch (type) {
    case LUA_TNUMBER:
        v->kind = lua_isinteger(L, index) ? VALUE_INT : VALUE_REAL;
        v->integer = v->kind == VALUE_INT ? lua_tointeger(L, index) : 0;
        v->real = lua_tonumber(L, index);
        break;
    case LUA_TBOOLEAN:
        v->kind = VALUE_BOOL;
        v->integer = lua_toboolean(L, index);
        break;
    case LUA_TSTRING:
        v->text = lua_tolstring(L, index, &length);
        v->kind = strlen(v->text) == length ? VALUE_TEXT : VALUE_OTHER;
        if (v->kind == VALUE_OTHER)
            v->text = "a string with a zero byte";
        break;
    case LUA_TTABLE:
        read_list(L, index, anchor, v);
        break;
    default:
        v->kind = VALUE_OTHER;
        v->text = kind_text(type);
    }
}

static int by_name(const void *a, const void *b)
{
    const option_value *x = a, *y = b;
    if (!x->name || !y->name)
        return !y->name - !x->name;
    return strcmp(x->name, y->name);
}

/* Everything that is no string key is the positional part: one value, or a list. */
static int read_positional(lua_State *L, int table, int anchor, option_value *v)
{
    lua_Unsigned n = lua_rawlen(L, table);
    if (!n)
        return 0;
    if (n == 1) {
        lua_rawgeti(L, table, 1);
        read_value(L, lua_gettop(L), anchor, v);
        lua_pop(L, 1);
        return 1;
    }
    lua_createtable(L, (int)(n < INT_MAX ? n : INT_MAX), 0);
    for (lua_Unsigned i = 1; i <= n; i++) {
        lua_rawgeti(L, table, (lua_Integer)i);
        lua_rawseti(L, -2, (lua_Integer)i);
    }
    read_list(L, lua_gettop(L), anchor, v);
    lua_pop(L, 1);
    return 1;
}

const option_value *script_options(lua_State *L, int arg, int *n)
{
    *n = 0;
    if (lua_isnoneornil(L, arg)) {
        lua_newtable(L);
        return NULL;
    }
    if (!lua_istable(L, arg))
        script_fail(L, "options must be a table { name = value, ... }, got %s", luaL_typename(L, arg));
    arg = lua_absindex(L, arg);
    size_t count = 0;
    for (lua_pushnil(L); lua_next(L, arg); lua_pop(L, 1))
        count++;
    lua_newtable(L);
    int anchor = lua_gettop(L);
    option_value *values = script_buffer(L, count + 1, sizeof *values);
    lua_rawseti(L, anchor, 1);
    size_t positional = (size_t)lua_rawlen(L, arg);
    *n = read_positional(L, arg, anchor, values);
    for (lua_pushnil(L); lua_next(L, arg); lua_pop(L, 1)) {
        if (lua_type(L, -2) == LUA_TSTRING) {
            values[*n].name = lua_tostring(L, -2);
            read_value(L, lua_gettop(L), anchor, &values[*n]);
            ++*n;
        } else if (!lua_isinteger(L, -2) || lua_tointeger(L, -2) < 1 || (size_t)lua_tointeger(L, -2) > positional) {
            script_fail(L, "options are named by strings, got the key %s", luaL_tolstring(L, -2, NULL));
        }
    }
    qsort(values, (size_t)*n, sizeof *values, by_name);
    return values;
}

/* Handles: userdata that hold one engine object and give it back exactly once, whatever error flies by. */
#include "script/binding.h"

#include <stdlib.h>
#include <string.h>

typedef struct handle {
    void *object;
} handle;

static int handle_release(lua_State *L)
{
    const script_type *t = lua_touserdata(L, lua_upvalueindex(1));
    handle *h = lua_touserdata(L, 1);
    if (h && h->object) {
        void *object = h->object;
        h->object = NULL;
        t->release(object);
    }
    return 0;
}

static int handle_text(lua_State *L)
{
    const script_type *t = lua_touserdata(L, lua_upvalueindex(1));
    const handle *h = lua_touserdata(L, 1);
    lua_pushfstring(L, h && h->object ? "%s: %p" : "%s (closed)", t->name, (const void *)h);
    return 1;
}

static void push_method(lua_State *L, const script_type *t, lua_CFunction f, const char *name)
{
    lua_pushlightuserdata(L, (void *)(uintptr_t)t);
    lua_pushcclosure(L, f, 1);
    lua_setfield(L, -2, name);
}

static void push_metatable(lua_State *L, const script_type *t)
{
    if (!luaL_newmetatable(L, t->name)) /* sets __name */
        return;
    push_method(L, t, handle_release, "__gc");
    push_method(L, t, handle_release, "__close");
    push_method(L, t, handle_text, "__tostring");
    lua_newtable(L);
    if (t->methods)
        luaL_setfuncs(L, t->methods, 0);
    push_method(L, t, handle_release, "close");
    lua_setfield(L, -2, "__index");
}

void **script_new(lua_State *L, const script_type *t)
{
    handle *h = lua_newuserdatauv(L, sizeof *h, 1);
    h->object = NULL;
    push_metatable(L, t);
    lua_setmetatable(L, -2);
    return &h->object;
}

void *script_check(lua_State *L, int arg, const script_type *t)
{
    handle *h = luaL_testudata(L, arg, t->name);
    const char *word = strchr(t->name, '.') + 1;
    if (!h)
        script_fail(L, "a %s was expected, got %s", word, luaL_typename(L, arg));
    else if (!h->object)
        script_fail(L, "this %s is closed", word);
    return h->object;
}

void *script_optional(lua_State *L, int arg, const script_type *t)
{
    return lua_isnoneornil(L, arg) ? NULL : script_check(L, arg, t);
}

void script_release(lua_State *L, int index, const script_type *t)
{
    handle *h = lua_touserdata(L, index);
    void *object = h->object;
    h->object = NULL;
    if (object)
        t->release(object);
}

void *script_buffer(lua_State *L, size_t count, size_t size)
{
    if (count > (SIZE_MAX / 2) / (size ? size : 1))
        script_fail(L, "out of memory");
    size_t bytes = count * size;
    void *p = lua_newuserdatauv(L, bytes ? bytes : 1, 0);
    memset(p, 0, bytes ? bytes : 1);
    return p;
}

static const script_type memory_type = {"perilune.memory", free, NULL};

void **script_memory(lua_State *L)
{
    return script_new(L, &memory_type);
}

void script_weigh(lua_State *L, size_t bytes)
{
    context *c = context_get(L);
    c->unreported += bytes;
    size_t kib = c->unreported >> 10;
    if (!kib)
        return;
    c->unreported &= 1023;
    lua_gc(L, LUA_GCSTEP, (int)(kib < 1u << 20 ? kib : 1u << 20));
}

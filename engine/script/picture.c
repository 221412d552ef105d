/* Pictures: a PNG file as numbers for a model's input. */
#include "script/binding.h"

#include <stdlib.h>

#include "net/picture_input.h"
#include "picture/png.h"

static void held_release(void *object)
{
    picture_free(object);
    free(object);
}

static const script_type picture_type = {"perilune.picture", held_release, NULL};

static picture *hold(lua_State *L)
{
    picture **p = (picture **)script_new(L, &picture_type);
    *p = calloc(1, sizeof **p);
    if (!*p)
        script_fail(L, "out of memory");
    return *p;
}

static void push_bytes(lua_State *L, const uint8_t *bytes, int64_t n)
{
    lua_createtable(L, (int)n, 0);
    for (int64_t i = 0; i < n; i++) {
        lua_pushnumber(L, bytes[i] / 255.0);
        lua_rawseti(L, -2, i + 1);
    }
}

/* core.picture(model, path) -> numbers 0 to 1: the picture as the model's input wants it (see net/picture_input.h) */
static int read_picture(lua_State *L)
{
    error e;
    picture_input in;
    const model *m = script_check(L, 1, &model_type);
    const char *path = luaL_checkstring(L, 2);
    if (model_picture_input(m, &in, &e) != PLN_OK)
        return script_raise(L, &e);
    uint8_t *bytes = script_buffer(L, (size_t)(in.height * in.width * in.channels), 1);
    picture *p = hold(L);
    if (picture_read(path, p, &e) != PLN_OK)
        return script_raise(L, &e);
    if (picture_sample(p, in.height, in.width, in.channels, in.digit, bytes, NULL, &e) != PLN_OK) {
        error_prefix(&e, "%s: ", path);
        return script_raise(L, &e);
    }
    script_release(L, -1, &picture_type);
    push_bytes(L, bytes, in.height * in.width * in.channels);
    return 1;
}

void picture_register(lua_State *L)
{
    static const luaL_Reg functions[] = {{"picture", read_picture}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}

/* Pictures: a PNG file as numbers for a model's input. */
#include "script/binding.h"

#include <stdlib.h>

#include "picture/normalise.h"
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

static void check_size(lua_State *L, int64_t side)
{
    if (side < 1 || side > 4096)
        script_fail(L, "the model's input is no picture: %d pixels wide or high", (int)(side > 9999 ? 9999 : side));
}

/* core.digit(path, frame) -> frame*frame numbers 0 to 1: the one drawn digit, as MNIST has them */
static int read_digit(lua_State *L)
{
    error e;
    const char *path = luaL_checkstring(L, 1);
    int64_t frame = luaL_checkinteger(L, 2);
    check_size(L, frame);
    int64_t box = (frame * NORMALISE_BOX + NORMALISE_FRAME / 2) / NORMALISE_FRAME;
    uint8_t *out = script_buffer(L, (size_t)(frame * frame), 1);
    picture *p = hold(L);
    if (picture_read(path, p, &e) != PLN_OK)
        return script_raise(L, &e);
    if (normalise_digit(p, box < 1 ? 1 : (int)box, (int)frame, out, NULL, &e) != PLN_OK) {
        error_prefix(&e, "%s: ", path);
        return script_raise(L, &e);
    }
    script_release(L, -1, &picture_type);
    push_bytes(L, out, frame * frame);
    return 1;
}

/* core.picture(path, height, width, channels) -> numbers 0 to 1, resized */
static int read_picture(lua_State *L)
{
    error e;
    const char *path = luaL_checkstring(L, 1);
    int64_t height = luaL_checkinteger(L, 2), width = luaL_checkinteger(L, 3);
    int channels = (int)luaL_checkinteger(L, 4);
    check_size(L, height);
    check_size(L, width);
    if (channels != 1 && channels != 3)
        return script_fail(L, "the model's input is no picture: %d channels, pictures have 1 or 3", channels);
    picture *raw = hold(L), *flat = hold(L), *out = hold(L);
    if (picture_read(path, raw, &e) != PLN_OK || picture_convert(raw, channels, 255, flat, &e) != PLN_OK ||
        picture_resize(flat, width, height, out, &e) != PLN_OK)
        return script_raise(L, &e);
    push_bytes(L, out->pixels, height * width * channels);
    return 1;
}

void picture_register(lua_State *L)
{
    static const luaL_Reg functions[] = {{"digit", read_digit}, {"picture", read_picture}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}

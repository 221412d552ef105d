/* Lua states from C: two at once, and a state whose n-th allocation fails, for every n.  Whatever fails, nothing crashes,
 * nothing leaks (under the address sanitizer), and the state closes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <lauxlib.h>
#include <lualib.h>

#include "script/script.h"

/* Fails allocation number `fail_at` (from 1) and all after it until `count` is reset; 0: never. */
typedef struct failing {
    long count, fail_at;
} failing;

static void *failing_alloc(void *ud, void *ptr, size_t osize, size_t nsize)
{
    failing *f = ud;
    (void)osize;
    if (!nsize) {
        free(ptr);
        return NULL;
    }
    if (f->fail_at && (!ptr || nsize > osize) && ++f->count >= f->fail_at)
        return NULL;
    return realloc(ptr, nsize);
}

static const char build[] = "local lab = require 'perilune'\n"
                            "local nn = lab.nn\n"
                            "local set = lab.data.table { inputs = { { 0, 1 }, { 1, 0 } }, targets = { 0, 1 } }\n"
                            "local model = nn.Sequential { nn.Input { 2 }, nn.Dense { units = 3, activation = 'relu' "
                            "}, nn.Dense { units = 2 } }\n"
                            "model:compile { optimizer = 'sgd', loss = 'mse', metrics = { 'mae' } }\n"
                            "local a, b = set:split(0.5)\n"
                            "assert(#a == 1 and #b == 1)\n"
                            "assert(#tostring(model) > 100)\n"
                            "assert(#model:forward { 1, 2 } == 2)\n"
                            "assert(#model:predict(set) == 2)\n"
                            "model:weights('dense/bias', { 1, 2, 3 })\n"
                            "assert(model:weights('dense/bias')[3] == 3)\n"
                            "assert(not pcall(function() return nn.Dense { unitz = 2 } end))\n"
                            "return model:digest()\n";

static const script_settings settings = {.database = "unused.db", .threads = 1};

static int prepare(lua_State *L)
{
    error e;
    luaL_openlibs(L);
    if (script_prepare(L, &settings, &e) != PLN_E_OK)
        return luaL_error(L, "%s", e.text);
    return 0;
}

/* 0, or 1 with the error on the top. */
static int run_chunk(lua_State *L, const char *chunk)
{
    lua_pushcfunction(L, prepare);
    if (lua_pcall(L, 0, 0, 0) != LUA_OK)
        return 1;
    return luaL_loadbufferx(L, chunk, strlen(chunk), "@build.lua", "t") != LUA_OK || lua_pcall(L, 0, 1, 0) != LUA_OK;
}

static void two_states_at_once_do_not_touch_each_other(void **state)
{
    (void)state;
    lua_State *a = luaL_newstate(), *b = luaL_newstate();
    assert_non_null(a);
    assert_non_null(b);
    assert_int_equal(run_chunk(a, "local lab = require 'perilune'; lab.experiment { seed = 1 }; return lab"), 0);
    assert_int_equal(run_chunk(b, "local lab = require 'perilune'; lab.experiment { seed = 2 }; return lab"), 0);
    lua_getfield(a, -1, "seed");
    lua_getfield(b, -1, "seed");
    assert_int_equal(lua_tointeger(a, -1), 1);
    assert_int_equal(lua_tointeger(b, -1), 2);
    lua_close(a);
    lua_getfield(b, -2, "version");
    assert_true(lua_isstring(b, -1));
    lua_close(b);
}

static void states_give_the_same_bits(void **state)
{
    (void)state;
    char digest[65] = "";
    for (int i = 0; i < 2; i++) {
        lua_State *L = luaL_newstate();
        assert_non_null(L);
        if (run_chunk(L, build))
            fail_msg("%s", lua_tostring(L, -1));
        if (i)
            assert_string_equal(lua_tostring(L, -1), digest);
        else
            memcpy(digest, lua_tostring(L, -1), 65);
        lua_close(L);
    }
}

/* One attempt with allocation `n` failing; 1 when it went through, because there are fewer than n. */
static int attempt(long n)
{
    failing f = {0, n};
    lua_State *L = lua_newstate(failing_alloc, &f);
    if (!L)
        return 0;
    int status = run_chunk(L, build);
    if (status && f.count < n)
        fail_msg("failed without a failing allocation: %s", lua_tostring(L, -1));
    lua_close(L);
    return !status && f.count < n;
}

static void every_failing_allocation_is_survived(void **state)
{
    (void)state;
    long n = 1;
    /* Each of the first thousands once, then steps that grow, so that the test stays short. */
    while (!attempt(n)) {
        n += 1 + n / 400;
        assert_true(n < 1000000);
    }
    assert_true(n > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_states_at_once_do_not_touch_each_other),
        cmocka_unit_test(states_give_the_same_bits),
        cmocka_unit_test(every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

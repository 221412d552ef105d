/* The terminal: what progress needs to know of it, and writing to it without mixing with stdout. */
#include "script/binding.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

static int utf8_wanted(void)
{
    /* As setlocale(LC_CTYPE, "") would see it, without changing the process's locale. */
    const char *names[] = {getenv("LC_ALL"), getenv("LC_CTYPE"), getenv("LANG")};
    for (int i = 0; i < 3; i++)
        if (names[i] && *names[i])
            return strcasestr(names[i], "utf-8") || strcasestr(names[i], "utf8");
    return 0;
}

/* core.terminal() -> { live=, width=, colour=, utf8=, quiet= } of stderr */
static int terminal_facts(lua_State *L)
{
    struct winsize size = {0};
    const char *term = getenv("TERM"), *no_colour = getenv("NO_COLOR"), *columns = getenv("COLUMNS");
    int64_t width = 0;
    int tty = isatty(STDERR_FILENO) && !(term && !strcmp(term, "dumb"));
    if (tty && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0)
        width = size.ws_col;
    if (!width && (!columns || !text_parse_integer(columns, &width) || width < 20))
        width = 80;
    lua_newtable(L);
    set_boolean(L, "live", tty);
    set_integer(L, "width", width);
    set_boolean(L, "colour", tty && !(no_colour && *no_colour));
    set_boolean(L, "utf8", utf8_wanted());
    set_boolean(L, "quiet", context_get(L)->quiet);
    return 1;
}

/* core.say(text): to stderr as it is */
static int terminal_say(lua_State *L)
{
    size_t n;
    const char *s = luaL_checklstring(L, 1, &n);
    fflush(stdout); /* what the script printed before comes first when both are one terminal */
    fwrite(s, 1, n, stderr);
    fflush(stderr);
    return 0;
}

/* core.clock() -> seconds, monotonic */
static int terminal_clock(lua_State *L)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    lua_pushnumber(L, (double)t.tv_sec + 1e-9 * (double)t.tv_nsec);
    return 1;
}

/* core.nearest(word, names) -> the nearest spelling, or nil */
static int nearest(lua_State *L)
{
    const char *word = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    size_t n = (size_t)lua_rawlen(L, 2), used = 0;
    const char **names = script_buffer(L, n + 1, sizeof *names);
    for (size_t i = 1; i <= n; i++) {
        if (lua_rawgeti(L, 2, (lua_Integer)i) == LUA_TSTRING)
            names[used++] = lua_tostring(L, -1); /* the table keeps it alive */
        lua_pop(L, 1);
    }
    lua_pushstring(L, text_nearest(word, names));
    return 1;
}

/* core.thousands(866798) -> "866,798" */
static int thousands(lua_State *L)
{
    char out[32];
    lua_pushstring(L, text_thousands(luaL_checkinteger(L, 1), out));
    return 1;
}

/* core.number(0.001) -> the shortest decimal, whatever the locale */
static int number(lua_State *L)
{
    char out[32];
    lua_pushstring(L, text_real(luaL_checknumber(L, 1), out));
    return 1;
}

/* core.parse(text) -> an integer, a float, or nil; whatever the locale */
static int parse(lua_State *L)
{
    int64_t i;
    double r;
    const char *s = luaL_checkstring(L, 1);
    if (text_parse_integer(s, &i))
        lua_pushinteger(L, i);
    else if (text_parse_real(s, &r))
        lua_pushnumber(L, r);
    else
        lua_pushnil(L);
    return 1;
}

void terminal_register(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"terminal", terminal_facts}, {"say", terminal_say}, {"clock", terminal_clock}, {"nearest", nearest},
        {"thousands", thousands},     {"number", number},    {"parse", parse},          {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}

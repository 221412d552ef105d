/* Errors: every message begins with the line of the script that caused it, never with a line of the library. */
#include "script/binding.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int is_library(const lua_Debug *ar)
{
    return *ar->what == 'C' || !strncmp(ar->source, LIBRARY_PREFIX, sizeof LIBRARY_PREFIX - 1);
}

void script_where(lua_State *L, int *line)
{
    lua_Debug ar;
    for (int level = 0; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sl", &ar);
        if (is_library(&ar) || ar.currentline <= 0)
            continue;
        if (line)
            *line = ar.currentline;
        lua_pushfstring(L, "%s:%d", *ar.source == '@' ? ar.source + 1 : ar.short_src, ar.currentline);
        return;
    }
    if (line)
        *line = 0;
    lua_pushliteral(L, "");
}

/* "dir/a.lua:12: …" -> 12.  A place is a non-empty run without newline or quotes, a colon, digits, and ": ". */
size_t script_place(const char *message)
{
    size_t end = strcspn(message, "\n'\"");
    for (size_t i = 1; i < end; i++) {
        if (message[i] != ':')
            continue;
        size_t digits = strspn(message + i + 1, "0123456789");
        if (digits && message[i + 1 + digits] == ':' && message[i + 2 + digits] == ' ')
            return i + 1 + digits;
    }
    return 0;
}

static int raise_text(lua_State *L, const char *text)
{
    size_t length = 0;
    script_where(L, NULL);
    const char *where = lua_tolstring(L, -1, &length);
    if (script_place(text) || !length)
        lua_pushstring(L, text);
    else
        lua_pushfstring(L, "%s: %s", where, text);
    return lua_error(L);
}

int script_raise(lua_State *L, const error *e)
{
    return raise_text(L, e->text);
}

int script_fail(lua_State *L, const char *format, ...)
{
    char text[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    return raise_text(L, text);
}

/* Running a script as the program does: a state of its own, errors reported with the line that they mean. */
#include "script/script.h"

#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "script/binding.h"

/* ------------------------------------------------------------------------------------- reporting errors ---- */

/* Line number `wanted` of a file (malloc'd), or NULL. */
static char *read_line(const char *path, long wanted)
{
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t room = 0;
    ssize_t n = -1;
    for (long i = 0; f && i < wanted; i++)
        if ((n = getline(&line, &room, f)) < 0)
            break;
    if (f)
        fclose(f);
    if (n < 0) {
        free(line);
        return NULL;
    }
    line[strcspn(line, "\r\n")] = 0;
    return line;
}

static int is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Where a word stands by itself in a line, or NULL. */
static const char *find_word(const char *line, const char *word, size_t n)
{
    for (const char *at = line; n && (at = strstr(at, word)); at++) {
        if (!(at > line && is_word(at[-1]) && is_word(word[0])) && !(is_word(at[n]) && is_word(word[n - 1])))
            return at;
    }
    return NULL;
}

/* Quoted word number `n` of a message ('filter'), or 0. */
static int quoted_word(const char *text, int n, char *out, size_t size)
{
    for (const char *at = text;; n--) {
        const char *open = strchr(at, '\''), *close = open ? strchr(open + 1, '\'') : NULL;
        if (!close)
            return 0;
        if (n == 0)
            return snprintf(out, size, "%.*s", (int)(close - open - 1), open + 1) > 0;
        at = close + 1;
    }
}

/* "Conv2D: …" -> "Conv2D". */
static int leading_word(const char *text, char *out, size_t size)
{
    size_t n = 0;
    while (is_word(text[n]))
        n++;
    snprintf(out, size, "%.*s", (int)n, text);
    return n && text[n] == ':';
}

/* Which quoted word of the message stands in this line?  Writes it and returns where. */
static const char *find_quoted(const char *line, const char *text, char *word, size_t size)
{
    for (int i = 0; quoted_word(text, i, word, size); i++) {
        const char *at = find_word(line, word, strlen(word));
        if (at)
            return at;
    }
    return NULL;
}

static void show_line(const char *line, long number, const char *at, const char *word)
{
    fprintf(stderr, "%5ld | %s\n", number, line);
    if (!at)
        return;
    fputs("      | ", stderr);
    for (const char *c = line; c < at; c++)
        if ((*c & 0xC0) != 0x80) /* one blank a character, tabs as they are */
            fputc(*c == '\t' ? '\t' : ' ', stderr);
    for (const char *c = word; *c; c++)
        if ((*c & 0xC0) != 0x80)
            fputc('^', stderr);
    fputc('\n', stderr);
}

/* A constructor's table may go over several lines; a word that the message quotes may be in one of the next. */
static int show_quoted(const char *path, long number, const char *text)
{
    char word[128];
    for (long i = number; i < number + 30; i++) {
        char *line = read_line(path, i);
        const char *at = line ? find_quoted(line, text, word, sizeof word) : NULL;
        int last = !line || strchr(line, '}');
        if (at)
            show_line(line, i, at, word);
        free(line);
        if (at || last)
            return at != NULL;
    }
    return 0;
}

static void show_place(const char *path, long number, const char *text)
{
    char word[128];
    if (show_quoted(path, number, text))
        return;
    char *line = read_line(path, number);
    if (line)
        show_line(line, number, leading_word(text, word, sizeof word) ? find_word(line, word, strlen(word)) : NULL,
                  word);
    free(line);
}

void script_report(const char *message)
{
    char path[1024];
    size_t n = script_place(message), colon = n;
    fprintf(stderr, "%s\n", message);
    if (!n)
        return;
    while (message[colon - 1] != ':')
        colon--;
    snprintf(path, sizeof path, "%.*s", (int)(colon - 1), message);
    show_place(path, strtol(message + colon, NULL, 10), message + n + 2);
}

/* ------------------------------------------------------------------------------------------- the run ---- */

/* Makes any error object a text that begins with the script's line: the innermost, where a coroutine's resumer has put
 * its own before it. */
static int on_error(lua_State *L)
{
    const char *library = LIBRARY_PREFIX + 1;
    int placed = lua_type(L, 1) == LUA_TSTRING && script_place(lua_tostring(L, 1));
    if (placed && strncmp(lua_tostring(L, 1), library, strlen(library)) != 0) {
        const char *text = lua_tostring(L, 1);
        for (size_t n; (n = script_place(text)) && script_place(text + n + 2);)
            text += n + 2;
        lua_pushstring(L, text);
        return 1;
    }
    int has_text = lua_type(L, 1) == LUA_TSTRING || luaL_getmetafield(L, 1, "__tostring") != LUA_TNIL;
    script_where(L, NULL);
    const char *where = lua_tostring(L, -1);
    const char *text = has_text
                           ? luaL_tolstring(L, 1, NULL)
                           : lua_pushfstring(L, "the error is no text but a value of type %s", luaL_typename(L, 1));
    lua_pushfstring(L, *where ? "%s: %s" : "%s%s", where, text);
    return 1;
}

/* os.exit closes the state first, so that everything recorded is committed. */
static int exit_closing(lua_State *L)
{
    context *c = context_get(L);
    c->exit_status = lua_isboolean(L, 1) ? !lua_toboolean(L, 1) : (int)luaL_optinteger(L, 1, 0);
    lua_settop(L, 1);
    lua_pushboolean(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 2, 0);
    return 0;
}

static int prepare_state(lua_State *L)
{
    const script_settings *s = lua_touserdata(L, 1);
    error e;
    luaL_openlibs(L);
    if (script_prepare(L, s, &e) != PLN_OK)
        return luaL_error(L, "%s", e.text);
    if (s->text)
        replay_prepare(L, s);
    lua_getglobal(L, "os");
    lua_getfield(L, -1, "exit");
    lua_pushcclosure(L, exit_closing, 1);
    lua_setfield(L, -2, "exit");
    lua_createtable(L, s->nargs, 1);
    for (int i = 0; i < s->nargs; i++) {
        lua_pushstring(L, s->args[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_pushstring(L, s->script);
    lua_rawseti(L, -2, 0);
    lua_setglobal(L, "arg");
    return 0;
}

int script_prepare(lua_State *L, const script_settings *settings, error *e)
{
    int status = context_make(L, settings, e);
    if (status != PLN_OK)
        return status;
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, luaopen_perilune);
    lua_setfield(L, -2, "perilune");
    lua_pop(L, 1);
    return PLN_OK;
}

/* What must be said at the end: --set names that nothing asked for.  The module says it, if it was loaded. */
static int finish_module(lua_State *L)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (lua_getfield(L, -1, "perilune") != LUA_TTABLE)
        return 0;
    if (luaL_getmetafield(L, -1, "finish") != LUA_TFUNCTION)
        return 0;
    lua_call(L, 0, 0);
    return 0;
}

/* The file, or the text that a launch recorded under the same name. */
static int load_script(lua_State *L, const script_settings *s)
{
    if (!s->text)
        return luaL_loadfilex(L, s->script, "t");
    const char *text = s->text->text, *end = text + s->text->bytes;
    if (end - text >= 3 && !memcmp(text, "\xEF\xBB\xBF", 3)) /* as luaL_loadfilex: a mark, and a first line with # */
        text += 3;
    if (text < end && *text == '#')
        while (text < end && *text != '\n')
            text++;
    const char *name = lua_pushfstring(L, "@%s", s->script);
    int status = luaL_loadbufferx(L, text, (size_t)(end - text), name, "t");
    lua_remove(L, -2);
    return status;
}

static int load_and_call(lua_State *L, const script_settings *s)
{
    lua_pushcfunction(L, on_error);
    int handler = lua_gettop(L);
    if (load_script(L, s) != LUA_OK)
        return 1;
    for (int i = 0; i < s->nargs; i++)
        lua_pushstring(L, s->args[i]);
    if (lua_pcall(L, s->nargs, 0, handler) != LUA_OK)
        return 1;
    lua_pushcfunction(L, finish_module);
    return lua_pcall(L, 0, 0, handler) != LUA_OK;
}

static const char *error_text(lua_State *L)
{
    const char *s = lua_tostring(L, -1);
    return s ? s : "an error without a text";
}

static int run_state(lua_State *L, const script_settings *settings)
{
    lua_pushcfunction(L, prepare_state);
    lua_pushlightuserdata(L, (void *)(uintptr_t)settings);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
        fprintf(stderr, "perilune: %s\n", error_text(L));
        return 1;
    }
    context *c = context_get(L);
    interrupt_watch(L);
    int failed = load_and_call(L, settings);
    interrupt_unwatch();
    lua_sethook(L, NULL, 0, 0);
    c->exit_status = !failed ? 0 : c->interrupted ? 130 : 1;
    if (!failed)
        return 0;
    fflush(stdout);
    c->message = text_copy(error_text(L));
    if (c->interrupted)
        fprintf(stderr, "%s\n", error_text(L));
    else
        script_report(error_text(L));
    return c->exit_status;
}

int script_run(const script_settings *settings)
{
    lua_State *L = luaL_newstate();
    if (!L) {
        fputs("perilune: out of memory\n", stderr);
        return 1;
    }
    int status = run_state(L, settings);
    lua_close(L);
    return status;
}

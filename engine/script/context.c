/* The context of a Lua state: what all of its objects rest on.  It is made first, and so freed last. */
#include "script/binding.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static const char context_key = 0; /* its address is the key in the registry */

static char **copy_list(const char *const *list, int n, int *failed)
{
    char **copy = calloc((size_t)n + 1, sizeof *copy);
    if (!copy)
        *failed = 1;
    for (int i = 0; copy && i < n; i++)
        if (!(copy[i] = text_copy(list[i])))
            *failed = 1;
    return copy;
}

static void free_list(char **list)
{
    for (char **s = list; s && *s; s++)
        free(*s);
    free(list);
}

/* The last commits of all that was recorded; what is worth a line goes to stderr. */
static void close_records(context *c)
{
    error e = {0};
    if (!c->records)
        return;
    if (c->launched)
        store_launch_end(c->records, c->exit_status, c->message, &e);
    if (store_close(c->records, 5000, &e) != PLN_OK || e.text[0])
        fprintf(stderr, "perilune: %s\n", e.text);
    c->records = NULL;
}

static int context_release(lua_State *L)
{
    context *c = lua_touserdata(L, 1);
    close_records(c);
    lanes_close(c->pool);
    registry_free(c->plugins);
    free(c->script);
    free(c->folders);
    free(c->database);
    free(c->message);
    free_list(c->args);
    free_list(c->sets);
    *c = (context){0};
    return 0;
}

static int environment_threads(void)
{
    int64_t n = 0;
    const char *s = getenv("PERILUNE_THREADS");
    if (s && text_parse_integer(s, &n) && n >= 1 && n <= LANES_MAX)
        return (int)n;
    n = lanes_available();
    return n > LANES_MAX ? LANES_MAX : (int)n;
}

static int fill_context(context *c, const script_settings *s, error *e)
{
    int failed = 0, nsets = 0;
    const char *database = s->database ? s->database : getenv("PERILUNE_DB");
    while (s->sets && s->sets[nsets])
        nsets++;
    c->exit_status = -1;
    c->has_seed = s->has_seed;
    c->seed = s->seed;
    c->quiet = s->quiet;
    c->threads = s->threads ? s->threads : environment_threads();
    c->database = text_copy(database && *database ? database : "perilune.db");
    c->script = text_copy(s->script);
    c->folders = text_copy(s->plugins);
    c->resumes = s->resumes;
    c->args = copy_list((const char *const *)s->args, s->nargs, &failed);
    c->sets = copy_list(s->sets, nsets, &failed);
    if (failed || !c->database || (s->script && !c->script) || (s->plugins && !c->folders))
        return error_memory(e);
    return registry_open(s->plugins, &c->plugins, e);
}

int context_make(lua_State *L, const script_settings *settings, error *e)
{
    context *c = lua_newuserdatauv(L, sizeof *c, 0);
    *c = (context){0};
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, context_release);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    int status = fill_context(c, settings, e);
    if (status == PLN_OK)
        lua_rawsetp(L, LUA_REGISTRYINDEX, &context_key);
    else
        lua_pop(L, 1);
    return status;
}

context *context_get(lua_State *L)
{
    static const script_settings nothing = {0};
    error e;
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &context_key) == LUA_TNIL) {
        if (context_make(L, &nothing, &e) != PLN_OK)
            script_raise(L, &e);
        lua_rawgetp(L, LUA_REGISTRYINDEX, &context_key);
        lua_remove(L, -2);
    }
    context *c = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return c;
}

lanes *context_pool(lua_State *L)
{
    error e;
    context *c = context_get(L);
    if (!c->pool && lanes_open(c->threads, &c->pool, &e) != PLN_OK)
        script_raise(L, &e);
    return c->pool;
}

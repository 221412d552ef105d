/* Ctrl-C, and SIGTERM, which does the same.  The first one asks: a fit finishes its batch, saves and marks the run; any other code is ended with an error
 * at its next Lua instruction.  The second one quits at once.  One flag for the process, because a signal has no other
 * address; it is the only mutable global of the room. */
#include "script/binding.h"

#include <signal.h>
#include <string.h>

enum { SIGNALS = 2 };
static const int signals[SIGNALS] = {SIGINT, SIGTERM};

static volatile sig_atomic_t interrupted;
static lua_State *volatile watched; /* main thread of the state that `perilune run` executes, or NULL */

static void stop_hook(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    lua_sethook(L, NULL, 0, 0);
    context_get(L)->interrupted = 1;
    script_fail(L, "interrupted");
}

static void on_signal(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
    for (int i = 0; i < SIGNALS; i++)
        signal(signals[i], SIG_DFL); /* the second one quits */
    if (watched)
        lua_sethook(watched, stop_hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
}

int interrupt_pending(void)
{
    return interrupted != 0;
}

/* What is ignored, as under nohup, stays ignored. */
static void install(struct sigaction old[SIGNALS])
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;
    for (int i = 0; i < SIGNALS; i++) {
        sigaction(signals[i], &action, &old[i]);
        if (old[i].sa_handler == SIG_IGN)
            sigaction(signals[i], &old[i], NULL);
    }
}

void interrupt_watch(lua_State *L)
{
    struct sigaction old[SIGNALS];
    watched = L;
    install(old);
}

void interrupt_unwatch(void)
{
    watched = NULL;
}

/* A guard holds what was there before: { saved sigaction, saved watch }. */
typedef struct guard {
    struct sigaction action[SIGNALS];
    lua_State *watch;
    int on;
} guard;

static int guard_close(lua_State *L)
{
    guard *g = luaL_checkudata(L, 1, "perilune.interrupts");
    if (g->on) {
        g->on = 0;
        watched = g->watch;
        for (int i = 0; i < SIGNALS && !interrupted; i++)
            sigaction(signals[i], &g->action[i], NULL);
    }
    return 0;
}

/* core.interrupts() -> a value for `<close>`: while it lives, Ctrl-C only sets the flag */
static int interrupts(lua_State *L)
{
    guard *g = lua_newuserdatauv(L, sizeof *g, 0);
    g->on = 0;
    if (luaL_newmetatable(L, "perilune.interrupts")) {
        lua_pushcfunction(L, guard_close);
        lua_setfield(L, -2, "__close");
        lua_pushcfunction(L, guard_close);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    g->watch = watched;
    g->on = 1;
    watched = NULL;
    if (!interrupted)
        install(g->action);
    return 1;
}

/* core.interrupted() -> true once a Ctrl-C came */
static int is_interrupted(lua_State *L)
{
    lua_pushboolean(L, interrupted != 0);
    return 1;
}

/* core.interrupt_honoured(): the fit has saved; from here on the program exits with 130 */
static int honoured(lua_State *L)
{
    context_get(L)->interrupted = 1;
    return 0;
}

void interrupt_register(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"interrupts", interrupts}, {"interrupted", is_interrupted}, {"interrupt_honoured", honoured}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}

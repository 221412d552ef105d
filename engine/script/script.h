/* script.h: running Lua scripts that use the engine, for the program.
 *
 * This room holds bindings and nothing but bindings: C functions that check their arguments, call one engine function
 * and hand back its result.  Everything that decides something is Lua, in scripts/perilune, compiled into the library by
 * embed.py.  The module `perilune` is the same under the program and under a stock lua5.4 (module.c).
 *
 * Thread rule: a Lua state, and all that belongs to it, on one thread.  Several states may be used at once.
 */
#ifndef SCRIPT_SCRIPT_H
#define SCRIPT_SCRIPT_H

#include <lua.h>
#include <stdint.h>

#include "base/error.h"
#include "store/store.h"

/* What the command line says.  Texts are copied; NULL and 0 mean "not given". */
typedef struct script_settings {
    const char *script; /* path of the script, as the user wrote it */
    char *const *args;  /* its arguments */
    int nargs;
    const char *database;    /* NULL: $PERILUNE_DB, else perilune.db */
    const char *plugins;     /* folders, separated by colons */
    const char *const *sets; /* "name=value", ended by NULL */
    int has_seed;
    uint64_t seed;
    int threads; /* 0: $PERILUNE_THREADS, else as many as the machine offers */
    int quiet;   /* no progress on stderr */
    /* A replay (`perilune resume`): the launch that is gone on with, 0: none, and what is executed in the files' stead. */
    int64_t resumes;
    const store_file *text;    /* of the script */
    const store_file *modules; /* that it required */
    size_t nmodules;
} script_settings;

/* Runs a script in a state of its own and reports errors on stderr.  Returns the exit status: 0 done, 1 failed, 130
 * interrupted. */
int script_run(const script_settings *settings);

/* Prepares `L` (standard libraries open) for `require "perilune"` under these settings.  PLN_E_MEMORY, or what opening the
 * plugins' registry said. */
int script_prepare(lua_State *L, const script_settings *settings, error *e);

/* Writes an error as users see it: the message, then the script's line with a caret under the word meant. */
void script_report(const char *message);

#endif

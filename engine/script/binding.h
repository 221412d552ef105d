/* binding.h: what the files of this room share: the context of a Lua state, handles, errors.
 *
 * Rules that keep a Lua error from leaking or jumping through engine code:
 *   - a userdata (with its metatable) is made before the resource that it will hold: script_new, then the engine's call
 *     writes to the pointer it returned;
 *   - memory for arguments is Lua's own (script_buffer), anchored on the stack;
 *   - engine functions never call Lua, so no longjmp ever crosses an engine frame.
 */
#ifndef SCRIPT_BINDING_H
#define SCRIPT_BINDING_H

#include <lauxlib.h>
#include <lua.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/lanes.h"
#include "data/dataset.h"
#include "net/train.h"
#include "plugin/options.h"
#include "script/script.h"
#include "store/store.h"

/* Chunk names of the Lua library begin so: frames of them are never "the script's line". */
#define LIBRARY_PREFIX "=(perilune "

/* What belongs to one Lua state; kept in its registry, freed last. */
typedef struct context {
    registry *plugins;
    lanes *pool;             /* opened by the first who needs it */
    store *records;          /* opened by the first fit */
    char *script, *database; /* script: NULL under a stock interpreter */
    char **args, **sets;     /* ended by NULL; or NULL */
    char *folders;           /* of plugins, as the command line says; or NULL */
    int64_t resumes;         /* the launch that this state goes on with, 0: none */
    int has_seed, threads, quiet;
    uint64_t seed;
    int launched;      /* a launch is recorded */
    int interrupted;   /* a Ctrl-C was honoured: exit status 130 */
    int exit_status;   /* of the launch, -1: not known */
    char *message;     /* why it failed, or NULL */
    size_t unreported; /* bytes behind userdata that the collector was not told of yet */
} context;

/* The state's context; made from the environment when there is none (a stock interpreter). */
context *context_get(lua_State *L);
int context_make(lua_State *L, const script_settings *settings, error *e);
/* The lanes; raises when there are none. */
lanes *context_pool(lua_State *L);

/* ------------------------------------------------------------------------------------------------ errors */

/* Pushes "script.lua:12" for the nearest frame that is the user's, or "" when there is none.  With `source` and `line` (may
 * be NULL) the parts.  One value. */
void script_where(lua_State *L, int *line);

/* Raises e->text as an error that begins with the script's line (unless it does already). */
int script_raise(lua_State *L, const error *e);
int script_fail(lua_State *L, const char *format, ...);

/* Does a message begin with "file:line: "?  Returns the length of "file:line", or 0. */
size_t script_place(const char *message);

/* ------------------------------------------------------------------------------------------------ handles */

/* A kind of userdata that holds one pointer. */
typedef struct script_type {
    const char *name;              /* "perilune.model": the metatable's key and __name */
    void (*release)(void *object); /* called once, by __gc or __close */
    const luaL_Reg *methods;       /* ended by {NULL, NULL}; or NULL */
} script_type;

/* Pushes an empty userdata of type `t`, with one user value; the caller fills in *result. */
void **script_new(lua_State *L, const script_type *t);
/* The object of argument `arg`; raises when it is something else or closed. */
void *script_check(lua_State *L, int arg, const script_type *t);
/* The same, NULL for nil. */
void *script_optional(lua_State *L, int arg, const script_type *t);

/* Releases the object of the userdata at `index` now. */
void script_release(lua_State *L, int index, const script_type *t);

/* Memory that lives until the stack slot it is pushed to is popped; zeroed. */
void *script_buffer(lua_State *L, size_t count, size_t size);

/* An empty place for malloc'd memory, on the stack, freed with it: made before the engine's call that fills it. */
void **script_memory(lua_State *L);

/* Tells the collector that `bytes` outside of Lua hang on a userdata just made. */
void script_weigh(lua_State *L, size_t bytes);

extern const script_type layer_type, model_type, dataset_type, recipe_type, trainer_type, recording_type;

/* ------------------------------------------------------------------------------------------------ arguments */

/* Option values from the table at `arg` (nil: none), sorted by name; anchored in one pushed value. */
const option_value *script_options(lua_State *L, int arg, int *n);

/* Field access with checks: raises "TABLE.NAME must be …" in the user's line. */
int64_t field_integer(lua_State *L, int table, const char *name, int64_t fallback);
double field_real(lua_State *L, int table, const char *name, double fallback);
const char *field_text(lua_State *L, int table, const char *name); /* NULL: absent; anchored by the table */
int field_boolean(lua_State *L, int table, const char *name, int fallback);

void set_integer(lua_State *L, const char *name, int64_t value); /* into the table on the top */
void set_real(lua_State *L, const char *name, double value);
void set_text(lua_State *L, const char *name, const char *value); /* NULL: nothing */
void set_boolean(lua_State *L, const char *name, int value);

/* ------------------------------------------------------------------------------------------------ the parts */

/* Each adds its functions to the table on the top: the module's core. */
void layer_register(lua_State *L);
void model_register(lua_State *L);
void dataset_register(lua_State *L);
void train_register(lua_State *L);
void record_register(lua_State *L);
void terminal_register(lua_State *L);
void interrupt_register(lua_State *L);
void picture_register(lua_State *L);
void replay_register(lua_State *L);
void function_hash_register(lua_State *L);

/* Makes a state execute what a launch recorded instead of files. */
void replay_prepare(lua_State *L, const script_settings *settings);
/* What the command line said, as the launch keeps it: JSON (malloc'd), NULL without memory. */
char *replay_overrides(const context *c);

/* 1 once a Ctrl-C came (see interrupt.c). */
int interrupt_pending(void);
/* A Ctrl-C outside of a fit raises "interrupted" in this state. */
void interrupt_watch(lua_State *L);
void interrupt_unwatch(void);

/* A file of the embedded library. */
typedef struct library_file {
    const char *name; /* "fit", "callbacks/EarlyStopping" */
    const unsigned char *bytes;
    size_t count;
} library_file;
extern const library_file library_files[]; /* ended by a NULL name; sorted */

/* luaopen_perilune: pushes the module. */
int luaopen_perilune(lua_State *L);

#endif

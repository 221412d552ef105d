/* Recording: the launch, its runs and their epochs, handed to the store as plain records. */
#include "script/binding.h"

#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "kernels/kernels.h"
#include "net/fingerprint.h"

static void recording_release(void *object)
{
    recording_close(object);
}

static recording *check(lua_State *L)
{
    return script_check(L, 1, &recording_type);
}

static store *records(lua_State *L)
{
    store *s = context_get(L)->records;
    if (!s)
        script_fail(L, "no database is open");
    return s;
}

static int answer(lua_State *L, int status, const error *e)
{
    return status == PLN_OK ? 0 : script_raise(L, e);
}

/* ------------------------------------------------------------------------------------------- the launch ---- */

/* Reads { { name=, text= } … } from the field; the array is anchored on the stack. */
static const store_file *read_files(lua_State *L, int table, const char *name, size_t *n)
{
    lua_getfield(L, table, name);
    *n = lua_istable(L, -1) ? (size_t)lua_rawlen(L, -1) : 0;
    store_file *files = script_buffer(L, *n + 1, sizeof *files);
    for (size_t i = 0; i < *n; i++) {
        lua_rawgeti(L, -2, (lua_Integer)i + 1);
        files[i].name = field_text(L, lua_gettop(L), "name");
        lua_getfield(L, -1, "text");
        files[i].text = lua_tolstring(L, -1, &files[i].bytes);
        lua_pop(L, 2);
    }
    return files;
}

static const char **read_texts(lua_State *L, int table, const char *name, size_t *n)
{
    lua_getfield(L, table, name);
    *n = lua_istable(L, -1) ? (size_t)lua_rawlen(L, -1) : 0;
    const char **texts = script_buffer(L, *n + 1, sizeof *texts);
    for (size_t i = 0; i < *n; i++) {
        lua_rawgeti(L, -2, (lua_Integer)i + 1);
        texts[i] = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
        lua_pop(L, 1);
    }
    return texts;
}

/* What results may depend on beyond the script. */
static int record_environment(store *s, error *e)
{
    char cores[16];
    snprintf(cores, sizeof cores, "%d", lanes_available());
    const store_pair pairs[] = {
        {"compiler", __VERSION__},  {"kernels", kernels_name()},    {"cores", cores},
        {"lua", LUA_RELEASE},       {"perilune", PERILUNE_VERSION}, {"sqlite", sqlite3_libversion()},
        {"system", PERILUNE_SYSTEM}};
    return store_launch_environment(s, pairs, sizeof pairs / sizeof *pairs, e);
}

/* core.launch { name=, text=, args=, modules= }: opens the database and begins a launch, once a state */
static int launch(lua_State *L)
{
    error e;
    char folder[4096];
    store_launch l = {0};
    context *c = context_get(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (c->launched)
        return 0;
    l.script.name = field_text(L, 1, "name");
    lua_getfield(L, 1, "text");
    l.script.text = lua_tolstring(L, -1, &l.script.bytes);
    l.args = read_texts(L, 1, "args", &l.arg_count);
    l.modules = read_files(L, 1, "modules", &l.module_count);
    l.folder = getcwd(folder, sizeof folder);
    l.version = PERILUNE_VERSION;
    l.exit_status = -1;
    l.resumes = c->resumes;
    char **overrides = (char **)script_memory(L);
    if (!(*overrides = replay_overrides(c)))
        return script_fail(L, "out of memory");
    l.overrides = *overrides;
    if (!c->records && store_open(c->database, STORE_WRITE, &c->records, &e) != PLN_OK)
        return script_raise(L, &e);
    if (store_launch_begin(c->records, &l, &e) != PLN_OK || record_environment(c->records, &e) != PLN_OK)
        return script_raise(L, &e);
    c->launched = 1;
    return 0;
}

/* core.launch_git(commit, diff) */
static int launch_git(lua_State *L)
{
    error e;
    return answer(L, store_launch_git(records(L), luaL_checkstring(L, 1), luaL_optstring(L, 2, NULL), &e), &e);
}

/* core.launch_module(name, text) */
static int launch_module(lua_State *L)
{
    error e;
    store_file file = {.name = luaL_checkstring(L, 1)};
    file.text = luaL_checklstring(L, 2, &file.bytes);
    return answer(L, store_launch_module(records(L), &file, &e), &e);
}

/* core.flush(milliseconds) -> true, or false when somebody holds the file; a full disk is an error */
static int flush(lua_State *L)
{
    error e;
    int status = store_flush(records(L), (int)luaL_optinteger(L, 1, 0), &e);
    if (status != PLN_OK && status != PLN_E_BUSY)
        return script_raise(L, &e);
    lua_pushboolean(L, status == PLN_OK);
    return 1;
}

/* core.notice() -> what the store has to say, or nil */
static int notice(lua_State *L)
{
    store *s = context_get(L)->records;
    lua_pushstring(L, s ? store_notice(s) : NULL);
    return 1;
}

/* core.database() -> the path, absolute once it is open */
static int database(lua_State *L)
{
    const context *c = context_get(L);
    lua_pushstring(L, c->records ? store_path(c->records) : c->database);
    lua_pushstring(L, c->database);
    return 2;
}

/* core.run_folder(uuid) -> path */
static int run_folder(lua_State *L)
{
    error e;
    store *s = records(L);
    const char *uuid = luaL_checkstring(L, 1);
    char **path = (char **)script_memory(L);
    if (store_run_folder(s, uuid, path, &e) != PLN_OK)
        return script_raise(L, &e);
    lua_pushstring(L, *path);
    return 1;
}

/* ---------------------------------------------------------------------------------------------- the run ---- */

/* core.recording { experiment=, name=, … } -> recording */
static int recording_new(lua_State *L)
{
    error e;
    store_run r = {0};
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    store *s = records(L);
    r.experiment = field_text(L, 1, "experiment");
    r.name = field_text(L, 1, "name");
    r.ordinal = field_integer(L, 1, "ordinal", 1);
    r.seed = field_integer(L, 1, "seed", 0);
    r.threads = context_get(L)->threads;
    r.batch_size = field_integer(L, 1, "batch_size", 0);
    r.epochs_planned = field_integer(L, 1, "epochs", 0);
    r.parameters = field_integer(L, 1, "parameters", 0);
    r.model = field_text(L, 1, "model");
    r.inexact = field_text(L, 1, "inexact");
    r.fingerprint = field_text(L, 1, "fingerprint");
    r.score_name = field_text(L, 1, "score_name");
    r.score_goal = field_text(L, 1, "score_goal");
    recording **out = (recording **)script_new(L, &recording_type);
    if (recording_begin(s, &r, out, &e) != PLN_OK)
        return script_raise(L, &e);
    return 1;
}

static int id(lua_State *L)
{
    lua_pushinteger(L, recording_id(check(L)));
    return 1;
}

static int uuid(lua_State *L)
{
    lua_pushstring(L, recording_uuid(check(L)));
    return 1;
}

static store_value read_value(lua_State *L, int arg)
{
    switch (lua_type(L, arg)) {
    case LUA_TNUMBER:
        return lua_isinteger(L, arg) ? store_integer(lua_tointeger(L, arg)) : store_real(lua_tonumber(L, arg));
    case LUA_TBOOLEAN:
        return store_boolean(lua_toboolean(L, arg));
    default:
        return store_text(luaL_tolstring(L, arg, NULL));
    }
}

/* recording:param(name, value, source) */
static int param(lua_State *L)
{
    error e;
    recording *r = check(L);
    const char *name = luaL_checkstring(L, 2), *source = luaL_checkstring(L, 4);
    return answer(L, recording_param(r, name, read_value(L, 3), source, &e), &e);
}

/* recording:epoch(number, { column or metric = value }, best epoch, score) */
static int epoch(lua_State *L)
{
    error e;
    store_epoch row = {0};
    recording *r = check(L);
    luaL_checktype(L, 3, LUA_TTABLE);
    row.epoch = luaL_checkinteger(L, 2);
    row.best_epoch = luaL_optinteger(L, 4, 0);
    row.score = luaL_optnumber(L, 5, 0);
    for (lua_pushnil(L); lua_next(L, 3); lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
        if (!name || lua_type(L, -1) != LUA_TNUMBER || store_epoch_set(&row, name, lua_tonumber(L, -1)))
            continue;
        store_metric m = {.name = name, .step = row.epoch, .value = lua_tonumber(L, -1)};
        if (recording_metric(r, &m, &e) != PLN_OK)
            return script_raise(L, &e);
    }
    return answer(L, recording_epoch(r, &row, &e), &e);
}

/* recording:metric(name, step, value) */
static int metric(lua_State *L)
{
    error e;
    store_metric m = {.name = luaL_checkstring(L, 2), .step = luaL_checkinteger(L, 3), .value = luaL_checknumber(L, 4)};
    return answer(L, recording_metric(check(L), &m, &e), &e);
}

/* recording:evaluation(data set, digest, metric, value) */
static int evaluation(lua_State *L)
{
    error e;
    store_evaluation v = {.dataset = luaL_checkstring(L, 2),
                          .digest = luaL_optstring(L, 3, NULL),
                          .name = luaL_checkstring(L, 4),
                          .value = luaL_checknumber(L, 5)};
    return answer(L, recording_evaluation(check(L), &v, &e), &e);
}

/* recording:file("checkpoint" or "artifact", name, kind, epoch) */
static int file(lua_State *L)
{
    error e;
    recording *r = check(L);
    int is_checkpoint = !strcmp(luaL_checkstring(L, 2), "checkpoint");
    store_artifact a = {
        .name = luaL_checkstring(L, 3), .kind = luaL_checkstring(L, 4), .epoch = luaL_optinteger(L, 5, 0)};
    return answer(L, is_checkpoint ? recording_checkpoint(r, &a, &e) : recording_artifact(r, &a, &e), &e);
}

/* recording:forget(name) */
static int forget(lua_State *L)
{
    error e;
    return answer(L, recording_forget_file(check(L), luaL_checkstring(L, 2), &e), &e);
}

/* recording:dataset(role, { name=, digest=, samples=, classes=, shape= }) */
static int uses_dataset(lua_State *L)
{
    error e;
    recording *r = check(L);
    luaL_checktype(L, 3, LUA_TTABLE);
    store_dataset d = {.role = luaL_checkstring(L, 2),
                       .name = field_text(L, 3, "name"),
                       .digest = field_text(L, 3, "digest"),
                       .samples = field_integer(L, 3, "samples", 0),
                       .classes = field_integer(L, 3, "classes", 0),
                       .shape = field_text(L, 3, "shape"),
                       .origin = field_text(L, 3, "origin")};
    return answer(L, recording_dataset(r, &d, &e), &e);
}

static int record_plugin(recording *r, const plugin_entry *entry, error *e)
{
    char sha256[HASH_HEX];
    int status = hash_file(entry->path, sha256, e);
    store_plugin p = {.sha256 = sha256,
                      .file = entry->path,
                      .kind = plugin_kind_name(entry->kind),
                      .type = entry->head->name,
                      .version = entry->plugin->version};
    return status == PLN_OK ? recording_plugin(r, &p, e) : status;
}

/* recording:plugins(model, recipe): every plugin that they use */
static int plugins(lua_State *L)
{
    enum { MOST = 512 };
    error e;
    int status = PLN_OK;
    recording *r = check(L);
    const model *m = script_check(L, 2, &model_type);
    const recipe *c = script_check(L, 3, &recipe_type);
    const plugin_entry **list = script_buffer(L, MOST, sizeof *list);
    int n = used_plugins(m, c, list, MOST);
    for (int i = 0; i < n && status == PLN_OK; i++)
        status = record_plugin(r, list[i], &e);
    return answer(L, status, &e);
}

static int event(lua_State *L)
{
    error e;
    return answer(L, recording_event(check(L), luaL_checkstring(L, 2), luaL_optstring(L, 3, NULL), &e), &e);
}

static int log_line(lua_State *L)
{
    error e;
    return answer(L, recording_log(check(L), luaL_checkstring(L, 2), luaL_checkstring(L, 3), &e), &e);
}

static int inexact(lua_State *L)
{
    error e;
    return answer(L, recording_inexact(check(L), luaL_checkstring(L, 2), &e), &e);
}

static int tag(lua_State *L)
{
    error e;
    return answer(L, recording_tag(check(L), luaL_checkstring(L, 2), &e), &e);
}

static int stop_requested(lua_State *L)
{
    lua_pushboolean(L, store_stop_requested(records(L), check(L)));
    return 1;
}

/* recording:finish { state = "done", message=, source=, line=, digest=, best_epoch=, score= } */
static int finish(lua_State *L)
{
    error e;
    store_end end = {.state = -1};
    recording *r = check(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    const char *state = field_text(L, 2, "state");
    for (int i = 0; state && i < STORE_STATES; i++)
        if (!strcmp(store_state_names[i], state))
            end.state = i;
    if (end.state < 0)
        return script_fail(L, "a run ends done, failed, pruned or interrupted");
    end.message = field_text(L, 2, "message");
    end.source = field_text(L, 2, "source");
    end.line = field_integer(L, 2, "line", 0);
    end.digest = field_text(L, 2, "digest");
    end.best_epoch = field_integer(L, 2, "best_epoch", 0);
    end.score = field_real(L, 2, "score", NAN);
    return answer(L, recording_finish(r, &end, &e), &e);
}

static const luaL_Reg methods[] = {{"id", id},
                                   {"uuid", uuid},
                                   {"param", param},
                                   {"epoch", epoch},
                                   {"metric", metric},
                                   {"evaluation", evaluation},
                                   {"file", file},
                                   {"forget", forget},
                                   {"dataset", uses_dataset},
                                   {"plugins", plugins},
                                   {"event", event},
                                   {"log", log_line},
                                   {"inexact", inexact},
                                   {"tag", tag},
                                   {"finish", finish},
                                   {"stop_requested", stop_requested},
                                   {NULL, NULL}};
const script_type recording_type = {"perilune.recording", recording_release, methods};

void record_register(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"launch", launch},         {"launch_git", launch_git},   {"launch_module", launch_module},
        {"flush", flush},           {"notice", notice},           {"database", database},
        {"run_folder", run_folder}, {"recording", recording_new}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}

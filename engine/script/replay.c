/* Replay: a state that executes what a launch recorded, and what a fit finds recorded of itself.
 *
 * `perilune resume` hands in the texts of the script and of the modules that it required; a searcher before those of
 * files returns the modules.  What is decided about a recorded fit (taken as it is, gone on with, refused) is Lua
 * (replay.lua). */
#include "script/binding.h"

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/fingerprint.h"
#include "net/weights.h"

static const char recorded_key = 0; /* its address is the key of what core.replay returns */

static store *records(lua_State *L)
{
    store *s = context_get(L)->records;
    if (!s)
        script_fail(L, "no database is open");
    return s;
}

/* ------------------------------------------------------------------------------------- what is executed ---- */

/* A searcher for require: upvalue 1 holds the modules' texts by name.  The chunk is named after the file that would be
 * found now, so that messages stay the same. */
static int search_module(lua_State *L)
{
    size_t n;
    const char *name = luaL_checkstring(L, 1);
    lua_settop(L, 1);
    if (lua_getfield(L, lua_upvalueindex(1), name) != LUA_TSTRING)
        return 0;
    const char *text = lua_tolstring(L, -1, &n);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, -1, "package");
    lua_getfield(L, -1, "searchpath");
    lua_pushvalue(L, 1);
    lua_getfield(L, -3, "path");
    if (lua_pcall(L, 2, 1, 0) != LUA_OK || lua_type(L, -1) != LUA_TSTRING)
        lua_pushfstring(L, "%s.lua", name);
    const char *file = lua_tostring(L, -1);
    if (luaL_loadbufferx(L, text, n, lua_pushfstring(L, "@%s", file), "t") != LUA_OK)
        return luaL_error(L, "error loading module '%s':\n\t%s", name, lua_tostring(L, -1));
    lua_pushstring(L, file);
    return 2;
}

void replay_prepare(lua_State *L, const script_settings *s)
{
    int top = lua_gettop(L);
    lua_newtable(L);
    lua_pushinteger(L, s->resumes);
    lua_setfield(L, -2, "launch");
    lua_pushlstring(L, s->text->text, s->text->bytes);
    lua_setfield(L, -2, "text");
    lua_newtable(L);
    for (size_t i = 0; i < s->nmodules; i++) {
        lua_pushlstring(L, s->modules[i].text, s->modules[i].bytes);
        lua_setfield(L, -2, s->modules[i].name);
    }
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "modules");
    lua_pushcclosure(L, search_module, 1);
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "searchers");
    for (lua_Integer i = (lua_Integer)lua_rawlen(L, -1); i >= 2; i--) { /* after that of preloaded modules */
        lua_rawgeti(L, -1, i);
        lua_rawseti(L, -2, i + 1);
    }
    lua_pushvalue(L, -3);
    lua_rawseti(L, -2, 2);
    lua_pushvalue(L, top + 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &recorded_key);
    lua_settop(L, top);
}

/* core.replay() -> { launch =, text =, modules = { name = text } }, or nil when files are executed */
static int replay(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &recorded_key);
    return 1;
}

char *replay_overrides(const context *c)
{
    json_t *all = json_object(), *sets = json_array();
    int failed = !all || !sets;
    for (char **set = c->sets; !failed && set && *set; set++) {
        json_t *word = json_string(*set);
        failed = json_array_append_new(sets, word ? word : json_string("?"));
    }
    if (!failed && json_array_size(sets))
        failed = json_object_set(all, "set", sets);
    if (!failed && c->has_seed)
        failed = json_object_set_new(all, "seed", json_integer((json_int_t)c->seed));
    if (!failed && c->folders)
        failed = json_object_set_new(all, "plugins", json_string(c->folders));
    char *text = failed ? NULL : json_dumps(all, JSON_COMPACT);
    json_decref(sets);
    json_decref(all);
    return text;
}

/* ------------------------------------------------------------------------------------ what was recorded ---- */

/* Results of the store, held by userdata while their values are pushed. */
static void free_launch(void *object)
{
    store_launch_detail_free(object);
    free(object);
}

static void free_runs(void *object)
{
    store_runs_free(object);
    free(object);
}

static void free_detail(void *object)
{
    store_detail_free(object);
    free(object);
}

static const script_type launch_type = {"perilune.launch", free_launch, NULL},
                         runs_type = {"perilune.runs", free_runs, NULL},
                         detail_type = {"perilune.detail", free_detail, NULL};

static void free_weights(void *object)
{
    weights_close(object);
}

static const script_type weights_type = {"perilune.weights", free_weights, NULL};

static void *result_of(lua_State *L, const script_type *type, size_t size)
{
    void **place = script_new(L, type);
    *place = calloc(1, size);
    if (!*place)
        script_fail(L, "out of memory");
    return *place;
}

/* core.launch_runs(launch) -> the launch that it goes on from (0: none), and its runs { { id =, ordinal =, state = } … } */
static int launch_runs(lua_State *L)
{
    error e;
    store *s = records(L);
    store_filter f = store_filter_all();
    f.launch = luaL_checkinteger(L, 1);
    store_launch_detail *launch = result_of(L, &launch_type, sizeof *launch);
    if (store_read_launch(s, f.launch, launch, &e) != PLN_OK)
        return script_raise(L, &e);
    store_runs *runs = result_of(L, &runs_type, sizeof *runs);
    if (store_list_runs(s, &f, runs, &e) != PLN_OK)
        return script_raise(L, &e);
    lua_pushinteger(L, launch->launch.resumes);
    lua_createtable(L, (int)runs->count, 0);
    for (size_t i = 0; i < runs->count; i++) {
        lua_newtable(L);
        set_integer(L, "id", runs->run[i].id);
        set_integer(L, "ordinal", runs->run[i].ordinal);
        set_text(L, "state", store_state_names[runs->run[i].state]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 2;
}

static void push_epochs(lua_State *L, const store_detail *d)
{
    lua_createtable(L, (int)d->epochs, 0);
    for (size_t i = 0; i < d->epochs; i++) {
        lua_newtable(L);
        for (int k = 0; k < EPOCH_COLUMNS; k++)
            if (d->epoch[i].present & 1u << k)
                set_real(L, store_epoch_names[k], d->epoch[i].value[k]);
        lua_rawseti(L, -2, d->epoch[i].epoch);
    }
}

/* Adds the custom metrics to the table of epochs on the top. */
static void push_metrics(lua_State *L, store *s, const store_detail *d)
{
    for (size_t i = 0; i < d->metrics; i++) {
        error e;
        size_t count = 0;
        store_metric **points = (store_metric **)script_memory(L);
        if (store_read_metric(s, d->run.id, d->metric[i], points, &count, &e) != PLN_OK)
            script_raise(L, &e);
        for (size_t k = 0; k < count; k++) {
            if (lua_rawgeti(L, -2, (*points)[k].step) == LUA_TTABLE)
                set_real(L, d->metric[i], (*points)[k].value);
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
    }
}

static void push_param(lua_State *L, const store_param *p)
{
    switch (p->value.type) {
    case STORE_INTEGER:
        set_integer(L, p->name, p->value.integer);
        break;
    case STORE_REAL:
        set_real(L, p->name, p->value.real);
        break;
    case STORE_BOOLEAN:
        set_boolean(L, p->name, (int)p->value.integer);
        break;
    default:
        set_text(L, p->name, p->value.text);
    }
}

/* Tables by name of what a run used: params, datasets (role -> digest), plugins (kind and type -> hash), environment. */
static void push_origin(lua_State *L, const store_detail *d)
{
    lua_newtable(L);
    for (size_t i = 0; i < d->params; i++)
        push_param(L, &d->param[i]);
    lua_setfield(L, -2, "params");
    lua_newtable(L);
    for (size_t i = 0; i < d->datasets; i++)
        set_text(L, d->dataset[i].role, d->dataset[i].digest);
    lua_setfield(L, -2, "datasets");
    lua_newtable(L);
    for (size_t i = 0; i < d->plugins; i++) {
        const char *name = lua_pushfstring(L, "%s %s", d->plugin[i].kind, d->plugin[i].type);
        lua_pushvalue(L, -2);
        set_text(L, name, d->plugin[i].sha256);
        lua_pop(L, 2);
    }
    lua_setfield(L, -2, "plugins");
    lua_newtable(L);
    for (size_t i = 0; i < d->environments; i++)
        set_text(L, d->environment[i].name, d->environment[i].value);
    lua_setfield(L, -2, "environment");
}

/* core.recorded(run) -> all that is recorded of it */
static int recorded(lua_State *L)
{
    error e;
    store *s = records(L);
    int64_t id = luaL_checkinteger(L, 1);
    store_detail *d = result_of(L, &detail_type, sizeof *d);
    if (store_read_run(s, id, d, &e) != PLN_OK)
        return script_raise(L, &e);
    const store_run *r = &d->run;
    luaL_checkstack(L, 16, "a recorded run");
    lua_newtable(L);
    set_integer(L, "id", r->id);
    set_text(L, "uuid", r->uuid);
    set_text(L, "state", store_state_names[r->state]);
    set_text(L, "model", r->model);
    set_text(L, "fingerprint", r->fingerprint);
    set_text(L, "digest", r->digest);
    set_text(L, "host", r->host);
    set_integer(L, "pid", r->pid);
    set_integer(L, "seed", r->seed);
    set_integer(L, "batch_size", r->batch_size);
    set_integer(L, "epochs_planned", r->epochs_planned);
    set_integer(L, "best_epoch", r->best_epoch);
    set_real(L, "score", r->score);
    push_origin(L, d);
    push_epochs(L, d);
    push_metrics(L, s, d);
    lua_setfield(L, -2, "epochs");
    return 1;
}

/* core.resume_recording(run, message) -> recording: the same run, running again */
static int resume_recording(lua_State *L)
{
    error e;
    int64_t id = luaL_checkinteger(L, 1);
    const char *message = luaL_optstring(L, 2, NULL);
    store *s = records(L);
    recording **out = (recording **)script_new(L, &recording_type);
    return recording_resume_with(s, id, message, out, &e) == PLN_OK ? 1 : script_raise(L, &e);
}

/* core.revisit(run) -> recording of a run that has ended */
static int revisit(lua_State *L)
{
    error e;
    int64_t id = luaL_checkinteger(L, 1);
    store *s = records(L);
    recording **out = (recording **)script_new(L, &recording_type);
    return recording_revisit(s, id, out, &e) == PLN_OK ? 1 : script_raise(L, &e);
}

/* core.find_fingerprint(hexadecimal) -> the newest finished run of it, or nil */
static int find_fingerprint(lua_State *L)
{
    error e;
    int64_t id;
    if (store_find_fingerprint(records(L), luaL_checkstring(L, 1), &id, &e) != PLN_OK)
        return script_raise(L, &e);
    if (!id)
        return 0;
    lua_pushinteger(L, id);
    return 1;
}

/* core.plugin_hashes(model, recipe) -> { "layer Dense" = hash … } */
static int plugin_hashes(lua_State *L)
{
    enum { MOST = 512 };
    const model *m = script_check(L, 1, &model_type);
    const recipe *c = script_check(L, 2, &recipe_type);
    const plugin_entry **list = script_buffer(L, MOST, sizeof *list);
    int n = used_plugins(m, c, list, MOST);
    lua_newtable(L);
    for (int i = 0; i < n; i++) {
        error e;
        char hex[HASH_HEX];
        if (hash_file(list[i]->path, hex, &e) != PLN_OK)
            return script_raise(L, &e);
        const char *name = lua_pushfstring(L, "%s %s", plugin_kind_name(list[i]->kind), list[i]->head->name);
        lua_pushvalue(L, -2);
        set_text(L, name, hex);
        lua_pop(L, 2);
    }
    return 1;
}

/* core.set_rate(recipe, learning rate): what a fit that is not trained again has left behind */
static int set_rate(lua_State *L)
{
    error e;
    recipe *r = script_check(L, 1, &recipe_type);
    option_value v = {.name = "learning_rate", .kind = VALUE_REAL, .real = luaL_checknumber(L, 2)};
    const plugin_head *head = r->optimizer.entry->head;
    for (uint32_t i = 0; i < head->noptions; i++) {
        const pln_option *o = options_at(head, i);
        if (strcmp(o->name, v.name) == 0 && (o->flags & PLN_LIVE) &&
            options_set(head, &r->optimizer.opts, &v, &e) != PLN_OK)
            return script_raise(L, &e);
    }
    return 0; /* an optimizer without a live rate has none that could have changed */
}

/* -------------------------------------------------------------------------------------------- its files ---- */

static int ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), k = strlen(end);
    return n > k && !strcmp(name + n - k, end);
}

/* core.sweep_folder(path): removes drafts (*.tmp) that a killed process left there */
static int sweep_folder(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    DIR *folder = opendir(path);
    const struct dirent *entry;
    char whole[4096];
    while (folder && (entry = readdir(folder))) {
        if (!ends_with(entry->d_name, ".tmp"))
            continue;
        int n = snprintf(whole, sizeof whole, "%s/%s", path, entry->d_name);
        if (n > 0 && (size_t)n < sizeof whole)
            (void)unlink(whole);
    }
    if (folder)
        closedir(folder);
    return 0;
}

/* core.metadata(path, key) -> a text of a weights file's metadata, or nil */
static int metadata(lua_State *L)
{
    error e;
    const char *path = luaL_checkstring(L, 1), *key = luaL_checkstring(L, 2);
    weights_file **f = (weights_file **)script_new(L, &weights_type);
    if (weights_open(path, f, &e) != PLN_OK)
        return script_raise(L, &e);
    lua_pushstring(L, weights_metadata(*f, key));
    return 1;
}

/* core.exists(path) */
static int exists(lua_State *L)
{
    lua_pushboolean(L, access(luaL_checkstring(L, 1), F_OK) == 0);
    return 1;
}

void replay_register(lua_State *L)
{
    static const luaL_Reg functions[] = {{"replay", replay},
                                         {"launch_runs", launch_runs},
                                         {"recorded", recorded},
                                         {"resume_recording", resume_recording},
                                         {"revisit", revisit},
                                         {"find_fingerprint", find_fingerprint},
                                         {"plugin_hashes", plugin_hashes},
                                         {"set_rate", set_rate},
                                         {"sweep_folder", sweep_folder},
                                         {"metadata", metadata},
                                         {"exists", exists},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}

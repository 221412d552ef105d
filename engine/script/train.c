/* Recipes and trainers.  The loop itself is Lua (fit.lua); here is one call of the trainer, and its event as a table. */
#include "script/binding.h"

#include <stdlib.h>
#include <string.h>

#include "net/fingerprint.h"

/* ------------------------------------------------------------------------------------------------ recipes ---- */

static void recipe_release(void *object)
{
    recipe_free(object);
    free(object);
}

static recipe *check_recipe(lua_State *L, int arg)
{
    return script_check(L, arg, &recipe_type);
}

/* core.recipe(where) -> recipe */
static int recipe_new(lua_State *L)
{
    const char *where = luaL_optstring(L, 1, "");
    recipe **r = (recipe **)script_new(L, &recipe_type);
    *r = calloc(1, sizeof **r);
    if (!*r)
        return script_fail(L, "out of memory");
    strncpy((*r)->where, where, sizeof(*r)->where - 1);
    return 1;
}

typedef int recipe_adder(recipe *, registry *, const char *, const option_value *, int, error *);

/* recipe:optimizer(type, options, where), :loss, :metric.  `where`: the line of the part, for its messages. */
static int add_part(lua_State *L, recipe_adder *add)
{
    int n = 0;
    error e;
    recipe *r = check_recipe(L, 1);
    const char *type = luaL_checkstring(L, 2), *where = luaL_optstring(L, 4, "");
    const option_value *values = script_options(L, 3, &n);
    if (add(r, context_get(L)->plugins, type, values, n, &e) == PLN_OK)
        return 0;
    if (*where && !script_place(e.text))
        error_prefix(&e, "%s: ", where);
    return script_raise(L, &e);
}

static int add_optimizer(lua_State *L)
{
    return add_part(L, recipe_optimizer);
}

static int add_loss(lua_State *L)
{
    return add_part(L, recipe_loss);
}

static int add_metric(lua_State *L)
{
    return add_part(L, recipe_metric);
}

static int recipe_text(lua_State *L)
{
    const recipe *r = check_recipe(L, 1);
    char **s = (char **)script_memory(L);
    json_t *j = recipe_json(r);
    *s = j ? json_dumps(j, JSON_COMPACT) : NULL;
    json_decref(j);
    if (!*s)
        return script_fail(L, "out of memory");
    lua_pushstring(L, *s);
    return 1;
}

/* recipe:metrics() -> names as the script wrote them */
static int metric_names(lua_State *L)
{
    const recipe *r = check_recipe(L, 1);
    lua_createtable(L, r->nmetrics, 0);
    for (int i = 0; i < r->nmetrics; i++) {
        lua_pushstring(L, r->metrics[i].name);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static void push_scalars(lua_State *L, const json_t *options)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)options, name, value)
    {
        switch (json_typeof(value)) {
        case JSON_INTEGER:
            set_integer(L, name, json_integer_value(value));
            break;
        case JSON_REAL:
            set_real(L, name, json_real_value(value));
            break;
        case JSON_STRING:
            set_text(L, name, json_string_value(value));
            break;
        case JSON_TRUE:
        case JSON_FALSE:
            set_boolean(L, name, json_is_true(value));
            break;
        default:
            break;
        }
    }
}

static void json_release(void *object)
{
    json_decref(object);
}

static const script_type parsed_type = {"perilune.json", json_release, NULL};

/* recipe:settings() -> name and scalar options of the optimizer, name of the loss */
static int settings(lua_State *L)
{
    const recipe *r = check_recipe(L, 1);
    json_t **j = (json_t **)script_new(L, &parsed_type);
    *j = r->optimizer.entry ? options_json(r->optimizer.entry->head, r->optimizer.opts.bytes) : NULL;
    lua_pushstring(L, r->optimizer.name);
    lua_newtable(L);
    if (*j)
        push_scalars(L, *j);
    lua_pushstring(L, r->loss.name);
    return 3;
}

static const luaL_Reg recipe_methods[] = {{"optimizer", add_optimizer},
                                          {"loss", add_loss},
                                          {"metric", add_metric},
                                          {"json", recipe_text},
                                          {"metrics", metric_names},
                                          {"settings", settings},
                                          {NULL, NULL}};
const script_type recipe_type = {"perilune.recipe", recipe_release, recipe_methods};

/* ----------------------------------------------------------------------------------------------- trainers ---- */

/* A trainer with what it points to. */
typedef struct training {
    trainer *t;
    const recipe *r;
    int validated; /* there is validation data: val_loss means something, even when it is NaN */
    float *class_weight, *sample_weight;
} training;

static void training_release(void *object)
{
    training *t = object;
    trainer_free(t->t);
    free(t->class_weight);
    free(t->sample_weight);
    free(t);
}

static training *check_trainer(lua_State *L)
{
    return script_check(L, 1, &trainer_type);
}

/* A list of numbers in the table's field as malloc'd floats that belong to *out. */
static int64_t read_floats(lua_State *L, int table, const char *name, float **out)
{
    int64_t n = 0;
    if (lua_getfield(L, table, name) == LUA_TTABLE) {
        n = (int64_t)lua_rawlen(L, -1);
        *out = calloc((size_t)n + 1, sizeof **out);
        if (!*out)
            script_fail(L, "out of memory");
        for (int64_t i = 0; i < n; i++) {
            lua_rawgeti(L, -1, i + 1);
            (*out)[i] = (float)lua_tonumber(L, -1);
            lua_pop(L, 1);
        }
    }
    lua_pop(L, 1);
    return n;
}

/* Keeps argument values alive as long as the userdata on the top. */
static void keep_alive(lua_State *L, int first, int last)
{
    lua_createtable(L, last - first + 1, 0);
    for (int i = first; i <= last; i++) {
        lua_pushvalue(L, i);
        lua_rawseti(L, -2, i - first + 1);
    }
    lua_setiuservalue(L, -2, 1);
}

/* Reads model, recipe, train, validation and { epochs=, batch_size=, seed=, shuffle=, initial_epoch=, class_weight=,
 * sample_weight= } from the first five arguments and pushes a trainer that is not open yet, which owns the weights. */
static training *read_training(lua_State *L, fit_options *out, model **used)
{
    fit_options o = {0};
    luaL_checktype(L, 5, LUA_TTABLE);
    model *m = script_check(L, 1, &model_type);
    recipe *r = check_recipe(L, 2);
    o.train = script_check(L, 3, &dataset_type);
    o.validation = script_optional(L, 4, &dataset_type);
    o.epochs = field_integer(L, 5, "epochs", 1);
    o.batch_size = field_integer(L, 5, "batch_size", 32);
    o.seed = (uint64_t)field_integer(L, 5, "seed", 0);
    o.shuffle = field_boolean(L, 5, "shuffle", 1);
    o.initial_epoch = field_integer(L, 5, "initial_epoch", 0);
    training **t = (training **)script_new(L, &trainer_type);
    keep_alive(L, 1, 4);
    *t = calloc(1, sizeof **t);
    if (!*t)
        script_fail(L, "out of memory");
    (*t)->r = r;
    (*t)->validated = o.validation != NULL;
    o.nclass_weight = read_floats(L, 5, "class_weight", &(*t)->class_weight);
    read_floats(L, 5, "sample_weight", &(*t)->sample_weight);
    o.class_weight = (*t)->class_weight;
    o.sample_weight = (*t)->sample_weight;
    *out = o;
    *used = m;
    return *t;
}

/* core.trainer(model, recipe, train, validation, options) -> trainer */
static int trainer_new(lua_State *L)
{
    error e;
    fit_options o;
    model *m;
    lua_settop(L, 5);
    lanes *pool = context_pool(L);
    training *t = read_training(L, &o, &m);
    if (trainer_open(m, check_recipe(L, 2), &o, pool, &t->t, &e) != PLN_OK)
        return script_raise(L, &e);
    script_weigh(L, (size_t)trainer_memory(t->t));
    return 1;
}

/* core.fingerprint(model, recipe, train, validation, options, extra) -> SHA-256 of all that the result follows from */
static int fingerprint(lua_State *L)
{
    error e;
    fit_options o;
    model *m;
    char hex[HASH_HEX];
    const char *extra = luaL_optstring(L, 6, NULL);
    lua_settop(L, 6);
    read_training(L, &o, &m);
    if (fit_fingerprint(m, check_recipe(L, 2), &o, extra, hex, &e) != PLN_OK)
        return script_raise(L, &e);
    lua_pushstring(L, hex);
    return 1;
}

static const char *const kinds[] = {"?", "batch", "tick", "epoch", "done"};

static void event_fields(lua_State *L, const training *t, const trainer_event *v)
{
    const recipe *r = t->r;
    char name[80];
    set_text(L, "kind", kinds[v->kind]);
    set_integer(L, "epoch", v->epoch);
    set_integer(L, "epochs", v->epochs);
    set_integer(L, "batch", v->batch);
    set_integer(L, "batches", v->batches);
    set_boolean(L, "validating", v->validating);
    set_integer(L, "step", (int64_t)v->step);
    set_real(L, "learning_rate", v->learning_rate);
    set_real(L, "seconds", v->seconds);
    set_real(L, "images_per_second", v->images_per_second);
    set_real(L, "loss", v->loss);
    for (int i = 0; i < r->nmetrics; i++)
        set_real(L, r->metrics[i].name, v->metrics[i]);
    if (v->kind != TRAINER_EPOCH)
        return;
    set_real(L, "grad_norm", v->grad_norm);
    if (!t->validated)
        return;
    set_real(L, "val_loss", v->val_loss);
    for (int i = 0; i < r->nmetrics; i++) {
        snprintf(name, sizeof name, "val_%s", r->metrics[i].name);
        set_real(L, name, v->val_metrics[i]);
    }
}

/* trainer:next(event table, every batch, seconds): fills in the table */
static int next_event(lua_State *L)
{
    error e;
    trainer_event v = {0};
    training *t = check_trainer(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    int every_batch = lua_toboolean(L, 3);
    double seconds = luaL_checknumber(L, 4);
    if (trainer_next(t->t, every_batch, seconds, &v, &e) != PLN_OK)
        return script_raise(L, &e);
    lua_settop(L, 2);
    event_fields(L, t, &v);
    return 0;
}

static int stop(lua_State *L)
{
    trainer_stop(check_trainer(L)->t);
    return 0;
}

/* trainer:set { learning_rate = 0.1 } */
static int set_live(lua_State *L)
{
    int n = 0;
    error e;
    training *t = check_trainer(L);
    const option_value *values = script_options(L, 2, &n);
    for (int i = 0; i < n; i++)
        if (trainer_set(t->t, &values[i], &e) != PLN_OK)
            return script_raise(L, &e);
    return 0;
}

static int rate(lua_State *L)
{
    lua_pushnumber(L, trainer_rate(check_trainer(L)->t));
    return 1;
}

static int memory(lua_State *L)
{
    lua_pushinteger(L, trainer_memory(check_trainer(L)->t));
    return 1;
}

static int digest(lua_State *L)
{
    char hex[HASH_HEX];
    trainer_digest(check_trainer(L)->t, hex);
    lua_pushstring(L, hex);
    return 1;
}

/* trainer:save(path, bytes): a checkpoint, with bytes of the caller's in it */
static int save(lua_State *L)
{
    error e;
    size_t n;
    training *t = check_trainer(L);
    const char *path = luaL_checkstring(L, 2), *bytes = luaL_optlstring(L, 3, "", &n);
    return trainer_save_with(t->t, bytes, n, path, &e) == PLN_OK ? 0 : script_raise(L, &e);
}

/* trainer:restore(path) -> the caller's bytes */
static int restore(lua_State *L)
{
    error e;
    size_t n;
    training *t = check_trainer(L);
    const char *path = luaL_checkstring(L, 2);
    void **bytes = script_memory(L);
    if (trainer_restore_with(t->t, path, bytes, &n, &e) != PLN_OK)
        return script_raise(L, &e);
    lua_pushlstring(L, *bytes ? *bytes : "", n);
    return 1;
}

/* trainer:position() -> epochs finished, batches done in the current one, batches done in all */
static int position(lua_State *L)
{
    int64_t epoch, batch;
    uint64_t step;
    trainer_position(check_trainer(L)->t, &epoch, &batch, &step);
    lua_pushinteger(L, epoch);
    lua_pushinteger(L, batch);
    lua_pushinteger(L, (lua_Integer)step);
    return 3;
}

static const luaL_Reg trainer_methods[] = {
    {"next", next_event}, {"stop", stop}, {"set", set_live},    {"rate", rate},         {"memory", memory},
    {"digest", digest},   {"save", save}, {"restore", restore}, {"position", position}, {NULL, NULL}};
const script_type trainer_type = {"perilune.trainer", training_release, trainer_methods};

/* core.evaluate(model, recipe, set, batch size) -> { loss=, accuracy= } */
static int evaluate_set(lua_State *L)
{
    error e;
    double values[RECIPE_METRICS + 1];
    model *m = script_check(L, 1, &model_type);
    recipe *r = check_recipe(L, 2);
    const dataset *set = script_check(L, 3, &dataset_type);
    if (evaluate(m, r, set, luaL_checkinteger(L, 4), context_pool(L), values, &e) != PLN_OK)
        return script_raise(L, &e);
    lua_newtable(L);
    set_real(L, "loss", values[0]);
    for (int i = 0; i < r->nmetrics; i++)
        set_real(L, r->metrics[i].name, values[i + 1]);
    return 1;
}

void train_register(lua_State *L)
{
    static const luaL_Reg functions[] = {{"recipe", recipe_new},
                                         {"trainer", trainer_new},
                                         {"evaluate", evaluate_set},
                                         {"fingerprint", fingerprint},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}

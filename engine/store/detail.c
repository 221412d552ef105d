/* Everything about one run, read in one short transaction, so that it is seen as it was at one instant.  Each part is
 * a query and a function that turns its row into a record. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/internal.h"

/* ----------------------------------------------------------------------------------------- one run's parts */

typedef void reader(store *s, result *m, sqlite3_stmt *line, void *item);

static void read_param(store *s, result *m, sqlite3_stmt *line, void *item)
{
    store_param *p = item;
    const char *type = (const char *)sqlite3_column_text(line, 2);
    (void)s;
    p->name = result_column(m, line, 0);
    p->source = result_column(m, line, 3);
    switch (sqlite3_column_type(line, 1)) {
    case SQLITE_INTEGER:
        p->value = type && strcmp(type, "boolean") == 0 ? store_boolean(sqlite3_column_int(line, 1))
                                                        : store_integer(sqlite3_column_int64(line, 1));
        break;
    case SQLITE_FLOAT:
        p->value = store_real(sqlite3_column_double(line, 1));
        break;
    case SQLITE_NULL:
        p->value = type && strcmp(type, "real") == 0 ? store_real(NAN) : store_text(NULL);
        break;
    default:
        p->value = store_text(result_column(m, line, 1));
    }
}

/* Is `name` one of the names in "loss,val_loss"? */
static int named_in(const char *names, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = names; at && *at;) {
        size_t here = strcspn(at, ",");
        if (here == length && memcmp(at, name, length) == 0)
            return 1;
        at += here + (at[here] == ',');
    }
    return 0;
}

static void read_epoch(store *s, result *m, sqlite3_stmt *line, void *item)
{
    store_epoch *epoch = item;
    const char *nonfinite = (const char *)sqlite3_column_text(line, EPOCH_COLUMNS + 2);
    (void)s;
    (void)m;
    epoch->epoch = sqlite3_column_int64(line, 0);
    for (int i = 0; i < EPOCH_COLUMNS; ++i) {
        epoch->value[i] = read_real(line, i + 1);
        if (!isnan(epoch->value[i]) || named_in(nonfinite, store_epoch_names[i]))
            epoch->present |= 1u << i;
    }
    epoch->ended = read_time(line, EPOCH_COLUMNS + 1);
    epoch->score = NAN;
}

static void read_evaluation(store *s, result *m, sqlite3_stmt *line, void *item)
{
    (void)s;
    *(store_evaluation *)item = (store_evaluation){.dataset = result_column(m, line, 0),
                                                   .name = result_column(m, line, 1),
                                                   .value = read_real(line, 2),
                                                   .digest = result_column(m, line, 3),
                                                   .at = read_time(line, 4)};
}

/* path, kind, sha256, bytes, at, epoch */
static void read_file(store *s, result *m, sqlite3_stmt *line, void *item)
{
    const char *path = result_column(m, line, 0);
    if (!path)
        return;
    size_t size = strlen(s->folder) + strlen(path) + 2;
    char *whole = result_take(m, size);
    const char *slash = strchr(path, '/');
    if (whole)
        snprintf(whole, size, "%s/%s", s->folder, path);
    *(store_artifact *)item = (store_artifact){.name = slash ? slash + 1 : path,
                                               .path = whole,
                                               .kind = result_column(m, line, 1),
                                               .sha256 = result_column(m, line, 2),
                                               .bytes = sqlite3_column_int64(line, 3),
                                               .at = read_time(line, 4),
                                               .epoch = sqlite3_column_int64(line, 5)};
}

static void read_plugin(store *s, result *m, sqlite3_stmt *line, void *item)
{
    (void)s;
    *(store_plugin *)item = (store_plugin){.sha256 = result_column(m, line, 0),
                                           .file = result_column(m, line, 1),
                                           .kind = result_column(m, line, 2),
                                           .type = result_column(m, line, 3),
                                           .version = result_column(m, line, 4)};
}

static void read_dataset(store *s, result *m, sqlite3_stmt *line, void *item)
{
    (void)s;
    *(store_dataset *)item = (store_dataset){.digest = result_column(m, line, 0),
                                             .name = result_column(m, line, 1),
                                             .role = result_column(m, line, 2),
                                             .samples = sqlite3_column_int64(line, 3),
                                             .classes = sqlite3_column_int64(line, 4),
                                             .shape = result_column(m, line, 5),
                                             .origin = result_column(m, line, 6)};
}

static void read_event(store *s, result *m, sqlite3_stmt *line, void *item)
{
    (void)s;
    *(store_event *)item = (store_event){.id = sqlite3_column_int64(line, 0),
                                         .at = read_time(line, 1),
                                         .kind = result_column(m, line, 2),
                                         .text = result_column(m, line, 3)};
}

static void read_pair(store *s, result *m, sqlite3_stmt *line, void *item)
{
    (void)s;
    *(store_pair *)item = (store_pair){.name = result_column(m, line, 0), .value = result_column(m, line, 1)};
}

static void read_word(store *s, result *m, sqlite3_stmt *line, void *item)
{
    (void)s;
    *(const char **)item = result_column(m, line, 0);
}

static void read_module(store *s, result *m, sqlite3_stmt *line, void *item)
{
    (void)s;
    *(store_file *)item = (store_file){.name = result_column(m, line, 0),
                                       .text = result_column(m, line, 1),
                                       .bytes = (size_t)sqlite3_column_bytes(line, 1)};
}

/* Reads all rows of a query into an array that belongs to the result. */
static int read_part(store *s, result *m, const char *sql, int64_t id, size_t size, reader *read, void *items,
                     size_t *count, error *e)
{
    sqlite3_stmt *statement = NULL;
    result_list list = {.size = size};
    int rc = SQLITE_DONE, status = read_prepare(s, sql, id, &statement, e);
    while (status == PLN_E_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        void *item = result_append(m, &list);
        if (!item)
            break;
        read(s, m, statement, item);
    }
    if (status == PLN_E_OK && rc != SQLITE_ROW && rc != SQLITE_DONE)
        status = failure_set(s, rc, "read", e);
    (void)sqlite3_finalize(statement);
    *(void **)items = result_items(m, &list, count);
    return status;
}

/* ---------------------------------------------------------------------------------------------- one launch */

/* ["--fast", "3"] without a JSON parser: SQLite has one. */
static int read_args(store *s, result *m, store_launch *launch, error *e)
{
    return read_part(
        s, m,
        "select j.value from launches l, json_each(l.arguments) j where l.id = ?1 and l.arguments is not null"
        " order by j.key",
        launch->id, sizeof(const char *), read_word, &launch->args, &launch->arg_count, e);
}

static int read_launch(store *s, result *m, int64_t id, store_launch *launch, error *e)
{
    sqlite3_stmt *line = NULL;
    int rc,
        status =
            read_prepare(s,
                         "select l.id, l.uuid, l.script, b.content, l.folder, l.version, l.host, l.pid, l.resumes,"
                         " l.started, l.ended, l.exit, l.message, l.environment, l.git_commit, l.git_dirty, d.content,"
                         " l.overrides"
                         " from launches l left join blobs b on b.sha256 = l.script_blob"
                         " left join blobs d on d.sha256 = l.git_diff where l.id = ?1",
                         id, &line, e);
    if (status != PLN_E_OK)
        goto fail;
    rc = sqlite3_step(line);
    if (rc == SQLITE_ROW) {
        launch->id = sqlite3_column_int64(line, 0);
        launch->uuid = result_column(m, line, 1);
        launch->script = (store_file){.name = result_column(m, line, 2), .text = result_column(m, line, 3)};
        launch->script.bytes = (size_t)sqlite3_column_bytes(line, 3);
        launch->folder = result_column(m, line, 4);
        launch->version = result_column(m, line, 5);
        launch->host = result_column(m, line, 6);
        launch->pid = sqlite3_column_int64(line, 7);
        launch->resumes = sqlite3_column_int64(line, 8);
        launch->started = read_time(line, 9);
        launch->ended = read_time(line, 10);
        launch->exit_status = sqlite3_column_type(line, 11) == SQLITE_NULL ? -1 : sqlite3_column_int64(line, 11);
        launch->message = result_column(m, line, 12);
        launch->environment = result_column(m, line, 13);
        launch->git_commit = result_column(m, line, 14);
        launch->git_diff = result_column(m, line, 16);
        launch->overrides = result_column(m, line, 17);
        if (!launch->git_diff && sqlite3_column_type(line, 15) != SQLITE_NULL)
            launch->git_diff = "";
    } else if (rc != SQLITE_DONE) {
        status = failure_set(s, rc, "read", e);
    }
    if (status == PLN_E_OK && launch->id)
        status = read_args(s, m, launch, e);
    if (status == PLN_E_OK && launch->id)
        status = read_part(s, m,
                           "select m.name, b.content from launch_modules m join blobs b on b.sha256 = m.blob"
                           " where m.launch = ?1 order by m.name",
                           id, sizeof(store_file), read_module, &launch->modules, &launch->module_count, e);
fail:
    (void)sqlite3_finalize(line);
    return status;
}

int store_read_launch(store *s, int64_t id, store_launch_detail *out, error *e)
{
    result memory = {0};
    *out = (store_launch_detail){0};
    int status = store_readable(s, e);
    if (status != PLN_E_OK)
        return status;
    status = read_launch(s, &memory, id, &out->launch, e);
    if (status == PLN_E_OK && memory.failed)
        status = error_memory(e);
    if (status == PLN_E_OK && !out->launch.id)
        status = error_set(e, PLN_E_MISSING, "there is no launch %lld in %s", (long long)id, s->path);
    out->memory = result_end(&memory);
    if (status != PLN_E_OK)
        store_launch_detail_free(out);
    return status;
}

void store_launch_detail_free(store_launch_detail *detail)
{
    result_free(detail->memory);
    *detail = (store_launch_detail){0};
}

int store_newest_launch(store *s, int64_t id, int64_t *newest, error *e)
{
    sqlite3_stmt *line = NULL;
    *newest = id;
    int status = store_readable(s, e);
    if (status == PLN_E_OK) /* a launch continues an older one, so that this ends */
        status = read_prepare(s,
                              "with recursive chain(id) as (select ?1 union select l.id from launches l join chain c"
                              " on l.resumes = c.id and l.id > c.id) select max(id) from chain",
                              id, &line, e);
    if (status != PLN_E_OK)
        return status;
    int rc = sqlite3_step(line);
    if (rc == SQLITE_ROW)
        *newest = sqlite3_column_int64(line, 0);
    else
        status = failure_set(s, rc, "read", e);
    (void)sqlite3_finalize(line);
    return status;
}

/* ------------------------------------------------------------------------------------------------- one run */

static int read_one(store *s, result *m, int64_t id, store_run *run, error *e)
{
    sqlite3_stmt *line = NULL;
    int status = read_prepare(s, "select " RUN_COLUMNS RUN_TABLES "where r.id = ?1", id, &line, e);
    if (status == PLN_E_OK) {
        int rc = sqlite3_step(line);
        if (rc == SQLITE_ROW)
            read_run(s, m, line, run);
        else if (rc == SQLITE_DONE)
            status = error_set(e, PLN_E_MISSING, "there is no run %lld in %s. List them with: perilune runs",
                               (long long)id, s->path);
        else
            status = failure_set(s, rc, "read", e);
    }
    (void)sqlite3_finalize(line);
    return status;
}

static int read_detail(store *s, result *m, int64_t id, store_detail *d, error *e)
{
    const struct {
        const char *sql;
        size_t size;
        reader *read;
        void *items;
        size_t *count;
    } parts[] = {
        {"select name, value, type, source from params where run = ?1 order by name", sizeof *d->param, read_param,
         &d->param, &d->params},
        {"select epoch, loss, accuracy, val_loss, val_accuracy, learning_rate, seconds, images_per_second, grad_norm, "
         "memory,"
         " ended, nonfinite from epochs where run = ?1 order by epoch",
         sizeof *d->epoch, read_epoch, &d->epoch, &d->epochs},
        {"select dataset, name, value, digest, at from evaluations where run = ?1 order by dataset, name",
         sizeof *d->evaluation, read_evaluation, &d->evaluation, &d->evaluations},
        {"select path, kind, sha256, bytes, at, epoch from checkpoints where run = ?1 order by epoch, path",
         sizeof *d->checkpoint, read_file, &d->checkpoint, &d->checkpoints},
        {"select path, kind, sha256, bytes, at, null from artifacts where run = ?1 order by path", sizeof *d->artifact,
         read_file, &d->artifact, &d->artifacts},
        {"select p.sha256, p.file, p.kind, p.type, p.version from run_plugins r join plugins p on p.id = r.plugin"
         " where r.run = ?1 order by p.kind, p.type",
         sizeof *d->plugin, read_plugin, &d->plugin, &d->plugins},
        {"select d.digest, d.name, r.role, d.samples, d.classes, d.shape, d.origin from run_datasets r"
         " join datasets d on d.digest = r.dataset where r.run = ?1 order by r.role, d.name",
         sizeof *d->dataset, read_dataset, &d->dataset, &d->datasets},
        {"select id, at, kind, message from events where run = ?1 order by id", sizeof *d->event, read_event, &d->event,
         &d->events},
        {"select id, at, 'note', note from notes where run = ?1 order by id", sizeof *d->note, read_event, &d->note,
         &d->notes},
        {"select v.name, v.value from runs r join launches l on l.id = r.launch"
         " join environments v on v.hash = l.environment where r.id = ?1 order by v.name",
         sizeof *d->environment, read_pair, &d->environment, &d->environments},
        {"select tag from tags where run = ?1 order by tag", sizeof *d->tag, read_word, &d->tag, &d->tags},
        {"select name from metric_names n where exists(select 1 from metrics m where m.run = ?1 and m.name = n.id)"
         " order by name",
         sizeof *d->metric, read_word, &d->metric, &d->metrics},
    };
    int status = read_one(s, m, id, &d->run, e);
    if (status == PLN_E_OK && d->run.launch)
        status = read_launch(s, m, d->run.launch, &d->launch, e);
    for (size_t i = 0; i < sizeof parts / sizeof *parts && status == PLN_E_OK; ++i)
        status = read_part(s, m, parts[i].sql, id, parts[i].size, parts[i].read, parts[i].items, parts[i].count, e);
    return status;
}

int store_read_run(store *s, int64_t id, store_detail *out, error *e)
{
    result memory = {0};
    *out = (store_detail){0};
    int status = store_readable(s, e);
    if (status != PLN_E_OK)
        return status;
    int rc = sqlite3_exec(s->db, "begin", NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return failure_set(s, rc, "read", e);
    status = read_detail(s, &memory, id, out, e);
    (void)sqlite3_exec(s->db, "commit", NULL, NULL, NULL);
    if (status == PLN_E_OK && memory.failed)
        status = error_memory(e);
    out->memory = result_end(&memory);
    if (status != PLN_E_OK)
        store_detail_free(out);
    return status;
}

void store_detail_free(store_detail *detail)
{
    if (!detail)
        return;
    result_free(detail->memory);
    *detail = (store_detail){0};
}

int store_read_metric(store *s, int64_t run, const char *name, store_metric **points, size_t *count, error *e)
{
    sqlite3_stmt *line = NULL;
    result memory = {0};
    result_list list = {.size = sizeof(store_metric)};
    *points = NULL;
    *count = 0;
    int rc = SQLITE_DONE, status = store_readable(s, e);
    if (status == PLN_E_OK)
        status = read_prepare(s,
                              "select step, value from metrics where run = ?1"
                              " and name = (select id from metric_names where name = ?2) order by step",
                              run, &line, e);
    if (status != PLN_E_OK)
        goto fail;
    (void)sqlite3_bind_text(line, 2, name, -1, SQLITE_STATIC);
    while ((rc = sqlite3_step(line)) == SQLITE_ROW) {
        store_metric *point = result_append(&memory, &list);
        if (!point)
            break;
        point->step = sqlite3_column_int64(line, 0);
        point->value = read_real(line, 1);
    }
    if (memory.failed)
        status = error_memory(e);
    else if (rc != SQLITE_DONE)
        status = failure_set(s, rc, "read", e);
fail:
    (void)sqlite3_finalize(line);
    if (status == PLN_E_OK) {
        *points = (store_metric *)(void *)list.items;
        *count = list.count;
    } else {
        free(list.items);
    }
    return status;
}

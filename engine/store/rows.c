/* The kinds of rows, and the queue. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store/internal.h"

/* Rows name runs and launches by uuid; these find the number. */
#define OF_RUN    " from runs where uuid = ?1"
#define OF_LAUNCH " from launches where uuid = ?1"

const row_kind row_kinds[ROW_KINDS] = {
    [ROW_EXPERIMENT] = {.name = "experiment",
                        .cell = {"name", "created"},
                        .sql = "insert into experiments(name, created) values(?1, ?2) on conflict(name) do nothing"},
    [ROW_BLOB] = {.name = "blob",
                  .cell = {"sha256", "bytes", "content"},
                  .sql = "insert into blobs(sha256, bytes, content) values(?1, ?2, ?3) on conflict do nothing"},
    [ROW_LAUNCH] = {.name = "launch",
                    .cell = {"launch", "script", "script_blob", "arguments", "folder", "version", "host", "pid",
                             "resumes", "overrides", "started"},
                    .sql = "insert into launches(uuid, script, script_blob, arguments, folder, version, host, pid,"
                           " resumes, overrides, started) values(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
                           " on conflict(uuid) do nothing"},
    [ROW_LAUNCH_MODULE] = {.name = "launch_module",
                           .cell = {"launch", "name", "blob"},
                           .sql = "insert into launch_modules(launch, name, blob) select id, ?2, ?3" OF_LAUNCH
                                  " on conflict(launch, name) do update set blob = excluded.blob",
                           .must_change = 1},
    [ROW_LAUNCH_GIT] = {.name = "launch_git",
                        .cell = {"launch", "commit", "dirty", "diff"},
                        .sql = "update launches set git_commit = ?2, git_dirty = ?3, git_diff = ?4 where uuid = ?1",
                        .must_change = 1},
    [ROW_ENVIRONMENT] = {.name = "environment",
                         .cell = {"hash", "name", "value"},
                         .sql =
                             "insert into environments(hash, name, value) values(?1, ?2, ?3) on conflict do nothing"},
    [ROW_LAUNCH_ENVIRONMENT] = {.name = "launch_environment",
                                .cell = {"launch", "hash"},
                                .sql = "update launches set environment = ?2 where uuid = ?1",
                                .must_change = 1},
    [ROW_LAUNCH_END] = {.name = "launch_end",
                        .cell = {"launch", "ended", "exit", "message"},
                        .sql = "update launches set ended = ?2, exit = ?3, message = ?4 where uuid = ?1",
                        .must_change = 1},
    [ROW_RUN] = {.name = "run",
                 .cell = {"run",        "experiment", "launch",     "ordinal",        "sweep",  "trial",
                          "name",       "score_name", "score_goal", "epochs_planned", "seed",   "threads",
                          "batch_size", "parameters", "model",      "fingerprint",    "exact",  "inexact_why",
                          "host",       "boot",       "pid",        "created",        "started"},
                 .sql = "insert into runs(uuid, experiment, launch, ordinal, sweep, trial, name, score_name,"
                        " score_goal, epochs_planned, seed, threads, batch_size, parameters, model, fingerprint,"
                        " exact, inexact_why, host, boot, pid, created, started, state)"
                        " values(?1, (select id from experiments where name = ?2),"
                        " (select id from launches where uuid = ?3), ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14,"
                        " ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, 'running') on conflict(uuid) do nothing"},
    [ROW_RUN_INEXACT] = {.name = "run_inexact",
                         .cell = {"run", "why"},
                         .sql = "update runs set exact = 0, inexact_why = ?2 where uuid = ?1",
                         .must_change = 1},
    [ROW_RUN_END] = {.name = "run_end",
                     .cell = {"run", "state", "finished", "message", "source", "line", "digest", "best_epoch", "score"},
                     .sql = "update runs set state = ?2, finished = ?3, message = ?4, source = ?5, line = ?6,"
                            " digest = ?7, best_epoch = coalesce(?8, best_epoch), score = coalesce(?9, score)"
                            " where uuid = ?1",
                     .must_change = 1},
    [ROW_PARAM] = {.name = "param",
                   .cell = {"run", "name", "value", "type", "source"},
                   .sql = "insert into params(run, name, value, type, source) select id, ?2, ?3, ?4, ?5" OF_RUN
                          " on conflict(run, name) do update set value = excluded.value, type = excluded.type,"
                          " source = excluded.source",
                   .must_change = 1},
    [ROW_EPOCH] = {.name = "epoch",
                   .cell = {"run", "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds",
                            "images_per_second", "grad_norm", "memory", "ended", "nonfinite"},
                   .sql = "insert or replace into epochs(run, epoch, loss, accuracy, val_loss, val_accuracy,"
                          " learning_rate, seconds, images_per_second, grad_norm, memory, ended, nonfinite)"
                          " select id, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13" OF_RUN,
                   .must_change = 1},
    [ROW_PROGRESS] = {.name = "progress",
                      .cell = {"run", "epochs_done", "best_epoch", "score"},
                      .sql = "update runs set epochs_done = ?2, best_epoch = coalesce(?3, best_epoch),"
                             " score = coalesce(?4, score) where uuid = ?1",
                      .must_change = 1},
    [ROW_METRIC_NAME] = {.name = "metric_name",
                         .cell = {"name"},
                         .sql = "insert into metric_names(name) values(?1) on conflict(name) do nothing"},
    [ROW_METRIC] = {.name = "metric",
                    .cell = {"run", "name", "step", "value"},
                    .sql = "insert or replace into metrics(run, name, step, value)"
                           " select id, (select id from metric_names where name = ?2), ?3, ?4" OF_RUN,
                    .must_change = 1},
    [ROW_EVALUATION] = {.name = "evaluation",
                        .cell = {"run", "dataset", "name", "value", "digest", "at"},
                        .sql = "insert or replace into evaluations(run, dataset, name, value, digest, at)"
                               " select id, ?2, ?3, ?4, ?5, ?6" OF_RUN,
                        .must_change = 1},
    [ROW_CHECKPOINT] = {.name = "checkpoint",
                        .cell = {"run", "path", "epoch", "kind", "sha256", "bytes", "at"},
                        .sql = "insert or replace into checkpoints(run, path, epoch, kind, sha256, bytes, at)"
                               " select id, ?2, ?3, ?4, ?5, ?6, ?7" OF_RUN,
                        .must_change = 1},
    [ROW_CHECKPOINT_GONE] = {.name = "checkpoint_gone",
                             .cell = {"run", "path"},
                             .sql = "delete from checkpoints where run = (select id" OF_RUN ") and path = ?2"},
    [ROW_ARTIFACT] = {.name = "artifact",
                      .cell = {"run", "path", "kind", "sha256", "bytes", "at"},
                      .sql = "insert or replace into artifacts(run, path, kind, sha256, bytes, at)"
                             " select id, ?2, ?3, ?4, ?5, ?6" OF_RUN,
                      .must_change = 1},
    [ROW_ARTIFACT_GONE] = {.name = "artifact_gone",
                           .cell = {"run", "path"},
                           .sql = "delete from artifacts where run = (select id" OF_RUN ") and path = ?2"},
    [ROW_PLUGIN] = {.name = "plugin",
                    .cell = {"sha256", "file", "kind", "type", "version"},
                    .sql = "insert into plugins(sha256, file, kind, type, version) values(?1, ?2, ?3, ?4, ?5)"
                           " on conflict do nothing"},
    [ROW_RUN_PLUGIN] = {.name = "run_plugin",
                        .cell = {"run", "sha256", "kind", "type"},
                        .sql = "insert or replace into run_plugins(run, plugin) select id, (select id from plugins"
                               " where sha256 = ?2 and kind = ?3 and type = ?4)" OF_RUN,
                        .must_change = 1},
    [ROW_DATASET] = {.name = "dataset",
                     .cell = {"digest", "name", "samples", "classes", "shape", "origin"},
                     .sql = "insert into datasets(digest, name, samples, classes, shape, origin)"
                            " values(?1, ?2, ?3, ?4, ?5, ?6) on conflict do nothing"},
    [ROW_RUN_DATASET] = {.name = "run_dataset",
                         .cell = {"run", "role", "digest"},
                         .sql = "insert or replace into run_datasets(run, role, dataset) select id, ?2, ?3" OF_RUN,
                         .must_change = 1},
    [ROW_EVENT] = {.name = "event",
                   .cell = {"run", "at", "kind", "message"},
                   .sql = "insert into events(run, at, kind, message) select id, ?2, ?3, ?4" OF_RUN,
                   .must_change = 1},
    [ROW_LOG] = {.name = "log",
                 .cell = {"run", "at", "stream", "line"},
                 .sql = "insert into logs(run, at, stream, line) select id, ?2, ?3, ?4" OF_RUN,
                 .must_change = 1},
    [ROW_TAG] = {.name = "tag",
                 .cell = {"run", "tag"},
                 .sql = "insert or replace into tags(run, tag) select id, ?2" OF_RUN,
                 .must_change = 1},
    [ROW_UNTAG] = {.name = "untag",
                   .cell = {"run", "tag"},
                   .sql = "delete from tags where run = (select id" OF_RUN ") and tag = ?2",
                   .must_change = 1},
    [ROW_NOTE] = {.name = "note",
                  .cell = {"run", "at", "note"},
                  .sql = "insert into notes(run, at, note) select id, ?2, ?3" OF_RUN,
                  .must_change = 1},
    [ROW_PREDICTION] = {.name = "prediction",
                        .cell = {"at",         "run", "model", "model_hash", "image", "image_hash",  "digit",
                                 "confidence", "p0",  "p1",    "p2",         "p3",    "p4",          "p5",
                                 "p6",         "p7",  "p8",    "p9",         "truth", "microseconds"},
                        .sql = "insert into predictions(at, run, model, model_hash, image, image_hash, digit,"
                               " confidence, p0, p1, p2, p3, p4, p5, p6, p7, p8, p9, truth, microseconds)"
                               " values(?1, (select id from runs where id = ?2), ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,"
                               " ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)"},
};

int row_kind_cells(int kind)
{
    int count = 0;
    while (row_kinds[kind].cell[count])
        ++count;
    return count;
}

cell cell_null(void)
{
    return (cell){.type = CELL_NULL};
}

cell cell_integer(int64_t value)
{
    return (cell){.type = CELL_INTEGER, .integer = value};
}

cell cell_positive(int64_t value)
{
    return value > 0 ? cell_integer(value) : cell_null();
}

cell cell_real(double value)
{
    return isnan(value) ? cell_null() : (cell){.type = CELL_REAL, .real = value};
}

cell cell_text(const char *value)
{
    return value ? (cell){.type = CELL_TEXT, .text = value, .length = strlen(value)} : cell_null();
}

cell cell_content(const char *bytes, size_t length)
{
    return (cell){.type = utf8_valid(bytes, length) ? CELL_TEXT : CELL_BYTES, .text = bytes, .length = length};
}

cell cell_at(double at, char out[TIME_TEXT])
{
    return cell_text(time_format(at > 0 ? at : store_now(), out));
}

int record_need(const char *value, const char *what, error *e)
{
    return value && *value ? PLN_E_OK : error_set(e, PLN_E_INVALID, "%s has no name and cannot be recorded", what);
}

int row_push(store *s, int kind, recording *subject, const cell *cells, error *e)
{
    int count = row_kind_cells(kind);
    size_t size = sizeof(row) + (size_t)count * sizeof(cell);
    for (int i = 0; i < count; ++i) {
        size_t length = cells[i].type == CELL_TEXT    ? utf8_clean(cells[i].text, cells[i].length, NULL)
                        : cells[i].type == CELL_BYTES ? cells[i].length
                                                      : 0;
        if (length >= INT32_MAX || size > SIZE_MAX / 2)
            return error_set(e, PLN_E_INVALID,
                             "a text of %zu bytes is too long to be recorded (%s, %s): the database"
                             " takes less than 1,000,000,000",
                             length, row_kinds[kind].name, row_kinds[kind].cell[i]);
        size += length;
    }
    row *r = malloc(size);
    if (!r)
        return error_memory(e);
    *r = (row){.kind = kind, .subject = subject, .bytes = size};
    char *at = (char *)&r->cells[count];
    for (int i = 0; i < count; ++i) {
        r->cells[i] = cells[i];
        if (cells[i].type == CELL_TEXT) {
            r->cells[i].length = utf8_clean(cells[i].text, cells[i].length, at);
        } else if (cells[i].type == CELL_BYTES && cells[i].length) {
            memcpy(at, cells[i].text, cells[i].length);
        } else if (cells[i].type != CELL_BYTES) {
            continue;
        }
        r->cells[i].text = at;
        at += r->cells[i].length;
    }
    if (s->last)
        s->last->next = r;
    else
        s->first = r;
    s->last = r;
    s->pending++;
    s->pending_bytes += size;
    return PLN_E_OK;
}

static int bind_cell(sqlite3_stmt *statement, int at, const cell *c)
{
    switch (c->type) {
    case CELL_INTEGER:
        return sqlite3_bind_int64(statement, at, c->integer);
    case CELL_REAL:
        return sqlite3_bind_double(statement, at, c->real);
    case CELL_TEXT:
        return sqlite3_bind_text(statement, at, c->text, (int)c->length, SQLITE_STATIC);
    case CELL_BYTES:
        return sqlite3_bind_blob(statement, at, c->length ? c->text : "", (int)c->length, SQLITE_STATIC);
    default:
        return sqlite3_bind_null(statement, at);
    }
}

int row_execute(store *s, int kind, const cell *cells)
{
    sqlite3_stmt **slot = &s->statement[kind];
    int rc = SQLITE_OK, count = row_kind_cells(kind);
    if (!*slot)
        rc = sqlite3_prepare_v3(s->db, row_kinds[kind].sql, -1, SQLITE_PREPARE_PERSISTENT, slot, NULL);
    for (int i = 0; rc == SQLITE_OK && i < count; ++i)
        rc = bind_cell(*slot, i + 1, &cells[i]);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(*slot);
        if (rc == SQLITE_DONE)
            rc = SQLITE_OK;
    }
    if (*slot)
        (void)sqlite3_reset(*slot);
    return rc;
}

void rows_free(store *s)
{
    while (s->first) {
        row *next = s->first->next;
        free(s->first);
        s->first = next;
    }
    s->last = NULL;
    s->pending = 0;
    s->pending_bytes = 0;
}

/* A run while it is recorded: records become rows, and nothing here touches a file (resuming excepted). */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/internal.h"

const char *const store_state_names[STORE_STATES + 1] = {"queued",      "running", "done",   "pruned", "failed",
                                                         "interrupted", "lost",    "cached", NULL};

const char *const store_epoch_names[EPOCH_COLUMNS + 1] = {
    "loss",    "accuracy",          "val_loss",  "val_accuracy", "learning_rate",
    "seconds", "images_per_second", "grad_norm", "memory",       NULL};

int store_epoch_set(store_epoch *epoch, const char *name, double value)
{
    for (int i = 0; i < EPOCH_COLUMNS; ++i) {
        if (strcmp(store_epoch_names[i], name) == 0) {
            epoch->value[i] = value;
            epoch->present |= 1u << i;
            return 1;
        }
    }
    return 0;
}

/* ---------------------------------------------------------------------------------------- begin and end */

static recording *new_recording(store *s)
{
    recording *r = calloc(1, sizeof *r);
    if (r) {
        r->owner = s;
        r->next = s->recordings;
        s->recordings = r;
    }
    return r;
}

static int push_run(recording *r, const store_run *run, const char *experiment, error *e)
{
    store *s = r->owner;
    char created[TIME_TEXT], started[TIME_TEXT];
    int64_t ordinal = run->ordinal > 0 ? run->ordinal : s->fits + 1;
    cell cells[] = {
        cell_text(r->uuid),
        cell_text(experiment),
        cell_text(*s->launch ? s->launch : NULL),
        cell_integer(ordinal),
        cell_positive(run->sweep),
        run->sweep > 0 ? cell_integer(run->trial) : cell_null(),
        cell_text(run->name),
        cell_text(run->score_name),
        cell_text(run->score_goal),
        cell_positive(run->epochs_planned),
        cell_integer(run->seed),
        cell_positive(run->threads),
        cell_positive(run->batch_size),
        cell_integer(run->parameters),
        cell_text(run->model),
        cell_text(run->fingerprint),
        cell_integer(!run->inexact),
        cell_text(run->inexact),
        cell_text(s->host),
        cell_text(*s->boot ? s->boot : NULL),
        cell_integer(getpid()),
        cell_at(run->created, created),
        cell_at(0, started),
    };
    return row_push(s, ROW_RUN, r, cells, e);
}

int recording_begin(store *s, const store_run *run, recording **out, error *e)
{
    const char *experiment = run->experiment && *run->experiment ? run->experiment : "default";
    char now[TIME_TEXT];
    *out = NULL;
    if (!(s->mode & STORE_WRITE))
        return error_set(e, PLN_E_INVALID, "the database %s was opened for reading only", s->path);
    recording *r = new_recording(s);
    if (!r)
        return error_memory(e);
    cell named[] = {cell_text(experiment), cell_at(0, now)};
    int status = store_uuid(r->uuid, e);
    if (status == PLN_E_OK)
        status = row_push(s, ROW_EXPERIMENT, NULL, named, e);
    if (status == PLN_E_OK)
        status = push_run(r, run, experiment, e);
    if (status == PLN_E_OK)
        status = recording_event(r, "started", NULL, e);
    if (status != PLN_E_OK) {
        recording_close(r);
        return status;
    }
    s->fits++;
    *out = r;
    return PLN_E_OK;
}

/* Sets a run to running again, in a transaction that has begun. */
static int restart_run(store *s, int64_t id, const char *message, char uuid[STORE_UUID], error *e)
{
    sqlite3_stmt *statement = NULL;
    char now[TIME_TEXT];
    int status = PLN_E_OK;
    int rc = sqlite3_prepare_v2(s->db,
                                "update runs set state = 'running', host = ?2, boot = ?3, pid = ?4, finished = null,"
                                " message = null, source = null, line = null where id = ?1 returning uuid",
                                -1, &statement, NULL);
    if (rc == SQLITE_OK) {
        (void)sqlite3_bind_int64(statement, 1, id);
        (void)sqlite3_bind_text(statement, 2, s->host, -1, SQLITE_STATIC);
        (void)sqlite3_bind_text(statement, 3, *s->boot ? s->boot : NULL, -1, SQLITE_STATIC);
        (void)sqlite3_bind_int64(statement, 4, getpid());
        rc = sqlite3_step(statement);
        if (rc == SQLITE_ROW) {
            snprintf(uuid, STORE_UUID, "%s", (const char *)sqlite3_column_text(statement, 0));
            rc = sqlite3_step(statement);
        } else if (rc == SQLITE_DONE) {
            status = error_set(e, PLN_E_MISSING, "there is no run %lld in %s. List them with: perilune runs",
                               (long long)id, s->path);
        }
    }
    (void)sqlite3_finalize(statement);
    if (status == PLN_E_OK && rc == SQLITE_DONE) {
        cell cells[] = {cell_text(uuid), cell_text(time_format(store_now(), now)), cell_text("resumed"),
                        cell_text(message)};
        rc = row_execute(s, ROW_EVENT, cells);
        rc = rc == SQLITE_OK ? SQLITE_DONE : rc;
    }
    return status != PLN_E_OK || rc == SQLITE_DONE ? status : failure_set(s, rc, "write", e);
}

int recording_resume_with(store *s, int64_t id, const char *message, recording **out, error *e)
{
    *out = NULL;
    if (!(s->mode & STORE_WRITE))
        return error_set(e, PLN_E_INVALID, "the database %s was opened for reading only", s->path);
    int status = store_readable(s, e);
    if (status != PLN_E_OK)
        return status;
    for (recording *r = s->recordings; r; r = r->next)
        if (r->id == id)
            return error_set(e, PLN_E_INVALID, "run %lld is being recorded by this very process", (long long)id);
    status = store_begin_write(s, clock_milliseconds() + 1000, e);
    if (status != PLN_E_OK)
        return status;
    int number = lock_take(s->lock_fd, id, 0);
    if (number) {
        (void)store_end_write(s, 0, NULL);
        return number == EAGAIN ? error_set(e, PLN_E_BUSY,
                                            "run %lld is being trained by another process. Stop it with:"
                                            " perilune stop %lld",
                                            (long long)id, (long long)id)
                                : error_system(e, number, "cannot lock %s", s->lock_path);
    }
    recording *r = new_recording(s);
    if (r) {
        r->id = r->locked = id;
        r->begun = 1;
        status = restart_run(s, id, message, r->uuid, e);
    } else {
        status = error_memory(e);
    }
    int end = store_end_write(s, status == PLN_E_OK, e);
    status = status == PLN_E_OK ? end : status;
    if (status == PLN_E_OK)
        *out = r;
    else if (r)
        recording_drop(r);
    else
        lock_release(s->lock_fd, id);
    return status;
}

int recording_resume(store *s, int64_t id, recording **out, error *e)
{
    return recording_resume_with(s, id, NULL, out, e);
}

int recording_revisit(store *s, int64_t id, recording **out, error *e)
{
    sqlite3_stmt *line = NULL;
    char uuid[STORE_UUID] = "";
    *out = NULL;
    if (!(s->mode & STORE_WRITE))
        return error_set(e, PLN_E_INVALID, "the database %s was opened for reading only", s->path);
    int status = store_readable(s, e);
    if (status == PLN_E_OK)
        status = read_prepare(s, "select uuid from runs where id = ?1", id, &line, e);
    if (status != PLN_E_OK)
        return status;
    int rc = sqlite3_step(line);
    if (rc == SQLITE_ROW)
        snprintf(uuid, sizeof uuid, "%s", (const char *)sqlite3_column_text(line, 0));
    (void)sqlite3_finalize(line);
    if (rc != SQLITE_ROW)
        return rc != SQLITE_DONE
                   ? failure_set(s, rc, "read", e)
                   : error_set(e, PLN_E_MISSING, "there is no run %lld in %s. List them with: perilune runs",
                               (long long)id, s->path);
    recording *r = new_recording(s);
    if (!r)
        return error_memory(e);
    memcpy(r->uuid, uuid, sizeof uuid);
    r->id = id;
    r->begun = r->ending = r->ended = 1;
    *out = r;
    return PLN_E_OK;
}

const char *recording_uuid(const recording *r)
{
    return r->uuid;
}

int64_t recording_id(const recording *r)
{
    return r->begun ? r->id : 0;
}

int recording_finish(recording *r, const store_end *end, error *e)
{
    char now[TIME_TEXT];
    if (r->ending)
        return error_set(e, PLN_E_INVALID, "the run %s has ended already", r->uuid);
    if (end->state <= STORE_RUNNING || end->state >= STORE_STATES)
        return error_set(e, PLN_E_INVALID, "a run cannot end in state %d", end->state);
    const char *state = store_state_names[end->state];
    cell cells[] = {
        cell_text(r->uuid),     cell_text(state),         cell_at(0, now),        cell_text(end->message),
        cell_text(end->source), cell_positive(end->line), cell_text(end->digest), cell_positive(end->best_epoch),
        cell_real(end->score)};
    int status = row_push(r->owner, ROW_RUN_END, r, cells, e);
    if (status != PLN_E_OK)
        return status;
    r->ending = 1;
    return recording_event(r, state, end->message, e);
}

/* --------------------------------------------------------------------------------------------- its rows */

int recording_param(recording *r, const char *name, store_value value, const char *source, error *e)
{
    static const char *const types[] = {"null", "integer", "real", "text", "boolean"};
    cell content = cell_null();
    if (value.type == STORE_INTEGER || value.type == STORE_BOOLEAN)
        content = cell_integer(value.integer);
    else if (value.type == STORE_REAL)
        content = cell_real(value.real);
    else if (value.type == STORE_TEXT)
        content = cell_text(value.text);
    cell cells[] = {cell_text(r->uuid), cell_text(name), content, cell_text(types[value.type]), cell_text(source)};
    int status = record_need(name, "a parameter", e);
    return status == PLN_E_OK ? row_push(r->owner, ROW_PARAM, NULL, cells, e) : status;
}

int recording_epoch(recording *r, const store_epoch *epoch, error *e)
{
    char ended[TIME_TEXT], nonfinite[192] = "";
    size_t length = 0;
    cell cells[4 + EPOCH_COLUMNS] = {cell_text(r->uuid), cell_integer(epoch->epoch)};
    for (int i = 0; i < EPOCH_COLUMNS; ++i) {
        double value = epoch->value[i];
        cell *c = &cells[2 + i];
        if (!(epoch->present & (1u << i))) {
            *c = cell_null();
            continue;
        }
        if (!isfinite(value))
            length += (size_t)snprintf(nonfinite + length, sizeof nonfinite - length, "%s%s", length ? "," : "",
                                       store_epoch_names[i]);
        if (i != EPOCH_MEMORY)
            *c = cell_real(value);
        else
            *c = value >= 0 && value < 9e18 ? cell_integer((int64_t)value) : cell_null();
    }
    cells[2 + EPOCH_COLUMNS] = cell_at(epoch->ended, ended);
    cells[3 + EPOCH_COLUMNS] = cell_text(length ? nonfinite : NULL);
    int status = row_push(r->owner, ROW_EPOCH, NULL, cells, e);
    cell progress[] = {cell_text(r->uuid), cell_integer(epoch->epoch), cell_positive(epoch->best_epoch),
                       epoch->best_epoch > 0 ? cell_real(epoch->score) : cell_null()};
    return status == PLN_E_OK ? row_push(r->owner, ROW_PROGRESS, NULL, progress, e) : status;
}

int recording_metric(recording *r, const store_metric *metric, error *e)
{
    int status = record_need(metric->name, "a metric", e);
    cell name[] = {cell_text(metric->name)};
    if (status == PLN_E_OK)
        status = row_push(r->owner, ROW_METRIC_NAME, NULL, name, e);
    cell cells[] = {cell_text(r->uuid), name[0], cell_integer(metric->step), cell_real(metric->value)};
    return status == PLN_E_OK ? row_push(r->owner, ROW_METRIC, NULL, cells, e) : status;
}

int recording_evaluation(recording *r, const store_evaluation *evaluation, error *e)
{
    char at[TIME_TEXT];
    int status = record_need(evaluation->name, "an evaluation", e);
    cell cells[] = {cell_text(r->uuid),
                    cell_text(evaluation->dataset ? evaluation->dataset : ""),
                    cell_text(evaluation->name),
                    cell_real(evaluation->value),
                    cell_text(evaluation->digest),
                    cell_at(evaluation->at, at)};
    return status == PLN_E_OK ? row_push(r->owner, ROW_EVALUATION, NULL, cells, e) : status;
}

int recording_plugin(recording *r, const store_plugin *plugin, error *e)
{
    const char *kind = plugin->kind ? plugin->kind : "";
    int status = record_need(plugin->type, "a plugin", e);
    if (status == PLN_E_OK)
        status = record_need(plugin->sha256, "a plugin without hash", e);
    cell cells[] = {cell_text(plugin->sha256), cell_text(plugin->file), cell_text(kind), cell_text(plugin->type),
                    cell_text(plugin->version)};
    if (status == PLN_E_OK)
        status = row_push(r->owner, ROW_PLUGIN, NULL, cells, e);
    cell link[] = {cell_text(r->uuid), cells[0], cells[2], cells[3]};
    return status == PLN_E_OK ? row_push(r->owner, ROW_RUN_PLUGIN, NULL, link, e) : status;
}

int recording_dataset(recording *r, const store_dataset *dataset, error *e)
{
    int status = record_need(dataset->digest, "a data set without digest", e);
    cell cells[] = {cell_text(dataset->digest),      cell_text(dataset->name),  cell_integer(dataset->samples),
                    cell_positive(dataset->classes), cell_text(dataset->shape), cell_text(dataset->origin)};
    if (status == PLN_E_OK)
        status = row_push(r->owner, ROW_DATASET, NULL, cells, e);
    cell link[] = {cell_text(r->uuid), cell_text(dataset->role ? dataset->role : ""), cells[0]};
    return status == PLN_E_OK ? row_push(r->owner, ROW_RUN_DATASET, NULL, link, e) : status;
}

/* (run, when, one word, words) */
static int push_words(recording *r, int kind, const char *word, const char *words, error *e)
{
    char at[TIME_TEXT];
    cell cells[] = {cell_text(r->uuid), cell_at(0, at), cell_text(word), cell_text(words)};
    int status = record_need(word, row_kinds[kind].name, e);
    return status == PLN_E_OK ? row_push(r->owner, kind, NULL, cells, e) : status;
}

int recording_event(recording *r, const char *kind, const char *message, error *e)
{
    return push_words(r, ROW_EVENT, kind, message, e);
}

int recording_log(recording *r, const char *stream, const char *line, error *e)
{
    return push_words(r, ROW_LOG, stream, line ? line : "", e);
}

int recording_inexact(recording *r, const char *why, error *e)
{
    cell cells[] = {cell_text(r->uuid), cell_text(why ? why : "not said")};
    return row_push(r->owner, ROW_RUN_INEXACT, NULL, cells, e);
}

int recording_tag(recording *r, const char *tag, error *e)
{
    cell cells[] = {cell_text(r->uuid), cell_text(tag)};
    int status = record_need(tag, "a tag", e);
    return status == PLN_E_OK ? row_push(r->owner, ROW_TAG, NULL, cells, e) : status;
}

int store_predict(store *s, const store_prediction *p, error *e)
{
    char at[TIME_TEXT];
    if (!(s->mode & STORE_WRITE))
        return error_set(e, PLN_E_INVALID, "the database %s was opened for reading only", s->path);
    cell cells[20] = {cell_at(p->at, at),  cell_positive(p->run),    cell_text(p->model),    cell_text(p->model_hash),
                      cell_text(p->image), cell_text(p->image_hash), cell_integer(p->digit), cell_real(p->confidence)};
    for (int i = 0; i < 10; ++i)
        cells[8 + i] = cell_real(p->probability[i]);
    cells[18] = p->truth >= 0 ? cell_integer(p->truth) : cell_null();
    cells[19] = cell_integer(p->microseconds);
    return row_push(s, ROW_PREDICTION, NULL, cells, e);
}

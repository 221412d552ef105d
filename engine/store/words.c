/* What people and other processes say about a run that somebody else records: stop, tags, notes, removal.  Each
 * is committed at once. */
#include <stdio.h>
#include <string.h>

#include "store/internal.h"

static int set_no_run(const store *s, int64_t run, error *e)
{
    return error_set(e, PLN_E_MISSING, "there is no run %lld in %s. List them with: perilune runs", (long long)run,
                     s->path);
}

/* Connected for writing, in a transaction. */
static int begin_words(store *s, int wait_ms, error *e)
{
    if (!(s->mode & STORE_WRITE))
        return error_set(e, PLN_E_INVALID, "the database %s was opened for reading only", s->path);
    int status = store_readable(s, e);
    return status == PLN_E_OK ? store_begin_write(s, clock_milliseconds() + wait_ms, e) : status;
}

/* Executes SQL with ?1 the run, ?2 and ?3 texts, ?4 now; *changes: how many rows it touched. */
static int write_words(store *s, const char *sql, int64_t run, const char *a, const char *b, int wait_ms, int *changes,
                       error *e)
{
    sqlite3_stmt *statement = NULL;
    char now[TIME_TEXT];
    *changes = 0;
    int status = begin_words(s, wait_ms, e);
    if (status != PLN_E_OK)
        return status;
    int rc = sqlite3_prepare_v2(s->db, sql, -1, &statement, NULL);
    if (rc == SQLITE_OK) {
        (void)sqlite3_bind_int64(statement, 1, run);
        (void)sqlite3_bind_text(statement, 2, a, -1, SQLITE_STATIC);
        (void)sqlite3_bind_text(statement, 3, b, -1, SQLITE_STATIC);
        (void)sqlite3_bind_text(statement, 4, time_format(store_now(), now), -1, SQLITE_STATIC);
        rc = sqlite3_step(statement);
        *changes = sqlite3_changes(s->db);
    }
    (void)sqlite3_finalize(statement);
    if (rc != SQLITE_DONE)
        status = failure_set(s, rc, "write", e);
    int end = store_end_write(s, status == PLN_E_OK, e);
    return status == PLN_E_OK ? end : status;
}

static int write_cleaned(store *s, const char *sql, int64_t run, const char *a, const char *b, int wait_ms,
                         int *changes, error *e)
{
    text clean = {0};
    size_t length = strlen(b);
    if (utf8_valid(b, length))
        return write_words(s, sql, run, a, b, wait_ms, changes, e);
    for (size_t i = 0; i < length; ++i) /* byte by byte: room for the worst case */
        text_add(&clean, "\xef\xbf\xbd");
    if (clean.failed) {
        text_free(&clean);
        return error_memory(e);
    }
    clean.bytes[utf8_clean(b, length, clean.bytes)] = 0;
    int status = write_words(s, sql, run, a, clean.bytes, wait_ms, changes, e);
    text_free(&clean);
    return status;
}

int store_request_stop(store *s, int64_t run, int wait_ms, error *e)
{
    sqlite3_stmt *statement = NULL;
    int changes, status = store_readable(s, e), live = -1;
    if (status != PLN_E_OK)
        return status;
    int rc = sqlite3_prepare_v2(s->db, "select state in ('queued', 'running'), state from runs where id = ?1", -1,
                                &statement, NULL);
    if (rc == SQLITE_OK) {
        (void)sqlite3_bind_int64(statement, 1, run);
        rc = sqlite3_step(statement);
        if (rc == SQLITE_ROW)
            live = sqlite3_column_int(statement, 0);
        if (rc == SQLITE_ROW && !live)
            status = error_set(e, PLN_E_INVALID, "run %lld is not training: it is %s", (long long)run,
                               (const char *)sqlite3_column_text(statement, 1));
    }
    (void)sqlite3_finalize(statement);
    if (rc != SQLITE_ROW)
        return rc == SQLITE_DONE ? set_no_run(s, run, e) : failure_set(s, rc, "read", e);
    if (status != PLN_E_OK)
        return status;
    if (store_run_alive(s, run) == STORE_GONE)
        return error_set(e, PLN_E_INVALID,
                         "run %lld is not training: its process is gone. Go on with: perilune resume %lld",
                         (long long)run, (long long)run);
    status = write_words(s, "insert into events(run, at, kind, message) values(?1, ?4, ?2, ?3)", run, "stop", NULL,
                         wait_ms, &changes, e);
    s->stop_known = 0; /* our own commits do not change data_version */
    return status;
}

int store_stop_requested(store *s, const recording *r)
{
    if (!r->begun || !s->connected || s->suspended)
        return r->stop;
    (void)sqlite3_busy_timeout(s->db, 0);
    if (statement_prepare(s, &s->version_statement, "pragma data_version", NULL) != PLN_E_OK)
        return r->stop;
    int64_t version = s->data_version;
    if (sqlite3_step(s->version_statement) == SQLITE_ROW)
        version = sqlite3_column_int64(s->version_statement, 0);
    (void)sqlite3_reset(s->version_statement);
    if (s->stop_known && version == s->data_version)
        return r->stop;
    if (statement_prepare(s, &s->stop_statement,
                          "select kind = 'stop' from events where run = ?1 and kind in ('started', 'resumed', 'stop')"
                          " order by id desc limit 1",
                          NULL) != PLN_E_OK)
        return r->stop;
    int known = 1;
    for (recording *each = s->recordings; each; each = each->next) {
        if (!each->begun)
            continue;
        (void)sqlite3_bind_int64(s->stop_statement, 1, each->id);
        int rc = sqlite3_step(s->stop_statement);
        if (rc == SQLITE_ROW)
            each->stop = sqlite3_column_int(s->stop_statement, 0);
        known &= rc == SQLITE_ROW || rc == SQLITE_DONE;
        (void)sqlite3_reset(s->stop_statement);
    }
    s->stop_known = known;
    s->data_version = version;
    return r->stop;
}

int store_tag(store *s, int64_t run, const char *tag, int wait_ms, error *e)
{
    int changes;
    if (!tag || !*tag)
        return error_set(e, PLN_E_INVALID, "an empty tag cannot be given to run %lld", (long long)run);
    int status = write_cleaned(s, "insert or replace into tags(run, tag) select id, ?3 from runs where id = ?1", run,
                               NULL, tag, wait_ms, &changes, e);
    return status == PLN_E_OK && !changes ? set_no_run(s, run, e) : status;
}

int store_untag(store *s, int64_t run, const char *tag, int wait_ms, error *e)
{
    int changes;
    if (!tag)
        return error_set(e, PLN_E_INVALID, "no tag was named for run %lld", (long long)run);
    int status = write_cleaned(s, "delete from tags where run = ?1 and tag = ?3", run, NULL, tag, wait_ms, &changes, e);
    return status == PLN_E_OK && !changes
               ? error_set(e, PLN_E_MISSING, "run %lld has no tag \"%.200s\"", (long long)run, tag)
               : status;
}

int store_note(store *s, int64_t run, const char *note, int wait_ms, error *e)
{
    int changes;
    if (!note || !*note)
        return error_set(e, PLN_E_INVALID, "an empty note cannot be given to run %lld", (long long)run);
    int status = write_cleaned(s, "insert into notes(run, at, note) select id, ?4, ?3 from runs where id = ?1", run,
                               NULL, note, wait_ms, &changes, e);
    return status == PLN_E_OK && !changes ? set_no_run(s, run, e) : status;
}

int store_remove_run(store *s, int64_t run, int wait_ms, error *e)
{
    int changes, alive = store_run_alive(s, run);
    if (alive == STORE_ALIVE)
        return error_set(e, PLN_E_BUSY,
                         "run %lld is being trained and cannot be removed. Stop it first: perilune stop %lld",
                         (long long)run, (long long)run);
    int status = write_words(s, "delete from runs where id = ?1", run, NULL, NULL, wait_ms, &changes, e);
    return status == PLN_E_OK && !changes ? set_no_run(s, run, e) : status;
}

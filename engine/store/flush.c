/* The one way by which rows reach the file: all that waits, in one immediate transaction, under the writers' lock.
 * SQLite 3.7.0 to 3.51.2 can corrupt a write-ahead log when one connection writes and another checkpoints in the same
 * instant, so every write and every checkpoint of ours holds byte 0 of the lock file. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/internal.h"

/* --------------------------------------------------------------------------------------------- the lock */

/* The lock file was removed by somebody: make it again and take our locks in it. */
static int renew_lock_file(store *s, error *e)
{
    struct stat of;
    if (fstat(s->lock_fd, &of) == 0 && of.st_nlink > 0)
        return PLN_E_OK;
    int fd, number = lock_file_open(s->lock_path, 1, &fd);
    if (number)
        return error_system(e, number, "cannot open %s, the lock file of the database", s->lock_path);
    close(s->lock_fd);
    s->lock_fd = fd;
    for (recording *r = s->recordings; r; r = r->next)
        if (r->locked)
            (void)lock_take(fd, r->locked, 0);
    return PLN_E_OK;
}

/* Was the file moved or removed under our feet?  SQLite would go on writing to what nobody finds any more. */
static int check_place(store *s, error *e)
{
    int moved = 0;
    if (sqlite3_file_control(s->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved)
        return error_set(e, PLN_E_MISSING,
                         "the database %s was moved or removed while it was in use. Put it back: %zu records"
                         " wait for it",
                         s->path, s->pending);
    return PLN_E_OK;
}

static int step_once(store *s, sqlite3_stmt **slot, const char *sql)
{
    int rc = SQLITE_OK;
    if (!*slot)
        rc = sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, slot, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(*slot);
        rc = rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
        int end = sqlite3_reset(*slot);
        rc = rc == SQLITE_OK ? end : rc;
    }
    return rc;
}

int store_begin_write(store *s, int64_t deadline, error *e)
{
    int status = renew_lock_file(s, e);
    if (status == PLN_E_OK)
        status = check_place(s, e);
    if (status != PLN_E_OK)
        return status;
    int number = lock_take(s->lock_fd, 0, deadline);
    if (number == EAGAIN)
        return error_set(e, PLN_E_BUSY, "another Perilune process is writing to %s", s->path);
    if (number)
        return error_system(e, number, "cannot lock %s", s->lock_path);
    int64_t wait = deadline - clock_milliseconds();
    (void)sqlite3_busy_timeout(s->db, wait > 0 ? (int)(wait < INT_MAX ? wait : INT_MAX) : 0);
    int rc = step_once(s, &s->begin, "begin immediate");
    if (rc == SQLITE_OK) {
        errno = 0; /* so that failure.c can trust it */
        return PLN_E_OK;
    }
    status = failure_set(s, rc, "write", e);
    lock_release(s->lock_fd, 0);
    return status;
}

/* Moves a long log into the file.  A reader that stays keeps the log from starting again; then it is not done for each
 * commit, but whenever the log has grown as much again. */
static void checkpoint(store *s)
{
    if (s->wal_pages < s->wal_kept)
        s->wal_kept = 0;
    if (s->wal_pages - s->wal_kept < STORE_WAL_PAGES)
        return;
    (void)sqlite3_busy_timeout(s->db, 0);
    (void)sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    s->wal_kept = s->wal_pages;
}

int store_end_write(store *s, int ok, error *e)
{
    int status = PLN_E_OK;
    if (ok) {
        int rc = step_once(s, &s->commit, "commit");
        if (rc != SQLITE_OK)
            status = failure_set(s, rc, "write", e);
    }
    if (!sqlite3_get_autocommit(s->db))
        (void)step_once(s, &s->rollback_statement, "rollback");
    if (ok && status == PLN_E_OK)
        checkpoint(s);
    lock_release(s->lock_fd, 0);
    return status;
}

/* ------------------------------------------------------------------------------------------------- flush */

/* The number of a run that was just inserted, and its lock: nobody may see it running without. */
static int number_run(store *s, recording *r, error *e)
{
    int status = statement_prepare(s, &s->run_id_statement, "select id from runs where uuid = ?1", e);
    if (status != PLN_E_OK)
        return status;
    (void)sqlite3_bind_text(s->run_id_statement, 1, r->uuid, -1, SQLITE_STATIC);
    int rc = sqlite3_step(s->run_id_statement);
    if (rc == SQLITE_ROW)
        r->id = sqlite3_column_int64(s->run_id_statement, 0);
    (void)sqlite3_reset(s->run_id_statement);
    if (rc != SQLITE_ROW)
        return rc == SQLITE_DONE
                   ? error_set(e, PLN_E_INVALID, "the run %s could not be recorded in %s", r->uuid, s->path)
                   : failure_set(s, rc, "read", e);
    int number = lock_take(s->lock_fd, r->id, 0);
    if (number)
        return error_system(e, number, "cannot lock byte %lld of %s for run %lld", (long long)r->id, s->lock_path,
                            (long long)r->id);
    r->locked = r->id;
    return PLN_E_OK;
}

static void unlock_recording(store *s, recording *r)
{
    if (r->locked && s->lock_fd >= 0)
        lock_release(s->lock_fd, r->locked);
    r->locked = 0;
}

/* A row that the database refuses must not hold up all others for ever: it is told, and left out. */
static int refuse_row(store *s, const row *r, int rc, error *e)
{
    const char *run = r->cells[0].type == CELL_TEXT ? r->cells[0].text : "";
    int length = r->cells[0].type == CELL_TEXT ? (int)r->cells[0].length : 0;
    if (rc == SQLITE_OK)
        return error_set(e, PLN_E_MISSING, "what %.*s records is lost: somebody removed it from the database %s (%s)",
                         length, run, s->path, row_kinds[r->kind].name);
    failure_set(s, rc, "write", e);
    error_prefix(e, "%s of %.*s is left out: ", row_kinds[r->kind].name, length, run);
    return PLN_E_INVALID;
}

/* Executes all that waits.  *refused: what the error says about rows that were left out. */
static int execute_rows(store *s, int *refused, error *e)
{
    for (row *r = s->first; r; r = r->next) {
        int rc = row_execute(s, r->kind, r->cells), kind = rc & 0xff;
        int left_out = kind == SQLITE_CONSTRAINT || kind == SQLITE_MISMATCH || kind == SQLITE_TOOBIG ||
                       (rc == SQLITE_OK && row_kinds[r->kind].must_change && sqlite3_changes(s->db) == 0);
        if (left_out) {
            if (!*refused)
                *refused = refuse_row(s, r, rc, e);
            continue;
        }
        if (rc != SQLITE_OK)
            return failure_set(s, rc, "write", e);
        if (r->kind == ROW_RUN && r->subject && !r->subject->id) {
            int status = number_run(s, r->subject, e);
            if (status != PLN_E_OK)
                return status;
        }
    }
    return PLN_E_OK;
}

static void forget_numbers(store *s)
{
    for (recording *r = s->recordings; r; r = r->next) {
        if (!r->begun && r->id) {
            unlock_recording(s, r);
            r->id = 0;
        }
    }
}

/* After a commit: runs have begun, or have ended and need no lock; handles that were given back go. */
static void settle_recordings(store *s)
{
    recording **at = &s->recordings;
    for (row *r = s->first; r; r = r->next) {
        if (r->subject && r->kind == ROW_RUN)
            r->subject->begun = 1;
        if (r->subject && r->kind == ROW_RUN_END)
            r->subject->ended = 1;
    }
    while (*at) {
        recording *r = *at;
        if (r->ended || r->closed)
            unlock_recording(s, r);
        if (r->closed) {
            *at = r->next;
            free(r);
        } else {
            at = &r->next;
        }
    }
}

int store_flush(store *s, int wait_ms, error *e)
{
    int64_t deadline = clock_milliseconds() + wait_ms;
    error why = {0};
    int refused = PLN_E_OK;
    if (!s->pending)
        return PLN_E_OK;
    if (!(s->mode & STORE_WRITE))
        return error_set(e, PLN_E_INVALID, "the database %s was opened for reading only", s->path);
    if (s->suspended)
        return error_set(e, PLN_E_BUSY, "the database %s is closed while the process forks", s->path);
    int status;
    int connected = s->connected;
    while ((status = store_connect(s, &why)) == PLN_E_BUSY && clock_milliseconds() < deadline)
        usleep(5000);
    if (status == PLN_E_OK && !connected)
        status = store_take_over(s, &why);
    if (status == PLN_E_OK)
        status = store_begin_write(s, deadline, &why);
    if (status != PLN_E_OK)
        goto fail;
    status = execute_rows(s, &refused, &why);
    error commit = {0};
    int end = store_end_write(s, status == PLN_E_OK, &commit);
    if (status == PLN_E_OK && end != PLN_E_OK) {
        status = end;
        why = commit;
    }
    if (status != PLN_E_OK) {
        forget_numbers(s);
        goto fail;
    }
    settle_recordings(s);
    rows_free(s);
    if (refused == PLN_E_OK)
        return PLN_E_OK;
    status = refused;
fail:
    if (e)
        *e = why;
    return status;
}

void recording_drop(recording *r)
{
    recording **at = &r->owner->recordings;
    while (*at && *at != r)
        at = &(*at)->next;
    if (*at)
        *at = r->next;
    unlock_recording(r->owner, r);
    free(r);
}

void recording_close(recording *r)
{
    if (!r)
        return;
    r->closed = 1;
    if (!r->owner->pending) /* else with the next commit */
        recording_drop(r);
}

/* Opening, closing, and the one way by which rows reach the file: all that waits, in one immediate transaction, under
 * the writers' lock (SQLite 3.7.0 to 3.51.2 can corrupt a write-ahead log when one connection writes and another
 * checkpoints in the same instant, so every write and every checkpoint of ours holds byte 0 of the lock file). */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/internal.h"

enum { LAST_CHECKPOINT_WAIT = 1000 }; /* milliseconds for the writers' lock at close */

/* ------------------------------------------------------------------------------------------------ notices */

void store_add_notice(store *s, const char *format, ...)
{
    char line[sizeof s->notice];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    text_add_bytes(&s->notices, line, strlen(line) + 1);
}

const char *store_notice(store *s)
{
    if (!s || s->notices_read >= s->notices.length)
        return NULL;
    snprintf(s->notice, sizeof s->notice, "%s", s->notices.bytes + s->notices_read);
    s->notices_read += strlen(s->notices.bytes + s->notices_read) + 1;
    if (s->notices_read >= s->notices.length)
        s->notices.length = s->notices_read = 0;
    return s->notice;
}

/* --------------------------------------------------------------------------------------- open and close */

/* The absolute path of a file that may not be there yet; of the file behind a symbolic link when it is. */
static int resolve_path(store *s, const char *path, error *e)
{
    char *real = realpath(path, NULL);
    if (!real) {
        const char *slash = strrchr(path, '/');
        char *directory = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : text_copy(".");
        if (!directory)
            return error_memory(e);
        char *base = realpath(directory, NULL);
        if (!base) {
            int number = errno;
            if (number == ENOENT || number == ENOTDIR)
                error_set(e, PLN_E_MISSING,
                          "the folder %s of the database %s does not exist. Make it (mkdir -p %s), or name"
                          " another database with --db FILE",
                          directory, path, directory);
            else
                error_system(e, number, "cannot open the folder %s of the database %s", directory, path);
            free(directory);
            return number == ENOENT || number == ENOTDIR ? PLN_E_MISSING : PLN_E_IO;
        }
        free(directory);
        text joined = {0};
        text_format(&joined, "%s/%s", strcmp(base, "/") ? base : "", slash ? slash + 1 : path);
        free(base);
        if (joined.failed) {
            text_free(&joined);
            return error_memory(e);
        }
        real = joined.bytes;
    }
    s->path = real;
    const char *slash = strrchr(real, '/');
    s->directory = strndup(real, slash == real ? 1 : (size_t)(slash - real));
    text lock = {0}, folder = {0};
    text_format(&lock, "%s.lock", real);
    text_format(&folder, "%s.d", real);
    s->lock_path = lock.bytes;
    s->folder = folder.bytes;
    return s->directory && !lock.failed && !folder.failed ? PLN_E_OK : error_memory(e);
}

/* Who we are: the host's name, and the boot of its kernel, which containers on it share. */
static int find_host(store *s, error *e)
{
    char name[256] = "";
    if (gethostname(name, sizeof name - 1) != 0 || !*name)
        snprintf(name, sizeof name, "localhost");
    s->host = text_copy(name);
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (f) {
        if (!fgets(s->boot, sizeof s->boot, f))
            s->boot[0] = 0;
        s->boot[strcspn(s->boot, "\n")] = 0;
        fclose(f);
    }
    return s->host ? PLN_E_OK : error_memory(e);
}

static void free_recordings(store *s)
{
    while (s->recordings) {
        recording *next = s->recordings->next;
        free(s->recordings);
        s->recordings = next;
    }
}

static void free_store(store *s)
{
    rows_free(s);
    free_recordings(s);
    text_free(&s->notices);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    free(s->path);
    free(s->directory);
    free(s->lock_path);
    free(s->folder);
    free(s->script_hash);
    free(s->host);
    free(s);
}

/* What a writer does first: other processes' rests. None of it may keep anybody from training. */
static int take_over(store *s, error *e)
{
    int status = spill_merge(s, e);
    if (status == PLN_E_OK)
        status = store_mark_lost(s, e);
    return status == PLN_E_BUSY ? PLN_E_OK : status;
}

int store_open(const char *path, int mode, store **out, error *e)
{
    *out = NULL;
    if (!path || !*path)
        return error_set(e, PLN_E_INVALID, "the database has no name. Name one with --db FILE");
    store *s = calloc(1, sizeof *s);
    if (!s)
        return error_memory(e);
    s->lock_fd = -1;
    s->mode = mode;
    s->rollback = (mode & STORE_ROLLBACK) != 0;
    error why = {0};
    int status = resolve_path(s, path, &why);
    if (status == PLN_E_OK)
        status = find_host(s, &why);
    if (status != PLN_E_OK)
        goto fail;
    status = store_connect(s, &why);
    if (status == PLN_E_BUSY && (mode & STORE_WRITE)) {
        store_add_notice(s, "%s. Records wait in memory until it is free", why.text);
        status = PLN_E_OK;
    } else if (status == PLN_E_OK && (mode & STORE_WRITE)) {
        status = take_over(s, &why);
    }
    if (status != PLN_E_OK)
        goto fail;
    *out = s;
    return PLN_E_OK;
fail:
    if (e)
        *e = why;
    store_disconnect(s);
    free_store(s);
    return status;
}

const char *store_path(const store *s)
{
    return s->path;
}

size_t store_pending(const store *s)
{
    return s->pending;
}

/* Closes the database; a writer that gets the lock lets SQLite checkpoint and remove the log. */
static void close_database(store *s)
{
    int locked = 0;
    if (s->connected && (s->mode & STORE_WRITE) &&
        lock_take(s->lock_fd, 0, clock_milliseconds() + LAST_CHECKPOINT_WAIT) == 0) {
        locked = 1;
        (void)sqlite3_busy_timeout(s->db, 0);
        if (s->wal_pages > 0)
            (void)sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
        (void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, (int *)NULL);
    }
    store_disconnect(s);
    if (locked)
        lock_release(s->lock_fd, 0);
}

int store_close(store *s, int wait_ms, error *e)
{
    error why = {0}, worse = {0};
    char *file = NULL;
    int status = PLN_E_OK;
    if (e)
        *e = (error){0};
    if (!s)
        return PLN_E_OK;
    s->suspended = 0;
    if (s->pending)
        status = store_flush(s, wait_ms, &why);
    if (s->pending) {
        size_t count = s->pending;
        if (spill_write(s, &file, &worse) == PLN_E_OK)
            status = error_set(e, PLN_E_OK,
                               "%zu records wait in %s, and the next command that writes will put them into the"
                               " database: %s",
                               count, file, why.text);
        else
            status = error_set(e, status, "%zu records are lost. %s. %s", count, why.text, worse.text);
    } else if (status != PLN_E_OK && e) {
        *e = why;
    }
    free(file);
    close_database(s);
    free_store(s);
    return status;
}

/* ---------------------------------------------------------------------------------------------- forking */

int store_suspend(store *s, int wait_ms, error *e)
{
    int status = s->pending ? store_flush(s, wait_ms, e) : PLN_E_OK;
    close_database(s);
    s->suspended = 1;
    return status;
}

int store_resume(store *s, error *e)
{
    error why = {0};
    s->suspended = 0;
    int status = store_connect(s, &why);
    if (status == PLN_E_BUSY && (s->mode & STORE_WRITE)) {
        store_add_notice(s, "%s. Records wait in memory until it is free", why.text);
        return PLN_E_OK;
    }
    if (status != PLN_E_OK && e)
        *e = why;
    return status;
}

void store_forget(store *s)
{
    if (s)
        free_store(s);
}

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
    if (ok && status == PLN_E_OK && s->wal_pages >= STORE_WAL_PAGES) {
        (void)sqlite3_busy_timeout(s->db, 0);
        (void)sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    }
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
        status = take_over(s, &why);
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

/* -------------------------------------------------------------------------------------- alive or lost */

int store_readable(store *s, error *e)
{
    if (s->suspended)
        return error_set(e, PLN_E_BUSY, "the database %s is closed while the process forks", s->path);
    int status = store_connect(s, e);
    if (status == PLN_E_OK && (s->mode & STORE_WRITE))
        (void)sqlite3_busy_timeout(s->db, 1000);
    return status;
}

int store_alive(store *s, int64_t id, const char *host, const char *boot)
{
    for (recording *r = s->recordings; r; r = r->next)
        if (r->locked == id)
            return STORE_ALIVE;
    int here = boot && *s->boot ? strcmp(boot, s->boot) == 0 : host && strcmp(host, s->host) == 0;
    int before = !here && host && strcmp(host, s->host) == 0; /* this host, before it was started again */
    if (!here && (!before || s->network))
        return STORE_UNKNOWN;
    if (s->lock_fd < 0) {
        int number = lock_file_open(s->lock_path, 0, &s->lock_fd);
        if (number)
            return number == ENOENT ? STORE_GONE : STORE_UNKNOWN;
    }
    int held = lock_held(s->lock_fd, id);
    return held > 0 ? STORE_ALIVE : held == 0 ? STORE_GONE : STORE_UNKNOWN;
}

int store_run_alive(store *s, int64_t id)
{
    sqlite3_stmt *statement = NULL;
    int alive = STORE_UNKNOWN;
    if (store_readable(s, NULL) != PLN_E_OK)
        return alive;
    if (sqlite3_prepare_v2(s->db, "select state in ('running', 'queued'), host, boot from runs where id = ?1", -1,
                           &statement, NULL) == SQLITE_OK) {
        (void)sqlite3_bind_int64(statement, 1, id);
        int rc = sqlite3_step(statement);
        if (rc == SQLITE_DONE || (rc == SQLITE_ROW && !sqlite3_column_int(statement, 0)))
            alive = STORE_GONE;
        else if (rc == SQLITE_ROW)
            alive = store_alive(s, id, (const char *)sqlite3_column_text(statement, 1),
                                (const char *)sqlite3_column_text(statement, 2));
    }
    (void)sqlite3_finalize(statement);
    return alive;
}

#define LIVE_RUNS "select id, host, boot, pid from runs where state in ('queued', 'running')"

/* Is there anything to mark? Asked before taking any lock. */
static int any_lost(store *s, int *any, error *e)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(s->db, LIVE_RUNS, -1, &statement, NULL);
    *any = 0;
    while (rc == SQLITE_OK && !*any && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        *any = store_alive(s, sqlite3_column_int64(statement, 0), (const char *)sqlite3_column_text(statement, 1),
                           (const char *)sqlite3_column_text(statement, 2)) == STORE_GONE;
        rc = SQLITE_OK;
    }
    (void)sqlite3_finalize(statement);
    return rc == SQLITE_OK || rc == SQLITE_DONE ? PLN_E_OK : failure_set(s, rc, "read", e);
}

static int mark_lost(store *s)
{
    sqlite3_stmt *live = NULL, *mark = NULL, *event = NULL;
    char now[TIME_TEXT], message[512];
    int rc = sqlite3_prepare_v2(s->db, LIVE_RUNS, -1, &live, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(s->db, "update runs set state = 'lost', message = ?2 where id = ?1", -1, &mark, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(s->db, "insert into events(run, at, kind, message) values(?1, ?2, 'lost', ?3)", -1,
                                &event, NULL);
    if (rc == SQLITE_OK)
        (void)time_format(store_now(), now);
    while (rc == SQLITE_OK && (rc = sqlite3_step(live)) == SQLITE_ROW) {
        int64_t id = sqlite3_column_int64(live, 0);
        const char *host = (const char *)sqlite3_column_text(live, 1);
        rc = SQLITE_OK;
        if (store_alive(s, id, host, (const char *)sqlite3_column_text(live, 2)) != STORE_GONE)
            continue;
        snprintf(message, sizeof message, "its process (%lld on %.200s) is gone",
                 (long long)sqlite3_column_int64(live, 3), host ? host : "an unknown host");
        (void)sqlite3_bind_int64(mark, 1, id);
        (void)sqlite3_bind_text(mark, 2, message, -1, SQLITE_STATIC);
        (void)sqlite3_bind_int64(event, 1, id);
        (void)sqlite3_bind_text(event, 2, now, -1, SQLITE_STATIC);
        (void)sqlite3_bind_text(event, 3, message, -1, SQLITE_STATIC);
        rc = sqlite3_step(mark);
        rc = rc == SQLITE_DONE ? sqlite3_step(event) : rc;
        rc = rc == SQLITE_DONE ? SQLITE_OK : rc;
        (void)sqlite3_reset(mark);
        (void)sqlite3_reset(event);
    }
    (void)sqlite3_finalize(live);
    (void)sqlite3_finalize(mark);
    (void)sqlite3_finalize(event);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int store_mark_lost(store *s, error *e)
{
    int any, status = any_lost(s, &any, e);
    if (status != PLN_E_OK || !any)
        return status;
    status = store_begin_write(s, clock_milliseconds(), e);
    if (status != PLN_E_OK)
        return status;
    int rc = mark_lost(s);
    if (rc != SQLITE_OK)
        status = failure_set(s, rc, "write", e);
    int end = store_end_write(s, rc == SQLITE_OK, e);
    return status == PLN_E_OK ? end : status;
}

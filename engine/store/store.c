/* Opening and closing a store: what a process finds when it comes (rests of others, a locked file) and what it leaves
 * when it goes (a checkpointed database, or a spill). */
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
    free(s->host);
    free(s);
}

/* What a writer does first: other processes' rests. None of it may keep anybody from training. */
int store_take_over(store *s, error *e)
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
        status = store_take_over(s, &why);
    } else if (status == PLN_E_OK && spill_count(s) > 0) {
        store_add_notice(
            s,
            "the newest records of an earlier process are not in %s yet: they wait in %s/spill for the next"
            " command that writes",
            s->path, s->folder);
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

int store_readable(store *s, error *e)
{
    if (s->suspended)
        return error_set(e, PLN_E_BUSY, "the database %s is closed while the process forks", s->path);
    int status = store_connect(s, e);
    if (status == PLN_E_OK && (s->mode & STORE_WRITE))
        (void)sqlite3_busy_timeout(s->db, 1000);
    return status;
}

/* A connection that writes: a new file becomes ours, an older one is brought up to date after a backup, and what may
 * not be written is refused before anything is touched. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/internal.h"

enum { WRITER_WAIT = 50, CREATE_WAIT = 1000 }; /* milliseconds */

static int open_lock(store *s, error *e)
{
    if (s->lock_fd >= 0)
        return PLN_E_OK;
    int number = lock_file_open(s->lock_path, 1, &s->lock_fd);
    if (number == EACCES || number == EROFS || number == EPERM) {
        if (access(s->lock_path, F_OK) == 0)
            return error_set(e, PLN_E_IO,
                             "cannot write the database %s: you may not write its lock file %s. Change that"
                             " (chmod u+w %s), or name another database with --db FILE",
                             s->path, s->lock_path, s->lock_path);
        return error_set(e, PLN_E_IO,
                         "cannot write the database %s: you may not write in its folder %s. Change that (chmod"
                         " u+w %s), or name another database with --db FILE",
                         s->path, s->directory, s->directory);
    }
    if (number)
        return error_system(e, number, "cannot open %s, the lock file of the database", s->lock_path);
    return PLN_E_OK;
}

/* Is there anything that a failed migration could spoil? */
static int has_records(sqlite3 *db)
{
    int64_t any = 1;
    int rc = connection_ask(db,
                            "select exists(select 1 from experiments) or exists(select 1 from launches)"
                            " or exists(select 1 from runs)",
                            &any);
    return rc != SQLITE_OK || any;
}

/* Copies the database to PATH.v<version>.backup, or -2, -3 … when that is there. */
static int make_backup(store *s, int version, error *e)
{
    text name = {0};
    sqlite3 *copy = NULL;
    int status = PLN_E_OK, rc;
    for (int i = 1; i < 1000; ++i) {
        name.length = 0;
        text_format(&name, i > 1 ? "%s.v%d.backup-%d" : "%s.v%d.backup", s->path, version, i);
        if (name.failed || access(name.bytes, F_OK) != 0)
            break;
    }
    if (name.failed) {
        status = error_memory(e);
        goto done;
    }
    rc = sqlite3_open_v2(name.bytes, &copy, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_backup *backup = sqlite3_backup_init(copy, "main", s->db, "main");
        rc = backup ? SQLITE_OK : sqlite3_errcode(copy);
        if (backup) {
            (void)sqlite3_backup_step(backup, -1);
            rc = sqlite3_backup_finish(backup);
        }
    }
    if (rc == SQLITE_OK)
        store_add_notice(s, "%s was brought from schema %d to %d; the file as it was is kept as %s", s->path, version,
                         schema_version, name.bytes);
    else
        status = failure_set(s, rc, "back up", e);
done:
    (void)sqlite3_close(copy);
    if (status != PLN_E_OK && name.bytes && copy)
        (void)unlink(name.bytes);
    text_free(&name);
    return status;
}

/* The journal: WAL where it works.  *changed: the file is in that mode now. */
static int set_journal(store *s, error *e)
{
    const char *wanted = s->rollback ? "delete" : "wal";
    char sql[48];
    sqlite3_stmt *statement = NULL;
    snprintf(sql, sizeof sql, "pragma journal_mode = %s", wanted);
    int rc = sqlite3_prepare_v2(s->db, sql, -1, &statement, NULL);
    if (rc == SQLITE_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *mode = (const char *)sqlite3_column_text(statement, 0);
        if (!s->rollback && mode && strcmp(mode, "wal") != 0) {
            s->rollback = 1;
            store_add_notice(s,
                             "a write-ahead log does not work where %s is: a rollback journal is used instead, and"
                             " readers and writers wait for each other",
                             s->path);
        }
        rc = SQLITE_OK;
    }
    int end = sqlite3_finalize(statement);
    rc = rc == SQLITE_OK ? end : rc;
    return rc == SQLITE_OK ? PLN_E_OK : failure_set(s, rc, "write", e);
}

/* In WAL mode NORMAL loses nothing when the process dies, FULL nothing when the power does; a rollback journal needs
 * FULL to stay whole. */
static int set_pragmas(store *s, error *e)
{
    int full = s->rollback || (s->mode & STORE_DURABLE);
    int rc = sqlite3_exec(s->db,
                          full ? "pragma synchronous = full; pragma foreign_keys = on"
                               : "pragma synchronous = normal; pragma foreign_keys = on",
                          NULL, NULL, NULL);
    return rc == SQLITE_OK ? PLN_E_OK : failure_set(s, rc, "open", e);
}

/* Under the writers' lock: makes a new file ours, or an older one new. */
static int create_or_migrate(store *s, int64_t version, error *e)
{
    int step = 0, status = set_pragmas(s, e);
    if (status == PLN_E_OK)
        status = set_journal(s, e);
    if (status == PLN_E_OK && version > 0 && version < schema_version && has_records(s->db))
        status = make_backup(s, (int)version, e);
    if (status != PLN_E_OK || version >= schema_version)
        return status;
    int rc = schema_migrate(s->db, (int)version, schema_version, &step);
    if (rc == SQLITE_OK)
        return PLN_E_OK;
    status = failure_set(s, rc, "write", e);
    if (version > 0)
        error_prefix(e, "migration %d of %d was undone: ", step, schema_version);
    return status;
}

static int remember_log(void *context, sqlite3 *db, const char *name, int pages)
{
    (void)db;
    (void)name;
    ((store *)context)->wal_pages = pages;
    return SQLITE_OK;
}

static int refuse_newer(const store *s, int64_t version, error *e)
{
    return error_set(e, PLN_E_FORMAT,
                     "%s was written by a newer Perilune (schema %d, this one knows %d): it can be read, not"
                     " written. Update Perilune, or record in another database with --db FILE",
                     s->path, (int)version, schema_version);
}

static int is_wal(store *s)
{
    sqlite3_stmt *statement = NULL;
    int wal = 0;
    if (sqlite3_prepare_v2(s->db, "pragma journal_mode", -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        const char *mode = (const char *)sqlite3_column_text(statement, 0);
        wal = mode && strcmp(mode, "wal") == 0;
    }
    (void)sqlite3_finalize(statement);
    return wal;
}

int connect_writer(store *s, error *e)
{
    struct stat of;
    int64_t version = -1;
    int locked = 0, status = PLN_E_OK, there = stat(s->path, &of) == 0;
    if (there && S_ISDIR(of.st_mode))
        return error_set(e, PLN_E_FORMAT, "%s is a folder, no database. Name a file with --db FILE", s->path);
    if (there && of.st_size > 0) {
        status = connection_open(s, s->path, SQLITE_OPEN_READWRITE, WRITER_WAIT, e);
        if (status == PLN_E_OK)
            status = connection_identify(s, &version, e);
        if (status != PLN_E_OK)
            goto fail;
        if (version > schema_version) {
            status = refuse_newer(s, version, e);
            goto fail;
        }
        if (sqlite3_db_readonly(s->db, "main") == 1) {
            status = failure_set(s, SQLITE_READONLY, "write", e);
            goto fail;
        }
    }
    if ((status = open_lock(s, e)) != PLN_E_OK)
        goto fail;
    if (version < schema_version || is_wal(s) == s->rollback) {
        int number = lock_take(s->lock_fd, 0, clock_milliseconds() + CREATE_WAIT);
        if (number) {
            status = number == EAGAIN ? error_set(e, PLN_E_BUSY, "another Perilune process is writing to %s", s->path)
                                      : error_system(e, number, "cannot lock %s", s->lock_path);
            goto fail;
        }
        locked = 1;
        if (!s->db)
            status = connection_open(s, s->path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, WRITER_WAIT, e);
        if (status == PLN_E_OK)
            status = connection_identify(s, &version, e);
        if (status == PLN_E_OK && version > schema_version)
            status = refuse_newer(s, version, e);
        if (status == PLN_E_OK)
            status = create_or_migrate(s, version, e);
        if (status != PLN_E_OK)
            goto fail;
    } else if ((status = set_pragmas(s, e)) != PLN_E_OK) {
        goto fail;
    }
    (void)sqlite3_wal_hook(s->db, remember_log, s);
fail:
    if (status != PLN_E_OK)
        connection_close(s);
    if (locked)
        lock_release(s->lock_fd, 0);
    return status;
}

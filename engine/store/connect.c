/* From a path to a connection: whose file is it, how old, on what file system, and may we write?
 *
 * A file that is not ours is recognised before anything is written, not even the lock file beside it.  Opening the
 * database file by any other means than SQLite would be a trap: closing a second descriptor frees the POSIX locks
 * that SQLite holds in this process. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "store/internal.h"

enum { READER_WAIT = 2000, WRITER_WAIT = 50, CREATE_WAIT = 1000 }; /* milliseconds */

/* File systems across which WAL's shared memory does not work: statfs(2), linux/magic.h. */
int file_system_is_network(long type)
{
    static const unsigned network[] = {
        0x6969 /* NFS */,      0x517b /* SMB */,      0xfe534d42 /* SMB2 */,   0xff534d42 /* CIFS */,
        0x5346414f /* AFS */,  0x6b414653 /* kAFS */, 0x73757245 /* Coda */,   0x564c /* NCP */,
        0x01021997 /* 9P */,   0x00c36400 /* Ceph */, 0x0bd00bd0 /* Lustre */, 0x7461636f /* OCFS2 */,
        0x01161970 /* GFS2 */, 0x47504653 /* GPFS */, 0x19830326 /* BeeGFS */, 0x65735546 /* FUSE: sshfs */,
    };
    for (size_t i = 0; i < sizeof network / sizeof *network; ++i)
        if ((unsigned)type == network[i])
            return 1;
    return 0;
}

static void find_network(store *s)
{
    struct statfs of;
    s->network = statfs(s->directory, &of) == 0 && file_system_is_network((long)of.f_type);
}

/* Runs SQL whose first column of the first row is a number. */
static int ask_number(sqlite3 *db, const char *sql, int64_t *value)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(statement);
        if (rc == SQLITE_ROW)
            *value = sqlite3_column_int64(statement, 0);
        rc = rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
    }
    int end = sqlite3_finalize(statement);
    return rc == SQLITE_OK ? end : rc;
}

static int set_foreign(const store *s, int64_t application, error *e)
{
    text tables = {0};
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(s->db, "select name from sqlite_schema where type = 'table' limit 4", -1, &statement,
                           NULL) == SQLITE_OK) {
        for (int i = 0; sqlite3_step(statement) == SQLITE_ROW; ++i) {
            if (i < 3)
                text_format(&tables, "%s%.60s", i ? ", " : "", (const char *)sqlite3_column_text(statement, 0));
            else
                text_add(&tables, ", …");
        }
    }
    (void)sqlite3_finalize(statement);
    (void)error_set(e, PLN_E_FORMAT,
                    "%s is a database of another program (application id 0x%08x; tables: %s) and is left"
                    " alone. Name another one with --db FILE",
                    s->path, (unsigned)application, tables.bytes && *tables.bytes ? tables.bytes : "none");
    text_free(&tables);
    return PLN_E_FORMAT;
}

/* Whose is it, and how old?  *version 0: a file without anything, to be made ours. */
static int identify(store *s, int64_t *version, error *e)
{
    int64_t application = 0, tables = 0;
    *version = 0;
    int rc = ask_number(s->db, "pragma application_id", &application);
    if (rc == SQLITE_OK)
        rc = ask_number(s->db, "pragma user_version", version);
    if (rc == SQLITE_OK && application != SCHEMA_APPLICATION_ID)
        rc = ask_number(s->db, "select count(*) from sqlite_schema", &tables);
    if (rc != SQLITE_OK)
        return failure_set(s, rc, "read", e);
    if (application != SCHEMA_APPLICATION_ID) {
        if (application || tables)
            return set_foreign(s, application, e);
        *version = 0;
    }
    return PLN_E_OK;
}

static int open_file(store *s, const char *name, int flags, int wait_ms, error *e)
{
    int rc = sqlite3_open_v2(name, &s->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (!s->db)
        return error_memory(e);
    if (rc != SQLITE_OK) {
        int status = failure_set(s, rc, "open", e);
        (void)sqlite3_close(s->db);
        s->db = NULL;
        return status;
    }
    (void)sqlite3_extended_result_codes(s->db, 1);
    (void)sqlite3_busy_timeout(s->db, wait_ms);
    /* Only a close under the writers' lock may checkpoint. */
    (void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
    (void)sqlite3_wal_autocheckpoint(s->db, 0);
    return PLN_E_OK;
}

static void close_file(store *s)
{
    (void)sqlite3_close(s->db);
    s->db = NULL;
}

/* ------------------------------------------------------------------------------------------------- reading */

/* In a folder that may not be written SQLite cannot make the shared memory of a WAL file.  When there is no log either,
 * nobody is writing, and the file may be read as one that never changes. */
static int open_immutable(store *s, int64_t *version, error *e)
{
    text name = {0};
    struct stat log;
    int status = PLN_E_OK;
    text_format(&name, "%s-wal", s->path);
    if (name.failed)
        goto memory;
    if (stat(name.bytes, &log) == 0 && log.st_size > 0) {
        status = error_set(
            e, PLN_E_IO,
            "cannot read the database %s: you may not write in its folder %s, and %s holds rows"
            " that are not in the file yet. Copy all three files (%s*) to a folder of yours and open the copy",
            s->path, s->directory, name.bytes, s->path);
        goto done;
    }
    name.length = 0;
    text_add(&name, "file:");
    for (const char *c = s->path; *c; ++c) {
        if (*c == '?' || *c == '#' || *c == '%')
            text_format(&name, "%%%02x", (unsigned)(unsigned char)*c);
        else
            text_add_bytes(&name, c, 1);
    }
    text_add(&name, "?immutable=1");
    if (name.failed)
        goto memory;
    status = open_file(s, name.bytes, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, READER_WAIT, e);
    if (status == PLN_E_OK)
        status = identify(s, version, e);
    goto done;
memory:
    status = error_memory(e);
done:
    text_free(&name);
    return status;
}

/* Reads an older file through a copy in memory that is brought up to date; the file stays as it is. */
static int copy_older(store *s, int64_t version, error *e)
{
    sqlite3 *copy = NULL;
    int step = 0, rc = sqlite3_open_v2(":memory:", &copy, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_backup *backup = sqlite3_backup_init(copy, "main", s->db, "main");
        if (backup) {
            (void)sqlite3_backup_step(backup, -1);
            rc = sqlite3_backup_finish(backup);
        } else {
            rc = sqlite3_errcode(copy);
        }
    }
    if (rc == SQLITE_OK)
        rc = schema_migrate(copy, (int)version, schema_version, &step);
    if (rc != SQLITE_OK) {
        int status = failure_set(s, rc, "read", e);
        (void)sqlite3_close(copy);
        return status;
    }
    close_file(s);
    s->db = copy;
    s->transient = 1;
    store_add_notice(s,
                     "%s is older than this Perilune (schema %d, now %d): a copy in memory is read; the next command"
                     " that writes will bring the file up to date",
                     s->path, (int)version, schema_version);
    return PLN_E_OK;
}

static int connect_reader(store *s, error *e)
{
    struct stat of;
    int64_t version = 0;
    error first = {0};
    if (stat(s->path, &of) != 0) {
        if (errno == ENOENT)
            return error_set(e, PLN_E_MISSING,
                             "there is no database %s. The first run makes it (perilune run SCRIPT); name"
                             " another one with --db FILE",
                             s->path);
        return error_system(e, errno, "cannot open the database %s", s->path);
    }
    if (S_ISDIR(of.st_mode))
        return error_set(e, PLN_E_FORMAT, "%s is a folder, no database. Name a file with --db FILE", s->path);
    if (access(s->path, R_OK) != 0)
        return error_system(e, errno, "cannot read the database %s", s->path);
    int status = open_file(s, s->path, SQLITE_OPEN_READONLY, READER_WAIT, &first);
    if (status == PLN_E_OK)
        status = identify(s, &version, &first);
    if (status == PLN_E_IO) {
        close_file(s);
        if ((status = open_immutable(s, &version, e)) != PLN_E_OK)
            goto fail;
    } else if (status != PLN_E_OK) {
        if (e)
            *e = first;
        goto fail;
    }
    if (version == 0) {
        status = error_set(e, PLN_E_MISSING, "the database %s is empty: nothing has been recorded yet", s->path);
        goto fail;
    }
    if (version > schema_version) {
        s->newer = 1;
        store_add_notice(
            s,
            "%s was written by a newer Perilune (schema %d, this one knows %d): it can be read, not written."
            " Update Perilune to record in it",
            s->path, (int)version, schema_version);
    } else if (version < schema_version && (status = copy_older(s, version, e)) != PLN_E_OK) {
        goto fail;
    }
    int rc = sqlite3_exec(s->db, "pragma query_only = 1", NULL, NULL, NULL);
    if (rc != SQLITE_OK) {
        status = failure_set(s, rc, "read", e);
        goto fail;
    }
    return PLN_E_OK;
fail:
    close_file(s);
    return status;
}

/* ------------------------------------------------------------------------------------------------- writing */

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
    int rc = ask_number(db,
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

static int connect_writer(store *s, error *e)
{
    struct stat of;
    int64_t version = -1;
    int locked = 0, status = PLN_E_OK, there = stat(s->path, &of) == 0;
    if (there && S_ISDIR(of.st_mode))
        return error_set(e, PLN_E_FORMAT, "%s is a folder, no database. Name a file with --db FILE", s->path);
    if (there && of.st_size > 0) {
        status = open_file(s, s->path, SQLITE_OPEN_READWRITE, WRITER_WAIT, e);
        if (status == PLN_E_OK)
            status = identify(s, &version, e);
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
            status = open_file(s, s->path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, WRITER_WAIT, e);
        if (status == PLN_E_OK)
            status = identify(s, &version, e);
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
        close_file(s);
    if (locked)
        lock_release(s->lock_fd, 0);
    return status;
}

int store_connect(store *s, error *e)
{
    if (s->connected)
        return PLN_E_OK;
    find_network(s);
    int rollback = s->rollback;
    s->rollback |= s->network;
    int status = s->mode & STORE_WRITE ? connect_writer(s, e) : connect_reader(s, e);
    if (status != PLN_E_OK) {
        s->rollback = rollback;
        return status;
    }
    if (s->network && (s->mode & STORE_WRITE) && !rollback)
        store_add_notice(s,
                         "%s is on a network file system, where a write-ahead log does not work: a rollback journal is"
                         " used instead, and readers and writers wait for each other",
                         s->path);
    s->connected = 1;
    s->stop_known = 0;
    return PLN_E_OK;
}

void store_disconnect(store *s)
{
    for (int i = 0; i < ROW_KINDS; ++i) {
        (void)sqlite3_finalize(s->statement[i]);
        s->statement[i] = NULL;
    }
    sqlite3_stmt **own[] = {
        &s->begin, &s->commit, &s->rollback_statement, &s->version_statement, &s->run_id_statement, &s->stop_statement};
    for (size_t i = 0; i < sizeof own / sizeof *own; ++i) {
        (void)sqlite3_finalize(*own[i]);
        *own[i] = NULL;
    }
    if (s->db)
        close_file(s);
    s->connected = 0;
    s->transient = 0;
    s->wal_pages = 0;
}

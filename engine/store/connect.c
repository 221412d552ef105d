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
int connection_ask(sqlite3 *db, const char *sql, int64_t *value)
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
int connection_identify(store *s, int64_t *version, error *e)
{
    int64_t application = 0, tables = 0;
    *version = 0;
    int rc = connection_ask(s->db, "pragma application_id", &application);
    if (rc == SQLITE_OK)
        rc = connection_ask(s->db, "pragma user_version", version);
    if (rc == SQLITE_OK && application != SCHEMA_APPLICATION_ID)
        rc = connection_ask(s->db, "select count(*) from sqlite_schema", &tables);
    if (rc != SQLITE_OK)
        return failure_set(s, rc, "read", e);
    if (application != SCHEMA_APPLICATION_ID) {
        if (application || tables)
            return set_foreign(s, application, e);
        *version = 0;
    }
    return PLN_E_OK;
}

int connection_open(store *s, const char *name, int flags, int wait_ms, error *e)
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

void connection_close(store *s)
{
    (void)sqlite3_close(s->db);
    s->db = NULL;
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
        connection_close(s);
    s->connected = 0;
    s->transient = 0;
    s->wal_pages = s->wal_kept = 0;
}

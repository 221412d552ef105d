/* A connection that only reads: it changes nothing, and manages with what it finds: an older file, a newer one, a
 * folder that may not be written. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/internal.h"

enum { READER_WAIT = 2000 }; /* milliseconds */

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
    status = connection_open(s, name.bytes, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, READER_WAIT, e);
    if (status == PLN_E_OK)
        status = connection_identify(s, version, e);
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
    connection_close(s);
    s->db = copy;
    s->transient = 1;
    store_add_notice(s,
                     "%s is older than this Perilune (schema %d, now %d): a copy in memory is read; the next command"
                     " that writes will bring the file up to date",
                     s->path, (int)version, schema_version);
    return PLN_E_OK;
}

int connect_reader(store *s, error *e)
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
    int status = connection_open(s, s->path, SQLITE_OPEN_READONLY, READER_WAIT, &first);
    if (status == PLN_E_OK)
        status = connection_identify(s, &version, &first);
    if (status == PLN_E_IO) {
        connection_close(s);
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
    connection_close(s);
    return status;
}

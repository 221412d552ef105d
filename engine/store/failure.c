/* SQLite's answers as sentences: what, which file, what to do. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store/internal.h"

/* Which of the two may not be written? */
static int set_read_only(const store *s, error *e)
{
    if (access(s->path, F_OK) == 0 && access(s->path, W_OK) != 0)
        return error_set(e, PLN_E_IO,
                         "cannot write the database %s: you may only read this file. Change that (chmod u+w"
                         " %s), or name another database with --db FILE",
                         s->path, s->path);
    if (access(s->directory, W_OK) != 0)
        return error_set(e, PLN_E_IO,
                         "cannot write the database %s: you may not write in its folder %s, and SQLite keeps"
                         " its journal there. Change that (chmod u+w %s), or name another database with --db FILE",
                         s->path, s->directory, s->directory);
    return error_set(e, PLN_E_IO, "cannot write the database %s: it is read-only. Name another database with --db FILE",
                     s->path);
}

static int set_full(const store *s, error *e)
{
    /* A record changes a page or two of 4096 bytes beside what it holds; a transaction a few more. */
    uint64_t needed = 65536 + 2 * (uint64_t)s->pending_bytes;
    struct statvfs of;
    char room[96] = "";
    if (statvfs(s->directory, &of) == 0)
        snprintf(room, sizeof room, " (free there: %" PRIu64 ")", (uint64_t)of.f_bavail * (uint64_t)of.f_frsize);
    return error_set(e, PLN_E_FULL,
                     "the disk is full: %s needs about %" PRIu64 " bytes more%s. What was committed is"
                     " kept. Free some space, then go on",
                     s->path, needed, room);
}

static int set_busy(const store *s, error *e)
{
    char shared[4096 + 8], who[128];
    snprintf(shared, sizeof shared, "%s-shm", s->path);
    if (lock_holder(shared, who, sizeof who) || lock_holder(s->path, who, sizeof who))
        return error_set(e, PLN_E_BUSY,
                         "the database %s is locked by another program, %s: perhaps a shell with an open"
                         " transaction. End it there (COMMIT or ROLLBACK)",
                         s->path, who);
    return error_set(e, PLN_E_BUSY,
                     "the database %s is locked by another program, perhaps an sqlite3 shell with an open"
                     " transaction. End it there (COMMIT or ROLLBACK)",
                     s->path);
}

static int set_io(const store *s, int rc, const char *doing, error *e)
{
    /* SQLite forgets the system's answer to a write; errno still has it, being 0 when the writing began. */
    int last = errno, number = s->db ? sqlite3_system_errno(s->db) : 0;
    if (!number && (rc == SQLITE_IOERR_WRITE || rc == SQLITE_IOERR_SHMSIZE || rc == SQLITE_IOERR_FSYNC))
        number = last;
    if (number == ENOSPC || number == EDQUOT || number == EFBIG)
        return set_full(s, e);
    if (number == ENOMEM)
        return error_memory(e);
    if (number)
        return error_system(e, number, "cannot %s the database %s (%s)", doing, s->path, sqlite3_errstr(rc));
    return error_set(e, PLN_E_IO, "cannot %s the database %s: %s", doing, s->path, sqlite3_errstr(rc));
}

int failure_set(const store *s, int rc, const char *doing, error *e)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
        return PLN_E_OK;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        return set_busy(s, e);
    case SQLITE_READONLY:
        return set_read_only(s, e);
    case SQLITE_FULL:
        return set_full(s, e);
    case SQLITE_IOERR:
        return rc == SQLITE_IOERR_NOMEM ? error_memory(e) : set_io(s, rc, doing, e);
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return set_io(s, rc, doing, e);
    case SQLITE_NOMEM:
        return error_memory(e);
    case SQLITE_NOTADB:
        return error_set(e, PLN_E_FORMAT,
                         "%s is no database: it is some other file, and is left alone. Name another one"
                         " with --db FILE, or move it away",
                         s->path);
    case SQLITE_CORRUPT:
        return error_set(e, PLN_E_FORMAT,
                         "the database %s is damaged (%s). Keep a copy, then save what can be read:"
                         " sqlite3 %s .recover | sqlite3 recovered.db",
                         s->path, s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(rc), s->path);
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
        return error_set(e, PLN_E_INVALID, "a record does not fit the database %s: %s", s->path,
                         s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(rc));
    default:
        return error_set(e, PLN_E_FORMAT, "cannot %s the database %s: %s", doing, s->path,
                         s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(rc));
    }
}

int statement_prepare(const store *s, sqlite3_stmt **slot, const char *sql, error *e)
{
    if (*slot)
        return PLN_E_OK;
    int rc = sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, slot, NULL);
    return rc == SQLITE_OK ? PLN_E_OK : failure_set(s, rc, "read", e);
}

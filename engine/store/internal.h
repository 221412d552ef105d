/* What the files of this room share, and nobody outside (tests excepted): the store's insides, the queue of rows, the
 * locks, and how SQLite's answers become sentences. */
#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include <sqlite3.h>

#include "base/hash.h"
#include "base/text.h"
#include "store/rows.h"
#include "store/store.h"

/* ------------------------------------------------------------------------------------------------ schema.c */

#define SCHEMA_APPLICATION_ID 0x50524c4e /* "PRLN"; below 2^31 */

extern const int schema_version; /* how many migrations there are; PRAGMA user_version of an up-to-date file */

/* Brings an open database from `from` to `to` (at most schema_version), each step in a transaction of its own.
 * Returns SQLite's code; *step is the migration that failed,
 * whose transaction is left open so that the connection still has SQLite's message: closing it undoes the step. */
int schema_migrate(sqlite3 *db, int from, int to, int *step);

/* ------------------------------------------------------------------------------------------------ value.c */

#define TIME_TEXT 32
/* "2026-05-01T12:34:56.789Z"; NULL for 0 (and returned as such). */
const char *time_format(double time, char out[TIME_TEXT]);
double time_parse(const char *text); /* 0 when it is none */

/* Copies `bytes` bytes, replacing what is no UTF-8 by U+FFFD.  Returns the length of the copy; out may be NULL. */
size_t utf8_clean(const char *text, size_t bytes, char *out);
int utf8_valid(const char *text, size_t bytes);

/* ------------------------------------------------------------------------------------------------- lock.c */

/* A lock file is an open description; the kernel's locks on it live as long as it. */
int lock_file_open(const char *path, int writable, int *fd);
/* Takes the byte for writing, waiting until `deadline` (of clock_milliseconds).  0, or errno: EAGAIN when others hold
 * it. */
int lock_take(int fd, int64_t byte, int64_t deadline);
void lock_release(int fd, int64_t byte);
/* 1: somebody else holds it, 0: free, -1: cannot be asked. */
int lock_held(int fd, int64_t byte);
int64_t clock_milliseconds(void); /* monotonic */
/* Who holds a kernel lock on `path`, as "sqlite3 (process 4711)", from /proc/locks; 0 when that is not known. */
int lock_holder(const char *path, char *out, size_t size);

/* ------------------------------------------------------------------------------------------------ store.c */

#define STORE_WAL_PAGES 1000 /* the write-ahead log is checkpointed when it is longer */

struct recording {
    store *owner;
    recording *next;
    char uuid[STORE_UUID];
    int64_t id;     /* 0 before the first commit */
    int64_t locked; /* the byte held in the lock file, 0: none */
    int begun;      /* its first row is committed */
    int ending;     /* recording_finish was queued */
    int ended;      /* and committed */
    int closed;     /* the handle was given back */
    int stop;       /* what store_stop_requested knows */
};

struct store {
    char *path, *directory, *lock_path, *folder; /* absolute; folder is PATH.d */
    int mode;
    int network;   /* the file system is a network's */
    int rollback;  /* no write-ahead log */
    int connected; /* db is open, identified and up to date */
    int suspended;
    int newer;      /* reading a newer file */
    int transient;  /* db is a copy in memory, brought up to date */
    int wal_pages;  /* length of the log after the last commit */
    int wal_kept;   /* its length after the last checkpoint: readers may keep it from starting again */
    int lock_fd;    /* -1: none */
    int stop_known; /* stop flags fit data_version */
    int64_t data_version;
    sqlite3 *db;
    sqlite3_stmt *statement[ROW_KINDS];
    sqlite3_stmt *begin, *commit, *rollback_statement, *version_statement, *run_id_statement, *stop_statement;
    row *first, *last;
    size_t pending, pending_bytes;
    recording *recordings;
    char launch[STORE_UUID]; /* "" before store_launch_begin */
    int fits;                /* begun in this launch */
    char *host;
    char boot[64];
    text notices;
    size_t notices_read;
    char notice[2048];
};

/* Frees a recording that no waiting row refers to, and its lock. */
void recording_drop(recording *r);

void store_add_notice(store *s, const char *format, ...) ERROR_FORMAT(2, 3);

/* What a writer does first: merges what earlier processes spilled and marks lost runs.  A file that is locked is no
 * failure: others will do it. */
int store_take_over(store *s, error *e);

/* Is the database there to read from? */
int store_readable(store *s, error *e);

/* Under the writers' lock and in an immediate transaction; `store_end_write` with ok = 0 rolls back.  Each returns a
 * status of ours. */
int store_begin_write(store *s, int64_t deadline, error *e);
int store_end_write(store *s, int ok, error *e);

/* Marks running runs whose process is gone as lost, when somebody can write now. */
int store_mark_lost(store *s, error *e);

/* The same as store_run_alive, from what a row says. */
int store_alive(store *s, int64_t id, const char *host, const char *boot);

/* -------------------------------------------------------------------- connect.c, connect_reader.c, connect_writer.c */

/* Opens, identifies, creates, migrates.  PLN_E_BUSY: later. */
int store_connect(store *s, error *e);
void store_disconnect(store *s);
int connect_reader(store *s, error *e);
int connect_writer(store *s, error *e);

/* By the number that statfs gives. */
int file_system_is_network(long type);

int connection_open(store *s, const char *name, int flags, int wait_ms, error *e);
void connection_close(store *s);
/* Whose is it, and how old?  *version 0: a file without anything, to be made ours.  PLN_E_FORMAT: not ours. */
int connection_identify(store *s, int64_t *version, error *e);
/* Runs SQL whose first column of the first row is a number.  Returns SQLite's code. */
int connection_ask(sqlite3 *db, const char *sql, int64_t *value);

/* ----------------------------------------------------------------------------------------------- failure.c */

/* Fills e with a sentence for SQLite's code `rc` (and the connection's state); `doing` is "open", "read", "write". */
int failure_set(const store *s, int rc, const char *doing, error *e);

/* ------------------------------------------------------------------------------------------------- spill.c */

/* Writes what waits to a file of the spill folder and empties the queue; *file is malloc'd. */
int spill_write(store *s, char **file, error *e);
/* ------------------------------------------------------------------------------------------------ merge.c */

/* How many files wait to be merged. */
int spill_count(const store *s);
/* Merges what is there; what cannot be read is set aside with a notice.  Called with a connection. */
int spill_merge(store *s, error *e);

/* ------------------------------------------------------------------------------------------------ result.c */

/* Memory of a result: blocks that are freed together.  `failed` stays set after an allocation failed. */
typedef struct result {
    struct result_block *blocks;
    int failed;
} result;

void *result_take(result *r, size_t bytes); /* zeroed; NULL when there is none */
const char *result_text(result *r, const char *words);
/* A text column; NULL for NULL. */
const char *result_column(result *r, sqlite3_stmt *statement, int column);
void *result_end(result *r); /* what the record keeps as `memory` */
void result_free(void *memory);

/* An array that grows while rows are read. */
typedef struct result_list {
    char *items;
    size_t size, count, capacity;
} result_list;

/* A zeroed item at the end of the list; NULL (and r->failed) when there is no memory. */
void *result_append(result *r, result_list *list);
/* Moves the items into the result and frees the list. */
void *result_items(result *r, result_list *list, size_t *count);

/* ------------------------------------------------------------------------------------------------ list.c */

/* Prepares SQL and binds ?1 to a number. */
int read_prepare(const store *s, const char *sql, int64_t first, sqlite3_stmt **statement, error *e);
double read_real(sqlite3_stmt *line, int column); /* NaN for NULL */
double read_time(sqlite3_stmt *line, int column); /* 0 for NULL */

/* "select RUN_COLUMNS RUN_TABLES where …" gives the rows that read_run understands. */
#define RUN_COLUMNS                                                                                                    \
    "r.id, r.uuid, x.name, r.name, r.launch, r.ordinal, r.sweep, r.trial, r.state, r.score_name, r.score_goal,"        \
    " r.score, r.best_epoch, r.epochs_planned, r.epochs_done, r.seed, r.threads, r.batch_size, r.parameters, r.model," \
    " r.fingerprint, r.digest, r.exact, r.inexact_why, r.host, r.boot, r.pid, r.created, r.started, r.finished,"       \
    " r.message, r.source, r.line"
#define RUN_TABLES " from runs r join experiments x on x.id = r.experiment "
void read_run(store *s, result *m, sqlite3_stmt *line, store_run *run);

/* ------------------------------------------------------------------------------------------------ failure.c */

/* Prepares once, keeps in *slot. */
int statement_prepare(const store *s, sqlite3_stmt **slot, const char *sql, error *e);

#endif

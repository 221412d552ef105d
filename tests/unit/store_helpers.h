/* What the store's tests share: a folder of their own, short ways to record, and SQL by a second connection. */
#ifndef STORE_HELPERS_H
#define STORE_HELPERS_H

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "store/internal.h"

/* A folder and the database in it. */
typedef struct place {
    char folder[64];
    char db[96];
} place;

static inline int make_place(void **state)
{
    place *p = calloc(1, sizeof *p);
    if (!p)
        return -1;
    /* In memory where there is such a folder: these tests open hundreds of databases, and a disk syncs each. */
    snprintf(p->folder, sizeof p->folder, "%s/perilune-store-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(p->folder))
        return -1;
    snprintf(p->db, sizeof p->db, "%s/perilune.db", p->folder);
    *state = p;
    return 0;
}

static inline int remove_place(void **state)
{
    place *p = *state;
    char command[256];
    snprintf(command, sizeof command, "chmod -R u+rwX %s; rm -rf %s", p->folder, p->folder);
    int status = system(command);
    free(p);
    return status;
}

static inline int is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

#define assert_status(got, wanted, e)                                                                                  \
    do {                                                                                                               \
        int status_got = (got);                                                                                        \
        if (status_got != (wanted))                                                                                    \
            fail_msg("status %d, wanted %d: %s", status_got, (wanted), (e).text);                                      \
    } while (0)
#define assert_ok(got, e) assert_status(got, PLN_E_OK, e)
#define assert_says(e, words)                                                                                          \
    do {                                                                                                               \
        if (!strstr((e).text, (words)))                                                                                \
            fail_msg("\"%s\" does not say \"%s\"", (e).text, (words));                                                 \
    } while (0)

static inline store *open_store(const char *path, int mode)
{
    error e = {0};
    store *s = NULL;
    assert_ok(store_open(path, mode, &s, &e), e);
    assert_non_null(s);
    return s;
}

static inline void close_store(store *s)
{
    error e = {0};
    assert_ok(store_close(s, 1000, &e), e);
    assert_string_equal(e.text, "");
}

static inline void flush(store *s)
{
    error e = {0};
    assert_ok(store_flush(s, 1000, &e), e);
    assert_int_equal(store_pending(s), 0);
}

static inline recording *begin_run(store *s, const char *experiment)
{
    error e = {0};
    recording *r = NULL;
    store_run run = {
        .experiment = experiment, .seed = 42, .epochs_planned = 5, .score_name = "val_accuracy", .score_goal = "max"};
    assert_ok(recording_begin(s, &run, &r, &e), e);
    return r;
}

static inline void add_epoch(recording *r, int64_t number, double loss)
{
    error e = {0};
    store_epoch epoch = {.epoch = number};
    assert_true(store_epoch_set(&epoch, "loss", loss));
    assert_true(store_epoch_set(&epoch, "val_accuracy", 1 - loss / 10));
    epoch.best_epoch = number;
    epoch.score = 1 - loss / 10;
    assert_ok(recording_epoch(r, &epoch, &e), e);
}

static inline void finish_run(recording *r, int state)
{
    error e = {0};
    store_end end = {.state = state, .score = NAN, .digest = "abc"};
    assert_ok(recording_finish(r, &end, &e), e);
}

/* A whole small run; returns its number. */
static inline int64_t record_run(store *s, const char *experiment, double score, int epochs)
{
    error e = {0};
    recording *r = begin_run(s, experiment);
    for (int i = 1; i <= epochs; ++i)
        add_epoch(r, i, 1.0 / i);
    store_end end = {.state = STORE_DONE, .score = score, .best_epoch = epochs};
    assert_ok(recording_finish(r, &end, &e), e);
    flush(s);
    int64_t id = recording_id(r);
    recording_close(r);
    return id;
}

/* Executes SQL by a connection of its own. */
static inline void execute(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    char *message = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 1000);
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
    sqlite3_close(db);
}

/* The first column of the first row as text ("" for NULL or no row); lives until the next call but three. */
static inline const char *ask(const char *path, const char *sql)
{
    static char answers[4][4096];
    static int turn;
    char *answer = answers[turn++ % 4];
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    sqlite3_busy_timeout(db, 1000);
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    *answer = 0;
    if (sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_text(statement, 0))
        snprintf(answer, sizeof answers[0], "%s", (const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return answer;
}

/* Forks; the child runs `body` and ends with what it returns, without running cmocka's rest. */
static inline pid_t in_child(int (*body)(const place *p, int fd), const place *p, int fd)
{
    fflush(stdout);
    fflush(stderr);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(body(p, fd));
    return child;
}

static inline int child_status(pid_t child)
{
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

#define case_of(f) cmocka_unit_test_setup_teardown(f, make_place, remove_place)

#endif

/* Alive or lost: a run whose process is gone has left its byte of the lock file free.  No heartbeat, no time limit. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store/internal.h"

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

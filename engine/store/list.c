/* Reading runs: lists of them by a filter, each from one row. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/internal.h"

int read_prepare(const store *s, const char *sql, int64_t first, sqlite3_stmt **statement, error *e)
{
    int rc = sqlite3_prepare_v2(s->db, sql, -1, statement, NULL);
    if (rc == SQLITE_OK && sqlite3_bind_parameter_count(*statement) > 0)
        rc = sqlite3_bind_int64(*statement, 1, first);
    return rc == SQLITE_OK ? PLN_E_OK : failure_set(s, rc, "read", e);
}

double read_real(sqlite3_stmt *statement, int column)
{
    return sqlite3_column_type(statement, column) == SQLITE_NULL ? NAN : sqlite3_column_double(statement, column);
}

double read_time(sqlite3_stmt *statement, int column)
{
    return time_parse((const char *)sqlite3_column_text(statement, column));
}

/* -------------------------------------------------------------------------------------------------- runs */

void read_run(store *s, result *m, sqlite3_stmt *line, store_run *run)
{
    int64_t *numbers[] = {&run->sweep,       &run->trial, &run->best_epoch, &run->epochs_planned,
                          &run->epochs_done, &run->seed,  &run->threads,    &run->batch_size,
                          &run->parameters,  &run->pid,   &run->line,       &run->launch,
                          &run->ordinal,     &run->id};
    static const int number_columns[] = {6, 7, 12, 13, 14, 15, 16, 17, 18, 26, 32, 4, 5, 0};
    const char **texts[] = {&run->uuid,       &run->experiment, &run->name,        &run->score_name,
                            &run->score_goal, &run->model,      &run->fingerprint, &run->digest,
                            &run->inexact,    &run->host,       &run->message,     &run->source};
    static const int text_columns[] = {1, 2, 3, 9, 10, 19, 20, 21, 23, 24, 30, 31};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; ++i)
        *numbers[i] = sqlite3_column_int64(line, number_columns[i]);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; ++i)
        *texts[i] = result_column(m, line, text_columns[i]);
    const char *state = (const char *)sqlite3_column_text(line, 8);
    for (int i = 0; state && i < STORE_STATES; ++i)
        if (strcmp(state, store_state_names[i]) == 0)
            run->state = i;
    run->score = read_real(line, 11);
    if (!sqlite3_column_int(line, 22) && !run->inexact)
        run->inexact = "not said";
    run->created = read_time(line, 27);
    run->started = read_time(line, 28);
    run->finished = read_time(line, 29);
    run->alive = STORE_GONE;
    if (run->state == STORE_RUNNING || run->state == STORE_QUEUED) {
        run->alive = store_alive(s, run->id, run->host, (const char *)sqlite3_column_text(line, 25));
        if (run->alive == STORE_GONE)
            run->state = STORE_LOST;
    }
}

store_filter store_filter_all(void)
{
    return (store_filter){.state = -1};
}

/* States that the database tells apart only with the locks' help. */
static int is_live_state(int state)
{
    return state == STORE_LOST || state == STORE_RUNNING || state == STORE_QUEUED;
}

static int prepare_list(const store *s, const store_filter *f, sqlite3_stmt **statement, error *e)
{
    text sql = {0};
    text_add(&sql, "select " RUN_COLUMNS RUN_TABLES "where true");
    if (f->experiment)
        text_add(&sql, " and x.name = ?1");
    if (f->state == STORE_LOST)
        text_add(&sql, " and r.state in ('lost', 'running', 'queued')");
    else if (f->state >= 0 && f->state < STORE_STATES)
        text_format(&sql, " and r.state = '%s'", store_state_names[f->state]);
    if (f->launch > 0)
        text_add(&sql, " and r.launch = ?2");
    if (f->sweep > 0)
        text_add(&sql, " and r.sweep = ?3");
    if (f->tag)
        text_add(&sql, " and exists(select 1 from tags t where t.run = r.id and t.tag = ?4)");
    text_add(&sql,
             f->order == STORE_BEST
                 ? " order by r.score is null, case r.score_goal when 'min' then -r.score else r.score end desc, r.id"
                 : " order by r.id desc");
    if (f->limit > 0 && !is_live_state(f->state))
        text_add(&sql, " limit ?5");
    if (sql.failed) {
        text_free(&sql);
        return error_memory(e);
    }
    int rc = sqlite3_prepare_v2(s->db, sql.bytes, -1, statement, NULL);
    text_free(&sql);
    if (rc != SQLITE_OK)
        return failure_set(s, rc, "read", e);
    /* A parameter that the text does not use is out of range, which does no harm. */
    (void)sqlite3_bind_text(*statement, 1, f->experiment, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(*statement, 2, f->launch);
    (void)sqlite3_bind_int64(*statement, 3, f->sweep);
    (void)sqlite3_bind_text(*statement, 4, f->tag, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(*statement, 5, f->limit);
    return PLN_E_OK;
}

int store_list_runs(store *s, const store_filter *filter, store_runs *out, error *e)
{
    store_filter all = store_filter_all();
    const store_filter *f = filter ? filter : &all;
    sqlite3_stmt *statement = NULL;
    result memory = {0};
    result_list list = {.size = sizeof(store_run)};
    *out = (store_runs){0};
    int status = store_readable(s, e), rc = SQLITE_DONE;
    if (status == PLN_E_OK)
        status = prepare_list(s, f, &statement, e);
    if (status != PLN_E_OK)
        goto fail;
    while ((f->limit <= 0 || list.count < (size_t)f->limit) && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        store_run *run = result_append(&memory, &list);
        if (!run)
            break;
        read_run(s, &memory, statement, run);
        if (is_live_state(f->state) && run->state != f->state)
            list.count--;
    }
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        status = failure_set(s, rc, "read", e);
fail:
    (void)sqlite3_finalize(statement);
    out->run = result_items(&memory, &list, &out->count);
    if (status == PLN_E_OK && memory.failed)
        status = error_memory(e);
    out->memory = result_end(&memory);
    if (status != PLN_E_OK)
        store_runs_free(out);
    return status;
}

void store_runs_free(store_runs *runs)
{
    if (!runs)
        return;
    result_free(runs->memory);
    *runs = (store_runs){0};
}

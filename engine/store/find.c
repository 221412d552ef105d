/* From a word to a run. */
#include <stdio.h>
#include <string.h>

#include "store/internal.h"

/* The first column of the first row, 0 when there is none; ?1 is `word` (may be NULL). */
static int find_id(store *s, const char *sql, const char *word, int64_t *id, error *e)
{
    sqlite3_stmt *statement = NULL;
    *id = 0;
    int status = store_readable(s, e);
    if (status != PLN_E_OK)
        return status;
    int rc = sqlite3_prepare_v2(s->db, sql, -1, &statement, NULL);
    if (rc == SQLITE_OK) {
        (void)sqlite3_bind_text(statement, 1, word, -1, SQLITE_STATIC);
        rc = sqlite3_step(statement);
        if (rc == SQLITE_ROW)
            *id = sqlite3_column_int64(statement, 0);
    }
    (void)sqlite3_finalize(statement);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? PLN_E_OK : failure_set(s, rc, "read", e);
}

static int set_none(store *s, const char *word, error *e)
{
    int64_t newest = 0;
    int status = find_id(s, "select max(id) from runs", NULL, &newest, e);
    if (status != PLN_E_OK)
        return status;
    if (!newest)
        return error_set(e, PLN_E_MISSING, "there is no run in %s yet. Make one with: perilune run SCRIPT", s->path);
    return error_set(e, PLN_E_MISSING,
                     "there is no run \"%.100s\" in %s; the newest is %lld. List them with: perilune runs", word,
                     s->path, (long long)newest);
}

#define BEST_OF                                                                                                        \
    "select id from runs where score is not null and state in ('done', 'cached', 'interrupted', 'pruned', 'lost')"

static int find_best(store *s, const char *experiment, int64_t *id, error *e)
{
    int status = find_id(s,
                         BEST_OF " and (?1 is null or experiment = (select id from experiments where name = ?1))"
                                 " order by case score_goal when 'min' then -score else score end desc, id limit 1",
                         experiment, id, e);
    if (status != PLN_E_OK || *id)
        return status;
    if (!experiment)
        return error_set(e, PLN_E_MISSING, "no finished run in %s has a score, so none is the best", s->path);
    int64_t known = 0;
    status = find_id(s, "select id from experiments where name = ?1", experiment, &known, e);
    if (status != PLN_E_OK)
        return status;
    return known ? error_set(e, PLN_E_MISSING, "no finished run of the experiment \"%.100s\" has a score", experiment)
                 : error_set(e, PLN_E_MISSING, "there is no experiment \"%.100s\" in %s. See them with: perilune runs",
                             experiment, s->path);
}

/* A uuid or its beginning: hexadecimal digits and dashes. */
static int find_uuid(store *s, const char *word, int64_t *id, error *e)
{
    int64_t matches = 0;
    char pattern[STORE_UUID + 2];
    size_t length = strlen(word);
    *id = 0;
    if (length < 8 || length >= STORE_UUID || strspn(word, "0123456789abcdefABCDEF-") != length)
        return PLN_E_OK;
    for (size_t i = 0; i <= length; ++i)
        pattern[i] = (char)(word[i] >= 'A' && word[i] <= 'F' ? word[i] + 32 : word[i]);
    pattern[length] = '*';
    pattern[length + 1] = 0;
    int status = find_id(s, "select count(*) from runs where uuid glob ?1", pattern, &matches, e);
    if (status == PLN_E_OK && matches > 1)
        return error_set(e, PLN_E_INVALID, "\"%s\" is the beginning of %lld runs' uuids: give more of it", word,
                         (long long)matches);
    return status == PLN_E_OK ? find_id(s, "select id from runs where uuid glob ?1", pattern, id, e) : status;
}

int store_find_run(store *s, const char *word, int64_t *id, error *e)
{
    int64_t number;
    int status;
    *id = 0;
    if (!word || !*word)
        return error_set(e, PLN_E_INVALID,
                         "no run was named: give a number, a uuid, \"last\", \"best\" or"
                         " \"best:EXPERIMENT\"");
    if (strcmp(word, "last") == 0)
        status = find_id(s, "select max(id) from runs", NULL, id, e);
    else if (strcmp(word, "best") == 0)
        return find_best(s, NULL, id, e);
    else if (strncmp(word, "best:", 5) == 0)
        return find_best(s, word + 5, id, e);
    else if (text_parse_integer(word, &number) && strlen(word) < 19)
        status = find_id(s, "select id from runs where id = cast(?1 as integer)", word, id, e);
    else
        status = PLN_E_OK;
    if (status == PLN_E_OK && !*id)
        status = find_uuid(s, word, id, e);
    return status == PLN_E_OK && !*id ? set_none(s, word, e) : status;
}

int store_find_fingerprint(store *s, const char *fingerprint, int64_t *id, error *e)
{
    *id = 0;
    if (!fingerprint)
        return PLN_E_OK;
    return find_id(s, "select id from runs where fingerprint = ?1 and state = 'done' order by id desc limit 1",
                   fingerprint, id, e);
}

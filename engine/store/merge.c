/* Spilled records (see spill.c) are merged by the next process that writes: all lines of a file in one transaction
 * together with a row in `spills`, then the file goes; killed between the two, the file is found again, and the row says
 * that it is merged.  A file that cannot be understood is kept under the name UUID.jsonl.rejected. */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/internal.h"

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A cell as spill.c wrote it.  Texts stay in `value`; bytes are malloc'd into *owned.  Returns PLN_E_FORMAT when it is
 * no cell. */
static int cell_of_json(const json_t *value, cell *c, char **owned)
{
    const json_t *real = json_object_get(value, "real"), *hex = json_object_get(value, "hex");
    *c = cell_null();
    if (!value || json_is_null(value))
        return PLN_E_OK;
    if (json_is_integer(value))
        *c = cell_integer(json_integer_value(value));
    else if (json_is_real(value))
        *c = cell_real(json_real_value(value));
    else if (json_is_string(value))
        *c = (cell){.type = CELL_TEXT, .text = json_string_value(value), .length = json_string_length(value)};
    else if (json_is_string(real))
        *c = cell_real(*json_string_value(real) == '-' ? -INFINITY : INFINITY);
    else if (json_is_string(hex) && json_string_length(hex) % 2 == 0) {
        const char *digits = json_string_value(hex);
        size_t length = json_string_length(hex) / 2;
        char *bytes = malloc(length ? length : 1);
        if (!bytes)
            return PLN_E_MEMORY;
        for (size_t i = 0; i < length; ++i) {
            int high = hex_digit(digits[2 * i]), low = hex_digit(digits[2 * i + 1]);
            if (high < 0 || low < 0) {
                free(bytes);
                return PLN_E_FORMAT;
            }
            bytes[i] = (char)(high * 16 + low);
        }
        *owned = bytes;
        *c = (cell){.type = CELL_BYTES, .text = bytes, .length = length};
    } else {
        return PLN_E_FORMAT;
    }
    return PLN_E_OK;
}

typedef struct merge {
    store *owner;
    const char *path;
    FILE *file;
    char *line;
    size_t size;
    int64_t number; /* of the line */
    int64_t records, orphans;
    char uuid[STORE_UUID];
    int rejected; /* the file, not the database, is at fault */
} merge;

static int reject(merge *m, const char *why, error *e)
{
    m->rejected = 1;
    return error_set(e, PLN_E_FORMAT, "%s, line %lld: %s", m->path, (long long)m->number, why);
}

/* The next line's object, NULL at the end or when there is no object (then *status says so). */
static json_t *next_object(merge *m, int *status, error *e)
{
    ssize_t length = getline(&m->line, &m->size, m->file);
    *status = PLN_E_OK;
    if (length < 0) {
        if (ferror(m->file))
            *status = error_system(e, errno, "cannot read %s", m->path);
        return NULL;
    }
    m->number++;
    errno = 0; /* jansson does not always say that memory is at fault */
    json_t *object = json_loadb(m->line, (size_t)length, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(object)) {
        *status = !object && errno == ENOMEM ? error_memory(e) : reject(m, "this is no JSON object", e);
        json_decref(object);
        return NULL;
    }
    return object;
}

static int read_header(merge *m, error *e)
{
    int status;
    json_t *object = next_object(m, &status, e);
    const char *what = json_string_value(json_object_get(object, "perilune"));
    const char *uuid = json_string_value(json_object_get(object, "uuid"));
    if (status == PLN_E_OK && (!what || strcmp(what, "spill") != 0 || !uuid || strlen(uuid) != STORE_UUID - 1))
        status = reject(m, "this does not begin as spilled records do", e);
    if (status == PLN_E_OK)
        memcpy(m->uuid, uuid, STORE_UUID);
    json_decref(object);
    return status;
}

static int merge_object(merge *m, const json_t *object, error *e)
{
    const char *name = json_string_value(json_object_get(object, "record"));
    cell cells[ROW_CELLS];
    char *owned[ROW_CELLS] = {0};
    int kind = 0, status = PLN_E_OK;
    while (kind < ROW_KINDS && (!name || strcmp(row_kinds[kind].name, name) != 0))
        ++kind;
    if (kind == ROW_KINDS)
        return reject(m, "this kind of record is not known", e);
    for (int i = 0; row_kinds[kind].cell[i]; ++i) {
        status = cell_of_json(json_object_get(object, row_kinds[kind].cell[i]), &cells[i], &owned[i]);
        if (status != PLN_E_OK) {
            status = status == PLN_E_MEMORY ? error_memory(e) : reject(m, "a value is none that a record can hold", e);
            goto fail;
        }
    }
    int rc = row_execute(m->owner, kind, cells), primary = rc & 0xff;
    if (rc == SQLITE_OK) {
        m->records++;
        m->orphans += row_kinds[kind].must_change && sqlite3_changes(m->owner->db) == 0;
    } else if (primary == SQLITE_CONSTRAINT || primary == SQLITE_MISMATCH || primary == SQLITE_TOOBIG) {
        status = reject(m, sqlite3_errmsg(m->owner->db), e);
    } else {
        status = failure_set(m->owner, rc, "write", e);
    }
fail:
    for (int i = 0; i < ROW_CELLS; ++i)
        free(owned[i]);
    return status;
}

/* 1: this file is merged already. */
static int is_merged(merge *m, int *merged, error *e)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(m->owner->db, "select 1 from spills where uuid = ?1", -1, &statement, NULL);
    if (rc == SQLITE_OK) {
        (void)sqlite3_bind_text(statement, 1, m->uuid, -1, SQLITE_STATIC);
        rc = sqlite3_step(statement);
    }
    *merged = rc == SQLITE_ROW;
    (void)sqlite3_finalize(statement);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? PLN_E_OK : failure_set(m->owner, rc, "read", e);
}

static int record_merge(merge *m, error *e)
{
    sqlite3_stmt *statement = NULL;
    char now[TIME_TEXT];
    int rc = sqlite3_prepare_v2(m->owner->db, "insert into spills(uuid, merged, records) values(?1, ?2, ?3)", -1,
                                &statement, NULL);
    if (rc == SQLITE_OK) {
        (void)sqlite3_bind_text(statement, 1, m->uuid, -1, SQLITE_STATIC);
        (void)sqlite3_bind_text(statement, 2, time_format(store_now(), now), -1, SQLITE_STATIC);
        (void)sqlite3_bind_int64(statement, 3, m->records);
        rc = sqlite3_step(statement);
    }
    (void)sqlite3_finalize(statement);
    return rc == SQLITE_DONE ? PLN_E_OK : failure_set(m->owner, rc, "write", e);
}

/* All lines of one file, within a transaction. */
static int merge_lines(merge *m, error *e)
{
    int merged = 0, status = read_header(m, e);
    if (status == PLN_E_OK)
        status = is_merged(m, &merged, e);
    if (status != PLN_E_OK || merged)
        return status;
    for (json_t *object; status == PLN_E_OK && (object = next_object(m, &status, e));) {
        status = merge_object(m, object, e);
        json_decref(object);
    }
    return status == PLN_E_OK ? record_merge(m, e) : status;
}

static int set_aside(store *s, const char *path, const error *why, error *e)
{
    text name = {0};
    text_format(&name, "%s.rejected", path);
    int status = name.failed ? error_memory(e) : PLN_E_OK;
    if (status == PLN_E_OK && rename(path, name.bytes) != 0)
        status = error_system(e, errno, "cannot rename %s", path);
    if (status == PLN_E_OK)
        store_add_notice(s, "records of an earlier run cannot be merged and are kept as %s: %s", name.bytes, why->text);
    text_free(&name);
    return status;
}

static int merge_file(store *s, const char *path, error *e)
{
    merge m = {.owner = s, .path = path};
    error why = {0};
    /* Under the lock: two processes that start together must not both find the file. */
    int status = store_begin_write(s, clock_milliseconds() + 100, e);
    if (status != PLN_E_OK)
        return status;
    m.file = fopen(path, "re");
    if (!m.file) {
        int number = errno;
        (void)store_end_write(s, 0, NULL);
        return number == ENOENT ? PLN_E_OK : error_system(e, number, "cannot read %s", path);
    }
    status = merge_lines(&m, &why);
    fclose(m.file);
    free(m.line);
    int end = store_end_write(s, status == PLN_E_OK, &why);
    status = status == PLN_E_OK ? end : status;
    if (status != PLN_E_OK && m.rejected)
        return set_aside(s, path, &why, e);
    if (status != PLN_E_OK) {
        if (e)
            *e = why;
        return status;
    }
    if (unlink(path) != 0 && errno != ENOENT)
        return error_system(e, errno, "cannot remove %s, which is merged", path);
    if (m.orphans)
        store_add_notice(
            s,
            "%lld records of an earlier process were put into the database; %lld of them belong to runs that"
            " are not there any more",
            (long long)m.records, (long long)m.orphans);
    else if (m.records)
        store_add_notice(s,
                         "%lld records of an earlier process, which could not write them, were put into the database",
                         (long long)m.records);
    return PLN_E_OK;
}

static int is_spill(const char *name)
{
    size_t length = strlen(name);
    return length > 6 && strcmp(name + length - 6, ".jsonl") == 0;
}

/* Opens the folder of spills; NULL when there is none, or with a status. */
static DIR *open_folder(const store *s, text *path, int *status, error *e)
{
    *status = PLN_E_OK;
    text_format(path, "%s/spill", s->folder);
    if (path->failed) {
        *status = error_memory(e);
        return NULL;
    }
    DIR *folder = opendir(path->bytes);
    if (!folder && errno != ENOENT)
        *status = error_system(e, errno, "cannot look into %s", path->bytes);
    return folder;
}

int spill_count(const store *s)
{
    text path = {0};
    int count = 0, status;
    DIR *folder = open_folder(s, &path, &status, NULL);
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        count += is_spill(entry->d_name);
    if (folder)
        closedir(folder);
    text_free(&path);
    return count;
}

int spill_merge(store *s, error *e)
{
    text path = {0};
    int status;
    DIR *folder = open_folder(s, &path, &status, e);
    size_t stem = path.length;
    for (struct dirent *entry; folder && status == PLN_E_OK && (entry = readdir(folder));) {
        if (!is_spill(entry->d_name))
            continue;
        path.length = stem;
        text_format(&path, "/%s", entry->d_name);
        status = path.failed ? error_memory(e) : merge_file(s, path.bytes, e);
    }
    if (folder)
        closedir(folder);
    text_free(&path);
    return status;
}

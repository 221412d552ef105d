/* What could not be committed before the process had to end goes to PATH.d/spill/UUID.jsonl: a line of JSON a row, in
 * order, after a first line that says what it is.  It is written under another name, synced and renamed, so that it is
 * there whole or not at all.  merge.c reads it. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/internal.h"

/* ------------------------------------------------------------------------------------------------- JSON */

/* What JSON lacks is an object of one member: {"real": "inf"}, {"hex": "00ff"}. */
static json_t *json_of_cell(const cell *c)
{
    switch (c->type) {
    case CELL_INTEGER:
        return json_integer(c->integer);
    case CELL_REAL:
        return isinf(c->real) ? json_pack("{s:s}", "real", c->real > 0 ? "inf" : "-inf") : json_real(c->real);
    case CELL_TEXT:
        return json_stringn(c->text, c->length);
    case CELL_BYTES: {
        static const char digits[] = "0123456789abcdef";
        char *hex = malloc(c->length * 2 + 1);
        if (!hex)
            return NULL;
        for (size_t i = 0; i < c->length; ++i) {
            hex[2 * i] = digits[(unsigned char)c->text[i] >> 4];
            hex[2 * i + 1] = digits[(unsigned char)c->text[i] & 15];
        }
        hex[c->length * 2] = 0;
        json_t *object = json_pack("{s:s}", "hex", hex);
        free(hex);
        return object;
    }
    default:
        return json_null();
    }
}

/* {"record": "epoch", "run": "0b3c…", "epoch": 3, "loss": 0.12, …}; cells that are NULL are left out. */
static json_t *json_of_row(const row *r)
{
    json_t *object = json_pack("{s:s}", "record", row_kinds[r->kind].name);
    for (int i = 0; object && row_kinds[r->kind].cell[i]; ++i) {
        if (r->cells[i].type == CELL_NULL)
            continue;
        json_t *value = json_of_cell(&r->cells[i]);
        if (!value || json_object_set_new(object, row_kinds[r->kind].cell[i], value) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

/* ---------------------------------------------------------------------------------------------- writing */

static int make_folder(const char *path, error *e)
{
    if (mkdir(path, 0777) != 0 && errno != EEXIST)
        return error_system(e, errno, "cannot make the folder %s", path);
    return PLN_E_OK;
}

static int write_line(FILE *f, json_t *object, const char *path, error *e)
{
    char *line = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(object);
    if (!line)
        return error_memory(e);
    int ok = fputs(line, f) >= 0 && fputc('\n', f) >= 0;
    free(line);
    return ok ? PLN_E_OK : error_system(e, errno, "cannot write %s", path);
}

static void sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
}

int spill_write(store *s, char **file, error *e)
{
    char uuid[STORE_UUID];
    text folder = {0}, name = {0}, draft = {0};
    FILE *f = NULL;
    *file = NULL;
    int status = store_uuid(uuid, e);
    if (status != PLN_E_OK)
        return status;
    text_format(&folder, "%s/spill", s->folder);
    text_format(&name, "%s/%s.jsonl", folder.failed ? "" : folder.bytes, uuid);
    text_format(&draft, "%s.draft", name.failed ? "" : name.bytes);
    if (folder.failed || name.failed || draft.failed) {
        status = error_memory(e);
        goto fail;
    }
    if ((status = make_folder(s->folder, e)) != PLN_E_OK || (status = make_folder(folder.bytes, e)) != PLN_E_OK)
        goto fail;
    f = fopen(draft.bytes, "wxe");
    if (!f) {
        status = error_system(e, errno, "cannot write %s", draft.bytes);
        goto fail;
    }
    status = write_line(f, json_pack("{s:s, s:s, s:i}", "perilune", "spill", "uuid", uuid, "schema", schema_version),
                        draft.bytes, e);
    for (row *r = s->first; r && status == PLN_E_OK; r = r->next)
        status = write_line(f, json_of_row(r), draft.bytes, e);
    if (status != PLN_E_OK)
        goto fail;
    if (fflush(f) != 0 || fsync(fileno(f)) != 0 || rename(draft.bytes, name.bytes) != 0) {
        status = error_system(e, errno, "cannot write %s", draft.bytes);
        goto fail;
    }
    sync_folder(folder.bytes);
    rows_free(s);
    *file = name.bytes;
    name = (text){0};
fail:
    if (f)
        fclose(f);
    if (status != PLN_E_OK && f)
        (void)unlink(draft.bytes);
    text_free(&folder);
    text_free(&name);
    text_free(&draft);
    return status;
}

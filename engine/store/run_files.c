/* A run's files: the folder they are in, and the rows that name them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/internal.h"

/* "UUID/name": relative to the folder PATH.d, so that database and folder can be moved and renamed together. */
static int file_path(const recording *r, const char *name, text *path, error *e)
{
    int status = record_need(name, "a file", e);
    if (status != PLN_E_OK)
        return status;
    if (*name == '/' || strcmp(name, "..") == 0 || strncmp(name, "../", 3) == 0 || strstr(name, "/../"))
        return error_set(e, PLN_E_INVALID, "the file %s is not in the run's folder and cannot be recorded with it",
                         name);
    text_format(path, "%s/%s", r->uuid, name);
    return path->failed ? error_memory(e) : PLN_E_OK;
}

static cell file_size(const store *s, const char *path, int64_t bytes)
{
    text whole = {0};
    struct stat of;
    cell size = cell_positive(bytes);
    text_format(&whole, "%s/%s", s->folder, path);
    if (bytes <= 0 && !whole.failed && stat(whole.bytes, &of) == 0)
        size = cell_integer((int64_t)of.st_size);
    text_free(&whole);
    return size;
}

int recording_checkpoint(recording *r, const store_artifact *file, error *e)
{
    char at[TIME_TEXT];
    text path = {0};
    int status = file_path(r, file->name, &path, e);
    if (status == PLN_E_OK) {
        cell cells[] = {cell_text(r->uuid),    cell_text(path.bytes),   cell_integer(file->epoch),
                        cell_text(file->kind), cell_text(file->sha256), file_size(r->owner, path.bytes, file->bytes),
                        cell_at(file->at, at)};
        status = row_push(r->owner, ROW_CHECKPOINT, NULL, cells, e);
    }
    text_free(&path);
    return status;
}

int recording_artifact(recording *r, const store_artifact *file, error *e)
{
    char at[TIME_TEXT];
    text path = {0};
    int status = file_path(r, file->name, &path, e);
    if (status == PLN_E_OK) {
        cell cells[] = {cell_text(r->uuid),
                        cell_text(path.bytes),
                        cell_text(file->kind),
                        cell_text(file->sha256),
                        file_size(r->owner, path.bytes, file->bytes),
                        cell_at(file->at, at)};
        status = row_push(r->owner, ROW_ARTIFACT, NULL, cells, e);
    }
    text_free(&path);
    return status;
}

int recording_forget_file(recording *r, const char *name, error *e)
{
    text path = {0};
    int status = file_path(r, name, &path, e);
    cell cells[] = {cell_text(r->uuid), cell_text(path.bytes)};
    if (status == PLN_E_OK)
        status = row_push(r->owner, ROW_CHECKPOINT_GONE, NULL, cells, e);
    if (status == PLN_E_OK)
        status = row_push(r->owner, ROW_ARTIFACT_GONE, NULL, cells, e);
    text_free(&path);
    return status;
}

int store_run_folder(store *s, const char *uuid, char **path, error *e)
{
    text folder = {0};
    *path = NULL;
    if (!uuid || strlen(uuid) != STORE_UUID - 1 || strchr(uuid, '/'))
        return error_set(e, PLN_E_INVALID, "\"%s\" is no run's uuid", uuid ? uuid : "");
    text_format(&folder, "%s/%s", s->folder, uuid);
    if (folder.failed) {
        text_free(&folder);
        return error_memory(e);
    }
    if ((mkdir(s->folder, 0777) != 0 && errno != EEXIST) || (mkdir(folder.bytes, 0777) != 0 && errno != EEXIST)) {
        int status = error_system(e, errno, "cannot make the folder %s for a run's files", folder.bytes);
        text_free(&folder);
        return status;
    }
    *path = folder.bytes;
    return PLN_E_OK;
}

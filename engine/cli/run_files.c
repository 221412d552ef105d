/* Folders of runs. */
#include "cli/run_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

#define ORPHAN_AGE 3600 /* seconds */

char *run_files_folder(const store *s, const char *uuid)
{
    text path = {0};
    text_format(&path, "%s.d/%s", store_path(s), uuid);
    if (path.failed) {
        text_free(&path);
        return NULL;
    }
    return path.bytes;
}

/* Calls itself for folders within; `remove` or only counting. 0, or errno. */
static int walk(int parent, const char *name, int removing, int64_t *bytes, int64_t *files)
{
    int number = 0, fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (!folder) {
        number = errno;
        if (fd >= 0)
            close(fd);
        return number;
    }
    for (struct dirent *entry; !number && (entry = readdir(folder));) {
        struct stat st;
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            number = errno;
        else if (S_ISDIR(st.st_mode))
            number = walk(fd, entry->d_name, removing, bytes, files);
        else if (removing && unlinkat(fd, entry->d_name, 0) != 0)
            number = errno;
        else {
            *bytes += st.st_size;
            *files += 1;
        }
    }
    closedir(folder);
    if (!number && removing && unlinkat(parent, name, AT_REMOVEDIR) != 0)
        number = errno;
    return number;
}

int64_t run_files_size(const char *folder, int64_t *files)
{
    int64_t bytes = 0;
    *files = 0;
    walk(AT_FDCWD, folder, 0, &bytes, files);
    return bytes;
}

int run_files_remove(const char *folder, error *e)
{
    int64_t bytes = 0, files = 0;
    int number = walk(AT_FDCWD, folder, 1, &bytes, &files);
    return number == 0 || number == ENOENT ? PLN_E_OK : error_system(e, number, "cannot remove %s", folder);
}

/* --------------------------------------------------------------------------------------------- orphans ---- */

static int is_uuid(const char *s)
{
    return strlen(s) == STORE_UUID - 1 && strspn(s, "0123456789abcdef-") == STORE_UUID - 1;
}

static int is_owned(const store_runs *runs, const char *uuid)
{
    for (size_t i = 0; i < runs->count; i++)
        if (runs->run[i].uuid && !strcmp(runs->run[i].uuid, uuid))
            return 1;
    return 0;
}

static int is_old(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && store_now() - (double)st.st_mtime > ORPHAN_AGE;
}

void run_files_free(char **list)
{
    for (char **s = list; s && *s; s++)
        free(*s);
    free(list);
}

static int add(char ***list, size_t *n, char *path)
{
    char **grown = realloc(*list, (*n + 2) * sizeof *grown);
    if (!grown)
        return 0;
    *list = grown;
    grown[(*n)++] = path;
    grown[*n] = NULL;
    return 1;
}

int run_files_orphans(store *s, char ***list, error *e)
{
    size_t n = 0;
    int status = PLN_E_MEMORY;
    DIR *folder = NULL;
    store_runs runs = {0};
    store_filter all = store_filter_all();
    char *home = run_files_folder(s, "");
    *list = calloc(1, sizeof **list);
    if (!home || !*list) {
        error_memory(e);
        goto fail;
    }
    status = store_list_runs(s, &all, &runs, e);
    folder = status == PLN_E_OK ? opendir(home) : NULL;
    for (struct dirent *entry; folder && status == PLN_E_OK && (entry = readdir(folder));) {
        char *path = is_uuid(entry->d_name) ? run_files_folder(s, entry->d_name) : NULL;
        if (!path)
            continue;
        if (is_owned(&runs, entry->d_name) || !is_old(path))
            free(path);
        else if (!add(list, &n, path)) {
            free(path);
            status = error_memory(e);
        }
    }
fail:
    if (folder)
        closedir(folder);
    store_runs_free(&runs);
    free(home);
    if (status != PLN_E_OK) {
        run_files_free(*list);
        *list = NULL;
    }
    return status;
}

/* The registry of plugins: search path, indexes, loading.  The program starts in milliseconds because a plugin is opened
 * only when its type is asked for, and nothing is ever unloaded. */
#include "plugin/registry.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fpu.h"
#include "base/text.h"

#ifndef PLN_PLUGIN_DIR
#define PLN_PLUGIN_DIR "/usr/local/lib/perilune/plugins"
#endif

typedef struct indexed {
    uint32_t kind;
    char *name, *path;
} indexed;

struct registry {
    char **folders;
    int nfolders;
    indexed *index; /* in the order of the search path */
    int nindex;
    plugin_entry **entries; /* in the order of precedence; stable addresses */
    int nentries;
    char **loaded; /* paths already opened */
    int nloaded;
};

/* Appends to a growing array of pointers. */
static int push(char ***list, int *n, const char *s)
{
    char **grown = realloc(*list, (size_t)(*n + 1) * sizeof *grown);
    char *copy = grown ? text_copy(s) : NULL;
    if (grown)
        *list = grown;
    if (!copy)
        return 0;
    (*list)[(*n)++] = copy;
    return 1;
}

static int is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static int add_folder(registry *r, const char *path)
{
    char real[PATH_MAX];
    if (!path[0] || !is_folder(path) || !realpath(path, real))
        return 1;
    for (int i = 0; i < r->nfolders; i++)
        if (strcmp(r->folders[i], real) == 0)
            return 1;
    return push(&r->folders, &r->nfolders, real);
}

/* Colon-separated folders. */
static int add_folders(registry *r, const char *list)
{
    char *copy = text_copy(list), *rest = copy;
    if (!copy)
        return list == NULL;
    int ok = 1;
    for (char *one = strsep(&rest, ":"); one && ok; one = strsep(&rest, ":"))
        ok = add_folder(r, one);
    free(copy);
    return ok;
}

/* The plugins that were built or installed with this program: beside the file that this code is in, or where meson
 * installs them. */
static int add_own_folders(registry *r)
{
    Dl_info info;
    char self[PATH_MAX], path[PATH_MAX + 32];
    int known = dladdr((void *)(uintptr_t)&registry_open, &info) && info.dli_fname;
    /* a program found through $PATH is known by its bare name */
    if (known && realpath(strchr(info.dli_fname, '/') ? info.dli_fname : "/proc/self/exe", self)) {
        for (int up = 0; up < 3; up++) {
            char *slash = strrchr(self, '/');
            if (!slash)
                break;
            *slash = 0;
            snprintf(path, sizeof path, "%s/plugins/index", self);
            if (is_file(path)) {
                path[strlen(path) - strlen("/index")] = 0;
                if (!add_folder(r, path))
                    return 0;
            }
        }
    }
    return add_folder(r, PLN_PLUGIN_DIR);
}

static uint32_t kind_of_name(const char *word)
{
    for (uint32_t k = PLN_LAYER; k <= PLN_METRIC; k++)
        if (strcmp(plugin_kind_name(k), word) == 0)
            return k;
    return 0;
}

static int add_indexed(registry *r, uint32_t kind, const char *name, const char *path)
{
    indexed *grown = realloc(r->index, (size_t)(r->nindex + 1) * sizeof *grown);
    if (!grown)
        return 0;
    r->index = grown;
    indexed x = {kind, text_copy(name), text_copy(path)};
    if (!x.name || !x.path) {
        free(x.name);
        free(x.path);
        return 0;
    }
    r->index[r->nindex++] = x;
    return 1;
}

/* Reads FOLDER/index, if there is one.  Lines that are none are skipped: the folder's files are still found by name. */
static int read_index(registry *r, const char *folder)
{
    char path[PATH_MAX + 256], line[1024], kind[32], name[128], file[512];
    snprintf(path, sizeof path, "%s/index", folder);
    FILE *f = fopen(path, "re");
    if (!f)
        return 1;
    int ok = 1;
    while (ok && fgets(line, sizeof line, f)) {
        if (sscanf(line, "%31s %127s %511s", kind, name, file) != 3 || !kind_of_name(kind) || strchr(file, '/'))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, file);
        ok = add_indexed(r, kind_of_name(kind), name, path);
    }
    fclose(f);
    return ok;
}

int registry_open(const char *folders, registry **out, error *e)
{
    registry *r = calloc(1, sizeof *r);
    if (!r)
        return error_memory(e);
    const char *home = getenv("HOME"), *data = getenv("XDG_DATA_HOME");
    char personal[PATH_MAX];
    if (data && data[0])
        snprintf(personal, sizeof personal, "%s/perilune/plugins", data);
    else
        snprintf(personal, sizeof personal, "%s/.local/share/perilune/plugins", home ? home : "");
    int ok = add_folders(r, folders) && add_folders(r, getenv("PERILUNE_PLUGINS")) && add_folder(r, personal) &&
             add_own_folders(r);
    for (int i = 0; ok && i < r->nfolders; i++)
        ok = read_index(r, r->folders[i]);
    if (!ok) {
        registry_free(r);
        return error_memory(e);
    }
    *out = r;
    return PLN_OK;
}

void registry_free(registry *r)
{
    if (!r)
        return;
    for (int i = 0; i < r->nfolders; i++)
        free(r->folders[i]);
    for (int i = 0; i < r->nindex; i++) {
        free(r->index[i].name);
        free(r->index[i].path);
    }
    for (int i = 0; i < r->nentries; i++)
        free(r->entries[i]);
    for (int i = 0; i < r->nloaded; i++)
        free(r->loaded[i]);
    free(r->folders);
    free(r->index);
    free(r->entries);
    free(r->loaded);
    free(r);
}

static const plugin_entry *entry_of(const registry *r, uint32_t kind, const char *name)
{
    for (int i = 0; i < r->nentries; i++)
        if (r->entries[i]->kind == kind && strcmp(r->entries[i]->head->name, name) == 0)
            return r->entries[i];
    return NULL;
}

static int is_loaded(const registry *r, const char *path)
{
    for (int i = 0; i < r->nloaded; i++)
        if (strcmp(r->loaded[i], path) == 0)
            return 1;
    return 0;
}

/* Adds the types of a checked plugin, before all others if `first`. */
static int add_entries(registry *r, const pln_plugin *p, const char *path, int first, error *e)
{
    int n = 0;
    while (p->descriptors[n])
        n++;
    plugin_entry **grown = realloc(r->entries, (size_t)(r->nentries + n) * sizeof(plugin_entry *));
    if (!grown)
        return error_memory(e);
    r->entries = grown;
    for (int i = 0; i < n; i++) {
        const plugin_head *head = p->descriptors[i];
        plugin_entry *entry = calloc(1, sizeof *entry);
        if (!entry)
            return error_memory(e);
        *entry = (plugin_entry){head->kind, head, p, path};
        int at = first ? i : r->nentries;
        memmove(r->entries + at + 1, r->entries + at, (size_t)(r->nentries - at) * sizeof(plugin_entry *));
        r->entries[at] = entry;
        r->nentries++;
    }
    return PLN_OK;
}

static int open_file(registry *r, const char *path, int first, error *e)
{
    if (is_loaded(r, path))
        return PLN_OK;
    if (!is_file(path))
        return error_set(e, PLN_E_MISSING, "%s: no such plugin file", path);
    unsigned state = fpu_enter(); /* a library linked with -ffast-math sets bits of its own while it loads */
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    fpu_leave(state);
    if (!handle)
        return error_set(e, PLN_E_FORMAT, "%s: cannot be loaded: %s", path, dlerror());
    const pln_plugin *p = dlsym(handle, "perilune_plugin");
    if (!p)
        return error_set(e, PLN_E_FORMAT, "%s: not a Perilune plugin: it exports no symbol 'perilune_plugin'", path);
    int status = plugin_check(p, path, e);
    if (status != PLN_OK)
        return status;
    if (!push(&r->loaded, &r->nloaded, path))
        return error_memory(e);
    return add_entries(r, p, r->loaded[r->nloaded - 1], first, e);
}

/* The types of a file that is open already come before all others. */
static void move_to_front(registry *r, const char *path)
{
    int front = 0;
    for (int i = 0; i < r->nentries; i++) {
        plugin_entry *entry = r->entries[i];
        if (strcmp(entry->path, path) != 0)
            continue;
        memmove(r->entries + front + 1, r->entries + front, (size_t)(i - front) * sizeof(plugin_entry *));
        r->entries[front++] = entry;
    }
}

int registry_load(registry *r, const char *path, error *e)
{
    char real[PATH_MAX];
    if (!realpath(path, real))
        return error_system(e, errno, "cannot open the plugin %s", path);
    int known = is_loaded(r, real), status = open_file(r, real, 1, e);
    if (status == PLN_OK && known)
        move_to_front(r, real);
    return status;
}

const char **registry_names(registry *r, uint32_t kind)
{
    const char **names = calloc((size_t)r->nindex + (size_t)r->nentries + 1, sizeof *names);
    int n = 0;
    for (int i = 0; names && i < r->nindex + r->nentries; i++) {
        uint32_t k = i < r->nindex ? r->index[i].kind : r->entries[i - r->nindex]->kind;
        const char *name = i < r->nindex ? r->index[i].name : r->entries[i - r->nindex]->head->name;
        if (k != kind)
            continue;
        int at = 0;
        while (at < n && strcmp(names[at], name) < 0)
            at++;
        if (at < n && strcmp(names[at], name) == 0)
            continue;
        memmove(names + at + 1, names + at, (size_t)(n - at) * sizeof *names);
        names[at] = name;
        n++;
    }
    return names;
}

/* "max_pooling2d" for MaxPooling2D: the file that a type's author would have named after it. */
static void snake_case(const char *name, char *out, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; name[i] && n + 2 < size; i++) {
        int upper = name[i] >= 'A' && name[i] <= 'Z';
        int after_lower = i && name[i - 1] >= 'a' && name[i - 1] <= 'z';
        if (upper && after_lower)
            out[n++] = '_';
        out[n++] = upper ? (char)(name[i] - 'A' + 'a') : name[i];
    }
    out[n] = 0;
}

static int is_shared_object(const char *file)
{
    size_t n = strlen(file);
    return n > 3 && strcmp(file + n - 3, ".so") == 0;
}

/* Opens every shared object of a folder, in the order of their names. */
static int open_folder(registry *r, const char *folder, void (*failed)(void *, const char *, const char *), void *ctx,
                       error *e)
{
    struct dirent **files = NULL;
    int n = scandir(folder, &files, NULL, alphasort), status = PLN_OK;
    for (int i = 0; i < n; i++) {
        char path[PATH_MAX + 256];
        error why;
        snprintf(path, sizeof path, "%s/%s", folder, files[i]->d_name);
        if (status == PLN_OK && is_shared_object(files[i]->d_name) && open_file(r, path, 0, &why) != PLN_OK) {
            if (why.status == PLN_E_MEMORY)
                status = error_memory(e);
            else if (failed)
                failed(ctx, path, why.text);
        }
        free(files[i]);
    }
    free(files);
    return status;
}

int registry_load_all(registry *r, void (*failed)(void *ctx, const char *path, const char *why), void *ctx, error *e)
{
    for (int i = 0; i < r->nfolders; i++)
        if (open_folder(r, r->folders[i], failed, ctx, e) != PLN_OK)
            return PLN_E_MEMORY;
    return PLN_OK;
}

int registry_count(const registry *r)
{
    return r->nentries;
}

const plugin_entry *registry_at(const registry *r, int i)
{
    return r->entries[i];
}

static int not_found(registry *r, uint32_t kind, const char *name, error *e)
{
    const char **names = registry_names(r, kind);
    const char *near = names ? text_nearest(name, names) : NULL;
    text where = {0};
    for (int i = 0; i < r->nfolders; i++)
        text_format(&where, "%s%s", i ? ", " : "", r->folders[i]);
    if (near)
        error_set(e, PLN_E_MISSING, "unknown %s '%s' (did you mean '%s'?)", plugin_kind_name(kind), name, near);
    else
        error_set(e, PLN_E_MISSING,
                  "unknown %s '%s'; no plugin of that name in %s ('perilune plugins' lists what is there)",
                  plugin_kind_name(kind), name, where.bytes ? where.bytes : "any folder: none exists");
    text_free(&where);
    free(names);
    return PLN_E_MISSING;
}

/* The entries of the index that lie in a folder. */
static int find_indexed(registry *r, const char *folder, uint32_t kind, const char *name, error *e)
{
    size_t length = strlen(folder);
    int status = PLN_OK;
    for (int i = 0; i < r->nindex && status == PLN_OK; i++)
        if (r->index[i].kind == kind && strcmp(r->index[i].name, name) == 0 &&
            strncmp(r->index[i].path, folder, length) == 0 && r->index[i].path[length] == '/')
            status = open_file(r, r->index[i].path, 0, e);
    return status;
}

static int has_index(const char *folder)
{
    char path[PATH_MAX + 256];
    snprintf(path, sizeof path, "%s/index", folder);
    return is_file(path);
}

/* Opens the files of a folder that may hold the type: those that its index names, the one named after the type, and where
 * there is no index all of them.  `broken` receives why the one named after the type cannot be used. */
static int open_candidates(registry *r, const char *folder, uint32_t kind, const char *name, error *broken, error *e)
{
    char file[160], path[PATH_MAX + 256];
    int status = find_indexed(r, folder, kind, name, e);
    if (status != PLN_OK || entry_of(r, kind, name))
        return status;
    snake_case(name, file, sizeof file);
    snprintf(path, sizeof path, "%s/%s.so", folder, file);
    if (is_file(path))
        open_file(r, path, 0, broken);
    return entry_of(r, kind, name) || has_index(folder) ? PLN_OK : open_folder(r, folder, NULL, NULL, e);
}

int registry_find(registry *r, uint32_t kind, const char *name, const plugin_entry **entry, error *e)
{
    error broken = {0};
    *entry = entry_of(r, kind, name);
    for (int i = 0; i < r->nfolders && !*entry; i++) {
        int status = open_candidates(r, r->folders[i], kind, name, &broken, e);
        if (status != PLN_OK)
            return status;
        *entry = entry_of(r, kind, name);
    }
    if (*entry)
        return PLN_OK;
    if (broken.status != 0)
        return error_set(e, broken.status, "%s", broken.text);
    int status = registry_load_all(r, NULL, NULL, e);
    *entry = entry_of(r, kind, name);
    return status != PLN_OK || *entry ? status : not_found(r, kind, name, e);
}

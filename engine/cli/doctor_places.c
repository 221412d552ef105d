/* Plugins, data sets, and the places that are written to. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/data.h"
#include "cli/doctor.h"
#include "data/sources.h"
#include "plugin/registry.h"
#include "store/store.h"

/* --------------------------------------------------------------------------------------------- plugins ---- */

static void say_failed(void *context, const char *path, const char *why)
{
    findings *f = context;
    finding_add(f, FINDING_NOTE, "plugin", NULL, "%s%s%s", strstr(why, path) ? "" : path, strstr(why, path) ? "" : ": ",
                why);
}

void doctor_plugins(findings *f, const char *folders)
{
    error e;
    registry *r = NULL;
    int count[5] = {0};
    if (registry_open(folders, &r, &e) != PLN_E_OK || registry_load_all(r, say_failed, f, &e) != PLN_E_OK) {
        finding_add(f, FINDING_BAD, "plugins", NULL, "%s", e.text);
        registry_free(r);
        return;
    }
    for (int i = 0; i < registry_count(r); i++)
        count[registry_at(r, i)->kind % 5]++;
    int complete = count[PLN_LAYER] && count[PLN_OPTIMIZER] && count[PLN_LOSS];
    finding_add(f, complete ? FINDING_GOOD : FINDING_BAD, "plugins",
                complete ? NULL : "the plugins that come with the program",
                "%d layers, %d optimizers, %d losses, %d metrics", count[PLN_LAYER], count[PLN_OPTIMIZER],
                count[PLN_LOSS], count[PLN_METRIC]);
    registry_free(r);
}

/* ------------------------------------------------------------------------------------------------ data ---- */

void doctor_data(findings *f)
{
    char where[4096], train_count[32], test_count[32];
    for (int i = 0; data_names[i]; i++) {
        error e;
        dataset *train = NULL, *test = NULL;
        if (!source_find(data_names[i], where, sizeof where))
            finding_add(f, FINDING_GOOD, "data", NULL, "%s: not here; only needed by scripts that use it",
                        data_names[i]);
        else if (data_load(data_names[i], &train, &test, &e) != PLN_E_OK)
            finding_add(f, FINDING_NOTE, "data", NULL, "%s: %s", data_names[i], e.text);
        else
            finding_add(f, FINDING_GOOD, "data", NULL, "%s: %s + %s in %s", data_names[i],
                        text_thousands(train->count, train_count), text_thousands(test->count, test_count), where);
        dataset_free(train);
        dataset_free(test);
    }
}

/* ---------------------------------------------------------------------------------------------- places ---- */

/* Can this folder be written to, or be made?  The nearest parent that is there decides. */
static int is_writable(const char *path)
{
    char *at = text_copy(path);
    int ok = 0;
    while (at && access(at, F_OK) != 0) {
        char *slash = strrchr(at, '/');
        if (!slash) {
            free(at);
            return access(".", W_OK) == 0;
        }
        slash[slash == at] = 0;
    }
    ok = at && access(at, W_OK) == 0;
    free(at);
    return ok;
}

static void add_cache(findings *f)
{
    char path[4096];
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && cache[0] == '/')
        snprintf(path, sizeof path, "%s/perilune", cache);
    else
        snprintf(path, sizeof path, "%s/.cache/perilune", home ? home : "");
    int ok = is_writable(path);
    finding_add(f, ok ? FINDING_GOOD : FINDING_NOTE, "cache", NULL, "%s%s", path,
                ok ? "" : " cannot be written: data sets are inflated anew at every start");
}

static void add_database(findings *f, const char *path)
{
    error e;
    store *s = NULL;
    store_runs runs = {0};
    store_filter all = store_filter_all();
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, slash > path ? (size_t)(slash - path) : 1) : text_copy(".");
    int writable = folder && is_writable(folder) && (access(path, F_OK) != 0 || access(path, W_OK) == 0);
    free(folder);
    if (access(path, F_OK) != 0)
        finding_add(f, writable ? FINDING_GOOD : FINDING_BAD, "database", NULL, "%s: %s", path,
                    writable ? "not here yet, the first run makes it" : "its folder cannot be written");
    else if (store_open(path, STORE_READ, &s, &e) != PLN_E_OK || store_list_runs(s, &all, &runs, &e) != PLN_E_OK)
        finding_add(f, FINDING_BAD, "database", NULL, "%s", e.text);
    else
        finding_add(f, writable ? FINDING_GOOD : FINDING_NOTE, "database", NULL, "%s: %zu run%s%s", path, runs.count,
                    runs.count == 1 ? "" : "s", writable ? "" : "; may only be read");
    store_runs_free(&runs);
    store_close(s, 0, NULL);
}

void doctor_places(findings *f, const char *database)
{
    add_cache(f);
    add_database(f, database);
}

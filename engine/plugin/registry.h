/* The registry: finds plugins by type name and loads them on first use.
 *
 * Folders are searched in order; the first found wins (`perilune plugins NAME` says which).  A
 * folder may hold a file `index` with lines "KIND NAME FILE" (the build writes one), so that nothing is opened in vain;
 * without one, the file named after the type is tried, then all others.  Plugins are never unloaded.
 *
 * Thread rule: one thread at a time; what was found is constant and may be read by all.
 */
#ifndef PLUGIN_REGISTRY_H
#define PLUGIN_REGISTRY_H

#include "base/error.h"
#include "perilune/plugin.h"

#define PLUGIN_SLOTS 8 /* most arrays that an optimizer keeps for each parameter */

/* What all descriptors begin with. */
typedef struct plugin_head {
    PLN_DESCRIPTOR;
} plugin_head;

/* A loaded type. */
typedef struct plugin_entry {
    uint32_t kind;
    const plugin_head *head; /* cast to pln_layer, … by kind */
    const pln_plugin *plugin;
    const char *path; /* of the shared object */
} plugin_entry;

typedef struct registry registry;

/* `folders` (colon-separated; NULL: none) come before $PERILUNE_PLUGINS, $XDG_DATA_HOME/perilune/plugins and the plugins
 * built or installed with this program. */
int registry_open(const char *folders, registry **out, error *e);
void registry_free(registry *r);

/* Finds (and loads, the first time) a type.  PLN_E_MISSING names the nearest spelling and the folders looked in. */
int registry_find(registry *r, uint32_t kind, const char *name, const plugin_entry **entry, error *e);

/* Loads a file and makes its types known before all others. */
int registry_load(registry *r, const char *path, error *e);

/* Names of all types of a kind that are known (by index or by loading), sorted, ended by NULL; free() the array alone. */
const char **registry_names(registry *r, uint32_t kind);

/* Loads everything in every folder: for listings.  Files that fail are reported through `failed` (may be NULL). */
int registry_load_all(registry *r, void (*failed)(void *ctx, const char *path, const char *why), void *ctx, error *e);
int registry_count(const registry *r);
const plugin_entry *registry_at(const registry *r, int i);

/* "layer", "optimizer", "loss", "metric". */
const char *plugin_kind_name(uint32_t kind);

/* Checks everything that can be checked of a plugin before any of its functions is called: magic, version, sizes,
 * names, options, required functions.  `path` is for the message. */
int plugin_check(const pln_plugin *p, const char *path, error *e);

#endif

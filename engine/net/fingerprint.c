#include "net/fingerprint.h"

#include <stdlib.h>
#include <string.h>

#define PLUGINS_MOST 512

static int add_entry(const plugin_entry *entry, const plugin_entry **list, int n, int most)
{
    for (int i = 0; i < n; i++)
        if (strcmp(list[i]->path, entry->path) == 0)
            return n;
    if (n < most)
        list[n++] = entry;
    return n;
}

int used_plugins(const model *m, const recipe *r, const plugin_entry **list, int most)
{
    int n = 0;
    for (int i = 0; i < m->nlayers; i++)
        n = add_entry(m->layers[i]->entry, list, n, most);
    if (r && r->optimizer.entry)
        n = add_entry(r->optimizer.entry, list, n, most);
    if (r && r->loss.entry)
        n = add_entry(r->loss.entry, list, n, most);
    for (int i = 0; r && i < r->nmetrics; i++)
        n = add_entry(r->metrics[i].entry, list, n, most);
    return n;
}

static int add_json(hash *h, json_t *j, error *e)
{
    char *s = j ? json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    if (s)
        hash_text(h, s);
    free(s);
    json_decref(j);
    return s ? PLN_OK : error_memory(e);
}

static int by_id(const void *a, const void *b)
{
    const plugin_entry *const *x = a, *const *y = b;
    return strcmp((*x)->plugin->id, (*y)->plugin->id);
}

/* In the order of their ids: neither folders nor the order of use count. */
static int add_plugins(hash *h, const model *m, const recipe *r, error *e)
{
    const plugin_entry *list[PLUGINS_MOST];
    int n = used_plugins(m, r, list, PLUGINS_MOST);
    qsort(list, (size_t)n, sizeof(const plugin_entry *), by_id);
    for (int i = 0; i < n; i++) {
        char hex[HASH_HEX];
        int status = hash_file(list[i]->path, hex, e);
        if (status != PLN_OK)
            return status;
        hash_text(h, list[i]->plugin->id);
        hash_text(h, hex);
    }
    return PLN_OK;
}

static int add_data(hash *h, const dataset *set, error *e)
{
    char hex[HASH_HEX];
    if (!set) {
        hash_text(h, NULL);
        return PLN_OK;
    }
    int status = dataset_digest(set, hex, e);
    if (status == PLN_OK)
        hash_text(h, hex);
    return status;
}

static void add_floats(hash *h, const float *x, int64_t n)
{
    hash_integer(h, x ? n : -1);
    if (x)
        hash_bytes(h, x, (size_t)n * sizeof *x);
}

int fit_fingerprint(const model *m, const recipe *r, const fit_options *o, const char *extra, char hex[HASH_HEX],
                    error *e)
{
    hash h;
    hash_begin(&h);
    hash_text(&h, "perilune.fingerprint/1");
    hash_integer(&h, KERNELS_DEFINITION);
    int status = add_json(&h, model_json(m), e);
    if (status == PLN_OK)
        status = add_json(&h, recipe_json(r), e);
    if (status == PLN_OK)
        status = add_plugins(&h, m, r, e);
    if (status == PLN_OK)
        status = add_data(&h, o->train, e);
    if (status == PLN_OK)
        status = add_data(&h, o->validation, e);
    for (int i = 0; i < m->nparameters; i++)
        add_floats(&h, model_parameter(m, i), m->parameters[i].size);
    hash_integer(&h, o->epochs);
    hash_integer(&h, o->batch_size);
    hash_integer(&h, (int64_t)o->seed);
    hash_integer(&h, o->shuffle != 0);
    hash_integer(&h, o->initial_epoch);
    add_floats(&h, o->class_weight, o->nclass_weight);
    add_floats(&h, o->sample_weight, o->train->count);
    hash_text(&h, extra);
    hash_end(&h, hex);
    return status;
}

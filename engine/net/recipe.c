/* What `compile` says: optimizer, loss, metrics, each a plugin with options. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/train.h"

static const char *const CLIPS[] = {"clipvalue", "clipnorm", "global_clipnorm", "name", NULL};

static int part_make(recipe_part *part, registry *plugins, uint32_t kind, const char *type, const option_value *v,
                     int n, const char *const *extra, error *e)
{
    const plugin_entry *entry;
    int status = registry_find(plugins, kind, type, &entry, e);
    if (status != PLN_OK)
        return status;
    options opts;
    if ((status = options_make(entry->head, v, n, extra, &opts, e)) != PLN_OK)
        return status;
    options_free(&part->opts);
    *part = (recipe_part){.entry = entry, .opts = opts};
    snprintf(part->name, sizeof part->name, "%s", type);
    return PLN_OK;
}

static double *clip_of(recipe *r, const char *name)
{
    if (strcmp(name, "clipvalue") == 0)
        return &r->clipvalue;
    if (strcmp(name, "clipnorm") == 0)
        return &r->clipnorm;
    return strcmp(name, "global_clipnorm") == 0 ? &r->global_clipnorm : NULL;
}

static int take_clip(recipe *r, const char *type, const option_value *v, error *e)
{
    double x = v->kind == VALUE_INT ? (double)v->integer : v->kind == VALUE_REAL ? v->real : -1;
    if (!(x > 0) || x > 1e30)
        return error_set(e, PLN_E_INVALID, "%s: option '%s' must be a positive number", type, v->name);
    *clip_of(r, v->name) = x;
    return PLN_OK;
}

int recipe_optimizer(recipe *r, registry *plugins, const char *type, const option_value *v, int n, error *e)
{
    option_value *own = calloc((size_t)n + 1, sizeof *own);
    int rest = 0, status = own ? PLN_OK : error_memory(e);
    r->clipvalue = r->clipnorm = r->global_clipnorm = 0;
    for (int i = 0; i < n && status == PLN_OK; i++) {
        if (v[i].name && clip_of(r, v[i].name))
            status = take_clip(r, type, &v[i], e);
        else
            own[rest++] = v[i];
    }
    if (status == PLN_OK && r->clipnorm > 0 && r->global_clipnorm > 0)
        status = error_set(e, PLN_E_INVALID, "%s: clipnorm and global_clipnorm exclude each other", type);
    if (status == PLN_OK)
        status = part_make(&r->optimizer, plugins, PLN_OPTIMIZER, type, own, rest, CLIPS, e);
    free(own);
    return status;
}

int recipe_loss(recipe *r, registry *plugins, const char *type, const option_value *v, int n, error *e)
{
    return part_make(&r->loss, plugins, PLN_LOSS, type, v, n, NULL, e);
}

/* "accuracy" is whichever accuracy fits the loss. */
static const char *meant(const recipe *r, const char *type)
{
    const pln_loss *loss = r->loss.entry ? (const pln_loss *)(const void *)r->loss.entry->head : NULL;
    int general = strcmp(type, "accuracy") == 0 || strcmp(type, "acc") == 0;
    return general && loss && loss->metric ? loss->metric : type;
}

int recipe_metric(recipe *r, registry *plugins, const char *type, const option_value *v, int n, error *e)
{
    if (r->nmetrics == RECIPE_METRICS)
        return error_set(e, PLN_E_INVALID, "more than %d metrics", RECIPE_METRICS);
    const char *actual = meant(r, type);
    if (actual == type && strcmp(type, "accuracy") == 0)
        return error_set(e, PLN_E_INVALID, "metric 'accuracy' does not fit the loss %s; name a metric of your choice",
                         r->loss.entry ? r->loss.entry->head->name : "(none)");
    for (int i = 0; i < r->nmetrics; i++)
        if (strcmp(r->metrics[i].name, type) == 0)
            return error_set(e, PLN_E_INVALID, "metric '%s' is given twice", type);
    int status = part_make(&r->metrics[r->nmetrics], plugins, PLN_METRIC, actual, v, n, NULL, e);
    if (status != PLN_OK)
        return status;
    snprintf(r->metrics[r->nmetrics++].name, sizeof r->metrics[0].name, "%s", type);
    return PLN_OK;
}

void recipe_free(recipe *r)
{
    options_free(&r->optimizer.opts);
    options_free(&r->loss.opts);
    for (int i = 0; i < r->nmetrics; i++)
        options_free(&r->metrics[i].opts);
    *r = (recipe){0};
}

static json_t *part_json(const recipe_part *p)
{
    return json_pack("{s:s, s:s, s:o}", "name", p->name, "type", p->entry->head->name, "options",
                     options_json(p->entry->head, p->opts.bytes));
}

json_t *recipe_json(const recipe *r)
{
    json_t *metrics = json_array();
    int failed = !metrics;
    for (int i = 0; i < r->nmetrics; i++)
        failed |= json_array_append_new(metrics, part_json(&r->metrics[i])) != 0;
    if (failed) {
        json_decref(metrics);
        return NULL;
    }
    return json_pack("{s:o, s:o, s:o, s:f, s:f, s:f}", "optimizer", part_json(&r->optimizer), "loss",
                     part_json(&r->loss), "metrics", metrics, "clipvalue", r->clipvalue, "clipnorm", r->clipnorm,
                     "global_clipnorm", r->global_clipnorm);
}

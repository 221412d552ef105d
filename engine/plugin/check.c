/* What can be checked of a plugin before any of its functions is called.  A file that was built for another version, or
 * was never meant for us, must be refused with a sentence and not with a crash an hour later. */
#include <stdlib.h>
#include <string.h>

#include "plugin/options.h"
#include "plugin/registry.h"

const char *plugin_kind_name(uint32_t kind)
{
    static const char *const names[] = {"unknown", "layer", "optimizer", "loss", "metric"};
    return kind <= PLN_METRIC ? names[kind] : names[0];
}

/* Bytes up to the last field that this kind of descriptor cannot do without. */
static uint32_t least_size(uint32_t kind)
{
    switch (kind) {
    case PLN_LAYER:
        return PLN_SIZE_TO(pln_layer, backward);
    case PLN_OPTIMIZER:
        return PLN_SIZE_TO(pln_optimizer, uses);
    case PLN_LOSS:
        return PLN_SIZE_TO(pln_loss, run);
    case PLN_METRIC:
        return PLN_SIZE_TO(pln_metric, result);
    }
    return UINT32_MAX;
}

static size_t option_width(const pln_option *o)
{
    return o->type == PLN_INTS ? sizeof(int64_t) * o->max_count : 8;
}

/* What is wrong with a default or a flag, or NULL. */
static const char *default_fault(const pln_option *o)
{
    int whole = o->dflt >= -9e15 && o->dflt <= 9e15 && o->dflt == (double)(int64_t)o->dflt;
    if ((o->flags & PLN_INITIALIZER) && o->type != PLN_TEXT)
        return "PLN_INITIALIZER belongs to options of type PLN_TEXT";
    if (o->flags & PLN_REQUIRED)
        return NULL;
    if (o->type == PLN_REAL)
        return o->dflt == o->dflt ? NULL : "its default is no number";
    if (o->type != PLN_TEXT && !whole)
        return "its default is no integer";
    if (o->type == PLN_BOOL && o->dflt != 0 && o->dflt != 1)
        return "its default is neither 0 nor 1";
    int64_t choices = 0;
    while (o->type == PLN_CHOICE && o->choices[choices])
        choices++;
    if (o->type == PLN_CHOICE && (o->dflt < 0 || o->dflt >= (double)choices))
        return "its default is no index into its choices";
    return NULL;
}

static int check_option(const plugin_head *head, uint32_t i, const char *path, error *e)
{
    const pln_option *o = options_at(head, i);
    if (!o->name || !o->name[0] || !o->help)
        return error_set(e, PLN_E_FORMAT, "%s: %s: option %u has no name or no help", path, head->name, i + 1);
    if (o->type < PLN_INT || o->type > PLN_TEXT)
        return error_set(e, PLN_E_FORMAT, "%s: %s: option '%s' has the unknown type %u", path, head->name, o->name,
                         o->type);
    if (o->type == PLN_CHOICE && (!o->choices || !o->choices[0]))
        return error_set(e, PLN_E_FORMAT, "%s: %s: option '%s' is a choice without choices", path, head->name, o->name);
    if (o->type == PLN_INTS && (o->max_count == 0 || o->max_count > 64))
        return error_set(e, PLN_E_FORMAT, "%s: %s: option '%s' has room for %u integers; 1 to 64 are possible", path,
                         head->name, o->name, o->max_count);
    if (o->type == PLN_INTS && !(o->flags & PLN_SPREAD) && o->count_offset == 0)
        return error_set(e, PLN_E_FORMAT, "%s: %s: option '%s' is a list and has no count_offset", path, head->name,
                         o->name);
    const char *fault = default_fault(o);
    if (fault)
        return error_set(e, PLN_E_FORMAT, "%s: %s: option '%s': %s", path, head->name, o->name, fault);
    uint64_t count_end = o->type == PLN_INTS && o->count_offset ? (uint64_t)o->count_offset + 8 : 0;
    if (o->offset + option_width(o) > head->opts_size || count_end > head->opts_size)
        return error_set(e, PLN_E_FORMAT, "%s: %s: option '%s' lies outside the options struct of %u bytes", path,
                         head->name, o->name, head->opts_size);
    for (uint32_t k = 0; k < i; k++)
        if (strcmp(options_at(head, k)->name, o->name) == 0)
            return error_set(e, PLN_E_FORMAT, "%s: %s: option '%s' is declared twice", path, head->name, o->name);
    return PLN_OK;
}

/* The name of a function that must be there and is not, or NULL. */
static const char *missing_function(const plugin_head *head)
{
    const pln_layer *layer = (const pln_layer *)(const void *)head;
    const pln_optimizer *optimizer = (const pln_optimizer *)(const void *)head;
    const pln_loss *loss = (const pln_loss *)(const void *)head;
    const pln_metric *metric = (const pln_metric *)(const void *)head;
    switch (head->kind) {
    case PLN_LAYER:
        return layer->plan ? NULL : "plan";
    case PLN_OPTIMIZER:
        return optimizer->update ? NULL : "update";
    case PLN_LOSS:
        return !loss->check ? "check" : !loss->run ? "run" : NULL;
    default:
        return !metric->cells ? "cells" : !metric->update ? "update" : !metric->result ? "result" : NULL;
    }
}

static int optimizer_slots(const plugin_head *head)
{
    const char *const *slots = ((const pln_optimizer *)(const void *)head)->slots;
    int n = 0;
    while (slots && n <= PLUGIN_SLOTS && slots[n])
        n++;
    return n;
}

static int check_head(const plugin_head *head, int number, const char *path, error *e)
{
    if (head->kind < PLN_LAYER || head->kind > PLN_METRIC)
        return error_set(e, PLN_E_FORMAT, "%s: descriptor %d has the unknown kind %u", path, number, head->kind);
    if (head->size < least_size(head->kind))
        return error_set(e, PLN_E_FORMAT,
                         "%s: descriptor %d (%s) has size %u, expected at least %u; set size to "
                         "PLN_SIZE_TO its last field",
                         path, number, plugin_kind_name(head->kind), head->size, least_size(head->kind));
    if (!head->id || !head->id[0] || !head->name || !head->name[0] || !head->help)
        return error_set(e, PLN_E_FORMAT, "%s: descriptor %d lacks id, name or help", path, number);
    if (strlen(head->name) > 63 || strpbrk(head->name, " \t\r\n/"))
        return error_set(e, PLN_E_FORMAT, "%s: '%.80s' is no type name: at most 63 characters, no spaces, no slash",
                         path, head->name);
    if (head->noptions && (!head->options || head->option_stride < PLN_SIZE_TO(pln_option, choices)))
        return error_set(e, PLN_E_FORMAT, "%s: %s: %u options and no table of them, or option_stride %u below %zu",
                         path, head->name, head->noptions, head->option_stride, PLN_SIZE_TO(pln_option, choices));
    for (uint32_t i = 0; i < head->noptions; i++)
        if (check_option(head, i, path, e) != PLN_OK)
            return PLN_E_FORMAT;
    if (head->kind == PLN_OPTIMIZER && optimizer_slots(head) > PLUGIN_SLOTS)
        return error_set(e, PLN_E_FORMAT, "%s: %s: keeps more than %d arrays for each parameter", path, head->name,
                         PLUGIN_SLOTS);
    const char *missing = missing_function(head);
    if (missing)
        return error_set(e, PLN_E_FORMAT, "%s: %s: the function '%s' is NULL", path, head->name, missing);
    return PLN_OK;
}

int plugin_check(const pln_plugin *p, const char *path, error *e)
{
    if (p->magic != PLN_MAGIC)
        return error_set(e, PLN_E_FORMAT, "%s: not a Perilune plugin: magic 0x%08X, expected 0x%08X", path, p->magic,
                         PLN_MAGIC);
    if (p->major != PLN_MAJOR)
        return error_set(e, PLN_E_FORMAT,
                         "%s: built for version %u of plugin.h, this program has version %d; build it "
                         "again with the header of this program",
                         path, p->major, PLN_MAJOR);
    if (p->size < PLN_SIZE_TO(pln_plugin, descriptors))
        return error_set(e, PLN_E_FORMAT, "%s: its pln_plugin has size %u, expected at least %zu", path, p->size,
                         PLN_SIZE_TO(pln_plugin, descriptors));
    if (!p->id || !p->version || !p->descriptors || !p->descriptors[0])
        return error_set(e, PLN_E_FORMAT, "%s: its pln_plugin lacks id, version or descriptors", path);
    for (int i = 0; p->descriptors[i]; i++)
        if (check_head(p->descriptors[i], i + 1, path, e) != PLN_OK)
            return PLN_E_FORMAT;
    return PLN_OK;
}

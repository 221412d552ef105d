/* What differs between two runs: both are read whole, and sorted lists of (name, text) are merged. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/internal.h"

typedef struct diff {
    result memory;
    result_list list;
} diff;

static const char *text_of_value(diff *d, const store_value *value)
{
    char number[32];
    switch (value->type) {
    case STORE_INTEGER:
        snprintf(number, sizeof number, "%lld", (long long)value->integer);
        return result_text(&d->memory, number);
    case STORE_BOOLEAN:
        return value->integer ? "true" : "false";
    case STORE_REAL:
        return result_text(&d->memory, text_real(value->real, number));
    case STORE_TEXT:
        return value->text;
    default:
        return "nothing";
    }
}

static const char *text_of_number(diff *d, int64_t value)
{
    store_value v = store_integer(value);
    return text_of_value(d, &v);
}

static void add_if_different(diff *d, const char *what, const char *name, const char *a, const char *b)
{
    if ((!a && !b) || (a && b && strcmp(a, b) == 0))
        return;
    store_difference *item = result_append(&d->memory, &d->list);
    if (item)
        *item = (store_difference){.what = what,
                                   .name = result_text(&d->memory, name),
                                   .a = result_text(&d->memory, a),
                                   .b = result_text(&d->memory, b)};
}

/* Two lists of pairs, each sorted by name. */
static void compare_pairs(diff *d, const char *what, const store_pair *a, size_t a_count, const store_pair *b,
                          size_t b_count)
{
    size_t i = 0, j = 0;
    while (i < a_count || j < b_count) {
        int order = i == a_count ? 1 : j == b_count ? -1 : strcmp(a[i].name, b[j].name);
        add_if_different(d, what, order <= 0 ? a[i].name : b[j].name, order <= 0 ? a[i].value : NULL,
                         order >= 0 ? b[j].value : NULL);
        i += order <= 0;
        j += order >= 0;
    }
}

static int by_pair_name(const void *a, const void *b)
{
    return strcmp(((const store_pair *)a)->name, ((const store_pair *)b)->name);
}

/* A detail's list as pairs; all live as long as the diff's memory and the detail. */
typedef store_pair pair_of(diff *d, const store_detail *detail, size_t i);

static store_pair pair_of_param(diff *d, const store_detail *detail, size_t i)
{
    return (store_pair){detail->param[i].name, text_of_value(d, &detail->param[i].value)};
}

static store_pair pair_of_plugin(diff *d, const store_detail *detail, size_t i)
{
    const store_plugin *p = &detail->plugin[i];
    size_t size = strlen(p->kind) + strlen(p->type) + 2;
    char *name = result_take(&d->memory, size);
    if (name)
        snprintf(name, size, "%s %s", p->kind, p->type);
    return (store_pair){name ? name : "", p->sha256};
}

static store_pair pair_of_dataset(diff *d, const store_detail *detail, size_t i)
{
    const store_dataset *set = &detail->dataset[i];
    const char *name = set->name ? set->name : "";
    size_t size = strlen(name) + strlen(set->digest) + 2;
    char *value = result_take(&d->memory, size);
    if (value)
        snprintf(value, size, "%s%s%.12s", name, *name ? " " : "", set->digest);
    return (store_pair){set->role, value};
}

static store_pair pair_of_module(diff *d, const store_detail *detail, size_t i)
{
    char hex[HASH_HEX];
    hash h;
    hash_begin(&h);
    hash_bytes(&h, detail->launch.modules[i].text, detail->launch.modules[i].bytes);
    hash_end(&h, hex);
    return (store_pair){detail->launch.modules[i].name, result_text(&d->memory, hex)};
}

static store_pair pair_of_environment(diff *d, const store_detail *detail, size_t i)
{
    (void)d;
    return detail->environment[i];
}

static void compare_lists(diff *d, const char *what, pair_of *pair, const store_detail *a, size_t a_count,
                          const store_detail *b, size_t b_count)
{
    store_pair *left = result_take(&d->memory, (a_count + 1) * sizeof *left);
    store_pair *right = result_take(&d->memory, (b_count + 1) * sizeof *right);
    if (!left || !right)
        return;
    for (size_t i = 0; i < a_count; ++i)
        left[i] = pair(d, a, i);
    for (size_t i = 0; i < b_count; ++i)
        right[i] = pair(d, b, i);
    qsort(left, a_count, sizeof *left, by_pair_name);
    qsort(right, b_count, sizeof *right, by_pair_name);
    compare_pairs(d, what, left, a_count, right, b_count);
}

static void compare_numbers(diff *d, const store_run *a, const store_run *b)
{
    const struct {
        const char *name;
        int64_t a, b;
    } numbers[] = {{"batch_size", a->batch_size, b->batch_size},
                   {"epochs_done", a->epochs_done, b->epochs_done},
                   {"epochs_planned", a->epochs_planned, b->epochs_planned},
                   {"parameters", a->parameters, b->parameters},
                   {"seed", a->seed, b->seed},
                   {"threads", a->threads, b->threads}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; ++i)
        if (numbers[i].a != numbers[i].b)
            add_if_different(d, "run", numbers[i].name, text_of_number(d, numbers[i].a),
                             text_of_number(d, numbers[i].b));
}

static void compare_runs(diff *d, const store_run *a, const store_run *b)
{
    const struct {
        const char *name, *a, *b;
    } texts[] = {{"digest", a->digest, b->digest},
                 {"experiment", a->experiment, b->experiment},
                 {"fingerprint", a->fingerprint, b->fingerprint},
                 {"host", a->host, b->host},
                 {"model", a->model, b->model}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; ++i)
        add_if_different(d, "run", texts[i].name, texts[i].a, texts[i].b);
    compare_numbers(d, a, b);
}

static void compare_scripts(diff *d, const store_launch *a, const store_launch *b, store_diff *out)
{
    add_if_different(d, "script", "name", a->script.name, b->script.name);
    add_if_different(d, "script", "git_commit", a->git_commit, b->git_commit);
    const char *left = a->script.text, *right = b->script.text;
    if ((left || right) && (!left || !right || strcmp(left, right) != 0)) {
        add_if_different(d, "script", "text", left ? "differs" : NULL, right ? "differs, see its text" : NULL);
        out->script_a = result_text(&d->memory, left);
        out->script_b = result_text(&d->memory, right);
    }
}

static int by_what_and_name(const void *a, const void *b)
{
    const store_difference *x = a, *y = b;
    int order = strcmp(x->what, y->what);
    return order ? order : strcmp(x->name ? x->name : "", y->name ? y->name : "");
}

int store_diff_runs(store *s, int64_t a, int64_t b, store_diff *out, error *e)
{
    store_detail left, right = {0};
    diff d = {.list = {.size = sizeof(store_difference)}};
    *out = (store_diff){0};
    int status = store_read_run(s, a, &left, e);
    if (status == PLN_E_OK)
        status = store_read_run(s, b, &right, e);
    if (status != PLN_E_OK)
        goto fail;
    compare_runs(&d, &left.run, &right.run);
    compare_scripts(&d, &left.launch, &right.launch, out);
    compare_lists(&d, "parameter", pair_of_param, &left, left.params, &right, right.params);
    compare_lists(&d, "environment", pair_of_environment, &left, left.environments, &right, right.environments);
    compare_lists(&d, "plugin", pair_of_plugin, &left, left.plugins, &right, right.plugins);
    compare_lists(&d, "dataset", pair_of_dataset, &left, left.datasets, &right, right.datasets);
    compare_lists(&d, "module", pair_of_module, &left, left.launch.module_count, &right, right.launch.module_count);
    if (d.list.count)
        qsort(d.list.items, d.list.count, d.list.size, by_what_and_name);
fail:
    out->difference = result_items(&d.memory, &d.list, &out->count);
    if (status == PLN_E_OK && d.memory.failed)
        status = error_memory(e);
    out->memory = result_end(&d.memory);
    if (status != PLN_E_OK)
        store_diff_free(out);
    store_detail_free(&left);
    store_detail_free(&right);
    return status;
}

void store_diff_free(store_diff *diff_result)
{
    if (!diff_result)
        return;
    result_free(diff_result->memory);
    *diff_result = (store_diff){0};
}

/* See stub_host.h. */
#include "stub_host.h"

#include <dlfcn.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char last_message[1024];

static int stub_fail(const pln_host *h, const pln_node *node, const char *format, ...)
{
    (void)h;
    (void)node;
    va_list list;
    va_start(list, format);
    vsnprintf(last_message, sizeof last_message, format, list);
    va_end(list);
    return PLN_FAIL;
}

static int stub_map(const pln_host *h, uint32_t op, int64_t n, const float *x, float *out)
{
    static double (*const functions[])(double) = {
        [PLN_MAP_EXP] = exp,     [PLN_MAP_LOG] = log,     [PLN_MAP_TANH] = tanh, [PLN_MAP_ERF] = erf,
        [PLN_MAP_EXPM1] = expm1, [PLN_MAP_LOG1P] = log1p, [PLN_MAP_SIN] = sin,   [PLN_MAP_COS] = cos,
    };
    if (op >= sizeof functions / sizeof *functions || !functions[op])
        return stub_fail(h, NULL, "the stub has no map %u", op);
    for (int64_t i = 0; i < n; i++)
        out[i] = (float)functions[op]((double)x[i]);
    return PLN_OK;
}

const pln_host *stub_host(void)
{
    static const pln_host host = {
        .size = sizeof host, .major = PLN_MAJOR, .minor = PLN_MINOR, .fail = stub_fail, .map = stub_map};
    return &host;
}

const char *stub_message(void)
{
    return last_message;
}

void stub_forget(void)
{
    last_message[0] = 0;
}

static const void *open_descriptor(uint32_t kind, const char *name, const char *file)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", PLUGINS_DIR, file);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        fail_msg("%s", dlerror());
    const pln_plugin *p = dlsym(library, "perilune_plugin");
    if (!p || p->magic != PLN_MAGIC)
        fail_msg("%s exports no perilune_plugin", path);
    for (const void *const *d = p->descriptors; *d; d++) {
        const stub_head *head = *d;
        if (head->kind == kind && strcmp(head->name, name) == 0)
            return head;
    }
    fail_msg("%s holds no %s", path, name);
    return NULL;
}

/* Calls f, or returns the first one whose name is `wanted`. */
static const void *walk_index(uint32_t kind, const char *wanted, void (*f)(const void *descriptor))
{
    static const char *const kinds[] = {"", "layer", "optimizer", "loss", "metric"};
    char word[64], name[128], file[512];
    FILE *index = fopen(PLUGINS_DIR "/index", "r");
    if (!index)
        fail_msg("cannot open %s/index", PLUGINS_DIR);
    const void *found = NULL;
    while (!found && fscanf(index, "%63s %127s %511s", word, name, file) == 3) {
        if (strcmp(word, kinds[kind]) != 0 || (wanted && strcmp(name, wanted) != 0))
            continue;
        if (wanted)
            found = open_descriptor(kind, name, file);
        else
            f(open_descriptor(kind, name, file));
    }
    fclose(index);
    return found;
}

const void *stub_find(uint32_t kind, const char *name)
{
    const void *found = walk_index(kind, name, NULL);
    if (!found)
        fail_msg("the index has no %s", name);
    return found;
}

void stub_each(uint32_t kind, void (*f)(const void *descriptor))
{
    walk_index(kind, NULL, f);
}

static void set_option(const pln_option *o, void *opts, double value)
{
    char *at = (char *)opts + o->offset;
    int64_t whole = (int64_t)value;
    if (o->type == PLN_REAL)
        memcpy(at, &value, sizeof value);
    else
        memcpy(at, &whole, sizeof whole);
}

void stub_options(const void *descriptor, const char *text, void *opts)
{
    const stub_head *head = descriptor;
    char copy[512], *rest;
    assert_true(head->opts_size <= STUB_OPTS);
    memset(opts, 0, STUB_OPTS);
    for (uint32_t i = 0; i < head->noptions; i++)
        set_option(&head->options[i], opts, head->options[i].dflt);
    snprintf(copy, sizeof copy, "%s", text);
    for (char *word = strtok_r(copy, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest)) {
        char *value = strchr(word, '=');
        uint32_t i = 0;
        if (!value)
            continue;
        *value++ = 0;
        while (i < head->noptions && strcmp(head->options[i].name, word) != 0)
            i++;
        if (i == head->noptions)
            fail_msg("%s has no option %s", head->name, word);
        set_option(&head->options[i], opts, strcmp(value, "true") == 0 ? 1 : strtod(value, NULL));
    }
}

pln_tensor stub_tensor(uint32_t dtype, void *data, const int64_t *shape)
{
    pln_tensor t = {.size = PLN_SIZE_TO(pln_tensor, host), .dtype = dtype, .data = data};
    while (t.rank < PLN_RANK && shape[t.rank]) {
        t.shape[t.rank] = shape[t.rank];
        t.rank++;
    }
    int64_t stride = 1;
    for (uint32_t i = t.rank; i-- > 0; stride *= t.shape[i])
        t.stride[i] = stride;
    return t;
}

pln_slot stub_slot(uint32_t dtype, const int64_t *shape)
{
    pln_tensor t = stub_tensor(dtype, NULL, shape);
    pln_slot s = {.size = PLN_SIZE_TO(pln_slot, shape), .kind = PLN_OUTPUT, .dtype = dtype, .rank = t.rank};
    memcpy(s.shape, t.shape, sizeof s.shape);
    s.shape[0] = PLN_BATCH;
    return s;
}

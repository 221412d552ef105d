/* A launch: one execution of a script, with all that is needed to execute it again. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/internal.h"

static int set_unbegun(error *e)
{
    return error_set(e, PLN_E_INVALID, "no launch has begun in this store: call store_launch_begin first");
}

/* Queues a text by its hash, which goes to `hex`. */
static int push_blob(store *s, const char *content, size_t bytes, char hex[HASH_HEX], error *e)
{
    hash h;
    hash_begin(&h);
    hash_bytes(&h, content, bytes);
    hash_end(&h, hex);
    cell cells[] = {cell_text(hex), cell_integer((int64_t)bytes), cell_content(content, bytes)};
    return row_push(s, ROW_BLOB, NULL, cells, e);
}

static size_t file_bytes(const store_file *file)
{
    return file->bytes || !file->text ? file->bytes : strlen(file->text);
}

/* ["--fast", "3"]; what is no UTF-8 is cleaned, as everywhere. */
static char *json_of_args(const char *const *args, size_t count)
{
    json_t *array = json_array();
    char *out = NULL;
    for (size_t i = 0; array && i < count; ++i) {
        size_t length = strlen(args[i]), clean = utf8_clean(args[i], length, NULL);
        char *copy = malloc(clean + 1);
        if (!copy)
            goto fail;
        (void)utf8_clean(args[i], length, copy);
        int bad = json_array_append_new(array, json_stringn(copy, clean));
        free(copy);
        if (bad)
            goto fail;
    }
    if (array)
        out = json_dumps(array, JSON_COMPACT);
fail:
    json_decref(array);
    return out;
}

int store_launch_module(store *s, const store_file *module, error *e)
{
    char hex[HASH_HEX];
    if (!*s->launch)
        return set_unbegun(e);
    if (!module->name || !module->text)
        return error_set(e, PLN_E_INVALID, "a Lua module needs a name and a text to be recorded");
    int status = push_blob(s, module->text, file_bytes(module), hex, e);
    cell cells[] = {cell_text(s->launch), cell_text(module->name), cell_text(hex)};
    return status == PLN_E_OK ? row_push(s, ROW_LAUNCH_MODULE, NULL, cells, e) : status;
}

int store_launch_begin(store *s, const store_launch *launch, error *e)
{
    char uuid[STORE_UUID], hex[HASH_HEX] = "", now[TIME_TEXT];
    if (!(s->mode & STORE_WRITE))
        return error_set(e, PLN_E_INVALID, "the database %s was opened for reading only", s->path);
    if (*s->launch)
        return error_set(e, PLN_E_INVALID, "a launch has begun in this store already: end it with store_launch_end");
    char *args = json_of_args(launch->args, launch->arg_count);
    if (!args)
        return error_memory(e);
    int status = store_uuid(uuid, e);
    if (status == PLN_E_OK && launch->script.text)
        status = push_blob(s, launch->script.text, file_bytes(&launch->script), hex, e);
    if (status != PLN_E_OK)
        goto fail;
    cell cells[] = {cell_text(uuid),
                    cell_text(launch->script.name),
                    cell_text(*hex ? hex : NULL),
                    cell_text(args),
                    cell_text(launch->folder),
                    cell_text(launch->version),
                    cell_text(s->host),
                    cell_integer(getpid()),
                    cell_positive(launch->resumes),
                    cell_text(launch->overrides),
                    cell_text(time_format(launch->started > 0 ? launch->started : store_now(), now))};
    status = row_push(s, ROW_LAUNCH, NULL, cells, e);
    if (status != PLN_E_OK)
        goto fail;
    memcpy(s->launch, uuid, sizeof uuid);
    s->fits = 0;
    for (size_t i = 0; i < launch->module_count && status == PLN_E_OK; ++i)
        status = store_launch_module(s, &launch->modules[i], e);
fail:
    free(args);
    return status;
}

const char *store_launch_uuid(const store *s)
{
    return *s->launch ? s->launch : NULL;
}

int store_launch_git(store *s, const char *commit, const char *diff, error *e)
{
    char hex[HASH_HEX] = "";
    int status = PLN_E_OK;
    if (!*s->launch)
        return set_unbegun(e);
    if (diff && *diff)
        status = push_blob(s, diff, strlen(diff), hex, e);
    cell cells[] = {cell_text(s->launch), cell_text(commit), diff ? cell_integer(*diff != 0) : cell_null(),
                    cell_text(*hex ? hex : NULL)};
    return status == PLN_E_OK ? row_push(s, ROW_LAUNCH_GIT, NULL, cells, e) : status;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const store_pair *)a)->name, ((const store_pair *)b)->name);
}

int store_launch_environment(store *s, const store_pair *pairs, size_t count, error *e)
{
    char hex[HASH_HEX];
    hash h;
    if (!*s->launch)
        return set_unbegun(e);
    if (count > SIZE_MAX / sizeof *pairs)
        return error_memory(e);
    store_pair *sorted = malloc(count ? count * sizeof *sorted : 1);
    if (!sorted)
        return error_memory(e);
    if (count) {
        memcpy(sorted, pairs, count * sizeof *sorted);
        qsort(sorted, count, sizeof *sorted, by_name);
    }
    hash_begin(&h);
    for (size_t i = 0; i < count; ++i) {
        hash_text(&h, sorted[i].name);
        hash_text(&h, sorted[i].value);
    }
    hash_end(&h, hex);
    int status = PLN_E_OK;
    for (size_t i = 0; i < count && status == PLN_E_OK; ++i) {
        cell cells[] = {cell_text(hex), cell_text(sorted[i].name), cell_text(sorted[i].value)};
        status = row_push(s, ROW_ENVIRONMENT, NULL, cells, e);
    }
    free(sorted);
    cell cells[] = {cell_text(s->launch), cell_text(hex)};
    return status == PLN_E_OK ? row_push(s, ROW_LAUNCH_ENVIRONMENT, NULL, cells, e) : status;
}

int store_launch_end(store *s, int exit_status, const char *message, error *e)
{
    char now[TIME_TEXT];
    if (!*s->launch)
        return set_unbegun(e);
    cell cells[] = {cell_text(s->launch), cell_text(time_format(store_now(), now)),
                    exit_status < 0 ? cell_null() : cell_integer(exit_status), cell_text(message)};
    int status = row_push(s, ROW_LAUNCH_END, NULL, cells, e);
    if (status == PLN_E_OK)
        s->launch[0] = 0;
    return status;
}

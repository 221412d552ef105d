/* Memory of what is read: a result is one chain of blocks, so that freeing it is one call whatever it holds. */
#include <stdlib.h>
#include <string.h>

#include "store/internal.h"

enum { BLOCK = 4000 };

typedef struct result_block {
    struct result_block *next;
    size_t used, size;
    _Alignas(max_align_t) char bytes[];
} result_block;

void *result_take(result *r, size_t bytes)
{
    const size_t unit = _Alignof(max_align_t);
    if (bytes > SIZE_MAX / 2) {
        r->failed = 1;
        return NULL;
    }
    bytes = (bytes + unit - 1) / unit * unit;
    result_block *block = r->blocks;
    if (!block || block->size - block->used < bytes) {
        size_t size = bytes > BLOCK ? bytes : BLOCK;
        block = malloc(sizeof *block + size);
        if (!block) {
            r->failed = 1;
            return NULL;
        }
        *block = (result_block){.next = r->blocks, .size = size};
        r->blocks = block;
    }
    char *at = block->bytes + block->used;
    block->used += bytes;
    memset(at, 0, bytes);
    return at;
}

const char *result_text(result *r, const char *words)
{
    if (!words)
        return NULL;
    size_t bytes = strlen(words) + 1;
    char *copy = result_take(r, bytes);
    if (copy)
        memcpy(copy, words, bytes);
    return copy;
}

const char *result_column(result *r, sqlite3_stmt *statement, int column)
{
    int type = sqlite3_column_type(statement, column);
    if (type == SQLITE_NULL)
        return NULL;
    const void *bytes = type == SQLITE_BLOB ? sqlite3_column_blob(statement, column)
                                            : (const void *)sqlite3_column_text(statement, column);
    size_t count = (size_t)sqlite3_column_bytes(statement, column);
    if (!bytes && count == 0 && type == SQLITE_BLOB)
        bytes = "";
    char *copy = bytes ? result_take(r, count + 1) : NULL;
    if (copy)
        memcpy(copy, bytes, count);
    else
        r->failed = 1;
    return copy;
}

void *result_end(result *r)
{
    void *memory = r->blocks;
    *r = (result){0};
    return memory;
}

void result_free(void *memory)
{
    for (result_block *block = memory; block;) {
        result_block *next = block->next;
        free(block);
        block = next;
    }
}

void *result_append(result *r, result_list *list)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 16;
        char *items = capacity < SIZE_MAX / 2 / list->size ? realloc(list->items, capacity * list->size) : NULL;
        if (!items) {
            r->failed = 1;
            return NULL;
        }
        list->items = items;
        list->capacity = capacity;
    }
    void *item = list->items + list->count++ * list->size;
    memset(item, 0, list->size);
    return item;
}

void *result_items(result *r, result_list *list, size_t *count)
{
    void *items = list->count ? result_take(r, list->count * list->size) : NULL;
    *count = items ? list->count : 0;
    if (items)
        memcpy(items, list->items, list->count * list->size);
    free(list->items);
    list->items = NULL;
    list->count = list->capacity = 0;
    return items;
}

#include "kernels/gemm_scratch.h"

#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>

typedef struct thread_scratch {
    void *block[SCRATCH_SLOTS];
    int64_t bytes[SCRATCH_SLOTS];
} thread_scratch;

/* The table is found through the fast thread-local pointer; the key exists only so that somebody frees it. */
static _Thread_local thread_scratch *mine;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int key_failed;

static void scratch_free(void *value)
{
    thread_scratch *s = value;
    for (int i = 0; i < SCRATCH_SLOTS; i++)
        free(s->block[i]);
    free(s);
    mine = NULL;
}

static void key_make(void)
{
    key_failed = pthread_key_create(&key, scratch_free);
}

static thread_scratch *scratch_open(void)
{
    if (pthread_once(&once, key_make) != 0 || key_failed)
        return NULL;
    thread_scratch *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    if (pthread_setspecific(key, s) != 0) {
        free(s);
        return NULL;
    }
    return mine = s;
}

void *gemm_scratch(gemm_slot slot, int64_t bytes)
{
    thread_scratch *s = mine ? mine : scratch_open();
    if (!s || bytes < 0 || bytes > INT64_MAX / 2)
        return NULL;
    if (s->bytes[slot] >= bytes && s->block[slot])
        return s->block[slot];
    int64_t grown = (bytes + 4096) / 4096 * 4096;
    free(s->block[slot]);
    s->bytes[slot] = 0;
    s->block[slot] = aligned_alloc(64, (size_t)grown);
    if (s->block[slot])
        s->bytes[slot] = grown;
    return s->block[slot];
}

/* What the tests of data files share: a temporary home, and files written into it. */
#ifndef TESTS_DATA_FILES_H
#define TESTS_DATA_FILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/error.h"
#include "data/sources.h"

/* A folder for one test, where home, data and cache lie; the environment is kept to be restored. */
typedef struct home {
    char path[256];
    char *data; /* PERILUNE_DATA as it was, or NULL */
} home;

static inline const char *at(const home *h, const char *name)
{
    static char paths[8][512];
    static int turn;
    char *path = paths[turn++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", h->path, name);
    return path;
}

static inline int home_open(void **state)
{
    home *h = calloc(1, sizeof *h);
    const char *tmp = getenv("TMPDIR"), *data = getenv("PERILUNE_DATA");
    snprintf(h->path, sizeof h->path, "%s/perilune-test-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(h->path))
        return -1;
    h->data = data ? strdup(data) : NULL;
    setenv("HOME", h->path, 1);
    setenv("XDG_CACHE_HOME", at(h, "cache"), 1);
    setenv("XDG_DATA_HOME", at(h, "share"), 1);
    setenv("PERILUNE_DATA", at(h, "data"), 1);
    mkdir(at(h, "data"), 0700);
    mkdir(at(h, "data/mnist"), 0700);
    mkdir(at(h, "data/cifar-10-batches-bin"), 0700);
    *state = h;
    return 0;
}

static inline int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *walk)
{
    (void)st, (void)flag, (void)walk;
    return remove(path);
}

static inline int home_close(void **state)
{
    home *h = *state;
    nftw(h->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    if (h->data)
        setenv("PERILUNE_DATA", h->data, 1);
    free(h->data);
    free(h);
    return 0;
}

static inline void write_plain(const char *path, const void *bytes, size_t count)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, count, f), count);
    assert_int_equal(fclose(f), 0);
}

static inline void write_gz(const char *path, const void *bytes, size_t count)
{
    gzFile f = gzopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(gzwrite(f, bytes, (unsigned)count), (int)count);
    assert_int_equal(gzclose(f), Z_OK);
}

/* Fails with the text unless the error contains `part`. */
static inline void assert_says(const error *e, const char *part)
{
    if (!strstr(e->text, part))
        fail_msg("expected \"%s\" in: %s", part, e->text);
}

/* The number of files in the cache (of a name that contains `part`). */
static inline int count_cached(const home *h, const char *part)
{
    char command[600];
    snprintf(command, sizeof command, "ls '%s/perilune' 2>/dev/null | grep -c '%s'", at(h, "cache"), part);
    FILE *p = popen(command, "r");
    int n = -1;
    assert_int_equal(fscanf(p, "%d", &n), 1);
    pclose(p);
    return n;
}

#endif

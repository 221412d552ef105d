/* The cache of inflated and converted data sets: $XDG_CACHE_HOME/perilune, else ~/.cache/perilune.
 *
 * One file a part of a set (the training images and labels, say), laid out as in pictures.h, with a head that names its
 * sources and holds the digest of the contents.  A cache that cannot be read or written is no error: the block then
 * stays in memory.  Many processes may make the same file at once.
 *
 * Thread rule: any thread; a file is locked while it is made.
 */
#ifndef DATA_CACHE_H
#define DATA_CACHE_H

#include "data/file.h"
#include "data/pictures.h"

#define CACHE_SOURCES 8

/* What a cache file was made from. */
typedef struct cache_key {
    const char *kind; /* how the sources were read: "idx", "cifar" */
    const char *part; /* "train" or "test"; for the file's name, with kind */
    int nsources;
    char sources[CACHE_SOURCES][FILE_PATH]; /* in the order in which they were read */
    file_identity identity[CACHE_SOURCES];  /* of the sources, as they were when they were opened */
} cache_key;

/* Adds a source, by its real path and its present identity; 0 when it cannot be (the cache is then not used). */
int cache_key_add(cache_key *key, const char *path);

/* Maps the block that was made from these sources, read-only.  Returns 1, or 0 when there is no such file, or one
 * that is damaged, of another version, or older than its sources.  Checks the head and sizes, not all of the
 * contents. */
int cache_find(const cache_key *key, pictures *p);

/* Keeps the block (whose digest is known) and replaces its memory by a read-only mapping of the file; leaves it as it
 * is when that is impossible. */
void cache_keep(const cache_key *key, pictures *p);

#endif

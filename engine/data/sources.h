/* Where data sets come from.
 *
 * Looked for in $PERILUNE_DATA, ./data, then $XDG_DATA_HOME/perilune (~/.local/share/perilune), in folders named
 * after the set, plain or .gz.  What was inflated is kept in $XDG_CACHE_HOME/perilune (~/.cache/perilune), checked
 * and memory-mapped at the next start.  Thread rule: any thread.
 */
#ifndef DATA_SOURCES_H
#define DATA_SOURCES_H

#include "base/lanes.h"
#include "data/dataset.h"

/* Both parts of a set of IDX files: "mnist" and "fashion-mnist" (images [28,28,1], or whatever size the files have;
 * labels 0-9, value = byte / 255). `folder` NULL: looked for; otherwise that folder.  Either result may be NULL
 * (not wanted).  PLN_E_MISSING says where was looked and how to get the set. */
int source_idx(const char *name, const char *folder, dataset **train, dataset **test, error *e);

/* CIFAR-10, binary version: images [32,32,3] (channels last), whatever batches are there. */
int source_cifar10(const char *folder, dataset **train, dataset **test, error *e);

/* `count` drawn digits from `seed`, in MNIST's format: [28,28,1] bytes, labels evenly mixed (each ten samples have
 * every digit once).  Sample i depends on the seed and i alone.  No file is needed.  Drawn on `pool`'s lanes (NULL:
 * inline). */
int source_digits(lanes *pool, int64_t count, uint64_t seed, dataset **set, error *e);

/* Is the named set in one of the places?  Copies its folder to `where` when it is. */
int source_find(const char *name, char *where, size_t size);

#endif

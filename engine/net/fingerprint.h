/* The fingerprint of a training: SHA-256 of everything that its result follows from.  Two runs with one fingerprint must end
 * with one digest; a comment edited in the script changes neither.
 *
 * It covers the built graph and its options, the recipe, the initial weights, the fit's options and weights of samples, the
 * contents of the data, the seed, the files of the plugins, and the version of the kernels' definition (which gives the
 * same bits on every instruction set and at any number of lanes, so that neither of those counts).  What happens between two
 * events (callbacks, schedules) is the caller's: it adds the hash of its functions as `extra`.
 *
 * Thread rule: one thread per call. */
#ifndef NET_FINGERPRINT_H
#define NET_FINGERPRINT_H

#include "net/train.h"

/* Raised whenever a kernel's definition (not its speed) changes bits. */
#define KERNELS_DEFINITION 1

/* `extra`: NULL or a text of the caller's. */
int fit_fingerprint(const model *m, const recipe *r, const fit_options *o, const char *extra, char hex[HASH_HEX],
                    error *e);

/* The plugin entries that a model and a recipe use, each file once; returns how many.  `recipe` may be NULL. */
int used_plugins(const model *m, const recipe *r, const plugin_entry **list, int most);

#endif

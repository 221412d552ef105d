/* data.h: data sets by name, as `perilune data` and others of the program name them. */
#ifndef CLI_DATA_H
#define CLI_DATA_H

#include "data/dataset.h"

/* Names of the sets that may be in files ("mnist", "fashion-mnist", "cifar10"), ended by NULL. */
extern const char *const data_names[];

/* Both parts of a set in files; either may be NULL (not wanted). */
int data_load(const char *name, dataset **train, dataset **test, error *e);

/* Writes a set of byte pictures and labels as two IDX files in `folder`; `part` is "train" or "t10k".  Each file appears
 * whole or not at all. */
int data_write_idx(const char *folder, const char *part, const dataset *set, error *e);

#endif

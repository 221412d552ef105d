/* The loaders of files, called by sources.c. Thread rule: any thread. */
#ifndef DATA_LOADERS_H
#define DATA_LOADERS_H

#include "data/pictures.h"

/* The files of IDX sets in `folder`: one part, "train" or "test". `of->nclasses` bounds the labels. */
int idx_load(const picture_set *of, const char *folder, const char *part, dataset **set, error *e);

/* The CIFAR-10 batches in `folder` that belong to the part. */
int cifar_load(const picture_set *of, const char *folder, const char *part, dataset **set, error *e);

/* Does `folder` hold any file of such a set? */
int idx_present(const char *folder);
int cifar_present(const char *folder);

#endif

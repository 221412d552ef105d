/* Weights files: safetensors, with the architecture as one JSON string in the metadata.  Reading checks everything (header
 * length, offsets without holes or overlaps, shapes against sizes) before a byte is used; nothing in a file executes.
 * Thread rule: one thread per call. */
#ifndef NET_WEIGHTS_H
#define NET_WEIGHTS_H

#include "net/model.h"

/* Tensors by name, mapped from a file. */
typedef struct weights_tensor {
    const char *name;
    uint32_t dtype; /* PLN_F32, PLN_BF16, PLN_F16, PLN_I32, PLN_I64, PLN_U8 */
    int rank;
    int64_t shape[PLN_RANK], count; /* elements */
    const void *data;
} weights_tensor;

typedef struct weights_file weights_file;

int weights_open(const char *path, weights_file **out, error *e);
void weights_close(weights_file *f);
const weights_tensor *weights_find(const weights_file *f, const char *name);
int weights_count(const weights_file *f);
/* A string of the metadata, or NULL. */
const char *weights_metadata(const weights_file *f, const char *key);

/* Writes tensors and metadata (a JSON object of strings) atomically: a temporary file beside it, fsync, rename. */
int weights_write(const char *path, const weights_tensor *tensors, int n, const json_t *metadata, error *e);

/* A model's file: parameters under "layer/parameter", architecture, class names, and `extra` strings (may be NULL). */
int model_save(const model *m, const char *path, const json_t *extra, error *e);
int model_load(registry *plugins, const char *path, model **out, error *e);
/* Names of the classes that the model's output means (copied); kept in its file. */
int model_set_classes(model *m, const char *const *classes, int n, error *e);
/* Loads the weights alone into a model of the same parameters. */
int model_load_weights(model *m, const char *path, error *e);

#endif

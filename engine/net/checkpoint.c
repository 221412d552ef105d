/* Checkpoints: everything that a trainer is beyond its script, as safetensors.  Doubles travel by their bits, so that a
 * resumed run continues to the same digest. */
#include "net/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/weights.h"

#define FIELDS 9

/* ---- saving ---- */

static weights_tensor floats(const char *name, const float *data, int64_t n)
{
    return (weights_tensor){.name = name, .dtype = PLN_F32, .rank = 1, .shape = {n}, .count = n, .data = data};
}

/* Doubles and counters, 64 bits each. */
static weights_tensor words(const char *name, const void *data, int64_t n)
{
    return (weights_tensor){.name = name, .dtype = PLN_I64, .rank = 1, .shape = {n}, .count = n, .data = data};
}

static void pack(const trainer *t, int64_t out[FIELDS])
{
    double rate = trainer_rate(t);
    out[0] = t->at.epoch;
    out[1] = t->at.batch;
    out[2] = (int64_t)t->at.step;
    out[3] = t->at.samples;
    memcpy(&out[4], &t->at.loss, sizeof t->at.loss);
    memcpy(&out[5], &rate, sizeof rate);
    memcpy(&out[6], &t->grad_norm, sizeof t->grad_norm);
    memcpy(&out[7], &t->at.training, sizeof t->at.training);
    memcpy(&out[8], &t->at.validation, sizeof t->at.validation);
}

int trainer_save(const trainer *t, const char *path, error *e)
{
    return trainer_save_with(t, NULL, 0, path, e);
}

int trainer_save_with(const trainer *t, const void *extra, size_t count, const char *path, error *e)
{
    weights_tensor tensors[5 + UPDATE_SLOTS + RECIPE_METRICS];
    char names[UPDATE_SLOTS + RECIPE_METRICS][64];
    int64_t fields[FIELDS], rows = t->at.epoch - t->o.initial_epoch;
    int n = 0, named = 0;
    pack(t, fields);
    tensors[n++] = floats("weights", t->m->weights, t->m->nweights);
    tensors[n++] = words("progress", fields, FIELDS);
    tensors[n++] = words("history", t->history, rows * TRAINER_COLUMNS(t->r->nmetrics));
    for (int i = 0; i < t->u->nslots; i++) {
        if (!t->u->slots[i])
            continue;
        snprintf(names[named], sizeof names[0], "slot.%.50s", t->u->names[i]);
        tensors[n++] = floats(names[named++], t->u->slots[i], t->m->ntrainable);
    }
    for (int i = 0; i < t->r->nmetrics; i++) {
        snprintf(names[named], sizeof names[0], "cells.%d", i);
        tensors[n++] = words(names[named++], t->cells[i], t->p->ncells[i]);
    }
    if (extra) /* the last, so that its odd length misaligns nothing */
        tensors[n++] = (weights_tensor){.name = "caller",
                                        .dtype = PLN_U8,
                                        .rank = 1,
                                        .shape = {(int64_t)count},
                                        .count = (int64_t)count,
                                        .data = extra};
    json_t *metadata = json_pack("{s:s}", "format", "perilune.checkpoint/2");
    int status = metadata ? weights_write(path, tensors, n, metadata, e) : error_memory(e);
    json_decref(metadata);
    return status;
}

/* ---- restoring ---- */

static int check_tensor(const weights_file *f, const char *path, const char *name, uint32_t dtype, int64_t n,
                        const void **data, error *e)
{
    const weights_tensor *t = weights_find(f, name);
    if (!t || t->dtype != dtype || t->count != n)
        return error_set(e, PLN_E_FORMAT,
                         "the checkpoint %s does not belong to this training: '%s' has %lld numbers, expected "
                         "%lld",
                         path, name, t ? (long long)t->count : 0LL, (long long)n);
    *data = t->data;
    return PLN_OK;
}

/* Looks at everything before changing anything. */
static int restore(trainer *t, const weights_file *f, const char *path, error *e)
{
    const void *weights = NULL, *fields = NULL, *history = NULL, *slots[UPDATE_SLOTS] = {0},
               *cells[RECIPE_METRICS] = {0};
    int64_t at[FIELDS], columns = TRAINER_COLUMNS(t->r->nmetrics);
    char name[64];
    int status = check_tensor(f, path, "weights", PLN_F32, t->m->nweights, &weights, e);
    if (status == PLN_OK)
        status = check_tensor(f, path, "progress", PLN_I64, FIELDS, &fields, e);
    if (status != PLN_OK)
        return status;
    memcpy(at, fields, sizeof at);
    int64_t rows = at[0] - t->o.initial_epoch;
    if (rows < 0 || at[0] > t->o.epochs || at[1] < 0 || at[1] > t->batches || at[2] < 0 || at[3] < 0)
        return error_set(e, PLN_E_FORMAT, "the checkpoint %s does not belong to this training: epoch %lld, batch %lld",
                         path, (long long)at[0], (long long)at[1]);
    status = check_tensor(f, path, "history", PLN_I64, rows * columns, &history, e);
    for (int i = 0; i < t->u->nslots && status == PLN_OK; i++) {
        snprintf(name, sizeof name, "slot.%.50s", t->u->names[i]);
        if (t->u->slots[i])
            status = check_tensor(f, path, name, PLN_F32, t->m->ntrainable, &slots[i], e);
    }
    for (int i = 0; i < t->r->nmetrics && status == PLN_OK; i++) {
        snprintf(name, sizeof name, "cells.%d", i);
        status = check_tensor(f, path, name, PLN_I64, t->p->ncells[i], &cells[i], e);
    }
    double *kept = status == PLN_OK ? malloc((size_t)(rows * columns + 1) * sizeof *kept) : NULL;
    if (status == PLN_OK && !kept)
        status = error_memory(e);
    if (status != PLN_OK)
        return status;
    memcpy(kept, history, (size_t)(rows * columns) * sizeof *kept);
    free(t->history);
    t->history = kept;
    t->history_rows = rows;
    memcpy(t->m->weights, weights, (size_t)t->m->nweights * sizeof(float));
    for (int i = 0; i < t->u->nslots; i++)
        if (t->u->slots[i])
            memcpy(t->u->slots[i], slots[i], (size_t)t->m->ntrainable * sizeof(float));
    for (int i = 0; i < t->r->nmetrics; i++)
        memcpy(t->cells[i], cells[i], t->p->ncells[i] * sizeof(double));
    t->at = (progress){.epoch = at[0], .batch = at[1], .step = (uint64_t)at[2], .samples = at[3]};
    memcpy(&t->at.loss, &at[4], sizeof t->at.loss);
    if (t->rate_offset >= 0)
        memcpy((char *)t->r->optimizer.opts.bytes + t->rate_offset, &at[5], sizeof(double));
    memcpy(&t->grad_norm, &at[6], sizeof t->grad_norm);
    memcpy(&t->at.training, &at[7], sizeof t->at.training);
    memcpy(&t->at.validation, &at[8], sizeof t->at.validation);
    t->validating = 0;
    return PLN_OK;
}

/* A copy of the caller's bytes, when there are any. */
static int copy_extra(const weights_file *f, void **extra, size_t *count, error *e)
{
    const weights_tensor *t = weights_find(f, "caller");
    if (!t || t->dtype != PLN_U8)
        return PLN_OK;
    *extra = malloc((size_t)t->count + 1);
    if (!*extra)
        return error_memory(e);
    memcpy(*extra, t->data, (size_t)t->count);
    *count = (size_t)t->count;
    return PLN_OK;
}

int trainer_restore(trainer *t, const char *path, error *e)
{
    void *extra;
    size_t count;
    int status = trainer_restore_with(t, path, &extra, &count, e);
    free(extra);
    return status;
}

int trainer_restore_with(trainer *t, const char *path, void **extra, size_t *count, error *e)
{
    weights_file *f;
    *extra = NULL;
    *count = 0;
    int status = weights_open(path, &f, e);
    if (status != PLN_OK)
        return status;
    const char *format = weights_metadata(f, "format");
    if (!format || strcmp(format, "perilune.checkpoint/2") != 0)
        status = error_set(e, PLN_E_FORMAT, "%s is no checkpoint of this program", path);
    else
        status = copy_extra(f, extra, count, e);
    if (status == PLN_OK)
        status = restore(t, f, path, e);
    if (status != PLN_OK) {
        free(*extra);
        *extra = NULL;
    }
    weights_close(f);
    return status;
}

void trainer_position(const trainer *t, int64_t *epoch, int64_t *batch, uint64_t *step)
{
    *epoch = t->at.epoch;
    *batch = t->at.batch;
    *step = t->at.step;
}

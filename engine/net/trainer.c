/* The trainer: a state machine over batches and epochs.  Its whole state beyond the weights is in `progress`, so that a
 * checkpoint is a copy of it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "net/checkpoint.h"
#include "net/evaluate.h"

#define EVALUATE_BATCH 256

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int check_options(const fit_options *o, error *e)
{
    if (o->epochs < 1 || o->epochs > 100000000)
        return error_set(e, PLN_E_INVALID, "fit: epochs must be from 1 to 100000000, not %lld", (long long)o->epochs);
    if (o->batch_size < 1 || o->batch_size > (1 << 24))
        return error_set(e, PLN_E_INVALID, "fit: batch_size must be from 1 to %d, not %lld", 1 << 24,
                         (long long)o->batch_size);
    if (o->initial_epoch < 0 || o->initial_epoch >= o->epochs)
        return error_set(e, PLN_E_INVALID, "fit: initial_epoch must be from 0 to %lld (epochs - 1), not %lld",
                         (long long)o->epochs - 1, (long long)o->initial_epoch);
    return PLN_OK;
}

static int open_parts(trainer *t, lanes *pool, error *e)
{
    const fit_options *o = &t->o;
    pln_slot target;
    int status = data_fits(t->m, o->train, e);
    if (status == PLN_OK)
        status = data_target(o->train, &target, e);
    if (status == PLN_OK && t->m->noutputs != 1)
        status = error_set(e, PLN_E_INVALID, "fit: the model has %d outputs; training wants one", t->m->noutputs);
    if (status == PLN_OK && t->m->ntrainable == 0)
        status = error_set(e, PLN_E_INVALID, "fit: the model has no parameter that can be trained");
    if (status != PLN_OK)
        return status;
    int64_t capacity = o->batch_size < o->train->count ? o->batch_size : o->train->count;
    plan_request q = {.m = t->m,
                      .r = t->r,
                      .mode = PLN_TRAIN,
                      .backward = 1,
                      .capacity = capacity,
                      .seed = o->seed,
                      .pool = pool,
                      .target = &target};
    if ((status = plan_build(&q, &t->p, e)) != PLN_OK)
        return status;
    if ((status = update_open(t->m, t->r, pool, &t->u, e)) != PLN_OK)
        return status;
    update_join(t->u, t->p);
    if (o->validation) {
        status = evaluator_open(t->m, t->r, o->validation, EVALUATE_BATCH, pool, &t->v, e);
        if (status != PLN_OK)
            error_prefix(e, "validation data: ");
    }
    return status;
}

static int find_rate(trainer *t)
{
    const plugin_head *head = t->r->optimizer.entry->head;
    for (uint32_t i = 0; i < head->noptions; i++)
        if (strcmp(options_at(head, i)->name, "learning_rate") == 0 && options_at(head, i)->type == PLN_REAL)
            return (int)options_at(head, i)->offset;
    return -1;
}

double trainer_rate(const trainer *t)
{
    double rate = 0;
    if (t->rate_offset >= 0)
        memcpy(&rate, (const char *)t->r->optimizer.opts.bytes + t->rate_offset, sizeof rate);
    return rate;
}

int trainer_open(model *m, recipe *r, const fit_options *o, lanes *pool, trainer **out, error *e)
{
    int status = check_options(o, e);
    if (status != PLN_OK)
        return status;
    trainer *t = calloc(1, sizeof *t);
    if (!t)
        return error_memory(e);
    t->m = model_keep(m);
    t->r = r;
    t->o = *o;
    t->key = random_key_make(o->seed, RANDOM_SHUFFLE, NULL);
    t->rate_offset = find_rate(t);
    status = open_parts(t, pool, e);
    for (int i = 0; i < r->nmetrics && status == PLN_OK; i++)
        if (!(t->cells[i] = calloc(t->p->ncells[i], sizeof(double))))
            status = error_memory(e);
    if (status != PLN_OK) {
        trainer_free(t);
        return status;
    }
    t->batches = (o->train->count + t->p->capacity - 1) / t->p->capacity;
    t->at.epoch = o->initial_epoch;
    *out = t;
    return PLN_OK;
}

void trainer_free(trainer *t)
{
    if (!t)
        return;
    for (int i = 0; i < RECIPE_METRICS; i++)
        free(t->cells[i]);
    if (t->v.p)
        evaluator_free(&t->v);
    update_free(t->u);
    plan_free(t->p);
    model_free(t->m);
    free(t->history);
    free(t);
}

/* ---- one batch ---- */

static void clear_sums(trainer *t)
{
    t->at.loss = 0;
    t->at.samples = 0;
    for (int i = 0; i < t->r->nmetrics; i++)
        memset(t->cells[i], 0, t->p->ncells[i] * sizeof(double));
}

static int nonfinite(const trainer *t, double loss, error *e)
{
    char rate[32];
    text_real(trainer_rate(t), rate);
    return error_set(e, PLN_E_NONFINITE,
                     "the loss became %s in epoch %lld, batch %lld of %lld (learning_rate %s); a smaller "
                     "learning_rate or clipping (global_clipnorm = 1) usually helps",
                     isnan(loss) ? "not a number (NaN)" : "infinite", (long long)t->at.epoch + 1,
                     (long long)t->at.batch + 1, (long long)t->batches, rate);
}

static int train_batch(trainer *t, error *e)
{
    const fit_options *o = &t->o;
    int64_t begin = t->at.batch * t->p->capacity, n = o->train->count - begin;
    if (n > t->p->capacity)
        n = t->p->capacity;
    plan_batch b = {.n = n,
                    .set = o->train,
                    .begin = begin,
                    .shuffled = o->shuffle,
                    .key = t->key,
                    .row = (uint64_t)t->at.epoch,
                    .class_weight = o->class_weight,
                    .nclass_weight = o->nclass_weight,
                    .sample_weight = o->sample_weight,
                    .step = t->at.step};
    int last = t->at.batch + 1 == t->batches; /* its gradient's norm is recorded with the epoch */
    update_begin(t->u, t->p, trainer_rate(t), t->at.step, last);
    int status = plan_run(t->p, &b, e);
    if (status != PLN_OK)
        return status;
    double loss = plan_loss(t->p, n);
    if (!isfinite(loss))
        return nonfinite(t, loss, e);
    status = update_end(t->u, t->p, last ? &t->grad_norm : NULL, e);
    if (status != PLN_OK)
        return status;
    t->at.loss += loss;
    t->at.samples += n;
    for (int i = 0; i < t->r->nmetrics; i++)
        plan_cells(t->p, i, n, t->cells[i]);
    t->at.batch++;
    t->at.step++;
    return PLN_OK;
}

/* ---- events ---- */

static void fill_event(const trainer *t, trainer_event *x, int kind)
{
    *x = (trainer_event){.kind = kind,
                         .epoch = t->at.epoch + 1,
                         .epochs = t->o.epochs,
                         .batch = t->at.batch,
                         .batches = t->batches,
                         .validating = t->validating,
                         .learning_rate = trainer_rate(t),
                         .grad_norm = t->grad_norm,
                         .step = t->at.step,
                         .val_loss = NAN};
    x->loss = t->at.samples ? t->at.loss / (double)t->at.samples : NAN;
    for (int i = 0; i < t->r->nmetrics; i++) {
        x->metrics[i] = t->at.samples ? metric_value(t->r, i, t->cells[i]) : NAN;
        x->val_metrics[i] = NAN;
    }
    double training = t->at.training + (t->validating ? 0 : now() - t->began);
    x->seconds = t->at.training + t->at.validation + (now() - t->began);
    x->images_per_second = training > 0 ? (double)t->at.samples / training : 0;
}

static int remember(trainer *t, const trainer_event *x, error *e)
{
    int64_t columns = TRAINER_COLUMNS(t->r->nmetrics), row = x->epoch - 1 - t->o.initial_epoch;
    if (row >= t->history_rows) {
        int64_t rows = t->history_rows ? 2 * t->history_rows : 16;
        double *grown = realloc(t->history, (size_t)(rows * columns) * sizeof *grown);
        if (!grown)
            return error_memory(e);
        t->history = grown;
        t->history_rows = rows;
    }
    double *at = t->history + row * columns;
    *at++ = x->loss;
    for (int i = 0; i < t->r->nmetrics; i++)
        *at++ = x->metrics[i];
    *at++ = x->val_loss;
    for (int i = 0; i < t->r->nmetrics; i++)
        *at++ = x->val_metrics[i];
    return PLN_OK;
}

static int end_epoch(trainer *t, trainer_event *x, error *e)
{
    fill_event(t, x, TRAINER_EPOCH);
    x->validating = 0;
    if (t->o.validation) {
        x->val_loss = t->v.loss / (double)t->o.validation->count;
        for (int i = 0; i < t->r->nmetrics; i++)
            x->val_metrics[i] = metric_value(t->r, i, t->v.cells[i]);
    }
    int status = remember(t, x, e);
    t->at = (progress){.epoch = t->at.epoch + 1, .step = t->at.step};
    t->validating = 0;
    clear_sums(t);
    return status;
}

static void begin_validation(trainer *t)
{
    double n = now();
    t->at.training += n - t->began;
    t->began = n;
    t->validating = 1;
    evaluator_begin(&t->v);
}

int trainer_next(trainer *t, int every_batch, double seconds, trainer_event *x, error *e)
{
    if (t->stopped || t->at.epoch >= t->o.epochs) {
        fill_event(t, x, TRAINER_DONE);
        return PLN_OK;
    }
    double start = t->began = now();
    for (;;) {
        int status, more = 1;
        if (!t->validating && t->at.batch == t->batches) {
            if (!t->o.validation)
                return end_epoch(t, x, e);
            begin_validation(t);
        }
        status = t->validating ? evaluator_next(&t->v, &more, e) : train_batch(t, e);
        if (status != PLN_OK)
            return status;
        if (!more)
            return end_epoch(t, x, e);
        if (t->validating || !every_batch) {
            if (now() - start < seconds)
                continue;
            fill_event(t, x, TRAINER_TICK);
        } else {
            fill_event(t, x, TRAINER_BATCH);
        }
        break;
    }
    *(t->validating ? &t->at.validation : &t->at.training) += now() - t->began;
    return PLN_OK;
}

void trainer_stop(trainer *t)
{
    t->stopped = 1;
}

int trainer_set(trainer *t, const option_value *value, error *e)
{
    return options_set(t->r->optimizer.entry->head, &t->r->optimizer.opts, value, e);
}

int64_t trainer_memory(const trainer *t)
{
    int64_t bytes = t->p->bytes + (t->v.p ? t->v.p->bytes : 0) + (t->m->nweights + t->m->ntrainable) * 4;
    for (int i = 0; i < t->u->nslots; i++)
        bytes += t->u->slots[i] ? t->m->ntrainable * 4 : 0;
    return bytes;
}

void trainer_digest(const trainer *t, char hex[HASH_HEX])
{
    hash h;
    hash_begin(&h);
    for (int i = 0; i < t->m->nparameters; i++)
        hash_bytes(&h, model_parameter(t->m, i), (size_t)t->m->parameters[i].size * sizeof(float));
    int64_t rows = t->at.epoch - t->o.initial_epoch, columns = TRAINER_COLUMNS(t->r->nmetrics);
    for (int64_t i = 0; i < rows * columns; i++)
        hash_real(&h, t->history[i]);
    hash_end(&h, hex);
}

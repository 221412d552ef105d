/* Training: what to train for (the recipe), and the trainer, a state machine.
 *
 * `trainer_next` works until something happened that the caller may want to know (a batch, a tick of the progress line, an
 * epoch, the end) and returns it as an event.  Callbacks, schedules, early stopping, pruning and Ctrl-C are the caller's,
 * between two calls, with no engine frame on the stack.
 *
 * Thread rule: one thread uses a trainer; the work itself runs on its lanes.
 */
#ifndef NET_TRAIN_H
#define NET_TRAIN_H

#include "base/lanes.h"
#include "data/dataset.h"
#include "net/model.h"

#define RECIPE_METRICS 16

/* What `compile` says.  Owned by the caller; entries and options are checked when it is made. */
typedef struct recipe_part {
    const plugin_entry *entry;
    options opts;
    char name[64]; /* the name the script used: "accuracy" */
} recipe_part;

typedef struct recipe {
    recipe_part optimizer, loss, metrics[RECIPE_METRICS];
    int nmetrics;
    double clipvalue, clipnorm, global_clipnorm; /* 0: off */
    char where[256];                             /* the script's line of compile */
} recipe;

/* Adds the parts.  `name` is the plugin's type; options as for a layer; clip options are taken out of the optimizer's.
 * A metric called as the loss's `metric` field calls it may be asked for as "accuracy" ("acc"). */
int recipe_optimizer(recipe *r, registry *plugins, const char *type, const option_value *v, int n, error *e);
int recipe_loss(recipe *r, registry *plugins, const char *type, const option_value *v, int n, error *e);
int recipe_metric(recipe *r, registry *plugins, const char *type, const option_value *v, int n,
                  error *e); /* after the loss */
void recipe_free(recipe *r);
json_t *recipe_json(const recipe *r);

typedef struct fit_options {
    const dataset *train;       /* kept alive by the caller */
    const dataset *validation;  /* or NULL */
    int64_t epochs, batch_size; /* >= 1 */
    uint64_t seed;
    int shuffle;
    int64_t initial_epoch;
    const float *class_weight; /* [nclasses] or NULL */
    int64_t nclass_weight;
    const float *sample_weight; /* [train->count] or NULL */
} fit_options;

enum { TRAINER_BATCH = 1, TRAINER_TICK, TRAINER_EPOCH, TRAINER_DONE };

/* One epoch's record, or how far the current one is. */
typedef struct trainer_event {
    int kind;
    int64_t epoch;                                /* 1-based */
    int64_t epochs, batch, batches;               /* batches done of batches */
    int validating;                               /* the tick is in the validation part */
    double loss, metrics[RECIPE_METRICS];         /* means over the samples of this epoch so far */
    double val_loss, val_metrics[RECIPE_METRICS]; /* EPOCH only; NaN without validation data */
    double learning_rate;
    double grad_norm;         /* EPOCH: global norm of the last batch's gradient */
    double seconds;           /* of this epoch so far, validation included */
    double images_per_second; /* training samples over the training part's time */
    uint64_t step;            /* batches done in all */
} trainer_event;

typedef struct trainer trainer;

/* Plans everything (memory included). The model's weights are trained in place; `pool`, `m` and `r` outlive the trainer. */
int trainer_open(model *m, recipe *r, const fit_options *o, lanes *pool, trainer **out, error *e);
void trainer_free(trainer *t);

/* Works until an event: a BATCH after each batch if `every_batch`, else a TICK after about `seconds`; an EPOCH when one is
 * finished; DONE when all are.  PLN_E_NONFINITE: the loss is no number any more (the message says which batch). */
int trainer_next(trainer *t, int every_batch, double seconds, trainer_event *event, error *e);

/* Between events: ends the training at this point (the next event is DONE). */
void trainer_stop(trainer *t);

/* Changes a live option of the optimizer ("learning_rate"). */
int trainer_set(trainer *t, const option_value *value, error *e);
double trainer_rate(const trainer *t);

/* The bytes of memory that the plans take, and the digest of weights and of all recorded metric bits so far. */
int64_t trainer_memory(const trainer *t);
void trainer_digest(const trainer *t, char hex[HASH_HEX]);

/* Everything that a resumed trainer needs beyond the model's graph: weights, optimizer slots, counters, running sums.  In a file
 * of safetensors, written atomically.  Restoring into a trainer of another shape is refused. */
int trainer_save(const trainer *t, const char *path, error *e);
int trainer_restore(trainer *t, const char *path, error *e);
/* The same, with bytes of the caller's in the same file (its own state; atomic together).  *extra is malloc'd, and NULL
 * when the file holds none or restoring failed. */
int trainer_save_with(const trainer *t, const void *extra, size_t count, const char *path, error *e);
int trainer_restore_with(trainer *t, const char *path, void **extra, size_t *count, error *e);

/* Where it stands: epochs finished, batches done in the current one, batches done in all. */
void trainer_position(const trainer *t, int64_t *epoch, int64_t *batch, uint64_t *step);

/* Loss and metrics of `m` on a data set. values[0] is the loss, then r's metrics. */
int evaluate(model *m, recipe *r, const dataset *set, int64_t batch_size, lanes *pool, double *values, error *e);

/* A predictor: an inference plan for up to `capacity` samples at a time. */
typedef struct predictor predictor;
int predictor_open(model *m, int64_t capacity, lanes *pool, predictor **out, error *e);
void predictor_free(predictor *p);
/* Runs samples which[0..n-1] of a set (n <= capacity); out receives [n, output size] floats. */
int predictor_run_set(predictor *p, const dataset *set, const int64_t *which, int64_t n, float *out, error *e);
/* Runs n samples given as float32 (in[i]: input i, [n, size]). */
int predictor_run(predictor *p, const float *const *in, int64_t n, float *out, error *e);

/* The memory that training with this recipe and batch size would take (weights, gradients, optimizer, activations), or
 * prediction when r is NULL, before anything is allocated (for print(model)). */
int plan_memory(model *m, recipe *r, int64_t batch_size, int64_t *bytes, error *e);

#endif

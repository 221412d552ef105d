/* The store: everything that is recorded, in one SQLite file.
 *
 * Nobody else in the engine speaks SQL; the store speaks plain records.  What is written is queued in memory and
 * committed by `store_flush`, which never waits unless told to: training goes on when somebody's shell holds the
 * file, and what could not be committed travels with the next flush, or at `store_close` into a file beside the
 * database that the next writer merges.  docs/schema.md describes the tables.
 *
 * Files beside the database PATH:
 *   PATH.lock   kernel locks (open file descriptions'): byte 0 is held during every write and checkpoint, byte ID
 *               by the process that records run ID, as long as it lives.  Never deleted.
 *   PATH.d/     a folder for each run, by its uuid, and spill/ for what could not be committed.
 *
 * Typical use:
 *
 *   store_open("perilune.db", STORE_WRITE, &s, e);
 *   store_launch_begin(s, &launch, e);
 *   recording_begin(s, &run, &r, e);                  no input or output yet: the run has a uuid, no number
 *   recording_param(r, "units", store_integer(128), "script", e);
 *   store_flush(s, 0, e);                             the run has a number now (unless PLN_E_BUSY)
 *   for each epoch: recording_epoch(r, &epoch, e), store_flush(s, 0, e);        PLN_E_BUSY is no failure
 *   recording_finish(r, &end, e), recording_close(r);
 *   store_launch_end(s, 0, NULL, e);
 *   store_close(s, 5000, e);
 *
 * Conventions.  Texts are UTF-8 (invalid bytes are recorded as U+FFFD); NULL is "not known".  Times are seconds since
 * 1970 UTC with milliseconds, 0 "not known" (`store_now` gives one).  Ids count from 1, 0 is "none".  A double that is
 * "not known" is NaN unless the record says otherwise.  Texts handed in are copied.  Texts inside results
 * belong to the result and live until it is freed.  NULL is a valid argument of every free and close.
 *
 * Thread rule: a store, its recordings and its results belong to one thread.  Two stores may be open in one process.
 * Fork rule: see store_suspend.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct store store;
typedef struct recording recording; /* a run that this process is recording */

#define STORE_UUID 37 /* 36 characters and the final zero */

/* ------------------------------------------------------------------------------------------ open and close */

enum {
    STORE_READ = 1,     /* reads only; the file must exist */
    STORE_WRITE = 2,    /* reads and writes; the file is created, older files are migrated (after a backup) */
    STORE_DURABLE = 4,  /* with STORE_WRITE: every commit reaches the disk (an fsync each) */
    STORE_ROLLBACK = 8, /* with STORE_WRITE: rollback journal, as chosen by itself on network file systems */
};

/* Opens the database at `path`.  For STORE_WRITE a file that somebody holds locked is no failure: the store opens, the
 * records wait, each flush tries again, and `store_notice` says so; reading answers PLN_E_BUSY until then.  Spilled
 * records of earlier processes are merged, and runs whose process is gone are marked lost.
 * PLN_E_MISSING: no such file (STORE_READ) or folder.  PLN_E_FORMAT: another program's database, no database, damaged,
 * or written by a newer Perilune (STORE_READ opens a newer one, with a notice).  PLN_E_IO: may not be written. */
int store_open(const char *path, int mode, store **out, error *e);

/* Commits what waits, for at most `wait_ms`, else spills it; checkpoints; frees all, in any case, and the recordings
 * too.  PLN_E_OK also when it was spilled (*e is then PLN_E_OK with the text that says where; empty otherwise).
 * A run that was not finished is left as it is: readers will see it as lost. */
int store_close(store *s, int wait_ms, error *e);

/* Commits all that waits in one transaction.  PLN_E_BUSY: somebody else holds the file even after `wait_ms`; all is
 * kept, try again later.  PLN_E_FULL: the disk is full (path and bytes in the text); all is kept.  Others: kept too. */
int store_flush(store *s, int wait_ms, error *e);

/* How many records wait for a commit. */
size_t store_pending(const store *s);

/* The next thing worth a line on the terminal (a merged spill, a network file system, a locked file), or NULL.  The
 * text lives until the next call. */
const char *store_notice(store *s);

/* The database's absolute path. */
const char *store_path(const store *s);

/* Before a fork: commits what waits (for at most wait_ms), closes the database, keeps the alive locks.  After the fork
 * the parent calls store_resume, and the child at once store_forget, which closes its copy of the locks, touches no
 * file, and frees the store.  Between suspend and resume records are queued, and reading answers PLN_E_BUSY. */
int store_suspend(store *s, int wait_ms, error *e);
int store_resume(store *s, error *e);
void store_forget(store *s);

/* Seconds since 1970, UTC, rounded to milliseconds. */
double store_now(void);

/* A random (version 4) uuid. */
int store_uuid(char uuid[STORE_UUID], error *e);

/* ------------------------------------------------------------------------------------------------- values */

enum { STORE_NULL, STORE_INTEGER, STORE_REAL, STORE_TEXT, STORE_BOOLEAN };

typedef struct store_value {
    int type;
    int64_t integer; /* STORE_INTEGER, STORE_BOOLEAN (0 or 1) */
    double real;     /* STORE_REAL */
    const char *text;
} store_value;

store_value store_integer(int64_t value);
store_value store_real(double value);
store_value store_text(const char *value);
store_value store_boolean(int value);

/* Equal in type and value; two NaN are equal. */
int store_value_equal(const store_value *a, const store_value *b);

typedef struct store_pair {
    const char *name, *value;
} store_pair;

/* A text with a name: a script, a required Lua module. */
typedef struct store_file {
    const char *name, *text;
    size_t bytes; /* of text; 0 with text: strlen */
} store_file;

/* ----------------------------------------------------------------------------------------------- launches */

/* One execution of a script.  A store records at most one launch at a time; its runs belong to it. */
typedef struct store_launch {
    store_file script;       /* name as the user wrote it; text NULL: typed into the REPL */
    const char *const *args; /* what came after -- */
    size_t arg_count;
    const char *folder;        /* working folder */
    const char *version;       /* of Perilune */
    const store_file *modules; /* Lua modules required so far (more: store_launch_module) */
    size_t module_count;
    int64_t resumes;       /* the launch that this one continues, 0: none */
    const char *overrides; /* JSON: what else the command line said ({"set": ["units=8"], "seed": 7}); NULL: nothing */
    /* Filled by reading: */
    int64_t id;
    const char *uuid, *host, *environment; /* environment: its hash */
    int64_t pid;
    const char *git_commit, *git_diff; /* git_diff: text, "" for a clean tree, NULL: not known */
    double started, ended;
    int64_t exit_status; /* -1: not known */
    const char *message;
} store_launch;

int store_launch_begin(store *s, const store_launch *launch, error *e);
const char *store_launch_uuid(const store *s); /* NULL before store_launch_begin */
int store_launch_module(store *s, const store_file *module, error *e);
/* Asked for after training has begun.  diff: of the dirty working tree, "" when clean. */
int store_launch_git(store *s, const char *commit, const char *diff, error *e);
/* CPU, cores, compiler, SIMD path, library versions …: stored once for each different list (sorted by name, hashed). */
int store_launch_environment(store *s, const store_pair *pairs, size_t count, error *e);
int store_launch_end(store *s, int exit_status, const char *message, error *e);

/* A launch that was recorded, with its script, modules and arguments.  PLN_E_MISSING: no such launch. */
typedef struct store_launch_detail {
    store_launch launch;
    void *memory;
} store_launch_detail;

int store_read_launch(store *s, int64_t id, store_launch_detail *out, error *e);
void store_launch_detail_free(store_launch_detail *detail);

/* The newest launch of the chain that goes on from this one (by `resumes`); `id` itself when none does. */
int store_newest_launch(store *s, int64_t id, int64_t *newest, error *e);

/* --------------------------------------------------------------------------------------------------- runs */

enum {
    STORE_QUEUED,
    STORE_RUNNING,
    STORE_DONE,
    STORE_PRUNED,
    STORE_FAILED,
    STORE_INTERRUPTED,
    STORE_LOST,
    STORE_CACHED,
    STORE_STATES
};
extern const char *const store_state_names[STORE_STATES + 1]; /* "queued" …; ended by NULL */

/* Is the process that records a run alive?  STORE_UNKNOWN: on another host, whose locks cannot be seen. */
enum { STORE_ALIVE = 1, STORE_GONE = 2, STORE_UNKNOWN = 3 };

/* One fit. */
typedef struct store_run {
    /* Read by recording_begin: */
    const char *experiment; /* name; NULL or "" is recorded as "default" */
    const char *name;       /* of the run; may be NULL */
    int64_t ordinal;        /* which fit of its launch, from 1 */
    int64_t sweep;          /* id, 0: none */
    int64_t trial;          /* number in its sweep (meant only with sweep) */
    int64_t seed, threads, batch_size, epochs_planned;
    int64_t parameters;      /* how many weights */
    const char *model;       /* JSON */
    const char *fingerprint; /* NULL: cannot be hashed */
    const char *inexact;     /* why it cannot be repeated bit by bit; NULL: it can */
    const char *score_name;  /* what `score` is: "val_accuracy"; NULL until known */
    const char *score_goal;  /* "max" or "min" */
    double created;          /* 0: now */
    /* Filled by reading: */
    int64_t id, launch, epochs_done, best_epoch, pid, line;
    int state; /* a running run whose process is gone reads as STORE_LOST */
    int alive; /* STORE_ALIVE, STORE_GONE, STORE_UNKNOWN */
    double score, started, finished;
    const char *uuid, *digest, *host, *message, *source;
} store_run;

/* How a run ended. */
typedef struct store_end {
    int state; /* STORE_DONE, STORE_PRUNED, STORE_FAILED, STORE_INTERRUPTED, STORE_CACHED */
    const char *message, *source;
    int64_t line;
    const char *digest;
    int64_t best_epoch; /* 0: keeps what the epochs said */
    double score;       /* NaN: keeps what the epochs said */
} store_end;

/* Columns of the table epochs, the order of store_epoch.value. */
enum {
    EPOCH_LOSS,
    EPOCH_ACCURACY,
    EPOCH_VAL_LOSS,
    EPOCH_VAL_ACCURACY,
    EPOCH_LEARNING_RATE,
    EPOCH_SECONDS,
    EPOCH_IMAGES_PER_SECOND,
    EPOCH_GRAD_NORM,
    EPOCH_MEMORY, /* bytes, peak */
    EPOCH_COLUMNS
};
extern const char *const store_epoch_names[EPOCH_COLUMNS + 1]; /* "loss" …; ended by NULL */

typedef struct store_metric {
    const char *name;
    int64_t step; /* for an epoch's custom metrics: the epoch */
    double value; /* NaN and infinity are kept */
} store_metric;

typedef struct store_epoch {
    int64_t epoch;               /* from 1 */
    uint32_t present;            /* bit 1u << EPOCH_x: value[EPOCH_x] was measured (be it NaN) */
    double value[EPOCH_COLUMNS]; /* NaN is recorded as NULL and named in the column nonfinite */
    double ended;                /* 0: now */
    int64_t best_epoch;          /* so far, 0: not known */
    double score;                /* so far; meant only with best_epoch */
} store_epoch;

/* Sets one value by its column's name.  Returns 1, or 0 when there is no such column: then it is a custom metric. */
int store_epoch_set(store_epoch *epoch, const char *name, double value);

typedef struct store_param {
    const char *name;
    store_value value;
    const char *source; /* "default", "script", "sweep", "command line" */
} store_param;

typedef struct store_evaluation {
    const char *dataset; /* as people call it: "mnist test" */
    const char *digest;  /* of the data set; may be NULL */
    const char *name;    /* of the metric */
    double value;
    double at; /* 0: now */
} store_evaluation;

/* A file in the run's folder. */
typedef struct store_artifact {
    const char *name;   /* within the run's folder; '/' allowed */
    const char *kind;   /* "checkpoint", "best", "final"; for artifacts any word */
    int64_t epoch;      /* checkpoints */
    int64_t bytes;      /* 0: asked of the file */
    const char *sha256; /* may be NULL */
    const char *path;   /* filled by reading: absolute */
    double at;          /* 0: now */
} store_artifact;

typedef struct store_plugin {
    const char *sha256, *file, *kind, *type, *version; /* kind "layer"…; type "Dense": the name it registers */
} store_plugin;

typedef struct store_dataset {
    const char *digest, *name, *role; /* role in this run: "train", "validation", "test" */
    int64_t samples, classes;
    const char *shape;  /* "28x28x1" */
    const char *origin; /* where it came from: a path, "drawn digits" */
} store_dataset;

typedef struct store_event {
    int64_t id;
    double at;
    const char *kind, *text;
} store_event;

/* Queues a new run; it has a uuid at once, its number with the first commit that succeeds.  State: running. */
int recording_begin(store *s, const store_run *run, recording **out, error *e);

/* Goes on with a run that is recorded already (same id and uuid, state running again).  PLN_E_BUSY: another process
 * is recording it, or somebody holds the file.  PLN_E_MISSING: no such run. */
int recording_resume(store *s, int64_t id, recording **out, error *e);
/* The same; `message` (or NULL) goes with the event "resumed". */
int recording_resume_with(store *s, int64_t id, const char *message, recording **out, error *e);

/* A run that has ended, to add what was found out later (evaluations, files, tags); its state stays.
 * PLN_E_MISSING: no such run. */
int recording_revisit(store *s, int64_t id, recording **out, error *e);

const char *recording_uuid(const recording *r);
int64_t recording_id(const recording *r); /* 0 before the first commit */

/* All of these queue a copy; each is an upsert by its key, so that a resumed run may say the same again. */
int recording_param(recording *r, const char *name, store_value value, const char *source, error *e);
int recording_epoch(recording *r, const store_epoch *epoch, error *e);
int recording_metric(recording *r, const store_metric *metric, error *e);
int recording_evaluation(recording *r, const store_evaluation *evaluation, error *e);
int recording_checkpoint(recording *r, const store_artifact *file, error *e);
int recording_artifact(recording *r, const store_artifact *file, error *e);
int recording_forget_file(recording *r, const char *name, error *e); /* the file is gone: its row goes too */
int recording_plugin(recording *r, const store_plugin *plugin, error *e);
int recording_dataset(recording *r, const store_dataset *dataset, error *e);
int recording_event(recording *r, const char *kind, const char *text, error *e);
int recording_log(recording *r, const char *stream, const char *text, error *e); /* captured output */
int recording_inexact(recording *r, const char *why, error *e);
int recording_tag(recording *r, const char *tag, error *e);
int recording_finish(recording *r, const store_end *end, error *e);

/* Gives the handle back; what is queued stays queued.  The alive lock goes once the run's end is committed, or here
 * when the run was not finished. */
void recording_close(recording *r);

/* The folder of a run's files, made when it is not there; *path is malloc'd and absolute. */
int store_run_folder(store *s, const char *uuid, char **path, error *e);

/* ------------------------------------------------------------------------------------- words from elsewhere */

/* These commit at once (waiting at most wait_ms for others). */
int store_request_stop(store *s, int64_t run, int wait_ms, error *e);
int store_tag(store *s, int64_t run, const char *tag, int wait_ms, error *e);
int store_untag(store *s, int64_t run, const char *tag, int wait_ms, error *e);
int store_note(store *s, int64_t run, const char *text, int wait_ms, error *e);
/* Removes the rows of a run (not its folder).  PLN_E_BUSY when a living process is recording it. */
int store_remove_run(store *s, int64_t run, int wait_ms, error *e);

/* Has somebody asked for this run to stop?  1 yes, 0 no (also when it cannot be known now).  A microsecond or two:
 * reads the table only when another process has committed something. */
int store_stop_requested(store *s, const recording *r);

/* What `predict` saw. */
typedef struct store_prediction {
    int64_t id, run;   /* run 0: a model file without one */
    const char *model; /* file or run that answered */
    const char *model_hash;
    const char *image, *image_hash;
    int64_t digit;
    double confidence;
    double probability[10];
    int64_t truth; /* -1: not known */
    int64_t microseconds;
    double at; /* 0: now */
} store_prediction;

int store_predict(store *s, const store_prediction *prediction, error *e); /* queued */

/* ------------------------------------------------------------------------------------------------- reading */

enum { STORE_NEWEST, STORE_BEST };

typedef struct store_filter {
    const char *experiment; /* name; NULL: all */
    int state;              /* STORE_DONE …; -1: all.  Lost ones are found as STORE_LOST though recorded running */
    int64_t launch, sweep;  /* 0: all */
    const char *tag;        /* NULL: all */
    int64_t limit;          /* 0: all */
    int order;              /* STORE_NEWEST; STORE_BEST: by score and its goal */
} store_filter;

/* A filter that lets everything through. */
store_filter store_filter_all(void);

typedef struct store_runs {
    size_t count;
    store_run *run;
    void *memory;
} store_runs;

int store_list_runs(store *s, const store_filter *filter, store_runs *out, error *e);
void store_runs_free(store_runs *runs);

/* Everything about one run. */
typedef struct store_detail {
    store_run run;
    store_launch launch; /* id 0: none recorded */
    store_param *param;
    store_epoch *epoch;
    store_evaluation *evaluation;
    store_artifact *checkpoint, *artifact;
    store_plugin *plugin;
    store_dataset *dataset;
    store_event *event;
    store_event *note; /* kind is "note" */
    store_pair *environment;
    const char **tag;
    const char **metric; /* names of its custom metrics; the values: store_read_metric */
    size_t params, epochs, evaluations, checkpoints, artifacts, plugins, datasets, events, notes, environments, tags,
        metrics;
    void *memory;
} store_detail;

int store_read_run(store *s, int64_t id, store_detail *out, error *e);
void store_detail_free(store_detail *detail);

/* The points of one custom metric, by step; *points is malloc'd (names are NULL). */
int store_read_metric(store *s, int64_t run, const char *name, store_metric **points, size_t *count, error *e);

/* The run that a word means: "7", a uuid or its beginning (8 characters or more), "last", "best", "best:EXPERIMENT".
 * PLN_E_MISSING names what was looked for and what there is. */
int store_find_run(store *s, const char *word, int64_t *id, error *e);

/* The newest finished run of this fingerprint; *id 0 when there is none. */
int store_find_fingerprint(store *s, const char *fingerprint, int64_t *id, error *e);

/* Is the process that records run `id` alive?  One of STORE_ALIVE, STORE_GONE, STORE_UNKNOWN; for a run that has
 * ended STORE_GONE. */
int store_run_alive(store *s, int64_t id);

typedef struct store_difference {
    const char *what; /* "run", "parameter", "environment", "script", "module", "plugin", "dataset" */
    const char *name;
    const char *a, *b; /* as text; NULL: only the other has it */
} store_difference;

typedef struct store_diff {
    size_t count;
    store_difference *difference;
    const char *script_a, *script_b; /* texts when they differ, else NULL */
    void *memory;
} store_diff;

/* What differs between two runs, sorted by what and name. */
int store_diff_runs(store *s, int64_t a, int64_t b, store_diff *out, error *e);
void store_diff_free(store_diff *diff);

#endif

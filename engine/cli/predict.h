/* predict.h: what `perilune predict` (and whatever else answers about pictures) is made of: which model is meant, and
 * one picture through it. */
#ifndef CLI_PREDICT_H
#define CLI_PREDICT_H

#include "base/text.h"
#include "cli/command.h"
#include "net/train.h"
#include "picture/normalise.h"
#include "store/store.h"

/* A model that answers. */
typedef struct answerer {
    char *file;  /* its weights */
    char *label; /* "run 7, mnist-cnn", or the file's name */
    int64_t run; /* 0: a file */
    model *net;
    predictor *plan;
    int64_t height, width, channels; /* of the pictures that it takes */
    int64_t outputs;
    int is_digits;       /* its classes are 0 .. 9, so that pictures are normalised as MNIST's */
    char hash[HASH_HEX]; /* of the file; "" until it is asked for */
} answerer;

/* Loads what a word means: a file, or a run ("7", "last", "best:mnist-cnn") of the database `s` (NULL: none is open). */
int answerer_open(store *s, registry *plugins, const char *word, answerer *out, error *e);

/* Without a word: the newest finished run whose weights are there and that takes pictures, else the model that comes with
 * the program.  PLN_E_MISSING says what to do. */
int answerer_open_default(store *s, registry *plugins, answerer *out, error *e);

void answerer_close(answerer *m);

/* The path of a run's weights that are there: the final ones, else the best, else those of an interruption; or NULL. */
const char *run_weights(const store_detail *d);

/* Is the word a file's name (rather than a run's)? */
int answerer_is_file(const char *word);

/* The name of class i; `number` is room for one that has none. */
const char *answerer_class(const answerer *m, int64_t i, char number[32]);

typedef struct answer {
    picture seen;         /* what the model saw */
    float *scores;        /* [outputs] */
    int64_t best;         /* the first of the largest */
    int probabilities;    /* the scores are shares of 1 */
    int64_t microseconds; /* of preparing and computing, the file's reading apart */
} answer;

/* Reads a PNG file and asks.  `raw`: resized only.  PLN_E_EMPTY: no digit found. */
int answer_make(answerer *m, const picture *p, int raw, answer *out, error *e);
void answer_free(answer *a);

/* An answer that waits to be recorded; model and image outlive it. */
typedef struct prediction {
    answerer *model;
    store_prediction row; /* hashes apart, which are computed when it is written */
} prediction;

typedef struct predictions {
    prediction *list; /* malloc'd */
    int count, room;
} predictions;

/* Notes an answer, if it is one about ten classes. */
int predictions_add(predictions *list, answerer *m, const char *image, const answer *v, error *e);

/* Writes them into the database at `path`, if there is one.  What goes wrong is a note on stderr: the answers were given. */
void predictions_write(const predictions *list, const char *path);

#endif

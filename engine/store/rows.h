/* Rows that wait for a commit.
 *
 * Whatever is recorded becomes rows of a few kinds; a kind is a name, the names of its cells and one SQL statement
 * with a parameter a cell.  The same rows are bound to statements by a flush and written as JSON lines by a spill, so
 * rows refer to runs and launches by uuid, never by number, and every statement may be executed twice. */
#ifndef STORE_ROWS_H
#define STORE_ROWS_H

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "store/store.h"

enum {
    ROW_EXPERIMENT,
    ROW_BLOB,
    ROW_LAUNCH,
    ROW_LAUNCH_MODULE,
    ROW_LAUNCH_GIT,
    ROW_ENVIRONMENT,
    ROW_LAUNCH_ENVIRONMENT,
    ROW_LAUNCH_END,
    ROW_RUN,
    ROW_RUN_INEXACT,
    ROW_RUN_END,
    ROW_PARAM,
    ROW_EPOCH,
    ROW_PROGRESS,
    ROW_METRIC_NAME,
    ROW_METRIC,
    ROW_EVALUATION,
    ROW_CHECKPOINT,
    ROW_CHECKPOINT_GONE,
    ROW_ARTIFACT,
    ROW_ARTIFACT_GONE,
    ROW_PLUGIN,
    ROW_RUN_PLUGIN,
    ROW_DATASET,
    ROW_RUN_DATASET,
    ROW_EVENT,
    ROW_LOG,
    ROW_TAG,
    ROW_UNTAG,
    ROW_NOTE,
    ROW_PREDICTION,
    ROW_KINDS
};

#define ROW_CELLS 26 /* the most that a kind has */

typedef struct row_kind {
    const char *name;
    const char *cell[ROW_CELLS + 1]; /* names; ended by NULL */
    const char *sql;                 /* one parameter a cell, in this order */
    int must_change;                 /* changing no row means that its run or launch is not there */
} row_kind;

extern const row_kind row_kinds[ROW_KINDS];
int row_kind_cells(int kind);

enum { CELL_NULL, CELL_INTEGER, CELL_REAL, CELL_TEXT, CELL_BYTES };

typedef struct cell {
    int type;
    int64_t integer;
    double real;
    const char *text; /* CELL_TEXT, CELL_BYTES: `length` bytes */
    size_t length;
} cell;

cell cell_null(void);
cell cell_integer(int64_t value);
cell cell_positive(int64_t value);                   /* NULL when it is not above 0 */
cell cell_real(double value);                        /* NaN is NULL */
cell cell_text(const char *value);                   /* NULL is NULL */
cell cell_at(double at, char out[32]);               /* a time; 0 is now; `out` must live until the row is pushed */
cell cell_content(const char *bytes, size_t length); /* CELL_TEXT when it is UTF-8, else CELL_BYTES */

typedef struct row {
    struct row *next;
    int kind;
    recording *subject; /* whose state follows from its commit; may be NULL */
    size_t bytes;
    cell cells[]; /* row_kind_cells(kind), their texts behind them */
} row;

/* A name that must be there: PLN_E_INVALID says that `what` has none. */
int record_need(const char *value, const char *what, error *e);

/* Queues a copy.  Texts that are no UTF-8 are cleaned. */
int row_push(store *s, int kind, recording *subject, const cell *cells, error *e);

/* Executes one row.  Returns SQLite's code. */
int row_execute(store *s, int kind, const cell *cells);

void rows_free(store *s);

#endif

/* run_words.h: a run as lists and headers tell it. */
#ifndef CLI_RUN_WORDS_H
#define CLI_RUN_WORDS_H

#include <jansson.h>

#include "cli/words.h"
#include "store/store.h"

/* "done"; "running?" where the process is on another host and nobody can tell. */
const char *run_state_name(const store_run *r);
int run_state_ink(const store_run *r); /* INK_* of table.h */

/* "3/5", or "" when nothing was planned. */
const char *run_epochs(const store_run *r, char out[WORDS]);

/* From its start to its end, or until now while it runs; NaN when not known. */
double run_seconds(const store_run *r, double now);

/* All fields (a new reference); NULL without memory. */
json_t *run_json(const store_run *r);

#endif

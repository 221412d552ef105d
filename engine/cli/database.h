/* database.h: the database that a command line means, opened with messages for people. */
#ifndef CLI_DATABASE_H
#define CLI_DATABASE_H

#include "cli/command.h"
#include "store/store.h"

#define DATABASE_OPTION                                                                                                \
    {                                                                                                                  \
        "db", "FILE", "the database (default: $PERILUNE_DB, else perilune.db)"                                         \
    }

#define DATABASE_WAIT 5000 /* milliseconds that a command which writes waits for others */

/* --db, else $PERILUNE_DB, else "perilune.db".  Argv's or the environment's own. */
const char *database_path(const arguments *a);

/* Opens it (STORE_READ or STORE_WRITE) and prints its notices on stderr.  A command never creates one: without a file
 * the message says how to make one.  CLI_DONE, or CLI_FAILED after saying why. */
int database_open(const arguments *a, int mode, store **s);

/* Closes a store that was written to; says what is to be said.  `status` is what the command has come to so far. */
int database_close(const arguments *a, store *s, int status);

/* database_open, and the run that the first word of the command line means ("last" when there is none). */
int database_open_run(const arguments *a, int mode, store **s, int64_t *id);

/* The run that a word means; CLI_DONE, or CLI_FAILED after saying why. */
int database_find_run(const arguments *a, store *s, const char *word, int64_t *id);

#endif

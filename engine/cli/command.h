/* command.h: the frame that all commands share.
 *
 * A command is data: its name, one line, its options, an example, and a function.  From this table come the parser,
 * `--help`, the suggestions for misspelled words, and the manual; so they cannot contradict each other.  To add
 * a command: write cli/NAME.c with a `const command command_NAME`, and add it to the list in commands.h.
 *
 *     static const cli_option options[] = {
 *         {"json", NULL, "print JSON instead of a table"},
 *         {"limit", "N", "at most N runs (default 20)"},
 *         {NULL, NULL, NULL}};
 *
 *     static int run(const arguments *a)
 *     {
 *         int64_t limit = 20;
 *         if (arguments_integer(a, "limit", 1, INT32_MAX, &limit))
 *             return CLI_MISUSED;                       // the message is out already
 *         ...
 *         return CLI_DONE;
 *     }
 *
 *     const command command_runs = {.name = "runs", .summary = "List recorded runs", .usage = "[options]", ...};
 *
 * Results go to stdout, everything else to stderr.  Nothing reads standard input unless told to.
 * Thread rule: one thread.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

/* Exit statuses of the program. */
enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_MISUSED = 2, CLI_INTERRUPTED = 130 };

/* An option "--name" or "--name ARGUMENT" (also "--name=ARGUMENT").  Every command has --help besides its own. */
typedef struct cli_option {
    const char *name;     /* without dashes */
    const char *argument; /* what follows, as shown in the help ("FILE"); NULL: a switch */
    const char *help;     /* one line, lower case, no full stop */
} cli_option;

struct command;

/* A parsed command line.  All texts are argv's own. */
typedef struct arguments {
    const struct command *command;
    int noptions;
    const struct {
        const cli_option *option;
        const char *value; /* NULL for a switch */
    } * options;           /* [noptions], in the order given */
    int nwords;
    char *const *words; /* [nwords], ended by NULL: everything that is no option */
    int nrest;
    char *const *rest; /* [nrest], ended by NULL: what follows "--" */
} arguments;

typedef struct command {
    const char *name;
    const char *summary;            /* one line for the list of commands: "List recorded runs" */
    const char *usage;              /* what follows the name: "SCRIPT [options] [-- ARGUMENTS]" */
    const char *text;               /* what it does, in paragraphs, wrapped by the writer; or NULL */
    const cli_option *options;      /* ended by a NULL name; NULL: none of its own */
    const char *example;            /* lines without indentation, e.g. "perilune run xor.lua --seed 7" */
    int min_words, max_words;       /* how many words are allowed; -1: any number */
    int (*run)(const arguments *a); /* returns CLI_* */
} command;

/* Was the option given?  `name` must be one of the command's. */
int arguments_given(const arguments *a, const char *name);

/* The argument of the option (the last one counts), or NULL when it was not given. */
const char *arguments_text(const arguments *a, const char *name);

/* The n-th argument (from 0) of an option that may be repeated, or NULL when there are no more. */
const char *arguments_nth(const arguments *a, const char *name, int n);

/* Reads the option's argument as a number of lo .. hi into *value, which is left alone when it was not given.
 * 0, or CLI_MISUSED after saying what is wrong. */
int arguments_integer(const arguments *a, const char *name, int64_t lo, int64_t hi, int64_t *value);
int arguments_real(const arguments *a, const char *name, double lo, double hi, double *value);

/* Says "perilune CMD: message" on stderr and returns CLI_FAILED. */
int command_fail(const command *c, const char *format, ...) ERROR_FORMAT(2, 3);
int command_error(const command *c, const error *e);

/* The same with a pointer to --help; returns CLI_MISUSED. */
int command_misuse(const command *c, const char *format, ...) ERROR_FORMAT(2, 3);

/* Parses the words after the command's name and runs it; --help is answered here. Returns CLI_*. */
int command_run_words(const command *c, int argc, char *const *argv);

/* Usage, text, options and example. */
void command_help(const command *c, FILE *out);

#endif

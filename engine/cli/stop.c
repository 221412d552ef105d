/* perilune stop: a word to a run that another process is recording. */
#include "cli/database.h"

static const cli_option options[] = {DATABASE_OPTION, {NULL, NULL, NULL}};

static int run(const arguments *a)
{
    error e;
    store *s = NULL;
    int64_t id = 0;
    int status = database_open_run(a, STORE_WRITE, &s, &id);
    if (!status && store_run_alive(s, id) == STORE_GONE)
        status = command_fail(a->command, "run %lld is not running", (long long)id);
    if (!status && store_request_stop(s, id, DATABASE_WAIT, &e) != PLN_E_OK)
        status = command_error(a->command, &e);
    if (!status)
        printf("run %lld will finish its batch, save its weights, and stop\n", (long long)id);
    return database_close(a, s, status);
}

const command command_stop = {
    .name = "stop",
    .summary = "Ask a running run to save and stop",
    .usage = "RUN [options]",
    .text = "Like Ctrl-C in the terminal in which it runs.",
    .options = options,
    .example = "perilune stop last",
    .min_words = 1,
    .max_words = 1,
    .run = run,
};

/* perilune run: executes a script. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "script/script.h"

static const cli_option options[] = {
    {"set", "NAME=VALUE", "overrides lab.param(NAME, ...); may be repeated"},
    {"seed", "N", "overrides the script's seed"},
    {"threads", "N", "how many threads train (default: all cores)"},
    {"db", "FILE", "the database (default: $PERILUNE_DB, else perilune.db)"},
    {"plugins", "FOLDERS", "where plugins are looked for first, separated by ':'"},
    {"quiet", NULL, "no progress on stderr"},
    {NULL, NULL, NULL},
};

static int run(const arguments *a)
{
    int64_t seed = 0, threads = 0;
    script_settings s = {.script = a->words[0],
                         .args = a->rest,
                         .nargs = a->nrest,
                         .database = arguments_text(a, "db"),
                         .plugins = arguments_text(a, "plugins"),
                         .has_seed = arguments_given(a, "seed"),
                         .quiet = arguments_given(a, "quiet")};
    if (arguments_integer(a, "seed", 0, INT64_MAX, &seed) || arguments_integer(a, "threads", 1, 256, &threads))
        return CLI_MISUSED;
    if (access(s.script, R_OK) != 0)
        return command_fail(a->command, "cannot read the script '%s'", s.script);
    const char **sets = calloc((size_t)a->noptions + 1, sizeof *sets);
    if (!sets)
        return command_fail(a->command, "out of memory");
    int status = CLI_DONE;
    for (int i = 0; (sets[i] = arguments_nth(a, "set", i)); i++)
        if (!strchr(sets[i], '=') || *sets[i] == '=')
            status = command_misuse(a->command, "--set wants NAME=VALUE, got '%s'", sets[i]);
    s.sets = sets;
    s.seed = (uint64_t)seed;
    s.threads = (int)threads;
    if (status == CLI_DONE)
        status = script_run(&s);
    free(sets);
    return status;
}

const command command_run = {
    .name = "run",
    .summary = "Run an experiment, a Lua script",
    .usage = "SCRIPT [options] [-- ARGUMENTS]",
    .text = "Runs the script and records every fit in it.  What follows -- is the script's own (arg, ...).  Progress "
            "goes to\n"
            "stderr; Ctrl-C finishes the batch, saves, and marks the run interrupted; a second one quits.",
    .options = options,
    .example = "perilune run experiments/mnist_cnn.lua --set learning_rate=0.01 --seed 7",
    .min_words = 1,
    .max_words = 1,
    .run = run,
};

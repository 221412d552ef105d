/* perilune tag: words to find runs by. */
#include "cli/database.h"

static const cli_option options[] = {
    {"remove", NULL, "take these tags away instead"},
    DATABASE_OPTION,
    {NULL, NULL, NULL},
};

static int run(const arguments *a)
{
    error e;
    store *s = NULL;
    int64_t id = 0;
    int status = database_open_run(a, STORE_WRITE, &s, &id), remove = arguments_given(a, "remove");
    for (int i = 1; i < a->nwords && !status; i++)
        if ((remove ? store_untag : store_tag)(s, id, a->words[i], DATABASE_WAIT, &e) != PLN_E_OK)
            status = command_error(a->command, &e);
    return database_close(a, s, status);
}

const command command_tag = {
    .name = "tag",
    .summary = "Put words on a run, to find it by",
    .usage = "RUN WORD... [options]",
    .text = "'perilune runs --tag WORD' lists the runs that have it.",
    .options = options,
    .example = "perilune tag best:mnist-cnn baseline",
    .min_words = 2,
    .max_words = -1,
    .run = run,
};

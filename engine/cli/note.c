/* perilune note: what a person has to say about a run. */
#include "base/text.h"
#include "cli/database.h"

static const cli_option options[] = {DATABASE_OPTION, {NULL, NULL, NULL}};

static int run(const arguments *a)
{
    error e;
    text words = {0};
    store *s = NULL;
    int64_t id = 0;
    int status = database_open_run(a, STORE_WRITE, &s, &id);
    for (int i = 1; i < a->nwords; i++)
        text_format(&words, "%s%s", i > 1 ? " " : "", a->words[i]);
    if (!status && words.failed)
        status = command_fail(a->command, "out of memory");
    if (!status && store_note(s, id, words.bytes, DATABASE_WAIT, &e) != PLN_E_OK)
        status = command_error(a->command, &e);
    text_free(&words);
    return database_close(a, s, status);
}

const command command_note = {
    .name = "note",
    .summary = "Write a note to a run",
    .usage = "RUN TEXT... [options]",
    .text = "Notes stand in 'perilune show RUN' and in the table notes.",
    .options = options,
    .example = "perilune note 7 'the first one that beats the dense net'",
    .min_words = 2,
    .max_words = -1,
    .run = run,
};

/* perilune rm: takes runs away, rows and files; shows first what would go. */
#include <stdlib.h>

#include "cli/database.h"
#include "cli/run_files.h"
#include "cli/words.h"

static const cli_option options[] = {
    {"yes", NULL, "remove them; without it, they are only listed"},
    DATABASE_OPTION,
    {NULL, NULL, NULL},
};

static int remove_run(const arguments *a, store *s, const store_run *r)
{
    error e;
    char size[WORDS];
    int64_t files = 0;
    char *folder = run_files_folder(s, r->uuid);
    if (!folder)
        return command_fail(a->command, "out of memory");
    int64_t bytes = run_files_size(folder, &files);
    int status = PLN_E_OK, yes = arguments_given(a, "yes");
    if (yes)
        status = store_remove_run(s, r->id, DATABASE_WAIT, &e);
    if (yes && status == PLN_E_OK)
        status = run_files_remove(folder, &e);
    if (status == PLN_E_OK)
        printf("%srun %lld   %s   %lld epochs   %lld file%s, %s\n", yes ? "removed: " : "", (long long)r->id,
               r->experiment ? r->experiment : "", (long long)r->epochs_done, (long long)files, files == 1 ? "" : "s",
               words_bytes(bytes, size));
    free(folder);
    return status == PLN_E_OK ? CLI_DONE : command_error(a->command, &e);
}

static int run(const arguments *a)
{
    error e;
    store *s = NULL;
    int status = database_open(a, STORE_WRITE, &s);
    for (int i = 0; i < a->nwords && !status; i++) {
        int64_t id = 0;
        store_detail d = {0};
        status = database_find_run(a, s, a->words[i], &id);
        if (!status && store_read_run(s, id, &d, &e) != PLN_E_OK)
            status = command_error(a->command, &e);
        if (!status)
            status = remove_run(a, s, &d.run);
        store_detail_free(&d);
    }
    if (!status && !arguments_given(a, "yes"))
        puts("nothing was removed; add --yes to remove these for good");
    return database_close(a, s, status);
}

const command command_rm = {
    .name = "rm",
    .summary = "Remove runs, their rows and their files",
    .usage = "RUN... [options]",
    .text = "Lists what would go; --yes removes it for good.  A run that is being recorded is left alone.",
    .options = options,
    .example = "perilune rm 3 4\nperilune rm 3 4 --yes",
    .min_words = 1,
    .max_words = -1,
    .run = run,
};

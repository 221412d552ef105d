/* perilune gc: takes away files that belong to no run any more. */
#include "cli/database.h"
#include "cli/run_files.h"
#include "cli/words.h"

static const cli_option options[] = {
    {"yes", NULL, "remove them; without it, they are only listed"},
    DATABASE_OPTION,
    {NULL, NULL, NULL},
};

static int run(const arguments *a)
{
    error e;
    store *s = NULL;
    char size[WORDS], **list = NULL;
    int64_t files = 0, total = 0;
    int count = 0, yes = arguments_given(a, "yes");
    int status = database_open(a, STORE_WRITE, &s);
    if (!status && run_files_orphans(s, &list, &e) != PLN_E_OK)
        status = command_error(a->command, &e);
    for (char **path = list; path && *path && !status; path++, count++) {
        int64_t bytes = run_files_size(*path, &files);
        total += bytes;
        printf("%s   %lld file%s, %s\n", *path, (long long)files, files == 1 ? "" : "s", words_bytes(bytes, size));
        if (yes && run_files_remove(*path, &e) != PLN_E_OK)
            status = command_error(a->command, &e);
    }
    if (!status && !count)
        puts("no files without a run");
    else if (!status)
        printf("%s%s%s\n", yes ? "removed " : "", words_bytes(total, size),
               yes ? "" : " could be freed; add --yes to remove these folders for good");
    run_files_free(list);
    return database_close(a, s, status);
}

const command command_gc = {
    .name = "gc",
    .summary = "Remove files that belong to no run any more",
    .usage = "[options]",
    .text = "Runs that were removed from the database by hand leave their folders behind, in DATABASE.d.  Lists these\n"
            "folders; --yes removes them.  Folders that were changed within the last hour are left alone.",
    .options = options,
    .example = "perilune gc --yes",
    .min_words = 0,
    .max_words = 0,
    .run = run,
};

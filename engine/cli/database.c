/* Opening the database for a command. */
#include "cli/database.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *database_path(const arguments *a)
{
    const char *path = arguments_text(a, "db"), *variable = getenv("PERILUNE_DB");
    return path ? path : variable && *variable ? variable : "perilune.db";
}

static void print_notices(const arguments *a, store *s)
{
    const char *line;
    for (int i = 0; i < 10 && (line = store_notice(s)); i++)
        fprintf(stderr, "perilune %s: %s\n", a->command->name, line);
}

int database_open(const arguments *a, int mode, store **s)
{
    error e;
    const char *path = database_path(a);
    *s = NULL;
    if (access(path, F_OK) != 0)
        return command_fail(a->command,
                            "there is no database '%s'; 'perilune run SCRIPT' makes one, and --db FILE or $PERILUNE_DB "
                            "names another",
                            path);
    if (store_open(path, mode, s, &e) != PLN_E_OK)
        return command_error(a->command, &e);
    print_notices(a, *s);
    return CLI_DONE;
}

int database_close(const arguments *a, store *s, int status)
{
    error e = {0};
    if (!s)
        return status;
    if (store_close(s, DATABASE_WAIT, &e) != PLN_E_OK)
        return command_error(a->command, &e);
    if (e.text[0])
        fprintf(stderr, "perilune %s: %s\n", a->command->name, e.text);
    return status;
}

int database_find_run(const arguments *a, store *s, const char *word, int64_t *id)
{
    error e;
    return store_find_run(s, word, id, &e) == PLN_E_OK ? CLI_DONE : command_error(a->command, &e);
}

int database_open_run(const arguments *a, int mode, store **s, int64_t *id)
{
    int status = database_open(a, mode, s);
    return status ? status : database_find_run(a, *s, a->nwords ? a->words[0] : "last", id);
}

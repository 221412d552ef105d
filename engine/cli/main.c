/* The program: finds the command and runs it. */
#include <string.h>

#include "base/text.h"
#include "cli/commands.h"

#define COMMANDS_ENTRY(name) &command_##name,
static const command *const commands[] = {COMMANDS(COMMANDS_ENTRY) NULL};

static void help(FILE *out)
{
    fputs("Perilune: experiments with neural networks.  Layers are plugins, experiments are Lua programs, and every\n"
          "epoch is a row in an SQLite file.\n\n"
          "usage: perilune COMMAND [arguments]\n\n",
          out);
    for (const command *const *c = commands; *c; c++)
        fprintf(out, "  %-10s  %s\n", (*c)->name, (*c)->summary);
    fputs("\n'perilune COMMAND --help' shows a command's options and an example; 'perilune --version' the version.\n",
          out);
}

static const command *find(const char *name)
{
    for (const command *const *c = commands; *c; c++)
        if (!strcmp((*c)->name, name))
            return *c;
    return NULL;
}

static int unknown(const char *word)
{
    const char *names[sizeof commands / sizeof *commands] = {NULL};
    for (size_t i = 0; commands[i]; i++)
        names[i] = commands[i]->name;
    const char *near = text_nearest(word, names);
    size_t n = strlen(word);
    if (n > 4 && !strcmp(word + n - 4, ".lua"))
        fprintf(stderr, "perilune: '%s' is no command; 'perilune run %s' runs a script\n", word, word);
    else if (near)
        fprintf(stderr, "perilune: '%s' is no command (did you mean '%s'?)\n", word, near);
    else
        fprintf(stderr, "perilune: '%s' is no command; 'perilune --help' lists them\n", word);
    return CLI_MISUSED;
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "--help";
    if (!strcmp(word, "--help") || !strcmp(word, "-h") || (!strcmp(word, "help") && argc < 3)) {
        help(stdout);
        return CLI_DONE;
    }
    if (!strcmp(word, "--version")) {
        puts("perilune " PERILUNE_VERSION);
        return CLI_DONE;
    }
    int wants_help = !strcmp(word, "help");
    if (wants_help)
        word = argv[2];
    const command *c = find(word);
    if (!c)
        return unknown(word);
    if (wants_help) {
        command_help(c, stdout);
        return CLI_DONE;
    }
    return command_run_words(c, argc - 2, argv + 2);
}

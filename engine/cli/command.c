/* The frame of all commands: parsing, help and complaints, from each command's table. */
#include "cli/command.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static const cli_option help_option = {"help", NULL, "show this help"};

typedef struct given {
    const cli_option *option;
    const char *value;
} given;

static void say(const command *c, const char *format, va_list list)
{
    fprintf(stderr, "perilune %s: ", c->name);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
}

int command_fail(const command *c, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    say(c, format, list);
    va_end(list);
    return CLI_FAILED;
}

int command_error(const command *c, const error *e)
{
    return command_fail(c, "%s", e->text);
}

int command_misuse(const command *c, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    say(c, format, list);
    va_end(list);
    fprintf(stderr, "'perilune %s --help' shows how it is used.\n", c->name);
    return CLI_MISUSED;
}

/* ------------------------------------------------------------------------------------------------ the help ---- */

static void help_options(const cli_option *options, int width, FILE *out)
{
    char left[96];
    for (const cli_option *o = options; o && o->name; o++) {
        snprintf(left, sizeof left, "--%s%s%s", o->name, o->argument ? " " : "", o->argument ? o->argument : "");
        fprintf(out, "  %-*s  %s\n", width, left, o->help);
    }
}

static int option_width(const cli_option *options, int width)
{
    for (const cli_option *o = options; o && o->name; o++) {
        int w = 2 + (int)strlen(o->name) + (o->argument ? 1 + (int)strlen(o->argument) : 0);
        if (w > width)
            width = w;
    }
    return width;
}

void command_help(const command *c, FILE *out)
{
    const cli_option always[] = {help_option, {NULL, NULL, NULL}};
    int width = option_width(c->options, 6);
    fprintf(out, "usage: perilune %s %s\n\n%s.\n", c->name, c->usage, c->summary);
    if (c->text)
        fprintf(out, "\n%s\n", c->text);
    fprintf(out, "\noptions:\n");
    help_options(c->options, width, out);
    help_options(always, width, out);
    if (c->example) {
        fprintf(out, "\nexample:\n");
        for (const char *line = c->example; *line;) {
            size_t n = strcspn(line, "\n");
            fprintf(out, "  %.*s\n", (int)n, line);
            line += n + (line[n] == '\n');
        }
    }
}

/* --------------------------------------------------------------------------------------------- the parser ---- */

static const cli_option *find_option(const command *c, const char *name, size_t length)
{
    for (const cli_option *o = c->options; o && o->name; o++)
        if (strlen(o->name) == length && !memcmp(o->name, name, length))
            return o;
    return length == 4 && !memcmp(name, "help", 4) ? &help_option : NULL;
}

static int unknown_option(const command *c, const char *name, size_t length)
{
    const char *names[128];
    char word[128];
    int n = 0;
    names[n++] = "help";
    for (const cli_option *o = c->options; o && o->name && n < 126; o++)
        names[n++] = o->name;
    names[n] = NULL;
    snprintf(word, sizeof word, "%.*s", (int)(length < 100 ? length : 100), name);
    const char *near = text_nearest(word, names);
    return near ? command_misuse(c, "unknown option '--%s' (did you mean '--%s'?)", word, near)
                : command_misuse(c, "unknown option '--%s'", word);
}

/* Reads one option at argv[*i], perhaps with the word after it. */
static int parse_option(const command *c, int argc, char *const *argv, int *i, given *g)
{
    const char *word = argv[*i];
    if (word[1] != '-') {
        if (!strcmp(word, "-h")) {
            g->option = &help_option;
            return CLI_DONE;
        }
        return command_misuse(c, "unknown option '%s' (options are written out, such as --help)", word);
    }
    const char *name = word + 2, *equals = strchr(name, '=');
    size_t length = equals ? (size_t)(equals - name) : strlen(name);
    const cli_option *o = find_option(c, name, length);
    if (!o)
        return unknown_option(c, name, length);
    if (!o->argument && equals)
        return command_misuse(c, "option '--%s' takes no argument, got '%s'", o->name, equals + 1);
    if (o->argument && !equals && *i + 1 >= argc)
        return command_misuse(c, "option '--%s' needs an argument: --%s %s", o->name, o->name, o->argument);
    g->option = o;
    g->value = !o->argument ? NULL : equals ? equals + 1 : argv[++*i];
    return CLI_DONE;
}

static int check_words(const command *c, int n, char *const *words)
{
    if (n < c->min_words)
        return command_misuse(c,
                              n == 0 ? "an argument is missing: perilune %s %s" : "too few arguments: perilune %s %s",
                              c->name, c->usage);
    if (c->max_words >= 0 && n > c->max_words)
        return command_misuse(c, "'%s' is one argument too many", words[c->max_words]);
    return CLI_DONE;
}

int command_run_words(const command *c, int argc, char *const *argv)
{
    int status = CLI_FAILED, nwords = 0, ngiven = 0, help = 0, i = 0;
    given *options = calloc((size_t)argc + 1, sizeof *options);
    char **words = calloc((size_t)argc + 1, sizeof *words);
    if (!options || !words) {
        command_fail(c, "out of memory");
        goto fail;
    }
    for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (argv[i][0] != '-' || !argv[i][1]) { /* "-" alone is a word */
            words[nwords++] = argv[i];
            continue;
        }
        status = parse_option(c, argc, argv, &i, &options[ngiven]);
        if (status)
            goto fail;
        help |= options[ngiven++].option == &help_option;
    }
    if (help) {
        command_help(c, stdout);
        status = CLI_DONE;
        goto fail;
    }
    status = check_words(c, nwords, words);
    if (status)
        goto fail;
    i += i < argc; /* the "--" itself */
    arguments a = {c, ngiven, (const void *)options, nwords, words, argc - i, argv + i};
    status = c->run(&a);
fail:
    free(options);
    free(words);
    return status;
}

/* --------------------------------------------------------------------------------------------- the answers ---- */

const char *arguments_nth(const arguments *a, const char *name, int n)
{
    for (int i = 0; i < a->noptions; i++)
        if (!strcmp(a->options[i].option->name, name) && n-- == 0)
            return a->options[i].value;
    return NULL;
}

const char *arguments_text(const arguments *a, const char *name)
{
    for (int i = a->noptions - 1; i >= 0; i--)
        if (!strcmp(a->options[i].option->name, name))
            return a->options[i].value;
    return NULL;
}

int arguments_given(const arguments *a, const char *name)
{
    for (int i = 0; i < a->noptions; i++)
        if (!strcmp(a->options[i].option->name, name))
            return 1;
    return 0;
}

int arguments_integer(const arguments *a, const char *name, int64_t lo, int64_t hi, int64_t *value)
{
    const char *s = arguments_text(a, name);
    int64_t v = 0;
    if (!s)
        return CLI_DONE;
    if (text_parse_integer(s, &v) == 0)
        return command_misuse(a->command, "--%s wants an integer, got '%s'", name, s);
    if (v < lo || v > hi)
        return command_misuse(a->command, "--%s wants an integer from %lld to %lld, got %s", name, (long long)lo,
                              (long long)hi, s);
    *value = v;
    return CLI_DONE;
}

int arguments_real(const arguments *a, const char *name, double lo, double hi, double *value)
{
    const char *s = arguments_text(a, name);
    double v = 0;
    if (!s)
        return CLI_DONE;
    if (text_parse_real(s, &v) == 0)
        return command_misuse(a->command, "--%s wants a number, got '%s'", name, s);
    if (!(v >= lo && v <= hi)) {
        char low[32], high[32];
        return command_misuse(a->command, "--%s wants a number from %s to %s, got %s", name, text_real(lo, low),
                              text_real(hi, high), s);
    }
    *value = v;
    return CLI_DONE;
}

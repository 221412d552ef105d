/* perilune export: a run's weights as a file for elsewhere. */
#include <jansson.h>
#include <sys/stat.h>

#include "cli/database.h"
#include "cli/predict.h"
#include "cli/words.h"
#include "net/weights.h"

static const cli_option own_options[] = {
    {"output", "FILE", "the safetensors file to write (default EXPERIMENT-RUN.safetensors)"},
    {"plugins", "FOLDERS", "where plugins are looked for first, separated by ':'"},
    DATABASE_OPTION,
    {NULL, NULL, NULL},
};

static int write_model(const arguments *a, const store_detail *d, const char *from)
{
    error e;
    registry *plugins = NULL;
    model *m = NULL;
    text name = {0};
    char size[WORDS];
    struct stat st = {0};
    const char *path = arguments_text(a, "output");
    text_format(&name, "%s-%lld.safetensors", d->run.experiment ? d->run.experiment : "run", (long long)d->run.id);
    for (char *c = name.bytes; c && *c; c++)
        if (*c == '/')
            *c = '-';
    path = path ? path : name.bytes;
    json_t *extra =
        json_pack("{ss* ss* ss*}", "run", d->run.uuid, "experiment", d->run.experiment, "digest", d->run.digest);
    if (!extra || !path) {
        json_decref(extra);
        text_free(&name);
        return command_fail(a->command, "out of memory");
    }
    int status = registry_open(arguments_text(a, "plugins"), &plugins, &e);
    if (status == PLN_E_OK)
        status = model_load(plugins, from, &m, &e);
    if (status == PLN_E_OK)
        status = model_save(m, path, extra, &e);
    if (status == PLN_E_OK && stat(path, &st) == 0)
        printf("%s   %s   run %lld, %s\n", path, words_bytes(st.st_size, size), (long long)d->run.id,
               d->run.experiment ? d->run.experiment : "");
    model_free(m);
    registry_free(plugins);
    json_decref(extra);
    text_free(&name);
    return status == PLN_E_OK ? CLI_DONE : command_error(a->command, &e);
}

static int run(const arguments *a)
{
    error e;
    store *s = NULL;
    store_detail d = {0};
    int64_t id = 0;
    int status = database_open_run(a, STORE_READ, &s, &id);
    if (!status && store_read_run(s, id, &d, &e) != PLN_E_OK)
        status = command_error(a->command, &e);
    const char *from = status ? NULL : run_weights(&d);
    if (!status && !from)
        status = command_fail(a->command, "run %lld has no weights any more (or never finished)", (long long)id);
    if (!status)
        status = write_model(a, &d, from);
    store_detail_free(&d);
    store_close(s, 0, NULL);
    return status;
}

const command command_export = {
    .name = "export",
    .summary = "Write a run's trained model to a safetensors file",
    .usage = "RUN [options]",
    .text = "The file holds weights and architecture, and is all that 'perilune predict --model FILE', nn.load in a\n"
            "script, and other programs that read safetensors need.",
    .options = own_options,
    .example = "perilune export best:mnist-cnn --output digits.safetensors",
    .min_words = 1,
    .max_words = 1,
    .run = run,
};

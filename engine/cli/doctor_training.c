/* A small net trained on drawn digits, twice, as any script is: from Lua down to the database, with one thread and with
 * two.  Both must learn, and come to the same bits. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/doctor.h"
#include "cli/run_files.h"
#include "script/script.h"
#include "store/store.h"

#define LEARNED 0.6 /* of the validation digits; a tenth would be guessing */

static const char script[] = "local lab = require 'perilune'\n"
                             "local nn = lab.nn\n"
                             "lab.experiment { name = 'doctor', seed = 1 }\n"
                             "local model = nn.Sequential {\n"
                             "   nn.Input { 28, 28, 1 },\n"
                             "   nn.Conv2D { filters = 4, kernel_size = 3 },\n"
                             "   nn.Flatten {},\n"
                             "   nn.Dense { units = 32, activation = 'relu' },\n"
                             "   nn.Dropout { rate = 0.1 },\n"
                             "   nn.Dense { units = 10, activation = 'softmax' },\n"
                             "}\n"
                             "model:compile {\n"
                             "   optimizer = lab.optim.Adam { learning_rate = 3e-3 },\n"
                             "   loss = 'sparse_categorical_crossentropy', metrics = { 'accuracy' },\n"
                             "}\n"
                             "model:fit { lab.data.digits { count = 1500, seed = 1 }, validation_split = 1 / 5,\n"
                             "   epochs = 3, batch_size = 20 }\n";

static int write_script(const char *path, error *e)
{
    FILE *f = fopen(path, "we");
    if (!f)
        return error_system(e, errno, "cannot write %s", path);
    int ok = fputs(script, f) != EOF;
    return fclose(f) == 0 && ok ? PLN_E_OK : error_system(e, errno, "cannot write %s", path);
}

static int train(const char *folder, const char *plugins, int threads)
{
    char path[256], database[256];
    snprintf(path, sizeof path, "%s/doctor.lua", folder);
    snprintf(database, sizeof database, "%s/doctor.db", folder);
    script_settings s = {.script = path, .database = database, .plugins = plugins, .threads = threads, .quiet = 1};
    return script_run(&s);
}

/* The two runs as they were recorded. */
static void judge(findings *f, const char *folder, double seconds)
{
    error e;
    char database[256];
    store *s = NULL;
    store_runs runs = {0};
    store_filter all = store_filter_all();
    snprintf(database, sizeof database, "%s/doctor.db", folder);
    int status = store_open(database, STORE_READ, &s, &e);
    if (status == PLN_E_OK)
        status = store_list_runs(s, &all, &runs, &e);
    if (status == PLN_E_OK && runs.count != 2)
        status = error_set(&e, PLN_E_FORMAT, "two runs should be recorded, got %zu", runs.count);
    const store_run *r = runs.run;
    if (status != PLN_E_OK)
        finding_add(f, FINDING_BAD, "training", NULL, "%s", e.text);
    else if (!(r[0].score >= LEARNED))
        finding_add(f, FINDING_BAD, "training", "0.6 or better", "accuracy %.3f on drawn digits", r[0].score);
    else if (!r[0].digest || !r[1].digest || strcmp(r[0].digest, r[1].digest) != 0)
        finding_add(f, FINDING_BAD, "training", "the same bits", "1 and 2 threads came to different results");
    else
        finding_add(f, FINDING_GOOD, "training", NULL,
                    "accuracy %.3f on drawn digits, the same bits with 1 and 2 threads, %.1f s", r[0].score, seconds);
    store_runs_free(&runs);
    store_close(s, 0, NULL);
}

static double now_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void doctor_training(findings *f, const char *plugins)
{
    error e;
    char folder[128], path[256];
    const char *temporary = getenv("TMPDIR");
    double began = now_seconds();
    snprintf(folder, sizeof folder, "%.80s/perilune-doctor-XXXXXX", temporary && *temporary ? temporary : "/tmp");
    if (!mkdtemp(folder)) {
        error_system(&e, errno, "cannot make a folder in %s", temporary && *temporary ? temporary : "/tmp");
        finding_add(f, FINDING_BAD, "training", NULL, "%s", e.text);
        return;
    }
    snprintf(path, sizeof path, "%s/doctor.lua", folder);
    if (write_script(path, &e) != PLN_E_OK)
        finding_add(f, FINDING_BAD, "training", NULL, "%s", e.text);
    else if (train(folder, plugins, 1) != 0 || train(folder, plugins, 2) != 0)
        finding_add(f, FINDING_BAD, "training", NULL, "training a small net failed; the reason stands above");
    else
        judge(f, folder, now_seconds() - began);
    if (run_files_remove(folder, &e) != PLN_E_OK)
        finding_add(f, FINDING_NOTE, "training", NULL, "%s", e.text);
}

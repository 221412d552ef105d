/* Finding the model that answers, and asking it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/predict.h"
#include "net/picture_input.h"
#include "net/weights.h"

#ifndef PERILUNE_SHARE_DIR
#define PERILUNE_SHARE_DIR "/usr/local/share/perilune"
#endif
#define PRETRAINED "cnn.safetensors" /* experiments/pretrained */

/* ------------------------------------------------------------------------------------------- the model ---- */

static int read_shape(answerer *m, error *e)
{
    picture_input in;
    int status = model_picture_input(m->net, &in, e);
    if (status != PLN_E_OK) {
        error_prefix(e, "%s: ", m->file);
        return status;
    }
    m->height = in.height;
    m->width = in.width;
    m->channels = in.channels;
    m->is_digits = in.digit;
    const pln_slot *out = model_slot(m->net, m->net->outputs[0]);
    m->outputs = 1;
    for (uint32_t i = 1; i < out->rank; i++)
        m->outputs *= out->shape[i];
    return PLN_E_OK;
}

static int load(answerer *m, registry *plugins, error *e)
{
    if (!m->file || !m->label)
        return error_memory(e);
    int status = model_load(plugins, m->file, &m->net, e);
    if (status == PLN_E_OK)
        status = read_shape(m, e);
    if (status != PLN_E_OK)
        return status;
    return predictor_open(m->net, 1, NULL, &m->plan, e);
}

void answerer_close(answerer *m)
{
    predictor_free(m->plan);
    model_free(m->net);
    free(m->file);
    free(m->label);
    *m = (answerer){0};
}

const char *answerer_class(const answerer *m, int64_t i, char number[32])
{
    if (i < m->net->nclasses)
        return m->net->classes[i];
    snprintf(number, 32, "%lld", (long long)i);
    return number;
}

/* ------------------------------------------------------------------------------------------ finding it ---- */

int answerer_is_file(const char *word)
{
    const char *end = strrchr(word, '.');
    return strchr(word, '/') != NULL || (end && !strcmp(end, ".safetensors"));
}

static int open_file(registry *plugins, const char *path, const char *label, answerer *out, error *e)
{
    *out = (answerer){0};
    if (access(path, F_OK) != 0)
        return error_set(e, PLN_E_MISSING, "there is no model file '%s'", path);
    out->file = text_copy(path);
    out->label = text_copy(label);
    int status = load(out, plugins, e);
    if (status != PLN_E_OK)
        answerer_close(out);
    return status;
}

const char *run_weights(const store_detail *d)
{
    static const char *const kinds[] = {"final", "best", "interrupted"};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (size_t i = d->checkpoints; i-- > 0;)
            if (d->checkpoint[i].kind && !strcmp(d->checkpoint[i].kind, kinds[k]) &&
                access(d->checkpoint[i].path, R_OK) == 0)
                return d->checkpoint[i].path;
    return NULL;
}

static int open_run(store *s, registry *plugins, int64_t id, answerer *out, error *e)
{
    store_detail d = {0};
    text label = {0};
    *out = (answerer){.run = id};
    int status = store_read_run(s, id, &d, e);
    if (status != PLN_E_OK)
        return status;
    const char *path = run_weights(&d);
    text_format(&label, "run %lld, %s", (long long)id, d.run.experiment ? d.run.experiment : "?");
    out->label = label.bytes;
    out->file = text_copy(path);
    status = path ? load(out, plugins, e)
                  : error_set(e, PLN_E_MISSING,
                              "run %lld has no weights any more (or never finished); 'perilune runs' lists others",
                              (long long)id);
    store_detail_free(&d);
    if (status != PLN_E_OK)
        answerer_close(out);
    return status;
}

int answerer_open(store *s, registry *plugins, const char *word, answerer *out, error *e)
{
    int64_t id = 0;
    *out = (answerer){0};
    const char *slash = strrchr(word, '/');
    if (answerer_is_file(word) || (!s && access(word, F_OK) == 0))
        return open_file(plugins, word, slash ? slash + 1 : word, out, e);
    int status = store_find_run(s, word, &id, e);
    return status == PLN_E_OK ? open_run(s, plugins, id, out, e) : status;
}

/* The newest runs are tried, as many as there is a point in. */
static int open_newest(store *s, registry *plugins, answerer *out, error *e)
{
    store_runs runs = {0};
    store_filter filter = store_filter_all();
    filter.state = STORE_DONE;
    filter.limit = 100;
    int status = store_list_runs(s, &filter, &runs, e);
    int found = 0;
    for (size_t i = 0; i < runs.count && status == PLN_E_OK && !found; i++)
        found = open_run(s, plugins, runs.run[i].id, out, NULL) == PLN_E_OK;
    store_runs_free(&runs);
    return status == PLN_E_OK && !found ? PLN_E_MISSING : status;
}

/* The model that comes with the program: beside it where it was built, or installed. */
static int find_pretrained(char path[4096])
{
    char self[2048];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = 0;
    if (strrchr(self, '/'))
        *strrchr(self, '/') = 0;
    snprintf(path, 4096, "%s/experiments/pretrained/%s", self, PRETRAINED);
    if (access(path, R_OK) == 0)
        return 1;
    snprintf(path, 4096, "%s/pretrained/%s", PERILUNE_SHARE_DIR, PRETRAINED);
    return access(path, R_OK) == 0;
}

int answerer_open_default(store *s, registry *plugins, answerer *out, error *e)
{
    char path[4096];
    *out = (answerer){0};
    int status = s ? open_newest(s, plugins, out, e) : PLN_E_MISSING;
    if (status != PLN_E_MISSING)
        return status;
    if (find_pretrained(path))
        return open_file(plugins, path, "a net that comes with Perilune", out, e);
    return error_set(e, PLN_E_MISSING,
                     "there is no model to ask: no finished run here has weights.  Train one with "
                     "'perilune run experiments/mnist_cnn.lua', or name a file with --model FILE.safetensors");
}

/* ------------------------------------------------------------------------------------------- the answer ---- */

static int64_t now_microseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int are_probabilities(const float *scores, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!(scores[i] >= 0 && scores[i] <= 1))
            return 0;
        sum += scores[i];
    }
    return n > 1 && fabs(sum - 1) < 1e-3;
}

static int compute(answerer *m, answer *out, error *e)
{
    int64_t n = m->height * m->width * m->channels;
    float *input = calloc((size_t)n, sizeof *input);
    out->scores = calloc((size_t)m->outputs, sizeof *out->scores);
    if (!input || !out->scores) {
        free(input);
        return error_memory(e);
    }
    for (int64_t i = 0; i < n; i++)
        input[i] = (float)(out->seen.pixels[i] * (1.0 / 255)); /* as data sets of bytes are scaled */
    const float *in[] = {input};
    int status = predictor_run(m->plan, in, 1, out->scores, e);
    free(input);
    for (int64_t i = 1; status == PLN_E_OK && i < m->outputs; i++)
        if (out->scores[i] > out->scores[out->best])
            out->best = i;
    out->probabilities = status == PLN_E_OK && are_probabilities(out->scores, m->outputs);
    return status;
}

int answer_make(answerer *m, const picture *p, int raw, answer *out, error *e)
{
    int64_t began = now_microseconds();
    *out = (answer){0};
    int status = picture_make(m->width, m->height, (int)m->channels, &out->seen, e);
    if (status == PLN_E_OK)
        status = picture_sample(p, m->height, m->width, m->channels, !raw && m->is_digits, out->seen.pixels, NULL, e);
    if (status == PLN_E_OK)
        status = compute(m, out, e);
    out->microseconds = now_microseconds() - began;
    if (status != PLN_E_OK)
        answer_free(out);
    return status;
}

void answer_free(answer *a)
{
    picture_free(&a->seen);
    free(a->scores);
    *a = (answer){0};
}

/* libperilune: the engine behind perilune.h, for other programs. */
#include "perilune/perilune.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/picture_input.h"
#include "net/train.h"
#include "net/weights.h"
#include "picture/png.h"

#define BATCH 64

struct pln_model {
    registry *plugins;
    model *m;
    predictor *one, *many; /* made when first asked for */
};

static _Thread_local error last;

const char *pln_version(void)
{
    return PLN_VERSION;
}

const char *pln_message(void)
{
    return last.text;
}

pln_model *pln_model_load(const char *path, const char *plugins)
{
    pln_model *x = calloc(1, sizeof *x);
    if (!x) {
        error_memory(&last);
        return NULL;
    }
    if (registry_open(plugins, &x->plugins, &last) != PLN_OK || model_load(x->plugins, path, &x->m, &last) != PLN_OK) {
        pln_model_free(x);
        return NULL;
    }
    return x;
}

void pln_model_free(pln_model *x)
{
    if (!x)
        return;
    predictor_free(x->one);
    predictor_free(x->many);
    model_free(x->m);
    registry_free(x->plugins);
    free(x);
}

static int64_t elements(const pln_slot *s)
{
    int64_t n = 1;
    for (uint32_t i = 1; i < s->rank; i++)
        n *= s->shape[i];
    return n;
}

int64_t pln_model_input_size(const pln_model *x, int input)
{
    return input < 0 || input >= x->m->ninputs ? 0 : elements(model_slot(x->m, x->m->inputs[input]));
}

int64_t pln_model_output_size(const pln_model *x)
{
    return elements(model_slot(x->m, x->m->outputs[0]));
}

const char *pln_model_class(const pln_model *x, int64_t index)
{
    return index < 0 || index >= x->m->nclasses ? NULL : x->m->classes[index];
}

static int predict_block(pln_model *x, const float *const *in, int64_t from, int64_t n, float *out)
{
    const float *at[MODEL_PORTS];
    predictor **p = n == 1 ? &x->one : &x->many;
    if (!*p && predictor_open(x->m, n == 1 ? 1 : BATCH, NULL, p, &last) != PLN_OK)
        return last.status;
    for (int i = 0; i < x->m->ninputs; i++)
        at[i] = in[i] + from * pln_model_input_size(x, i);
    return predictor_run(*p, at, n, out + from * pln_model_output_size(x), &last);
}

int pln_model_predict(pln_model *x, const float *const *in, int64_t count, float *out)
{
    for (int64_t from = 0; from < count; from += BATCH) {
        int status = predict_block(x, in, from, count - from < BATCH ? count - from : BATCH, out);
        if (status != PLN_OK)
            return status;
    }
    return PLN_OK;
}

static int read_sample(const pln_model *x, const char *path, uint8_t *bytes)
{
    picture_input in;
    picture p = {0};
    int status = model_picture_input(x->m, &in, &last);
    if (status != PLN_OK || (status = picture_read(path, &p, &last)) != PLN_OK)
        return status;
    status = picture_sample(&p, in.height, in.width, in.channels, in.digit, bytes, NULL, &last);
    if (status != PLN_OK)
        error_prefix(&last, "%s: ", path);
    picture_free(&p);
    return status;
}

int pln_model_predict_png(pln_model *x, const char *path, float *out)
{
    int64_t n = pln_model_input_size(x, 0);
    uint8_t *bytes = malloc((size_t)n + 1);
    float *numbers = malloc(((size_t)n + 1) * sizeof *numbers);
    int status = bytes && numbers ? read_sample(x, path, bytes) : error_memory(&last);
    if (status == PLN_OK) {
        for (int64_t i = 0; i < n; i++)
            numbers[i] = (float)bytes[i] / 255.0f;
        status = pln_model_predict(x, (const float *const[]){numbers}, 1, out);
    }
    free(bytes);
    free(numbers);
    return status;
}

int64_t pln_best(const float *scores, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (scores[i] > scores[best])
            best = i;
    return best;
}

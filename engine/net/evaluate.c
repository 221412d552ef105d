/* Evaluating and predicting: inference plans over a model's weights. */
#include "net/evaluate.h"

#include <stdlib.h>
#include <string.h>

/* ---- does a data set fit a model? ---- */

static void column_text(const column *c, char *out, size_t size)
{
    pln_slot s = {.rank = c->rank + 1, .shape = {PLN_BATCH}};
    memcpy(s.shape + 1, c->shape, sizeof(int64_t) * c->rank);
    model_shape_text(&s, out, size);
}

static int input_fits(const pln_slot *want, const column *have)
{
    if (want->rank != have->rank + 1)
        return 0;
    for (uint32_t i = 0; i < have->rank; i++)
        if (want->shape[i + 1] != have->shape[i])
            return 0;
    return want->dtype == PLN_I32 ? have->dtype == PLN_I32 : have->dtype != PLN_I32;
}

int data_fits(const model *m, const dataset *set, error *e)
{
    const storage_parts *parts = dataset_parts(set);
    if (set->count < 1)
        return error_set(e, PLN_E_EMPTY, "the data set %s has no samples", parts->name);
    if (parts->ninputs != m->ninputs)
        return error_set(e, PLN_E_INVALID, "the data set %s gives %d input%s, the model takes %d", parts->name,
                         parts->ninputs, parts->ninputs == 1 ? "" : "s", m->ninputs);
    for (int i = 0; i < m->ninputs; i++) {
        const pln_slot *want = model_slot(m, m->inputs[i]);
        char a[128], b[128];
        if (input_fits(want, &parts->inputs[i]))
            continue;
        column_text(&parts->inputs[i], a, sizeof a);
        model_shape_text(want, b, sizeof b);
        const char *words = want->dtype == PLN_I32 || parts->inputs[i].dtype == PLN_I32
                                ? " (one holds integers, the other real numbers)"
                                : "";
        return error_set(e, PLN_E_INVALID, "input %d of the data set %s has shape %s, the model's Input wants %s%s",
                         i + 1, parts->name, a, b, words);
    }
    return PLN_OK;
}

int data_target(const dataset *set, pln_slot *target, error *e)
{
    const storage_parts *parts = dataset_parts(set);
    if (!parts->has_target)
        return error_set(e, PLN_E_INVALID, "the data set %s has no targets to learn from", parts->name);
    const column *c = &parts->target;
    *target = (pln_slot){.dtype = c->dtype == PLN_I32 ? PLN_I32 : PLN_F32, .rank = c->rank + 1, .shape = {PLN_BATCH}};
    memcpy(target->shape + 1, c->shape, sizeof(int64_t) * c->rank);
    return PLN_OK;
}

/* ---- evaluation, a batch at a time ---- */

int evaluator_open(model *m, recipe *r, const dataset *set, int64_t batch_size, lanes *pool, evaluator *v, error *e)
{
    pln_slot target;
    *v = (evaluator){.set = set, .r = r};
    int status = data_fits(m, set, e);
    if (status == PLN_OK)
        status = data_target(set, &target, e);
    if (status != PLN_OK)
        return status;
    int64_t capacity = batch_size < set->count ? batch_size : set->count;
    plan_request q = {.m = m, .r = r, .mode = PLN_INFER, .capacity = capacity, .pool = pool, .target = &target};
    if ((status = plan_build(&q, &v->p, e)) != PLN_OK)
        return status;
    for (int i = 0; i < r->nmetrics; i++)
        if (!(v->cells[i] = calloc(v->p->ncells[i], sizeof(double)))) {
            evaluator_free(v);
            return error_memory(e);
        }
    return PLN_OK;
}

void evaluator_free(evaluator *v)
{
    for (int i = 0; i < RECIPE_METRICS; i++)
        free(v->cells[i]);
    plan_free(v->p);
    *v = (evaluator){0};
}

void evaluator_begin(evaluator *v)
{
    v->done = 0;
    v->loss = 0;
    for (int i = 0; i < v->r->nmetrics; i++)
        memset(v->cells[i], 0, v->p->ncells[i] * sizeof(double));
}

int evaluator_next(evaluator *v, int *more, error *e)
{
    int64_t n = v->set->count - v->done < v->p->capacity ? v->set->count - v->done : v->p->capacity;
    plan_batch b = {.n = n, .set = v->set, .begin = v->done};
    int status = plan_run(v->p, &b, e);
    if (status != PLN_OK)
        return status;
    v->loss += plan_loss(v->p, n);
    for (int i = 0; i < v->r->nmetrics; i++)
        plan_cells(v->p, i, n, v->cells[i]);
    v->done += n;
    *more = v->done < v->set->count;
    return PLN_OK;
}

double metric_value(const recipe *r, int i, const double *cells)
{
    const pln_metric *type = (const pln_metric *)(const void *)r->metrics[i].entry->head;
    return type->result(r->metrics[i].opts.bytes, cells);
}

int evaluate(model *m, recipe *r, const dataset *set, int64_t batch_size, lanes *pool, double *values, error *e)
{
    evaluator v;
    int status = evaluator_open(m, r, set, batch_size, pool, &v, e), more = 1;
    if (status != PLN_OK)
        return status;
    evaluator_begin(&v);
    while (more && status == PLN_OK)
        status = evaluator_next(&v, &more, e);
    values[0] = v.loss / (double)set->count;
    for (int i = 0; i < r->nmetrics; i++)
        values[i + 1] = metric_value(r, i, v.cells[i]);
    evaluator_free(&v);
    return status;
}

/* ---- prediction ---- */

struct predictor {
    plan *p;
    int64_t size; /* elements of one prediction */
};

int predictor_open(model *m, int64_t capacity, lanes *pool, predictor **out, error *e)
{
    predictor *p = calloc(1, sizeof *p);
    if (!p)
        return error_memory(e);
    plan_request q = {.m = m, .mode = PLN_INFER, .capacity = capacity, .pool = pool};
    int status = plan_build(&q, &p->p, e);
    if (status != PLN_OK) {
        free(p);
        return status;
    }
    const pln_slot *s = model_slot(m, m->outputs[0]);
    p->size = 1;
    for (uint32_t i = 1; i < s->rank; i++)
        p->size *= s->shape[i];
    *out = p;
    return PLN_OK;
}

void predictor_free(predictor *p)
{
    if (!p)
        return;
    plan_free(p->p);
    free(p);
}

static int predict(predictor *p, const plan_batch *b, float *out, error *e)
{
    if (b->n < 1 || b->n > p->p->capacity)
        return error_set(e, PLN_E_INVALID, "a prediction takes 1 to %lld samples at once, got %lld",
                         (long long)p->p->capacity, (long long)b->n);
    int status = plan_run(p->p, b, e);
    if (status == PLN_OK)
        memcpy(out, plan_output(p->p, 0), (size_t)(b->n * p->size) * sizeof *out);
    return status;
}

int predictor_run_set(predictor *p, const dataset *set, const int64_t *which, int64_t n, float *out, error *e)
{
    int status = data_fits(p->p->m, set, e);
    return status == PLN_OK ? predict(p, &(plan_batch){.n = n, .set = set, .which = which}, out, e) : status;
}

int predictor_run(predictor *p, const float *const *in, int64_t n, float *out, error *e)
{
    return predict(p, &(plan_batch){.n = n, .in = in}, out, e);
}

int plan_memory(model *m, recipe *r, int64_t batch_size, int64_t *bytes, error *e)
{
    const pln_slot target = {.dtype = PLN_F32, .rank = 1, .shape = {PLN_BATCH}};
    plan_request q = {.m = m,
                      .r = r,
                      .mode = r ? PLN_TRAIN : PLN_INFER,
                      .backward = r != NULL,
                      .capacity = batch_size,
                      .dry = 1,
                      .target = &target};
    plan *p;
    int status = plan_build(&q, &p, e);
    if (status != PLN_OK)
        return status;
    *bytes = p->bytes + m->nweights * 4;
    if (r) {
        const pln_optimizer *o = (const pln_optimizer *)(const void *)r->optimizer.entry->head;
        uint32_t used = o->uses ? o->uses(r->optimizer.opts.bytes) : ~0u;
        for (int i = 0; o->slots && o->slots[i]; i++)
            *bytes += used >> i & 1 ? m->ntrainable * 4 : 0;
        *bytes += m->ntrainable * 4;
    }
    plan_free(p);
    return PLN_OK;
}

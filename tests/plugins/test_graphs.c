/* Graphs that are more than a chain, trained for a few steps:
 *
 *   - the gradients that a plan computes, against differences of its loss
 *   - the same digest at 1, 2, 3, 7 and 64 lanes, and when restored from a checkpoint in the middle of an epoch
 *   - the same digest whether gradients are updated inside of a product or after the whole backward pass
 *   - the same predictions one by one and in batches, from a copy of the graph, and for every output */
#include "graph_models.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "net/evaluate.h"
#include "net/weights.h"

#define SAMPLES 75 /* with batches of 16: a tail of 11 */
#define BATCH   16

static registry *plugins;

static recipe recipe_with(const graph *g, const char *optimizer, const option_value *v, int n)
{
    recipe r = {0};
    DONE(recipe_optimizer(&r, plugins, optimizer, v, n, &why));
    DONE(recipe_loss(&r, plugins, g->loss, NULL, 0, &why));
    return r;
}

static recipe recipe_of(const graph *g)
{
    return recipe_with(g, "Adam", (const option_value[]){REAL("learning_rate", 0.01)}, 1);
}

/* ---- gradients ---- */

#define PROBES 24 /* elements of a parameter that are differentiated */

typedef struct probe {
    plan *p;
    plan_batch b;
} probe;

static double mean_loss(const probe *x)
{
    DONE(plan_run(x->p, &x->b, &why));
    return plan_loss(x->p, x->b.n) / (double)x->b.n;
}

static double central(const probe *x, float *w, float h)
{
    const float old = *w;
    *w = old + h;
    const double hi = mean_loss(x), up = *w;
    *w = old - h;
    const double lo = mean_loss(x), down = *w;
    *w = old;
    return (hi - lo) / (up - down);
}

/* Differences at two step sizes, extrapolated (Richardson); the loss is float32 inside, so that about 1e-5 is noise. */
static double difference(const probe *x, float *w)
{
    return (4 * central(x, w, 1e-2f) - central(x, w, 2e-2f)) / 3;
}

static void check_parameter(const graph *g, const probe *x, int index, const float *gradients)
{
    const parameter *q = &x->p->m->parameters[index];
    float *w = model_parameter(x->p->m, index);
    double most = 0;
    for (int64_t i = 0; i < q->size; i++)
        most = fmax(most, fabs((double)gradients[q->offset + i]));
    if (most == 0)
        fail_msg("%s: %s has no gradient at all", g->name, q->name);
    for (int64_t k = 0; k < PROBES && k < q->size; k++) {
        const int64_t i =
            q->size <= PROBES ? k : (int64_t)(random_bits((random_key){{3, 4}}, 0, (uint64_t)k) % (uint64_t)q->size);
        const double is = gradients[q->offset + i], wanted = difference(x, w + i);
        if (!(fabs(is - wanted) <= 2e-3 * most + 6e-5))
            fail_msg("%s: gradient %lld of %s (layer %d) is %.6g, by differences %.6g; the largest is %.6g", g->name,
                     (long long)i, q->name, q->layer, is, wanted, most);
    }
}

static void check_gradients(const graph *g)
{
    model *m = graph_model(plugins, g, 2);
    dataset *set = graph_data(g, SAMPLES);
    recipe r = recipe_of(g);
    pln_slot target;
    probe x = {.b = {.n = 11, .set = set, .begin = 3, .step = 5}};
    DONE(data_target(set, &target, &why));
    plan_request q = {
        .m = m, .r = &r, .mode = PLN_TRAIN, .backward = 1, .capacity = BATCH, .seed = 4, .target = &target};
    DONE(plan_build(&q, &x.p, &why));
    mean_loss(&x);
    float *gradients = malloc((size_t)m->ntrainable * sizeof *gradients);
    assert_non_null(gradients);
    memcpy(gradients, x.p->gradients, (size_t)m->ntrainable * sizeof *gradients);
    const int unread = strcmp(g->name, "several outputs") == 0 ? m->nparameters - 2 : m->nparameters;
    assert_int_equal(m->noutputs, g->outputs);
    for (int i = 0; i < m->nparameters; i++)
        if (m->parameters[i].trainable && i < unread)
            check_parameter(g, &x, i, gradients);
    for (int i = unread; i < m->nparameters; i++) /* nobody trains the second output */
        for (int64_t k = 0; k < m->parameters[i].size; k++)
            assert_true(gradients[m->parameters[i].offset + k] == 0);
    free(gradients);
    plan_free(x.p);
    recipe_free(&r);
    graph_data_free(set);
    model_free(m);
}

static void gradients_agree_with_differences(void **state)
{
    (void)state;
    for (int i = 0; i < NGRAPHS; i++)
        check_gradients(&GRAPHS[i]);
}

/* ---- training ---- */

typedef struct training {
    model *m;
    dataset *set;
    recipe r;
    trainer *t;
} training;

/* With Adam, or with the recipe that is in x already. */
static void begin_training(training *x, const graph *g, uint64_t seed, lanes *pool)
{
    x->m = graph_model(plugins, g, seed);
    x->set = graph_data(g, SAMPLES);
    if (!x->r.optimizer.entry)
        x->r = recipe_of(g);
    fit_options o = {.train = x->set, .validation = x->set, .epochs = 3, .batch_size = BATCH, .seed = 9, .shuffle = 1};
    DONE(trainer_open(x->m, &x->r, &o, pool, &x->t, &why));
}

static void end_training(training *x)
{
    trainer_free(x->t);
    recipe_free(&x->r);
    graph_data_free(x->set);
    model_free(x->m);
}

static void digest_at(const graph *g, int count, char hex[HASH_HEX])
{
    lanes *pool;
    training x = {0};
    DONE(lanes_open(count, &pool, &why));
    begin_training(&x, g, 1, pool);
    trainer_event e = train_all(x.t);
    assert_true(isfinite(e.loss) && isfinite(e.val_loss));
    trainer_digest(x.t, hex);
    end_training(&x);
    lanes_close(pool);
}

static void digests_are_the_same_at_any_number_of_lanes(void **state)
{
    (void)state;
    static const int counts[] = {2, 3, 7, 64};
    char one[HASH_HEX], other[HASH_HEX];
    for (int i = 0; i < NGRAPHS; i++) {
        if (GRAPHS[i].outputs > 1)
            continue;
        digest_at(&GRAPHS[i], 1, one);
        for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
            digest_at(&GRAPHS[i], counts[k], other);
            if (strcmp(one, other) != 0)
                fail_msg("%s: %d lanes have another digest than one", GRAPHS[i].name, counts[k]);
        }
    }
}

/* Stops after so many batches, saves, restores into a new trainer of a model with other weights, goes on. */
static void resumed_digest(const graph *g, int batches, const char *path, char hex[HASH_HEX])
{
    training x = {0};
    trainer_event e;
    begin_training(&x, g, 1, NULL);
    for (int i = 0; i < batches; i++)
        DONE(trainer_next(x.t, 1, 1e9, &e, &why));
    DONE(trainer_save(x.t, path, &why));
    end_training(&x);
    begin_training(&x, g, 77, NULL);
    DONE(trainer_restore(x.t, path, &why));
    train_all(x.t);
    trainer_digest(x.t, hex);
    end_training(&x);
}

static void a_checkpoint_restored_leads_to_the_same_digest(void **state)
{
    (void)state;
    char path[] = "/tmp/perilune-test-XXXXXX", whole[HASH_HEX], resumed[HASH_HEX];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    for (int i = 0; i < NGRAPHS; i++) {
        if (GRAPHS[i].outputs > 1)
            continue;
        digest_at(&GRAPHS[i], 1, whole);
        for (int batches = 0; batches < 14; batches += 3) {
            resumed_digest(&GRAPHS[i], batches, path, resumed);
            if (strcmp(whole, resumed) != 0)
                fail_msg("%s: resumed after %d batches it has another digest", GRAPHS[i].name, batches);
        }
    }
    unlink(path);
}

/* The digest after training with an optimizer; `two_pass`: with a norm so large that nothing is clipped, but has to be
 * known before the first update. */
static void digest_with(const graph *g, const char *optimizer, const option_value *extra, int two_pass,
                        char hex[HASH_HEX])
{
    const option_value v[] = {REAL("learning_rate", 0.01), *extra, REAL("global_clipnorm", 1e30)};
    training x = {.r = recipe_with(g, optimizer, v, two_pass ? 3 : 2)};
    begin_training(&x, g, 1, NULL);
    train_all(x.t);
    trainer_digest(x.t, hex);
    end_training(&x);
}

static void updating_in_cache_gives_the_bits_of_two_passes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        option_value extra;
    } optimizers[] = {{"SGD", {.name = "momentum", .kind = VALUE_REAL, .real = 0.9}},
                      {"AdamW", {.name = "weight_decay", .kind = VALUE_REAL, .real = 0.01}}};
    char hot[HASH_HEX], cold[HASH_HEX];
    for (int i = 0; i < NGRAPHS; i++)
        for (size_t k = 0; k < sizeof optimizers / sizeof *optimizers && GRAPHS[i].outputs == 1; k++) {
            digest_with(&GRAPHS[i], optimizers[k].name, &optimizers[k].extra, 0, hot);
            digest_with(&GRAPHS[i], optimizers[k].name, &optimizers[k].extra, 1, cold);
            if (strcmp(hot, cold) != 0)
                fail_msg("%s, %s: updated in cache it has another digest", GRAPHS[i].name, optimizers[k].name);
        }
}

static void a_model_of_several_outputs_is_not_trained(void **state)
{
    (void)state;
    for (int i = 0; i < NGRAPHS; i++) {
        if (GRAPHS[i].outputs == 1)
            continue;
        model *m = graph_model(plugins, &GRAPHS[i], 1);
        dataset *set = graph_data(&GRAPHS[i], SAMPLES);
        recipe r = recipe_of(&GRAPHS[i]);
        trainer *t;
        fit_options o = {.train = set, .epochs = 1, .batch_size = BATCH, .seed = 1};
        assert_int_equal(trainer_open(m, &r, &o, NULL, &t, &why), PLN_E_INVALID);
        assert_non_null(strstr(why.text, "3 outputs"));
        recipe_free(&r);
        graph_data_free(set);
        model_free(m);
    }
}

static void each_learns_something(void **state)
{
    (void)state;
    for (int i = 0; i < NGRAPHS; i++) {
        if (GRAPHS[i].outputs > 1)
            continue;
        training x = {0};
        trainer_event e;
        double before[2], after;
        begin_training(&x, &GRAPHS[i], 1, NULL);
        DONE(evaluate(x.m, &x.r, x.set, 64, NULL, before, &why));
        e = train_all(x.t);
        after = e.val_loss;
        if (!(after < before[0]))
            fail_msg("%s: the loss went from %g to %g", GRAPHS[i].name, before[0], after);
        end_training(&x);
    }
}

/* ---- predictions ---- */

static int64_t output_size(const model *m, int output)
{
    const pln_slot *s = model_slot(m, m->outputs[output]);
    int64_t n = 1;
    for (uint32_t i = 1; i < s->rank; i++)
        n *= s->shape[i];
    return n;
}

/* Output number `output` of all samples, at most `capacity` at a time; free() it. */
static float *predict(const model *m, const dataset *set, int64_t capacity, int output)
{
    const int64_t size = output_size(m, output);
    float *all = malloc((size_t)(SAMPLES * size) * sizeof *all);
    plan *p;
    assert_non_null(all);
    plan_request q = {.m = m, .mode = PLN_INFER, .capacity = capacity};
    DONE(plan_build(&q, &p, &why));
    for (int64_t at = 0; at < SAMPLES; at += capacity) {
        plan_batch b = {.n = SAMPLES - at < capacity ? SAMPLES - at : capacity, .set = set, .begin = at};
        DONE(plan_run(p, &b, &why));
        memcpy(all + at * size, plan_output(p, output), (size_t)(b.n * size) * sizeof *all);
    }
    plan_free(p);
    return all;
}

static void a_prediction_does_not_depend_on_the_batch(void **state)
{
    (void)state;
    for (int i = 0; i < NGRAPHS; i++) {
        model *m = graph_model(plugins, &GRAPHS[i], 6);
        dataset *set = graph_data(&GRAPHS[i], SAMPLES);
        for (int o = 0; o < m->noutputs; o++) {
            float *one = predict(m, set, 1, o), *many = predict(m, set, 32, o), *all = predict(m, set, 128, o);
            for (int64_t k = 0; k < SAMPLES * output_size(m, o); k++)
                if (one[k] != many[k] || one[k] != all[k])
                    fail_msg("%s, output %d, element %lld: %.9g alone, %.9g among 32, %.9g among 75", GRAPHS[i].name,
                             o + 1, (long long)k, (double)one[k], (double)many[k], (double)all[k]);
            free(one);
            free(many);
            free(all);
        }
        graph_data_free(set);
        model_free(m);
    }
}

static void a_graph_survives_its_file(void **state)
{
    (void)state;
    char path[] = "/tmp/perilune-test-XXXXXX";
    close(mkstemp(path));
    for (int i = 0; i < NGRAPHS; i++) {
        model *m = graph_model(plugins, &GRAPHS[i], 6), *copy;
        dataset *set = graph_data(&GRAPHS[i], SAMPLES);
        DONE(model_save(m, path, NULL, &why));
        DONE(model_load(plugins, path, &copy, &why));
        assert_int_equal(copy->noutputs, m->noutputs);
        assert_int_equal(copy->nnodes, m->nnodes);
        assert_int_equal(copy->nlayers, m->nlayers);
        for (int o = 0; o < m->noutputs; o++) {
            float *a = predict(m, set, 32, o), *b = predict(copy, set, 32, o);
            assert_memory_equal(a, b, (size_t)(SAMPLES * output_size(m, o)) * sizeof *a);
            free(a);
            free(b);
        }
        graph_data_free(set);
        model_free(copy);
        model_free(m);
    }
    unlink(path);
}

static int begin(void **state)
{
    (void)state;
    plugins = plugins_of_this_build();
    return 0;
}

static int end(void **state)
{
    (void)state;
    registry_free(plugins);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_agree_with_differences),
        cmocka_unit_test(digests_are_the_same_at_any_number_of_lanes),
        cmocka_unit_test(a_checkpoint_restored_leads_to_the_same_digest),
        cmocka_unit_test(updating_in_cache_gives_the_bits_of_two_passes),
        cmocka_unit_test(a_model_of_several_outputs_is_not_trained),
        cmocka_unit_test(each_learns_something),
        cmocka_unit_test(a_prediction_does_not_depend_on_the_batch),
        cmocka_unit_test(a_graph_survives_its_file),
    };
    return cmocka_run_group_tests(tests, begin, end);
}

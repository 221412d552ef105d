/* Training: learns, repeats bit for bit at any number of lanes, stops and resumes to the same digest. */
#include "net_helper.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "net/fingerprint.h"
#include "net/weights.h"

typedef struct setup {
    registry *plugins;
    dataset *train;
} setup;

static int begin(void **state)
{
    setup *s = malloc(sizeof *s);
    s->plugins = plugins_of_this_build();
    s->train = quarters(203); /* with batches of 32: a tail of 11 */
    *state = s;
    return 0;
}

static int end(void **state)
{
    setup *s = *state;
    free_quarters(s->train);
    registry_free(s->plugins);
    free(s);
    return 0;
}

static fit_options three_epochs(const setup *s)
{
    return (fit_options){
        .train = s->train, .validation = s->train, .epochs = 3, .batch_size = 32, .seed = 7, .shuffle = 1};
}

static void digest_at(const setup *s, int count, char hex[HASH_HEX])
{
    lanes *pool;
    trainer *t;
    model *m = small_cnn(s->plugins, 1);
    recipe r = classification(s->plugins);
    fit_options o = three_epochs(s);
    DONE(lanes_open(count, &pool, &why));
    DONE(trainer_open(m, &r, &o, pool, &t, &why));
    train_all(t);
    trainer_digest(t, hex);
    trainer_free(t);
    model_free(m);
    recipe_free(&r);
    lanes_close(pool);
}

static void the_digest_is_the_same_at_any_number_of_lanes(void **state)
{
    char one[HASH_HEX], other[HASH_HEX];
    digest_at(*state, 1, one);
    const int counts[] = {1, 2, 3, 7, 64};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        digest_at(*state, counts[i], other);
        assert_string_equal(one, other);
    }
}

static void lanes_share_the_pieces(void **state)
{
    setup *s = *state;
    lanes *pool;
    trainer *t;
    model *m = small_cnn(s->plugins, 1);
    recipe r = classification(s->plugins);
    fit_options o = three_epochs(s);
    o.epochs = 30;
    DONE(lanes_open(2, &pool, &why));
    DONE(trainer_open(m, &r, &o, pool, &t, &why));
    train_all(t);
    uint64_t a = lanes_done(pool, 0), b = lanes_done(pool, 1);
    trainer_free(t);
    model_free(m);
    recipe_free(&r);
    lanes_close(pool);
    assert_true(a > 0);
    if (lanes_available() >= 2)
        assert_true(b > 0);
}

static void it_learns(void **state)
{
    setup *s = *state;
    trainer *t;
    model *m = small_cnn(s->plugins, 1);
    recipe r = classification(s->plugins);
    fit_options o = three_epochs(s);
    o.epochs = 20;
    DONE(trainer_open(m, &r, &o, NULL, &t, &why));
    trainer_event x = train_all(t);
    assert_true(x.epoch == 20 && x.val_metrics[0] > 0.95);
    assert_true(isfinite(x.loss) && x.loss < 0.5 && x.grad_norm > 0);
    double values[2];
    DONE(evaluate(m, &r, s->train, 50, NULL, values, &why));
    assert_true(fabs(values[1] - x.val_metrics[0]) < 1e-12);
    assert_true(fabs(values[0] - x.val_loss) < 1e-6);
    trainer_free(t);
    model_free(m);
    recipe_free(&r);
}

static void another_seed_gives_another_digest(void **state)
{
    setup *s = *state;
    char hex[2][HASH_HEX];
    for (int i = 0; i < 2; i++) {
        trainer *t;
        model *m = small_cnn(s->plugins, 1);
        recipe r = classification(s->plugins);
        fit_options o = three_epochs(s);
        o.seed = 7 + (uint64_t)i;
        DONE(trainer_open(m, &r, &o, NULL, &t, &why));
        train_all(t);
        trainer_digest(t, hex[i]);
        trainer_free(t);
        model_free(m);
        recipe_free(&r);
    }
    assert_string_not_equal(hex[0], hex[1]);
}

/* Stops after `batches` batches, saves, restores into a new trainer of a new model, goes on. */
static void resumed_digest(const setup *s, int64_t batches, char hex[HASH_HEX])
{
    char path[] = "/tmp/perilune-test-XXXXXX";
    int fd = mkstemp(path);
    trainer *t;
    trainer_event x;
    fit_options o = three_epochs(s);
    assert_true(fd >= 0);
    close(fd);
    model *m = small_cnn(s->plugins, 1);
    recipe r = classification(s->plugins);
    DONE(trainer_open(m, &r, &o, NULL, &t, &why));
    for (int64_t i = 0; i < batches; i++)
        DONE(trainer_next(t, 1, 1e9, &x, &why));
    int64_t saved_epoch, saved_batch;
    uint64_t saved_step;
    trainer_position(t, &saved_epoch, &saved_batch, &saved_step);
    DONE(trainer_save_with(t, "of the\0caller", 13, path, &why));
    trainer_free(t);
    model_free(m);
    recipe_free(&r);
    m = small_cnn(s->plugins, 99);
    r = classification(s->plugins);
    DONE(trainer_open(m, &r, &o, NULL, &t, &why));
    void *extra;
    size_t count;
    DONE(trainer_restore_with(t, path, &extra, &count, &why));
    assert_int_equal(count, 13);
    assert_memory_equal(extra, "of the\0caller", 13);
    free(extra);
    int64_t epoch, batch;
    uint64_t step;
    trainer_position(t, &epoch, &batch, &step);
    assert_int_equal(epoch, saved_epoch);
    assert_int_equal(batch, saved_batch);
    assert_int_equal(step, saved_step);
    train_all(t);
    trainer_digest(t, hex);
    trainer_free(t);
    model_free(m);
    recipe_free(&r);
    unlink(path);
}

static void a_run_resumed_at_any_batch_ends_with_the_same_digest(void **state)
{
    char whole[HASH_HEX], resumed[HASH_HEX];
    digest_at(*state, 1, whole);
    for (int64_t batches = 0; batches < 24; batches++) {
        resumed_digest(*state, batches, resumed);
        assert_string_equal(whole, resumed);
    }
}

static void a_checkpoint_of_another_training_is_refused(void **state)
{
    setup *s = *state;
    char path[] = "/tmp/perilune-test-XXXXXX";
    close(mkstemp(path));
    trainer *t;
    fit_options o = three_epochs(s);
    model *m = small_cnn(s->plugins, 1);
    recipe r = classification(s->plugins);
    DONE(trainer_open(m, &r, &o, NULL, &t, &why));
    DONE(trainer_save(t, path, &why));
    trainer_free(t);
    recipe sgd = {0};
    DONE(recipe_optimizer(&sgd, s->plugins, "SGD", (const option_value[]){REAL("momentum", 0.5)}, 1, &why));
    DONE(recipe_loss(&sgd, s->plugins, "sparse_categorical_crossentropy", NULL, 0, &why));
    DONE(trainer_open(m, &sgd, &o, NULL, &t, &why));
    assert_int_equal(trainer_restore(t, path, &why), PLN_E_FORMAT);
    assert_non_null(strstr(why.text, "does not belong to this training"));
    DONE(model_save(m, path, NULL, &why));
    assert_int_equal(trainer_restore(t, path, &why), PLN_E_FORMAT);
    assert_non_null(strstr(why.text, "no checkpoint"));
    trainer_free(t);
    model_free(m);
    recipe_free(&r);
    recipe_free(&sgd);
    unlink(path);
}

static void a_loss_that_is_no_number_stops_with_the_batch_and_the_rate(void **state)
{
    setup *s = *state;
    trainer *t;
    trainer_event x;
    model *m = small_cnn(s->plugins, 1);
    recipe r = {0};
    DONE(recipe_optimizer(&r, s->plugins, "SGD", (const option_value[]){REAL("learning_rate", 1e20)}, 1, &why));
    DONE(recipe_loss(&r, s->plugins, "sparse_categorical_crossentropy", NULL, 0, &why));
    fit_options o = three_epochs(s);
    DONE(trainer_open(m, &r, &o, NULL, &t, &why));
    int status = PLN_OK;
    for (int i = 0; i < 21 && status == PLN_OK; i++)
        status = trainer_next(t, 1, 1e9, &x, &why);
    assert_int_equal(status, PLN_E_NONFINITE);
    assert_non_null(strstr(why.text, "learning_rate 1e+20"));
    assert_non_null(strstr(why.text, "epoch 1, batch"));
    trainer_free(t);
    model_free(m);
    recipe_free(&r);
}

static void a_label_out_of_range_is_named(void **state)
{
    setup *s = *state;
    trainer *t;
    trainer_event x;
    model *m = new_model(s->plugins);
    value at = {-1, 0};
    CHAIN(m, &at, "Input", LIST(NULL, 8, 8, 1));
    chain(m, &at, "Flatten", NULL, 0);
    CHAIN(m, &at, "Dense", INTEGER("units", 3), TEXT("activation", "softmax"));
    finish_model(m, at, 1);
    recipe r = classification(s->plugins);
    fit_options o = three_epochs(s);
    DONE(trainer_open(m, &r, &o, NULL, &t, &why));
    assert_int_equal(trainer_next(t, 0, 1e9, &x, &why), PLN_E_INVALID);
    assert_non_null(strstr(why.text, "label 3"));
    trainer_free(t);
    model_free(m);
    recipe_free(&r);
}

static void clipping_bounds_the_step(void **state)
{
    setup *s = *state;
    for (int global = 0; global < 2; global++) {
        trainer *t;
        trainer_event x;
        model *m = small_cnn(s->plugins, 1);
        recipe r = {0};
        const option_value o1[] = {REAL("learning_rate", 1.0), REAL(global ? "global_clipnorm" : "clipvalue", 1e-3)};
        DONE(recipe_optimizer(&r, s->plugins, "SGD", o1, 2, &why));
        DONE(recipe_loss(&r, s->plugins, "sparse_categorical_crossentropy", NULL, 0, &why));
        fit_options o = three_epochs(s);
        DONE(trainer_open(m, &r, &o, NULL, &t, &why));
        float *before = malloc((size_t)m->nweights * sizeof *before);
        memcpy(before, m->weights, (size_t)m->nweights * sizeof *before);
        DONE(trainer_next(t, 1, 1e9, &x, &why));
        double norm = 0, most = 0;
        for (int64_t i = 0; i < m->ntrainable; i++) {
            double d = (double)m->weights[i] - (double)before[i];
            norm += d * d;
            most = fabs(d) > most ? fabs(d) : most;
        }
        assert_true(most > 0);
        if (global)
            assert_true(fabs(sqrt(norm) - 1e-3) < 1e-5);
        else
            assert_true(most < 1.001e-3);
        free(before);
        trainer_free(t);
        model_free(m);
        recipe_free(&r);
    }
}

static void class_weight_zero_hides_a_class(void **state)
{
    setup *s = *state;
    trainer *t;
    model *m = small_cnn(s->plugins, 1);
    recipe r = classification(s->plugins);
    fit_options o = three_epochs(s);
    const float weights[4] = {1, 1, 1, 0};
    o.epochs = 20;
    o.class_weight = weights;
    o.nclass_weight = 4;
    DONE(trainer_open(m, &r, &o, NULL, &t, &why));
    train_all(t);
    predictor *p;
    float out[4];
    DONE(predictor_open(m, 1, NULL, &p, &why));
    const int32_t *labels = dataset_parts(s->train)->target.bytes;
    int hidden = 0, called = 0;
    for (int64_t i = 0; i < s->train->count; i++) {
        DONE(predictor_run_set(p, s->train, &i, 1, out, &why));
        hidden += labels[i] == 3;
        called += labels[i] == 3 && out[3] > out[0] && out[3] > out[1] && out[3] > out[2];
    }
    assert_true(hidden > 20 && called < hidden / 4);
    predictor_free(p);
    trainer_free(t);
    model_free(m);
    recipe_free(&r);
}

/* One weight for each sample of the view: of a slice and of a pick as of the whole set. */
static void sample_weights_follow_the_view(void **state)
{
    setup *s = *state;
    double loss[3];
    float weights[16];
    for (int i = 0; i < 16; i++)
        weights[i] = i == 5 ? 1.0f : 0.0f;
    for (int kind = 0; kind < 3; kind++) { /* sample 105 alone, by a slice, a pick, and as a set of one */
        const int64_t which[16] = {9, 8, 7, 6, 5, 105, 4, 3, 2, 1, 0, 10, 11, 12, 13, 14};
        dataset *view;
        trainer *t;
        trainer_event x;
        if (kind == 0)
            DONE(dataset_slice(s->train, 100, 116, &view, &why));
        else if (kind == 1)
            DONE(dataset_pick(s->train, which, 16, &view, &why));
        else
            DONE(dataset_slice(s->train, 105, 106, &view, &why));
        model *m = small_cnn(s->plugins, 1);
        recipe r = {0};
        DONE(recipe_optimizer(&r, s->plugins, "SGD", NULL, 0, &why));
        DONE(recipe_loss(&r, s->plugins, "sparse_categorical_crossentropy", NULL, 0, &why));
        fit_options o = {
            .train = view, .epochs = 1, .batch_size = 16, .seed = 7, .sample_weight = kind < 2 ? weights : NULL};
        DONE(trainer_open(m, &r, &o, NULL, &t, &why));
        DONE(trainer_next(t, 1, 1e9, &x, &why));
        loss[kind] = x.loss * (kind < 2 ? 16 : 1);
        trainer_free(t);
        model_free(m);
        recipe_free(&r);
        dataset_free(view);
    }
    assert_true(loss[0] > 0.1);
    assert_true(fabs(loss[0] - loss[2]) < 0.5 * loss[2]); /* dropout differs with the sample's place in the batch */
    assert_true(fabs(loss[0] - loss[1]) < 1e-6);
}

static void a_batch_that_no_memory_can_hold_is_refused(void **state)
{
    setup *s = *state;
    model *m = new_model(s->plugins);
    value at = {-1, 0};
    int64_t bytes;
    CHAIN(m, &at, "Input", LIST(NULL, 1, 1, 1));
    CHAIN(m, &at, "ZeroPadding2D", LIST("padding", 1048575, 0, 1048575, 0));
    finish_model(m, at, 1);
    assert_int_equal(plan_memory(m, NULL, 4194304, &bytes, &why), PLN_E_MEMORY);
    assert_int_equal(plan_memory(m, NULL, 2097152, &bytes, &why), PLN_E_MEMORY);
    model_free(m);
}

static void a_prediction_does_not_depend_on_the_batch(void **state)
{
    setup *s = *state;
    model *m = small_cnn(s->plugins, 3);
    predictor *one, *many;
    float a[4], b[4 * 64];
    int64_t which[64];
    for (int64_t i = 0; i < 64; i++)
        which[i] = 63 - i;
    DONE(predictor_open(m, 1, NULL, &one, &why));
    DONE(predictor_open(m, 64, NULL, &many, &why));
    DONE(predictor_run_set(many, s->train, which, 64, b, &why));
    for (int64_t i = 0; i < 64; i++) {
        DONE(predictor_run_set(one, s->train, &which[i], 1, a, &why));
        assert_memory_equal(a, b + 4 * i, sizeof a);
    }
    predictor_free(one);
    predictor_free(many);
    model_free(m);
}

static void the_fingerprint_follows_what_matters(void **state)
{
    setup *s = *state;
    char base[HASH_HEX], same[HASH_HEX], other[HASH_HEX];
    model *m = small_cnn(s->plugins, 1), *again = small_cnn(s->plugins, 1), *seeded = small_cnn(s->plugins, 2);
    recipe r = classification(s->plugins);
    fit_options o = three_epochs(s);
    DONE(fit_fingerprint(m, &r, &o, NULL, base, &why));
    DONE(fit_fingerprint(again, &r, &o, NULL, same, &why));
    assert_string_equal(base, same);
    DONE(fit_fingerprint(seeded, &r, &o, NULL, other, &why));
    assert_string_not_equal(base, other);
    DONE(fit_fingerprint(m, &r, &o, "a callback", other, &why));
    assert_string_not_equal(base, other);
    o.batch_size = 16;
    DONE(fit_fingerprint(m, &r, &o, NULL, other, &why));
    assert_string_not_equal(base, other);
    model_free(m);
    model_free(again);
    model_free(seeded);
    recipe_free(&r);
}

static void absurd_options_are_refused(void **state)
{
    setup *s = *state;
    trainer *t;
    model *m = small_cnn(s->plugins, 1);
    recipe r = classification(s->plugins);
    fit_options o = three_epochs(s);
    o.epochs = 0;
    assert_int_equal(trainer_open(m, &r, &o, NULL, &t, &why), PLN_E_INVALID);
    assert_string_equal(why.text, "fit: epochs must be from 1 to 100000000, not 0");
    o = three_epochs(s);
    o.batch_size = -1;
    assert_int_equal(trainer_open(m, &r, &o, NULL, &t, &why), PLN_E_INVALID);
    o = three_epochs(s);
    o.initial_epoch = 3;
    assert_int_equal(trainer_open(m, &r, &o, NULL, &t, &why), PLN_E_INVALID);
    o = three_epochs(s);
    o.batch_size = 1 << 20; /* larger than the set: one batch of all */
    DONE(trainer_open(m, &r, &o, NULL, &t, &why));
    assert_int_equal(train_all(t).batches, 1);
    trainer_free(t);
    model_free(m);
    recipe_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_digest_is_the_same_at_any_number_of_lanes),
        cmocka_unit_test(lanes_share_the_pieces),
        cmocka_unit_test(it_learns),
        cmocka_unit_test(another_seed_gives_another_digest),
        cmocka_unit_test(a_run_resumed_at_any_batch_ends_with_the_same_digest),
        cmocka_unit_test(a_checkpoint_of_another_training_is_refused),
        cmocka_unit_test(a_loss_that_is_no_number_stops_with_the_batch_and_the_rate),
        cmocka_unit_test(a_label_out_of_range_is_named),
        cmocka_unit_test(clipping_bounds_the_step),
        cmocka_unit_test(class_weight_zero_hides_a_class),
        cmocka_unit_test(sample_weights_follow_the_view),
        cmocka_unit_test(a_batch_that_no_memory_can_hold_is_refused),
        cmocka_unit_test(a_prediction_does_not_depend_on_the_batch),
        cmocka_unit_test(the_fingerprint_follows_what_matters),
        cmocka_unit_test(absurd_options_are_refused),
    };
    return cmocka_run_group_tests(tests, begin, end);
}

/* The engine against outside witnesses, whole: the chapter's CNN trained from weights that a formula gives.
 *
 *   - 100 steps of SGD: the losses are PyTorch's
 *   - 20 steps of Adam: the losses are those of Keras 3's formula
 *
 * The fixtures hold the losses of runs in float64 and of runs in float32 (see tests/fixtures/chapter_cnn_*.py).  The two
 * agree to 6e-7, so a disagreement of 1e-5 is a different formula and not rounding. */
#include "chapter_cnn.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define TOLERANCE 1e-5 /* relative */
#define MOST      100  /* steps of a fixture */

static const char *const parameters[] = {"conv", "conv_bias", "hidden", "hidden_bias", "output", "output_bias"};

typedef struct fixture {
    int steps, parameters;
    double exact[MOST], single[MOST], gone[6];
} fixture;

static void read_fixture(const char *name, fixture *f)
{
    char path[512], line[128], word[32];
    int step;
    double a, b;
    *f = (fixture){0};
    snprintf(path, sizeof path, "%s/%s", FIXTURES_DIR, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "step %d %lf %lf", &step, &a, &b) == 3) {
            assert_int_equal(step, f->steps + 1);
            assert_true(f->steps < MOST);
            f->exact[f->steps] = a;
            f->single[f->steps++] = b;
        } else if (sscanf(line, "gone %31s %lf", word, &a) == 2) {
            assert_true(f->parameters < 6);
            assert_string_equal(word, parameters[f->parameters]);
            f->gone[f->parameters++] = a;
        }
    fclose(file);
    assert_int_equal(f->parameters, 6);
}

static void compare(const char *what, int number, double is, double wanted)
{
    if (!(fabs(is - wanted) <= TOLERANCE * fabs(wanted)))
        fail_msg("%s %d: is %.9g, expected %.9g", what, number, is, wanted);
}

/* The loss of each batch, from the running means of the epoch that the trainer tells. */
static void train(trainer *t, int steps, double *losses)
{
    double sum = 0;
    int64_t samples = 0;
    for (int i = 0; i < steps;) {
        trainer_event x;
        DONE(trainer_next(t, 1, 1e9, &x, &why));
        if (x.kind == TRAINER_EPOCH) {
            sum = 0;
            samples = 0;
            continue;
        }
        assert_int_equal(x.kind, TRAINER_BATCH);
        int64_t n = x.batch * CHAPTER_BATCH > CHAPTER_SAMPLES ? CHAPTER_SAMPLES - samples : CHAPTER_BATCH;
        samples += n;
        losses[i++] = (x.loss * (double)samples - sum) / (double)n;
        sum = x.loss * (double)samples;
    }
}

static void check_distances(registry *plugins, const model *m, const fixture *f)
{
    model *start = chapter_cnn(plugins, 0);
    for (int i = 0; i < 6; i++) {
        const float *w = model_parameter(m, i), *w0 = model_parameter(start, i);
        double sum = 0;
        for (int64_t k = 0; k < m->parameters[i].size; k++)
            sum += ((double)w[k] - (double)w0[k]) * ((double)w[k] - (double)w0[k]);
        compare("distance gone by parameter", i + 1, sqrt(sum), f->gone[i]);
    }
    model_free(start);
}

static void check_training(const char *name, int steps, const char *optimizer, double rate, lanes *pool)
{
    registry *plugins = plugins_of_this_build();
    dataset *set = chapter_data();
    model *m = chapter_cnn(plugins, 0);
    recipe r = {0};
    trainer *t;
    fixture f;
    double losses[MOST];
    read_fixture(name, &f);
    assert_int_equal(f.steps, steps);
    DONE(recipe_optimizer(&r, plugins, optimizer, (const option_value[]){REAL("learning_rate", rate)}, 1, &why));
    DONE(recipe_loss(&r, plugins, "sparse_categorical_crossentropy", NULL, 0, &why));
    fit_options o = {.train = set, .epochs = 5, .batch_size = CHAPTER_BATCH, .seed = 1};
    DONE(trainer_open(m, &r, &o, pool, &t, &why));
    train(t, steps, losses);
    for (int i = 0; i < steps; i++) {
        compare("loss (float64) of step", i + 1, losses[i], f.exact[i]);
        compare("loss (float32) of step", i + 1, losses[i], f.single[i]);
    }
    check_distances(plugins, m, &f);
    trainer_free(t);
    recipe_free(&r);
    model_free(m);
    free_quarters(set);
    registry_free(plugins);
}

static void a_hundred_steps_of_sgd_have_pytorchs_losses(void **state)
{
    (void)state;
    check_training("chapter_cnn_sgd.txt", 100, "SGD", 0.02, NULL);
}

static void two_lanes_have_them_too(void **state)
{
    (void)state;
    lanes *pool;
    DONE(lanes_open(2, &pool, &why));
    check_training("chapter_cnn_sgd.txt", 100, "SGD", 0.02, pool);
    lanes_close(pool);
}

static void twenty_steps_of_adam_have_the_losses_of_kerass_formula(void **state)
{
    (void)state;
    check_training("chapter_cnn_adam.txt", 20, "Adam", 0.001, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hundred_steps_of_sgd_have_pytorchs_losses),
        cmocka_unit_test(two_lanes_have_them_too),
        cmocka_unit_test(twenty_steps_of_adam_have_the_losses_of_kerass_formula),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

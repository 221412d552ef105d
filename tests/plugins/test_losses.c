/* The losses against PyTorch (tests/fixtures/losses.txt, made by losses_torch.py), against finite differences of
 * themselves, and in what the contract promises: pieces do not change bits, misfits are refused with a sentence. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stub_host.h"

enum { ROOM = 512 };

/* A call with room for everything. */
typedef struct work {
    const pln_loss *type;
    double opts[STUB_OPTS / sizeof(double)];
    float pred[ROOM], y[ROOM], scratch[ROOM], dpred[ROOM], value[ROOM], scale[ROOM];
    int32_t label[ROOM];
    int64_t shape[PLN_RANK + 1], target_shape[PLN_RANK + 1];
    uint32_t target_dtype;
    int linked;
} work;

static int64_t count(const int64_t *shape)
{
    int64_t n = 1;
    for (int i = 0; shape[i]; i++)
        n *= shape[i];
    return n;
}

/* Samples first .. first+n-1, with the gradient if `wanted`.  Poisons what is to be written. */
static int run_piece(work *k, int64_t first, int64_t n, int wanted)
{
    int64_t size = count(k->shape) / k->shape[0], target_size = count(k->target_shape) / k->target_shape[0];
    int64_t shape[PLN_RANK + 1], target_shape[PLN_RANK + 1];
    memcpy(shape, k->shape, sizeof shape);
    memcpy(target_shape, k->target_shape, sizeof target_shape);
    shape[0] = target_shape[0] = n;
    void *y = k->target_dtype == PLN_I32 ? (void *)k->label : (void *)k->y; /* both of 4 bytes */
    y = (float *)y + first * target_size;
    pln_tensor pred = stub_tensor(PLN_F32, k->pred + first * size, shape);
    pln_tensor target = stub_tensor(k->target_dtype, y, target_shape);
    pln_tensor scratch = stub_tensor(PLN_F32, k->scratch + first * size, shape);
    pln_tensor dpred = stub_tensor(PLN_F32, k->dpred + first * size, shape);
    pred.first = target.first = scratch.first = dpred.first = first;
    for (int64_t i = first * size; i < (first + n) * size; i++)
        k->scratch[i] = k->dpred[i] = NAN;
    for (int64_t i = first; i < first + n; i++)
        k->value[i] = NAN;
    pln_loss_call c = {.size = PLN_SIZE_TO(pln_loss_call, linked),
                       .opts = k->opts,
                       .pred = &pred,
                       .target = &target,
                       .scratch = &scratch,
                       .value = k->value + first,
                       .scale = k->scale + first,
                       .dpred = wanted ? &dpred : NULL,
                       .linked = k->linked};
    return k->type->run(stub_host(), &c);
}

static int run_all(work *k)
{
    return run_piece(k, 0, k->shape[0], 1);
}

static int check(const work *k)
{
    pln_slot pred = stub_slot(PLN_F32, k->shape), target = stub_slot(k->target_dtype, k->target_shape);
    stub_forget();
    return k->type->check(stub_host(), k->opts, NULL, &pred, &target);
}

static void work_begin(work *k, const char *name, const char *options)
{
    memset(k, 0, sizeof *k);
    k->type = stub_find(PLN_LOSS, name);
    stub_options(k->type, options, k->opts);
    k->linked = strstr(options, "linked") != NULL;
    k->target_dtype = PLN_F32;
    for (int i = 0; i < ROOM; i++)
        k->scale[i] = 1;
}

/* ------------------------------------------------------------------------------------------- against PyTorch ---- */

/* "5 4 : 1 2 ...": the shape, then the numbers. */
static int64_t parse(const char *text, int64_t *shape, float *out)
{
    char *end = (char *)(uintptr_t)text;
    int rank = 0;
    for (long n; (n = strtol(end, &end, 10)) > 0;)
        shape[rank++] = n;
    shape[rank] = 0;
    assert_true(rank > 0 && count(shape) <= ROOM);
    end = strchr(end, ':') + 1;
    for (int64_t i = 0; i < count(shape); i++)
        out[i] = strtof(end, &end);
    return count(shape);
}

static void compare(const char *name, const char *what, int64_t n, const float *got, const float *wanted)
{
    float size = 1;
    for (int64_t i = 0; i < n; i++)
        size = fmaxf(size, fabsf(wanted[i]));
    for (int64_t i = 0; i < n; i++)
        if (!(fabsf(got[i] - wanted[i]) <= 2e-6f * fmaxf(1, fminf(size, 10 * fabsf(wanted[i])))))
            fail_msg("%s: %s[%d]: expected %.9g, got %.9g", name, what, (int)i, (double)wanted[i], (double)got[i]);
}

static void every_case_agrees_with_pytorch(void **state)
{
    (void)state;
    static work k;
    static float value[ROOM], grad[ROOM];
    static char line[16384], name[256];
    int64_t other[PLN_RANK + 1], n = 0;
    int cases = 0;
    FILE *f = fopen(FIXTURES_DIR "/losses.txt", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        char type[64];
        int skip = 0;
        if (line[0] == '#')
            continue;
        if (sscanf(line, "case %63s%n", type, &skip) == 1) {
            work_begin(&k, type, line + skip);
            snprintf(name, sizeof name, "%s%.*s", type, (int)strcspn(line + skip, "\n"), line + skip);
        } else if (strncmp(line, "pred ", 5) == 0) {
            n = parse(line + 5, k.shape, k.pred);
        } else if (strncmp(line, "scale ", 6) == 0) {
            parse(line + 6, other, k.scale);
        } else if (strncmp(line, "value ", 6) == 0) {
            parse(line + 6, other, value);
        } else if (strncmp(line, "grad ", 5) == 0) {
            parse(line + 5, other, grad);
        } else {
            assert_int_equal(strncmp(line, "target ", 7), 0);
            k.target_dtype = strncmp(line + 7, "i32", 3) == 0 ? PLN_I32 : PLN_F32;
            int64_t targets = parse(line + 11, k.target_shape, k.y);
            for (int64_t i = 0; i < targets; i++)
                k.label[i] = (int32_t)k.y[i];
            assert_int_equal(check(&k), PLN_OK);
            assert_int_equal(run_all(&k), PLN_OK);
            compare(name, "value", k.shape[0], k.value, value);
            compare(name, "grad", n, k.dpred, grad);
            cases++;
        }
    }
    fclose(f);
    assert_int_equal(cases, 36);
}

/* ----------------------------------------------------------------------------------- against their own values ---- */

static uint32_t noise_state;

/* Uniform in (0,1). */
static float noise(void)
{
    noise_state = noise_state * 1664525u + 1013904223u;
    return (float)((noise_state >> 9) + 0.5) / (1 << 23);
}

/* Predictions of 80 samples of 4 in (0.1, 0.9), which suit every loss, with targets that suit this one, away from
 * kinks. */
static void work_fill(work *k, const char *name, const char *options)
{
    work_begin(k, name, options);
    int sparse = strncmp(name, "sparse", 6) == 0, hinge = strstr(name, "hinge") != NULL;
    noise_state = 7;
    memcpy(k->shape, SHAPE(80, 4), sizeof(int64_t) * 3);
    memcpy(k->target_shape, SHAPE(80, 4), sizeof(int64_t) * 3);
    for (int i = 0; i < 320; i++) {
        k->pred[i] = 0.1f + 0.8f * noise();
        k->y[i] = hinge ? (noise() < 0.5f ? -1.0f : 1.0f) : noise();
        if (fabsf(k->pred[i] - k->y[i]) < 0.05f)
            k->y[i] = k->pred[i] < 0.5f ? k->pred[i] + 0.2f : k->pred[i] - 0.2f;
    }
    if (sparse) {
        k->target_dtype = PLN_I32;
        k->target_shape[1] = 0;
        for (int i = 0; i < 80; i++)
            k->label[i] = (int32_t)(4 * noise());
    }
}

static double value_at(work *k, int64_t sample, int64_t at, float x)
{
    float old = k->pred[at];
    k->pred[at] = x;
    assert_int_equal(run_piece(k, sample, 1, 0), PLN_OK);
    k->pred[at] = old;
    return (double)k->value[sample];
}

/* Central differences with two step sizes and Richardson's extrapolation. */
static double slope_at(work *k, int64_t sample, int64_t at)
{
    float x = k->pred[at], step = 1.0f / 32;
    double wide = (value_at(k, sample, at, x + step) - value_at(k, sample, at, x - step)) / (2 * (double)step);
    double near = (value_at(k, sample, at, x + step / 2) - value_at(k, sample, at, x - step / 2)) / (double)step;
    return (4 * near - wide) / 3;
}

static void differences_match(const pln_loss *type, const char *options)
{
    static work k;
    static float dpred[ROOM];
    work_fill(&k, type->name, options);
    assert_int_equal(run_all(&k), PLN_OK);
    memcpy(dpred, k.dpred, sizeof dpred);
    for (int64_t at = 0; at < 320; at++) {
        double slope = slope_at(&k, at / 4, at), got = (double)dpred[at];
        if (!(fabs(slope - got) <= 2e-3 * (1 + fabs(got))))
            fail_msg("%s %s: gradient %d is %.7g, differences say %.7g", type->name, options, (int)at, got, slope);
    }
}

static int differenced;

static void difference_one(const void *descriptor)
{
    const pln_loss *type = descriptor;
    differences_match(type, "");
    differenced++;
    for (uint32_t i = 0; i < type->noptions; i++)
        if (strcmp(type->options[i].name, "from_logits") == 0) {
            differences_match(type, "from_logits=true");
            differences_match(type, "linked");
        } else if (strcmp(type->options[i].name, "label_smoothing") == 0) {
            differences_match(type, "label_smoothing=0.3 from_logits=true");
        }
}

static void gradients_are_slopes(void **state)
{
    (void)state;
    stub_each(PLN_LOSS, difference_one);
    assert_int_equal(differenced, 13);
}

static void pieces_one(const void *descriptor)
{
    static work whole, cut;
    const pln_loss *type = descriptor;
    work_fill(&whole, type->name, "linked");
    work_fill(&cut, type->name, "linked");
    assert_int_equal(run_all(&whole), PLN_OK);
    for (int64_t first = 0; first < 80; first += 27)
        assert_int_equal(run_piece(&cut, first, first + 27 < 80 ? 27 : 80 - first, 1), PLN_OK);
    assert_memory_equal(whole.value, cut.value, 80 * sizeof(float));
    assert_memory_equal(whole.dpred, cut.dpred, 320 * sizeof(float));
    assert_int_equal(run_piece(&cut, 0, 80, 0), PLN_OK);
    assert_memory_equal(whole.value, cut.value, 80 * sizeof(float));
}

static void pieces_and_evaluation_give_the_same_bits(void **state)
{
    (void)state;
    stub_each(PLN_LOSS, pieces_one);
}

static void nan_one(const void *descriptor)
{
    static work k;
    const pln_loss *type = descriptor;
    work_fill(&k, type->name, "linked");
    k.pred[9] = NAN;
    assert_int_equal(run_all(&k), PLN_OK);
    for (int i = 0; i < 80; i++)
        assert_int_equal(isnan(k.value[i]), i == 2);
    if (k.target_dtype == PLN_I32)
        return;
    k.pred[9] = 0.5f;
    k.y[9] = NAN;
    assert_int_equal(run_all(&k), PLN_OK);
    for (int i = 0; i < 80; i++)
        assert_int_equal(isnan(k.value[i]), i == 2);
}

static void what_is_no_number_stays_in_its_sample_and_shows(void **state)
{
    (void)state;
    stub_each(PLN_LOSS, nan_one);
}

/* --------------------------------------------------------------------------------------------------- refusals ---- */

static const char *refused(const char *name, uint32_t dtype, const int64_t *pred, const int64_t *target)
{
    static work k;
    work_begin(&k, name, "");
    k.target_dtype = dtype;
    memcpy(k.shape, pred, sizeof k.shape);
    memcpy(k.target_shape, target, sizeof k.target_shape);
    assert_int_equal(check(&k), PLN_FAIL);
    return stub_message();
}

static void assert_says(const char *message, const char *part)
{
    if (!message || !part || strstr(message, part))
        assert_true(message && part);
    else
        fail_msg("\"%s\" does not say \"%s\"", message, part);
}

static void pictures_of_scores_are_refused_with_a_remedy(void **state)
{
    (void)state;
    const char *m = refused("sparse_categorical_crossentropy", PLN_I32, SHAPE(9, 26, 26, 10), SHAPE(9));
    assert_says(m, "wants one row of class scores a sample, model gives 26x26x10; put nn.Flatten{} before");
}

static void class_numbers_and_one_hot_rows_are_told_apart(void **state)
{
    (void)state;
    assert_says(refused("sparse_categorical_crossentropy", PLN_F32, SHAPE(9, 10), SHAPE(9, 10)), "leave out sparse_");
    assert_says(refused("categorical_crossentropy", PLN_I32, SHAPE(9, 10), SHAPE(9)), "sparse_categorical_");
    assert_says(refused("categorical_crossentropy", PLN_I32, SHAPE(9, 10), SHAPE(9, 10)), "float32");
    assert_says(refused("sparse_categorical_crossentropy", PLN_F32, SHAPE(9, 10), SHAPE(9)), "int32");
}

static void one_score_is_no_row(void **state)
{
    (void)state;
    assert_says(refused("sparse_categorical_crossentropy", PLN_I32, SHAPE(9, 1), SHAPE(9)), "binary_crossentropy");
    assert_says(refused("sparse_categorical_crossentropy", PLN_I32, SHAPE(9), SHAPE(9)), "model gives 1;");
    assert_says(refused("categorical_crossentropy", PLN_F32, SHAPE(9, 1), SHAPE(9, 1)), "binary_crossentropy");
}

static void rows_and_class_numbers_must_be_as_many(void **state)
{
    (void)state;
    const char *m = refused("sparse_categorical_crossentropy", PLN_I32, SHAPE(9, 6, 10), SHAPE(9, 5));
    assert_says(m, "model gives 6x10");
    assert_says(m, "target is 5");
}

static void shapes_must_agree(void **state)
{
    (void)state;
    static const char *const names[] = {"mean_squared_error", "mae", "huber", "binary_crossentropy", "kl_divergence"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *m = refused(names[i], PLN_F32, SHAPE(9, 3, 4), SHAPE(9, 4, 3));
        assert_says(m, "3x4");
        assert_says(m, "4x3");
        assert_says(refused(names[i], PLN_U8, SHAPE(9, 3), SHAPE(9, 3)), "element type 4");
    }
}

static void a_single_score_may_lack_its_axis(void **state)
{
    (void)state;
    static work k;
    work_begin(&k, "mean_squared_error", "");
    memcpy(k.shape, SHAPE(2, 1), sizeof(int64_t) * 3);
    memcpy(k.target_shape, SHAPE(2), sizeof(int64_t) * 2);
    k.pred[0] = 3;
    k.pred[1] = 1;
    k.y[1] = 2;
    assert_int_equal(check(&k), PLN_OK);
    assert_int_equal(run_all(&k), PLN_OK);
    assert_true(k.value[0] == 9 && k.value[1] == 1 && k.dpred[0] == 6 && k.dpred[1] == -2);
}

static void a_label_out_of_range_is_named(void **state)
{
    (void)state;
    static const int32_t wrong[] = {4, -1, INT32_MAX, INT32_MIN};
    static const char *const says[] = {"label 4 ", "label -1 ", "label 2147483647 ", "label -2147483648 "};
    static work k;
    for (int i = 0; i < 4; i++) {
        work_fill(&k, "sparse_categorical_crossentropy", "");
        k.label[70] = wrong[i];
        stub_forget();
        assert_int_equal(run_piece(&k, 60, 20, 1), PLN_FAIL);
        assert_says(stub_message(), says[i]);
        assert_says(stub_message(), "sample 70 ");
        assert_says(stub_message(), "4 class scores, for labels 0 to 3");
    }
}

static void logits_after_a_softmax_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"sparse_categorical_crossentropy", "categorical_crossentropy",
                                        "binary_crossentropy"};
    static work k;
    for (int i = 0; i < 3; i++) {
        work_fill(&k, names[i], "linked from_logits=true");
        assert_int_equal(run_all(&k), PLN_FAIL);
        assert_says(stub_message(), "from_logits = true, but the model ends in a");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_agrees_with_pytorch),
        cmocka_unit_test(gradients_are_slopes),
        cmocka_unit_test(pieces_and_evaluation_give_the_same_bits),
        cmocka_unit_test(what_is_no_number_stays_in_its_sample_and_shows),
        cmocka_unit_test(pictures_of_scores_are_refused_with_a_remedy),
        cmocka_unit_test(class_numbers_and_one_hot_rows_are_told_apart),
        cmocka_unit_test(one_score_is_no_row),
        cmocka_unit_test(rows_and_class_numbers_must_be_as_many),
        cmocka_unit_test(shapes_must_agree),
        cmocka_unit_test(a_single_score_may_lack_its_axis),
        cmocka_unit_test(a_label_out_of_range_is_named),
        cmocka_unit_test(logits_after_a_softmax_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The metrics against numbers worked out by hand from Keras 3's definitions, and in what the contract promises: the
 * cells of pieces add up, misfits are refused with a sentence. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "stub_host.h"

enum { CELLS = 4096 };

/* A metric and what it looks at. */
typedef struct work {
    const pln_metric *type;
    double opts[STUB_OPTS / sizeof(double)], cells[CELLS];
    float *pred, *weight;
    void *target;
    const int64_t *shape, *target_shape;
    uint32_t target_dtype, ncells;
} work;

static work work_of(const char *name, const char *options, float *pred, const int64_t *shape, uint32_t dtype,
                    void *target, const int64_t *target_shape)
{
    work k = {.type = stub_find(PLN_METRIC, name),
              .pred = pred,
              .target = target,
              .shape = shape,
              .target_shape = target_shape,
              .target_dtype = dtype};
    stub_options(k.type, options, k.opts);
    return k;
}

static int ask_cells(work *k)
{
    pln_slot pred = stub_slot(PLN_F32, k->shape), target = stub_slot(k->target_dtype, k->target_shape);
    stub_forget();
    return k->type->cells(stub_host(), k->opts, NULL, &pred, &target, &k->ncells);
}

static int64_t sample(const int64_t *shape)
{
    int64_t n = 1;
    for (int i = 1; shape[i]; i++)
        n *= shape[i];
    return n;
}

/* Samples first .. first+n-1, added to cells. */
static void update(const work *k, int64_t first, int64_t n, double *cells)
{
    pln_tensor pred = stub_tensor(PLN_F32, k->pred + first * sample(k->shape), k->shape);
    pln_tensor target = stub_tensor(k->target_dtype, (float *)k->target + first * sample(k->target_shape),
                                    k->target_shape); /* both element types have 4 bytes */
    pred.shape[0] = target.shape[0] = n;
    pred.first = target.first = first;
    pln_loss_call c = {.size = PLN_SIZE_TO(pln_loss_call, linked),
                       .opts = k->opts,
                       .pred = &pred,
                       .target = &target,
                       .weight = k->weight ? k->weight + first : NULL};
    assert_int_equal(k->type->update(stub_host(), &c, cells), PLN_OK);
}

/* The value over the whole batch; also that of every cut into two pieces must be it. */
static double value(work *k)
{
    assert_int_equal(ask_cells(k), PLN_OK);
    assert_true(k->ncells > 0 && k->ncells <= CELLS);
    memset(k->cells, 0, sizeof k->cells);
    update(k, 0, k->shape[0], k->cells);
    double whole = k->type->result(k->opts, k->cells);
    for (int64_t cut = 0; cut <= k->shape[0]; cut++) {
        static double left[CELLS], right[CELLS];
        memset(left, 0, sizeof left);
        memset(right, 0, sizeof right);
        update(k, 0, cut, left);
        update(k, cut, k->shape[0] - cut, right);
        for (uint32_t i = 0; i < k->ncells; i++)
            left[i] += right[i];
        assert_true(fabs(k->type->result(k->opts, left) - whole) < 1e-12);
    }
    return whole;
}

static void assert_near(double got, double wanted)
{
    if (!(fabs(got - wanted) < 1e-6))
        fail_msg("expected %.9g, got %.9g", wanted, got);
}

/* Five rows of three scores; the fourth is a tie, the fifth holds NaN. */
static float scores[] = {0.1f, 0.7f, 0.2f, 5, -3, 1, -9, -8, -7, 0.4f, 0.4f, 0.2f, NAN, 1, 0};
static int32_t labels[] = {1, 2, 2, 0, 1};
static float rows[] = {0, 1, 0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 0};

static void sparse_accuracy_counts_first_maxima(void **state)
{
    (void)state;
    work k = work_of("sparse_categorical_accuracy", "", scores, SHAPE(5, 3), PLN_I32, labels, SHAPE(5));
    assert_near(value(&k), 3.0 / 5);
    assert_true(k.type->flags & PLN_ORDER_ONLY);
    labels[3] = 1; /* the tie's second maximum */
    assert_near(value(&k), 2.0 / 5);
    labels[3] = 0;
}

static void accuracy_is_weighted_by_sample(void **state)
{
    (void)state;
    work k = work_of("sparse_categorical_accuracy", "", scores, SHAPE(5, 3), PLN_I32, labels, SHAPE(5));
    k.weight = (float[]){1, 10, 2, 0.5f, 0.5f};
    assert_near(value(&k), 3.5 / 14);
    k.weight = (float[]){0, 0, 0, 0, 0};
    assert_near(value(&k), 0);
}

static void accuracy_of_sequences_counts_rows(void **state)
{
    (void)state;
    work k = work_of("sparse_categorical_accuracy", "", scores, SHAPE(2, 2, 3), PLN_I32, labels, SHAPE(2, 2));
    assert_near(value(&k), 3.0 / 4);
}

static void dense_accuracy_equals_sparse_accuracy(void **state)
{
    (void)state;
    work k = work_of("categorical_accuracy", "", scores, SHAPE(5, 3), PLN_F32, rows, SHAPE(5, 3));
    assert_near(value(&k), 3.0 / 5);
}

static void top_k_looks_at_the_k_largest(void **state)
{
    (void)state;
    work k = work_of("sparse_top_k_categorical_accuracy", "k=1", scores, SHAPE(5, 3), PLN_I32, labels, SHAPE(5));
    assert_near(value(&k), 3.0 / 5);
    k = work_of("sparse_top_k_categorical_accuracy", "k=2", scores, SHAPE(5, 3), PLN_I32, labels, SHAPE(5));
    assert_near(value(&k), 4.0 / 5);
    k = work_of("sparse_top_k_categorical_accuracy", "", scores, SHAPE(4, 3), PLN_I32, labels, SHAPE(4));
    assert_near(value(&k), 1);
}

static float chances[] = {0.9f, 0.5f, 0.2f, 0.6f, 0.8f, 0.1f};
static int32_t truth[] = {1, 1, 0, 0, 1, 1};

static void binary_accuracy_uses_the_threshold(void **state)
{
    (void)state;
    work k = work_of("binary_accuracy", "", chances, SHAPE(6, 1), PLN_I32, truth, SHAPE(6));
    assert_near(value(&k), 3.0 / 6);
    assert_false(k.type->flags & PLN_ORDER_ONLY);
    k = work_of("binary_accuracy", "threshold=0.4", chances, SHAPE(6, 1), PLN_I32, truth, SHAPE(6));
    assert_near(value(&k), 4.0 / 6);
    k = work_of("binary_accuracy", "", chances, SHAPE(3, 2), PLN_I32, truth, SHAPE(3, 2));
    assert_near(value(&k), 3.0 / 6);
}

/* Two right yeses, one wrong yes, two wrong noes. */
static void precision_recall_and_f1(void **state)
{
    (void)state;
    work k = work_of("precision", "", chances, SHAPE(6, 1), PLN_I32, truth, SHAPE(6));
    assert_near(value(&k), 2.0 / 3);
    k = work_of("recall", "", chances, SHAPE(6, 1), PLN_I32, truth, SHAPE(6));
    assert_near(value(&k), 2.0 / 4);
    k = work_of("f1_score", "", chances, SHAPE(6, 1), PLN_I32, truth, SHAPE(6));
    assert_near(value(&k), 4.0 / 7);
    k = work_of("precision", "threshold=0.95", chances, SHAPE(6, 1), PLN_I32, truth, SHAPE(6));
    assert_near(value(&k), 0);
    k = work_of("recall", "threshold=0.05", chances, SHAPE(6, 1), PLN_I32, truth, SHAPE(6));
    assert_near(value(&k), 1);
}

/* Of the 4 x 2 pairs of a yes and a no, 5 are in order. */
static void auc_is_the_share_of_pairs_in_order(void **state)
{
    (void)state;
    work k = work_of("auc", "", chances, SHAPE(6, 1), PLN_I32, truth, SHAPE(6));
    assert_near(value(&k), 5.0 / 8);
    float extremes[] = {0, 1, 2, -1, NAN, INFINITY};
    int32_t sides[] = {0, 1, 1, 0, 0, 1};
    k = work_of("auc", "", extremes, SHAPE(6), PLN_I32, sides, SHAPE(6));
    assert_near(value(&k), 1);
    k = work_of("auc", "num_thresholds=2", chances, SHAPE(6), PLN_I32, truth, SHAPE(6));
    assert_near(value(&k), 0.5);
    k = work_of("auc", "", chances, SHAPE(2), PLN_I32, truth, SHAPE(2));
    assert_near(value(&k), 0); /* no negatives */
}

static void errors_are_means_over_all_values(void **state)
{
    (void)state;
    float p[] = {1, 2, 3, 4}, y[] = {1, 0, 6, 5};
    static const struct {
        const char *name;
        double wanted, weighted;
    } cases[] = {
        {"mean_squared_error", 14.0 / 4, (3 * 4 + 10.0) / 8},    {"mse", 14.0 / 4, (3 * 4 + 10.0) / 8},
        {"mean_absolute_error", 6.0 / 4, (3 * 2 + 4.0) / 8},     {"mae", 6.0 / 4, (3 * 2 + 4.0) / 8},
        {"root_mean_squared_error", 1.8708286934, 1.6583123952},
    };
    for (int i = 0; i < 5; i++) {
        work k = work_of(cases[i].name, "", p, SHAPE(2, 2), PLN_F32, y, SHAPE(2, 2));
        assert_near(value(&k), cases[i].wanted);
        k.weight = (float[]){3, 1};
        assert_near(value(&k), cases[i].weighted);
    }
}

static const char *refused(const char *name, const int64_t *shape, uint32_t dtype, const int64_t *target_shape)
{
    work k = work_of(name, "", NULL, shape, dtype, NULL, target_shape);
    assert_int_equal(ask_cells(&k), PLN_FAIL);
    return stub_message();
}

static void misfits_are_refused_with_a_remedy(void **state)
{
    (void)state;
    const char *m = refused("sparse_categorical_accuracy", SHAPE(9, 26, 26, 10), PLN_I32, SHAPE(9));
    assert_non_null(strstr(m, "wants one row of class scores a sample, model gives 26x26x10; put nn.Flatten{} before"));
    assert_non_null(strstr(refused("sparse_categorical_accuracy", SHAPE(9, 1), PLN_I32, SHAPE(9)), "binary_accuracy"));
    assert_non_null(strstr(refused("categorical_accuracy", SHAPE(9, 10), PLN_I32, SHAPE(9)), "sparse_categorical_"));
    assert_non_null(strstr(refused("binary_accuracy", SHAPE(9, 3), PLN_I32, SHAPE(9)), "3 a sample"));
    assert_non_null(strstr(refused("auc", SHAPE(9, 3), PLN_F32, SHAPE(9, 2)), "a target is 2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sparse_accuracy_counts_first_maxima),
        cmocka_unit_test(accuracy_is_weighted_by_sample),
        cmocka_unit_test(accuracy_of_sequences_counts_rows),
        cmocka_unit_test(dense_accuracy_equals_sparse_accuracy),
        cmocka_unit_test(top_k_looks_at_the_k_largest),
        cmocka_unit_test(binary_accuracy_uses_the_threshold),
        cmocka_unit_test(precision_recall_and_f1),
        cmocka_unit_test(auc_is_the_share_of_pairs_in_order),
        cmocka_unit_test(errors_are_means_over_all_values),
        cmocka_unit_test(misfits_are_refused_with_a_remedy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

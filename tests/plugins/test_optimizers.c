/* The optimizers against Keras 3's formulas in float64 (tests/fixtures/optimizers.txt, made by optimizers_keras.py),
 * and what the contract promises of all of them: slices do not change bits, no slot that is not asked for, NaN not
 * hidden. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stub_host.h"

enum { FIXTURE = 7, REPEATS = 37, WEIGHTS = FIXTURE * REPEATS, STEPS = 20, SLOTS = 8 };

/* The formulas of optimizers_keras.py. */
static float start(int i)
{
    return (float)((i * 37) % 19 - 9) / 8;
}

static float gradient(int i, int t)
{
    float g = (float)((i * 7919 + t * 104729 + 13) % 2001 - 1000) / 512;
    return i == 5 ? 0 : i == 6 ? g / (1 << 20) : g;
}

/* An optimizer at work on WEIGHTS weights, which repeat the fixture's. */
typedef struct work {
    const pln_optimizer *type;
    double opts[STUB_OPTS / sizeof(double)], late_rate;
    float w[WEIGHTS], g[WEIGHTS], slots[SLOTS][WEIGHTS];
    uint32_t nslots, flags;
    float gscale;
} work;

static void work_begin(work *k, const char *name, const char *options)
{
    memset(k, 0, sizeof *k);
    k->type = stub_find(PLN_OPTIMIZER, name);
    k->gscale = 1;
    char own[512];
    snprintf(own, sizeof own, "%s", options);
    char *late = strstr(own, "late_rate=");
    if (late) {
        k->late_rate = strtod(late + strlen("late_rate="), NULL);
        memset(late, ' ', strcspn(late, " \n"));
    }
    stub_options(k->type, own, k->opts);
    while (k->type->slots && k->type->slots[k->nslots])
        k->nslots++;
    assert_true(k->nslots <= SLOTS);
    for (int i = 0; i < WEIGHTS; i++)
        k->w[i] = start(i % FIXTURE);
}

/* The slots in use have their arrays, the others NULL. */
static void update_slice(work *k, const double numbers[8], double lr, int t, int offset, int count)
{
    float *slot[SLOTS] = {NULL};
    uint32_t used = k->type->uses ? k->type->uses(k->opts) : ~0u;
    for (uint32_t s = 0; s < k->nslots; s++)
        slot[s] = used >> s & 1 ? k->slots[s] + offset : NULL;
    pln_update u = {.size = PLN_SIZE_TO(pln_update, k),
                    .param_flags = k->flags,
                    .offset = offset,
                    .count = count,
                    .w = k->w + offset,
                    .g = k->g + offset,
                    .slot = slot,
                    .gscale = k->gscale,
                    .lr = lr,
                    .step = (uint64_t)t,
                    .opts = k->opts,
                    .k = numbers};
    assert_int_equal(k->type->update(stub_host(), &u), PLN_OK);
}

/* The learning rate is wherever the option of that name is. */
static double learning_rate(const work *k, int t)
{
    double lr = -1;
    for (uint32_t i = 0; i < k->type->noptions; i++)
        if (strcmp(k->type->options[i].name, "learning_rate") == 0) {
            assert_true(k->type->options[i].flags & PLN_LIVE);
            memcpy(&lr, (const char *)k->opts + k->type->options[i].offset, sizeof lr);
        }
    assert_true(lr >= 0);
    return k->late_rate > 0 && t >= 10 ? k->late_rate : lr;
}

/* Step t, in slices of `slice` weights. */
static void work_step(work *k, int t, int slice)
{
    double numbers[8] = {0}, lr = learning_rate(k, t);
    if (k->type->begin)
        k->type->begin(k->opts, (uint64_t)t, lr, numbers);
    for (int i = 0; i < WEIGHTS; i++)
        k->g[i] = gradient(i % FIXTURE, t) / k->gscale;
    for (int offset = 0; offset < WEIGHTS; offset += slice)
        update_slice(k, numbers, lr, t, offset, WEIGHTS - offset < slice ? WEIGHTS - offset : slice);
}

static void compare_line(const work *k, const char *line, const char *name, int t)
{
    char *end;
    strtol(line, &end, 10);
    for (int i = 0; i < FIXTURE; i++) {
        double wanted = strtod(end, &end), got = (double)k->w[i];
        if (!(fabs(got - wanted) <= 2e-6 * (1 + fabs(wanted))))
            fail_msg("%s step %d weight %d: expected %.9g, got %.9g", name, t, i, wanted, got);
    }
    for (int i = FIXTURE; i < WEIGHTS; i++)
        if (memcmp(&k->w[i], &k->w[i % FIXTURE], sizeof(float)) != 0)
            fail_msg("%s step %d: weight %d differs from its like %d", name, t, i, i % FIXTURE);
}

static void every_case_follows_keras(void **state)
{
    (void)state;
    static work k;
    char line[1024], name[600] = "";
    int t = 0, cases = 0, lines = 0;
    FILE *f = fopen(FIXTURES_DIR "/optimizers.txt", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        char type[64];
        int skip = 0;
        if (line[0] == '#')
            continue;
        if (sscanf(line, "case %63s%n", type, &skip) == 1) {
            snprintf(name, sizeof name, "%s%.500s", type, line + skip);
            work_begin(&k, type, line + skip);
            t = 0;
            cases++;
            continue;
        }
        for (int until = atoi(line); t < until; t++)
            work_step(&k, t, WEIGHTS);
        compare_line(&k, line, name, t);
        lines++;
    }
    fclose(f);
    assert_int_equal(cases, 25);
    assert_int_equal(lines, 5 * cases);
}

/* Every built-in type with the options that switch on all of its branches in turn. */
static const char *const variants[][2] = {
    {"SGD", ""},
    {"SGD", "momentum=0.9 weight_decay=0.1"},
    {"SGD", "momentum=0.9 nesterov=true"},
    {"Adam", ""},
    {"Adam", "amsgrad=true"},
    {"AdamW", ""},
    {"RMSprop", ""},
    {"RMSprop", "momentum=0.5"},
    {"RMSprop", "centered=true"},
    {"RMSprop", "centered=true momentum=0.5"},
    {"Adagrad", ""},
    {"Adamax", ""},
    {"Nadam", ""},
    {"Lion", ""},
};
enum { VARIANTS = sizeof variants / sizeof *variants };

static void run_variant(work *k, int v, uint32_t flags, const char *more, float gscale, int slice)
{
    char options[256];
    snprintf(options, sizeof options, "%s %s", variants[v][1], more);
    work_begin(k, variants[v][0], options);
    k->flags = flags;
    k->gscale = gscale;
    for (int t = 0; t < STEPS; t++)
        work_step(k, t, slice);
}

static void slices_do_not_change_bits(void **state)
{
    (void)state;
    static work whole, cut;
    for (int v = 0; v < VARIANTS; v++) {
        run_variant(&whole, v, 0, "", 1, WEIGHTS);
        run_variant(&cut, v, 0, "", 1, 64);
        assert_true(whole.type->flags & PLN_ELEMENTWISE);
        assert_memory_equal(whole.w, cut.w, sizeof whole.w);
        assert_memory_equal(whole.slots, cut.slots, sizeof whole.slots);
    }
}

static void gscale_scales_the_gradient(void **state)
{
    (void)state;
    static work plain, scaled;
    for (int v = 0; v < VARIANTS; v++) {
        run_variant(&plain, v, 0, "", 1, WEIGHTS);
        run_variant(&scaled, v, 0, "", 0.25f, WEIGHTS);
        assert_memory_equal(plain.w, scaled.w, sizeof plain.w);
    }
}

static void biases_are_not_decayed(void **state)
{
    (void)state;
    static work none, bias, kernel;
    for (int v = 0; v < VARIANTS; v++) {
        run_variant(&none, v, 0, "weight_decay=0", 1, WEIGHTS);
        run_variant(&bias, v, PLN_NO_DECAY, "weight_decay=0.5", 1, WEIGHTS);
        run_variant(&kernel, v, 0, "weight_decay=0.5", 1, WEIGHTS);
        assert_memory_equal(none.w, bias.w, sizeof none.w);
        assert_memory_not_equal(none.w, kernel.w, sizeof none.w);
    }
}

static uint32_t slots_used(const char *name, const char *options)
{
    static work k;
    work_begin(&k, name, options);
    return k.type->uses(k.opts);
}

static void only_slots_that_are_needed_are_kept(void **state)
{
    (void)state;
    assert_int_equal(slots_used("SGD", ""), 0);
    assert_int_equal(slots_used("SGD", "momentum=0.9"), 1);
    assert_int_equal(slots_used("Adam", ""), 3);
    assert_int_equal(slots_used("Adam", "amsgrad=true"), 7);
    assert_int_equal(slots_used("RMSprop", ""), 1);
    assert_int_equal(slots_used("RMSprop", "momentum=0.5"), 3);
    assert_int_equal(slots_used("RMSprop", "centered=true"), 5);
}

static void a_gradient_that_is_no_number_shows_in_the_weight(void **state)
{
    (void)state;
    static work k;
    for (int v = 0; v < VARIANTS; v++) {
        double numbers[8] = {0};
        work_begin(&k, variants[v][0], variants[v][1]);
        if (k.type->begin)
            k.type->begin(k.opts, 0, 0.01, numbers);
        k.g[3] = NAN;
        update_slice(&k, numbers, 0.01, 0, 0, WEIGHTS);
        assert_true(isnan(k.w[3]));
        for (int i = 0; i < WEIGHTS; i++)
            assert_true(i == 3 || isfinite(k.w[i]));
    }
}

static void late_steps_are_finite(void **state)
{
    (void)state;
    static const uint64_t steps[] = {999, 1000, 123456789, UINT64_MAX - 2};
    static work k;
    for (int v = 0; v < VARIANTS; v++)
        for (int s = 0; s < 4; s++) {
            double numbers[8] = {0};
            work_begin(&k, variants[v][0], variants[v][1]);
            if (k.type->begin)
                k.type->begin(k.opts, steps[s], 0.001, numbers);
            for (int i = 0; i < 8; i++)
                assert_true(isfinite(numbers[i]) && fabs(numbers[i]) <= 2);
        }
}

/* Nadam's product of all u_t, in full; the plugin shortens it where u_t has become beta_1. */
static void nadams_short_product_is_the_whole_one(void **state)
{
    (void)state;
    static work k;
    const double beta = 0.9999;
    double product = 1, numbers[8] = {0};
    work_begin(&k, "Nadam", "beta_1=0.9999");
    for (int t = 1; t <= 1500; t++) {
        double now = beta * (1 - 0.5 * pow(0.96, t)), next = beta * (1 - 0.5 * pow(0.96, t + 1));
        product *= now;
        k.type->begin(k.opts, (uint64_t)t - 1, 0.5, numbers);
        assert_true(fabs(numbers[0] * (1 - product * next) - 0.5 * next) < 1e-12);
        assert_true(fabs(numbers[1] * (1 - product) - 0.5 * (1 - now)) < 1e-12);
    }
}

/* With gradients that hardly vary, rounding makes v - a^2 negative by more than epsilon. */
static void a_variance_below_zero_counts_as_zero(void **state)
{
    (void)state;
    static work k;
    work_begin(&k, "RMSprop", "centered=true rho=0.5 epsilon=0.0000000001");
    for (int t = 0; t < 100; t++) {
        double numbers[8] = {0};
        for (int i = 0; i < WEIGHTS; i++)
            k.g[i] = 10 + (float)i / 7;
        update_slice(&k, numbers, 1e-6, t, 0, WEIGHTS);
    }
    for (int i = 0; i < WEIGHTS; i++)
        assert_true(isfinite(k.w[i]));
}

/* Whatever vectors this processor has: Adam's bits are those of this loop, compiled for any x86-64. */
static void adam_has_the_bits_of_a_plain_loop(void **state)
{
    (void)state;
    static work k;
    static float w[WEIGHTS], m[WEIGHTS], v[WEIGHTS];
    work_begin(&k, "Adam", "weight_decay=0.1");
    memcpy(w, k.w, sizeof w);
    for (int t = 0; t < STEPS; t++) {
        double numbers[8] = {0};
        k.type->begin(k.opts, (uint64_t)t, 0.001, numbers);
        work_step(&k, t, WEIGHTS);
        float alpha = (float)numbers[0], decay = (float)(0.001 * 0.1);
        for (int i = 0; i < WEIGHTS; i++) {
            float g = gradient(i % FIXTURE, t);
            m[i] += (float)(1 - 0.9) * (g - m[i]);
            v[i] += (float)(1 - 0.999) * (g * g - v[i]);
            w[i] = w[i] - w[i] * decay - alpha * m[i] / (sqrtf(v[i]) + 1e-7f);
        }
        assert_memory_equal(w, k.w, sizeof w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_follows_keras),
        cmocka_unit_test(slices_do_not_change_bits),
        cmocka_unit_test(gscale_scales_the_gradient),
        cmocka_unit_test(biases_are_not_decayed),
        cmocka_unit_test(only_slots_that_are_needed_are_kept),
        cmocka_unit_test(a_gradient_that_is_no_number_shows_in_the_weight),
        cmocka_unit_test(late_steps_are_finite),
        cmocka_unit_test(adam_has_the_bits_of_a_plain_loop),
        cmocka_unit_test(nadams_short_product_is_the_whole_one),
        cmocka_unit_test(a_variance_below_zero_counts_as_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

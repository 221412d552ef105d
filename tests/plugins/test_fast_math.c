/* A plugin that was linked with -ffast-math changes the floating-point state of the thread that loads it.  Neither the
 * caller's arithmetic nor anybody's training may notice.  Only x86-64 has that state where we can look at it. */
#include "../unit/net_helper.h"

#include <dlfcn.h>
#include <string.h>

#if defined(__x86_64__)

#define STICKY 0x3fu /* flags that any inexact operation sets */

static unsigned state_now(void)
{
    return __builtin_ia32_stmxcsr() & ~STICKY;
}

/* Does arithmetic on this thread keep denormals, and does it round to nearest? */
static void assert_ordinary_arithmetic(void)
{
    volatile float tiny = 1e-38f, half = 0.01f;
    volatile double one = 1, third = 1.0 / 3;
    assert_true(tiny * half > 0);
    assert_true(one - third * 3 == 0);
    assert_int_equal(state_now(), 0x1f80); /* what a process begins with */
}

/* A model of two Dense layers, with FastMath between them or without it. */
static void train(registry *plugins, int careless, char hex[HASH_HEX])
{
    dataset *set = quarters(96);
    model *m = new_model(plugins);
    recipe r = classification(plugins);
    value at = {-1, 0};
    trainer *t;
    CHAIN(m, &at, "Input", LIST(NULL, 8, 8, 1));
    chain(m, &at, "Flatten", NULL, 0);
    CHAIN(m, &at, "Dense", INTEGER("units", 8), TEXT("activation", "tanh"));
    if (careless)
        chain(m, &at, "FastMath", NULL, 0);
    CHAIN(m, &at, "Dense", INTEGER("units", 4), TEXT("activation", "softmax"));
    finish_model(m, at, 1);
    fit_options o = {.train = set, .epochs = 2, .batch_size = 32, .seed = 1};
    DONE(trainer_open(m, &r, &o, NULL, &t, &why));
    train_all(t);
    trainer_digest(t, hex);
    trainer_free(t);
    recipe_free(&r);
    model_free(m);
    free_quarters(set);
}

/* First, because a library's constructor runs once in a process. */
static void loading_it_leaves_the_callers_state_alone(void **state)
{
    (void)state;
    char before[HASH_HEX], with[HASH_HEX], after[HASH_HEX];
    registry *plugins = plugins_of_this_build();
    assert_ordinary_arithmetic();
    train(plugins, 0, before);
    assert_ordinary_arithmetic();
    DONE(registry_load(plugins, FAST_MATH, &why));
    assert_ordinary_arithmetic();
    train(plugins, 1, with);
    assert_ordinary_arithmetic();
    train(plugins, 0, after);
    assert_string_equal(before, with);
    assert_string_equal(before, after);
    registry_free(plugins);
}

/* A caller with a state of its own gets that one back; where it only flushes denormals, the digest is the same too. */
static void a_callers_own_state_is_its_own(void **state)
{
    (void)state;
    static const unsigned mine[] = {0x9f80, 0x1fc0, 0x9fc0,
                                    0x3f80, 0x5f80, 0x7f80}; /* FTZ, DAZ, both; rounding modes */
    char hex[HASH_HEX], plain[HASH_HEX];
    const unsigned ordinary = __builtin_ia32_stmxcsr();
    registry *plugins = plugins_of_this_build();
    train(plugins, 0, plain);
    for (size_t k = 0; k < sizeof mine / sizeof *mine; k++) {
        __builtin_ia32_ldmxcsr(mine[k]);
        DONE(registry_load(plugins, FAST_MATH, &why));
        assert_int_equal(state_now(), mine[k]);
        train(plugins, 1, hex);
        assert_int_equal(state_now(), mine[k]);
        __builtin_ia32_ldmxcsr(ordinary);
        if (k < 3)
            assert_string_equal(hex, plain);
    }
    registry_free(plugins);
}

/* That the two above can fail: without the engine's care, the plugin does change the state. */
static void the_plugin_does_change_the_state(void **state)
{
    (void)state;
    char copy[] = "/tmp/perilune-test-XXXXXX.so", command[1024];
    const unsigned ordinary = __builtin_ia32_stmxcsr();
    int fd = mkstemps(copy, 3);
    assert_true(fd >= 0);
    snprintf(command, sizeof command, "cp '%s' %s", FAST_MATH, copy);
    assert_int_equal(system(command), 0);
    void *handle = dlopen(copy, RTLD_NOW | RTLD_LOCAL); /* another file: its constructor runs again */
    const unsigned changed = state_now();
    __builtin_ia32_ldmxcsr(ordinary);
    remove(copy);
    assert_non_null(handle);
    assert_int_not_equal(changed & 0x8040, 0);
    dlclose(handle);
}

#else

static void loading_it_leaves_the_callers_state_alone(void **state)
{
    (void)state;
    skip();
}
#define a_callers_own_state_is_its_own   loading_it_leaves_the_callers_state_alone
#define the_plugin_does_change_the_state loading_it_leaves_the_callers_state_alone

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loading_it_leaves_the_callers_state_alone),
        cmocka_unit_test(a_callers_own_state_is_its_own),
        cmocka_unit_test(the_plugin_does_change_the_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

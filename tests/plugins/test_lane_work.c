/* Do all lanes work?  Equal digests would also come from a pool that leaves everything to lane 0; so this counts pieces.
 *
 *   - the first steps of the chapter's CNN are the same number of pieces at 2, 3, 7 and 64 lanes.  One lane may do with
 *     fewer: it need not cut a product for others to share, as long as the sums and their order are the same
 *   - every lane for which there is a processor does some of them
 *
 * How much faster two lanes are is bench_lanes's, since a test that measures time fails on a busy machine. */
#include "chapter_cnn.h"

#include <string.h>
#include <time.h>

#define STEPS   40
#define PATIENT 30.0 /* seconds to wait for a lane that the system does not let run */

typedef struct training {
    model *m;
    recipe r;
    trainer *t;
} training;

static registry *plugins;
static dataset *set;

static void begin_training(training *x, lanes *pool)
{
    x->m = chapter_cnn(plugins, 0.2);
    x->r = classification(plugins);
    fit_options o = {.train = set, .epochs = 100000, .batch_size = CHAPTER_BATCH, .seed = 1, .shuffle = 1};
    DONE(trainer_open(x->m, &x->r, &o, pool, &x->t, &why));
}

static void end_training(training *x)
{
    trainer_free(x->t);
    recipe_free(&x->r);
    model_free(x->m);
}

static void train(training *x, int steps)
{
    for (int i = 0; i < steps;) {
        trainer_event e;
        DONE(trainer_next(x->t, 1, 1e9, &e, &why));
        i += e.kind == TRAINER_BATCH;
    }
}

static int workers(const lanes *pool)
{
    int n = 0;
    for (int i = 0; i < lanes_count(pool); i++)
        n += lanes_done(pool, i) > 0;
    return n;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Trains on until as many lanes as can run have worked. */
static void wait_for_workers(training *x, const lanes *pool)
{
    const int processors = lanes_available(), wanted = lanes_count(pool) < processors ? lanes_count(pool) : processors;
    const double begin = seconds();
    while (workers(pool) < wanted) {
        if (seconds() - begin > PATIENT)
            fail_msg("of %d lanes on %d processors %d did all the work", lanes_count(pool), processors, workers(pool));
        train(x, 1);
    }
}

/* The pieces of the first steps. */
static uint64_t pieces_at(int count)
{
    lanes *pool;
    training x;
    uint64_t pieces = 0;
    DONE(lanes_open(count, &pool, &why));
    begin_training(&x, pool);
    train(&x, STEPS);
    for (int i = 0; i < count; i++)
        pieces += lanes_done(pool, i);
    wait_for_workers(&x, pool);
    end_training(&x);
    lanes_close(pool);
    return pieces;
}

static void all_lanes_share_the_same_number_of_pieces(void **state)
{
    (void)state;
    static const int counts[] = {3, 7, 64};
    const uint64_t one = pieces_at(1), two = pieces_at(2);
    assert_true(one > STEPS * 8 && one <= two);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        const uint64_t pieces = pieces_at(counts[i]);
        if (pieces != two)
            fail_msg("%d steps are %llu pieces at %d lanes, and %llu at two", STEPS, (unsigned long long)pieces,
                     counts[i], (unsigned long long)two);
    }
}

static int begin(void **state)
{
    (void)state;
    plugins = plugins_of_this_build();
    set = chapter_data();
    return 0;
}

static int end(void **state)
{
    (void)state;
    free_quarters(set);
    registry_free(plugins);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_lanes_share_the_same_number_of_pieces),
    };
    return cmocka_run_group_tests(tests, begin, end);
}

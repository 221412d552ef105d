/* Lanes: every piece runs once, whatever the number of lanes; failures, nesting, signals and floating-point state. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fpu.h"
#include "base/lanes.h"

static const int lane_numbers[] = {1, 2, 3, 7, 64};
#define LANE_NUMBERS (sizeof lane_numbers / sizeof *lane_numbers)

static lanes *open_lanes(int count)
{
    lanes *pool;
    error e;
    assert_int_equal(lanes_open(count, &pool, &e), 0);
    assert_int_equal(lanes_count(pool), count);
    return pool;
}

/* ------------------------------------------------------------------------------------------------------- pieces */

#define MOST_PIECES 5000

typedef struct tally {
    atomic_int runs[MOST_PIECES];
    atomic_int wrong_lane;
    int count;
} tally;

static int count_piece(void *context, int64_t piece, int lane)
{
    tally *t = context;
    atomic_fetch_add(&t->runs[piece], 1);
    if (lane < 0 || lane >= t->count)
        atomic_store(&t->wrong_lane, 1);
    return 0;
}

static void each_piece_runs_exactly_once_with_any_number_of_lanes(void **state)
{
    (void)state;
    static const int64_t pieces[] = {0, 1, 2, 3, 5, 16, 63, 64, 65, 1000, MOST_PIECES};
    tally *t = malloc(sizeof *t);
    assert_non_null(t);
    for (size_t l = 0; l < LANE_NUMBERS; l++) {
        lanes *pool = open_lanes(lane_numbers[l]);
        uint64_t expected = 0, done = 0;
        for (size_t p = 0; p < sizeof pieces / sizeof *pieces; p++)
            for (int again = 0; again < 5; again++) {
                memset(t, 0, sizeof *t);
                t->count = lane_numbers[l];
                assert_int_equal(lanes_run(pool, pieces[p], count_piece, t), 0);
                for (int i = 0; i < MOST_PIECES; i++)
                    assert_int_equal(t->runs[i], i < pieces[p]);
                assert_false(t->wrong_lane);
                expected += (uint64_t)pieces[p];
            }
        for (int i = 0; i < lane_numbers[l]; i++)
            done += lanes_done(pool, i);
        assert_int_equal(done, expected);
        assert_int_equal(lanes_done(pool, lane_numbers[l]), 0);
        lanes_close(pool);
    }
    free(t);
}

static void a_null_pool_runs_inline_as_lane_0(void **state)
{
    (void)state;
    tally *t = calloc(1, sizeof *t);
    assert_non_null(t);
    t->count = 1;
    assert_int_equal(lanes_run(NULL, 10, count_piece, t), 0);
    for (int i = 0; i < 12; i++)
        assert_int_equal(t->runs[i], i < 10);
    assert_false(t->wrong_lane);
    assert_int_equal(lanes_count(NULL), 1);
    assert_int_equal(lanes_done(NULL, 0), 0);
    lanes_close(NULL);
    free(t);
}

/* Many short regions with pauses of several lengths between them, so that lanes spin in some and sleep in others: a
 * lost wake would hang here. */
static int add_piece(void *context, int64_t piece, int lane)
{
    (void)lane;
    atomic_fetch_add((atomic_long *)context, (long)piece + 1);
    return 0;
}

static void no_wake_is_lost_between_short_and_long_pauses(void **state)
{
    (void)state;
    for (size_t l = 0; l < LANE_NUMBERS; l++) {
        lanes *pool = open_lanes(lane_numbers[l]);
        for (int region = 0; region < 2000; region++) {
            atomic_long sum = 0;
            assert_int_equal(lanes_run(pool, 9, add_piece, &sum), 0);
            assert_int_equal(sum, 45);
            if (region % 16 == 0) {
                struct timespec pause = {0, (region % 256) * 1000L};
                nanosleep(&pause, NULL);
            }
        }
        lanes_close(pool);
    }
}

/* Pieces that take long, so that the caller must sleep until the others are done. */
static int slow_piece(void *context, int64_t piece, int lane)
{
    struct timespec pause = {0, piece % 3 * 400000L};
    (void)lane;
    nanosleep(&pause, NULL);
    atomic_fetch_add((atomic_int *)context, 1);
    return 0;
}

static void the_caller_waits_for_lanes_that_are_slower_than_it(void **state)
{
    (void)state;
    for (size_t l = 0; l < LANE_NUMBERS; l++) {
        lanes *pool = open_lanes(lane_numbers[l]);
        for (int region = 0; region < 10; region++) {
            atomic_int done = 0;
            assert_int_equal(lanes_run(pool, 6, slow_piece, &done), 0);
            assert_int_equal(done, 6);
        }
        lanes_close(pool);
    }
}

/* However busy the machine, the second lane wakes up some time while the first one sleeps in its pieces. */
static void idle_lanes_take_their_share(void **state)
{
    (void)state;
    lanes *pool = open_lanes(2);
    atomic_int done = 0;
    for (int region = 0; region < 5000 && lanes_done(pool, 1) < 10; region++)
        assert_int_equal(lanes_run(pool, 12, slow_piece, &done), 0);
    assert_true(lanes_done(pool, 0) > 0);
    assert_true(lanes_done(pool, 1) >= 10);
    lanes_close(pool);
}

/* ------------------------------------------------------------------------------------------------------ failures */

typedef struct failing {
    atomic_int runs[200];
} failing;

static int fail_from_100(void *context, int64_t piece, int lane)
{
    (void)lane;
    atomic_fetch_add(&((failing *)context)->runs[piece], 1);
    return piece >= 100 ? (int)piece : 0;
}

static void the_lowest_piece_that_fails_gives_the_status_with_any_number_of_lanes(void **state)
{
    (void)state;
    for (size_t l = 0; l < LANE_NUMBERS; l++) {
        lanes *pool = open_lanes(lane_numbers[l]);
        for (int again = 0; again < 50; again++) {
            failing f = {0};
            assert_int_equal(lanes_run(pool, 200, fail_from_100, &f), 100);
            int begun = 0;
            for (int i = 0; i < 200; i++) {
                assert_true(f.runs[i] <= 1);
                begun += f.runs[i];
                if (i <= 100)
                    assert_int_equal(f.runs[i], 1);
            }
            /* A lane stops at its first failure, and begins nothing above a failure it knows of. */
            if (lane_numbers[l] == 1)
                assert_int_equal(begun, 101);
            if (lane_numbers[l] == 2)
                assert_true(begun <= 102);
        }
        atomic_long sum = 0; /* and the pool still works */
        assert_int_equal(lanes_run(pool, 9, add_piece, &sum), 0);
        assert_int_equal(sum, 45);
        lanes_close(pool);
    }
}

static void a_number_of_lanes_that_cannot_be_is_refused_with_the_number(void **state)
{
    (void)state;
    static const int wrong[] = {0, -1, LANES_MAX + 1};
    for (int i = 0; i < 3; i++) {
        lanes *pool = (lanes *)&wrong;
        error e;
        char number[16];
        assert_int_equal(lanes_open(wrong[i], &pool, &e), PLN_E_INVALID);
        assert_null(pool);
        snprintf(number, sizeof number, "got %d", wrong[i]);
        assert_non_null(strstr(e.text, number));
    }
    lanes *most = open_lanes(LANES_MAX);
    lanes_close(most);
}

/* ------------------------------------------------------------------------------------------------------- nesting */

typedef struct nest {
    lanes *pool;
    atomic_int inner_runs, strayed;
} nest;

typedef struct inner {
    nest *outer;
    pthread_t thread;
    int lane;
    int64_t next;
} inner;

static int inner_piece(void *context, int64_t piece, int lane)
{
    inner *i = context;
    if (lane != i->lane || !pthread_equal(pthread_self(), i->thread) || piece != i->next++)
        atomic_store(&i->outer->strayed, 1);
    atomic_fetch_add(&i->outer->inner_runs, 1);
    return piece == 7 ? 42 : 0;
}

static int outer_piece(void *context, int64_t piece, int lane)
{
    nest *n = context;
    (void)piece;
    inner i = {n, pthread_self(), lane, 0};
    int first = lanes_run(n->pool, 7, inner_piece, &i);
    i.next = 0;
    int second = lanes_run(NULL, 20, inner_piece, &i); /* stops behind piece 7 */
    return first == 0 && second == 42 ? 0 : 1;
}

static void a_region_inside_a_piece_runs_inline_in_order_on_the_same_lane(void **state)
{
    (void)state;
    for (size_t l = 0; l < LANE_NUMBERS; l++) {
        nest n = {.pool = open_lanes(lane_numbers[l])};
        assert_int_equal(lanes_run(n.pool, 100, outer_piece, &n), 0);
        assert_int_equal(n.inner_runs, 100 * 15);
        assert_false(n.strayed);
        lanes_close(n.pool);
    }
}

/* ---------------------------------------------------------------------------- what a lane's thread looks like */

#if defined(__x86_64__) || defined(__aarch64__)
#define FLUSHES 1
#else
#define FLUSHES 0 /* fpu.c knows no such state there */
#endif

static int look_at_state(void *context, int64_t piece, int lane)
{
    (void)lane;
    slow_piece(context, piece, lane);
    volatile float tiny = 1e-38f, divisor = 100.0f;
    return tiny / divisor == 0.0f ? 0 : 1;
}

static void every_lane_flushes_denormals_and_the_caller_gets_its_own_state_back(void **state)
{
    (void)state;
    if (!FLUSHES)
        return;
    volatile float tiny = 1e-38f, divisor = 100.0f;
    assert_true(tiny / divisor > 0.0f);
    for (size_t l = 0; l < LANE_NUMBERS; l++) {
        lanes *pool = open_lanes(lane_numbers[l]);
        atomic_int done = 0;
        assert_int_equal(lanes_run(pool, 24, look_at_state, &done), 0);
        assert_int_equal(lanes_run(pool, 1, look_at_state, &done), 0);
        assert_true(tiny / divisor > 0.0f);
        lanes_close(pool);
    }
    unsigned outer = fpu_enter();
    assert_true(tiny / divisor == 0.0f);
    unsigned inside = fpu_enter();
    fpu_leave(inside);
    assert_true(tiny / divisor == 0.0f);
    fpu_leave(outer);
    assert_true(tiny / divisor > 0.0f);
}

typedef struct signals {
    pthread_t caller;
    atomic_int done, open;
} signals;

static int look_at_signals(void *context, int64_t piece, int lane)
{
    signals *s = context;
    sigset_t mask;
    slow_piece(&s->done, piece, lane);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    if (!pthread_equal(pthread_self(), s->caller) && (!sigismember(&mask, SIGINT) || !sigismember(&mask, SIGTERM)))
        atomic_store(&s->open, 1);
    return 0;
}

static void signals_are_blocked_in_lanes_and_untouched_in_the_caller(void **state)
{
    (void)state;
    lanes *pool = open_lanes(4);
    signals s = {.caller = pthread_self()};
    sigset_t mask;
    assert_int_equal(lanes_run(pool, 24, look_at_signals, &s), 0);
    assert_false(s.open);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    assert_false(sigismember(&mask, SIGINT));
    lanes_close(pool);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1 /* whose shadow memory cannot live under a limit */
#else
#define SANITIZED 0
#endif

/* Bytes of address space this process has mapped. */
static rlim_t mapped(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu", &pages), 1);
    fclose(file);
    return pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static void where_threads_are_refused_the_others_do_the_work(void **state)
{
    (void)state;
    if (SANITIZED)
        return;
    struct rlimit before, narrow;
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    tally *t = calloc(1, sizeof *t);
    assert_non_null(t);
    t->count = 200;
    lanes *pool = open_lanes(200);
    narrow = before;
    narrow.rlim_cur = mapped() + (32 << 20); /* room for a few stacks of 8 MiB */
    assert_int_equal(setrlimit(RLIMIT_AS, &narrow), 0);
    int status = lanes_run(pool, MOST_PIECES, count_piece, t);
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    assert_int_equal(status, 0);
    for (int i = 0; i < MOST_PIECES; i++)
        assert_int_equal(t->runs[i], 1);
    assert_int_equal(lanes_done(pool, 199), 0);
    lanes_close(pool);
    free(t);
}

static void the_machine_offers_at_least_one_lane(void **state)
{
    (void)state;
    assert_true(lanes_available() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_piece_runs_exactly_once_with_any_number_of_lanes),
        cmocka_unit_test(a_null_pool_runs_inline_as_lane_0),
        cmocka_unit_test(no_wake_is_lost_between_short_and_long_pauses),
        cmocka_unit_test(the_caller_waits_for_lanes_that_are_slower_than_it),
        cmocka_unit_test(idle_lanes_take_their_share),
        cmocka_unit_test(the_lowest_piece_that_fails_gives_the_status_with_any_number_of_lanes),
        cmocka_unit_test(a_number_of_lanes_that_cannot_be_is_refused_with_the_number),
        cmocka_unit_test(a_region_inside_a_piece_runs_inline_in_order_on_the_same_lane),
        cmocka_unit_test(every_lane_flushes_denormals_and_the_caller_gets_its_own_state_back),
        cmocka_unit_test(signals_are_blocked_in_lanes_and_untouched_in_the_caller),
        cmocka_unit_test(where_threads_are_refused_the_others_do_the_work),
        cmocka_unit_test(the_machine_offers_at_least_one_lane),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

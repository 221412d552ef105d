/* The thread pool.  A training step is five to eight regions of some ten microseconds each, so what counts is the cost
 * of opening and closing a region: one atomic store to open it, one read-modify-write a lane to enter and one to leave.
 *
 * How a region runs.  The caller writes the shares, opens the gate, and raises the generation.  A lane that notices
 * enters the gate (counts itself in), works, and leaves.  The caller works as lane 0; when no piece is left to claim
 * it shuts the gate, and waits until nobody is inside.  A lane that wakes up too late finds the gate shut and waits
 * for the next generation: a slow or preempted thread that holds no piece delays nobody.
 *
 * No wake is lost: who wants to sleep announces it, looks again, and sleeps in a futex that compares once more; who
 * changes the word does so before looking for sleepers (all in sequentially consistent order). */
#include "base/lanes.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cpus.h"
#include "base/fpu.h"

/* How long a waiting lane spins before it sleeps.  A futex wake takes 5 to 50 us until the other thread runs, so that
 * spinning for about as long is at worst half wasted.  With more lanes than processors a spinning lane keeps a working
 * one from running: then hardly at all. */
#define SPIN_NS         50000
#define SPIN_CROWDED_NS 500

/* The gate: is the region open, does the caller sleep on the gate, and how many lanes are inside. */
#define GATE_OPEN    (1u << 31)
#define GATE_WAITING (1u << 30)
#define GATE_INSIDE  (GATE_WAITING - 1)

/* What belongs to one lane, on cache lines of its own (two, because the prefetcher fetches pairs). */
typedef struct share {
    _Alignas(128) _Atomic int64_t next; /* next piece of this share to be claimed; may run past `end` */
    int64_t end;                        /* written by the caller between regions */
    int64_t failed_piece; /* lowest piece that failed on this lane, INT64_MAX: none; read between regions */
    int failed_status;
    _Alignas(128) _Atomic uint64_t done; /* pieces done since the pool was opened; only its lane writes */
    lanes *pool;
    pthread_t thread;
} share;

struct lanes {
    int count;        /* lanes asked for */
    int threads;      /* threads running: count-1, or fewer where the system gave no more */
    int started;      /* has the first region come? */
    int most_to_wake; /* waking more threads than there are processors only makes them push each other aside */
    int64_t spin_ns;

    /* The region, written by the caller while nobody is inside. */
    lanes_body *body;
    void *context;
    int width; /* lanes that have a share of it */

    _Alignas(128) _Atomic uint32_t generation; /* futex of sleeping lanes; raised when a region opens */
    _Atomic uint32_t sleepers;
    atomic_int quit;
    _Alignas(128) _Atomic uint32_t gate;  /* futex of the sleeping caller */
    _Alignas(128) _Atomic int64_t failed; /* lowest piece that failed so far, INT64_MAX: none */

    share shares[]; /* [count] */
};

/* Which lane the current thread is while it runs pieces, -1 outside: a region inside a region runs inline. */
static _Thread_local int inside = -1;

static void futex_wait(_Atomic uint32_t *word, uint32_t seen)
{
    syscall(SYS_futex, (void *)word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, int count)
{
    syscall(SYS_futex, (void *)word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* Spins until (*word == value) is `wanted` or the time is up; returns the last word seen. */
static uint32_t spin_until(_Atomic uint32_t *word, int wanted, uint32_t value, int64_t limit_ns)
{
    int64_t end = 0;
    for (;;) {
        for (int i = 0; i < 16; i++) {
            uint32_t seen = atomic_load_explicit(word, memory_order_acquire);
            if ((seen == value) == wanted)
                return seen;
            relax();
        }
        int64_t now = now_ns();
        if (end == 0)
            end = now + limit_ns;
        else if (now >= end)
            return atomic_load_explicit(word, memory_order_acquire);
    }
}

/* ------------------------------------------------------------------------------------------- doing the work ---- */

/* Runs pieces of `from`'s share as lane `lane` until none is left.  A piece above the lowest one that failed is not
 * begun; those below it are, so that the failure reported is the same whatever lane was faster. */
static void work_share(lanes *pool, share *from, share *mine, int lane)
{
    uint64_t done = 0;
    while (atomic_load_explicit(&from->next, memory_order_relaxed) < from->end) {
        int64_t piece = atomic_fetch_add_explicit(&from->next, 1, memory_order_relaxed);
        if (piece >= from->end || piece > atomic_load_explicit(&pool->failed, memory_order_relaxed))
            break;
        int status = pool->body(pool->context, piece, lane);
        done++;
        if (status == 0)
            continue;
        if (piece < mine->failed_piece) {
            mine->failed_piece = piece;
            mine->failed_status = status;
        }
        int64_t lowest = atomic_load(&pool->failed);
        while (piece < lowest && !atomic_compare_exchange_weak(&pool->failed, &lowest, piece))
            ;
    }
    if (done)
        atomic_store_explicit(&mine->done, atomic_load_explicit(&mine->done, memory_order_relaxed) + done,
                              memory_order_relaxed);
}

/* The lane's own share, then everybody else's. */
static void work(lanes *pool, int lane)
{
    share *mine = &pool->shares[lane];
    inside = lane;
    for (int i = 0, from = lane < pool->width ? lane : 0; i < pool->width; i++) {
        work_share(pool, &pool->shares[from], mine, lane);
        from = from + 1 == pool->width ? 0 : from + 1;
    }
    inside = -1;
}

static int enter(lanes *pool)
{
    uint32_t gate = atomic_load_explicit(&pool->gate, memory_order_relaxed);
    while (gate & GATE_OPEN)
        if (atomic_compare_exchange_weak_explicit(&pool->gate, &gate, gate + 1, memory_order_acquire,
                                                  memory_order_relaxed))
            return 1;
    return 0;
}

static void leave(lanes *pool)
{
    uint32_t before = atomic_fetch_sub(&pool->gate, 1);
    if (before == (GATE_WAITING | 1))
        futex_wake(&pool->gate, 1);
}

/* Waits for a generation other than `seen`, and returns it. */
static uint32_t next_generation(lanes *pool, uint32_t seen)
{
    uint32_t now = spin_until(&pool->generation, 0, seen, pool->spin_ns);
    while (now == seen) {
        atomic_fetch_add(&pool->sleepers, 1);
        if (atomic_load(&pool->generation) == seen)
            futex_wait(&pool->generation, seen);
        atomic_fetch_sub(&pool->sleepers, 1);
        now = atomic_load(&pool->generation);
    }
    return now;
}

static void *lane_main(void *argument)
{
    share *mine = argument;
    lanes *pool = mine->pool;
    int lane = (int)(mine - pool->shares);
    fpu_enter();
    for (uint32_t seen = 0;;) {
        seen = next_generation(pool, seen);
        if (atomic_load(&pool->quit))
            return NULL;
        if (enter(pool)) {
            work(pool, lane);
            leave(pool);
        }
    }
}

/* ------------------------------------------------------------------------------------------ the caller's side ---- */

/* Starts the threads, with every signal blocked in them: Ctrl-C belongs to the main thread.  Where the system gives
 * fewer threads the work is done by those there are, with the same results. */
static void start(lanes *pool)
{
    sigset_t all, saved;
    pool->started = 1;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &saved);
    for (int i = 1; i < pool->count; i++) {
        if (pthread_create(&pool->shares[i].thread, NULL, lane_main, &pool->shares[i]) != 0)
            break;
        pthread_setname_np(pool->shares[i].thread, "lane");
        pool->threads++;
    }
    pthread_sigmask(SIG_SETMASK, &saved, NULL);
}

/* Cuts 0 .. pieces-1 into contiguous shares whose lengths differ by one at most. */
static void deal(lanes *pool, int64_t pieces)
{
    int lanes_there = pool->threads + 1;
    pool->width = pieces < lanes_there ? (int)pieces : lanes_there;
    int64_t each = pieces / pool->width, rest = pieces % pool->width, begin = 0;
    for (int i = 0; i < lanes_there; i++) {
        share *s = &pool->shares[i];
        int64_t length = i < pool->width ? each + (i < rest) : 0;
        atomic_store_explicit(&s->next, begin, memory_order_relaxed);
        begin += length;
        s->end = begin;
        s->failed_piece = INT64_MAX;
    }
    atomic_store_explicit(&pool->failed, INT64_MAX, memory_order_relaxed);
}

static void open_gate(lanes *pool, int64_t pieces)
{
    atomic_store_explicit(&pool->gate, GATE_OPEN, memory_order_release);
    atomic_fetch_add(&pool->generation, 1);
    if (atomic_load(&pool->sleepers) > 0) {
        int most = pool->most_to_wake;
        futex_wake(&pool->generation, pieces - 1 < most ? (int)(pieces - 1) : most);
    }
}

/* Shuts the gate and waits until nobody is inside. */
static void shut_gate(lanes *pool)
{
    uint32_t gate = atomic_fetch_and(&pool->gate, ~GATE_OPEN) & ~GATE_OPEN;
    if (gate == 0 || spin_until(&pool->gate, 1, 0, pool->spin_ns) == 0)
        return;
    gate = atomic_fetch_or(&pool->gate, GATE_WAITING) | GATE_WAITING;
    while (gate & GATE_INSIDE) {
        futex_wait(&pool->gate, gate);
        gate = atomic_load(&pool->gate);
    }
    atomic_store(&pool->gate, 0);
}

static int run_inline(int64_t pieces, lanes_body *body, void *context, int lane, int64_t *done)
{
    int outer = inside, status = 0;
    int64_t piece = 0;
    inside = lane;
    while (piece < pieces && status == 0)
        status = body(context, piece++, lane);
    inside = outer;
    *done = piece;
    return status;
}

/* The status of the lowest piece that failed. */
static int verdict(const lanes *pool)
{
    int64_t lowest = INT64_MAX;
    int status = 0;
    for (int i = 0; i <= pool->threads; i++)
        if (pool->shares[i].failed_piece < lowest) {
            lowest = pool->shares[i].failed_piece;
            status = pool->shares[i].failed_status;
        }
    return status;
}

int lanes_run(lanes *pool, int64_t pieces, lanes_body *body, void *context)
{
    int64_t done;
    if (pieces <= 0)
        return 0;
    if (inside >= 0)
        return run_inline(pieces, body, context, inside, &done);

    unsigned fpu = fpu_enter();
    int status;
    if (pool && pieces > 1 && !pool->started)
        start(pool);
    if (!pool || pieces == 1 || pool->threads == 0) {
        status = run_inline(pieces, body, context, 0, &done);
        if (pool)
            atomic_fetch_add_explicit(&pool->shares[0].done, (uint64_t)done, memory_order_relaxed);
    } else {
        pool->body = body;
        pool->context = context;
        deal(pool, pieces);
        open_gate(pool, pieces);
        work(pool, 0);
        shut_gate(pool);
        status = verdict(pool);
    }
    fpu_leave(fpu);
    return status;
}

int lanes_open(int count, lanes **pool, error *e)
{
    *pool = NULL;
    if (count < 1 || count > LANES_MAX)
        return error_set(e, PLN_E_INVALID, "the number of lanes must be between 1 and %d, got %d", LANES_MAX, count);
    size_t bytes = sizeof(lanes) + (size_t)count * sizeof(share); /* a multiple of the alignment, as C11 wants */
    lanes *p = aligned_alloc(_Alignof(lanes), bytes);
    if (!p)
        return error_memory(e);
    memset(p, 0, bytes);
    int processors = lanes_available();
    p->count = count;
    p->most_to_wake = processors > 1 ? processors - 1 : 1;
    p->spin_ns = count <= processors ? SPIN_NS : SPIN_CROWDED_NS;
    for (int i = 0; i < count; i++)
        p->shares[i].pool = p;
    *pool = p;
    return PLN_E_OK;
}

void lanes_close(lanes *pool)
{
    if (!pool)
        return;
    atomic_store(&pool->quit, 1);
    atomic_fetch_add(&pool->generation, 1);
    futex_wake(&pool->generation, INT_MAX);
    for (int i = 1; i <= pool->threads; i++)
        pthread_join(pool->shares[i].thread, NULL);
    free(pool);
}

int lanes_count(const lanes *pool)
{
    return pool ? pool->count : 1;
}

uint64_t lanes_done(const lanes *pool, int lane)
{
    if (!pool || lane < 0 || lane >= pool->count)
        return 0;
    return atomic_load_explicit(&pool->shares[lane].done, memory_order_relaxed);
}

int lanes_available(void)
{
    int affinity = cpus_affinity(), quota = cpus_quota("/proc/self/cgroup", "/sys/fs/cgroup");
    return quota > 0 && quota < affinity ? quota : affinity;
}

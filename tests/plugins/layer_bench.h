/* A layer on the test bench: made from a text of options and shapes, with memory around it that has guards, and called
 * the way the engine calls it, or the ways it might: in pieces, in place, with gradients that nobody wants.
 *
 * The same source serves two tests: with floats on the engine's host, and with every float made a double on a host that
 * is exact (DOUBLE_BENCH; see double_host.h).  Whatever goes wrong on the bench fails the running cmocka test.
 *
 * Thread rule: one thread. */
#ifndef TESTS_LAYER_BENCH_H
#define TESTS_LAYER_BENCH_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifdef DOUBLE_BENCH
#define float double
#endif
#include "perilune/plugin.h"

#define GUARD  16 /* elements on either side of a tensor: keeps its alignment to 64 bytes */
#define POISON -1e30f
#define MOST   16 /* tensors of a kind */

/* A tensor between guards. */
typedef struct cell {
    pln_tensor t;
    float *block; /* [GUARD + count + GUARD] */
    float *data;  /* block + GUARD */
    int64_t count;
} cell;

typedef struct bench {
    const pln_host *host;
    const pln_layer *layer;
    const pln_node *node;
    const char *(*said)(void); /* what the host's refuse or fail said */
    char opts[256];
    pln_slot in_slots[MOST];
    const pln_slot *slots; /* what plan declared */
    int nslots;
    int mode;
    int64_t batch;
    int nin, nout, nparam, nstate, nkeep, nscratch;
    cell in[MOST], out[MOST], dout[MOST], din[MOST], param[MOST], dparam[MOST], state[MOST], keep[MOST], scratch[MOST];
    unsigned keeps_in, keeps_out;
    int no_gradients; /* inputs have none: din is always NULL */
} bench;

/* How to call: samples begin .. begin+n-1 (n < 0: all); which gradient is not wanted (-1: all are). */
typedef struct how {
    int64_t begin, n;
    float beta;
    int no_din, no_dparam;
    int in_place;
} how;

#define ALL ((how){.n = -1, .no_din = -1, .no_dparam = -1})

/* Reads options ("filters=3 kernel_size=3,2 padding=same") and input shapes with the batch ("2,5,6,3;2,4") into b,
 * whose layer, host, node and mode are set.  The caller plans, and hands the slots to bench_take. */
void bench_open(bench *b, const char *options, const char *shapes);
void bench_take(bench *b, const pln_slot *slots, int nslots);
void bench_free(bench *b);

/* One call of forward or backward.  Scratch is poisoned before; what the layer did not ask to keep is NULL in backward;
 * guards are looked at afterwards. */
void bench_call(bench *b, int backward, how w);

/* Numbers in lo .. hi; the seed moves on. */
void cell_random(cell *c, uint64_t *seed, double lo, double hi);
void cell_poison(cell *c);
void bench_forget(bench *b); /* poisons outputs and gradients */

void assert_close(const char *what, int number, int64_t i, double is, double wanted, double tolerance);
void assert_all_close(const char *what, int number, const cell *c, const float *wanted, double tolerance);
float *cell_copy(const cell *c); /* free() it */

#endif

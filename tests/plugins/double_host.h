/* A host for layers that were compiled with -Dfloat=double: every service in the plainest way, in double.
 *
 * The formulas of a layer cannot be told from its rounding in float32; finite differences of float32 results are good
 * to three digits, where a forgotten term may hide.  So the tests compile each built-in a second time with doubles in
 * the place of floats, and run it on this host: then differences agree to eight digits or something is wrong.
 *
 * Thread rule: one thread. */
#ifndef TESTS_DOUBLE_HOST_H
#define TESTS_DOUBLE_HOST_H

#include "layer_bench.h" /* with DOUBLE_BENCH */

#define MOST_SLOTS 32

/* plugin.h's opaque types, as far as this host needs them. */
struct pln_plan {
    pln_slot slots[MOST_SLOTS];
    int nslots;
};

struct pln_node {
    int unused;
};

extern const pln_host double_host;

/* What the last fail() or refuse() said. */
const char *double_host_said(void);

#endif

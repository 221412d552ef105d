/* Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as
 * 1, 2, 3", SC11).  A number is a pure function of (key, counter): no state, no order, the same whatever lane asks
 * and however the work was cut.
 *
 * A key is made once from (seed, purpose, name); counters are (index of the number, step).
 * Thread rule: pure functions.
 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stdint.h>

typedef struct random_key {
    uint32_t word[2];
} random_key;

/* What a stream of numbers is for; part of the key, so that streams never meet.  Append only: the values are part of
 * what makes an old run repeatable. */
enum {
    RANDOM_INIT = 1,    /* initial weights; name: "layer/parameter" */
    RANDOM_SHUFFLE = 2, /* order of samples; counter: epoch */
    RANDOM_LAYER = 3,   /* dropout and the like; name: the node's name; counter: stream, step */
    RANDOM_SPLIT = 4,   /* random train/validation splits */
    RANDOM_DIGITS = 5,  /* the drawn digits */
    RANDOM_LUA = 6,     /* math.random's seed in a script */
    RANDOM_SAMPLER = 7, /* sweeps; name: the parameter's name */
    RANDOM_AUGMENT = 8
};

/* The key of a stream.  `name` may be NULL. */
random_key random_key_make(uint64_t seed, uint32_t purpose, const char *name);

/* The 128 random bits at `counter`. */
void random_block(random_key key, const uint32_t counter[4], uint32_t out[4]);

/* The 32 random bits number `index` of row `row` in a stream: word index mod 4 of the block at counter
 * {index/4 low, index/4 high, row low, row high}. */
uint32_t random_bits(random_key key, uint64_t row, uint64_t index);

/* Numbers first .. first+n-1 of row `row`: uniform in [0,1), (random_bits >> 8) * 2^-24.  Any cut gives the same
 * numbers. */
void random_fill_uniform(random_key key, uint64_t row, uint64_t first, uint64_t n, float *out);

/* The same, standard normal (Box-Muller on our own log, sin and cos, so that bits do not follow the C library). */
void random_fill_normal(random_key key, uint64_t row, uint64_t first, uint64_t n, float *out);

/* A double uniform in [0,1) with 53 bits, from random_bits 2*index and 2*index+1. */
double random_double(random_key key, uint64_t row, uint64_t index);

/* A permutation of 0 .. n-1 without memory: where does `index` go in shuffle number `row`?  A Feistel network over
 * the next even power of two with cycle walking (Black and Rogaway, CT-RSA 2002).  index < n. */
uint64_t random_permute(random_key key, uint64_t row, uint64_t n, uint64_t index);

#endif

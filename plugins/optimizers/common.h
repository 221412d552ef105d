/* What the built-in optimizers share: the options that each of them has, the constant fields of their descriptors, a
 * power whose bits are defined, and vector code for newer processors inside a file built for any x86-64.
 *
 * A plugin of your own needs none of this; the public header is enough.  Copy what is useful. */
#ifndef OPTIMIZERS_COMMON_H
#define OPTIMIZERS_COMMON_H

#include "perilune/plugin.h"

/* Before a function with a plain loop over restrict pointers: gcc compiles it once for each of these processors, and
 * the dynamic loader takes the best one.  The bits are the same in all of them: +, -, *, / and the square root are
 * rounded as IEEE 754 says at every width, and -ffp-contract=off keeps multiply-adds from being fused in some versions
 * only. */
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define VECTOR_CLONES __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define VECTOR_CLONES
#endif

/* An option of type real at `field` of the options struct `T`. */
#define OPTION_REAL(T, field, text, bits, preset, low, high)                                                           \
    {                                                                                                                  \
        .name = #field, .help = text, .type = PLN_REAL, .flags = bits, .offset = offsetof(T, field), .dflt = preset,   \
        .lo = low, .hi = high                                                                                          \
    }

#define OPTION_BOOL(T, field, text)                                                                                    \
    {                                                                                                                  \
        .name = #field, .help = text, .type = PLN_BOOL, .offset = offsetof(T, field)                                   \
    }

#define OPTION_LEARNING_RATE(T, preset)                                                                                \
    OPTION_REAL(T, learning_rate, "Factor on every step; may change between epochs", PLN_LIVE | PLN_OPEN_HI, preset,   \
                0, __builtin_inf())

#define OPTION_WEIGHT_DECAY(T, preset)                                                                                 \
    OPTION_REAL(T, weight_decay,                                                                                       \
                "Decoupled decay: before each step w -= learning_rate * weight_decay * w, biases excepted",            \
                PLN_OPEN_HI, preset, 0, __builtin_inf())

/* A decay rate of a running mean: 0 <= beta < 1. */
#define OPTION_RATE(T, field, text, preset) OPTION_REAL(T, field, text, PLN_OPEN_HI, preset, 0, 1)

#define OPTION_EPSILON(T)                                                                                              \
    OPTION_REAL(T, epsilon, "Keeps the denominator away from 0", PLN_OPEN_HI, 1e-7, 0, __builtin_inf())

/* The fields of a descriptor that are the same in all of them. */
#define OPTIMIZER(ident, type, prose, T, table, arrays)                                                                \
    .size = PLN_SIZE_TO(pln_optimizer, uses), .kind = PLN_OPTIMIZER, .id = ident, .name = type, .help = prose,         \
    .version = 1, .flags = PLN_ELEMENTWISE, .noptions = sizeof(table) / sizeof *(table), .options = table,             \
    .option_stride = sizeof(pln_option), .opts_size = sizeof(T), .slots = arrays

#define OPTIMIZER_PLUGIN(ident, descriptors)                                                                           \
    {                                                                                                                  \
        PLN_MAGIC, PLN_SIZE_TO(pln_plugin, descriptors), PLN_MAJOR, PLN_MINOR, ident, "0.1.0", "MIT", descriptors      \
    }

/* The share of w that decoupled decay takes away in this step (Loshchilov and Hutter 2019, arXiv 1711.05101; Keras 3,
 * BaseOptimizer._apply_weight_decay).  0 for biases and gains. */
static inline float decay_share(const pln_update *u, double weight_decay)
{
    return u->param_flags & PLN_NO_DECAY ? 0.0f : (float)(u->lr * weight_decay);
}

/* x to the power n by repeated squaring: the bits depend on no library. */
static inline double power(double x, uint64_t n)
{
    double r = 1;
    for (; n; n >>= 1, x *= x)
        if (n & 1)
            r *= x;
    return r;
}

#endif

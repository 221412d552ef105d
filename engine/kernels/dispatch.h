/* Which version of a kernel runs: the sources in meson.build's `simd_sources` are compiled once for each instruction
 * set below, with KERNEL_ISA (a number of the enum) and KERNEL_SUFFIX (_plain, _avx2, _avx512) defined.  Such a source
 * names its external functions KERNEL(map_exp), which becomes map_exp_avx2, and its caller chooses from
 * KERNEL_TABLE(map_exp)[kernels_isa()].  All versions give the same bits; only the time differs.
 *
 * Thread rule: everything here may be called from any thread. */
#ifndef KERNELS_DISPATCH_H
#define KERNELS_DISPATCH_H

enum { ISA_PLAIN = 0, ISA_AVX2 = 1 /* and FMA */, ISA_AVX512 = 2 /* F, BW, VL, DQ and FMA */, ISA_COUNT = 3 };

/* The best version this CPU runs, or the one that kernels_force chose. */
int kernels_isa(void);

/* Does this CPU (and its operating system) run version `isa`? */
int kernels_supported(int isa);

/* "plain", "avx2", "avx512"; NULL for a number that is none of them. */
const char *kernels_isa_name(int isa);

#define KERNEL_PASTE_(name, suffix) name##suffix
#define KERNEL_PASTE(name, suffix)  KERNEL_PASTE_(name, suffix)
#define KERNEL(name)                KERNEL_PASTE(name, KERNEL_SUFFIX)

/* An initialiser with an entry for each ISA_*; and the declaration of all versions of a function, as in
 * KERNEL_DECLARE(void, map_exp, (int64_t n, const float *x, float *out)); */
#if defined(__x86_64__)
#define KERNEL_TABLE(name)                                                                                             \
    {                                                                                                                  \
        name##_plain, name##_avx2, name##_avx512                                                                       \
    }
#define KERNEL_DECLARE(type, name, arguments)                                                                          \
    type name##_plain arguments;                                                                                       \
    type name##_avx2 arguments;                                                                                        \
    type name##_avx512 arguments
#else
#define KERNEL_TABLE(name)                                                                                             \
    {                                                                                                                  \
        name##_plain, name##_plain, name##_plain                                                                       \
    }
#define KERNEL_DECLARE(type, name, arguments) type name##_plain arguments
#endif

#endif

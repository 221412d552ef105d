/* The one place that asks the CPU what it can do.  The answer is kept in one atomic number, so that a test can force
 * a lesser version while the program runs; since all versions give the same bits, nothing else notices. */
#include "kernels/dispatch.h"

#include <stdatomic.h>
#include <string.h>

#include "base/error.h"
#include "kernels/kernels.h"

static const char *const names[ISA_COUNT] = {"plain", "avx2", "avx512"};

/* 0: not yet asked; otherwise the chosen ISA_* plus one. */
static atomic_int chosen;

int kernels_supported(int isa)
{
    if (isa == ISA_PLAIN)
        return 1;
#if defined(__x86_64__)
    __builtin_cpu_init();
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (isa == ISA_AVX2)
        return avx2;
    if (isa == ISA_AVX512)
        return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
#endif
    return 0;
}

int kernels_isa(void)
{
    int known = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (known)
        return known - 1;
    int best = ISA_PLAIN;
    for (int isa = ISA_PLAIN; isa < ISA_COUNT; isa++)
        if (kernels_supported(isa))
            best = isa;
    /* Two threads may come here at once: they find the same.  A kernels_force in between is not overwritten. */
    int none = 0;
    atomic_compare_exchange_strong(&chosen, &none, best + 1);
    return atomic_load(&chosen) - 1;
}

const char *kernels_isa_name(int isa)
{
    return isa >= 0 && isa < ISA_COUNT ? names[isa] : NULL;
}

const char *kernels_name(void)
{
    return names[kernels_isa()];
}

int kernels_force(const char *name)
{
    for (int isa = ISA_PLAIN; name && isa < ISA_COUNT; isa++)
        if (strcmp(name, names[isa]) == 0 && kernels_supported(isa)) {
            atomic_store(&chosen, isa + 1);
            return PLN_E_OK;
        }
    return PLN_E_INVALID;
}

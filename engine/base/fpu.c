/* The one file that touches the processor's floating-point control register, so that every lane and every caller agree
 * on what it holds.  On a processor we do not know, nothing is set: results then keep their denormals. */
#include "base/fpu.h"

#include <stdint.h>

#if defined(__x86_64__)

#include <immintrin.h>

/* MXCSR (Intel SDM vol. 1, 10.2.3): all exceptions masked, round to nearest, FTZ (bit 15) and DAZ (bit 6). */
#define ENGINE_STATE 0x9fc0u
#define STICKY_FLAGS 0x3fu

unsigned fpu_enter(void)
{
    unsigned saved = _mm_getcsr();
    if ((saved & ~STICKY_FLAGS) != ENGINE_STATE)
        _mm_setcsr(ENGINE_STATE);
    return saved;
}

void fpu_leave(unsigned saved)
{
    if (_mm_getcsr() != saved)
        _mm_setcsr(saved);
}

#elif defined(__aarch64__)

/* FPCR (Arm ARM, C5.2.8): round to nearest, no traps, FZ (bit 24), which flushes inputs and results alike. */
#define ENGINE_STATE (UINT64_C(1) << 24)

static uint64_t get_fpcr(void)
{
    uint64_t value;
    __asm__ volatile("mrs %0, fpcr" : "=r"(value));
    return value;
}

static void set_fpcr(uint64_t value)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(value) : "memory");
}

unsigned fpu_enter(void)
{
    uint64_t saved = get_fpcr();
    if (saved != ENGINE_STATE)
        set_fpcr(ENGINE_STATE);
    return (unsigned)saved;
}

void fpu_leave(unsigned saved)
{
    if (get_fpcr() != saved)
        set_fpcr(saved);
}

#else

unsigned fpu_enter(void)
{
    return 0;
}

void fpu_leave(unsigned saved)
{
    (void)saved;
}

#endif

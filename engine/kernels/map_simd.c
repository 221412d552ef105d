/* The functions of pln_map in loops that the compiler turns into vectors; compiled once for each instruction set.  No
 * iteration depends on another, even where out is x: that is what the pragma says.
 *
 * Without a fused multiply-add instruction, fmaf is a call of the C library, which rounds the same way but takes ten to
 * twenty times as long. */
#include "kernels/map.h"

#include "kernels/map_formulas.h"
#include "perilune/plugin.h"

#if defined(__clang__)
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif

#define LOOP(name)                                                                                                     \
    static void name(int64_t n, const float *x, float *out)                                                            \
    {                                                                                                                  \
        INDEPENDENT                                                                                                    \
        for (int64_t i = 0; i < n; i++)                                                                                \
            out[i] = name##_1(x[i]);                                                                                   \
    }

LOOP(map_exp)
LOOP(map_log)
LOOP(map_tanh)
LOOP(map_erf)
LOOP(map_sigmoid)
LOOP(map_expm1)
LOOP(map_log1p)
LOOP(map_sin)
LOOP(map_cos)

void KERNEL(map_all)(uint32_t op, int64_t n, const float *x, float *out)
{
    typedef void map_loop(int64_t n, const float *x, float *out);
    static map_loop *const loops[] = {
        [PLN_MAP_EXP] = map_exp,     [PLN_MAP_LOG] = map_log,         [PLN_MAP_TANH] = map_tanh,
        [PLN_MAP_ERF] = map_erf,     [PLN_MAP_SIGMOID] = map_sigmoid, [PLN_MAP_EXPM1] = map_expm1,
        [PLN_MAP_LOG1P] = map_log1p, [PLN_MAP_SIN] = map_sin,         [PLN_MAP_COS] = map_cos,
    };
    loops[op](n, x, out);
}

#include "kernels/conv_first.h"

#include <string.h>

#include "kernels/simd.h"

/* ------------------------------------------------------------------------------------------------ forward ---- */

/* The table, for each pattern: kernel*kernel vectors of weights, one of the bias, and `kernel` of int32 indices. */
#define PATTERN_VECTORS(kernel) ((kernel) * (kernel) + 1 + (kernel))

static int64_t gcd(int64_t a, int64_t b)
{
    return b == 0 ? a : gcd(b, a % b);
}

static int64_t patterns_of(int64_t filters)
{
    return filters / gcd(filters, VL);
}

int64_t KERNEL(conv_first_table_size)(int64_t filters, int64_t kernel)
{
    if ((kernel != 3 && kernel != 5) || filters > 64 || (VL - 1) / filters + kernel >= VL)
        return 0; /* a vector's pixels must fit into one */
    return patterns_of(filters) * PATTERN_VECTORS(kernel) * VL;
}

void KERNEL(conv_first_table)(int64_t filters, int64_t kernel, const float *w, const float *bias, float *table)
{
    int64_t taps = kernel * kernel;
    for (int64_t p = 0; p < patterns_of(filters); p++)
        for (int64_t l = 0; l < VL; l++) {
            float *pattern = table + p * PATTERN_VECTORS(kernel) * VL + l;
            int64_t point = (p * VL + l) / filters - p * VL / filters, f = (p * VL + l) % filters;
            for (int64_t t = 0; t < taps; t++)
                pattern[t * VL] = w[t * filters + f];
            pattern[taps * VL] = bias ? bias[f] : 0;
            for (int64_t v = 0; v < kernel; v++) {
                int32_t index = (int32_t)(point + v);
                memcpy(&pattern[(taps + 1 + v) * VL], &index, sizeof index);
            }
        }
}

/* One input row: output row i-u for every tap row u from `from` to `to`, in `count` vectors side by side. */
INLINE void input_row(const int kernel, const int count, const int from, const int to, const float *x, ptrdiff_t step,
                      const int64_t *left, const vf *w, const int32_t *index, vf acc[5][4])
{
    vf pixels[4];
#pragma GCC unroll 4
    for (int s = 0; s < count; s++)
        pixels[s] = vf_load_mask(vmask_first(left[s]), x + s * step);
#pragma GCC unroll 5
    for (int v = 0; v < kernel; v++)
#pragma GCC unroll 4
        for (int s = 0; s < count; s++) {
            vf a = vf_permute(pixels[s], index + v * VL);
#pragma GCC unroll 5
            for (int u = from; u <= to; u++)
                acc[u][s] = vf_fma(a, w[u * kernel + v], u == 0 && v == 0 ? vf_zero() : acc[u][s]);
        }
}

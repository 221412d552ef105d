/* Bytes to floats, in a loop that the compiler turns into vectors; compiled once for each instruction set. */
#include "kernels/map.h"

void KERNEL(convert_u8)(int64_t n, const uint8_t *x, float scale, float shift, float *out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = scale * (float)x[i] + shift;
}

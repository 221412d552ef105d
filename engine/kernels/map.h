/* Between map.c, which chooses a version, and map_simd.c, which is compiled once for each. */
#ifndef KERNELS_MAP_H
#define KERNELS_MAP_H

#include <stdint.h>

#include "kernels/dispatch.h"

/* out[i] = f(x[i]) for a valid PLN_MAP_* `op`; out may be x. */
KERNEL_DECLARE(void, map_all, (uint32_t op, int64_t n, const float *x, float *out));

/* out[i] = scale * x[i] + shift, product and sum rounded one after the other. */
KERNEL_DECLARE(void, convert_u8, (int64_t n, const uint8_t *x, float scale, float shift, float *out));

#endif

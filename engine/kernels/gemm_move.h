/* What surrounds the inner kernel (gemm_tile.h): operands and results on their way between layouts, sums over chunks.
 * Thread rule: pure functions of their arguments. */
#ifndef KERNELS_GEMM_MOVE_H
#define KERNELS_GEMM_MOVE_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/dispatch.h"

/* What happens to a finished sum; see gemm_tile.h. */
typedef struct gemm_finish {
    float alpha, beta;
    const float *bias; /* of the first column, or NULL */
} gemm_finish;

/* out[t*panel + j] = b[j*b_col + t] for t < k, j < n <= panel; 0 for the other j < panel. */
KERNEL_DECLARE(void, gemm_pack, (int64_t k, int64_t n, const float *b, ptrdiff_t b_col, float *out));

/* c[i][j] = finish(sum[j][i]) for i < m, j < n. */
KERNEL_DECLARE(void, gemm_turn,
               (int64_t m, int64_t n, const float *sum, ptrdiff_t sum_row, float *c, ptrdiff_t c_row,
                const gemm_finish *f));

/* c[j] = finish(part 0 [j] + part 1 [j] + …) for j < n; part p lies p*part_step behind `part`. */
KERNEL_DECLARE(void, gemm_gather,
               (int64_t n, int64_t parts, const float *part, ptrdiff_t part_step, float *c, const gemm_finish *f));

/* c[j] = finish of the sum of b[t*b_row + j] over t < k, in chunks of `length` steps (the rule of kernels.h). */
KERNEL_DECLARE(void, gemm_column_sums,
               (int64_t k, int64_t length, int64_t n, const float *b, ptrdiff_t b_row, float *c, const gemm_finish *f));

#endif

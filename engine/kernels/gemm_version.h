/* The building blocks of products and convolutions, as compiled for one instruction set.  See gemm_tile.h and
 * gemm_move.h for what each does.  Thread rule: constant. */
#ifndef KERNELS_GEMM_VERSION_H
#define KERNELS_GEMM_VERSION_H

#include "kernels/gemm_move.h"
#include "kernels/gemm_tile.h"

typedef struct gemm_version {
    int panel; /* columns that the inner kernel works on at a time: where blocks of columns are best cut */
    void (*block)(const gemm_block *);
    void (*pack)(int64_t k, int64_t n, const float *b, ptrdiff_t b_col, float *out);
    void (*turn)(int64_t m, int64_t n, const float *sum, ptrdiff_t sum_row, float *c, ptrdiff_t c_row,
                 const gemm_finish *f);
    void (*gather)(int64_t n, int64_t parts, const float *part, ptrdiff_t part_step, float *c, const gemm_finish *f);
    void (*column_sums)(int64_t k, int64_t length, int64_t n, const float *b, ptrdiff_t b_row, float *c,
                        const gemm_finish *f);
} gemm_version;

/* The version of kernels_isa(). */
const gemm_version *gemm_version_now(void);

#endif

/* The inner kernel that products and convolutions share: a block of the result for one chunk of k.
 *
 * The left operand is read where it lies, one float at a time (a broadcast is free beside a multiplication), so that
 * any two strides will do; k may run through it in segments, which is how a convolution reads its patches without
 * copying them.  The right operand is read in rows of contiguous columns.
 *
 * Thread rule: pure functions of their arguments, which name all the memory they touch. */
#ifndef KERNELS_GEMM_TILE_H
#define KERNELS_GEMM_TILE_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/dispatch.h"

/* A run of k in the left operand: `length` steps beginning `offset` elements behind the block's `a`. */
typedef struct gemm_segment {
    ptrdiff_t offset;
    int64_t length;
} gemm_segment;

/* out[i][j] = finish(sum over segments s, steps t of  a[i*a_row + s.offset + t*a_step] * b[k*b_row + j]),
 * i < m, j < n, where k counts the steps of all segments: one chain of fused multiply-adds beginning at 0.
 *
 * finish(t):  t = sum[i][j] + t           if sum          (the chunks before this one)
 *             t = alpha * t               if alpha != 1
 *             t = beta * out[i][j] + t    if beta != 0    (fused)
 *             t = t + bias[j]             if bias
 *
 * sum may be out.  One of a_row and a_step is 1.  With beta != 0 sum is NULL or another array than out. */
typedef struct gemm_block {
    const float *a, *b;
    ptrdiff_t a_row, a_step, b_row;
    const gemm_segment *segment;
    int64_t segments;
    int64_t m, n;
    float *out;
    ptrdiff_t out_row;
    const float *sum;
    ptrdiff_t sum_row;
    float alpha, beta;
    const float *bias;
} gemm_block;

KERNEL_DECLARE(void, gemm_block_run, (const gemm_block *g));

#endif

/* A product whose result is handed on block by block, while it is in the cache, instead of being written: a gradient
 * goes to the optimizer that way, and no array of gradients exists. */
#ifndef KERNELS_GEMM_SINK_H
#define KERNELS_GEMM_SINK_H

#include "kernels/kernels.h"

/* Rows row .. row+rows-1 of the result, all columns: block[rows * n] without gaps, aligned to 64 bytes, and the sink's
 * to change. row * n is a multiple of 64.  Called on any lane, once for every row; `row` says which share of the
 * result falls to which lane, the same as in gemm_run.  A status other than 0 stops the product, which returns it. */
typedef int gemm_sink(void *context, int64_t row, int64_t rows, float *block, int lane);

/* As gemm_run, with the same bits, but c receives nothing: g->c may be NULL, and g->beta applies to colsum alone. */
int gemm_run_into(lanes *pool, const pln_gemm *g, gemm_sink *sink, void *context);

#endif

/* Kernels: the arithmetic that nearly all of the time goes into.
 *
 * Numbers before speed: each kernel's result is *defined* by a plain C reference (in *_ref.c), down to the bit, and
 * every faster version must give exactly those bits on every CPU, with any number of lanes and any cut of the work.
 * For products that is possible because the definition is this:
 *
 *   gemm:  K is cut into ceil(k / GEMM_CHUNK) chunks of nearly equal length (gemm_chunk_length); within a chunk each
 *          element of the result is one chain of fused multiply-adds in the order of k, beginning at 0; the chunks' sums are added
 *          in their order; then c = alpha*sum (if alpha != 1), + beta*c (fma), + bias.
 *
 * Vector width, tile shapes, packing and lanes change none of it.  So AVX2, AVX-512 and plain C agree bit for bit.
 *
 * Thread rule: each call is one region of `pool` (inline when called inside a piece, or when pool is NULL).
 */
#ifndef KERNELS_KERNELS_H
#define KERNELS_KERNELS_H

#include <stdint.h>

#include "base/lanes.h"
#include "perilune/plugin.h"

#define GEMM_CHUNK 512

/* Length of every chunk of k but the last: ceil(k / ceil(k / GEMM_CHUNK)) rounded up to a multiple of 8. */
int64_t gemm_chunk_length(int64_t k);

/* c = beta*c + alpha*op(a)op(b) + bias; see pln_gemm.  Returns PLN_OK or PLN_E_MEMORY. */
int gemm_run(lanes *pool, const pln_gemm *g);
void gemm_ref(const pln_gemm *g);

/* See pln_conv.  Returns PLN_OK or PLN_E_MEMORY. */
int conv_run(lanes *pool, const pln_conv *c);
void conv_ref(const pln_conv *c);

/* out[i] = f(x[i]) for the PLN_MAP_* `op`; out may be x.  Returns PLN_E_INVALID for an unknown op. */
int map_run(uint32_t op, int64_t n, const float *x, float *out);
int map_ref(uint32_t op, int64_t n, const float *x, float *out);

/* out[i] = scale * x[i] + shift, bytes to floats (the gather of a batch). */
void convert_u8(int64_t n, const uint8_t *x, float scale, float shift, float *out);

/* Which versions run on this CPU: "avx512", "avx2" or "plain"; part of a run's environment, not of its fingerprint,
 * because the bits are the same. */
const char *kernels_name(void);

/* Forces a version for tests and benches ("plain", "avx2", "avx512"); PLN_E_INVALID if this CPU lacks it. */
int kernels_force(const char *name);

#endif

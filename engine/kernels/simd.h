/* Vectors of floats under one set of names, so that a kernel is written once and compiled for each instruction set
 * (see dispatch.h): VL lanes of float32, masks for tails, fused multiply-add, and the transposition of VL rows.
 *
 * Every operation is the IEEE one, lane by lane, so that all versions give the same bits.  Included only by the sources
 * that are compiled once for each instruction set. */
#ifndef KERNELS_SIMD_H
#define KERNELS_SIMD_H

#include <stdint.h>

#include "kernels/dispatch.h"

#define INLINE static inline __attribute__((always_inline))

#if KERNEL_ISA == 2

#include <immintrin.h>

#define VL 16
typedef __m512 vf;
typedef __m512i vi; /* VL indices */
typedef __mmask16 vmask;

/* The first n lanes; none for n <= 0, all for n >= VL. */
INLINE vmask vmask_first(int64_t n)
{
    return n >= VL ? (vmask)0xFFFF : n <= 0 ? (vmask)0 : (vmask)((1u << n) - 1u);
}

INLINE vf vf_zero(void)
{
    return _mm512_setzero_ps();
}

INLINE vf vf_set(float x)
{
    return _mm512_set1_ps(x);
}

INLINE vf vf_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

/* Lanes outside the mask are 0, and their memory is not touched. */
INLINE vf vf_load_mask(vmask m, const float *p)
{
    return _mm512_maskz_loadu_ps(m, p);
}

INLINE void vf_store(float *p, vf x)
{
    _mm512_storeu_ps(p, x);
}

INLINE void vf_store_mask(vmask m, float *p, vf x)
{
    _mm512_mask_storeu_ps(p, m, x);
}

INLINE vf vf_add(vf x, vf y)
{
    return _mm512_add_ps(x, y);
}

INLINE vf vf_mul(vf x, vf y)
{
    return _mm512_mul_ps(x, y);
}

/* x * y + z, rounded once. */
INLINE vf vf_fma(vf x, vf y, vf z)
{
    return _mm512_fmadd_ps(x, y, z);
}

/* Lane l of the result is lane index[l] of x; every index is below VL. */
INLINE vf vf_permute(vf x, vi index)
{
    return _mm512_permutexvar_ps(index, x);
}

INLINE vi vi_load(const int32_t *p)
{
    return _mm512_loadu_si512(p);
}

/* Lane j of r[i] becomes lane i of r[j]: pairs, fours, then the four quarters twice. */
INLINE void vf_transpose(vf r[VL])
{
    vf t[VL];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i += 4) {
        __m512d a = _mm512_castps_pd(_mm512_unpacklo_ps(r[i], r[i + 1]));
        __m512d b = _mm512_castps_pd(_mm512_unpackhi_ps(r[i], r[i + 1]));
        __m512d c = _mm512_castps_pd(_mm512_unpacklo_ps(r[i + 2], r[i + 3]));
        __m512d d = _mm512_castps_pd(_mm512_unpackhi_ps(r[i + 2], r[i + 3]));
        t[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
        t[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
        t[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
        t[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
    }
#pragma GCC unroll 16
    for (int i = 0; i < 4; i++) {
        vf a = _mm512_shuffle_f32x4(t[i], t[i + 4], 0x88), b = _mm512_shuffle_f32x4(t[i], t[i + 4], 0xDD);
        vf c = _mm512_shuffle_f32x4(t[i + 8], t[i + 12], 0x88), d = _mm512_shuffle_f32x4(t[i + 8], t[i + 12], 0xDD);
        r[i] = _mm512_shuffle_f32x4(a, c, 0x88);
        r[i + 8] = _mm512_shuffle_f32x4(a, c, 0xDD);
        r[i + 4] = _mm512_shuffle_f32x4(b, d, 0x88);
        r[i + 12] = _mm512_shuffle_f32x4(b, d, 0xDD);
    }
}

#elif KERNEL_ISA == 1

#include <immintrin.h>

#define VL 8
typedef __m256 vf;
typedef __m256i vi;
typedef __m256i vmask;

INLINE vmask vmask_first(int64_t n)
{
    int first = n >= VL ? VL : n <= 0 ? 0 : (int)n;
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(first), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

INLINE vf vf_zero(void)
{
    return _mm256_setzero_ps();
}

INLINE vf vf_set(float x)
{
    return _mm256_set1_ps(x);
}

INLINE vf vf_load(const float *p)
{
    return _mm256_loadu_ps(p);
}

INLINE vf vf_load_mask(vmask m, const float *p)
{
    return _mm256_maskload_ps(p, m);
}

INLINE void vf_store(float *p, vf x)
{
    _mm256_storeu_ps(p, x);
}

INLINE void vf_store_mask(vmask m, float *p, vf x)
{
    _mm256_maskstore_ps(p, m, x);
}

INLINE vf vf_add(vf x, vf y)
{
    return _mm256_add_ps(x, y);
}

INLINE vf vf_mul(vf x, vf y)
{
    return _mm256_mul_ps(x, y);
}

INLINE vf vf_fma(vf x, vf y, vf z)
{
    return _mm256_fmadd_ps(x, y, z);
}

INLINE vf vf_permute(vf x, vi index)
{
    return _mm256_permutevar8x32_ps(x, index);
}

INLINE vi vi_load(const int32_t *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

INLINE void vf_transpose(vf r[VL])
{
    vf t[VL];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i += 4) {
        __m256d a = _mm256_castps_pd(_mm256_unpacklo_ps(r[i], r[i + 1]));
        __m256d b = _mm256_castps_pd(_mm256_unpackhi_ps(r[i], r[i + 1]));
        __m256d c = _mm256_castps_pd(_mm256_unpacklo_ps(r[i + 2], r[i + 3]));
        __m256d d = _mm256_castps_pd(_mm256_unpackhi_ps(r[i + 2], r[i + 3]));
        t[i] = _mm256_castpd_ps(_mm256_unpacklo_pd(a, c));
        t[i + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(a, c));
        t[i + 2] = _mm256_castpd_ps(_mm256_unpacklo_pd(b, d));
        t[i + 3] = _mm256_castpd_ps(_mm256_unpackhi_pd(b, d));
    }
#pragma GCC unroll 8
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_permute2f128_ps(t[i], t[i + 4], 0x20);
        r[i + 4] = _mm256_permute2f128_ps(t[i], t[i + 4], 0x31);
    }
}

#else

#include <math.h>
#include <string.h>

/* Plain C.  Four lanes that a compiler may make vectors of where the machine has a fused multiply-add (aarch64). */
#define VL 4
typedef struct vf {
    float x[VL];
} vf;
typedef struct vi {
    int32_t x[VL];
} vi;
typedef int vmask; /* how many of the first lanes */

INLINE vmask vmask_first(int64_t n)
{
    return n >= VL ? VL : n <= 0 ? 0 : (int)n;
}

INLINE vf vf_set(float x)
{
    return (vf){{x, x, x, x}};
}

INLINE vf vf_zero(void)
{
    return vf_set(0);
}

INLINE vf vf_load(const float *p)
{
    vf r;
    memcpy(r.x, p, sizeof r.x);
    return r;
}

INLINE vf vf_load_mask(vmask m, const float *p)
{
    vf r = vf_zero();
    for (int i = 0; i < VL; i++)
        if (i < m)
            r.x[i] = p[i];
    return r;
}

INLINE void vf_store(float *p, vf x)
{
    memcpy(p, x.x, sizeof x.x);
}

INLINE void vf_store_mask(vmask m, float *p, vf x)
{
    for (int i = 0; i < VL; i++)
        if (i < m)
            p[i] = x.x[i];
}

INLINE vf vf_add(vf x, vf y)
{
    for (int i = 0; i < VL; i++)
        x.x[i] += y.x[i];
    return x;
}

INLINE vf vf_mul(vf x, vf y)
{
    for (int i = 0; i < VL; i++)
        x.x[i] *= y.x[i];
    return x;
}

INLINE vf vf_fma(vf x, vf y, vf z)
{
    for (int i = 0; i < VL; i++)
        z.x[i] = fmaf(x.x[i], y.x[i], z.x[i]);
    return z;
}

INLINE vf vf_permute(vf x, vi index)
{
    vf r;
    for (int i = 0; i < VL; i++)
        r.x[i] = x.x[index.x[i]];
    return r;
}

INLINE vi vi_load(const int32_t *p)
{
    vi r;
    memcpy(r.x, p, sizeof r.x);
    return r;
}

INLINE void vf_transpose(vf r[VL])
{
    vf t[VL];
    for (int i = 0; i < VL; i++)
        for (int j = 0; j < VL; j++)
            t[i].x[j] = r[j].x[i];
    for (int i = 0; i < VL; i++)
        r[i] = t[i];
}

#endif

#endif

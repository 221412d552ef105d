#include "kernels/gemm_move.h"

#include "kernels/simd.h"

#define PANEL (2 * VL)

INLINE vf load(int whole, vmask mask, const float *p)
{
    return whole ? vf_load(p) : vf_load_mask(mask, p);
}

INLINE void finish(const gemm_finish *f, vf t, float *c, int64_t j, int64_t left)
{
    const int whole = left >= VL;
    const vmask mask = vmask_first(left);
    if (f->alpha != 1)
        t = vf_mul(vf_set(f->alpha), t);
    if (f->beta != 0)
        t = vf_fma(vf_set(f->beta), load(whole, mask, c), t);
    if (f->bias)
        t = vf_add(t, load(whole, mask, f->bias + j));
    if (whole)
        vf_store(c, t);
    else
        vf_store_mask(mask, c, t);
}

/* r[l] = the first `left` floats of row l, for the rows that there are; zeros elsewhere. */
INLINE void load_square(vf r[VL], const float *p, ptrdiff_t row, int64_t rows, int64_t left)
{
    if (rows >= VL && left >= VL) {
#pragma GCC unroll 16
        for (int l = 0; l < VL; l++)
            r[l] = vf_load(p + l * row);
    } else {
        vmask mask = vmask_first(left);
#pragma GCC unroll 16
        for (int l = 0; l < VL; l++)
            r[l] = l < rows ? vf_load_mask(mask, p + l * row) : vf_zero();
    }
}

void KERNEL(gemm_pack)(int64_t k, int64_t n, const float *b, ptrdiff_t b_col, float *out)
{
    for (int64_t t = 0; t < k; t += VL)
        for (int64_t j = 0; j < PANEL; j += VL) {
            vf r[VL];
            load_square(r, b + j * b_col + t, b_col, n - j, k - t);
            vf_transpose(r);
            float *to = out + t * PANEL + j;
            if (k - t >= VL) {
#pragma GCC unroll 16
                for (int l = 0; l < VL; l++)
                    vf_store(to + l * PANEL, r[l]);
            } else {
#pragma GCC unroll 16
                for (int l = 0; l < VL; l++)
                    if (t + l < k)
                        vf_store(to + l * PANEL, r[l]);
            }
        }
}

void KERNEL(gemm_turn)(int64_t m, int64_t n, const float *sum, ptrdiff_t sum_row, float *c, ptrdiff_t c_row,
                       const gemm_finish *f)
{
    const int plain = f->alpha == 1 && f->beta == 0 && !f->bias;
    for (int64_t i = 0; i < m; i += VL)
        for (int64_t j = 0; j < n; j += VL) {
            vf r[VL];
            const float *from = sum + j * sum_row + i;
            float *to = c + i * c_row + j;
            if (plain && m - i >= VL && n - j >= VL) {
#pragma GCC unroll 16
                for (int l = 0; l < VL; l++)
                    r[l] = vf_load(from + l * sum_row);
                vf_transpose(r);
#pragma GCC unroll 16
                for (int l = 0; l < VL; l++)
                    vf_store(to + l * c_row, r[l]);
                continue;
            }
            load_square(r, from, sum_row, n - j, m - i);
            vf_transpose(r);
            for (int l = 0; l < VL && i + l < m; l++)
                finish(f, r[l], to + l * c_row, j, n - j);
        }
}

void KERNEL(gemm_gather)(int64_t n, int64_t parts, const float *part, ptrdiff_t part_step, float *c,
                         const gemm_finish *f)
{
    for (int64_t j = 0; j < n; j += VL) {
        const int whole = n - j >= VL;
        const vmask mask = vmask_first(n - j);
        vf t = load(whole, mask, part + j);
        for (int64_t p = 1; p < parts; p++)
            t = vf_add(t, load(whole, mask, part + p * part_step + j));
        finish(f, t, c + j, j, n - j);
    }
}

void KERNEL(gemm_column_sums)(int64_t k, int64_t length, int64_t n, const float *b, ptrdiff_t b_row, float *c,
                              const gemm_finish *f)
{
    enum { WIDTH = 4 }; /* additions wait for each other: four chains at a time */
    for (int64_t j = 0; j < n; j += WIDTH * VL) {
        vmask mask[WIDTH];
        vf sum[WIDTH];
        for (int v = 0; v < WIDTH; v++) {
            mask[v] = vmask_first(n - j - v * VL);
            sum[v] = vf_zero();
        }
        for (int64_t begin = 0; begin < k; begin += length) {
            int64_t end = k - begin < length ? k : begin + length;
            vf chain[WIDTH] = {vf_zero(), vf_zero(), vf_zero(), vf_zero()};
            for (int64_t t = begin; t < end; t++)
#pragma GCC unroll 4
                for (int v = 0; v < WIDTH; v++)
                    chain[v] = vf_add(chain[v], vf_load_mask(mask[v], b + t * b_row + j + v * VL));
#pragma GCC unroll 4
            for (int v = 0; v < WIDTH; v++)
                sum[v] = begin == 0 ? chain[v] : vf_add(sum[v], chain[v]);
        }
        for (int v = 0; v < WIDTH && n - j - v * VL > 0; v++)
            finish(f, sum[v], c + j + v * VL, j + v * VL, n - j - v * VL);
    }
}

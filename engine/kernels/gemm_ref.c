/* The definition of a product's bits, as plainly as it can be written. */
#include <math.h>
#include <stddef.h>

#include "base/fpu.h"
#include "kernels/kernels.h"

int64_t gemm_chunk_length(int64_t k)
{
    if (k <= 0)
        return 8;
    int64_t chunks = k / GEMM_CHUNK + (k % GEMM_CHUNK != 0);
    int64_t length = k / chunks + (k % chunks != 0);
    return (length + 7) / 8 * 8;
}

static float a_at(const pln_gemm *g, int64_t i, int64_t t)
{
    const float *a = (const float *)g->a->data + g->off_a;
    return g->flags & PLN_TRANS_A ? a[t * g->lda + i] : a[i * g->lda + t];
}

static float b_at(const pln_gemm *g, int64_t t, int64_t j)
{
    const float *b = (const float *)g->b->data + g->off_b;
    return g->flags & PLN_TRANS_B ? b[j * g->ldb + t] : b[t * g->ldb + j];
}

static float product(const pln_gemm *g, int64_t i, int64_t j)
{
    int64_t length = gemm_chunk_length(g->k);
    float sum = 0;
    for (int64_t begin = 0; begin < g->k; begin += length) {
        float chunk = 0;
        for (int64_t t = begin; t < g->k && t < begin + length; t++)
            chunk = fmaf(a_at(g, i, t), b_at(g, t, j), chunk);
        sum = begin == 0 ? chunk : sum + chunk;
    }
    return sum;
}

static float column(const pln_gemm *g, int64_t j)
{
    int64_t length = gemm_chunk_length(g->k);
    float sum = 0;
    for (int64_t begin = 0; begin < g->k; begin += length) {
        float chunk = 0;
        for (int64_t t = begin; t < g->k && t < begin + length; t++)
            chunk = chunk + b_at(g, t, j);
        sum = begin == 0 ? chunk : sum + chunk;
    }
    return sum;
}

void gemm_ref(const pln_gemm *g)
{
    unsigned fpu = fpu_enter();
    const float *bias = g->bias ? g->bias->data : NULL;
    float *colsum = g->colsum ? g->colsum->data : NULL;
    for (int64_t i = 0; i < g->m; i++)
        for (int64_t j = 0; j < g->n; j++) {
            float *c = (float *)g->c->data + g->off_c + i * g->ldc + j;
            float t = product(g, i, j);
            if (g->alpha != 1)
                t = g->alpha * t;
            if (g->beta != 0)
                t = fmaf(g->beta, *c, t);
            if (bias)
                t = t + bias[j];
            *c = t;
        }
    for (int64_t j = 0; colsum && j < g->n; j++) {
        float t = column(g, j);
        colsum[j] = g->beta != 0 ? fmaf(g->beta, colsum[j], t) : t;
    }
    fpu_leave(fpu);
}

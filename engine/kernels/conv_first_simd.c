#include "kernels/conv_first.h"

#include <string.h>

#include "kernels/simd.h"

/* ------------------------------------------------------------------------------------------------ forward ---- */

/* Vectors of the output side by side: as many as the accumulators have registers for. */
#define WIDEST (KERNEL_ISA + 1)

/* The table, for each pattern: kernel*kernel vectors of weights, one of the bias, and `kernel` of int32 indices. */
#define PATTERN_VECTORS(kernel) ((kernel) * (kernel) + 1 + (kernel))

static int64_t gcd(int64_t a, int64_t b)
{
    return b == 0 ? a : gcd(b, a % b);
}

static int64_t patterns_of(int64_t filters)
{
    return filters / gcd(filters, VL);
}

int64_t KERNEL(conv_first_table_size)(int64_t filters, int64_t kernel)
{
    if ((kernel != 3 && kernel != 5) || filters > 64 || (VL - 1) / filters + kernel >= VL)
        return 0; /* a vector's pixels must fit into one */
    if (VL < 16 && filters % (2 * VL) == 0)
        return 0; /* the general kernel wastes nothing there, and needs fewer registers */
    return patterns_of(filters) * PATTERN_VECTORS(kernel) * VL;
}

void KERNEL(conv_first_table)(int64_t filters, int64_t kernel, const float *w, const float *bias, float *table)
{
    int64_t taps = kernel * kernel, f = 0;
    for (int64_t p = 0; p < patterns_of(filters); p++, table += PATTERN_VECTORS(kernel) * VL) {
        int32_t point = 0;
        for (int64_t l = 0; l < VL; l++) {
            for (int64_t t = 0; t < taps; t++)
                table[t * VL + l] = w[t * filters + f];
            table[taps * VL + l] = bias ? bias[f] : 0;
            for (int32_t v = 0; v < kernel; v++) {
                int32_t index = point + v;
                memcpy(&table[(taps + 1 + v) * VL + l], &index, sizeof index);
            }
            if (++f == filters) {
                f = 0;
                point++;
            }
        }
    }
}

/* `count` vectors of the output side by side (one pattern), from the first row to the last. */
typedef struct strip {
    const float *x;
    ptrdiff_t x_step, x_row; /* floats from vector to vector and from row to row */
    vmask readable[3], written[3];
    int whole; /* all of all vectors are written (masked stores are slow on some processors) */
    const float *w, *bias;
    const int32_t *index;
    float *y;
    ptrdiff_t y_step, y_row;
    int64_t rows, x_begin, x_end;
} strip;

/* What stays in registers from row to row, as far as there are any. */
typedef struct held {
    vf w[25], bias;
    vi index[5];
    vmask readable[3], written[3];
    int with_bias, whole;
    ptrdiff_t x_step, y_step;
} held;

/* An input row takes part in output row (its number - u) as tap row u, from <= u <= to: acc[u] is that row's sum. */
INLINE void input_row(const int kernel, const int count, const int from, const int to, const held *h, const float *x,
                      int exists, vf acc[5][3])
{
    vf pixels[3];
#pragma GCC unroll 5
    for (int u = kernel - 1; u > 0; u--)
#pragma GCC unroll 3
        for (int s = 0; s < count; s++)
            acc[u][s] = acc[u - 1][s];
#pragma GCC unroll 3
    for (int s = 0; s < count; s++)
        acc[0][s] = vf_zero();
    if (!exists)
        return;
#pragma GCC unroll 3
    for (int s = 0; s < count; s++)
        pixels[s] = vf_load_mask(h->readable[s], x + s * h->x_step);
#pragma GCC unroll 5
    for (int v = 0; v < kernel; v++)
#pragma GCC unroll 3
        for (int s = 0; s < count; s++) {
            vf a = vf_permute(pixels[s], h->index[v]);
#pragma GCC unroll 5
            for (int u = from; u <= to; u++)
                acc[u][s] = vf_fma(a, h->w[u * kernel + v], acc[u][s]);
        }
}

INLINE void store_row(const int kernel, const int count, const held *h, float *y, vf acc[5][3])
{
#pragma GCC unroll 3
    for (int s = 0; s < count; s++) {
        vf sum = acc[kernel - 1][s];
        if (h->with_bias)
            sum = vf_add(sum, h->bias);
        if (h->whole)
            vf_store(y + s * h->y_step, sum);
        else
            vf_store_mask(h->written[s], y + s * h->y_step, sum);
    }
}

/* rows >= kernel. */
INLINE void strip_run(const int kernel, const int count, const strip *t)
{
    held h;
    vf acc[5][3];
    const float *x = t->x;
    float *y = t->y;
    const int64_t rows = t->rows, begin = t->x_begin, end = t->x_end;
    const ptrdiff_t x_row = t->x_row, y_row = t->y_row;
#pragma GCC unroll 25
    for (int i = 0; i < kernel * kernel; i++)
        h.w[i] = vf_load(t->w + i * VL);
#pragma GCC unroll 5
    for (int v = 0; v < kernel; v++)
        h.index[v] = vi_load(t->index + v * VL);
#pragma GCC unroll 3
    for (int s = 0; s < count; s++) {
        h.readable[s] = t->readable[s];
        h.written[s] = t->written[s];
    }
    h.with_bias = t->bias != NULL;
    h.whole = t->whole;
    h.bias = h.with_bias ? vf_load(t->bias) : vf_zero();
    h.x_step = t->x_step;
    h.y_step = t->y_step;
#pragma GCC unroll 5
    for (int i = 0; i < kernel - 1; i++, x += x_row)
        input_row(kernel, count, 0, i, &h, x, i >= begin && i < end, acc);
    for (int64_t i = kernel - 1; i < rows; i++, x += x_row, y += y_row) {
        input_row(kernel, count, 0, kernel - 1, &h, x, i >= begin && i < end, acc);
        store_row(kernel, count, &h, y, acc);
    }
#pragma GCC unroll 5
    for (int i = 1; i < kernel; i++, x += x_row, y += y_row) {
        input_row(kernel, count, i, kernel - 1, &h, x, rows - 1 + i >= begin && rows - 1 + i < end, acc);
        store_row(kernel, count, &h, y, acc);
    }
}

#define STRIP(kernel, count)                                                                                           \
    static void strip_##kernel##_##count(const strip *t)                                                               \
    {                                                                                                                  \
        strip_run(kernel, count, t);                                                                                   \
    }

/* Only what is used: five rows of pixels do not fit a vector of plain C, and unrolled code is slow to compile. */
#if KERNEL_ISA == 2
STRIP(3, 1)
STRIP(3, 2)
STRIP(3, 3)
STRIP(5, 1)
STRIP(5, 2)
STRIP(5, 3)
static void (*const strips[2][WIDEST])(const strip *) = {{strip_3_1, strip_3_2, strip_3_3},
                                                         {strip_5_1, strip_5_2, strip_5_3}};
#elif KERNEL_ISA == 1
STRIP(3, 1)
STRIP(3, 2)
STRIP(5, 1)
STRIP(5, 2)
static void (*const strips[2][WIDEST])(const strip *) = {{strip_3_1, strip_3_2}, {strip_5_1, strip_5_2}};
#else
STRIP(3, 1)
static void (*const strips[1][WIDEST])(const strip *) = {{strip_3_1}};
#endif

void KERNEL(conv_first_run)(const conv_first *c)
{
    int64_t row = c->columns * c->filters, vectors = (row + VL - 1) / VL, patterns = patterns_of(c->filters);
    int64_t points = patterns * VL / c->filters; /* from one vector of a pattern to the next */
    for (int64_t p = 0; p < patterns && p < vectors; p++) {
        const float *table = c->table + p * PATTERN_VECTORS(c->kernel) * VL;
        int64_t left = (vectors - p + patterns - 1) / patterns, x = p * VL / c->filters, y = p * VL;
        while (left > 0) {
            int64_t count = left == 4 && WIDEST == 3 ? 2 : left < WIDEST ? left : WIDEST;
            strip t = {.x = c->x + x,
                       .x_step = points,
                       .x_row = c->x_row,
                       .w = table,
                       .bias = table + c->kernel * c->kernel * VL,
                       .y = c->y + y,
                       .y_step = patterns * VL,
                       .y_row = row,
                       .rows = c->rows,
                       .x_begin = c->x_begin,
                       .x_end = c->x_end};
            t.whole = row - y - (count - 1) * patterns * VL >= VL;
            t.index = (const int32_t *)(t.bias + VL);
            t.bias = c->bias ? t.bias : NULL;
            for (int64_t s = 0; s < count; s++) {
                t.readable[s] = vmask_first(c->width - x - s * points);
                t.written[s] = vmask_first(row - y - s * patterns * VL);
            }
            strips[c->kernel == 5][count - 1](&t);
            left -= count;
            x += count * points;
            y += count * patterns * VL;
        }
    }
}

/* ----------------------------------------------------------------------------------------------- gradient ---- */

/* Filters from `f` on, a vector of them: one accumulator for each tap, and one for the bias. */
INLINE void gradient(const int kernel, const conv_first_gradient *c, int64_t f)
{
    const vmask mask = vmask_first(c->filters - f);
    vf acc[25], bias = vf_zero();
#pragma GCC unroll 25
    for (int t = 0; t < kernel * kernel; t++)
        acc[t] = vf_zero();
    const float *y = c->y + f;
    for (int64_t n = 0; n < c->images; n++)
        for (int64_t i = 0; i < c->rows; i++) {
            const float *x = c->x + n * c->x_image + i * c->x_row;
            for (int64_t j = 0; j < c->columns; j++, x += c->x_step, y += c->filters) {
                vf d = vf_load_mask(mask, y);
                bias = vf_add(bias, d);
#pragma GCC unroll 5
                for (int u = 0; u < kernel; u++)
#pragma GCC unroll 5
                    for (int v = 0; v < kernel; v++)
                        acc[u * kernel + v] = vf_fma(vf_set(x[u * c->tap_row + v]), d, acc[u * kernel + v]);
            }
        }
#pragma GCC unroll 25
    for (int t = 0; t < kernel * kernel; t++)
        vf_store_mask(mask, c->w + t * c->filters + f, acc[t]);
    if (c->bias)
        vf_store_mask(mask, c->bias + f, bias);
}

int KERNEL(conv_first_gradient_run)(const conv_first_gradient *c)
{
#if KERNEL_ISA == 2 /* 25 accumulators need 32 registers */
    for (int64_t f = 0; c->kernel == 5 && f < c->filters; f += VL)
        gradient(5, c, f);
    if (c->kernel == 5)
        return 1;
#endif
    if (c->kernel != 3)
        return 0;
    for (int64_t f = 0; f < c->filters; f += VL)
        gradient(3, c, f);
    return 1;
}

/* The definition of a convolution's bits, as plainly as it can be written.
 *
 *   FORWARD   y[n,i,j,f] = bias[f] + sum over (u, v, ci) in this order of x * w.  A tap above or below the picture
 *             takes no part, one to the left or right of it takes part as 0.  The sum is that of a product with k =
 *             kh*kw*(c/groups): chunks of gemm_chunk_length(k), in which taps that take no part still count; chains of
 *             fused multiply-adds within a chunk, chunks added in order.
 *   DINPUT    x[n,i,j,ci] = sum over (u, v) downwards and f upwards of y * w, over those taps for which the vertical
 *             position i + pad_lo - u*dilation is a multiple of the stride, and the horizontal one likewise.  Taps
 *             outside of y and chunks as above, with k = the number of these taps times f/groups.
 *   DWEIGHT   w[u,v,ci,f] = beta*w + sum over (n, i, j) in this order of x * y; taps outside of x take part as 0.
 *             A chunk is a number of whole samples: GEMM_CHUNK positions, or one sample if that has more.  The bias is
 *             the same with plain additions of y. */
#include <math.h>
#include <stddef.h>

#include "base/fpu.h"
#include "kernels/conv.h"
#include "kernels/kernels.h"

/* A sum in chunks of `length` terms. */
typedef struct chunked {
    int64_t length, terms;
    float sum, chunk;
    int closed; /* chunks that are in `sum` */
} chunked;

static void close_chunk(chunked *s)
{
    s->sum = s->closed++ ? s->sum + s->chunk : s->chunk;
    s->chunk = 0;
    s->terms = 0;
}

static void multiply(chunked *s, float a, float b)
{
    if (s->terms == s->length)
        close_chunk(s);
    s->chunk = fmaf(a, b, s->chunk);
    s->terms++;
}

static void add(chunked *s, float a)
{
    if (s->terms == s->length)
        close_chunk(s);
    s->chunk = s->chunk + a;
    s->terms++;
}

/* A term that takes no part. */
static void skip(chunked *s)
{
    if (s->terms == s->length)
        close_chunk(s);
    s->terms++;
}

static float total(chunked *s)
{
    if (s->terms > 0 || s->closed == 0)
        close_chunk(s);
    return s->sum;
}

static float pixel(const float *image, int64_t h, int64_t w, int64_t c, int64_t n, int64_t i, int64_t j, int64_t ci)
{
    return i < 0 || i >= h || j < 0 || j >= w ? 0 : image[((n * h + i) * w + j) * c + ci];
}

static float forward(const conv_shape *s, const float *x, const float *w, int64_t n, int64_t i, int64_t j, int64_t f)
{
    chunked sum = {.length = gemm_chunk_length(s->kh * s->kw * s->cg)};
    for (int64_t u = 0; u < s->kh; u++)
        for (int64_t v = 0; v < s->kw; v++)
            for (int64_t ci = 0; ci < s->cg; ci++) {
                int64_t row = i * s->stride[0] - s->pad[0] + u * s->dilation[0];
                int64_t column = j * s->stride[1] - s->pad[1] + v * s->dilation[1];
                if (row < 0 || row >= s->h)
                    skip(&sum);
                else
                    multiply(&sum, pixel(x, s->h, s->w, s->c, n, row, column, f / s->fg * s->cg + ci),
                             w[((u * s->kw + v) * s->cg + ci) * s->f + f]);
            }
    return total(&sum);
}

static int64_t taps(int64_t at, int64_t kernel, int64_t dilation, int64_t stride)
{
    int64_t count = 0;
    for (int64_t u = 0; u < kernel; u++)
        count += (at - u * dilation) % stride == 0;
    return count;
}

static float dinput(const conv_shape *s, const float *y, const float *w, int64_t n, int64_t i, int64_t j, int64_t c)
{
    int64_t top = i + s->pad[0], left = j + s->pad[1], g = c / s->cg;
    chunked sum = {.length = gemm_chunk_length(taps(top, s->kh, s->dilation[0], s->stride[0]) *
                                               taps(left, s->kw, s->dilation[1], s->stride[1]) * s->fg)};
    for (int64_t u = s->kh - 1; u >= 0; u--)
        for (int64_t v = s->kw - 1; v >= 0; v--) {
            int64_t a = top - u * s->dilation[0], b = left - v * s->dilation[1];
            if (a % s->stride[0] != 0 || b % s->stride[1] != 0)
                continue;
            for (int64_t f = g * s->fg; f < (g + 1) * s->fg; f++)
                if (a < 0 || a / s->stride[0] >= s->oh)
                    skip(&sum);
                else
                    multiply(&sum, pixel(y, s->oh, s->ow, s->f, n, a / s->stride[0], b / s->stride[1], f),
                             w[((u * s->kw + v) * s->cg + c % s->cg) * s->f + f]);
        }
    return total(&sum);
}

static float dweight(const conv_shape *s, const float *x, const float *y, int64_t u, int64_t v, int64_t ci, int64_t f)
{
    chunked sum = {.length = conv_samples_per_chunk(s) * s->oh * s->ow};
    for (int64_t n = 0; n < s->n; n++)
        for (int64_t i = 0; i < s->oh; i++)
            for (int64_t j = 0; j < s->ow; j++)
                multiply(&sum,
                         pixel(x, s->h, s->w, s->c, n, i * s->stride[0] - s->pad[0] + u * s->dilation[0],
                               j * s->stride[1] - s->pad[1] + v * s->dilation[1], f / s->fg * s->cg + ci),
                         y[((n * s->oh + i) * s->ow + j) * s->f + f]);
    return total(&sum);
}

static void ref_forward(const pln_conv *c, const conv_shape *s)
{
    const float *x = c->x->data, *w = c->w->data, *bias = c->bias ? c->bias->data : NULL;
    float *y = c->out->data;
    for (int64_t n = 0; n < s->n; n++)
        for (int64_t i = 0; i < s->oh; i++)
            for (int64_t j = 0; j < s->ow; j++)
                for (int64_t f = 0; f < s->f; f++) {
                    float t = forward(s, x, w, n, i, j, f);
                    y[((n * s->oh + i) * s->ow + j) * s->f + f] = bias ? t + bias[f] : t;
                }
}

static void ref_dinput(const pln_conv *c, const conv_shape *s)
{
    float *x = c->out->data;
    for (int64_t n = 0; n < s->n; n++)
        for (int64_t i = 0; i < s->h; i++)
            for (int64_t j = 0; j < s->w; j++)
                for (int64_t ci = 0; ci < s->c; ci++)
                    x[((n * s->h + i) * s->w + j) * s->c + ci] = dinput(s, c->y->data, c->w->data, n, i, j, ci);
}

static void ref_dweight(const pln_conv *c, const conv_shape *s)
{
    float *w = c->out->data, *bias = c->out_bias ? c->out_bias->data : NULL;
    const float *y = c->y->data;
    for (int64_t u = 0; u < s->kh; u++)
        for (int64_t v = 0; v < s->kw; v++)
            for (int64_t ci = 0; ci < s->cg; ci++)
                for (int64_t f = 0; f < s->f; f++) {
                    float *old = &w[((u * s->kw + v) * s->cg + ci) * s->f + f],
                          t = dweight(s, c->x->data, y, u, v, ci, f);
                    *old = c->beta != 0 ? fmaf(c->beta, *old, t) : t;
                }
    for (int64_t f = 0; bias && f < s->f; f++) {
        chunked sum = {.length = conv_samples_per_chunk(s) * s->oh * s->ow};
        for (int64_t p = 0; p < s->n * s->oh * s->ow; p++)
            add(&sum, y[p * s->f + f]);
        float t = total(&sum);
        bias[f] = c->beta != 0 ? fmaf(c->beta, bias[f], t) : t;
    }
}

void conv_ref(const pln_conv *c)
{
    conv_shape s = conv_shape_of(c);
    unsigned fpu = fpu_enter();
    if (c->pass == PLN_CONV_FORWARD)
        ref_forward(c, &s);
    else if (c->pass == PLN_CONV_DINPUT)
        ref_dinput(c, &s);
    else
        ref_dweight(c, &s);
    fpu_leave(fpu);
}

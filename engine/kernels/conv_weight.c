/* The gradient of a convolution's weights and bias: sums over all positions of the output.
 *
 * For one tap row u the gradient is a product: rows (v, channel), which lie side by side in the input as they do in the
 * gradient, columns filters, and k runs over the positions, in segments of one output row each.  The inner kernel
 * (gemm_tile.h) reads both images where they lie; only padding makes a copy of the input necessary, sample by sample.
 *
 * Pieces are blocks of the gradient, each going through all samples; or, where the gradient is small, chunks
 * of samples, whose partial sums a second region adds up in their order. */
#include <stddef.h>
#include <string.h>

#include "kernels/conv.h"
#include "kernels/conv_first.h"
#include "kernels/gemm_scratch.h"
#include "kernels/gemm_version.h"
#include "kernels/kernels.h"

#define PIECE_WORK    100000 /* multiply-adds that are worth handing to another lane */
#define PIECES_WANTED 64
#define ROWS_LEAST    12        /* rows of a block of the gradient */
#define ROWS_PADDED   24        /* where each block copies all images */
#define SMALL         (1 << 12) /* floats of a gradient of which a copy for each chunk is cheap */
#define PARTS_MOST    (1 << 19) /* floats of all of them */

typedef struct plan {
    const gemm_version *v;
    const conv_shape *shape;
    const float *x, *y;
    float *w, *bias;
    float beta;
    int64_t samples, chunks; /* samples of a chunk, chunks of the batch */
    int padded;
    int64_t top, left, height, width; /* of the image the kernel reads: its corner in the input, its size */
    /* Rows of the gradient fall into units (group, u, v), or (u) where the taps of a row join; units into blocks.
     * A piece is the same block of `units_each` units: of all taps where they share padded copies. */
    int joined;
    int64_t units, unit_rows, units_each, blocks, block_rows;
    float *parts; /* [chunks][weights, bias] */
    int64_t part;
    int64_t chunks_each;
} plan;

static int64_t least(int64_t x, int64_t y)
{
    return x < y ? x : y;
}

static int64_t most(int64_t x, int64_t y)
{
    return x > y ? x : y;
}

static int64_t ceil_div(int64_t x, int64_t y)
{
    return (x + y - 1) / y;
}

static void measure(plan *p)
{
    const conv_shape *s = p->shape;
    int64_t size[2] = {s->h, s->w}, kernel[2] = {s->kh, s->kw}, out[2] = {s->oh, s->ow}, reach[2];
    for (int i = 0; i < 2; i++) {
        reach[i] = (out[i] - 1) * s->stride[i] + (kernel[i] - 1) * s->dilation[i] + 1;
        p->padded |= s->pad[i] > 0 || reach[i] - s->pad[i] > size[i];
    }
    p->top = p->padded ? -s->pad[0] : 0;
    p->left = p->padded ? -s->pad[1] : 0;
    p->height = p->padded ? reach[0] : s->h;
    p->width = p->padded ? reach[1] : s->w;
}

/* Samples first .. first+count-1 as the kernel reads them: in place, or copied with zeros around. */
static const float *images(const plan *p, int64_t first, int64_t count)
{
    const conv_shape *s = p->shape;
    if (!p->padded)
        return p->x + first * s->h * s->w * s->c;
    int64_t row = p->width * s->c, left = least(-p->left, p->width);
    int64_t inside = most(0, least(s->w, p->width - left)), right = p->width - left - inside;
    float *to = gemm_scratch(SCRATCH_PIECE_IMAGE, count * p->height * row * (int64_t)sizeof(float)), *image = to;
    for (int64_t n = first; image && n < first + count; n++)
        for (int64_t r = p->top; r < p->top + p->height; r++, to += row) {
            if (r < 0 || r >= s->h) {
                memset(to, 0, (size_t)row * sizeof *to);
                continue;
            }
            memset(to, 0, (size_t)(left * s->c) * sizeof *to);
            memcpy(to + left * s->c, p->x + (n * s->h + r) * s->w * s->c, (size_t)(inside * s->c) * sizeof *to);
            memset(to + (left + inside) * s->c, 0, (size_t)(right * s->c) * sizeof *to);
        }
    return image;
}

/* The segments of a chunk: one for each sample and output row.  Offsets are the same for every chunk. */
static gemm_segment *segments_make(const plan *p)
{
    const conv_shape *s = p->shape;
    int64_t samples = least(p->samples, s->n);
    gemm_segment *t = gemm_scratch(SCRATCH_CALL_TABLE, samples * s->oh * (int64_t)sizeof *t);
    for (int64_t i = 0; t && i < samples * s->oh; i++)
        t[i] = (gemm_segment){(i / s->oh * p->height + i % s->oh * s->stride[0]) * p->width * s->c, s->ow};
    return t;
}

typedef struct context {
    plan *p;
    const gemm_segment *segment;
} context;

/* Rows begin .. begin+m-1 of a unit, over the samples of a chunk: `g` says where it goes and what comes before. */
static void unit_chunk(const context *c, const float *image, int64_t chunk, int64_t unit, int64_t begin, gemm_block *g)
{
    const plan *p = c->p;
    const conv_shape *s = p->shape;
    int64_t tap = p->joined ? unit * s->kw : unit % (s->kh * s->kw), group = p->joined ? 0 : unit / (s->kh * s->kw);
    int64_t u = tap / s->kw, v = tap % s->kw, first = chunk * p->samples;
    g->segment = c->segment;
    g->segments = least(p->samples, s->n - first) * s->oh;
    g->a = image + (u * s->dilation[0] * p->width + v * s->dilation[1]) * s->c + group * s->cg + begin;
    g->a_row = 1;
    g->a_step = s->stride[1] * s->c;
    g->b = p->y + first * s->oh * s->ow * s->f + group * s->fg;
    g->b_row = s->f;
    g->n = s->fg;
    p->v->block(g);
}

/* Where the unit's rows begin in the gradient. */
static int64_t unit_at(const plan *p, int64_t unit)
{
    const conv_shape *s = p->shape;
    if (p->joined)
        return unit * s->kw * s->cg * s->f;
    return unit % (s->kh * s->kw) * s->cg * s->f + unit / (s->kh * s->kw) * s->fg;
}

/* ------------------------------------------------------------------------------------- blocks of the gradient ---- */

static void bias_run(const plan *p)
{
    const conv_shape *s = p->shape;
    gemm_finish f = {1, p->beta, NULL};
    int64_t positions = s->oh * s->ow;
    p->v->column_sums(s->n * positions, p->samples * positions, s->f, p->y, s->f, p->bias, &f);
}

static int block_piece(void *argument, int64_t piece, int lane)
{
    const context *c = argument;
    const plan *p = c->p;
    const conv_shape *s = p->shape;
    (void)lane;
    if (piece == p->units / p->units_each * p->blocks) {
        bias_run(p);
        return PLN_OK;
    }
    int64_t first = piece / p->blocks * p->units_each, begin = piece % p->blocks * p->block_rows;
    int64_t m = least(p->block_rows, p->unit_rows - begin), copies = p->chunks > 1 && p->beta != 0 ? p->units_each : 0;
    float *sums = gemm_scratch(SCRATCH_PIECE_SUM, copies * m * s->fg * (int64_t)sizeof(float));
    if (!sums)
        return PLN_E_MEMORY;
    for (int64_t chunk = 0; chunk < p->chunks; chunk++) {
        int last = chunk == p->chunks - 1;
        const float *image = images(p, chunk * p->samples, least(p->samples, s->n - chunk * p->samples));
        if (!image)
            return PLN_E_MEMORY;
        for (int64_t unit = first; unit < first + p->units_each; unit++) {
            float *out = p->w + unit_at(p, unit) + begin * s->f,
                  *sum = copies ? sums + (unit - first) * m * s->fg : out;
            ptrdiff_t sum_row = copies ? s->fg : s->f;
            gemm_block g = {.m = m,
                            .out = last ? out : sum,
                            .out_row = last ? s->f : sum_row,
                            .alpha = 1,
                            .beta = last ? p->beta : 0,
                            .sum = chunk ? sum : NULL,
                            .sum_row = sum_row};
            unit_chunk(c, image, chunk, unit, begin, &g);
        }
    }
    return PLN_OK;
}

static int blocks_run(lanes *pool, context *c, int64_t work)
{
    plan *p = c->p;
    int64_t wanted = least(work / PIECE_WORK + 1, PIECES_WANTED);
    p->units_each = !p->padded ? 1 : p->joined ? p->units : p->shape->kh * p->shape->kw;
    p->blocks =
        least(ceil_div(wanted * p->units_each, p->units), p->unit_rows / (p->padded ? ROWS_PADDED : ROWS_LEAST));
    p->block_rows = ceil_div(p->unit_rows, most(1, p->blocks));
    p->blocks = ceil_div(p->unit_rows, p->block_rows);
    return lanes_run(work > PIECE_WORK ? pool : NULL, p->units / p->units_each * p->blocks + (p->bias != NULL),
                     block_piece, c);
}

/* ------------------------------------------------------------------------------------------ chunks of samples ---- */

/* One channel: conv_first.h, where it applies.  Returns whether it did. */
static int first_run(const plan *p, const float *image, int64_t chunk, int64_t samples, float *part)
{
    static int (*const run[])(const conv_first_gradient *) = KERNEL_TABLE(conv_first_gradient_run);
    const conv_shape *s = p->shape;
    conv_first_gradient g = {.x = image,
                             .x_image = p->height * p->width,
                             .x_row = s->stride[0] * p->width,
                             .x_step = s->stride[1],
                             .tap_row = s->dilation[0] * p->width,
                             .y = p->y + chunk * p->samples * s->oh * s->ow * s->f,
                             .images = samples,
                             .rows = s->oh,
                             .columns = s->ow,
                             .filters = s->f,
                             .kernel = s->kh,
                             .w = part,
                             .bias = p->bias ? part + s->kh * s->kw * s->f : NULL};
    int isa = kernels_isa();
    if (s->c != 1 || s->kh != s->kw || s->dilation[1] != 1)
        return 0;
    if (isa == ISA_AVX512 && s->f <= 8 && run[ISA_AVX2](&g)) /* half as wide, twice as many at once */
        return 1;
    return run[isa](&g);
}

static int chunk_run(const context *c, int64_t chunk)
{
    const plan *p = c->p;
    const conv_shape *s = p->shape;
    int64_t count = least(p->samples, s->n - chunk * p->samples), positions = count * s->oh * s->ow;
    const float *image = images(p, chunk * p->samples, count);
    float *part = p->parts + chunk * p->part;
    const gemm_finish f = {1, 0, NULL};
    if (!image)
        return PLN_E_MEMORY;
    if (first_run(p, image, chunk, count, part))
        return PLN_OK;
    for (int64_t unit = 0; unit < p->units; unit++) {
        gemm_block g = {.m = p->unit_rows, .out = part + unit_at(p, unit), .out_row = s->f, .alpha = 1};
        unit_chunk(c, image, chunk, unit, 0, &g);
    }
    if (p->bias)
        p->v->column_sums(positions, positions, s->f, p->y + chunk * p->samples * s->oh * s->ow * s->f, s->f,
                          part + s->kh * s->kw * s->cg * s->f, &f);
    return PLN_OK;
}

static int chunks_piece(void *argument, int64_t piece, int lane)
{
    const context *c = argument;
    const plan *p = c->p;
    int status = PLN_OK;
    (void)lane;
    for (int64_t i = piece * p->chunks_each; i < least((piece + 1) * p->chunks_each, p->chunks) && status == PLN_OK;
         i++)
        status = chunk_run(c, i);
    return status;
}

static int gather_piece(void *argument, int64_t piece, int lane)
{
    const plan *p = ((const context *)argument)->p;
    const gemm_finish f = {1, p->beta, NULL};
    int64_t weights = p->part - p->shape->f;
    (void)piece;
    (void)lane;
    p->v->gather(weights, p->chunks, p->parts, p->part, p->w, &f);
    if (p->bias)
        p->v->gather(p->shape->f, p->chunks, p->parts + weights, p->part, p->bias, &f);
    return PLN_OK;
}

static int chunks_run(lanes *pool, context *c, int64_t work)
{
    plan *p = c->p;
    p->parts = gemm_scratch(SCRATCH_CALL_PARTS, p->chunks * p->part * (int64_t)sizeof(float));
    if (!p->parts)
        return PLN_E_MEMORY;
    p->chunks_each = ceil_div(p->chunks, least(work / PIECE_WORK + 1, PIECES_WANTED));
    int status = lanes_run(pool, ceil_div(p->chunks, p->chunks_each), chunks_piece, c);
    return status == PLN_OK ? lanes_run(pool, 1, gather_piece, c) : status;
}

int conv_weight_run(lanes *pool, const pln_conv *c, const conv_shape *s)
{
    plan p = {.v = gemm_version_now(),
              .shape = s,
              .x = c->x->data,
              .y = c->y->data,
              .w = c->out->data,
              .bias = c->out_bias ? c->out_bias->data : NULL,
              .beta = c->beta};
    int64_t weights = s->kh * s->kw * s->cg * s->f, work = s->n * s->oh * s->ow * weights;
    p.samples = conv_samples_per_chunk(s);
    p.chunks = most(1, ceil_div(s->n, p.samples));
    p.joined = s->groups == 1 && s->dilation[1] == 1;
    p.units = p.joined ? s->kh : s->groups * s->kh * s->kw;
    p.unit_rows = p.joined ? s->kw * s->cg : s->cg;
    p.part = weights + s->f;
    measure(&p);
    context t = {&p, segments_make(&p)};
    if (!t.segment)
        return PLN_E_MEMORY;
    if ((p.chunks > 1 || s->c == 1) && weights <= SMALL && p.chunks * p.part <= PARTS_MOST)
        return chunks_run(pool, &t, work);
    return blocks_run(pool, &t, work);
}

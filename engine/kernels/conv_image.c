/* The two passes of a convolution that write an image: forward, and the gradient of the input.
 *
 * Both are the same work, described by a `plan`: every point of the destination is the sum over taps of a vector of
 * source channels times a matrix.  Forward, the source steps by the stride.  Backward, the destination does: it falls
 * into stride x stride phases, each of which sees its own subset of the taps, turned around, and reads the source
 * point by point.  A row of the destination is one block of the inner kernel (gemm_tile.h), which reads the source
 * where it lies: the taps are segments of k, merged where they touch.  Only where taps reach beyond the image's edge
 * is it copied first, with zeros on both sides; taps above and below it are left out. */
#include <stddef.h>
#include <string.h>

#include "kernels/conv.h"
#include "kernels/conv_first.h"
#include "kernels/gemm_scratch.h"
#include "kernels/gemm_version.h"
#include "kernels/kernels.h"

#define PIECE_WORK    100000 /* multiply-adds that are worth handing to another lane */
#define PIECES_WANTED 64

typedef struct image {
    int64_t height, width, channels, per_group;
} image;

/* A chunk of k: `count` segments from `first`, `begin` rows into the phase's matrix. */
typedef struct chunk {
    int64_t first, count, begin;
} chunk;

/* Destination points (first[0] + t*step, first[1] + u*step) and the chunks of their sum. */
typedef struct phase {
    int64_t first[2];
    int64_t first_chunk, chunks;
    const float *matrix; /* of group 0 */
} phase;

typedef struct plan {
    const gemm_version *v;
    const conv_shape *shape;
    int backward;
    image from, to;
    const float *source, *bias;
    float *target;
    int64_t source_step[2], target_step[2];
    int64_t count[2];             /* most destination rows and columns of a phase */
    int64_t lowest[2], beyond[2]; /* taps reach from lowest to beyond-1, relative to the source point */
    int padded, overhanging;      /* some tap lies outside, above or below */
    int64_t pitch;                /* source points from row to row of what the kernel reads */
    phase *phase;
    int64_t phases;
    chunk *chunk;
    gemm_segment *segment;
    int64_t *segment_row;     /* which source row a segment reads, relative to the source point */
    int64_t chunks, segments; /* how many there are so far */
    ptrdiff_t matrix_row, matrix_group;
    float *turned; /* backward: the weights, [phase][group][taps, f/groups][c/groups] */
    int64_t samples_each, rows_each, row_pieces;
    conv_first first; /* its table is NULL where it does not apply */
    void (*first_run)(const conv_first *);
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

/* --------------------------------------------------------------------------------------- describing the work ---- */

/* Does tap `u` reach a source point from phase `first`?  Then *offset is that point's, relative to the phase's own. */
static int tap_offset(const plan *p, int axis, int64_t first, int64_t u, int64_t *offset)
{
    const conv_shape *s = p->shape;
    int64_t at = p->backward ? first + s->pad[axis] - u * s->dilation[axis] : u * s->dilation[axis] - s->pad[axis];
    if (p->backward && at % s->stride[axis] != 0)
        return 0;
    *offset = p->backward ? at / s->stride[axis] : at;
    return 1;
}

/* Tap number i in the order of the sum. */
static int64_t tap_at(const plan *p, int64_t kernel, int64_t i)
{
    return p->backward ? kernel - 1 - i : i;
}

static void measure_reach(plan *p)
{
    const int64_t kernel[2] = {p->shape->kh, p->shape->kw};
    const int64_t source[2] = {p->from.height, p->from.width}, target[2] = {p->to.height, p->to.width};
    for (int axis = 0; axis < 2; axis++) {
        int64_t lowest = INT64_MAX, highest = INT64_MIN, offset;
        p->count[axis] = ceil_div(target[axis], p->target_step[axis]);
        for (int64_t first = 0; first < least(p->target_step[axis], target[axis]); first++)
            for (int64_t u = 0; u < kernel[axis]; u++)
                if (tap_offset(p, axis, first, u, &offset)) {
                    lowest = least(lowest, offset);
                    highest = most(highest, offset);
                }
        if (lowest > highest)
            lowest = highest = 0;
        p->lowest[axis] = lowest;
        p->beyond[axis] = highest + 1;
        if (lowest < 0 || (p->count[axis] - 1) * p->source_step[axis] + highest >= source[axis])
            p->padded = 1;
        if (axis == 0)
            p->overhanging = p->padded;
    }
    p->pitch = p->padded ? (p->count[1] - 1) * p->source_step[1] + p->beyond[1] - p->lowest[1] : p->from.width;
}

static void add_chunk(plan *p, phase *f, int64_t k)
{
    p->chunk[p->chunks++] = (chunk){p->segments, 0, k};
    f->chunks++;
}

/* Appends `length` steps at `offset`, in row `row`, to the phase's chunks, cutting where a chunk is full. */
static void add_steps(plan *p, phase *f, int64_t chunk_length, int64_t *k, ptrdiff_t offset, int64_t row,
                      int64_t length)
{
    while (length > 0) {
        if (*k % chunk_length == 0)
            add_chunk(p, f, *k);
        chunk *c = &p->chunk[p->chunks - 1];
        gemm_segment *last = &p->segment[p->segments - 1];
        int64_t steps = least(length, chunk_length - *k % chunk_length);
        if (c->count > 0 && last->offset + last->length == offset && p->segment_row[p->segments - 1] == row) {
            last->length += steps;
        } else {
            p->segment_row[p->segments] = row;
            p->segment[p->segments++] = (gemm_segment){offset, steps};
            c->count++;
        }
        *k += steps;
        offset += steps;
        length -= steps;
    }
}

static int64_t phase_taps(const plan *p, const phase *f)
{
    int64_t offset, rows = 0, columns = 0;
    for (int64_t u = 0; u < p->shape->kh; u++)
        rows += tap_offset(p, 0, f->first[0], u, &offset);
    for (int64_t v = 0; v < p->shape->kw; v++)
        columns += tap_offset(p, 1, f->first[1], v, &offset);
    return rows * columns;
}

static void describe_phase(plan *p, phase *f)
{
    const conv_shape *s = p->shape;
    int64_t k = 0, length = gemm_chunk_length(phase_taps(p, f) * p->from.per_group), row, column;
    for (int64_t i = 0; i < s->kh; i++)
        for (int64_t j = 0; j < s->kw; j++)
            if (tap_offset(p, 0, f->first[0], tap_at(p, s->kh, i), &row) &&
                tap_offset(p, 1, f->first[1], tap_at(p, s->kw, j), &column)) {
                int64_t point = (row - p->lowest[0]) * p->pitch + column - p->lowest[1];
                add_steps(p, f, length, &k, point * p->from.channels, row, p->from.per_group);
            }
    if (f->chunks == 0) /* no tap reaches these points: the empty sum */
        add_chunk(p, f, 0);
}

static int describe_phases(plan *p)
{
    int64_t down = least(p->target_step[0], p->to.height), across = least(p->target_step[1], p->to.width);
    int64_t taps = p->shape->kh * p->shape->kw;
    p->phases = down * across;
    int64_t chunks = taps * p->from.per_group / (GEMM_CHUNK / 2) + p->phases, segments = taps + chunks;
    int64_t phase_bytes = p->phases * (int64_t)sizeof(phase), chunk_bytes = chunks * (int64_t)sizeof(chunk);
    int64_t segment_bytes = segments * (int64_t)sizeof(gemm_segment), row_bytes = segments * (int64_t)sizeof(int64_t);
    char *table = gemm_scratch(SCRATCH_CALL_TABLE, phase_bytes + chunk_bytes + segment_bytes + row_bytes);
    if (!table)
        return PLN_E_MEMORY;
    p->phase = (phase *)table;
    p->chunk = (chunk *)(table + phase_bytes);
    p->segment = (gemm_segment *)(table + phase_bytes + chunk_bytes);
    p->segment_row = (int64_t *)(table + phase_bytes + chunk_bytes + segment_bytes);
    for (int64_t i = 0; i < p->phases; i++) {
        p->phase[i] = (phase){.first = {i / across, i % across}, .first_chunk = p->chunks};
        describe_phase(p, &p->phase[i]);
    }
    return PLN_OK;
}

/* ----------------------------------------------------------------------------------- weights turned around ---- */

typedef struct turning {
    const plan *p;
    const float *w;
} turning;

/* The matrices of one phase: rows (tap, f) in the order of the sum, columns c, group after group. */
static int turn_piece(void *context, int64_t piece, int lane)
{
    const turning *t = context;
    const plan *p = t->p;
    const conv_shape *s = p->shape;
    const gemm_finish finish = {1, 0, NULL};
    const phase *f = &p->phase[piece / s->kh];
    int64_t row, column, k = 0;
    (void)lane;
    for (int64_t i = 0; i < s->kh; i++)
        for (int64_t j = 0; j < s->kw; j++) {
            int64_t u = tap_at(p, s->kh, i), v = tap_at(p, s->kw, j);
            if (!tap_offset(p, 0, f->first[0], u, &row) || !tap_offset(p, 1, f->first[1], v, &column))
                continue;
            for (int64_t g = 0; g < s->groups && i == piece % s->kh; g++)
                p->v->turn(s->fg, s->cg, t->w + (u * s->kw + v) * s->cg * s->f + g * s->fg, s->f,
                           p->turned + (f->matrix - p->turned) + g * p->matrix_group + k * s->cg, s->cg, &finish);
            k += s->fg;
        }
    return PLN_OK;
}

/* Group matrices of a phase lie one behind the other as long as the whole kernel's: matrix_group is that length. */
static int turn_weights(lanes *pool, plan *p, const float *w)
{
    const conv_shape *s = p->shape;
    int64_t all = s->kh * s->kw * s->cg * s->f;
    p->turned = gemm_scratch(SCRATCH_CALL_OPERAND, all * (int64_t)sizeof(float));
    if (!p->turned)
        return PLN_E_MEMORY;
    p->matrix_row = s->cg;
    p->matrix_group = s->kh * s->kw * s->fg * s->cg;
    const float *matrix = p->turned;
    for (int64_t i = 0; i < p->phases; i++) {
        p->phase[i].matrix = matrix;
        matrix += phase_taps(p, &p->phase[i]) * s->fg * s->cg;
    }
    turning t = {p, w};
    return lanes_run(all > PIECE_WORK ? pool : NULL, p->phases * s->kh, turn_piece, &t);
}

/* ---------------------------------------------------------------------------------- one channel (conv_first.h) ---- */

static int prepare_first(plan *p, const float *w)
{
    static int64_t (*const table_size[])(int64_t, int64_t) = KERNEL_TABLE(conv_first_table_size);
    static void (*const table_fill[])(int64_t, int64_t, const float *, const float *, float *) =
        KERNEL_TABLE(conv_first_table);
    static void (*const run[])(const conv_first *) = KERNEL_TABLE(conv_first_run);
    const conv_shape *s = p->shape;
    int isa = kernels_isa();
    if (s->c != 1 || s->kh != s->kw || s->stride[0] != 1 || s->stride[1] != 1 || s->dilation[0] != 1 ||
        s->dilation[1] != 1)
        return PLN_OK;
    int64_t floats = table_size[isa](s->f, s->kh);
    if (floats == 0)
        return PLN_OK;
    float *table = gemm_scratch(SCRATCH_CALL_OPERAND, floats * (int64_t)sizeof(float));
    if (!table)
        return PLN_E_MEMORY;
    table_fill[isa](s->f, s->kh, w, p->bias, table);
    p->first = (conv_first){.x_row = p->pitch,
                            .width = p->pitch,
                            .columns = s->ow,
                            .filters = s->f,
                            .kernel = s->kh,
                            .table = table,
                            .bias = p->bias != NULL};
    p->first_run = run[isa];
    return PLN_OK;
}

/* ------------------------------------------------------------------------------------------- doing the work ---- */

/* Copies the source rows that destination rows t0 .. t1-1 read, with zeros on both sides.  Rows that the image does
 * not have stay undefined: nobody reads them. */
static float *pad_image(const plan *p, const float *source, int64_t t0, int64_t t1)
{
    int64_t channels = p->from.channels, row_floats = p->pitch * channels;
    int64_t begin = t0 * p->source_step[0] + p->lowest[0], end = (t1 - 1) * p->source_step[0] + p->beyond[0];
    int64_t left = least(most(0, -p->lowest[1]), p->pitch), from = most(0, p->lowest[1]);
    int64_t inside = most(0, least(p->from.width - from, p->pitch - left)), right = p->pitch - left - inside;
    float *padded = gemm_scratch(SCRATCH_PIECE_IMAGE, (end - begin) * row_floats * (int64_t)sizeof(float));
    for (int64_t r = begin; padded && r < end; r++) {
        float *to = padded + (r - begin) * row_floats;
        if (r < 0 || r >= p->from.height)
            continue;
        memset(to, 0, (size_t)(left * channels) * sizeof *to);
        memcpy(to + left * channels, source + (r * p->from.width + from) * channels,
               (size_t)(inside * channels) * sizeof *to);
        memset(to + (left + inside) * channels, 0, (size_t)(right * channels) * sizeof *to);
    }
    return padded;
}

/* Leaves out the segments of a chunk that lie above or below the image.  Rows go upwards in a chunk. */
static void take_inside(const plan *p, const chunk *c, int64_t source_row, gemm_block *g)
{
    const int64_t *row = p->segment_row + c->first;
    int64_t begin = 0, end = c->count;
    for (; begin < end && source_row + row[begin] < 0; begin++)
        g->b += g->segment[begin].length * g->b_row;
    while (begin < end && source_row + row[end - 1] >= p->from.height)
        end--;
    g->segment += begin;
    g->segments = end - begin;
}

/* m destination points of one phase.  `source` is what the lowest tap of the first one reads, `source_row` its source
 * row. */
static void run_row(const plan *p, const phase *f, const float *source, int64_t source_row, float *target, int64_t m)
{
    gemm_block g = {.a_row = p->source_step[1] * p->from.channels,
                    .a_step = 1,
                    .b_row = p->matrix_row,
                    .m = m,
                    .n = p->to.per_group,
                    .out_row = p->target_step[1] * p->to.channels,
                    .alpha = 1};
    g.sum_row = g.out_row;
    for (int64_t group = 0; group < p->shape->groups; group++) {
        g.a = source + group * p->from.per_group;
        g.out = target + group * p->to.per_group;
        for (int64_t i = 0; i < f->chunks; i++) {
            const chunk *c = &p->chunk[f->first_chunk + i];
            g.segment = p->segment + c->first;
            g.segments = c->count;
            g.b = f->matrix + group * p->matrix_group + c->begin * p->matrix_row;
            if (p->overhanging)
                take_inside(p, c, source_row, &g);
            g.sum = i ? g.out : NULL;
            g.bias = p->bias && i == f->chunks - 1 ? p->bias + group * p->to.per_group : NULL;
            p->v->block(&g);
        }
    }
}

/* Rows t0 .. t1-1 of every phase of one sample. */
static int run_rows(const plan *p, int64_t sample, int64_t t0, int64_t t1)
{
    const image *from = &p->from, *to = &p->to;
    const float *source = p->source + sample * from->height * from->width * from->channels;
    float *target = p->target + sample * to->height * to->width * to->channels;
    if (p->padded) {
        source = pad_image(p, source, t0, t1);
        if (!source)
            return PLN_E_MEMORY;
    } else {
        source += ((t0 * p->source_step[0] + p->lowest[0]) * p->pitch + p->lowest[1]) * from->channels;
    }
    if (p->first.table && t1 - t0 >= p->first.kernel) {
        conv_first first = p->first;
        first.x = source;
        first.y = target + t0 * to->width * to->channels;
        first.rows = t1 - t0;
        first.x_begin = most(0, -(t0 + p->lowest[0]));
        first.x_end = from->height - (t0 + p->lowest[0]);
        p->first_run(&first);
        return PLN_OK;
    }
    /* Where the last point of a row and the first of the next are as far apart as neighbours, rows run together. */
    int together = p->phases == 1 && !p->overhanging && p->target_step[0] == 1 && p->target_step[1] == 1 &&
                   p->pitch * p->source_step[0] == p->count[1] * p->source_step[1];
    for (int64_t t = t0; t < t1; t += together ? t1 - t0 : 1)
        for (int64_t i = 0; i < p->phases; i++) {
            const phase *f = &p->phase[i];
            int64_t row = f->first[0] + t * p->target_step[0];
            int64_t columns = ceil_div(to->width - f->first[1], p->target_step[1]);
            if (row < to->height)
                run_row(p, f, source + (t - t0) * p->source_step[0] * p->pitch * from->channels, t * p->source_step[0],
                        target + (row * to->width + f->first[1]) * to->channels,
                        together ? (t1 - t0) * columns : columns);
        }
    return PLN_OK;
}

static int image_piece(void *context, int64_t piece, int lane)
{
    const plan *p = context;
    int64_t sample = piece / p->row_pieces * p->samples_each, t = piece % p->row_pieces * p->rows_each;
    int64_t end = least(sample + p->samples_each, p->shape->n);
    int status = PLN_OK;
    (void)lane;
    for (; sample < end && status == PLN_OK; sample++)
        status = run_rows(p, sample, t, least(t + p->rows_each, p->count[0]));
    return status;
}

/* Pieces are some samples, or some rows of one; by sizes alone. */
static void cut_pieces(plan *p)
{
    const conv_shape *s = p->shape;
    int64_t sample_work = s->oh * s->ow * s->kh * s->kw * s->cg * s->f + 1;
    int64_t wanted = least(sample_work * s->n / PIECE_WORK + 1, PIECES_WANTED);
    p->samples_each = most(1, s->n / wanted);
    p->row_pieces = 1;
    if (wanted > s->n)
        p->row_pieces = least(ceil_div(wanted, s->n), p->count[0]);
    p->rows_each = ceil_div(p->count[0], p->row_pieces);
    p->row_pieces = ceil_div(p->count[0], p->rows_each);
}

int conv_image_run(lanes *pool, const pln_conv *c, const conv_shape *s)
{
    image x = {s->h, s->w, s->c, s->cg}, y = {s->oh, s->ow, s->f, s->fg};
    plan p = {.v = gemm_version_now(), .shape = s, .backward = c->pass == PLN_CONV_DINPUT, .target = c->out->data};
    p.from = p.backward ? y : x;
    p.to = p.backward ? x : y;
    p.source = p.backward ? c->y->data : c->x->data;
    p.bias = !p.backward && c->bias ? c->bias->data : NULL;
    for (int i = 0; i < 2; i++) {
        p.source_step[i] = p.backward ? 1 : s->stride[i];
        p.target_step[i] = p.backward ? s->stride[i] : 1;
    }
    if (s->n <= 0 || p.to.height <= 0 || p.to.width <= 0 || p.to.channels <= 0)
        return PLN_OK;
    measure_reach(&p);
    int status = describe_phases(&p);
    if (status != PLN_OK)
        return status;
    if (p.backward) {
        status = turn_weights(pool, &p, c->w->data);
        if (status != PLN_OK)
            return status;
    } else {
        p.phase[0].matrix = c->w->data;
        p.matrix_row = s->f;
        p.matrix_group = s->fg;
        status = prepare_first(&p, c->w->data);
        if (status != PLN_OK)
            return status;
    }
    cut_pieces(&p);
    return lanes_run(pool, ceil_div(s->n, p.samples_each) * p.row_pieces, image_piece, &p);
}

/* Matrix products: how they are cut into pieces of work.  The bits are fixed by kernels.h whatever happens here, so the
 * choice between the ways below is made by sizes and for speed alone:
 *
 *   blocks   pieces are blocks of the result, and each goes through all chunks of k;
 *   parts    of a skinny product (a layer with many inputs, few samples and units): pieces are chunks of k, whose
 *            partial sums are added up in a second region.  A lane then works on the same rows of the weights as in
 *            the weight gradient, whose rows are cut in the same proportion, and they stay in its core's cache;
 *   turned   of a product with a transposed right operand and few rows (the input gradient of such a layer): the
 *            result is computed transposed, so that the weights are read where they lie and only the small operand and
 *            the result change their layout.
 */
#include <stddef.h>
#include <string.h>

#include "kernels/gemm_scratch.h"
#include "kernels/gemm_sink.h"
#include "kernels/gemm_version.h"
#include "kernels/kernels.h"

/* Multiply-adds of a product that is worth a region (some 300 ns), and of a piece that is worth handing over. */
#define REGION_WORK 120000
#define PIECE_WORK  200000
/* Partial sums that are worth adding up on another lane. */
#define GATHER_WORK 8000
/* More pieces than this only cost; fewer leave lanes waiting for the last one. */
#define PIECES_WANTED 64
/* Rows of a block: enough that a panel of b is used a few times; of a big product, enough that it is used well. */
#define ROWS_LEAST       28
#define ROWS_LEAST_BIG   112
#define PANELS_LEAST_BIG 4
#define BIG_WORK         50000000
/* Rows of a block that goes into a sink: two tiles; their 28 x 128 floats and what an optimizer keeps of them fit the
 * cache. */
#define SINK_ROWS 28
/* Rows at multiples of this many floats displace each other from the caches; blocks of so many rows and panels are then
 * worth a copy of their operands. */
#define COLLIDING   1024
#define COPY_ROWS   64
#define COPY_PANELS 2
#define LINE        16 /* floats of a cache line */
/* Floats of partial sums that are cheaper to write and read again than weights are to fetch from the other core. */
#define PARTS_MOST (1 << 19)

/* How a dimension is cut into pieces: every chunk of gemm_chunk_length(size) into `parts`.  So the same share of a
 * dimension falls to the same lane whether it is k, m or n. */
typedef struct cut {
    int64_t size, length, parts, pieces;
    int64_t multiple; /* pieces begin at multiples of it */
} cut;

typedef struct job {
    const gemm_version *v;
    const float *a, *b;
    float *c, *colsum;
    int trans_b;
    int64_t m, n, k, length, chunks;
    ptrdiff_t a_row, a_step, ldb, ldc;
    gemm_finish finish;
    cut rows, columns;
    gemm_sink *sink;
    void *sink_context;
    float *parts;        /* [chunks,m,n] */
    const float *turned; /* op(a) transposed, [k,m], in panels of `turned_step` floats */
    ptrdiff_t turned_row, turned_step;
} job;

static int64_t least(int64_t x, int64_t y)
{
    return x < y ? x : y;
}

static int64_t ceil_div(int64_t x, int64_t y)
{
    return (x + y - 1) / y;
}

/* About `wanted` pieces, but none shorter than `shortest`. */
static cut cut_make(int64_t size, int64_t wanted, int64_t shortest, int64_t multiple)
{
    cut t = {.size = size, .length = gemm_chunk_length(size), .multiple = multiple};
    int64_t chunks = size > 0 ? ceil_div(size, t.length) : 1, most = least(t.length, size) / shortest;
    t.parts = least(ceil_div(wanted, chunks), most);
    if (t.parts < 1)
        t.parts = 1;
    t.pieces = chunks * t.parts;
    return t;
}

/* Where piece `p` begins; `pieces` gives the end. */
static int64_t cut_at(const cut *t, int64_t p)
{
    int64_t inside = p % t->parts * ceil_div(t->length, t->parts);
    int64_t at = p / t->parts * t->length + least(inside, t->length);
    if (at >= t->size)
        return t->size;
    return least((at + t->multiple / 2) / t->multiple * t->multiple, t->size);
}

/* ------------------------------------------------------------------------------------------------ blocks ---- */

/* Rows so far apart that all of them fall into the same few lines of the caches. */
static int collides(ptrdiff_t row)
{
    return row % COLLIDING == 0;
}

/* `rows` rows of `length` floats, moved close together: out[i*(length + LINE)]. */
static void copy_rows(int64_t rows, int64_t length, const float *from, ptrdiff_t row, float *to, ptrdiff_t to_row)
{
    for (int64_t i = 0; i < rows; i++)
        memcpy(to + i * to_row, from + i * row, (size_t)length * sizeof *to);
}

/* The left operand of a chunk where it lies, or a copy of it. */
static int chunk_left(const job *w, gemm_block *g, int64_t i, int64_t begin, int64_t steps)
{
    g->a = w->a + i * w->a_row + begin * w->a_step;
    g->a_row = w->a_row;
    g->a_step = w->a_step;
    ptrdiff_t apart = w->a_step == 1 ? w->a_row : w->a_step;
    if (!collides(apart) || g->m < COPY_ROWS || g->n < COPY_PANELS * w->v->panel)
        return PLN_OK;
    int64_t rows = w->a_step == 1 ? g->m : steps, length = w->a_step == 1 ? steps : g->m, near = length + LINE;
    float *copy = gemm_scratch(SCRATCH_PIECE_LEFT, rows * near * (int64_t)sizeof(float));
    if (!copy)
        return PLN_E_MEMORY;
    copy_rows(rows, length, g->a, apart, copy, near);
    g->a = copy;
    g->a_row = w->a_step == 1 ? near : 1;
    g->a_step = w->a_step == 1 ? 1 : near;
    return PLN_OK;
}

/* Chunk number `chunk` of rows i .. i+m-1, columns j .. j+n-1; `g` says where it goes. */
static int chunk_run(const job *w, gemm_block *g, int64_t chunk, int64_t i, int64_t j)
{
    int64_t begin = chunk * w->length, steps = least(w->length, w->k - begin), n = g->n, panel = w->v->panel;
    gemm_segment segment = {0, steps};
    g->segment = &segment;
    g->segments = 1;
    int status = chunk_left(w, g, i, begin, steps);
    if (status != PLN_OK)
        return status;
    if (!w->trans_b && (!collides(w->ldb) || g->m < COPY_ROWS)) {
        g->b = w->b + begin * w->ldb + j;
        g->b_row = w->ldb;
        w->v->block(g);
        return PLN_OK;
    }
    float *packed = gemm_scratch(SCRATCH_PIECE_PANEL, steps * panel * (int64_t)sizeof(float));
    if (!packed)
        return PLN_E_MEMORY;
    gemm_block strip = *g;
    for (int64_t done = 0; done < n; done += panel) {
        strip.n = least(panel, n - done);
        strip.b = packed;
        strip.b_row = panel;
        strip.out = g->out + done;
        strip.sum = g->sum ? g->sum + done : NULL;
        strip.bias = g->bias ? g->bias + done : NULL;
        if (w->trans_b)
            w->v->pack(steps, strip.n, w->b + (j + done) * w->ldb + begin, w->ldb, packed);
        else
            copy_rows(steps, strip.n, w->b + begin * w->ldb + j + done, w->ldb, packed, panel);
        w->v->block(&strip);
    }
    return PLN_OK;
}

/* All chunks of a block, to c[m][n].  Sums wait in c itself unless its old values are still needed. */
static int block_run(const job *w, int64_t i, int64_t m, int64_t j, int64_t n, float *c, ptrdiff_t c_row)
{
    float *sum = c;
    ptrdiff_t sum_row = c_row;
    if (w->chunks > 1 && w->finish.beta != 0) {
        sum = gemm_scratch(SCRATCH_PIECE_SUM, m * n * (int64_t)sizeof(float));
        sum_row = n;
        if (!sum)
            return PLN_E_MEMORY;
    }
    int status = PLN_OK;
    for (int64_t chunk = 0; chunk < w->chunks && status == PLN_OK; chunk++) {
        int last = chunk == w->chunks - 1;
        gemm_block g = {.m = m, .n = n, .alpha = 1};
        g.sum = chunk ? sum : NULL;
        g.sum_row = sum_row;
        g.out = last ? c : sum;
        g.out_row = last ? c_row : sum_row;
        if (last) {
            g.alpha = w->finish.alpha;
            g.beta = w->finish.beta;
            g.bias = w->finish.bias ? w->finish.bias + j : NULL;
        }
        status = chunk_run(w, &g, chunk, i, j);
    }
    return status;
}

/* Column sums come along with the pieces: strip s of all columns with piece s. */
static int column_sums(const job *w, int64_t piece, int64_t pieces)
{
    int64_t strip = ceil_div(ceil_div(w->n, pieces), w->v->panel) * w->v->panel;
    int64_t j = piece * strip, n = least(strip, w->n - j);
    gemm_finish f = {1, w->finish.beta, NULL};
    if (!w->colsum || n <= 0)
        return PLN_OK;
    if (!w->trans_b) {
        w->v->column_sums(w->k, w->length, n, w->b + j, w->ldb, w->colsum + j, &f);
        return PLN_OK;
    }
    int panel = w->v->panel;
    float *packed = gemm_scratch(SCRATCH_PIECE_PANEL, w->k * panel * (int64_t)sizeof(float));
    if (!packed)
        return PLN_E_MEMORY;
    for (int64_t end = j + n; j < end; j += panel) {
        w->v->pack(w->k, least(panel, end - j), w->b + j * w->ldb, w->ldb, packed);
        w->v->column_sums(w->k, w->length, least(panel, end - j), packed, panel, w->colsum + j, &f);
    }
    return PLN_OK;
}

static int block_piece(void *context, int64_t piece, int lane)
{
    const job *w = context;
    int64_t row = piece / w->columns.pieces, column = piece % w->columns.pieces;
    int64_t i = cut_at(&w->rows, row), m = cut_at(&w->rows, row + 1) - i;
    int64_t j = cut_at(&w->columns, column), n = cut_at(&w->columns, column + 1) - j;
    (void)lane;
    int status = column_sums(w, piece, w->rows.pieces * w->columns.pieces);
    return status == PLN_OK && m > 0 && n > 0 ? block_run(w, i, m, j, n, w->c + i * w->ldc + j, w->ldc) : status;
}

/* ------------------------------------------------------------------------------------------------- parts ---- */

static int parts_piece(void *context, int64_t piece, int lane)
{
    const job *w = context;
    int64_t chunk = piece / w->columns.pieces, column = piece % w->columns.pieces;
    int64_t j = cut_at(&w->columns, column), n = cut_at(&w->columns, column + 1) - j;
    gemm_block g = {.m = w->m, .n = n, .alpha = 1, .out = w->parts + chunk * w->m * w->n + j, .out_row = w->n};
    (void)lane;
    int status = column_sums(w, piece, w->chunks * w->columns.pieces);
    return status == PLN_OK && n > 0 ? chunk_run(w, &g, chunk, 0, j) : status;
}

static int gather_piece(void *context, int64_t piece, int lane)
{
    const job *w = context;
    int64_t end = cut_at(&w->rows, piece + 1);
    (void)lane;
    for (int64_t i = cut_at(&w->rows, piece); i < end; i++)
        w->v->gather(w->n, w->chunks, w->parts + i * w->n, w->m * w->n, w->c + i * w->ldc, &w->finish);
    return PLN_OK;
}

static int parts_run(lanes *pool, job *w, int64_t pieces)
{
    w->parts = gemm_scratch(SCRATCH_CALL_PARTS, w->chunks * w->m * w->n * (int64_t)sizeof(float));
    if (!w->parts)
        return PLN_E_MEMORY;
    w->columns = cut_make(w->n, ceil_div(pieces, w->chunks), w->v->panel, w->v->panel);
    w->rows = cut_make(w->m, w->chunks * w->m * w->n / GATHER_WORK + 1, 1, 1);
    int status = lanes_run(pool, w->chunks * w->columns.pieces, parts_piece, w);
    return status == PLN_OK ? lanes_run(pool, w->rows.pieces, gather_piece, w) : status;
}

/* ------------------------------------------------------------------------------------------------ turned ---- */

/* Columns j .. j+n-1 of the result, as rows of its transpose in `sum`, then turned. */
static void turned_block(const job *w, int64_t j, int64_t n, float *sum, ptrdiff_t sum_row)
{
    int64_t panel = w->v->panel;
    for (int64_t begin = 0; begin < w->k; begin += w->length) {
        gemm_segment segment = {0, least(w->length, w->k - begin)};
        for (int64_t i = 0; i < w->m; i += panel) {
            gemm_block g = {.segment = &segment, .segments = 1, .m = n, .n = least(panel, w->m - i), .alpha = 1};
            g.a = w->b + j * w->ldb + begin;
            g.a_row = w->ldb;
            g.a_step = 1;
            g.b = w->turned + i / panel * w->turned_step + begin * w->turned_row;
            g.b_row = w->turned_row;
            g.out = sum + i;
            g.out_row = sum_row;
            g.sum = begin ? sum + i : NULL;
            g.sum_row = sum_row;
            w->v->block(&g);
        }
    }
    gemm_finish f = w->finish;
    f.bias = f.bias ? f.bias + j : NULL;
    w->v->turn(w->m, n, sum, sum_row, w->c + j, w->ldc, &f);
}

static int turned_piece(void *context, int64_t piece, int lane)
{
    const job *w = context;
    int64_t j = cut_at(&w->columns, piece), n = cut_at(&w->columns, piece + 1) - j;
    int64_t sum_row = ceil_div(w->m, w->v->panel) * w->v->panel;
    (void)lane;
    int status = column_sums(w, piece, w->columns.pieces);
    if (status != PLN_OK || n <= 0)
        return status;
    float *sum = gemm_scratch(SCRATCH_PIECE_SUM, n * sum_row * (int64_t)sizeof(float));
    if (!sum)
        return PLN_E_MEMORY;
    turned_block(w, j, n, sum, sum_row);
    return PLN_OK;
}

static int turned_run(lanes *pool, job *w, int64_t pieces)
{
    int64_t panel = w->v->panel;
    w->turned = w->a;
    w->turned_row = w->a_step;
    w->turned_step = panel;
    if (w->a_row != 1) {
        float *packed =
            gemm_scratch(SCRATCH_CALL_OPERAND, ceil_div(w->m, panel) * panel * w->k * (int64_t)sizeof(float));
        if (!packed)
            return PLN_E_MEMORY;
        for (int64_t i = 0; i < w->m; i += panel)
            w->v->pack(w->k, least(panel, w->m - i), w->a + i * w->a_row, w->a_row, packed + i * w->k);
        w->turned = packed;
        w->turned_row = panel;
        w->turned_step = panel * w->k;
    }
    w->columns = cut_make(w->n, pieces, panel, panel / 2);
    return lanes_run(pool, w->columns.pieces, turned_piece, w);
}

/* ------------------------------------------------------------------------------------------------- into a sink ---- */

static int sink_piece(void *context, int64_t piece, int lane)
{
    const job *w = context;
    int64_t i = cut_at(&w->rows, piece), end = cut_at(&w->rows, piece + 1);
    int64_t each = ceil_div(SINK_ROWS, w->rows.multiple) * w->rows.multiple;
    int status = column_sums(w, piece, w->rows.pieces);
    job product = *w;
    product.finish.beta = 0;
    for (; status == PLN_OK && i < end; i += each) {
        int64_t m = least(each, end - i);
        float *block = gemm_scratch(SCRATCH_PIECE_SUM, m * w->n * (int64_t)sizeof(float));
        if (!block)
            return PLN_E_MEMORY;
        status = block_run(&product, i, m, 0, w->n, block, w->n);
        if (status == PLN_OK)
            status = w->sink(w->sink_context, i, m, block, lane);
    }
    return status;
}

/* The fewest rows that hold a multiple of 64 floats. */
static int64_t rows_of_64(int64_t n)
{
    int64_t rows = 64;
    while (rows > 1 && rows / 2 * n % 64 == 0)
        rows /= 2;
    return rows;
}

/* -------------------------------------------------------------------------------------------- the choice ---- */

/* Layouts change by k*n floats with blocks, by m*(k+n) when turned. */
static int worth_turning(const job *w)
{
    int64_t panel = w->v->panel, width = ceil_div(w->m, panel / 2) * (panel / 2);
    return w->trans_b && w->k > 0 && w->m * 4 >= width * 3 && w->m * (w->k + w->n) < w->k * w->n;
}

static int worth_parts(const job *w, const lanes *pool)
{
    return lanes_count(pool) > 1 && w->chunks > 1 && !w->trans_b && w->m <= 256 && w->k > 2 * w->m &&
           w->chunks * w->m * w->n <= PARTS_MOST;
}

static int blocks_run(lanes *pool, job *w, int64_t pieces)
{
    int64_t work = w->m * w->n * w->k, panel = w->v->panel, rows_least = work > BIG_WORK ? ROWS_LEAST_BIG : ROWS_LEAST;
    if (w->trans_b) {
        w->columns = cut_make(w->n, pieces, work > BIG_WORK ? PANELS_LEAST_BIG * panel : panel, panel);
        w->rows = cut_make(w->m, ceil_div(pieces, w->columns.pieces), ROWS_LEAST_BIG, 1); /* each packs b again */
    } else {
        w->rows = cut_make(w->m, pieces, rows_least, 1);
        w->columns = cut_make(w->n, ceil_div(pieces, w->rows.pieces), panel, panel);
    }
    return lanes_run(pool, w->rows.pieces * w->columns.pieces, block_piece, w);
}

static job job_make(const pln_gemm *g)
{
    job w = {.v = gemm_version_now(), .m = g->m > 0 ? g->m : 0, .n = g->n, .k = g->k > 0 ? g->k : 0};
    int trans_a = (g->flags & PLN_TRANS_A) != 0;
    w.trans_b = (g->flags & PLN_TRANS_B) != 0;
    w.length = gemm_chunk_length(w.k);
    w.chunks = w.k > 0 ? ceil_div(w.k, w.length) : 1;
    w.a = (const float *)g->a->data + g->off_a;
    w.b = (const float *)g->b->data + g->off_b;
    w.c = g->c ? (float *)g->c->data + g->off_c : NULL;
    w.a_row = trans_a ? 1 : g->lda;
    w.a_step = trans_a ? g->lda : 1;
    w.ldb = g->ldb;
    w.ldc = g->ldc;
    w.finish = (gemm_finish){g->alpha, g->beta, g->bias ? g->bias->data : NULL};
    w.colsum = g->colsum ? g->colsum->data : NULL;
    return w;
}

static int64_t pieces_wanted(const job *w)
{
    int64_t work = w->m * w->n * w->k;
    return work < REGION_WORK ? 1 : least(work / PIECE_WORK + 2, PIECES_WANTED);
}

int gemm_run_into(lanes *pool, const pln_gemm *g, gemm_sink *sink, void *context)
{
    job w = job_make(g);
    if (w.n <= 0)
        return PLN_OK;
    w.sink = sink;
    w.sink_context = context;
    w.rows = cut_make(w.m, pieces_wanted(&w), SINK_ROWS, rows_of_64(w.n));
    w.columns = (cut){.pieces = 1};
    return lanes_run(pool, w.rows.pieces, sink_piece, &w);
}

int gemm_run(lanes *pool, const pln_gemm *g)
{
    job w = job_make(g);
    if (w.n <= 0)
        return PLN_OK;
    int64_t pieces = pieces_wanted(&w);
    if (worth_turning(&w))
        return turned_run(pool, &w, pieces);
    if (worth_parts(&w, pool))
        return parts_run(pool, &w, pieces);
    return blocks_run(pool, &w, pieces);
}

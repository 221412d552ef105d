/* Register tiles: up to TILE_ROWS rows by two vectors of the result stay in registers while k runs.  Each row count
 * is a function of its own, made from one inline template with constant arguments, because a count known only at run
 * time would put the accumulators into memory. */
#include "kernels/gemm_tile.h"

#include "kernels/simd.h"

#if KERNEL_ISA == 2
#define TILE_ROWS 14
#elif KERNEL_ISA == 1
#define TILE_ROWS 6
#else
#define TILE_ROWS 2
#endif
#define PANEL (2 * VL)
/* Runs of k that are long enough for the result's lines to arrive meanwhile; in shorter ones asking for them only
 * costs. */
#define PREFETCH_STEPS 64

/* How a tile reads: A_STEPS walks along rows of a (a_step is 1), A_ROWS across them (a_row is 1). */
enum { A_STEPS = 0, A_ROWS = 1 };
/* Columns of a tile: two vectors, two of which the second is cut, one that may be cut. */
enum { WIDE = 0, WIDE_CUT = 1, NARROW = 2 };

typedef void tile_function(const gemm_block *g, const float *a, const float *b, int64_t i, int64_t j);

INLINE vf load(int cut, vmask mask, const float *p)
{
    return cut ? vf_load_mask(mask, p) : vf_load(p);
}

INLINE void tile(const int rows, const int reading, const int width, const gemm_block *g, const float *a,
                 const float *b, int64_t i, int64_t j)
{
    const int vectors = width == NARROW ? 1 : 2;
    const vmask mask = vmask_first(g->n - j - (vectors - 1) * VL);
    const ptrdiff_t row = reading == A_ROWS ? 1 : g->a_row, step = reading == A_STEPS ? 1 : g->a_step, b_row = g->b_row;
    vf acc[TILE_ROWS][2];
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++)
            acc[r][v] = vf_zero();

    float *out = g->out + i * g->out_row + j;
    if (g->segments > 0 && g->segment->length >= PREFETCH_STEPS)
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++)
                __builtin_prefetch(out + r * g->out_row + v * VL, 1);

    for (int64_t s = 0; s < g->segments; s++) {
        const float *p = a + g->segment[s].offset;
        for (int64_t t = g->segment[s].length; t > 0; t--) {
            vf y[2];
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++)
                y[v] = load(width != WIDE && v == vectors - 1, mask, b + v * VL);
#pragma GCC unroll 16
            for (int r = 0; r < rows; r++) {
                vf x = vf_set(p[r * row]);
#pragma GCC unroll 2
                for (int v = 0; v < vectors; v++)
                    acc[r][v] = vf_fma(x, y[v], acc[r][v]);
            }
            p += step;
            b += b_row;
        }
    }

#define EACH(statement)                                                                                                \
    _Pragma("GCC unroll 16") for (int r = 0; r < rows; r++) _Pragma("GCC unroll 2") for (int v = 0; v < vectors; v++)  \
    {                                                                                                                  \
        const int cut = width != WIDE && v == vectors - 1;                                                             \
        statement;                                                                                                     \
    }
    if (g->sum) {
        const float *sum = g->sum + i * g->sum_row + j;
        EACH(acc[r][v] = vf_add(load(cut, mask, sum + r * g->sum_row + v * VL), acc[r][v]))
    }
    if (g->alpha != 1) {
        vf alpha = vf_set(g->alpha);
        EACH((void)cut; acc[r][v] = vf_mul(alpha, acc[r][v]))
    }
    if (g->beta != 0) {
        vf beta = vf_set(g->beta);
        EACH(acc[r][v] = vf_fma(beta, load(cut, mask, out + r * g->out_row + v * VL), acc[r][v]))
    }
    if (g->bias) {
        const float *bias = g->bias + j;
        EACH(acc[r][v] = vf_add(acc[r][v], load(cut, mask, bias + v * VL)))
    }
    EACH(if (cut) vf_store_mask(mask, out + r * g->out_row + v * VL, acc[r][v]);
         else vf_store(out + r * g->out_row + v * VL, acc[r][v]))
#undef EACH
}

#define TILE(rows, reading, width)                                                                                     \
    static void tile_##rows##_##reading##_##width(const gemm_block *g, const float *a, const float *b, int64_t i,      \
                                                  int64_t j)                                                           \
    {                                                                                                                  \
        tile(rows, reading, width, g, a, b, i, j);                                                                     \
    }
#define TILES(rows)                                                                                                    \
    TILE(rows, A_STEPS, WIDE)                                                                                          \
    TILE(rows, A_STEPS, WIDE_CUT)                                                                                      \
    TILE(rows, A_STEPS, NARROW)                                                                                        \
    TILE(rows, A_ROWS, WIDE)                                                                                           \
    TILE(rows, A_ROWS, WIDE_CUT)                                                                                       \
    TILE(rows, A_ROWS, NARROW)
#define ENTRY(rows)                                                                                                    \
    [rows - 1] = {{tile_##rows##_A_STEPS_WIDE, tile_##rows##_A_STEPS_WIDE_CUT, tile_##rows##_A_STEPS_NARROW},          \
                  {tile_##rows##_A_ROWS_WIDE, tile_##rows##_A_ROWS_WIDE_CUT, tile_##rows##_A_ROWS_NARROW}},

#if TILE_ROWS == 14
#define ALL(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#elif TILE_ROWS == 6
#define ALL(X) X(1) X(2) X(3) X(4) X(5) X(6)
#else
#define ALL(X) X(1) X(2)
#endif
ALL(TILES)
static tile_function *const tiles[TILE_ROWS][2][3] = {ALL(ENTRY)};

/* Rows are cut into tiles as equal as can be: 32 rows are 11, 11, 10 and not 14, 14, 4. */
void KERNEL(gemm_block_run)(const gemm_block *g)
{
    int64_t blocks = (g->m + TILE_ROWS - 1) / TILE_ROWS;
    int reading = g->a_step == 1 ? A_STEPS : A_ROWS;
    for (int64_t j = 0; j < g->n; j += PANEL) {
        int64_t left = g->n - j;
        int width = left >= PANEL ? WIDE : left > VL ? WIDE_CUT : NARROW;
        for (int64_t block = 0, i = 0; block < blocks; block++) {
            int64_t rows = (g->m - i + blocks - block - 1) / (blocks - block);
            tiles[rows - 1][reading][width](g, g->a + i * g->a_row, g->b + j, i, j);
            i += rows;
        }
    }
}

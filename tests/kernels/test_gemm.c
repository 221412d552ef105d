/* Products against their definition, to the bit: every version this CPU runs, several lane counts, shapes around every
 * edge of tiles, panels and chunks.  What lies between the rows of the result must stay as it was. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/lanes.h"
#include "base/random.h"
#include "kernels/dispatch.h"
#include "kernels/gemm_sink.h"
#include "kernels/kernels.h"

typedef struct shape {
    int64_t m, n, k;
    unsigned flags;
    float alpha, beta;
    int bias, colsum;
    int64_t gap; /* added to every row length and offset */
} shape;

typedef struct buffers {
    pln_tensor a, b, c, bias, colsum;
    float *want_c, *want_colsum;
    int64_t c_count;
} buffers;

static const int lane_counts[] = {1, 2, 3};
#define POOLS 3
static lanes *pools[POOLS];
static random_key key;
static uint64_t row;

static float *numbers(int64_t count)
{
    float *p = malloc((size_t)(count + 1) * sizeof *p);
    assert_non_null(p);
    random_fill_uniform(key, row++, 0, (uint64_t)count, p);
    for (int64_t i = 0; i < count; i++)
        p[i] = p[i] * 2 - 1;
    return p;
}

static pln_tensor vector(float *data, int64_t count)
{
    return (pln_tensor){.size = PLN_SIZE_TO(pln_tensor, host),
                        .dtype = PLN_F32,
                        .rank = 1,
                        .data = data,
                        .shape = {count},
                        .stride = {1}};
}

static pln_gemm describe(const shape *s, buffers *u)
{
    int64_t lda = (s->flags & PLN_TRANS_A ? s->m : s->k) + s->gap,
            ldb = (s->flags & PLN_TRANS_B ? s->k : s->n) + s->gap;
    int64_t ldc = s->n + s->gap;
    int64_t a_count = s->gap + lda * (s->flags & PLN_TRANS_A ? s->k : s->m);
    int64_t b_count = s->gap + ldb * (s->flags & PLN_TRANS_B ? s->n : s->k);
    u->c_count = s->gap + ldc * s->m;
    u->a = vector(numbers(a_count), a_count);
    u->b = vector(numbers(b_count), b_count);
    u->c = vector(numbers(u->c_count), u->c_count);
    u->bias = vector(numbers(s->n), s->n);
    u->colsum = vector(numbers(s->n), s->n);
    return (pln_gemm){.size = PLN_SIZE_TO(pln_gemm, colsum),
                      .flags = s->flags,
                      .m = s->m,
                      .n = s->n,
                      .k = s->k,
                      .a = &u->a,
                      .b = &u->b,
                      .c = &u->c,
                      .off_a = s->gap,
                      .off_b = s->gap,
                      .off_c = s->gap,
                      .lda = lda,
                      .ldb = ldb,
                      .ldc = ldc,
                      .alpha = s->alpha,
                      .beta = s->beta,
                      .bias = s->bias ? &u->bias : NULL,
                      .colsum = s->colsum ? &u->colsum : NULL};
}

static void poison(const pln_gemm *g)
{
    for (int64_t i = 0; i < g->m; i++)
        for (int64_t j = 0; j < g->n; j++)
            ((float *)g->c->data)[g->off_c + i * g->ldc + j] = NAN;
    for (int64_t j = 0; g->colsum && j < g->n; j++)
        ((float *)g->colsum->data)[j] = NAN;
}

/* Copies `from`, so that its size is exact and a sanitizer sees every step beyond the end. */
static float *copy(const float *from, int64_t count)
{
    size_t bytes = (size_t)count * sizeof *from;
    float *p = malloc(bytes ? bytes : 1);
    assert_non_null(p);
    memcpy(p, from, bytes);
    return p;
}

static void compare(const shape *s, const char *version, int pool, const float *got, const float *want, int64_t count,
                    const char *what)
{
    if (memcmp(got, want, (size_t)count * sizeof *got) == 0)
        return;
    int64_t i = 0;
    while (memcmp(&got[i], &want[i], sizeof *got) == 0)
        i++;
    fail_msg("%s, pool %d: %s of m %lld n %lld k %lld flags %u alpha %g beta %g bias %d gap %lld differs at %lld: "
             "expected %.9g, got %.9g",
             version, pool, what, (long long)s->m, (long long)s->n, (long long)s->k, s->flags, (double)s->alpha,
             (double)s->beta, s->bias, (long long)s->gap, (long long)i, (double)want[i], (double)got[i]);
}

/* The reference, then every version with every pool and with none. */
static void agree(const shape *s)
{
    buffers u;
    pln_gemm g = describe(s, &u);
    if (s->beta == 0)
        poison(&g);
    float *old_c = copy(u.c.data, u.c_count), *old_colsum = copy(u.colsum.data, s->n);
    float *a = u.a.data, *b = u.b.data, *c = u.c.data, *sums = u.colsum.data;
    u.a.data = copy(a, u.a.shape[0]);
    u.b.data = copy(b, u.b.shape[0]);
    gemm_ref(&g);
    for (int isa = 0; isa < ISA_COUNT; isa++) {
        if (kernels_force(kernels_isa_name(isa)) != PLN_E_OK)
            continue;
        for (int pool = -1; pool < POOLS; pool++) {
            u.c.data = copy(old_c, u.c_count);
            u.colsum.data = copy(old_colsum, s->n);
            assert_int_equal(gemm_run(pool < 0 ? NULL : pools[pool], &g), PLN_OK);
            compare(s, kernels_name(), pool, u.c.data, c, u.c_count, "the product");
            compare(s, kernels_name(), pool, u.colsum.data, sums, s->n, "the column sum");
            free(u.c.data);
            free(u.colsum.data);
        }
    }
    void *all[] = {old_c, old_colsum, a, b, c, sums, u.a.data, u.b.data, u.bias.data};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

static void every_epilogue_agrees_on_small_shapes(void **state)
{
    static const int64_t sizes[][3] = {{1, 1, 1},   {1, 1, 0},    {0, 40, 9},  {3, 5, 0},   {5, 1, 9},   {1, 33, 17},
                                       {13, 16, 8}, {14, 32, 31}, {15, 31, 3}, {29, 47, 7}, {32, 10, 20}};
    static const float alphas[] = {1, -0.5f}, betas[] = {0, 1, 0.5f};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (unsigned flags = 0; flags < 4; flags++)
            for (int how = 0; how < 24; how++) {
                shape s = {sizes[i][0], sizes[i][1], sizes[i][2],         flags, alphas[how % 2], betas[how / 2 % 3],
                           how / 6 % 2, how / 12,    how % 5 == 4 ? 3 : 0};
                agree(&s);
            }
}

static void chunks_of_k_agree(void **state)
{
    static const int64_t ks[] = {511, 512, 513, 520, 784, 1025, 1600, 3000};
    static const int64_t sizes[][2] = {{1, 7}, {9, 33}, {32, 64}, {17, 100}};
    (void)state;
    for (size_t i = 0; i < sizeof ks / sizeof *ks; i++)
        for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++)
            for (unsigned flags = 0; flags < 4; flags++) {
                shape s = {sizes[j][0],           sizes[j][1], ks[i], flags,         i % 3 == 2 ? 2 : 1,
                           (float)(i % 2) * 0.5f, j % 2 == 0,  1,     j == 1 ? 5 : 0};
                agree(&s);
            }
}

static void layers_of_the_first_nets_agree(void **state)
{
    static const shape shapes[] = {
        {32, 128, 6760, 0, 1, 0, 1, 0, 0},
        {6760, 128, 32, PLN_TRANS_A, 1, 0, 0, 1, 0},
        {32, 6760, 128, PLN_TRANS_B, 1, 0, 0, 0, 0},
        {128, 128, 784, 0, 1, 0, 1, 0, 0},
        {784, 128, 32, PLN_TRANS_A, 1, 1, 0, 1, 0},
        {128, 784, 128, PLN_TRANS_B, 1, 0, 0, 0, 0},
        {32, 10, 128, 0, 1, 0, 1, 0, 0},
        {128, 10, 32, PLN_TRANS_A, 1, 0, 0, 1, 0},
        {32, 128, 10, PLN_TRANS_B, 1, 0, 0, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        agree(&shapes[i]);
}

static void random_shapes_agree(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 150; i++) {
        uint32_t r[6];
        for (int j = 0; j < 6; j++)
            r[j] = random_bits(key, 1000000 + i, (uint64_t)j);
        shape s = {1 + r[0] % 140,   1 + r[1] % 140,       r[2] % (i % 4 ? 90 : 1300),
                   r[3] % 4,         r[3] & 4 ? 1 : 0.75f, r[3] & 8 ? 0 : r[3] & 16 ? 1 : -1.5f,
                   (r[3] & 32) != 0, (r[3] & 64) != 0,     r[3] & 128 ? r[4] % 20 : 0};
        agree(&s);
    }
}

/* A denormal product is 0 in the engine's arithmetic, whoever's thread calls. */
static void denormals_are_flushed(void **state)
{
    float one = 1e-30f, two = 1e-10f, result = 7;
    pln_tensor a = vector(&one, 1), b = vector(&two, 1), c = vector(&result, 1);
    pln_gemm g = {.size = PLN_SIZE_TO(pln_gemm, colsum),
                  .m = 1,
                  .n = 1,
                  .k = 1,
                  .a = &a,
                  .b = &b,
                  .c = &c,
                  .lda = 1,
                  .ldb = 1,
                  .ldc = 1,
                  .alpha = 1};
    (void)state;
    assert_int_equal(gemm_run(NULL, &g), PLN_OK);
    assert_true(result == 0);
    result = 7;
    gemm_ref(&g);
    assert_true(result == 0);
}

static void chunks_are_nearly_equal_and_at_most_the_limit(void **state)
{
    (void)state;
    for (int64_t k = 0; k < 20000; k++) {
        int64_t length = gemm_chunk_length(k);
        assert_true(length > 0 && length <= GEMM_CHUNK && length % 8 == 0);
        assert_true(k <= GEMM_CHUNK ? length >= k : length > GEMM_CHUNK / 2);
    }
    assert_int_equal(gemm_chunk_length(6760), 488);
    assert_int_equal(gemm_chunk_length(784), 392);
}

typedef struct collected {
    float *c;
    _Atomic int64_t rows;
    int64_t n;
    int misplaced;
    int64_t refuse; /* row at which the sink fails, or -1 */
} collected;

static int collect(void *context, int64_t first, int64_t rows, float *block, int lane)
{
    collected *into = context;
    (void)lane;
    if (into->refuse >= first && into->refuse < first + rows)
        return 77;
    if (first * into->n % 64 != 0 || (uintptr_t)block % 64 != 0)
        into->misplaced = 1;
    memcpy(into->c + first * into->n, block, (size_t)(rows * into->n) * sizeof *block);
    memset(block, 0xFF, (size_t)(rows * into->n) * sizeof *block);
    into->rows += rows;
    return PLN_OK;
}

/* What the sink gets is what c would be with beta 0; column sums keep their beta. */
static void into_a_sink(const shape *s)
{
    buffers u;
    pln_gemm g = describe(s, &u);
    float *old_sums = copy(u.colsum.data, s->n);
    g.beta = 0;
    gemm_ref(&g);
    memcpy(u.colsum.data, old_sums, (size_t)s->n * sizeof(float));
    pln_gemm none = g;
    none.m = 0;
    none.beta = s->beta;
    gemm_ref(&none);
    float *want_sums = u.colsum.data, *got = malloc((size_t)(s->m * s->n) * sizeof *got);
    assert_non_null(got);
    g.beta = s->beta;
    g.c = NULL;
    for (int isa = 0; isa < ISA_COUNT; isa++) {
        if (kernels_force(kernels_isa_name(isa)) != PLN_E_OK)
            continue;
        for (int pool = -1; pool < POOLS; pool++) {
            collected into = {.c = got, .n = s->n, .refuse = -1};
            u.colsum.data = copy(old_sums, s->n);
            assert_int_equal(gemm_run_into(pool < 0 ? NULL : pools[pool], &g, collect, &into), PLN_OK);
            assert_int_equal(into.rows, s->m);
            assert_false(into.misplaced);
            compare(s, kernels_name(), pool, got, u.c.data, s->m * s->n, "the block");
            compare(s, kernels_name(), pool, u.colsum.data, want_sums, s->n, "the column sum");
            free(u.colsum.data);
        }
    }
    void *all[] = {got, old_sums, want_sums, u.a.data, u.b.data, u.c.data, u.bias.data};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

static void a_sink_gets_every_row_once(void **state)
{
    static const shape shapes[] = {
        {6760, 128, 32, PLN_TRANS_A, 1, 0, 0, 1, 0},
        {784, 128, 128, PLN_TRANS_A, 1, 0.5f, 0, 1, 0},
        {128, 10, 32, PLN_TRANS_A, 1, 0, 0, 1, 0},
        {300, 33, 700, PLN_TRANS_A, 0.5f, 1, 0, 1, 0},
        {1, 1, 1, 0, 1, 0, 1, 0, 0},
        {500, 24, 40, PLN_TRANS_B, 1, 0, 1, 1, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        into_a_sink(&shapes[i]);
}

static void a_sink_that_fails_stops_the_product_with_its_status(void **state)
{
    shape s = {784, 128, 32, PLN_TRANS_A, 1, 0, 0, 0, 0};
    buffers u;
    (void)state;
    pln_gemm g = describe(&s, &u);
    collected into = {.c = u.c.data, .n = s.n, .refuse = 400};
    for (int pool = 0; pool < POOLS; pool++)
        assert_int_equal(gemm_run_into(pools[pool], &g, collect, &into), 77);
    void *all[] = {u.a.data, u.b.data, u.c.data, u.bias.data, u.colsum.data};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

typedef struct nested {
    const pln_gemm *g;
    int status;
} nested;

static int nested_piece(void *context, int64_t piece, int lane)
{
    nested *n = context;
    (void)lane;
    return piece == 0 ? gemm_run(pools[1], n->g) : PLN_OK;
}

static void a_product_inside_a_piece_runs_inline(void **state)
{
    shape s = {32, 64, 2000, 0, 1, 0, 1, 1, 0};
    buffers u;
    (void)state;
    pln_gemm g = describe(&s, &u);
    gemm_ref(&g);
    float *want = copy(u.c.data, u.c_count);
    poison(&g);
    nested n = {&g, 0};
    assert_int_equal(lanes_run(pools[1], 4, nested_piece, &n), PLN_OK);
    compare(&s, kernels_name(), 1, u.c.data, want, u.c_count, "the product");
    void *all[] = {want, u.a.data, u.b.data, u.c.data, u.bias.data, u.colsum.data};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

static int open_pools(void **state)
{
    (void)state;
    key = random_key_make(1, RANDOM_INIT, "gemm");
    for (int i = 0; i < POOLS; i++)
        if (lanes_open(lane_counts[i], &pools[i], NULL) != PLN_E_OK)
            return -1;
    return 0;
}

static int close_pools(void **state)
{
    (void)state;
    for (int i = 0; i < POOLS; i++)
        lanes_close(pools[i]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_epilogue_agrees_on_small_shapes),
        cmocka_unit_test(chunks_of_k_agree),
        cmocka_unit_test(layers_of_the_first_nets_agree),
        cmocka_unit_test(random_shapes_agree),
        cmocka_unit_test(a_sink_gets_every_row_once),
        cmocka_unit_test(a_sink_that_fails_stops_the_product_with_its_status),
        cmocka_unit_test(denormals_are_flushed),
        cmocka_unit_test(chunks_are_nearly_equal_and_at_most_the_limit),
        cmocka_unit_test(a_product_inside_a_piece_runs_inline),
    };
    return cmocka_run_group_tests(tests, open_pools, close_pools);
}

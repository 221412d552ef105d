/* How fast are the products and convolutions of the first nets?  Prints GFLOP/s with one and two lanes, and the cost of
 * an empty region beside them: where that has doubled, the machine is in a slow phase and so is everything else.
 *
 *     bench_kernels [version] [part of a name]        version: plain, avx2, avx512 or best */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/lanes.h"
#include "kernels/kernels.h"

#define ROUNDS        40
#define ROUND_SECONDS 0.001

typedef struct bench {
    const char *name;
    double flops;
    pln_gemm gemm;
    pln_conv conv;
    int is_conv;
    pln_tensor t[5];
} bench;

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A piece that waits for the other one, so that a region is only done when both lanes have come. */
static int meet(void *context, int64_t piece, int lane)
{
    _Atomic int *here = context;
    (void)piece;
    (void)lane;
    ++*here;
    for (int i = 0; i < 100000 && *here < 2; i++)
        ;
    return 0;
}

static int once(lanes *pool, const bench *b)
{
    _Atomic int here = 0;
    if (!b)
        return lanes_run(pool, 2, meet, &here);
    return b->is_conv ? conv_run(pool, &b->conv) : gemm_run(pool, &b->gemm);
}

/* The best round's seconds a call (others may share the machine); a NULL bench is an empty region. */
static double measure(lanes *pool, const bench *b)
{
    double best = 1e9;
    int status = once(pool, b);
    for (int r = 0; r < ROUNDS; r++) {
        int64_t calls = 0, block = 1;
        double begin = seconds(), now = begin;
        while (now - begin < ROUND_SECONDS) {
            for (int64_t i = 0; i < block; i++)
                status |= once(pool, b);
            calls += block;
            block *= 2;
            now = seconds();
        }
        double took = (now - begin) / (double)calls;
        best = took < best ? took : best;
    }
    if (status != 0)
        fprintf(stderr, "%s failed with status %d\n", b ? b->name : "a region", status);
    return best;
}

static int allocate(pln_tensor *t, int64_t n, int64_t h, int64_t w, int64_t c)
{
    int64_t count = n * h * w * c;
    float *p = aligned_alloc(64, (size_t)(count * 4 + 63) / 64 * 64);
    *t = (pln_tensor){.size = PLN_SIZE_TO(pln_tensor, host),
                      .dtype = PLN_F32,
                      .rank = 4,
                      .data = p,
                      .shape = {n, h, w, c},
                      .stride = {h * w * c, w * c, c, 1}};
    for (int64_t i = 0; p && i < count; i++)
        p[i] = (float)((i * 7919) % 1000) * 0.001f - 0.5f;
    return p != NULL;
}

static int make_gemm(bench *b, int64_t m, int64_t n, int64_t k, unsigned flags, int bias)
{
    b->flops = 2.0 * (double)m * (double)n * (double)k;
    b->gemm = (pln_gemm){.size = PLN_SIZE_TO(pln_gemm, colsum),
                         .flags = flags,
                         .m = m,
                         .n = n,
                         .k = k,
                         .a = &b->t[0],
                         .b = &b->t[1],
                         .c = &b->t[2],
                         .lda = flags & PLN_TRANS_A ? m : k,
                         .ldb = flags & PLN_TRANS_B ? k : n,
                         .ldc = n,
                         .alpha = 1,
                         .bias = bias ? &b->t[3] : NULL,
                         .colsum = flags & PLN_TRANS_A ? &b->t[4] : NULL};
    return allocate(&b->t[0], m, 1, 1, k) && allocate(&b->t[1], k, 1, 1, n) && allocate(&b->t[2], m, 1, 1, n) &&
           allocate(&b->t[3], n, 1, 1, 1) && allocate(&b->t[4], n, 1, 1, 1);
}

/* n images h x h x c, f filters s x s, `pad` on every side. */
static int make_conv(bench *b, int64_t n, int64_t h, int64_t c, int64_t f, int64_t s, int64_t pad, uint32_t pass)
{
    int64_t o = h + 2 * pad - s + 1;
    int forward = pass == PLN_CONV_FORWARD, dinput = pass == PLN_CONV_DINPUT, dweight = pass == PLN_CONV_DWEIGHT;
    b->is_conv = 1;
    b->flops = 2.0 * (double)(n * o * o) * (double)(s * s * c) * (double)f;
    b->conv = (pln_conv){.size = PLN_SIZE_TO(pln_conv, beta),
                         .pass = pass,
                         .groups = 1,
                         .stride = {1, 1},
                         .dilation = {1, 1},
                         .pad_lo = {pad, pad},
                         .pad_hi = {pad, pad},
                         .x = dinput ? NULL : &b->t[0],
                         .w = dweight ? NULL : &b->t[1],
                         .y = forward ? NULL : &b->t[2],
                         .out = forward  ? &b->t[2]
                                : dinput ? &b->t[0]
                                         : &b->t[1],
                         .bias = forward ? &b->t[3] : NULL,
                         .out_bias = dweight ? &b->t[3] : NULL};
    return allocate(&b->t[0], n, h, h, c) && allocate(&b->t[1], s, s, c, f) && allocate(&b->t[2], n, o, o, f) &&
           allocate(&b->t[3], f, 1, 1, 1);
}

static void report(lanes *const pools[2], bench *b, const char *filter)
{
    if (!filter || strstr(b->name, filter)) {
        double one = measure(pools[0], b), two = measure(pools[1], b), region = measure(pools[1], NULL);
        printf("%-34s %9.1f us %6.1f GFLOP/s %9.1f us %6.1f GFLOP/s   region %4.0f ns\n", b->name, one * 1e6,
               b->flops / one * 1e-9, two * 1e6, b->flops / two * 1e-9, region * 1e9);
        fflush(stdout);
    }
    for (int i = 0; i < 5; i++)
        free(b->t[i].data);
}

static int bench_gemms(lanes *const pools[2], const char *filter)
{
    static const int64_t layers[][3] = {{32, 128, 6760},  {128, 128, 6760}, {32, 128, 784},
                                        {128, 128, 784},  {32, 10, 128},    {128, 10, 128},
                                        {32, 1024, 1024}, {512, 512, 512},  {1024, 1024, 1024}};
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        for (int pass = 0; pass < 3; pass++) {
            int64_t batch = layers[i][0], out = layers[i][1], in = layers[i][2];
            char name[64];
            static const char *const passes[] = {"forward", "weight gradient", "input gradient"};
            snprintf(name, sizeof name, "%lldx%lldx%lld %s", (long long)batch, (long long)out, (long long)in,
                     passes[pass]);
            bench b = {.name = name};
            int made = pass == 0   ? make_gemm(&b, batch, out, in, 0, 1)
                       : pass == 1 ? make_gemm(&b, in, out, batch, PLN_TRANS_A, 0)
                                   : make_gemm(&b, batch, in, out, PLN_TRANS_B, 0);
            if (!made)
                return 1;
            report(pools, &b, filter);
        }
    return 0;
}

static int bench_convs(lanes *const pools[2], const char *filter)
{
    static const struct {
        const char *name;
        int64_t n, h, c, f, s, pad;
    } nets[] = {{"28x28x1->10 3x3", 32, 28, 1, 10, 3, 0},        {"28x28x1->32 3x3", 32, 28, 1, 32, 3, 0},
                {"28x28x1->8 5x5", 32, 28, 1, 8, 5, 0},          {"13x13x32->64 3x3", 32, 13, 32, 64, 3, 0},
                {"28x28x32->32 3x3 same", 32, 28, 32, 32, 3, 1}, {"14x14x64->64 3x3 same", 32, 14, 64, 64, 3, 1},
                {"32x32x3->32 3x3 same", 32, 32, 3, 32, 3, 1}};
    static const char *const passes[] = {"forward", "dinput", "dweight"};
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++)
        for (uint32_t pass = PLN_CONV_FORWARD; pass <= PLN_CONV_DWEIGHT; pass++) {
            if (pass == PLN_CONV_DINPUT && nets[i].c < 4)
                continue; /* nobody wants the gradient of a picture */
            char name[64];
            snprintf(name, sizeof name, "%s %s", nets[i].name, passes[pass - 1]);
            bench b = {.name = name};
            if (!make_conv(&b, nets[i].n, nets[i].h, nets[i].c, nets[i].f, nets[i].s, nets[i].pad, pass))
                return 1;
            report(pools, &b, filter);
        }
    return 0;
}

int main(int argc, char **argv)
{
    lanes *pools[2] = {NULL, NULL};
    error e;
    if (argc > 1 && strcmp(argv[1], "best") != 0 && kernels_force(argv[1]) != PLN_E_OK) {
        fprintf(stderr, "this CPU has no version %s of the kernels\n", argv[1]);
        return 1;
    }
    if (lanes_open(1, &pools[0], &e) != PLN_E_OK || lanes_open(2, &pools[1], &e) != PLN_E_OK) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    const char *filter = argc > 2 ? argv[2] : NULL;
    printf("%s, one lane and two\n", kernels_name());
    int status = bench_gemms(pools, filter) || bench_convs(pools, filter);
    if (status)
        fprintf(stderr, "no memory for the operands\n");
    lanes_close(pools[0]);
    lanes_close(pools[1]);
    return status;
}

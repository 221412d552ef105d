/* The services of plugin.h in double, as plainly as they can be said; see double_host.h. */
#include "double_host.h"

static char said[1024];

const char *double_host_said(void)
{
    return said;
}

static int host_fail(const pln_host *h, const pln_node *node, const char *format, ...)
{
    va_list args;
    (void)h, (void)node;
    va_start(args, format);
    vsnprintf(said, sizeof said, format, args);
    va_end(args);
    return PLN_FAIL;
}

static int refuse(const pln_host *h, pln_plan *p, const char *format, ...)
{
    va_list args;
    (void)h, (void)p;
    va_start(args, format);
    vsnprintf(said, sizeof said, format, args);
    va_end(args);
    return PLN_FAIL;
}

static int slot(const pln_host *h, pln_plan *p, const pln_slot *s)
{
    (void)h;
    if (p->nslots == MOST_SLOTS)
        return PLN_FAIL;
    p->slots[p->nslots++] = *s;
    return PLN_OK;
}

/* Backwards, so that a body which relies on the order is found out. */
static int parallel_for(const pln_host *h, int64_t n, int64_t grain, pln_body *body, void *ctx)
{
    (void)h;
    for (int64_t begin = (n - 1) / grain * grain; begin >= 0; begin -= grain)
        if (body(ctx, begin, begin + grain < n ? begin + grain : n, 0))
            return PLN_FAIL;
    return PLN_OK;
}

static int sum(const pln_host *h, int64_t n, int64_t grain, uint32_t width, pln_sum_body *body, void *ctx, double *out)
{
    double acc[4096];
    (void)h;
    if (width > 4096)
        return PLN_FAIL;
    memset(out, 0, width * sizeof *out);
    for (int64_t begin = 0; begin < n; begin += grain) {
        memset(acc, 0, width * sizeof *acc);
        if (body(ctx, begin, begin + grain < n ? begin + grain : n, acc))
            return PLN_FAIL;
        for (uint32_t i = 0; i < width; i++)
            out[i] += acc[i];
    }
    return PLN_OK;
}

/* A hash of stream, step and number, in [0,1). */
static int random_numbers(const pln_host *h, const pln_call *c, uint32_t stream, uint32_t dist, int64_t first,
                          int64_t n, double *out)
{
    (void)h;
    for (int64_t i = 0; i < n; i++) {
        uint64_t x = (uint64_t)(first + i) * 0x9E3779B97F4A7C15u + stream * 77777u + c->step * 999u + 12345u;
        x = (x ^ x >> 31) * 0xBF58476D1CE4E5B9u;
        x = (x ^ x >> 29) * 0x94D049BB133111EBu;
        out[i] = (double)(x >> 11) / 9007199254740992.0;
        if (dist == PLN_NORMAL)
            out[i] = 3.4641016 * (out[i] - 0.5);
    }
    return PLN_OK;
}

static double operand(const pln_tensor *t, int64_t offset, int64_t ld, int transposed, int64_t row, int64_t col)
{
    return ((const double *)t->data)[offset + (transposed ? col * ld + row : row * ld + col)];
}

static int gemm(const pln_host *h, const pln_gemm *g)
{
    double *c = (double *)g->c->data + g->off_c, *colsum = g->colsum ? g->colsum->data : NULL;
    const double *bias = g->bias ? g->bias->data : NULL;
    const int ta = g->flags & PLN_TRANS_A, tb = g->flags & PLN_TRANS_B;
    (void)h;
    for (int64_t i = 0; i < g->m; i++)
        for (int64_t j = 0; j < g->n; j++) {
            double x = 0, *to = c + i * g->ldc + j;
            for (int64_t k = 0; k < g->k; k++)
                x += operand(g->a, g->off_a, g->lda, ta, i, k) * operand(g->b, g->off_b, g->ldb, tb, k, j);
            *to = (g->beta == 0 ? 0 : g->beta * *to) + g->alpha * x + (bias ? bias[j] : 0);
        }
    for (int64_t j = 0; colsum && j < g->n; j++) {
        double x = 0;
        for (int64_t k = 0; k < g->k; k++)
            x += operand(g->b, g->off_b, g->ldb, tb, k, j);
        colsum[j] = (g->beta == 0 ? 0 : g->beta * colsum[j]) + x;
    }
    return PLN_OK;
}

/* One multiplication of a convolution: elements x[xi], w[wi] and y[yi] belong together. */
typedef void conv_term(const pln_conv *v, int64_t xi, int64_t wi, int64_t yi);

static void term_forward(const pln_conv *v, int64_t xi, int64_t wi, int64_t yi)
{
    ((double *)v->out->data)[yi] += ((const double *)v->x->data)[xi] * ((const double *)v->w->data)[wi];
}

static void term_dinput(const pln_conv *v, int64_t xi, int64_t wi, int64_t yi)
{
    ((double *)v->out->data)[xi] += ((const double *)v->y->data)[yi] * ((const double *)v->w->data)[wi];
}

static void term_dweight(const pln_conv *v, int64_t xi, int64_t wi, int64_t yi)
{
    ((double *)v->out->data)[wi] += ((const double *)v->x->data)[xi] * ((const double *)v->y->data)[yi];
}

static int64_t count(const pln_tensor *t)
{
    int64_t n = 1;
    for (uint32_t i = 0; i < t->rank; i++)
        n *= t->shape[i];
    return n;
}

/* All taps of output (s,i,j,f) that lie in the picture. */
static void conv_place(const pln_conv *v, const int64_t *x, const int64_t *w, int64_t s, int64_t i, int64_t j,
                       int64_t f, int64_t yi, conv_term *term)
{
    const int64_t per_group = w[3] / v->groups, group = f / per_group;
    for (int64_t a = 0; a < w[0]; a++)
        for (int64_t b = 0; b < w[1]; b++) {
            const int64_t row = i * v->stride[0] - v->pad_lo[0] + a * v->dilation[0];
            const int64_t col = j * v->stride[1] - v->pad_lo[1] + b * v->dilation[1];
            if (row < 0 || row >= x[1] || col < 0 || col >= x[2])
                continue;
            for (int64_t k = 0; k < w[2]; k++)
                term(v, ((s * x[1] + row) * x[2] + col) * x[3] + group * w[2] + k,
                     ((a * w[1] + b) * w[2] + k) * w[3] + f, yi);
        }
}

static int conv(const pln_host *h, const pln_conv *v)
{
    const int forward = v->pass == PLN_CONV_FORWARD, dweight = v->pass == PLN_CONV_DWEIGHT;
    const int64_t *x = (v->pass == PLN_CONV_DINPUT ? v->out : v->x)->shape, *w = (dweight ? v->out : v->w)->shape;
    const int64_t *y = (forward ? v->out : v->y)->shape;
    double *out = v->out->data, *out_bias = v->out_bias ? v->out_bias->data : NULL;
    const double *bias = v->bias ? v->bias->data : NULL;
    (void)h;
    for (int64_t i = 0; i < count(v->out); i++)
        out[i] = forward && bias ? bias[i % y[3]] : dweight && v->beta != 0 ? v->beta * out[i] : 0;
    for (int64_t f = 0; out_bias && f < y[3]; f++)
        out_bias[f] = v->beta == 0 ? 0 : v->beta * out_bias[f];
    int64_t yi = 0;
    for (int64_t s = 0; s < y[0]; s++)
        for (int64_t i = 0; i < y[1]; i++)
            for (int64_t j = 0; j < y[2]; j++)
                for (int64_t f = 0; f < y[3]; f++, yi++) {
                    conv_place(v, x, w, s, i, j, f, yi, forward ? term_forward : dweight ? term_dweight : term_dinput);
                    if (out_bias)
                        out_bias[f] += ((const double *)v->y->data)[yi];
                }
    return PLN_OK;
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static int map(const pln_host *h, uint32_t op, int64_t n, const double *x, double *out)
{
    static double (*const functions[])(double) = {NULL, exp, log, tanh, erf, sigmoid, expm1, log1p, sin, cos};
    (void)h;
    if (op < PLN_MAP_EXP || op > PLN_MAP_COS)
        return PLN_FAIL;
    for (int64_t i = 0; i < n; i++)
        out[i] = functions[op](x[i]);
    return PLN_OK;
}

static void say(const pln_host *h, int level, const char *format, ...)
{
    (void)h, (void)level, (void)format;
}

static const void *extension(const pln_host *h, const char *id)
{
    (void)h, (void)id;
    return NULL;
}

const pln_host double_host = {
    .size = PLN_SIZE_TO(pln_host, extension),
    .major = PLN_MAJOR,
    .minor = PLN_MINOR,
    .fail = host_fail,
    .slot = slot,
    .refuse = refuse,
    .parallel_for = parallel_for,
    .sum = sum,
    .random = random_numbers,
    .gemm = gemm,
    .conv = conv,
    .map = map,
    .log = say,
    .extension = extension,
};

/* Initializers: Keras 3's, by name, from the keyed generator.  A parameter's numbers depend on the seed, its layer's name,
 * its own name and its shape, and on nothing else: neither on other layers nor on the order of drawing.
 *
 * fan_in and fan_out follow Keras: with axes "HWIO" the receptive field is the product of all letters but I and O. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "net/model.h"

typedef struct fans {
    double in, out;
} fans;

static fans fans_of(const parameter *p)
{
    double in = 1, out = 1, field = 1;
    int has_in = 0, has_out = 0;
    for (int i = 0; i < p->rank; i++) {
        char axis = i < (int)strlen(p->axes) ? p->axes[i] : i == p->rank - 1 ? 'O' : 'I';
        if (axis == 'I') {
            in *= (double)p->shape[i];
            has_in = 1;
        } else if (axis == 'O') {
            out *= (double)p->shape[i];
            has_out = 1;
        } else {
            field *= (double)p->shape[i];
        }
    }
    if (!has_in)
        in = out;
    if (!has_out)
        out = in;
    return (fans){in * field, out * field};
}

/* What an initializer does with its (at most two) arguments. */
typedef int fill_function(const parameter *p, random_key key, const double *arg, float *out);

static int fill_constant(const parameter *p, random_key key, const double *arg, float *out)
{
    (void)key;
    for (int64_t i = 0; i < p->size; i++)
        out[i] = (float)arg[0];
    return 1;
}

static int fill_ones(const parameter *p, random_key key, const double *arg, float *out)
{
    (void)arg;
    return fill_constant(p, key, (const double[]){1, 0}, out);
}

static int fill_zeros(const parameter *p, random_key key, const double *arg, float *out)
{
    (void)arg;
    return fill_constant(p, key, (const double[]){0, 0}, out);
}

static int fill_uniform(const parameter *p, random_key key, const double *arg, float *out)
{
    random_fill_uniform(key, 0, 0, (uint64_t)p->size, out);
    for (int64_t i = 0; i < p->size; i++)
        out[i] = (float)(arg[0] + (arg[1] - arg[0]) * (double)out[i]);
    return 1;
}

static int fill_normal(const parameter *p, random_key key, const double *arg, float *out)
{
    random_fill_normal(key, 0, 0, (uint64_t)p->size, out);
    for (int64_t i = 0; i < p->size; i++)
        out[i] = (float)(arg[0] + arg[1] * (double)out[i]);
    return 1;
}

/* Redraws what lies beyond two standard deviations, each element from rows of its own. */
static int fill_truncated(const parameter *p, random_key key, const double *arg, float *out)
{
    random_fill_normal(key, 0, 0, (uint64_t)p->size, out);
    for (int64_t i = 0; i < p->size; i++) {
        for (uint64_t row = 1; fabsf(out[i]) > 2.0f; row++)
            random_fill_normal(key, row, (uint64_t)i, 1, &out[i]);
        out[i] = (float)(arg[0] + arg[1] * (double)out[i]);
    }
    return 1;
}

/* Uniform within +-sqrt(3 scale / n). */
static int scaled_uniform(const parameter *p, random_key key, double scale, double n, float *out)
{
    double limit = sqrt(3.0 * scale / n);
    return fill_uniform(p, key, (const double[]){-limit, limit}, out);
}

/* Truncated normal with standard deviation sqrt(scale / n); the constant is that of a normal truncated at 2. */
static int scaled_normal(const parameter *p, random_key key, double scale, double n, float *out)
{
    return fill_truncated(p, key, (const double[]){0, sqrt(scale / n) / 0.87962566103423978}, out);
}

static int fill_glorot_uniform(const parameter *p, random_key key, const double *arg, float *out)
{
    (void)arg;
    fans f = fans_of(p);
    return scaled_uniform(p, key, 1.0, (f.in + f.out) / 2, out);
}

static int fill_glorot_normal(const parameter *p, random_key key, const double *arg, float *out)
{
    (void)arg;
    fans f = fans_of(p);
    return scaled_normal(p, key, 1.0, (f.in + f.out) / 2, out);
}

static int fill_he_uniform(const parameter *p, random_key key, const double *arg, float *out)
{
    (void)arg;
    return scaled_uniform(p, key, 2.0, fans_of(p).in, out);
}

static int fill_he_normal(const parameter *p, random_key key, const double *arg, float *out)
{
    (void)arg;
    return scaled_normal(p, key, 2.0, fans_of(p).in, out);
}

static int fill_lecun_uniform(const parameter *p, random_key key, const double *arg, float *out)
{
    (void)arg;
    return scaled_uniform(p, key, 1.0, fans_of(p).in, out);
}

static int fill_lecun_normal(const parameter *p, random_key key, const double *arg, float *out)
{
    (void)arg;
    return scaled_normal(p, key, 1.0, fans_of(p).in, out);
}

static int fill_identity(const parameter *p, random_key key, const double *arg, float *out)
{
    (void)key;
    if (p->rank != 2)
        return 0;
    for (int64_t i = 0; i < p->size; i++)
        out[i] = i / p->shape[1] == i % p->shape[1] ? (float)arg[0] : 0.0f;
    return 1;
}

/* Orthonormal rows or columns: a normal matrix through modified Gram-Schmidt in double (all but the last axis are rows). */
static int fill_orthogonal(const parameter *p, random_key key, const double *arg, float *out)
{
    if (p->rank < 2)
        return 0;
    int64_t cols = p->shape[p->rank - 1], rows = p->size / cols;
    int64_t n = rows < cols ? rows : cols, length = rows < cols ? cols : rows;
    double *q = malloc((size_t)(n * length) * sizeof *q);
    if (!q)
        return -1;
    random_fill_normal(key, 0, 0, (uint64_t)p->size, out);
    for (int64_t i = 0; i < p->size; i++)
        q[i] = out[i];
    for (int64_t i = 0; i < n; i++) {
        double *v = q + i * length, norm = 0;
        for (int64_t j = 0; j < i; j++) {
            const double *u = q + j * length;
            double dot = 0;
            for (int64_t k = 0; k < length; k++)
                dot += u[k] * v[k];
            for (int64_t k = 0; k < length; k++)
                v[k] -= dot * u[k];
        }
        for (int64_t k = 0; k < length; k++)
            norm += v[k] * v[k];
        norm = sqrt(norm);
        for (int64_t k = 0; k < length; k++)
            v[k] /= norm;
    }
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++)
            out[r * cols + c] = (float)(arg[0] * (rows < cols ? q[r * length + c] : q[c * length + r]));
    free(q);
    return 1;
}

typedef struct initializer {
    const char *name;
    int most; /* arguments it may have */
    double dflt[2];
    fill_function *fill;
} initializer;

static const initializer INITIALIZERS[] = {
    {"zeros", 0, {0, 0}, fill_zeros},
    {"ones", 0, {0, 0}, fill_ones},
    {"constant", 1, {0, 0}, fill_constant},
    {"random_uniform", 2, {-0.05, 0.05}, fill_uniform},
    {"random_normal", 2, {0, 0.05}, fill_normal},
    {"truncated_normal", 2, {0, 0.05}, fill_truncated},
    {"glorot_uniform", 0, {0, 0}, fill_glorot_uniform},
    {"glorot_normal", 0, {0, 0}, fill_glorot_normal},
    {"he_uniform", 0, {0, 0}, fill_he_uniform},
    {"he_normal", 0, {0, 0}, fill_he_normal},
    {"lecun_uniform", 0, {0, 0}, fill_lecun_uniform},
    {"lecun_normal", 0, {0, 0}, fill_lecun_normal},
    {"orthogonal", 1, {1, 0}, fill_orthogonal},
    {"identity", 1, {1, 0}, fill_identity},
};
#define NINITIALIZERS (sizeof INITIALIZERS / sizeof INITIALIZERS[0])

static int unknown_initializer(const char *name, error *e)
{
    const char *names[NINITIALIZERS + 1] = {0};
    for (size_t i = 0; i < NINITIALIZERS; i++)
        names[i] = INITIALIZERS[i].name;
    const char *near = text_nearest(name, names);
    if (near)
        return error_set(e, PLN_E_INVALID, "unknown initializer '%.60s' (did you mean '%s'?)", name, near);
    text all = {0};
    for (size_t i = 0; i < NINITIALIZERS; i++)
        text_format(&all, "%s%s", i ? ", " : "", names[i]);
    error_set(e, PLN_E_INVALID, "unknown initializer '%.60s'; there are %s", name, all.bytes ? all.bytes : "");
    text_free(&all);
    return PLN_E_INVALID;
}

/* "name" or "name(1, 2)". */
static int parse(const char *s, const initializer **which, double arg[2], error *e)
{
    char name[128];
    size_t n = strcspn(s, "(");
    if (n >= sizeof name)
        return unknown_initializer(s, e);
    memcpy(name, s, n);
    name[n] = 0;
    *which = NULL;
    for (size_t i = 0; i < NINITIALIZERS; i++)
        if (strcmp(INITIALIZERS[i].name, name) == 0)
            *which = &INITIALIZERS[i];
    if (!*which)
        return unknown_initializer(name, e);
    memcpy(arg, (*which)->dflt, 2 * sizeof *arg);
    if (s[n] == 0)
        return PLN_OK;
    char inside[128], *rest = inside;
    snprintf(inside, sizeof inside, "%s", s + n + 1);
    char *close = strchr(inside, ')');
    if (!close || close[1])
        return error_set(e, PLN_E_INVALID, "initializer '%.60s' lacks its closing parenthesis", s);
    *close = 0;
    for (int i = 0; rest && *rest; i++) {
        char *one = strsep(&rest, ",");
        one += strspn(one, " ");
        if (i >= (*which)->most || !text_parse_real(one, &arg[i]) || !isfinite(arg[i]))
            return error_set(e, PLN_E_INVALID, "initializer '%s' takes %d number%s in its parentheses, got '%.60s'",
                             name, (*which)->most, (*which)->most == 1 ? "" : "s", s);
    }
    return PLN_OK;
}

#define MOST_BLOCKS 8

/* "zeros|ones|zeros|zeros": as many blocks of equal width along the last axis, each begun in its own way (an LSTM's bias
 * has one for each gate).  Cuts `s` in place; the number of blocks, or 0 if there are too many. */
static int cut_blocks(char *s, char *blocks[MOST_BLOCKS])
{
    int n = 0;
    for (char *one; (one = strsep(&s, "|")) != NULL; blocks[n++] = one)
        if (n == MOST_BLOCKS)
            return 0;
    return n;
}

static int parse_blocks(const char *s, char copy[128], char *blocks[MOST_BLOCKS], int *n, error *e)
{
    snprintf(copy, 128, "%s", s);
    *n = cut_blocks(copy, blocks);
    if (*n == 0)
        return error_set(e, PLN_E_INVALID, "initializer '%.60s' has more than %d blocks", s, MOST_BLOCKS);
    for (int i = 0; i < *n; i++) {
        const initializer *which;
        double arg[2];
        int status = parse(blocks[i], &which, arg, e);
        if (status != PLN_OK)
            return status;
    }
    return PLN_OK;
}

int initializer_check(const char *s, error *e)
{
    char copy[128], *blocks[MOST_BLOCKS];
    int n;
    return parse_blocks(s, copy, blocks, &n, e);
}

static int fill_one(const char *s, const parameter *p, random_key key, float *out, error *e)
{
    const initializer *which;
    double arg[2];
    int status = parse(s, &which, arg, e);
    if (status != PLN_OK)
        return status;
    int done = which->fill(p, key, arg, out);
    if (done < 0)
        return error_memory(e);
    if (done == 0)
        return error_set(e, PLN_E_INVALID, "initializer '%s' cannot fill '%s' of %d dimensions", which->name, p->name,
                         p->rank);
    return PLN_OK;
}

int initializer_fill(const char *s, const parameter *p, random_key key, float *out, error *e)
{
    char copy[128], *blocks[MOST_BLOCKS];
    int n, status = parse_blocks(s, copy, blocks, &n, e);
    if (status != PLN_OK || n == 1)
        return status == PLN_OK ? fill_one(s, p, key, out, e) : status;
    int64_t last = p->rank ? p->shape[p->rank - 1] : 1, width = last / n, rows = p->size / last;
    if (last % n)
        return error_set(e, PLN_E_INVALID,
                         "initializer '%.60s' cuts '%s' into %d blocks, which do not divide its last "
                         "dimension of %lld",
                         s, p->name, n, (long long)last);
    parameter part = *p;
    part.shape[p->rank - 1] = width;
    part.size = rows * width;
    float *block = malloc((size_t)part.size * sizeof *block);
    if (!block)
        return error_memory(e);
    for (int b = 0; b < n && status == PLN_OK; b++) {
        random_key own = {{key.word[0], key.word[1] ^ (uint32_t)b * 0x9E3779B9u}};
        status = fill_one(blocks[b], &part, own, block, e);
        for (int64_t r = 0; r < rows && status == PLN_OK; r++)
            memcpy(out + r * last + b * width, block + r * width, (size_t)width * sizeof *block);
    }
    free(block);
    return status;
}

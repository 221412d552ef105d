/* multi_head_attention.c: MultiHeadAttention (Vaswani et al. 2017; weights shaped as in Keras).
 *
 *     query [n,tq,dq]   value [n,tv,dv]   key [n,tv,dk]; without a key: the value; of one input alone: itself
 *     kernels: query [dq,heads,key_dim]   key [dk,heads,key_dim]   value [dv,heads,value_dim]
 *              output [heads,value_dim,dq];  each with a bias           y [n,tq,dq]
 *
 *     q, k, v = query query_kernel + query_bias, and so on             [n,tq,heads,key_dim], [n,tv,heads,...]
 *     in every head   s = q k^T / sqrt(key_dim)                        [tq,tv]
 *                     p = softmax of the rows of s;  causal: row i ends after column i
 *                     p' = p under dropout,  a = p' v                  [tq,value_dim]
 *     y = a output_kernel + output_bias
 *
 *     da  = dy output_kernel^T                          doutput_kernel = a^T dy
 *     dv  = p'^T da          dp = (da v^T) under dropout
 *     ds  = p (dp - sum of dp p over the row) / sqrt(key_dim)
 *     dq  = ds k             dk = ds^T q
 *     dquery = dq query_kernel^T   dquery_kernel = query^T dq   dquery_bias = sum of dq, and so on
 *
 * The projections are one product each, with [heads, key_dim] as one axis; a head is a window of its columns. */
#include "perilune/plugin.h"

typedef struct attention {
    int64_t num_heads, key_dim, value_dim, use_bias, use_causal_mask;
    double dropout;
    const char *kernel_initializer, *bias_initializer;
} attention;

static const pln_option options[] = {
    {"num_heads", "number of heads, which attend apart", PLN_INT, PLN_REQUIRED, offsetof(attention, num_heads), .lo = 1,
     .hi = 1 << 12},
    {"key_dim", "length of a head's queries and keys", PLN_INT, PLN_REQUIRED, offsetof(attention, key_dim), .lo = 1,
     .hi = 1 << 16},
    {"value_dim", "length of a head's values; 0: key_dim", PLN_INT, 0, offsetof(attention, value_dim), .dflt = 0,
     .lo = 0, .hi = 1 << 16},
    {"dropout", "share of the attention that is hidden in training", PLN_REAL, PLN_OPEN_HI,
     offsetof(attention, dropout), .dflt = 0, .lo = 0, .hi = 1},
    {"use_bias", "add a trained number to each projected feature", PLN_BOOL, 0, offsetof(attention, use_bias),
     .dflt = 1},
    {"use_causal_mask", "a place attends to places up to itself alone", PLN_BOOL, 0,
     offsetof(attention, use_causal_mask), .dflt = 0},
    {"kernel_initializer", "how the four kernels begin", PLN_TEXT, PLN_INITIALIZER,
     offsetof(attention, kernel_initializer), .dflt_text = "glorot_uniform"},
    {"bias_initializer", "how the four biases begin", PLN_TEXT, PLN_INITIALIZER, offsetof(attention, bias_initializer),
     .dflt_text = "zeros"},
};

enum { QUERY, KEY, VALUE, OUTPUT }; /* the projections, in the order of Keras's weights */

/* In the order in which plan declares them. */
enum { Q, K, V, P, A };           /* keep, or scratch when inferring: q, k, v, p and a as above */
enum { DROPPED, DQ, DK, DV, DA }; /* scratch when training: p' and dp and ds in turn; gradients of q, k, v and a */

/* Which input a projection reads, as far as there are so many. */
static uint32_t input_of(int projection, uint32_t nin)
{
    const uint32_t wanted = projection == QUERY ? 0 : projection == VALUE ? 1 : 2;

    return wanted < nin ? wanted : nin - 1;
}

/* Length of a head's rows in a projection. */
static int64_t width_of(const attention *o, int projection)
{
    return projection == VALUE || projection == OUTPUT ? (o->value_dim ? o->value_dim : o->key_dim) : o->key_dim;
}

static int plan_memory(const pln_host *h, pln_plan *p, const attention *o, int mode, int64_t tq, int64_t tv)
{
    const uint32_t kept = mode == PLN_TRAIN ? PLN_KEEP : PLN_SCRATCH;
    const int64_t heads = o->num_heads, dim = heads * o->key_dim, value = heads * width_of(o, VALUE);

    if (PLN_SLOT(h, p, .kind = kept, .name = "q", .dtype = PLN_F32, .rank = 3, .shape = {PLN_BATCH, tq, dim}) ||
        PLN_SLOT(h, p, .kind = kept, .name = "k", .dtype = PLN_F32, .rank = 3, .shape = {PLN_BATCH, tv, dim}) ||
        PLN_SLOT(h, p, .kind = kept, .name = "v", .dtype = PLN_F32, .rank = 3, .shape = {PLN_BATCH, tv, value}) ||
        PLN_SLOT(h, p, .kind = kept, .name = "p", .dtype = PLN_F32, .rank = 4, .shape = {PLN_BATCH, heads, tq, tv}) ||
        PLN_SLOT(h, p, .kind = kept, .name = "a", .dtype = PLN_F32, .rank = 3, .shape = {PLN_BATCH, tq, value}))
        return PLN_FAIL;
    if (mode != PLN_TRAIN)
        return PLN_OK;
    return PLN_SLOT(h, p, .kind = PLN_SCRATCH, .name = "dropped", .dtype = PLN_F32, .rank = 4,
                    .shape = {PLN_BATCH, heads, tq, tv}) ||
           PLN_SLOT(h, p, .kind = PLN_SCRATCH, .name = "dq", .dtype = PLN_F32, .rank = 3,
                    .shape = {PLN_BATCH, tq, dim}) ||
           PLN_SLOT(h, p, .kind = PLN_SCRATCH, .name = "dk", .dtype = PLN_F32, .rank = 3,
                    .shape = {PLN_BATCH, tv, dim}) ||
           PLN_SLOT(h, p, .kind = PLN_SCRATCH, .name = "dv", .dtype = PLN_F32, .rank = 3,
                    .shape = {PLN_BATCH, tv, value}) ||
           PLN_SLOT(h, p, .kind = PLN_SCRATCH, .name = "da", .dtype = PLN_F32, .rank = 3,
                    .shape = {PLN_BATCH, tq, value});
}

/* A kernel [d,heads,width] and its bias [heads,width].  Keras takes fans from such a shape as if d were a receptive
 * field ("X"), and so do we, so that a net begins the same. */
static int plan_projection(const pln_host *h, pln_plan *p, const attention *o, int64_t d, int64_t width,
                           const char *kernel, const char *bias)
{
    if (PLN_SLOT(h, p, .kind = PLN_PARAM, .name = kernel, .axes = "XIO", .init = o->kernel_initializer,
                 .flags = PLN_GRAD_ONCE, .dtype = PLN_F32, .rank = 3, .shape = {d, o->num_heads, width}))
        return PLN_FAIL;
    return !o->use_bias ? PLN_OK
                        : PLN_SLOT(h, p, .kind = PLN_PARAM, .name = bias, .axes = "XO", .init = o->bias_initializer,
                                   .flags = PLN_NO_DECAY, .dtype = PLN_F32, .rank = 2, .shape = {o->num_heads, width});
}

static int plan_output(const pln_host *h, pln_plan *p, const attention *o, int64_t d)
{
    if (PLN_SLOT(h, p, .kind = PLN_PARAM, .name = "output_kernel", .axes = "XIO", .init = o->kernel_initializer,
                 .flags = PLN_GRAD_ONCE, .dtype = PLN_F32, .rank = 3, .shape = {o->num_heads, width_of(o, VALUE), d}))
        return PLN_FAIL;
    return !o->use_bias
               ? PLN_OK
               : PLN_SLOT(h, p, .kind = PLN_PARAM, .name = "output_bias", .axes = "O", .init = o->bias_initializer,
                          .flags = PLN_NO_DECAY, .dtype = PLN_F32, .rank = 1, .shape = {d});
}

static int plan(const pln_host *h, pln_plan *p, const void *opts, int mode, const pln_slot *const *in, uint32_t nin)
{
    const attention *o = opts;

    for (uint32_t i = 0; i < nin; i++)
        if (in[i]->rank != 3)
            return h->refuse(h, p, "needs 2 dimensions [time, features], got %d in input %d", (int)in[i]->rank - 1,
                             (int)i + 1);
    const pln_slot *query = in[0], *key = in[input_of(KEY, nin)], *value = in[input_of(VALUE, nin)];
    if (key->shape[1] != value->shape[1])
        return h->refuse(h, p, "needs a key for every value, got %lld values and %lld keys", (long long)value->shape[1],
                         (long long)key->shape[1]);

    if (PLN_SLOT(h, p, .kind = PLN_OUTPUT, .dtype = PLN_F32, .rank = 3, .time_axis = query->time_axis,
                 .shape = {PLN_BATCH, query->shape[1], query->shape[2]}))
        return PLN_FAIL;
    for (uint32_t i = 0; i < nin; i++)
        if (PLN_SLOT(h, p, .kind = PLN_KEEP_INPUT, .index = i))
            return PLN_FAIL;
    return plan_projection(h, p, o, query->shape[2], o->key_dim, "query_kernel", "query_bias") ||
           plan_projection(h, p, o, key->shape[2], o->key_dim, "key_kernel", "key_bias") ||
           plan_projection(h, p, o, value->shape[2], width_of(o, VALUE), "value_kernel", "value_bias") ||
           plan_output(h, p, o, query->shape[2]) || plan_memory(h, p, o, mode, query->shape[1], value->shape[1]);
}

/* Kernel and bias number i, or their gradients; a bias may be missing. */
static int kernel_index(const attention *o, int projection)
{
    return o->use_bias ? 2 * projection : projection;
}

static pln_tensor *memory(const pln_call *c, int i)
{
    return c->mode == PLN_TRAIN ? c->keep[i] : c->scratch[i];
}

/* to [rows,n] = from [rows,k] kernel + bias */
static int project(const pln_host *h, const pln_call *c, int projection, const pln_tensor *from, int64_t k, int64_t n,
                   pln_tensor *to)
{
    const attention *o = c->opts;
    const int i = kernel_index(o, projection);

    return PLN_GEMM(h, .m = from->shape[0] * from->shape[1], .n = n, .k = k, .a = from, .lda = k, .b = c->param[i],
                    .ldb = n, .c = to, .ldc = n, .alpha = 1, .bias = o->use_bias ? c->param[i + 1] : NULL);
}

/* dfrom = beta dfrom + dto kernel^T */
static int project_back(const pln_host *h, const pln_call *c, int projection, const pln_tensor *dto, int64_t k,
                        int64_t n, float beta, pln_tensor *dfrom)
{
    return PLN_GEMM(h, .m = dto->shape[0] * dto->shape[1], .n = k, .k = n, .a = dto, .lda = n,
                    .b = c->param[kernel_index(c->opts, projection)], .ldb = n, .flags = PLN_TRANS_B, .c = dfrom,
                    .ldc = k, .alpha = 1, .beta = beta);
}

/* dkernel = from^T dto, dbias = sum of dto over the rows */
static int project_gradient(const pln_host *h, const pln_call *c, int projection, const pln_tensor *from,
                            const pln_tensor *dto, int64_t k, int64_t n)
{
    const attention *o = c->opts;
    const int i = kernel_index(o, projection);
    const int64_t rows = dto->shape[0] * dto->shape[1];
    pln_tensor *dkernel = c->dparam[i], *dbias = o->use_bias ? c->dparam[i + 1] : NULL;

    if (dkernel)
        return PLN_GEMM(h, .m = k, .n = n, .k = rows, .a = from, .lda = k, .flags = PLN_TRANS_A, .b = dto, .ldb = n,
                        .c = dkernel, .ldc = n, .alpha = 1, .beta = c->beta, .colsum = dbias);
    if (!dbias)
        return PLN_OK;
    const float *d = dto->data;
    float *to = dbias->data;
    for (int64_t j = 0; j < n; j++)
        to[j] = c->beta == 0 ? 0 : c->beta * to[j];
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j < n; j++)
            to[j] += d[r * n + j];
    return PLN_OK;
}

/* All heads of all samples: what the bodies of parallel_for need. */
typedef struct heads {
    const pln_host *h;
    const pln_call *c;
    const attention *o;
    int64_t tq, tv, dim, value; /* dim, value: lengths of a head's rows in q and k, and in v and a */
    float scale;
} heads;

static heads heads_of(const pln_host *h, const pln_call *c)
{
    const attention *o = c->opts;
    const pln_tensor *p = memory(c, P);

    return (heads){.h = h,
                   .c = c,
                   .o = o,
                   .tq = p->shape[2],
                   .tv = p->shape[3],
                   .dim = o->key_dim,
                   .value = width_of(o, VALUE),
                   .scale = (float)(1 / __builtin_sqrt((double)o->key_dim))};
}

/* A head's window of a tensor [n,t,heads*width] begins here; its rows are heads*width apart. */
static int64_t window(const heads *s, int64_t head, int64_t t, int64_t width)
{
    const int64_t n = head / s->o->num_heads, k = head % s->o->num_heads;

    return n * t * s->o->num_heads * width + k * width;
}

/* Softmax of each row of p [tq,tv] in place; causal rows end early, with zeros behind. */
static int softmax(const heads *s, float *p)
{
    for (int64_t i = 0; i < s->tq; i++, p += s->tv) {
        const int64_t n = s->o->use_causal_mask && i + 1 < s->tv ? i + 1 : s->tv;
        float most = p[0];
        double sum = 0;

        for (int64_t j = 1; j < n; j++)
            most = p[j] > most ? p[j] : most;
        for (int64_t j = 0; j < n; j++)
            p[j] -= most;
        if (s->h->map(s->h, PLN_MAP_EXP, n, p, p))
            return PLN_FAIL;
        for (int64_t j = 0; j < n; j++)
            sum += p[j];
        const float scale = (float)(1 / sum);
        for (int64_t j = 0; j < n; j++)
            p[j] *= scale;
        for (int64_t j = n; j < s->tv; j++)
            p[j] = 0;
    }
    return PLN_OK;
}

/* to = from under the mask of dropout; head counts all heads of all samples of this call. */
static int drop(const heads *s, int64_t head, const float *from, float *to)
{
    enum { BLOCK = 512 };
    const float rate = (float)s->o->dropout, scale = (float)(1 / (1 - s->o->dropout));
    const int64_t all = s->tq * s->tv, first = (s->c->in[0]->first * s->o->num_heads + head) * all;
    float u[BLOCK];

    for (int64_t done = 0; done < all; done += BLOCK) {
        const int64_t n = all - done < BLOCK ? all - done : BLOCK;
        if (s->h->random(s->h, s->c, 0, PLN_UNIFORM, first + done, n, u))
            return PLN_FAIL;
        for (int64_t i = 0; i < n; i++)
            to[done + i] = from[done + i] * (u[i] >= rate ? scale : 0);
    }
    return PLN_OK;
}

static int drops(const heads *s)
{
    return s->c->mode == PLN_TRAIN && s->o->dropout > 0;
}

/* Heads begin .. end-1: p and a. */
static int heads_forward(void *ctx, int64_t begin, int64_t end, uint32_t lane)
{
    const heads *s = ctx;
    const pln_host *h = s->h;
    const int64_t ldk = s->o->num_heads * s->dim, ldv = s->o->num_heads * s->value, size = s->tq * s->tv;
    pln_tensor *p = memory(s->c, P), *used = drops(s) ? s->c->scratch[DROPPED] : p;
    (void)lane;

    for (int64_t i = begin; i < end; i++) {
        if (PLN_GEMM(h, .m = s->tq, .n = s->tv, .k = s->dim, .a = memory(s->c, Q), .off_a = window(s, i, s->tq, s->dim),
                     .lda = ldk, .b = memory(s->c, K), .off_b = window(s, i, s->tv, s->dim), .ldb = ldk,
                     .flags = PLN_TRANS_B, .c = p, .off_c = i * size, .ldc = s->tv, .alpha = s->scale) ||
            softmax(s, (float *)p->data + i * size))
            return PLN_FAIL;
        if (drops(s) && drop(s, i, (const float *)p->data + i * size, (float *)used->data + i * size))
            return PLN_FAIL;
        if (PLN_GEMM(h, .m = s->tq, .n = s->value, .k = s->tv, .a = used, .off_a = i * size, .lda = s->tv,
                     .b = memory(s->c, V), .off_b = window(s, i, s->tv, s->value), .ldb = ldv, .c = memory(s->c, A),
                     .off_c = window(s, i, s->tq, s->value), .ldc = ldv, .alpha = 1))
            return PLN_FAIL;
    }
    return PLN_OK;
}

static int forward(const pln_host *h, const pln_call *c)
{
    const attention *o = c->opts;
    const pln_tensor *query = c->in[0], *key = c->in[input_of(KEY, c->nin)], *value = c->in[input_of(VALUE, c->nin)];
    heads s = heads_of(h, c);
    const int64_t dim = o->num_heads * s.dim, width = o->num_heads * s.value;

    if (project(h, c, QUERY, query, query->shape[2], dim, memory(c, Q)) ||
        project(h, c, KEY, key, key->shape[2], dim, memory(c, K)) ||
        project(h, c, VALUE, value, value->shape[2], width, memory(c, V)) ||
        h->parallel_for(h, query->shape[0] * o->num_heads, 1, heads_forward, &s))
        return PLN_FAIL;
    return project(h, c, OUTPUT, memory(c, A), width, query->shape[2], c->out[0]);
}

/* ds = p (dp - sum of dp p over the row), in place of dp; [tq,tv] */
static void softmax_gradient(const heads *s, const float *p, float *dp)
{
    for (int64_t i = 0; i < s->tq; i++, p += s->tv, dp += s->tv) {
        double dot = 0;

        for (int64_t j = 0; j < s->tv; j++)
            dot += (double)dp[j] * p[j];
        for (int64_t j = 0; j < s->tv; j++)
            dp[j] = p[j] * (dp[j] - (float)dot);
    }
}

/* Heads begin .. end-1: from da to dq, dk and dv. */
static int heads_backward(void *ctx, int64_t begin, int64_t end, uint32_t lane)
{
    const heads *s = ctx;
    const pln_host *h = s->h;
    const pln_call *c = s->c;
    const int64_t ldk = s->o->num_heads * s->dim, ldv = s->o->num_heads * s->value, size = s->tq * s->tv;
    const pln_tensor *p = c->keep[P];
    pln_tensor *ds = c->scratch[DROPPED], *da = c->scratch[DA];
    (void)lane;

    for (int64_t i = begin; i < end; i++) {
        const int64_t at_q = window(s, i, s->tq, s->dim), at_k = window(s, i, s->tv, s->dim);
        const int64_t at_v = window(s, i, s->tv, s->value), at_a = window(s, i, s->tq, s->value);
        const float *weights = (const float *)p->data + i * size;
        float *dp = (float *)ds->data + i * size;

        if (drops(s) && drop(s, i, weights, dp)) /* p', for dv alone */
            return PLN_FAIL;
        if (PLN_GEMM(h, .m = s->tv, .n = s->value, .k = s->tq, .a = drops(s) ? ds : p, .off_a = i * size, .lda = s->tv,
                     .flags = PLN_TRANS_A, .b = da, .off_b = at_a, .ldb = ldv, .c = c->scratch[DV], .off_c = at_v,
                     .ldc = ldv, .alpha = 1) ||
            PLN_GEMM(h, .m = s->tq, .n = s->tv, .k = s->value, .a = da, .off_a = at_a, .lda = ldv, .b = c->keep[V],
                     .off_b = at_v, .ldb = ldv, .flags = PLN_TRANS_B, .c = ds, .off_c = i * size, .ldc = s->tv,
                     .alpha = 1) ||
            (drops(s) && drop(s, i, dp, dp)))
            return PLN_FAIL;
        softmax_gradient(s, weights, dp);
        if (PLN_GEMM(h, .m = s->tq, .n = s->dim, .k = s->tv, .a = ds, .off_a = i * size, .lda = s->tv, .b = c->keep[K],
                     .off_b = at_k, .ldb = ldk, .c = c->scratch[DQ], .off_c = at_q, .ldc = ldk, .alpha = s->scale) ||
            PLN_GEMM(h, .m = s->tv, .n = s->dim, .k = s->tq, .a = ds, .off_a = i * size, .lda = s->tv,
                     .flags = PLN_TRANS_A, .b = c->keep[Q], .off_b = at_q, .ldb = ldk, .c = c->scratch[DK],
                     .off_c = at_k, .ldc = ldk, .alpha = s->scale))
            return PLN_FAIL;
    }
    return PLN_OK;
}

/* Inputs that serve two projections collect two gradients: all but the first are added. */
static int input_gradients(const pln_host *h, const pln_call *c, int64_t dim, int64_t width)
{
    static const int gradients[] = {[QUERY] = DQ, [KEY] = DK, [VALUE] = DV};
    int written[3] = {0};

    for (int i = QUERY; i <= VALUE; i++) {
        const uint32_t input = input_of(i, c->nin);
        if (c->din[input] && project_back(h, c, i, c->scratch[gradients[i]], c->in[input]->shape[2],
                                          i == VALUE ? width : dim, written[input] ? 1 : 0, c->din[input]))
            return PLN_FAIL;
        written[input] = 1;
    }
    return PLN_OK;
}

/* The gradients of all inputs, and da, come before those of the kernels (PLN_GRAD_ONCE). */
static int backward(const pln_host *h, const pln_call *c)
{
    const attention *o = c->opts;
    const pln_tensor *query = c->in[0], *key = c->in[input_of(KEY, c->nin)], *value = c->in[input_of(VALUE, c->nin)];
    heads s = heads_of(h, c);
    const int64_t dim = o->num_heads * s.dim, width = o->num_heads * s.value;

    if (project_back(h, c, OUTPUT, c->dout[0], width, query->shape[2], 0, c->scratch[DA]) ||
        h->parallel_for(h, query->shape[0] * o->num_heads, 1, heads_backward, &s) || input_gradients(h, c, dim, width))
        return PLN_FAIL;
    return project_gradient(h, c, QUERY, query, c->scratch[DQ], query->shape[2], dim) ||
           project_gradient(h, c, KEY, key, c->scratch[DK], key->shape[2], dim) ||
           project_gradient(h, c, VALUE, value, c->scratch[DV], value->shape[2], width) ||
           project_gradient(h, c, OUTPUT, c->keep[A], c->dout[0], width, query->shape[2]);
}

static const pln_layer multi_head_attention_layer = {
    .size = PLN_SIZE_TO(pln_layer, backward),
    .kind = PLN_LAYER,
    .id = "org.perilune.multi_head_attention",
    .name = "MultiHeadAttention",
    .help = "every place of a sequence gathers from the places of another, or of itself, what resembles its query",
    .version = 1,
    .flags = PLN_SAMPLEWISE,
    .noptions = sizeof options / sizeof options[0],
    .options = options,
    .option_stride = sizeof options[0],
    .opts_size = sizeof(attention),
    .min_in = 1,
    .max_in = 3,
    .plan = plan,
    .forward = forward,
    .backward = backward,
};

PLN_PLUGIN("org.perilune.multi_head_attention", "1.0", "MIT", &multi_head_attention_layer);

/* The test bench for layers; see layer_bench.h. */
#include "layer_bench.h"

/* ---- tensors ---- */

static void cell_make(cell *c, const pln_slot *s, int64_t batch)
{
    c->t = (pln_tensor){.size = PLN_SIZE_TO(pln_tensor, host), .dtype = s->dtype, .rank = s->rank};
    c->count = 1;
    for (uint32_t i = 0; i < s->rank; i++) {
        c->t.shape[i] = s->shape[i] == PLN_BATCH ? batch : s->shape[i];
        c->count *= c->t.shape[i];
    }
    for (int64_t i = s->rank - 1, stride = 1; i >= 0; i--) {
        c->t.stride[i] = stride;
        stride *= c->t.shape[i];
    }
    size_t bytes = (size_t)(c->count + 2 * GUARD) * sizeof(float);
    c->block = aligned_alloc(64, (bytes + 63) / 64 * 64);
    assert_non_null(c->block);
    for (int64_t i = 0; i < c->count + 2 * GUARD; i++)
        c->block[i] = POISON;
    c->data = c->block + GUARD;
    c->t.data = c->data;
}

static double uniform(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(*seed >> 11) / 9007199254740992.0;
}

void cell_random(cell *c, uint64_t *seed, double lo, double hi)
{
    for (int64_t i = 0; i < c->count; i++)
        c->data[i] = (float)(lo + (hi - lo) * uniform(seed));
}

void cell_poison(cell *c)
{
    for (int64_t i = 0; i < c->count; i++)
        c->data[i] = POISON;
}

float *cell_copy(const cell *c)
{
    float *x = malloc((size_t)(c->count + 1) * sizeof *x);
    assert_non_null(x);
    memcpy(x, c->data, (size_t)c->count * sizeof *x);
    return x;
}

static void check_guards(const char *what, const cell *c, int n)
{
    for (int k = 0; k < n; k++)
        for (int i = 0; i < GUARD; i++)
            if (c[k].block[i] != POISON || c[k].data[c[k].count + i] != POISON)
                fail_msg("%s %d: something was written outside of it", what, k);
}

static void check_all_guards(const bench *b)
{
    check_guards("in", b->in, b->nin);
    check_guards("out", b->out, b->nout);
    check_guards("dout", b->dout, b->nout);
    check_guards("din", b->din, b->nin);
    check_guards("param", b->param, b->nparam);
    check_guards("dparam", b->dparam, b->nparam);
    check_guards("state", b->state, b->nstate);
    check_guards("keep", b->keep, b->nkeep);
    check_guards("scratch", b->scratch, b->nscratch);
}

static void cells_free(cell *c, int n)
{
    for (int i = 0; i < n; i++)
        free(c[i].block);
}

void bench_free(bench *b)
{
    cells_free(b->in, b->nin);
    cells_free(b->out, b->nout);
    cells_free(b->dout, b->nout);
    cells_free(b->din, b->nin);
    cells_free(b->param, b->nparam);
    cells_free(b->dparam, b->nparam);
    cells_free(b->state, b->nstate);
    cells_free(b->keep, b->nkeep);
    cells_free(b->scratch, b->nscratch);
}

void bench_forget(bench *b)
{
    for (int i = 0; i < b->nout; i++)
        cell_poison(&b->out[i]);
    for (int i = 0; i < b->nin; i++)
        cell_poison(&b->din[i]);
    for (int i = 0; i < b->nparam; i++)
        cell_poison(&b->dparam[i]);
}

/* ---- options and shapes ---- */

static void put_default(char *opts, const pln_option *o)
{
    for (uint32_t i = 0; i < (o->type == PLN_INTS ? o->max_count : 1); i++) {
        const int64_t whole = o->type == PLN_INTS && !(o->flags & PLN_SPREAD) ? 0 : (int64_t)o->dflt;
        memcpy(opts + o->offset + 8 * i, o->type == PLN_REAL ? (const void *)&o->dflt : (const void *)&whole, 8);
    }
    if (o->type == PLN_TEXT)
        memcpy(opts + o->offset, &o->dflt_text, sizeof o->dflt_text);
}

static void put_option(char *opts, const pln_option *o, const char *value)
{
    int64_t count = 0;
    const double real = strtod(value, NULL);
    if (o->type == PLN_REAL)
        memcpy(opts + o->offset, &real, sizeof real);
    for (const char *s = value; s && o->type == PLN_INTS; s = strchr(s, ',') ? strchr(s, ',') + 1 : NULL, count++)
        memcpy(opts + o->offset + 8 * count, &(int64_t){atoll(s)}, 8);
    if (o->type == PLN_INTS && o->count_offset)
        memcpy(opts + o->count_offset, &count, sizeof count);
    if (o->type == PLN_INT || o->type == PLN_BOOL)
        memcpy(opts + o->offset, &(int64_t){atoll(value)}, 8);
    for (int64_t i = 0; o->type == PLN_CHOICE && o->choices[i]; i++)
        if (strcmp(o->choices[i], value) == 0)
            memcpy(opts + o->offset, &i, sizeof i);
}

static void put_options(const pln_layer *l, const char *text, char *opts, size_t room)
{
    char copy[256], *rest = copy;
    assert_true(l->opts_size <= room);
    for (uint32_t i = 0; i < l->noptions; i++)
        put_default(opts, &l->options[i]);
    snprintf(copy, sizeof copy, "%s", text);
    for (char *word; (word = strsep(&rest, " ")) != NULL;) {
        if (!*word)
            continue;
        const char *name = strsep(&word, "=");
        uint32_t found = l->noptions;
        for (uint32_t i = 0; i < l->noptions; i++)
            if (strcmp(l->options[i].name, name) == 0)
                found = i;
        if (found == l->noptions || !word)
            fail_msg("%s has no option %s", l->name, name);
        put_option(opts, &l->options[found], word);
    }
}

/* The numbers of one shape into a slot whose first dimension is the batch, which is returned. */
static int64_t put_shape(pln_slot *slot, const char *text)
{
    *slot = (pln_slot){.size = PLN_SIZE_TO(pln_slot, shape), .kind = PLN_OUTPUT, .dtype = PLN_F32};
    while (*text && *text != ';') {
        char *end;
        assert_true(slot->rank < PLN_RANK);
        slot->shape[slot->rank++] = strtoll(text, &end, 10);
        assert_true(end > text);
        text = end + (*end == ',');
    }
    int64_t batch = slot->shape[0];
    slot->shape[0] = PLN_BATCH;
    return batch;
}

void bench_open(bench *b, const char *options, const char *shapes)
{
    put_options(b->layer, options, b->opts, sizeof b->opts);
    for (const char *s = shapes; s; s = strchr(s, ';') ? strchr(s, ';') + 1 : NULL) {
        b->batch = put_shape(&b->in_slots[b->nin], s);
        cell_make(&b->in[b->nin], &b->in_slots[b->nin], b->batch);
        cell_make(&b->din[b->nin], &b->in_slots[b->nin], b->batch);
        b->nin++;
    }
}

static void take_slot(bench *b, const pln_slot *s)
{
    assert_int_equal(s->size, PLN_SIZE_TO(pln_slot, shape));
    switch (s->kind) {
    case PLN_OUTPUT:
        cell_make(&b->out[b->nout], s, b->batch);
        cell_make(&b->dout[b->nout++], s, b->batch);
        break;
    case PLN_PARAM:
        assert_non_null(s->name);
        assert_int_equal(strlen(s->axes), s->rank);
        cell_make(&b->param[b->nparam], s, b->batch);
        cell_make(&b->dparam[b->nparam++], s, b->batch);
        break;
    case PLN_STATE:
        cell_make(&b->state[b->nstate++], s, b->batch);
        break;
    case PLN_KEEP:
        cell_make(&b->keep[b->nkeep++], s, b->batch);
        break;
    case PLN_SCRATCH:
        cell_make(&b->scratch[b->nscratch++], s, b->batch);
        break;
    case PLN_KEEP_INPUT:
        b->keeps_in |= 1u << s->index;
        break;
    case PLN_KEEP_OUTPUT:
        b->keeps_out |= 1u << s->index;
        break;
    default:
        fail_msg("a slot of kind %u", s->kind);
    }
}

void bench_take(bench *b, const pln_slot *slots, int nslots)
{
    b->slots = slots;
    b->nslots = nslots;
    for (int i = 0; i < nslots; i++)
        take_slot(b, &slots[i]);
}

/* ---- calling ---- */

enum { IN, OUT, DOUT, DIN, PARAM, DPARAM, STATE, KEEP, SCRATCH, KINDS };

/* The tensors of one call. */
typedef struct cut {
    pln_tensor t[KINDS][MOST];
    pln_tensor *p[KINDS][MOST];
} cut;

static int grows(const bench *b, int kind, int number)
{
    const uint32_t wanted = kind == KEEP ? PLN_KEEP : PLN_SCRATCH;
    if (kind != KEEP && kind != SCRATCH)
        return kind <= DIN;
    for (int i = 0; i < b->nslots; i++)
        if (b->slots[i].kind == wanted && number-- == 0)
            return b->slots[i].rank > 0 && b->slots[i].shape[0] == PLN_BATCH;
    return 0;
}

/* What grows with the batch is cut to samples begin .. begin+n-1. */
static pln_tensor **cut_cells(cut *c, int kind, cell *cells, int ncells, const bench *b, int64_t begin, int64_t n)
{
    for (int i = 0; i < ncells; i++) {
        pln_tensor *t = &c->t[kind][i];
        *t = cells[i].t;
        if (grows(b, kind, i)) {
            t->data = cells[i].data + (kind == SCRATCH ? 0 : begin * (cells[i].count / b->batch));
            t->shape[0] = n;
            t->first = begin;
        }
        c->p[kind][i] = t;
    }
    return c->p[kind];
}

static void hide_for_backward(const bench *b, cut *c, how w)
{
    for (int i = 0; i < b->nin; i++) {
        if (!(b->keeps_in >> i & 1))
            c->t[IN][i].data = NULL;
        if (b->no_gradients || i == w.no_din)
            c->p[DIN][i] = NULL;
    }
    for (int i = 0; i < b->nout; i++)
        if (!(b->keeps_out >> i & 1))
            c->t[OUT][i].data = NULL;
    if (w.no_dparam >= 0)
        c->p[DPARAM][w.no_dparam] = NULL;
}

static void lay_over(const bench *b, cut *c, int backward)
{
    if (!backward)
        c->t[OUT][0].data = c->t[IN][0].data;
    if (backward && b->keeps_out & 1)
        c->t[OUT][0].data = b->in[0].data;
    if (backward)
        c->t[DIN][0].data = c->t[DOUT][0].data;
}

void bench_call(bench *b, int backward, how w)
{
    cut c;
    const int64_t n = w.n < 0 ? b->batch : w.n;
    const pln_call call = {
        .size = PLN_SIZE_TO(pln_call, lane),
        .mode = (uint32_t)b->mode,
        .nin = (uint32_t)b->nin,
        .nout = (uint32_t)b->nout,
        .opts = b->opts,
        .node = b->node,
        .in = (const pln_tensor *const *)cut_cells(&c, IN, b->in, b->nin, b, w.begin, n),
        .out = cut_cells(&c, OUT, b->out, b->nout, b, w.begin, n),
        .dout = (const pln_tensor *const *)cut_cells(&c, DOUT, b->dout, b->nout, b, w.begin, n),
        .din = cut_cells(&c, DIN, b->din, b->nin, b, w.begin, n),
        .param = (const pln_tensor *const *)cut_cells(&c, PARAM, b->param, b->nparam, b, w.begin, n),
        .dparam = cut_cells(&c, DPARAM, b->dparam, b->nparam, b, w.begin, n),
        .beta = w.beta,
        .state = cut_cells(&c, STATE, b->state, b->nstate, b, w.begin, n),
        .keep = cut_cells(&c, KEEP, b->keep, b->nkeep, b, w.begin, n),
        .scratch = cut_cells(&c, SCRATCH, b->scratch, b->nscratch, b, w.begin, n),
        .step = 3,
    };
    if (backward)
        hide_for_backward(b, &c, w);
    if (w.in_place)
        lay_over(b, &c, backward);
    for (int i = 0; i < b->nkeep && b->mode == PLN_INFER; i++)
        c.p[KEEP][i] = NULL;
    for (int i = 0; i < b->nscratch; i++)
        cell_poison(&b->scratch[i]);
    if (backward ? b->layer->backward(b->host, &call) : b->layer->forward(b->host, &call))
        fail_msg("%s fails: %s", backward ? "backward" : "forward", b->said());
    check_all_guards(b);
}

/* ---- comparing ---- */

void assert_close(const char *what, int number, int64_t i, double is, double wanted, double tolerance)
{
    if (!(fabs(is - wanted) <= tolerance * (1 + fabs(wanted))))
        fail_msg("%s %d, element %lld: is %.10g, expected %.10g", what, number, (long long)i, is, wanted);
}

void assert_all_close(const char *what, int number, const cell *c, const float *wanted, double tolerance)
{
    for (int64_t i = 0; i < c->count; i++)
        assert_close(what, number, i, c->data[i], wanted[i], tolerance);
}

/* snake.c: a layer that is not built in, in one file.
 *
 *     y  = x + sin(a x)^2 / a          for every element; a > 0
 *     dx = dy (1 + sin(2 a x))
 *
 * Liu Ziyin, Tilman Hartwig, Masahito Ueda: "Neural Networks Fail to Learn Periodic Functions and How to Fix It", 2020.
 * How to build it stands in ../custom_layer.lua; how it came about, line by line, in docs/plugin-guide.md. */
#include "perilune/plugin.h"

#define BLOCK 256 /* elements at a time: the sines live on the stack */

typedef struct snake {
    double a;
} snake;

static const pln_option options[] = {
    {.name = "a",
     .help = "frequency of the ripple",
     .type = PLN_REAL,
     .flags = PLN_OPEN_LO,
     .offset = offsetof(snake, a),
     .dflt = 1,
     .lo = 0,
     .hi = 1000},
};

/* One output like the input; backward needs x. */
static int plan(const pln_host *h, pln_plan *p, const void *opts, int mode, const pln_slot *const *in, uint32_t nin)
{
    const pln_slot *x = in[0];
    pln_slot y = {.size = PLN_SIZE_TO(pln_slot, shape), .kind = PLN_OUTPUT, .dtype = PLN_F32};
    pln_slot keep = {.size = PLN_SIZE_TO(pln_slot, shape), .kind = PLN_KEEP_INPUT, .index = 0};
    (void)opts, (void)mode, (void)nin;

    y.rank = x->rank;
    y.time_axis = x->time_axis;
    for (uint32_t i = 0; i < x->rank; i++)
        y.shape[i] = x->shape[i];
    return h->slot(h, p, &y) || h->slot(h, p, &keep);
}

static int64_t count(const pln_tensor *t)
{
    int64_t n = 1;
    for (uint32_t i = 0; i < t->rank; i++)
        n *= t->shape[i];
    return n;
}

static int forward(const pln_host *h, const pln_call *c)
{
    const float a = (float)((const snake *)c->opts)->a, *x = c->in[0]->data;
    float *y = c->out[0]->data, s[BLOCK];

    for (int64_t left = count(c->in[0]), n; left > 0; left -= n, x += n, y += n) {
        n = left < BLOCK ? left : BLOCK;
        for (int64_t i = 0; i < n; i++)
            s[i] = a * x[i];
        if (h->map(h, PLN_MAP_SIN, n, s, s))
            return PLN_FAIL;
        for (int64_t i = 0; i < n; i++)
            y[i] = x[i] + s[i] * s[i] / a;
    }
    return PLN_OK;
}

static int backward(const pln_host *h, const pln_call *c)
{
    const float a = (float)((const snake *)c->opts)->a, *x = c->in[0]->data, *dy = c->dout[0]->data;
    float s[BLOCK];

    if (!c->din[0]) /* nobody asks: the layer before needs no gradient */
        return PLN_OK;
    float *dx = c->din[0]->data;
    for (int64_t left = count(c->in[0]), n; left > 0; left -= n, x += n, dy += n, dx += n) {
        n = left < BLOCK ? left : BLOCK;
        for (int64_t i = 0; i < n; i++)
            s[i] = 2 * a * x[i];
        if (h->map(h, PLN_MAP_SIN, n, s, s))
            return PLN_FAIL;
        for (int64_t i = 0; i < n; i++)
            dx[i] = dy[i] * (1 + s[i]);
    }
    return PLN_OK;
}

static const pln_layer layer = {
    .size = PLN_SIZE_TO(pln_layer, backward),
    .kind = PLN_LAYER,
    .id = "org.example.snake",
    .name = "Snake",
    .help = "x + sin(a x)^2 / a: nearly linear, with a ripple, so that nets learn what repeats",
    .version = 1,
    .flags = PLN_SAMPLEWISE,
    .noptions = sizeof options / sizeof options[0],
    .options = options,
    .option_stride = sizeof options[0],
    .opts_size = sizeof(snake),
    .min_in = 1,
    .max_in = 1,
    .plan = plan,
    .forward = forward,
    .backward = backward,
};

static const void *const descriptors[] = {&layer, NULL};

const pln_plugin perilune_plugin = {
    .magic = PLN_MAGIC,
    .size = PLN_SIZE_TO(pln_plugin, descriptors),
    .major = PLN_MAJOR,
    .minor = PLN_MINOR,
    .id = "org.example.snake",
    .version = "1.0",
    .licence = "MIT",
    .descriptors = descriptors,
};

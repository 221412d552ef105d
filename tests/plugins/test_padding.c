/* Conv2D, MaxPooling2D and AveragePooling2D against tfjs, whose layers are Keras's: where padding is not obvious (strides,
 * dilation, even kernels, odd sizes).  Inputs are whole numbers from a formula, so that answers are exact and
 * gradients can be compared by a checksum.  See tests/fixtures/padding/conv_padding.mjs, which made padding.txt. */
#include "layer_bench.h"

#include "plugin/host.h"
#include "plugin/registry.h"

enum { INPUT = 1, KERNEL, BIAS, GRADIENT };

#define DIVISIBLE 144 /* averages of multiples of it are whole numbers, for all windows of the file */

typedef struct sheet {
    char layer[64], options[128], in[64], out[64];
    int64_t count;
    long outputs[256];
    int ngradients;
    uint32_t gradients[3]; /* checksums of din, dkernel, dbias */
} sheet;

static registry *plugins;
static host engine;
static error said;

static const char *what_the_host_said(void)
{
    host_take_error(&engine, PLN_FAIL, &said);
    return said.text;
}

/* ---- numbers ---- */

/* Number i of a stream (the finalizer of MurmurHash3). */
static uint32_t number(uint32_t stream, uint32_t i)
{
    uint32_t x = i + stream * 0x9E3779B9u;
    x = (x ^ x >> 16) * 0x85EBCA6Bu;
    x = (x ^ x >> 13) * 0xC2B2AE35u;
    return x ^ x >> 16;
}

static void put_numbers(cell *c, uint32_t stream, int most, int factor)
{
    for (int64_t i = 0; i < c->count; i++)
        c->data[i] = (float)(((int)(number(stream, (uint32_t)i) % (uint32_t)(2 * most + 1)) - most) * factor);
}

/* The whole number meant; averages carry the rounding of a division. */
static int32_t whole(const char *what, const cell *c, int64_t i)
{
    const float x = c->data[i], nearest = roundf(x);
    if (!(fabsf(x - nearest) <= 1e-2f))
        fail_msg("%s, element %lld: %.9g is no whole number", what, (long long)i, (double)x);
    return (int32_t)nearest;
}

/* FNV-1a over whole numbers instead of bytes. */
static uint32_t checksum(const char *what, const cell *c)
{
    uint32_t h = 2166136261u;
    for (int64_t i = 0; i < c->count; i++)
        h = (h ^ (uint32_t)whole(what, c, i)) * 16777619u;
    return h;
}

/* ---- the file ---- */

static void read_outputs(sheet *s, const char *text)
{
    char *end;
    for (s->count = 0;; text = end) {
        const long v = strtol(text, &end, 10);
        if (end == text)
            return;
        assert_true(s->count < 256);
        s->outputs[s->count++] = v;
    }
}

/* Lines up to the next "case", which is read too: `next` holds it from call to call. 0 at the end. */
static int read_sheet(FILE *f, sheet *s, char *next, int room)
{
    if (!next[0] && !fgets(next, room, f))
        return 0;
    *s = (sheet){0};
    assert_int_equal(sscanf(next, "case %63s %127[^\n]", s->layer, s->options), 2);
    while (fgets(next, room, f)) {
        if (sscanf(next, "in %63s", s->in) == 1)
            continue;
        if (sscanf(next, "out %63s", s->out) == 1)
            read_outputs(s, strchr(next, ':') + 1);
        else if (strncmp(next, "gradients", 9) == 0)
            s->ngradients = sscanf(next, "gradients %u %u %u", &s->gradients[0], &s->gradients[1], &s->gradients[2]);
        else
            return 1;
    }
    next[0] = 0;
    return 1;
}

/* ---- one case ---- */

static void bench_plan(bench *b, struct pln_plan *plan, const pln_node *node, const sheet *s)
{
    const plugin_entry *entry;
    if (registry_find(plugins, PLN_LAYER, s->layer, &entry, &said) != PLN_OK)
        fail_msg("%s", said.text);
    *b = (bench){.host = &engine.table,
                 .layer = (const pln_layer *)(const void *)entry->head,
                 .node = node,
                 .said = what_the_host_said,
                 .mode = PLN_TRAIN};
    bench_open(b, s->options, s->in);
    if (host_plan(&engine, b->layer, b->opts, b->mode, (const pln_slot *const[]){&b->in_slots[0]}, 1, node, plan,
                  &said))
        fail_msg("%s", said.text);
    bench_take(b, plan->slots, plan->nslots);
}

static void check_outputs(const bench *b, const sheet *s)
{
    char shape[64];
    const int64_t *n = b->out[0].t.shape;
    snprintf(shape, sizeof shape, "%d,%d,%d,%d", (int)n[0], (int)n[1], (int)n[2], (int)n[3]);
    assert_string_equal(shape, s->out);
    assert_int_equal(b->out[0].count, s->count);
    for (int64_t i = 0; i < s->count; i++)
        if (whole("output", &b->out[0], i) != s->outputs[i])
            fail_msg("output, element %lld: is %g, expected %ld", (long long)i, (double)b->out[0].data[i],
                     s->outputs[i]);
}

static void check_case(const sheet *s)
{
    static const pln_node node;
    struct pln_plan plan;
    bench b;
    const int average = strcmp(s->layer, "AveragePooling2D") == 0, conv = strcmp(s->layer, "Conv2D") == 0;
    print_message("# %s %s on %s\n", s->layer, s->options, s->in);
    bench_plan(&b, &plan, &node, s);
    put_numbers(&b.in[0], INPUT, conv ? 3 : 4, average ? DIVISIBLE : 1);
    put_numbers(&b.dout[0], GRADIENT, 2, average ? DIVISIBLE : 1);
    for (int i = 0; i < b.nparam; i++)
        put_numbers(&b.param[i], KERNEL + (uint32_t)i, 2, 1);
    bench_forget(&b);
    bench_call(&b, 0, ALL);
    check_outputs(&b, s);
    bench_call(&b, 1, ALL);
    if (s->ngradients)
        assert_int_equal(s->ngradients, 1 + b.nparam);
    for (int i = 0; i < s->ngradients; i++)
        if (checksum("gradient", i ? &b.dparam[i - 1] : &b.din[0]) != s->gradients[i])
            fail_msg("%s: the gradient of %s is not tfjs's", s->options,
                     i == 0   ? "the input"
                     : i == 1 ? "kernel"
                              : "bias");
    bench_free(&b);
}

/* Cases of one layer; at least `least` of them. */
static void check_layer(const char *layer, int least)
{
    static char next[1 << 12];
    static sheet s;
    int cases = 0;
    FILE *f = fopen(FIXTURES_DIR "/padding.txt", "r");
    assert_non_null(f);
    for (next[0] = 0; read_sheet(f, &s, next, sizeof next);)
        if (strcmp(s.layer, layer) == 0) {
            check_case(&s);
            cases++;
        }
    fclose(f);
    assert_true(cases >= least);
}

static void conv2d_pads_as_keras_does(void **state)
{
    (void)state;
    check_layer("Conv2D", 228);
}

static void max_pooling_pads_and_chooses_as_keras_does(void **state)
{
    (void)state;
    check_layer("MaxPooling2D", 96);
}

static void average_pooling_counts_what_is_inside_as_keras_does(void **state)
{
    (void)state;
    check_layer("AveragePooling2D", 96);
}

static int begin(void **state)
{
    (void)state;
    host_open(&engine, NULL);
    return registry_open(PLUGINS_DIR, &plugins, &said);
}

static int end(void **state)
{
    (void)state;
    registry_free(plugins);
    host_free(&engine);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conv2d_pads_as_keras_does),
        cmocka_unit_test(max_pooling_pads_and_chooses_as_keras_does),
        cmocka_unit_test(average_pooling_counts_what_is_inside_as_keras_does),
    };
    return cmocka_run_group_tests(tests, begin, end);
}

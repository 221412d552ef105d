/* plugin.h: what a plugin for Perilune sees.  This is all of it.
 *
 * A plugin is one shared object that exports one data symbol, `perilune_plugin`, and links against nothing: every
 * service of the host arrives through the table `pln_host`.  It may hold one layer, optimizer, loss or metric, or a
 * family of them.  Build it with
 *
 *     gcc -shared -fPIC -O3 -fno-math-errno -fno-trapping-math -ffp-contract=off $(pkg-config --cflags perilune-plugin) snake.c -o snake.so
 *
 * and never with -ffast-math, which changes the processor's state on loading, and bits.
 *
 * Version 0 is a draft: it may change until version 1 freezes it.  The major number of plugin and host must match, the
 * minor may differ either way.  Structs that cross the border go by pointer and begin with `size`, the bytes
 * up to the end of the last field the writer knew (PLN_SIZE_TO); they only grow at their end.  Values of an
 * enumeration are never used twice.  C11 and C++17.
 *
 * Shapes are written [n,h,w,c]: n samples, channels last, row-major.  All arithmetic is float32; data sets may hold
 * bytes, which the host turns into float32 before a layer sees them, unless the layer says otherwise in `dtypes`.
 *
 * Thread rules, used below:
 *   [main]   called on one thread, never while another call of the same instance is running;
 *   [any]    called on any lane, several at once for different pieces; touches only what its arguments name;
 *   [pure]   any thread, no effects, the same answer each time.
 */
/* Laid out by hand, to be read: */
/* clang-format off */
#ifndef PERILUNE_PLUGIN_H
#define PERILUNE_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PLN_MAGIC 0x314E4C50u /* "PLN1" */
#define PLN_MAJOR 0
#define PLN_MINOR 1
#define PLN_RANK 8        /* most dimensions of a tensor, the batch included */
#define PLN_BATCH (-1)    /* a dimension known only per call; all others are fixed when the model is built */

/* Bytes of `type` up to the end of `field`: what goes into a struct's `size` (sizeof would count padding, which lies). */
#define PLN_SIZE_TO(type, field) (offsetof(type, field) + sizeof(((type *)0)->field))

/* Status: what every function returns.  Return `h->fail(...)`, which is PLN_FAIL, after saying why. */
enum { PLN_OK = 0, PLN_FAIL = 1 };

/* Element types. */
enum { PLN_F32 = 1, PLN_BF16 = 2, PLN_F16 = 3, PLN_U8 = 4, PLN_I32 = 5, PLN_I64 = 6 };
#define PLN_DTYPE(t) (1u << (t)) /* for pln_layer.dtypes and the like */

/* Kinds of descriptor. */
enum { PLN_LAYER = 1, PLN_OPTIMIZER = 2, PLN_LOSS = 3, PLN_METRIC = 4 };

/* Modes of a plan or call. */
enum { PLN_INFER = 0, PLN_TRAIN = 1 };

typedef struct pln_host pln_host; /* the services, below */
typedef struct pln_plan pln_plan; /* a plan being made; opaque */
typedef struct pln_node pln_node; /* one use of a layer in a graph; opaque, for fail() and random() */

/* ------------------------------------------------------------------------------------------------ tensors ---- */

/* A view of memory that the host owns; always handled as `pln_tensor *`.  Contiguous unless the layer says
 * PLN_STRIDED; `data` is aligned to 64 bytes at sample 0 of a whole tensor, and to the element elsewhere. */
typedef struct pln_tensor {
    uint32_t size, dtype, rank;
    uint32_t time_axis;            /* the axis that is time (1 in [n,t,c]); 0: none */
    void *data;
    int64_t shape[PLN_RANK];       /* shape[0] is the number of samples in this call for batch tensors */
    int64_t stride[PLN_RANK];      /* in elements */
    int64_t first;                 /* index of sample 0 in the whole batch: keys randomness, not the piece */
    const int32_t *lengths;        /* valid time steps of each sample, or NULL: all of them */
    void *host;                    /* the host's own; leave it alone */
} pln_tensor;

/* ------------------------------------------------------------------------------------------------ options ---- */

/* Types of an option, and what the host writes at opts + offset:
 *   PLN_INT     int64_t
 *   PLN_REAL    double
 *   PLN_BOOL    int64_t, 0 or 1
 *   PLN_CHOICE  int64_t, the index in `choices`
 *   PLN_INTS    int64_t[max_count] and, at count_offset, int64_t: how many were given.  A single integer in the script is taken
 *               as `max_count` copies of it where PLN_SPREAD is set, otherwise as a list of one
 *   PLN_TEXT    const char *, owned by the host, alive as long as the instance */
enum { PLN_INT = 1, PLN_REAL = 2, PLN_BOOL = 3, PLN_CHOICE = 4, PLN_INTS = 5, PLN_TEXT = 6 };
enum {
    PLN_REQUIRED = 1,     /* the script must give it; dflt is not used */
    PLN_LIVE = 2,         /* may be changed between epochs (a learning rate) */
    PLN_SPREAD = 4,       /* PLN_INTS: kernel_size = 3 means {3, 3} */
    PLN_POSITIONAL = 8,   /* may be written without its name, as the table's list: nn.Input { 28, 28, 1 } */
    PLN_INITIALIZER = 16, /* PLN_TEXT naming an initializer, such as "glorot_uniform"; pass it on in pln_slot.init */
    PLN_OPEN_LO = 32,     /* lo itself is not allowed (rate < 1 is PLN_OPEN_HI with hi = 1) */
    PLN_OPEN_HI = 64
};

/* An option, declared as data: the host parses it, checks it, suggests spellings, documents and stores it. */
typedef struct pln_option {
    const char *name;           /* Keras's word where Keras has one */
    const char *help;           /* one line of prose */
    uint32_t type, flags;
    uint32_t offset;            /* offsetof the field in the options struct */
    uint32_t max_count;         /* PLN_INTS: room in the array */
    uint32_t count_offset;      /* PLN_INTS: offsetof the int64_t that receives the count; 0 with PLN_SPREAD: none wanted */
    double dflt;                /* default of INT, REAL, BOOL, CHOICE; of every entry with PLN_SPREAD */
    double lo, hi;              /* bounds, both allowed unless OPEN; no bounds when lo == hi */
    const char *dflt_text;      /* default of PLN_TEXT; NULL: none */
    const char *const *choices; /* PLN_CHOICE: names, ended by NULL */
} pln_option;

/* -------------------------------------------------------------------------------------------------- slots ---- */

/* What a node needs.  `plan` declares slots in any order; within a kind their order is the index in pln_call. */
enum {
    PLN_OUTPUT = 1,      /* an output, [n, …]; at least one */
    PLN_PARAM = 2,       /* a trained parameter; belongs to the instance, shared by all nodes of a layer used twice */
    PLN_STATE = 3,       /* kept with the weights but not trained (moving averages); belongs to the instance */
    PLN_KEEP = 4,        /* written in forward, read in backward; belongs to the node; training plans only */
    PLN_KEEP_INPUT = 5,  /* backward reads in[index]; without it, in[index]->data is NULL in backward */
    PLN_KEEP_OUTPUT = 6, /* backward reads out[index]; likewise */
    PLN_SCRATCH = 7      /* memory within one call; contents undefined at its start */
};
enum {
    PLN_NO_DECAY = 1,      /* PARAM: weight decay leaves it alone (biases, gains) */
    PLN_GRAD_ONCE = 2,     /* PARAM: one gemm or conv call finishes its gradient, so the host may update the weights
                              inside that call.  Compute the input gradients first; then hand the tensor to that call and never
                              touch it: its data may be NULL */
    PLN_PER_LANE = 4,      /* SCRATCH: one for each lane of a node whose pieces run at once; implied by PLN_SAMPLEWISE */
    PLN_VIEW = 8,          /* OUTPUT: is input `index` under another shape; forward and backward are not called */
    PLN_IN_PLACE = 16,     /* OUTPUT: may overwrite input `index` (and then din may be dout): element i of the result
                              depends on element i alone */
    PLN_PER_SEQUENCE = 32  /* STATE: carried between batches, one row a sample; reserved */
};

/* A slot.  The host allocates, aligned to 64 bytes.  The struct is copied by h->slot; its texts must stay until `plan` has returned
 * (literals, or texts of the options). */
typedef struct pln_slot {
    uint32_t size, kind;
    uint32_t index;             /* the input or output meant by VIEW, IN_PLACE, KEEP_INPUT, KEEP_OUTPUT */
    uint32_t flags;
    const char *name;           /* PARAM, STATE: "kernel"; the key in a weights file */
    const char *axes;           /* PARAM: one letter an axis, for fan-in and fan-out: I input, O output, other letters
                                   are a receptive field ("HWIO", "IO", "O") */
    const char *init;           /* PARAM, STATE: initializer: "glorot_uniform", "zeros", … */
    uint32_t dtype, rank, time_axis;
    int64_t shape[PLN_RANK];    /* shape[0] == PLN_BATCH: grows with the batch; otherwise fixed */
} pln_slot;

/* -------------------------------------------------------------------------------------------------- layers ---- */

/* One call of one node: on the whole batch, or on a piece of it (PLN_SAMPLEWISE).  All arrays are in the order in
 * which `plan` declared the slots. */
typedef struct pln_call {
    uint32_t size, mode;
    uint32_t nin, nout;
    const void *opts;                   /* the options struct of the instance */
    const pln_node *node;
    const pln_tensor *const *in;        /* [nin] */
    pln_tensor *const *out;             /* [nout] */
    const pln_tensor *const *dout;      /* backward: d loss / d out[i]; never NULL */
    pln_tensor *const *din;             /* backward: overwrite with d loss / d in[i]; din[i] == NULL: not wanted */
    const pln_tensor *const *param;     /* the weights */
    pln_tensor *const *dparam;          /* backward: see beta; dparam[i] == NULL: frozen, not wanted */
    float beta;                         /* dparam = beta * dparam + gradient.  0 on the first write: do not read it */
    pln_tensor *const *state;
    pln_tensor *const *keep;            /* NULL entries when inferring */
    pln_tensor *const *scratch;         /* this lane's */
    uint64_t step;                      /* number of the training step, from 0 */
    uint32_t lane;                      /* which lane this is; how many there are is nobody's business */
} pln_call;

enum {
    PLN_SAMPLEWISE = 1,   /* samples do not depend on each other: a permission to cut the batch into pieces that run at
                             once.  The host does so where the parameter gradients are small, and adds up the pieces' in a fixed
                             order; else it calls once, and gemm and conv cut the work */
    PLN_ELEMENTWISE = 2,  /* optimizers: bits do not depend on where a parameter is cut into slices */
    PLN_STRIDED = 4,      /* reads strides of its inputs; reserved */
    PLN_MAIN_THREAD = 8,  /* must be called on the thread that called the engine; reserved for layers written in Lua */
    PLN_MASK_AWARE = 32,  /* honours `lengths`; other layers refuse tensors that have them */
    PLN_SAMPLEWISE_INFER = 128, /* samples depend on each other in training alone (batch statistics) */
    PLN_ORDER_ONLY = 64   /* metrics: only the order of the scores matters, so that logits serve as well as probabilities */
};

/* What every descriptor begins with.  Static data: the host keeps pointers into it. */
#define PLN_DESCRIPTOR                                                                                                  \
    uint32_t size, kind;                                                                                                \
    const char *id;             /* "org.perilune.dense": reverse domain, never reused for something else */             \
    const char *name;           /* the type as written in scripts: "Dense" */                                           \
    const char *help;           /* one line of prose */                                                                 \
    uint32_t version;           /* of the options' layout, for migrate */                                               \
    uint32_t flags;                                                                                                     \
    uint32_t dtypes;            /* layers: accepted element types of inputs; 0: PLN_F32 alone */                               \
    uint32_t noptions;                                                                                                  \
    const pln_option *options;                                                                                          \
    uint32_t option_stride;     /* sizeof(pln_option) as the plugin knew it */                                          \
    uint32_t opts_size;         /* sizeof the options struct */                                                         \
    const void *(*extension)(const char *id); /* [pure] may be NULL; see pln_host.extension */                          \
    int (*migrate)(const pln_host *, uint32_t from, void *opts) /* reserved: set NULL */

typedef struct pln_layer {
    PLN_DESCRIPTOR;
    uint32_t min_in, max_in;    /* number of inputs; 0, 0: a source, whose output the host fills from the data set */
    const char *link;           /* e.g. "pln.logits.softmax": a loss with the same link takes this layer's input
                                   instead of its output, and in training this layer is not run unless something reads it */

    /* Declares the node's slots with h->slot.  [pure]: allocates nothing, may run any number of times.
     * in[i]: shape (shape[0] == PLN_BATCH), dtype and time axis of input i. */
    int (*plan)(const pln_host *h, pln_plan *p, const void *opts, int mode, const pln_slot *const *in, uint32_t nin);

    /* out = f(in).  [any] if PLN_SAMPLEWISE, else [main].  NULL for sources and pure views. */
    int (*forward)(const pln_host *h, const pln_call *c);

    /* din, dparam from dout.  The same rule.  NULL: not differentiable (or a view). */
    int (*backward)(const pln_host *h, const pln_call *c);
} pln_layer;

/* ---------------------------------------------------------------------------------------------- optimizers ---- */

/* A slice of one parameter to update.  The gradient meant is gscale * g[i] (clipping, loss scale); decoupled weight decay
 * and the like see PLN_NO_DECAY in param_flags. */
typedef struct pln_update {
    uint32_t size, param_flags;
    int64_t offset, count;      /* where the slice lies in the parameter; offset is a multiple of 64 if ELEMENTWISE */
    float *w;                   /* [count], updated in place */
    const float *g;             /* [count] */
    float *const *slot;         /* the optimizer's own arrays ("m", "v"), [count] each, zero at the beginning; NULL for
                                   those that `uses` left out */
    float gscale;
    double lr;                  /* learning rate of this step */
    uint64_t step;              /* from 0 */
    const void *opts;
    const double *k;            /* the eight numbers that `begin` wrote */
} pln_update;

typedef struct pln_optimizer {
    PLN_DESCRIPTOR;             /* an option named "learning_rate" gives lr; PLN_ELEMENTWISE: any slice on any lane */
    const char *const *slots;   /* names of the arrays kept for each parameter, ended by NULL; NULL: none */
    /* [main] once a step, before any update: what all slices share, such as bias corrections.  May be NULL. */
    void (*begin)(const void *opts, uint64_t step, double lr, double k[8]);
    int (*update)(const pln_host *h, const pln_update *u); /* [any] */
    /* [pure] which slots these options need (bit i: slots[i]); NULL: all of them.  SGD without momentum needs none. */
    uint32_t (*uses)(const void *opts);
} pln_optimizer;

/* --------------------------------------------------------------------------------------- losses and metrics ---- */

typedef struct pln_loss_call {
    uint32_t size, lane;
    const void *opts;
    const pln_node *node;
    uint64_t step;
    const pln_tensor *pred;     /* [n, …], or the link's logits */
    const pln_tensor *target;   /* [n] or [n, …]; PLN_I32 class numbers or PLN_F32 values, as `check` accepted */
    pln_tensor *scratch;        /* as large as pred */
    float *value;               /* losses: [n], one number a sample; the host weights them and sums in double */
    const float *scale;         /* losses: [n] */
    pln_tensor *dpred;          /* losses: dpred = scale[i] * d value[i] / d pred; NULL when evaluating; may not be pred */
    const float *weight;        /* metrics: [n] sample weights, or NULL: all 1 */
    int linked;                 /* pred is the input of the linked layer (logits), not its output */
} pln_loss_call;

typedef struct pln_loss {
    PLN_DESCRIPTOR;
    const char *link;           /* see pln_layer.link; NULL: none */
    const char *metric;         /* the metric meant by "accuracy" with this loss; NULL: none fits */
    /* [pure] do prediction and target fit?  Says what is wrong with h->fail.  Both shapes have PLN_BATCH first. */
    int (*check)(const pln_host *h, const void *opts, const pln_node *node, const pln_slot *pred, const pln_slot *target);
    int (*run)(const pln_host *h, const pln_loss_call *c); /* [any], on pieces of the batch */
} pln_loss;

typedef struct pln_metric {
    PLN_DESCRIPTOR;             /* PLN_ORDER_ONLY if logits serve as well as probabilities */
    /* [pure] how many running sums it needs for this prediction (at most 4096), or a failure if it does not fit. */
    int (*cells)(const pln_host *h, const void *opts, const pln_node *node, const pln_slot *pred, const pln_slot *target,
                 uint32_t *ncells);
    /* [any] adds a piece of the batch to cells, which begin at 0; cells of pieces add up: that is the merge. */
    int (*update)(const pln_host *h, const pln_loss_call *c, double *cells);
    /* [pure] the metric's value. */
    double (*result)(const void *opts, const double *cells);
} pln_metric;

/* ---------------------------------------------------------------------------------------- the host's services ---- */

enum { PLN_TRANS_A = 1, PLN_TRANS_B = 2 };

/* c = beta * c + alpha * op(a) op(b) + bias, with op(a) [m,k], op(b) [k,n], c [m,n] and bias [n] or NULL.
 * A matrix is a window of a tensor: the element offset `off_*` and the row length `ld*` in elements; a transposed
 * operand is stored [k,m] (a) or [n,k] (b).  beta 0 does not read c.  colsum, if not NULL, receives
 * colsum[j] = beta * colsum[j] + sum over rows i of op(b)[i,j]: the gradient of a bias comes along with the gradient of its kernel.
 * The bits depend on m, n, k and the values alone, not on lanes nor on how the host cuts the work. */
typedef struct pln_gemm {
    uint32_t size, flags;
    int64_t m, n, k;
    const pln_tensor *a, *b;
    pln_tensor *c;
    int64_t off_a, off_b, off_c, lda, ldb, ldc;
    float alpha, beta;
    const pln_tensor *bias;
    pln_tensor *colsum;
} pln_gemm;

enum { PLN_CONV_FORWARD = 1, PLN_CONV_DINPUT = 2, PLN_CONV_DWEIGHT = 3 };

/* A two-dimensional convolution (cross-correlation, as in Keras): x [n,h,w,c], w [kh,kw,c/groups,f], y [n,oh,ow,f],
 * bias [f] or NULL.  y[.,i,j,.] reads x rows i*stride[0] - pad_lo[0] + u*dilation[0], u = 0 .. kh-1.
 * FORWARD writes y; DINPUT overwrites x; DWEIGHT writes w = beta*w + gradient, and bias likewise. */
typedef struct pln_conv {
    uint32_t size, pass;
    uint32_t groups;
    int64_t stride[2], dilation[2], pad_lo[2], pad_hi[2];
    const pln_tensor *x, *w, *bias, *y;     /* inputs of the pass; NULL where the pass writes it */
    pln_tensor *out;                        /* FORWARD: y.  DINPUT: x.  DWEIGHT: w */
    pln_tensor *out_bias;                   /* DWEIGHT: bias gradient, or NULL */
    float beta;
} pln_conv;

enum { PLN_UNIFORM = 1 /* [0,1) */, PLN_NORMAL = 2 /* mean 0, variance 1 */ };

/* out[i] = f(x[i]); out may be x.  Built-ins use these instead of libm, whose bits change with its version and the CPU. */
enum {
    PLN_MAP_EXP = 1, PLN_MAP_LOG = 2, PLN_MAP_TANH = 3, PLN_MAP_ERF = 4, PLN_MAP_SIGMOID = 5, PLN_MAP_EXPM1 = 6,
    PLN_MAP_LOG1P = 7, PLN_MAP_SIN = 8, PLN_MAP_COS = 9
};

typedef int pln_body(void *ctx, int64_t begin, int64_t end, uint32_t lane);
typedef int pln_sum_body(void *ctx, int64_t begin, int64_t end, double *acc);

struct pln_host {
    uint32_t size;
    uint16_t major, minor;

    /* Says what is wrong and returns PLN_FAIL.  The host adds the script's line, the layer's number and type.  [any] */
    int (*fail)(const pln_host *h, const pln_node *node, const char *format, ...);

    /* Declares a slot; in `plan` only.  In it, use refuse() below, not fail(). */
    int (*slot)(const pln_host *h, pln_plan *p, const pln_slot *slot);

    /* fail() for use inside `plan`, where there is no node yet.  Returns PLN_FAIL. */
    int (*refuse)(const pln_host *h, pln_plan *p, const char *format, ...);

    /* Calls body on ranges of 0 .. n-1 of `grain` elements (the last may be shorter) on all lanes; the cut depends on n and grain
     * alone.  Inside a piece it runs inline. */
    int (*parallel_for)(const pln_host *h, int64_t n, int64_t grain, pln_body *body, void *ctx);

    /* The same with `width` (at most 4096) running sums a range, added up in the order of the ranges into out[width]. */
    int (*sum)(const pln_host *h, int64_t n, int64_t grain, uint32_t width, pln_sum_body *body, void *ctx, double *out);

    /* Numbers `first` .. first+n-1 of the node's stream at this step: pass first = tensor.first * elements a sample,
     * and forward and backward, whole or in pieces, see the same numbers.  `dist`: PLN_UNIFORM or PLN_NORMAL.  [any] */
    int (*random)(const pln_host *h, const pln_call *c, uint32_t stream, uint32_t dist, int64_t first, int64_t n, float *out);

    int (*gemm)(const pln_host *h, const pln_gemm *g);  /* [any] */
    int (*conv)(const pln_host *h, const pln_conv *c);  /* [any] */
    int (*map)(const pln_host *h, uint32_t op, int64_t n, const float *x, float *out); /* [any] */

    /* level 0 debug, 1 information, 2 warning.  [any] */
    void (*log)(const pln_host *h, int level, const char *format, ...);

    /* Asks the host for an optional table by name, such as "pln.flops/1"; NULL: it has none.  [pure] */
    const void *(*extension)(const pln_host *h, const char *id);
};

/* Does this host have the service `f`?  For fields appended after the version a plugin was built for. */
#define PLN_HAS(h, f) ((h)->size >= offsetof(pln_host, f) + sizeof((h)->f))

/* The one export:  const pln_plugin perilune_plugin = { PLN_MAGIC, … }; */
typedef struct pln_plugin {
    uint32_t magic, size;
    uint16_t major, minor;
    const char *id, *version, *licence;
    const void *const *descriptors;     /* pln_layer, pln_optimizer, pln_loss, pln_metric; ended by NULL */
} pln_plugin;

#if defined(__GNUC__)
#define PLN_EXPORT __attribute__((visibility("default")))
#else
#define PLN_EXPORT
#endif
#ifdef __cplusplus
extern PLN_EXPORT const pln_plugin perilune_plugin;
}
#else
extern PLN_EXPORT const pln_plugin perilune_plugin;
#endif

#ifndef __cplusplus
/* For C: the services above with `size` filled in and fields by name, and the export in a line:
 *
 *     PLN_SLOT(h, p, .kind = PLN_OUTPUT, .dtype = PLN_F32, .rank = 2, .shape = {PLN_BATCH, o->units})
 *     PLN_GEMM(h, .m = rows, .n = units, .k = in, .a = x, .lda = in, …, .alpha = 1)
 *     PLN_PLUGIN("org.you.snake", "1.0", "MIT", &snake);            one descriptor or several */
#define PLN_SLOT(h, p, ...) (h)->slot((h), (p), &(pln_slot){.size = PLN_SIZE_TO(pln_slot, shape), __VA_ARGS__})
#define PLN_GEMM(h, ...)    (h)->gemm((h), &(pln_gemm){.size = PLN_SIZE_TO(pln_gemm, colsum), __VA_ARGS__})
#define PLN_CONV(h, ...)    (h)->conv((h), &(pln_conv){.size = PLN_SIZE_TO(pln_conv, beta), __VA_ARGS__})
#define PLN_PLUGIN(ident, number, terms, ...)                                                                           \
    static const void *const pln_descriptors[] = {__VA_ARGS__, NULL};                                                   \
    const pln_plugin perilune_plugin = {.magic = PLN_MAGIC,                                                             \
                                        .size = PLN_SIZE_TO(pln_plugin, descriptors),                                   \
                                        .major = PLN_MAJOR,                                                             \
                                        .minor = PLN_MINOR,                                                             \
                                        .id = (ident),                                                                  \
                                        .version = (number),                                                            \
                                        .licence = (terms),                                                             \
                                        .descriptors = pln_descriptors}
#endif

#endif

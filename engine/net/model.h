/* Models: a graph of layer instances, and their weights.
 *
 * A layer is an instance: a type, its options, its parameters.  A node is one use of a layer; a layer used twice has two
 * nodes and one set of parameters.  A model is built front to back: make layers, apply them to values (shapes are
 * inferred at once, so that an error points at the line where the layer was written), name the outputs, then draw the
 * initial weights from a seed.
 *
 * Thread rule: one thread at a time builds; a built model may be read by all.
 */
#ifndef NET_MODEL_H
#define NET_MODEL_H

#include <jansson.h>

#include "base/hash.h"
#include "base/random.h"
#include "plugin/options.h"
#include "plugin/registry.h"

#define MODEL_PORTS 8 /* most inputs or outputs of a node or a model */

/* One parameter or state array of a layer. */
typedef struct parameter {
    int layer;            /* the instance it belongs to */
    uint32_t kind, flags; /* PLN_PARAM or PLN_STATE; PLN_NO_DECAY, PLN_GRAD_ONCE */
    char name[64];        /* "kernel" */
    char axes[PLN_RANK + 1];
    char init[128]; /* initializer */
    int rank;
    int64_t shape[PLN_RANK];
    int64_t size;   /* elements */
    int64_t offset; /* in the model's weights, in floats, a multiple of 64 */
    int trainable;
} parameter;

typedef struct layer {
    const plugin_entry *entry;
    const pln_layer *type;
    options opts;
    char name[96];   /* unique in the model: "dense", "dense_1", or as given */
    char where[256]; /* the script's line: "mnist_cnn.lua:11", or "" */
    int named;       /* the script gave the name */
    int trainable;
    struct layer *activation;             /* applied after each node of it, or NULL */
    int parameters, nparameters, nstates; /* in model->parameters, params first; -1: not applied yet */
    int number;                           /* 1-based position among the model's visible layers, for messages */
    int hidden;                           /* is somebody's activation */
    int references;
} layer;

/* An output of a node. */
typedef struct value {
    int node, output;
} value;

typedef struct node {
    int layer;
    char name[112]; /* the layer's name, with "#2" from its second use on */
    int nin, nout;
    value in[MODEL_PORTS];
    pln_slot out[MODEL_PORTS];
} node;

typedef struct model {
    registry *plugins;
    layer **layers; /* counted references */
    int nlayers;
    node **nodes; /* in an order in which each comes after its inputs */
    int nnodes;
    parameter *parameters;
    int nparameters;
    value inputs[MODEL_PORTS], outputs[MODEL_PORTS];
    int ninputs, noutputs;
    float *weights;     /* all parameters and states, 64-byte aligned; NULL until model_initialize */
    int64_t nweights;   /* floats in it, gaps included: trainable parameters first, then frozen ones, then states */
    int64_t ntrainable; /* floats of the first part */
    char **classes;     /* class names, or NULL */
    int nclasses;
    int final; /* model_outputs has been called */
    int references;
} model;

/* Makes an instance.  The host's own options are taken out of `values` first: name, trainable, activation.
 * `where` is the script's line for messages (may be NULL).  The caller owns one reference. */
int layer_make(registry *plugins, const char *type, const option_value *values, int n, const char *where, layer **out,
               error *e);
void layer_free(layer *l); /* gives a reference back; NULL is allowed */
layer *layer_keep(layer *l);

int model_make(registry *plugins, model **out, error *e);
void model_free(model *m); /* gives a reference back; NULL is allowed */
model *model_keep(model *m);

/* Applies `l` (a further reference is taken) to values; out[] receives the values of its outputs, after its activation.
 * A source (Input) has no values.  *nout may be NULL. */
int model_apply(model *m, layer *l, const value *in, int nin, value out[MODEL_PORTS], int *nout, error *e);

/* Names the outputs; unreachable nodes are an error.  After it the model's shape is final. */
int model_outputs(model *m, const value *outputs, int n, error *e);

/* The shape of a value: shape[0] is PLN_BATCH. */
const pln_slot *model_slot(const model *m, value v);

/* Draws all initial weights (Philox, keyed by seed and "layer/parameter"): a pure function of the seed and the graph. */
int model_initialize(model *m, uint64_t seed, error *e);

float *model_parameter(const model *m, int parameter);

/* Keras's count_params: elements of all parameters and states; trainable ones. */
int64_t model_count(const model *m, int64_t *trainable);

/* The architecture as JSON (a new reference): layers with type, plugin id and version, name, options; nodes; outputs.
 * Building a model from it gives the same graph; nothing in it executes. */
json_t *model_json(const model *m);
int model_from_json(registry *plugins, const json_t *j, model **out, error *e);

/* "(None, 26, 26, 10)" as Keras prints shapes. */
void model_shape_text(const pln_slot *s, char *out, size_t size);

/* Initializers: "zeros", "ones", "constant(0.1)", "random_uniform(-0.05, 0.05)", "random_normal(0, 0.05)", "truncated_normal",
 * "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal", "orthogonal", "identity".
 * "zeros|ones|zeros|zeros": blocks of equal width along the last axis.
 * initializer_check says what is wrong with a text. */
int initializer_check(const char *text, error *e);
int initializer_fill(const char *text, const parameter *p, random_key key, float *out, error *e);

#endif

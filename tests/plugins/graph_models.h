/* Graphs that are more than a chain: what the plan's rules about sharing memory, adding gradients and cutting work have
 * to get right.  Each is a model and the data it is trained on, small enough for finite differences.  The large ones have
 * layers that are not cut by samples, so that their kernels may be updated inside of a product. */
#ifndef TESTS_GRAPH_MODELS_H
#define TESTS_GRAPH_MODELS_H

#include "../unit/net_helper.h"

#define GRAPH_CLASSES 3

typedef struct graph {
    const char *name;
    /* Adds nodes to m; returns how many outputs it has put into out. The first is trained on. */
    int (*build)(model *m, value *out);
    const char *loss;
    int ninputs;
    int64_t shape[2][3]; /* of the inputs, without the batch; ended by 0 */
    int64_t target;      /* numbers of a target; 0: a class */
    int outputs;         /* several: it can predict, but not be trained */
} graph;

extern const graph GRAPHS[];
extern const int NGRAPHS;

model *graph_model(registry *r, const graph *g, uint64_t seed);

/* n samples with noise for inputs and targets that depend on them. */
dataset *graph_data(const graph *g, int64_t n);
void graph_data_free(dataset *set);

#endif

/* Inside the room: what the plan needs of the graph beyond model.h. */
#ifndef NET_GRAPH_H
#define NET_GRAPH_H

#include "net/model.h"
#include "plugin/host.h"

/* Runs the layer's plan for inputs of this model; see host_plan. */
int graph_plan(const model *m, const layer *l, const value *in, int nin, int mode, pln_plan *plan, error *e);

/* Where and what a layer is, for messages. */
void graph_label(const model *m, const layer *l, pln_node *node);

#endif

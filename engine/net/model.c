/* Models: the graph.  Shapes are inferred when a layer is applied, so that an error can name the line where the layer
 * was written; weights are laid out once, when the outputs are named. */
#include "net/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "net/graph.h"
#include "plugin/host.h"

#define ALIGN_FLOATS 64

int model_make(registry *plugins, model **out, error *e)
{
    model *m = calloc(1, sizeof *m);
    if (!m)
        return error_memory(e);
    m->plugins = plugins;
    m->references = 1;
    *out = m;
    return PLN_OK;
}

model *model_keep(model *m)
{
    m->references++;
    return m;
}

void model_free(model *m)
{
    if (!m || --m->references > 0)
        return;
    for (int i = 0; i < m->nlayers; i++)
        layer_free(m->layers[i]);
    for (int i = 0; i < m->nnodes; i++)
        free(m->nodes[i]);
    for (int i = 0; i < m->nclasses; i++)
        free(m->classes[i]);
    free(m->layers);
    free(m->nodes);
    free(m->parameters);
    free(m->weights);
    free(m->classes);
    free(m);
}

const pln_slot *model_slot(const model *m, value v)
{
    return &m->nodes[v.node]->out[v.output];
}

void graph_label(const model *m, const layer *l, pln_node *node)
{
    (void)m;
    *node = (pln_node){0};
    snprintf(node->where, sizeof node->where, "%s", l->where);
    snprintf(node->label, sizeof node->label, "%s", l->entry->head->name);
}

/* ---- names ---- */

static int name_taken(const model *m, const char *name)
{
    for (int i = 0; i < m->nlayers; i++)
        if (strcmp(m->layers[i]->name, name) == 0)
            return 1;
    return 0;
}

/* Keras's automatic names: "max_pooling2d", "max_pooling2d_1". */
static void automatic_name(const model *m, layer *l)
{
    const char *type = l->entry->head->name;
    char stem[80];
    size_t n = 0;
    for (size_t i = 0; type[i] && n + 2 < sizeof stem; i++) {
        int upper = type[i] >= 'A' && type[i] <= 'Z';
        if (upper && i && type[i - 1] >= 'a' && type[i - 1] <= 'z')
            stem[n++] = '_';
        stem[n++] = upper ? (char)(type[i] - 'A' + 'a') : type[i];
    }
    stem[n] = 0;
    snprintf(l->name, sizeof l->name, "%s", stem);
    for (int k = 1; name_taken(m, l->name); k++)
        snprintf(l->name, sizeof l->name, "%s_%d", stem, k);
}

/* ---- adding a layer's instance ---- */

static int find_layer(const model *m, const layer *l)
{
    for (int i = 0; i < m->nlayers; i++)
        if (m->layers[i] == l)
            return i;
    return -1;
}

static int add_layer(model *m, layer *l, int *index, error *e)
{
    if ((*index = find_layer(m, l)) >= 0)
        return PLN_OK;
    if (l->number)
        return error_set(e, PLN_E_INVALID, "%s belongs to another model already; make one layer for each model",
                         l->entry->head->name);
    if (l->named && name_taken(m, l->name))
        return error_set(e, PLN_E_INVALID, "%s: the name '%s' is taken by another layer of this model",
                         l->entry->head->name, l->name);
    layer **grown = realloc(m->layers, (size_t)(m->nlayers + 1) * sizeof(layer *));
    if (!grown)
        return error_memory(e);
    m->layers = grown;
    if (!l->named)
        automatic_name(m, l);
    int visible = 1;
    for (int i = 0; i < m->nlayers; i++)
        visible += !m->layers[i]->hidden;
    l->number = visible;
    *index = m->nlayers;
    m->layers[m->nlayers++] = layer_keep(l);
    return PLN_OK;
}

/* ---- parameters ---- */

static int64_t slot_count(const pln_slot *s)
{
    int64_t count = 1;
    for (uint32_t i = 0; i < s->rank; i++)
        count *= s->shape[i];
    return count;
}

static int fill_parameter(parameter *p, const pln_slot *s, const layer *l, int index, error *e)
{
    *p = (parameter){.layer = index, .kind = s->kind, .flags = s->flags, .rank = (int)s->rank, .size = slot_count(s)};
    p->trainable = s->kind == PLN_PARAM && l->trainable;
    snprintf(p->name, sizeof p->name, "%s", s->name);
    snprintf(p->axes, sizeof p->axes, "%s", s->axes ? s->axes : "");
    snprintf(p->init, sizeof p->init, "%s", s->init ? s->init : "zeros");
    memcpy(p->shape, s->shape, sizeof p->shape);
    error why;
    if (s->dtype != PLN_F32 || (s->rank && s->shape[0] == PLN_BATCH))
        return error_set(e, PLN_E_INVALID, "%s: parameter '%s' must be PLN_F32 and of a fixed shape",
                         l->entry->head->name, s->name);
    if (initializer_check(p->init, &why) != PLN_OK)
        return error_set(e, PLN_E_INVALID, "%s: parameter '%s': %s", l->entry->head->name, s->name, why.text);
    return PLN_OK;
}

/* A layer used again must want the parameters that it has. */
static int same_parameters(const model *m, const layer *l, const pln_plan *plan, error *e)
{
    int params = 0, states = 0;
    for (int i = 0; i < plan->nslots; i++) {
        params += plan->slots[i].kind == PLN_PARAM;
        states += plan->slots[i].kind == PLN_STATE;
    }
    if (params != l->nparameters || states != l->nstates)
        return error_set(e, PLN_E_INVALID, "%s '%s' is used twice and declares other parameters the second time",
                         l->entry->head->name, l->name);
    for (uint32_t kind = PLN_PARAM, at = (uint32_t)l->parameters; kind <= PLN_STATE; kind++)
        for (int i = 0; i < plan->nslots; i++) {
            const pln_slot *s = &plan->slots[i];
            if (s->kind != kind)
                continue;
            const parameter *p = &m->parameters[at++];
            if (p->rank != (int)s->rank || memcmp(p->shape, s->shape, sizeof(int64_t) * s->rank) != 0) {
                pln_slot have = {.rank = (uint32_t)p->rank};
                memcpy(have.shape, p->shape, sizeof have.shape);
                char a[128], b[128];
                model_shape_text(&have, a, sizeof a);
                model_shape_text(s, b, sizeof b);
                return error_set(e, PLN_E_INVALID,
                                 "%s '%s' is used twice with inputs of different shapes: its %s would be "
                                 "%s here and %s there",
                                 l->entry->head->name, l->name, s->name, b, a);
            }
        }
    return PLN_OK;
}

static int add_parameters(model *m, layer *l, int index, const pln_plan *plan, error *e)
{
    int more = 0;
    if (l->parameters >= 0)
        return same_parameters(m, l, plan, e);
    for (int i = 0; i < plan->nslots; i++)
        more += plan->slots[i].kind == PLN_PARAM || plan->slots[i].kind == PLN_STATE;
    parameter *grown = realloc(m->parameters, (size_t)(m->nparameters + more + 1) * sizeof *grown);
    if (!grown)
        return error_memory(e);
    m->parameters = grown;
    l->parameters = m->nparameters;
    l->nparameters = l->nstates = 0;
    for (uint32_t kind = PLN_PARAM; kind <= PLN_STATE; kind++)
        for (int i = 0; i < plan->nslots; i++) {
            if (plan->slots[i].kind != kind)
                continue;
            int status = fill_parameter(&m->parameters[m->nparameters], &plan->slots[i], l, index, e);
            if (status != PLN_OK)
                return status;
            m->nparameters++;
            *(kind == PLN_PARAM ? &l->nparameters : &l->nstates) += 1;
        }
    return PLN_OK;
}

/* ---- nodes ---- */

static int check_inputs(const model *m, const layer *l, const value *in, int nin, error *e)
{
    const pln_layer *type = l->type;
    const char *name = l->entry->head->name;
    if ((uint32_t)nin < type->min_in || (uint32_t)nin > type->max_in || nin > MODEL_PORTS) {
        if (type->min_in == type->max_in)
            return error_set(e, PLN_E_INVALID, "%s takes %u input%s, got %d", name, type->min_in,
                             type->min_in == 1 ? "" : "s", nin);
        return error_set(e, PLN_E_INVALID, "%s takes %u to %u inputs, got %d", name, type->min_in, type->max_in, nin);
    }
    uint32_t accepted = type->dtypes ? type->dtypes : PLN_DTYPE(PLN_F32);
    for (int i = 0; i < nin; i++) {
        if (in[i].node < 0 || in[i].node >= m->nnodes || in[i].output < 0 || in[i].output >= m->nodes[in[i].node]->nout)
            return error_set(e, PLN_E_INVALID, "%s: input %d is no value of this model", name, i + 1);
        if (!(accepted & PLN_DTYPE(model_slot(m, in[i])->dtype)))
            return error_set(e, PLN_E_INVALID, "%s: input %d has an element type that this layer does not take", name,
                             i + 1);
    }
    return PLN_OK;
}

int graph_plan(const model *m, const layer *l, const value *in, int nin, int mode, pln_plan *plan, error *e)
{
    const pln_slot *slots[MODEL_PORTS + 1];
    pln_node at;
    host h;
    for (int i = 0; i < nin; i++)
        slots[i] = model_slot(m, in[i]);
    graph_label(m, l, &at);
    host_open(&h, NULL);
    int status = host_plan(&h, l->type, l->opts.bytes, mode, slots, (uint32_t)nin, &at, plan, e);
    host_free(&h);
    plan->node = NULL;
    return status;
}

static int add_node(model *m, int index, const value *in, int nin, const pln_plan *plan, error *e)
{
    node **grown = realloc(m->nodes, (size_t)(m->nnodes + 1) * sizeof(node *));
    node *x = grown ? calloc(1, sizeof *x) : NULL;
    if (grown)
        m->nodes = grown;
    if (!x)
        return error_memory(e);
    int uses = 1;
    for (int i = 0; i < m->nnodes; i++)
        uses += m->nodes[i]->layer == index;
    x->layer = index;
    if (uses > 1)
        snprintf(x->name, sizeof x->name, "%s#%d", m->layers[index]->name, uses);
    else
        snprintf(x->name, sizeof x->name, "%s", m->layers[index]->name);
    x->nin = nin;
    if (nin)
        memcpy(x->in, in, sizeof(value) * (size_t)nin);
    for (int i = 0; i < plan->nslots; i++)
        if (plan->slots[i].kind == PLN_OUTPUT) {
            if (x->nout == MODEL_PORTS) {
                free(x);
                return error_set(e, PLN_E_INVALID, "%s has more than %d outputs", m->layers[index]->entry->head->name,
                                 MODEL_PORTS);
            }
            x->out[x->nout] = plan->slots[i];
            x->out[x->nout++].name = NULL;
        }
    m->nodes[m->nnodes++] = x;
    return PLN_OK;
}

static int apply_one(model *m, layer *l, const value *in, int nin, error *e)
{
    pln_plan plan;
    int index, status = check_inputs(m, l, in, nin, e);
    if (status == PLN_OK)
        status = graph_plan(m, l, in, nin, PLN_TRAIN, &plan, e);
    else if (l->where[0])
        error_prefix(e, "%s: ", l->where);
    if (status != PLN_OK)
        return status;
    status = add_layer(m, l, &index, e);
    if (status == PLN_OK)
        status = add_parameters(m, l, index, &plan, e);
    if (status == PLN_OK)
        status = add_node(m, index, in, nin, &plan, e);
    if (status != PLN_OK && l->where[0])
        error_prefix(e, "%s: ", l->where);
    return status;
}

/* An activation is named after its layer, so that two relus do not compete for a name. */
static void name_activation(layer *l)
{
    layer *a = l->activation;
    if (!a->number && !a->named) {
        snprintf(a->name, sizeof a->name, "%.79s.activation", l->name);
        a->named = 1;
        snprintf(a->where, sizeof a->where, "%s", l->where);
    }
}

int model_apply(model *m, layer *l, const value *in, int nin, value out[MODEL_PORTS], int *nout, error *e)
{
    if (m->final)
        return error_set(e, PLN_E_INVALID, "%s%s%s: the model is complete; no layer can be added any more", l->where,
                         l->where[0] ? ": " : "", l->entry->head->name);
    int status = apply_one(m, l, in, nin, e);
    if (status != PLN_OK)
        return status;
    int base = m->nnodes - 1, n = m->nodes[base]->nout;
    for (int i = 0; i < n; i++)
        out[i] = (value){base, i};
    for (int i = 0; i < n && l->activation; i++) {
        name_activation(l);
        if ((status = apply_one(m, l->activation, &out[i], 1, e)) != PLN_OK)
            return status;
        out[i] = (value){m->nnodes - 1, 0};
    }
    if (nout)
        *nout = n;
    if (l->type->max_in == 0) {
        if (m->ninputs == MODEL_PORTS)
            return error_set(e, PLN_E_INVALID, "%s: a model has at most %d inputs", l->where, MODEL_PORTS);
        m->inputs[m->ninputs++] = (value){base, 0};
    }
    return PLN_OK;
}

/* ---- finishing ---- */

/* Offsets of all parameters: those that are trained, those that are frozen, states. */
static void lay_out_weights(model *m)
{
    int64_t at = 0;
    for (int group = 0; group < 3; group++) {
        for (int i = 0; i < m->nparameters; i++) {
            parameter *p = &m->parameters[i];
            int mine = p->kind == PLN_STATE ? 2 : p->trainable ? 0 : 1;
            if (mine != group)
                continue;
            p->offset = at;
            at += (p->size + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
        }
        if (group == 0)
            m->ntrainable = at;
    }
    m->nweights = at;
}

static int all_reach_outputs(const model *m, error *e)
{
    char *reached = calloc((size_t)m->nnodes + 1, 1);
    if (!reached)
        return error_memory(e);
    for (int i = 0; i < m->noutputs; i++)
        reached[m->outputs[i].node] = 1;
    int status = PLN_OK;
    for (int i = m->nnodes - 1; i >= 0; i--) {
        if (!reached[i] && status == PLN_OK) {
            const layer *l = m->layers[m->nodes[i]->layer];
            status = error_set(e, PLN_E_INVALID, "%s%s%s: its output leads to no output of the model", l->where,
                               l->where[0] ? ": " : "", l->entry->head->name);
        }
        for (int k = 0; k < m->nodes[i]->nin; k++)
            reached[m->nodes[i]->in[k].node] = 1;
    }
    free(reached);
    return status;
}

int model_outputs(model *m, const value *outputs, int n, error *e)
{
    if (n < 1 || n > MODEL_PORTS)
        return error_set(e, PLN_E_INVALID, "a model has 1 to %d outputs, got %d", MODEL_PORTS, n);
    memcpy(m->outputs, outputs, sizeof(value) * (size_t)n);
    m->noutputs = n;
    int status = all_reach_outputs(m, e);
    if (status != PLN_OK)
        return status;
    lay_out_weights(m);
    m->final = 1;
    return PLN_OK;
}

int model_initialize(model *m, uint64_t seed, error *e)
{
    if (!m->weights) {
        size_t bytes = (size_t)(m->nweights + ALIGN_FLOATS) * sizeof(float);
        m->weights = aligned_alloc(64, (bytes + 63) / 64 * 64);
        if (!m->weights)
            return error_set(e, PLN_E_MEMORY, "out of memory: the model's weights need %lld bytes", (long long)bytes);
        memset(m->weights, 0, bytes);
    }
    for (int i = 0; i < m->nparameters; i++) {
        const parameter *p = &m->parameters[i];
        char name[192];
        snprintf(name, sizeof name, "%s/%s", m->layers[p->layer]->name, p->name);
        int status = initializer_fill(p->init, p, random_key_make(seed, RANDOM_INIT, name), m->weights + p->offset, e);
        if (status != PLN_OK)
            return status;
    }
    return PLN_OK;
}

float *model_parameter(const model *m, int i)
{
    return m->weights + m->parameters[i].offset;
}

int64_t model_count(const model *m, int64_t *trainable)
{
    int64_t all = 0, trained = 0;
    for (int i = 0; i < m->nparameters; i++) {
        all += m->parameters[i].size;
        trained += m->parameters[i].trainable ? m->parameters[i].size : 0;
    }
    if (trainable)
        *trainable = trained;
    return all;
}

void model_shape_text(const pln_slot *s, char *out, size_t size)
{
    size_t n = (size_t)snprintf(out, size, "(");
    for (uint32_t i = 0; i < s->rank && n < size; i++) {
        if (s->shape[i] == PLN_BATCH)
            n += (size_t)snprintf(out + n, size - n, "%sNone", i ? ", " : "");
        else
            n += (size_t)snprintf(out + n, size - n, "%s%lld", i ? ", " : "", (long long)s->shape[i]);
    }
    if (n < size)
        snprintf(out + n, size - n, s->rank == 1 ? ",)" : ")");
}

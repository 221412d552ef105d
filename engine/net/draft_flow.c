/* What flows where: declarations of the nodes, the loss and what it joins, gradients, and which values share memory. */
#include "net/draft.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what the nodes declare ---- */

/* A plan may differ between modes in what it keeps, not in what comes out. */
static int same_outputs(const node *x, const pln_plan *slots)
{
    int n = 0;
    for (int i = 0; i < slots->nslots; i++) {
        const pln_slot *s = &slots->slots[i];
        if (s->kind != PLN_OUTPUT)
            continue;
        if (n == x->nout || s->rank != x->out[n].rank || s->dtype != x->out[n].dtype ||
            memcmp(s->shape, x->out[n].shape, sizeof(int64_t) * s->rank) != 0)
            return 0;
        n++;
    }
    return n == x->nout;
}

int draft_declare(draft *d, int i)
{
    const model *m = d->q->m;
    draft_node *n = &d->nodes[i];
    const node *x = m->nodes[i];
    n->l = m->layers[x->layer];
    pln_node *label = &d->p->nodes[i];
    graph_label(m, n->l, label);
    label->key = random_key_make(d->q->seed, RANDOM_LAYER, x->name);
    int status = graph_plan(m, n->l, x->in, x->nin, d->q->mode, &n->slots, d->e);
    if (status != PLN_OK)
        return status;
    if (!same_outputs(x, &n->slots))
        return error_set(d->e, PLN_E_INVALID, "%s%s%s: its outputs differ between training and prediction", n->l->where,
                         n->l->where[0] ? ": " : "", n->l->entry->head->name);
    int64_t floats = 0;
    for (int k = 0; k < n->slots.nslots; k++) {
        const pln_slot *s = &n->slots.slots[k];
        if (s->kind == PLN_KEEP_INPUT)
            n->keep_in |= 1u << s->index;
        if (s->kind == PLN_KEEP_OUTPUT)
            n->keep_out |= 1u << s->index;
        if (s->kind == PLN_PARAM)
            floats += slot_elements(s);
    }
    uint32_t free_samples = PLN_SAMPLEWISE | (d->q->mode == PLN_INFER ? PLN_SAMPLEWISE_INFER : 0);
    n->piecewise = (n->l->type->flags & free_samples) && floats * d->p->pieces <= PARTIAL_FLOATS;
    return PLN_OK;
}

/* ---- the loss ---- */

static const pln_loss *loss_type(const draft *d)
{
    return (const pln_loss *)(const void *)d->q->r->loss.entry->head;
}

static const pln_metric *metric_type(const draft *d, int i)
{
    return (const pln_metric *)(const void *)d->q->r->metrics[i].entry->head;
}

static int all_metrics_by_order(const draft *d)
{
    for (int i = 0; i < d->q->r->nmetrics; i++)
        if (!(d->q->r->metrics[i].entry->head->flags & PLN_ORDER_ONLY))
            return 0;
    return 1;
}

/* Joins the last layer with the loss where both bear the same link and nobody else reads its output. */
void draft_join_loss(draft *d)
{
    const model *m = d->q->m;
    value out = m->outputs[0];
    const pln_layer *last = d->nodes[out.node].l->type;
    const char *link = loss_type(d)->link;
    d->pred = out;
    if (!link || !last->link || strcmp(link, last->link) != 0 || m->nodes[out.node]->nin != 1)
        return;
    d->pred = m->nodes[out.node]->in[0];
    d->p->linked = 1;
    int read_elsewhere = 0;
    for (int i = 0; i < m->nnodes; i++)
        for (int k = 0; k < m->nodes[i]->nin; k++)
            read_elsewhere += m->nodes[i]->in[k].node == out.node;
    if (!read_elsewhere && all_metrics_by_order(d))
        d->nodes[out.node].skipped = 1;
}

int draft_check_loss(draft *d)
{
    const recipe *r = d->q->r;
    host *h = &d->p->services;
    pln_node at_compile = {.label = ""};
    snprintf(at_compile.where, sizeof at_compile.where, "%s", r->where);
    snprintf(at_compile.label, sizeof at_compile.label, "loss %s", r->loss.entry->head->name);
    const pln_slot *pred = draft_slot(d, d->q->m->outputs[0]);
    int status =
        host_take_error(h, loss_type(d)->check(&h->table, r->loss.opts.bytes, &at_compile, pred, d->q->target), d->e);
    for (int i = 0; i < r->nmetrics && status == PLN_OK; i++) {
        snprintf(at_compile.label, sizeof at_compile.label, "metric %s", r->metrics[i].name);
        status = host_take_error(h,
                                 metric_type(d, i)->cells(&h->table, r->metrics[i].opts.bytes, &at_compile, pred,
                                                          d->q->target, &d->p->ncells[i]),
                                 d->e);
        if (status == PLN_OK && (d->p->ncells[i] < 1 || d->p->ncells[i] > 4096))
            status = error_set(d->e, PLN_E_INVALID, "metric %s asks for %u cells; 1 to 4096 are possible",
                               r->metrics[i].name, d->p->ncells[i]);
    }
    return status;
}

/* ---- who wants gradients ---- */

static int has_trainable(const draft *d, int i)
{
    const layer *l = d->nodes[i].l;
    for (int k = 0; k < l->nparameters; k++)
        if (d->q->m->parameters[l->parameters + k].trainable)
            return 1;
    return 0;
}

void draft_want_gradients(draft *d)
{
    const model *m = d->q->m;
    for (int i = 0; i < m->nnodes; i++) {
        int wants = has_trainable(d, i);
        for (int k = 0; k < m->nodes[i]->nin; k++)
            wants |= draft_at(d, m->nodes[i]->in[k])->wants;
        for (int k = 0; k < m->nodes[i]->nout; k++)
            draft_at(d, (value){i, k})->wants = wants;
    }
}

/* Which nodes' backward runs: those that a gradient reaches and that have a use for it. */
int draft_mark_backward(draft *d)
{
    const model *m = d->q->m;
    char *reached = calloc((size_t)m->nnodes + 1, 1);
    if (!reached)
        return error_memory(d->e);
    reached[d->pred.node] = 1;
    int status = PLN_OK;
    for (int i = m->nnodes - 1; i >= 0; i--) {
        draft_node *n = &d->nodes[i];
        if (!reached[i] || n->skipped || draft_is_source(d, i) || !draft_at(d, (value){i, 0})->wants)
            continue;
        if (!n->l->type->backward && !draft_is_view(d, i) && status == PLN_OK)
            status = error_set(d->e, PLN_E_INVALID,
                               "%s%s%s has no backward function: it cannot be trained through; set "
                               "trainable = false on the layers before it, or use the model for prediction alone",
                               n->l->where, n->l->where[0] ? ": " : "", n->l->entry->head->name);
        n->backward = 1;
        for (int k = 0; k < m->nodes[i]->nin; k++)
            reached[m->nodes[i]->in[k].node] = 1;
    }
    free(reached);
    return status;
}

/* ---- values' memory ---- */

/* May node i write its result over value v?  Nobody may read what lies in that buffer afterwards. */
static int may_overwrite(const draft *d, int i, value v)
{
    const model *m = d->q->m;
    int b = draft_at(d, v)->buffer;
    for (int k = 0; k < i; k++)
        for (int o = 0; o < m->nodes[k]->nout; o++) {
            value w = {k, o};
            if (draft_at(d, w)->buffer != b)
                continue;
            if (d->nodes[k].backward && (d->nodes[k].keep_out >> o & 1))
                return 0;
            if (d->q->r && w.node == d->pred.node && w.output == d->pred.output)
                return 0;
            for (int j = 0; j < m->noutputs; j++)
                if (m->outputs[j].node == k && m->outputs[j].output == o)
                    return 0;
            for (int c = k + 1; c < m->nnodes; c++)
                for (int port = 0; port < m->nodes[c]->nin; port++) {
                    value in = m->nodes[c]->in[port];
                    if (in.node != k || in.output != o || d->nodes[c].skipped)
                        continue;
                    int kept = d->nodes[c].backward && (d->nodes[c].keep_in >> port & 1);
                    int later = c > i || (c == i && (port != 0 || v.node != k || v.output != o));
                    if (kept || later)
                        return 0;
                }
        }
    return 1;
}

int draft_place_values(draft *d, int i)
{
    const node *x = d->q->m->nodes[i];
    for (int o = 0; o < x->nout; o++) {
        value v = {i, o};
        const pln_slot *s = draft_slot(d, v);
        draft_value *dv = draft_at(d, v);
        if (s->flags & PLN_VIEW) {
            dv->buffer = draft_at(d, x->in[s->index])->buffer;
            continue;
        }
        if ((s->flags & PLN_IN_PLACE) && s->index == 0 && slot_elements(s) == slot_elements(draft_slot(d, x->in[0])) &&
            may_overwrite(d, i, x->in[0])) {
            dv->buffer = draft_at(d, x->in[0])->buffer;
            continue;
        }
        dv->buffer = draft_buffer(d, slot_elements(s), d->p->capacity);
        if (dv->buffer < 0)
            return error_memory(d->e);
    }
    return PLN_OK;
}

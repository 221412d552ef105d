/* Shapes, for the built-in losses and metrics: does a target belong to a prediction, and how does one say in a message
 * what the two look like.  A plugin needs no printf for it: the text is made here, the host formats the rest. */
#ifndef PLUGINS_SHAPES_H
#define PLUGINS_SHAPES_H

#include "perilune/plugin.h"

#define SHAPE_TEXT (PLN_RANK * 21) /* room for PLN_RANK numbers of 19 digits, a sign and an x each */

/* "26x26x10": the shape of one sample; "1" for [n]. */
static inline const char *shape_text(const pln_slot *s, char text[SHAPE_TEXT])
{
    char *end = text + SHAPE_TEXT - 1, *p = end;
    *p = 0;
    for (uint32_t i = s->rank; i-- > 1;) {
        uint64_t v = s->shape[i] < 0 ? 0 : (uint64_t)s->shape[i];
        do
            *--p = (char)('0' + v % 10);
        while (v /= 10);
        if (i > 1)
            *--p = 'x';
    }
    if (p == end)
        *--p = '1';
    return p;
}

/* Numbers in one sample of a shape of `rank` axes, the batch's first. */
static inline int64_t sample_size(const int64_t *shape, uint32_t rank)
{
    int64_t size = 1;
    for (uint32_t i = 1; i < rank; i++)
        size *= shape[i];
    return size;
}

/* Are the first `arank` axes of a those of b?  Axes of length 1 do not count, so that [n,1] fits [n]. */
static inline int shapes_agree(const pln_slot *a, uint32_t arank, const pln_slot *b)
{
    uint32_t i = 1, j = 1;
    for (;;) {
        while (i < arank && a->shape[i] == 1)
            i++;
        while (j < b->rank && b->shape[j] == 1)
            j++;
        if (i >= arank || j >= b->rank)
            return i >= arank && j >= b->rank;
        if (a->shape[i++] != b->shape[j++])
            return 0;
    }
}

/* Value i of a target, whose class numbers (0 and 1, say) serve as values too. */
static inline float target_at(const pln_tensor *t, int64_t i)
{
    return t->dtype == PLN_I32 ? (float)((const int32_t *)t->data)[i] : ((const float *)t->data)[i];
}

/* For losses and metrics with one target value for each predicted one: a failure if they do not fit. */
static inline int check_same_shape(const pln_host *h, const pln_node *node, const pln_slot *pred,
                                   const pln_slot *target)
{
    char p[SHAPE_TEXT], t[SHAPE_TEXT];
    if (target->dtype != PLN_F32 && target->dtype != PLN_I32)
        return h->fail(h, node, "wants float32 or int32 targets, these are of element type %u", target->dtype);
    if (shapes_agree(pred, pred->rank, target))
        return PLN_OK;
    if (target->dtype == PLN_I32 && target->rank == 1)
        return h->fail(
            h, node,
            "wants one target value for each value that the model gives, which are %s a sample, but the targets "
            "are class numbers, one a sample; use a loss or metric whose name begins with sparse_categorical_, "
            "or targets of shape %s",
            shape_text(pred, p), shape_text(pred, p));
    return h->fail(
        h, node,
        "wants one target value for each value that the model gives, but the model gives %s a sample and a target "
        "is %s; change the last layer or the targets so that they agree",
        shape_text(pred, p), shape_text(target, t));
}

/* For losses and metrics with one row of class scores, the last axis, for each class number. */
static inline int check_class_numbers(const pln_host *h, const pln_node *node, const pln_slot *pred,
                                      const pln_slot *target)
{
    char p[SHAPE_TEXT], t[SHAPE_TEXT];
    int64_t classes = pred->rank > 1 ? pred->shape[pred->rank - 1] : 1;
    if (classes < 2)
        return h->fail(
            h, node,
            "wants one row of at least 2 class scores a sample, model gives %s; give the last layer as many units "
            "as there are classes, or use binary_crossentropy and binary_accuracy with one score",
            shape_text(pred, p));
    if (target->rank == pred->rank && shapes_agree(pred, pred->rank, target))
        return h->fail(
            h, node,
            "wants a class number for each row of scores, but a target is %s, as large as what the model gives; "
            "for one-hot targets leave out sparse_ in the name of the loss or metric",
            shape_text(target, t));
    if (!shapes_agree(pred, pred->rank - 1, target)) {
        if (sample_size(target->shape, target->rank) == 1)
            return h->fail(
                h, node,
                "wants one row of class scores a sample, model gives %s; put nn.Flatten{} before the layer that "
                "gives the scores",
                shape_text(pred, p));
        return h->fail(
            h, node,
            "wants one class number for each row of scores, but model gives %s a sample, rows along the last "
            "axis, and a target is %s",
            shape_text(pred, p), shape_text(target, t));
    }
    if (target->dtype != PLN_I32)
        return h->fail(h, node, "wants class numbers (int32) as targets, these are of element type %u", target->dtype);
    return PLN_OK;
}

#endif

#include "net/picture_input.h"

/* The side of a flattened square of n pixels, 0 when it is none. */
static int64_t square_side(int64_t n)
{
    int64_t side = 1;
    while (side * side < n)
        side++;
    return side * side == n && side >= 4 ? side : 0;
}

static int classes_are_digits(const model *m)
{
    const pln_slot *out = model_slot(m, m->outputs[0]);
    if (out->rank != 2 || out->shape[1] != 10)
        return 0;
    for (int i = 0; i < m->nclasses; i++)
        if (m->classes[i][0] != '0' + i || m->classes[i][1])
            return 0;
    return 1;
}

int model_picture_input(const model *m, picture_input *out, error *e)
{
    const pln_slot *s = model_slot(m, m->inputs[0]);
    char shape[128];
    int64_t side = s->rank == 2 && s->shape[1] < 1 << 24 ? square_side(s->shape[1]) : 0;
    *out = (picture_input){s->rank > 2 ? s->shape[1] : side, s->rank > 2 ? s->shape[2] : side,
                           s->rank == 4 ? s->shape[3] : 1, 0};
    model_shape_text(s, shape, sizeof shape);
    if (m->ninputs != 1)
        return error_set(e, PLN_E_INVALID, "the model takes no single picture: it has %d inputs", m->ninputs);
    if (s->rank > 4 || out->height < 1 || out->width < 1 || (out->channels != 1 && out->channels != 3))
        return error_set(e, PLN_E_INVALID, "the model takes no pictures; its input is %s", shape);
    out->digit = out->channels == 1 && out->height == out->width && classes_are_digits(m);
    return PLN_E_OK;
}

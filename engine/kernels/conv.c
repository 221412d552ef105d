/* Convolutions: the sizes of a call, and which part does it. */
#include "kernels/conv.h"

#include <stddef.h>

#include "kernels/kernels.h"

conv_shape conv_shape_of(const pln_conv *c)
{
    const pln_tensor *x = c->pass == PLN_CONV_DINPUT ? c->out : c->x, *y = c->pass == PLN_CONV_FORWARD ? c->out : c->y;
    const pln_tensor *w = c->pass == PLN_CONV_DWEIGHT ? c->out : c->w;
    conv_shape s = {.n = x->shape[0],
                    .h = x->shape[1],
                    .w = x->shape[2],
                    .c = x->shape[3],
                    .oh = y->shape[1],
                    .ow = y->shape[2],
                    .f = y->shape[3],
                    .kh = w->shape[0],
                    .kw = w->shape[1],
                    .groups = c->groups > 0 ? c->groups : 1};
    s.cg = s.c / s.groups;
    s.fg = s.f / s.groups;
    for (int i = 0; i < 2; i++) {
        s.stride[i] = c->stride[i];
        s.dilation[i] = c->dilation[i];
        s.pad[i] = c->pad_lo[i];
    }
    return s;
}

int64_t conv_samples_per_chunk(const conv_shape *s)
{
    int64_t positions = s->oh * s->ow;
    return positions > 0 && positions < GEMM_CHUNK ? GEMM_CHUNK / positions : 1;
}

int conv_run(lanes *pool, const pln_conv *c)
{
    conv_shape s = conv_shape_of(c);
    return c->pass == PLN_CONV_DWEIGHT ? conv_weight_run(pool, c, &s) : conv_image_run(pool, c, &s);
}

/* Inside the convolutions: the sizes of a call under one set of names, and the parts that conv.c chooses from. */
#ifndef KERNELS_CONV_H
#define KERNELS_CONV_H

#include <stdint.h>

#include "base/lanes.h"
#include "perilune/plugin.h"

/* x [n,h,w,c], kernel [kh,kw,cg,f], y [n,oh,ow,f]; cg and fg are the channels and filters of one group.
 * Pairs are (vertical, horizontal). */
typedef struct conv_shape {
    int64_t n, h, w, c, oh, ow, f, kh, kw, groups, cg, fg;
    int64_t stride[2], dilation[2], pad[2];
} conv_shape;

conv_shape conv_shape_of(const pln_conv *c);

/* How many samples make a chunk of the weight gradient's sum: at most GEMM_CHUNK positions, at least one sample. */
int64_t conv_samples_per_chunk(const conv_shape *s);

/* FORWARD and DINPUT (conv_image.c), DWEIGHT (conv_weight.c). */
int conv_image_run(lanes *pool, const pln_conv *c, const conv_shape *s);
int conv_weight_run(lanes *pool, const pln_conv *c, const conv_shape *s);

#endif

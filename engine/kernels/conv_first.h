/* The first convolution of a net for grey pictures: one input channel, so that there is nothing to multiply a matrix
 * with. Thread rule: pure functions of their arguments. */
#ifndef KERNELS_CONV_FIRST_H
#define KERNELS_CONV_FIRST_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/dispatch.h"

/* Forward.  A row of the output, [columns,filters], is one run of columns*filters floats, and is made vector by vector.
 * Which filters meet which pixels in a vector repeats every few vectors: that is a pattern, and for each pattern
 * the table holds the weights and the permutation of pixels. */
typedef struct conv_first {
    const float *x;         /* pixel of the first tap of the first point */
    int64_t x_row, width;   /* floats from row to row, and how many of a row from x on may be read */
    int64_t x_begin, x_end; /* the rows of x that exist: taps in others take no part */
    float *y;
    int64_t rows, columns, filters; /* rows >= kernel */
    int64_t kernel;                 /* 3 or 5: height and width */
    const float *table;
    int bias; /* add the table's */
} conv_first;

/* Floats of the table for `filters` filters of size `kernel`; 0: this version does not do them. */
KERNEL_DECLARE(int64_t, conv_first_table_size, (int64_t filters, int64_t kernel));

/* Fills it from w [kernel,kernel,1,filters] and bias [filters] or NULL. */
KERNEL_DECLARE(void, conv_first_table,
               (int64_t filters, int64_t kernel, const float *w, const float *bias, float *table));

KERNEL_DECLARE(void, conv_first_run, (const conv_first *c));

/* The gradient of weights and bias over some samples: w[u][v][f] = sum over (n,i,j) of x[n][i*stride + u][j*stride +
 * v] * y[n][i][j][f], bias[f] = sum of y. Chains as in conv_ref.c. */
typedef struct conv_first_gradient {
    const float *x;
    int64_t x_image, x_row, x_step; /* floats from image to image, output row to row, column to column */
    int64_t tap_row;                /* floats from tap row to tap row */
    const float *y;
    int64_t images, rows, columns, filters, kernel;
    float *w, *bias; /* bias may be NULL */
} conv_first_gradient;

/* 0: this version does not do kernels of this size. */
KERNEL_DECLARE(int, conv_first_gradient_run, (const conv_first_gradient *c));

#endif

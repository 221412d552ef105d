/* Resampling, row by row: the arithmetic behind picture_resize and the normalisation.
 *
 * Rows come from and go to callbacks, so that a 60-megapixel photograph is reduced without a copy of it in floats.
 * Along an axis of n source and m wanted samples, with s = n / m:
 *   s >= 1:  out[o] = integral of the source over [o s, (o+1) s) / s      (areas; s = 1 copies exactly)
 *   s <  1:  out[o] = linear interpolation at (o + 1/2) s - 1/2           (bilinear)
 * What lies beyond the edge is the edge's own value; or 0 where a window is given, which may then begin and end
 * between two samples, or outside the source. Thread rule: pure, but for what the callbacks do.
 */
#ifndef PICTURE_RESIZE_H
#define PICTURE_RESIZE_H

#include <stdint.h>

#include "base/error.h"

/* Writes source row y, [from_width][channels]. */
typedef void resize_source(void *context, int64_t y, float *row);

/* Takes result row y, [to_width][channels]; called once a row, in order. */
typedef void resize_sink(void *context, int64_t y, const float *row);

/* The part of an axis that becomes the result: [begin, begin + extent) in source samples; all of it where extent is
 * 0. */
typedef struct resize_window {
    double begin, extent;
} resize_window;

typedef struct resize_job {
    int64_t from_width, from_height, to_width, to_height; /* each 1 .. PICTURE_SIDE_MAX */
    resize_window x, y;
    int channels;
    resize_source *source;
    void *source_context;
    resize_sink *sink;
    void *sink_context;
} resize_job;

int resize_run(const resize_job *job, error *e);

#endif

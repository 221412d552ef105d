/* A picture as a sample: what a model that takes height x width x channels wants to see of a PNG file.
 *
 * Where the model takes square pictures of one channel (MNIST's kind), the picture is taken for a drawn digit and
 * normalised as MNIST did; any other picture is resized.  `raw` resizes in either case.
 * Thread rule: pure. */
#ifndef DATA_PICTURE_SAMPLE_H
#define DATA_PICTURE_SAMPLE_H

#include "picture/normalise.h"

/* bytes receives [height, width, channels], 0..255.  `report` may be NULL.  PLN_E_EMPTY: no digit found. */
int picture_sample(const picture *p, int64_t height, int64_t width, int64_t channels, int raw, uint8_t *bytes,
                   normalise_report *report, error *e);

#endif

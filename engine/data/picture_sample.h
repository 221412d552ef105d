/* A picture as a sample: what a model that takes height x width x channels sees of a PNG file.  A drawn digit is normalised
 * as MNIST did; any other picture is resized.
 * Thread rule: pure. */
#ifndef DATA_PICTURE_SAMPLE_H
#define DATA_PICTURE_SAMPLE_H

#include "picture/normalise.h"

/* bytes receives [height, width, channels], 0..255.  `digit`: look for one (square, one channel).  `report` may be NULL.  PLN_E_EMPTY: no digit found. */
int picture_sample(const picture *p, int64_t height, int64_t width, int64_t channels, int digit, uint8_t *bytes,
                   normalise_report *report, error *e);

#endif

/* What kind of picture a model takes, for everybody who shows it one: the command, the Lua library, libperilune.
 * Thread rule: pure. */
#ifndef NET_PICTURE_INPUT_H
#define NET_PICTURE_INPUT_H

#include "data/picture_sample.h"
#include "net/model.h"

typedef struct picture_input {
    int64_t height, width, channels;
    int digit; /* square, gray, ten classes that are called 0 to 9 or have no names: drawn digits are normalised */
} picture_input;

/* Inputs of [h,w,c], of [h,w], and flattened square gray ones ([784]).  PLN_E_INVALID: the model takes no single picture. */
int model_picture_input(const model *m, picture_input *out, error *e);

#endif

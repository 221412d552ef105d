#include "data/picture_sample.h"

#include <string.h>

#define SIDE_MOST 4096

static int resized(const picture *p, int64_t height, int64_t width, int64_t channels, uint8_t *bytes, error *e)
{
    picture flat = {0}, out = {0};
    int status = picture_convert(p, (int)channels, 255, &flat, e);
    if (status == PLN_E_OK)
        status = picture_resize(&flat, width, height, &out, e);
    if (status == PLN_E_OK)
        memcpy(bytes, out.pixels, (size_t)(height * width * channels));
    picture_free(&flat);
    picture_free(&out);
    return status;
}

int picture_sample(const picture *p, int64_t height, int64_t width, int64_t channels, int digit, uint8_t *bytes,
                   normalise_report *report, error *e)
{
    if (height < 1 || width < 1 || height > SIDE_MOST || width > SIDE_MOST || (channels != 1 && channels != 3))
        return error_set(e, PLN_E_INVALID,
                         "the model takes no pictures: its input is %lld x %lld x %lld, a picture has 1 or "
                         "3 channels and sides up to %d",
                         (long long)height, (long long)width, (long long)channels, SIDE_MOST);
    if (!digit || channels != 1 || height != width)
        return resized(p, height, width, channels, bytes, e);
    int64_t box = (height * NORMALISE_BOX + NORMALISE_FRAME / 2) / NORMALISE_FRAME;
    return normalise_digit(p, box < 1 ? 1 : (int)box, (int)height, bytes, report, e);
}

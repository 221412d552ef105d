/* Making pictures and changing their channels.  Kept apart from PNG so that pictures drawn by the engine itself need
 * no decoder. */
#include "picture/picture.h"

#include <stdlib.h>
#include <string.h>

int picture_make(int64_t width, int64_t height, int channels, picture *out, error *e)
{
    memset(out, 0, sizeof *out);
    if (width < 1 || height < 1 || channels < 1 || channels > 4)
        return error_set(e, PLN_E_INVALID,
                         "a picture of %lld x %lld pixels and %d channels cannot be made; "
                         "sizes begin at 1 and channels are 1 to 4",
                         (long long)width, (long long)height, channels);
    if (width > PICTURE_SIDE_MAX || height > PICTURE_SIDE_MAX || width > PICTURE_PIXELS_MAX / height)
        return error_set(
            e, PLN_E_INVALID,
            "a picture of %lld x %lld pixels is too large; at most %lld pixels, and %lld a side, are allowed",
            (long long)width, (long long)height, (long long)PICTURE_PIXELS_MAX, (long long)PICTURE_SIDE_MAX);
    out->pixels = calloc((size_t)(width * height), (size_t)channels);
    if (!out->pixels)
        return error_set(e, PLN_E_MEMORY, "out of memory: a picture of %lld x %lld pixels needs %lld bytes",
                         (long long)width, (long long)height, (long long)(width * height * channels));
    out->width = width;
    out->height = height;
    out->channels = channels;
    return PLN_E_OK;
}

void picture_free(picture *p)
{
    if (!p)
        return;
    free(p->pixels);
    memset(p, 0, sizeof *p);
}

static uint8_t over(unsigned value, unsigned alpha, unsigned under)
{
    return (uint8_t)((value * alpha + under * (255 - alpha) + 127) / 255);
}

/* One pixel as red, green, blue, alpha. */
static void pixel_open(const uint8_t *from, int channels, uint8_t rgba[4])
{
    int colours = channels < 3 ? 1 : 3;
    for (int c = 0; c < 3; c++)
        rgba[c] = from[colours == 1 ? 0 : c];
    rgba[3] = channels == colours ? 255 : from[channels - 1];
}

static void pixel_close(uint8_t rgba[4], int channels, uint8_t under, uint8_t *to)
{
    int colours = channels < 3 ? 1 : 3;
    if (channels == colours)
        for (int c = 0; c < 3; c++)
            rgba[c] = over(rgba[c], rgba[3], under);
    else
        to[channels - 1] = rgba[3];
    if (colours == 3)
        memcpy(to, rgba, 3);
    else
        to[0] = (uint8_t)((299u * rgba[0] + 587u * rgba[1] + 114u * rgba[2] + 500u) / 1000u);
}

int picture_convert(const picture *from, int channels, uint8_t under, picture *to, error *e)
{
    int status = picture_make(from->width, from->height, channels, to, e);
    if (status)
        return status;
    int64_t count = from->width * from->height;
    if (channels == from->channels) {
        memcpy(to->pixels, from->pixels, (size_t)(count * channels));
        return PLN_E_OK;
    }
    for (int64_t i = 0; i < count; i++) {
        uint8_t rgba[4];
        pixel_open(from->pixels + i * from->channels, from->channels, rgba);
        pixel_close(rgba, channels, under, to->pixels + i * channels);
    }
    return PLN_E_OK;
}

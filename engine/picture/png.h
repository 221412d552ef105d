/* PNG files in and out, through libpng.
 *
 * Reading takes every colour type, bit depth (1 to 16), interlace, palette and transparency that PNG knows, and gives
 * 8 bits a channel.  A file that states a gamma other than sRGB's is converted to sRGB's; one that states none counts
 * as sRGB.  Damaged files are refused with libpng's reason, never half read.
 *
 * Thread rule: any thread; standard input one at a time.
 */
#ifndef PICTURE_PNG_H
#define PICTURE_PNG_H

#include <stddef.h>
#include <stdint.h>

#include "picture/picture.h"

/* Reads a file, or standard input where `path` is "-".  Channels as the file has them: 1 gray, 2 with alpha, 3 RGB,
 * 4 with alpha (a palette of grays is gray; a transparent colour or palette entry makes alpha).
 * PLN_E_MISSING: there is no such file.  PLN_E_FORMAT: it is no PNG, is damaged, or claims more than
 * PICTURE_PIXELS_MAX pixels (asked before anything is allocated for them). */
int picture_read(const char *path, picture *out, error *e);

/* The same from memory; `name` stands in messages. */
int picture_read_memory(const char *name, const void *bytes, size_t count, picture *out, error *e);

/* Writes any picture as PNG.  The file appears whole or not at all (a neighbour is written, then renamed); a link is
 * followed, and a device or pipe written to as it is.  PLN_E_MISSING: no such folder.  PLN_E_FULL: no space. */
int picture_write(const char *path, const picture *p, error *e);

/* The PNG's bytes instead, malloc'd; the caller frees them. */
int picture_encode(const picture *p, uint8_t **bytes, size_t *count, error *e);

#endif

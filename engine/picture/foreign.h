/* What is this file, when it is no PNG?  People hand over photographs (JPEG, HEIC), drawings (SVG, GIF) and mistakes
 * (empty files, text).  An answer that names the format and the command that converts it saves a search. */
#ifndef PICTURE_FOREIGN_H
#define PICTURE_FOREIGN_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Fills `e` with what the file is and what to do, and returns PLN_E_FORMAT (PLN_E_EMPTY is for pictures without ink).
 * `name` is what people call the file ("standard input"), `path` what a command would take ("-"); `head` are its first
 * bytes (512 are plenty; `count` below that means that the file is no longer). */
int foreign_refuse(const char *name, const char *path, const uint8_t *head, size_t count, error *e);

#endif

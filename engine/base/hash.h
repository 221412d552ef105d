/* SHA-256 (nettle's), as hexadecimal text: of fingerprints, digests, data sets, scripts, plugins.
 * Thread rule: a hash belongs to one thread. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <nettle/sha2.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define HASH_HEX 65 /* 64 digits and the final zero */

typedef struct hash {
    struct sha256_ctx state;
} hash;

void hash_begin(hash *h);
void hash_bytes(hash *h, const void *bytes, size_t count);
/* A text with its length before it, so that ("ab","c") differs from ("a","bc").  NULL differs from "". */
void hash_text(hash *h, const char *text);
void hash_integer(hash *h, int64_t value);
void hash_real(hash *h, double value); /* by its bits */
void hash_end(hash *h, char hex[HASH_HEX]);

/* The hash of a whole file. */
int hash_file(const char *path, char hex[HASH_HEX], error *e);

#endif

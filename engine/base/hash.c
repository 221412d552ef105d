/* Every digest in the program comes through here, so that what is hashed has one encoding: numbers as eight bytes,
 * lowest first, and texts with their length before them. */
#include "base/hash.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void hash_begin(hash *h)
{
    sha256_init(&h->state);
}

void hash_bytes(hash *h, const void *bytes, size_t count)
{
    if (count)
        sha256_update(&h->state, count, bytes);
}

void hash_integer(hash *h, int64_t value)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)((uint64_t)value >> (8 * i));
    hash_bytes(h, bytes, sizeof bytes);
}

void hash_text(hash *h, const char *text)
{
    size_t length = text ? strlen(text) : 0;
    hash_integer(h, text ? (int64_t)length : -1);
    hash_bytes(h, text, length);
}

void hash_real(hash *h, double value)
{
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    hash_integer(h, bits);
}

void hash_end(hash *h, char hex[HASH_HEX])
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_digest(&h->state, sizeof digest, digest);
    for (int i = 0; i < SHA256_DIGEST_SIZE; i++) {
        hex[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    hex[HASH_HEX - 1] = 0;
}

int hash_file(const char *path, char hex[HASH_HEX], error *e)
{
    FILE *file = fopen(path, "rbe");
    if (!file) {
        int reason = errno;
        int status = error_system(e, reason, "cannot open %s", path);
        if (reason != ENOENT && reason != ENOTDIR)
            return status;
        if (e)
            e->status = PLN_E_MISSING;
        return PLN_E_MISSING;
    }
    hash h;
    hash_begin(&h);
    char block[1 << 15];
    size_t n;
    while ((n = fread(block, 1, sizeof block, file)) > 0)
        hash_bytes(&h, block, n);
    int status = ferror(file) ? error_system(e, errno, "cannot read %s", path) : PLN_E_OK;
    fclose(file);
    if (status == PLN_E_OK)
        hash_end(&h, hex);
    return status;
}

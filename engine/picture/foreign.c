/* Magic numbers, as a table: where, which bytes, what it is, how it becomes a PNG. */
#include "picture/foreign.h"

#include <stdio.h>
#include <string.h>

/* In `remedy`, every % stands for the file, quoted for a shell. */
#define CONVERT "convert it with: convert % %.png"

typedef struct magic {
    size_t offset, length;
    const char *bytes, *what, *remedy;
} magic;

static const magic magics[] = {
    {0, 3, "\xff\xd8\xff", "a JPEG picture", CONVERT},
    {0, 6, "GIF87a", "a GIF picture", CONVERT},
    {0, 6, "GIF89a", "a GIF picture", CONVERT},
    {8, 4, "WEBP", "a WebP picture", CONVERT},
    {4, 8, "ftypheic", "a HEIC picture", CONVERT},
    {4, 8, "ftypheix", "a HEIC picture", CONVERT},
    {4, 8, "ftypmif1", "a HEIF picture", CONVERT},
    {4, 8, "ftypavif", "an AVIF picture", CONVERT},
    {0, 4, "II*\0", "a TIFF picture", CONVERT},
    {0, 4, "MM\0*", "a TIFF picture", CONVERT},
    {0, 12, "\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture", CONVERT},
    {0, 2, "\xff\x0a", "a JPEG XL picture", CONVERT},
    {0, 12, "\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture", CONVERT},
    {0, 4, "\0\0\1\0", "an icon file", CONVERT},
    {0, 4, "8BPS", "a Photoshop file", CONVERT},
    {0, 8, "gimp xcf", "a GIMP file", CONVERT},
    {0, 8, "\x8aMNG\r\n\x1a\n", "an MNG animation", CONVERT},
    {0, 5, "%PDF-", "a PDF document", "convert it with: pdftoppm -singlefile -png -r 150 % %"},
    {0, 2, "\x1f\x8b", "a gzip archive", "unpack it with: gunzip %"},
    {0, 4, "PK\3\4", "a zip archive", "unpack it with: unzip %"},
    {0, 4, "\x89PNG",
     "a PNG file that was damaged on its way (its first 8 bytes are wrong, as after a transfer in text mode)",
     "copy it again in binary mode"},
    {0, 4, "\xb3PNG", "a PNG file that lost its eighth bits on its way", "copy it again in binary mode"},
    {0, 4, "\0\0\x08\x03", "a file of images in IDX format (as MNIST's)", "put it into a data folder instead"},
    {0, 16, "SQLite format 3", "an SQLite database", "name a picture instead"},
};

/* Netpbm: "P1" .. "P7" and white space.  BMP: "BM" and a plausible header size at 14, since many texts begin so. */
static const char *by_structure(const uint8_t *head, size_t count)
{
    if (count >= 3 && head[0] == 'P' && head[1] >= '1' && head[1] <= '7' && strchr(" \t\r\n", head[2]) && head[2])
        return "a Netpbm picture";
    if (count >= 18 && head[0] == 'B' && head[1] == 'M' && head[14] >= 12 && head[14] <= 124 && head[15] == 0)
        return "a BMP picture";
    return NULL;
}

static int holds(const uint8_t *head, size_t count, const char *word)
{
    size_t length = strlen(word);
    for (size_t i = 0; i + length <= count; i++)
        if (memcmp(head + i, word, length) == 0)
            return 1;
    return 0;
}

/* No control characters but white space; what lies above ASCII passes as UTF-8 or Latin-1. */
static int is_text(const uint8_t *head, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if ((head[i] < 32 && !(head[i] >= 8 && head[i] <= 13)) || head[i] == 127)
            return 0;
    return 1;
}

/* Appends `s` as one word of a shell. */
static void quote(char *out, size_t size, const char *s)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./,:+@%-";
    size_t at = strlen(out);
    if (s[strspn(s, plain)] == '\0' && s[0]) {
        snprintf(out + at, size - at, "%s", s);
        return;
    }
    if (at + 1 < size)
        out[at++] = '\'';
    for (; *s && at + 5 < size; s++) {
        if (*s == '\'') {
            memcpy(out + at, "'\\''", 4);
            at += 4;
        } else {
            out[at++] = *s;
        }
    }
    if (at + 1 < size)
        out[at++] = '\'';
    out[at] = '\0';
}

static int refuse(const char *name, const char *path, const char *what, const char *remedy, error *e)
{
    int piped = strcmp(path, "-") == 0;
    char advice[1024] = "";
    if (piped && strcmp(remedy, CONVERT) == 0)
        remedy = "convert it on its way: … | convert - png:- | …";
    for (const char *p = remedy; *p; p++) {
        size_t at = strlen(advice);
        if (at + 2 >= sizeof advice)
            break;
        if (*p == '%' && p[1] != '.')
            quote(advice, sizeof advice, path);
        else if (*p == '%') {
            char target[512];
            snprintf(target, sizeof target, "%s.png", path);
            quote(advice, sizeof advice, target);
            p += strlen(".png");
        } else {
            advice[at] = *p;
            advice[at + 1] = '\0';
        }
    }
    return error_set(e, PLN_E_FORMAT, "%s is %s, not a PNG file; %s", name, what, advice);
}

int foreign_refuse(const char *name, const char *path, const uint8_t *head, size_t count, error *e)
{
    if (count == 0)
        return error_set(e, PLN_E_FORMAT, "%s is empty (0 bytes), not a PNG file; save or copy the picture again",
                         name);
    for (size_t i = 0; i < sizeof magics / sizeof *magics; i++) {
        const magic *m = &magics[i];
        if (count >= m->offset + m->length && memcmp(head + m->offset, m->bytes, m->length) == 0)
            return refuse(name, path, m->what, m->remedy, e);
    }
    const char *what = by_structure(head, count);
    if (what)
        return refuse(name, path, what, CONVERT, e);
    if (is_text(head, count)) {
        if (holds(head, count, "<svg") || holds(head, count, "<!DOCTYPE svg"))
            return refuse(name, path, "an SVG drawing", "convert it with: rsvg-convert -o %.png %", e);
        if (holds(head, count, "<html") || holds(head, count, "<!DOCTYPE html") || holds(head, count, "<!doctype html"))
            return refuse(name, path, "a web page", "download the picture itself", e);
        return refuse(name, path, "a text file", "name a picture instead", e);
    }
    char bytes[3 * 8 + 1] = "";
    for (size_t i = 0; i < count && i < 8; i++)
        snprintf(bytes + 3 * i, sizeof bytes - 3 * i, " %02x", head[i]);
    return error_set(e, PLN_E_FORMAT,
                     "%s is not a PNG file (it begins with the bytes%s, a PNG file with 89 50 4e 47 0d 0a 1a 0a); "
                     "save the picture as PNG",
                     name, bytes);
}

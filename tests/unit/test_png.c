/* PNG in and out: every legal kind of PNG, made from formulas with libpng itself, and broken ones of each kind, made by
 * hand, so that a reader that is wrong and a writer that is wrong cannot agree by accident. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <math.h>
#include <png.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "picture/png.h"

/* ---- making PNG files ------------------------------------------------------------------------------------------ */

typedef struct bytes {
    uint8_t *at;
    size_t count;
} bytes;

static void bytes_add(bytes *b, const void *from, size_t count)
{
    b->at = realloc(b->at, b->count + count + 1);
    assert_non_null(b->at);
    if (count)
        memcpy(b->at + b->count, from, count);
    b->count += count;
}

static void bytes_free(bytes *b)
{
    free(b->at);
    *b = (bytes){0};
}

static void on_write(png_structp png, png_bytep from, size_t count)
{
    bytes_add(png_get_io_ptr(png), from, count);
}

static void on_flush(png_structp png)
{
    (void)png;
}

/* A kind of PNG.  gamma 0: none stated. */
typedef struct kind {
    int type, depth, interlaced, transparent, width, height;
    double gamma;
} kind;

/* Sample c of pixel (x, y), of `depth` bits. */
static unsigned sample(int x, int y, int c, int depth)
{
    unsigned v = (unsigned)(x * 7919 + y * 104729 + c * 1299709 + x * y * 31) * 2654435761u;
    return v >> (32 - depth);
}

/* The palette of 2^depth entries: alpha of the first half. */
static png_color palette_entry(int i)
{
    return (png_color){(png_byte)(i * 17 + 3), (png_byte)(255 - i), (png_byte)(i * 101)};
}

static int palette_alpha(int i, int depth)
{
    return i < (1 << depth) / 2 ? (i * 53) % 255 : 255;
}

static int samples_of(int type)
{
    static const int samples[] = {1, 0, 3, 1, 2, 0, 4};
    return samples[type];
}

/* The pixel that is transparent where a type has no alpha: the one at (1, 1) or the origin. */
static void set_transparency(png_structp png, png_infop info, const kind *k)
{
    int x = k->width > 1, y = k->height > 1;
    png_color_16 colour = {0};
    png_byte alphas[256];
    if (k->type == PNG_COLOR_TYPE_PALETTE) {
        for (int i = 0; i < 1 << k->depth; i++)
            alphas[i] = (png_byte)palette_alpha(i, k->depth);
        png_set_tRNS(png, info, alphas, 1 << k->depth, NULL);
        return;
    }
    colour.gray = colour.red = (png_uint_16)sample(x, y, 0, k->depth);
    colour.green = (png_uint_16)sample(x, y, 1, k->depth);
    colour.blue = (png_uint_16)sample(x, y, 2, k->depth);
    png_set_tRNS(png, info, NULL, 0, &colour);
}

/* Packs a row as PNG wants it: high bits first, 16 bits high byte first. */
static void pack_row(const kind *k, int y, uint8_t *row)
{
    int samples = samples_of(k->type), bit = 0;
    memset(row, 0, (size_t)(k->width * samples * 2 + 8));
    for (int x = 0; x < k->width; x++)
        for (int c = 0; c < samples; c++, bit += k->depth) {
            unsigned v = sample(x, y, c, k->depth);
            if (k->depth == 16) {
                row[bit / 8] = (uint8_t)(v >> 8);
                row[bit / 8 + 1] = (uint8_t)v;
            } else {
                row[bit / 8] = (uint8_t)(row[bit / 8] | v << (8 - k->depth - bit % 8));
            }
        }
}

static bytes make(const kind *k)
{
    bytes b = {0};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_color palette[256];
    uint8_t *rows[64];
    png_set_write_fn(png, &b, on_write, on_flush);
    png_set_IHDR(png, info, (png_uint_32)k->width, (png_uint_32)k->height, k->depth, k->type,
                 k->interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, 0, 0);
    for (int i = 0; i < 256; i++)
        palette[i] = palette_entry(i);
    if (k->type == PNG_COLOR_TYPE_PALETTE)
        png_set_PLTE(png, info, palette, 1 << k->depth);
    if (k->transparent)
        set_transparency(png, info, k);
    if (k->gamma > 0)
        png_set_gAMA(png, info, k->gamma);
    for (int y = 0; y < k->height; y++) {
        rows[y] = malloc((size_t)k->width * 8 + 16);
        pack_row(k, y, rows[y]);
    }
    png_write_info(png, info);
    png_write_image(png, rows);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    for (int y = 0; y < k->height; y++)
        free(rows[y]);
    return b;
}

/* What the reader must make of pixel (x, y): red, green, blue, alpha. */
static void expected(const kind *k, int x, int y, int rgba[4])
{
    int gray = k->type == PNG_COLOR_TYPE_GRAY || k->type == PNG_COLOR_TYPE_GRAY_ALPHA;
    unsigned max = (1u << k->depth) - 1, v[4];
    for (int c = 0; c < 4; c++)
        v[c] = sample(x, y, c, k->depth);
    rgba[3] = 255;
    if (k->type == PNG_COLOR_TYPE_PALETTE) {
        png_color c = palette_entry((int)v[0]);
        rgba[0] = c.red;
        rgba[1] = c.green;
        rgba[2] = c.blue;
        rgba[3] = k->transparent ? palette_alpha((int)v[0], k->depth) : 255;
        return;
    }
    for (int c = 0; c < 3; c++)
        rgba[c] = (int)lround(v[gray ? 0 : c] * 255.0 / max);
    if (k->type & PNG_COLOR_MASK_ALPHA)
        rgba[3] = (int)lround(v[gray ? 1 : 3] * 255.0 / max);
    if (k->transparent) {
        int tx = k->width > 1, ty = k->height > 1, same = 1;
        for (int c = 0; c < (gray ? 1 : 3); c++)
            same = same && v[c] == sample(tx, ty, c, k->depth);
        rgba[3] = same ? 0 : 255;
    }
}

static void agrees(const kind *k, const picture *p)
{
    assert_int_equal(p->width, k->width);
    assert_int_equal(p->height, k->height);
    int gray = k->type == PNG_COLOR_TYPE_GRAY || k->type == PNG_COLOR_TYPE_GRAY_ALPHA;
    int alpha = k->transparent || k->type & PNG_COLOR_MASK_ALPHA;
    assert_int_equal(p->channels, (gray ? 1 : 3) + (alpha ? 1 : 0));
    for (int y = 0; y < k->height; y++)
        for (int x = 0; x < k->width; x++) {
            int rgba[4];
            expected(k, x, y, rgba);
            const uint8_t *at = p->pixels + (y * k->width + x) * p->channels;
            for (int c = 0; c < p->channels; c++) {
                int want = rgba[gray && c == 1 ? 3 : c];
                if (at[c] != want)
                    fail_msg("type %d depth %d interlaced %d tRNS %d %dx%d: (%d,%d)[%d] is %d, not %d", k->type,
                             k->depth, k->interlaced, k->transparent, k->width, k->height, x, y, c, at[c], want);
            }
        }
}

static const int kinds[][2] = {{0, 1}, {0, 2}, {0, 4}, {0, 8}, {0, 16}, {2, 8}, {2, 16}, {3, 1},
                               {3, 2}, {3, 4}, {3, 8}, {4, 8}, {4, 16}, {6, 8}, {6, 16}};

static void every_colour_type_depth_interlace_and_transparency_is_read(void **state)
{
    static const int sizes[][2] = {{1, 1}, {2, 3}, {3, 2}, {5, 7}, {8, 8}, {9, 1}, {1, 9}, {33, 17}};
    int read = 0;
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (int variant = 0; variant < 4; variant++)
            for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
                kind k = {kinds[i][0], kinds[i][1], variant & 1, variant >> 1, sizes[s][0], sizes[s][1], 0};
                if (k.transparent && k.type & PNG_COLOR_MASK_ALPHA)
                    continue;
                bytes b = make(&k);
                picture p;
                error e = {0};
                int status = picture_read_memory("made", b.at, b.count, &p, &e);
                assert_string_equal(e.text, "");
                assert_int_equal(status, PLN_E_OK);
                agrees(&k, &p);
                picture_free(&p);
                bytes_free(&b);
                read++;
            }
    assert_int_equal(read, (15 * 2 + 11 * 2) * 8);
}

static void a_stated_gamma_is_turned_into_that_of_srgb(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        kind k = {kinds[i][0], kinds[i][1], 0, 0, 16, 16, 1.0}; /* linear light */
        bytes b = make(&k);
        picture p;
        error e;
        assert_int_equal(picture_read_memory("linear", b.at, b.count, &p, &e), PLN_E_OK);
        int colours = p.channels < 3 ? 1 : 3;
        for (int n = 0; n < 256; n++)
            for (int c = 0; c < colours; c++) {
                int rgba[4];
                expected(&k, n % 16, n / 16, rgba);
                double linear = rgba[c] / 255.0;
                if (k.depth == 16)
                    linear = sample(n % 16, n / 16, c, 16) / 65535.0;
                double want = 255.0 * pow(linear, 1 / 2.2);
                /* libpng's tables for 16 bits are coarse near black, where the curve is steep */
                if (fabs(p.pixels[n * p.channels + c] - want) > (k.depth == 16 && linear < 0.02 ? 12 : 1.6))
                    fail_msg("type %d depth %d: %f became %d, not %f", k.type, k.depth, linear,
                             p.pixels[n * p.channels + c], want);
            }
        picture_free(&p);
        bytes_free(&b);
    }
}

static void a_gamma_of_srgb_or_an_absurd_one_changes_nothing(void **state)
{
    static const double gammas[] = {0.45455, 0.0005, 4000};
    (void)state;
    for (int i = 0; i < 3; i++)
        for (int type = 0; type <= 3; type += 3) {
            kind k = {type, 8, 0, 0, 16, 16, gammas[i]};
            bytes b = make(&k);
            picture p;
            assert_int_equal(picture_read_memory("gamma", b.at, b.count, &p, NULL), PLN_E_OK);
            k.gamma = 0;
            agrees(&k, &p);
            picture_free(&p);
            bytes_free(&b);
        }
}

/* ---- breaking them --------------------------------------------------------------------------------------------- */

static void chunk(bytes *b, const char *type, const void *data, size_t count)
{
    uint8_t length[4] = {(uint8_t)(count >> 24), (uint8_t)(count >> 16), (uint8_t)(count >> 8), (uint8_t)count};
    bytes_add(b, length, 4);
    size_t begin = b->count;
    bytes_add(b, type, 4);
    bytes_add(b, data, count);
    uint32_t crc = (uint32_t)crc32(0, b->at + begin, (uInt)(b->count - begin));
    uint8_t sum[4] = {(uint8_t)(crc >> 24), (uint8_t)(crc >> 16), (uint8_t)(crc >> 8), (uint8_t)crc};
    bytes_add(b, sum, 4);
}

static void header(bytes *b, uint32_t width, uint32_t height, int depth, int type, int compression, int filter,
                   int interlace)
{
    uint8_t data[13] = {(uint8_t)(width >> 24),  (uint8_t)(width >> 16),  (uint8_t)(width >> 8),  (uint8_t)width,
                        (uint8_t)(height >> 24), (uint8_t)(height >> 16), (uint8_t)(height >> 8), (uint8_t)height,
                        (uint8_t)depth,          (uint8_t)type,           (uint8_t)compression,   (uint8_t)filter,
                        (uint8_t)interlace};
    bytes_add(b, "\x89PNG\r\n\x1a\n", 8);
    chunk(b, "IHDR", data, sizeof data);
}

static void image(bytes *b, const void *rows, size_t count)
{
    uint8_t packed[4096];
    uLongf length = sizeof packed;
    assert_int_equal(compress(packed, &length, rows, count), Z_OK);
    chunk(b, "IDAT", packed, length);
}

static void refused(const bytes *b, int status, const char *words)
{
    picture p = {1, 1, 1, (uint8_t *)1};
    error e = {0};
    assert_int_equal(picture_read_memory("seven.png", b->at, b->count, &p, &e), status);
    assert_null(p.pixels);
    assert_int_equal(e.status, status);
    assert_non_null(strstr(e.text, "seven.png"));
    if (!strstr(e.text, words))
        fail_msg("'%s' does not say '%s'", e.text, words);
}

static void a_file_cut_short_anywhere_is_refused(void **state)
{
    (void)state;
    for (int type = 0; type <= 3; type += 3) {
        kind k = {type, 8, type == 3, 1, 9, 9, 0.5};
        bytes b = make(&k);
        for (size_t cut = 0; cut < b.count; cut++) {
            bytes part = {b.at, cut};
            refused(&part, PLN_E_FORMAT, cut == 0 ? "is empty" : "is a broken PNG file: it ends");
        }
        bytes_free(&b);
    }
}

static void one_wrong_bit_anywhere_is_refused(void **state)
{
    (void)state;
    kind k = {3, 4, 0, 1, 9, 9, 0.5};
    bytes b = make(&k);
    for (size_t at = 0; at < b.count; at++)
        for (int bit = 0; bit < 8; bit++) {
            b.at[at] ^= (uint8_t)(1 << bit);
            refused(&b, PLN_E_FORMAT,
                    at < 4   ? "not a PNG file"
                    : at < 8 ? "damaged on its way"
                             : "is a broken PNG file: ");
            b.at[at] ^= (uint8_t)(1 << bit);
        }
    bytes_free(&b);
}

static void a_wrong_checksum_is_refused_in_every_chunk(void **state)
{
    (void)state;
    kind k = {3, 8, 0, 1, 9, 9, 0.5};
    bytes b = make(&k);
    int chunks = 0;
    for (size_t at = 8; at < b.count; chunks++) {
        size_t length = (size_t)b.at[at] << 24 | (size_t)b.at[at + 1] << 16 | (size_t)b.at[at + 2] << 8 | b.at[at + 3];
        b.at[at + 8 + length] ^= 0x55;
        refused(&b, PLN_E_FORMAT, "CRC error");
        b.at[at + 8 + length] ^= 0x55;
        at += length + 12;
    }
    assert_int_equal(chunks, 6); /* IHDR gAMA PLTE tRNS IDAT IEND */
    bytes_free(&b);
}

static void a_header_that_is_no_header_is_refused_with_the_reason(void **state)
{
    static const struct {
        uint32_t width, height;
        int depth, type, compression, filter, interlace;
        const char *words;
    } headers[] = {
        {0, 9, 8, 0, 0, 0, 0, "width is zero"},
        {9, 0, 8, 0, 0, 0, 0, "height is zero"},
        {0x80000000u, 9, 8, 0, 0, 0, 0, "broken PNG file"},
        {9, 0xffffffffu, 8, 0, 0, 0, 0, "broken PNG file"},
        {9, 9, 3, 0, 0, 0, 0, "bit depth"},
        {9, 9, 0, 0, 0, 0, 0, "bit depth"},
        {9, 9, 32, 0, 0, 0, 0, "bit depth"},
        {9, 9, 8, 1, 0, 0, 0, "color type"},
        {9, 9, 8, 5, 0, 0, 0, "color type"},
        {9, 9, 8, 7, 0, 0, 0, "color type"},
        {9, 9, 4, 2, 0, 0, 0, "color type/bit depth"},
        {9, 9, 16, 3, 0, 0, 0, "color type/bit depth"},
        {9, 9, 1, 4, 0, 0, 0, "color type/bit depth"},
        {9, 9, 2, 6, 0, 0, 0, "color type/bit depth"},
        {9, 9, 8, 0, 1, 0, 0, "compression method"},
        {9, 9, 8, 0, 0, 1, 0, "filter method"},
        {9, 9, 8, 0, 0, 0, 2, "interlace method"},
    };
    uint8_t rows[9 * 10] = {0};
    (void)state;
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        bytes b = {0};
        header(&b, headers[i].width, headers[i].height, headers[i].depth, headers[i].type, headers[i].compression,
               headers[i].filter, headers[i].interlace);
        image(&b, rows, sizeof rows);
        chunk(&b, "IEND", "", 0);
        refused(&b, PLN_E_FORMAT, headers[i].words);
        bytes_free(&b);
    }
}

static void a_huge_claim_is_refused_before_memory_is_taken(void **state)
{
    static const uint32_t sizes[][2] = {{0x7fffffff, 0x7fffffff}, {8001, 8000}, {64000000, 1}, {1, 1000001}};
    struct rusage before, after;
    (void)state;
    getrusage(RUSAGE_SELF, &before);
    for (int i = 0; i < 4; i++)
        for (int type = 0; type <= 6; type += 6) {
            bytes b = {0};
            header(&b, sizes[i][0], sizes[i][1], 8, type, 0, 0, 0);
            chunk(&b, "IDAT", "x\x9c", 2);
            char words[100];
            snprintf(words, sizeof words, "seven.png claims %u x %u pixels; at most 64000000 pixels", sizes[i][0],
                     sizes[i][1]);
            refused(&b, PLN_E_FORMAT, words);
            bytes_free(&b);
        }
    getrusage(RUSAGE_SELF, &after);
    assert_true(after.ru_maxrss - before.ru_maxrss < 20000); /* kilobytes */
}

static void missing_chunks_and_wrong_contents_are_refused(void **state)
{
    static const uint8_t rows[4 * 5] = {0};
    static const uint8_t wild[2 * 3] = {0, 0, 1, 0, 3, 2}; /* 2 x 2 of a palette of 3: index 3 is outside */
    bytes b = {0};
    (void)state;
    header(&b, 4, 4, 8, 0, 0, 0, 0);
    chunk(&b, "IEND", "", 0);
    refused(&b, PLN_E_FORMAT, "broken PNG file"); /* no IDAT */
    bytes_free(&b);

    header(&b, 4, 4, 8, 0, 0, 0, 0);
    image(&b, rows, 5 * 3);
    chunk(&b, "IEND", "", 0);
    refused(&b, PLN_E_FORMAT, "Not enough image data");
    bytes_free(&b);

    header(&b, 4, 4, 8, 0, 0, 0, 0);
    chunk(&b, "IDAT", "this is not a zlib stream", 25);
    chunk(&b, "IEND", "", 0);
    refused(&b, PLN_E_FORMAT, "broken PNG file: IDAT");
    bytes_free(&b);

    header(&b, 4, 4, 8, 3, 0, 0, 0);
    image(&b, rows, sizeof rows);
    chunk(&b, "IEND", "", 0);
    refused(&b, PLN_E_FORMAT, "PLTE"); /* no palette */
    bytes_free(&b);

    header(&b, 2, 2, 8, 3, 0, 0, 0);
    chunk(&b, "PLTE", "abcdefghi", 9);
    image(&b, wild, sizeof wild);
    chunk(&b, "IEND", "", 0);
    refused(&b, PLN_E_FORMAT, "pixel (0, 1) has colour 3 of a palette of 3");
    bytes_free(&b);

    header(&b, 4, 4, 8, 0, 0, 0, 0);
    chunk(&b, "HUGE", "critical and unknown", 20);
    image(&b, rows, sizeof rows);
    chunk(&b, "IEND", "", 0);
    refused(&b, PLN_E_FORMAT, "unhandled critical chunk");
    bytes_free(&b);

    uint8_t filtered[4 * 5] = {0};
    filtered[5] = 9;
    header(&b, 4, 4, 8, 0, 0, 0, 0);
    image(&b, filtered, sizeof filtered);
    chunk(&b, "IEND", "", 0);
    refused(&b, PLN_E_FORMAT, "bad adaptive filter value");
    bytes_free(&b);
}

static void texts_profiles_and_private_chunks_are_passed_over(void **state)
{
    static const uint8_t rows[2 * 3] = {0, 1, 2, 0, 3, 4};
    bytes b = {0};
    picture p;
    (void)state;
    header(&b, 2, 2, 8, 0, 0, 0, 0);
    chunk(&b, "iCCP", "not a profile at all", 20);
    chunk(&b, "zTXt", "Comment\0\0garbage", 16);
    chunk(&b, "pnLN", "private", 7);
    image(&b, rows, sizeof rows);
    chunk(&b, "tEXt", "Author\0somebody", 15);
    chunk(&b, "IEND", "", 0);
    bytes_add(&b, "what follows the end is not ours", 32);
    assert_int_equal(picture_read_memory("texts", b.at, b.count, &p, NULL), PLN_E_OK);
    assert_memory_equal(p.pixels, "\1\2\3\4", 4);
    picture_free(&p);
    bytes_free(&b);
}

static void a_gray_palette_is_gray(void **state)
{
    static const uint8_t rows[2 * 3] = {0, 1, 0, 0, 0, 1};
    bytes b = {0};
    picture p;
    (void)state;
    header(&b, 2, 2, 8, 3, 0, 0, 0);
    chunk(&b, "PLTE", "\x10\x10\x10\xf0\xf0\xf0", 6);
    image(&b, rows, sizeof rows);
    chunk(&b, "IEND", "", 0);
    assert_int_equal(picture_read_memory("gray", b.at, b.count, &p, NULL), PLN_E_OK);
    assert_int_equal(p.channels, 1);
    assert_memory_equal(p.pixels, "\xf0\x10\x10\xf0", 4);
    picture_free(&p);
    bytes_free(&b);
}

/* ---- files ----------------------------------------------------------------------------------------------------- */

static char folder[64];

static int folder_make(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/perilune-test-png-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int folder_remove(void **state)
{
    (void)state;
    DIR *d = opendir(folder);
    for (struct dirent *entry; d && (entry = readdir(d));) {
        char path[400];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(path);
    }
    closedir(d);
    return rmdir(folder);
}

static int entries(void)
{
    int count = 0;
    DIR *d = opendir(folder);
    for (struct dirent *entry; d && (entry = readdir(d));)
        count += entry->d_name[0] != '.';
    closedir(d);
    return count;
}

static const char *in_folder(const char *name)
{
    static char path[4][400];
    static int next;
    next = (next + 1) % 4;
    snprintf(path[next], sizeof path[next], "%s/%s", folder, name);
    return path[next];
}

static void put(const char *path, const void *from, size_t count)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(from, 1, count, f), count);
    assert_int_equal(fclose(f), 0);
}

static void what_is_no_png_is_named_with_its_remedy(void **state)
{
    static const struct {
        const char *bytes;
        size_t count;
        const char *words;
    } files[] = {
        {"", 0, "is empty (0 bytes)"},
        {"\xff\xd8\xff\xe0\0\x10JFIF\0", 11, "is a JPEG picture, not a PNG file; convert it with: convert @ @.png"},
        {"GIF89a\1\0\1\0\x80", 11, "is a GIF picture, not a PNG file; convert it with: convert @ @.png"},
        {"RIFF\x24\0\0\0WEBPVP8 ", 16, "is a WebP picture, not a PNG file; convert it with: convert @ @.png"},
        {"BM\x36\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\1\0\0\0", 22, "is a BMP picture, not a PNG file; convert it"},
        {"II*\0\x08\0\0\0", 8, "is a TIFF picture"},
        {"MM\0*\0\0\0\x08", 8, "is a TIFF picture"},
        {"\0\0\0\x18"
         "ftypheic\0\0\0\0",
         16, "is a HEIC picture"},
        {"\0\0\0\x1c"
         "ftypavif\0\0\0\0",
         16, "is an AVIF picture"},
        {"%PDF-1.7\n", 9, "is a PDF document, not a PNG file; convert it with: pdftoppm -singlefile -png -r 150 @ @"},
        {"<?xml version=\"1.0\"?>\n<svg xmlns=", 33,
         "is an SVG drawing, not a PNG file; convert it with: rsvg-convert -o @.png @"},
        {"\x1f\x8b\x08\0\0\0\0\0", 8, "is a gzip archive, not a PNG file; unpack it with: gunzip @"},
        {"PK\3\4\x14\0", 6, "is a zip archive"},
        {"P5\n28 28\n255\n", 13, "is a Netpbm picture"},
        {"seven\n", 6, "is a text file"},
        {"BMW and other words", 19, "is a text file"},
        {"si\xc3\xa8te\n", 7, "is a text file"},
        {"<!DOCTYPE html><html>404", 24, "is a web page"},
        {"\x89PNG\n\x1a\n\0", 8, "damaged on its way"},
        {"\0\0\x08\x03\0\0\xea\x60", 8, "IDX format"},
        {"\x01\x02\x03\x04\x05\x06\x07\x08\x09", 9,
         "is not a PNG file (it begins with the bytes 01 02 03 04 05 06 07 08,"},
        {"\x89P", 2, "it ends after 2 bytes"},
    };
    static const char *const names[] = {"photo.jpg", "my photo's.jpg"}, *const quoted[] = {"%s/photo.jpg",
                                                                                           "'%s/my photo'\\''s.jpg'"};
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        for (int n = 0; n < 2; n++) {
            const char *path = in_folder(names[n]);
            char words[1200] = "", as_word[400], as_target[400];
            snprintf(as_word, sizeof as_word, quoted[n], folder);
            snprintf(as_target, sizeof as_target, "%.*s.png%s", (int)strlen(as_word) - n, as_word, n ? "'" : "");
            for (const char *w = files[i].words; *w; w++) {
                size_t at = strlen(words);
                if (!strncmp(w, "@.png", 5))
                    snprintf(words + at, sizeof words - at, "%s", as_target), w += 4;
                else if (w[0] == '@')
                    snprintf(words + at, sizeof words - at, "%s", as_word);
                else
                    words[at] = *w;
            }
            put(path, files[i].bytes, files[i].count);
            picture p;
            error e = {0};
            assert_int_equal(picture_read(path, &p, &e), PLN_E_FORMAT);
            assert_null(p.pixels);
            assert_int_equal(strncmp(e.text, path, strlen(path)), 0);
            if (!strstr(e.text, words))
                fail_msg("'%s' does not say '%s'", e.text, words);
            unlink(path);
        }
}

static void a_file_that_is_not_there_is_missing(void **state)
{
    picture p;
    error e;
    (void)state;
    assert_int_equal(picture_read(in_folder("nowhere.png"), &p, &e), PLN_E_MISSING);
    assert_non_null(strstr(e.text, "there is no file /tmp/perilune-test-png-"));
    assert_int_equal(picture_read(folder, &p, &e), PLN_E_IO);
    assert_non_null(strstr(e.text, "Is a directory"));
}

static void standard_input_is_read_and_named(void **state)
{
    kind k = {6, 8, 1, 0, 33, 17, 0};
    bytes b = make(&k);
    picture p;
    error e;
    (void)state;
    put(in_folder("in.png"), b.at, b.count);
    assert_non_null(freopen(in_folder("in.png"), "rb", stdin));
    assert_int_equal(picture_read("-", &p, &e), PLN_E_OK);
    agrees(&k, &p);
    picture_free(&p);
    put(in_folder("in.png"), b.at, b.count - 20);
    assert_non_null(freopen(in_folder("in.png"), "rb", stdin));
    assert_int_equal(picture_read("-", &p, &e), PLN_E_FORMAT);
    assert_string_equal(e.text, "standard input is a broken PNG file: it ends too early; save or copy it again");
    put(in_folder("in.png"), "\xff\xd8\xff\xe0", 4);
    assert_non_null(freopen(in_folder("in.png"), "rb", stdin));
    assert_int_equal(picture_read("-", &p, &e), PLN_E_FORMAT);
    assert_non_null(strstr(e.text, "standard input is a JPEG picture, not a PNG file; convert it on its way"));
    bytes_free(&b);
}

static void draw(picture *p, int64_t width, int64_t height, int channels)
{
    assert_int_equal(picture_make(width, height, channels, p, NULL), PLN_E_OK);
    for (int64_t i = 0; i < width * height * channels; i++)
        p->pixels[i] = (uint8_t)sample((int)i, 5, channels, 8);
}

static void what_is_written_reads_back_the_same(void **state)
{
    (void)state;
    for (int channels = 1; channels <= 4; channels++) {
        picture p, q;
        error e = {0};
        draw(&p, 300, 7, channels);
        assert_int_equal(picture_write(in_folder("out.png"), &p, &e), PLN_E_OK);
        assert_int_equal(picture_read(in_folder("out.png"), &q, &e), PLN_E_OK);
        assert_int_equal(q.channels, channels);
        assert_int_equal(q.width, 300);
        assert_int_equal(q.height, 7);
        assert_memory_equal(p.pixels, q.pixels, (size_t)(300 * 7 * channels));
        picture_free(&p);
        picture_free(&q);
    }
}

static void writing_leaves_no_other_file_and_follows_links(void **state)
{
    picture p;
    error e = {0};
    struct stat there;
    (void)state;
    draw(&p, 3, 3, 1);
    int before = entries();
    put(in_folder("target.png"), "old", 3);
    assert_int_equal(symlink("target.png", in_folder("link.png")), 0);
    assert_int_equal(picture_write(in_folder("link.png"), &p, &e), PLN_E_OK);
    assert_int_equal(entries(), before + 2);
    assert_int_equal(lstat(in_folder("link.png"), &there), 0);
    assert_true(S_ISLNK(there.st_mode));
    assert_int_equal(stat(in_folder("target.png"), &there), 0);
    assert_true(there.st_size > 50);
    mode_t mask = umask(022);
    umask(mask);
    assert_int_equal(there.st_mode & 0777, 0666 & ~mask);
    picture_free(&p);
}

static void what_cannot_be_written_says_why(void **state)
{
    picture p;
    error e = {0};
    (void)state;
    draw(&p, 3, 3, 1);
    assert_int_equal(picture_write(in_folder("no/such/out.png"), &p, &e), PLN_E_MISSING);
    assert_non_null(strstr(e.text, "there is no folder "));
    assert_non_null(strstr(e.text, "/no/such; make it first"));
    assert_int_equal(picture_write(folder, &p, &e), PLN_E_IO);
    assert_non_null(strstr(e.text, "Is a directory"));
    if (access("/dev/full", W_OK) == 0) {
        assert_int_equal(picture_write("/dev/full", &p, &e), PLN_E_FULL);
        assert_string_equal(e.text, "cannot write /dev/full: No space left on device");
    }
    /* a limit on file sizes stands in for a disk that fills up half way: nothing is left, the old file stays */
    int before = entries();
    put(in_folder("kept.png"), "old", 3);
    struct rlimit limit, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    small = limit;
    small.rlim_cur = 40;
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int status = picture_write(in_folder("kept.png"), &p, &e);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(status, PLN_E_IO);
    assert_non_null(strstr(e.text, "kept.png: File too large"));
    assert_int_equal(entries(), before + 1);
    struct stat there;
    assert_int_equal(stat(in_folder("kept.png"), &there), 0);
    assert_int_equal(there.st_size, 3);
    picture_free(&p);
    assert_int_equal(picture_write(in_folder("empty.png"), &p, &e), PLN_E_INVALID);
}

/* ---- pictures -------------------------------------------------------------------------------------------------- */

static void sizes_that_cannot_be_are_refused(void **state)
{
    static const int64_t sizes[][3] = {{0, 1, 1},      {1, -1, 1}, {1, 1, 0}, {1, 1, 5}, {INT64_MAX, INT64_MAX, 4},
                                       {8001, 8000, 1}};
    picture p;
    error e;
    (void)state;
    for (int i = 0; i < 6; i++) {
        assert_int_equal(picture_make(sizes[i][0], sizes[i][1], (int)sizes[i][2], &p, &e), PLN_E_INVALID);
        assert_null(p.pixels);
    }
}

static void channels_convert_both_ways(void **state)
{
    uint8_t rgba[8] = {200, 100, 50, 255, 10, 20, 30, 0}, two[2] = {100, 51};
    picture p = {2, 1, 4, rgba}, g = {1, 1, 2, two}, q;
    (void)state;
    assert_int_equal(picture_convert(&p, 1, 255, &q, NULL), PLN_E_OK);
    assert_int_equal(q.pixels[0], (299 * 200 + 587 * 100 + 114 * 50 + 500) / 1000);
    assert_int_equal(q.pixels[1], 255);
    picture_free(&q);
    assert_int_equal(picture_convert(&p, 3, 0, &q, NULL), PLN_E_OK);
    assert_memory_equal(q.pixels, "\xc8\x64\x32\0\0\0", 6);
    picture_free(&q);
    assert_int_equal(picture_convert(&g, 4, 0, &q, NULL), PLN_E_OK);
    assert_memory_equal(q.pixels, "\x64\x64\x64\x33", 4);
    picture_free(&q);
    assert_int_equal(picture_convert(&g, 1, 255, &q, NULL), PLN_E_OK);
    assert_int_equal(q.pixels[0], (100 * 51 + 255 * 204 + 127) / 255);
    picture_free(&q);
}

static void resizing_averages_areas_downwards_and_is_linear_upwards(void **state)
{
    uint8_t row[6] = {0, 30, 60, 90, 120, 150}, rgb[6] = {0, 100, 200, 100, 0, 50};
    picture p = {6, 1, 1, row}, c = {2, 1, 3, rgb}, q;
    (void)state;
    assert_int_equal(picture_resize(&p, 3, 1, &q, NULL), PLN_E_OK);
    assert_memory_equal(q.pixels, "\x0f\x4b\x87", 3); /* 15 75 135 */
    picture_free(&q);
    assert_int_equal(picture_resize(&p, 4, 1, &q, NULL), PLN_E_OK);
    assert_memory_equal(q.pixels, "\x0a\x32\x64\x8c", 4); /* (0 + 15) / 1.5, (15 + 60) / 1.5, … */
    picture_free(&q);
    assert_int_equal(picture_resize(&p, 6, 1, &q, NULL), PLN_E_OK);
    assert_memory_equal(q.pixels, row, 6);
    picture_free(&q);
    assert_int_equal(picture_resize(&c, 4, 2, &q, NULL), PLN_E_OK);
    for (int y = 0; y < 2; y++)
        assert_memory_equal(q.pixels + 12 * y, "\0\x64\xc8\x19\x4b\xa3\x4b\x19\x58\x64\0\x32", 12);
    picture_free(&q);
    rgb[0] = 255;
    p = (picture){3, 2, 1, rgb};
    assert_int_equal(picture_resize(&p, 1, 1, &q, NULL), PLN_E_OK);
    assert_int_equal(q.pixels[0], (255 + 100 + 200 + 100 + 0 + 50 + 3) / 6);
    picture_free(&q);
    p.channels = 2;
    assert_int_equal(picture_resize(&p, 1, 1, &q, NULL), PLN_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_colour_type_depth_interlace_and_transparency_is_read),
        cmocka_unit_test(a_stated_gamma_is_turned_into_that_of_srgb),
        cmocka_unit_test(a_gamma_of_srgb_or_an_absurd_one_changes_nothing),
        cmocka_unit_test(a_file_cut_short_anywhere_is_refused),
        cmocka_unit_test(one_wrong_bit_anywhere_is_refused),
        cmocka_unit_test(a_wrong_checksum_is_refused_in_every_chunk),
        cmocka_unit_test(a_header_that_is_no_header_is_refused_with_the_reason),
        cmocka_unit_test(a_huge_claim_is_refused_before_memory_is_taken),
        cmocka_unit_test(missing_chunks_and_wrong_contents_are_refused),
        cmocka_unit_test(texts_profiles_and_private_chunks_are_passed_over),
        cmocka_unit_test(a_gray_palette_is_gray),
        cmocka_unit_test(what_is_no_png_is_named_with_its_remedy),
        cmocka_unit_test(a_file_that_is_not_there_is_missing),
        cmocka_unit_test(standard_input_is_read_and_named),
        cmocka_unit_test(what_is_written_reads_back_the_same),
        cmocka_unit_test(writing_leaves_no_other_file_and_follows_links),
        cmocka_unit_test(what_cannot_be_written_says_why),
        cmocka_unit_test(sizes_that_cannot_be_are_refused),
        cmocka_unit_test(channels_convert_both_ways),
        cmocka_unit_test(resizing_averages_areas_downwards_and_is_linear_upwards),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}

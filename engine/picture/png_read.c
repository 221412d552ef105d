/* Reading PNG.
 *
 * libpng reports errors by longjmp.  The jump is kept safe by one rule: only `guarded` calls setjmp, it has no local
 * variables that change, and everything the steps need lives in the reader, which outlives them.
 */
#include <errno.h>
#include <math.h>
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "picture/foreign.h"
#include "picture/png.h"

#define HEAD 512

typedef struct reader {
    const char *name;
    const uint8_t *bytes; /* what is in memory: all of the picture, or the head of the file */
    size_t count, used;
    FILE *file; /* where reading goes on after `bytes`; NULL: nowhere */
    int errnum; /* why the file could not be read, or 0 */
    png_structp png;
    png_infop info;
    picture *out;
    png_colorp palette; /* libpng's; NULL for pictures without one */
    int colours;        /* entries in it */
    char reason[160], warning[160];
} reader;

static void on_error(png_structp png, png_const_charp message)
{
    reader *r = png_get_error_ptr(png);
    snprintf(r->reason, sizeof r->reason, "%s", message);
    png_longjmp(png, 1);
}

/* Warnings are not for people, but "Invalid IHDR data" has its real reason in the warning before it. */
static void on_warning(png_structp png, png_const_charp message)
{
    reader *r = png_get_error_ptr(png);
    snprintf(r->warning, sizeof r->warning, "%s", message);
}

static void on_read(png_structp png, png_bytep to, size_t wanted)
{
    reader *r = png_get_io_ptr(png);
    size_t here = r->count - r->used < wanted ? r->count - r->used : wanted;
    memcpy(to, r->bytes + r->used, here);
    r->used += here;
    if (here == wanted)
        return;
    if (r->file && fread(to + here, 1, wanted - here, r->file) == wanted - here)
        return;
    if (r->file && ferror(r->file))
        r->errnum = errno ? errno : EIO;
    png_error(png, "it ends too early");
}

static int broken(const reader *r, error *e)
{
    if (r->errnum)
        return error_system(e, r->errnum, "cannot read %s", r->name);
    if (strcasestr(r->reason, "memory"))
        return error_set(e, PLN_E_MEMORY, "out of memory while reading %s", r->name);
    int vague = strcmp(r->reason, "Invalid IHDR data") == 0 && r->warning[0];
    return error_set(e, PLN_E_FORMAT, "%s is a broken PNG file: %s; save or copy it again", r->name,
                     vague ? r->warning : r->reason);
}

/* Runs a step from which libpng may jump out. */
static int guarded(reader *r, void (*step)(reader *), error *e)
{
    if (setjmp(png_jmpbuf(r->png)))
        return broken(r, e);
    step(r);
    return PLN_E_OK;
}

/* The file's exponent if it states one that changes anything, in libpng's unit of 1/100000, or 0.  Below 0.1 and above
 * 10 it is a mistake of whoever wrote it. */
static png_fixed_point stated_gamma(reader *r)
{
    png_fixed_point gamma = 0;
    if (png_get_valid(r->png, r->info, PNG_INFO_sRGB) || !png_get_gAMA_fixed(r->png, r->info, &gamma))
        return 0;
    return gamma >= 10000 && gamma <= 1000000 ? gamma : 0;
}

static void step_header(reader *r)
{
    /* Texts, profiles and the like are skipped unread: nothing here uses them. */
    static const png_byte skipped[] =
        "bKGD\0cHRM\0eXIf\0hIST\0iCCP\0iTXt\0oFFs\0pCAL\0pHYs\0sCAL\0sPLT\0tEXt\0tIME\0zTXt";
    png_structp png = r->png;
    png_set_read_fn(png, r, on_read);
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* our own limits have better words */
    png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, skipped, (int)(sizeof skipped / 5));
    png_read_info(png, r->info);
}

/* Asks for 8 bits a channel; a palette is kept, so that wrong indices can be seen. */
static void step_transform(reader *r)
{
    png_structp png = r->png;
    png_fixed_point gamma = stated_gamma(r);
    if (png_get_color_type(png, r->info) == PNG_COLOR_TYPE_PALETTE) {
        png_set_packing(png);
        if (!png_get_PLTE(png, r->info, &r->palette, &r->colours))
            png_error(png, "PLTE: missing");
    } else {
        png_set_expand(png);
        png_set_scale_16(png);
        if (gamma)
            png_set_gamma_fixed(png, PNG_DEFAULT_sRGB, gamma);
    }
    png_set_interlace_handling(png);
    png_read_update_info(png, r->info);
}

static void step_pixels(reader *r)
{
    const picture *p = r->out;
    int passes = png_get_interlace_type(r->png, r->info) == PNG_INTERLACE_ADAM7 ? 7 : 1;
    size_t stride = (size_t)(p->width * (r->palette ? 1 : p->channels));
    if (png_get_rowbytes(r->png, r->info) != stride)
        png_error(r->png, "a row has another length than the header says");
    /* indices lie at the end of the pixels, which they become from the front on */
    uint8_t *rows = p->pixels + (size_t)(p->width * p->height * p->channels) - stride * (size_t)p->height;
    for (int pass = 0; pass < passes; pass++)
        for (int64_t y = 0; y < p->height; y++)
            png_read_row(r->png, rows + (size_t)y * stride, NULL);
    png_read_end(r->png, NULL);
}

/* The palette as RGBA, gamma applied.  Returns the channels that its colours need. */
static int palette_open(reader *r, uint8_t table[256][4])
{
    png_bytep alpha = NULL;
    int alphas = 0, gray = 1, opaque = 1;
    png_fixed_point gamma = stated_gamma(r);
    double exponent = gamma ? 1.0 / (2.2 * gamma / 100000.0) : 1.0;
    png_get_tRNS(r->png, r->info, &alpha, &alphas, NULL);
    memset(table, 0, 256 * sizeof *table);
    for (int i = 0; i < r->colours; i++) {
        const png_color *c = &r->palette[i];
        uint8_t rgb[3] = {c->red, c->green, c->blue};
        for (int k = 0; k < 3; k++)
            table[i][k] = fabs(exponent - 1.0) < 0.05 ? rgb[k] : (uint8_t)lround(255.0 * pow(rgb[k] / 255.0, exponent));
        table[i][3] = i < alphas ? alpha[i] : 255;
        gray = gray && rgb[0] == rgb[1] && rgb[1] == rgb[2];
        opaque = opaque && table[i][3] == 255;
    }
    return (gray ? 1 : 3) + !opaque;
}

static int palette_expand(const reader *r, uint8_t table[256][4], error *e)
{
    const picture *p = r->out;
    int64_t count = p->width * p->height;
    int channels = p->channels, colours = channels < 3 ? 1 : 3;
    const uint8_t *index = p->pixels + count * (channels - 1);
    for (int64_t i = 0; i < count; i++) {
        int at = index[i]; /* read before the write that may reach it */
        if (at >= r->colours)
            return error_set(e, PLN_E_FORMAT,
                             "%s is a broken PNG file: pixel (%lld, %lld) has colour %d of a palette of %d; "
                             "save or copy it again",
                             r->name, (long long)(i % p->width), (long long)(i / p->width), at, r->colours);
        uint8_t *to = p->pixels + i * channels;
        memcpy(to, table[at], (size_t)colours);
        if (channels > colours)
            to[colours] = table[at][3];
    }
    return PLN_E_OK;
}

static int size_check(const reader *r, int64_t width, int64_t height, error *e)
{
    if (width <= PICTURE_SIDE_MAX && height <= PICTURE_SIDE_MAX && width <= PICTURE_PIXELS_MAX / height)
        return PLN_E_OK;
    return error_set(
        e, PLN_E_FORMAT,
        "%s claims %lld x %lld pixels; at most %lld pixels, and %lld a side, are read. Make it smaller first", r->name,
        (long long)width, (long long)height, (long long)PICTURE_PIXELS_MAX, (long long)PICTURE_SIDE_MAX);
}

static int decode(reader *r, error *e)
{
    uint8_t table[256][4];
    int status = PLN_E_OK;
    r->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, r, on_error, on_warning);
    r->info = r->png ? png_create_info_struct(r->png) : NULL;
    if (!r->info) {
        status = error_set(e, PLN_E_MEMORY, "out of memory while reading %s", r->name);
        goto fail;
    }
    if ((status = guarded(r, step_header, e)))
        goto fail;
    int64_t width = png_get_image_width(r->png, r->info), height = png_get_image_height(r->png, r->info);
    if ((status = size_check(r, width, height, e)) || (status = guarded(r, step_transform, e)))
        goto fail;
    int channels = r->palette ? palette_open(r, table) : png_get_channels(r->png, r->info);
    if ((status = picture_make(width, height, channels, r->out, e)) || (status = guarded(r, step_pixels, e)))
        goto fail;
    if (r->palette)
        status = palette_expand(r, table, e);
fail:
    png_destroy_read_struct(&r->png, &r->info, NULL);
    if (status)
        picture_free(r->out);
    return status;
}

static int is_png(const uint8_t *head, size_t count)
{
    return count >= 8 && png_sig_cmp(head, 0, 8) == 0;
}

/* A file that ends within the signature is a PNG cut short; foreign_refuse could only guess. */
static int is_stub(const uint8_t *head, size_t count)
{
    return count > 0 && count < 8 && memcmp(head, "\x89PNG\r\n\x1a\n", count) == 0;
}

static int read_checked(reader *r, const char *path, error *e)
{
    if (is_stub(r->bytes, r->count))
        return error_set(e, PLN_E_FORMAT, "%s is a broken PNG file: it ends after %zu bytes; save or copy it again",
                         r->name, r->count);
    if (!is_png(r->bytes, r->count))
        return foreign_refuse(r->name, path, r->bytes, r->count, e);
    return decode(r, e);
}

int picture_read_memory(const char *name, const void *bytes, size_t count, picture *out, error *e)
{
    static const uint8_t nothing[1] = {0};
    reader r = {.name = name, .bytes = bytes ? bytes : nothing, .count = bytes ? count : 0, .out = out};
    memset(out, 0, sizeof *out);
    return read_checked(&r, name, e);
}

int picture_read(const char *path, picture *out, error *e)
{
    uint8_t head[HEAD];
    int piped = strcmp(path, "-") == 0, status;
    reader r = {.name = piped ? "standard input" : path, .bytes = head, .out = out};
    memset(out, 0, sizeof *out);
    r.file = piped ? stdin : fopen(path, "rbe");
    if (!r.file && (errno == ENOENT || errno == ENOTDIR))
        return error_set(e, PLN_E_MISSING, "there is no file %s", path);
    if (!r.file)
        return error_system(e, errno, "cannot open %s", path);
    r.count = fread(head, 1, sizeof head, r.file);
    if (ferror(r.file))
        status = error_system(e, errno, "cannot read %s", r.name);
    else
        status = read_checked(&r, path, e);
    if (!piped)
        fclose(r.file);
    return status;
}

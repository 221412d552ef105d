/* Writing PNG: encoded in memory first (where only memory can fail), then put in place as a whole, so that nobody ever
 * finds half a picture under the name. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "picture/png.h"

typedef struct writer {
    const picture *p;
    png_structp png;
    png_infop info;
    uint8_t *bytes;
    size_t count, capacity;
    char reason[160];
} writer;

static void on_error(png_structp png, png_const_charp message)
{
    writer *w = png_get_error_ptr(png);
    snprintf(w->reason, sizeof w->reason, "%s", message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void on_write(png_structp png, png_bytep from, size_t count)
{
    writer *w = png_get_io_ptr(png);
    if (count > w->capacity - w->count) {
        size_t capacity = w->capacity + w->capacity / 2 + count + 1024;
        uint8_t *bytes = realloc(w->bytes, capacity);
        if (!bytes)
            png_error(png, "out of memory");
        w->bytes = bytes;
        w->capacity = capacity;
    }
    memcpy(w->bytes + w->count, from, count);
    w->count += count;
}

static void on_flush(png_structp png)
{
    (void)png;
}

static void step_all(writer *w)
{
    static const int types[] = {0, PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB,
                                PNG_COLOR_TYPE_RGB_ALPHA};
    const picture *p = w->p;
    png_set_write_fn(w->png, w, on_write, on_flush);
    png_set_IHDR(w->png, w->info, (png_uint_32)p->width, (png_uint_32)p->height, 8, types[p->channels],
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(w->png, w->info);
    for (int64_t y = 0; y < p->height; y++)
        png_write_row(w->png, p->pixels + y * p->width * p->channels);
    png_write_end(w->png, NULL);
}

/* The only setjmp here; it has no local variables. */
static int guarded(writer *w, error *e)
{
    if (setjmp(png_jmpbuf(w->png)))
        return strcasestr(w->reason, "memory") ? error_memory(e)
                                               : error_set(e, PLN_E_INVALID, "cannot make a PNG file: %s", w->reason);
    step_all(w);
    return PLN_E_OK;
}

int picture_encode(const picture *p, uint8_t **bytes, size_t *count, error *e)
{
    writer w = {.p = p};
    int status;
    *bytes = NULL;
    *count = 0;
    if (!p->pixels || p->channels < 1 || p->channels > 4)
        return error_set(e, PLN_E_INVALID, "an empty picture cannot be written; draw or read one first");
    w.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &w, on_error, on_warning);
    w.info = w.png ? png_create_info_struct(w.png) : NULL;
    if (!w.info)
        status = error_memory(e);
    else
        status = guarded(&w, e);
    png_destroy_write_struct(&w.png, &w.info);
    if (status) {
        free(w.bytes);
        return status;
    }
    *bytes = w.bytes;
    *count = w.count;
    return PLN_E_OK;
}

static int write_all(int fd, const uint8_t *bytes, size_t count)
{
    while (count > 0) {
        ssize_t n = write(fd, bytes, count);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        bytes += n;
        count -= (size_t)n;
    }
    return 0;
}

static int cannot(const char *path, int errnum, error *e)
{
    if (errnum != ENOENT && errnum != ENOTDIR)
        return error_system(e, errnum, "cannot write %s", path);
    const char *slash = strrchr(path, '/');
    int length = slash ? (int)(slash - path) : 0;
    return error_set(e, PLN_E_MISSING, "cannot write %s: there is no folder %.*s; make it first, or name another", path,
                     length ? length : 1, length ? path : ".");
}

/* Writes to `fd`, and closes it whatever happens. */
static int fill(int fd, const uint8_t *bytes, size_t count)
{
    int errnum = write_all(fd, bytes, count);
    if (close(fd) != 0 && !errnum)
        errnum = errno;
    return errnum;
}

/* A new file beside `target`.  Names are tried until one is free: another writer may be at the same picture. */
static int open_beside(const char *target, char *name, size_t size)
{
    for (int i = 0; i < 1000; i++) {
        if ((size_t)snprintf(name, size, "%s.%ld-%d.tmp", target, (long)getpid(), i) >= size) {
            errno = ENAMETOOLONG;
            return -1;
        }
        int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

static int replace(const char *target, const uint8_t *bytes, size_t count)
{
    char name[PATH_MAX + 64];
    int fd = open_beside(target, name, sizeof name);
    if (fd < 0)
        return errno;
    int errnum = fill(fd, bytes, count);
    if (!errnum && rename(name, target) != 0)
        errnum = errno;
    if (errnum)
        unlink(name);
    return errnum;
}

int picture_write(const char *path, const picture *p, error *e)
{
    char target[PATH_MAX];
    uint8_t *bytes;
    size_t count;
    struct stat there;
    int errnum, status = picture_encode(p, &bytes, &count, e);
    if (status) {
        error_prefix(e, "%s: ", path);
        return status;
    }
    int exists = stat(path, &there) == 0;
    if (exists && S_ISDIR(there.st_mode)) {
        errnum = EISDIR;
    } else if (exists && !S_ISREG(there.st_mode)) {
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        errnum = fd < 0 ? errno : fill(fd, bytes, count);
    } else {
        errnum = replace(exists && realpath(path, target) ? target : path, bytes, count);
    }
    free(bytes);
    return errnum ? cannot(path, errnum, e) : PLN_E_OK;
}

/* Source files: why a reader of our own over zlib's.
 *
 * Data sets are published gzipped and kept either way, and a browser may have inflated a ".gz" on its way here.
 * zlib's gzread takes both; what it lacks are messages that name the file and say what to do, and a check of sizes
 * before memory is asked for.
 */
#include "data/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Deflate's best is 258 bytes for 2 bits: 1032 to 1. */
#define INFLATE_LIMIT 1032

static void identity_of(const struct stat *st, file_identity *id)
{
    id->size = st->st_size;
    id->mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
    id->inode = st->st_ino;
}

int file_identify(const char *path, file_identity *id)
{
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return 0;
    identity_of(&st, id);
    return 1;
}

int file_find(const char *folder, const char *name, char path[FILE_PATH])
{
    static const char *const endings[] = {"", ".gz"};
    for (int i = 0; i < 2; i++) {
        int n = snprintf(path, FILE_PATH, "%s/%s%s", folder, name, endings[i]);
        if (n > 0 && n < FILE_PATH && access(path, F_OK) == 0)
            return 1;
    }
    return 0;
}

int reader_open(reader *r, const char *path, error *e)
{
    r->stream = NULL;
    if (strlen(path) >= sizeof r->path)
        return error_set(e, PLN_E_INVALID, "a path of %zu bytes is too long: %.100s…", strlen(path), path);
    memcpy(r->path, path, strlen(path) + 1);
    int status = PLN_E_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* O_NONBLOCK: a named pipe must not hang us */
    if (fd < 0)
        return error_system(e, errno, "cannot open %s", path);
    struct stat st;
    if (fstat(fd, &st) != 0) {
        status = error_system(e, errno, "cannot read %s", path);
        goto fail;
    }
    if (!S_ISREG(st.st_mode)) {
        status = error_set(e, PLN_E_FORMAT, "%s is no regular file", path);
        goto fail;
    }
    if (st.st_size == 0) {
        status = error_set(e, PLN_E_FORMAT, "%s is empty (0 bytes); get the file again", path);
        goto fail;
    }
    identity_of(&st, &r->identity);
    r->fd = fd;
    r->stream = gzdopen(fd, "rb");
    if (!r->stream) {
        status = error_memory(e);
        goto fail;
    }
    gzbuffer(r->stream, 1 << 17);
    return PLN_E_OK;
fail:
    close(fd);
    return status;
}

int reader_read(reader *r, void *out, size_t n, size_t *got, error *e)
{
    unsigned char *to = out;
    *got = 0;
    while (*got < n) {
        size_t piece = n - *got < (1u << 30) ? n - *got : 1u << 30;
        errno = 0;
        int count = gzread(r->stream, to + *got, (unsigned)piece);
        if (count > 0) {
            *got += (size_t)count;
            continue;
        }
        int code = Z_OK;
        const char *message = gzerror(r->stream, &code);
        if (count == 0 || code == Z_BUF_ERROR)
            return PLN_E_OK;
        if (code == Z_MEM_ERROR)
            return error_memory(e);
        if (code == Z_ERRNO)
            return error_system(e, errno, "cannot read %s", r->path);
        return error_set(e, PLN_E_FORMAT, "%s is damaged: its gzip data cannot be inflated (%s); get the file again",
                         r->path, message ? message : "unknown error");
    }
    return PLN_E_OK;
}

int reader_gzipped(const reader *r)
{
    return !gzdirect(r->stream);
}

int reader_claim(reader *r, int64_t *size, error *e)
{
    *size = r->identity.size;
    if (!reader_gzipped(r))
        return PLN_E_OK;
    unsigned char end[4];
    if (r->identity.size < 18 || pread(r->fd, end, 4, r->identity.size - 4) != 4)
        return error_set(e, PLN_E_FORMAT,
                         "%s is truncated: a gzip file has at least 18 bytes, got %lld; get the file again", r->path,
                         (long long)r->identity.size);
    *size = (int64_t)end[0] | (int64_t)end[1] << 8 | (int64_t)end[2] << 16 | (int64_t)end[3] << 24;
    return PLN_E_OK;
}

int reader_can_hold(const reader *r, int64_t size)
{
    if (!reader_gzipped(r))
        return size <= r->identity.size;
    return size / INFLATE_LIMIT <= r->identity.size;
}

int reader_rest(reader *r, int64_t limit, int64_t *rest, error *e)
{
    char buffer[4096];
    *rest = 0;
    while (*rest < limit) {
        size_t got = 0;
        int status = reader_read(r, buffer, sizeof buffer, &got, e);
        if (status)
            return status;
        *rest += (int64_t)got;
        if (got < sizeof buffer)
            break;
    }
    return PLN_E_OK;
}

void reader_close(reader *r)
{
    if (r->stream)
        gzclose(r->stream);
    r->stream = NULL;
}

/* Source files: read whole or in parts, plain or gzipped (told apart by their bytes, not by their names).
 * Thread rule: a reader belongs to one thread. */
#ifndef DATA_FILE_H
#define DATA_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <zlib.h>

#include "base/error.h"

#define FILE_PATH 4096

/* What tells one version of a file from another without reading it. */
typedef struct file_identity {
    int64_t size;
    int64_t mtime_ns;
    uint64_t inode;
} file_identity;

typedef struct reader {
    gzFile stream;
    int fd; /* the stream's */
    char path[FILE_PATH];
    file_identity identity; /* taken when the file was opened */
} reader;

/* Is there a file NAME or NAME.gz in `folder`?  Writes its path (the plain one wins) and returns 1, or returns 0. */
int file_find(const char *folder, const char *name, char path[FILE_PATH]);

/* The identity of a regular file; 0 when there is none. */
int file_identify(const char *path, file_identity *id);

/* Opens a regular file.  A file of no bytes is refused here, by name. */
int reader_open(reader *r, const char *path, error *e);

/* Reads up to n bytes of the inflated contents; *got < n means that the file ended there.  A gzip stream that is
 * damaged is an error; one that is cut off is an end. */
int reader_read(reader *r, void *out, size_t n, size_t *got, error *e);

/* Can the file hold `size` bytes when it is inflated?  For gzip: 1,032 bytes a byte are the format's limit.  So a
 * header's claim is checked before memory is asked for. */
int reader_can_hold(const reader *r, int64_t size);

/* The size that the contents claim to have: a plain file's size, or what the last four bytes of a gzip file say
 * (RFC 1952, ISIZE).  To be compared with what is read. */
int reader_claim(reader *r, int64_t *size, error *e);

/* How many bytes follow: reads on to the end, but no more than `limit`. */
int reader_rest(reader *r, int64_t limit, int64_t *rest, error *e);

/* 1 when the file is gzipped. */
int reader_gzipped(const reader *r);

void reader_close(reader *r);

#endif

/* Status and errors.
 *
 * Every function that can fail returns a status (PLN_OK or one of the codes below) and takes an `error *` as its
 * last argument, which it fills exactly when it fails.  An error is one sentence or two in plain words: what is
 * wrong, where, and what to do.  NULL is a valid `error *` for a caller that only wants the status.
 *
 * Thread rule: an error belongs to one thread at a time.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

enum {
    PLN_E_OK = 0,        /* the same as PLN_OK in plugin.h */
    PLN_E_INVALID = 1,   /* the caller's values do not fit: a user's mistake */
    PLN_E_MEMORY = 2,    /* the system gave no memory */
    PLN_E_IO = 3,        /* the system refused to read or write */
    PLN_E_FORMAT = 4,    /* a file is not what it should be */
    PLN_E_MISSING = 5,   /* a file, plugin, data set or run is nowhere */
    PLN_E_BUSY = 6,      /* somebody else holds it; trying again may help */
    PLN_E_FULL = 7,      /* the disk is full */
    PLN_E_NONFINITE = 8, /* the numbers of a training run are no numbers any more */
    PLN_E_EMPTY = 9      /* nothing to work on: no ink in a picture, no sample in a set */
};

typedef struct error {
    int status;
    char text[2048];
} error;

#if defined(__GNUC__)
#define ERROR_FORMAT(a, b) __attribute__((format(printf, a, b)))
#else
#define ERROR_FORMAT(a, b)
#endif

/* Fills `e` (when it is not NULL) and returns `status`: `return error_set(e, PLN_E_IO, "cannot open %s", path);`
 * A macro, so that compilers and analysers see which status comes back. */
void error_fill(error *e, int status, const char *format, ...) ERROR_FORMAT(3, 4);
static inline int error_status(int status)
{
    return status;
}
#define error_set(e, status, ...) (error_fill((e), (status), __VA_ARGS__), error_status(status))

/* The same with ": <strerror(errnum)>" appended; ENOSPC and EDQUOT become PLN_E_FULL, ENOMEM PLN_E_MEMORY. */
int error_system(error *e, int errnum, const char *format, ...) ERROR_FORMAT(3, 4);

/* Puts a prefix before the text that is there: `error_prefix(e, "mnist_cnn.lua:11: ")`. */
void error_prefix(error *e, const char *format, ...) ERROR_FORMAT(2, 3);

/* "out of memory", for the one message that everybody writes. */
#define error_memory(e) error_set((e), PLN_E_MEMORY, "out of memory")

#endif

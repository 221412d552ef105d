/* LD_PRELOAD library for memory.py: the n-th allocation, or the n-th write to a file, of a process fails; or all from the
 * n-th on.  What is counted is everybody's: the engine's, Lua's, SQLite's, jansson's, the C library's.
 *
 *   FAIL_AT=n         which one; 0 or absent: none
 *   FAIL_WHAT=memory  malloc, calloc, realloc, aligned_alloc, posix_memalign (the default)
 *   FAIL_WHAT=write   write, pwrite, fsync, fdatasync, ftruncate, rename, on regular files: no space left
 *   FAIL_ON=1         everything from the n-th on, not only it
 *   FAIL_COUNT=FILE   writes there, at the end, how many there were
 *   FAIL_TRACE=1      prints the stack where it fails
 */
#undef _FILE_OFFSET_BITS /* pwrite and pwrite64 are two functions here */
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

#define PUBLIC __attribute__((visibility("default")))

enum { UNKNOWN, MEMORY, WRITES };

static atomic_long counted;
static atomic_int what; /* of the above; found out by the first call */
static long at;
static int on, trace;

static void find_out(void)
{
    const char *number = getenv("FAIL_AT"), *word = getenv("FAIL_WHAT");
    at = number ? atol(number) : 0;
    on = getenv("FAIL_ON") != NULL;
    trace = getenv("FAIL_TRACE") != NULL;
    atomic_store(&what, word && !strcmp(word, "write") ? WRITES : MEMORY);
}

static void show_stack(long n)
{
    void *stack[64];
    char line[64];
    trace = 0; /* backtrace allocates */
    int depth = backtrace(stack, 64), length = snprintf(line, sizeof line, "failing number %ld:\n", n);
    syscall(SYS_write, 2, line, length);
    backtrace_symbols_fd(stack, depth, 2);
}

static int fails(int kind)
{
    if (atomic_load(&what) == UNKNOWN)
        find_out();
    if (atomic_load(&what) != kind)
        return 0;
    long n = atomic_fetch_add(&counted, 1) + 1;
    int now = at > 0 && (n == at || (on && n > at));
    if (now && trace)
        show_stack(n);
    return now;
}

static int fails_for_file(int fd)
{
    struct stat of;
    return fstat(fd, &of) == 0 && S_ISREG(of.st_mode) && fails(WRITES);
}

__attribute__((destructor)) static void report(void)
{
    char digits[32];
    const char *path = getenv("FAIL_COUNT");
    if (!path)
        return;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    int n = snprintf(digits, sizeof digits, "%ld\n", atomic_load(&counted));
    if (fd >= 0) {
        syscall(SYS_write, fd, digits, n);
        close(fd);
    }
}

/* ------------------------------------------------------------------------------------------------ memory */

PUBLIC void *malloc(size_t size)
{
    if (!fails(MEMORY))
        return __libc_malloc(size);
    errno = ENOMEM;
    return NULL;
}

PUBLIC void *calloc(size_t count, size_t size)
{
    if (!fails(MEMORY))
        return __libc_calloc(count, size);
    errno = ENOMEM;
    return NULL;
}

/* Making a block smaller never fails: Lua counts on it. */
PUBLIC void *realloc(void *memory, size_t size)
{
    extern size_t malloc_usable_size(void *);
    if ((memory && size <= malloc_usable_size(memory)) || !fails(MEMORY))
        return __libc_realloc(memory, size);
    errno = ENOMEM;
    return NULL;
}

PUBLIC void *aligned_alloc(size_t alignment, size_t size)
{
    if (!fails(MEMORY))
        return __libc_memalign(alignment, size);
    errno = ENOMEM;
    return NULL;
}

PUBLIC int posix_memalign(void **out, size_t alignment, size_t size)
{
    *out = fails(MEMORY) ? NULL : __libc_memalign(alignment, size);
    return *out ? 0 : ENOMEM;
}

/* ------------------------------------------------------------------------------------------------ writes */

static int no_space(void)
{
    errno = ENOSPC;
    return -1;
}

PUBLIC ssize_t write(int fd, const void *bytes, size_t count)
{
    return fails_for_file(fd) ? no_space() : syscall(SYS_write, fd, bytes, count);
}

PUBLIC ssize_t pwrite64(int fd, const void *bytes, size_t count, off_t offset)
{
    return fails_for_file(fd) ? no_space() : syscall(SYS_pwrite64, fd, bytes, count, offset);
}

PUBLIC ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset)
{
    return pwrite64(fd, bytes, count, offset);
}

PUBLIC int ftruncate64(int fd, off_t length)
{
    return fails_for_file(fd) ? no_space() : (int)syscall(SYS_ftruncate, fd, length);
}

PUBLIC int ftruncate(int fd, off_t length)
{
    return ftruncate64(fd, length);
}

PUBLIC int fsync(int fd)
{
    return fails_for_file(fd) ? no_space() : (int)syscall(SYS_fsync, fd);
}

PUBLIC int fdatasync(int fd)
{
    return fails_for_file(fd) ? no_space() : (int)syscall(SYS_fdatasync, fd);
}

PUBLIC int rename(const char *from, const char *to)
{
    return fails(WRITES) ? no_space() : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

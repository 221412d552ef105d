/* The lock file: the writers' byte 0, and a byte for each living run.
 *
 * Locks are open file descriptions' (F_OFD_SETLK): they belong to the open file, not to the process, so that two stores
 * of one process exclude each other and closing some other descriptor of the same file frees nothing; the kernel frees
 * them when the last copy of the descriptor goes, whatever ended the process. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "store/internal.h"

int64_t clock_milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int lock_file_open(const char *path, int writable, int *fd)
{
    *fd = open(path, (writable ? O_RDWR | O_CREAT : O_RDONLY) | O_CLOEXEC, 0666);
    return *fd < 0 ? errno : 0;
}

static struct flock lock_of(int64_t byte, short type)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)byte, .l_len = 1};
}

int lock_take(int fd, int64_t byte, int64_t deadline)
{
    struct timespec pause = {0, 200000};
    for (;;) {
        struct flock lock = lock_of(byte, F_WRLCK);
        if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
            return 0;
        if (errno != EAGAIN && errno != EACCES && errno != EINTR)
            return errno;
        if (clock_milliseconds() >= deadline)
            return EAGAIN;
        nanosleep(&pause, NULL);
        if (pause.tv_nsec < 5000000)
            pause.tv_nsec *= 2;
    }
}

void lock_release(int fd, int64_t byte)
{
    struct flock lock = lock_of(byte, F_UNLCK);
    (void)fcntl(fd, F_OFD_SETLK, &lock);
}

int lock_held(int fd, int64_t byte)
{
    struct flock lock = lock_of(byte, F_WRLCK);
    if (fcntl(fd, F_OFD_GETLK, &lock) != 0)
        return -1;
    return lock.l_type != F_UNLCK;
}

/* The name of a process, from /proc/PID/comm. */
static void process_name(long pid, char *out, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/comm", pid);
    snprintf(out, size, "a program");
    FILE *f = fopen(path, "re");
    if (!f)
        return;
    if (fgets(out, (int)size, f))
        out[strcspn(out, "\n")] = 0;
    for (char *c = out; *c; ++c)
        if (iscntrl((unsigned char)*c))
            *c = '?';
    fclose(f);
}

int lock_holder(const char *path, char *out, size_t size)
{
    /* "1: POSIX  ADVISORY  WRITE 4711 08:01:131100 120 120" */
    struct stat of;
    if (stat(path, &of) != 0)
        return 0;
    FILE *f = fopen("/proc/locks", "re");
    if (!f)
        return 0;
    char line[256], type[16];
    long holder = 0;
    while (!holder && fgets(line, sizeof line, f)) {
        long pid;
        unsigned major_number, minor_number;
        uint64_t inode;
        if (sscanf(line, "%*d: POSIX %*s %15s %ld %x:%x:%" SCNu64, type, &pid, &major_number, &minor_number, &inode) !=
            5)
            continue;
        if (inode == of.st_ino && strcmp(type, "WRITE") == 0 && pid > 0 && pid != (long)getpid() &&
            makedev(major_number, minor_number) == of.st_dev)
            holder = pid;
    }
    fclose(f);
    if (!holder)
        return 0;
    char name[64];
    process_name(holder, name, sizeof name);
    snprintf(out, size, "%s (process %ld)", name, holder);
    return 1;
}

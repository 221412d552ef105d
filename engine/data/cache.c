/* The cache: why.
 *
 * Inflating MNIST takes a third of a second, which is most of the time that a small experiment needs to start.
 * What was inflated is therefore kept as a file that the next process maps: no copy, no private memory, shared by
 * all processes of a sweep.
 *
 * Trust: a file counts only if its head is undamaged (a SHA-256 of itself), has this version, is as long as it
 * says, and names exactly these sources by path, size, time of change (nanoseconds) and inode.  Contents are not
 * read again at each start, which would cost what the cache saves; they reach the disk before the file gets its
 * name.
 *
 * Several processes: the file is made as NAME.making under a lock and renamed when it is whole.  Who does not get the
 * lock keeps its block in memory.  The kernel frees the lock of a process that was killed, and the next one takes over
 * the same NAME.making, so that no rubbish gathers.
 */
#include "data/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define CACHE_MAGIC   "PLNCACHE"
#define CACHE_VERSION 1

/* The first bytes of a file; zeros follow up to PICTURES_HEAD.  Native byte order: a cache does not travel. */
typedef struct cache_head {
    char magic[8];
    uint32_t version, reserved;
    int64_t count, height, width, channels;
    char sources[HASH_HEX]; /* hash of the kind and of each source's path, size, time of change and inode */
    char digest[HASH_HEX];  /* of the contents */
    char check[HASH_HEX];   /* of everything above */
} cache_head;

_Static_assert(sizeof(cache_head) <= PICTURES_HEAD, "the head must fit into its page");

static void head_check(const cache_head *head, char hex[HASH_HEX])
{
    hash h;
    hash_begin(&h);
    hash_bytes(&h, head, offsetof(cache_head, check));
    hash_end(&h, hex);
}

static void sources_hash(const cache_key *key, int with_identity, char hex[HASH_HEX])
{
    hash h;
    hash_begin(&h);
    hash_text(&h, key->kind);
    hash_text(&h, key->part);
    for (int i = 0; i < key->nsources; i++) {
        hash_text(&h, key->sources[i]);
        if (!with_identity)
            continue;
        hash_integer(&h, key->identity[i].size);
        hash_integer(&h, key->identity[i].mtime_ns);
        hash_integer(&h, (int64_t)key->identity[i].inode);
    }
    hash_end(&h, hex);
}

int cache_key_add(cache_key *key, const char *path)
{
    char *real = key->nsources < CACHE_SOURCES ? realpath(path, NULL) : NULL;
    int fits = real && strlen(real) < FILE_PATH && file_identify(real, &key->identity[key->nsources]);
    if (fits)
        memcpy(key->sources[key->nsources++], real, strlen(real) + 1);
    free(real);
    return fits;
}

/* The folder, or 0 when the environment names none.  Relative values are ignored, as the XDG specification asks. */
static int cache_folder(char folder[FILE_PATH])
{
    const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n = -1;
    if (base && base[0] == '/')
        n = snprintf(folder, FILE_PATH, "%s/perilune", base);
    else if (home && home[0] == '/')
        n = snprintf(folder, FILE_PATH, "%s/.cache/perilune", home);
    return n > 0 && n < FILE_PATH;
}

/* The file of a key: a readable beginning and a hash of its sources' paths. */
static int cache_path(const cache_key *key, char path[FILE_PATH])
{
    char folder[FILE_PATH], paths[HASH_HEX];
    if (!cache_folder(folder))
        return 0;
    sources_hash(key, 0, paths);
    int n = snprintf(path, FILE_PATH, "%s/%s-%s-%.16s.cache", folder, key->kind, key->part, paths);
    return n > 0 && n < FILE_PATH;
}

static int folder_make(const char *file)
{
    char folder[FILE_PATH];
    snprintf(folder, sizeof folder, "%s", file);
    char *end = strrchr(folder, '/');
    if (!end)
        return 0;
    *end = 0;
    for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        int failed = mkdir(folder, 0700) != 0 && errno != EEXIST;
        *slash = '/';
        if (failed)
            return 0;
    }
    return mkdir(folder, 0700) == 0 || errno == EEXIST;
}

/* ---------------------------------------------------------------------------------------------------- find ---- */

static int head_fits(const cache_head *head, const char *sources, int64_t file_size)
{
    char check[HASH_HEX];
    if (memcmp(head->magic, CACHE_MAGIC, sizeof head->magic) != 0 || head->version != CACHE_VERSION)
        return 0;
    head_check(head, check);
    if (memcmp(check, head->check, HASH_HEX) != 0 || memcmp(sources, head->sources, HASH_HEX) != 0)
        return 0;
    size_t size = pictures_size(head->count, head->height, head->width, head->channels);
    return size && (int64_t)size == file_size;
}

static int map_file(int fd, pictures *p)
{
    size_t size = pictures_size(p->count, p->height, p->width, p->channels);
    void *block = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (block == MAP_FAILED)
        return 0;
    p->block = block;
    p->size = size;
    pictures_place(p);
    return 1;
}

int cache_find(const cache_key *key, pictures *p)
{
    char path[FILE_PATH], sources[HASH_HEX];
    if (!cache_path(key, path))
        return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return 0;
    int found = 0;
    struct stat st;
    cache_head head;
    sources_hash(key, 1, sources);
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && pread(fd, &head, sizeof head, 0) == (ssize_t)sizeof head &&
        head_fits(&head, sources, st.st_size)) {
        *p = (pictures){.count = head.count, .height = head.height, .width = head.width, .channels = head.channels};
        memcpy(p->digest, head.digest, HASH_HEX);
        found = map_file(fd, p);
    }
    close(fd);
    return found;
}

/* ---------------------------------------------------------------------------------------------------- keep ---- */

/* Opens and locks the file to be written, or returns -1: somebody else is making it, or it cannot be written. */
static int making_open(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -1;
    struct stat mine, named;
    /* after the lock: whoever held it before may have renamed what we have open to its final name */
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &mine) == 0 && stat(path, &named) == 0 &&
        mine.st_ino == named.st_ino && mine.st_dev == named.st_dev && ftruncate(fd, 0) == 0)
        return fd;
    close(fd);
    return -1;
}

static int write_all(int fd, const void *bytes, size_t count)
{
    const char *from = bytes;
    while (count > 0) {
        ssize_t n = write(fd, from, count < (1u << 30) ? count : 1u << 30);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 0;
        from += n;
        count -= (size_t)n;
    }
    return 1;
}

void cache_keep(const cache_key *key, pictures *p)
{
    char path[FILE_PATH], making[FILE_PATH + 8];
    if (!cache_path(key, path) || !folder_make(path))
        return;
    snprintf(making, sizeof making, "%s.making", path);
    int fd = making_open(making);
    if (fd < 0)
        return;
    cache_head head;
    memset(&head, 0, sizeof head);
    memcpy(head.magic, CACHE_MAGIC, sizeof head.magic);
    head.version = CACHE_VERSION;
    head.count = p->count;
    head.height = p->height;
    head.width = p->width;
    head.channels = p->channels;
    sources_hash(key, 1, head.sources);
    memcpy(head.digest, p->digest, HASH_HEX);
    head_check(&head, head.check);
    memcpy(p->block, &head, sizeof head);
    pictures kept = *p;
    if (!write_all(fd, p->block, p->size) || fdatasync(fd) != 0 || rename(making, path) != 0) {
        unlink(making);
    } else if (map_file(fd, &kept)) {
        pictures_free(p);
        *p = kept;
    }
    close(fd);
}

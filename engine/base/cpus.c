/* A container with a quota of two CPUs on a machine of 64 sees 64 processors, and 64 lanes there are throttled most of
 * the time.  So the number of lanes offered by default asks the control groups too: version 2 (cpu.max) and version 1
 * (cpu.cfs_quota_us, cpu.cfs_period_us). */
#include "base/cpus.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int cpus_affinity(void)
{
    /* The kernel refuses a mask shorter than its own, so the mask grows until it fits. */
    for (int size = 1024; size <= 1 << 20; size *= 2) {
        cpu_set_t *mask = CPU_ALLOC((size_t)size);
        if (!mask)
            return 1;
        int found = sched_getaffinity(0, CPU_ALLOC_SIZE((size_t)size), mask) == 0
                        ? CPU_COUNT_S(CPU_ALLOC_SIZE((size_t)size), mask)
                        : 0;
        CPU_FREE(mask);
        if (found > 0)
            return found;
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online < 1 ? 1 : online > INT_MAX ? INT_MAX : (int)online;
}

/* The first line of a file; 0 if there is none. */
static int first_line(const char *path, char *line, int size)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    int ok = fgets(line, size, file) != NULL;
    fclose(file);
    return ok;
}

/* quota / period rounded up; 0 when either makes no sense. */
static int processors(long long quota, long long period)
{
    if (quota <= 0 || period <= 0)
        return 0;
    long long count = quota / period + (quota % period != 0);
    return count > INT_MAX ? INT_MAX : (int)count;
}

/* The quota written in one control group's folder: "max 100000" or "200000 100000". */
static int quota_v2(const char *folder)
{
    char path[PATH_MAX + 32], line[128];
    long long quota, period;
    snprintf(path, sizeof path, "%s/cpu.max", folder);
    if (!first_line(path, line, sizeof line) || sscanf(line, "%lld %lld", &quota, &period) != 2)
        return 0;
    return processors(quota, period);
}

static int quota_v1(const char *folder)
{
    char path[PATH_MAX + 32], quota[64], period[64];
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
    if (!first_line(path, quota, sizeof quota))
        return 0;
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
    if (!first_line(path, period, sizeof period))
        return 0;
    return processors(strtoll(quota, NULL, 10), strtoll(period, NULL, 10));
}

static int smaller_quota(int a, int b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* Asks each folder from `root``group` up to `root`.  A group's path may name folders outside a container's mount; those
 * simply are not there. */
static int walk_up(const char *root, const char *group, int (*quota)(const char *folder))
{
    char folder[PATH_MAX];
    int n = snprintf(folder, sizeof folder, "%s%s", root, group);
    if (n < 0 || (size_t)n >= sizeof folder)
        return quota(root);
    size_t stop = strlen(root);
    int smallest = 0;
    while (strlen(folder) > stop) {
        smallest = smaller_quota(smallest, quota(folder));
        *strrchr(folder, '/') = 0;
    }
    return smaller_quota(smallest, quota(root));
}

/* Is "cpu" among the comma-separated controllers? */
static int has_cpu(const char *controllers)
{
    for (const char *c = controllers; *c; c += strcspn(c, ","), c += *c == ',')
        if (strncmp(c, "cpu", 3) == 0 && (c[3] == ',' || c[3] == 0))
            return 1;
    return 0;
}

int cpus_quota(const char *membership, const char *mount)
{
    FILE *file = fopen(membership, "re");
    if (!file)
        return 0;
    int smallest = 0;
    char line[PATH_MAX + 256], root[PATH_MAX];
    while (fgets(line, sizeof line, file)) { /* "0::/user.slice" or "4:cpu,cpuacct:/docker/1234" */
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group || group[1] != '/')
            continue;
        *group++ = 0;
        controllers++;
        if (*controllers == 0) {
            smallest = smaller_quota(smallest, walk_up(mount, group, quota_v2));
        } else if (has_cpu(controllers)) {
            snprintf(root, sizeof root, "%s/cpu", mount);
            smallest = smaller_quota(smallest, walk_up(root, group, quota_v1));
        }
    }
    fclose(file);
    return smallest;
}

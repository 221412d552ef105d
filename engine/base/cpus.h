/* How many processors this process may really use: the affinity mask (taskset, cpusets) and the CPU quota of the
 * control groups it lives in (containers).  Thread rule: pure readings of the system, from any thread. */
#ifndef BASE_CPUS_H
#define BASE_CPUS_H

/* Processors in the affinity mask, at least 1. */
int cpus_affinity(void);

/* The smallest CPU quota on the way from the process's control group up to the root, in processors rounded up; 0 when
 * there is none.  `membership` is /proc/self/cgroup, `mount` is /sys/fs/cgroup (tests give others). */
int cpus_quota(const char *membership, const char *mount);

#endif

/* CPU quotas of control groups, read from folders made like the kernel's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cpus.h"

static char folder[64]; /* made anew for each test */

static void write_file(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    for (char *p = path + strlen(folder) + 1; *p; p++)
        if (*p == '/') {
            *p = 0;
            mkdir(path, 0700);
            *p = '/';
        }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int quota(void)
{
    char membership[128];
    snprintf(membership, sizeof membership, "%s/membership", folder);
    return cpus_quota(membership, folder);
}

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/perilune-cpus-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static void without_a_quota_there_is_none(void **state)
{
    (void)state;
    assert_int_equal(quota(), 0); /* not even a membership file */
    write_file("membership", "0::/a/b\n");
    assert_int_equal(quota(), 0);
    write_file("a/b/cpu.max", "max 100000\n");
    assert_int_equal(quota(), 0);
    write_file("a/cpu.max", "nonsense\n");
    assert_int_equal(quota(), 0);
    write_file("a/cpu.max", "-5 0\n");
    assert_int_equal(quota(), 0);
}

static void a_quota_is_rounded_up_to_whole_processors(void **state)
{
    (void)state;
    write_file("membership", "0::/a/b\n");
    write_file("a/b/cpu.max", "200000 100000\n");
    assert_int_equal(quota(), 2);
    write_file("a/b/cpu.max", "150000 100000\n");
    assert_int_equal(quota(), 2);
    write_file("a/b/cpu.max", "10000 100000\n");
    assert_int_equal(quota(), 1);
}

static void the_smallest_quota_on_the_way_to_the_root_counts(void **state)
{
    (void)state;
    write_file("membership", "0::/a/b/c\n");
    write_file("a/b/c/cpu.max", "800000 100000\n");
    write_file("a/b/cpu.max", "300000 100000\n");
    write_file("a/cpu.max", "max 100000\n");
    assert_int_equal(quota(), 3);
    write_file("cpu.max", "200000 100000\n"); /* a container's mount: its own group is the root */
    assert_int_equal(quota(), 2);
    write_file("membership", "0::/../../elsewhere\n"); /* folders that are not there */
    assert_int_equal(quota(), 2);
}

static void version_1_groups_are_read_too(void **state)
{
    (void)state;
    write_file("membership", "5:cpuset:/x\n4:cpu,cpuacct:/docker/12\n1:name=systemd:/docker/12\n");
    write_file("cpu/docker/12/cpu.cfs_quota_us", "-1\n");
    write_file("cpu/docker/12/cpu.cfs_period_us", "100000\n");
    assert_int_equal(quota(), 0);
    write_file("cpu/docker/12/cpu.cfs_quota_us", "400000\n");
    assert_int_equal(quota(), 4);
}

static void a_membership_file_of_noise_is_harmless(void **state)
{
    (void)state;
    write_file("membership", "\n:\n::\n0::\n0::nowhere\nx:cpu\n");
    assert_int_equal(quota(), 0);
}

static void there_is_at_least_one_processor(void **state)
{
    (void)state;
    assert_true(cpus_affinity() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_a_quota_there_is_none, setup, teardown),
        cmocka_unit_test_setup_teardown(a_quota_is_rounded_up_to_whole_processors, setup, teardown),
        cmocka_unit_test_setup_teardown(the_smallest_quota_on_the_way_to_the_root_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(version_1_groups_are_read_too, setup, teardown),
        cmocka_unit_test_setup_teardown(a_membership_file_of_noise_is_harmless, setup, teardown),
        cmocka_unit_test(there_is_at_least_one_processor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

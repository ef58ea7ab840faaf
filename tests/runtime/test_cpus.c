/* CPUs granted, from made-up trees of /proc and /sys/fs/cgroup. */
#include <check.h>
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/cpus.h"
#include "tests/cases.h"

static char root[64];

/* Writes root/path, with the directories it needs. */
static void put(const char *path, const char *text)
{
    char name[512];
    snprintf(name, sizeof(name), "%s%s", root, path);
    for (char *at = name + strlen(root) + 1; (at = strchr(at, '/')); at++) {
        *at = '\0';
        ck_assert(mkdir(name, 0700) == 0 || errno == EEXIST);
        *at = '/';
    }
    FILE *file = fopen(name, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static void put_v1(const char *dir, const char *quota, const char *period)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", dir);
    put(path, quota);
    snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", dir);
    put(path, period);
}

static int quota(void)
{
    return pirn_cpus_quota(root);
}

static void set_up(void)
{
    snprintf(root, sizeof(root), "%s/pirn-cpus-XXXXXX", P_tmpdir);
    ck_assert_ptr_nonnull(mkdtemp(root));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)type, (void)where;
    return remove(path);
}

static void tear_down(void)
{
    nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#define MOUNTS_BEFORE \
    "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw\n" \
    "23 22 0:5 / /proc rw,nosuid - proc proc rw\n" \
    "24 22 0:6 / /sys rw,nosuid shared:2 - sysfs sysfs rw\n"
#define MOUNT_V2 "31 24 0:28 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"

static void mount_v2(void)
{
    put("/proc/self/mountinfo", MOUNTS_BEFORE MOUNT_V2);
}

/* ---- Version 2 ------------------------------------------------------------------------------ */

static const struct {
    const char *text;
    int cpus;
} maxima[] = {
    {"max 100000\n", INT_MAX},
    {"200000 100000\n", 2},
    {"250000 100000\n", 3},
    {"100001 100000\n", 2},
    {"1000 100000\n", 1},
    {"50000 100000", 1},
    {"300000 50000\n", 6},
    {"max\n", INT_MAX},
    {"", INT_MAX},
    {"nonsense\n", INT_MAX},
    {"200000\n", INT_MAX},
    {"-1 100000\n", INT_MAX},
    {"200000 0\n", INT_MAX},
    {"9223372036854775807 1", INT_MAX},
};

START_TEST(v2_quota_is_rounded_up)
{
    mount_v2();
    put("/proc/self/cgroup", "0::/box\n");
    put("/sys/fs/cgroup/box/cpu.max", maxima[_i].text);
    ck_assert_int_eq(quota(), maxima[_i].cpus);
}
END_TEST

START_TEST(v2_the_least_of_the_chain_counts)
{
    mount_v2();
    put("/proc/self/cgroup", "0::/pods/pod 7/box/leaf\n");
    put("/sys/fs/cgroup/pods/pod 7/box/leaf/cpu.max", "max 100000\n");
    put("/sys/fs/cgroup/pods/pod 7/box/cpu.max", "700000 100000\n");
    ck_assert_int_eq(quota(), 7);
    put("/sys/fs/cgroup/pods/cpu.max", "400000 100000\n");
    ck_assert_int_eq(quota(), 4); /* the level between has no file at all */
    put("/sys/fs/cgroup/pods/pod 7/cpu.max", "500000 100000\n");
    ck_assert_int_eq(quota(), 4);
    put("/sys/fs/cgroup/pods/pod 7/box/leaf/cpu.max", "150000 100000\n");
    ck_assert_int_eq(quota(), 2);
    put("/sys/fs/cgroup/cpu.max", "100000 100000\n"); /* a container's root has one */
    ck_assert_int_eq(quota(), 1);
}
END_TEST

START_TEST(v2_other_groups_do_not_count)
{
    mount_v2();
    put("/proc/self/cgroup", "0::/box\n");
    put("/sys/fs/cgroup/box/child/cpu.max", "100000 100000\n");
    put("/sys/fs/cgroup/boxer/cpu.max", "100000 100000\n");
    put("/sys/fs/cpu.max", "100000 100000\n");
    ck_assert_int_eq(quota(), INT_MAX);
}
END_TEST

START_TEST(v2_in_a_namespace)
{
    mount_v2();
    put("/proc/self/cgroup", "0::/\n");
    ck_assert_int_eq(quota(), INT_MAX);
    put("/sys/fs/cgroup/cpu.max", "300000 100000\n");
    ck_assert_int_eq(quota(), 3);
}
END_TEST

START_TEST(v2_mounted_from_a_group)
{
    put("/proc/self/mountinfo", "31 24 0:28 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
    put("/proc/self/cgroup", "0::/docker/abc/job\n");
    put("/sys/fs/cgroup/cpu.max", "400000 100000\n");
    put("/sys/fs/cgroup/docker/abc/job/cpu.max", "100000 100000\n"); /* not the group's */
    ck_assert_int_eq(quota(), 4);
    put("/sys/fs/cgroup/job/cpu.max", "200000 100000\n");
    ck_assert_int_eq(quota(), 2);

    /* "/docker/abcd" is not below "/docker/abc". */
    put("/proc/self/cgroup", "0::/docker/abcd\n");
    ck_assert_int_eq(quota(), INT_MAX);
}
END_TEST

START_TEST(v2_mounted_from_above_the_namespace)
{
    put("/proc/self/mountinfo", "31 24 0:28 /../.. /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
    put("/proc/self/cgroup", "0::/job\n");
    put("/sys/fs/cgroup/cpu.max", "400000 100000\n");
    put("/sys/fs/cgroup/job/cpu.max", "100000 100000\n"); /* somebody else's */
    ck_assert_int_eq(quota(), 4);
}
END_TEST

START_TEST(v2_a_group_outside_of_the_mount)
{
    mount_v2();
    put("/proc/self/cgroup", "0::/../other\n");
    put("/sys/fs/cgroup/x", "");
    put("/sys/fs/other/cpu.max", "100000 100000\n");
    ck_assert_int_eq(quota(), INT_MAX);
    put("/proc/self/cgroup", "0::/..weird\n"); /* only a name */
    put("/sys/fs/cgroup/..weird/cpu.max", "200000 100000\n");
    ck_assert_int_eq(quota(), 2);
}
END_TEST

START_TEST(v2_mount_point_with_a_blank)
{
    put("/proc/self/mountinfo", "31 24 0:28 / /mnt/c\\040g\\134x rw - cgroup2 none rw\n");
    put("/proc/self/cgroup", "0::/box\n");
    put("/mnt/c g\\x/box/cpu.max", "500000 100000\n");
    ck_assert_int_eq(quota(), 5);
}
END_TEST

/* ---- Version 1, and both -------------------------------------------------------------------- */

#define MOUNTS_V1 \
    MOUNTS_BEFORE "30 24 0:29 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n" \
                  "31 30 0:30 / /sys/fs/cgroup/cpuset rw shared:7 - cgroup cgroup rw,cpuset\n" \
                  "32 30 0:31 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
#define GROUPS_V1 "6:cpuset:/sets\n5:name=systemd:/user\n4:cpu,cpuacct:/pods/box\n"

START_TEST(v1_the_least_of_the_chain_counts)
{
    put("/proc/self/mountinfo", MOUNTS_V1);
    put("/proc/self/cgroup", GROUPS_V1);
    ck_assert_int_eq(quota(), INT_MAX);
    put_v1("/sys/fs/cgroup/cpu,cpuacct/pods/box", "-1\n", "100000\n");
    put_v1("/sys/fs/cgroup/cpu,cpuacct", "-1\n", "100000\n");
    ck_assert_int_eq(quota(), INT_MAX);
    put_v1("/sys/fs/cgroup/cpu,cpuacct/pods", "250000\n", "100000\n");
    ck_assert_int_eq(quota(), 3);
    put_v1("/sys/fs/cgroup/cpu,cpuacct/pods/box", "20000\n", "10000\n");
    ck_assert_int_eq(quota(), 2);
    put_v1("/sys/fs/cgroup/cpuset/sets", "10000\n", "10000\n"); /* another hierarchy */
    ck_assert_int_eq(quota(), 2);
}
END_TEST

START_TEST(v1_half_a_quota_is_none)
{
    put("/proc/self/mountinfo", MOUNTS_V1);
    put("/proc/self/cgroup", GROUPS_V1);
    put("/sys/fs/cgroup/cpu,cpuacct/pods/box/cpu.cfs_quota_us", "100000\n");
    ck_assert_int_eq(quota(), INT_MAX);
    put("/sys/fs/cgroup/cpu,cpuacct/pods/box/cpu.cfs_period_us", "0\n");
    ck_assert_int_eq(quota(), INT_MAX);
    put("/sys/fs/cgroup/cpu,cpuacct/pods/box/cpu.cfs_period_us", "100000\n");
    ck_assert_int_eq(quota(), 1);
}
END_TEST

START_TEST(v1_in_a_container)
{
    put("/proc/self/mountinfo",
        "32 30 0:31 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpuacct,cpu\n");
    put("/proc/self/cgroup", "4:cpuacct,cpu:/docker/abc\n");
    put_v1("/sys/fs/cgroup/cpu", "150000\n", "50000\n");
    ck_assert_int_eq(quota(), 3);
}
END_TEST

START_TEST(both_versions_at_once)
{
    put("/proc/self/mountinfo",
        MOUNTS_V1 "40 30 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
    put("/proc/self/cgroup", GROUPS_V1 "0::/session\n");
    put("/sys/fs/cgroup/unified/session/cgroup.procs", "1\n");
    put_v1("/sys/fs/cgroup/cpu,cpuacct/pods/box", "300000\n", "100000\n");
    ck_assert_int_eq(quota(), 3); /* the usual way: the cpu controller is in version 1 */
    put("/sys/fs/cgroup/unified/session/cpu.max", "200000 100000\n");
    ck_assert_int_eq(quota(), 2);
    put_v1("/sys/fs/cgroup/cpu,cpuacct/pods/box", "100000\n", "100000\n");
    ck_assert_int_eq(quota(), 1);
}
END_TEST

/* ---- What is missing or odd ----------------------------------------------------------------- */

START_TEST(missing_files_mean_no_quota)
{
    ck_assert_int_eq(quota(), INT_MAX);
    ck_assert_int_ge(pirn_cpus_granted(root), 1);
    mount_v2();
    ck_assert_int_eq(quota(), INT_MAX);
    put("/proc/self/cgroup", "0::/gone\n");
    ck_assert_int_eq(quota(), INT_MAX);
    put("/sys/fs/cgroup/cpu.max", "200000 100000\n");
    ck_assert_int_eq(quota(), 2); /* a deleted group still has ancestors */
}
END_TEST

START_TEST(odd_lines_are_passed_over)
{
    /* An overlay's line can be longer than any buffer; the last line may lack its end. */
    char *mounts = malloc(20000);
    ck_assert_ptr_nonnull(mounts);
    strcpy(mounts, "\n - \ncgroup2\n1 2 3 - cgroup2 x y\n9 9 0:9 / /o rw - overlay o rw,lowerdir=");
    memset(mounts + strlen(mounts), 'x', 15000);
    strcpy(mounts + 15000, "\n31 24 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw");
    put("/proc/self/mountinfo", mounts);
    free(mounts);
    put("/proc/self/cgroup", "\nx\n:\n0:\n1:name=0:\n0::/box");
    put("/sys/fs/cgroup/box/cpu.max", "600000 100000");
    ck_assert_int_eq(quota(), 6);
}
END_TEST

START_TEST(affinity_counts)
{
    cpu_set_t all, one;
    ck_assert_int_eq(sched_getaffinity(0, sizeof(all), &all), 0);
    ck_assert_int_eq(pirn_cpus_granted(root), CPU_COUNT(&all));
    int cpu = 0;
    while (!CPU_ISSET(cpu, &all))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
    ck_assert_int_eq(pirn_cpus_granted(root), 1);
    ck_assert_int_eq(sched_setaffinity(0, sizeof(all), &all), 0);

    /* A quota takes away, and never adds. */
    mount_v2();
    put("/proc/self/cgroup", "0::/\n");
    put("/sys/fs/cgroup/cpu.max", "100 100000\n");
    ck_assert_int_eq(pirn_cpus_granted(root), 1);
    put("/sys/fs/cgroup/cpu.max", "100000000 1000\n");
    ck_assert_int_eq(pirn_cpus_granted(root), CPU_COUNT(&all));
}
END_TEST

START_TEST(the_real_machine_grants_some)
{
    int granted = pirn_cpus_granted("");
    ck_assert_int_ge(granted, 1);
    ck_assert_int_le(granted, pirn_cpus_granted(root));
    ck_assert_int_le(granted, pirn_cpus_quota(""));
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("cpus");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_loop_test(cases, v2_quota_is_rounded_up, 0,
                        (int)(sizeof(maxima) / sizeof(maxima[0])));
    tcase_add_test(cases, v2_the_least_of_the_chain_counts);
    tcase_add_test(cases, v2_other_groups_do_not_count);
    tcase_add_test(cases, v2_in_a_namespace);
    tcase_add_test(cases, v2_mounted_from_a_group);
    tcase_add_test(cases, v2_mounted_from_above_the_namespace);
    tcase_add_test(cases, v2_a_group_outside_of_the_mount);
    tcase_add_test(cases, v2_mount_point_with_a_blank);
    tcase_add_test(cases, v1_the_least_of_the_chain_counts);
    tcase_add_test(cases, v1_half_a_quota_is_none);
    tcase_add_test(cases, v1_in_a_container);
    tcase_add_test(cases, both_versions_at_once);
    tcase_add_test(cases, missing_files_mean_no_quota);
    tcase_add_test(cases, odd_lines_are_passed_over);
    tcase_add_test(cases, affinity_counts);
    tcase_add_test(cases, the_real_machine_grants_some);
    return cases_main("cpus", cases);
}

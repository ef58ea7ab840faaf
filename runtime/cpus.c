/*
 * Counts the CPUs granted: those in the affinity mask (which follows cpusets), but no more than the
 * CPU quota of any control group the process is in.
 *
 *   1. /proc/self/cgroup names the process's group in each hierarchy: "0::/path" in version 2,
 *      "4:cpu,cpuacct:/path" in version 1. Both may be there, and either may hold the quota.
 *   2. /proc/self/mountinfo says where a hierarchy is mounted, and which group of it is seen there
 *      (its root field: in a container often the container's own group).
 *   3. The group's directory is the mount point and what the group's path has beyond the root
 *      field. From there up to the mount point each group may have a quota: cpu.max, or
 *      cpu.cfs_quota_us and cpu.cfs_period_us.
 *
 * In a control group namespace the paths in both files are relative to the namespace's root, and
 * what lies above shows as "/..". A mount of such a root shows an ancestor, whose quota counts; the
 * groups between are not to be found. A group outside of what is mounted has no directory: its
 * quota is not known, and not guessed from another group's.
 *
 * Rejected: reading only the process's own group, as many programs do: the quota is most often set
 * on an ancestor (a container, a pod, a systemd slice). Rounding down: 1.5 CPUs of quota would
 * leave a third of it unused.
 */
#include "runtime/cpus.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/sys.h"

#define AFFINITY_BYTES_MAX ((size_t)1 << 16) /* half a million CPUs */

/* ---- Reading lines ---------------------------------------------------------------------- */

struct lines {
    int fd;
    size_t at, end;
    char buf[1024];
};

static int lines_open(struct lines *lines, const char *root, const char *path)
{
    char name[PATH_MAX];
    if (snprintf(name, sizeof(name), "%s%s", root, path) >= (int)sizeof(name))
        return -ENAMETOOLONG;
    lines->at = lines->end = 0;
    lines->fd = sys_openat(AT_FDCWD, name, O_RDONLY | O_CLOEXEC, 0);
    return lines->fd < 0 ? lines->fd : 0;
}

/* The next byte, or -1 at the end. */
static int lines_byte(struct lines *lines)
{
    if (lines->at == lines->end) {
        ssize_t n = sys_read(lines->fd, lines->buf, sizeof(lines->buf));
        if (n <= 0)
            return -1;
        lines->at = 0;
        lines->end = (size_t)n;
    }
    return (unsigned char)lines->buf[lines->at++];
}

/* The next line without its end; cut where it is longer than the space for it. */
static bool lines_next(struct lines *lines, char *ret_line, size_t size)
{
    size_t n = 0;
    int c;
    while ((c = lines_byte(lines)) >= 0 && c != '\n')
        if (n < size - 1)
            ret_line[n++] = (char)c;
    ret_line[n] = '\0';
    return c >= 0 || n > 0;
}

/* The first line of a file; false when it cannot be read. */
static bool first_line(const char *root, const char *path, char *ret_line, size_t size)
{
    struct lines lines;
    if (lines_open(&lines, root, path) < 0)
        return false;
    bool found = lines_next(&lines, ret_line, size);
    sys_close(lines.fd);
    return found;
}

/* ---- Words ------------------------------------------------------------------------------ */

/* Is word one of those in a list separated by commas? */
static bool listed(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (; list; list = strchr(list, ',')) {
        list += *list == ',';
        if (strncmp(list, word, n) == 0 && (list[n] == ',' || list[n] == '\0'))
            return true;
    }
    return false;
}

/* Replaces \ooo, as mountinfo writes blanks. */
static void unescape(char *text)
{
    char *to = text;
    while (*text) {
        if (text[0] == '\\' && text[1] >= '0' && text[1] <= '3' && text[2] && text[3]) {
            *to++ = (char)((text[1] - '0') * 64 + (text[2] - '0') * 8 + (text[3] - '0'));
            text += 4;
        } else {
            *to++ = *text++;
        }
    }
    *to = '\0';
}

/* The rest of path beyond the group root, "" or beginning with a slash; NULL: not below it, or not
 * to be reached by going down. */
static const char *beyond(const char *path, const char *root)
{
    size_t n = strcmp(root, "/") == 0 ? 0 : strlen(root);
    if (strncmp(path, root, n) != 0 || (path[n] != '/' && path[n] != '\0'))
        return NULL;
    path += n;
    const char *up = strstr(path, "/..");
    if (up && (up[3] == '/' || up[3] == '\0'))
        return NULL;
    return strcmp(path, "/") == 0 ? "" : path;
}

/* ---- Quotas ----------------------------------------------------------------------------- */

/* quota / period in whole CPUs. */
static int cpus_of(long long quota, long long period)
{
    if (quota <= 0 || period <= 0)
        return INT_MAX;
    long long cpus = quota / period + (quota % period != 0);
    return cpus < INT_MAX ? (int)cpus : INT_MAX;
}

/* The quota of one group's directory. */
static int quota_of_group(const char *root, const char *dir, int version)
{
    char path[PATH_MAX], first[64], second[64];
    long long quota, period;
    if (version == 2) {
        snprintf(path, sizeof(path), "%s/cpu.max", dir);
        if (!first_line(root, path, first, sizeof(first)) ||
            sscanf(first, "%lld %lld", &quota, &period) != 2) /* "max 100000" */
            return INT_MAX;
        return cpus_of(quota, period);
    }
    snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", dir);
    if (!first_line(root, path, first, sizeof(first)))
        return INT_MAX;
    snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", dir);
    if (!first_line(root, path, second, sizeof(second)))
        return INT_MAX;
    return cpus_of(strtoll(first, NULL, 10), strtoll(second, NULL, 10));
}

/* The least quota from the group below a mount point up to the mount point itself. */
static int quota_of_chain(const char *root, const char *mount, const char *below, int version)
{
    char dir[PATH_MAX - 32]; /* a file's name fits behind it */
    size_t top = strlen(mount);
    if (snprintf(dir, sizeof(dir), "%s%s", mount, below) >= (int)sizeof(dir))
        return INT_MAX;
    int least = INT_MAX;
    for (;;) {
        int cpus = quota_of_group(root, dir, version);
        least = cpus < least ? cpus : least;
        char *slash = strrchr(dir, '/');
        if (!slash || slash < dir + top)
            return least;
        *slash = '\0';
    }
}

/* ---- Finding the group ------------------------------------------------------------------ */

struct mount {
    char *group; /* the group seen at the mount point */
    char *point;
    int version;
};

/* A mountinfo line: "31 23 0:28 /group /point options [optional fields] - type source options".
 * False: no hierarchy that can hold CPU quotas. Cuts the line. */
static bool parse_mount(char *line, struct mount *ret_mount)
{
    char *rest = strstr(line, " - ");
    if (!rest)
        return false;
    *rest = '\0';
    rest += 3;
    const char *type = strsep(&rest, " ");
    strsep(&rest, " ");
    bool v2 = strcmp(type, "cgroup2") == 0;
    if (!v2 && (strcmp(type, "cgroup") != 0 || !rest || !listed(rest, "cpu")))
        return false;
    for (int i = 0; i < 3; i++)
        strsep(&line, " ");
    ret_mount->group = strsep(&line, " ");
    ret_mount->point = strsep(&line, " ");
    if (!ret_mount->point)
        return false;
    unescape(ret_mount->group);
    unescape(ret_mount->point);
    ret_mount->version = v2 ? 2 : 1;
    return true;
}

/* The path of the process's group in the hierarchy of that version. */
static bool find_group(const char *root, int version, char *ret_path, size_t size)
{
    struct lines lines;
    char line[PATH_MAX];
    bool found = false;
    if (lines_open(&lines, root, "/proc/self/cgroup") < 0)
        return false;
    while (!found && lines_next(&lines, line, sizeof(line))) {
        char *rest = line;
        const char *number = strsep(&rest, ":");
        const char *controllers = strsep(&rest, ":");
        if (!rest)
            continue;
        found =
            version == 2 ? strcmp(number, "0") == 0 && !*controllers : listed(controllers, "cpu");
        if (found)
            snprintf(ret_path, size, "%s", rest);
    }
    sys_close(lines.fd);
    return found;
}

static int quota_at_mount(const char *root, const struct mount *mount)
{
    char path[PATH_MAX];
    if (!find_group(root, mount->version, path, sizeof(path)))
        return INT_MAX;
    const char *below = beyond(path, mount->group);
    if (!below && strncmp(mount->group, "/..", 3) == 0)
        below = ""; /* above the namespace: an ancestor */
    return below ? quota_of_chain(root, mount->point, below, mount->version) : INT_MAX;
}

int pirn_cpus_quota(const char *root)
{
    struct lines lines;
    struct mount mount;
    char line[2 * PATH_MAX];
    int least = INT_MAX;
    if (lines_open(&lines, root, "/proc/self/mountinfo") < 0)
        return INT_MAX;
    while (lines_next(&lines, line, sizeof(line))) {
        int cpus = parse_mount(line, &mount) ? quota_at_mount(root, &mount) : INT_MAX;
        least = cpus < least ? cpus : least;
    }
    sys_close(lines.fd);
    return least;
}

/* ---- Affinity --------------------------------------------------------------------------- */

/* The CPUs in the calling thread's mask. The kernel refuses a buffer shorter than its own mask. */
static int cpus_in_affinity(void)
{
    for (size_t bytes = 128; bytes <= AFFINITY_BYTES_MAX; bytes *= 2) {
        uint64_t *mask = calloc(1, bytes);
        if (!mask)
            break;
        int n = sys_sched_getaffinity(0, bytes, mask);
        int cpus = 0;
        for (int i = 0; i < n / (int)sizeof(*mask); i++)
            cpus += __builtin_popcountll(mask[i]);
        free(mask);
        if (n != -EINVAL)
            return cpus;
    }
    return 0;
}

int pirn_cpus_granted(const char *root)
{
    int cpus = cpus_in_affinity();
    int quota = pirn_cpus_quota(root);
    if (cpus <= 0) {
        long online = sysconf(_SC_NPROCESSORS_ONLN);
        cpus = online > 0 ? (int)online : 1;
    }
    return cpus < quota ? cpus : quota;
}

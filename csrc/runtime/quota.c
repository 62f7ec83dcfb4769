/* What control groups (Linux containers, systemd slices) leave to this process: processors and
 * bytes. Every group from the process's own up to the root may limit it; the lowest limit counts.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runtime.h"

#define PATH_BYTES 1024

/* What the group in `folder` may use: processors, rounded up, or bytes; 0: as much as there is. */
typedef int64_t (*limit_reader)(const char *folder);

/* Read up to two numbers from folder/name; returns how many there were ("max" is none). */
static int read_numbers(const char *folder, const char *name, int64_t *first, int64_t *second) {
    char path[PATH_BYTES + 64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    if (file == NULL) return 0;
    int count = fscanf(file, "%" SCNd64 " %" SCNd64, first, second);
    fclose(file);
    return count < 0 ? 0 : count;
}

static int64_t cpus_v2(const char *folder) {
    int64_t quota, period;
    int count = read_numbers(folder, "cpu.max", &quota, &period);
    return count == 2 && quota > 0 && period > 0 ? pyad_ceil_div(quota, period) : 0;
}

static int64_t cpus_v1(const char *folder) {
    int64_t quota, period, unused;
    if (read_numbers(folder, "cpu.cfs_quota_us", &quota, &unused) != 1) return 0;
    if (read_numbers(folder, "cpu.cfs_period_us", &period, &unused) != 1) return 0;
    return quota > 0 && period > 0 ? pyad_ceil_div(quota, period) : 0;
}

static int64_t memory_v2(const char *folder) {
    int64_t limit, unused;
    return read_numbers(folder, "memory.max", &limit, &unused) == 1 ? limit : 0;
}

static int64_t memory_v1(const char *folder) {
    int64_t limit, unused;
    return read_numbers(folder, "memory.limit_in_bytes", &limit, &unused) == 1 ? limit : 0;
}

static int64_t lower(int64_t a, int64_t b) {
    if (a <= 0 || b <= 0) return pyad_max(a, b);
    return pyad_min(a, b);
}

/* The lowest limit on the way from root/path up to root. */
static int64_t lowest(limit_reader read, const char *root, const char *path) {
    char folder[PATH_BYTES];
    int length = snprintf(folder, sizeof folder, "%s%s", root, path);
    if (length < 0 || (size_t)length >= sizeof folder) return read(root);
    int64_t limit = 0;
    for (;;) {
        limit = lower(limit, read(folder));
        char *slash = strrchr(folder, '/');
        if (strlen(folder) <= strlen(root) || slash == NULL) return limit;
        *slash = '\0';
    }
}

/* Whether the comma-separated list holds `name`. */
static int lists(const char *list, const char *name) {
    size_t length = strlen(name);
    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        if (*at == ',') at++;
        if (strncmp(at, name, length) == 0 && (at[length] == ',' || at[length] == '\0')) return 1;
    }
    return 0;
}

/* Lines of `self` are "number:controllers:path"; version 2 has number 0 and no controllers. */
static int64_t limit_of(const char *root, const char *self, const char *controller,
                        limit_reader v1, limit_reader v2) {
    FILE *file = fopen(self, "r");
    if (file == NULL) return 0;
    int64_t limit = 0;
    char line[PATH_BYTES];
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (path == NULL) continue;
        *controllers++ = '\0';
        *path++ = '\0';
        if (*controllers == '\0') {
            limit = lower(limit, lowest(v2, root, path));
        } else if (lists(controllers, controller)) {
            char mount[PATH_BYTES / 2];
            int length = snprintf(mount, sizeof mount, "%s/%s", root, controller);
            if (length < 0 || (size_t)length >= sizeof mount) continue;
            limit = lower(limit, lowest(v1, mount, path));
            /* inside a container the path is the host's, and the root of the mount is ours */
            limit = lower(limit, v1(mount));
        }
    }
    fclose(file);
    return limit;
}

int64_t pyad_cgroup_cpus(const char *root, const char *self) {
    return limit_of(root, self, "cpu", cpus_v1, cpus_v2);
}

int64_t pyad_cgroup_memory(const char *root, const char *self) {
    return limit_of(root, self, "memory", memory_v1, memory_v2);
}

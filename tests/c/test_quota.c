/* Limits of control groups, read from files that stand for /sys/fs/cgroup and /proc/self/cgroup. */
#include "testing.h"

#include <sys/stat.h>

static char root[64];

static void write_file(const char *name, const char *text) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *slash = strchr(path + strlen(root) + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int make_root(void **state) {
    (void)state;
    strcpy(root, "/tmp/pyautodl-quota-XXXXXX");
    return mkdtemp(root) == NULL;
}

static int remove_root(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static int64_t cpus(void) {
    char self[128];
    snprintf(self, sizeof self, "%s/self", root);
    return pyad_cgroup_cpus(root, self);
}

static int64_t memory(void) {
    char self[128];
    snprintf(self, sizeof self, "%s/self", root);
    return pyad_cgroup_memory(root, self);
}

static void test_no_files(void **state) {
    (void)state;
    assert_int_equal(cpus(), 0);
    assert_int_equal(memory(), 0);
    write_file("self", "0::/\n");
    assert_int_equal(cpus(), 0);
}

static void test_version_2_rounds_up(void **state) {
    (void)state;
    write_file("self", "0::/\n");
    write_file("cpu.max", "150000 100000\n");
    write_file("memory.max", "1073741824\n");
    assert_int_equal(cpus(), 2);
    assert_int_equal(memory(), 1073741824);
    write_file("cpu.max", "20000 100000\n");
    assert_int_equal(cpus(), 1);
}

static void test_version_2_unlimited(void **state) {
    (void)state;
    write_file("self", "0::/\n");
    write_file("cpu.max", "max 100000\n");
    write_file("memory.max", "max\n");
    assert_int_equal(cpus(), 0);
    assert_int_equal(memory(), 0);
}

static void test_version_2_lowest_of_all_ancestors(void **state) {
    (void)state;
    write_file("self", "0::/slice/inner/mine\n");
    write_file("slice/cpu.max", "200000 100000\n");
    write_file("slice/inner/cpu.max", "max 100000\n");
    write_file("slice/inner/mine/cpu.max", "400000 100000\n");
    write_file("slice/inner/memory.max", "4096\n");
    assert_int_equal(cpus(), 2);
    assert_int_equal(memory(), 4096);
    write_file("slice/inner/mine/cpu.max", "100000 100000\n");
    assert_int_equal(cpus(), 1);
}

static void test_version_1(void **state) {
    (void)state;
    write_file("self", "12:memory:/a\n4:cpu,cpuacct:/a\n1:name=systemd:/a\n");
    write_file("cpu/a/cpu.cfs_quota_us", "250000\n");
    write_file("cpu/a/cpu.cfs_period_us", "100000\n");
    write_file("memory/a/memory.limit_in_bytes", "8192\n");
    assert_int_equal(cpus(), 3);
    assert_int_equal(memory(), 8192);
    write_file("cpu/a/cpu.cfs_quota_us", "-1\n");
    assert_int_equal(cpus(), 0);
}

/* Inside a container the path is the host's, and the mount shows the container's own group. */
static void test_version_1_in_a_container(void **state) {
    (void)state;
    write_file("self", "4:cpu,cpuacct:/docker/0123\n");
    write_file("cpu/cpu.cfs_quota_us", "100000\n");
    write_file("cpu/cpu.cfs_period_us", "100000\n");
    assert_int_equal(cpus(), 1);
}

static void test_controllers_are_whole_words(void **state) {
    (void)state;
    write_file("self", "4:cpuset,cpuacct:/a\n");
    write_file("cpu/a/cpu.cfs_quota_us", "100000\n");
    write_file("cpu/a/cpu.cfs_period_us", "100000\n");
    assert_int_equal(cpus(), 0);
}

static void test_damaged_files(void **state) {
    (void)state;
    write_file("self", "no colon\n\n0:only one\n0::/\n");
    write_file("cpu.max", "");
    write_file("memory.max", "lots\n");
    assert_int_equal(cpus(), 0);
    assert_int_equal(memory(), 0);
    write_file("cpu.max", "100000 0\n");
    assert_int_equal(cpus(), 0);
    write_file("cpu.max", "-5 100000\n");
    assert_int_equal(cpus(), 0);
}

static void test_path_that_is_too_long(void **state) {
    (void)state;
    char line[1500] = "0::/";
    memset(line + 4, 'x', sizeof line - 6);
    line[sizeof line - 2] = '\n';
    line[sizeof line - 1] = '\0';
    write_file("self", line);
    write_file("cpu.max", "100000 100000\n");
    int64_t found = cpus();
    assert_true(found == 0 || found == 1);
}

#define WITH_ROOT(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_ROOT(test_no_files),
        WITH_ROOT(test_version_2_rounds_up),
        WITH_ROOT(test_version_2_unlimited),
        WITH_ROOT(test_version_2_lowest_of_all_ancestors),
        WITH_ROOT(test_version_1),
        WITH_ROOT(test_version_1_in_a_container),
        WITH_ROOT(test_controllers_are_whole_words),
        WITH_ROOT(test_damaged_files),
        WITH_ROOT(test_path_that_is_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

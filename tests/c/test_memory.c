/* Kept memory: alignment, reuse, counts, limits, eviction, fork, threads. */
#include "testing.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define __asan_address_is_poisoned(p) ((void)(p), 1)
#endif

#define MB ((int64_t)1 << 20)

static pyad_memory_stats stats(void) {
    pyad_memory_stats s;
    pyad_get_memory_stats(&s);
    return s;
}

static int64_t cached(void) {
    pyad_memory_stats s = stats();
    return s.reserved_bytes - s.allocated_bytes;
}

/* Each test starts with nothing kept and the default limit. */
static int clean(void **state) {
    (void)state;
    pyad_empty_cache();
    pyad_set_cache_limit(256 * MB);
    pyad_reset_peak_memory();
    pyad_cut_blocks(0);
    return 0;
}

static void test_aligned_and_writable(void **state) {
    (void)state;
    for (int64_t n = 0; n < 100000; n = n * 5 / 4 + 1) {
        char *p = pyad_allocate(n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % PYAD_LINE_BYTES, 0);
        memset(p, 1, (size_t)n);
        assert_true(__asan_address_is_poisoned(p + n));
        pyad_free(p);
    }
    char *large = pyad_allocate(9 * MB + 1);
    assert_int_equal((uintptr_t)large % PYAD_LINE_BYTES, 0);
    memset(large, 1, (size_t)(9 * MB + 1));
    pyad_free(large);
}

static void test_blocks_do_not_overlap(void **state) {
    (void)state;
    enum { COUNT = 300 };
    char *blocks[COUNT];
    int64_t sizes[COUNT];
    uint64_t random = 1;
    for (int i = 0; i < COUNT; i++) {
        sizes[i] = number_in(&random, 0, i % 50 ? 5000 : 3 * MB);
        blocks[i] = pyad_allocate(sizes[i]);
        memset(blocks[i], i % 127, (size_t)sizes[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        for (int64_t k = 0; k < sizes[i]; k += 61) assert_int_equal(blocks[i][k], i % 127);
        pyad_free(blocks[i]);
    }
}

static void test_last_freed_comes_back_first(void **state) {
    (void)state;
    void *a = pyad_allocate(1000), *b = pyad_allocate(1000);
    int64_t before = stats().reused_blocks, system = stats().system_allocations;
    pyad_free(a);
    pyad_free(b);
    assert_ptr_equal(pyad_allocate(990), b);
    assert_ptr_equal(pyad_allocate(1000), a);
    assert_int_equal(stats().reused_blocks, before + 2);
    assert_int_equal(stats().system_allocations, system);
    pyad_free(a);
    pyad_free(b);
}

static void test_large_request_takes_a_somewhat_larger_block(void **state) {
    (void)state;
    void *large = pyad_allocate(8 * MB);
    pyad_free(large);
    void *smaller = pyad_allocate(6 * MB + 100);
    assert_ptr_equal(smaller, large);
    pyad_free(smaller);
    void *much_smaller = pyad_allocate(3 * MB);
    assert_ptr_not_equal(much_smaller, large);
    pyad_free(much_smaller);
}

static void test_smaller_requests_take_parts_if_told(void **state) {
    (void)state;
    char *whole = pyad_allocate(8 * MB);
    pyad_free(whole);
    assert_int_equal(pyad_cut_blocks(1), 0);
    int64_t system = stats().system_allocations;
    char *a = pyad_allocate(3 * MB), *b = pyad_allocate(3 * MB), *c = pyad_allocate(200000);
    assert_int_equal(stats().system_allocations, system);
    char *parts[] = {a, b, c};
    for (int i = 0; i < 3; i++) {
        assert_true(parts[i] > whole && parts[i] < whole + 8 * MB);
        assert_int_equal((uintptr_t)parts[i] % PYAD_LINE_BYTES, 0);
        assert_int_not_equal((uintptr_t)parts[i] % 4096, (uintptr_t)parts[(i + 1) % 3] % 4096);
    }
    memset(a, 1, 3 * MB);
    memset(b, 2, 3 * MB);
    memset(c, 3, 200000);
    assert_int_equal(a[0] + a[3 * MB - 1] + b[0] + b[3 * MB - 1] + c[0] + c[199999], 12);
    /* a block that is used in part stays */
    int64_t reserved = stats().reserved_bytes;
    pyad_empty_cache();
    assert_int_equal(stats().reserved_bytes, reserved);
    /* free again, one is the whole; in which order does not matter */
    pyad_free(b);
    pyad_free(c);
    pyad_free(a);
    assert_int_equal(pyad_cut_blocks(0), 1);
    assert_ptr_equal(pyad_allocate(8 * MB), whole);
    memset(whole, 4, 8 * MB);
    pyad_free(whole);
    pyad_empty_cache();
    assert_int_equal(cached(), 0);
}

static void test_what_lasts_is_no_part(void **state) {
    (void)state;
    char *whole = pyad_allocate(8 * MB), *other = pyad_allocate(8 * MB);
    /* gone, so that the whole one need not make room for another */
    pyad_use_once((int64_t)(intptr_t)other);
    pyad_free(other);
    pyad_free(whole);
    pyad_cut_blocks(1);
    char *lasting = (char *)(intptr_t)pyad_allocate_lasting(2 * MB);
    assert_true(lasting < whole || lasting >= whole + 8 * MB);
    assert_int_equal(pyad_allocate_lasting(-1), 0);
    assert_int_equal(pyad_cut_blocks(0), 1);
    assert_ptr_equal(pyad_allocate(8 * MB), whole);
    pyad_free(whole);
    pyad_free(lasting);
}

static void test_parts_come_and_go(void **state) {
    (void)state;
    enum { COUNT = 24 };
    char *blocks[COUNT] = {0};
    int64_t sizes[COUNT] = {0};
    uint64_t random = 3;
    int64_t before = stats().allocated_bytes;
    pyad_free(pyad_allocate(24 * MB));
    pyad_cut_blocks(1);
    for (int i = 0; i < 4000; i++) {
        int64_t k = number_in(&random, 0, COUNT - 1);
        if (blocks[k] != NULL) {
            for (int64_t j = 0; j < sizes[k]; j += 4001) assert_int_equal(blocks[k][j], k);
            assert_int_equal(blocks[k][sizes[k] - 1], k);
            pyad_free(blocks[k]);
            blocks[k] = NULL;
            continue;
        }
        sizes[k] = number_in(&random, 1, i % 8 ? 900000 : 6 * MB);
        blocks[k] = pyad_allocate(sizes[k]);
        memset(blocks[k], (int)k, (size_t)sizes[k]);
        assert_true(cached() >= 0);
    }
    for (int k = 0; k < COUNT; k++) pyad_free(blocks[k]);
    assert_int_equal(stats().allocated_bytes, before);
    pyad_empty_cache();
    assert_int_equal(cached(), 0);
}

static void test_counts(void **state) {
    (void)state;
    pyad_memory_stats before = stats();
    void *a = pyad_allocate(2 * MB), *b = pyad_allocate(5 * MB);
    pyad_memory_stats held = stats();
    assert_int_equal(held.system_allocations, before.system_allocations + 2);
    int64_t bytes = held.allocated_bytes - before.allocated_bytes;
    assert_true(bytes >= 7 * MB && bytes <= 8 * MB);
    assert_int_equal(held.reserved_bytes - before.reserved_bytes, bytes);
    assert_int_equal(held.peak_allocated_bytes, held.allocated_bytes);
    pyad_free(a);
    pyad_free(b);
    pyad_memory_stats after = stats();
    assert_int_equal(after.allocated_bytes, before.allocated_bytes);
    assert_int_equal(after.reserved_bytes, held.reserved_bytes);
    assert_int_equal(after.peak_allocated_bytes, held.peak_allocated_bytes);
    pyad_reset_peak_memory();
    assert_int_equal(stats().peak_allocated_bytes, before.allocated_bytes);
}

static void test_steady_work_asks_the_system_no_more(void **state) {
    (void)state;
    int64_t system = 0;
    for (int step = 0; step < 20; step++) {
        void *blocks[8];
        for (int i = 0; i < 8; i++) blocks[i] = pyad_allocate((i + 1) * 700000);
        for (int i = 0; i < 8; i++) pyad_free(blocks[i]);
        if (step == 1) system = stats().system_allocations;
    }
    assert_int_equal(stats().system_allocations, system);
}

static void test_requests_that_can_not_be_met(void **state) {
    (void)state;
    pyad_memory_stats before = stats();
    assert_null(pyad_allocate(-1));
    assert_null(pyad_allocate(INT64_MIN));
    assert_null(pyad_allocate(INT64_MAX));
    assert_null(pyad_allocate(INT64_MAX / 2));
    assert_null(pyad_allocate((int64_t)1 << 45));
    pyad_memory_stats after = stats();
    assert_int_equal(after.allocated_bytes, before.allocated_bytes);
    assert_int_equal(after.reserved_bytes, before.reserved_bytes);
    /* and memory is still to be had */
    void *p = pyad_allocate(MB);
    assert_non_null(p);
    pyad_free(p);
    pyad_free(NULL);
}

static void test_addresses(void **state) {
    (void)state;
    int64_t address = pyad_allocate_address(100);
    assert_true(address != 0);
    *(char *)(intptr_t)address = 1;
    pyad_free_address(address);
    assert_int_equal(pyad_allocate_address(-5), 0);
    pyad_free_address(0);
}

static void test_empty_cache_gives_everything_back(void **state) {
    (void)state;
    void *used = pyad_allocate(2 * MB);
    for (int i = 0; i < 30; i++) pyad_free(pyad_allocate(i * 100003));
    assert_true(cached() > 0);
    pyad_empty_cache();
    assert_int_equal(cached(), 0);
    memset(used, 3, 2 * MB);
    pyad_free(used);
}

static void test_cache_limit_evicts_the_longest_unused(void **state) {
    (void)state;
    void *blocks[4];
    for (int i = 0; i < 4; i++) blocks[i] = pyad_allocate((4 << i) * MB);
    for (int i = 0; i < 4; i++) pyad_free(blocks[i]);
    int64_t all = cached();
    pyad_set_cache_limit(all - 1);
    /* the 4 MB block, the first that was freed, went back */
    assert_int_equal(cached(), all - 4 * MB);
    assert_ptr_equal(pyad_allocate(32 * MB), blocks[3]);
    pyad_free(blocks[3]);
    pyad_set_cache_limit(40 * MB);
    assert_int_equal(cached(), 32 * MB);
    pyad_set_cache_limit(-1);
    assert_int_equal(cached(), 0);
}

/* `count` blocks at once, then none */
static void use(int count, int64_t bytes) {
    void *blocks[8];
    for (int i = 0; i < count; i++) blocks[i] = pyad_allocate(bytes);
    for (int i = 0; i < count; i++) pyad_free(blocks[i]);
}

static void test_what_is_left_makes_room_for_other_sizes(void **state) {
    (void)state;
    use(5, 8 * MB);
    int64_t most = stats().peak_allocated_bytes;
    use(8, 3 * MB);
    assert_int_equal(stats().peak_allocated_bytes, most);
    assert_true(stats().reserved_bytes <= most);
    assert_true(cached() >= 32 * MB); /* and no more goes than must */
}

static void test_work_that_alternates_soon_has_all_it_needs(void **state) {
    (void)state;
    int64_t system = 0, reserved = 0;
    for (int step = 0; step < 20; step++) {
        use(5, 8 * MB);
        use(8, 3 * MB);
        use(2, 20 * MB);
        if (step == 4) system = stats().system_allocations, reserved = stats().reserved_bytes;
    }
    assert_int_equal(stats().system_allocations, system);
    assert_int_equal(stats().reserved_bytes, reserved);
}

static void test_block_used_once_is_not_kept(void **state) {
    (void)state;
    void *small = pyad_allocate(1000), *large = pyad_allocate(4 * MB);
    pyad_memory_stats held = stats();
    pyad_use_once((int64_t)(intptr_t)small);
    pyad_use_once((int64_t)(intptr_t)large);
    pyad_use_once(0);
    pyad_free(small);
    pyad_free(large);
    assert_true(stats().reserved_bytes <= held.reserved_bytes - 1000 - 4 * MB);
    /* what comes in its place is kept as ever */
    large = pyad_allocate(4 * MB);
    pyad_free(large);
    assert_ptr_equal(pyad_allocate(4 * MB), large);
    /* and so is what is used once time and again */
    pyad_use_once((int64_t)(intptr_t)large);
    pyad_free(large);
    assert_ptr_equal(pyad_allocate(4 * MB), large);
    pyad_free(large);
}

static void test_block_above_the_limit_is_not_kept(void **state) {
    (void)state;
    pyad_set_cache_limit(MB);
    void *p = pyad_allocate(16 * MB);
    pyad_free(p);
    assert_int_equal(cached(), 0);
    void *small = pyad_allocate(1000);
    pyad_free(small);
    assert_ptr_equal(pyad_allocate(1000), small);
    pyad_free(small);
}

/* ---- threads and fork ---- */

static void *churn(void *seed) {
    uint64_t random = (uint64_t)(uintptr_t)seed;
    char *held[16] = {0};
    int64_t bytes[16] = {0}, wrong = 0;
    for (int i = 0; i < 3000; i++) {
        int64_t k = number_in(&random, 0, 15);
        if (held[k] != NULL) {
            char mark = (char)(uintptr_t)seed;
            wrong += held[k][0] != mark || held[k][bytes[k] - 1] != mark;
            pyad_free(held[k]);
            held[k] = NULL;
            continue;
        }
        bytes[k] = number_in(&random, 1, i % 64 ? 3000 : 2 * MB);
        held[k] = pyad_allocate(bytes[k]);
        held[k][0] = held[k][bytes[k] - 1] = (char)(uintptr_t)seed;
    }
    for (int k = 0; k < 16; k++) pyad_free(held[k]);
    return (void *)(intptr_t)wrong;
}

static void test_threads_side_by_side(void **state) {
    (void)state;
    int64_t before = stats().allocated_bytes;
    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)), 0);
    }
    for (int i = 0; i < 4; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    assert_int_equal(stats().allocated_bytes, before);
}

static void test_child_goes_on_with_the_memory(void **state) {
    (void)state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, churn, (void *)(uintptr_t)5), 0);
    for (int i = 0; i < 5; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) _exit(churn((void *)(uintptr_t)7) != NULL);
        int status = -1;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    pthread_join(thread, NULL);
}

#define TEST(test) cmocka_unit_test_setup(test, clean)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_aligned_and_writable),
        TEST(test_blocks_do_not_overlap),
        TEST(test_last_freed_comes_back_first),
        TEST(test_large_request_takes_a_somewhat_larger_block),
        TEST(test_smaller_requests_take_parts_if_told),
        TEST(test_what_lasts_is_no_part),
        TEST(test_parts_come_and_go),
        TEST(test_counts),
        TEST(test_steady_work_asks_the_system_no_more),
        TEST(test_requests_that_can_not_be_met),
        TEST(test_addresses),
        TEST(test_empty_cache_gives_everything_back),
        TEST(test_cache_limit_evicts_the_longest_unused),
        TEST(test_what_is_left_makes_room_for_other_sizes),
        TEST(test_work_that_alternates_soon_has_all_it_needs),
        TEST(test_block_used_once_is_not_kept),
        TEST(test_block_above_the_limit_is_not_kept),
        TEST(test_threads_side_by_side),
        TEST(test_child_goes_on_with_the_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

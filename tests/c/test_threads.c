/* The worker team: who takes part, barriers, errors, fork, a busy team, too many threads. */
#include "testing.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 200

/* what the test kernels below get as their args */
typedef struct {
    _Atomic int64_t arrived;
    _Atomic int64_t wrong;
    int64_t parts[PYAD_MAX_THREADS];
    int64_t n, block;
    int64_t bad[4]; /* positions at which a part fails */
} probe;

/* Take the team and run `kernel` on nth threads. */
static int run_team(pyad_kernel_fn kernel, probe *p, int64_t nth, pyad_error *error) {
    assert_true(pyad_team_acquire());
    int status = pyad_team_run(&(pyad_task){.run = kernel, .args = p}, nth, error);
    pyad_team_release();
    return status;
}

/* ---- taking part ---- */

static int count_parts(const void *args, const team *t) {
    probe *p = (probe *)(uintptr_t)args;
    if (t->ith < 0 || t->ith >= t->nth) atomic_fetch_add(&p->wrong, 1);
    p->parts[t->ith] += t->nth;
    return PYAD_OK;
}

static void test_every_thread_takes_part_once(void **state) {
    (void)state;
    pyad_error error;
    for (int64_t nth = 1; nth <= 5; nth++) {
        probe p = {0};
        for (int i = 0; i < ROUNDS; i++) assert_int_equal(run_team(count_parts, &p, nth, &error), 0);
        assert_int_equal(p.wrong, 0);
        for (int64_t i = 0; i < nth; i++) assert_int_equal(p.parts[i], nth * ROUNDS);
        for (int64_t i = nth; i < PYAD_MAX_THREADS; i++) assert_int_equal(p.parts[i], 0);
    }
}

/* Count the parts that the thread of the test does. */
static pthread_t tester;
static int count_parts_of_tester(const void *args, const team *t) {
    probe *p = (probe *)(uintptr_t)args;
    if (pthread_equal(pthread_self(), tester)) p->parts[t->ith]++;
    return PYAD_OK;
}

static void test_caller_does_what_a_sleeping_worker_has_not_begun(void **state) {
    (void)state;
    pyad_error error;
    probe p = {0};
    struct timespec longer_than_spinning = {0, 1000000};
    tester = pthread_self();
    for (int i = 0; i < ROUNDS && p.parts[1] == 0; i++) {
        nanosleep(&longer_than_spinning, NULL);
        assert_int_equal(run_team(count_parts_of_tester, &p, 2, &error), 0);
    }
    assert_true(p.parts[0] > 0);
    assert_true(p.parts[1] > 0);
}

/* ---- barrier ---- */

static int meet_often(const void *args, const team *t) {
    probe *p = (probe *)(uintptr_t)args;
    for (int64_t round = 1; round <= ROUNDS; round++) {
        atomic_fetch_add(&p->arrived, 1);
        team_barrier(t);
        if (atomic_load(&p->arrived) != round * t->nth) atomic_fetch_add(&p->wrong, 1);
        team_barrier(t);
    }
    return PYAD_OK;
}

static void test_barrier(void **state) {
    (void)state;
    pyad_error error;
    for (int64_t nth = 1; nth <= 4; nth++) {
        probe p = {0};
        assert_int_equal(run_team(meet_often, &p, nth, &error), 0);
        assert_int_equal(p.wrong, 0);
        assert_int_equal(p.arrived, ROUNDS * nth);
    }
}

static void test_oversubscribed_team(void **state) {
    (void)state;
    pyad_error error;
    probe p = {0};
    assert_int_equal(run_team(meet_often, &p, PYAD_MAX_THREADS, &error), 0);
    assert_int_equal(p.wrong, 0);
    assert_int_equal(p.arrived, ROUNDS * PYAD_MAX_THREADS);
    /* and a small team again, with most workers asleep */
    probe q = {0};
    assert_int_equal(run_team(meet_often, &q, 2, &error), 0);
    assert_int_equal(q.wrong, 0);
}

/* ---- other programs ---- */

static _Atomic int burners_stop;

static void *burn(void *unused) {
    while (!atomic_load_explicit(&burners_stop, memory_order_relaxed)) continue;
    return unused;
}

static int64_t nanoseconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

#define RUNS 20
#define MEETINGS ((int64_t)RUNS * 2 * ROUNDS)

/* How many nanoseconds it takes nth threads to meet MEETINGS times. */
static int64_t time_meetings(int64_t nth) {
    pyad_error error;
    int64_t began = nanoseconds();
    for (int i = 0; i < RUNS; i++) {
        probe p = {0};
        assert_int_equal(run_team(meet_often, &p, nth, &error), 0);
        assert_int_equal(p.wrong, 0);
    }
    return nanoseconds() - began;
}

/* Each processor has another thread that never waits. If barriers gave it turns, of milliseconds, this
 * would take ten times as long and more; with many processors it takes long anyway. */
static void test_barriers_do_not_give_turns_to_busy_threads(void **state) {
    (void)state;
    skip_if_emulated();
    pthread_t burners[PYAD_MAX_THREADS];
    int64_t cpus = pyad_available_cpus();
    if (cpus > 8) skip();
    atomic_store(&burners_stop, 0);
    for (int64_t i = 0; i < cpus; i++) {
        assert_int_equal(pthread_create(&burners[i], NULL, burn, NULL), 0);
    }
    int64_t took = time_meetings(cpus + 1);
    atomic_store(&burners_stop, 1);
    for (int64_t i = 0; i < cpus; i++) pthread_join(burners[i], NULL);
    assert_true(took < MEETINGS * 375000);
}

/* ---- errors ---- */

static int fail_at(const void *args, const team *t) {
    const probe *p = args;
    int64_t begin, end;
    team_range(t, p->n, 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        for (int k = 0; k < 4; k++) {
            if (p->bad[k] == i) team_fail(t, PYAD_ERROR_INDEX, i, i + 1000, p->n);
        }
    }
    team_barrier(t);
    return team_failed(t);
}

static void test_lowest_position_wins(void **state) {
    (void)state;
    for (int64_t nth = 1; nth <= 4; nth++) {
        for (int i = 0; i < ROUNDS; i++) {
            probe p = {.n = 100, .bad = {99, 17, 60, 18}};
            pyad_error error = {0};
            assert_int_equal(run_team(fail_at, &p, nth, &error), PYAD_ERROR_INDEX);
            assert_int_equal(error.code, PYAD_ERROR_INDEX);
            assert_int_equal(error.position, 17);
            assert_int_equal(error.value, 1017);
            assert_int_equal(error.limit, 100);
        }
    }
    /* the next run starts without an error */
    probe p = {.n = 100, .bad = {-1, -1, -1, -1}};
    pyad_error error = {0};
    assert_int_equal(run_team(fail_at, &p, 3, &error), PYAD_OK);
    assert_int_equal(error.code, PYAD_OK);
}

static int only_return(const void *args, const team *t) {
    (void)args;
    return t->ith == t->nth - 1 ? PYAD_ERROR_VALUE : PYAD_OK;
}

static void test_status_without_team_fail_is_reported(void **state) {
    (void)state;
    probe p = {0};
    pyad_error error = {0};
    assert_int_equal(run_team(only_return, &p, 3, &error), PYAD_ERROR_VALUE);
    assert_int_equal(error.code, PYAD_ERROR_VALUE);
}

/* ---- scratch ---- */

#define SCRATCH 192
#define SHARED 128

static int write_scratch(const void *args, const team *t) {
    probe *p = (probe *)(uintptr_t)args;
    if ((uintptr_t)t->scratch % PYAD_LINE_BYTES || (uintptr_t)t->shared % PYAD_LINE_BYTES) {
        atomic_fetch_add(&p->wrong, 1);
    }
    memset(t->scratch, (int)t->ith + 1, SCRATCH);
    if (t->ith == 0) memset(t->shared, 77, SHARED);
    team_barrier(t);
    for (int i = 0; i < SCRATCH; i++) {
        if (((char *)t->scratch)[i] != t->ith + 1) atomic_fetch_add(&p->wrong, 1);
    }
    for (int i = 0; i < SHARED; i++) {
        if (((char *)t->shared)[i] != 77) atomic_fetch_add(&p->wrong, 1);
    }
    return PYAD_OK;
}

static void test_scratch_is_each_threads_own(void **state) {
    (void)state;
    probe p = {0};
    pyad_error error;
    const int64_t nth = 4;
    assert_true(pyad_team_acquire());
    char *memory = pyad_team_scratch(SHARED + nth * SCRATCH);
    assert_non_null(memory);
    const pyad_task task = {.run = write_scratch, .args = &p, .memory = memory, .scratch = SCRATCH,
                            .shared = SHARED};
    assert_int_equal(pyad_team_run(&task, nth, &error), 0);
    /* what is there already serves smaller requests */
    assert_ptr_equal(pyad_team_scratch(SHARED), memory);
    pyad_team_release();
    assert_int_equal(p.wrong, 0);
}

/* ---- a busy team ---- */

static void *try_to_acquire(void *got) {
    *(int *)got = pyad_team_acquire();
    if (*(int *)got) pyad_team_release();
    return NULL;
}

static int acquired_elsewhere(void) {
    pthread_t thread;
    int got = -1;
    assert_int_equal(pthread_create(&thread, NULL, try_to_acquire, &got), 0);
    pthread_join(thread, NULL);
    return got;
}

static void test_one_holder_at_a_time(void **state) {
    (void)state;
    assert_true(pyad_team_acquire());
    assert_false(acquired_elsewhere());
    assert_false(pyad_team_acquire());
    /* while it is held, the scratch stays */
    pyad_team_drop_scratch();
    pyad_team_release();
    assert_true(acquired_elsewhere());
}

/* A pooling call big enough for several threads, whose result is known. */
typedef struct {
    int64_t wrong;
    int64_t nth;
} caller;

static max_pool_fwd_args new_pooling(void) {
    const int64_t in[4] = {1, 16, 64, 64}, out[4] = {1, 16, 32, 32};
    max_pool_fwd_args a = {.x = new_array(PYAD_FLOAT32, 4, in, 1),
                           .y = new_array(PYAD_FLOAT32, 4, out, 1),
                           .kernel = {1, 2, 2},
                           .stride = {1, 2, 2},
                           .dilation = {1, 1, 1}};
    for (int64_t i = 0; i < pyad_numel(&a.x); i++) set(&a.x, i, (double)i);
    return a;
}

static void free_pooling(const max_pool_fwd_args *a) {
    free(a->x.data);
    free(a->y.data);
}

static void pool_once(const max_pool_fwd_args *a, caller *c) {
    memset(a->y.data, 0, (size_t)pyad_numel(&a->y) * sizeof(float));
    if (pyad_run(PYAD_ID_max_pool_fwd, (const char *)(const void *)a, c->nth)) c->wrong++;
    for (int64_t h = 0; h < 32; h++) {
        for (int64_t w = 0; w < 32; w++) {
            for (int64_t k = 0; k < 16; k++) {
                double last = (double)(((2 * h + 1) * 64 + 2 * w + 1) * 16 + k);
                if (get(&a->y, (h * 32 + w) * 16 + k) != last) c->wrong++;
            }
        }
    }
}

static void *pool_often(void *argument) {
    max_pool_fwd_args a = new_pooling();
    for (int round = 0; round < 20; round++) pool_once(&a, argument);
    free_pooling(&a);
    return NULL;
}

static void test_callers_side_by_side(void **state) {
    (void)state;
    pthread_t threads[4];
    caller callers[4];
    for (int i = 0; i < 4; i++) {
        callers[i] = (caller){0, i % 2 ? 0 : 3};
        assert_int_equal(pthread_create(&threads[i], NULL, pool_often, &callers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(callers[i].wrong, 0);
    }
}

/* ---- fork ---- */

static int in_child(void) {
    probe p = {0};
    pyad_error error;
    if (!pyad_team_acquire()) return 1;
    int status = pyad_team_run(&(pyad_task){.run = meet_often, .args = &p}, 3, &error);
    pyad_team_release();
    caller c = {0, 2};
    pool_often(&c);
    return status != 0 || p.wrong != 0 || p.arrived != 3 * ROUNDS || c.wrong != 0;
}

static void assert_child_computes(void) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(in_child());
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_forked_child_computes(void **state) {
    (void)state;
    skip_if_emulated();
    caller c = {0, 3};
    pool_often(&c);
    for (int i = 0; i < 3; i++) {
        assert_child_computes();
        pool_often(&c);
    }
    assert_int_equal(c.wrong, 0);
}

static _Atomic int pools, stop;

/* While others fork, this thread must not allocate: a sanitizer's allocator that is locked at that
 * moment stays so in the child. */
static void *pool_until_stopped(void *argument) {
    max_pool_fwd_args a = new_pooling();
    pool_once(&a, argument);
    atomic_store(&pools, 1);
    while (!atomic_load(&stop)) pool_once(&a, argument);
    free_pooling(&a);
    return NULL;
}

static void test_fork_while_the_team_runs(void **state) {
    (void)state;
    skip_if_emulated();
    pthread_t thread;
    caller c = {0, 2};
    atomic_store(&pools, 0);
    atomic_store(&stop, 0);
    assert_int_equal(pthread_create(&thread, NULL, pool_until_stopped, &c), 0);
    while (!atomic_load(&pools)) sched_yield();
    for (int i = 0; i < 5; i++) assert_child_computes();
    atomic_store(&stop, 1);
    pthread_join(thread, NULL);
    assert_int_equal(c.wrong, 0);
}

/* ---- waking ---- */

static void test_only_calls_in_a_row_are_worth_waking_for(void **state) {
    (void)state;
    const struct timespec gap = {0, 1000000};
    int64_t cpus = pyad_available_cpus();
    for (int i = 0; i < 100; i++) {
        nanosleep(&gap, NULL);
        assert_false(pyad_team_worth_waking(1));
    }
    /* a call may be held up for longer than the gap that is allowed, but not each of them */
    int woke = 0;
    for (int i = 0; i < 100000 && !woke; i++) woke = pyad_team_worth_waking(1);
    assert_true(woke);
    for (int i = 0; i < 100; i++) assert_false(pyad_team_worth_waking(cpus + 1));
}

/* ---- the setting ---- */

static void test_number_of_threads(void **state) {
    (void)state;
    int64_t cpus = pyad_available_cpus();
    assert_true(cpus >= 1 && cpus <= PYAD_MAX_THREADS);
    assert_int_equal(pyad_get_num_threads(), cpus);
    pyad_set_num_threads(3);
    assert_int_equal(pyad_get_num_threads(), 3);
    pyad_set_num_threads(0);
    assert_int_equal(pyad_get_num_threads(), 1);
    pyad_set_num_threads(1000);
    assert_int_equal(pyad_get_num_threads(), PYAD_MAX_THREADS);
    pyad_set_num_threads(cpus);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_number_of_threads),
        cmocka_unit_test(test_only_calls_in_a_row_are_worth_waking_for),
        cmocka_unit_test(test_every_thread_takes_part_once),
        cmocka_unit_test(test_caller_does_what_a_sleeping_worker_has_not_begun),
        cmocka_unit_test(test_barrier),
        cmocka_unit_test(test_oversubscribed_team),
        cmocka_unit_test(test_barriers_do_not_give_turns_to_busy_threads),
        cmocka_unit_test(test_lowest_position_wins),
        cmocka_unit_test(test_status_without_team_fail_is_reported),
        cmocka_unit_test(test_scratch_is_each_threads_own),
        cmocka_unit_test(test_one_holder_at_a_time),
        cmocka_unit_test(test_callers_side_by_side),
        cmocka_unit_test(test_forked_child_computes),
        cmocka_unit_test(test_fork_while_the_team_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

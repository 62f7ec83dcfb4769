/* The shares of the threads: ranges cut by them, paces learned from what runs took, turns. */
#include "testing.h"

#include <time.h>

#define MILLISECOND 1000000
#define KERNEL 3

/* Let nth threads that do as many items a time as `paces` says work off a run that takes about `ns`. */
static void run_once(int64_t nth, const double *paces, double ns) {
    const int64_t *cuts = pyad_shares(KERNEL, nth);
    team_tally tallies[PYAD_MAX_THREADS] = {{0}};
    const team_tally *at[PYAD_MAX_THREADS];
    for (int64_t i = 0; i < nth; i++) {
        double part = 1.0 / (double)nth;
        if (cuts != NULL) part = (double)(cuts[i + 1] - cuts[i]) / TEAM_WHOLE;
        tallies[i] = (team_tally){.items = 100000, .own = (int64_t)(part * 100000)};
        tallies[i].worked = (int64_t)(part * (double)nth / paces[i] * ns);
        at[i] = &tallies[i];
    }
    pyad_shares_learn(KERNEL, nth, at);
}

static void run_often(int64_t nth, const double *paces) {
    for (int i = 0; i < 200; i++) run_once(nth, paces, 0.2 * MILLISECOND);
}

static double share_of(const int64_t *cuts, int64_t i) {
    return (double)(cuts[i + 1] - cuts[i]) / TEAM_WHOLE;
}

static const double EVEN[4] = {1, 1, 1, 1};

static void test_equal_paces_leave_parts_even(void **state) {
    (void)state;
    run_often(4, EVEN);
    assert_null(pyad_shares(KERNEL, 4));
    run_often(4, (const double[]){1, 1.03, 0.99, 0.98});
    assert_null(pyad_shares(KERNEL, 4));
}

static void test_parts_follow_the_paces(void **state) {
    (void)state;
    run_often(2, (const double[]){1, 0.5});
    const int64_t *cuts = pyad_shares(KERNEL, 2);
    assert_non_null(cuts);
    assert_true(fabs(share_of(cuts, 0) - 2.0 / 3) < 0.03);
    run_often(2, EVEN);
    assert_null(pyad_shares(KERNEL, 2));
}

static void test_paces_hold_for_fewer_threads(void **state) {
    (void)state;
    run_often(4, (const double[]){2, 2, 1, 1});
    assert_null(pyad_shares(KERNEL, 2));
    const int64_t *cuts = pyad_shares(KERNEL, 3);
    assert_true(fabs(share_of(cuts, 2) - 0.2) < 0.03);
    /* what two of them do says nothing of the others */
    run_often(2, EVEN);
    cuts = pyad_shares(KERNEL, 4);
    assert_true(fabs(share_of(cuts, 3) - 1.0 / 6) < 0.03);
    run_often(4, EVEN);
}

static void test_kernels_learn_apart(void **state) {
    (void)state;
    run_often(2, (const double[]){1, 0.5});
    assert_null(pyad_shares(KERNEL + 1, 2));
    run_often(2, EVEN);
}

static void test_one_interruption_moves_little(void **state) {
    (void)state;
    run_often(2, EVEN);
    run_once(2, (const double[]){1, 0.01}, 0.2 * MILLISECOND);
    assert_null(pyad_shares(KERNEL, 2));
}

static void test_what_tells_nothing_is_left_out(void **state) {
    (void)state;
    run_often(2, EVEN);
    const team_tally part = {.items = 8, .own = 4, .worked = MILLISECOND};
    const team_tally slow = {.items = 8, .own = 4, .worked = 2 * MILLISECOND};
    const team_tally asked_nothing = {.worked = 2 * MILLISECOND};
    const team_tally had_nothing = {.items = 8, .own = 0, .worked = 2 * MILLISECOND};
    const team_tally brief = {.items = 8, .own = 4, .worked = 300};
    const team_tally *others[] = {&asked_nothing, &had_nothing, &brief};
    for (int64_t i = 0; i < 300; i++) {
        pyad_shares_learn(KERNEL, 2, (const team_tally *const[]){&part, others[i % 3]});
    }
    assert_null(pyad_shares(KERNEL, 2));
    for (int64_t i = 0; i < 300; i++) {
        pyad_shares_learn(KERNEL, 2, (const team_tally *const[]){&part, &slow});
    }
    assert_non_null(pyad_shares(KERNEL, 2));
    run_often(2, EVEN);
}

/* ---- ranges ---- */

static void check_range(int64_t n, int64_t nth, int64_t block, const int64_t *cuts) {
    int64_t next = 0, most = 0;
    for (int64_t ith = 0; ith < nth; ith++) {
        team_tally tally = {0};
        team t = {.ith = ith, .nth = nth, .cuts = cuts, .tally = &tally};
        int64_t begin, end;
        team_range(&t, n, block, &begin, &end);
        assert_int_equal(begin, next);
        assert_true(begin <= end);
        assert_true(begin == n || begin % block == 0);
        assert_int_equal(tally.items, n);
        assert_int_equal(tally.own, end - begin);
        most = pyad_max(most, end - begin);
        next = end;
    }
    assert_int_equal(next, n);
    if (cuts != NULL && n >= 64 * block) assert_true(most > n / nth);
}

static void test_range_covers_everything_once_in_whole_blocks(void **state) {
    (void)state;
    for (int64_t nth = 1; nth < 9; nth++) {
        for (int uneven = 0; uneven <= (nth > 1); uneven++) {
            const int64_t *cuts = uneven ? pyad_shares_uneven(nth) : NULL;
            for (int64_t n = 0; n < 90; n++) {
                for (int64_t block = 1; block < 20; block += 3) check_range(n, nth, block, cuts);
            }
            check_range(INT64_C(1) << 46, nth, 1, cuts);
        }
    }
}

static void test_cuts_of_some_threads_cover_everything(void **state) {
    (void)state;
    const int64_t *cuts = pyad_shares_uneven(6);
    team t = {.nth = 6, .cuts = cuts};
    assert_int_equal(team_cut(&t, 100, 2, 2, 4), 0);
    assert_int_equal(team_cut(&t, 100, 3, 2, 4), 75);
    assert_int_equal(team_cut(&t, 100, 4, 2, 4), 100);
}

static void test_the_largest_range_is_noted(void **state) {
    (void)state;
    team_tally tally = {0};
    team t = {.ith = 1, .nth = 2, .tally = &tally};
    int64_t begin, end;
    team_range(&t, 100, 1, &begin, &end);
    team_range(&t, 3, 1, &begin, &end);
    assert_int_equal(tally.items, 100);
    team_note(&t, 200, 50);
    assert_int_equal(tally.own, 50);
}

/* ---- in turns ---- */

#define RANGES 5

/* With enough work for threads to take from each other. */
static void run_with(pyad_kernel_fn run, void *args, int64_t nth, int64_t work) {
    pyad_error error;
    const pyad_task task = {.kernel = KERNEL, .run = run, .args = args, .work = work};
    assert_true(pyad_team_acquire());
    assert_int_equal(pyad_team_run(&task, nth, &error), PYAD_OK);
    pyad_team_release();
}

static void run_long(pyad_kernel_fn run, void *args, int64_t nth) {
    run_with(run, args, nth, nth * PYAD_WORK_LONG);
}

typedef struct {
    int64_t n[RANGES], block[RANGES], least[RANGES];
    int meets;      /* at a barrier between ranges */
    int64_t sleepy; /* the thread that waits in each piece for all that others can do; -1: none */
    _Atomic int32_t *done[RANGES];
    _Atomic int64_t wrong, own[PYAD_MAX_THREADS];
    _Atomic int64_t others[RANGES]; /* items of each range that others than the sleepy one have done */
} chores;

static void nap(void) {
    const struct timespec little = {0, 200000};
    nanosleep(&little, NULL);
}

/* Until the others have done all of range r but what is mine and a last piece; 20 seconds at most. */
static void wait_for_others(chores *c, int r, int64_t mine) {
    int64_t enough = c->n[r] - mine - c->least[r] * c->block[r];
    for (int i = 0; i < 100000 && c->others[r] < enough; i++) nap();
}

static int do_chores(const void *args, const team *t) {
    chores *c = (chores *)(uintptr_t)args;
    for (int r = 0; r < RANGES; r++) {
        int64_t begin, end;
        team_turns turns = team_take(t, c->n[r], c->block[r], c->least[r]);
        while (team_next(&turns, &begin, &end)) {
            if (begin >= end || end > c->n[r] || begin % c->block[r] != 0) c->wrong++;
            if (end != c->n[r] && end % c->block[r] != 0) c->wrong++;
            for (int64_t i = begin; i < end; i++) c->done[r][i]++;
            c->own[t->ith] += end - begin;
            if (t->ith != c->sleepy) c->others[r] += end - begin;
            if (t->ith == c->sleepy) wait_for_others(c, r, turns.own);
        }
        if (c->meets) team_barrier(t);
    }
    return PYAD_OK;
}

static void run_chores(chores *c, int64_t nth) {
    for (int r = 0; r < RANGES; r++) c->done[r] = calloc((size_t)c->n[r] + 1, sizeof *c->done[r]);
    run_long(do_chores, c, nth);
    assert_int_equal(c->wrong, 0);
    for (int r = 0; r < RANGES; r++) {
        for (int64_t i = 0; i < c->n[r]; i++) assert_int_equal(c->done[r][i], 1);
        free(c->done[r]);
    }
}

static void test_turns_do_every_item_once(void **state) {
    (void)state;
    for (int round = 0; round < 200; round++) {
        for (int64_t nth = 1; nth <= 4; nth++) {
            chores c = {.n = {round, 1, 1000, 0, 77}, .block = {1, 3, 7, 2, 14},
                        .least = {1, 2, 3, 1, 100}, .meets = round % 2, .sleepy = -1};
            pyad_team_uneven(round % 3 == 0);
            run_chores(&c, nth);
        }
    }
    pyad_team_uneven(0);
}

static void test_others_take_from_one_that_is_slow(void **state) {
    (void)state;
    skip_if_emulated();
    for (int64_t nth = 2; nth <= 3; nth++) {
        chores c = {.n = {4000, 4000, 4000, 4000, 4000}, .block = {1, 1, 1, 1, 1},
                    .least = {1, 1, 1, 1, 1}, .meets = 1, .sleepy = nth - 1};
        int64_t all = 5 * 4000;
        run_chores(&c, nth);
        assert_true(c.own[nth - 1] < all / nth);
    }
}

static int take_half(const void *args, const team *t) {
    _Atomic int64_t *wrong = (_Atomic int64_t *)(uintptr_t)args;
    int64_t begin, end, pieces = 0;
    team_turns turns = team_take(t, 100, 1, 1);
    for (; team_next(&turns, &begin, &end); pieces++) {
        if (begin != 100 * t->ith / t->nth || end != 100 * (t->ith + 1) / t->nth) ++*wrong;
    }
    if (pieces != 1) ++*wrong;
    return PYAD_OK;
}

static void test_brief_runs_take_their_own_at_once(void **state) {
    (void)state;
    run_often(2, EVEN);
    _Atomic int64_t wrong = 0;
    for (int i = 0; i < 100; i++) run_with(take_half, &wrong, 2, PYAD_WORK_LONG);
    assert_int_equal(wrong, 0);
}

static int count_turns(const void *args, const team *t) {
    _Atomic int64_t *sum = (_Atomic int64_t *)(uintptr_t)args;
    for (int64_t r = 0; r < 70000; r++) {
        team_turns turns = team_take(t, 2, 1, 1);
        while (team_each(&turns) >= 0) ++*sum;
    }
    return PYAD_OK;
}

static void test_ranges_may_be_many(void **state) {
    (void)state;
    _Atomic int64_t sum = 0;
    run_long(count_turns, &sum, 2);
    assert_int_equal(sum, 2 * 70000);
}

/* Ranges of one item, of which a thread has nothing, and then one in which it has. */
static int count_late(const void *args, const team *t) {
    _Atomic int64_t *sum = (_Atomic int64_t *)(uintptr_t)args;
    const int64_t ranges = sum[1];
    for (int64_t r = 0; r <= ranges; r++) {
        team_turns turns = team_take(t, r < ranges ? 1 : 40, 1, 1);
        while (team_each(&turns) >= 0) ++*sum;
    }
    return PYAD_OK;
}

static void test_a_thread_may_have_nothing_for_long(void **state) {
    (void)state;
    for (int64_t nth = 2; nth <= 5; nth++) {
        _Atomic int64_t sum[2] = {0, 40000};
        run_long(count_late, sum, nth);
        assert_int_equal(sum[0], 40000 + 40);
    }
}

static void test_after_very_many_ranges_each_does_its_own_part(void **state) {
    (void)state;
    for (int64_t ith = 0; ith < 2; ith++) {
        team_tally tally = {.turns = INT64_C(1) << 24};
        team t = {.ith = ith, .nth = 2, .tally = &tally};
        int64_t begin, end;
        team_turns turns = team_take(&t, 100, 1, 1);
        assert_true(team_next(&turns, &begin, &end));
        assert_int_equal(begin, 50 * ith);
        assert_int_equal(end, 50 * ith + 50);
        assert_false(team_next(&turns, &begin, &end));
    }
}

static void test_large_ranges_have_larger_blocks(void **state) {
    (void)state;
    team_tally tally = {0};
    team t = {.nth = 2, .tally = &tally};
    team_turns turns = team_take(&t, INT64_C(1) << 40, 3, 1);
    assert_true(turns.block % 3 == 0);
    assert_true(turns.blocks < INT64_C(1) << 20);
    assert_true(turns.blocks * turns.block >= INT64_C(1) << 40);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_paces_leave_parts_even),
        cmocka_unit_test(test_parts_follow_the_paces),
        cmocka_unit_test(test_paces_hold_for_fewer_threads),
        cmocka_unit_test(test_kernels_learn_apart),
        cmocka_unit_test(test_one_interruption_moves_little),
        cmocka_unit_test(test_what_tells_nothing_is_left_out),
        cmocka_unit_test(test_range_covers_everything_once_in_whole_blocks),
        cmocka_unit_test(test_cuts_of_some_threads_cover_everything),
        cmocka_unit_test(test_the_largest_range_is_noted),
        cmocka_unit_test(test_turns_do_every_item_once),
        cmocka_unit_test(test_others_take_from_one_that_is_slow),
        cmocka_unit_test(test_brief_runs_take_their_own_at_once),
        cmocka_unit_test(test_ranges_may_be_many),
        cmocka_unit_test(test_a_thread_may_have_nothing_for_long),
        cmocka_unit_test(test_after_very_many_ranges_each_does_its_own_part),
        cmocka_unit_test(test_large_ranges_have_larger_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

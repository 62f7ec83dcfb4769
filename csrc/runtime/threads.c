/* The worker team: the only threads of the library.
 *
 * Each worker has a mailbox, one line of memory. The caller writes into those of the workers that take
 * part what to do, last the number of the run, does part 0 itself, then the parts that no worker has begun
 * (other programs may keep it from its processor for milliseconds), and waits for the others. A part
 * that meets the others at a barrier has begun before part 0 can end.
 * A line that goes from cache to cache takes as long as a small kernel. So who waits looks at one number,
 * which only grows, in the line that tells him all he needs, and who ends a part or meets the others
 * touches one line: each adds 1, and all wait for the sum.
 * Who waits spins for as long as a layer's Python code takes, because the next kernel mostly comes at
 * once and waking costs more than its work, then yields, then sleeps. A team with more threads than
 * processors does not spin at all, and neither does who last saw another of the team on his own
 * processor: where other programs keep the rest busy, the system leaves them together, and spinning
 * takes the time of the one waited for. A worker that finds itself there moves to a processor that has
 * none of the team, if it may: some systems pack threads that sleep in turn onto one, for seconds.
 * Where other programs want the same processors, a yield gives them a whole turn of some milliseconds,
 * at each barrier, and a thread that has spun is the next to lose its own turn; one that slept gets the
 * processor back at once. A waiting thread sees its clock jump there: if it does so again, then for a
 * hundred times as long, a second at most, nobody yields, and spinning lasts as long as going to sleep
 * and being woken.
 *
 * One Python thread holds the team at a time; others run their kernels alone, with the same bits. A
 * forked child has none of its parent's threads: it forgets them and starts its own at first use.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "runtime.h"

#define SPIN_NANOSECONDS 150000
#define SPINS_PER_CLOCK 32
#define WAKING_STREAK 32 /* calls; waking costs as much as some ten of them save */
#define YIELDS 16
#define TURN_NANOSECONDS 1000000 /* about the least that another program runs once it may */
#define CROWDED_TURNS 100        /* so that finding out anew costs one turn in so many */
#define LONGEST_CROWDED_NANOSECONDS 1000000000 /* even if the process was stopped for an hour */
#define WATCH_NANOSECONDS 50000000 /* in which a second turn shows that there is more to come */
#define CROWDED_SPIN_NANOSECONDS 10000
#define MOVE_NANOSECONDS 1000000
#define WORKER_STACK_BYTES (1 << 20)

/* Where threads sleep until a number is large enough. */
typedef struct {
    _Alignas(PYAD_LINE_BYTES) _Atomic int32_t sleepers;
    pthread_mutex_t mutex;
    pthread_cond_t grown;
} gate;

struct team_state {
    _Atomic int32_t failed; /* the code, 0 while all is well */
    atomic_flag lock;
    pyad_error error;
};

typedef struct {
    pyad_kernel_fn run;
    const void *args;
    char *scratch, *shared; /* this part's and the team's */
    struct team_state *state;
    const int64_t *cuts;
    int32_t nth, brief;
} part;

typedef struct {
    _Alignas(PYAD_LINE_BYTES) _Atomic int64_t posted; /* the number of the last run for this worker */
    part part;                                        /* what to do in it */
    gate mailbox;
    _Atomic int64_t begun; /* the last run whose part was begun, here or by the caller */
    pthread_t thread;
    int64_t seen; /* the number posted when it started */
    int64_t ith;
    int64_t moved; /* when it last changed its processor by itself */
    _Alignas(PYAD_LINE_BYTES) _Atomic int32_t place; /* the processor last seen under it; -1: unknown */
    team_tally tally; /* of the last run */
    _Alignas(PYAD_LINE_BYTES) _Atomic uint64_t turn; /* which of its blocks others may take */
} worker;

_Static_assert(offsetof(worker, mailbox) == PYAD_LINE_BYTES, "what a worker waits for is one line");

static struct {
    atomic_flag held;
    int64_t runs;    /* so far */
    int64_t due;     /* parts for workers in all of them */
    int64_t started; /* workers 1 .. started-1 exist */
    _Alignas(PYAD_LINE_BYTES) _Atomic int64_t ended;   /* of those parts */
    _Alignas(PYAD_LINE_BYTES) _Atomic int64_t arrived; /* at the barriers of this run, threads in sum */
    gate ending, meeting;
    _Atomic int64_t spinners; /* threads that may spin before sleeping: the team's, or 0 */
    _Atomic int64_t crowded_until; /* till then other programs are taken to want the processors */
    _Atomic int32_t stopping;
    char *scratch;
    int64_t scratch_bytes;
    worker workers[PYAD_MAX_THREADS]; /* of the first, the caller, no mailbox and no thread */
} crew = {.held = ATOMIC_FLAG_INIT};

static _Atomic int64_t num_threads; /* the setting; 0: not asked for yet */
static _Thread_local int uneven_parts;

/* ---- waiting ---- */

static inline void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Note which processor thread ith runs on. The line is written only when that changed. */
static int32_t take_place(int64_t ith) {
    int32_t place = -1;
#if defined(__linux__)
    place = sched_getcpu();
#endif
    _Atomic int32_t *mine = &crew.workers[ith].place;
    if (atomic_load_explicit(mine, memory_order_relaxed) != place) {
        atomic_store_explicit(mine, place, memory_order_relaxed);
    }
    return place;
}

/* Whether another of the first `threads` of the team was last seen on the processor of thread ith. */
static int is_shared(int64_t ith, int64_t threads, int32_t place) {
    for (int64_t i = 0; i < threads && place >= 0; i++) {
        int32_t other = atomic_load_explicit(&crew.workers[i].place, memory_order_relaxed);
        if (i != ith && other == place) return 1;
    }
    return 0;
}

/* Whether spinning can help thread ith: its team has processors enough, and none of it was last
 * seen on this one. */
static int may_spin(int64_t ith) {
    int64_t threads = atomic_load_explicit(&crew.spinners, memory_order_relaxed);
    int32_t place = take_place(ith);
    return threads > 0 && !is_shared(ith, threads, place);
}

/* A worker on the processor of another of the team goes to one without, if it may use one. Where it
 * runs later is again the system's choice, so this is not done too often. */
static void spread_out(worker *self) {
#if defined(__linux__)
    int64_t threads = atomic_load_explicit(&crew.spinners, memory_order_relaxed);
    cpu_set_t allowed, unused;
    if (!is_shared(self->ith, threads, take_place(self->ith))) return;
    if (now() - self->moved < MOVE_NANOSECONDS) return;
    self->moved = now();
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
    unused = allowed;
    for (int64_t i = 0; i < threads; i++) {
        int32_t taken = atomic_load_explicit(&crew.workers[i].place, memory_order_relaxed);
        if (taken >= 0 && taken < CPU_SETSIZE) CPU_CLR((size_t)taken, &unused);
    }
    if (CPU_COUNT(&unused) == 0 || sched_setaffinity(0, sizeof unused, &unused) != 0) return;
    sched_setaffinity(0, sizeof allowed, &allowed);
    take_place(self->ith);
#else
    (void)self;
#endif
}

static void gate_init(gate *g) {
    atomic_init(&g->sleepers, 0);
    pthread_mutex_init(&g->mutex, NULL);
    pthread_cond_init(&g->grown, NULL);
}

static int has_reached(const _Atomic int64_t *number, int64_t wanted) {
    return atomic_load_explicit(number, memory_order_acquire) >= wanted;
}

static void gate_sleep(gate *g, const _Atomic int64_t *number, int64_t wanted) {
    pthread_mutex_lock(&g->mutex);
    atomic_fetch_add(&g->sleepers, 1);
    /* paired with gate_open's: either it sees the sleeper, or we its number. Fences, as emulators
     * let a consistent store pass a consistent load of another place. */
    atomic_thread_fence(memory_order_seq_cst);
    while (!has_reached(number, wanted)) pthread_cond_wait(&g->grown, &g->mutex);
    atomic_fetch_sub(&g->sleepers, 1);
    pthread_mutex_unlock(&g->mutex);
}

/* The clock; a waiting thread that finds it has jumped since `before` had to leave its processor to
 * another program. Once is nothing: some daemon woke. Again soon after it, or after the crowded time
 * that the last jump led to, tells of a program that goes on. */
static int64_t read_clock(int64_t before) {
    int64_t time = now(), away = time - before;
    if (away < TURN_NANOSECONDS) return time;
    int64_t calm = before - atomic_load_explicit(&crew.crowded_until, memory_order_relaxed);
    if (calm < 0) return time; /* known; or another thread of the team was away at the same time */
    int64_t lasts = pyad_min(CROWDED_TURNS * away, LONGEST_CROWDED_NANOSECONDS);
    atomic_store_explicit(&crew.crowded_until, calm < WATCH_NANOSECONDS ? time + lasts : time,
                          memory_order_relaxed);
    return time;
}

static int spin(const _Atomic int64_t *number, int64_t wanted, int64_t time, int64_t deadline) {
    do {
        for (int i = 0; i < SPINS_PER_CLOCK; i++) {
            if (has_reached(number, wanted)) return 1;
            relax();
        }
        time = read_clock(time);
    } while (time < deadline);
    return 0;
}

static int yield(const _Atomic int64_t *number, int64_t wanted) {
    int64_t time = now();
    for (int i = 0; i < YIELDS; i++) {
        if (has_reached(number, wanted)) return 1;
        sched_yield();
        time = read_clock(time);
    }
    return 0;
}

/* Thread ith waits until the number is `wanted` or more. */
static void gate_wait(gate *g, const _Atomic int64_t *number, int64_t wanted, int64_t ith) {
    int spins = may_spin(ith);
    int64_t time = now();
    int crowded = time < atomic_load_explicit(&crew.crowded_until, memory_order_relaxed);
    int64_t longest = crowded ? CROWDED_SPIN_NANOSECONDS : SPIN_NANOSECONDS;
    if (spins && spin(number, wanted, time, time + longest)) return;
    if (!crowded && yield(number, wanted)) return;
    gate_sleep(g, number, wanted);
}

/* Wake who sleeps, after the number has grown. */
static void gate_open(gate *g) {
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&g->sleepers, memory_order_relaxed) == 0) return;
    pthread_mutex_lock(&g->mutex);
    pthread_cond_broadcast(&g->grown);
    pthread_mutex_unlock(&g->mutex);
}

/* ---- what kernels call ---- */

void team_barrier(const team *t) {
    if (t->nth == 1) return;
    int64_t before = atomic_fetch_add_explicit(&crew.arrived, 1, memory_order_acq_rel);
    int64_t all = (before / t->nth + 1) * t->nth;
    if (before + 1 == all) {
        take_place(t->ith);
        gate_open(&crew.meeting);
    } else {
        int64_t came = t->tally->brief ? 0 : now();
        gate_wait(&crew.meeting, &crew.arrived, all, t->ith);
        if (!t->tally->brief) t->tally->waited += now() - came;
    }
}

int team_fail(const team *t, int64_t code, int64_t position, int64_t value, int64_t limit) {
    struct team_state *s = t->state;
    while (atomic_flag_test_and_set_explicit(&s->lock, memory_order_acquire)) relax();
    if (s->error.code == PYAD_OK || position < s->error.position) {
        s->error = (pyad_error){code, position, value, limit};
        atomic_store_explicit(&s->failed, (int32_t)code, memory_order_release);
    }
    atomic_flag_clear_explicit(&s->lock, memory_order_release);
    return (int)code;
}

int team_failed(const team *t) {
    return atomic_load_explicit(&t->state->failed, memory_order_acquire);
}

/* ---- workers ---- */

static void run_part(const part *p, int64_t ith) {
    team_tally *tally = p->nth > 1 ? &crew.workers[ith].tally : NULL;
    team t = {ith, p->nth, p->scratch, p->shared, p->state, p->cuts, tally};
    if (tally != NULL) *tally = (team_tally){.brief = p->brief};
    int status = p->run(p->args, &t);
    pyad_clear_upper_halves();
    if (status != PYAD_OK && !team_failed(&t)) team_fail(&t, status, INT64_MAX, 0, 0);
}

/* The same by the thread whose part it is, which tells how long it took. */
static void run_own_part(const part *p, int64_t ith) {
    int64_t begun = p->brief ? 0 : now();
    run_part(p, ith);
    if (p->brief) return;
    team_tally *tally = &crew.workers[ith].tally;
    tally->worked = now() - begun - tally->waited;
}

/* Take the part of worker w in a run, unless it was begun. A worker that comes so late that the run
 * is over finds a later number. */
static int begin_part(worker *w, int64_t run) {
    int64_t begun = atomic_load_explicit(&w->begun, memory_order_relaxed);
    return begun < run && atomic_compare_exchange_strong_explicit(
                              &w->begun, &begun, run, memory_order_acq_rel, memory_order_relaxed);
}

static void end_part(void) {
    atomic_fetch_add_explicit(&crew.ended, 1, memory_order_acq_rel);
    gate_open(&crew.ending);
}

static void *work(void *argument) {
    worker *self = argument;
    int64_t seen = self->seen;
    for (;;) {
        gate_wait(&self->mailbox, &self->posted, seen + 1, self->ith);
        seen = atomic_load_explicit(&self->posted, memory_order_acquire);
        if (atomic_load_explicit(&crew.stopping, memory_order_acquire)) return NULL;
        if (!begin_part(self, seen)) continue;
        spread_out(self);
        run_own_part(&self->part, self->ith);
        end_part();
    }
}

/* Start workers up to nth; returns how many threads there are, the caller's included. */
static int64_t start_workers(int64_t nth) {
    pthread_attr_t attributes;
    if (crew.started >= nth || pthread_attr_init(&attributes) != 0) return crew.started;
    pthread_attr_setstacksize(&attributes, WORKER_STACK_BYTES);
    /* signals are for Python's main thread, whose sleep they must interrupt */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (crew.started < nth) {
        worker *w = &crew.workers[crew.started];
        w->ith = crew.started;
        w->seen = atomic_load(&w->posted);
        if (pthread_create(&w->thread, &attributes, work, w) != 0) break;
        crew.started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return crew.started;
}

/* Leave the threads that a forked child does not have, and what they may have left half done. */
static void forget_workers(void) {
    gate_init(&crew.ending);
    gate_init(&crew.meeting);
    atomic_store(&crew.ended, 0);
    atomic_store(&crew.arrived, 0);
    for (int i = 0; i < PYAD_MAX_THREADS; i++) {
        gate_init(&crew.workers[i].mailbox);
        atomic_store(&crew.workers[i].posted, 0);
        atomic_store(&crew.workers[i].begun, 0);
        atomic_store(&crew.workers[i].place, -1);
    }
    crew.runs = crew.due = 0;
    crew.started = 1;
    /* Another thread of the parent was running on the team: its scratch is lost to the child. */
    if (atomic_flag_test_and_set(&crew.held)) {
        crew.scratch = NULL;
        crew.scratch_bytes = 0;
    }
    atomic_flag_clear(&crew.held);
}

__attribute__((constructor)) static void set_up(void) {
    forget_workers();
    pthread_atfork(NULL, NULL, forget_workers);
}

/* At exit or unloading: join the workers, if no other thread is running on them. */
__attribute__((destructor)) static void stop_workers(void) {
    if (crew.started <= 1 || !pyad_team_acquire()) return;
    atomic_store(&crew.stopping, 1);
    for (int64_t i = 1; i < crew.started; i++) {
        worker *w = &crew.workers[i];
        atomic_fetch_add(&w->posted, 1);
        gate_open(&w->mailbox);
        pthread_join(w->thread, NULL);
    }
    crew.started = 1;
}

/* ---- the team ---- */

int pyad_team_acquire(void) {
    return !atomic_flag_test_and_set_explicit(&crew.held, memory_order_acquire);
}

void pyad_team_release(void) { atomic_flag_clear_explicit(&crew.held, memory_order_release); }

int pyad_team_awake(int64_t nth) {
    if (atomic_load_explicit(&crew.spinners, memory_order_relaxed) < nth) return 0;
    for (int64_t i = 1; i < nth; i++) {
        const gate *g = &crew.workers[i].mailbox;
        if (atomic_load_explicit(&g->sleepers, memory_order_relaxed) > 0) return 0;
    }
    return 1;
}

int pyad_team_worth_waking(int64_t nth) {
    static _Atomic int64_t last, streak; /* the last call's time; calls so far without a gap */
    int64_t time = now();
    int64_t gap = time - atomic_exchange_explicit(&last, time, memory_order_relaxed);
    if (nth > pyad_available_cpus() || gap > SPIN_NANOSECONDS) {
        atomic_store_explicit(&streak, 0, memory_order_relaxed);
        return 0;
    }
    if (atomic_fetch_add_explicit(&streak, 1, memory_order_relaxed) < WAKING_STREAK) return 0;
    /* if they do not stay awake, as others have their processors, the next try comes as late */
    atomic_store_explicit(&streak, 0, memory_order_relaxed);
    return 1;
}

void *pyad_team_scratch(int64_t nbytes) {
    if (nbytes > crew.scratch_bytes) {
        pyad_free(crew.scratch);
        crew.scratch_bytes = 0;
        crew.scratch = pyad_allocate(nbytes);
        if (crew.scratch != NULL) crew.scratch_bytes = nbytes;
    }
    return crew.scratch;
}

void pyad_team_drop_scratch(void) {
    if (!pyad_team_acquire()) return;
    pyad_free(crew.scratch);
    crew.scratch = NULL;
    crew.scratch_bytes = 0;
    pyad_team_release();
}

static void post(worker *w, int64_t number, const part *p) {
    w->part = *p;
    atomic_store_explicit(&w->posted, number, memory_order_release);
    gate_open(&w->mailbox);
}

/* Do the parts that no worker has begun, the last first, as the first was posted first. */
static void run_left_parts(int64_t nth, int64_t number) {
    for (int64_t i = nth - 1; i > 0; i--) {
        worker *w = &crew.workers[i];
        if (!begin_part(w, number)) continue;
        run_part(&w->part, i); /* `worked` stays 0: another's pace says nothing of its own */
        end_part();
    }
}

/* A part's own memory, behind the team's. */
static char *scratch_of(const pyad_task *k, int64_t ith) {
    return k->memory == NULL ? NULL : k->memory + k->shared + ith * k->scratch;
}

/* Run parts 1 .. nth-1 on the workers and part 0, which they are like but for the scratch, here. */
static void run_on_workers(const pyad_task *task, const part *first) {
    int64_t nth = first->nth, number = ++crew.runs;
    crew.due += nth - 1;
    atomic_store_explicit(&crew.arrived, 0, memory_order_relaxed);
    atomic_store_explicit(&crew.spinners, nth <= pyad_available_cpus() ? nth : 0, memory_order_relaxed);
    take_place(0);
    for (int64_t i = 1; i < nth; i++) {
        part p = *first;
        p.scratch = scratch_of(task, i);
        post(&crew.workers[i], number, &p);
    }
    run_own_part(first, 0);
    if (!has_reached(&crew.ended, crew.due)) run_left_parts(nth, number);
    gate_wait(&crew.ending, &crew.ended, crew.due, 0);
}

_Atomic uint64_t *pyad_turn_word(int64_t i) {
    return &crew.workers[i].turn;
}

/* The next run counts its ranges from 1 again. */
static void forget_turns(int64_t nth) {
    if (crew.workers[0].tally.turns == 0) return;
    for (int64_t i = 0; i < nth; i++) {
        atomic_store_explicit(&crew.workers[i].turn, 0, memory_order_relaxed);
    }
}

static void learn_shares(int64_t kernel, int64_t nth) {
    const team_tally *tallies[PYAD_MAX_THREADS];
    for (int64_t i = 0; i < nth; i++) tallies[i] = &crew.workers[i].tally;
    pyad_shares_learn(kernel, nth, tallies);
}

int pyad_team_run(const pyad_task *task, int64_t nth, pyad_error *error) {
    struct team_state state = {.lock = ATOMIC_FLAG_INIT};
    part first = {.run = task->run, .args = task->args, .scratch = scratch_of(task, 0),
                  .shared = task->memory, .state = &state, .nth = 1};
    if (nth > 1) first.nth = (int32_t)pyad_min(nth, start_workers(nth));
    if (first.nth > 1) {
        nth = first.nth;
        first.cuts = uneven_parts ? pyad_shares_uneven(nth) : pyad_shares(task->kernel, nth);
        first.brief = !uneven_parts && task->work / nth < PYAD_WORK_LONG;
        run_on_workers(task, &first);
        forget_turns(nth);
        if (!first.brief) learn_shares(task->kernel, nth);
    } else {
        run_part(&first, 0);
    }
    int status = atomic_load_explicit(&state.failed, memory_order_acquire);
    if (status != PYAD_OK) *error = state.error;
    return status;
}

void pyad_team_uneven(int uneven) { uneven_parts = uneven; }

/* ---- how many ---- */

static int64_t count_cpus(void) {
    int64_t count = 0;
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) count = CPU_COUNT(&set);
#endif
    if (count <= 0) count = sysconf(_SC_NPROCESSORS_ONLN);
    int64_t quota = pyad_cgroup_cpus("/sys/fs/cgroup", "/proc/self/cgroup");
    if (quota > 0) count = pyad_min(count, quota);
    return pyad_max(1, pyad_min(count, PYAD_MAX_THREADS));
}

int64_t pyad_available_cpus(void) {
    static _Atomic int64_t cpus; /* read once: files are slow */
    int64_t count = atomic_load_explicit(&cpus, memory_order_relaxed);
    if (count == 0) {
        count = count_cpus();
        atomic_store_explicit(&cpus, count, memory_order_relaxed);
    }
    return count;
}

void pyad_set_num_threads(int64_t n) {
    n = pyad_max(1, pyad_min(n, PYAD_MAX_THREADS));
    atomic_store_explicit(&num_threads, n, memory_order_relaxed);
}

int64_t pyad_get_num_threads(void) {
    int64_t n = atomic_load_explicit(&num_threads, memory_order_relaxed);
    return n > 0 ? n : pyad_available_cpus();
}

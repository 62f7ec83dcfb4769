/* What one machine can do at most: multiply-adds in registers, and memory.
 *
 *     roofline THREADS    prints lines "name value": GFLOP/s and GB/s
 *
 * Compiled by benchmarks/roofline.py once for each instruction set, with its flags alone; as a library it
 * has `multiply_adds` and `triads`, to take turns with what is held against them. Nothing here ends the
 * process: what can't be had is a status, of the program or the function.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif
#define LANES (VECTOR_BYTES / (int)sizeof(float))
/* enough to hide the latency of a multiply-add on two units, few enough for 16 registers */
#define CHAINS 12
#define ATTEMPTS 7

typedef float vector __attribute__((vector_size(VECTOR_BYTES)));

static const int64_t streamed = 1 << 24;        /* floats: 64 MB, in no cache */
static const int64_t in_second_level = 1 << 16; /* floats: 256 KB */

static pthread_barrier_t barrier;
static int64_t threads;

typedef struct {
    int64_t ith;
    float *a, *b, *c;
    double seconds;
    float sink; /* what would be computed in vain otherwise */
} worker;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void multiply_add(worker *w, int64_t rounds) {
    vector sums[CHAINS], factor, addend;
    for (int i = 0; i < LANES; i++) factor[i] = 0.999f, addend[i] = 0.001f;
    for (int k = 0; k < CHAINS; k++) sums[k] = addend * (float)k;
    for (int64_t r = 0; r < rounds; r++) {
#pragma GCC unroll 12
        for (int k = 0; k < CHAINS; k++) sums[k] = sums[k] * factor + addend;
    }
    for (int k = 0; k < CHAINS; k++) w->sink += sums[k][0];
}

static void triad(worker *w, int64_t n) {
    const float factor = 0.5f;
    for (int64_t i = 0; i < n; i++) w->a[i] = w->b[i] + factor * w->c[i];
}

static void copy(worker *w, int64_t n) { memcpy(w->a, w->b, (size_t)n * sizeof(float)); }

static void add_up(worker *w, int64_t n) {
    vector sums[4] = {{0}};
    const int64_t step = 4 * LANES;
    for (int64_t i = 0; i + step <= n; i += step) {
        for (int k = 0; k < 4; k++) sums[k] += *(const vector *)(w->b + i + k * LANES);
    }
    for (int k = 0; k < 4; k++) w->sink += sums[k][0];
}

typedef struct {
    const char *name;
    void (*run)(worker *, int64_t);
    int64_t n, repeats;
    double per_item; /* operations or bytes */
} measurement;

static const measurement measurements[] = {
    {"fma", multiply_add, 4000000, 1, 2.0 * CHAINS * LANES},
    {"triad", triad, streamed, 1, 3 * sizeof(float)},
    {"copy", copy, streamed, 1, 2 * sizeof(float)},
    {"read", add_up, streamed, 1, sizeof(float)},
    {"read L2", add_up, in_second_level, 200, sizeof(float)},
};
enum { COUNT = sizeof measurements / sizeof measurements[0] };

static worker *workers;

static int allocate(worker *w) {
    float **arrays[3] = {&w->a, &w->b, &w->c};
    for (int k = 0; k < 3; k++) {
        *arrays[k] = aligned_alloc(64, (size_t)streamed * sizeof(float));
        if (*arrays[k] == NULL) return 0;
    }
    return 1;
}

/* All threads begin together; the slowest counts. The memory is first written by who reads it later. */
static void *serve(void *argument) {
    worker *w = argument;
    float *arrays[3] = {w->a, w->b, w->c};
    for (int k = 0; k < 3; k++) {
        for (int64_t i = 0; i < streamed; i++) arrays[k][i] = 1.0f;
    }
    for (int m = 0; m < COUNT; m++) {
        const measurement *what = &measurements[m];
        double best = 1e30;
        for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
            pthread_barrier_wait(&barrier);
            double began = now();
            for (int64_t r = 0; r < what->repeats; r++) what->run(w, what->n);
            w->seconds = now() - began;
            pthread_barrier_wait(&barrier);
            double slowest = 0;
            for (int64_t i = 0; i < threads; i++) {
                if (workers[i].seconds > slowest) slowest = workers[i].seconds;
            }
            if (slowest < best) best = slowest;
        }
        if (w->ith == 0) {
            double items = (double)(threads * what->n * what->repeats);
            printf("%s %.3f\n", what->name, items * what->per_item / best / 1e9);
        }
    }
    return NULL;
}

#define TURN_ROUNDS 600000
#define MOST_IN_TURN 64

typedef struct {
    worker w;
    void (*run)(worker *, int64_t);
    int64_t n;
} part;

/* Held until it is known whether all threads of a turn are there. */
static pthread_mutex_t starting = PTHREAD_MUTEX_INITIALIZER;
static int turn_status;

static void do_part(part *p) {
    pthread_barrier_wait(&barrier);
    const double began = now();
    p->run(&p->w, p->n);
    p->w.seconds = now() - began;
}

static void *join_turn(void *argument) {
    pthread_mutex_lock(&starting);
    const int status = turn_status;
    pthread_mutex_unlock(&starting);
    if (status == 0) do_part(argument);
    return NULL;
}

/* The parts at once, each on a thread: the seconds of the slowest and 0, or the system's error number
 * where there are no such threads. */
static int take_turn(part *parts, int64_t count, double *seconds) {
    pthread_t ids[MOST_IN_TURN];
    int status = pthread_barrier_init(&barrier, NULL, (unsigned)count);
    if (status) return status;
    pthread_mutex_lock(&starting);
    int64_t started = 1;
    while (started < count && status == 0) {
        status = pthread_create(&ids[started], NULL, join_turn, &parts[started]);
        if (status == 0) started++;
    }
    turn_status = status;
    pthread_mutex_unlock(&starting);
    if (status == 0) do_part(&parts[0]);
    *seconds = 0;
    for (int64_t i = 0; i < started; i++) {
        if (i > 0) pthread_join(ids[i], NULL);
        if (parts[i].w.seconds > *seconds) *seconds = parts[i].w.seconds;
    }
    pthread_barrier_destroy(&barrier);
    return status;
}

/* One or two milliseconds of multiply-adds on 1 to 64 threads: their GFLOP/s and 0, or an error number. */
int multiply_adds(int64_t count, double *gflops) {
    part parts[MOST_IN_TURN] = {{{0}, NULL, 0}};
    double seconds;
    if (count < 1 || count > MOST_IN_TURN) return EINVAL;
    for (int64_t i = 0; i < count; i++) parts[i].run = multiply_add, parts[i].n = TURN_ROUNDS;
    const int status = take_turn(parts, count, &seconds);
    if (status) return status;
    static volatile float sink;
    sink = parts[0].w.sink;
    *gflops = (double)(count * TURN_ROUNDS) * 2.0 * CHAINS * LANES / seconds / 1e9;
    return 0;
}

/* A triad of arrays of 64 MB, which 1 to 64 threads share out: its GB/s and 0, or an error number. The
 * arrays are kept for the next turn. */
int triads(int64_t count, double *gbs) {
    static worker whole;
    part parts[MOST_IN_TURN] = {{{0}, NULL, 0}};
    double seconds;
    if (count < 1 || count > MOST_IN_TURN) return EINVAL;
    if (whole.a == NULL) {
        if (!allocate(&whole)) return ENOMEM;
        for (int64_t i = 0; i < streamed; i++) whole.a[i] = whole.b[i] = whole.c[i] = 1.0f;
    }
    const int64_t n = streamed / count / LANES * LANES;
    for (int64_t i = 0; i < count; i++) {
        parts[i] = (part){{.a = whole.a + i * n, .b = whole.b + i * n, .c = whole.c + i * n}, triad, n};
    }
    const int status = take_turn(parts, count, &seconds);
    if (status == 0) *gbs = (double)(count * n) * 3 * sizeof(float) / seconds / 1e9;
    return status;
}

int main(int argc, char **argv) {
    threads = argc > 1 ? atol(argv[1]) : 1;
    if (threads < 1 || threads > 1024) return 2;
    workers = calloc((size_t)threads, sizeof *workers);
    if (workers == NULL || pthread_barrier_init(&barrier, NULL, (unsigned)threads)) return 2;
    pthread_t *ids = calloc((size_t)threads, sizeof *ids);
    if (ids == NULL) return 2;
    for (int64_t i = 0; i < threads; i++) {
        workers[i].ith = i;
        if (!allocate(&workers[i])) return 2;
        if (i > 0 && pthread_create(&ids[i], NULL, serve, &workers[i])) return 2;
    }
    serve(&workers[0]);
    float sink = workers[0].sink;
    for (int64_t i = 1; i < threads; i++) {
        pthread_join(ids[i], NULL);
        sink += workers[i].sink;
    }
    /* never true, but the compiler can't know */
    return sink == 12345.678f;
}

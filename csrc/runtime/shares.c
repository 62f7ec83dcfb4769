/* How much of a kernel's work each thread of the team gets.
 *
 * Processors differ: performance and efficiency cores, one whose other hardware thread is busy, one that
 * is warmer. With even parts all wait for the slowest at each kernel's end. So every run tells how long
 * each thread took for its part; the logarithms of their paces, relative to the mean, are averaged over
 * the last runs of that kernel (what waits for memory all share runs at one pace where arithmetic does
 * not); and parts are cut in proportion to the paces. Cuts stay where they are until the paces have moved
 * by TOLERANCE, since what moves from thread to thread moves from cache to cache.
 *
 * Some loops also let who is through take from the others (team_take). Of each thread one word says which
 * of its blocks are not begun, and in which of the run's ranges; who finds the range before there, of a
 * thread that is late, with nothing left, puts the new one in its place.
 *
 * Both change speed alone: kernels give the same bits wherever parts are cut.
 */
#include <math.h>
#include <stdatomic.h>

#include "runtime.h"

#define MEMORY_NANOSECONDS 3000000.0 /* of a kernel's time, over which its paces are averaged */
#define LEAST_WEIGHT 0.05            /* of one run, however short */
#define MOST_WEIGHT 0.25
#define LEAST_NANOSECONDS 2000       /* a shorter part tells nothing */
#define SURPRISE 0.7                 /* more of it is an interruption, not a pace */
#define TOLERANCE 0.06

/* Of one kernel. */
typedef struct {
    double pace[PYAD_MAX_THREADS];    /* logarithms; only differences count */
    double cut_for[PYAD_MAX_THREADS]; /* the paces that the cuts were made for */
    int64_t threads;                  /* that they were made for; 0: none */
    int64_t cuts[PYAD_MAX_THREADS + 1];
} kernel_shares;

static kernel_shares kernels[PYAD_NUM_KERNELS];

/* ---- what kernels call ---- */

int64_t team_cut(const team *t, int64_t count, int64_t ith, int64_t first, int64_t last) {
    if (t->cuts == NULL) return count * (ith - first) / (last - first);
    int64_t whole = t->cuts[last] - t->cuts[first];
    return (count * (t->cuts[ith] - t->cuts[first]) + whole / 2) / whole;
}

void team_note(const team *t, int64_t n, int64_t own) {
    if (t->tally == NULL || n <= t->tally->items) return;
    t->tally->items = n;
    t->tally->own = own;
}

team_span team_span_of(const team *t, int64_t n, int64_t block) {
    int64_t blocks = (n + block - 1) / block;
    team_span own = {pyad_min(n, team_cut(t, blocks, t->ith, 0, t->nth) * block),
                     pyad_min(n, team_cut(t, blocks, t->ith + 1, 0, t->nth) * block)};
    team_note(t, n, own.end - own.begin);
    return own;
}

/* ---- in turns ---- */

#define TURN_BITS 20 /* of a number of blocks in a word; the range's own number has the other 24 */
#define TURN_MOST ((INT64_C(1) << TURN_BITS) - 1)
#define TURN_NUMBERS ((INT64_C(1) << 24) - 1) /* ranges of a run; of later ones each does its own part */

/* Blocks begin .. end-1 of a thread that are not begun, in range `number` of the run. */
typedef struct {
    int64_t number, begin, end;
} turn;

static uint64_t turn_word(turn t) {
    return (uint64_t)t.number << 2 * TURN_BITS | (uint64_t)t.begin << TURN_BITS | (uint64_t)t.end;
}

static turn turn_of(uint64_t word) {
    return (turn){(int64_t)(word >> 2 * TURN_BITS), (int64_t)(word >> TURN_BITS) & TURN_MOST,
                  (int64_t)word & TURN_MOST};
}

team_turns team_take(const team *t, int64_t n, int64_t block, int64_t least) {
    team_turns w = {.team = t, .n = n, .block = block, .least = least};
    while (pyad_ceil_div(n, w.block) > TURN_MOST) w.block *= 2;
    w.blocks = pyad_ceil_div(n, w.block);
    if (t->nth > 1) w.number = ++t->tally->turns;
    return w;
}

/* What of thread i's blocks is not begun, given its word. Of an older range its own thread alone goes on to
 * this one, unless it is known that nothing of that is left. */
static turn turn_now(const team_turns *w, int64_t i, uint64_t word) {
    turn now = turn_of(word);
    const turn nothing = {.number = w->number};
    if (now.number == w->number) return now;
    if (now.number > w->number) return nothing;
    int done = now.begin == now.end && now.number == w->number - 1;
    if (i != w->team->ith && !done) return nothing;
    return (turn){w->number, team_cut(w->team, w->blocks, i, 0, w->team->nth),
                  team_cut(w->team, w->blocks, i + 1, 0, w->team->nth)};
}

/* Take a piece of thread i's blocks, half of what is left; nothing if there is none, or so little that
 * another thread has it done before its data have come from cache to cache. A thread that had nothing from
 * the start says so in its word, so that others may take from it in the next range. */
static team_span take_from(const team_turns *w, int64_t i) {
    _Atomic uint64_t *at = pyad_turn_word(i);
    uint64_t word = atomic_load_explicit(at, memory_order_relaxed);
    for (;;) {
        turn now = turn_now(w, i, word);
        int64_t left = now.end - now.begin;
        const int mine = i == w->team->ith;
        if (mine ? left == 0 && turn_of(word).number >= w->number : left <= w->least) {
            return (team_span){0, 0};
        }
        int64_t half = pyad_ceil_div(left, 2 * w->least) * w->least;
        int64_t piece = pyad_min(left, half);
        team_span taken = {now.begin, now.begin + piece};
        if (mine) {
            now.begin += piece;
        } else {
            taken = (team_span){now.end - piece, now.end};
            now.end -= piece;
        }
        if (atomic_compare_exchange_weak_explicit(at, &word, turn_word(now), memory_order_relaxed,
                                                  memory_order_relaxed)) {
            return taken;
        }
    }
}

/* Blocks of this thread, or else of another. */
static team_span take_blocks(const team_turns *w) {
    const team *t = w->team;
    if (t->nth == 1 || t->tally->brief || w->number > TURN_NUMBERS) {
        if (w->own > 0) return (team_span){0, 0};
        return (team_span){team_cut(t, w->blocks, t->ith, 0, t->nth),
                           team_cut(t, w->blocks, t->ith + 1, 0, t->nth)};
    }
    team_span taken = {0, 0};
    for (int64_t k = 0; k < t->nth && taken.begin == taken.end; k++) {
        taken = take_from(w, (t->ith + k) % t->nth);
    }
    return taken;
}

team_span team_piece(team_turns *w) {
    team_span blocks = take_blocks(w);
    team_span piece = {blocks.begin * w->block, pyad_min(w->n, blocks.end * w->block)};
    w->own += piece.end - piece.begin;
    if (piece.begin == piece.end) team_note(w->team, w->n, w->own);
    return piece;
}

/* ---- the paces ---- */

static void cut(int64_t nth, const double *weights, int64_t *cuts) {
    double sum = 0, before = 0;
    for (int64_t i = 0; i < nth; i++) sum += weights[i];
    for (int64_t i = 0; i < nth; i++) {
        cuts[i] = (int64_t)(before / sum * TEAM_WHOLE + 0.5);
        before += weights[i];
    }
    cuts[nth] = TEAM_WHOLE;
}

/* The logarithms of the paces of a run, from their mean, and the shortest time; 0 if it does not tell. */
static int paces_of(int64_t nth, const team_tally *const *tallies, double *paces, double *took) {
    double mean = 0;
    *took = HUGE_VAL;
    for (int64_t i = 0; i < nth; i++) {
        const team_tally *w = tallies[i];
        if (w->items == 0 || w->own == 0 || w->worked < LEAST_NANOSECONDS) return 0;
        paces[i] = log((double)w->own / (double)w->worked);
        *took = fmin(*took, (double)w->worked);
        mean += paces[i] / (double)nth;
    }
    for (int64_t i = 0; i < nth; i++) paces[i] -= mean;
    return 1;
}

void pyad_shares_learn(int64_t kernel, int64_t nth, const team_tally *const *tallies) {
    double *pace = kernels[kernel].pace;
    double paces[PYAD_MAX_THREADS], took, mean = 0;
    if (!paces_of(nth, tallies, paces, &took)) return;
    double weight = fmin(MOST_WEIGHT, fmax(LEAST_WEIGHT, took / MEMORY_NANOSECONDS));
    for (int64_t i = 0; i < nth; i++) mean += pace[i] / (double)nth;
    for (int64_t i = 0; i < nth; i++) {
        double surprise = paces[i] - (pace[i] - mean);
        pace[i] += weight * fmax(-SURPRISE, fmin(SURPRISE, surprise));
    }
}

static int has_moved(const kernel_shares *k, int64_t nth) {
    if (k->threads != nth) return 1;
    for (int64_t i = 0; i < nth; i++) {
        if (fabs(k->pace[i] - k->cut_for[i]) > TOLERANCE) return 1;
    }
    return 0;
}

static int is_even(const kernel_shares *k, int64_t nth) {
    double least = HUGE_VAL, most = -HUGE_VAL;
    for (int64_t i = 0; i < nth; i++) {
        least = fmin(least, k->cut_for[i]);
        most = fmax(most, k->cut_for[i]);
    }
    return most - least <= 2 * TOLERANCE;
}

const int64_t *pyad_shares(int64_t kernel, int64_t nth) {
    kernel_shares *k = &kernels[kernel];
    if (has_moved(k, nth)) {
        double weights[PYAD_MAX_THREADS];
        k->threads = nth;
        for (int64_t i = 0; i < nth; i++) weights[i] = exp(k->cut_for[i] = k->pace[i]);
        cut(nth, weights, k->cuts);
    }
    return is_even(k, nth) ? NULL : k->cuts;
}

const int64_t *pyad_shares_uneven(int64_t nth) {
    static int64_t cuts[PYAD_MAX_THREADS + 1];
    double weights[PYAD_MAX_THREADS];
    for (int64_t i = 0; i < nth; i++) weights[i] = i % 2 == 0 ? 3 : 1;
    cut(nth, weights, cuts);
    return cuts;
}

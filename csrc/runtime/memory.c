/* Memory that is kept: blocks aligned to 64 bytes, in size classes at most 12.5 % apart.
 *
 * A training step asks for the same sizes again and again. What it gives back goes on the list of
 * its class and is handed out again, last one first (it is the one still in the cache), so that no
 * step faults pages in. The price of kept memory is bounded: above the cache limit the large blocks
 * that lay unused the longest go back to the system.
 *
 * A large request takes a kept block of up to three classes above its own before a new one, so that
 * varying batch sizes do not pile up blocks. Before a new large block is taken, those that lay unused
 * the longest go back as far as more would be reserved than was ever in use: what loading a model left
 * behind makes room for its first call. A block that is missed after all raises that limit by its
 * bytes, so that work that repeats soon has all that it needs, and no step gives back what the next
 * one asks for again. A block of which the caller says that it was used once (what a model was loaded
 * from) is not kept, unless its class is asked for again after one: then models are loaded over and
 * over, and what they are loaded from is kept as well. System calls are made outside the lock.
 *
 * At inference what a layer makes is gone two layers later. A thread that says so takes, before a new
 * block, the end of a larger kept one, the smallest there is, and for a large request the block that
 * the team keeps for scratch: so layers whose sizes differ share their memory. Parts that are free
 * again and lie side by side are one block again. What lasts would keep them apart: a training step's
 * gradients and sums, and whatever else a caller asks for as lasting, have blocks of their own.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISON 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define POISON 1
#endif
#if defined(POISON)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

/* up to LINEAR_BYTES a class each line of bytes, above STEPS classes each doubling */
#define LINEAR_BYTES 1024
#define LINEAR_CLASSES (LINEAR_BYTES / PYAD_LINE_BYTES)
#define LINEAR_LOG2 10
#define STEPS 8
#define STEPS_LOG2 3
#define MAX_LOG2 46
#define NUM_CLASSES (LINEAR_CLASSES + (MAX_LOG2 - LINEAR_LOG2) * STEPS)

/* from here on blocks are mapped, may serve somewhat smaller requests and may be evicted */
#define LARGE_BYTES ((int64_t)1 << 20)
#define CLASSES_ABOVE 3
/* no smaller part is cut off a block, or left of it */
#define PART_BYTES ((int64_t)1 << 16)
#define HUGE_PAGE ((size_t)1 << 21)
/* Large blocks, and parts of a block, start at different places in their page: two streams whose
 * addresses are equal modulo 4096 slow each other down. */
#define COLOURS 16
#define COLOUR_BYTES 256

/* Stands right before each block: what the system gave, or a part of it. */
typedef struct block {
    _Alignas(PYAD_LINE_BYTES) struct block *newer; /* on the class's list of kept blocks */
    struct block *older;
    struct block *used_later; /* among all kept whole large blocks, by when they were given back */
    struct block *used_before;
    void *base;           /* what the system gave */
    struct block *before; /* the part that ends where this one begins, NULL for the first one */
    int64_t bytes;        /* handed out */
    int16_t size_class;   /* the largest one that is no larger */
    uint8_t used_once;    /* goes back to the system when it is freed */
    uint8_t is_kept;      /* on the lists */
    uint8_t is_last;      /* no part begins where this one ends */
} block;

_Static_assert(sizeof(block) == PYAD_LINE_BYTES, "a block's header keeps its alignment");

static struct {
    pthread_mutex_t mutex;
    block *newest[NUM_CLASSES];
    block *last_used, *first_used;
    int64_t cache_limit;
    int64_t memory_limit;
    int64_t most_allocated; /* as stats.peak_allocated_bytes, which users can reset */
    int64_t missed_bytes;   /* of blocks that were given back too early */
    uint8_t used_once[NUM_CLASSES];   /* whether a block was not kept as it was used once, */
    uint8_t comes_again[NUM_CLASSES]; /* and another one was asked for after that */
    int64_t given_back[NUM_CLASSES]; /* how many blocks of each class make_room gave back */
    pyad_memory_stats stats;
} kept = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local int cuts; /* whether this thread's requests take parts of larger blocks */

static pthread_once_t limits_known = PTHREAD_ONCE_INIT;

static char *end_of(block *b) { return (char *)(b + 1) + b->bytes; }

/* Whether a block is all that the system gave. */
static int is_whole(const block *b) { return b->before == NULL && b->is_last; }

/* The part that begins where a block that is not the last one ends. */
static block *after(block *b) { return (block *)(void *)end_of(b); }

/* ---- size classes ---- */

static int64_t class_of(int64_t nbytes) {
    if (nbytes <= LINEAR_BYTES) return nbytes > 0 ? (nbytes - 1) / PYAD_LINE_BYTES : 0;
    int64_t log2 = 63 - __builtin_clzll((uint64_t)(nbytes - 1));
    int64_t step = ((nbytes - 1) >> (log2 - STEPS_LOG2)) - STEPS;
    return LINEAR_CLASSES + (log2 - LINEAR_LOG2) * STEPS + step;
}

static int64_t class_bytes(int64_t size_class) {
    if (size_class < LINEAR_CLASSES) return (size_class + 1) * PYAD_LINE_BYTES;
    int64_t above = size_class - LINEAR_CLASSES;
    return (above % STEPS + STEPS + 1) << (above / STEPS + LINEAR_LOG2 - STEPS_LOG2);
}

/* The class whose requests a block of so many bytes serves. */
static int16_t class_within(int64_t bytes) {
    int64_t size_class = class_of(bytes);
    return (int16_t)(class_bytes(size_class) > bytes ? size_class - 1 : size_class);
}

/* ---- the system's memory ---- */

static void read_limits(void) {
    int64_t memory = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    int64_t quota = pyad_cgroup_memory("/sys/fs/cgroup", "/proc/self/cgroup");
    if (quota > 0 && (memory <= 0 || quota < memory)) memory = quota;
    kept.memory_limit = memory > 0 ? memory : INT64_MAX;
    kept.cache_limit = kept.memory_limit / 2;
}

/* Map nbytes; from a few huge pages up, aligned so that the system can use them. */
static void *map(size_t nbytes) {
    size_t slack = nbytes >= 2 * HUGE_PAGE ? HUGE_PAGE : 0;
    char *start = mmap(NULL, nbytes + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                       -1, 0);
    if (start == MAP_FAILED) return NULL;
    if (slack == 0) return start;
    size_t before = (HUGE_PAGE - (uintptr_t)start % HUGE_PAGE) % HUGE_PAGE;
    if (before > 0) munmap(start, before);
    if (slack > before) munmap(start + before + nbytes, slack - before);
#if defined(MADV_HUGEPAGE)
    madvise(start + before, nbytes, MADV_HUGEPAGE);
#endif
    return start + before;
}

static size_t whole_pages(size_t nbytes) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (nbytes + page - 1) / page * page;
}

static block *system_allocate(int64_t size_class, int64_t colour) {
    int64_t bytes = class_bytes(size_class);
    size_t offset = sizeof(block);
    size_t total = (size_t)bytes + offset;
    void *base;
    if (bytes >= LARGE_BYTES) {
        offset += (size_t)(colour % COLOURS * COLOUR_BYTES);
        total = whole_pages((size_t)bytes + offset);
        base = map(total);
    } else if (posix_memalign(&base, PYAD_LINE_BYTES, total) != 0) {
        base = NULL;
    }
    if (base == NULL) return NULL;
    block *b = (block *)(void *)((char *)base + offset) - 1;
    *b = (block){.base = base, .bytes = bytes, .size_class = (int16_t)size_class, .is_last = 1};
    return b;
}

static void system_free(block *b) {
    /* a later mapping may lie at the same addresses */
    ASAN_UNPOISON_MEMORY_REGION(b + 1, (size_t)b->bytes);
    if (b->bytes >= LARGE_BYTES) {
        munmap(b->base, whole_pages((size_t)(end_of(b) - (char *)b->base)));
    } else {
        free(b->base);
    }
}

/* Free a list that `older` links. */
static void system_free_all(block *b) {
    while (b != NULL) {
        block *next = b->older;
        system_free(b);
        b = next;
    }
}

/* ---- kept blocks; the caller holds the mutex ---- */

static int is_evictable(const block *b) { return is_whole(b) && b->bytes >= LARGE_BYTES; }

static void keep(block *b) {
    block **newest = &kept.newest[b->size_class];
    b->is_kept = 1;
    b->newer = NULL;
    b->older = *newest;
    if (*newest != NULL) (*newest)->newer = b;
    *newest = b;
    if (!is_evictable(b)) return;
    b->used_later = NULL;
    b->used_before = kept.last_used;
    if (kept.last_used != NULL) kept.last_used->used_later = b;
    kept.last_used = b;
    if (kept.first_used == NULL) kept.first_used = b;
}

static void unkeep(block *b) {
    b->is_kept = 0;
    if (b->newer != NULL) b->newer->older = b->older;
    if (b->older != NULL) b->older->newer = b->newer;
    if (kept.newest[b->size_class] == b) kept.newest[b->size_class] = b->older;
    if (!is_evictable(b)) return;
    if (b->used_later != NULL) b->used_later->used_before = b->used_before;
    if (b->used_before != NULL) b->used_before->used_later = b->used_later;
    if (kept.last_used == b) kept.last_used = b->used_before;
    if (kept.first_used == b) kept.first_used = b->used_later;
}

/* Give a block that is not on the lists its length, and tell the part behind it. */
static void set_bytes(block *b, int64_t bytes, int is_last) {
    kept.stats.reserved_bytes += bytes - b->bytes;
    b->bytes = bytes;
    b->size_class = class_within(bytes);
    b->is_last = (uint8_t)is_last;
    if (!is_last) after(b)->before = b;
}

/* Cut the end off a kept block for a request of this class; the rest stays on the lists. */
static block *cut(block *b, int64_t size_class) {
    int64_t bytes = class_bytes(size_class) + COLOUR_BYTES;
    int is_last = b->is_last;
    unkeep(b);
    block *part = (block *)(void *)(end_of(b) - bytes) - 1;
    ASAN_UNPOISON_MEMORY_REGION(part, sizeof *part);
    *part = (block){.base = b->base};
    set_bytes(part, bytes, is_last);
    set_bytes(b, (char *)part - (char *)(b + 1), 0);
    keep(b);
    return part;
}

/* Make a block that is not on the lists and the part after it one. */
static void join(block *b) {
    block *gone = after(b);
    kept.stats.reserved_bytes -= gone->bytes;
    set_bytes(b, end_of(gone) - (char *)(b + 1), gone->is_last);
    ASAN_POISON_MEMORY_REGION(gone, sizeof *gone);
}

/* The last class whose blocks serve requests of this one. */
static int64_t last_serving(int64_t size_class) {
    if (class_bytes(size_class) < LARGE_BYTES) return size_class;
    return pyad_min(size_class + CLASSES_ABOVE, NUM_CLASSES - 1);
}

static block *newest_among(int64_t first_class, int64_t last_class) {
    for (int64_t c = first_class; c <= last_class; c++) {
        if (kept.newest[c] != NULL) return kept.newest[c];
    }
    return NULL;
}

/* A kept block that serves requests of this class, or a part of one, off the lists. */
static block *take_kept(int64_t size_class) {
    block *b = newest_among(size_class, last_serving(size_class));
    if (b != NULL) {
        unkeep(b);
        return b;
    }
    int64_t bytes = class_bytes(size_class);
    if (!cuts || bytes < PART_BYTES) return NULL;
    b = newest_among(class_of(bytes + COLOUR_BYTES + PYAD_LINE_BYTES + PART_BYTES), NUM_CLASSES - 1);
    return b == NULL ? NULL : cut(b, size_class);
}

/* On the lists, as one with what is kept on either side of it; the result is all of that. */
static block *keep_joined(block *b) {
    if (!b->is_last && after(b)->is_kept) {
        unkeep(after(b));
        join(b);
    }
    if (b->before != NULL && b->before->is_kept) {
        b = b->before;
        unkeep(b);
        join(b);
    }
    keep(b);
    return b;
}

static void count_handed_out(const block *b) {
    kept.stats.allocated_bytes += b->bytes;
    if (kept.stats.allocated_bytes > kept.stats.peak_allocated_bytes) {
        kept.stats.peak_allocated_bytes = kept.stats.allocated_bytes;
    }
    kept.most_allocated = pyad_max(kept.most_allocated, kept.stats.allocated_bytes);
}

/* Off the lists, for the system; the result is the chain `rest` with `b` before it. */
static block *give_back(block *b, block *rest) {
    unkeep(b);
    kept.stats.reserved_bytes -= b->bytes;
    b->older = rest;
    return b;
}

/* Take whole kept blocks beyond the limit off the lists, those unused the longest first, then `b`. */
static block *take_excess(block *b) {
    block *excess = NULL;
    if (b != NULL && !is_whole(b)) b = NULL;
    while (kept.stats.reserved_bytes - kept.stats.allocated_bytes > kept.cache_limit) {
        block *victim = kept.first_used != NULL ? kept.first_used : b;
        if (victim == NULL) break;
        if (victim == b) b = NULL;
        excess = give_back(victim, excess);
    }
    return excess;
}

/* A new block of this class is needed: if one that could serve was given back, it is missed. */
static void note_missed(int64_t size_class) {
    for (int64_t c = size_class; c <= last_serving(size_class); c++) {
        if (kept.given_back[c] == 0) continue;
        kept.given_back[c]--;
        kept.missed_bytes += class_bytes(c);
        return;
    }
}

/* Take large blocks off the lists until, with a new one of this class, no more is reserved than was
 * ever in use and is missed, or none is left. */
static block *make_room(int64_t size_class) {
    const int64_t bytes = class_bytes(size_class);
    const int64_t most = pyad_max(kept.most_allocated, kept.stats.allocated_bytes + bytes);
    block *given = NULL;
    while (kept.first_used != NULL && kept.stats.reserved_bytes + bytes > most + kept.missed_bytes) {
        kept.given_back[kept.first_used->size_class]++;
        given = give_back(kept.first_used, given);
    }
    return given;
}

/* ---- the interface ---- */

/* A new block from the system, NULL if that would exceed the machine's memory. */
static block *new_block(int64_t size_class) {
    pthread_once(&limits_known, read_limits);
    int64_t bytes = class_bytes(size_class);
    block *given = NULL;
    pthread_mutex_lock(&kept.mutex);
    kept.comes_again[size_class] |= kept.used_once[size_class];
    if (bytes >= LARGE_BYTES) {
        note_missed(size_class);
        given = make_room(size_class);
    }
    int fits = bytes <= kept.memory_limit - kept.stats.reserved_bytes;
    int64_t colour = kept.stats.system_allocations;
    pthread_mutex_unlock(&kept.mutex);
    system_free_all(given);
    block *b = fits ? system_allocate(size_class, colour) : NULL;
    if (b == NULL) return NULL;
    pthread_mutex_lock(&kept.mutex);
    kept.stats.reserved_bytes += b->bytes;
    kept.stats.system_allocations++;
    count_handed_out(b);
    pthread_mutex_unlock(&kept.mutex);
    return b;
}

/* A block from the lists, NULL if none serves. */
static block *reuse(int64_t size_class) {
    pthread_mutex_lock(&kept.mutex);
    block *b = take_kept(size_class);
    if (b != NULL) {
        kept.stats.reused_blocks++;
        count_handed_out(b);
    }
    pthread_mutex_unlock(&kept.mutex);
    return b;
}

void *pyad_allocate(int64_t nbytes) {
    if (nbytes < 0 || nbytes > (int64_t)1 << (MAX_LOG2 - 1)) return NULL;
    int64_t size_class = class_of(nbytes);
    block *b = reuse(size_class);
    if (b == NULL && cuts && class_bytes(size_class) >= LARGE_BYTES) {
        pyad_team_drop_scratch();
        b = reuse(size_class);
    }
    if (b == NULL) b = new_block(size_class);
    if (b == NULL) {
        pyad_empty_cache();
        b = new_block(size_class);
    }
    if (b == NULL) return NULL;
    /* as long as was asked for, so that a sanitizer sees each step beyond */
    ASAN_POISON_MEMORY_REGION(b + 1, (size_t)b->bytes);
    ASAN_UNPOISON_MEMORY_REGION(b + 1, (size_t)nbytes);
    return b + 1;
}

void pyad_free(void *memory) {
    if (memory == NULL) return;
    block *b = (block *)memory - 1;
    ASAN_POISON_MEMORY_REGION(memory, (size_t)b->bytes);
    pthread_mutex_lock(&kept.mutex);
    kept.stats.allocated_bytes -= b->bytes;
    int16_t size_class = b->size_class;
    int goes = b->used_once && !kept.comes_again[size_class];
    b->used_once = 0;
    b = keep_joined(b);
    block *excess = NULL;
    if (goes && is_whole(b)) {
        kept.used_once[size_class] = 1;
        excess = give_back(b, NULL);
    } else {
        excess = take_excess(b);
    }
    pthread_mutex_unlock(&kept.mutex);
    system_free_all(excess);
}

int64_t pyad_allocate_address(int64_t nbytes) { return (int64_t)(intptr_t)pyad_allocate(nbytes); }

int64_t pyad_allocate_lasting(int64_t nbytes) {
    int before = pyad_cut_blocks(0);
    int64_t address = pyad_allocate_address(nbytes);
    pyad_cut_blocks(before);
    return address;
}

int pyad_cut_blocks(int on) {
    int before = cuts;
    cuts = on;
    return before;
}

void pyad_free_address(int64_t address) { pyad_free((void *)(intptr_t)address); }

void pyad_use_once(int64_t address) {
    if (address != 0) ((block *)(intptr_t)address - 1)->used_once = 1;
}

double pyad_read_float(int64_t address, int64_t dtype) {
    const void *number = (const void *)(intptr_t)address;
    return dtype == PYAD_FLOAT32 ? (double)*(const float *)number : *(const double *)number;
}

void pyad_write_float(int64_t address, int64_t dtype, double value) {
    void *number = (void *)(intptr_t)address;
    if (dtype == PYAD_FLOAT32) {
        *(float *)number = (float)value;
    } else {
        *(double *)number = value;
    }
}

void pyad_get_memory_stats(pyad_memory_stats *stats) {
    pthread_mutex_lock(&kept.mutex);
    *stats = kept.stats;
    pthread_mutex_unlock(&kept.mutex);
}

void pyad_reset_peak_memory(void) {
    pthread_mutex_lock(&kept.mutex);
    kept.stats.peak_allocated_bytes = kept.stats.allocated_bytes;
    pthread_mutex_unlock(&kept.mutex);
}

void pyad_empty_cache(void) {
    pyad_team_drop_scratch();
    block *dropped = NULL;
    pthread_mutex_lock(&kept.mutex);
    for (int64_t c = 0; c < NUM_CLASSES; c++) {
        for (block *b = kept.newest[c], *older; b != NULL; b = older) {
            older = b->older;
            if (is_whole(b)) dropped = give_back(b, dropped);
        }
        kept.given_back[c] = 0;
        kept.used_once[c] = kept.comes_again[c] = 0;
    }
    kept.most_allocated = kept.stats.allocated_bytes;
    kept.missed_bytes = 0;
    pthread_mutex_unlock(&kept.mutex);
    system_free_all(dropped);
}

void pyad_set_cache_limit(int64_t nbytes) {
    pthread_once(&limits_known, read_limits);
    pthread_mutex_lock(&kept.mutex);
    kept.cache_limit = pyad_max(nbytes, 0);
    block *excess = take_excess(NULL);
    pthread_mutex_unlock(&kept.mutex);
    system_free_all(excess);
}

/* ---- fork: the child gets the lists as no thread was changing them ---- */

static void lock_memory(void) { pthread_mutex_lock(&kept.mutex); }
static void unlock_memory(void) { pthread_mutex_unlock(&kept.mutex); }

__attribute__((constructor)) static void handle_forks(void) {
    pthread_atfork(lock_memory, unlock_memory, unlock_memory);
}

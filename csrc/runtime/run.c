/* The one door: look a kernel up, decide how many threads it is worth, give it scratch, run it,
 * report its status.
 */
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

#ifndef PYAD_VERSION
#error "PYAD_VERSION comes from the build (setup.py, tests/c/run.sh)"
#endif

#define FLOATS ((1 << PYAD_FLOAT32) + (1 << PYAD_FLOAT64))
#define INTS                                                                                    \
    ((1 << PYAD_INT64) + (1 << PYAD_INT32) + (1 << PYAD_INT16) + (1 << PYAD_INT8) +              \
     (1 << PYAD_UINT8))
#define BOOLS (1 << PYAD_BOOL)
#define WHOLE (INTS + BOOLS)
#define NUMBERS (FLOATS + INTS)
#define ALL (FLOATS + INTS + BOOLS)
#define ALL_LOGICAL ALL
#define WHOLE_LOGICAL WHOLE
#define MOVED ALL
#define STATE (1 << PYAD_INT64)

/* The last line keeps the array from being empty. */
static const pyad_kernel_info kernel_infos[PYAD_NUM_KERNELS + 1] = {
#define KERNEL(name, args, dtypes, reads, writes, ints, floats) \
    {#name, dtypes, reads, writes, ints, floats},
#include "kernels.def"
#undef KERNEL
    {NULL, 0, 0, 0, 0, 0}};

/* Every args struct is exactly the arrays and numbers that its line in kernels.def counts. */
#define KERNEL(name, args, dtypes, reads, writes, ints, floats)                                  \
    _Static_assert(sizeof(args) == ((reads) + (writes)) * sizeof(pyad_array) +                   \
                                       8 * ((ints) + (floats)),                                  \
                   #args " and the counts in kernels.def disagree");
#include "kernels.def"
#undef KERNEL

static _Thread_local pyad_error last_error;
static _Thread_local int64_t exact_threads; /* 0: decide by the work and the setting */

static int fail(int64_t code, int64_t position, int64_t value, int64_t limit) {
    last_error = (pyad_error){code, position, value, limit};
    return (int)code;
}

/* The dtype of the first array that is present, -1 if none is. */
static int64_t first_dtype(const pyad_array *arrays, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        const pyad_array *a = &arrays[i];
        if (a->data == NULL) continue;
        if (a->dtype != PYAD_TABLE) return a->dtype;
        int64_t inner = first_dtype(a->data, a->shape[0]);
        if (inner >= 0) return inner;
    }
    return -1;
}

/* One thread for each PYAD_WORK_GRAIN of work, up to the setting; if no worker has to be woken, for
 * each PYAD_WORK_GRAIN_AWAKE. */
static int64_t threads_for(const pyad_kernel *kernel, const void *args) {
    int64_t work = kernel->work(args, 1);
    if (work < 2 * PYAD_WORK_GRAIN_AWAKE) return 1;
    int64_t most = pyad_get_num_threads();
    int64_t awake = pyad_min(work / PYAD_WORK_GRAIN_AWAKE, most);
    if (awake > 1 && (pyad_team_awake(awake) || pyad_team_worth_waking(awake))) return awake;
    return pyad_max(1, pyad_min(work / PYAD_WORK_GRAIN, most));
}

int64_t pyad_product(const int64_t *sizes, int64_t n) {
    int64_t product = 1;
    for (int64_t i = 0; i < n; i++) product *= sizes[i];
    return product;
}

/* Bytes that a kernel asks for. */
static int64_t memory_asked(pyad_size_fn size, const void *args, int64_t nth) {
    return size == NULL ? 0 : size(args, nth);
}

static int64_t round_up(int64_t nbytes) {
    return (nbytes + PYAD_LINE_BYTES - 1) / PYAD_LINE_BYTES * PYAD_LINE_BYTES;
}

/* Run with scratch from the team if the caller holds it, else its own. */
static int run_kernel(int64_t id, const pyad_kernel *kernel, const void *args, int64_t nth,
                      int held) {
    pyad_task task = {.kernel = id, .run = kernel->run, .args = args};
    task.scratch = round_up(memory_asked(kernel->scratch, args, nth));
    task.shared = round_up(memory_asked(kernel->shared, args, nth));
    if (nth > 1) task.work = kernel->work(args, 1);
    int64_t total = task.scratch * nth + task.shared;
    if (total > 0) {
        task.memory = held ? pyad_team_scratch(total) : pyad_allocate(total);
        if (task.memory == NULL) return fail(PYAD_ERROR_MEMORY, 0, total, 0);
    }
    int status = pyad_team_run(&task, nth, &last_error);
    if (!held && task.memory != NULL) pyad_free(task.memory);
    return status;
}

int pyad_run(int64_t id, const char *args, int64_t nth) {
    if (id < 0 || id >= PYAD_NUM_KERNELS) return fail(PYAD_ERROR_KERNEL, 0, id, PYAD_NUM_KERNELS);
    const pyad_kernel_info *info = &kernel_infos[id];
    int64_t dtype = first_dtype((const pyad_array *)(const void *)args, info->reads + info->writes);
    if (dtype < 0 || dtype >= PYAD_NUM_DTYPES) {
        return fail(PYAD_ERROR_DTYPE, 0, dtype, PYAD_NUM_DTYPES);
    }
    const pyad_kernel *kernel = pyad_current_table()[id].of[dtype];
    if (kernel == NULL) return fail(PYAD_ERROR_DTYPE, 0, dtype, PYAD_NUM_DTYPES);
    /* A tape that is open will record the call here: (id, args) is all there is to it. */
    if (nth <= 0) nth = exact_threads;
    nth = nth > 0 ? pyad_min(nth, PYAD_MAX_THREADS) : threads_for(kernel, args);
    const int asks = memory_asked(kernel->scratch, args, 1) + memory_asked(kernel->shared, args, 1) > 0;
    if (nth == 1 && !asks) {
        return run_kernel(id, kernel, args, 1, 0);
    }
    int held = pyad_team_acquire();
    int status = run_kernel(id, kernel, args, held ? nth : 1, held);
    if (held) pyad_team_release();
    return status;
}

void pyad_set_exact_threads(int64_t n, int uneven) {
    exact_threads = n;
    pyad_team_uneven(uneven);
}

/* ---- prepared calls ---- */

/* As large as the largest args struct. */
typedef union {
    int64_t none;
#define KERNEL(name, args, dtypes, reads, writes, ints, floats) args name;
#include "kernels.def"
#undef KERNEL
} largest_args;

#define MOST_WRITES 8
#define KERNEL(name, args, dtypes, reads, writes, ints, floats) \
    _Static_assert(writes <= MOST_WRITES, #name " writes more arrays than a prepared call holds");
#include "kernels.def"
#undef KERNEL

struct pyad_prepared {
    int64_t id;
    int64_t nbytes[MOST_WRITES]; /* of each output, or PYAD_ABSENT, PYAD_GIVEN */
    int64_t table_count;         /* of the arrays in lists */
    pyad_array *tables;          /* they, without the addresses, list after list */
    largest_args args;           /* without the addresses */
};

/* Lists of so many arrays need no memory at a call. */
#define FEW_IN_TABLES 16

static _Thread_local int64_t outputs[MOST_WRITES];

static size_t bytes_of(const pyad_kernel_info *info) {
    return (size_t)(info->reads + info->writes) * sizeof(pyad_array) +
           8 * (size_t)(info->ints + info->floats);
}

static int64_t address_of(const void *memory) { return (int64_t)(intptr_t)memory; }

/* Copy the lists among the arrays to read; 0 if there is no memory. */
static int keep_tables(pyad_prepared *p, const pyad_array *reads, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        if (reads[i].dtype == PYAD_TABLE) p->table_count += reads[i].shape[0];
    }
    if (p->table_count == 0) return 1;
    pyad_array *next = p->tables = calloc((size_t)p->table_count, sizeof *next);
    if (next == NULL) return 0;
    for (int64_t i = 0; i < count; i++) {
        if (reads[i].dtype != PYAD_TABLE || reads[i].shape[0] == 0) continue;
        memcpy(next, reads[i].data, sizeof *next * (size_t)reads[i].shape[0]);
        next += reads[i].shape[0];
    }
    return 1;
}

pyad_prepared *pyad_prepare(int64_t id, const char *args, const int64_t *nbytes) {
    if (id < 0 || id >= PYAD_NUM_KERNELS) return NULL;
    const pyad_kernel_info *info = &kernel_infos[id];
    pyad_prepared *p = calloc(1, sizeof *p);
    if (p == NULL) return NULL;
    p->id = id;
    memcpy(p->nbytes, nbytes, sizeof nbytes[0] * (size_t)info->writes);
    memcpy(&p->args, args, bytes_of(info));
    if (!keep_tables(p, (const pyad_array *)(const void *)&p->args, info->reads)) {
        pyad_unprepare(p);
        return NULL;
    }
    return p;
}

void pyad_unprepare(pyad_prepared *p) {
    free(p->tables);
    free(p);
}

/* Free what a call got for its outputs, the first `count` of them. */
static void free_outputs(const pyad_prepared *p, pyad_array *writes, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        if (p->nbytes[i] >= 0) pyad_free(writes[i].data);
    }
}

/* Give the outputs of a call memory; 0, with none given, if that fails. */
static int allocate_outputs(const pyad_prepared *p, pyad_array *writes, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        outputs[i] = 0;
        if (p->nbytes[i] == PYAD_ABSENT) writes[i].data = NULL;
        if (p->nbytes[i] < 0) continue;
        writes[i].data = pyad_allocate(p->nbytes[i]);
        outputs[i] = address_of(writes[i].data);
        if (writes[i].data != NULL) continue;
        fail(PYAD_ERROR_OUTPUT, i, p->nbytes[i], 0);
        free_outputs(p, writes, i);
        return 0;
    }
    return 1;
}

/* Run a call whose inputs have their addresses; they are the first arrays of its args. */
static int64_t finish_call(const pyad_prepared *p, largest_args *call) {
    const pyad_kernel_info *info = &kernel_infos[p->id];
    pyad_array *writes = (pyad_array *)(void *)call + info->reads;
    if (!allocate_outputs(p, writes, info->writes)) return 0;
    int64_t first = 0;
    while (first < info->writes - 1 && outputs[first] == 0) first++;
    if (pyad_run(p->id, (const char *)call, 0) == PYAD_OK) {
        return outputs[first] != 0 ? outputs[first] : 1;
    }
    free_outputs(p, writes, info->writes);
    return 0;
}

static const char *take_address(pyad_array *array, const char *varying) {
    memcpy(&array->data, varying, 8);
    return varying + 8;
}

/* Run a call whose addresses and floats are packed; `tables` are its own copy of the lists. */
static int64_t call_packed(const pyad_prepared *p, const char *varying, pyad_array *tables) {
    const pyad_kernel_info *info = &kernel_infos[p->id];
    largest_args call;
    size_t bytes = bytes_of(info), floats = 8 * (size_t)info->floats;
    memcpy(&call, &p->args, bytes);
    pyad_array *arrays = (pyad_array *)(void *)&call;
    for (int64_t i = 0; i < info->reads; i++) {
        if (arrays[i].dtype != PYAD_TABLE) {
            varying = take_address(&arrays[i], varying);
            continue;
        }
        arrays[i].data = tables;
        for (int64_t j = 0; j < arrays[i].shape[0]; j++) {
            varying = take_address(tables++, varying);
        }
    }
    for (int64_t i = 0; i < info->writes; i++) {
        if (p->nbytes[i] == PYAD_GIVEN) varying = take_address(&arrays[info->reads + i], varying);
    }
    memcpy((char *)&call + bytes - floats, varying, floats);
    return finish_call(p, &call);
}

int64_t pyad_call(const pyad_prepared *p, const char *varying) {
    pyad_array few[FEW_IN_TABLES], *tables = few;
    size_t bytes = sizeof few[0] * (size_t)p->table_count;
    if (p->table_count > FEW_IN_TABLES && (tables = malloc(bytes)) == NULL) {
        fail(PYAD_ERROR_MEMORY, 0, (int64_t)bytes, 0);
        return 0;
    }
    if (bytes > 0) memcpy(tables, p->tables, bytes);
    int64_t result = call_packed(p, varying, tables);
    if (tables != few) free(tables);
    return result;
}

int pyad_call_sequence(int64_t count, pyad_prepared *const *calls, const char *addresses) {
    int status = PYAD_OK;
    for (int64_t i = 0; i < count && status == PYAD_OK; i++) {
        const pyad_kernel_info *info = &kernel_infos[calls[i]->id];
        largest_args call;
        memcpy(&call, &calls[i]->args, bytes_of(info));
        pyad_array *arrays = (pyad_array *)(void *)&call;
        for (int64_t j = 0; j < info->reads + info->writes; j++, addresses += 8) {
            memcpy(&arrays[j].data, addresses, 8);
        }
        status = pyad_run(calls[i]->id, (const char *)&call, 0);
    }
    return status;
}

int64_t pyad_output(int64_t i) { return outputs[i]; }

/* By the variant for any dtype, as the work hardly depends on it; of lists nothing is known yet. */
static int is_small(const pyad_prepared *p) {
    const pyad_kernel_row *row = &pyad_current_table()[p->id];
    int64_t dtype = 0;
    while (dtype < PYAD_NUM_DTYPES && row->of[dtype] == NULL) dtype++;
    if (dtype == PYAD_NUM_DTYPES || p->table_count > 0) return 0;
    return row->of[dtype]->work(&p->args, 1) < 2 * PYAD_WORK_GRAIN_AWAKE;
}

const pyad_interface *pyad_get_interface(void) {
    static const pyad_interface interface = {pyad_call, pyad_output, pyad_free_address, is_small};
    return &interface;
}

void pyad_last_error(pyad_error *error) { *error = last_error; }

int64_t pyad_kernel_count(void) { return PYAD_NUM_KERNELS; }

void pyad_get_kernel_info(int64_t id, pyad_kernel_info *info) { *info = kernel_infos[id]; }

const char *pyad_version(void) { return PYAD_VERSION; }

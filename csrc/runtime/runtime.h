/* What runs kernels: the door (run.c), the tables (cpu.c), the worker team (threads.c), what each of it
 * gets to do (shares.c), kept memory (memory.c) and what the system allows (quota.c). Here is what
 * they know of each other; kernels do not include it.
 */
#ifndef PYAD_RUNTIME_H
#define PYAD_RUNTIME_H

#include <stdatomic.h>

#include "core.h"

/* cpu.c: the kernel table in use */
const pyad_kernel_row *pyad_current_table(void);

/* To be called after a kernel: GCC forgets to clear the upper halves of vector registers where a
 * function calls one without vectors, and each SSE instruction from then on would wait for them. */
void pyad_clear_upper_halves(void);

/* threads.c */

/* Take the team; 0 if another thread has it. Only its holder may run on it or use its scratch. */
int pyad_team_acquire(void);
void pyad_team_release(void);

/* Whether nth threads would begin at once, as the workers among them are spinning. */
int pyad_team_awake(int64_t nth);

/* Whether so many kernels came one right after the other, each a little too small to wake workers
 * for, that waking them pays: they then stay awake. */
int pyad_team_worth_waking(int64_t nth);

/* Scratch kept from call to call, grown when needed; NULL if that fails. */
void *pyad_team_scratch(int64_t nbytes);

/* Free the kept scratch, unless the team is busy. */
void pyad_team_drop_scratch(void);

/* A run: the kernel's number and function, its work as its record counts it. Each thread gets `scratch`
 * bytes of `memory`, after the `shared` bytes for all; both sizes are multiples of PYAD_LINE_BYTES. */
typedef struct {
    int64_t kernel;
    pyad_kernel_fn run;
    const void *args;
    int64_t work;
    char *memory;
    int64_t scratch, shared;
} pyad_task;

/* Run it on nth threads of the team that the caller holds, or alone (nth == 1, which needs no team).
 * Returns the kernel's status and fills error if it is not 0. */
int pyad_team_run(const pyad_task *task, int64_t nth, pyad_error *error);

/* From now on the calling thread's runs have parts of very different sizes, to show that bits do not
 * depend on them (tests); 0 ends that. */
void pyad_team_uneven(int uneven);

/* Thread i's word of team_take, 0 when a run begins. */
_Atomic uint64_t *pyad_turn_word(int64_t i);

/* shares.c, for who holds the team */

/* Where the shares of nth threads of a kernel's work begin, as team.cuts has it. */
const int64_t *pyad_shares(int64_t kernel, int64_t nth);
const int64_t *pyad_shares_uneven(int64_t nth);

/* Learn from what nth > 1 threads did in one run of a kernel. */
void pyad_shares_learn(int64_t kernel, int64_t nth, const team_tally *const *tallies);

/* quota.c: what control groups allow this process; 0 if they do not limit it. `root` stands for
 * "/sys/fs/cgroup" and `self` for "/proc/self/cgroup"; tests put their own. */
int64_t pyad_cgroup_cpus(const char *root, const char *self);
int64_t pyad_cgroup_memory(const char *root, const char *self);

#endif

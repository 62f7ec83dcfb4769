/* The whole C interface of pyautodl.
 *
 * C includes this file through core.h, cffi reads it as it stands, so it holds declarations and
 * integer constants and nothing else. Python has the constants again in backends/codes.py, as it
 * also works without this library; a test compares the two.
 *
 * A kernel takes one args struct: the arrays it reads, the arrays it writes, then integers
 * (int64_t), then floats (double). Every field is a multiple of eight bytes, so the struct is a
 * plain record of the call. Sections and their order are those of kernels.def.
 */

#define PYAD_MAX_DIMS 8
#define PYAD_MAX_THREADS 64

/* dtype codes */
#define PYAD_FLOAT32 0
#define PYAD_FLOAT64 1
#define PYAD_INT64 2
#define PYAD_INT32 3
#define PYAD_INT16 4
#define PYAD_INT8 5
#define PYAD_UINT8 6
#define PYAD_BOOL 7
#define PYAD_NUM_DTYPES 8
/* the dtype code of a list of arrays: data points to shape[0] consecutive pyad_array */
#define PYAD_TABLE 8

/* status codes */
#define PYAD_OK 0
#define PYAD_ERROR_INDEX 1
#define PYAD_ERROR_DTYPE 2
#define PYAD_ERROR_KERNEL 3
#define PYAD_ERROR_MEMORY 4
#define PYAD_ERROR_VALUE 5
#define PYAD_ERROR_OUTPUT 6 /* no memory for an output of `value` bytes */

/* An array: strides count elements, may be 0 (broadcast) or negative. data == NULL: absent. */
typedef struct {
    void *data;
    int64_t dtype;
    int64_t ndim;
    int64_t shape[PYAD_MAX_DIMS];
    int64_t stride[PYAD_MAX_DIMS];
} pyad_array;

/* What went wrong in the last kernel of this thread that returned non-zero. */
typedef struct {
    int64_t code;
    int64_t position; /* flat position of the offending element */
    int64_t value;
    int64_t limit;
} pyad_error;

typedef struct {
    int64_t allocated_bytes;
    int64_t reserved_bytes;
    int64_t peak_allocated_bytes;
    int64_t system_allocations;
    int64_t reused_blocks;
} pyad_memory_stats;

/* What kernels.def says of one kernel. */
typedef struct {
    const char *name;
    int64_t dtypes; /* bit mask over dtype codes */
    int64_t reads;
    int64_t writes;
    int64_t ints;
    int64_t floats;
} pyad_kernel_info;

/* run.c: the one door. The dtype of the first array that is present chooses the variant. nth > 0
 * runs the kernel with exactly so many threads (tests); 0 decides by its work and the setting. */
int pyad_run(int64_t id, const char *args, int64_t nth);
/* From now on, calls of this thread with nth 0 take exactly n threads, with parts as even as their paces
 * or very uneven ones; n = 0 ends that. */
void pyad_set_exact_threads(int64_t n, int uneven);
void pyad_last_error(pyad_error *error);

/* A call prepared for arrays of one layout: `args` is all but the addresses, `nbytes` the size of
 * each output or what stands in its place. NULL if there is no memory. */
enum { PYAD_ABSENT = -1, PYAD_GIVEN = -2 }; /* no output; one that is there before the call */
typedef struct pyad_prepared pyad_prepared;
pyad_prepared *pyad_prepare(int64_t id, const char *args, const int64_t *nbytes);
void pyad_unprepare(pyad_prepared *p);
/* Allocate the outputs and run; returns the address of the first that was made (1 if none was), 0 if
 * that failed. `varying` holds, eight bytes each, the addresses of the inputs (0: absent; of a list
 * those of its arrays), of the outputs that are given, then the floats. */
int64_t pyad_call(const pyad_prepared *p, const char *varying);
/* `count` calls one after the other, into memory that is there, until one fails; returns its status.
 * `addresses` holds those of all arrays of the first call, reads first (0: absent), then of the second
 * and so on. */
int pyad_call_sequence(int64_t count, pyad_prepared *const *calls, const char *addresses);
/* The address of output i of this thread's last call. */
int64_t pyad_output(int64_t i);

/* What csrc/dispatch, an extension of its own, calls of this one. */
typedef struct {
    int64_t (*call)(const pyad_prepared *p, const char *varying);
    int64_t (*output)(int64_t i);
    void (*free)(int64_t address);
    /* whether a call is so little work that it always stays on the caller's thread */
    int (*is_small)(const pyad_prepared *p);
} pyad_interface;
const pyad_interface *pyad_get_interface(void);

int64_t pyad_kernel_count(void);
void pyad_get_kernel_info(int64_t id, pyad_kernel_info *info);
const char *pyad_version(void);

/* cpu.c: the kernel tables (ISAs) of this machine, best first; use_isa returns 0 or -1 if absent. */
int64_t pyad_isa_count(void);
const char *pyad_isa_name(int64_t index);
int pyad_use_isa(const char *name);
const char *pyad_current_isa(void);

/* threads.c: the worker team. */
void pyad_set_num_threads(int64_t n);
int64_t pyad_get_num_threads(void);
int64_t pyad_available_cpus(void); /* affinity and cgroup quota */

/* memory.c: 64-byte aligned blocks that are kept and reused. */
void *pyad_allocate(int64_t nbytes); /* NULL when the request can't be met */
void pyad_free(void *block);
/* the same with addresses as integers, as Python keeps them */
int64_t pyad_allocate_address(int64_t nbytes);
/* whether this thread's requests take parts of larger kept blocks; the result is what it was */
int pyad_cut_blocks(int on);
/* the same as allocate_address, for what is kept for long: never a part of a larger block */
int64_t pyad_allocate_lasting(int64_t nbytes);
void pyad_free_address(int64_t address);
/* let a block go back to the system, and not be kept, when it is freed */
void pyad_use_once(int64_t address);
/* one number of PYAD_FLOAT32 or PYAD_FLOAT64 */
double pyad_read_float(int64_t address, int64_t dtype);
void pyad_write_float(int64_t address, int64_t dtype, double value);
void pyad_get_memory_stats(pyad_memory_stats *stats);
void pyad_reset_peak_memory(void);
void pyad_empty_cache(void);
void pyad_set_cache_limit(int64_t nbytes);

/* ---- eltwise ---- */

/* map<reads>[p<parameters>]: what the kernel computes of an element comes from its name */
typedef struct { pyad_array x, out; } map1_args;
typedef struct { pyad_array x, out; double p0; } map1p1_args;
typedef struct { pyad_array x, out; double p0, p1; } map1p2_args;
typedef struct { pyad_array x, out; double p0, p1, p2; } map1p3_args;
typedef struct { pyad_array x, y, out; } map2_args;
typedef struct { pyad_array x, y, out; double p0; } map2p1_args;
typedef struct { pyad_array x, y, out; double p0, p1; } map2p2_args;
typedef struct { pyad_array x, y, out; double p0, p1, p2; } map2p3_args;
typedef struct { pyad_array x, y, z, out; } map3_args;
typedef struct { pyad_array x, y, z, out; double p0; } map3p1_args;

/* ---- copy ---- */

/* same element type and shape, any strides */
typedef struct {
    pyad_array x;
    pyad_array out;
} copy_args;

/* any element type to any; floats are cut towards zero */
typedef struct {
    pyad_array x;
    pyad_array out;
} cast_args;

/* out's axis is the axes of xs one after the other */
typedef struct {
    pyad_array xs; /* table */
    pyad_array out;
    int64_t axis;
} cat_args;

/* the part of each matrix below (or with upper above) its diagonal, 0 elsewhere */
typedef struct {
    pyad_array x;
    pyad_array out;
    int64_t diagonal;
    int64_t upper;
} tri_args;

/* ---- reduce ---- */

/* out has x's axes, of size 1 where x is reduced; the total is divided by divisor (floats) */
typedef struct {
    pyad_array x;
    pyad_array out;
    double divisor;
} sum_args;

/* prod, amax, amin, logsumexp: out as above */
typedef struct {
    pyad_array x;
    pyad_array out;
} reduce_args;

/* the best value (may be absent) and the position of the first such on the one reduced axis */
typedef struct {
    pyad_array x;
    pyad_array values;
    pyad_array indices; /* int64, strides as values */
} extremum_index_args;

/* whether any element is not 0, or all */
typedef struct {
    pyad_array x;
    pyad_array out; /* bool */
    int64_t all;
} any_args;

/* p-norm, 0 <= p < infinity; p = 0 counts what is not 0 */
typedef struct {
    pyad_array x;
    pyad_array out;
    double p;
} norm_args;

/* Euclidean distances of rows: x (b, n, d), y (b, m, d), out (b, n, m) in C order */
typedef struct {
    pyad_array x, y;
    pyad_array out;
} cdist_args;

/* sums over the rows of y of (x - y) share: share (b, n, m), out (b, n, d) in C order */
typedef struct {
    pyad_array x, y, share;
    pyad_array out;
} cdist_grad_args;

/* variance with n - correction, or its root; mean may be absent, else it lies as out does */
typedef struct {
    pyad_array x;
    pyad_array out, mean;
    int64_t root;
    double correction;
} var_args;

/* running sums or products along an axis, from its end if reverse */
typedef struct {
    pyad_array x;
    pyad_array out;
    int64_t axis;
    int64_t reverse;
} scan_args;

/* the best element so far along an axis and the last place of such; NaN is better than any */
typedef struct {
    pyad_array x;
    pyad_array values;
    pyad_array indices; /* int64, of values' shape */
    int64_t axis;
    int64_t least; /* the smallest rather than the largest */
} cumulative_extremum_args;

/* out_k = b_k + a_k out_(k-1); in reverse out_k = b_k + a_(k+1) out_(k+1) */
typedef struct {
    pyad_array a;
    pyad_array b;
    pyad_array out;
    int64_t axis;
    int64_t reverse;
} linear_scan_args;

/* ---- sort ---- */

/* the first values.shape[axis] of each line in stable order; strides of indices are its own */
typedef struct {
    pyad_array x;
    pyad_array values;
    pyad_array indices; /* int64 */
    int64_t axis;
    int64_t descending;
} topk_args;

/* NaN is larger than any number; one anywhere in the line is the result; lines are without it, and the
 * lower one of their middles is looked for, whatever k */
#define PYAD_KTH_OF_ALL 0
#define PYAD_KTH_OR_NAN 1
#define PYAD_KTH_MIDDLE_NUMBER 2

/* the k-th smallest (from 0) of each line; values and indices have size 1 along the axis */
typedef struct {
    pyad_array x;
    pyad_array values;
    pyad_array indices; /* int64 */
    int64_t axis;
    int64_t k;
    int64_t nan; /* PYAD_KTH_OF_ALL, ...: what NaN means */
} kthvalue_args;

/* Lines in order along the last axis, and values: as many lines of them, or of any shape for the one
 * line. All are contiguous. flag: searchsorted behind equal keys rather than before them, isin_sorted
 * whether a value is not there. */
typedef struct {
    pyad_array keys;
    pyad_array values;
    pyad_array out; /* int64, of isin_sorted bool */
    int64_t flag;
} searchsorted_args;

/* ---- index ---- */

/* gather: index has the shape of out; index_select: one axis */
typedef struct {
    pyad_array x;
    pyad_array index; /* int64 */
    pyad_array out;
    int64_t axis;
} gather_args;

/* A matrix of which some elements are held, and a dense one, x and y dense. */
typedef struct {
    pyad_array values, rows, columns; /* lines, dense */
    pyad_array x, y;
} spmm_args;

/* What becomes of several values that meet in one place, in the order of the indices. */
#define PYAD_SCATTER_WRITE 0
#define PYAD_SCATTER_ADD 1
#define PYAD_SCATTER_MULTIPLY 2
#define PYAD_SCATTER_MAX 3
#define PYAD_SCATTER_MIN 4

/* src is written to out, or joined with it, where index says along the axis */
typedef struct {
    pyad_array src;
    pyad_array index; /* int64; its shape counts */
    pyad_array out;
    int64_t axis;
    int64_t how;
} scatter_args;

/* the same for a line of indices; those equal to skip are passed over */
typedef struct {
    pyad_array src;
    pyad_array index; /* int64, one axis */
    pyad_array out;
    int64_t axis;
    int64_t add;
    int64_t skip; /* -1: none */
} index_put_args;

/* masked_select: x where chosen -> a line; masked_scatter: the other way round */
typedef struct {
    pyad_array x;
    pyad_array chosen; /* bool */
    pyad_array out;
} masked_args;

typedef struct {
    pyad_array chosen; /* bool */
    pyad_array out;  /* int64 (count, axes), dense */
} nonzero_args;

/* flat indices (dense) from one array of indices for each size; negative ones count back */
typedef struct {
    pyad_array indices; /* table of int64 arrays of out's shape */
    pyad_array sizes;   /* int64, dense */
    pyad_array out;     /* int64, dense */
} ravel_index_args;

/* ---- softmax ---- */

/* all dense and of one layout */
typedef struct {
    pyad_array x, y;
    int64_t axis;
} softmax_fwd_args;

typedef struct {
    pyad_array g, y, dx;
    int64_t axis;
} softmax_bwd_args;

/* keep: bool; only entries where it is set take part */
typedef struct {
    pyad_array x, keep, y;
    int64_t axis;
} masked_softmax_fwd_args;

typedef struct {
    pyad_array g, y, keep, dx;
    int64_t axis;
} masked_softmax_bwd_args;

/* ---- loss ---- */

/* absent weights count as ones */
enum { PYAD_REDUCE_NONE, PYAD_REDUCE_MEAN, PYAD_REDUCE_SUM }; /* reduction */
/* kind of a loss of pairs */
enum {
    PYAD_PAIR_MSE,
    PYAD_PAIR_L1,
    PYAD_PAIR_HUBER,
    PYAD_PAIR_SMOOTH_L1,
    PYAD_PAIR_BCE,
    PYAD_PAIR_BCE_LOGITS,
    PYAD_PAIR_KL,
    PYAD_PAIR_KL_LOG
};

/* x, target, weight, pos_weight: dense and of one layout */
typedef struct {
    pyad_array x, target, weight, pos_weight, loss;
    int64_t kind, reduction;
    double beta;
} pair_loss_fwd_args;

typedef struct {
    pyad_array g, x, target, weight, pos_weight, dx;
    int64_t kind, reduction;
    double beta;
} pair_loss_bwd_args;

typedef struct {
    pyad_array x, y;
} clamped_log_fwd_args;

/* x (n, c, ...) or (c): contiguous or channels-last. target: int64 class numbers, contiguous, or
 * probabilities laid out as x. stats (2, rows): largest logit, 1 / sum(exp(logit - largest)). */
typedef struct {
    pyad_array x, target, weight, loss, divisor, stats;
    int64_t ignore_index, reduction;
    double smoothing;
} cross_entropy_fwd_args;

typedef struct {
    pyad_array g, x, target, weight, divisor, stats, dx;
    int64_t ignore_index, reduction;
    double smoothing;
} cross_entropy_bwd_args;

typedef struct {
    pyad_array logp, target, weight, loss, divisor;
    int64_t ignore_index, reduction;
    double smoothing;
} nll_fwd_args;

typedef struct {
    pyad_array g, target, weight, divisor, dx;
    int64_t ignore_index, reduction;
    double smoothing;
} nll_bwd_args;

/* log_probs (times, n, classes), targets (n, labels), lengths (n,), int64 -> loss (n,), and grad as
 * log_probs or absent; all in C order */
typedef struct {
    pyad_array log_probs;
    pyad_array targets;
    pyad_array input_lengths;
    pyad_array target_lengths;
    pyad_array loss;
    pyad_array grad;
    int64_t blank;
} ctc_args;

/* ---- matmul ---- */

/* what a product or a convolution ends with */
#define PYAD_ACTIVATION_NONE 0
#define PYAD_ACTIVATION_CLAMP 1 /* to [p0, p1], NaN stays NaN: ReLU (0, INFINITY), ReLU6 (0, 6) */
#define PYAD_ACTIVATION_LEAKY 2 /* p0 * v where v < 0 */

/* out = activation(a b + bias): see kernels/matmul_tpl.h */
typedef struct {
    pyad_array a;
    pyad_array b;
    pyad_array bias; /* may be absent */
    pyad_array out;
    int64_t activation;
    double p0;
    double p1;
} matmul_args;

/* weight = g' x, bias = the sum of g's rows: g (rows, m), x (rows, n) */
typedef struct {
    pyad_array g;
    pyad_array x;
    pyad_array weight;
    pyad_array bias;
} linear_grad_args;

/* ---- conv ---- */

/* From so many images on, taps outside the image are left out, if at most so many percent of all
 * pairs of an output and a tap meet it. Python chooses the algorithm with the same numbers. */
#define PYAD_TRIM_IMAGES 4
#define PYAD_TRIM_PERCENT 97
/* An image that conv_fwd also takes in C order has no more than: output pixels of a piece of a line,
 * elements of the lines that meet a piece, taps and channels. */
#define PYAD_PLANAR_PIXELS 112
#define PYAD_PLANAR_ELEMENTS 8192
#define PYAD_PLANAR_DEPTH 1024
/* conv_fwd reads a weight as it lies, packed or not, if the output has at most so many pixels, each
 * a sum of at least so many products. */
#define PYAD_FEW_PIXELS 64
#define PYAD_FEW_DEPTH 512
/* Of so few outputs conv_fwd may pack the weight otherwise than conv_weight does. */
#define PYAD_NARROW_CHANNELS 4

/* Arrays are (n, c, spatial...) in channels-last memory, weights (o, i, spatial...) C-ordered. Numbers
 * are (depth, height, width), those of absent axes 1, 0, 1. out = activation(scale conv(x, weight) +
 * bias + residual), scale and bias by channel. packed: what conv_weight made of the weight. */
typedef struct {
    pyad_array x, weight, packed, scale, bias, residual; /* all after weight may be absent */
    pyad_array out;
    int64_t stride[3], padding[3], dilation[3], groups, activation;
    double p0, p1;
} conv_fwd_args;

/* A weight as conv_fwd wants it. */
typedef struct {
    pyad_array weight;
    pyad_array out; /* room for the weight with each group's outputs (of a depthwise convolution: all
                     * channels) rounded up to 16 */
    int64_t groups;
} conv_weight_args;

/* dx = transpose of conv applied to dy, + bias: with a bias, the transposed convolution. */
typedef struct {
    pyad_array dy, weight, bias; /* bias may be absent */
    pyad_array dx;
    int64_t stride[3], padding[3], dilation[3], groups;
} conv_bwd_x_args;

typedef struct {
    pyad_array x, dy;
    pyad_array dw, db; /* db may be absent */
    int64_t stride[3], padding[3], dilation[3], groups;
} conv_bwd_w_args;

#define PYAD_WINOGRAD_STEP 4       /* pixels from tile to tile */
#define PYAD_WINOGRAD_SMALL_STEP 2 /* where mapped weights would meet too few tiles of 4 x 4 */
#define PYAD_WINOGRAD_WIDTH 32     /* columns of a panel of mapped weights */

/* 3x3 of stride 1 by Winograd's algorithm: see kernels/winograd_tpl.h. Padding is (height, width);
 * transposed: the weights' axes change places and their taps are turned around; step: one of the
 * two above, and a tile has (step + 2) x (step + 2) points. */
typedef struct {
    pyad_array weight;
    pyad_array out; /* (columns / WIDTH rounded up, points, channels, WIDTH) */
    int64_t transposed, step;
} winograd_weight_args;

/* As conv_fwd; packed: what winograd_weight made of the weight. */
typedef struct {
    pyad_array x, weight, packed, scale, bias, residual; /* all after weight may be absent */
    pyad_array out;
    int64_t padding[2], transposed, step, activation;
    double p0, p1;
} winograd_fwd_args;

typedef struct {
    pyad_array x, dy;
    pyad_array dw, db; /* db may be absent */
    int64_t padding[2];
} winograd_bwd_w_args;

/* Patches as columns: x of any strides, columns (n, c kernel, patches) C-ordered. */
typedef struct {
    pyad_array x;
    pyad_array columns;
    int64_t stride[3], padding[3], dilation[3], kernel[3], grid[3];
} im2col_args;

typedef struct {
    pyad_array columns;
    pyad_array x;
    int64_t stride[3], padding[3], dilation[3], kernel[3], grid[3];
} col2im_args;

/* ---- pool ---- */

/* Arrays are (n, c, up to three spatial axes) in channels-last memory; what is said of three axes
 * has absent ones in front (kernel 1, stride 1, padding 0, dilation 1). adaptive: the windows follow
 * from the two sizes, and kernel is only the extent by which cells are numbered. */

typedef struct {
    pyad_array x;
    pyad_array y;
    pyad_array cell;    /* the winner's number in its window: uint8 or int32; may be absent */
    pyad_array indices; /* the winner's flat position in the input's spatial axes: int64; with
                           cell only; may be absent */
    int64_t kernel[3];
    int64_t stride[3];
    int64_t padding[3];
    int64_t dilation[3];
    int64_t adaptive;
    int64_t relu; /* y = max(0, winner); where that is 0, cell is -1, the number of none; without
                     indices */
} max_pool_fwd_args;

typedef struct {
    pyad_array gy;
    pyad_array cell;
    pyad_array gx;
    int64_t kernel[3];
    int64_t stride[3];
    int64_t padding[3];
    int64_t dilation[3];
    int64_t adaptive;
} max_pool_bwd_args;

typedef struct {
    pyad_array x;
    pyad_array cell;
    pyad_array y; /* the elements of x that cell names */
    int64_t kernel[3];
    int64_t stride[3];
    int64_t padding[3];
    int64_t dilation[3];
    int64_t adaptive;
} max_pool_take_args;

typedef struct {
    pyad_array x;
    pyad_array y;
    int64_t kernel[3];
    int64_t stride[3];
    int64_t padding[3];
    int64_t adaptive;
    int64_t with_padding; /* cells of the padding count in the divisor */
    int64_t divisor;      /* 0: the number of cells */
} avg_pool_fwd_args;

typedef struct {
    pyad_array gy;
    pyad_array gx;
    int64_t kernel[3];
    int64_t stride[3];
    int64_t padding[3];
    int64_t adaptive;
    int64_t with_padding;
    int64_t divisor;
} avg_pool_bwd_args;

/* ---- interpolate ---- */

/* Arrays are (n, c, up to three spatial axes) in channels-last memory. scale is input positions for
 * each output position, absent axes in front (scale 1). */
#define PYAD_NEAREST 0
#define PYAD_NEAREST_EXACT 1
#define PYAD_LINEAR 2
#define PYAD_LINEAR_CORNERS 3

typedef struct {
    pyad_array x;
    pyad_array y;
    int64_t mode;
    double scale[3];
} interpolate_fwd_args;

typedef struct {
    pyad_array gy;
    pyad_array gx;
    int64_t mode;
    double scale[3];
} interpolate_bwd_args;

/* y[.., o, ..] is the sum of weight[o, k] x[.., start[o] + k, ..] over k, along the middle axis of
 * three; start[o] + k never leaves x */
typedef struct {
    pyad_array x;      /* (outer, positions, inner) */
    pyad_array start;  /* int64 (outputs) */
    pyad_array weight; /* (outputs, taps) */
    pyad_array y;      /* (outer, outputs, inner) */
} resample_args;

/* ---- grid_sample ---- */

/* Images (n, c, two or three spatial axes) in channels-last memory are read at the places of a grid
 * (n, spatial axes of y, axes), dense, x before y before z. */
#define PYAD_SAMPLE_NEAREST 0
#define PYAD_SAMPLE_LINEAR 1
#define PYAD_SAMPLE_CUBIC 2

/* what stands outside of them */
#define PYAD_PADDING_ZEROS 0
#define PYAD_PADDING_BORDER 1
#define PYAD_PADDING_REFLECTION 2

/* a place that many reflections away is taken for an infinite one */
#define PYAD_SAMPLE_TURNS 1073741824

typedef struct {
    pyad_array x, grid, y;
    int64_t mode, padding, align_corners;
} grid_sample_fwd_args;

typedef struct {
    pyad_array g, x, grid;
    pyad_array gx, ggrid; /* one of them may be absent */
    int64_t mode, padding, align_corners;
} grid_sample_bwd_args;

/* ---- norm ---- */

/* Channel norms take (n, c) contiguous or (n, c, ...) channels-last arrays. stats: float64, the
 * mean and 1 / sqrt(variance + eps). The running statistics and the count of batches are read, and
 * moved in training; momentum < 0: the average over all batches. relu: a ReLU follows, whose gradient
 * g is then; where it let nothing through is computed again from x. */
typedef struct {
    pyad_array x, weight, bias, y, stats, running_mean, running_var, batches;
    int64_t training, relu;
    double momentum, eps;
} batch_norm_fwd_args;

typedef struct {
    pyad_array g, x, weight, bias, stats, dx, dweight, dbias; /* bias: read with relu alone */
    int64_t training, relu;
} batch_norm_bwd_args;

/* stats (2, samples, groups) */
typedef struct {
    pyad_array x, weight, bias, y, stats;
    int64_t groups;
    double eps;
} group_norm_fwd_args;

typedef struct {
    pyad_array g, x, weight, stats, dx, dweight, dbias;
    int64_t groups;
} group_norm_bwd_args;

/* contiguous rows of n elements; stats (2, rows); center 0: RMS norm, whose mean is 0 */
typedef struct {
    pyad_array x, weight, bias, y, stats;
    int64_t n, center;
    double eps;
} layer_norm_fwd_args;

typedef struct {
    pyad_array g, x, weight, stats, dx, dweight, dbias;
    int64_t n, center;
} layer_norm_bwd_args;

/* ---- rnn ---- */

/* kinds of recurrent cells */
#define PYAD_LSTM 0
#define PYAD_GRU 1
#define PYAD_RNN_TANH 2
#define PYAD_RNN_RELU 3

/* One direction of one layer: x (rows, inputs), y and cells (rows, hidden) in C order, row b of step
 * t after all rows of the steps before. h0, hn, c0, cn (batch, hidden); the cs for LSTM alone.
 * sizes (steps,) int64: how many sequences each step has, falling; absent: all. gates
 * (rows, slots * hidden), LSTM i f g o, GRU r z n and the recurrent part of n; rows may be further
 * apart. keep: gates and cells are wanted for the gradient. */
typedef struct {
    pyad_array x;
    pyad_array h0;
    pyad_array c0;
    pyad_array w_ih;
    pyad_array w_hh;
    pyad_array b_ih;
    pyad_array b_hh;
    pyad_array sizes;
    pyad_array y;
    pyad_array hn;
    pyad_array cn;
    pyad_array gates;
    pyad_array cells;
    int64_t kind;
    int64_t reverse;
    int64_t keep;
} rnn_fwd_args;

/* d: gradients of the gates' sums, as gates but for GRU: r, z, the recurrent part of n, n. Outputs
 * that are absent are not computed. */
typedef struct {
    pyad_array x;
    pyad_array h0;
    pyad_array c0;
    pyad_array w_ih;
    pyad_array w_hh;
    pyad_array sizes;
    pyad_array y;
    pyad_array gates;
    pyad_array cells;
    pyad_array dy;
    pyad_array dhn;
    pyad_array dcn;
    pyad_array d;
    pyad_array dx;
    pyad_array dh0;
    pyad_array dc0;
    pyad_array dw_ih;
    pyad_array dw_hh;
    pyad_array db_ih;
    pyad_array db_hh;
    int64_t kind;
    int64_t reverse;
    int64_t batch;
} rnn_bwd_args;

/* ---- random ---- */

/* state of all of these: int64 {seed, stream, offset}; the kernel advances the offset. out is dense
 * and filled in the order of memory. */
typedef struct {
    pyad_array out;
    pyad_array state;
    double low;
    double high;
} random_uniform_args;

typedef struct {
    pyad_array out;
    pyad_array state;
    double mean;
    double std;
} random_normal_args;

/* chance_low and chance_high: the distribution function at low and high, or the chances to lie above
 * them, which fall */
typedef struct {
    pyad_array out;
    pyad_array state;
    double mean;
    double std;
    double low;
    double high;
    double chance_low;
    double chance_high;
} random_trunc_normal_args;

/* from [low, high); both 0: all 2^64 numbers */
typedef struct {
    pyad_array out;
    pyad_array state;
    int64_t low;
    int64_t high;
} random_integers_args;

typedef struct {
    pyad_array out;
    pyad_array state;
} random_permutation_args;

/* p in C order, of out's shape */
typedef struct {
    pyad_array p;
    pyad_array out;
    pyad_array state;
} random_bernoulli_args;

/* all in C order and of out's shape; what the kinds are and mean: special.h */
typedef struct {
    pyad_array first;
    pyad_array second;
    pyad_array out;
    pyad_array state;
    int64_t kind;
} random_draw_args;

/* weights (rows, k) -> out (rows, draws) int64, with replacement, both in C order */
typedef struct {
    pyad_array weights;
    pyad_array out;
    pyad_array state;
} random_multinomial_args;

/* x, out and kept (bool) dense and laid out alike */
typedef struct {
    pyad_array x;
    pyad_array out;
    pyad_array kept;
    pyad_array state;
    double p;
} dropout_fwd_args;

typedef struct {
    pyad_array g;
    pyad_array kept;
    pyad_array out;
    double p;
} dropout_bwd_args;

/* ---- optim ---- */

/* Tables of dense arrays of equal layout, entry by entry. hyper (float64) of sgd_step: lr, momentum,
 * dampening, weight decay. first: the buffers hold nothing yet. */
typedef struct {
    pyad_array grads;
    pyad_array hyper;
    pyad_array params;
    pyad_array buffers;
    int64_t first;
    int64_t nesterov;
    int64_t maximize;
} sgd_step_args;

/* hyper: lr, beta1, beta2, eps, weight decay; steps: a float32 count each, which the kernel raises */
typedef struct {
    pyad_array grads;
    pyad_array hyper;
    pyad_array params;
    pyad_array means;
    pyad_array squares;
    pyad_array largest;
    pyad_array steps;
    int64_t amsgrad;
    int64_t decoupled;
    int64_t maximize;
} adam_step_args;

/* hyper: lr, alpha, eps, weight decay, momentum */
typedef struct {
    pyad_array grads;
    pyad_array hyper;
    pyad_array params;
    pyad_array squares;
    pyad_array means;
    pyad_array buffers;
    pyad_array steps;
    int64_t centered;
    int64_t maximize;
} rmsprop_step_args;

/* hyper: lr, lr decay, weight decay, eps */
typedef struct {
    pyad_array grads;
    pyad_array hyper;
    pyad_array params;
    pyad_array sums;
    pyad_array steps;
    int64_t maximize;
} adagrad_step_args;

/* hyper: lr, rho, eps, weight decay */
typedef struct {
    pyad_array grads;
    pyad_array hyper;
    pyad_array params;
    pyad_array squares;
    pyad_array moves;
    pyad_array steps;
    int64_t maximize;
} adadelta_step_args;

/* hyper: lr, beta1, beta2, eps, weight decay */
typedef struct {
    pyad_array grads;
    pyad_array hyper;
    pyad_array params;
    pyad_array means;
    pyad_array largest;
    pyad_array steps;
    int64_t maximize;
} adamax_step_args;

/* hyper: lr, beta1, beta2, eps, weight decay */
typedef struct {
    pyad_array grads;
    pyad_array hyper;
    pyad_array params;
    pyad_array means;
    pyad_array squares;
    pyad_array steps;
    int64_t decoupled;
    int64_t maximize;
} radam_step_args;

/* hyper: lr, beta1, beta2, eps, weight decay, what the momentum's distance from beta1 is multiplied by
 * at each step; products (float32): of all momenta so far */
typedef struct {
    pyad_array grads;
    pyad_array hyper;
    pyad_array params;
    pyad_array means;
    pyad_array squares;
    pyad_array products;
    pyad_array steps;
    int64_t decoupled;
    int64_t maximize;
} nadam_step_args;

/* hyper: the factors of a size when the gradient's sign changes and when it stays, the least and the
 * largest size */
typedef struct {
    pyad_array grads;
    pyad_array hyper;
    pyad_array params;
    pyad_array before;
    pyad_array sizes;
    pyad_array steps;
    int64_t maximize;
} rprop_step_args;

/* hyper: lr, lambda, alpha, t0, weight decay; rates, shares (float32): the next step's size, and how far
 * the averages go to the parameters then */
typedef struct {
    pyad_array grads;
    pyad_array hyper;
    pyad_array params;
    pyad_array averages;
    pyad_array rates;
    pyad_array shares;
    pyad_array steps;
    int64_t maximize;
} asgd_step_args;

/* out (float64): the norm. p: 1, 2, or 0 for the largest size */
typedef struct {
    pyad_array grads;
    pyad_array out;
    double p;
} grad_norm_args;

/* out: the same arrays as grads, changed in place */
typedef struct {
    pyad_array grads;
    pyad_array norm;
    pyad_array out;
    double max_norm;
} grad_scale_args;

typedef struct {
    pyad_array grads;
    double limit;
} grad_clamp_args;

/* ---- augment ---- */

/* what stands outside of an image */
#define PYAD_OUTSIDE_FILL 0
#define PYAD_OUTSIDE_EDGE 1
#define PYAD_OUTSIDE_REFLECT 2
#define PYAD_OUTSIDE_SYMMETRIC 3

/* samples (n) int64, out (n, count) float64, dense: numbers in [0, 1) for each sample */
typedef struct {
    pyad_array samples;
    pyad_array out;
    int64_t seed;
    int64_t epoch;
} augment_uniform_args;

/* the same, out float32: normal numbers of mean 0 and standard deviation 1 */
typedef struct {
    pyad_array samples;
    pyad_array out;
    int64_t seed;
    int64_t epoch;
} augment_normal_args;

/* x (n, c, h, w), out (n, c, oh, ow), maps (n, 6) float64, dense: out[i, j] is x at row
 * m0 i + m1 j + m2 and column m3 i + m4 j + m5. mode: PYAD_NEAREST, or PYAD_LINEAR for floats and
 * uint8 */
typedef struct {
    pyad_array x;
    pyad_array maps;
    pyad_array out;
    int64_t mode;
    int64_t outside;
    double fill;
} augment_move_args;

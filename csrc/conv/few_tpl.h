/* The output where pixels are few: the weight, which would be packed for a tile or four, is read
 * as it lies, an output's row (channel, tap) along memory, and vectors run along the pixels.
 *
 *   sums[o, pixel] = sum over k of weight[o, k] columns[k, pixel],   k = (channel, tap)
 *
 * The columns are made first, by the team, in panels of FEW_NV vectors of pixels or one, each
 * [k][pixel]; where one pixel is left over, as of 7 x 7, its own [k] stand behind them, and its sums
 * are VL partial ones over k that are added at the end. Then each thread takes its own outputs.
 *
 * Loops: blocks of k, whose columns stay in L2; groups of FEW_ROWS outputs; panels of pixels; k,
 * all sums in registers. Between blocks sums wait in shared memory, and at the end they are
 * transposed into the output.
 */

#ifndef PYAD_FEW
#define PYAD_FEW
#define FEW_DEPTH 1024 /* k of a block, at most about */
/* loops that take little of the time, and would take much of the code */
#define FEW_ROLLED _Pragma("GCC unroll 1")

/* Whether a forward convolution is computed so; by its shape and type alone. For float64, which is
 * rare at inference, it would be as much code again. */
#define FEW_IS(s) (sizeof(REAL) == sizeof(float) && few_is(s))

static inline int few_is(const conv_shape *s) {
    int64_t pixels = s->images * s->axis[0].out * s->axis[1].out * s->axis[2].out;
    return s->groups == 1 && 0 < pixels && pixels <= PYAD_FEW_PIXELS &&
           s->channels * conv_taps(s) >= PYAD_FEW_DEPTH;
}
#endif

/* A call: where all lies, and how pixels are cut. */
typedef struct {
    const REAL *image, *weight;
    REAL *columns, *rest, *sums; /* rest: the columns of the pixel left over */
    int64_t pixels, depth, outputs, taps;
    int64_t whole, over;     /* vectors of pixels; whether a pixel is left over */
    int64_t step;            /* from output to output of the sums */
    K(epilogue) end;
    REAL *out;
} K(few_job);

static PYAD_ONCE K(few_job) K(few_job_of)(const conv_shape *s) {
    im2col_view v = conv_view_forward(s);
    K(few_job) job = {.pixels = im2col_pixels(&v), .depth = conv_depth(&v),
                      .outputs = s->out_channels, .taps = conv_taps(s)};
    job.over = job.pixels % VL == 1 && VL > 1;
    job.whole = pyad_ceil_div(job.pixels - job.over, VL);
    job.step = job.whole * VL + job.over;
    return job;
}

/* Elements of the columns of whole vectors, and of all columns. */
static int64_t K(few_inner)(const K(few_job) *job) { return job->depth * job->whole * VL; }

static int64_t K(few_all)(const K(few_job) *job) {
    return K(few_inner)(job) + pyad_ceil_div(job->depth * job->over, LINE) * LINE;
}

static int64_t K(few_shared)(const conv_shape *s) {
    K(few_job) job = K(few_job_of)(s);
    return (K(few_all)(&job) + job.outputs * job.step) * (int64_t)sizeof(REAL);
}

/* Vectors of the panel in which vector i is. */
GEMM_INLINE int64_t K(few_width)(const K(few_job) *job, int64_t i) {
    return i < job->whole / FEW_NV * FEW_NV ? FEW_NV : 1;
}

/* ---- columns ---- */

/* The channels of the image that a tap of a pixel meets; NULL outside of it. */
static const REAL *K(few_source)(const im2col_view *v, const REAL *image, const im2col_pixel *at,
                                 int64_t tap) {
    int64_t place[3] = {at->d, at->h, at->w}, pixel = 0;
    for (int64_t i = 2, rest = tap; i >= 0; i--) {
        const im2col_axis *a = &v->axis[i];
        place[i] = a->first + place[i] * a->step + rest % a->taps * a->tap_step;
        rest /= a->taps;
    }
    for (int64_t i = 0; i < 3; i++) {
        if (place[i] < 0 || place[i] >= v->axis[i].source) return NULL;
        pixel = pixel * v->axis[i].source + place[i];
    }
    int64_t size = v->axis[0].source * v->axis[1].source * v->axis[2].source;
    return image + (at->n * size + pixel) * v->channels;
}

/* Once, for the columns and for the sums. */
static PYAD_ONCE void K(few_transpose)(vec *v) { K(v_transpose)(v, (int)VL); }

/* Channels channel .. end-1 of one tap of VL pixels, to[c * step + pixel]. */
static void K(few_turn)(const REAL *const *from, int64_t channel, int64_t end, REAL *to,
                        int64_t step) {
    for (int64_t c = channel; c < end; c += VL) {
        int64_t lanes = pyad_min(VL, end - c);
        vec turned[VL];
        FEW_ROLLED for (int64_t i = 0; i < VL; i++) {
            turned[i] = from[i] == NULL ? (vec){0} : v_load_live(from[i] + c, lanes);
        }
        K(few_transpose)(turned);
        FEW_ROLLED for (int64_t i = 0; i < lanes; i++) v_store(to + (c + i) * step, turned[i]);
    }
}

/* The columns of this thread's channels. */
static void K(few_columns)(const K(few_job) *job, const im2col_view *v, const team *t) {
    int64_t begin, end;
    team_range(t, v->channels, VL, &begin, &end);
    for (int64_t i = 0; i < job->whole; i++) {
        int64_t width = K(few_width)(job, i), within = i % FEW_NV * (width > 1);
        REAL *to = job->columns + (i - within) * VL * job->depth + within * VL;
        width *= VL;
        im2col_pixel at[VL];
        FEW_ROLLED for (int64_t l = 0; l < VL; l++) {
            at[l] = im2col_at(v, pyad_min(i * VL + l, job->pixels - 1));
        }
        for (int64_t tap = 0; tap < job->taps; tap++) {
            const REAL *from[VL];
            FEW_ROLLED for (int64_t l = 0; l < VL; l++) {
                from[l] = K(few_source)(v, job->image, &at[l], tap);
            }
            K(few_turn)(from, begin, end, to + tap * width, job->taps * width);
        }
    }
    if (!job->over) return;
    im2col_pixel at = im2col_at(v, job->pixels - 1);
    for (int64_t tap = 0; tap < job->taps; tap++) {
        const REAL *from = K(few_source)(v, job->image, &at, tap);
        FEW_ROLLED for (int64_t c = begin; c < end; c++) {
            job->rest[c * job->taps + tap] = from == NULL ? 0 : from[c];
        }
    }
}

/* ---- products ---- */

/* FEW_ROWS rows of the weight. */
typedef struct {
    const REAL *row[FEW_ROWS];
} K(few_rows);

/* FEW_ROWS x nv vectors of sums, to[i * step + j * VL], over the next `depth` k; `add` to those that
 * are there. Rows that lack repeat the last one. */
GEMM_INLINE void K(few_tile_of)(const int64_t nv, const K(few_rows) *w, int64_t rows,
                                int64_t depth, const REAL *restrict columns, REAL *restrict to,
                                int64_t step, int add) {
    vec sum[FEW_ROWS][FEW_NV];
    const REAL *row[FEW_ROWS];
    GEMM_UNROLL for (int64_t i = 0; i < FEW_ROWS; i++) {
        row[i] = w->row[i];
        GEMM_UNROLL for (int64_t j = 0; j < nv; j++) sum[i][j] = (vec){0};
    }
    for (int64_t k = 0; k < depth; k++, columns += nv * VL) {
        vec right[FEW_NV];
        GEMM_UNROLL for (int64_t j = 0; j < nv; j++) right[j] = v_load(columns + j * VL);
        K(gemm_read_ahead)(columns + GEMM_FAR_AHEAD * nv * VL, nv * VL);
        GEMM_UNROLL for (int64_t i = 0; i < FEW_ROWS; i++) {
            vec left = v_set1(row[i][k]);
            GEMM_UNROLL for (int64_t j = 0; j < nv; j++) {
                sum[i][j] = v_fma(left, right[j], sum[i][j]);
            }
        }
    }
    GEMM_UNROLL for (int64_t i = 0; i < FEW_ROWS; i++) {
        if (i >= rows) return;
        GEMM_UNROLL for (int64_t j = 0; j < nv; j++) {
            REAL *at = to + i * step + j * VL;
            v_store(at, add ? sum[i][j] + v_load(at) : sum[i][j]);
        }
    }
}

#define FEW_TILE(name, nv)                                                                       \
    static PYAD_ONCE void K(name)(                                                               \
        const K(few_rows) *w, int64_t rows, int64_t depth, const REAL *columns, REAL *to,        \
        int64_t step, int add) {                                                                 \
        K(few_tile_of)(nv, w, rows, depth, columns, to, step, add);                              \
    }

FEW_TILE(few_tile_x1, 1)
FEW_TILE(few_tile_xv, FEW_NV)
#undef FEW_TILE

/* The sums of the pixel left over. */
static void K(few_over)(const K(few_rows) *w, int64_t rows, int64_t depth, const REAL *columns,
                        REAL *to, int64_t step, int add) {
    vec sum[FEW_ROWS] = {{0}};
    int64_t whole = depth / VL * VL;
    for (int64_t k = 0; k < whole; k += VL) {
        vec right = v_load(columns + k);
        GEMM_UNROLL for (int64_t i = 0; i < FEW_ROWS; i++) {
            sum[i] = v_fma(v_load(w->row[i] + k), right, sum[i]);
        }
    }
    FEW_ROLLED for (int64_t i = 0; i < rows; i++) {
        REAL total = v_sum(sum[i]);
        FEW_ROLLED for (int64_t k = whole; k < depth; k++) total += w->row[i][k] * columns[k];
        to[i * step] = add ? to[i * step] + total : total;
    }
}

/* Outputs begin .. end-1 over the block of k from `k` on. */
static void K(few_block)(const K(few_job) *job, int64_t k, int64_t depth, int64_t begin,
                         int64_t end) {
    K(few_rows) w;
    for (int64_t o = begin; o < end; o += FEW_ROWS) {
        int64_t rows = pyad_min(FEW_ROWS, end - o);
        const REAL *weight = job->weight + o * job->depth + k;
        REAL *sums = job->sums + o * job->step;
        FEW_ROLLED for (int64_t i = 0; i < FEW_ROWS; i++) {
            w.row[i] = weight + pyad_min(i, rows - 1) * job->depth;
        }
        for (int64_t i = 0, width; i < job->whole; i += width) {
            width = K(few_width)(job, i);
            const REAL *columns = job->columns + i * VL * job->depth + k * width * VL;
            void (*tile)(const K(few_rows) *, int64_t, int64_t, const REAL *, REAL *, int64_t,
                         int) = width > 1 ? K(few_tile_xv) : K(few_tile_x1);
            tile(&w, rows, depth, columns, sums + i * VL, job->step, k > 0);
        }
        if (job->over) {
            K(few_over)(&w, rows, depth, job->rest + k, sums + job->step - 1, job->step, k > 0);
        }
    }
}

/* Sums become outputs begin .. end-1. */
static void K(few_finish)(const K(few_job) *job, int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; o += VL) {
        int64_t lanes = pyad_min(VL, end - o);
        for (int64_t p = 0; p < job->pixels; p += VL) {
            int64_t count = pyad_min(VL, job->pixels - p);
            vec turned[VL];
            FEW_ROLLED for (int64_t i = 0; i < VL; i++) {
                const REAL *from = job->sums + (o + pyad_min(i, lanes - 1)) * job->step + p;
                turned[i] = v_load_live(from, count);
            }
            K(few_transpose)(turned);
            FEW_ROLLED for (int64_t i = 0; i < count; i++) {
                REAL *out = job->out + (p + i) * job->outputs + o;
                v_store_live(out, K(epilogue_apply)(&job->end, turned[i], o, out, lanes), lanes);
            }
        }
    }
}

/* The whole convolution, by the team. */
static void K(few_apply)(const conv_shape *s, const REAL *image, const REAL *weight,
                         const K(epilogue) *end, REAL *out, const team *t) {
    im2col_view v = conv_view_forward(s);
    K(few_job) job = K(few_job_of)(s);
    job.image = image, job.weight = weight, job.end = *end, job.out = out;
    job.columns = t->shared;
    job.rest = job.columns + K(few_inner)(&job), job.sums = job.columns + K(few_all)(&job);
    K(few_columns)(&job, &v, t);
    team_barrier(t);
    int64_t first, last, block = conv_block_depth(job.depth, FEW_DEPTH, LINE);
    team_range(t, job.outputs, VL, &first, &last);
    for (int64_t k = 0; k < job.depth; k += block) {
        K(few_block)(&job, k, pyad_min(block, job.depth - k), first, last);
    }
    K(few_finish)(&job, first, last);
}

/* Weights mapped to points (G g G'), in panels of WINOGRAD_WIDTH columns: for each point
 * [channel][column].
 *
 * Loops: vectors of columns, vectors of channels, channels. Taps lie side by side in memory,
 * columns far apart, so VL x VL of them are read at a time and transposed.
 */

/* Weights (o, i, 3, 3) read as channels x columns: forward i x o, transposed o x i, turned. */
typedef struct {
    const REAL *data;
    int64_t channel, column; /* steps in elements */
    int64_t channels, columns;
    int transposed;
} K(winograd_weights);

static K(winograd_weights) K(winograd_weights_of)(const pyad_array *weight, int transposed) {
    int64_t outs = weight->shape[0], ins = weight->shape[1];
    if (transposed) return (K(winograd_weights)){weight->data, 9 * ins, 9, outs, ins, 1};
    return (K(winograd_weights)){weight->data, 9, 9 * ins, ins, outs, 0};
}

/* The taps of channels channel .. channel+count-1 (at most VL) for VL columns from `column` on:
 * taps[9 * c + tap], zeros past the last column; up to VL - 1 vectors behind are overwritten. */
static void K(winograd_turn_weights)(const K(winograd_weights) *w, int64_t channel, int64_t count,
                                     int64_t column, vec *taps) {
    int64_t lanes = pyad_max(0, pyad_min(VL, w->columns - column));
    /* forward, the taps of all channels lie side by side; transposed, those of one */
    int64_t run = w->transposed ? 1 : count;
    for (int64_t c = 0; c < count; c += run) {
        const REAL *from = w->data + (channel + c) * w->channel + column * w->column;
        for (int64_t e = 0; e < 9 * run; e += VL) {
            int64_t n = pyad_min(VL, 9 * run - e);
            K(gemm_load_turned)(from + e, w->column, lanes, n, taps + 9 * c + e);
        }
    }
}

/* Row 0 or 5 of the 6 x 6 points of a kernel, or rows `row`, row + 1: as winograd_window_rows. */
GEMM_INLINE void K(winograd_weight_rows)(const vec *g, const int row, REAL *out, int64_t step) {
    vec first[3], second[3], line[WINOGRAD_SIDE];
    GEMM_UNROLL for (int j = 0; j < 3; j++) {
        if (row == 0 || row == 5) {
            first[j] = row == 0 ? g[j] : g[6 + j];
        } else {
            vec third = v_set1((REAL)(1.0 / 3)) * g[6 + j];
            vec even = row == 1 ? v_fma(v_set1((REAL)(-2.0 / 3)), g[j], -third)
                                : v_fma(v_set1((REAL)(1.0 / 6)), g[j], third);
            REAL scale = row == 1 ? WINOGRAD_NEAR * (REAL)(-2.0 / 3) : WINOGRAD_FAR / 6;
            vec odd = v_set1(scale) * g[3 + j];
            first[j] = even + odd;
            second[j] = even - odd;
        }
    }
    out += row * WINOGRAD_SIDE * step;
    K(winograd_weight_line)(first, 1, line, 1);
    GEMM_UNROLL for (int j = 0; j < WINOGRAD_SIDE; j++) v_store(out + j * step, line[j]);
    if (row == 0 || row == 5) return;
    out += WINOGRAD_SIDE * step;
    K(winograd_weight_line)(second, 1, line, 1);
    GEMM_UNROLL for (int j = 0; j < WINOGRAD_SIDE; j++) v_store(out + j * step, line[j]);
}

/* A 3 x 3 weight to the points of tiles of `tile` x `tile` pixels, `step` elements apart. */
GEMM_INLINE void K(winograd_map_weight)(const vec *g, int64_t tile, REAL *out, int64_t step) {
    if (tile != WINOGRAD_STEP) {
        K(winograd_small_weight)(g, out, step);
        return;
    }
    K(winograd_weight_rows)(g, 0, out, step);
    K(winograd_weight_rows)(g, 1, out, step);
    K(winograd_weight_rows)(g, 3, out, step);
    K(winograd_weight_rows)(g, 5, out, step);
}

/* Channels channel .. channel+count-1 of panel number `panel`, for tiles of `tile` x `tile` pixels:
 * [channel][WINOGRAD_WIDTH columns] for each point, `step` elements apart. */
static void K(winograd_map_weights)(const K(winograd_weights) *w, int64_t tile, int64_t panel,
                                    int64_t channel, int64_t count, REAL *mapped, int64_t step) {
    vec taps[10 * VL], g[9];
    for (int64_t l = 0; l < WINOGRAD_WIDTH; l += VL) {
        for (int64_t c = 0; c < count; c += VL) {
            int64_t some = pyad_min(VL, count - c);
            K(winograd_turn_weights)(w, channel + c, some, panel * WINOGRAD_WIDTH + l, taps);
            for (int64_t i = 0; i < some; i++) {
                GEMM_UNROLL for (int j = 0; j < 9; j++) {
                    g[j] = taps[9 * i + (w->transposed ? 8 - j : j)];
                }
                REAL *out = mapped + (c + i) * WINOGRAD_WIDTH + l;
                K(winograd_map_weight)(g, tile, out, step);
            }
        }
    }
}

static inline int64_t K(winograd_panel_size)(int64_t points, int64_t channels) {
    return points * channels * WINOGRAD_WIDTH;
}

/* This thread's panels of columns column .. column+columns-1; column is a panel's first. */
static void K(winograd_pack)(const K(winograd_weights) *w, int64_t tile, int64_t column,
                             int64_t columns, REAL *mapped, const team *t) {
    int64_t size = K(winograd_panel_size)((tile + 2) * (tile + 2), w->channels);
    int64_t begin, end;
    team_range(t, pyad_ceil_div(columns, WINOGRAD_WIDTH), 1, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        K(winograd_map_weights)(w, tile, column / WINOGRAD_WIDTH + i, 0, w->channels,
                                mapped + i * size, w->channels * WINOGRAD_WIDTH);
    }
}

/* The screen's first pass over a frame, compiled: cell statistics and scores as in cells.py and screening.py.
 *
 * Whole numbers where those have whole numbers, single steps of float32 and float64 in the same places: the answers
 * are the same to the last bit, which tests compare. Nothing here knows Python objects but buffers, and the
 * interpreter is let go while it works. One pass reads the pixels strip by strip of 16 rows; what is made of a strip
 * stays in the nearest cache.
 *
 * Built for whatever the compiler takes for the machine's least, and on x86-64 twice more for AVX2 and AVX-512, chosen
 * when a frame comes.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if FLT_EVAL_METHOD != 0
#error "float32 steps would be kept in more digits here, and the answers would not be those of numpy"
#endif

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#define MAY_ALIAS __attribute__((may_alias, aligned(1)))
/* What a loop writes, none of its other steps reads. Without the promise there are too many arrays to compare. */
#define INDEPENDENT _Pragma("GCC ivdep")
#else
#define INLINE static __forceinline
#define MAY_ALIAS
#define INDEPENDENT
#endif

#if defined(__GNUC__) && defined(__x86_64__)
#define HAS_WAYS 1
#include <immintrin.h>
#define FOR_AVX2 __attribute__((target("avx2,fma")))
#define FOR_AVX512 __attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")))
#endif

/* Two neighbours in one word: their sum does not depend on which comes first. */
typedef uint16_t MAY_ALIAS pair8;
typedef uint32_t MAY_ALIAS pair16;

enum { CELL = 32, BLOCK = 16, STATISTICS = 13, DEPTH = 26, RAW = 11, NEAR = 5, AROUND = 11 };
/* The order of a block's whole numbers, before they are compared with the brightness around. */
enum {
    FINE_ACROSS, FINE_ALONG, FINE_MOST, FINE_LEAST,
    COARSE_ACROSS, COARSE_ALONG, COARSE_MOST, COARSE_LEAST,
    SPOT_SUM, SPOT_MOST, SPOT_LEAST
};

/* --- statistics ---------------------------------------------------------------------------------------- */

INLINE void halve(const uint8_t *upper, const uint8_t *lower, uint8_t *restrict out, int count)
{
    const pair8 *a = (const pair8 *)upper, *b = (const pair8 *)lower;
    for (int x = 0; x < count; x++)
        out[x] = (uint8_t)(((a[x] & 255) + (a[x] >> 8) + (b[x] & 255) + (b[x] >> 8) + 2) >> 2);
}

INLINE void sum_pairs(const uint16_t *in, uint16_t *restrict out, int count)
{
    const pair16 *pairs = (const pair16 *)in;
    for (int x = 0; x < count; x++)
        out[x] = (uint16_t)((pairs[x] & 0xffff) + (pairs[x] >> 16));
}

INLINE void pair_extremes(const uint8_t *most, const uint8_t *least, uint8_t *restrict out_most,
                          uint8_t *restrict out_least, int count)
{
    const pair8 *m = (const pair8 *)most, *l = (const pair8 *)least;
    for (int x = 0; x < count; x++) {
        uint16_t a = m[x] & 255, b = m[x] >> 8, c = l[x] & 255, d = l[x] >> 8;
        out_most[x] = (uint8_t)(a > b ? a : b);
        out_least[x] = (uint8_t)(c < d ? c : d);
    }
}

/* Scratch for the columns of one strip. */
typedef struct {
    uint16_t *across, *along;
    uint8_t *most, *least;
} Columns;

/* One row of a strip into its columns: the steps to its right and lower neighbours, and the extremes so far. */
INLINE void take_row(const uint8_t *row, const uint8_t *next, int width, int is_first, Columns c)
{
    uint16_t *restrict across = c.across, *restrict along = c.along;
    uint8_t *restrict most = c.most, *restrict least = c.least;
    int last = width - 1;
    INDEPENDENT
    for (int x = 0; x < last; x++) {
        uint8_t a = row[x], r = row[x + 1], d = next[x];
        uint8_t to_right = (uint8_t)((a > r ? a : r) - (a > r ? r : a));
        uint8_t to_below = (uint8_t)((a > d ? a : d) - (a > d ? d : a));
        across[x] = (uint16_t)(is_first ? to_right : across[x] + to_right);
        along[x] = (uint16_t)(is_first ? to_below : along[x] + to_below);
        most[x] = is_first || a > most[x] ? a : most[x];
        least[x] = is_first || a < least[x] ? a : least[x];
    }
    uint8_t a = row[last], d = next[last];
    uint16_t to_below = (uint16_t)(a > d ? a - d : d - a);
    across[last] = 0;
    along[last] = (uint16_t)(is_first ? to_below : along[last] + to_below);
    most[last] = is_first || a > most[last] ? a : most[last];
    least[last] = is_first || a < least[last] ? a : least[last];
}

/* Edges and extremes of `side` rows of `width` px, each square of `side` px made one. Of the row below them only
 * the steps to it are taken; NULL at the picture's end. */
INLINE void squares(const uint8_t *rows, const uint8_t *below, int width, int side, const Columns scratch[2],
                    uint16_t *across, uint16_t *along, uint16_t *most, uint16_t *least)
{
    for (int y = 0; y < side; y++) {
        const uint8_t *row = rows + (size_t)y * width, *next = y + 1 < side ? row + width : below ? below : row;
        if (y == 0)
            take_row(row, next, width, 1, scratch[0]);
        else
            take_row(row, next, width, 0, scratch[0]);
    }
    int now = 0;
    for (; side > 1; side /= 2, now ^= 1) {
        Columns from = scratch[now], into = scratch[now ^ 1];
        width /= 2;
        sum_pairs(from.across, into.across, width);
        sum_pairs(from.along, into.along, width);
        pair_extremes(from.most, from.least, into.most, into.least, width);
    }
    Columns c = scratch[now];
    INDEPENDENT
    for (int x = 0; x < width; x++) {
        across[x] = c.across[x];
        along[x] = c.along[x];
        most[x] = c.most[x];
        least[x] = c.least[x];
    }
}

/* What one strip of 16 rows is made of: 8 rows of means of 2 px, 4 of 4 px, 2 of 8 px. */
typedef struct {
    uint8_t *fine, *coarse, *spots;
} Strip;

INLINE void reduce(const uint8_t *pixels, ptrdiff_t stride, int width, Strip s)
{
    for (int y = 0; y < 8; y++)
        halve(pixels + 2 * y * stride, pixels + (2 * y + 1) * stride, s.fine + y * (width / 2), width / 2);
    for (int y = 0; y < 4; y++)
        halve(s.fine + 2 * y * (width / 2), s.fine + (2 * y + 1) * (width / 2), s.coarse + y * (width / 4), width / 4);
    for (int y = 0; y < 2; y++)
        halve(s.coarse + 2 * y * (width / 4), s.coarse + (2 * y + 1) * (width / 4), s.spots + y * (width / 8), width / 8);
}

/* `raw` of one row of blocks: RAW rows of `columns` whole numbers. */
INLINE void describe(Strip s, const Strip *below, int width, const Columns c[2], uint16_t *raw)
{
    int columns = width / BLOCK;
    squares(s.fine, below ? below->fine : NULL, width / 2, 8, c, raw + FINE_ACROSS * columns,
            raw + FINE_ALONG * columns, raw + FINE_MOST * columns, raw + FINE_LEAST * columns);
    squares(s.coarse, below ? below->coarse : NULL, width / 4, 4, c, raw + COARSE_ACROSS * columns,
            raw + COARSE_ALONG * columns, raw + COARSE_MOST * columns, raw + COARSE_LEAST * columns);
    const uint8_t *upper = s.spots, *lower = s.spots + width / 8;
    INDEPENDENT
    for (int x = 0; x < columns; x++) {
        uint8_t p = upper[2 * x], q = upper[2 * x + 1], r = lower[2 * x], t = lower[2 * x + 1];
        uint8_t a = p > q ? p : q, b = r > t ? r : t, d = p < q ? p : q, e = r < t ? r : t;
        raw[SPOT_SUM * columns + x] = (uint16_t)(p + q + r + t);
        raw[SPOT_MOST * columns + x] = a > b ? a : b;
        raw[SPOT_LEAST * columns + x] = d < e ? d : e;
    }
}

/* The place that a place outside stands for: … c b a | a b c … (OpenCV's BORDER_REFLECT). */
static int reflected(int at, int count)
{
    while (at < 0 || at >= count)
        at = at < 0 ? -at - 1 : 2 * count - 1 - at;
    return at;
}

/* … c b | a b c … (BORDER_REFLECT_101), and where there is only one, that one. */
static int reflected_101(int at, int count)
{
    if (count == 1)
        return 0;
    return at < 0 ? -at : at >= count ? 2 * count - 2 - at : at;
}

/* Sums over side x side blocks of quarter grey levels. `wide` holds columns + side numbers, `down` columns. */
static void sums_around(const uint16_t *raw, int rows, int columns, int side, int row, int32_t *down, int32_t *wide,
                        int32_t *out)
{
    int half = side / 2;
    if (row == 0) {
        memset(down, 0, (size_t)columns * sizeof *down);
        for (int y = -half; y <= half; y++) {
            const uint16_t *sums = raw + ((size_t)reflected(y, rows) * RAW + SPOT_SUM) * columns;
            for (int x = 0; x < columns; x++)
                down[x] += sums[x];
        }
    } else {
        const uint16_t *gone = raw + ((size_t)reflected(row - 1 - half, rows) * RAW + SPOT_SUM) * columns;
        const uint16_t *come = raw + ((size_t)reflected(row + half, rows) * RAW + SPOT_SUM) * columns;
        for (int x = 0; x < columns; x++)
            down[x] += come[x] - gone[x];
    }
    for (int x = -half; x < columns + half; x++)
        wide[x + half] = down[reflected(x, columns)];
    int32_t sum = 0;
    for (int x = 0; x < side; x++)
        sum += wide[x];
    for (int x = 0; x < columns; x++) {
        out[x] = sum;
        if (x + 1 < columns)
            sum += wide[x + side] - wide[x];
    }
}

/* Of a ratio the level 0..255; adding and taking away 1.5 x 2^23 rounds halves to even. */
INLINE float level(float ratio)
{
    const float most = 2.5400390625f, halves = 12582912.0f; /* (255 / 160)^2, exact */
    ratio = ratio < 0 ? 0 : ratio > most ? most : ratio;
    return (sqrtf(ratio) * 160.0f + halves) - halves;
}

/* The statistics of one row of blocks: STATISTICS rows of `columns` levels. */
INLINE void levels(const uint16_t *raw, const int32_t *near_sums, const int32_t *around_sums, int columns, float *out)
{
    INDEPENDENT
    for (int x = 0; x < columns; x++) {
        float near = (float)near_sums[x] / 4.0f / 25.0f, around = (float)around_sums[x] / 4.0f / 121.0f;
        near = near < 8.0f ? 8.0f : near;
        around = around < 8.0f ? 8.0f : around;
        float mean = (float)raw[SPOT_SUM * columns + x] / 4.0f, lamp = near / 255.0f;
        out[0 * columns + x] = level((float)raw[FINE_ACROSS * columns + x] / (64.0f * near));
        out[1 * columns + x] = level((float)raw[FINE_ALONG * columns + x] / (64.0f * near));
        out[2 * columns + x] = level(((float)raw[FINE_MOST * columns + x] - near) / near);
        out[3 * columns + x] = level((near - (float)raw[FINE_LEAST * columns + x]) / near);
        out[4 * columns + x] = level((float)raw[COARSE_ACROSS * columns + x] / (16.0f * near));
        out[5 * columns + x] = level((float)raw[COARSE_ALONG * columns + x] / (16.0f * near));
        out[6 * columns + x] = level(((float)raw[COARSE_MOST * columns + x] - near) / near);
        out[7 * columns + x] = level((near - (float)raw[COARSE_LEAST * columns + x]) / near);
        out[8 * columns + x] = level(((float)raw[SPOT_MOST * columns + x] - near) / near);
        out[9 * columns + x] = level((near - (float)raw[SPOT_LEAST * columns + x]) / near);
        out[10 * columns + x] = level((mean - around) / around);
        out[11 * columns + x] = level((around - mean) / around);
        out[12 * columns + x] = level(lamp * lamp);
    }
}

/* Two rows of blocks into one of cells: sums of four, then their maxima. */
INLINE void into_cells(const float *upper, const float *lower, int columns, float *out)
{
    for (int x = 0; x < columns / 2; x++)
        for (int k = 0; k < STATISTICS; k++) {
            const float *u = upper + k * columns + 2 * x, *l = lower + k * columns + 2 * x;
            float a = u[0] > u[1] ? u[0] : u[1], b = l[0] > l[1] ? l[0] : l[1];
            out[x * DEPTH + k] = (u[0] + u[1]) + (l[0] + l[1]);
            out[x * DEPTH + STATISTICS + k] = a > b ? a : b;
        }
}

typedef struct {
    const uint8_t *pixels;
    ptrdiff_t stride;
    int height, width;
    uint16_t *raw;
    Strip strips[2];
    Columns columns[2];
    int32_t *down[2], *wide, *sums[2];
    float *levels[2], *out;
} Frame;

INLINE void statistics_of(Frame *f)
{
    int rows = f->height / BLOCK, columns = f->width / BLOCK;
    reduce(f->pixels, f->stride, f->width, f->strips[0]);
    for (int row = 0; row < rows; row++) {
        Strip *this = &f->strips[row & 1], *below = NULL;
        if (row + 1 < rows) {
            below = &f->strips[(row + 1) & 1];
            reduce(f->pixels + (ptrdiff_t)(row + 1) * BLOCK * f->stride, f->stride, f->width, *below);
        }
        describe(*this, below, f->width, f->columns, f->raw + (size_t)row * RAW * columns);
    }
    for (int row = 0; row < rows; row++) {
        sums_around(f->raw, rows, columns, NEAR, row, f->down[0], f->wide, f->sums[0]);
        sums_around(f->raw, rows, columns, AROUND, row, f->down[1], f->wide, f->sums[1]);
        levels(f->raw + (size_t)row * RAW * columns, f->sums[0], f->sums[1], columns, f->levels[row & 1]);
        if (row & 1)
            into_cells(f->levels[0], f->levels[1], columns, f->out + (size_t)(row / 2) * (columns / 2) * DEPTH);
    }
}

/* --- scores -------------------------------------------------------------------------------------------- */

/* Weights of a layer are padded to LANES units, so that all of a cell's fit the same few registers. */
enum { LANES = 32, KINDS = 8, AT_ONCE = 4 };

typedef struct {
    const float *statistics;
    int rows, columns, kinds;
    const double *first, *second, *last, *thresholds; /* (79, LANES), (2 LANES + 1, LANES), (LANES + 1, KINDS), (KINDS,) */
    float *sums, *largest, *hidden;                   /* a row of cells each, hidden: all of them */
    uint8_t *out;
} Scoring;

/* Of AT_ONCE cells, each `count` values: the values times their rows of the weights, `wide` units of a layer, and the
 * last row added. Exact, and so the same in any order, with any width of vectors, and whether a product is rounded before
 * it is added or not. Two vectors of units at a time: else loading takes longer than multiplying. */
#define LAYER(name, Vector, TARGET, ADD)                                                                              \
    TARGET INLINE void name##_some(double values[AT_ONCE][3 * DEPTH], int count, const double *weights, int wide,      \
                                   int from, int vectors, double total[AT_ONCE][LANES])                                \
    {                                                                                                                  \
        enum { LONG = sizeof(Vector) / sizeof(double) };                                                               \
        Vector sums[AT_ONCE][2];                                                                                       \
        for (int n = 0; n < AT_ONCE; n++)                                                                              \
            for (int v = 0; v < vectors; v++)                                                                          \
                sums[n][v] = *(const Vector *)(weights + count * wide + from + v * LONG);                              \
        for (int i = 0; i < count; i++)                                                                                \
            for (int v = 0; v < vectors; v++) {                                                                        \
                Vector row = *(const Vector *)(weights + i * wide + from + v * LONG);                                  \
                for (int n = 0; n < AT_ONCE; n++)                                                                      \
                    sums[n][v] = ADD(row, values[n][i], sums[n][v]);                                                   \
            }                                                                                                          \
        for (int n = 0; n < AT_ONCE; n++)                                                                              \
            for (int v = 0; v < vectors; v++)                                                                          \
                *(Vector *)(total[n] + from + v * LONG) = sums[n][v];                                                  \
    }                                                                                                                  \
    TARGET INLINE void name(double values[AT_ONCE][3 * DEPTH], int count, const double *weights, int wide,             \
                            double total[AT_ONCE][LANES])                                                              \
    {                                                                                                                  \
        enum { LONG = sizeof(Vector) / sizeof(double) };                                                               \
        int from = 0;                                                                                                  \
        for (; from + 2 * LONG <= wide; from += 2 * LONG)                                                              \
            name##_some(values, count, weights, wide, from, 2, total);                                                 \
        if (from < wide)                                                                                               \
            name##_some(values, count, weights, wide, from, 1, total);                                                 \
    }

#define ADD_PRODUCT(row, value, sum) ((sum) + (row) * (value))
#if defined(__GNUC__)
typedef double Two __attribute__((vector_size(16), aligned(8), may_alias));
#else
typedef double Two;
#endif
LAYER(layer_by_2, Two, , ADD_PRODUCT)
#ifdef HAS_WAYS
typedef double Four __attribute__((vector_size(32), aligned(8), may_alias));
typedef double Eight __attribute__((vector_size(64), aligned(8), may_alias));
#define ADD_FOUR(row, value, sum) ((Four)_mm256_fmadd_pd((__m256d)(row), _mm256_set1_pd(value), (__m256d)(sum)))
#define ADD_EIGHT(row, value, sum) ((Eight)_mm512_fmadd_pd((__m512d)(row), _mm512_set1_pd(value), (__m512d)(sum)))
LAYER(layer_by_4, Four, FOR_AVX2, ADD_FOUR)
LAYER(layer_by_8, Eight, FOR_AVX512, ADD_EIGHT)
#endif

typedef void Layer(double[AT_ONCE][3 * DEPTH], int, const double *, int, double[AT_ONCE][LANES]);

/* `count` values of AT_ONCE cells of a row, into place `at`; past the row's end its last cell again. */
INLINE void lay_in(const float *row, int columns, int first, int count, int at, double values[AT_ONCE][3 * DEPTH])
{
    for (int n = 0; n < AT_ONCE; n++) {
        const float *cell = row + (size_t)(first + n < columns ? first + n : columns - 1) * count;
        for (int i = 0; i < count; i++)
            values[n][at + i] = cell[i];
    }
}

/* Nothing below 0 nor above 1024, in steps of 2^-8: at most 18 bits, which a float32 holds. */
INLINE float rectified(double value)
{
    const double halves = 6755399441055744.0; /* 1.5 x 2^52 */
    value = value < 0 ? 0 : value > 1024.0 ? 1024.0 : value;
    return (float)(((value * 256.0 + halves) - halves) / 256.0);
}

/* Sums over 3 x 3 cells, reflected at the borders, of a row of cells of `depth` numbers, and the maxima there. */
INLINE void around_row(const float *cells, int rows, int columns, int depth, int row, int is_line, float *sums,
                       float *largest)
{
    const float *here = cells + (size_t)row * columns * depth;
    const float *above, *below;
    if (is_line) { /* replicated where the picture is one cell high or wide */
        above = cells + (size_t)(row > 0 ? row - 1 : 0) * columns * depth;
        below = cells + (size_t)(row + 1 < rows ? row + 1 : row) * columns * depth;
    } else {
        above = cells + (size_t)reflected_101(row - 1, rows) * columns * depth;
        below = cells + (size_t)reflected_101(row + 1, rows) * columns * depth;
    }
    for (int x = 0; x < columns; x++) {
        int left = is_line ? (x > 0 ? x - 1 : 0) : reflected_101(x - 1, columns);
        int right = is_line ? (x + 1 < columns ? x + 1 : x) : reflected_101(x + 1, columns);
        const float *a = above + (size_t)left * depth, *b = above + (size_t)x * depth, *c = above + (size_t)right * depth;
        const float *d = here + (size_t)left * depth, *e = here + (size_t)x * depth, *f = here + (size_t)right * depth;
        const float *g = below + (size_t)left * depth, *h = below + (size_t)x * depth, *i = below + (size_t)right * depth;
        float *sum = sums + (size_t)x * depth;
        for (int k = 0; k < depth; k++)
            sum[k] = ((a[k] + b[k]) + (c[k] + d[k])) + ((e[k] + f[k]) + (g[k] + h[k])) + i[k];
        if (largest) {
            /* What a border reflects lies inside the 3 x 3 cells already. */
            float *top = largest + (size_t)x * depth;
            for (int k = 0; k < depth; k++) {
                float m = a[k] > b[k] ? a[k] : b[k], n = c[k] > d[k] ? c[k] : d[k], o = e[k] > f[k] ? e[k] : f[k];
                float p = g[k] > h[k] ? g[k] : h[k];
                m = m > n ? m : n;
                o = o > p ? o : p;
                m = m > o ? m : o;
                top[k] = m > i[k] ? m : i[k];
            }
        }
    }
}

INLINE void candidates_of(Scoring *s, Layer layer)
{
    int rows = s->rows, columns = s->columns, is_line = rows == 1 || columns == 1;
    double values[AT_ONCE][3 * DEPTH], total[AT_ONCE][LANES];
    for (int row = 0; row < rows; row++) {
        const float *here = s->statistics + (size_t)row * columns * DEPTH;
        around_row(s->statistics, rows, columns, DEPTH, row, is_line, s->sums, s->largest);
        for (int x = 0; x < columns; x += AT_ONCE) {
            lay_in(here, columns, x, DEPTH, 0, values);
            lay_in(s->sums, columns, x, DEPTH, DEPTH, values);
            lay_in(s->largest, columns, x, DEPTH, 2 * DEPTH, values);
            layer(values, 3 * DEPTH, s->first, LANES, total);
            for (int n = 0; n < AT_ONCE && x + n < columns; n++) {
                float *hidden = s->hidden + ((size_t)row * columns + x + n) * LANES;
                for (int j = 0; j < LANES; j++)
                    hidden[j] = rectified(total[n][j]);
            }
        }
    }
    for (int row = 0; row < rows; row++) {
        const float *here = s->hidden + (size_t)row * columns * LANES;
        around_row(s->hidden, rows, columns, LANES, row, is_line, s->sums, NULL);
        for (int x = 0; x < columns; x += AT_ONCE) {
            lay_in(here, columns, x, LANES, 0, values);
            lay_in(s->sums, columns, x, LANES, LANES, values);
            layer(values, 2 * LANES, s->second, LANES, total);
            for (int n = 0; n < AT_ONCE; n++)
                for (int j = 0; j < LANES; j++)
                    values[n][j] = rectified(total[n][j]);
            layer(values, LANES, s->last, KINDS, total);
            for (int n = 0; n < AT_ONCE && x + n < columns; n++) {
                int stands_out = 0;
                for (int k = 0; k < s->kinds; k++)
                    stands_out |= total[n][k] >= s->thresholds[k];
                s->out[(size_t)row * columns + x + n] = (uint8_t)stands_out;
            }
        }
    }
}

/* --- which the machine is good for --------------------------------------------------------------------- */

static void statistics_plain(Frame *f) { statistics_of(f); }
static void candidates_plain(Scoring *s) { candidates_of(s, layer_by_2); }
#ifdef HAS_WAYS
FOR_AVX2 static void statistics_avx2(Frame *f) { statistics_of(f); }
FOR_AVX2 static void candidates_avx2(Scoring *s) { candidates_of(s, layer_by_4); }
FOR_AVX512 static void statistics_avx512(Frame *f) { statistics_of(f); }
FOR_AVX512 static void candidates_avx512(Scoring *s) { candidates_of(s, layer_by_8); }
#endif

static int best_way(void)
{
#ifdef HAS_WAYS
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return 2;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return 1;
#endif
    return 0;
}

static void run_statistics(int chosen, Frame *f)
{
#ifdef HAS_WAYS
    if (chosen == 2) { statistics_avx512(f); return; }
    if (chosen == 1) { statistics_avx2(f); return; }
#endif
    (void)chosen;
    statistics_plain(f);
}

static void run_candidates(int chosen, Scoring *s)
{
#ifdef HAS_WAYS
    if (chosen == 2) { candidates_avx512(s); return; }
    if (chosen == 1) { candidates_avx2(s); return; }
#endif
    (void)chosen;
    candidates_plain(s);
}

/* --- Python -------------------------------------------------------------------------------------------- */

static int way_asked(int asked)
{
    int best = best_way();
    return asked < 0 || asked > best ? best : asked;
}

/* A buffer of so many numbers of a size in order, or of rows that lie evenly apart; 0 and an exception otherwise. */
static int has_bytes(const Py_buffer *buffer, Py_ssize_t bytes, const char *name)
{
    if (buffer->len == bytes)
        return 1;
    PyErr_Format(PyExc_ValueError, "%s: %zd bytes, not %zd", name, buffer->len, bytes);
    return 0;
}

static PyObject *cell_statistics(PyObject *self, PyObject *arguments)
{
    PyObject *image_given, *out_given, *result = NULL;
    int asked = -1;
    Py_buffer image, out;
    if (!PyArg_ParseTuple(arguments, "OO|i", &image_given, &out_given, &asked))
        return NULL;
    if (PyObject_GetBuffer(image_given, &image, PyBUF_STRIDES) < 0)
        return NULL;
    if (PyObject_GetBuffer(out_given, &out, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE) < 0) {
        PyBuffer_Release(&image);
        return NULL;
    }
    if (image.ndim != 2 || image.itemsize != 1 || (image.strides[1] != 1 && image.shape[1] > 1) || image.shape[0] <= 0 ||
        image.shape[1] <= 0 || image.shape[0] % CELL || image.shape[1] % CELL || image.shape[0] > 1 << 20 ||
        image.shape[1] > 1 << 20) {
        PyErr_SetString(PyExc_ValueError, "an image of whole cells is wanted: uint8 (h, w), its rows without gaps");
        goto done;
    }
    {
        int height = (int)image.shape[0], width = (int)image.shape[1], rows = height / BLOCK, columns = width / BLOCK;
        if (!has_bytes(&out, (Py_ssize_t)(rows / 2) * (columns / 2) * DEPTH * 4, "out"))
            goto done;
        size_t strip = (size_t)width * 4 + (size_t)width + (size_t)width / 4; /* 8, 4 and 2 rows */
        size_t raw = (size_t)rows * RAW * columns * sizeof(uint16_t);
        size_t numbers = (size_t)(5 * columns + AROUND + 1) * sizeof(int32_t);
        size_t floats = (size_t)2 * STATISTICS * columns * sizeof(float);
        size_t scratch = (size_t)width * (2 * sizeof(uint16_t) + 2); /* twice half the width */
        char *memory = malloc(raw + numbers + floats + scratch + 2 * strip);
        if (!memory) {
            PyErr_NoMemory();
            goto done;
        }
        Frame f = {.pixels = image.buf, .stride = image.strides[0], .height = height, .width = width, .out = out.buf};
        char *at = memory;
        f.down[0] = (int32_t *)at;
        f.down[1] = f.down[0] + columns;
        f.sums[0] = f.down[1] + columns;
        f.sums[1] = f.sums[0] + columns;
        f.wide = f.sums[1] + columns;
        at += numbers;
        f.levels[0] = (float *)at;
        f.levels[1] = f.levels[0] + STATISTICS * columns;
        at += floats;
        f.raw = (uint16_t *)at;
        at += raw;
        for (int n = 0; n < 2; n++, at += scratch / 2) {
            f.columns[n].across = (uint16_t *)at;
            f.columns[n].along = f.columns[n].across + width / 2;
            f.columns[n].most = (uint8_t *)(f.columns[n].along + width / 2);
            f.columns[n].least = f.columns[n].most + width / 2;
        }
        for (int n = 0; n < 2; n++, at += strip) {
            f.strips[n].fine = (uint8_t *)at;
            f.strips[n].coarse = f.strips[n].fine + (size_t)width * 4;
            f.strips[n].spots = f.strips[n].coarse + width;
        }
        int chosen = way_asked(asked);
        Py_BEGIN_ALLOW_THREADS
        run_statistics(chosen, &f);
        Py_END_ALLOW_THREADS
        free(memory);
        result = Py_NewRef(Py_None);
    }
done:
    PyBuffer_Release(&out);
    PyBuffer_Release(&image);
    return result;
}

static PyObject *candidates(PyObject *self, PyObject *arguments)
{
    PyObject *given[6], *result = NULL;
    Py_buffer buffers[6];
    int rows, columns, kinds, asked = -1, held = 0;
    if (!PyArg_ParseTuple(arguments, "OOOOOOiii|i", &given[0], &given[1], &given[2], &given[3], &given[4], &given[5],
                          &rows, &columns, &kinds, &asked))
        return NULL;
    for (; held < 6; held++)
        if (PyObject_GetBuffer(given[held], &buffers[held], PyBUF_C_CONTIGUOUS | (held == 5 ? PyBUF_WRITABLE : 0)) < 0)
            goto done;
    if (rows < 1 || columns < 1 || kinds < 1 || kinds > KINDS || rows > 1 << 15 || columns > 1 << 15) {
        PyErr_SetString(PyExc_ValueError, "cells, and 1 to 8 kinds, are wanted");
        goto done;
    }
    Py_ssize_t cells = (Py_ssize_t)rows * columns;
    if (!has_bytes(&buffers[0], cells * DEPTH * 4, "statistics") ||
        !has_bytes(&buffers[1], (3 * DEPTH + 1) * LANES * 8, "first") ||
        !has_bytes(&buffers[2], (2 * LANES + 1) * LANES * 8, "second") ||
        !has_bytes(&buffers[3], (LANES + 1) * KINDS * 8, "last") ||
        !has_bytes(&buffers[4], (Py_ssize_t)kinds * 8, "thresholds") || !has_bytes(&buffers[5], cells, "out"))
        goto done;
    float *memory = malloc(((size_t)cells + columns) * LANES * sizeof(float) + (size_t)columns * DEPTH * sizeof(float));
    if (!memory) {
        PyErr_NoMemory();
        goto done;
    }
    Scoring s = {
        .statistics = buffers[0].buf, .rows = rows, .columns = columns, .kinds = kinds, .first = buffers[1].buf,
        .second = buffers[2].buf, .last = buffers[3].buf, .thresholds = buffers[4].buf, .hidden = memory,
        .sums = memory + (size_t)cells * LANES, .largest = memory + ((size_t)cells + columns) * LANES,
        .out = buffers[5].buf,
    };
    int chosen = way_asked(asked);
    Py_BEGIN_ALLOW_THREADS
    run_candidates(chosen, &s);
    Py_END_ALLOW_THREADS
    free(memory);
    result = Py_NewRef(Py_None);
done:
    while (held > 0)
        PyBuffer_Release(&buffers[--held]);
    return result;
}

static PyObject *ways(PyObject *self, PyObject *unused)
{
    return PyLong_FromLong(best_way() + 1);
}

static PyMethodDef methods[] = {
    {"cell_statistics", cell_statistics, METH_VARARGS,
     "cell_statistics(image, out, way=-1): image uint8 (h, w) of whole cells, out float32 (h / 32, w / 32, 26)"},
    {"candidates", candidates, METH_VARARGS,
     "candidates(statistics, first, second, last, thresholds, out, rows, columns, kinds, way=-1)"},
    {"ways", ways, METH_NOARGS, "in how many ways of those built this machine can run it: 0 .. ways() - 1, the last the fastest"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_screening", NULL, 0, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__screening(void) { return PyModuleDef_Init(&module); }

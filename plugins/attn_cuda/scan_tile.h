/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/scan_tile.h: how L, W and M walk over tokens: the state in registers, the tokens through shared
 * memory.
 *
 *  (1) A thread has ROWS rows and COLS columns of each state; LANES neighbouring lanes have the columns of a row, all of
 *      them: column(i) below, in fours, so that lanes read 16 bytes side by side. A sum over a row is log2 LANES
 *      shuffles. A block of warps has a strip of rows.
 *  (2) Tokens arrive in tiles: a record per token of all that it brings, vectors padded with zeros to COLS * LANES. While a
 *      tile is worked on, the next is on its way (cp.async) into the other of two buffers. One barrier per tile says
 *      both that the tile has landed and that everybody has left the one before, whose buffer is filled next.
 *  (3) Vectors without gaps at addresses divisible by 16 are copied 16 bytes at a time, all others by elements.
 */
#ifndef LOCI_ATTN_CUDA_SCAN_TILE_H
#define LOCI_ATTN_CUDA_SCAN_TILE_H

#include "number.h"
#include "scan.h"

#define READ 5 /* beside LOCI_SCAN_L, W and M: an M that is only read */
#define ROWS SCAN_ROWS
#define COLS SCAN_COLS

/* Vectors of a token. */
enum { VQ, VK, VA, VU, VW, VECTORS };
#define BIT(v) (1u << (v))
#define WITH_V BIT(VECTORS)
#define WITH_DY BIT(VECTORS + 1)
#define WITH_GATES BIT(VECTORS + 2)
#define ALL ~0u

/* Where a token's record has what, in elements; -1: it has none. gate: three numbers. */
struct record {
    int at[VECTORS], v, dy, gate, size;
    int wide, rows, tok; /* of a vector, of a strip, tokens of a tile */
};

/* Where this thread stands. */
struct place {
    scan_item item;
    int64_t h, strip;
    int lane, group; /* of the row's LANES; rows strip + ROWS group ... are this thread's */
};

/* In item number `number` of the heads' items; the strip is left at 0. */
template <int LANES> GPU_FN place place_in(const scan_job &j, int64_t number)
{
    place p = {};

    p.item = j.items[number / j.H];
    p.h = number % j.H;
    p.lane = (int)threadIdx.x % LANES;
    p.group = (int)threadIdx.x / LANES;
    return p;
}

template <typename R> struct alignas(16) quad {
    static constexpr int N = 16 / sizeof(R);
    R x[N];
};

template <int LANES> GPU_FN int column(const place &p, int i)
{
    return (i / 4 * LANES + p.lane) * 4 + i % 4;
}

GPU_FN int64_t row_of(const place &p, int r)
{
    return p.strip + (int64_t)ROWS * p.group + r;
}

template <typename R> GPU_FN R *view_at(const scan_view &v, int64_t b, int64_t t, int64_t h)
{
    return (R *)v.at + b * v.s[0] + t * v.s[1] + h * v.s[2];
}

GPU_FN int less(int a, int b)
{
    return a < b ? a : b;
}

/* ---- tokens ----------------------------------------------------------------------------------------------------- */

template <typename R> GPU_FN int flat(const scan_view &v)
{
    return v.s[3] == 1 && !(((uintptr_t)v.at | (uintptr_t)((v.s[0] | v.s[1] | v.s[2]) * (int64_t)sizeof(R))) & 15);
}

/* `n` vectors of d elements, of tokens t and on, to a tile's column `to`, with zeros behind. */
template <typename R>
GPU_FN void stage_vectors(R *to, const scan_job &j, const record &m, const scan_view &v, const place &p, int64_t t, int n)
{
    const int per = quad<R>::N, parts = m.wide / per, fast = flat<R>(v);

    for (int x = (int)threadIdx.x; x < n * parts; x += (int)blockDim.x) {
        const int i = x / parts, c = x % parts * per;
        const R *from = view_at<R>(v, p.item.run.row, t + i, p.h);
        const int64_t left = j.d - c;
        R *at = to + (int64_t)i * m.size + c;

        if (fast)
            gpu_copy16(at, left > 0 ? from + c : from, left >= per ? 16 : left > 0 ? (int)left * (int)sizeof(R) : 0);
        for (int k = 0; k < per && !fast; k++)
            if (k < left)
                gpu_copy_one(at + k, from + (c + k) * v.s[3]);
            else
                at[k] = 0;
    }
}

/* The same of a strip of the rows of v or dy. */
template <typename R>
GPU_FN void stage_rows(R *to, const scan_job &j, const record &m, const scan_view &v, const place &p, int64_t t, int n)
{
    for (int x = (int)threadIdx.x; x < n * m.rows; x += (int)blockDim.x) {
        const int i = x / m.rows, r = x % m.rows;

        if (p.strip + r < j.e)
            gpu_copy_one(to + (int64_t)i * m.size + r,
                         view_at<R>(v, p.item.run.row, t + i, p.h) + (p.strip + r) * v.s[3]);
        else
            to[(int64_t)i * m.size + r] = 0;
    }
}

/* One number per token and head; g of shape [H] does not move with the token. */
template <typename R>
GPU_FN void stage_gate(R *to, const record &m, const scan_view &v, const place &p, int64_t t, int n)
{
    for (int i = (int)threadIdx.x; i < n && v.at; i += (int)blockDim.x)
        gpu_copy_one(to + (int64_t)i * m.size, (const R *)view_at<R>(v, p.item.run.row, t + i, p.h));
}

/* Starts copying tokens first ... first + n of the run; what: which of the record. */
template <typename R>
GPU_FN void stage(R *to, const scan_job &j, const record &m, const place &p, int64_t first, int n, unsigned what)
{
    const scan_view *const vector[VECTORS] = {&j.q, &j.k, &j.g, &j.u, &j.w};
    const int64_t t = p.item.run.begin + first;

    for (int i = 0; i < VECTORS; i++)
        if (m.at[i] >= 0 && (what & BIT(i)))
            stage_vectors(to + m.at[i], j, m, *vector[i], p, t, n);
    if (m.v >= 0 && (what & WITH_V))
        stage_rows(to + m.v, j, m, j.v, p, t, n);
    if (m.dy >= 0 && (what & WITH_DY))
        stage_rows(to + m.dy, j, m, j.dy, p, t, n);
    if (m.gate >= 0) {
        const int scan_m = j.scan == LOCI_SCAN_M;

        stage_gate(to + m.gate, m, scan_m ? j.alpha : j.g, p, t, n);
        if (scan_m) {
            stage_gate(to + m.gate + 1, m, j.eta, p, t, n);
            stage_gate(to + m.gate + 2, m, j.theta, p, t, n);
        }
    }
    gpu_copy_commit();
}

/* The two buffers. `half` is that of the tile that arrived last; the other may be filled. */
template <typename R> struct feed {
    R *room;
    int half;
};

template <typename R> GPU_FN R *buffer(const feed<R> &f, const record &m, int half)
{
    return f.room + (int64_t)half * m.tok * m.size;
}

template <typename R>
GPU_FN void stage_next(const feed<R> &f, const scan_job &j, const record &m, const place &p, int64_t first, int n,
                       unsigned what)
{
    stage(buffer(f, m, f.half ^ 1), j, m, p, first, n, what);
}

/* The tile that was staged is here, and nobody is in the one before. Decays of channels become factors. */
template <typename R> GPU_FN R *arrive(feed<R> &f, const scan_job &j, const record &m, int n)
{
    R *const tile = buffer(f, m, f.half ^= 1);

    gpu_copy_wait<0>();
    __syncthreads();
    if (m.at[VA] < 0)
        return tile;
    for (int x = (int)threadIdx.x; x < n * m.wide; x += (int)blockDim.x) {
        R *a = tile + (int64_t)(x / m.wide) * m.size + m.at[VA] + x % m.wide;

        *a = x % m.wide < j.d ? exp_of(*a) : 0;
    }
    __syncthreads();
    return tile;
}

/* This thread's columns of a vector. */
template <typename R, int LANES> GPU_FN void take(R to[COLS], const R *vector, const place &p)
{
    const int per = quad<R>::N;

    GPU_UNROLL
    for (int i = 0; i < COLS / per; i++) {
        const quad<R> x = *(const quad<R> *)(vector + column<LANES>(p, i * per));

        GPU_UNROLL
        for (int k = 0; k < per; k++)
            to[i * per + k] = x.x[k];
    }
}

/* The factor of a decay that is one number, or the columns' own. */
template <typename R, int LANES>
GPU_FN void take_decay(R a[COLS], const R *rec, const record &m, const scan_job &j, const place &p)
{
    if (m.at[VA] >= 0) {
        take<R, LANES>(a, rec + m.at[VA], p);
    } else {
        const R one = j.g.at ? exp_of(rec[m.gate]) : 1;

        GPU_UNROLL
        for (int c = 0; c < COLS; c++)
            a[c] = one;
    }
}

/* ---- states ----------------------------------------------------------------------------------------------------- */

template <typename R> struct piece {
    R x[ROWS][COLS];
};

/* Of a tensor [states, H, e, d]; zeros beyond, and where there is none. */
template <typename R, int LANES>
GPU_FN void get_state(piece<R> &to, const scan_job &j, const scan_view &v, const place &p)
{
    GPU_UNROLL
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < COLS; c++) {
            const int there = v.at && row_of(p, r) < j.e && column<LANES>(p, c) < j.d;

            to.x[r][c] = there ? view_at<R>(v, p.item.run.state, row_of(p, r), p.h)[column<LANES>(p, c) * v.s[3]] : 0;
        }
}

template <typename R, int LANES>
GPU_FN void put_state(const piece<R> &from, const scan_job &j, const scan_view &v, const place &p)
{
    GPU_UNROLL
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < COLS; c++)
            if (v.at && row_of(p, r) < j.e && column<LANES>(p, c) < j.d)
                view_at<R>(v, p.item.run.state, row_of(p, r), p.h)[column<LANES>(p, c) * v.s[3]] = from.x[r][c];
}

/* The same of room that kernels lay out themselves, [.., e, d]: there a state is a view of one row of states. */
GPU_FN scan_view kept(const scan_job &j, void *room, int bytes, int64_t slot, int64_t h, int n, int which)
{
    char *at = (char *)room + (((slot * j.H + h) * n + which) * j.e * j.d) * bytes;

    return scan_view{room ? at : (char *)0, {0, j.d, 0, 1}};
}

/* Sums over the columns of each row, in all lanes of the row. */
template <typename R, int LANES> GPU_FN void dots(R sum[ROWS], const piece<R> &a, const R b[COLS])
{
    GPU_UNROLL
    for (int r = 0; r < ROWS; r++) {
        R even = 0, odd = 0;

        GPU_UNROLL
        for (int c = 0; c < COLS; c += 2) {
            even += a.x[r][c] * b[c];
            odd += a.x[r][c + 1] * b[c + 1];
        }
        sum[r] = even + odd;
    }
    GPU_UNROLL
    for (int away = LANES / 2; away; away /= 2)
        for (int r = 0; r < ROWS; r++)
            sum[r] += lane_xor(sum[r], away);
}

/* ---- launches: RUN<type, recurrence, lanes of a row>::run ------------------------------------------------------- */

template <template <typename, int, int> class RUN, typename R, int KIND>
static int scan_width(void *stream, const scan_job &j)
{
    switch (scan_lanes(j.d)) {
    case 4:
        return RUN<R, KIND, 4>::run(stream, j);
    case 8:
        return RUN<R, KIND, 8>::run(stream, j);
    case 16:
        return RUN<R, KIND, 16>::run(stream, j);
    default:
        return RUN<R, KIND, 32>::run(stream, j);
    }
}

template <template <typename, int, int> class RUN, int KIND> static int scan_kind(void *stream, const scan_job &j)
{
    return j.bits == 32 ? scan_width<RUN, float, KIND>(stream, j) : scan_width<RUN, double, KIND>(stream, j);
}

/* The record of what `what` names, for a strip of `warps` warps; as many tokens to a tile, at most `most`, as `budget`
 * bytes hold, where a token takes two records and `beside` elements. */
static inline record record_of(const scan_job &j, unsigned what, int warps, int beside, int most, size_t budget)
{
    const int lanes = scan_lanes(j.d), size = j.bits / 8;
    record m = {{-1, -1, -1, -1, -1}, -1, -1, -1, 0, COLS * lanes, warps * (32 / lanes) * ROWS, most};

    for (int i = 0; i < VECTORS; i++)
        if (what & BIT(i)) {
            m.at[i] = m.size;
            m.size += m.wide;
        }
    if (what & WITH_V) {
        m.v = m.size;
        m.size += (m.rows + 3) & ~3;
    }
    if (what & WITH_DY) {
        m.dy = m.size;
        m.size += (m.rows + 3) & ~3;
    }
    if (what & WITH_GATES) {
        m.gate = m.size;
        m.size += 4;
    }
    while (m.tok > 1 && (size_t)m.tok * (size_t)(2 * m.size + beside) * (size_t)size > budget)
        m.tok /= 2;
    return m;
}

/* What a token brings to a recurrence. */
static inline unsigned brings(const scan_job &j)
{
    return (j.read ? BIT(VQ) : 0) | (j.write ? BIT(VK) | WITH_V | WITH_GATES : 0) |
           (j.scan == LOCI_SCAN_W ? BIT(VU) | BIT(VW) : 0) | (j.g_channel ? BIT(VA) : 0);
}

#endif

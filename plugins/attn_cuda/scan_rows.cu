/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/scan_rows: L, W and M, whose state is a matrix per head. The formulas are those of loci/scan.h; see
 * scan.h for who computes what. For a row r of the state and its columns x:
 *
 *   L   S' = a S + v k                                   y = S' q
 *   W   S' = a S + p w + v k,  p = S u                   y = S' q
 *   M   Z' = eta Z - theta e k,  e = sight A k - v       M' = (1 - alpha) M + Z'      y = M' q, or M q before the write
 *       A is M, or C in the frozen form; sight is 1, 1 - alpha (DECAYED) or 0 (NONE)
 *
 * A lane has columns lane, lane + 32, ...: C of them. q arrives with `scale` in it, theta with the loss scale.
 */
#include "number.h"
#include "scan.h"

#define SEG SCAN_SEG
#define WARPS SCAN_WARPS
#define READ 5 /* beside LOCI_SCAN_L, W and M: an M that is only read */

template <typename R> GPU_FN R *view_at(const scan_view &v, int64_t b, int64_t t, int64_t h)
{
    return (R *)v.at + b * v.s[0] + t * v.s[1] + h * v.s[2];
}

/* Where this warp stands; there: the row is one of the state's. */
struct place {
    loci_run run;
    int64_t slot, h, row;
    int lane, there;
};

/* This lane's columns of a vector, times `by`; 0 past d or where there is none. */
template <typename R, int C>
GPU_FN void get(R to[C], const scan_job &j, const scan_view &v, int64_t b, int64_t t, const place &p, R by = 1)
{
    const R *from = view_at<R>(v, b, t, p.h);

    for (int i = 0; i < C; i++)
        to[i] = v.at && p.there && p.lane + 32 * i < j.d ? by * from[(p.lane + 32 * i) * v.s[3]] : 0;
}

template <typename R, int C>
GPU_FN void put(const R from[C], const scan_job &j, const scan_view &v, int64_t b, int64_t t, const place &p)
{
    R *to = view_at<R>(v, b, t, p.h);

    for (int i = 0; i < C; i++)
        if (v.at && p.there && p.lane + 32 * i < j.d)
            to[(p.lane + 32 * i) * v.s[3]] = from[i];
}

/* The same of one row of room that kernels lay out themselves, d elements. */
template <typename R, int C> GPU_FN void keep_row(R *to, const R from[C], const scan_job &j, const place &p)
{
    for (int i = 0; i < C; i++)
        if (p.there && p.lane + 32 * i < j.d)
            to[p.lane + 32 * i] = from[i];
}

template <typename R, int C> GPU_FN void take_row(R to[C], const R *from, const scan_job &j, const place &p)
{
    for (int i = 0; i < C; i++)
        to[i] = p.there && p.lane + 32 * i < j.d ? from[p.lane + 32 * i] : 0;
}

template <typename R, int C> GPU_FN R dot(const R a[C], const R b[C])
{
    R sum = 0;

    for (int i = 0; i < C; i++)
        sum += a[i] * b[i];
    return warp_sum(sum);
}

/* What a token brings: the same for every row, but for v. */
template <typename R, int C> struct token {
    R q[C], k[C], a[C], u[C], w[C];
    R v, keep, eta, theta, sight;
    int starts; /* a chunk of the frozen form */
};

template <typename R> GPU_FN R gate(const scan_view &v, const place &p, int64_t t, R none)
{
    return v.at ? *view_at<R>(v, p.run.row, t, p.h) : none;
}

template <typename R, int KIND, int C>
GPU_FN void load_token(token<R, C> &x, const scan_job &j, const place &p, int64_t i)
{
    const int64_t b = p.run.row, t = p.run.begin + i;

    if (j.read)
        get<R, C>(x.q, j, j.q, b, t, p, (R)j.scale);
    if (KIND == READ)
        return;
    get<R, C>(x.k, j, j.k, b, t, p);
    x.v = p.there ? view_at<R>(j.v, b, t, p.h)[p.row * j.v.s[3]] : 0;
    if (KIND == LOCI_SCAN_M) {
        const R alpha = gate<R>(j.alpha, p, t, 0);

        x.keep = 1 - alpha;
        x.eta = gate<R>(j.eta, p, t, 0);
        x.theta = (R)j.c * gate<R>(j.theta, p, t, 1);
        x.sight = j.blind ? 0 : j.decayed ? 1 - alpha : 1;
        x.starts = j.frozen && (p.run.pos + i) % j.chunk == 0;
        return;
    }
    if (j.g_channel)
        get<R, C>(x.a, j, j.g, b, t, p);
    for (int c = 0; c < C; c++)
        x.a[c] = exp_of(j.g_channel ? x.a[c] : j.g_head ? ((const R *)j.g.at)[p.h * j.g.s[2]] : gate<R>(j.g, p, t, 0));
    if (KIND == LOCI_SCAN_W) {
        get<R, C>(x.u, j, j.u, b, t, p);
        get<R, C>(x.w, j, j.w, b, t, p);
    }
}

/* One row of the states: S of L and W; M, Z and C of M. */
template <typename R, int C> struct row {
    R s[3][C];
};

/* e of M; a memory that is not seen is not looked at. */
template <typename R, int C> GPU_FN R error_of(const row<R, C> &r, const token<R, C> &x, const scan_job &j)
{
    return j.blind ? -x.v : x.sight * dot<R, C>(j.frozen ? r.s[2] : r.s[0], x.k) - x.v;
}

/* The row after the token. */
template <typename R, int KIND, int C> GPU_FN void step(row<R, C> &r, const token<R, C> &x, const scan_job &j)
{
    if (KIND == LOCI_SCAN_L)
        for (int i = 0; i < C; i++)
            r.s[0][i] = x.a[i] * r.s[0][i] + x.v * x.k[i];
    if (KIND == LOCI_SCAN_W) {
        const R p = dot<R, C>(r.s[0], x.u);

        for (int i = 0; i < C; i++)
            r.s[0][i] = x.a[i] * r.s[0][i] + p * x.w[i] + x.v * x.k[i];
    }
    if (KIND == LOCI_SCAN_M) {
        R push;

        if (x.starts)
            for (int i = 0; i < C; i++)
                r.s[2][i] = r.s[0][i];
        push = x.theta * error_of<R, C>(r, x, j);
        for (int i = 0; i < C; i++) {
            r.s[1][i] = (j.eta.at ? x.eta * r.s[1][i] : 0) - push * x.k[i];
            r.s[0][i] = x.keep * r.s[0][i] + r.s[1][i];
        }
    }
}

template <typename R> GPU_FN R *checkpoint(const scan_job &j, const place &p, int64_t segment, int state)
{
    return (R *)j.checkpoint + ((((p.slot + segment - 1) * j.H + p.h) * j.n_ck + state) * j.e + p.row) * j.d;
}

/* ---- forward: a warp per row, which meets no other -------------------------------------------------------------- */

template <typename R, int KIND, int C> __global__ void forward_kernel(scan_job j)
{
    place p = {};
    row<R, C> r = {};
    token<R, C> x = {};

    p.run = j.items[blockIdx.x / j.H].run;
    p.slot = j.items[blockIdx.x / j.H].slot;
    p.h = blockIdx.x % j.H;
    p.row = (int64_t)blockIdx.y * WARPS + threadIdx.x / 32;
    p.lane = threadIdx.x % 32;
    p.there = p.row < j.e;
    for (int i = 0; i < j.n_state; i++)
        get<R, C>(r.s[i], j, j.in[i], p.run.state, p.row, p);
    for (int64_t i = 0; i < p.run.len; i++) {
        R y = 0;

        if (KIND != READ && j.save && i && i % SEG == 0 && p.there)
            for (int s = 0; s < j.n_ck; s++)
                keep_row<R, C>(checkpoint<R>(j, p, i / SEG, s), r.s[s], j, p);
        load_token<R, KIND, C>(x, j, p, i);
        if (j.read && (KIND == READ || j.before))
            y = dot<R, C>(r.s[0], x.q);
        step<R, KIND, C>(r, x, j);
        if (j.read && KIND != READ && !j.before)
            y = dot<R, C>(r.s[0], x.q);
        if (j.read && p.there && p.lane == 0)
            view_at<R>(j.y, p.run.row, p.run.begin + i, p.h)[p.row * j.y.s[3]] = y;
    }
    for (int i = 0; i < j.n_state; i++)
        put<R, C>(r.s[i], j, j.out[i], p.run.state, p.row, p);
}

/* ---- backward: a block per item, WARPS rows at a time ----------------------------------------------------------- */

/* What rows share: each warp's part of the gradients of a token, then their sum over warps. */
enum { DQ, DK, DA, DU, DW, VECTORS };
enum { DALPHA, DETA, DTHETA, SCALARS };

template <typename R> struct shared_part {
    R *vector; /* [WARPS][VECTORS][d] */
    R *scalar; /* [WARPS][SCALARS]    */
};

template <typename R, int C>
GPU_FN void share(const shared_part<R> &s, int which, const R v[C], const scan_job &j, const place &p)
{
    R *to = s.vector + ((int64_t)(threadIdx.x / 32) * VECTORS + which) * j.d;

    for (int i = 0; i < C; i++)
        if (p.lane + 32 * i < j.d)
            to[p.lane + 32 * i] = p.there ? v[i] : 0;
}

/* Column x of the sum over warps. */
template <typename R> GPU_FN R sum_of(const shared_part<R> &s, int which, const scan_job &j, int64_t x)
{
    R sum = 0;

    for (int w = 0; w < WARPS; w++)
        sum += s.vector[((int64_t)w * VECTORS + which) * j.d + x];
    return sum;
}

template <typename R>
GPU_FN void add_vector(const shared_part<R> &s, int which, const scan_job &j, const scan_view &to, const place &p,
                       int64_t t, R by)
{
    for (int64_t x = threadIdx.x; to.at && x < j.d; x += WARPS * 32)
        view_at<R>(to, p.run.row, t, p.h)[x * to.s[3]] += by * sum_of(s, which, j, x);
}

/* The gradients of token i, from all warps, to where they belong; *head gathers that of a g of shape [H]. */
template <typename R, int KIND, int C>
GPU_FN void add_shared(const shared_part<R> &s, const scan_job &j, const place &p, const token<R, C> &x, int64_t i,
                       R *head)
{
    const int64_t t = p.run.begin + i;

    if (j.read)
        add_vector<R>(s, DQ, j, j.dq, p, t, (R)j.scale);
    if (KIND == READ)
        return;
    add_vector<R>(s, DK, j, j.dk, p, t, 1);
    if (KIND == LOCI_SCAN_W) {
        add_vector<R>(s, DU, j, j.du, p, t, 1);
        add_vector<R>(s, DW, j, j.dw, p, t, 1);
    }
    if (KIND == LOCI_SCAN_M && threadIdx.x < SCALARS) {
        const scan_view &to = threadIdx.x == DALPHA ? j.dalpha : threadIdx.x == DETA ? j.deta : j.dtheta;
        R sum = 0;

        for (int w = 0; w < WARPS; w++)
            sum += s.scalar[w * SCALARS + threadIdx.x];
        if (to.at)
            *view_at<R>(to, p.run.row, t, p.h) += threadIdx.x == DTHETA ? (R)j.c * sum : sum;
    }
    if (KIND == LOCI_SCAN_M || !j.dg.at || threadIdx.x / 32 > 0)
        return;
    R all = 0; /* d g is d a times a: the first warp's, which has a for all columns */
    for (int c = 0; c < C; c++) {
        const int64_t column = p.lane + 32 * c;
        const R one = column < j.d ? x.a[c] * sum_of(s, DA, j, column) : 0;

        if (j.g_channel && column < j.d)
            view_at<R>(j.dg, p.run.row, t, p.h)[column * j.dg.s[3]] += one;
        all += one;
    }
    if (j.g_channel)
        return;
    all = warp_sum(all);
    if (j.g_head)
        *head += all;
    else if (p.lane == 0)
        *view_at<R>(j.dg, p.run.row, t, p.h) += all;
}

/* From the gradient g of the row after token i to that before it; r and after: the row before and after the token. */
template <typename R, int KIND, int C>
GPU_FN void step_back(row<R, C> &g, const row<R, C> &r, const row<R, C> &after, const token<R, C> &x,
                      const scan_job &j, const place &p, const shared_part<R> &s, int64_t i)
{
    const int64_t t = p.run.begin + i;
    R part[C], *dv = KIND != READ && j.dv.at && p.there && p.lane == 0
                         ? view_at<R>(j.dv, p.run.row, t, p.h) + p.row * j.dv.s[3]
                         : NULL;
    const R dy = j.read && p.there ? view_at<R>(j.dy, p.run.row, t, p.h)[p.row * j.dy.s[3]] : 0;

    if (j.read) {
        for (int c = 0; c < C; c++) {
            if (KIND == READ || !j.before)
                g.s[0][c] += dy * x.q[c];
            part[c] = dy * (KIND == READ || j.before ? r : after).s[0][c];
        }
        share<R, C>(s, DQ, part, j, p);
    }
    if (KIND == LOCI_SCAN_L || KIND == LOCI_SCAN_W) {
        const R gk = dot<R, C>(g.s[0], x.k);

        if (dv)
            *dv += gk;
        for (int c = 0; c < C; c++)
            part[c] = x.v * g.s[0][c];
        share<R, C>(s, DK, part, j, p);
        for (int c = 0; c < C; c++)
            part[c] = g.s[0][c] * r.s[0][c];
        share<R, C>(s, DA, part, j, p);
    }
    if (KIND == LOCI_SCAN_L)
        for (int c = 0; c < C; c++)
            g.s[0][c] *= x.a[c];
    if (KIND == LOCI_SCAN_W) {
        const R su = dot<R, C>(r.s[0], x.u), dp = dot<R, C>(g.s[0], x.w);

        for (int c = 0; c < C; c++)
            part[c] = su * g.s[0][c];
        share<R, C>(s, DW, part, j, p);
        for (int c = 0; c < C; c++) {
            part[c] = dp * r.s[0][c];
            g.s[0][c] = x.a[c] * g.s[0][c] + dp * x.u[c];
        }
        share<R, C>(s, DU, part, j, p);
    }
    if (KIND == LOCI_SCAN_M) {
        const R(&seen)[C] = j.frozen && !x.starts ? r.s[2] : r.s[0];
        const R look = j.blind ? 0 : dot<R, C>(seen, x.k), err = j.blind ? -x.v : x.sight * look - x.v;
        const R push = x.theta * err;
        R gk, de, dalpha, deta;

        for (int c = 0; c < C; c++)
            g.s[1][c] += g.s[0][c];
        gk = dot<R, C>(g.s[1], x.k);
        de = -x.theta * gk * x.sight;
        dalpha = -dot<R, C>(g.s[0], r.s[0]) + (j.decayed ? x.theta * gk * look : 0);
        deta = dot<R, C>(g.s[1], r.s[1]);
        if (dv)
            *dv += x.theta * gk;
        if (p.lane == 0) {
            R *scalar = s.scalar + threadIdx.x / 32 * SCALARS;

            scalar[DALPHA] = p.there ? dalpha : 0;
            scalar[DETA] = p.there ? deta : 0;
            scalar[DTHETA] = p.there ? -err * gk : 0;
        }
        for (int c = 0; c < C; c++) {
            part[c] = (j.blind ? 0 : de * seen[c]) - push * g.s[1][c];
            g.s[0][c] = x.keep * g.s[0][c] + (j.frozen ? 0 : de * x.k[c]);
            g.s[1][c] *= x.eta;
            if (j.frozen)
                g.s[2][c] += de * x.k[c];
            if (j.read && j.before)
                g.s[0][c] += dy * x.q[c];
            if (x.starts) {
                g.s[0][c] += g.s[2][c];
                g.s[2][c] = 0;
            }
        }
        share<R, C>(s, DK, part, j, p);
    }
}

/* The row before token i of the segment, as replayed. */
template <typename R> GPU_FN R *replayed(const scan_job &j, int64_t i, int state)
{
    const int64_t warp = threadIdx.x / 32;

    return (R *)j.replay + ((((int64_t)blockIdx.x * (SEG + 1) + i) * j.n_ck + state) * WARPS + warp) * j.d;
}

template <typename R, int KIND, int C>
GPU_FN void segment_back(row<R, C> &g, const scan_job &j, const place &p, const shared_part<R> &s, int64_t segment,
                         R *head)
{
    const int64_t first = segment * SEG, n = p.run.len - first < SEG ? p.run.len - first : SEG;
    row<R, C> r = {}, after;
    token<R, C> x = {};

    for (int i = 0; i < j.n_ck; i++)
        if (segment == 0 || KIND == READ)
            get<R, C>(r.s[i], j, j.in[i], p.run.state, p.row, p);
        else
            take_row<R, C>(r.s[i], checkpoint<R>(j, p, segment, i), j, p);
    for (int64_t i = 0; i < n && KIND != READ; i++) {
        for (int k = 0; k < j.n_ck; k++)
            keep_row<R, C>(replayed<R>(j, i, k), r.s[k], j, p);
        load_token<R, KIND, C>(x, j, p, first + i);
        step<R, KIND, C>(r, x, j);
    }
    after = r;
    for (int64_t i = n - 1; i >= 0; i--) {
        for (int k = 0; k < j.n_ck && KIND != READ; k++)
            take_row<R, C>(r.s[k], replayed<R>(j, i, k), j, p);
        load_token<R, KIND, C>(x, j, p, first + i);
        step_back<R, KIND, C>(g, r, after, x, j, p, s, first + i);
        after = r;
        __syncthreads();
        add_shared<R, KIND, C>(s, j, p, x, first + i, head);
        __syncthreads();
    }
}

template <typename R, int KIND, int C> __global__ void backward_kernel(scan_job j)
{
    GPU_SHARED(shared);
    const shared_part<R> s = {(R *)shared, (R *)shared + (int64_t)WARPS * VECTORS * j.d};
    place p = {};
    R head = 0;

    p.run = j.items[blockIdx.x / j.H].run;
    p.slot = j.items[blockIdx.x / j.H].slot;
    p.h = blockIdx.x % j.H;
    p.lane = threadIdx.x % 32;
    for (int64_t first = 0; first < j.e; first += WARPS) {
        row<R, C> g = {};

        p.row = first + threadIdx.x / 32;
        p.there = p.row < j.e;
        for (int i = 0; i < j.n_state; i++)
            get<R, C>(g.s[i], j, j.grad[i], p.run.state, p.row, p);
        for (int64_t segment = (p.run.len + SEG - 1) / SEG - 1; segment >= 0; segment--)
            segment_back<R, KIND, C>(g, j, p, s, segment, &head);
        for (int i = 0; i < j.n_state; i++)
            put<R, C>(g.s[i], j, j.grad[i], p.run.state, p.row, p);
    }
    if (j.part && threadIdx.x == 0)
        ((R *)j.part)[blockIdx.x] = head;
}

/* dg [H] += the parts of the runs, in order. */
template <typename R> __global__ void head_kernel(scan_job j)
{
    for (int64_t h = thread_number(); h < j.H; h += thread_count())
        for (int64_t i = 0; i < j.n_runs; i++)
            ((R *)j.dg.at)[h * j.dg.s[2]] += ((const R *)j.part)[i * j.H + h];
}

/* ---- launches --------------------------------------------------------------------------------------------------- */

template <typename R, int KIND, int C> static int run_kind(void *stream, const scan_job &j)
{
    const unsigned items = (unsigned)(j.n_runs * j.H);
    const dim3 rows(items, (unsigned)((j.e + WARPS - 1) / WARPS));
    int e;

    if (!j.back)
        return gpu_launch(forward_kernel<R, KIND, C>, rows, WARPS * 32, 0, stream, j);
    e = gpu_launch(backward_kernel<R, KIND, C>, items, WARPS * 32,
                   (size_t)(WARPS * (VECTORS * j.d + SCALARS)) * sizeof(R), stream, j);
    if (!e && j.part)
        e = gpu_launch(head_kernel<R>, blocks_for(j.H, 256), 256, 0, stream, j);
    return e;
}

template <typename R, int KIND> static int run_width(void *stream, const scan_job &j)
{
    if (j.d <= 32)
        return run_kind<R, KIND, 1>(stream, j);
    if (j.d <= 64)
        return run_kind<R, KIND, 2>(stream, j);
    return j.d <= 128 ? run_kind<R, KIND, 4>(stream, j) : run_kind<R, KIND, 8>(stream, j);
}

template <typename R> static int run_scan(void *stream, const scan_job &j)
{
    if (j.scan == LOCI_SCAN_L)
        return run_width<R, LOCI_SCAN_L>(stream, j);
    if (j.scan == LOCI_SCAN_W)
        return run_width<R, LOCI_SCAN_W>(stream, j);
    return j.write ? run_width<R, LOCI_SCAN_M>(stream, j) : run_width<R, READ>(stream, j);
}

int cuda_scan_rows(void *stream, const scan_job *j)
{
    return j->bits == 32 ? run_scan<float>(stream, *j) : run_scan<double>(stream, *j);
}

const char *cuda_scan_error(int e)
{
    return gpu_error(e);
}

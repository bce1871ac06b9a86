/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/unit/test_scan.h: a call of loci.scan/1 on tensors of doubles, in either element type.
 *
 * Every call gets exactly the scratch and saved bytes that the plan asks for, filled with NaN, with guard bytes behind
 * them; y and the final states start as a sentinel, so that a row that must not be written can be told.
 */
#ifndef LOCI_TESTS_SCAN_H
#define LOCI_TESTS_SCAN_H

#include "core/device/scan.h"
#include "tests/ck.h"
#include "tests/unit/host.h"

/* The table under test: the device's, or the one that a program is built for (scan_wide.c). */
#ifdef CK_SCAN_TABLE
const loci_scan *CK_SCAN_TABLE(void);
#define CK_SCAN(h) CK_SCAN_TABLE()
#else
#define CK_SCAN(h) \
    ((const loci_scan *)(h)->host.get_ext(&(h)->host, (loci_device){LOCI_CPU, 0}, LOCI_EXT_SCAN))
#endif

enum { Q, K, V, G, U, W, AL, ET, TH, M0, Z0, C0, INPUTS };
#define SENTINEL 77.0
#define GUARD 64

typedef struct prob {
    int scan, op, mode, chunk, order, error;
    int gform; /* 0: no g, 1: [H], 2: [B,T,H], 3: [B,T,H,d] */
    bool bare; /* no alpha, eta, theta                       */
    bool inplace, empty_z;
    int64_t B, T, H, d, e, states, phase_unit;
    double scale, c;
    loci_run runs[16];
    uint32_t n_runs;
    int64_t n[INPUTS], n_y;
    double *x[INPUTS], *dx[INPUTS]; /* values and gradients; NULL: not of this recurrence */
    double *y, *dy, *out[3], *dout[3];
    loci_need need;
} prob;

static loci_error ck_err = LOCI_ERROR_INIT;

static inline double *numbers(int64_t n, double size)
{
    double *a = (double *)calloc((size_t)n + 1, sizeof *a);

    for (int64_t i = 0; i < n && size > 0; i++)
        a[i] = size * ck_norm();
    return a;
}

/* Sizes and options are set; make the tensors: unit-scale keys, decays and gates inside their ranges. */
static inline void prob_fill(prob *p)
{
    const int64_t bth = p->B * p->T * p->H, D = p->scan == LOCI_SCAN_D;
    const int64_t g[4] = {0, p->H, bth, bth * p->d}, s = p->states * (D ? p->d : p->H * p->d * p->e);
    const bool m = p->scan == LOCI_SCAN_M;

    p->n[Q] = p->n[K] = D ? 0 : bth * p->d;
    p->n[V] = bth * (D ? p->d : p->e);
    p->n[U] = p->n[W] = p->scan == LOCI_SCAN_W ? bth * p->d : 0;
    p->n[G] = m ? 0 : g[D && p->gform ? 3 : p->gform];
    p->n[AL] = p->n[ET] = p->n[TH] = m && !p->bare ? bth : 0;
    p->n[M0] = s;
    p->n[Z0] = m ? s : 0;
    p->n[C0] = m && p->mode == LOCI_SCAN_FROZEN && p->error != LOCI_SCAN_ERROR_NONE ? s : 0;
    p->n_y = p->n[V];
    if (p->op == LOCI_OP_WRITE)
        p->n[Q] = 0;
    if (p->op == LOCI_OP_READ)
        p->n[K] = p->n[V] = p->n[AL] = p->n[ET] = p->n[TH] = 0;
    for (int i = 0; i < INPUTS; i++) {
        const double size = i == U || i == W ? 0.7 / sqrt((double)p->d) : i == K || i == Q ? 1 / sqrt((double)p->d) : 1;

        p->x[i] = p->n[i] ? numbers(p->n[i], size) : NULL;
        p->dx[i] = p->n[i] ? numbers(p->n[i], 0) : NULL;
        for (int64_t j = 0; j < p->n[i]; j++)
            if (i == G)
                p->x[i][j] = -0.05 - 0.5 * ck_rand();
            else if (i == AL)
                p->x[i][j] = 0.3 * ck_rand();
            else if (i == ET || i == TH)
                p->x[i][j] = 0.1 + 0.7 * ck_rand();
    }
    p->y = numbers(p->n_y, 0);
    p->dy = numbers(p->n_y, 1);
    for (int i = 0; i < 3; i++) {
        p->out[i] = numbers(p->n[M0 + i], 0);
        p->dout[i] = numbers(p->n[M0 + i], 1);
    }
}

static inline prob prob_new(int scan, int64_t B, int64_t T, int64_t H, int64_t d, int64_t e)
{
    prob p = {.scan = scan, .op = LOCI_OP_STEP, .chunk = 1, .B = B, .T = T, .d = d, .e = e, .states = B};

    p.H = scan == LOCI_SCAN_D ? 1 : H;
    p.scale = 1;
    p.c = 1;
    p.gform = 3;
    for (int64_t b = 0; b < B; b++)
        p.runs[p.n_runs++] = (loci_run){(int32_t)b, 0, (int32_t)T, (int32_t)b, 0, (uint64_t)b};
    return p;
}

/* Every recurrence in every mode, and M with every error. */
static const struct form {
    int scan, mode, error;
} forms[] = {
    {LOCI_SCAN_L, LOCI_SCAN_SEQUENTIAL, 0},
    {LOCI_SCAN_D, LOCI_SCAN_SEQUENTIAL, 0},
    {LOCI_SCAN_W, LOCI_SCAN_SEQUENTIAL, 0},
    {LOCI_SCAN_M, LOCI_SCAN_SEQUENTIAL, LOCI_SCAN_ERROR_UNDECAYED},
    {LOCI_SCAN_M, LOCI_SCAN_EXACT, LOCI_SCAN_ERROR_UNDECAYED},
    {LOCI_SCAN_M, LOCI_SCAN_FROZEN, LOCI_SCAN_ERROR_UNDECAYED},
    {LOCI_SCAN_M, LOCI_SCAN_SEQUENTIAL, LOCI_SCAN_ERROR_DECAYED},
    {LOCI_SCAN_M, LOCI_SCAN_EXACT, LOCI_SCAN_ERROR_DECAYED},
    {LOCI_SCAN_M, LOCI_SCAN_FROZEN, LOCI_SCAN_ERROR_DECAYED},
    {LOCI_SCAN_M, LOCI_SCAN_SEQUENTIAL, LOCI_SCAN_ERROR_NONE},
    {LOCI_SCAN_M, LOCI_SCAN_EXACT, LOCI_SCAN_ERROR_NONE},
    {LOCI_SCAN_M, LOCI_SCAN_FROZEN, LOCI_SCAN_ERROR_NONE},
};
#define N_FORMS (int)(sizeof forms / sizeof *forms)

static inline prob prob_form(int form, int chunk, int64_t B, int64_t T, int64_t H, int64_t d, int64_t e)
{
    prob p = prob_new(forms[form].scan, B, T, H, d, e);

    p.mode = forms[form].mode;
    p.error = forms[form].error;
    p.chunk = chunk;
    return p;
}

static inline void prob_free(prob *p)
{
    for (int i = 0; i < INPUTS; i++) {
        free(p->x[i]);
        free(p->dx[i]);
    }
    for (int i = 0; i < 3; i++) {
        free(p->out[i]);
        free(p->dout[i]);
    }
    free(p->y);
    free(p->dy);
}

/* Tokens outside all runs are padding; their dy is zero, as a host has it. */
static inline bool in_run(const prob *p, int64_t b, int64_t t)
{
    for (uint32_t i = 0; i < p->n_runs; i++)
        if (p->runs[i].row == b && t >= p->runs[i].begin && t < p->runs[i].begin + p->runs[i].len)
            return true;
    return false;
}

/* ---- one tensor ---- */

typedef struct box {
    loci_tensor t;
    int64_t shape[4], strides[4];
} box;

static int box_pad; /* elements between the rows of every tensor made from now on; they hold the sentinel */

static inline void box_put(const box *b, int64_t i, double value)
{
    if (b->t.dtype.bits == 64)
        ((double *)b->t.data)[i] = value;
    else
        ((float *)b->t.data)[i] = (float)value;
}

static inline double box_at(const box *b, int64_t i)
{
    return b->t.dtype.bits == 64 ? ((double *)b->t.data)[i] : (double)((float *)b->t.data)[i];
}

static inline void box_make(box *b, const double *from, int64_t n, int rank, const int64_t *shape, int bits)
{
    const int64_t row = shape[rank - 1], wide = row + (rank > 1 ? box_pad : 0);
    int64_t step = 1;

    memset(b, 0, sizeof *b);
    b->t = (loci_tensor){.device = {LOCI_CPU, 0}, .ndim = rank, .dtype = {LOCI_FLOAT, (uint8_t)bits, 1}};
    b->t.shape = b->shape;
    b->t.strides = b->strides;
    for (int i = rank - 1; i >= 0; i--) {
        b->shape[i] = shape[i];
        b->strides[i] = step;
        step *= i == rank - 1 ? wide : shape[i];
    }
    if (!from)
        return;
    b->t.data = malloc((size_t)(n / row * wide) * (size_t)bits / 8 + 1);
    for (int64_t i = 0; i < n / row * wide; i++)
        box_put(b, i, i % wide < row ? from[i / wide * row + i % wide] : SENTINEL);
}

/* The elements, and whether what lies between the rows is untouched. */
static inline bool box_get(const box *b, double *to, int64_t n)
{
    const int64_t row = b->t.shape[b->t.ndim - 1], wide = b->t.ndim > 1 ? b->t.strides[b->t.ndim - 2] : row;
    bool clean = true;

    for (int64_t i = 0; b->t.data && i < n / row * wide; i++)
        if (i % wide < row)
            to[i / wide * row + i % wide] = box_at(b, i);
        else
            clean = clean && box_at(b, i) == SENTINEL;
    return clean;
}

static inline void *arena(uint64_t bytes)
{
    char *p = (char *)aligned_alloc(64, (size_t)((bytes + GUARD + 63) & ~UINT64_C(63)));

    memset(p, 0xff, (size_t)bytes); /* NaN in either type */
    memset(p + bytes, 0x5a, GUARD);
    return p;
}

static inline bool guarded(const void *p, uint64_t bytes)
{
    for (int i = 0; i < GUARD; i++)
        if (((const char *)p)[bytes + (uint64_t)i] != 0x5a)
            return false;
    return true;
}

static inline loci_shape prob_shape(const prob *p, int bits, uint64_t flags)
{
    const loci_dtype type = {LOCI_FLOAT, (uint8_t)bits, 1};

    return (loci_shape){.struct_size = sizeof(loci_shape),
                        .flags = flags,
                        .rows = p->B,
                        .seq = p->T,
                        .runs = p->n_runs,
                        .states = p->states,
                        .heads = p->H,
                        .dk = p->d,
                        .dv = p->e,
                        .dtype = type,
                        .acc = type,
                        .device = {LOCI_CPU, 0}};
}

/* A forward, and with `back` its backward too: y, out; dx. Gradients start from 0. */
static inline loci_status prob_run(struct ck_host *h, prob *p, int bits, bool back)
{
    static const double nothing;
    const loci_scan *scan = CK_SCAN(h);
    const bool D = p->scan == LOCI_SCAN_D;
    const int64_t bthd[4] = {p->B, p->T, p->H, p->d}, bthe[4] = {p->B, p->T, p->H, p->e}, btn[3] = {p->B, p->T, p->d};
    const int64_t state[4] = {p->states, p->H, p->e, p->d}, row[2] = {p->states, p->d}, one[1] = {p->H};
    const loci_batch batch = {sizeof batch, p->n_runs, p->runs, NULL};
    const loci_shape shape = prob_shape(p, bits, back ? LOCI_X_SAVE : 0);
    double *zeros;
    int64_t most = 0;
    bool clean = true;
    const loci_tensor *in[INPUTS];
    loci_tensor *grad[INPUTS], s_in[3], s_out[3], s_grad[3];
    box x[INPUTS], dx[INPUTS], y, dy, out[3], dout[3];
    loci_exec exec = ck_exec(h);
    loci_scan_io io = {.struct_size = sizeof io, .scan = p->scan, .op = p->op, .mode = p->mode, .chunk = p->chunk};
    loci_status status;

    for (int i = 0; i < INPUTS; i++)
        most = p->n[i] > most ? p->n[i] : most;
    zeros = numbers(most, 0);
    for (int i = 0; i < INPUTS; i++) {
        const int64_t *sh = i == V ? bthe : i >= M0 ? state : bthd;
        int rank = i == AL || i == ET || i == TH ? 3 : 4;

        if (i == G)
            rank = D ? 3 : p->gform == 1 ? 1 : p->gform == 2 ? 3 : 4;
        if (i == G && rank == 1)
            sh = one;
        if (D && i < M0) {
            sh = btn;
            rank = 3;
        } else if (D) {
            sh = row;
            rank = 2;
        }
        box_make(&x[i], p->x[i], p->n[i], rank, sh, bits);
        box_make(&dx[i], p->x[i] ? zeros : NULL, p->n[i], rank, sh, bits);
        in[i] = p->x[i] ? &x[i].t : NULL;
        grad[i] = p->x[i] ? &dx[i].t : NULL;
        if (i >= M0) {
            for (int64_t j = 0; j < p->n[i]; j++)
                p->out[i - M0][j] = SENTINEL;
            box_make(&out[i - M0], p->inplace ? p->x[i] : p->out[i - M0], p->n[i], rank, sh, bits);
            box_make(&dout[i - M0], p->dout[i - M0], p->n[i], rank, sh, bits);
            s_in[i - M0] = p->inplace ? out[i - M0].t : x[i].t;
            s_out[i - M0] = out[i - M0].t;
            s_grad[i - M0] = dout[i - M0].t;
            if (p->empty_z && i == Z0)
                s_in[1].data = s_out[1].data = s_grad[1].data = NULL;
        }
    }
    for (int64_t i = 0; i < p->n_y; i++)
        p->y[i] = SENTINEL;
    for (int64_t b = 0; b < p->B; b++)
        for (int64_t t = 0; t < p->T; t++)
            for (int64_t j = 0; j < p->n_y / (p->B * p->T); j++)
                if (!in_run(p, b, t))
                    p->dy[(b * p->T + t) * (p->n_y / (p->B * p->T)) + j] = 0;
    box_make(&y, p->n_y ? p->y : &nothing, p->n_y, D ? 3 : 4, D ? btn : bthe, bits);
    box_make(&dy, p->n_y ? p->dy : &nothing, p->n_y, D ? 3 : 4, D ? btn : bthe, bits);

    io.read_order = p->order;
    io.error = p->error;
    io.scale = p->scale;
    io.loss_scale = p->c;
    io.batch = &batch;
    io.q = in[Q], io.k = in[K], io.v = in[V], io.g = in[G], io.u = in[U], io.w = in[W];
    io.alpha = in[AL], io.eta = in[ET], io.theta = in[TH];
    io.y = p->op == LOCI_OP_WRITE ? NULL : &y.t;
    io.dy = p->op == LOCI_OP_WRITE ? NULL : &dy.t;
    io.state_in = s_in, io.state_out = s_out, io.state_grad = s_grad;
    io.dq = grad[Q], io.dk = grad[K], io.dv = grad[V], io.dg = grad[G], io.du = grad[U], io.dw = grad[W];
    io.dalpha = grad[AL], io.deta = grad[ET], io.dtheta = grad[TH];

    p->need = (loci_need){.struct_size = sizeof(loci_need)};
    ck_err = (loci_error)LOCI_ERROR_INIT;
    status = scan->plan(&io, &shape, &p->need, &ck_err);
    exec.scratch_bytes = p->need.scratch;
    exec.saved_bytes = p->need.saved;
    exec.scratch = arena(p->need.scratch);
    exec.saved = arena(p->need.saved);
    exec.flags = back ? LOCI_X_SAVE : p->inplace ? LOCI_X_STATE_INPLACE : 0;
    if (status == LOCI_OK)
        status = scan->forward(&exec, &io, &ck_err);
    clean = clean && box_get(&y, p->y, p->n_y);
    for (int i = 0; i < 3; i++)
        clean = clean && box_get(&out[i], p->out[i], p->n[M0 + i]);
    CK_TRUE(guarded(exec.scratch, p->need.scratch) && guarded(exec.saved, p->need.saved), "forward: guard bytes");
    if (back && status == LOCI_OK) {
        memset(exec.scratch, 0xff, (size_t)p->need.scratch);
        status = scan->backward(&exec, &io, &ck_err);
        for (int i = 0; i < M0; i++)
            clean = clean && box_get(&dx[i], p->dx[i], p->n[i]);
        for (int i = M0; i < INPUTS; i++)
            clean = clean && box_get(&dout[i - M0], p->dx[i], p->n[i]);
        CK_TRUE(guarded(exec.scratch, p->need.scratch) && guarded(exec.saved, p->need.saved), "backward: guard bytes");
    }
    CK_TRUE(clean, "something was written between the rows of a tensor");
    free(zeros);
    free(exec.scratch);
    free(exec.saved);
    for (int i = 0; i < INPUTS; i++) {
        free(x[i].t.data);
        free(dx[i].t.data);
    }
    for (int i = 0; i < 3; i++) {
        free(out[i].t.data);
        free(dout[i].t.data);
    }
    free(y.t.data);
    free(dy.t.data);
    return status;
}

/* ---- the formulas of loci/scan.h, read aloud: one run and head, plain loops ---- */

static inline void naive(const prob *p, double *y, double *const out[3])
{
    for (int i = 0; i < 3; i++)
        for (int64_t j = 0; j < p->n[M0 + i]; j++)
            out[i][j] = SENTINEL;
    for (int64_t i = 0; i < p->n_y; i++)
        y[i] = SENTINEL;
    for (int64_t item = 0; item < (int64_t)p->n_runs * p->H; item++) {
        const loci_run *r = &p->runs[item / p->H];
        const int64_t h = item % p->H, ed = p->scan == LOCI_SCAN_D ? p->d : p->e * p->d, d = p->d, e = p->e;
        double *S[3] = {0};

        for (int i = 0; i < 3 && p->n[M0 + i]; i++) {
            S[i] = out[i] + (r->state * p->H + h) * ed;
            memcpy(S[i], p->x[M0 + i] + (r->state * p->H + h) * ed, (size_t)ed * sizeof(double));
        }
        for (int64_t i = 0; i < r->len; i++) {
            const int64_t o = (r->row * p->T + r->begin + i) * p->H + h;
            const double *q = p->x[Q] ? p->x[Q] + o * d : NULL, *k = p->x[K] ? p->x[K] + o * d : NULL;

            if (p->scan == LOCI_SCAN_D) {
                for (int64_t x = 0; x < d; x++)
                    y[o * d + x] = S[0][x] = (p->x[G] ? exp(p->x[G][o * d + x]) : 1) * S[0][x] + p->x[V][o * d + x];
                continue;
            }
            if (p->scan == LOCI_SCAN_M) {
                const double al = p->x[AL] ? p->x[AL][o] : 0, et = p->x[ET] ? p->x[ET][o] : 0,
                             th = p->c * (p->x[TH] ? p->x[TH][o] : 1);
                const double *seen;

                const double sight = p->error == LOCI_SCAN_ERROR_NONE      ? 0
                                     : p->error == LOCI_SCAN_ERROR_DECAYED ? 1 - al
                                                                           : 1;

                if (S[2] && p->op != LOCI_OP_READ && (r->pos + i) % p->chunk == 0)
                    memcpy(S[2], S[0], (size_t)ed * sizeof(double));
                seen = S[2] ? S[2] : S[0];
                for (int64_t a = 0; a < e; a++) {
                    double err = p->op == LOCI_OP_READ ? 0 : -p->x[V][o * e + a], out_before = 0, out_after = 0;

                    for (int64_t x = 0; x < d; x++) {
                        err += k ? sight * seen[a * d + x] * k[x] : 0;
                        out_before += q ? S[0][a * d + x] * q[x] : 0;
                    }
                    for (int64_t x = 0; x < d && k; x++) {
                        S[1][a * d + x] = et * S[1][a * d + x] - th * err * k[x];
                        S[0][a * d + x] = (1 - al) * S[0][a * d + x] + S[1][a * d + x];
                    }
                    for (int64_t x = 0; x < d && q; x++)
                        out_after += S[0][a * d + x] * q[x];
                    if (q)
                        y[o * e + a] = p->scale * (p->order == LOCI_SCAN_BEFORE_WRITE ? out_before : out_after);
                }
                continue;
            }
            for (int64_t a = 0; a < e; a++) {
                double su = 0, sum = 0;

                for (int64_t x = 0; x < d && p->x[U]; x++)
                    su += S[0][a * d + x] * p->x[U][o * d + x];
                for (int64_t x = 0; x < d; x++) {
                    const double g = !p->x[G]        ? 0
                                     : p->gform == 1 ? p->x[G][h]
                                     : p->gform == 2 ? p->x[G][o]
                                                     : p->x[G][o * d + x];

                    S[0][a * d + x] =
                        exp(g) * S[0][a * d + x] + (p->x[W] ? su * p->x[W][o * d + x] : 0) + p->x[V][o * e + a] * k[x];
                    sum += p->scale * S[0][a * d + x] * q[x];
                }
                y[o * e + a] = sum;
            }
        }
    }
}

/* ---- what the programs share ---- */

static inline void close_home(void);

/* The host of all tests but those that count threads or change instructions. */
static inline struct ck_host *home(void)
{
    static struct ck_host host;

    if (!host.dev) {
        if (ck_host_open(&host, 2, &ck_err) != LOCI_OK) {
            printf("%s\n", ck_err.msg);
            exit(1);
        }
        atexit(close_home);
    }
    return &host;
}

static inline void close_home(void)
{
    ck_host_close(home());
}

/* The larger of two errors. NaN is the largest: what nobody wrote holds it, and fmax would pass it over. */
static inline double larger(double a, double b)
{
    return isnan(a) || a > b ? a : b;
}

/* Relative RMS of a's distance from b. */
static inline double apart(const double *a, const double *b, int64_t n)
{
    return n ? ck_rms(a, b, (size_t)n) : 0;
}

/* The copy shares inputs and cotangents; results are its own. */
static inline prob twin(const prob *p)
{
    prob q = *p;

    for (int i = 0; i < INPUTS; i++)
        q.dx[i] = numbers(p->n[i], 0);
    for (int i = 0; i < 3; i++)
        q.out[i] = numbers(p->n[M0 + i], 0);
    q.y = numbers(p->n_y, 0);
    return q;
}

static inline void twin_free(prob *q)
{
    for (int i = 0; i < INPUTS; i++)
        free(q->dx[i]);
    for (int i = 0; i < 3; i++)
        free(q->out[i]);
    free(q->y);
}

static inline double results_apart(const prob *a, const prob *b)
{
    double worst = a->op == LOCI_OP_WRITE ? 0 : apart(a->y, b->y, a->n_y);

    for (int i = 0; i < 3; i++)
        worst = larger(worst, apart(a->out[i], b->out[i], a->n[M0 + i] < b->n[M0 + i] ? a->n[M0 + i] : b->n[M0 + i]));
    for (int i = 0; i < INPUTS; i++)
        if (a->x[i] && b->x[i])
            worst = larger(worst, apart(a->dx[i], b->dx[i], a->n[i]));
    return worst;
}

#endif

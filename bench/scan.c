/* SPDX-License-Identifier: Apache-2.0
 *
 * What the recurrences of loci.scan/1 cost, beside what the machine can do. From a build folder:
 *
 *     make bench/scan && bench/scan [TOKENS [THREADS [WORD]]]        2048 2 when not given
 *
 * One row of TOKENS tokens, 16 heads of 64 channels and 8 of 128, float32, chunks of 16; of D 1024 channels. A forward
 * after a forward, as when serving; a forward that saves, and the backward after it, by turns, as when training. Times
 * are medians, in microseconds of one core per token and head. `floor` is how many times as long as the recurrence's
 * own operations take at the peak of multiply-adds, which is measured first in the same process, of the median and of the
 * best: a neighbour on the machine shows as a difference of the two. Per token and head, in units of d^2,
 *
 *     L 5: decay 1, write 2, read 2      W 9: decay 1, S u 2, two writes 4, read 2
 *     M 7: error 2, forget 1, write 2, read 2; without an error 5; with momentum 2 more
 *
 * D is measured in bytes: v and g read, y written, against a triad of the same three streams. WORD: only rows whose
 * name contains it. LOCI_CPU=ref|avx2|avx512 caps the instructions. With one thread times are of the processor, so that
 * what neighbours take counts only by the caches they leave. A model's memory is on large pages where the kernel gives
 * them; GLIBC_TUNABLES=glibc.malloc.hugetlb=1 asks for them here.
 */
#include "core/bench/fma.h"
#include "core/bench/impl.h"
#include "tests/unit/test_scan.h"
#include <time.h>

#define TRIES 60

static clockid_t watch = CLOCK_MONOTONIC;

static double now_us(void)
{
    struct timespec t;

    clock_gettime(watch, &t);
    return 1e6 * (double)t.tv_sec + 1e-3 * (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static double median(double *x, int n)
{
    qsort(x, (size_t)n, sizeof *x, by_size);
    return x[n / 2];
}

/* ---- the machine ---- */

struct peak {
    const loci_fma *fma;
    double sink[64];
    float *a, *b, *c;
    int64_t n;
};

static void fma_piece(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    struct peak *p = (struct peak *)arg;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        p->sink[i] = p->fma->f32(20000);
}

static void triad_piece(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    struct peak *p = (struct peak *)arg;

    (void)worker;
    for (int64_t i = begin * p->n; i < end * p->n; i++)
        p->a[i] = p->b[i] * 0.5f + p->c[i];
}

/* Operations a microsecond of one core, the best of many. */
static double peak_ops(struct ck_host *h, int threads)
{
    const loci_exec x = ck_exec(h);
    struct peak p = {0};
    double best = 0;

    if (loci__bench_fma(&p.fma, &ck_err) != LOCI_OK)
        exit(1);
    for (int i = 0; i < 100; i++) {
        const double start = now_us();

        h->host.parallel_for(&x, 64, 1, fma_piece, &p);
        best = fmax(best, 64 * 2.0 * p.fma->bytes / 4 * LOCI_FMA_CHAINS * 20000 / (now_us() - start));
    }
    return best / threads;
}

/* Bytes a microsecond of all cores, over three arrays of n numbers. */
static double triad_bytes(struct ck_host *h, int64_t n)
{
    const loci_exec x = ck_exec(h);
    struct peak p = {.a = calloc((size_t)n, 4), .b = calloc((size_t)n, 4), .c = calloc((size_t)n, 4), .n = n / 64};
    double took[TRIES];

    for (int64_t i = 0; i < n; i++) /* memory of its own: what was never written is one page of zeros */
        p.b[i] = p.c[i] = 1;
    for (int i = 0; i < TRIES; i++) {
        const double start = now_us();

        h->host.parallel_for(&x, 64, 1, triad_piece, &p);
        took[i] = now_us() - start;
    }
    free(p.a), free(p.b), free(p.c);
    return (double)(n * 12) / median(took, TRIES);
}

/* ---- one recurrence ---- */

struct timing {
    double forward, saving, backward, least; /* microseconds; least: of a forward */
};

static struct timing measure(struct ck_host *h, prob *p)
{
    const bool D = p->scan == LOCI_SCAN_D;
    const int64_t bthd[4] = {1, p->T, p->H, p->d}, btn[3] = {1, p->T, p->d}, state[4] = {1, p->H, p->d, p->d};
    const int64_t row[2] = {1, p->d};
    const loci_scan *scan = loci_cpu_scan();
    const loci_batch batch = {sizeof batch, p->n_runs, p->runs, NULL};
    const loci_shape limits = prob_shape(p, 32, LOCI_X_SAVE);
    loci_scan_io io = {.struct_size = sizeof io, .scan = p->scan, .op = p->op, .mode = p->mode, .chunk = p->chunk};
    loci_need need = {.struct_size = sizeof need};
    loci_exec x = ck_exec(h);
    box in[INPUTS], grad[INPUTS], y, dy, out[3], dout[3];
    loci_tensor s_in[3], s_out[3], s_grad[3], *t[INPUTS], *dt[INPUTS];
    double took[3][TRIES];
    int n[2];

    for (int i = 0; i < INPUTS; i++) {
        const int rank = i >= M0 ? (D ? 2 : 4) : D || (i >= AL && i <= TH) || (i == G && p->gform == 2) ? 3 : 4;
        const int64_t *shape = i >= M0 ? (D ? row : state) : D ? btn : bthd;

        box_make(&in[i], p->x[i], p->n[i], rank, shape, 32);
        box_make(&grad[i], p->x[i], p->n[i], rank, shape, 32);
        t[i] = p->x[i] ? &in[i].t : NULL;
        dt[i] = p->x[i] ? &grad[i].t : NULL;
        if (i < M0)
            continue;
        box_make(&out[i - M0], p->x[i], p->n[i], rank, shape, 32);
        box_make(&dout[i - M0], p->x[i], p->n[i], rank, shape, 32);
        s_in[i - M0] = in[i].t, s_out[i - M0] = out[i - M0].t, s_grad[i - M0] = dout[i - M0].t;
        if (i == Z0 && p->empty_z)
            s_in[1].data = s_out[1].data = s_grad[1].data = NULL;
    }
    box_make(&y, p->y, p->n_y, D ? 3 : 4, D ? btn : bthd, 32);
    box_make(&dy, p->dy, p->n_y, D ? 3 : 4, D ? btn : bthd, 32);
    io.error = p->error, io.scale = 1, io.loss_scale = 1, io.batch = &batch;
    io.q = t[Q], io.k = t[K], io.v = t[V], io.g = t[G], io.u = t[U], io.w = t[W];
    io.alpha = t[AL], io.eta = t[ET], io.theta = t[TH];
    io.dq = dt[Q], io.dk = dt[K], io.dv = dt[V], io.dg = dt[G], io.du = dt[U], io.dw = dt[W];
    io.dalpha = dt[AL], io.deta = dt[ET], io.dtheta = dt[TH];
    io.y = &y.t, io.dy = &dy.t;
    io.state_in = s_in, io.state_out = s_out, io.state_grad = s_grad;
    if (scan->plan(&io, &limits, &need, &ck_err) != LOCI_OK)
        exit(1);
    x.scratch = arena(x.scratch_bytes = need.scratch);
    x.saved = arena(x.saved_bytes = need.saved);
    for (int kind = 0; kind < 2; kind++) { /* a forward and a forward; a forward that saves and its backward */
        n[kind] = 0;
        for (const double stop = now_us() + 6e5; n[kind] < TRIES && (n[kind] < 5 || now_us() < stop); n[kind]++)
            for (int pass = kind; pass < 2 * kind + 1; pass++) {
                double start;
                loci_status status;

                for (int i = M0; i < INPUTS && pass == 2; i++) /* gradients that no earlier call has grown */
                    for (int64_t e = 0; e < p->n[i]; e++)
                        ((float *)dout[i - M0].t.data)[e] = 1;
                x.flags = pass ? LOCI_X_SAVE : 0;
                start = now_us();
                status = pass < 2 ? scan->forward(&x, &io, &ck_err) : scan->backward(&x, &io, &ck_err);
                took[pass][n[kind]] = now_us() - start;
                if (status != LOCI_OK) {
                    printf("%s\n", ck_err.msg);
                    exit(1);
                }
            }
    }
    free(x.scratch), free(x.saved), free(y.t.data), free(dy.t.data);
    for (int i = 0; i < INPUTS; i++)
        free(in[i].t.data), free(grad[i].t.data);
    for (int i = 0; i < 3; i++)
        free(out[i].t.data), free(dout[i].t.data);
    return (struct timing){median(took[0], n[0]), median(took[1], n[1]), median(took[2], n[1]), took[0][0]};
}

/* ---- the table ---- */

static const struct row {
    const char *name;
    int scan, mode, error, gform;
    bool momentum;
    double floor; /* operations of a token and head over d^2 */
} rows[] = {
    {"M delta exact", LOCI_SCAN_M, LOCI_SCAN_EXACT, LOCI_SCAN_ERROR_DECAYED, 0, false, 7},
    {"M titans exact", LOCI_SCAN_M, LOCI_SCAN_EXACT, LOCI_SCAN_ERROR_UNDECAYED, 0, true, 9},
    {"M hebbian exact", LOCI_SCAN_M, LOCI_SCAN_EXACT, LOCI_SCAN_ERROR_NONE, 0, false, 5},
    {"M delta frozen", LOCI_SCAN_M, LOCI_SCAN_FROZEN, LOCI_SCAN_ERROR_DECAYED, 0, false, 7},
    {"M titans frozen", LOCI_SCAN_M, LOCI_SCAN_FROZEN, LOCI_SCAN_ERROR_UNDECAYED, 0, true, 9},
    {"M titans sequential", LOCI_SCAN_M, LOCI_SCAN_SEQUENTIAL, LOCI_SCAN_ERROR_UNDECAYED, 0, true, 9},
    {"L channel exact", LOCI_SCAN_L, LOCI_SCAN_EXACT, 0, 3, false, 5},
    {"L head exact", LOCI_SCAN_L, LOCI_SCAN_EXACT, 0, 2, false, 5},
    {"L channel sequential", LOCI_SCAN_L, LOCI_SCAN_SEQUENTIAL, 0, 3, false, 5},
    {"W sequential", LOCI_SCAN_W, LOCI_SCAN_SEQUENTIAL, 0, 3, false, 9},
    {"D", LOCI_SCAN_D, LOCI_SCAN_SEQUENTIAL, 0, 3, false, 0},
};

static void one_row(struct ck_host *h, const struct row *r, int64_t tokens, int64_t d, int threads, double peak)
{
    const bool D = r->scan == LOCI_SCAN_D;
    const int64_t H = D ? 1 : d == 64 ? 16 : 8;
    prob p = prob_new(r->scan, 1, tokens, H, d, D ? 1 : d);
    struct timing t;

    p.mode = r->mode, p.error = r->error, p.gform = r->gform;
    p.chunk = 16;
    p.empty_z = r->scan == LOCI_SCAN_M && !r->momentum;
    prob_fill(&p);
    for (int64_t i = 0; i < p.n[TH]; i++)
        p.x[TH][i] *= 0.1;
    for (int64_t i = 0; i < p.n[G]; i++)
        p.x[G][i] *= 0.05;
    if (p.empty_z) {
        free(p.x[ET]);
        p.x[ET] = NULL, p.n[ET] = 0;
    }
    t = measure(h, &p);
    printf("%-22s%6lld", r->name, (long long)d);
    if (D) {
        const double bytes = (double)(tokens * d * 12), triad = triad_bytes(h, tokens * d);

        printf("%12.0f%12.0f%12.0f%18s%9.2f   %.1f GB/s, %.2f of a triad's %.1f\n", t.forward, t.saving, t.backward, "",
               t.backward / t.forward, bytes / t.forward / 1e3, bytes / t.forward / triad, triad / 1e3);
    } else {
        const double each = (double)threads / (double)(tokens * H), least = r->floor * (double)(d * d) / peak;

        printf("%12.3f%12.3f%12.3f%9.2f%9.2f%9.2f\n", t.forward * each, t.saving * each, t.backward * each,
               t.forward * each / least, t.least * each / least, t.backward / t.forward);
    }
    fflush(stdout);
    prob_free(&p);
}

int main(int argc, char **argv)
{
    const int tokens = argc > 1 ? atoi(argv[1]) : 2048, threads = argc > 2 ? atoi(argv[2]) : 2;
    struct ck_host host;
    double peak;

    if (tokens < 1 || threads < 1 || ck_host_open(&host, threads, &ck_err) != LOCI_OK) {
        fprintf(stderr, "usage: scan [TOKENS [THREADS [WORD]]]\n");
        return 1;
    }
    if (threads == 1)
        watch = CLOCK_PROCESS_CPUTIME_ID;
    peak = peak_ops(&host, threads);
    printf("%d tokens, %d threads, a peak of %.1f GFLOP/s each\n%-22s%6s%12s%12s%12s%9s%9s\n", tokens, threads,
           peak / 1e3, "recurrence", "d", "forward us", "saving us", "backward us", "floor", "back/fwd");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int d = 64; d <= 128; d *= 2)
            if ((argc < 4 || strstr(rows[i].name, argv[3])) && (rows[i].floor > 0 || d == 64))
                one_row(&host, &rows[i], tokens, rows[i].floor > 0 ? d : 1024, threads, peak);
    ck_host_close(&host);
    return 0;
}

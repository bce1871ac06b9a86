/* SPDX-License-Identifier: Apache-2.0
 *
 * Recurrence L of loci.scan/1 in chunks: against its formula, against the recurrence token by token, and its gradients
 * against central differences; with decays from none to total.
 */
#include "tests/unit/test_scan.h"

static const int chunks[] = {1, 2, 3, 7, 16, 64, 100};
#define N_CHUNKS (int)(sizeof chunks / sizeof *chunks)

static prob chunked(int chunk, int gform, int64_t B, int64_t T, int64_t H, int64_t d, int64_t e)
{
    prob p = prob_new(LOCI_SCAN_L, B, T, H, d, e);

    p.mode = LOCI_SCAN_EXACT;
    p.chunk = chunk;
    p.gform = gform;
    p.scale = 0.7;
    return p;
}

/* ---- against the formula ---- */

static double loss(const prob *p, double *y, double *const out[3])
{
    double sum = 0;

    naive(p, y, out);
    for (int64_t i = 0; i < p->n_y; i++)
        sum += y[i] == SENTINEL ? 0 : y[i] * p->dy[i];
    for (int64_t i = 0; i < p->n[M0]; i++)
        sum += out[0][i] == SENTINEL ? 0 : out[0][i] * p->dout[0][i];
    return sum;
}

/* Largest distance of y and the final state from the formula's. */
static double off_formula(prob *p, int bits)
{
    double *y = numbers(p->n_y, 0), *out[3] = {numbers(p->n[M0], 0), NULL, NULL}, worst;

    naive(p, y, out);
    CK_TRUE(prob_run(home(), p, bits, false) == LOCI_OK, "%s", ck_err.msg);
    worst = larger(apart(p->y, y, p->n_y), apart(p->out[0], out[0], p->n[M0]));
    free(out[0]);
    free(y);
    return worst;
}

/* Relative RMS of the worst gradient from differences of fourth order. */
static double off_differences(prob *p)
{
    static const double at[4] = {-2, -1, 1, 2};
    double *y = numbers(p->n_y, 0), *out[3] = {numbers(p->n[M0], 0), NULL, NULL}, worst = 0;
    const double step = 1e-3;

    CK_TRUE(prob_run(home(), p, 64, true) == LOCI_OK, "%s", ck_err.msg);
    for (int i = 0; i < INPUTS; i++) {
        double *want = numbers(p->n[i], 0);

        for (int64_t j = 0; j < p->n[i]; j++) {
            const double x = p->x[i][j];
            double f[4];

            for (int s = 0; s < 4; s++) {
                p->x[i][j] = x + at[s] * step;
                f[s] = loss(p, y, out);
            }
            p->x[i][j] = x;
            want[j] = (8 * (f[2] - f[1]) - (f[3] - f[0])) / (12 * step);
            if (i == M0 && out[0][j] == SENTINEL)
                want[j] = p->dout[0][j]; /* a state row that no run names keeps its gradient */
        }
        worst = larger(worst, apart(p->dx[i], want, p->n[i]));
        free(want);
    }
    free(out[0]);
    free(y);
    return worst;
}

/* Packed documents, padding, an empty run, states permuted and one unnamed. */
static void chunks_follow_the_formula_and_gradients_differences(void)
{
    static const loci_run runs[] = {
        {0, 0, 4, 3, 0, 1}, {0, 4, 3, 0, 5, 2}, {1, 1, 5, 4, 8, 3}, {2, 0, 0, 2, 2, 4}, {2, 6, 1, 1, 1, 5}};

    for (int gform = 0; gform <= 3; gform++)
        for (int c = 0; c < 4; c++) {
            prob p = chunked(chunks[c], gform, 3, 7, 2, 3, 2);
            double off;

            p.states = 6;
            p.n_runs = sizeof runs / sizeof *runs;
            memcpy(p.runs, runs, sizeof runs);
            prob_fill(&p);
            off = off_formula(&p, 64);
            CK_TRUE(off < 1e-14, "chunk %d, g %d: %g", chunks[c], gform, off);
            off = off_formula(&p, 32);
            CK_TRUE(off < 1e-6, "chunk %d, g %d, f32: %g", chunks[c], gform, off);
            off = off_differences(&p);
            CK_TRUE(off < 1e-9, "gradients of chunk %d, g %d: %g", chunks[c], gform, off);
            prob_free(&p);
        }
}

/* Several blocks in a chunk, several chunks in a run, more rows than a strip. */
static void long_chunks_follow_the_formula_and_gradients_differences(void)
{
    for (int gform = 0; gform <= 3; gform++)
        for (int c = 4; c < N_CHUNKS; c++) {
            prob p = chunked(chunks[c], gform, 1, 100, 1, 2, 9);
            double off;

            p.n_runs = 2;
            p.states = 2;
            p.runs[0] = (loci_run){0, 17, 83, 1, 5, 0};
            p.runs[1] = (loci_run){0, 0, 17, 0, 63, 0};
            prob_fill(&p);
            off = off_formula(&p, 64);
            CK_TRUE(off < 1e-14, "chunk %d, g %d: %g", chunks[c], gform, off);
            off = off_differences(&p);
            CK_TRUE(off < 1e-7, "gradients of chunk %d, g %d: %g", chunks[c], gform, off); /* g [H]: of 83 tokens */
            prob_free(&p);
        }
}

/* ---- against the recurrence ---- */

/* Everything p's chunks give in `bits`, against the recurrence in f64. */
static double off_recurrence(const prob *p, int bits)
{
    prob one = twin(p), q = twin(p);
    double off;

    one.mode = LOCI_SCAN_SEQUENTIAL;
    CK_TRUE(prob_run(home(), &one, 64, true) == LOCI_OK, "%s", ck_err.msg);
    CK_TRUE(prob_run(home(), &q, bits, true) == LOCI_OK, "%s", ck_err.msg);
    off = results_apart(&q, &one);
    twin_free(&one);
    twin_free(&q);
    return off;
}

static double most(int bits)
{
    return bits == 64 ? 1e-12 : 1e-5;
}

static void chunks_equal_the_recurrence(void)
{
    for (int gform = 0; gform <= 3; gform++)
        for (int c = 0; c < N_CHUNKS; c++) {
            prob p = chunked(chunks[c], gform, 2, 100, 2, 24, 20);

            prob_fill(&p);
            for (int bits = 32; bits <= 64; bits += 32) {
                const double off = off_recurrence(&p, bits);

                CK_TRUE(off < most(bits), "chunk %d, g %d, f%d: %g", chunks[c], gform, bits, off);
            }
            prob_free(&p);
        }
}

static void every_tail_equals_the_recurrence(void)
{
    for (int c = 1; c < N_CHUNKS; c++)
        for (int T = 1; T <= 2 * chunks[c] + 1 && T <= 135; T++) {
            prob p = chunked(chunks[c], 3, 1, T, 1, 5 + T % 14, 3 + T % 19);
            double off;

            prob_fill(&p);
            for (int bits = 32; bits <= 64; bits += 32) {
                off = off_recurrence(&p, bits);
                CK_TRUE(off < most(bits), "chunk %d of %d tokens, f%d: %g", chunks[c], T, bits, off);
            }
            prob_free(&p);
        }
}

/* ---- decays ---- */

/* Decay `strong` at every third token, 0 at the next, mild ones else; or `strong` everywhere. */
static void set_decay(prob *p, double strong, bool everywhere)
{
    for (int64_t i = 0; i < p->n[G]; i++) {
        const int64_t t = p->gform == 3 ? i / p->d / p->H : i / p->H;

        if (everywhere || (p->gform > 1 && t % 3 == 0))
            p->x[G][i] = strong;
        else if (p->gform > 1 && t % 3 == 1)
            p->x[G][i] = 0;
    }
}

/* The gradient of a strong decay is small, e^g, beside that of a mild one, but it is what is asked for: it is looked at
 * by itself. */
static double off_strong(const prob *got, const prob *want)
{
    double a[4096], b[4096];
    size_t n = 0;

    for (int64_t i = 0; i < got->n[G]; i++)
        if (got->x[G][i] <= -20 && n < 4096) {
            a[n] = got->dx[G][i];
            b[n++] = want->dx[G][i];
        }
    return n ? ck_rms(a, b, n) : 0;
}

static void decays_of_any_strength_keep_their_digits(void)
{
    static const double strong[] = {0, -1e-9, -1, -20, -60, -1e3, -INFINITY};

    for (int s = 0; s < 7; s++)
        for (int mixed = 0; mixed < 2; mixed++)
            for (int gform = 1; gform <= 3; gform++)
                for (int bits = 32; bits <= 64; bits += 32) {
                    prob p = chunked(64, gform, 1, 150, 2, 13, 10), one, q;
                    double off;

                    prob_fill(&p);
                    set_decay(&p, strong[s], !mixed);
                    one = twin(&p);
                    q = twin(&p);
                    one.mode = LOCI_SCAN_SEQUENTIAL;
                    CK_OK(prob_run(home(), &one, 64, true));
                    CK_OK(prob_run(home(), &q, bits, true));
                    off = larger(results_apart(&q, &one), off_strong(&q, &one));
                    CK_TRUE(off < most(bits), "g = %g %s, form %d, f%d: %g", strong[s],
                            mixed ? "at every third token" : "everywhere", gform, bits, off);
                    twin_free(&one);
                    twin_free(&q);
                    prob_free(&p);
                }
}

/* Without decay nothing is forgotten: the state is the sum of all writes, and g of 0 is no g. */
static void no_decay_is_linear_attention(void)
{
    prob p = chunked(16, 3, 2, 70, 2, 6, 5), q;

    prob_fill(&p);
    set_decay(&p, 0, true);
    CK_OK(prob_run(home(), &p, 64, true));
    for (int64_t h = 0; h < 2; h++)
        for (int64_t r = 0; r < 5; r++)
            for (int64_t x = 0; x < 6; x++) {
                double sum = p.x[M0][(h * 5 + r) * 6 + x];

                for (int64_t t = 0; t < 70; t++)
                    sum += p.x[V][(t * 2 + h) * 5 + r] * p.x[K][(t * 2 + h) * 6 + x];
                CU_ASSERT(fabs(p.out[0][(h * 5 + r) * 6 + x] - sum) < 1e-12);
            }
    q = twin(&p);
    q.x[G] = NULL;
    q.n[G] = 0;
    CK_OK(prob_run(home(), &q, 64, true));
    q.n[G] = p.n[G];
    CU_ASSERT(results_apart(&q, &p) == 0);
    twin_free(&q);
    prob_free(&p);
}

/* One number per head, the same for every token and for every channel: three ways to say what a retention of g is. */
static void equal_decays_agree_in_every_form(void)
{
    prob first = {0};

    for (int gform = 1; gform <= 3; gform++) {
        prob q = chunked(16, gform, 1, 50, 2, 6, 5);

        ck_seed = 5;
        prob_fill(&q);
        if (gform == 1) {
            first = q;
        } else {
            memcpy(q.dy, first.dy, (size_t)q.n_y * 8);
            for (int i = 0; i < INPUTS; i++)
                if (q.x[i] && i != G)
                    memcpy(q.x[i], first.x[i], (size_t)q.n[i] * 8);
            memcpy(q.dout[0], first.dout[0], (size_t)q.n[M0] * 8);
        }
        for (int64_t i = 0; i < q.n[G]; i++)
            q.x[G][i] = gform == 1 ? -0.1 * (double)(i + 1) : first.x[G][gform == 2 ? i % 2 : i / 6 % 2];
        CK_OK(prob_run(home(), &q, 64, true));
        if (gform == 1) {
            first = q;
            continue;
        }
        CU_ASSERT(apart(q.y, first.y, q.n_y) == 0 && apart(q.out[0], first.out[0], q.n[M0]) == 0);
        for (int i = 0; i < INPUTS; i++)
            CU_ASSERT(i == G || apart(q.dx[i], first.dx[i], q.n[i]) == 0);
        for (int h = 0; h < 2; h++) {
            double sum = 0;

            for (int64_t i = 0; i < q.n[G]; i++)
                sum += (gform == 2 ? i % 2 : i / 6 % 2) == h ? q.dx[G][i] : 0;
            CU_ASSERT(fabs(sum - first.dx[G][h]) < 1e-12 * fabs(sum));
        }
        prob_free(&q);
    }
    prob_free(&first);
}

/* ---- calls ---- */

/* Tokens [0, cut) and [cut, T) as two calls, gradients chained through state_grad, against one call. */
static void any_cut_gives_the_outputs_and_gradients_of_the_whole(void)
{
    prob p = chunked(7, 3, 1, 40, 2, 4, 5);

    p.runs[0].pos = 3;
    prob_fill(&p);
    CK_OK(prob_run(home(), &p, 64, true));
    for (int cut = 0; cut <= 40; cut++) {
        prob a = twin(&p), b = twin(&p);
        double *middle, off;

        a.runs[0].len = cut;
        b.runs[0] = (loci_run){0, cut, 40 - cut, 0, 3 + cut, 0};
        a.dy = numbers(p.n_y, 0);
        b.dy = numbers(p.n_y, 0);
        memcpy(a.dy, p.dy, (size_t)p.n_y * 8);
        memcpy(b.dy, p.dy, (size_t)p.n_y * 8);
        CK_OK(prob_run(home(), &a, 64, false));
        middle = numbers(p.n[M0], 0);
        memcpy(middle, a.out[0], (size_t)p.n[M0] * 8);
        b.x[M0] = middle;
        CK_OK(prob_run(home(), &b, 64, true));
        a.dout[0] = b.dx[M0];
        CK_OK(prob_run(home(), &a, 64, true));
        for (int64_t i = 0; i < p.n_y; i++)
            a.y[i] = a.y[i] == SENTINEL ? b.y[i] : a.y[i];
        for (int i = 0; i < M0; i++)
            for (int64_t j = 0; j < p.n[i]; j++)
                a.dx[i][j] += b.dx[i][j];
        memcpy(a.out[0], b.out[0], (size_t)p.n[M0] * 8);
        off = results_apart(&a, &p);
        CK_TRUE(off < 1e-13, "cut at %d: %g", cut, off);
        free(middle);
        free(a.dy);
        free(b.dy);
        twin_free(&a);
        twin_free(&b);
    }
    prob_free(&p);
}

static void a_later_token_and_another_document_reach_nothing(void)
{
    for (int bad = 1; bad < 40; bad += 3) {
        prob p = chunked(40, 3, 2, 40, 1, 4, 3), q;
        double keep;

        prob_fill(&p);
        CK_OK(prob_run(home(), &p, 64, false));
        q = twin(&p);
        for (int i = Q; i <= G; i++) {
            keep = p.x[i][bad * p.n[i] / 80];
            p.x[i][bad * p.n[i] / 80] = NAN;
            CK_OK(prob_run(home(), &q, 64, false));
            CK_TRUE(memcmp(p.y, q.y, (size_t)bad * 3 * 8) == 0, "input %d of token %d reaches earlier ones", i, bad);
            CU_ASSERT(memcmp(p.y + 40 * 3, q.y + 40 * 3, 40 * 3 * 8) == 0);
            CU_ASSERT(isnan(q.y[bad * 3]));
            p.x[i][bad * p.n[i] / 80] = keep;
        }
        twin_free(&q);
        prob_free(&p);
    }
}

static void the_bits_do_not_depend_on_threads(void)
{
    for (int gform = 0; gform <= 3; gform++)
        for (int bits = 32; bits <= 64; bits += 32) {
            prob p = chunked(32, gform, 3, 70, 3, 17, 19);

            prob_fill(&p);
            CK_OK(prob_run(home(), &p, bits, true));
            for (int threads = 1; threads <= 4; threads++) {
                prob q = twin(&p);
                struct ck_host other;

                CK_OK(ck_host_open(&other, threads, &ck_err));
                CK_OK(prob_run(&other, &q, bits, true));
                CU_ASSERT(memcmp(p.y, q.y, (size_t)p.n_y * 8) == 0);
                CU_ASSERT(memcmp(p.out[0], q.out[0], (size_t)p.n[M0] * 8) == 0);
                for (int x = 0; x < INPUTS; x++)
                    CU_ASSERT(p.n[x] == 0 || memcmp(p.dx[x], q.dx[x], (size_t)p.n[x] * 8) == 0);
                ck_host_close(&other);
                twin_free(&q);
            }
            prob_free(&p);
        }
}

/* Each build of the f32 text has at most twice the error of the reference build, plus four rounding errors. */
static void every_instruction_set_is_as_close_as_the_reference(void)
{
    static const char *const levels[] = {"ref", "avx2", "avx512"};
    const char *cap = getenv("LOCI_CPU");
    char *old = cap ? strdup(cap) : NULL;

    for (int c = 3; c < N_CHUNKS; c++) {
        prob p = chunked(chunks[c], 3, 2, 101, 2, 37, 21), one;
        double first = 0;

        prob_fill(&p);
        one = twin(&p);
        one.mode = LOCI_SCAN_SEQUENTIAL;
        CK_OK(prob_run(home(), &one, 64, true));
        for (int level = 0; level < 3; level++) {
            prob q = twin(&p);
            struct ck_host other;
            double off;

            setenv("LOCI_CPU", levels[level], 1);
            CK_OK(ck_host_open(&other, 1, &ck_err));
            CK_OK(prob_run(&other, &q, 32, true));
            off = results_apart(&q, &one);
            first = level ? first : off;
            CK_TRUE(off <= 2 * first + 4 * 0x1p-24 && off < 1e-5, "chunk %d, %s: %g, ref %g", chunks[c], levels[level],
                    off, first);
            ck_host_close(&other);
            twin_free(&q);
        }
        twin_free(&one);
        prob_free(&p);
    }
    if (old)
        setenv("LOCI_CPU", old, 1);
    else
        unsetenv("LOCI_CPU");
    free(old);
}

static void storage_may_be_shared_and_rows_apart(void)
{
    prob p = chunked(6, 3, 2, 40, 2, 5, 4), q;

    prob_fill(&p);
    CK_OK(prob_run(home(), &p, 64, true));
    q = twin(&p);
    q.inplace = true;
    CK_OK(prob_run(home(), &q, 64, false));
    CU_ASSERT(memcmp(p.y, q.y, (size_t)p.n_y * 8) == 0 && memcmp(p.out[0], q.out[0], (size_t)p.n[M0] * 8) == 0);
    q.inplace = false;
    box_pad = 3;
    CK_OK(prob_run(home(), &q, 64, true));
    box_pad = 0;
    CU_ASSERT(results_apart(&q, &p) == 0);
    twin_free(&q);
    prob_free(&p);
}

/* No form of the chunk is as large as the square of its tokens, and a plan covers every smaller call. */
static void a_plan_grows_with_every_limit_but_not_with_the_square_of_a_chunk(void)
{
    const loci_scan *scan = loci_cpu_scan();
    loci_scan_io io = {
        .struct_size = sizeof io, .scan = LOCI_SCAN_L, .op = LOCI_OP_STEP, .chunk = 67, .mode = LOCI_SCAN_EXACT};
    loci_shape s = {.struct_size = sizeof s, .flags = LOCI_X_SAVE, .dtype = {2, 32, 1}, .acc = {2, 32, 1}};
    loci_need a, b;

    s.heads = 2, s.dk = 8, s.dv = 8;
    s.rows = 2, s.seq = 100, s.runs = 5;
    for (int i = 0; i < 60; i++) {
        int64_t *limit = i % 3 == 0 ? &s.rows : i % 3 == 1 ? &s.seq : &s.runs;

        a = b = (loci_need){.struct_size = sizeof a};
        CK_OK(scan->plan(&io, &s, &a, &ck_err));
        *limit += i;
        CK_OK(scan->plan(&io, &s, &b, &ck_err));
        CU_ASSERT(b.scratch >= a.scratch && b.saved >= a.saved && a.saved > 0);
    }
    io.chunk = 1 << 20;
    s.seq = 64;
    a = b = (loci_need){.struct_size = sizeof a};
    CK_OK(scan->plan(&io, &s, &a, &ck_err));
    s.seq = 65536;
    CK_OK(scan->plan(&io, &s, &b, &ck_err));
    CU_ASSERT(b.scratch == a.scratch); /* a segment of 64 tokens is all that is at hand */
    /* and its state of 8 by 8, rows rounded up to 16, all that is saved of it */
    CU_ASSERT(b.saved > a.saved && b.saved <= (uint64_t)s.rows * (65536 / 64) * 2 * (16 * 8 * 4) + 64);
}

static void wrong_calls_are_refused_with_a_reason(void)
{
    prob p = chunked(0, 3, 1, 4, 1, 3, 3);

    prob_fill(&p);
    CU_ASSERT(prob_run(home(), &p, 64, false) == LOCI_E_ARG && strstr(ck_err.msg, "chunk 0"));
    p.chunk = 2;
    p.mode = LOCI_SCAN_FROZEN;
    CU_ASSERT(prob_run(home(), &p, 64, false) == LOCI_E_ARG && strstr(ck_err.msg, "mode 2"));
    prob_free(&p);
    for (int scan = LOCI_SCAN_D; scan <= LOCI_SCAN_W; scan++) {
        p = prob_new(scan, 1, 4, 1, 3, 3);
        p.mode = LOCI_SCAN_EXACT;
        prob_fill(&p);
        CU_ASSERT(prob_run(home(), &p, 64, false) == LOCI_E_ARG && strstr(ck_err.msg, "mode 1"));
        prob_free(&p);
    }
}

/* The tests above would notice: outputs are not small, and a decay of another sign is far away. */
static void the_comparison_is_not_vacuous(void)
{
    prob p = chunked(16, 3, 1, 50, 1, 6, 6), q;
    double rms = 0;

    prob_fill(&p);
    CK_OK(prob_run(home(), &p, 64, true));
    for (int64_t i = 0; i < p.n_y; i++)
        rms += p.y[i] * p.y[i] / (double)p.n_y;
    CU_ASSERT(sqrt(rms) > 0.1);
    q = twin(&p);
    q.x[G] = numbers(p.n[G], 0);
    CK_OK(prob_run(home(), &q, 64, true));
    CU_ASSERT(apart(q.y, p.y, p.n_y) > 0.1 && apart(q.dx[G], p.dx[G], p.n[G]) > 0.1);
    free(q.x[G]);
    twin_free(&q);
    prob_free(&p);
}

#define TESTS(X) \
    X(chunks_follow_the_formula_and_gradients_differences) \
    X(long_chunks_follow_the_formula_and_gradients_differences) \
    X(chunks_equal_the_recurrence) \
    X(every_tail_equals_the_recurrence) \
    X(decays_of_any_strength_keep_their_digits) \
    X(no_decay_is_linear_attention) \
    X(equal_decays_agree_in_every_form) \
    X(any_cut_gives_the_outputs_and_gradients_of_the_whole) \
    X(a_later_token_and_another_document_reach_nothing) \
    X(the_bits_do_not_depend_on_threads) \
    X(every_instruction_set_is_as_close_as_the_reference) \
    X(storage_may_be_shared_and_rows_apart) \
    X(a_plan_grows_with_every_limit_but_not_with_the_square_of_a_chunk) \
    X(wrong_calls_are_refused_with_a_reason) \
    X(the_comparison_is_not_vacuous)

CK_MAIN("scan_l", TESTS)

/* SPDX-License-Identifier: Apache-2.0
 *
 * loci.scan/1 on the CPU against itself: what must be the same in two forms is computed in both. And how it behaves
 * over long times.
 */
#include "tests/unit/test_scan.h"

/* ---- one mode of M against another ---- */

static void exact_chunks_equal_the_recurrence(void)
{
    static const int chunks[] = {1, 2, 3, 7, 16, 64, 100};

    for (int i = 0; i < 6; i++)
        for (int bits = 32; bits <= 64; bits += 32) {
            prob p = prob_new(LOCI_SCAN_M, 2, 100, 2, 24, 20);

            p.order = i % 2;
            p.error = i / 2;
            prob_fill(&p);
            CK_OK(prob_run(home(), &p, 64, true));
            for (int c = 0; c < 7; c++) {
                prob q = twin(&p);
                double off;

                q.mode = LOCI_SCAN_EXACT;
                q.chunk = chunks[c];
                CK_OK(prob_run(home(), &q, bits, true));
                off = results_apart(&q, &p);
                CK_TRUE(off < (bits == 64 ? 1e-12 : 1e-5), "error %d, chunk %d, f%d: %g", p.error, chunks[c], bits,
                        off);
                twin_free(&q);
            }
            prob_free(&p);
        }
}

/* The exact form against the recurrence in f64: widths around those of strips and vectors, lengths around those of a
 * few tokens, chunks and segments, with momentum and without, at every level of instructions. None errs more than twice
 * as much as the worst case of level ref, plus four rounding errors. */
static void every_tail_of_a_strip_equals_the_recurrence(void)
{
    static const char *const levels[] = {"ref", "avx2", "avx512"};
    static const int wide[] = {1, 15, 16, 17, 31, 33, 48, 64, 97}, long_[] = {1, 2, 3, 5, 16, 17, 63, 65, 130};
    const char *cap = getenv("LOCI_CPU");
    char *old = cap ? strdup(cap) : NULL;
    double first = 0;

    for (int level = 0; level < 3; level++) {
        struct ck_host other;

        setenv("LOCI_CPU", levels[level], 1);
        CK_OK(ck_host_open(&other, 2, &ck_err));
        for (int i = 0; i < 81; i++) {
            prob p = prob_new(LOCI_SCAN_M, 1, long_[i / 9], 1 + i % 2, 1 + 7 * i % 40, wide[i % 9]), q;
            double off;

            p.order = i % 2;
            p.error = i % 3;
            p.bare = p.empty_z = i % 4 < 2; /* the momentum of one state is a kernel of its own, in both orders */
            p.op = i % 5 == 2 ? LOCI_OP_WRITE : LOCI_OP_STEP;
            p.c = 0.3;
            prob_fill(&p);
            memset(p.dout[1], 0, p.empty_z ? (size_t)p.n[Z0] * 8 : 0);
            CK_OK(prob_run(home(), &p, 64, true));
            q = twin(&p);
            q.mode = LOCI_SCAN_EXACT;
            q.chunk = 1 + i;
            CK_OK(prob_run(&other, &q, 32, true));
            q.n[Z0] = p.empty_z ? 0 : q.n[Z0];
            off = results_apart(&q, &p);
            first = level == 0 && off > first ? off : first;
            CK_TRUE(off <= 2 * first + 4 * 0x1p-24 && off < 1e-4, "%s, %d tokens, %d x %d, error %d: %g, ref %g",
                    levels[level], (int)p.T, (int)p.e, (int)p.d, p.error, off, first);
            twin_free(&q);
            prob_free(&p);
        }
        ck_host_close(&other);
    }
    if (old)
        setenv("LOCI_CPU", old, 1);
    else
        unsetenv("LOCI_CPU");
    free(old);
}

static void one_token_chunks_are_all_the_same(void)
{
    prob p = prob_new(LOCI_SCAN_M, 1, 20, 2, 8, 8), q, r;

    prob_fill(&p);
    CK_OK(prob_run(home(), &p, 64, true));
    q = twin(&p);
    q.mode = LOCI_SCAN_EXACT;
    CK_OK(prob_run(home(), &q, 64, true));
    CU_ASSERT(results_apart(&q, &p) < 1e-13);
    twin_free(&q);
    r = prob_new(LOCI_SCAN_M, 1, 20, 2, 8, 8);
    r.mode = LOCI_SCAN_FROZEN;
    prob_fill(&r);
    for (int i = 0; i < C0; i++)
        if (p.x[i])
            memcpy(r.x[i], p.x[i], (size_t)p.n[i] * sizeof(double));
    memcpy(r.dy, p.dy, (size_t)p.n_y * sizeof(double));
    for (int i = 0; i < 2; i++)
        memcpy(r.dout[i], p.dout[i], (size_t)p.n[M0 + i] * sizeof(double));
    memset(r.dout[2], 0, (size_t)r.n[C0] * sizeof(double));
    CK_OK(prob_run(home(), &r, 64, true));
    CU_ASSERT(results_apart(&p, &r) < 1e-13);
    prob_free(&r);
    prob_free(&p);
}

/* ---- cutting a run into pieces ---- */

/* Run tokens [0, cut) and [cut, T) as two calls, gradients chained through state_grad, into `whole`'s twin. */
static double cut_apart(const prob *whole, int64_t cut)
{
    prob a = twin(whole), b = twin(whole);
    double *states[3], *dout[3], off = 0;

    a.runs[0].len = (int32_t)cut;
    b.runs[0].begin = (int32_t)cut;
    b.runs[0].len = (int32_t)(whole->T - cut);
    b.runs[0].pos += cut;
    b.dy = numbers(whole->n_y, 0);
    a.dy = numbers(whole->n_y, 0);
    memcpy(a.dy, whole->dy, (size_t)whole->n_y * sizeof(double));
    memcpy(b.dy, whole->dy, (size_t)whole->n_y * sizeof(double));
    CU_ASSERT(prob_run(home(), &a, 64, false) == LOCI_OK);
    for (int i = 0; i < 3; i++) {
        states[i] = numbers(a.n[M0 + i], 0);
        memcpy(states[i], a.out[i], (size_t)a.n[M0 + i] * sizeof(double));
        b.x[M0 + i] = a.n[M0 + i] ? states[i] : NULL;
    }
    CU_ASSERT(prob_run(home(), &b, 64, true) == LOCI_OK);
    for (int i = 0; i < 3; i++) {
        dout[i] = b.dx[M0 + i];
        a.dout[i] = dout[i];
    }
    CU_ASSERT(prob_run(home(), &a, 64, true) == LOCI_OK);
    for (int64_t i = 0; i < a.n_y; i++)
        a.y[i] = a.y[i] == SENTINEL ? b.y[i] : a.y[i];
    for (int i = 0; i < M0; i++)
        for (int64_t j = 0; j < a.n[i]; j++)
            a.dx[i][j] += b.dx[i][j];
    for (int i = 0; i < 3; i++)
        memcpy(a.out[i], b.out[i], (size_t)a.n[M0 + i] * sizeof(double));
    off = results_apart(&a, whole);
    for (int i = 0; i < 3; i++)
        free(states[i]);
    free(a.dy);
    free(b.dy);
    twin_free(&a);
    twin_free(&b);
    return off;
}

static void any_cut_gives_the_outputs_and_gradients_of_the_whole(void)
{
    for (int i = 0; i < N_FORMS + 2; i++) {
        const bool wide = i >= N_FORMS; /* the frozen forms again, their chunks longer than a segment */
        prob p = prob_form(wide ? i == N_FORMS ? 5 : 8 : i, wide ? 70 : 5, 1, wide ? 90 : 23, 2, 4, 5);

        p.runs[0].pos = 3;
        p.order = i % 2;
        prob_fill(&p);
        CK_OK(prob_run(home(), &p, 64, true));
        for (int64_t cut = 0; cut <= p.T; cut++) {
            const double off = cut_apart(&p, cut);

            CK_TRUE(off < 1e-11, "case %d cut at %d: %g", i, (int)cut, off);
        }
        prob_free(&p);
    }
}

/* ---- independence ---- */

/* NaN in a later token, or in another document, reaches nothing before it or beside it: not the tokens that a kernel
 * takes together with it either. */
static void the_future_and_other_documents_reach_nothing(void)
{
    for (int i = 0; i < 2 * N_FORMS; i++) {
        const bool wide = i >= N_FORMS; /* whole vectors */
        const int bits = wide ? 32 : 64, late = 14;
        prob p = prob_form(i % N_FORMS, 8, 2, 20, 1, wide ? 20 : 4, wide ? 37 : 3), q;
        int64_t row;
        double *v;

        prob_fill(&p);
        row = p.n_y / 40;
        CK_OK(prob_run(home(), &p, bits, false));
        q = twin(&p);
        v = &p.x[V][late * row];
        for (int64_t x = 0; x < row; x++)
            v[x] = NAN;
        CK_OK(prob_run(home(), &q, bits, false));
        CU_ASSERT(memcmp(p.y, q.y, (size_t)(late * row) * 8) == 0);
        CU_ASSERT(memcmp(p.y + 20 * row, q.y + 20 * row, (size_t)(20 * row) * 8) == 0);
        CU_ASSERT(isnan(q.y[19 * row]));
        memset(v, 0, (size_t)row * 8);
        memset(p.dy + late * row, 0, (size_t)((20 - late) * row) * 8);
        for (int s = 0; s < 3; s++)
            memset(p.dout[s], 0, (size_t)p.n[M0 + s] * 8);
        CK_OK(prob_run(home(), &q, bits, true));
        for (int64_t x = late * row; x < 20 * row; x++)
            CU_ASSERT(q.dx[V][x] == 0);
        twin_free(&q);
        prob_free(&p);
    }
}

static void the_bits_do_not_depend_on_threads(void)
{
    for (int form = 0; form < N_FORMS; form++)
        for (int bits = 32; bits <= 64; bits += 32) {
            prob p = prob_form(form, 16, 3, 70, 3, 17, 19);

            p.gform = 1;
            if (p.scan == LOCI_SCAN_D)
                p.d = 700;
            prob_fill(&p);
            CK_OK(prob_run(home(), &p, bits, true));
            for (int threads = 1; threads <= 4; threads *= 2) {
                prob q = twin(&p);
                struct ck_host other;

                CK_OK(ck_host_open(&other, threads, &ck_err));
                CK_OK(prob_run(&other, &q, bits, true));
                CU_ASSERT(memcmp(p.y, q.y, (size_t)p.n_y * 8) == 0);
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

    for (int form = 0; form < N_FORMS; form++) {
        double first = 0;
        prob p = prob_form(form, 16, 2, 65, 2, 37, 21);

        prob_fill(&p);
        for (int64_t j = 0; j < p.n[TH]; j++)
            p.x[TH][j] *= 0.2;
        CK_OK(prob_run(home(), &p, 64, true));
        for (int level = 0; level < 3; level++) {
            prob q = twin(&p);
            struct ck_host other;
            double off;

            setenv("LOCI_CPU", levels[level], 1);
            CK_OK(ck_host_open(&other, 1, &ck_err));
            CK_OK(prob_run(&other, &q, 32, true));
            off = results_apart(&q, &p);
            first = level ? first : off;
            CK_TRUE(off <= 2 * first + 4 * 0x1p-24 && off < 1e-5, "form %d, %s: %g, ref %g", form, levels[level], off,
                    first);
            ck_host_close(&other);
            twin_free(&q);
        }
        prob_free(&p);
    }
    if (old)
        setenv("LOCI_CPU", old, 1);
    else
        unsetenv("LOCI_CPU");
    free(old);
}

/* M without momentum is W with u = k, w = -theta k, write key theta k; W without u and w is L; and L with one key of
 * 1 per row of one column is D. */
static void the_recurrences_agree_where_they_meet(void)
{
    prob m = prob_new(LOCI_SCAN_M, 2, 50, 2, 6, 5), w = prob_new(LOCI_SCAN_W, 2, 50, 2, 6, 5), l, d;

    prob_fill(&m);
    w.gform = 2;
    prob_fill(&w);
    memset(m.x[ET], 0, (size_t)m.n[ET] * 8);
    memcpy(w.x[Q], m.x[Q], (size_t)m.n[Q] * 8);
    memcpy(w.x[V], m.x[V], (size_t)m.n[V] * 8);
    memcpy(w.x[U], m.x[K], (size_t)m.n[K] * 8);
    memcpy(w.x[M0], m.x[M0], (size_t)m.n[M0] * 8);
    for (int64_t i = 0; i < m.n[K]; i++) {
        w.x[K][i] = m.x[TH][i / 6] * m.x[K][i];
        w.x[W][i] = -w.x[K][i];
        w.x[G][i / 6] = log1p(-m.x[AL][i / 6]);
    }
    CK_OK(prob_run(home(), &m, 64, false));
    CK_OK(prob_run(home(), &w, 64, false));
    CU_ASSERT(apart(w.y, m.y, m.n_y) < 1e-14 && apart(w.out[0], m.out[0], m.n[M0]) < 1e-14);

    memset(w.x[U], 0, (size_t)w.n[U] * 8);
    CK_OK(prob_run(home(), &w, 64, false));
    l = twin(&w);
    l.scan = LOCI_SCAN_L;
    CK_OK(prob_run(home(), &l, 64, false));
    CU_ASSERT(apart(l.y, w.y, w.n_y) < 1e-15 && apart(l.out[0], w.out[0], w.n[M0]) < 1e-15);
    twin_free(&l);
    prob_free(&m);
    prob_free(&w);

    l = prob_new(LOCI_SCAN_L, 2, 50, 1, 1, 5);
    d = prob_new(LOCI_SCAN_D, 2, 50, 1, 5, 1);
    prob_fill(&l);
    prob_fill(&d);
    for (int64_t i = 0; i < l.n[K]; i++)
        l.x[K][i] = l.x[Q][i] = 1;
    memcpy(d.x[V], l.x[V], (size_t)l.n[V] * 8);
    memcpy(d.x[M0], l.x[M0], (size_t)l.n[M0] * 8);
    for (int64_t i = 0; i < d.n[G]; i++)
        d.x[G][i] = l.x[G][i / 5];
    CK_OK(prob_run(home(), &l, 64, false));
    CK_OK(prob_run(home(), &d, 64, false));
    CU_ASSERT(apart(d.y, l.y, l.n_y) < 1e-15 && apart(d.out[0], l.out[0], l.n[M0]) < 1e-15);
    prob_free(&l);
    prob_free(&d);
}

/* Gated DeltaNet as published: M = g M (I - b k k') + b v k'. Forgetting first is that with alpha = 1 - g, theta = b;
 * forgetting last is it with theta = g b and v / g. */
static void forgetting_first_is_gated_deltanet_and_last_in_other_variables(void)
{
    for (int mode = 0; mode <= LOCI_SCAN_EXACT; mode++) {
        prob p = prob_new(LOCI_SCAN_M, 1, 60, 1, 6, 5), u;
        double M[30], *want;

        p.mode = mode;
        p.chunk = 7;
        p.error = LOCI_SCAN_ERROR_DECAYED;
        p.empty_z = true;
        prob_fill(&p);
        free(p.x[ET]);
        p.x[ET] = NULL, p.n[ET] = 0;
        u = twin(&p);
        u.error = LOCI_SCAN_ERROR_UNDECAYED;
        u.x[V] = numbers(p.n[V], 0), u.x[TH] = numbers(p.n[TH], 0);
        want = numbers(p.n_y, 0);
        memcpy(M, p.x[M0], sizeof M);
        for (int t = 0; t < 60; t++) {
            const double g = 1 - p.x[AL][t], b = p.x[TH][t], *k = p.x[K] + t * 6;

            u.x[TH][t] = g * b;
            for (int i = 0; i < 5; i++) {
                double Mk = 0;

                u.x[V][t * 5 + i] = p.x[V][t * 5 + i] / g;
                for (int x = 0; x < 6; x++)
                    Mk += M[i * 6 + x] * k[x];
                for (int x = 0; x < 6; x++) {
                    M[i * 6 + x] = g * (M[i * 6 + x] - b * Mk * k[x]) + b * p.x[V][t * 5 + i] * k[x];
                    want[t * 5 + i] += M[i * 6 + x] * p.x[Q][t * 6 + x];
                }
            }
        }
        CK_OK(prob_run(home(), &p, 64, false));
        CK_OK(prob_run(home(), &u, 64, false));
        CU_ASSERT(apart(p.y, want, p.n_y) < 1e-13 && apart(u.y, want, p.n_y) < 1e-13);
        u.error = LOCI_SCAN_ERROR_DECAYED; /* the order is not idle */
        CK_OK(prob_run(home(), &u, 64, false));
        CU_ASSERT(apart(u.y, want, p.n_y) > 1e-2);
        free(want), free(u.x[V]), free(u.x[TH]);
        twin_free(&u);
        prob_free(&p);
    }
}

/* With nothing predicted, forgotten or kept of the past's surprise, y_t = sum of v_j (k_j.q_t): linear attention. */
static void without_an_error_it_is_linear_attention(void)
{
    for (int mode = 0; mode <= LOCI_SCAN_FROZEN; mode++) {
        prob p = prob_new(LOCI_SCAN_M, 1, 50, 1, 6, 5);
        double *want;

        p.mode = mode;
        p.chunk = 16;
        p.error = LOCI_SCAN_ERROR_NONE;
        p.bare = p.empty_z = true;
        prob_fill(&p);
        memset(p.x[M0], 0, (size_t)p.n[M0] * 8);
        want = numbers(p.n_y, 0);
        for (int t = 0; t < 50; t++)
            for (int j = 0; j <= t; j++) {
                double kq = 0;

                for (int x = 0; x < 6; x++)
                    kq += p.x[K][j * 6 + x] * p.x[Q][t * 6 + x];
                for (int i = 0; i < 5; i++)
                    want[t * 5 + i] += p.x[V][j * 5 + i] * kq;
            }
        CK_OK(prob_run(home(), &p, 64, false));
        CU_ASSERT(apart(p.y, want, p.n_y) < 1e-14);
        free(want);
        prob_free(&p);
    }
}

/* ---- behaviour over long times ---- */

/* The same unit key for 2000 tokens, gates anywhere in their ranges. The error of M against v obeys a two-by-two
 * recurrence that is stable for theta < (1 + eta)(2 - alpha). */
static void repeated_tokens_stay_bounded_in_exact_mode(void)
{
    prob p = prob_new(LOCI_SCAN_M, 1, 2000, 1, 16, 16);
    double top = 0;

    p.mode = LOCI_SCAN_EXACT;
    p.chunk = 64;
    prob_fill(&p);
    for (int64_t t = 0; t < 2000; t++) {
        for (int x = 0; x < 16; x++) {
            p.x[K][t * 16 + x] = p.x[Q][t * 16 + x] = x == 3;
            p.x[V][t * 16 + x] = x == 5;
        }
        p.x[AL][t] = ck_rand() * 0.999;
        p.x[ET][t] = 0;
        p.x[TH][t] = ck_rand();
    }
    CK_OK(prob_run(home(), &p, 32, true));
    for (int64_t i = 0; i < p.n_y; i++)
        top = fmax(top, fabs(p.y[i]));
    CK_TRUE(top <= 1 + fabs(p.x[M0][3]) + fabs(p.x[Z0][3]) + 8, "largest output %g", top);
    for (int i = 0; i < INPUTS; i++)
        for (int64_t j = 0; j < p.n[i]; j++)
            CU_ASSERT_FATAL(isfinite(p.dx[i][j]));
    /* Constant gates inside the bound settle at theta / (theta + alpha). */
    for (int64_t t = 0; t < 2000; t++)
        p.x[AL][t] = 0.01, p.x[ET][t] = 0.5, p.x[TH][t] = 0.9;
    CK_OK(prob_run(home(), &p, 32, false));
    CU_ASSERT(fabs(p.y[1999 * 16 + 5] - 0.9 / (0.9 + 0.01 * 0.5)) < 1e-4);
    prob_free(&p);
}

/* A frozen chunk takes 16 steps of 0.5 on one error: the factor per chunk is 1 - 8. It diverges, as it must. */
static void frozen_chunks_diverge_outside_their_bound(void)
{
    prob p = prob_new(LOCI_SCAN_M, 1, 320, 1, 4, 4);

    p.mode = LOCI_SCAN_FROZEN;
    p.chunk = 16;
    p.bare = true;
    p.c = 0.5;
    prob_fill(&p);
    for (int64_t t = 0; t < 320; t++)
        for (int x = 0; x < 4; x++)
            p.x[K][t * 4 + x] = p.x[Q][t * 4 + x] = x == 0;
    CK_OK(prob_run(home(), &p, 64, false));
    CU_ASSERT(fabs(p.y[319 * 4]) > 1e12);
    p.c = 0.05; /* 16 x 0.05 < 2 */
    for (int64_t i = 0; i < p.n[V]; i++)
        p.x[V][i] = 1;
    CK_OK(prob_run(home(), &p, 64, false));
    CU_ASSERT(fabs(p.y[319 * 4] - 1) < 1e-6);
    prob_free(&p);
}

/* 100000 calls of one token in f32, against the same in f64. */
static void long_decoding_does_not_drift(void)
{
    prob p = prob_new(LOCI_SCAN_M, 1, 1, 1, 16, 16), q;
    double *key;

    p.mode = LOCI_SCAN_EXACT;
    p.chunk = 16;
    p.inplace = true;
    prob_fill(&p);
    q = twin(&p);
    for (int i = 0; i < 2; i++) {
        q.x[M0 + i] = numbers(p.n[M0 + i], 0);
        memcpy(q.x[M0 + i], p.x[M0 + i], (size_t)p.n[M0 + i] * 8);
    }
    key = p.x[K];
    for (int step = 0; step < 100000; step++) {
        double norm = 0;

        for (int x = 0; x < 16; x++)
            key[x] = (float)ck_norm(), norm += key[x] * key[x];
        for (int x = 0; x < 16; x++)
            key[x] = (float)(key[x] / sqrt(norm)), p.x[Q][x] = key[x], p.x[V][x] = (float)ck_norm();
        p.x[AL][0] = 0.001f, p.x[ET][0] = 0.5f, p.x[TH][0] = 0.25f;
        p.runs[0].pos = q.runs[0].pos = step;
        CK_OK(prob_run(home(), &p, 32, false));
        CK_OK(prob_run(home(), &q, 64, false));
        for (int i = 0; i < 2; i++) {
            memcpy(p.x[M0 + i], p.out[i], (size_t)p.n[M0 + i] * 8);
            memcpy(q.x[M0 + i], q.out[i], (size_t)q.n[M0 + i] * 8);
        }
    }
    CK_TRUE(apart(p.y, q.y, p.n_y) < 1e-5, "%g", apart(p.y, q.y, p.n_y));
    CK_TRUE(apart(p.x[M0], q.x[M0], p.n[M0]) < 1e-5, "%g", apart(p.x[M0], q.x[M0], p.n[M0]));
    free(q.x[M0]);
    free(q.x[Z0]);
    twin_free(&q);
    prob_free(&p);
}

/* The tests above would notice: a zero, a wrong decay and a lost momentum are far from the formula. */
static void the_comparison_is_not_vacuous(void)
{
    prob p = prob_new(LOCI_SCAN_M, 1, 30, 1, 6, 6), q;
    double rms = 0;

    prob_fill(&p);
    CK_OK(prob_run(home(), &p, 64, false));
    for (int64_t i = 0; i < p.n_y; i++)
        rms += p.y[i] * p.y[i] / (double)p.n_y;
    CU_ASSERT(sqrt(rms) > 0.1);
    q = twin(&p);
    q.x[AL] = numbers(p.n[AL], 0);
    for (int64_t i = 0; i < p.n[AL]; i++)
        q.x[AL][i] = -p.x[AL][i];
    CK_OK(prob_run(home(), &q, 64, false));
    CU_ASSERT(apart(q.y, p.y, p.n_y) > 1e-2);
    free(q.x[AL]);
    q.x[AL] = p.x[AL];
    q.x[ET] = NULL;
    q.n[ET] = 0;
    CK_OK(prob_run(home(), &q, 64, false));
    CU_ASSERT(apart(q.y, p.y, p.n_y) > 1e-2);
    twin_free(&q);
    prob_free(&p);
}

#define TESTS(X) \
    X(exact_chunks_equal_the_recurrence) \
    X(every_tail_of_a_strip_equals_the_recurrence) \
    X(one_token_chunks_are_all_the_same) \
    X(any_cut_gives_the_outputs_and_gradients_of_the_whole) \
    X(the_recurrences_agree_where_they_meet) \
    X(forgetting_first_is_gated_deltanet_and_last_in_other_variables) \
    X(without_an_error_it_is_linear_attention) \
    X(the_future_and_other_documents_reach_nothing) \
    X(the_bits_do_not_depend_on_threads) \
    X(every_instruction_set_is_as_close_as_the_reference) \
    X(repeated_tokens_stay_bounded_in_exact_mode) \
    X(frozen_chunks_diverge_outside_their_bound) \
    X(long_decoding_does_not_drift) \
    X(the_comparison_is_not_vacuous)

CK_MAIN("scan_same", TESTS)

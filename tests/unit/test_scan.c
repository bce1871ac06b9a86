/* SPDX-License-Identifier: Apache-2.0
 *
 * loci.scan/1 on the CPU against the formulas of loci/scan.h, and its gradients against central differences of them.
 */
#include "tests/unit/test_scan.h"

/* Largest distance of y and the final states from the formula's. */
static double off_formula(prob *p, int bits)
{
    double *y = numbers(p->n_y, 0), *out[3], worst = 0;

    for (int i = 0; i < 3; i++)
        out[i] = numbers(p->n[M0 + i], 0);
    naive(p, y, out);
    CK_TRUE(prob_run(home(), p, bits, false) == LOCI_OK, "%s", ck_err.msg);
    if (p->op != LOCI_OP_WRITE)
        worst = apart(p->y, y, p->n_y);
    for (int i = 0; i < 3; i++) {
        worst = larger(worst, apart(p->out[i], out[i], p->n[M0 + i]));
        free(out[i]);
    }
    free(y);
    return worst;
}

static double loss(prob *p, double *y, double *const out[3])
{
    double sum = 0;

    naive(p, y, out);
    for (int64_t i = 0; i < p->n_y && p->op != LOCI_OP_WRITE; i++)
        sum += y[i] == SENTINEL ? 0 : y[i] * p->dy[i];
    for (int i = 0; i < 3; i++)
        for (int64_t j = 0; j < p->n[M0 + i]; j++)
            sum += out[i][j] == SENTINEL ? 0 : out[i][j] * p->dout[i][j];
    return sum;
}

/* The largest relative error of an element of a gradient. An element counts as at least a thousandth of its tensor's
 * root mean square: what differences can tell from 0. Differences of fourth order, step 1e-3. */
static double off_differences(prob *p)
{
    double *y = numbers(p->n_y, 0), *out[3], worst = 0;

    CK_TRUE(prob_run(home(), p, 64, true) == LOCI_OK, "%s", ck_err.msg);
    for (int i = 0; i < 3; i++)
        out[i] = numbers(p->n[M0 + i], 0);
    for (int i = 0; i < INPUTS; i++) {
        double *want = numbers(p->n[i], 0), mean = 0;

        for (int64_t j = 0; j < p->n[i]; j++) {
            const double x = p->x[i][j], step = 1e-3;
            double f[4];

            for (int s = 0; s < 4; s++) {
                static const double at[4] = {-2, -1, 1, 2};

                p->x[i][j] = x + at[s] * step;
                f[s] = loss(p, y, out);
            }
            p->x[i][j] = x;
            want[j] = (8 * (f[2] - f[1]) - (f[3] - f[0])) / (12 * step);
            if (i >= M0 && out[i - M0][j] == SENTINEL)
                want[j] = p->dout[i - M0][j]; /* a state row that no run names keeps its gradient */
            mean += want[j] * want[j] / (double)p->n[i];
        }
        for (int64_t j = 0; j < p->n[i]; j++) {
            const double size = fmax(fabs(want[j]), 1e-3 * sqrt(mean)), off = fabs(p->dx[i][j] - want[j]);

            worst = larger(worst, off == 0 ? 0 : off / size);
        }
        free(want);
    }
    for (int i = 0; i < 3; i++)
        free(out[i]);
    free(y);
    return worst;
}

/* Three rows: two packed documents, padding and an empty run; states permuted, one unnamed, positions inside chunks. */
static void ragged(prob *p)
{
    static const loci_run runs[] = {
        {0, 0, 4, 3, 0, 1}, {0, 4, 3, 0, 5, 2}, {1, 1, 5, 4, 8, 3}, {2, 0, 0, 2, 2, 4}, {2, 6, 1, 1, 1, 5}};

    p->states = 6;
    p->n_runs = sizeof runs / sizeof *runs;
    memcpy(p->runs, runs, sizeof runs);
}

static void check_one(int form, int op, int chunk, int order, int gform, bool bare)
{
    prob p = prob_form(form, chunk, 3, 7, 2, 3, 2);
    double worst;

    p.op = op, p.order = order, p.gform = gform, p.bare = bare;
    p.scale = 0.7;
    p.c = 1.3;
    ragged(&p);
    prob_fill(&p);
    worst = off_formula(&p, 64);
    CK_TRUE(worst < 1e-13, "forward of form %d, op %d, chunk %d, order %d, g %d: %g", form, op, chunk, order, gform,
            worst);
    CK_TRUE(off_formula(&p, 32) < 2e-6, "f32");
    worst = off_differences(&p);
    CK_TRUE(worst < 1e-6, "gradients of form %d, op %d, chunk %d, order %d, g %d: %g", form, op, chunk, order, gform,
            worst);
    prob_free(&p);
}

static void every_recurrence_follows_its_formula_and_gradients_differences(void)
{
    static const int chunks[] = {1, 3, 7};

    for (int form = 0; form < N_FORMS; form++) {
        const bool m = forms[form].scan == LOCI_SCAN_M;

        for (int g = 0; g <= 3 && !m; g += forms[form].scan == LOCI_SCAN_D ? 3 : 1)
            check_one(form, LOCI_OP_STEP, 0, 0, g, false);
        for (int c = 0; c < (forms[form].mode ? 3 : 1) && m; c++)
            for (int op = LOCI_OP_READ; op <= LOCI_OP_STEP; op++)
                for (int order = 0; order < 2; order++)
                    for (int bare = 0; bare < 2; bare++)
                        check_one(form, op, chunks[c], order, 0, bare);
    }
}

/* Long enough for checkpoints, segments of a frozen chunk, strips of rows and blocks of channels. */
static void long_runs_follow_the_formula_and_their_gradients_differences(void)
{
    static const int chunks[] = {16, 64, 67, 130};

    for (int form = 0; form < N_FORMS; form++)
        for (int c = 0; c < (forms[form].mode ? 4 : 1); c++) {
            prob p = prob_form(form, chunks[c], 1, 150, 1, forms[form].scan == LOCI_SCAN_D ? 3 : 2, 9);
            double worst;

            p.n_runs = 2;
            p.states = 2;
            p.runs[0] = (loci_run){0, 20, 130, 1, 5, 0};
            p.runs[1] = (loci_run){0, 0, 20, 0, 63, 0};
            prob_fill(&p);
            for (int64_t j = 0; j < p.n[TH]; j++)
                p.x[TH][j] *= 0.1;
            worst = off_formula(&p, 64);
            CK_TRUE(worst < 1e-12, "forward of form %d, chunk %d: %g", form, chunks[c], worst);
            worst = off_differences(&p);
            CK_TRUE(worst < 1e-6, "gradients of form %d, chunk %d: %g", form, chunks[c], worst);
            prob_free(&p);
        }
}

static void d_cuts_wide_rows_into_blocks(void)
{
    prob p = prob_new(LOCI_SCAN_D, 2, 70, 1, 600, 1), one;
    double *g, *v;

    prob_fill(&p);
    CU_ASSERT(off_formula(&p, 64) < 1e-14);
    CU_ASSERT(off_formula(&p, 32) < 1e-6);
    CK_OK(prob_run(home(), &p, 64, true));
    one = p;
    g = p.dx[G];
    v = p.dx[V];
    one.dx[G] = numbers(p.n[G], 0);
    one.dx[V] = numbers(p.n[V], 0);
    CK_OK(prob_run(home(), &one, 32, true));
    CU_ASSERT(apart(one.dx[G], g, p.n[G]) < 1e-6 && apart(one.dx[V], v, p.n[V]) < 1e-6);
    free(one.dx[G]);
    free(one.dx[V]);
    prob_free(&p);
}

/* Zeros and ones are ordinary gates. */
static void gates_at_their_limits_are_ordinary(void)
{
    for (int which = 0; which < 4; which++)
        for (int form = 3; form < N_FORMS; form++) {
            prob p = prob_form(form, 4, 1, 6, 1, 3, 3);
            double off;

            prob_fill(&p);
            for (int64_t i = 0; i < 6; i += 2)
                p.x[which == 1 ? AL : AL + which % 3][i] = which == 1 ? 1 : 0;
            for (int64_t i = 0; which == 3 && i < 6; i++)
                p.x[AL][i] = p.x[ET][i] = p.x[TH][i] = 0;
            CU_ASSERT(off_formula(&p, 64) < 1e-13);
            off = off_differences(&p);
            CK_TRUE(off < 1e-6, "limit %d, form %d: %g", which, form, off);
            prob_free(&p);
        }
}

/* ---- reading and writing ---- */

static void read_leaves_every_state(void)
{
    for (int form = 3; form < N_FORMS; form++) {
        prob p = prob_form(form, 4, 2, 9, 2, 6, 5);

        p.op = LOCI_OP_READ;
        prob_fill(&p);
        CK_OK(prob_run(home(), &p, 64, true));
        for (int i = 0; i < 3; i++)
            CU_ASSERT(memcmp(p.out[i], p.x[M0 + i] ? p.x[M0 + i] : p.out[i], (size_t)p.n[M0 + i] * 8) == 0);
        for (int i = 1; i < 3; i++) /* Z and C pass their gradients through */
            CU_ASSERT(p.n[M0 + i] == 0 || memcmp(p.dx[M0 + i], p.dout[i], (size_t)p.n[M0 + i] * 8) == 0);
        prob_free(&p);
    }
}

/* WRITE of one token and then READ of it is STEP after the write; READ and then WRITE is STEP before it. */
static void write_and_read_are_step(void)
{
    for (int order = 0; order < 2; order++) {
        prob step = prob_new(LOCI_SCAN_M, 1, 1, 2, 5, 4), w, r;

        step.order = order;
        prob_fill(&step);
        CK_OK(prob_run(home(), &step, 64, false));
        w = twin(&step);
        w.op = LOCI_OP_WRITE;
        r = twin(&step);
        r.op = LOCI_OP_READ;
        CK_OK(prob_run(home(), &w, 64, false));
        if (!order)
            r.x[M0] = w.out[0];
        CK_OK(prob_run(home(), &r, 64, false));
        CU_ASSERT(apart(r.y, step.y, step.n_y) < 1e-14);
        CU_ASSERT(apart(w.out[0], step.out[0], step.n[M0]) < 1e-14);
        CU_ASSERT(apart(w.out[1], step.out[1], step.n[Z0]) < 1e-14);
        twin_free(&w);
        twin_free(&r);
        prob_free(&step);
    }
}

static void state_out_may_be_the_storage_of_state_in(void)
{
    for (int form = 0; form < N_FORMS; form++) {
        prob p = prob_form(form, 6, 2, 40, 2, 5, 4), q;

        prob_fill(&p);
        CK_OK(prob_run(home(), &p, 64, false));
        q = twin(&p);
        q.inplace = true;
        CK_OK(prob_run(home(), &q, 64, false));
        CU_ASSERT(memcmp(p.y, q.y, (size_t)p.n_y * 8) == 0);
        for (int s = 0; s < 3; s++)
            CU_ASSERT(memcmp(p.out[s], q.out[s], (size_t)p.n[M0 + s] * 8) == 0);
        twin_free(&q);
        prob_free(&p);
    }
}

static void rows_need_not_be_adjacent(void)
{
    for (int form = 0; form < N_FORMS; form++) {
        prob p = prob_form(form, 4, 3, 7, 2, 5, 4), q;

        ragged(&p);
        prob_fill(&p);
        CK_OK(prob_run(home(), &p, 64, true));
        q = twin(&p);
        box_pad = 3;
        CK_OK(prob_run(home(), &q, 64, true));
        box_pad = 0;
        CU_ASSERT(results_apart(&q, &p) == 0);
        twin_free(&q);
        prob_free(&p);
    }
}

static void without_eta_no_momentum_is_kept(void)
{
    for (int form = 3; form < N_FORMS; form++) {
        prob p = prob_form(form, 4, 1, 11, 2, 5, 4), q;
        double off;

        p.bare = true;
        prob_fill(&p);
        memset(p.dout[1], 0, (size_t)p.n[Z0] * 8);
        CK_OK(prob_run(home(), &p, 64, true));
        q = twin(&p);
        q.empty_z = true;
        CK_OK(prob_run(home(), &q, 64, true));
        q.n[Z0] = 0;
        off = results_apart(&q, &p);
        CK_TRUE(off < 1e-15, "form %d: %g", form, off);
        twin_free(&q);
        prob_free(&p);
    }
}

/* ---- refusals ---- */

static void wrong_calls_are_refused_with_a_reason(void)
{
    prob p = prob_new(LOCI_SCAN_M, 1, 4, 1, 3, 3);

    prob_fill(&p);
    p.mode = 3;
    CU_ASSERT(prob_run(home(), &p, 64, false) == LOCI_E_ARG && strstr(ck_err.msg, "mode 3"));
    p.mode = LOCI_SCAN_EXACT;
    p.chunk = 0;
    CU_ASSERT(prob_run(home(), &p, 64, false) == LOCI_E_ARG && strstr(ck_err.msg, "chunk 0"));
    p.mode = LOCI_SCAN_SEQUENTIAL;
    p.runs[0].len = 5;
    CU_ASSERT(prob_run(home(), &p, 64, false) == LOCI_E_ARG && strstr(ck_err.msg, "tokens 0 + 5"));
    p.runs[0].len = 4;
    p.runs[0].state = 1;
    CU_ASSERT(prob_run(home(), &p, 64, false) == LOCI_E_ARG && strstr(ck_err.msg, "state 1"));
    p.runs[0].state = 0;
    p.order = 2;
    CU_ASSERT(prob_run(home(), &p, 64, false) == LOCI_E_ARG && strstr(ck_err.msg, "read order 2"));
    p.order = 0;
    p.error = 3;
    CU_ASSERT(prob_run(home(), &p, 64, false) == LOCI_E_ARG && strstr(ck_err.msg, "error 3"));
    p.error = 0;
    CU_ASSERT(prob_run(home(), &p, 64, false) == LOCI_OK);
    prob_free(&p);
    p = prob_new(LOCI_SCAN_W, 1, 4, 1, 3, 3);
    prob_fill(&p);
    free(p.x[U]);
    p.x[U] = NULL;
    CU_ASSERT(prob_run(home(), &p, 64, false) == LOCI_E_ARG && strstr(ck_err.msg, "u is missing"));
    prob_free(&p);
}

static void a_plan_grows_with_every_limit_and_covers_smaller_calls(void)
{
    const loci_scan *scan = loci_cpu_scan();
    loci_scan_io io = {.struct_size = sizeof io, .scan = LOCI_SCAN_M, .op = LOCI_OP_STEP, .chunk = 67};

    for (int form = 3; form < N_FORMS; form++) {
        loci_shape s = {.struct_size = sizeof s, .flags = LOCI_X_SAVE, .dtype = {2, 32, 1}, .acc = {2, 32, 1}};
        loci_need a, b;

        io.mode = forms[form].mode;
        io.error = forms[form].error;
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
    }
    io.mode = 0;
    {
        loci_shape s = {.struct_size = sizeof s, .dtype = {4, 16, 1}, .acc = {2, 32, 1}, .dk = 4, .dv = 4, .heads = 1};
        loci_need need = {.struct_size = sizeof need};

        CU_ASSERT(scan->plan(&io, &s, &need, &ck_err) == LOCI_E_UNSUPPORTED);
    }
}

#define TESTS(X) \
    X(every_recurrence_follows_its_formula_and_gradients_differences) \
    X(long_runs_follow_the_formula_and_their_gradients_differences) \
    X(d_cuts_wide_rows_into_blocks) \
    X(gates_at_their_limits_are_ordinary) \
    X(read_leaves_every_state) \
    X(write_and_read_are_step) \
    X(state_out_may_be_the_storage_of_state_in) \
    X(rows_need_not_be_adjacent) \
    X(without_eta_no_momentum_is_kept) \
    X(wrong_calls_are_refused_with_a_reason) \
    X(a_plan_grows_with_every_limit_and_covers_smaller_calls)

CK_MAIN("scan", TESTS)

/* SPDX-License-Identifier: Apache-2.0
 *
 * loci.scan/1 of the card where its kernels have something to do: several warps, strips, tiles, segments and pieces,
 * every width of a row, and tokens that are copied 16 bytes at a time or one element. The oracle is the CPU device in
 * float64. The float32 of a family of cases may be twice as far from it, as RMS, as the CPU's plain float32, and four
 * units in the last place; of one case, where few numbers decide, four times.
 */
#define CK_CARD 1
#include "tests/unit/test_scan.h"

static struct ck_host cpu;

static void cpu_close(void)
{
    loci_cpu_close(cpu.dev);
}

static void cpu_open(void)
{
    if (cpu.dev)
        return;
    setenv("LOCI_CPU", "ref", 1);
    ck_on_card = 0;
    CK_OK(ck_host_open(&cpu, 1, &ck_err));
    ck_on_card = 1;
    atexit(cpu_close);
}

/* Squares of distances from the oracle, of float32. */
typedef struct family {
    double card, cpu;
    int n;
} family;

static void judge(const family *f, const char *what)
{
    const double card = sqrt(f->card / f->n), plain = sqrt(f->cpu / f->n);

    CK_TRUE(f->n > 0 && card <= 2 * plain + 4 * 0x1p-24, "%s: %d cases are off by %g, on the CPU by %g", what, f->n,
            card, plain);
}

/* The card against the CPU, in both types; what: for the message. */
static void same_as_cpu(family *f, const prob *p, prob *want, double f32, const char *what)
{
    for (int bits = 32; bits <= 64; bits += 32) {
        prob q = twin(p);
        double off;

        CK_TRUE(prob_run(home(), &q, bits, true) == LOCI_OK, "%s: %s", what, ck_err.msg);
        off = results_apart(&q, want);
        f->card += bits == 32 ? off * off : 0;
        f->cpu += bits == 32 ? f32 * f32 : 0;
        f->n += bits == 32;
        CK_TRUE(off <= (bits == 64 ? 1e-12 : 4 * f32 + 4 * 0x1p-24),
                "%s: scan %d, mode %d, error %d, g %d, %d x %d, f%d: off by %g, the CPU by %g", what, p->scan, p->mode,
                p->error, p->gform, (int)p->e, (int)p->d, bits, off, f32);
        twin_free(&q);
    }
}

static void compare(family *f, prob *p, int schedules)
{
    prob want, plain;
    double f32;

    cpu_open();
    p->scale = 0.7;
    p->c = 1.3;
    prob_fill(p);
    for (int64_t i = 0; i < p->n[TH]; i++)
        p->x[TH][i] *= 0.3;
    want = twin(p);
    plain = twin(p);
    CK_OK(prob_run(&cpu, &want, 64, true));
    CK_OK(prob_run(&cpu, &plain, 32, true));
    f32 = results_apart(&plain, &want);
    CU_ASSERT(f32 < 1e-5);
    for (int kind = 0; kind < schedules; kind++) {
        simt_schedule(kind, 7);
        same_as_cpu(f, p, &want, f32, simt_schedule_name(kind));
    }
    twin_free(&want);
    twin_free(&plain);
    prob_free(p);
}

/* Two documents in a row, padding between; the second begins inside a chunk. */
static prob two_runs(int scan, int64_t T, int64_t H, int64_t d, int64_t e)
{
    prob p = prob_new(scan, 1, T, H, d, e);

    p.states = p.n_runs = 2;
    p.runs[0] = (loci_run){0, 1, (int32_t)T - 7, 1, 5, 0};
    p.runs[1] = (loci_run){0, (int32_t)T - 5, 5, 0, 63, 0};
    return p;
}

/* L in pieces, decays of channels and of heads; W; M with momentum, frozen; M that is only read. */
static void schedules_all_give_what_the_cpu_gives(void)
{
    static const struct {
        int scan, mode, error, op, gform, d, e;
    } form[] = {{LOCI_SCAN_L, LOCI_SCAN_EXACT, 0, LOCI_OP_STEP, 3, 36, 24},
                {LOCI_SCAN_L, LOCI_SCAN_EXACT, 0, LOCI_OP_STEP, 1, 20, 33},
                {LOCI_SCAN_W, LOCI_SCAN_SEQUENTIAL, 0, LOCI_OP_STEP, 3, 36, 36},
                {LOCI_SCAN_M, LOCI_SCAN_EXACT, 1, LOCI_OP_STEP, 0, 132, 12},
                {LOCI_SCAN_M, LOCI_SCAN_FROZEN, 0, LOCI_OP_STEP, 0, 36, 24},
                {LOCI_SCAN_M, LOCI_SCAN_EXACT, 0, LOCI_OP_READ, 0, 68, 20}};

    for (int i = 0; i < (int)(sizeof form / sizeof *form); i++) {
        family f = {0};
        prob p = two_runs(form[i].scan, 78, 1, form[i].d, form[i].e);

        p.mode = form[i].mode;
        p.error = form[i].error;
        p.op = form[i].op;
        p.gform = form[i].gform;
        p.chunk = 12;
        compare(&f, &p, SIMT_SCHEDULES);
        judge(&f, "all schedules");
    }
}

/* L and W share the widths between them, and the forms of M. */
static void every_form_and_width_of_a_row_equals_the_cpu(void)
{
    static const int wide[] = {1, 3, 31, 32, 33, 64, 65, 100, 128, 129, 200, 256};

    for (int form = 0; form < N_FORMS; form++) {
        const int m = forms[form].scan == LOCI_SCAN_M, step = m ? 4 : 2;
        family f = {0};

        for (int i = m ? form % 4 : forms[form].scan == LOCI_SCAN_W; i < (int)(sizeof wide / sizeof *wide); i += step) {
            prob p = two_runs(forms[form].scan, 34 + i, 1, wide[i], 1 + 3 * i);

            if (p.scan == LOCI_SCAN_D)
                break;
            p.mode = forms[form].mode;
            p.error = forms[form].error;
            p.order = i % 2;
            p.gform = i / 2 % 4;
            p.bare = i % 5 == 1;
            p.chunk = 7;
            compare(&f, &p, 1);
        }
        if (forms[form].scan != LOCI_SCAN_D)
            judge(&f, "all widths");
    }
}

/* Pieces of L: as many as tokens ask for, with decays that end a memory and such that keep it. */
static void pieces_of_any_number_equal_the_cpu(void)
{
    family f = {0};

    for (int T = 63; T <= 195; T += 33)
        for (int gform = 0; gform <= 3; gform++) {
            prob p = prob_new(LOCI_SCAN_L, 2, T, 2, 8, 6);

            p.mode = LOCI_SCAN_EXACT;
            p.chunk = 16;
            p.gform = gform;
            compare(&f, &p, 1);
        }
    judge(&f, "pieces");
}

/* 33 strips, which are one more than blocks; 9, of which two heads are more than a turn; several windows. */
static void strips_turns_and_windows_equal_the_cpu(void)
{
    static const struct {
        int scan, mode, op, gform, T, H, d, e;
    } form[] = {{LOCI_SCAN_M, LOCI_SCAN_FROZEN, LOCI_OP_STEP, 0, 16, 1, 132, 260},
                {LOCI_SCAN_L, LOCI_SCAN_SEQUENTIAL, LOCI_OP_STEP, 1, 76, 2, 132, 68},
                {LOCI_SCAN_L, LOCI_SCAN_EXACT, LOCI_OP_STEP, 2, 76, 2, 132, 68},
                {LOCI_SCAN_L, LOCI_SCAN_EXACT, LOCI_OP_STEP, 1, 76, 1, 68, 34},
                {LOCI_SCAN_W, LOCI_SCAN_SEQUENTIAL, LOCI_OP_STEP, 1, 76, 1, 132, 12},
                {LOCI_SCAN_M, LOCI_SCAN_EXACT, LOCI_OP_READ, 0, 76, 1, 132, 12}};

    for (int i = 0; i < (int)(sizeof form / sizeof *form); i++) {
        family f = {0};
        prob p = two_runs(form[i].scan, form[i].T, form[i].H, form[i].d, form[i].e);

        p.mode = form[i].mode;
        p.op = form[i].op;
        p.gform = form[i].gform;
        p.chunk = 12;
        compare(&f, &p, 1);
        judge(&f, "strips");
    }
}

/* A row of a state is shared by 4, 8, 16 and 32 lanes. */
static void a_memory_that_is_only_read_equals_the_cpu(void)
{
    static const int wide[] = {20, 36, 68, 132};
    family f = {0};

    for (int i = 0; i < (int)(sizeof wide / sizeof *wide); i++) {
        prob p = two_runs(LOCI_SCAN_M, 34, 1, wide[i], 12);

        p.mode = LOCI_SCAN_EXACT;
        p.op = LOCI_OP_READ;
        p.chunk = 7;
        compare(&f, &p, 1);
    }
    judge(&f, "read");
}

static void a_decay_of_nothing_and_of_everything_are_ordinary(void)
{
    prob p = prob_new(LOCI_SCAN_L, 1, 200, 1, 8, 6), want;
    family f = {0};

    cpu_open();
    p.mode = LOCI_SCAN_EXACT;
    p.chunk = 16;
    prob_fill(&p);
    for (int64_t i = 0; i < p.n[G]; i++)
        p.x[G][i] = i % 8 == 1 ? 0 : i % 8 == 2 && i / 8 % 70 == 0 ? -INFINITY : i % 8 == 3 ? -200 : p.x[G][i];
    want = twin(&p);
    CK_OK(prob_run(&cpu, &want, 64, true));
    same_as_cpu(&f, &p, &want, 1e-6, "decays");
    twin_free(&want);
    prob_free(&p);
}

#define TESTS(X) \
    X(schedules_all_give_what_the_cpu_gives) \
    X(every_form_and_width_of_a_row_equals_the_cpu) \
    X(pieces_of_any_number_equal_the_cpu) \
    X(strips_turns_and_windows_equal_the_cpu) \
    X(a_memory_that_is_only_read_equals_the_cpu) \
    X(a_decay_of_nothing_and_of_everything_are_ordinary)

CK_MAIN("card_scan_tiles", TESTS)

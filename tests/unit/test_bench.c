/* SPDX-License-Identifier: Apache-2.0
 *
 * core/bench: statistics, counting and the sampling loop, on calls that take no time worth measuring; the loops of
 * every instruction set compute what they say; a trial's bare call can be made again. Nothing here depends on a clock.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "core/bench/impl.h"
#include "core/device/cpu.h"
#include "core/trial/trial.h"
#include "tests/ck.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

static loci_error ck_err = LOCI_ERROR_INIT;

/* ---- statistics and counts --------------------------------------------------------------------------------------- */

static void quantile__is_linear_between_neighbours(void)
{
    double x[] = {5, 1, 4, 2, 3}, one[] = {7}, two[] = {10, 0};

    CU_ASSERT_EQUAL(loci_bench_quantile(x, 5, 0.5), 3);
    CU_ASSERT_EQUAL(x[0], 1); /* in order now */
    CU_ASSERT_EQUAL(loci_bench_quantile(x, 5, 0), 1);
    CU_ASSERT_EQUAL(loci_bench_quantile(x, 5, 1), 5);
    CU_ASSERT_DOUBLE_EQUAL(loci_bench_quantile(x, 5, 0.1), 1.4, 1e-12);
    CU_ASSERT_EQUAL(loci_bench_quantile(one, 1, 0.9), 7);
    CU_ASSERT_EQUAL(loci_bench_quantile(two, 2, 0.5), 5);
}

/* Pair by pair, as the mask says it. */
static double pairs_plainly(int64_t T, int64_t S, int64_t offset, bool causal, int64_t window)
{
    double n = 0;

    for (int64_t t = 0; t < T; t++)
        for (int64_t s = 0; s < S; s++) {
            const int64_t back = offset + t - s;
            n += !(causal && back < 0) && !(window > 0 && (back >= window || -back >= window));
        }
    return n;
}

static void pairs__are_those_the_mask_shows(void)
{
    const int64_t windows[] = {0, 1, 3, 8, 100};

    for (int64_t T = 1; T < 9; T++)
        for (int64_t S = T; S < 12; S += 3)
            for (int causal = 0; causal < 2; causal++)
                for (int w = 0; w < 5; w++) {
                    const double got = loci_bench_pairs(T, S, S - T, causal, windows[w]);
                    CK_TRUE(got == pairs_plainly(T, S, S - T, causal, windows[w]), "T %d S %d causal %d window %d: %g",
                            (int)T, (int)S, causal, (int)windows[w], got);
                }
}

static void flops__count_two_products_forward_and_five_backward(void)
{
    loci_bench_size z = {.B = 2, .H = 3, .Hk = 3, .T = 10, .D = 8, .dtype = loci_f32};

    CU_ASSERT_EQUAL(loci_bench_attention_flops(&z), 2 * 3 * 55 * 4 * 8);
    z.pass = LOCI_BENCH_BACKWARD;
    CU_ASSERT_EQUAL(loci_bench_attention_flops(&z), 2 * 3 * 55 * 10 * 8);
    z.full = true;
    CU_ASSERT_EQUAL(loci_bench_attention_flops(&z), 2 * 3 * 100 * 10 * 8);
    z.full = false;
    z.pass = LOCI_BENCH_DECODE;
    CU_ASSERT_EQUAL(loci_bench_attention_flops(&z), 2 * 3 * 10 * 4 * 8);
}

static void decode_bytes__read_each_key_head_once_and_the_window_only(void)
{
    loci_bench_size z = {.B = 2, .H = 4, .Hk = 2, .T = 10, .D = 8, .dtype = loci_f32, .pass = LOCI_BENCH_DECODE};

    CU_ASSERT_EQUAL(loci_bench_decode_bytes(&z), 2 * (2 * 4 + 2 * 2 * 10) * 8 * 4);
    z.window_tok = 3;
    CU_ASSERT_EQUAL(loci_bench_decode_bytes(&z), 2 * (2 * 4 + 2 * 2 * 3) * 8 * 4);
    z.dtype = loci_bf16;
    CU_ASSERT_EQUAL(loci_bench_decode_bytes(&z), 2 * (2 * 4 + 2 * 2 * 3) * 8 * 2);
}

/* ---- sampling ---------------------------------------------------------------------------------------------------- */

struct counter {
    uint64_t calls, agains, fail_at;
    bool ready, stale; /* stale: called without being put back */
    volatile sig_atomic_t stop;
    uint64_t stop_at;
};

static loci_status count_call(void *arg, loci_error *err)
{
    struct counter *c = arg;

    c->stale |= !c->ready;
    c->ready = false;
    if (++c->calls == c->stop_at)
        c->stop = 1;
    return c->calls == c->fail_at ? loci_fail(err, LOCI_E_NUMERIC, "the call says no") : LOCI_OK;
}

static loci_status count_again(void *arg, loci_error *err)
{
    struct counter *c = arg;

    (void)err;
    c->agains++;
    c->ready = true;
    return LOCI_OK;
}

static void measure__counts_its_calls_and_orders_its_times(void)
{
    struct counter c = {0};
    const loci_bench_call call = {count_call, NULL, &c};
    const loci_bench_how how = {.seconds = 0.01};
    loci_bench_times t;

    CK_OK(loci_bench_measure(&t, &call, &how, &ck_err));
    CU_ASSERT(t.samples >= 3);
    CK_TRUE(t.calls > t.samples, "%u samples, %llu calls: too short for one each", t.samples,
            (unsigned long long)t.calls);
    CU_ASSERT(c.calls >= t.calls + 2); /* the warm-up */
    CU_ASSERT(t.least >= 0 && t.least <= t.p10 && t.p10 <= t.median && t.median <= t.p90 && t.p90 <= t.most);
    CU_ASSERT(t.cpu >= 0);
}

static void measure__puts_back_before_every_call(void)
{
    struct counter c = {0};
    const loci_bench_call call = {count_call, count_again, &c};
    const loci_bench_how how = {.seconds = 0.01};
    loci_bench_times t;

    CK_OK(loci_bench_measure(&t, &call, &how, &ck_err));
    CU_ASSERT_FALSE(c.stale);
    CU_ASSERT_EQUAL(c.calls, c.agains);
    CU_ASSERT_EQUAL(t.calls, t.samples);
}

static void measure__passes_a_failure_on(void)
{
    for (uint64_t at = 1; at < 6; at++) {
        struct counter c = {.fail_at = at};
        const loci_bench_call call = {count_call, count_again, &c};
        const loci_bench_how how = {.seconds = 0.01};
        loci_bench_times t;

        CU_ASSERT_EQUAL(loci_bench_measure(&t, &call, &how, &ck_err), LOCI_E_NUMERIC);
        CU_ASSERT_EQUAL(c.calls, at);
        CU_ASSERT_STRING_EQUAL(ck_err.msg, "the call says no");
        loci_error_clear(&ck_err);
    }
}

static void measure__stops_when_told(void)
{
    struct counter c = {.stop_at = 3};
    const loci_bench_call call = {count_call, count_again, &c};
    const loci_bench_how how = {.seconds = 1e6, .stop = &c.stop};
    loci_bench_times t;

    CU_ASSERT_EQUAL(loci_bench_measure(&t, &call, &how, &ck_err), LOCI_E_STOPPED);
    CU_ASSERT_EQUAL(c.calls, 3);
    loci_error_clear(&ck_err);
}

static void measure__survives_every_failing_allocation(void)
{
    for (long n = 1; n < 5; n++) {
        struct counter c = {0};
        const loci_bench_call call = {count_call, count_again, &c};
        const loci_bench_how how = {.seconds = 1e-4, .cold = true};
        const size_t held = loci_memory_held();
        loci_bench_times t;
        loci_status status;

        loci_memory_fail_at(n);
        status = loci_bench_measure(&t, &call, &how, &ck_err);
        loci_memory_fail_at(0);
        CU_ASSERT(status == LOCI_E_NOMEM || status == LOCI_OK);
        CK_TRUE(n > 3 || status == LOCI_E_NOMEM, "allocation %ld is one of three", n);
        CU_ASSERT_EQUAL(loci_memory_held(), held);
        loci_error_clear(&ck_err);
    }
}

/* ---- the loops --------------------------------------------------------------------------------------------------- */

/* 12 chains begin at 1 .. 12 in every lane and go to 2, which a rounding leaves within one part in a million. */
static void fma__loops_compute_what_they_say(void)
{
    static const loci_fma *const all[] = {
#define LOCI_FMA(isa, need) &loci_fma_##isa,
#include "core/bench/fma.inc"
#undef LOCI_FMA
    };
    static float ones[1024] __attribute__((aligned(64))), sums[1024] __attribute__((aligned(64)));
    int level;

    CK_OK(loci_cpu_level(&level, &ck_err));
    for (int i = 0; i < 1024; i++)
        ones[i] = (float)(i % 3);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const loci_fma *f = all[i];
        if (f->level > level)
            continue;
        CK_TRUE(f->f32(0) == 102.0 * f->bytes / 4, "%s: %g", f->name, f->f32(0));
        CK_TRUE(f->f64(0) == 102.0 * f->bytes / 8, "%s: %g", f->name, f->f64(0));
        CK_TRUE(f->f32(1) == (102.0 * 0.75 + 6) * f->bytes / 4, "%s: %g", f->name, f->f32(1));
        CK_TRUE(f->f64(1) == (102.0 * 0.75 + 6) * f->bytes / 8, "%s: %g", f->name, f->f64(1));
        CU_ASSERT_DOUBLE_EQUAL(f->f32(1000), 24.0 * f->bytes / 4, 1e-3);
        CU_ASSERT_DOUBLE_EQUAL(f->f64(1000), 24.0 * f->bytes / 8, 1e-6);
        CK_TRUE(f->read(ones, sizeof ones) == 1023, "%s reads %g", f->name, f->read(ones, sizeof ones));
        f->triad(sums, ones, ones, sizeof ones);
        for (int k = 0; k < 1024; k++)
            CK_TRUE(sums[k] == 4 * ones[k], "%s: triad[%d] = %g", f->name, k, (double)sums[k]);
    }
}

/* Loops of bf16 that this machine cannot run are counted, not passed over in silence. */
static void dot__loops_compute_what_they_say(void)
{
    static const loci_dot *const all[] = {
#define LOCI_DOT(name) &loci_dot_##name,
#include "core/bench/dot.inc"
#undef LOCI_DOT
        NULL};
    int level, ran = 0;

    CK_OK(loci_cpu_level(&level, &ck_err));
    for (size_t i = 0; all[i]; i++) {
        const loci_dot *f = all[i];
        if (!loci__dot_runs(f->need, level)) {
            printf("    %s does not run here\n", f->name);
            continue;
        }
        ran++;
        for (int rounds = 0; rounds < 7; rounds++)
            CK_TRUE(f->bf16(rounds) == (rounds % 2 ? f->odd : f->even), "%s: %d rounds come to %g", f->name, rounds,
                    f->bf16(rounds));
    }
    if (!ran)
        CK_SKIP("no instruction for bf16 runs here");
}

static void dot__a_cap_forbids_what_is_above_it(void)
{
    char *was = getenv("LOCI_CPU") ? strdup(getenv("LOCI_CPU")) : NULL;
    int level;

    CU_ASSERT_FALSE(loci__dot_runs(LOCI_DOT_AVX512BF16, LOCI_CPU_AVX2));
    CU_ASSERT_FALSE(loci__dot_runs(LOCI_DOT_AMX, LOCI_CPU_REF));
    setenv("LOCI_CPU", "avx512", 1);
    CK_OK(loci_cpu_level(&level, &ck_err));
    CU_ASSERT_FALSE(loci__dot_runs(LOCI_DOT_AMX, level));
    was ? setenv("LOCI_CPU", was, 1) : unsetenv("LOCI_CPU");
    free(was);
}

/* ---- the clock of all threads ------------------------------------------------------------------------------------ */

static void *be_busy(void *stop)
{
    while (!*(atomic_bool *)stop)
        continue;
    return NULL;
}

static double seconds_of(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* What another thread has used in half a millisecond of ours, as all clocks together saw it and as its own then says.
 * The clock of the process misses all of it but once a tick; the median of many tries does not ask how busy a machine
 * is. Its own clock is read last: to read it brings the others up to date. */
static void cpu_clock__knows_at_once_what_another_thread_has_used(void)
{
    enum { TRIES = 41 };
    atomic_bool stop = false;
    pthread_t thread;
    clockid_t other;
    loci_cpu_clock clock;
    double missed[TRIES];

    if (pthread_create(&thread, NULL, be_busy, &stop))
        CK_SKIP("no second thread");
    pthread_getcpuclockid(thread, &other);
    loci__cpu_clock_open(&clock);
    CU_ASSERT(clock.n >= 2);
    for (int i = 0; i < TRIES; i++) {
        const double mine = seconds_of(CLOCK_THREAD_CPUTIME_ID), its = seconds_of(other);
        const double all = loci__cpu_clock_read(&clock);
        double now = mine;
        while (now < mine + 5e-4)
            now = seconds_of(CLOCK_THREAD_CPUTIME_ID);
        missed[i] = loci__cpu_clock_read(&clock) - all;
        missed[i] = seconds_of(other) - its + seconds_of(CLOCK_THREAD_CPUTIME_ID) - mine - missed[i];
    }
    CK_TRUE(loci_bench_quantile(missed, TRIES, 0.5) < 5e-5, "%.0f us of CPU time are missed",
            1e6 * loci_bench_quantile(missed, TRIES, 0.5));
    stop = true;
    pthread_join(thread, NULL);
}

/* ---- a trial's bare call -------------------------------------------------------------------------------------------
 */

struct repeat {
    int n;
    const char *stage;
    int seen;
};

static loci_status repeat(void *arg, const char *stage, const loci_trial_bare *bare, loci_error *err)
{
    loci_status status = LOCI_OK;
    struct repeat *r = arg;
    const int n = strcmp(stage, r->stage) ? 1 : r->n;

    r->seen += !strcmp(stage, r->stage);
    for (int i = 0; i < n && status == LOCI_OK; i++) {
        status = bare->again ? bare->again(bare->self, err) : LOCI_OK;
        if (status == LOCI_OK)
            status = bare->call(bare->self, err);
    }
    return status;
}

/* sets: KEY=VALUE, with spaces between them */
static loci_status rig(loci_conf **conf, loci_context **cx, const char *sets)
{
    loci_status status = LOCI_OK;
    char copy[256], *save = NULL;

    snprintf(copy, sizeof copy, "%s", sets);
    LOCI_TRY(loci_conf_new(conf, &ck_err));
    LOCI_TRY(loci_conf_set(*conf, "plugins.ownership=off", "test", &ck_err));
    LOCI_TRY(loci_conf_set(*conf, "run.threads=2", "test", &ck_err));
    for (char *set = strtok_r(copy, " ", &save); set; set = strtok_r(NULL, " ", &save))
        LOCI_TRY(loci_conf_set(*conf, set, "test", &ck_err));
    LOCI_TRY(loci_context_new(cx, *conf, getenv("LOCI_TEST_PLUGINS"), false, &ck_err));
out:
    return status;
}

static void peak__of_bf16_is_the_fastest_loop_that_runs(void)
{
    const loci_bench_how how = {.seconds = 0.01};
    loci_bench_machine m = {0};
    loci_conf *conf = NULL;
    loci_context *cx = NULL;

    CK_OK(rig(&conf, &cx, "model.dim=16"));
    CK_OK(loci_bench_find_peak(&m, cx, LOCI_BENCH_BF16, &how, &ck_err));
    CU_ASSERT_EQUAL(m.threads, 2);
    CU_ASSERT(m.peak[LOCI_BENCH_F32].flops > 0 && m.peak[LOCI_BENCH_F32].cpu_flops > 0);
    CU_ASSERT(m.peak[LOCI_BENCH_BF16].cpu_flops >= m.peak[LOCI_BENCH_F32].cpu_flops);
    CU_ASSERT_EQUAL(m.peak[LOCI_BENCH_F64].flops, 0);
    CU_ASSERT(strstr(m.peak[LOCI_BENCH_F32].name, "f32 fma, ") == m.peak[LOCI_BENCH_F32].name);
    for (uint32_t i = 0; i < m.n_dots; i++)
        CU_ASSERT(m.dot[i].cpu_flops <= m.peak[LOCI_BENCH_BF16].cpu_flops);
    loci_context_free(cx);
    loci_conf_free(conf);
}

/* Outputs, end states and their gradients of n calls are those of one, and gradients of inputs n times them. */
static void same_again(const char *kind, const char *set)
{
    const loci_trial_size size = {.docs = 2,
                                  .seq = 9,
                                  .keys = strcmp(kind, "attention") ? 0 : 9,
                                  .dim = 16,
                                  .heads = 2,
                                  .k_heads = 2,
                                  .v_heads = 2,
                                  .dk = 8,
                                  .dv = 8,
                                  .dtype = loci_f64};
    loci_conf *conf = NULL;
    loci_context *cx = NULL;
    loci_trial *once = NULL, *often = NULL;
    struct repeat r = {4, "backward", 0};
    const loci_trial_how plain = {.back = true}, again = {.back = true, .around = repeat, .arg = &r};

    if (rig(&conf, &cx, set) != LOCI_OK ||
        loci_trial_open(&once, cx, kind, LOCI_TRIAL_AS_IS, &size, &ck_err) != LOCI_OK ||
        loci_trial_open(&often, cx, kind, LOCI_TRIAL_AS_IS, &size, &ck_err) != LOCI_OK) {
        CK_TRUE(0, "%s %s: %s", kind, set, ck_err.msg);
        goto out;
    }
    loci_trial_fill(once, 3);
    loci_trial_fill(often, 3);
    if (loci_trial_run(once, &plain, &ck_err) != LOCI_OK || loci_trial_run(often, &again, &ck_err) != LOCI_OK) {
        CK_TRUE(0, "%s %s: %s", kind, set, ck_err.msg);
        goto out;
    }
    CU_ASSERT_EQUAL(r.seen, 1);
    for (uint32_t i = 0; i < loci_trial_n_ports(once); i++) {
        const loci_port *a = loci_trial_port(once, i), *b = loci_trial_port(often, i);
        const bool state = a->role == LOCI_PORT_STATE, output = a->role == LOCI_PORT_OUTPUT;
        if (output)
            CK_TRUE(!memcmp(a->value, b->value, a->elements * sizeof(double)), "%s %s: %s differs", kind, set, a->name);
        for (uint64_t k = 0; a->real && !output && k < a->elements; k++)
            if (fabs(b->grad[k] - (state ? 1 : 4) * a->grad[k]) > 1e-9 * (1 + fabs(a->grad[k]))) {
                CK_TRUE(0, "%s %s: gradient of %s is %g, once %g", kind, set, a->name, b->grad[k], a->grad[k]);
                break;
            }
    }
out:
    loci_trial_free(once);
    loci_trial_free(often);
    loci_context_free(cx);
    loci_conf_free(conf);
    loci_error_clear(&ck_err);
}

static void bare__backward_can_be_made_again(void)
{
    if (!getenv("LOCI_TEST_PLUGINS"))
        CK_SKIP("LOCI_TEST_PLUGINS does not say where the plugins are");
    same_again("attention", "attention.backend=ref");
    same_again("attention", "attention.backend=cpu");
    same_again("memory", "memory.backend=delta");
    same_again("memory", "memory.backend=titans");
    same_again("mixer", "mixer.backend=gla");
    same_again("mixer", "mixer.backend=mha");
}

static void component__a_row_is_filled_in(void)
{
    const loci_bench_how how = {.seconds = 0.001};
    const loci_bench_size z = {
        .B = 2, .H = 2, .Hk = 1, .T = 12, .D = 8, .dtype = loci_f32, .pass = LOCI_BENCH_BACKWARD};
    loci_conf *conf = NULL;
    loci_context *cx = NULL;
    loci_bench_row row;

    if (!getenv("LOCI_TEST_PLUGINS"))
        CK_SKIP("LOCI_TEST_PLUGINS does not say where the plugins are");
    CK_OK(rig(&conf, &cx, "attention.backend=ref"));
    CK_OK(loci_bench_component(&row, cx, "attention", false, &z, &how, &ck_err));
    CU_ASSERT_STRING_EQUAL(row.backend, "ref");
    CU_ASSERT_EQUAL(row.flops, loci_bench_attention_flops(&z));
    CU_ASSERT_EQUAL(row.bytes, 0);
    CU_ASSERT_EQUAL(row.tokens, 24);
    CU_ASSERT(row.t.samples >= 3);
    loci_context_free(cx);
    loci_conf_free(conf);
}

static void count(double *out, const char *kind, const char *sets, bool layer, const loci_bench_size *z)
{
    const loci_bench_how how = {.seconds = 1e-6};
    loci_conf *conf = NULL;
    loci_context *cx = NULL;
    loci_bench_row row = {.flops = -1};

    CK_OK(rig(&conf, &cx, sets));
    CK_OK(loci_bench_component(&row, cx, kind, layer, z, &how, &ck_err));
    loci_context_free(cx);
    loci_conf_free(conf);
    *out = row.flops;
}

/* What loci_bench_component counts with these settings. */
static double counted(const char *kind, const char *sets, bool layer, const loci_bench_size *z)
{
    double flops = -1;

    count(&flops, kind, sets, layer, z);
    return flops;
}

static void cost__is_what_the_class_says_of_its_sizes(void)
{
    loci_bench_size z = {.B = 2, .H = 3, .Hk = 3, .T = 10, .D = 8, .dtype = loci_f32}, wide = z;
    double mha, gla, memory;

    if (!getenv("LOCI_TEST_PLUGINS"))
        CK_SKIP("LOCI_TEST_PLUGINS does not say where the plugins are");
    CU_ASSERT_EQUAL(counted("memory", "memory.backend=delta", false, &z), 20 * 3 * 7 * 64);
    CU_ASSERT_EQUAL(counted("memory", "memory.backend=hebbian", false, &z), 20 * 3 * 5 * 64);
    CU_ASSERT_EQUAL(counted("memory", "memory.backend=titans", false, &z), 20 * 3 * 9 * 64);
    CU_ASSERT_EQUAL(
        counted("memory", "memory.backend=titans memory.titans.depth=2 memory.titans.expansion=4", false, &z),
        20 * 3 * 56 * 64);
    CU_ASSERT_EQUAL(counted("memory", "memory.backend=zero", false, &z), 0);
    z.pass = LOCI_BENCH_BACKWARD;
    CU_ASSERT_EQUAL(counted("memory", "memory.backend=delta", false, &z), 2 * 20 * 3 * 7 * 64);
    z.pass = LOCI_BENCH_DECODE;
    CU_ASSERT_EQUAL(counted("memory", "memory.backend=delta", false, &z), 2 * 3 * 7 * 64);

    /* q, k, v, o of 16 x 16, 2 heads of 8: 4 * 8 operations a pair and head; 55 pairs a row, 27 in a window of 3 */
    wide.D = 16;
    mha = counted("mixer", "mixer.backend=mha mixer.mha.heads=2", false, &wide);
    CU_ASSERT_EQUAL(mha, 20 * 2 * 4 * 256 + 2 * 55 * 2 * 32);
    CU_ASSERT_EQUAL(counted("mixer", "mixer.backend=mha mixer.mha.heads=2 mixer.mha.window_tok=3", false, &wide),
                    20 * 2 * 4 * 256 + 2 * 27 * 2 * 32);
    gla = counted("mixer", "mixer.backend=gla mixer.gla.heads=2", false, &wide);
    CU_ASSERT(gla > 20 * 5 * 0.5 * 256 / 2);
    memory = counted("memory", "memory.backend=delta memory.heads=2", true, &wide);
    CU_ASSERT(memory > 20 * 2 * 7 * 64);
    CU_ASSERT_EQUAL(counted("compose", "compose.backend=plain mixer.backend=mha mixer.mha.heads=2", false, &wide), mha);
    CU_ASSERT_EQUAL(
        counted("compose",
                "compose.backend=mag mixer.backend=mha mixer.mha.heads=2 memory.backend=delta memory.heads=2", false,
                &wide),
        mha + memory);
    CU_ASSERT_EQUAL(counted("compose", "compose.backend=mag memory.backend=zero", false, &wide), 0); /* says: none */
}

static void empty__is_a_class_like_any_other(void)
{
    const loci_bench_how how = {.seconds = 0.001};
    loci_conf *conf = NULL;
    loci_context *cx = NULL;
    loci_bench_row row;

    CK_OK(rig(&conf, &cx, "model.dim=16"));
    CK_OK(loci_bench_empty(&row, cx, &how, &ck_err));
    CU_ASSERT_STRING_EQUAL(row.backend, "bench-empty");
    CU_ASSERT(row.t.calls > row.t.samples);
    loci_context_free(cx);
    loci_conf_free(conf);
}

/* One layer: q, k, v, o, up, gate, down and the head, each once forward and twice back. */
static void profile__counts_calls_and_shares_out_all_time(void)
{
    loci_bench_how how = {.seconds = 0.002};
    loci_conf *conf = NULL;
    loci_context *cx = NULL;
    loci_profile_share of;
    loci_bench_row row;
    double sum;

    CK_OK(rig(&conf, &cx,
              "model.dim=16 model.layers=1 model.ffn=swiglu mixer.backend=mha mixer.mha.heads=2 "
              "memory.backend=none compose.backend=plain"));
    CK_OK(loci_profile_open(&how.profile, cx, &ck_err));
    CK_OK(loci_bench_train(&row, cx, 2, 16, &how, &ck_err));
    loci_profile_read(&of, how.profile);
    CU_ASSERT_EQUAL(of.calls[LOCI_PROFILE_PRODUCTS], 24 * row.t.calls);
    CU_ASSERT_EQUAL(of.calls[LOCI_PROFILE_ATTENTION], 2 * row.t.calls);
    CU_ASSERT_EQUAL(of.calls[LOCI_PROFILE_LOSS], row.t.calls);
    CU_ASSERT_EQUAL(of.calls[LOCI_PROFILE_RECURRENCE], 0);
    sum = of.wait;
    for (int k = 0; k < LOCI_PROFILE_KINDS; k++) {
        sum += of.share[k];
        CU_ASSERT(of.share[k] >= 0 && of.runs[k] <= of.calls[k] * 100);
    }
    CU_ASSERT_DOUBLE_EQUAL(sum, 1, 1e-3);
    CU_ASSERT(of.share[LOCI_PROFILE_PRODUCTS] > 0 && of.share[LOCI_PROFILE_REST] > 0);
    loci_context_free(cx);
    loci_profile_free(how.profile);
    loci_conf_free(conf);
}

#define TESTS(X) \
    X(quantile__is_linear_between_neighbours) \
    X(pairs__are_those_the_mask_shows) \
    X(flops__count_two_products_forward_and_five_backward) \
    X(decode_bytes__read_each_key_head_once_and_the_window_only) \
    X(measure__counts_its_calls_and_orders_its_times) \
    X(measure__puts_back_before_every_call) \
    X(measure__passes_a_failure_on) \
    X(measure__stops_when_told) \
    X(measure__survives_every_failing_allocation) \
    X(fma__loops_compute_what_they_say) \
    X(dot__loops_compute_what_they_say) \
    X(dot__a_cap_forbids_what_is_above_it) \
    X(cpu_clock__knows_at_once_what_another_thread_has_used) \
    X(peak__of_bf16_is_the_fastest_loop_that_runs) \
    X(bare__backward_can_be_made_again) \
    X(component__a_row_is_filled_in) \
    X(cost__is_what_the_class_says_of_its_sizes) \
    X(empty__is_a_class_like_any_other) \
    X(profile__counts_calls_and_shares_out_all_time)

CK_MAIN("bench", TESTS)

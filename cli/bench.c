/* SPDX-License-Identifier: Apache-2.0
 *
 * loci bench: how long components and whole models take, beside what the machine can do.
 *
 *  (1) Lists (--backend, --dtype, --pass, -T, -D) make a row of every combination, in that order of nesting.
 *  (2) The machine is measured on the threads of the first context, before the first row that can be held against it:
 *      once, and the peak of float64 or bf16 once there is a row of that type.
 *  (3) A row that fails, or Ctrl-C, ends the run; what has been measured is printed all the same.
 */
#include "cli/bench.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the runs ---------------------------------------------------------------------------------------------------- */

struct session {
    const struct options *o;
    loci_bench_how how;
    loci_bench_machine machine;
    json_t *rows;
    loci_conf *conf; /* of the backend and type now */
    loci_context *cx;
    loci_profile *profile; /* of cx; NULL unless --profile */
};

static loci_status set(loci_conf *conf, const char *key, const char *value, const char *origin, loci_error *err)
{
    char *text = loci_format("%s=%s", key, value);
    const loci_status status =
        text ? loci_conf_set(conf, text, origin, err) : loci_fail(err, LOCI_E_NOMEM, "out of memory");

    loci_free(text);
    return status;
}

static void close_context(struct session *s)
{
    loci_context_free(s->cx);
    loci_profile_free(s->profile);
    loci_conf_free(s->conf);
    s->profile = NULL;
    s->cx = NULL;
    s->conf = NULL;
}

/* The config with this backend and type, and what it needs. NULL: the config's own. */
static loci_status open_context(struct session *s, const char *backend, const char *dtype, loci_error *err)
{
    loci_status status = LOCI_OK;
    char key[32];

    close_context(s);
    LOCI_TRY(cli_config(&s->conf, s->o, NULL, err));
    snprintf(key, sizeof key, "%s.backend", bench_is_component() ? bench_whats[bench_ask.what] : "compose");
    if (backend)
        LOCI_TRY(set(s->conf, key, backend, "--backend", err));
    if (bench_is_model() && dtype)
        LOCI_TRY(set(s->conf, "run.dtype", dtype, "--dtype", err));
    if (bench_ask.what == BENCH_COMPOSE && !loci_conf_is_set(s->conf, -1, "memory", "backend")) /* any will do */
        LOCI_TRY(set(s->conf, "memory.backend", "titans", "bench", err));
    if (bench_ask.what == BENCH_MEMORY && !strcmp(loci_conf_str(s->conf, -1, "memory", "backend"), "none")) {
        status = loci_fail(err, LOCI_E_ARG, "memory.backend is none: name a memory to measure with --backend");
        goto out;
    }
    if (!bench_is_model() && !loci_conf_is_set(s->conf, -1, "run", "device"))
        LOCI_TRY(set(s->conf, "run.device", "cpu", "bench", err));
    LOCI_TRY(loci_context_new(&s->cx, s->conf, s->o->plugin_path, s->o->allow_unknown, err));
    if (bench_ask.profile)
        LOCI_TRY(loci_profile_open(&s->profile, s->cx, err));
out:
    return status;
}

static void say_machine(const loci_bench_machine *m)
{
    fprintf(stderr, "bench: %u thread%s, %s: %.1f GFLOP/s in f32", m->threads, m->threads == 1 ? "" : "s", m->isa,
            m->peak[LOCI_BENCH_F32].flops / 1e9);
    if (m->peak[LOCI_BENCH_F64].flops > 0)
        fprintf(stderr, ", %.1f in f64", m->peak[LOCI_BENCH_F64].flops / 1e9);
    for (uint32_t i = 0; i < m->n_dots; i++)
        fprintf(stderr, ", %.1f by %s", m->dot[i].flops / 1e9, m->dot[i].name);
    fprintf(stderr, "; reads %.1f GB/s, triad %.1f GB/s\n", m->read / 1e9, m->triad / 1e9);
}

/* (2) */
static loci_status know_machine(struct session *s, enum loci_bench_unit unit, loci_error *err)
{
    loci_status status = LOCI_OK;

    if (s->machine.peak[unit].flops > 0)
        return LOCI_OK;
    if (s->cx->device.type != LOCI_CPU) { /* what a device could do at most is not measured: shares stay empty */
        s->machine.threads = s->cx->device_class->workers(s->cx->device_module);
        return LOCI_OK;
    }
    LOCI_TRY(loci_bench_find_peak(&s->machine, s->cx, unit, &s->how, err));
    if (s->machine.read <= 0)
        LOCI_TRY(loci_bench_bandwidth(&s->machine, s->cx, &s->how, err));
    cli_clear_line();
    if (s->o->level >= LOCI_LOG_INFO)
        say_machine(&s->machine);
out:
    return status;
}

static void keep(struct session *s, const struct bench_case *c, const loci_bench_row *r)
{
    json_t *row = bench_row(c, r, &s->machine);
    loci_profile_share share;

    if (s->profile) {
        loci_profile_read(&share, s->profile);
        bench_row_profile(row, &share);
    }
    cli_clear_line();
    if (!s->o->json && !json_array_size(s->rows))
        bench_ask.csv ? bench_csv_head() : bench_table_head();
    if (!s->o->json)
        bench_ask.csv ? bench_csv_row(row) : bench_table_row(row);
    json_array_append_new(s->rows, row);
}

static void announce(const struct session *s, const struct bench_case *c, const char *backend)
{
    if (s->o->level < LOCI_LOG_INFO || !cli_live())
        return;
    cli_clear_line();
    fprintf(stderr, "bench: %s %s %s %s", c->what, backend ? backend : "", c->dtype ? c->dtype : "",
            c->pass ? c->pass : "");
    if (c->z.T)
        fprintf(stderr, " T=%lld", (long long)c->z.T);
    fflush(stderr);
    cli_line_drawn();
}

/* One row of an open context. */
static loci_status measure(struct session *s, struct bench_case *c, const char *backend, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_bench_how how = s->how;
    loci_bench_row r;

    if (s->cx->device.type != LOCI_CPU && (bench_ask.what == BENCH_GEMM || bench_ask.what == BENCH_CALL))
        return loci_fail(err, LOCI_E_UNSUPPORTED, "bench %s measures the cpu only: set run.device = cpu", c->what);
    announce(s, c, backend);
    how.profile = s->profile;
    how.cold = bench_ask.cold || (bench_ask.what == BENCH_ATTENTION && c->z.pass == LOCI_BENCH_DECODE);
    if (bench_ask.what == BENCH_GEMM)
        LOCI_TRY(loci_bench_gemm(&r, s->cx, &c->z, &how, err));
    else if (bench_ask.what == BENCH_TRAIN)
        LOCI_TRY(loci_bench_train(&r, s->cx, c->z.B, c->z.T, &how, err));
    else if (bench_ask.what == BENCH_DECODE)
        LOCI_TRY(loci_bench_decode(&r, s->cx, c->z.T, &how, err));
    else if (bench_ask.what == BENCH_CALL)
        LOCI_TRY(loci_bench_empty(&r, s->cx, &how, err));
    else
        LOCI_TRY(loci_bench_component(&r, s->cx, c->what, bench_ask.layer, &c->z, &how, err));
    keep(s, c, &r);
out:
    return status;
}

/* The sizes that are no lists, with defaults that the open context's config may know. */
static loci_status sizes(const struct session *s, struct bench_case *c, loci_error *err)
{
    loci_status status = LOCI_OK;
    const bool train = bench_ask.what == BENCH_TRAIN;

    *c = (struct bench_case){.what = bench_whats[bench_ask.what]};
    c->causal_known =
        bench_ask.what == BENCH_ATTENTION || bench_ask.what == BENCH_MIXER || bench_ask.what == BENCH_COMPOSE;
    c->z.full = bench_ask.full;
    if (bench_ask.window)
        LOCI_TRY(bench_number(&c->z.window_tok, bench_ask.window, "--window", err));
    if (bench_ask.what == BENCH_GEMM) {
        LOCI_TRY(bench_number_or(&c->z.M, bench_ask.m, "-M", 1024, err));
        LOCI_TRY(bench_number_or(&c->z.N, bench_ask.n, "-N", 1024, err));
        LOCI_TRY(bench_number_or(&c->z.K, bench_ask.k, "-K", 1024, err));
    }
    if (bench_is_component() || bench_is_model())
        LOCI_TRY(bench_number_or(&c->z.B, bench_ask.rows, "-B",
                                 train ? loci_conf_int(s->conf, -1, "train", "batch") : 1, err));
    if (bench_has_heads())
        LOCI_TRY(bench_number_or(&c->z.H, bench_ask.heads, "-H", 8, err));
    if (bench_ask.what == BENCH_ATTENTION)
        LOCI_TRY(bench_number_or(&c->z.Hk, bench_ask.kv, "--kv-heads", c->z.H, err));
    if (c->z.Hk > 0 && c->z.H % c->z.Hk)
        status = loci_fail(err, LOCI_E_ARG, "-H=%lld and --kv-heads=%lld: the second must divide the first",
                           (long long)c->z.H, (long long)c->z.Hk);
out:
    return status;
}

struct lists {
    struct bench_list backend, dtype, pass, tokens, width;
};

static loci_status read_lists(struct lists *l, loci_error *err)
{
    loci_status status = LOCI_OK;
    const struct {
        const char *option, *text;
        struct bench_list *to;
    } all[] = {{"--backend", bench_ask.backend, &l->backend},
               {"--dtype", bench_ask.dtype, &l->dtype},
               {"--pass", bench_ask.pass, &l->pass},
               {"-T", bench_ask.tokens, &l->tokens},
               {"-D", bench_ask.width, &l->width}};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].text)
            LOCI_TRY(bench_split(all[i].to, all[i].text, all[i].option, err));
out:
    return status;
}

/* Item i, or NULL where no list was given: then there is one turn. */
static const char *item(const struct bench_list *l, uint32_t i)
{
    return l->n ? l->at[i] : NULL;
}
static uint32_t turns(const struct bench_list *l)
{
    return l->n ? l->n : 1;
}

/* Every pass, length and width with this backend and type. */
static loci_status run_context(struct session *s, const struct lists *l, const char *backend, const char *dtype,
                               loci_error *err)
{
    loci_status status = LOCI_OK;
    const int64_t dim = loci_conf_int(s->conf, -1, "model", "dim"), seq = loci_conf_int(s->conf, -1, "data", "seq_tok");
    struct bench_case c;

    LOCI_TRY(sizes(s, &c, err));
    c.dtype = bench_is_model()               ? loci_conf_str(s->conf, -1, "run", "dtype")
              : bench_ask.what == BENCH_CALL ? NULL
              : dtype                        ? dtype
                                             : "f32";
    if (c.dtype) {
        LOCI_TRY(bench_dtype(&c.z.dtype, c.dtype, err));
        LOCI_TRY(know_machine(s, loci_bench_unit_of(c.z.dtype), err));
    }
    for (uint32_t p = 0; p < turns(&l->pass); p++)
        for (uint32_t t = 0; t < turns(&l->tokens); t++)
            for (uint32_t d = 0; d < turns(&l->width); d++) {
                if (bench_is_component()) {
                    c.pass = item(&l->pass, p) ? item(&l->pass, p) : "forward";
                    LOCI_TRY(bench_pass(&c.z.pass, c.pass, err));
                    LOCI_TRY(bench_number_or(&c.z.D, item(&l->width, d), "-D", bench_has_heads() ? 64 : dim, err));
                } else if (bench_is_model()) {
                    c.z.D = dim;
                }
                if (bench_is_component() || bench_is_model())
                    LOCI_TRY(bench_number_or(&c.z.T, item(&l->tokens, t), "-T", bench_is_model() ? seq : 1024, err));
                LOCI_TRY(measure(s, &c, backend, err));
            }
out:
    return status;
}

static loci_status run_startup(struct session *s, loci_error *err)
{
    loci_status status = LOCI_OK;
    const struct bench_case c = {.what = bench_whats[bench_ask.what]};
    loci_bench_row r;

    LOCI_TRY(cli_config(&s->conf, s->o, NULL, err));
    LOCI_TRY(loci_bench_startup(&r, s->conf, s->o->plugin_path, &s->how, err));
    keep(s, &c, &r);
out:
    return status;
}

static loci_status run_all(struct session *s, const struct lists *l, loci_error *err)
{
    loci_status status = LOCI_OK;

    if (bench_ask.what == BENCH_STARTUP)
        return run_startup(s, err);
    for (uint32_t b = 0; b < turns(&l->backend); b++)
        for (uint32_t d = 0; d < turns(&l->dtype); d++) {
            LOCI_TRY(open_context(s, item(&l->backend, b), item(&l->dtype, d), err));
            LOCI_TRY(run_context(s, l, item(&l->backend, b), item(&l->dtype, d), err));
        }
out:
    return status;
}

static loci_status run(const struct options *o, loci_error *err)
{
    loci_status status = LOCI_OK, printed = LOCI_OK;
    struct session s = {.o = o, .how = {.stop = &cli_stop}};
    struct lists l = {0};

    LOCI_TRY(bench_read_words(o, err));
    LOCI_TRY(bench_budget(&s.how.seconds, err));
    LOCI_TRY(read_lists(&l, err));
    s.rows = json_array();
    if (!s.rows) {
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory");
        goto out;
    }
    status = run_all(&s, &l, err);
    cli_clear_line();
    if (o->json && (status == LOCI_OK || json_array_size(s.rows))) { /* (3) */
        printed = cli_print_json(s.rows, err);
        s.rows = NULL;
    }
    status = status == LOCI_OK ? printed : status;
out:
    close_context(&s);
    json_decref(s.rows);
    bench_list_free(&l.backend);
    bench_list_free(&l.dtype);
    bench_list_free(&l.pass);
    bench_list_free(&l.tokens);
    bench_list_free(&l.width);
    return status;
}

const struct verb verb_bench = {
    "bench",
    "WHAT",
    "how long components and models take",
    "Measure how long something takes, beside what this machine can do: WHAT is attention, memory, mixer, compose, "
    "gemm, "
    "train (a step of the config's model), decode (one more token of a stream), startup (loading every plugin) or call "
    "(what a call costs by itself). Peak and bandwidth are measured first, in the same process on the same threads. "
    "The "
    "time is the median of bare calls; lists make a row of every combination. Ctrl-C ends with what has been "
    "measured.\v"
    "  loci bench attention --backend=ref,cpu --pass=forward,backward -H 16 -T 512,2048 -D 64 --threads 2\n"
    "  loci bench attention --backend=cpu --pass=decode -T 32768 --kv-heads=2 --json\n"
    "  loci bench memory --backend=delta,titans -T 4096 -D 64 --csv\n"
    "  loci bench train -c etc/mag.ini --seconds=5",
    bench_options,
    bench_parse,
    run};

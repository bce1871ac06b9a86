/* SPDX-License-Identifier: Apache-2.0
 *
 * loci bench: how long components and whole models take, beside what the machine can do.
 *
 *  (1) Lists (--backend, --dtype, --pass, -T, -D) make a row of every combination, in that order of nesting.
 *  (2) The machine is measured once, on the threads of the first context, before the first row that can be held against
 *      it.
 *  (3) A row that fails, or Ctrl-C, ends the run; what has been measured is printed all the same.
 */
#include "cli/bench.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const whats[] = {"attention", "memory", "mixer",   "compose", "gemm",
                                    "train",     "decode", "startup", "call"};
static const char *const passes[] = {"forward", "backward", "decode"};

enum {
    KEY_BACKEND = 2000,
    KEY_DTYPE,
    KEY_PASS,
    KEY_KV,
    KEY_WINDOW,
    KEY_FULL,
    KEY_LAYER,
    KEY_SECONDS,
    KEY_COLD,
    KEY_CSV
};

static const struct argp_option options[] = {
    {"backend", KEY_BACKEND, "ID,...", 0, "Backends of the component; of a model its compositions (the config's)", 1},
    {"dtype", KEY_DTYPE, "TYPE,...", 0, "f32, f64 or bf16 (f32; of a model run.dtype)", 1},
    {"pass", KEY_PASS, "PASS,...", 0, "forward, backward (the backward alone) or decode (one token) (forward)", 1},
    {"rows", 'B', "N", 0, "Rows (1; train: train.batch)", 2},
    {"heads", 'H', "N", 0, "Heads of an attention and a memory's rule (8)", 2},
    {"kv-heads", KEY_KV, "N", 0, "Heads of keys and values (as many as -H)", 2},
    {"tokens", 'T', "N,...", 0, "Tokens of a row (1024; train and decode: data.seq_tok)", 2},
    {"width", 'D', "N,...", 0,
     "Width of a head (64); of a mixer, composition or memory with --layer the model's (model.dim)", 2},
    {0, 'M', "N", 0, "gemm: rows of A and C (1024)", 2},
    {0, 'N', "N", 0, "gemm: columns of B and C (1024)", 2},
    {0, 'K', "N", 0, "gemm: columns of A, rows of B (1024)", 2},
    {"window", KEY_WINDOW, "N", 0, "A query sees so many tokens back, itself counted", 3},
    {"full", KEY_FULL, 0, 0, "Not causal: every key is seen", 3},
    {"layer", KEY_LAYER, 0, 0, "A memory with its front end", 3},
    {"seconds", KEY_SECONDS, "S", 0, "Time for a row (1)", 4},
    {"cold", KEY_COLD, 0, 0, "Empty the caches before every call (always so for an attention's decode)", 4},
    {"csv", KEY_CSV, 0, 0, "Write CSV on standard output", 4},
    {0}};

static struct request {
    enum bench_what what;
    const char *backend, *dtype, *pass, *rows, *heads, *kv, *tokens, *width, *m, *n, *k, *window, *seconds;
    bool full, layer, cold, csv;
} ask;

static error_t parse(int key, char *arg, struct argp_state *state)
{
    (void)state;
    switch (key) {
    case KEY_BACKEND:
        ask.backend = arg;
        return 0;
    case KEY_DTYPE:
        ask.dtype = arg;
        return 0;
    case KEY_PASS:
        ask.pass = arg;
        return 0;
    case 'B':
        ask.rows = arg;
        return 0;
    case 'H':
        ask.heads = arg;
        return 0;
    case KEY_KV:
        ask.kv = arg;
        return 0;
    case 'T':
        ask.tokens = arg;
        return 0;
    case 'D':
        ask.width = arg;
        return 0;
    case 'M':
        ask.m = arg;
        return 0;
    case 'N':
        ask.n = arg;
        return 0;
    case 'K':
        ask.k = arg;
        return 0;
    case KEY_WINDOW:
        ask.window = arg;
        return 0;
    case KEY_FULL:
        ask.full = true;
        return 0;
    case KEY_LAYER:
        ask.layer = true;
        return 0;
    case KEY_SECONDS:
        ask.seconds = arg;
        return 0;
    case KEY_COLD:
        ask.cold = true;
        return 0;
    case KEY_CSV:
        ask.csv = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- the request ------------------------------------------------------------------------------------------------- */

static bool is_component(void)
{
    return ask.what <= BENCH_COMPOSE;
}

static bool is_model(void)
{
    return ask.what == BENCH_TRAIN || ask.what == BENCH_DECODE;
}

/* Heads and their width are given: the rest has them from its config. */
static bool has_heads(void)
{
    return ask.what == BENCH_ATTENTION || (ask.what == BENCH_MEMORY && !ask.layer);
}

/* An option that would change nothing is refused. */
static loci_status check_options(loci_error *err)
{
    const bool masked = ask.what == BENCH_ATTENTION || ask.what == BENCH_MIXER || ask.what == BENCH_COMPOSE;
    const struct {
        const char *name, *needs;
        bool given, used;
    } all[] = {{"--backend", "a component or a model", ask.backend != NULL, is_component() || is_model()},
               {"--dtype", "a component, gemm or a model", ask.dtype != NULL,
                is_component() || is_model() || ask.what == BENCH_GEMM},
               {"--pass", "a component", ask.pass != NULL, is_component()},
               {"-B", "a component or train", ask.rows != NULL, is_component() || ask.what == BENCH_TRAIN},
               {"-H", "an attention or a memory without --layer; the config has the heads of the others",
                ask.heads != NULL, has_heads()},
               {"--kv-heads", "an attention", ask.kv != NULL, ask.what == BENCH_ATTENTION},
               {"-T", "a component or a model", ask.tokens != NULL, is_component() || is_model()},
               {"-D", "a component; a model has model.dim", ask.width != NULL, is_component()},
               {"-M", "gemm", ask.m != NULL, ask.what == BENCH_GEMM},
               {"-N", "gemm", ask.n != NULL, ask.what == BENCH_GEMM},
               {"-K", "gemm", ask.k != NULL, ask.what == BENCH_GEMM},
               {"--window", "an attention, mixer or composition", ask.window != NULL, masked},
               {"--full", "an attention, mixer or composition", ask.full, masked},
               {"--layer", "a memory", ask.layer, ask.what == BENCH_MEMORY},
               {"--cold", "what computes", ask.cold, ask.what < BENCH_STARTUP}};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].given && !all[i].used)
            return loci_fail(err, LOCI_E_ARG, "bench %s: %s is for %s", whats[ask.what], all[i].name, all[i].needs);
    return LOCI_OK;
}

static loci_status read_words(const struct options *o, loci_error *err)
{
    loci_text names = {0};
    loci_status status;

    for (uint32_t i = 0; o->n_words == 1 && i < sizeof whats / sizeof *whats; i++)
        if (!strcmp(o->words[0], whats[i])) {
            ask.what = (enum bench_what)i;
            return o->json && ask.csv ? loci_fail(err, LOCI_E_ARG, "--json and --csv: one of them")
                                      : check_options(err);
        }
    for (uint32_t i = 0; i < sizeof whats / sizeof *whats; i++)
        loci_text_add(&names, "%s%s", i ? ", " : "", whats[i]);
    status = o->n_words == 1 ? loci_fail(err, LOCI_E_ARG, "`%s` is nothing to measure: name one of %s", o->words[0],
                                         names.at ? names.at : "")
                             : loci_fail(err, LOCI_E_ARG, "bench measures one thing: %s", names.at ? names.at : "");
    loci_text_free(&names);
    return status;
}

static loci_status number(int64_t *out, const char *text, const char *option, int64_t otherwise, loci_error *err)
{
    *out = otherwise;
    return text ? bench_number(out, text, option, err) : LOCI_OK;
}

static loci_status budget(double *out, loci_error *err)
{
    char *rest = NULL;

    *out = ask.seconds ? strtod(ask.seconds, &rest) : 1;
    if (ask.seconds && (rest == ask.seconds || *rest || !(*out > 0) || *out > 86400))
        return loci_fail(err, LOCI_E_ARG, "--seconds=%s: a time above 0 and up to 86400 is wanted", ask.seconds);
    return LOCI_OK;
}

static loci_status dtype_of(loci_dtype *out, const char *name, loci_error *err)
{
    *out = !strcmp(name, "f64") ? loci_f64 : !strcmp(name, "bf16") ? loci_bf16 : loci_f32;
    return strcmp(name, "f32") && strcmp(name, "f64") && strcmp(name, "bf16")
               ? loci_fail(err, LOCI_E_ARG, "--dtype=%s: f32, f64 and bf16 are known", name)
               : LOCI_OK;
}

static loci_status pass_of(enum loci_bench_pass *out, const char *name, loci_error *err)
{
    for (uint32_t i = 0; i < sizeof passes / sizeof *passes; i++)
        if (!strcmp(name, passes[i])) {
            *out = (enum loci_bench_pass)i;
            return LOCI_OK;
        }
    return loci_fail(err, LOCI_E_ARG, "--pass=%s: forward, backward and decode are known", name);
}

/* ---- the runs ---------------------------------------------------------------------------------------------------- */

struct session {
    const struct options *o;
    loci_bench_how how;
    loci_bench_machine machine;
    json_t *rows;
    loci_conf *conf; /* of the backend and type now */
    loci_context *cx;
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
    loci_conf_free(s->conf);
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
    snprintf(key, sizeof key, "%s.backend", is_component() ? whats[ask.what] : "compose");
    if (backend)
        LOCI_TRY(set(s->conf, key, backend, "--backend", err));
    if (is_model() && dtype)
        LOCI_TRY(set(s->conf, "run.dtype", dtype, "--dtype", err));
    if (ask.what == BENCH_COMPOSE && !loci_conf_is_set(s->conf, -1, "memory", "backend")) /* any will do */
        LOCI_TRY(set(s->conf, "memory.backend", "titans", "bench", err));
    if (ask.what == BENCH_MEMORY && !strcmp(loci_conf_str(s->conf, -1, "memory", "backend"), "none")) {
        status = loci_fail(err, LOCI_E_ARG, "memory.backend is none: name a memory to measure with --backend");
        goto out;
    }
    LOCI_TRY(loci_context_new(&s->cx, s->conf, s->o->plugin_path, s->o->allow_unknown, err));
out:
    return status;
}

/* (2) */
static loci_status know_machine(struct session *s, loci_error *err)
{
    loci_status status = LOCI_OK;

    if (s->machine.isa)
        return LOCI_OK;
    LOCI_TRY(loci_bench_peak(&s->machine, s->cx, &s->how, err));
    LOCI_TRY(loci_bench_bandwidth(&s->machine, s->cx, &s->how, err));
    if (s->o->level >= LOCI_LOG_INFO)
        fprintf(stderr, "bench: %u thread%s, %s: %.1f GFLOP/s in f32, %.1f in f64, reads %.1f GB/s\n",
                s->machine.threads, s->machine.threads == 1 ? "" : "s", s->machine.isa, s->machine.flops[0] / 1e9,
                s->machine.flops[1] / 1e9, s->machine.read / 1e9);
out:
    return status;
}

static void keep(struct session *s, const struct bench_case *c, const loci_bench_row *r)
{
    json_t *row = bench_row(c, r, &s->machine);

    cli_clear_line();
    if (!s->o->json && !json_array_size(s->rows))
        ask.csv ? bench_csv_head() : bench_table_head();
    if (!s->o->json)
        ask.csv ? bench_csv_row(row) : bench_table_row(row);
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

    announce(s, c, backend);
    how.cold = ask.cold || (ask.what == BENCH_ATTENTION && c->z.pass == LOCI_BENCH_DECODE);
    if (ask.what == BENCH_GEMM)
        LOCI_TRY(loci_bench_gemm(&r, s->cx, &c->z, &how, err));
    else if (ask.what == BENCH_TRAIN)
        LOCI_TRY(loci_bench_train(&r, s->cx, c->z.B, c->z.T, &how, err));
    else if (ask.what == BENCH_DECODE)
        LOCI_TRY(loci_bench_decode(&r, s->cx, c->z.T, &how, err));
    else if (ask.what == BENCH_CALL)
        LOCI_TRY(loci_bench_empty(&r, s->cx, &how, err));
    else
        LOCI_TRY(loci_bench_component(&r, s->cx, c->what, ask.layer, &c->z, &how, err));
    keep(s, c, &r);
out:
    return status;
}

/* The sizes that are no lists, with defaults that the open context's config may know. */
static loci_status sizes(const struct session *s, struct bench_case *c, loci_error *err)
{
    loci_status status = LOCI_OK;
    const bool train = ask.what == BENCH_TRAIN;

    *c = (struct bench_case){.what = whats[ask.what]};
    c->causal_known = ask.what == BENCH_ATTENTION || ask.what == BENCH_MIXER || ask.what == BENCH_COMPOSE;
    c->z.full = ask.full;
    if (ask.window)
        LOCI_TRY(bench_number(&c->z.window_tok, ask.window, "--window", err));
    if (ask.what == BENCH_GEMM) {
        LOCI_TRY(number(&c->z.M, ask.m, "-M", 1024, err));
        LOCI_TRY(number(&c->z.N, ask.n, "-N", 1024, err));
        LOCI_TRY(number(&c->z.K, ask.k, "-K", 1024, err));
    }
    if (is_component() || is_model())
        LOCI_TRY(number(&c->z.B, ask.rows, "-B", train ? loci_conf_int(s->conf, -1, "train", "batch") : 1, err));
    if (has_heads())
        LOCI_TRY(number(&c->z.H, ask.heads, "-H", 8, err));
    if (ask.what == BENCH_ATTENTION)
        LOCI_TRY(number(&c->z.Hk, ask.kv, "--kv-heads", c->z.H, err));
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
    } all[] = {{"--backend", ask.backend, &l->backend},
               {"--dtype", ask.dtype, &l->dtype},
               {"--pass", ask.pass, &l->pass},
               {"-T", ask.tokens, &l->tokens},
               {"-D", ask.width, &l->width}};

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
    c.dtype = is_model()               ? loci_conf_str(s->conf, -1, "run", "dtype")
              : ask.what == BENCH_CALL ? NULL
              : dtype                  ? dtype
                                       : "f32";
    if (c.dtype)
        LOCI_TRY(dtype_of(&c.z.dtype, c.dtype, err));
    for (uint32_t p = 0; p < turns(&l->pass); p++)
        for (uint32_t t = 0; t < turns(&l->tokens); t++)
            for (uint32_t d = 0; d < turns(&l->width); d++) {
                if (is_component()) {
                    c.pass = item(&l->pass, p) ? item(&l->pass, p) : "forward";
                    LOCI_TRY(pass_of(&c.z.pass, c.pass, err));
                    LOCI_TRY(number(&c.z.D, item(&l->width, d), "-D", has_heads() ? 64 : dim, err));
                } else if (is_model()) {
                    c.z.D = dim;
                }
                if (is_component() || is_model())
                    LOCI_TRY(number(&c.z.T, item(&l->tokens, t), "-T", is_model() ? seq : 1024, err));
                LOCI_TRY(measure(s, &c, backend, err));
            }
out:
    return status;
}

static loci_status run_startup(struct session *s, loci_error *err)
{
    loci_status status = LOCI_OK;
    const struct bench_case c = {.what = whats[ask.what]};
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

    if (ask.what == BENCH_STARTUP)
        return run_startup(s, err);
    for (uint32_t b = 0; b < turns(&l->backend); b++)
        for (uint32_t d = 0; d < turns(&l->dtype); d++) {
            LOCI_TRY(open_context(s, item(&l->backend, b), item(&l->dtype, d), err));
            if (ask.what != BENCH_CALL)
                LOCI_TRY(know_machine(s, err));
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

    LOCI_TRY(read_words(o, err));
    LOCI_TRY(budget(&s.how.seconds, err));
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
    options,
    parse,
    run};

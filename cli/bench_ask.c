/* SPDX-License-Identifier: Apache-2.0
 *
 * What a `loci bench` is asked for: its options, and which of them mean something for what is measured.
 */
#include "cli/bench.h"
#include <stdlib.h>
#include <string.h>

const char *const bench_whats[] = {"attention", "memory", "mixer",   "compose", "gemm",
                                   "train",     "decode", "startup", "call"};
const char *const bench_passes[] = {"forward", "backward", "decode"};

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
    KEY_PROFILE,
    KEY_CSV
};

const struct argp_option bench_options[] = {
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
    {"profile", KEY_PROFILE, 0, 0, "Say which services of the device the time goes to", 4},
    {"csv", KEY_CSV, 0, 0, "Write CSV on standard output", 4},
    {0}};

struct bench_request bench_ask;

static const struct {
    int key;
    const char **to;
} words[] = {{KEY_BACKEND, &bench_ask.backend},
             {KEY_DTYPE, &bench_ask.dtype},
             {KEY_PASS, &bench_ask.pass},
             {'B', &bench_ask.rows},
             {'H', &bench_ask.heads},
             {KEY_KV, &bench_ask.kv},
             {'T', &bench_ask.tokens},
             {'D', &bench_ask.width},
             {'M', &bench_ask.m},
             {'N', &bench_ask.n},
             {'K', &bench_ask.k},
             {KEY_WINDOW, &bench_ask.window},
             {KEY_SECONDS, &bench_ask.seconds}};
static const struct {
    int key;
    bool *to;
} flags[] = {
    {KEY_FULL, &bench_ask.full}, {KEY_LAYER, &bench_ask.layer},     {KEY_COLD, &bench_ask.cold},
    {KEY_CSV, &bench_ask.csv},   {KEY_PROFILE, &bench_ask.profile}};

error_t bench_parse(int key, char *arg, struct argp_state *state)
{
    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (words[i].key == key) {
            *words[i].to = arg;
            return 0;
        }
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (flags[i].key == key) {
            *flags[i].to = true;
            return 0;
        }
    return ARGP_ERR_UNKNOWN;
}

/* ---- the request ------------------------------------------------------------------------------------------------- */

bool bench_is_component(void)
{
    return bench_ask.what <= BENCH_COMPOSE;
}

bool bench_is_model(void)
{
    return bench_ask.what == BENCH_TRAIN || bench_ask.what == BENCH_DECODE;
}

/* Heads and their width are given: the rest has them from its config. */
bool bench_has_heads(void)
{
    return bench_ask.what == BENCH_ATTENTION || (bench_ask.what == BENCH_MEMORY && !bench_ask.layer);
}

/* An option that would change nothing is refused. */
static loci_status check_options(loci_error *err)
{
    const bool masked =
        bench_ask.what == BENCH_ATTENTION || bench_ask.what == BENCH_MIXER || bench_ask.what == BENCH_COMPOSE;
    const struct {
        const char *name, *needs;
        bool given, used;
    } all[] = {
        {"--backend", "a component or a model", bench_ask.backend != NULL, bench_is_component() || bench_is_model()},
        {"--dtype", "a component, gemm or a model", bench_ask.dtype != NULL,
         bench_is_component() || bench_is_model() || bench_ask.what == BENCH_GEMM},
        {"--pass", "a component", bench_ask.pass != NULL, bench_is_component()},
        {"-B", "a component or train", bench_ask.rows != NULL, bench_is_component() || bench_ask.what == BENCH_TRAIN},
        {"-H", "an attention or a memory without --layer; the config has the heads of the others",
         bench_ask.heads != NULL, bench_has_heads()},
        {"--kv-heads", "an attention", bench_ask.kv != NULL, bench_ask.what == BENCH_ATTENTION},
        {"-T", "a component or a model", bench_ask.tokens != NULL, bench_is_component() || bench_is_model()},
        {"-D", "a component; a model has model.dim", bench_ask.width != NULL, bench_is_component()},
        {"-M", "gemm", bench_ask.m != NULL, bench_ask.what == BENCH_GEMM},
        {"-N", "gemm", bench_ask.n != NULL, bench_ask.what == BENCH_GEMM},
        {"-K", "gemm", bench_ask.k != NULL, bench_ask.what == BENCH_GEMM},
        {"--window", "an attention, mixer or composition", bench_ask.window != NULL, masked},
        {"--full", "an attention, mixer or composition", bench_ask.full, masked},
        {"--layer", "a memory", bench_ask.layer, bench_ask.what == BENCH_MEMORY},
        {"--cold", "what computes", bench_ask.cold, bench_ask.what < BENCH_STARTUP},
        {"--profile", "a component or a model, and not for --csv", bench_ask.profile,
         (bench_is_component() || bench_is_model()) && !bench_ask.csv}};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].given && !all[i].used)
            return loci_fail(err, LOCI_E_ARG, "bench %s: %s is for %s", bench_whats[bench_ask.what], all[i].name,
                             all[i].needs);
    return LOCI_OK;
}

loci_status bench_read_words(const struct options *o, loci_error *err)
{
    loci_text names = {0};
    loci_status status;

    for (uint32_t i = 0; o->n_words == 1 && i < sizeof bench_whats / sizeof *bench_whats; i++)
        if (!strcmp(o->words[0], bench_whats[i])) {
            bench_ask.what = (enum bench_what)i;
            return o->json && bench_ask.csv ? loci_fail(err, LOCI_E_ARG, "--json and --csv: one of them")
                                            : check_options(err);
        }
    for (uint32_t i = 0; i < sizeof bench_whats / sizeof *bench_whats; i++)
        loci_text_add(&names, "%s%s", i ? ", " : "", bench_whats[i]);
    status = o->n_words == 1 ? loci_fail(err, LOCI_E_ARG, "`%s` is nothing to measure: name one of %s", o->words[0],
                                         names.at ? names.at : "")
                             : loci_fail(err, LOCI_E_ARG, "bench measures one thing: %s", names.at ? names.at : "");
    loci_text_free(&names);
    return status;
}

loci_status bench_number_or(int64_t *out, const char *text, const char *option, int64_t otherwise, loci_error *err)
{
    *out = otherwise;
    return text ? bench_number(out, text, option, err) : LOCI_OK;
}

loci_status bench_budget(double *out, loci_error *err)
{
    char *rest = NULL;

    *out = bench_ask.seconds ? strtod(bench_ask.seconds, &rest) : 1;
    if (bench_ask.seconds && (rest == bench_ask.seconds || *rest || !(*out > 0) || *out > 86400))
        return loci_fail(err, LOCI_E_ARG, "--seconds=%s: a time above 0 and up to 86400 is wanted", bench_ask.seconds);
    return LOCI_OK;
}

loci_status bench_dtype(loci_dtype *out, const char *name, loci_error *err)
{
    *out = !strcmp(name, "f64") ? loci_f64 : !strcmp(name, "bf16") ? loci_bf16 : loci_f32;
    return strcmp(name, "f32") && strcmp(name, "f64") && strcmp(name, "bf16")
               ? loci_fail(err, LOCI_E_ARG, "--dtype=%s: f32, f64 and bf16 are known", name)
               : LOCI_OK;
}

loci_status bench_pass(enum loci_bench_pass *out, const char *name, loci_error *err)
{
    for (uint32_t i = 0; i < sizeof bench_passes / sizeof *bench_passes; i++)
        if (!strcmp(name, bench_passes[i])) {
            *out = (enum loci_bench_pass)i;
            return LOCI_OK;
        }
    return loci_fail(err, LOCI_E_ARG, "--pass=%s: forward, backward and decode are known", name);
}

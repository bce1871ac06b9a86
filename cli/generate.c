/* SPDX-License-Identifier: Apache-2.0
 *
 * loci generate: let a checkpoint go on with a text.
 *
 * One answer to --prompt or to what comes through a pipe, or a conversation on a terminal. The prompt is fed in pieces
 * of data.seq_tok tokens, the answer token by token, through a stream: what is recurrent or windowed costs the same for
 * every token, attention without a window costs more the longer the text is.
 */
#include "cli/generate.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *prompt_text, *stop_text;
static double temperature = 0.8, top_p = 1;
static int64_t tokens_wanted = 256, top_k, seed = -1; /* -1: run.seed */
static bool ids;

enum { KEY_PROMPT = 2000, KEY_TOKENS, KEY_TEMPERATURE, KEY_TOP_K, KEY_TOP_P, KEY_SEED, KEY_STOP, KEY_IDS };

static const struct argp_option options[] = {
    {"prompt", KEY_PROMPT, "TEXT", 0, "What to go on with; without it standard input is read", 1},
    {"tokens", KEY_TOKENS, "N", 0, "Most tokens of an answer (256)", 1},
    {"temperature", KEY_TEMPERATURE, "X", 0, "Divide the logits by it (0.8); 0 always takes the likeliest", 1},
    {"top-k", KEY_TOP_K, "N", 0, "Draw from the N likeliest tokens only (0: all)", 1},
    {"top-p", KEY_TOP_P, "X", 0, "Draw from the fewest tokens that reach the probability X together (1: all)", 1},
    {"seed", KEY_SEED, "N", 0, "Seed of the draws (run.seed); with the prompt it decides the answer", 1},
    {"stop", KEY_STOP, "TEXT", 0, "End the answer before this text", 1},
    {"ids", KEY_IDS, 0, 0, "Prompt, answer and --stop are numbers of tokens, for vocabularies that are not bytes", 1},
    {0}};

static int64_t whole(const char *arg, const char *name, int64_t least, int64_t most, const struct argp_state *state)
{
    char *end;
    long long v;

    errno = 0;
    v = strtoll(arg, &end, 10);
    if (end == arg || *end || errno || v < least || v > most)
        argp_error(state, "--%s takes a whole number from %lld to %lld, not `%s`", name, (long long)least,
                   (long long)most, arg);
    return v;
}

static double real(const char *arg, const char *name, double most, const struct argp_state *state)
{
    char *end;
    double v = strtod(arg, &end);

    if (end == arg || *end || !(v >= 0 && v <= most))
        argp_error(state, "--%s takes a number from 0 to %g, not `%s`", name, most, arg);
    return v;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    switch (key) {
    case KEY_PROMPT:
        prompt_text = arg;
        return 0;
    case KEY_TOKENS:
        tokens_wanted = whole(arg, "tokens", 1, 1 << 30, state);
        return 0;
    case KEY_TEMPERATURE:
        temperature = real(arg, "temperature", 1e6, state);
        return 0;
    case KEY_TOP_K:
        top_k = whole(arg, "top-k", 0, INT32_MAX, state);
        return 0;
    case KEY_TOP_P:
        top_p = real(arg, "top-p", 1, state);
        return 0;
    case KEY_SEED:
        seed = whole(arg, "seed", 0, INT64_MAX, state);
        return 0;
    case KEY_STOP:
        stop_text = arg;
        return 0;
    case KEY_IDS:
        ids = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- input ------------------------------------------------------------------------------------------------------ */

#define MOST_INPUT ((size_t)1 << 30)

static loci_status read_input(loci_text *out, loci_error *err)
{
    char piece[65536];
    size_t n;

    while ((n = fread(piece, 1, sizeof piece, stdin)) > 0 && out->len < MOST_INPUT && !cli_stop)
        loci_text_bytes(out, piece, n);
    if (ferror(stdin))
        return loci_fail(err, LOCI_E_IO, "standard input: %s", strerror(errno));
    if (out->len >= MOST_INPUT)
        return loci_fail(err, LOCI_E_DATA, "standard input holds more than %zu bytes", MOST_INPUT);
    return out->failed ? loci_fail(err, LOCI_E_NOMEM, "out of memory for standard input") : LOCI_OK;
}

/* Is a token a byte? A task of its own tokens may have a vocabulary of 256 as well. */
static loci_status check_vocabulary(const loci_engine *e, int64_t vocab, loci_error *err)
{
    const char *source = "text";

    if (ids)
        return LOCI_OK;
    if (loci_engine_get(e, "data.source", &source, NULL) != LOCI_OK)
        source = "text";
    if (vocab == 256 && !strcmp(source, "text"))
        return LOCI_OK;
    return loci_fail(err, LOCI_E_ARG,
                     "the %lld tokens of this model are not bytes (data.source = %s): give and take numbers "
                     "with --ids",
                     (long long)vocab, source);
}

/* ---- JSON ------------------------------------------------------------------------------------------------------- */

/* Bytes of the UTF-8 character at s, 0 when it is none (or NUL, which many readers of JSON refuse). */
static size_t character(const unsigned char *s, size_t n)
{
    static const uint32_t least[] = {0, 1, 0x80, 0x800, 0x10000};
    size_t len = s[0] < 0x80             ? 1
                 : (s[0] & 0xE0) == 0xC0 ? 2
                 : (s[0] & 0xF0) == 0xE0 ? 3
                 : (s[0] & 0xF8) == 0xF0 ? 4
                                         : 0;
    uint32_t code = len > 1 ? s[0] & (0x7Fu >> len) : s[0];

    if (len == 0 || len > n)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xC0) != 0x80)
            return 0;
        code = code << 6 | (s[i] & 0x3Fu);
    }
    return code < least[len] || (code >= 0xD800 && code < 0xE000) || code > 0x10FFFF ? 0 : len;
}

/* Bytes that are no UTF-8 become \xNN, as text; `ids` has them exactly. */
static json_t *text_json(const struct answer *a)
{
    loci_text raw = {0}, text = {0};
    json_t *out = NULL;

    for (int64_t i = 0; i < a->n; i++)
        loci_text_bytes(&raw, &(char){(char)a->tokens[i]}, 1);
    for (size_t i = 0, n; i < raw.len; i += n ? n : 1) {
        n = character((unsigned char *)raw.at + i, raw.len - i);
        if (n)
            loci_text_bytes(&text, raw.at + i, n);
        else
            loci_text_add(&text, "\\x%02X", (unsigned char)raw.at[i]);
    }
    if (!raw.failed && !text.failed)
        out = json_string(text.at ? text.at : "");
    loci_text_free(&raw);
    loci_text_free(&text);
    return out;
}

static loci_status print_json(const struct answer *a, const struct generation *g, int64_t prompt, double prompt_seconds,
                              loci_error *err)
{
    json_t *numbers = json_array();

    for (int64_t i = 0; i < a->n; i++)
        json_array_append_new(numbers, json_integer(a->tokens[i]));
    return cli_print_json(
        json_pack("{s:o*, s:o, s:I, s:I, s:s, s:o, s:o, s:I, s:f, s:i, s:f}", "text", ids ? NULL : text_json(a), "ids",
                  numbers, "tokens", (json_int_t)a->n, "prompt_tokens", (json_int_t)prompt, "ended", a->ended,
                  "tokens_per_s", cli_real(a->seconds > 0 ? (double)a->n / a->seconds : NAN), "prompt_tokens_per_s",
                  cli_real(prompt_seconds > 0 ? (double)prompt / prompt_seconds : NAN), "seed", (json_int_t)g->how.seed,
                  "temperature", g->how.temperature, "top_k", (int)g->how.top_k, "top_p", g->how.top_p),
        err);
}

/* ---- the verb --------------------------------------------------------------------------------------------------- */

static loci_status once(struct generation *g, const char *text, size_t bytes, bool json, loci_error *err)
{
    loci_status status = LOCI_OK;
    struct answer a = {0};
    int32_t *prompt = NULL;
    int64_t n = 0;
    double begin = loci_seconds();

    LOCI_TRY(generate_tokens(&prompt, &n, text, bytes, g->ids, err));
    LOCI_TRY(generate_answer(&a, g, prompt, n, err));
    if (json)
        LOCI_TRY(print_json(&a, g, n, loci_seconds() - begin - a.seconds, err));
    else if (g->ids || isatty(STDOUT_FILENO))
        putchar('\n');
    if (cli_stop)
        status = loci_fail(err, LOCI_E_STOPPED, "interrupted after %lld tokens", (long long)a.n);
out:
    loci_free(a.tokens);
    loci_free(prompt);
    return status;
}

static loci_status run(const struct options *o, loci_error *err)
{
    loci_status status = LOCI_OK;
    char folder[4096], *base = NULL;
    loci_conf *conf = NULL;
    loci_engine *engine = NULL;
    loci_engine_options how = {.struct_size = sizeof how, .plugin_path = o->plugin_path};
    loci_engine_facts facts = {.struct_size = sizeof facts};
    bool talk = !prompt_text && isatty(STDIN_FILENO);
    struct generation g = {.most = tokens_wanted, .ids = ids, .shown = !o->json};
    int32_t *stop = NULL;
    loci_text input = {0};

    if (o->n_words != 1)
        return loci_fail(err, LOCI_E_ARG, "generate takes one checkpoint or run folder, and %zu were given",
                         o->n_words);
    if (talk && o->json)
        return loci_fail(err, LOCI_E_ARG, "--json needs a prompt: --prompt TEXT, or standard input from a pipe");
    LOCI_TRY(cli_checkpoint(folder, sizeof folder, o->words[0], err));
    base = loci_format("%s/config.ini", folder);
    LOCI_TRY(base ? cli_config(&conf, o, base, err) : loci_fail(err, LOCI_E_NOMEM, "out of memory"));
    how.checkpoint = folder;
    how.flags = o->allow_unknown ? LOCI_ENGINE_ALLOW_UNKNOWN : 0;
    LOCI_TRY(loci_engine_open(&engine, conf, &how, err));
    loci_engine_describe(engine, &facts);
    LOCI_TRY(check_vocabulary(engine, facts.vocab, err));
    LOCI_TRY(loci_stream_open(&g.stream, engine, NULL, err));
    LOCI_TRY(
        generate_tokens(&stop, &g.n_stop, stop_text ? stop_text : "", stop_text ? strlen(stop_text) : 0, ids, err));
    g.stop = stop;
    g.how = (loci_sampling){sizeof g.how, (int32_t)top_k, temperature, top_p,
                            (uint64_t)(seed >= 0 ? seed : loci_conf_int(conf, -1, "run", "seed"))};
    if (talk) {
        status = generate_talk(&g, err);
    } else if (prompt_text) {
        status = once(&g, prompt_text, strlen(prompt_text), o->json, err);
    } else {
        LOCI_TRY(read_input(&input, err));
        status = once(&g, input.at ? input.at : "", input.len, o->json, err);
    }
out:
    loci_text_free(&input);
    loci_free(stop);
    loci_stream_close(g.stream);
    loci_engine_close(engine);
    loci_conf_free(conf);
    loci_free(base);
    return status;
}

const struct verb verb_generate = {
    "generate", "CHECKPOINT", "let a checkpoint go on with a text",
    "Let a checkpoint (or the newest of a run folder) go on with a text. Its own config is the base; -c and --set are "
    "laid over it. The answer alone goes to standard output, byte by byte as it is drawn, whatever the bytes are.\v"
    "Without --prompt, standard input is the prompt; on a terminal every line is one, and the text so far stays in "
    "mind. There Ctrl-C ends an answer, /reset forgets the text, /quit leaves.\n\n"
    "Memories and attention with a window cost the same for every token, however long the text is; attention without a "
    "window keeps all of it, and each token costs a little more than the one before.\n\n"
    "  loci generate runs/mac --prompt 'In the beginning'\n"
    "  head -c 2000 book.txt | loci generate runs/mac --tokens 500 --temperature 0.7 --top-p 0.95\n"
    "  loci generate runs/mac",
    options, parse, run};

/* SPDX-License-Identifier: Apache-2.0
 *
 * One answer: the prompt in pieces, then token by token, each shown as soon as it is known not to begin the stop text.
 */
#include "cli/generate.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static loci_status numbers(int32_t **out, int64_t *n, const char *text, loci_error *err)
{
    static const char between[] = " \t\r\n,";
    const char *at = text;
    char *end;

    for (*n = 0; *(at += strspn(at, between)); (*n)++) {
        size_t word = strcspn(at, between);
        long v;
        errno = 0;
        v = strtol(at, &end, 10);
        if (end != at + word || errno || v < 0 || v > INT32_MAX)
            return loci_fail(err, LOCI_E_ARG,
                             "`%.*s` is not the number of a token: --ids takes numbers, with spaces between",
                             word < 40 ? (int)word : 40, at);
        (*out)[*n] = (int32_t)v;
        at = end;
    }
    return LOCI_OK;
}

loci_status generate_tokens(int32_t **out, int64_t *n, const char *text, size_t bytes, bool ids, loci_error *err)
{
    loci_status status = LOCI_OK;

    *out = loci_alloc((bytes + 1) * sizeof **out);
    *n = (int64_t)bytes;
    if (!*out)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for %zu tokens", bytes);
    if (ids)
        status = strlen(text) == bytes ? numbers(out, n, text, err)
                                       : loci_fail(err, LOCI_E_ARG, "a NUL byte among the numbers of --ids");
    for (size_t i = 0; !ids && i < bytes; i++)
        (*out)[i] = (unsigned char)text[i];
    return status;
}

static loci_status show(const struct generation *g, const int32_t *tokens, int64_t n, bool first, loci_error *err)
{
    for (int64_t i = 0; i < n; i++)
        if (g->ids)
            printf("%s%d", first && i == 0 ? "" : " ", (int)tokens[i]);
        else
            putchar(tokens[i]);
    if (n && fflush(stdout) != 0)
        return loci_fail(err, LOCI_E_IO, "standard output: %s", strerror(errno));
    return LOCI_OK;
}

/* How many of the last tokens may be the beginning of the stop text; n_stop: they are all of it. */
static int64_t matched(const struct generation *g, const int32_t *tokens, int64_t n)
{
    int64_t k = g->n_stop < n ? g->n_stop : n;

    while (k > 0 && memcmp(tokens + n - k, g->stop, (size_t)k * sizeof *tokens) != 0)
        k--;
    return k;
}

loci_status generate_answer(struct answer *a, struct generation *g, const int32_t *prompt, int64_t n, loci_error *err)
{
    loci_status status = LOCI_OK;
    int64_t out = 0, held = 0;
    double begin;

    *a = (struct answer){.ended = "tokens"};
    a->tokens = loci_alloc(((size_t)g->most + 1) * sizeof *a->tokens);
    if (!a->tokens)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for an answer of %lld tokens", (long long)g->most);
    if (n > 0 || !g->logits)
        LOCI_TRY(n > 0
                     ? loci_stream_prefill(g->stream, prompt, n, &g->logits, err)
                     : loci_fail(err, LOCI_E_ARG, "an empty prompt: give the model at least one token to go on from"));
    begin = loci_seconds();
    while (a->n < g->most && !cli_stop) {
        LOCI_TRY(loci_draw(&a->tokens[a->n], g->logits, &g->how, (uint64_t)loci_stream_tokens(g->stream), err));
        a->n++;
        /* Also the last one: a conversation goes on behind it. */
        LOCI_TRY(loci_stream_feed(g->stream, &a->tokens[a->n - 1], 1, &g->logits, err));
        held = matched(g, a->tokens, a->n);
        if (g->n_stop && held == g->n_stop) {
            a->n -= held;
            held = 0;
            a->ended = "stop";
        }
        if (g->shown)
            LOCI_TRY(show(g, a->tokens + out, a->n - held - out, out == 0, err));
        out = a->n - held;
        if (a->ended[0] == 's')
            break;
    }
    a->seconds = loci_seconds() - begin;
    if (g->shown) /* what looked like the beginning of the stop text was none */
        LOCI_TRY(show(g, a->tokens + out, a->n - out, out == 0, err));
    if (cli_stop && a->n < g->most)
        a->ended = "interrupted";
out:
    return status;
}

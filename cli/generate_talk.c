/* SPDX-License-Identifier: Apache-2.0
 *
 * A conversation on a terminal. The model goes on with one text: what was typed and what it answered, in turn. Prompts
 * and remarks go to standard error, answers alone to standard output.
 *
 * Ctrl-C while an answer comes ends the answer; while a line is awaited it is only remarked on. Signals are taken by a
 * thread of the command, so nothing here is interrupted: the wait for a line looks at cli_stop now and then.
 */
#include "cli/generate.h"
#include <poll.h>
#include <string.h>
#include <unistd.h>

enum { MOST_LINE = 1 << 16 };

struct terminal {
    char line[MOST_LINE];
    size_t n;
};

/* A line without its end into t->line; false at the end of input or when the command should leave. */
static bool read_line(struct terminal *t)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    char c;

    for (t->n = 0;;) {
        int ready = poll(&p, 1, 100);
        if (cli_stop && cli_stop != SIGINT)
            return false;
        if (cli_stop) {
            cli_stop = 0;
            t->n = 0;
            fputs("\n(/quit or Ctrl-D leaves)\n> ", stderr);
        }
        if (ready <= 0)
            continue;
        if (read(STDIN_FILENO, &c, 1) != 1)
            return t->n > 0;
        if (c == '\n')
            return true;
        if (t->n < MOST_LINE - 1)
            t->line[t->n++] = c;
    }
}

/* Lines that begin with / are for the command. */
static bool command(struct terminal *t, struct generation *g, bool *leave)
{
    t->line[t->n] = '\0';
    if (t->line[0] != '/')
        return false;
    if (!strcmp(t->line, "/quit")) {
        *leave = true;
    } else if (!strcmp(t->line, "/reset")) {
        loci_stream_reset(g->stream);
        g->logits = NULL;
        fputs("(forgotten)\n", stderr);
    } else {
        fputs("/reset  forget the text so far\n/quit   leave, as Ctrl-D does\nCtrl-C  end the answer that is coming\n"
              "Any other line is fed to the model, without its end; an empty one lets it go on.\n",
              stderr);
    }
    return true;
}

static loci_status reply(struct generation *g, const struct terminal *t, loci_error *err)
{
    loci_status status = LOCI_OK;
    struct answer a = {0};
    int32_t *tokens = NULL;
    int64_t n = 0;

    LOCI_TRY(generate_tokens(&tokens, &n, t->line, t->n, g->ids, err));
    LOCI_TRY(generate_answer(&a, g, tokens, n, err));
    putchar('\n');
    fflush(stdout);
    if (cli_stop == SIGINT)
        cli_stop = 0;
    fprintf(stderr, "(%lld tokens, %.0f a second%s)\n", (long long)a.n, a.seconds > 0 ? (double)a.n / a.seconds : 0,
            strcmp(a.ended, "interrupted") ? "" : ", interrupted");
out:
    loci_free(a.tokens);
    loci_free(tokens);
    return status;
}

loci_status generate_talk(struct generation *g, loci_error *err)
{
    loci_status status = LOCI_OK;
    struct terminal t;
    bool leave = false;

    fputs("(type a text for the model to go on with; /help explains, /quit leaves)\n> ", stderr);
    while (!leave && read_line(&t)) {
        if (!command(&t, g, &leave))
            status = reply(g, &t, err);
        if (status != LOCI_OK && status != LOCI_E_ARG)
            return status;
        if (status == LOCI_E_ARG) { /* of the line that was typed: the next may be better */
            fprintf(stderr, "(%s)\n", err->msg);
            loci_error_clear(err);
            status = LOCI_OK;
        }
        if (!leave)
            fputs("> ", stderr);
    }
    if (!leave)
        fputc('\n', stderr);
    if (cli_stop)
        status = loci_fail(err, LOCI_E_STOPPED, "ended by a signal");
    return status;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * What the two ways of generating share: one answer to one prompt, and a conversation on a terminal.
 */
#ifndef LOCI_CLI_GENERATE_H
#define LOCI_CLI_GENERATE_H

#include "cli/cli.h"
#include <loci/loci.h>

struct generation {
    loci_stream *stream;
    const loci_tensor *logits; /* of what follows the text so far; NULL: there is none yet */
    loci_sampling how;
    int64_t most;        /* tokens of an answer               */
    const int32_t *stop; /* an answer ends before these       */
    int64_t n_stop;      /* 0: it does not                    */
    bool ids;            /* tokens are shown as numbers       */
    bool shown;          /* on standard output, as they come  */
};

struct answer {
    int32_t *tokens; /* loci_free it */
    int64_t n;
    double seconds;    /* for them, without the prompt            */
    const char *ended; /* "tokens", "stop", "interrupted"          */
};

/* Feed the prompt, which may be empty behind other text, and draw an answer. Ends early when cli_stop is set. */
loci_status generate_answer(struct answer *a, struct generation *g, const int32_t *prompt, int64_t n, loci_error *err);
/* Read lines from the terminal and answer them until it ends. */
loci_status generate_talk(struct generation *g, loci_error *err);

/* Text or numbers as tokens; *out is loci_free'd. */
loci_status generate_tokens(int32_t **out, int64_t *n, const char *text, size_t bytes, bool ids, loci_error *err);

#endif

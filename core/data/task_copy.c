/* SPDX-License-Identifier: Apache-2.0
 *
 * task.copy: remember the first symbols over a long gap (Arjovsky, Shah, Bengio 2016, section 4.1).
 *
 *      s_1 .. s_L   blank ... blank   delimiter   blank .. blank        L symbols, N - 2L - 1 blanks, L blanks at the end
 *                                                 s_1   .. s_L          the targets
 *
 * Symbols are 0 .. S - 1, drawn with replacement; S is the blank, S + 1 the delimiter. The paper also asks for the blanks
 * before; what is asked here is what has to be remembered.
 */
#include "core/data/task.h"

struct copy {
    int64_t symbols, length;
};

static loci_status open(loci_task *t, const loci_conf *conf, loci_error *err)
{
    loci_status status = loci__task_own(t, sizeof(struct copy), err);
    struct copy *c = t->own;

    if (status != LOCI_OK)
        return status;
    *c = (struct copy){loci__task_int(t, conf, "symbols"), loci__task_int(t, conf, "length")};
    if (t->seq < 2 * c->length + 1)
        return loci__task_refuse(t, conf, "length", err, "it takes %lld tokens and data.seq_tok is %lld: lower the one or "
                                                         "raise the other",
                                 (long long)(2 * c->length + 1), (long long)t->seq);
    t->vocab = c->symbols + 2;
    t->answers = c->symbols;
    t->labels = c->length;
    return LOCI_OK;
}

static void make(const loci_task *t, uint64_t key, int32_t *tokens, int32_t *targets, int32_t *sources)
{
    const struct copy *c = t->own;
    const int64_t answer = t->seq - c->length;

    for (int64_t i = c->length; i < t->seq; i++)
        tokens[i] = (int32_t)c->symbols;
    tokens[answer - 1] = (int32_t)c->symbols + 1;
    for (int64_t i = 0; i < c->length; i++) {
        tokens[i] = (int32_t)loci_random_below(loci__task_stream(key, 1), (uint64_t)i, (uint64_t)c->symbols);
        targets[answer + i] = tokens[i];
        sources[answer + i] = (int32_t)i;
    }
}

const struct loci_task_class loci__task_class_copy = {"copy", open, make};

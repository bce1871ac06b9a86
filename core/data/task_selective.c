/* SPDX-License-Identifier: Apache-2.0
 *
 * task.selective-copy: remember the symbols among the noise, in their order (Jing et al. 2019; Gu and Dao 2023, section
 * 4.1.1).
 *
 *      0 0 s_1 0 s_2 0 0 ... s_L 0    mark .. mark          L symbols at random places of the first N - L, then L marks
 *                                     s_1  .. s_L           the targets
 *
 * Of V tokens 0 is the noise, V - 1 the mark, and the symbols between are drawn with replacement. Every set of places is
 * equally likely: going from left to right, a place is taken with probability (symbols left) / (places left), which is
 * Knuth's algorithm S (volume 2, 3.4.2).
 */
#include "core/data/task.h"

struct selective {
    int64_t length;
};

static loci_status open(loci_task *t, const loci_conf *conf, loci_error *err)
{
    loci_status status = loci__task_own(t, sizeof(struct selective), err);
    struct selective *c = t->own;

    if (status != LOCI_OK)
        return status;
    c->length = t->labels = loci__task_int(t, conf, "length");
    if (t->seq < 2 * c->length)
        return loci__task_refuse(t, conf, "length", err, "it takes %lld tokens and data.seq_tok is %lld: lower the one or "
                                                         "raise the other",
                                 (long long)(2 * c->length), (long long)t->seq);
    t->vocab = loci__task_int(t, conf, "vocab");
    t->answer = 1;
    t->answers = t->vocab - 2;
    return LOCI_OK;
}

static void make(const loci_task *t, uint64_t key, int32_t *tokens, int32_t *targets, int32_t *sources)
{
    const struct selective *c = t->own;
    const int64_t places = t->seq - c->length;
    int64_t j = 0;

    for (int64_t i = 0; i < places; i++)
        if ((int64_t)loci_random_below(loci__task_stream(key, 1), (uint64_t)i, (uint64_t)(places - i)) < c->length - j) {
            tokens[i] = 1 + (int32_t)loci_random_below(loci__task_stream(key, 2), (uint64_t)j, (uint64_t)t->answers);
            tokens[places + j] = (int32_t)t->vocab - 1;
            targets[places + j] = tokens[i];
            sources[places + j] = (int32_t)i;
            j++;
        }
}

const struct loci_task_class loci__task_class_selective_copy = {"selective-copy", open, make};

/* SPDX-License-Identifier: Apache-2.0
 *
 * task.induction: what followed the mark the last time? (Olsson et al. 2022; Gu and Dao 2023, section 4.1.2.)
 *
 *      x x x x mark a x x x ... x mark         one mark at a random place, one at the end
 *                                  a           the target
 *
 * Of V tokens V - 1 is the mark, all others are drawn with replacement.
 */
#include "core/data/task.h"

static loci_status open(loci_task *t, const loci_conf *conf, loci_error *err)
{
    if (t->seq < 3)
        return loci_fail(err, LOCI_E_CONFIG, "%s: data.seq_tok = %lld, and task.induction takes 3: raise it",
                         loci_conf_origin(conf, -1, "data", "seq_tok"), (long long)t->seq);
    t->vocab = loci__task_int(t, conf, "vocab");
    t->answers = t->vocab - 1;
    t->labels = 1;
    return LOCI_OK;
}

static void make(const loci_task *t, uint64_t key, int32_t *tokens, int32_t *targets, int32_t *sources)
{
    const int64_t last = t->seq - 1, mark = (int64_t)loci_random_below(loci__task_stream(key, 1), 0, (uint64_t)last - 1);

    for (int64_t i = 0; i < last; i++)
        tokens[i] = (int32_t)loci_random_below(loci__task_stream(key, 2), (uint64_t)i, (uint64_t)t->answers);
    tokens[mark] = tokens[last] = (int32_t)t->vocab - 1;
    targets[last] = tokens[mark + 1];
    sources[last] = (int32_t)mark + 1;
}

const struct loci_task_class loci__task_class_induction = {"induction", open, make};

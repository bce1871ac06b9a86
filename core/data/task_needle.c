/* SPDX-License-Identifier: Apache-2.0
 *
 * task.needle: a key and its value lie somewhere in a haystack, and the end asks for them (a small relative of RULER's
 * S-NIAH: Hsieh et al. 2024).
 *
 *      h h h h k v_1 v_2 v_3 v_4 h h h h h ... h k   v_1 v_2 v_3        the question is the key and the value so far
 *                                                v_1 v_2 v_3 v_4        the targets
 *
 * Of V tokens the first K are keys, the next A are what values are made of (drawn with replacement), the others the words
 * of the haystack. The haystack is one of
 *
 *      chain       a Markov chain of order 1 in which each word has four equally likely successors: two bits a word
 *      sentences   fifty sentences of eight words, drawn with replacement
 *      random      any word
 *
 * whose words and successors are those of every run: a language, not a sample. The needle begins at place p of 0 .. P with
 * P = N - 2L - 1 - distance, drawn evenly, or at depth P rounded. A model that can look back over fewer than `distance`
 * tokens can at best guess.
 */
#include "core/data/task.h"
#include <math.h>
#include <string.h>

enum { PLACE = 1, KEY, VALUE, WORDS };
enum { SUCCESSORS = 4, SENTENCES = 50, SENTENCE = 8 };
enum haystack { CHAIN, SENTENCE_WISE, ANY };

struct needle {
    int64_t keys, length, room; /* room: P */
    int64_t word, words;        /* words are word .. word + words - 1 */
    double depth;
    enum haystack haystack;
    int32_t table[]; /* chain: the successors of each word; sentences: their words */
};

static void language(struct needle *n, int64_t entries)
{
    uint64_t key = loci_random_name_key(0, "task.needle.language");

    for (int64_t i = 0; i < entries; i++)
        n->table[i] = (int32_t)(n->word + (int64_t)(n->haystack == CHAIN
                                    ? loci_random_shuffled(loci_mix64(key ^ (uint64_t)(i / SUCCESSORS)),
                                                           (uint64_t)(i % SUCCESSORS), (uint64_t)n->words)
                                    : loci_random_below(key, (uint64_t)i, (uint64_t)n->words)));
}

static loci_status open(loci_task *t, const loci_conf *conf, loci_error *err)
{
    struct needle n = {.keys = loci__task_int(t, conf, "keys"), .length = loci__task_int(t, conf, "length")}, *own;
    const char *haystack = loci_conf_str(conf, -1, "task.needle", "haystack");
    const int64_t distance = loci__task_int(t, conf, "distance");
    int64_t entries;
    loci_status status;

    t->vocab = loci__task_int(t, conf, "vocab");
    t->answer = n.keys;
    t->answers = loci__task_int(t, conf, "values");
    t->labels = n.length;
    n.depth = loci_conf_real(conf, -1, "task.needle", "depth");
    n.haystack = !strcmp(haystack, "chain") ? CHAIN : !strcmp(haystack, "sentences") ? SENTENCE_WISE : ANY;
    n.word = t->answer + t->answers;
    n.words = t->vocab - n.word;
    n.room = t->seq - 2 * n.length - 1 - distance;
    if (n.words < SUCCESSORS)
        return loci__task_refuse(t, conf, "vocab", err, "after %lld keys and %lld values at least %d words must be left: "
                                                        "raise it to %lld",
                                 (long long)n.keys, (long long)t->answers, SUCCESSORS, (long long)n.word + SUCCESSORS);
    if (n.room < 0)
        return loci__task_refuse(t, conf, "distance", err, "with needle and question it takes %lld tokens and data.seq_tok "
                                                           "is %lld: lower the one or raise the other",
                                 (long long)(2 * n.length + 1 + distance), (long long)t->seq);
    entries = n.haystack == CHAIN ? SUCCESSORS * n.words : n.haystack == SENTENCE_WISE ? SENTENCES * SENTENCE : 0;
    status = loci__task_own(t, sizeof n + (uint64_t)entries * sizeof *n.table, err);
    if (status != LOCI_OK)
        return status;
    own = t->own;
    *own = n;
    language(own, entries);
    return LOCI_OK;
}

/* Word i of the haystack; `before` is word i - 1. */
static int32_t word(const struct needle *n, uint64_t key, int64_t i, int32_t before)
{
    if (n->haystack == SENTENCE_WISE)
        return n->table[SENTENCE * loci_random_below(key, (uint64_t)(i / SENTENCE), SENTENCES) +
                        (uint64_t)(i % SENTENCE)];
    if (n->haystack == CHAIN && i > 0)
        return n->table[SUCCESSORS * (before - n->word) + (int64_t)loci_random_below(key, (uint64_t)i, SUCCESSORS)];
    return (int32_t)(n->word + (int64_t)loci_random_below(key, (uint64_t)i, (uint64_t)n->words));
}

static void make(const loci_task *t, uint64_t key, int32_t *tokens, int32_t *targets, int32_t *sources)
{
    const struct needle *n = t->own;
    const int64_t L = n->length, question = t->seq - L;
    const int64_t at = n->depth < 0
                           ? (int64_t)loci_random_below(loci__task_stream(key, PLACE), 0, (uint64_t)n->room + 1)
                           : llround(n->depth * (double)n->room);
    int32_t before = 0;

    for (int64_t i = 0, h = 0; i < question; i++)
        if (i < at || i > at + L)
            tokens[i] = before = word(n, loci__task_stream(key, WORDS), h++, before);
    tokens[at] = tokens[question] = (int32_t)loci_random_below(loci__task_stream(key, KEY), 0, (uint64_t)n->keys);
    for (int64_t j = 0; j < L; j++) {
        int64_t v = (int64_t)loci_random_below(loci__task_stream(key, VALUE), (uint64_t)j, (uint64_t)t->answers);
        tokens[at + 1 + j] = targets[question + j] = (int32_t)(t->answer + v);
        sources[question + j] = (int32_t)(at + 1 + j);
        if (j + 1 < L)
            tokens[question + 1 + j] = tokens[at + 1 + j];
    }
}

const struct loci_task_class loci__task_class_needle = {"needle", open, make};

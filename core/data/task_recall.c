/* SPDX-License-Identifier: Apache-2.0
 *
 * Associative recall with many questions: task.mqar, task.overwrite and task.random-overwrite.
 *
 *      k_1 v_1 k_2 v_2 ... k_W v_W   . . k_3 . . . k_1 . . . . . k_2 .       W writes, then every key once, alone
 *                                        v_3       v_1           v_2         the target at the key itself: its last value
 *
 *      mqar              D pairs                                             (Arora et al. 2023, their multiquery_ar.py)
 *      overwrite         D pairs, then D/2 different keys of them again
 *      random-overwrite  D pairs, then `writes` keys drawn with replacement; 2D when it is 0
 *
 * Keys are D different ones of 1 .. V/2 - 1. Values are W different ones of V/2 .. V - 1, so that a second value is always a
 * new one. Questions stand in slots 2W + 2 g, the g different ones of 0 .. (N - 2W)/2 - 1, drawn one after another with
 * probability proportional to a (g + 1)^(a - 1). Whatever is still token 0 in the end becomes any token of the vocabulary
 * when fillers = random. We ask for V/2 > D and (for values) V/2 >= W only where the authors' code asks for V > N.
 *
 *  (1) Drawing one after another without replacement, with weights w: give slot g the number -ln(u_g) / w_g, an exponential
 *      of rate w_g; their rising order is the order of the draws (Efraimidis and Spirakis 2006).
 */
#include "core/data/task.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS = 1, VALUES, REWRITES, GAPS, FILLERS };
enum repeat { NONE, HALF, RANDOM };

struct gap {
    double at;
    int64_t slot;
};

struct recall {
    int64_t pairs, writes, slots;
    enum repeat repeat;
    bool random_fillers;
    double *weight;  /* [slots] */
    struct gap *gaps; /* [slots] scratch */
    int32_t *latest; /* [pairs] scratch: where the value that counts stands */
};

static loci_status check(const loci_task *t, const struct recall *r, const loci_conf *conf, loci_error *err)
{
    const int64_t low = t->vocab / 2, high = t->vocab - low;

    if (t->seq % 2)
        return loci_fail(err, LOCI_E_CONFIG, "%s: data.seq_tok = %lld: task.%s is made of pairs: choose an even length",
                         loci_conf_origin(conf, -1, "data", "seq_tok"), (long long)t->seq, t->cls->name);
    if (r->pairs > low - 1)
        return loci__task_refuse(t, conf, "pairs", err, "a vocabulary of %lld has %lld keys: lower it, or raise vocab",
                                 (long long)t->vocab, (long long)low - 1);
    if (r->writes > high)
        return loci__task_refuse(t, conf, "vocab", err, "%lld writes need as many different values, and it has %lld: raise "
                                                        "it to %lld",
                                 (long long)r->writes, (long long)high, (long long)(2 * r->writes));
    if (t->seq < 2 * r->writes + 2 * r->pairs)
        return loci__task_refuse(t, conf, "pairs", err, "%lld writes and %lld questions take %lld tokens and data.seq_tok "
                                                        "is %lld: lower the one or raise the other",
                                 (long long)r->writes, (long long)r->pairs, (long long)(2 * r->writes + 2 * r->pairs),
                                 (long long)t->seq);
    return LOCI_OK;
}

static loci_status open_recall(loci_task *t, const loci_conf *conf, enum repeat repeat, loci_error *err)
{
    struct recall r = {.pairs = loci__task_int(t, conf, "pairs"), .repeat = repeat}, *own;
    char section[64];
    loci_status status;
    double power;

    snprintf(section, sizeof section, "task.%s", t->cls->name);
    power = loci_conf_real(conf, -1, section, "power");
    r.random_fillers = !strcmp(loci_conf_str(conf, -1, section, "fillers"), "random");
    r.writes = r.pairs + (repeat == HALF ? r.pairs / 2 : 0);
    if (repeat == RANDOM) {
        int64_t more = loci__task_int(t, conf, "writes");
        r.writes += more ? more : 2 * r.pairs;
    }
    t->vocab = loci__task_int(t, conf, "vocab");
    LOCI_TRY(check(t, &r, conf, err));
    r.slots = (t->seq - 2 * r.writes) / 2;
    LOCI_TRY(loci__task_own(t, sizeof r + (uint64_t)r.slots * (sizeof *r.gaps + sizeof *r.weight) +
                                   (uint64_t)r.pairs * sizeof *r.latest,
                            err));
    own = t->own;
    *own = r;
    own->gaps = (struct gap *)(void *)(own + 1);
    own->weight = (double *)(void *)(own->gaps + r.slots);
    own->latest = (int32_t *)(void *)(own->weight + r.slots);
    for (int64_t g = 0; g < r.slots; g++)
        own->weight[g] = power * pow((double)(g + 1), power - 1);
    t->answer = t->vocab / 2;
    t->answers = t->vocab - t->vocab / 2;
    t->labels = r.pairs;
out:
    return status;
}

static int by_draw(const void *a, const void *b)
{
    const struct gap *x = a, *y = b;

    return x->at != y->at ? (x->at < y->at ? -1 : 1) : (x->slot > y->slot) - (x->slot < y->slot);
}

/* (1) */
static void draw_gaps(const struct recall *r, uint64_t key)
{
    for (int64_t g = 0; g < r->slots; g++) {
        double u = 1 - loci_random_unit(key, (uint64_t)g); /* (0, 1] */
        r->gaps[g] = (struct gap){-log(u) / r->weight[g], g};
    }
    qsort(r->gaps, (size_t)r->slots, sizeof *r->gaps, by_draw);
}

static int64_t rewritten(const struct recall *r, uint64_t key, int64_t i)
{
    return (int64_t)(r->repeat == HALF ? loci_random_shuffled(key, (uint64_t)i, (uint64_t)r->pairs)
                                       : loci_random_below(key, (uint64_t)i, (uint64_t)r->pairs));
}

static void make(const loci_task *t, uint64_t key, int32_t *tokens, int32_t *targets, int32_t *sources)
{
    const struct recall *r = t->own;
    const uint64_t keys = (uint64_t)(t->vocab / 2 - 1), values = (uint64_t)t->answers;

    for (int64_t w = 0; w < r->writes; w++) {
        int64_t pair = w < r->pairs ? w : rewritten(r, loci__task_stream(key, REWRITES), w - r->pairs);
        tokens[2 * w] = 1 + (int32_t)loci_random_shuffled(loci__task_stream(key, KEYS), (uint64_t)pair, keys);
        tokens[2 * w + 1] =
            (int32_t)(t->answer + (int64_t)loci_random_shuffled(loci__task_stream(key, VALUES), (uint64_t)w, values));
        r->latest[pair] = (int32_t)(2 * w + 1);
    }
    draw_gaps(r, loci__task_stream(key, GAPS));
    for (int64_t pair = 0; pair < r->pairs; pair++) {
        int64_t at = 2 * r->writes + 2 * r->gaps[pair].slot;
        tokens[at] = tokens[2 * pair];
        targets[at] = tokens[r->latest[pair]];
        sources[at] = r->latest[pair];
    }
    for (int64_t i = 2 * r->writes; i < t->seq && r->random_fillers; i++)
        if (tokens[i] == 0)
            tokens[i] = (int32_t)loci_random_below(loci__task_stream(key, FILLERS), (uint64_t)i, (uint64_t)t->vocab);
}

static loci_status open_mqar(loci_task *t, const loci_conf *conf, loci_error *err)
{
    return open_recall(t, conf, NONE, err);
}

static loci_status open_overwrite(loci_task *t, const loci_conf *conf, loci_error *err)
{
    return open_recall(t, conf, HALF, err);
}

static loci_status open_random(loci_task *t, const loci_conf *conf, loci_error *err)
{
    return open_recall(t, conf, RANDOM, err);
}

const struct loci_task_class loci__task_class_mqar = {"mqar", open_mqar, make};
const struct loci_task_class loci__task_class_overwrite = {"overwrite", open_overwrite, make};
const struct loci_task_class loci__task_class_random_overwrite = {"random-overwrite", open_random, make};

/* SPDX-License-Identifier: Apache-2.0
 *
 * Right answers, all of them and by where they had to be looked up.
 *
 *      by_position   k of K targets of a sequence, from 0; sixteen equal parts when K > 16
 *      by_distance   place of the question minus place of the answer: 1, 2-3, 4-7, 8-15 ...
 *      by_depth      place of the answer over the length of the sequence, in tenths
 */
#include "core/train/score.h"
#include <jansson.h>
#include <math.h>

enum { PARTS = 16, TENTHS = 10, OCTAVES = 31 };

void loci_score_begin(loci_evaluation *e, const loci_data *d, int64_t sequences)
{
    const int64_t labels = d->labels, parts = labels < PARTS ? labels : PARTS;

    *e = (loci_evaluation){.sequences = sequences, .scored = d->scored};
    if (!d->scored)
        return;
    e->by_position.n = (uint32_t)parts;
    for (int64_t i = 0; i < parts; i++) { /* target k lies in part k * parts / labels */
        e->by_position.at[i].from = (double)((i * labels + parts - 1) / parts);
        e->by_position.at[i].to = (double)(((i + 1) * labels + parts - 1) / parts - 1);
    }
    e->by_distance.n = OCTAVES;
    for (int i = 0; i < OCTAVES; i++)
        e->by_distance.at[i] = (loci_bucket){ldexp(1, i), ldexp(1, i + 1) - 1, 0, 0};
    e->by_depth.n = TENTHS;
    for (int i = 0; i < TENTHS; i++)
        e->by_depth.at[i] = (loci_bucket){(double)i / TENTHS, (double)(i + 1) / TENTHS, 0, 0};
}

static void count(loci_buckets *b, int64_t i, bool right)
{
    b->at[i].n++;
    b->at[i].right += right;
}

static int octave(int64_t x)
{
    int n = 0;

    while (x >>= 1)
        n++;
    return n;
}

void loci_score_sequence(loci_evaluation *e, int64_t seq, const int32_t *targets, const int32_t *sources,
                         const int32_t *answers)
{
    int64_t k = 0, labels = 0, right = 0;

    for (int64_t t = 0; t < seq; t++)
        labels += targets[t] >= 0;
    for (int64_t t = 0; t < seq; t++) {
        if (targets[t] < 0)
            continue;
        bool hit = answers[t] == targets[t];
        count(&e->by_position, k++ * e->by_position.n / labels, hit);
        count(&e->by_distance, octave(t - sources[t]), hit);
        count(&e->by_depth, (int64_t)sources[t] * TENTHS / seq, hit);
        right += hit;
    }
    e->accuracy += (double)right;
    e->exact += right == labels;
}

void loci_score_end(loci_evaluation *e, double loss, bool lift)
{
    e->loss = e->tokens ? loss / (double)e->tokens : 0;
    e->accuracy = e->scored ? e->accuracy / (double)e->tokens : NAN;
    e->exact = e->scored ? e->exact / (double)e->sequences : NAN;
    e->lift = lift ? e->lift / (double)e->tokens : NAN;
}

int64_t loci_evaluation_windows(const loci_data *d, const loci_conf *conf, int64_t seq)
{
    return loci_data_windows(d, loci_conf_int(conf, -1, "train", "eval_sequences"),
                             loci_conf_int(conf, -1, "train", "eval_tokens"), seq);
}

static json_t *real(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *buckets_json(const loci_evaluation *e, const loci_buckets *b)
{
    json_t *list;

    if (!e->scored)
        return json_null();
    list = json_array();
    for (uint32_t i = 0; i < b->n; i++)
        if (b->at[i].n)
            json_array_append_new(list, json_pack("{s:f, s:f, s:I, s:f}", "from", b->at[i].from, "to", b->at[i].to, "n",
                                                  (json_int_t)b->at[i].n, "accuracy",
                                                  (double)b->at[i].right / (double)b->at[i].n));
    return list;
}

json_t *loci_evaluation_json(const loci_evaluation *e)
{
    return json_pack("{s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "loss_nats", real(e->loss), "tokens",
                     (json_int_t)e->tokens, "sequences", (json_int_t)e->sequences, "accuracy", real(e->accuracy), "exact",
                     real(e->exact), "lift_nats", real(e->lift), "by_position", buckets_json(e, &e->by_position),
                     "by_distance", buckets_json(e, &e->by_distance), "by_depth", buckets_json(e, &e->by_depth));
}

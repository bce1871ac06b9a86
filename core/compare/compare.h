/* SPDX-License-Identifier: Apache-2.0
 *
 * core/compare: arms x seeds, paired, with statistics and a verdict.
 *
 *  (1) The unit of replication is the seed: it changes initialisation and data order together, and alike in every arm.
 *  (2) Every run is an ordinary run folder, DIR/ARM/seed-S. Finished ones are read, interrupted ones resumed, so adding
 *      seeds or arms costs only what is new.
 *  (3) A run that ends with a number that is not finite has no value; the table and the report say so.
 *  (4) With the metric accuracy higher is better, and a run that ends near chance (compare.take_off) is marked as one that
 *      did not take off: its value counts, since a rule that trains from two seeds of three is not as good as its mean of
 *      those two.
 *  (5) Tuning (compare.tune) picks one value per arm on a seed of its own, which is not counted.
 */
#ifndef LOCI_CORE_COMPARE_COMPARE_H
#define LOCI_CORE_COMPARE_COMPARE_H

#include "core/compare/stats.h"
#include "core/train/train.h"

/* One arm before it is run. */
typedef struct loci_arm {
    char *name;
    loci_conf *conf;
    char *tuned;      /* "train.lr = 3e-3", or NULL */
    double *values;   /* [seeds] the metric, NaN when the run failed */
    loci_result *runs; /* [seeds] */
    loci_sample sample;
    double tokens_per_s; /* median over the seeds */
    uint64_t parameters, state_bytes, peak_bytes;
    bool causal; /* false: its model sees the future */
} loci_arm;

/* A key in which arms differ; values[i] NULL: the default. */
typedef struct loci_arm_key {
    char *key;
    char **values, **origins;
} loci_arm_key;

typedef struct loci_comparison {
    loci_arm *arms;
    uint32_t n_arms, n_seeds, n_pairs, n_keys;
    int64_t *seeds;
    loci_pair *pairs;
    loci_arm_key *keys;
    double share_equal; /* parameters that start equal in all arms, over those of the largest arm */
    loci_baselines baselines;
    bool lower_is_better;
    double take_off; /* accuracy below which a run did not take off; NaN: other metrics */
    char *metric, *dir;
} loci_comparison;

/* The arms of one config (its [arm.*] sections, or one per value of `vary`, "key=a,b,c"), or one per config. The configs
 * are taken over. `vary` NULL: compare.vary. Seeds and metric come from the first arm's config. */
loci_status loci_comparison_new(loci_comparison **out, loci_conf **confs, const char *const *names, uint32_t n,
                                const char *vary, const char *dir, loci_error *err);
/* Build every arm without running it: configuration errors come out, differing keys and equal shares are known. */
loci_status loci_comparison_check(loci_comparison *c, const char *plugin_path, bool allow_unknown, loci_error *err);

typedef struct loci_compare_how {
    const char *plugin_path;
    bool allow_unknown;
    volatile sig_atomic_t *stop;
    /* Before a run: the label of its progress lines. */
    void (*begin)(void *arg, const char *arm, int64_t seed, uint32_t number, uint32_t of);
    void (*progress)(void *arg, const loci_progress *p);
    /* After a run; r is NULL when it ended with a number that is not finite, why says how. */
    void (*end)(void *arg, const char *arm, int64_t seed, const loci_result *r, const char *why);
    void *arg;
} loci_compare_how;
loci_status loci_comparison_run(loci_comparison *c, const loci_compare_how *how, loci_error *err);

/* DIR/compare.json and DIR/report.html; command: how it was called, for the report. *json (may be NULL) gets the document,
 * to be decref'd. */
struct json_t;
loci_status loci_comparison_write(const loci_comparison *c, const char *command, struct json_t **json, loci_error *err);
/* Did the run of that seed end above chance? true for other metrics, and when there is no value. (4) */
bool loci_comparison_took_off(const loci_comparison *c, const loci_arm *arm, uint32_t seed);
/* A sentence about each arm whose seeds did not all take off; empty when all did. */
void loci_comparison_notes(loci_text *out, const loci_comparison *c);
/* The verdicts in words. */
void loci_comparison_verdict(loci_text *out, const loci_comparison *c);
void loci_comparison_free(loci_comparison *c);

#endif

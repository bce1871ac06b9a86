/* SPDX-License-Identifier: Apache-2.0
 *
 * Running a comparison: seeds in the outer loop, so that an interrupted one has compared what it has; then the statistics.
 */
#include "core/compare/compare.h"
#include "core/tensor/file.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static double value_of(const loci_comparison *c, const loci_result *r)
{
    return !strcmp(c->metric, "train_loss") ? r->loss : !strcmp(c->metric, "accuracy") ? r->accuracy : r->valid_loss;
}

/* One run of an arm in the folder DIR/ARM/NAME; *value is NaN when it ended with a number that is not finite. */
static loci_status run_one(loci_comparison *c, const loci_compare_how *how, const loci_arm *arm, const char *name,
                           int64_t seed, const char *set, loci_result *r, double *value, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_conf *conf = NULL;
    char *dir = loci_format("%s/%s/%s", c->dir, arm->name, name), seed_set[64];
    loci_error why = LOCI_ERROR_INIT;
    loci_train_how train = {.plugin_path = how->plugin_path,
                            .dir = dir,
                            .resume = true,
                            .allow_unknown = how->allow_unknown,
                            .reuse = true,
                            .stop = how->stop,
                            .progress = how->progress,
                            .arg = how->arg};

    *value = NAN;
    LOCI_TRY(dir ? loci_conf_clone(&conf, arm->conf, err) : loci_fail(err, LOCI_E_NOMEM, "out of memory"));
    snprintf(seed_set, sizeof seed_set, "run.seed=%lld", (long long)seed);
    LOCI_TRY(loci_conf_set(conf, seed_set, "compare.seeds", err));
    if (set)
        LOCI_TRY(loci_conf_set(conf, set, "compare.tune", err));
    status = loci_train(r, conf, &train, &why);
    if (status == LOCI_OK) {
        *value = value_of(c, r);
    } else if (status == LOCI_E_NUMERIC) {
        status = LOCI_OK;
    } else if (status == LOCI_E_STOPPED) {
        loci_fail(err, status, "stopped, everything saved in %s: the same command goes on", c->dir);
    } else {
        loci_fail(err, status, "arm %s, seed %lld: %s", arm->name, (long long)seed, why.msg);
    }
    if (how->end && status == LOCI_OK)
        how->end(how->arg, arm->name, seed, isfinite(*value) ? r : NULL, why.msg);
out:
    loci_conf_free(conf);
    loci_free(dir);
    return status;
}

/* ---- tuning -------------------------------------------------------------------------------------------------------------------- */

#define TUNING_SEED 1000000

struct tuning {
    loci_comparison *c;
    const loci_compare_how *how;
    loci_arm *arm;
    const char *key;
    int64_t seed;
    double best;
    char *chosen;
};

static loci_status try_value(void *arg, const char *item, loci_error *err)
{
    struct tuning *t = arg;
    loci_status status = LOCI_OK;
    char *set = loci_format("%s=%s", t->key, item), *name = loci_format("tune-%s", item);
    loci_result r;
    double value;

    LOCI_TRY(set && name ? LOCI_OK : loci_fail(err, LOCI_E_NOMEM, "out of memory"));
    for (char *p = name; *p; p++)
        if (*p == '/')
            *p = '_';
    if (t->how->begin)
        t->how->begin(t->how->arg, t->arm->name, t->seed, 0, 0);
    LOCI_TRY(run_one(t->c, t->how, t->arm, name, t->seed, set, &r, &value, err));
    if (isfinite(value) && (!t->chosen || (t->c->lower_is_better ? value < t->best : value > t->best))) {
        t->best = value;
        loci_free(t->chosen);
        t->chosen = set;
        set = NULL;
    }
out:
    loci_free(set);
    loci_free(name);
    return status;
}

static loci_status tune(loci_comparison *c, const loci_compare_how *how, loci_arm *arm, loci_error *err)
{
    loci_status status = LOCI_OK;
    const char *text = loci_conf_str(arm->conf, -1, "compare", "tune");
    char *key = loci_strdup(text), *colon = key ? strchr(key, ':') : NULL;
    struct tuning t = {c, how, arm, key, 0, 0, NULL};

    if (!key || !colon) {
        status = loci_fail(err, key ? LOCI_E_CONFIG : LOCI_E_NOMEM,
                           "%s: compare.tune = %s: write section.key: value,value",
                           loci_conf_origin(arm->conf, -1, "compare", "tune"), text);
        goto out;
    }
    *colon = '\0';
    /* Far from the counted ones and the same however many they are, so that adding seeds tunes nothing anew. */
    t.seed = loci_conf_int(arm->conf, -1, "run", "seed") + TUNING_SEED;
    for (uint32_t i = 0; i < c->n_seeds; i++)
        if (c->seeds[i] == t.seed) {
            t.seed++;
            i = UINT32_MAX; /* look again from the first */
        }
    LOCI_TRY(loci_conf_split(colon + 1, try_value, &t, err));
    if (!t.chosen) {
        status = loci_fail(err, LOCI_E_NUMERIC, "arm %s: no value of compare.tune = %s gave a finite value", arm->name, text);
        goto out;
    }
    LOCI_TRY(loci_conf_set(arm->conf, t.chosen, "compare.tune", err));
    arm->tuned = t.chosen;
    t.chosen = NULL;
    loci_log(LOCI_LOG_INFO, "compare", "arm %s: %s (seed %lld, not counted)", arm->name, arm->tuned, (long long)t.seed);
out:
    loci_free(t.chosen);
    loci_free(key);
    return status;
}

/* ---- all of it ------------------------------------------------------------------------------------------------------------------ */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void summarise(loci_comparison *c, loci_arm *arm, double *rates)
{
    uint32_t n = 0;

    arm->sample = loci_sample_of(arm->values, c->n_seeds);
    arm->tokens_per_s = NAN;
    for (uint32_t s = 0; s < c->n_seeds; s++) {
        const loci_result *r = &arm->runs[s];
        if (r->tokens_per_s > 0)
            rates[n++] = r->tokens_per_s;
        arm->state_bytes = r->state_bytes > arm->state_bytes ? r->state_bytes : arm->state_bytes;
        arm->peak_bytes = r->peak_bytes > arm->peak_bytes ? r->peak_bytes : arm->peak_bytes;
    }
    if (n) {
        qsort(rates, n, sizeof *rates, by_value);
        arm->tokens_per_s = (rates[(n - 1) / 2] + rates[n / 2]) / 2;
    }
}

static loci_status decide(loci_comparison *c, loci_error *err)
{
    loci_status status = LOCI_OK;
    double *values = loci_alloc(c->n_arms * c->n_seeds * sizeof *values), *rates = loci_alloc(c->n_seeds * sizeof *rates);

    c->pairs = loci_alloc(c->n_pairs * sizeof *c->pairs);
    if (!values || !rates || !c->pairs) {
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory for the statistics");
        goto out;
    }
    for (uint32_t i = 0; i < c->n_arms; i++) {
        summarise(c, &c->arms[i], rates);
        memcpy(values + i * c->n_seeds, c->arms[i].values, c->n_seeds * sizeof *values);
    }
    status = loci_compare_pairs(c->pairs, c->n_arms, c->n_seeds, values, c->lower_is_better, err);
out:
    loci_free(values);
    loci_free(rates);
    return status;
}

/* Baselines of the metric, and the accuracy that a run must reach to have taken off. */
static loci_status count_baselines(loci_comparison *c, loci_error *err)
{
    const loci_conf *conf = c->arms[0].conf;
    loci_data *d = NULL;
    int64_t seq = loci_conf_int(conf, -1, "data", "seq_tok");
    double chance;
    loci_status status = LOCI_OK;

    c->take_off = NAN;
    if (!strcmp(c->metric, "train_loss") || (c->lower_is_better && !loci_conf_bool(conf, -1, "compare", "baselines")))
        return LOCI_OK;
    LOCI_TRY(loci_data_open(&d, conf, seq, err));
    LOCI_TRY(loci_data_baselines(&c->baselines, d, loci_evaluation_windows(d, conf, seq), seq, err));
    chance = c->baselines.at[0].accuracy;
    if (!c->lower_is_better)
        c->take_off = chance + loci_conf_real(conf, -1, "compare", "take_off") * (1 - chance);
    if (!loci_conf_bool(conf, -1, "compare", "baselines"))
        c->baselines.n = 0;
out:
    loci_data_free(d);
    return status;
}

bool loci_comparison_took_off(const loci_comparison *c, const loci_arm *arm, uint32_t seed)
{
    return !(arm->values[seed] < c->take_off);
}

void loci_comparison_notes(loci_text *out, const loci_comparison *c)
{
    for (uint32_t i = 0; i < c->n_arms; i++) {
        const loci_arm *a = &c->arms[i];
        uint32_t low = 0;
        for (uint32_t s = 0; s < c->n_seeds; s++)
            if (!loci_comparison_took_off(c, a, s))
                loci_text_add(out, low++ ? ", seed %lld (%.4f)" : "seed %lld (%.4f)", (long long)c->seeds[s], a->values[s]);
        if (low)
            loci_text_add(out, " of %s did not take off: below %.4f at the end, and counted all the same\n", a->name,
                          c->take_off);
    }
}

loci_status loci_comparison_run(loci_comparison *c, const loci_compare_how *how, loci_error *err)
{
    loci_status status = LOCI_OK;
    uint32_t number = 0;
    char name[64];

    LOCI_TRY(count_baselines(c, err));
    for (uint32_t i = 0; i < c->n_arms; i++)
        if (*loci_conf_str(c->arms[i].conf, -1, "compare", "tune"))
            LOCI_TRY(tune(c, how, &c->arms[i], err));
    for (uint32_t s = 0; s < c->n_seeds; s++)
        for (uint32_t i = 0; i < c->n_arms; i++) {
            if (how->begin)
                how->begin(how->arg, c->arms[i].name, c->seeds[s], ++number, c->n_arms * c->n_seeds);
            snprintf(name, sizeof name, "seed-%lld", (long long)c->seeds[s]);
            LOCI_TRY(run_one(c, how, &c->arms[i], name, c->seeds[s], NULL, &c->arms[i].runs[s], &c->arms[i].values[s],
                             err));
        }
    status = decide(c, err);
out:
    return status;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * What a comparison leaves: compare.json for programs, report.html for people.
 */
#include "core/compare/compare.h"
#include "core/compare/curves.h"
#include "core/report/log.h"
#include "core/report/report.h"
#include "core/tensor/file.h"
#include "core/train/machine.h"
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifndef LOCI_VERSION
#define LOCI_VERSION PACKAGE_VERSION
#endif

static json_t *real(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static double baseline_value(const loci_comparison *c, uint32_t i)
{
    return c->lower_is_better ? c->baselines.at[i].loss : c->baselines.at[i].accuracy;
}

/* ---- JSON ---------------------------------------------------------------------------------------------------------------------- */

static json_t *arm_json(const loci_comparison *c, const loci_arm *a)
{
    json_t *values = json_array(), *j;

    for (uint32_t s = 0; s < c->n_seeds; s++)
        json_array_append_new(values, real(a->values[s]));
    j = json_pack("{s:s, s:I, s:I, s:I, s:o, s:o, s:o, s:i, s:o, s:b}", "name", a->name, "parameters",
                  (json_int_t)a->parameters, "state_bytes", (json_int_t)a->state_bytes, "peak_bytes",
                  (json_int_t)a->peak_bytes, "tokens_per_s", real(a->tokens_per_s), "mean", real(a->sample.mean), "se",
                  real(a->sample.se), "n", (int)a->sample.n, "values", values, "causal", a->causal);
    if (j && a->tuned)
        json_object_set_new(j, "tuned", json_string(a->tuned));
    if (j && !c->lower_is_better) {
        json_t *took_off = json_array();
        for (uint32_t s = 0; s < c->n_seeds; s++)
            json_array_append_new(took_off, isfinite(a->values[s]) ? json_boolean(loci_comparison_took_off(c, a, s))
                                                                   : json_null());
        json_object_set_new(j, "took_off", took_off);
    }
    return j;
}

static json_t *pair_json(const loci_comparison *c, const loci_pair *p)
{
    return json_pack("{s:s, s:s, s:o, s:[o, o], s:o, s:o, s:o, s:i, s:s}", "a", c->arms[p->a].name, "b",
                     c->arms[p->b].name, "diff", real(p->diff), "ci95", real(p->lo), real(p->hi), "p", real(p->p_holm),
                     "p_unadjusted", real(p->p), "mde", real(p->mde), "seeds_needed", (int)p->seeds_needed, "verdict",
                     loci_verdict_name(p->verdict));
}

static json_t *whole_json(const loci_comparison *c)
{
    json_t *arms = json_array(), *pairs = json_array(), *seeds = json_array(), *keys = json_array(), *j;

    for (uint32_t i = 0; i < c->n_arms; i++)
        json_array_append_new(arms, arm_json(c, &c->arms[i]));
    for (uint32_t i = 0; i < c->n_pairs; i++)
        json_array_append_new(pairs, pair_json(c, &c->pairs[i]));
    for (uint32_t i = 0; i < c->n_seeds; i++)
        json_array_append_new(seeds, json_integer(c->seeds[i]));
    for (uint32_t i = 0; i < c->n_keys; i++) {
        json_t *values = json_array();
        for (uint32_t a = 0; a < c->n_arms; a++)
            json_array_append_new(values, c->keys[i].values[a] ? json_string(c->keys[i].values[a]) : json_null());
        json_array_append_new(keys, json_pack("{s:s, s:o}", "key", c->keys[i].key, "values", values));
    }
    j = json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "metric", c->metric, "better",
                  c->lower_is_better ? "lower" : "higher", "arms", arms, "pairs", pairs, "seeds", seeds, "differ", keys,
                  "share_equal", real(c->share_equal));
    if (j && c->baselines.n) {
        json_t *baselines = json_object();
        for (uint32_t i = 0; i < c->baselines.n; i++)
            json_object_set_new(baselines, c->baselines.at[i].name, real(baseline_value(c, i)));
        json_object_set_new(j, "baselines", baselines);
    }
    if (j && !c->lower_is_better)
        json_object_set_new(j, "take_off", real(c->take_off));
    return j;
}

/* ---- the report ------------------------------------------------------------------------------------------------------------------- */

static void fill_arms(loci_report_arm *arms, const loci_comparison *c)
{
    for (uint32_t i = 0; i < c->n_arms; i++) {
        const loci_arm *a = &c->arms[i];
        arms[i] = (loci_report_arm){a->name,
                                    a->tuned,
                                    a->sample.mean,
                                    a->sample.se,
                                    (int32_t)a->sample.n,
                                    (int32_t)a->sample.missing,
                                    (int64_t)a->parameters,
                                    (int64_t)a->state_bytes,
                                    (int64_t)a->peak_bytes,
                                    a->tokens_per_s,
                                    a->causal ? NULL : LOCI_NOT_CAUSAL};
    }
}

static uint32_t baseline_rows(const loci_comparison *c, loci_report_row *rows)
{
    for (uint32_t i = 0; i < c->baselines.n; i++)
        rows[i] = (loci_report_row){c->baselines.at[i].name, c->baselines.at[i].about, baseline_value(c, i)};
    return c->baselines.n;
}

static loci_report frame(const loci_comparison *c)
{
    bool valid = !strcmp(c->metric, "valid_loss");

    return (loci_report){.title = "Comparison",
                         .metric = valid ? "validation loss" : !strcmp(c->metric, "train_loss") ? "training loss" : c->metric,
                         .unit = !c->lower_is_better ? NULL : loci_comparison_on_text(c) ? "nats per byte" : "nats per answer",
                         .lower_is_better = c->lower_is_better,
                         .share_equal = c->share_equal,
                         .n_arms = c->n_arms,
                         .n_pairs = c->n_pairs,
                         .pairs = c->pairs};
}

void loci_comparison_verdict(loci_text *out, const loci_comparison *c)
{
    loci_report r = frame(c);
    loci_report_arm *arms = loci_alloc(c->n_arms * sizeof *arms);

    if (arms) {
        fill_arms(arms, c);
        r.arms = arms;
        loci_report_verdict(out, &r);
    }
    out->failed |= !arms;
    loci_free(arms);
}

static loci_status write_report(const loci_comparison *c, const char *command, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_report r = frame(c);
    loci_report_arm *arms = loci_alloc(c->n_arms * sizeof *arms);
    loci_report_key *keys = loci_alloc(c->n_keys * sizeof *keys);
    loci_report_config *configs = loci_alloc(c->n_arms * sizeof *configs);
    loci_text *dumps = loci_alloc(c->n_arms * sizeof *dumps), notes = {0};
    loci_report_row rows[3];
    loci_curves curves = {0};
    char machine[512], date[64], *path = loci_format("%s/report.html", c->dir);
    time_t now = time(NULL);
    struct tm tm;

    if (!arms || !keys || !configs || !dumps || !path) {
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory for the report");
        goto out;
    }
    LOCI_TRY(loci_curves_read(&curves, c, err));
    for (uint32_t i = 0; i < c->n_arms; i++) {
        LOCI_TRY(loci_conf_dump(&dumps[i], c->arms[i].conf, false, err));
        configs[i] = (loci_report_config){c->arms[i].name, dumps[i].at};
    }
    for (uint32_t i = 0; i < c->n_keys; i++)
        keys[i] = (loci_report_key){c->keys[i].key, (const char *const *)c->keys[i].values,
                                    (const char *const *)c->keys[i].origins};
    fill_arms(arms, c);
    loci_comparison_notes(&notes, c);
    loci_machine_name(machine, sizeof machine);
    strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", gmtime_r(&now, &tm));
    r.command = command;
    r.version = LOCI_VERSION;
    r.machine = machine;
    r.date = date;
    r.arms = arms;
    r.n_keys = c->n_keys;
    r.keys = keys;
    r.n_baselines = baseline_rows(c, rows);
    r.baselines = rows;
    r.n_notes = notes.len > 0;
    r.notes = (const char *const *)&notes.at;
    r.n_plots = curves.n;
    r.plots = curves.plots;
    r.n_configs = c->n_arms;
    r.configs = configs;
    status = loci_report_write(path, &r, err);
out:
    loci_curves_free(&curves);
    for (uint32_t i = 0; dumps && i < c->n_arms; i++)
        loci_text_free(&dumps[i]);
    loci_text_free(&notes);
    loci_free(arms);
    loci_free(keys);
    loci_free(configs);
    loci_free(dumps);
    loci_free(path);
    return status;
}

loci_status loci_comparison_write(const loci_comparison *c, const char *command, struct json_t **json, loci_error *err)
{
    loci_status status = LOCI_OK;
    json_t *doc = whole_json(c);
    char *text = doc ? json_dumps(doc, JSON_INDENT(2) | JSON_REAL_PRECISION(17)) : NULL;
    char *path = loci_format("%s/compare.json", c->dir);

    if (!text || !path) {
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory for compare.json");
        goto out;
    }
    LOCI_TRY(loci_file_write(path, text, strlen(text), err));
    LOCI_TRY(write_report(c, command, err));
    if (json) {
        *json = doc;
        doc = NULL;
    }
out:
    json_decref(doc);
    free(text);
    loci_free(path);
    return status;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * What a comparison leaves: compare.json for programs, report.html for people.
 */
#include "core/compare/compare.h"
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
    if (j && c->has_baselines)
        json_object_set_new(j, "baselines",
                            json_pack("{s:f, s:f, s:f}", "uniform", c->baselines.uniform, "unigram", c->baselines.unigram,
                                      "bigram", c->baselines.bigram));
    return j;
}

/* ---- curves from the logs -------------------------------------------------------------------------------------------------------- */

struct curve {
    const char *event, *field;
    double *x, *y;
    uint32_t n, cap;
};

static loci_status take_point(void *arg, const json_t *line, uint64_t number, loci_error *err)
{
    struct curve *c = arg;
    const char *event = json_string_value(json_object_get(line, "event"));
    const json_t *y = json_object_get(line, c->field);

    (void)number;
    if (!event || strcmp(event, c->event) || !json_is_number(y))
        return LOCI_OK;
    if (c->n == c->cap) {
        uint32_t cap = c->cap ? 2 * c->cap : 256;
        double *x = loci_realloc(c->x, cap * sizeof *x), *v;
        if (x)
            c->x = x;
        v = x ? loci_realloc(c->y, cap * sizeof *v) : NULL;
        if (!v)
            return loci_fail(err, LOCI_E_NOMEM, "out of memory for the curves");
        c->y = v;
        c->cap = cap;
    }
    c->x[c->n] = json_number_value(json_object_get(line, "step"));
    c->y[c->n++] = json_number_value(y);
    return LOCI_OK;
}

struct drawing {
    struct curve *curves; /* [arms][seeds] */
    loci_line *lines;
    loci_series *series;
};

static loci_status draw(struct drawing *d, loci_plot *plot, const loci_comparison *c, const char *event,
                        const char *field, const char *title, const char *y_label, loci_error *err)
{
    loci_status status = LOCI_OK;
    size_t n = (size_t)c->n_arms * c->n_seeds;

    d->curves = loci_alloc(n * sizeof *d->curves);
    d->lines = loci_alloc(n * sizeof *d->lines);
    d->series = loci_alloc(c->n_arms * sizeof *d->series);
    if (!d->curves || !d->lines || !d->series)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for the curves");
    for (uint32_t i = 0; i < c->n_arms; i++) {
        for (uint32_t s = 0; s < c->n_seeds; s++) {
            struct curve *k = &d->curves[i * c->n_seeds + s];
            char *path = loci_format("%s/%s/seed-%lld/log.jsonl", c->dir, c->arms[i].name, (long long)c->seeds[s]);
            k->event = event;
            k->field = field;
            status = path ? loci_joblog_each(path, take_point, k, err) : loci_fail(err, LOCI_E_NOMEM, "out of memory");
            loci_free(path);
            LOCI_TRY(status);
            d->lines[i * c->n_seeds + s] = (loci_line){k->n, k->x, k->y};
        }
        d->series[i] = (loci_series){c->arms[i].name, c->n_seeds, &d->lines[i * c->n_seeds]};
    }
    *plot = (loci_plot){.title = title, .x_label = "step", .y_label = y_label, .n_series = c->n_arms, .series = d->series};
out:
    return status;
}

static void drawing_free(struct drawing *d, size_t n)
{
    for (size_t i = 0; d->curves && i < n; i++) {
        loci_free(d->curves[i].x);
        loci_free(d->curves[i].y);
    }
    loci_free(d->curves);
    loci_free(d->lines);
    loci_free(d->series);
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

static loci_report_row *baseline_rows(const loci_comparison *c, loci_report_row *rows)
{
    rows[0] = (loci_report_row){"uniform", "every byte equally likely: ln 256", c->baselines.uniform};
    rows[1] = (loci_report_row){"unigram", "byte counts of the training text", c->baselines.unigram};
    rows[2] = (loci_report_row){"bigram", "counts of byte pairs, smoothed towards the unigram", c->baselines.bigram};
    return rows;
}

static loci_report frame(const loci_comparison *c)
{
    bool valid = !strcmp(c->metric, "valid_loss");

    return (loci_report){.title = "Comparison",
                         .metric = valid ? "validation loss" : !strcmp(c->metric, "train_loss") ? "training loss" : c->metric,
                         .unit = c->lower_is_better ? "nats per byte" : "",
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
    loci_text *dumps = loci_alloc(c->n_arms * sizeof *dumps);
    loci_report_row rows[3];
    loci_plot plots[2];
    struct drawing d[2] = {{0}};
    char machine[512], date[64], *path = loci_format("%s/report.html", c->dir);
    time_t now = time(NULL);
    struct tm tm;

    if (!arms || !keys || !configs || !dumps || !path) {
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory for the report");
        goto out;
    }
    LOCI_TRY(draw(&d[0], &plots[0], c, "eval", "valid_loss_nats", "Validation loss", "validation loss (nats per byte)", err));
    LOCI_TRY(draw(&d[1], &plots[1], c, "step", "loss_nats", "Training loss", "training loss (nats per byte)", err));
    for (uint32_t i = 0; i < c->n_arms; i++) {
        LOCI_TRY(loci_conf_dump(&dumps[i], c->arms[i].conf, false, err));
        configs[i] = (loci_report_config){c->arms[i].name, dumps[i].at};
    }
    for (uint32_t i = 0; i < c->n_keys; i++)
        keys[i] = (loci_report_key){c->keys[i].key, (const char *const *)c->keys[i].values,
                                    (const char *const *)c->keys[i].origins};
    fill_arms(arms, c);
    loci_machine_name(machine, sizeof machine);
    strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", gmtime_r(&now, &tm));
    r.command = command;
    r.version = LOCI_VERSION;
    r.machine = machine;
    r.date = date;
    r.arms = arms;
    r.n_keys = c->n_keys;
    r.keys = keys;
    r.n_baselines = c->has_baselines ? 3 : 0;
    r.baselines = baseline_rows(c, rows);
    r.n_plots = 2;
    r.plots = plots;
    r.n_configs = c->n_arms;
    r.configs = configs;
    status = loci_report_write(path, &r, err);
out:
    drawing_free(&d[0], (size_t)c->n_arms * c->n_seeds);
    drawing_free(&d[1], (size_t)c->n_arms * c->n_seeds);
    for (uint32_t i = 0; dumps && i < c->n_arms; i++)
        loci_text_free(&dumps[i]);
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

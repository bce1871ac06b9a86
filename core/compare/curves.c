/* SPDX-License-Identifier: Apache-2.0
 *
 * From logs to plots; see curves.h.
 *
 * A curve is either one number per logged event, over steps, or the list of the last event, over what its buckets stand
 * for: the middle of a bucket, or its beginning where the axis is logarithmic.
 */
#include "core/compare/curves.h"
#include "core/report/log.h"
#include <string.h>

struct loci_curve {
    const struct view *view;
    double *x, *y;
    uint32_t n, cap;
};

static const struct view {
    const char *event, *field, *title, *x_label, *y_label;
    bool last, log_x;
} text_views[] =
      {
          {"eval", "valid_loss_nats", "Validation loss", "step", "validation loss (nats per byte)", false, false},
          {"step", "loss_nats", "Training loss", "step", "training loss (nats per byte)", false, false},
      },
  task_views[] = {
      {"eval", "accuracy", "Accuracy", "step", "accuracy on fresh sequences", false, false},
      {"eval", "valid_loss_nats", "Validation loss", "step", "validation loss (nats per answer)", false, false},
      {"step", "loss_nats", "Training loss", "step", "training loss (nats per answer)", false, false},
      {"eval", "by_distance", "Accuracy by distance at the end", "tokens from the answer to the question", "accuracy",
       true, true},
      {"eval", "by_depth", "Accuracy by depth at the end", "place of the answer over the length of the sequence",
       "accuracy", true, false},
};

bool loci_comparison_on_text(const loci_comparison *c)
{
    return !strcmp(loci_conf_str(c->arms[0].conf, -1, "data", "source"), "text");
}

static loci_status add_point(struct loci_curve *c, double x, double y, loci_error *err)
{
    if (c->n == c->cap) {
        uint32_t cap = c->cap ? 2 * c->cap : 256;
        double *grown = loci_realloc(c->x, cap * sizeof *grown), *v;
        if (grown)
            c->x = grown;
        v = grown ? loci_realloc(c->y, cap * sizeof *v) : NULL;
        if (!v)
            return loci_fail(err, LOCI_E_NOMEM, "out of memory for the curves");
        c->y = v;
        c->cap = cap;
    }
    c->x[c->n] = x;
    c->y[c->n++] = y;
    return LOCI_OK;
}

static loci_status take_line(void *arg, const json_t *line, uint64_t number, loci_error *err)
{
    struct loci_curve *c = arg;
    const char *event = json_string_value(json_object_get(line, "event"));
    const json_t *y = json_object_get(line, c->view->field), *bucket;
    loci_status status = LOCI_OK;
    size_t i;

    (void)number;
    if (!event || strcmp(event, c->view->event))
        return LOCI_OK;
    if (!c->view->last)
        return json_is_number(y) ? add_point(c, json_number_value(json_object_get(line, "step")), json_number_value(y), err)
                                 : LOCI_OK;
    c->n = 0;
    json_array_foreach(y, i, bucket)
    {
        double from = json_number_value(json_object_get(bucket, "from"));
        double middle = (from + json_number_value(json_object_get(bucket, "to"))) / 2;
        LOCI_TRY(add_point(c, c->view->log_x ? from : middle, json_number_value(json_object_get(bucket, "accuracy")), err));
    }
out:
    return status;
}

static loci_status draw(struct loci_drawing *d, loci_plot *plot, const loci_comparison *c, const struct view *view,
                        loci_error *err)
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
            struct loci_curve *k = &d->curves[i * c->n_seeds + s];
            char *path = loci_format("%s/%s/seed-%lld/log.jsonl", c->dir, c->arms[i].name, (long long)c->seeds[s]);
            k->view = view;
            status = path ? loci_joblog_each(path, take_line, k, err) : loci_fail(err, LOCI_E_NOMEM, "out of memory");
            loci_free(path);
            LOCI_TRY(status);
            d->lines[i * c->n_seeds + s] = (loci_line){k->n, k->x, k->y};
        }
        d->series[i] = (loci_series){c->arms[i].name, c->n_seeds, &d->lines[i * c->n_seeds]};
    }
    *plot = (loci_plot){.title = view->title,
                        .x_label = view->x_label,
                        .y_label = view->y_label,
                        .log_x = view->log_x,
                        .n_series = c->n_arms,
                        .series = d->series};
out:
    return status;
}

loci_status loci_curves_read(loci_curves *out, const loci_comparison *c, loci_error *err)
{
    const bool text = loci_comparison_on_text(c);
    const struct view *views = text ? text_views : task_views;
    loci_status status = LOCI_OK;

    memset(out, 0, sizeof *out);
    out->n = text ? sizeof text_views / sizeof *text_views : sizeof task_views / sizeof *task_views;
    out->n_curves = (size_t)c->n_arms * c->n_seeds;
    for (uint32_t i = 0; i < out->n && status == LOCI_OK; i++)
        status = draw(&out->drawings[i], &out->plots[i], c, &views[i], err);
    return status;
}

void loci_curves_free(loci_curves *curves)
{
    for (uint32_t i = 0; i < curves->n; i++) {
        struct loci_drawing *d = &curves->drawings[i];
        for (size_t k = 0; d->curves && k < curves->n_curves; k++) {
            loci_free(d->curves[k].x);
            loci_free(d->curves[k].y);
        }
        loci_free(d->curves);
        loci_free(d->lines);
        loci_free(d->series);
    }
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * loci inspect: what the log of a run tells, and what a checkpoint says of itself.
 */
#include "cli/inspect.h"
#include "core/report/log.h"
#include "core/train/train.h"
#include <math.h>
#include <string.h>

struct reading {
    int64_t lines, evals, step, best_step;
    double first, last, best, valid;
    json_t *end;
};

/* A number of a line; NaN when it is null or missing. */
static double number(const json_t *line, const char *key)
{
    const json_t *v = json_object_get(line, key);

    return json_is_number(v) ? json_number_value(v) : NAN;
}

static loci_status read_line(void *arg, const json_t *line, uint64_t at, loci_error *err)
{
    struct reading *r = arg;
    const char *event = cli_text(line, "event");
    const json_t *step = json_object_get(line, "step");

    (void)at;
    (void)err;
    r->lines++;
    if (json_is_integer(step))
        r->step = json_integer_value(step);
    if (!strcmp(event, "step")) {
        r->last = number(line, "loss_nats");
        r->first = isnan(r->first) ? r->last : r->first;
    } else if (!strcmp(event, "eval")) {
        r->evals++;
        r->valid = number(line, "valid_loss_nats");
        if (!(r->valid >= r->best)) { /* the first one, too */
            r->best = r->valid;
            r->best_step = r->step;
        }
    } else if (!strcmp(event, "end")) {
        json_decref(r->end);
        r->end = json_deep_copy(line);
    }
    return LOCI_OK;
}

loci_status inspect_log(json_t **out, const char *folder, loci_error *err)
{
    struct reading r = {.step = -1, .best_step = -1, .first = NAN, .last = NAN, .best = NAN, .valid = NAN};
    char *path = loci_format("%s/log.jsonl", folder);
    loci_status status =
        path ? loci_joblog_each(path, read_line, &r, err) : loci_fail(err, LOCI_E_NOMEM, "out of memory");

    *out = NULL;
    if (status == LOCI_OK)
        *out = json_pack("{s:s, s:I, s:I, s:b, s:o, s:o, s:o, s:o, s:I, s:I, s:O}", "run", folder, "lines",
                         (json_int_t)r.lines, "step", (json_int_t)r.step, "finished", r.end != NULL, "first_loss_nats",
                         cli_real(r.first), "loss_nats", cli_real(r.last), "valid_loss_nats", cli_real(r.valid),
                         "best_valid_loss_nats", cli_real(r.best), "best_step", (json_int_t)r.best_step, "evaluations",
                         (json_int_t)r.evals, "end", r.end ? r.end : json_null());
    json_decref(r.end);
    loci_free(path);
    return status;
}

/* "3.1416", or a dash. */
static const char *loss(char *room, const json_t *of, const char *key)
{
    double v = number(of, key);

    if (isnan(v))
        snprintf(room, 32, "-");
    else
        snprintf(room, 32, "%.4f", v);
    return room;
}

void inspect_print_log(const json_t *log)
{
    const json_t *end = json_object_get(log, "end");
    loci_text t = {0};
    char b[4][32];

    printf("run %s: %s, step %lld\n", cli_text(log, "run"),
           json_is_true(json_object_get(log, "finished")) ? "finished" : "not finished",
           (long long)json_integer_value(json_object_get(log, "step")));
    loci_text_add(&t, "training loss %s at first, %s at last; validation %s", loss(b[0], log, "first_loss_nats"),
                  loss(b[1], log, "loss_nats"), loss(b[2], log, "valid_loss_nats"));
    if (json_integer_value(json_object_get(log, "evaluations")))
        loci_text_add(&t, ", the best %s at step %lld", loss(b[3], log, "best_valid_loss_nats"),
                      (long long)json_integer_value(json_object_get(log, "best_step")));
    if (json_is_object(end))
        loci_text_add(&t, "\n%.0f tokens/s, %lld parameters, state of a stream %s, peak memory %s",
                      number(end, "tokens_per_s"), (long long)json_integer_value(json_object_get(end, "parameters")),
                      cli_bytes(b[0], (uint64_t)json_integer_value(json_object_get(end, "state_bytes"))),
                      cli_bytes(b[1], (uint64_t)json_integer_value(json_object_get(end, "peak_bytes"))));
    cli_wrap("", 2, t.at ? t.at : "");
    loci_text_free(&t);
}

loci_status inspect_facts(json_t **out, const char *folder, loci_error *err)
{
    loci_saved s;
    loci_status status = loci_checkpoint_facts(&s, folder, err);

    *out = NULL;
    if (status == LOCI_OK)
        *out =
            json_pack("{s:s, s:I, s:I, s:o, s:o}", "path", folder, "step", (json_int_t)s.step, "tokens",
                      (json_int_t)s.tokens, "loss_nats", cli_real(s.loss), "valid_loss_nats", cli_real(s.valid_loss));
    return status;
}

void inspect_print_facts(const json_t *facts)
{
    char b[2][32];

    printf("checkpoint %s\n  step %lld, %lld tokens, training loss %s, validation %s\n", cli_text(facts, "path"),
           (long long)json_integer_value(json_object_get(facts, "step")),
           (long long)json_integer_value(json_object_get(facts, "tokens")), loss(b[0], facts, "loss_nats"),
           loss(b[1], facts, "valid_loss_nats"));
}

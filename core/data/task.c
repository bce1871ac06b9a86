/* SPDX-License-Identifier: Apache-2.0
 *
 * Synthetic tasks as a source: (2) of data.h. The tasks themselves are task_*.c.
 *
 *  (1) What a checkpoint keeps of the data is the hash of the first sequences of either split: it changes with the settings,
 *      and with the code that makes them.
 */
#include "core/data/task.h"
#include "core/data/source.h"
#include "core/tensor/file.h"
#include <assert.h>
#include <math.h>
#include <string.h>

static const struct loci_task_class *const classes[] = {
    &loci__task_class_copy,      &loci__task_class_selective_copy,   &loci__task_class_mqar,
    &loci__task_class_overwrite, &loci__task_class_random_overwrite, &loci__task_class_needle,
    &loci__task_class_induction,
};

/* ---- for the classes ------------------------------------------------------------------------------------------------- */

static const char *section_of(const loci_task *t, char room[64])
{
    snprintf(room, 64, "task.%s", t->cls->name);
    return room;
}

int64_t loci__task_int(const loci_task *t, const loci_conf *conf, const char *key)
{
    char section[64];

    return loci_conf_int(conf, -1, section_of(t, section), key);
}

loci_status loci__task_refuse(const loci_task *t, const loci_conf *conf, const char *key, loci_error *err,
                              const char *fmt, ...)
{
    char section[64], why[300];
    va_list args;

    va_start(args, fmt);
    vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    section_of(t, section);
    return loci_fail(err, LOCI_E_CONFIG, "%s: %s.%s = %s: %s", loci_conf_origin(conf, -1, section, key), section, key,
                     loci_conf_str(conf, -1, section, key), why);
}

loci_status loci__task_own(loci_task *t, uint64_t bytes, loci_error *err)
{
    t->own = loci_alloc(bytes);
    return t->own ? LOCI_OK : loci_fail(err, LOCI_E_NOMEM, "out of memory for task.%s", t->cls->name);
}

void loci__task_sequence(const loci_task *t, uint64_t seed, const char *split, uint64_t index, int32_t *tokens,
                         int32_t *targets, int32_t *sources)
{
    char name[96];

    snprintf(name, sizeof name, "task.%s.%s", t->cls->name, split);
    for (int64_t i = 0; i < t->seq; i++) {
        tokens[i] = 0;
        targets[i] = sources[i] = -1;
    }
    t->cls->make(t, loci_random_key(loci_random_name_key(seed, name), index, 0, 0), tokens, targets, sources);
}

/* ---- the source ------------------------------------------------------------------------------------------------------ */

struct task_data {
    loci_task task;
    int32_t *places; /* [seq] sources that nobody asked for */
};

static uint64_t hash_split(const struct task_data *x, const char *split, int32_t *room)
{
    const int64_t seq = x->task.seq;
    uint64_t hash = 0;

    for (uint64_t i = 0; i < 16; i++) {
        loci__task_sequence(&x->task, x->task.seed, split, i, room, room + seq, x->places);
        hash = loci_hash(room, 2 * (size_t)seq * sizeof *room, hash);
    }
    return hash;
}

static loci_status task_open(loci_data *d, const loci_conf *conf, int64_t seq, loci_error *err)
{
    const char *name = loci_conf_str(conf, -1, "data", "task");
    struct task_data *x = d->own = loci_alloc(sizeof *x);
    int32_t *room = loci_alloc(2 * (size_t)seq * sizeof *room);
    loci_status status = LOCI_OK;

    if (x)
        x->places = loci_alloc((size_t)seq * sizeof *x->places);
    LOCI_TRY(x && room && x->places ? LOCI_OK : loci_fail(err, LOCI_E_NOMEM, "out of memory for the data"));
    if (loci_conf_bool(conf, -1, "data", "carry")) {
        status = loci_fail(err, LOCI_E_CONFIG, "%s: data.carry = yes: each sequence of a task is a document of its own: set "
                                               "data.carry = no",
                           loci_conf_origin(conf, -1, "data", "carry"));
        goto out;
    }
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (!strcmp(classes[i]->name, name))
            x->task.cls = classes[i];
    assert(x->task.cls);
    x->task.seq = seq;
    x->task.seed = (uint64_t)loci_conf_int(conf, -1, "run", "seed");
    LOCI_TRY(x->task.cls->open(&x->task, conf, err));
    d->vocab = x->task.vocab;
    d->labels = x->task.labels;
    d->scored = true;
    d->train_hash = hash_split(x, "train", room);
    d->valid_hash = hash_split(x, "valid", room);
out:
    loci_free(room);
    return status;
}

static void task_close(loci_data *d)
{
    struct task_data *x = d->own;

    if (!x)
        return;
    loci_free(x->task.own);
    loci_free(x->places);
    loci_free(x);
}

static loci_status task_fits(const loci_data *d, int64_t vocab, const loci_conf *conf, loci_error *err)
{
    const struct task_data *x = d->own;

    return loci_fail(err, LOCI_E_CONFIG, "%s: model.vocab = %lld, and task.%s has %lld tokens: set model.vocab = %lld, or the "
                                         "keys of [task.%s] lower",
                     loci_conf_origin(conf, -1, "model", "vocab"), (long long)vocab, x->task.cls->name,
                     (long long)d->vocab, (long long)d->vocab, x->task.cls->name);
}

static void task_batch(const loci_data *d, uint64_t seed, uint64_t micro, int64_t rows, int64_t seq, int32_t *tokens,
                       int32_t *targets, loci_run *runs)
{
    const struct task_data *x = d->own;

    for (int64_t r = 0; r < rows; r++) {
        uint64_t index = micro * (uint64_t)rows + (uint64_t)r;
        loci__task_sequence(&x->task, seed, "train", index, tokens + r * seq, targets + r * seq, x->places);
        runs[r] = (loci_run){(int32_t)r, 0, (int32_t)seq, (int32_t)r, 0, index};
    }
}

static int64_t task_longest(const loci_data *d, int64_t rows, int64_t seq)
{
    (void)d;
    (void)rows;
    return seq;
}

static int64_t task_most(const loci_data *d, int64_t seq)
{
    (void)d;
    (void)seq;
    return INT64_MAX;
}

static void task_window(const loci_data *d, int64_t i, int64_t n, int64_t seq, int32_t *tokens, int32_t *targets,
                        int32_t *sources)
{
    const struct task_data *x = d->own;

    (void)n;
    (void)seq;
    loci__task_sequence(&x->task, x->task.seed, "valid", (uint64_t)i, tokens, targets, sources ? sources : x->places);
}

static int32_t task_other(const loci_data *d, int64_t i, int32_t at, int32_t token)
{
    const loci_task *t = &((const struct task_data *)d->own)->task;
    uint64_t key = loci_random_key(loci_random_name_key(t->seed, "task.other"), (uint64_t)i, 0, 0);
    int64_t step = t->answers > 1 ? 1 + (int64_t)loci_random_below(key, (uint64_t)at, (uint64_t)t->answers - 1) : 0;

    return (int32_t)(t->answer + (token - t->answer + step) % t->answers);
}

static loci_status task_baselines(loci_baselines *out, const loci_data *d, int64_t windows, int64_t seq, loci_error *err)
{
    const double values = (double)((const struct task_data *)d->own)->task.answers;

    (void)windows;
    (void)seq;
    (void)err;
    *out = (loci_baselines){1, {{"chance", "every possible answer equally likely", log(values), 1 / values}}};
    return LOCI_OK;
}

const struct loci_source loci__source_task = {"task",    task_open,   task_close, task_fits,     task_batch, task_longest,
                                              task_most, task_window, task_other, task_baselines};

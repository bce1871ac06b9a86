/* SPDX-License-Identifier: Apache-2.0
 *
 * core/data/task.h: what a synthetic task is: keys in [task.NAME], and a way to make the sequence of a random key. Private
 * to this folder and its tests. docs/design/tasks.md defines each.
 */
#ifndef LOCI_CORE_DATA_TASK_H
#define LOCI_CORE_DATA_TASK_H

#include "core/data/data.h"
#include "core/device/rng.h"

typedef struct loci_task {
    const struct loci_task_class *cls;
    void *own;                /* settings and scratch of the class, one block, freed with loci_free */
    int64_t seq, vocab, labels;
    int64_t answer, answers;  /* every target is one of the tokens answer .. answer + answers - 1 */
    uint64_t seed;            /* run.seed: of the validation split */
} loci_task;

struct loci_task_class {
    const char *name;
    /* t->seq is set; the rest is open's. Fails when the settings and the length do not go together. */
    loci_status (*open)(loci_task *t, const loci_conf *conf, loci_error *err);
    /* tokens, targets, sources [seq] hold 0, -1 and -1. */
    void (*make)(const loci_task *t, uint64_t key, int32_t *tokens, int32_t *targets, int32_t *sources);
};
extern const struct loci_task_class loci__task_class_copy, loci__task_class_selective_copy, loci__task_class_mqar,
    loci__task_class_overwrite, loci__task_class_random_overwrite, loci__task_class_needle, loci__task_class_induction;

/* The key of one stream of draws within a sequence; streams count from 1. */
static inline uint64_t loci__task_stream(uint64_t key, uint64_t stream)
{
    return loci_mix64(key ^ stream);
}

/* "FILE:LINE: [task.NAME] KEY = VALUE: ..." */
loci_status loci__task_refuse(const loci_task *t, const loci_conf *conf, const char *key, loci_error *err,
                              const char *fmt, ...) __attribute__((format(printf, 5, 6)));
int64_t loci__task_int(const loci_task *t, const loci_conf *conf, const char *key);
/* bytes of zeros in t->own. */
loci_status loci__task_own(loci_task *t, uint64_t bytes, loci_error *err);
/* Sequence `index` of a split, "train" or "valid": fills all three. */
void loci__task_sequence(const loci_task *t, uint64_t seed, const char *split, uint64_t index, int32_t *tokens,
                         int32_t *targets, int32_t *sources);

#endif

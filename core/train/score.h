/* SPDX-License-Identifier: Apache-2.0
 *
 * Counting right answers. Private to this folder.
 */
#ifndef LOCI_CORE_TRAIN_SCORE_H
#define LOCI_CORE_TRAIN_SCORE_H

#include "core/train/train.h"

void loci_score_begin(loci_evaluation *e, const loci_data *d, int64_t sequences);
/* One sequence: targets, where their answers stand, what the model answers; -1 where nothing is asked. */
void loci_score_sequence(loci_evaluation *e, int64_t seq, const int32_t *targets, const int32_t *sources,
                         const int32_t *answers);
/* Sums become means. loss: the sum over all targets; lift: e->lift is one. */
void loci_score_end(loci_evaluation *e, double loss, bool lift);

#endif

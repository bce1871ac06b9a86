/* SPDX-License-Identifier: Apache-2.0
 *
 * What writing a checkpoint needs of reading one.
 */
#ifndef LOCI_CORE_TRAIN_RESTORE_H
#define LOCI_CORE_TRAIN_RESTORE_H

#include "core/train/train.h"

/* The steps saved below dir, newest first; *out is loci_free'd. */
loci_status loci_saved_steps(int64_t **out, size_t *n, const char *dir, loci_error *err);
/* Do all files of a checkpoint open? */
loci_status loci_checkpoint_whole(const char *folder, loci_error *err);

#endif

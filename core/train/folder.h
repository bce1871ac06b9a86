/* SPDX-License-Identifier: Apache-2.0
 *
 * The folder of a run: made, locked, compared with the config that wants to go on in it.
 */
#ifndef LOCI_CORE_TRAIN_FOLDER_H
#define LOCI_CORE_TRAIN_FOLDER_H

#include "core/train/train.h"

struct loci_run_folder {
    int lock; /* -1: none */
    bool existed;
};

/* A folder that holds a run is refused without `resume`, and with it when its config differs in more than what cannot
 * change the numbers. Locked until loci_folder_close. config.ini is written when the folder is new. */
loci_status loci_folder_open(struct loci_run_folder *f, const char *dir, const loci_conf *conf, bool resume,
                             loci_error *err);
void loci_folder_close(struct loci_run_folder *f);
/* Is the run at its last step, on this data? Then *out is what its log says. */
bool loci_folder_finished(loci_result *out, const char *dir, int64_t steps, const loci_data *d);
/* Warn when a checkpoint comes from another machine or build: the bits may then differ from a run never stopped. */
loci_status loci_folder_same_machine(const char *checkpoint, loci_error *err);

#endif

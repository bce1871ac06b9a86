/* SPDX-License-Identifier: Apache-2.0
 *
 * core/api: loci/loci.h on top of the rest of the core. Here is what its files share; the contract is the public
 * header.
 *
 *     settings.c   configs, version, messages          training.c   a whole run
 *     engine.c     opening, facts, weights, streams    learn.c      single steps and evaluations, saving
 *
 *  (1) What the caller passes is checked here, once; the core behind asserts.
 *  (2) Passes are planned when a call first needs them. `own` serves the data of the config, `given` the examples of
 * the caller in the sizes of the last call, so a loop over either plans once. (3) A struct of the caller is read with
 * LOCI_HAS and written no further than its struct_size.
 */
#ifndef LOCI_CORE_API_API_H
#define LOCI_CORE_API_API_H

#include "core/train/train.h"
#include <loci/loci.h>

struct loci_engine {
    loci_conf *conf;
    loci_context *cx;
    loci_model *model;
    bool train;
    loci_saved at; /* steps, tokens, losses so far */
    loci_data *data;
    struct loci_api_room {
        loci_pass *learn, *judge;
    } own, given;
    int32_t *tokens, *targets; /* one micro-batch of the config's data */
    loci_run *runs;
};

/* settings.c: the value of "section.key". */
loci_status loci_api_get(const loci_conf *c, const char *key, const char **out, loci_error *err);

/* learn.c: read the checkpoint into the engine; free what learn.c made. */
loci_status loci_api_restore(loci_engine *e, const char *folder, loci_error *err);
void loci_api_forget(loci_engine *e);

/* Copy the first struct_size bytes that both know; the caller's size stays. */
#define LOCI_API_GIVE(out, from) loci_api_give((out), (from), (out) ? (out)->struct_size : 0, (uint32_t)sizeof *(from))
void loci_api_give(void *out, const void *from, uint32_t theirs, uint32_t ours);
/* A copy of the caller's options in which what they do not know is 0. */
#define LOCI_API_TAKE(own, theirs) \
    loci_api_take((own), (theirs), (theirs) ? (theirs)->struct_size : 0, (uint32_t)sizeof *(own))
void loci_api_take(void *own, const void *theirs, uint32_t their_size, uint32_t our_size);

#endif

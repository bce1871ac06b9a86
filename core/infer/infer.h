/* SPDX-License-Identifier: Apache-2.0
 *
 * core/infer: a model at work on texts that come token by token. The functions are those of loci/loci.h; here is what
 * the files of this folder share, and how core/api makes a stream.
 *
 * A stream is a pass of one row, planned for pieces of `piece` tokens, and the number of tokens it has seen.
 *
 *  (1) Every call runs in the one session, narrowed to its tokens: where cache rows lie depends on the plan.
 *  (2) A plan is for a text of session.capacity tokens. One for the longest text there can be is taken as soon as it is
 * at most twice as large as the one that is needed: at once where everything is recurrent or the window is short, when
 *      the window is half full where it is long. Until then the capacity doubles when it must: a state of the smaller
 * plan is the beginning of each tensor of the larger one, since a cache that still may grow has never wrapped around.
 */
#ifndef LOCI_CORE_INFER_INFER_H
#define LOCI_CORE_INFER_INFER_H

#include "core/model/model.h"
#include <loci/loci.h>

#define LOCI_LONGEST INT32_MAX /* tokens: positions are int32 */

struct loci_stream {
    loci_model *model;
    loci_pass *pass;
    int64_t piece, most;
    int64_t at;     /* tokens seen                             */
    void *host;     /* logits, where the device is not the CPU */
    loci_view view; /* of the logits                           */
};

loci_status loci_stream_new(loci_stream **out, loci_model *m, int64_t piece, int64_t most, loci_error *err);
/* Does every part of the model promise to be causal and to stream? The text says which does not. */
bool loci_model_streams(const loci_model *m, char *text, size_t n);
/* Plan for exactly `capacity` tokens and, with `keep`, take the state along; what is there stays when it fails. */
loci_status loci_stream_replan(loci_stream *s, int64_t capacity, bool keep, loci_error *err);

#endif

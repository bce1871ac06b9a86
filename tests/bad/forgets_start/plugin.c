/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: the weight in which a document begins gets no gradient.
 */
#define STATE_INIT_BACK bad_init_back
#include "../base.h"

static loci_status bad_init_back(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_batch *batch,
                                 loci_error *err)
{
    (void)m;
    (void)x;
    (void)s;
    (void)batch;
    (void)err;
    return LOCI_OK;
}

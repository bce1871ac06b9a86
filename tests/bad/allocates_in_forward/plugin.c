/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: forward takes its scratch from the host, call by call.
 */
#define FORWARD bad_forward
#include "../base.h"

static loci_status bad_forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                               loci_error *err)
{
    void *p = m->host->alloc(m->host, 4096);
    loci_status status;

    if (!p)
        return fail(err, LOCI_E_NOMEM, "out of memory");
    status = forward(m, x, s, io, err);
    m->host->free(m->host, p);
    return status;
}

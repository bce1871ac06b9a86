/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: y is added to what it held.
 */
#define PLAN bad_plan
#define FORWARD bad_forward
#include "../base.h"

static loci_status bad_plan(loci_module *m, const loci_shape *s, int32_t op, loci_need *need, loci_error *err)
{
    uint64_t bytes;

    LOCI_RETURN_IF(plan(m, s, op, need, err));
    if (__builtin_mul_overflow((uint64_t)(s->rows * s->seq), 8 * (uint64_t)(m->H * m->e), &bytes))
        return fail(err, LOCI_E_UNSUPPORTED, "%lld tokens exceed 2^64 bytes: plan for less at once", (long long)s->seq);
    need->scratch += bytes;
    return LOCI_OK;
}

static loci_status bad_forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                               loci_error *err)
{
    const int64_t width = m->H * m->e;
    loci_status status;

    for (int after = 0; after < 2; after++) {
        double *old = (double *)x->scratch + 4 * width * m->d;
        for (uint32_t i = 0; io->y && i < io->batch->n_runs; i++)
            for (int64_t n = 0; n < io->batch->runs[i].len * width; n++, old++) {
                const int64_t where = at(io->y, &io->batch->runs[i], n / width, n % width / m->e) + n % m->e;
                if (after)
                    add(io->y, where, *old);
                else
                    *old = get(io->y, where);
            }
        if (!after && (status = forward(m, x, s, io, err)) != LOCI_OK)
            return status;
    }
    return LOCI_OK;
}

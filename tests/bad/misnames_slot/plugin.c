/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: a state bears a name with spaces.
 */
#define DECLARE bad_declare
#include "../base.h"

static loci_status bad_declare(loci_module *m, void *decl, loci_error *err)
{
    const int64_t shape[] = {-1, 4};
    const loci_slot slot = {.struct_size = sizeof slot, .name = "not a name", .ndim = 2, .shape = shape,
                            .flags = LOCI_SLOT_STATE};
    uint32_t index;

    LOCI_RETURN_IF(declare(m, decl, err));
    return m->host->declare(m->host, decl, &slot, &index);
}

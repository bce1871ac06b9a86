/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: every second instance declares a slot less.
 */
#define DECLARE bad_declare
#include "../base.h"

static loci_status bad_declare(loci_module *m, void *decl, loci_error *err)
{
    static int turn;
    const int64_t shape[] = {m->H};
    const loci_slot slot = {.struct_size = sizeof slot, .name = "bias", .ndim = 1, .shape = shape};
    uint32_t index;

    LOCI_RETURN_IF(declare(m, decl, err));
    return turn++ % 2 ? LOCI_OK : m->host->declare(m->host, decl, &slot, &index);
}

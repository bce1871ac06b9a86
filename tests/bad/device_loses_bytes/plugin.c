/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: a device that copies whole words only, and so leaves the last bytes behind.
 */
#define COPY bad_copy
#include "../device.h"

static loci_status bad_copy(loci_module *m, void *stream, void *dst, const void *src, uint64_t bytes)
{
    return copy(m, stream, dst, src, bytes & ~UINT64_C(7));
}

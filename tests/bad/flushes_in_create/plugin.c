/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: create switches the calling thread to flush-to-zero.
 */
#define CREATE bad_create
#include "../base.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

static loci_status bad_create(const loci_host *host, const loci_config *config, const loci_site *site,
                              const loci_shape *shape, loci_module **out, loci_error *err)
{
#if defined(__x86_64__)
    _mm_setcsr(_mm_getcsr() | 0x8040u);
#endif
    return create(host, config, site, shape, out, err);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: create sets the locale, and with it the decimal point.
 */
#define CREATE bad_create
#include "../base.h"

#include <locale.h>

static loci_status bad_create(const loci_host *host, const loci_config *config, const loci_site *site,
                              const loci_shape *shape, loci_module **out, loci_error *err)
{
    setlocale(LC_ALL, "C.UTF-8");
    return create(host, config, site, shape, out, err);
}

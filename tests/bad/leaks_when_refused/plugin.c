/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: create forgets its first block when the second is refused.
 */
#define CREATE bad_create
#define DESTROY bad_destroy
#include "../base.h"

static void *more;

static loci_status bad_create(const loci_host *host, const loci_config *config, const loci_site *site,
                              const loci_shape *shape, loci_module **out, loci_error *err)
{
    loci_module *m;

    LOCI_RETURN_IF(create(host, config, site, shape, &m, err));
    if (!(more = host->alloc(host, 64)))
        return fail(err, LOCI_E_NOMEM, "out of memory");
    *out = m;
    return LOCI_OK;
}

static void bad_destroy(loci_module *m)
{
    m->host->free(m->host, more);
    more = NULL;
    destroy(m);
}

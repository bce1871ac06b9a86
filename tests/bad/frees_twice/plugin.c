/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: destroy gives its block back twice.
 */
#define DESTROY bad_destroy
#include "../base.h"

static void bad_destroy(loci_module *m)
{
    const loci_host *host = m->host;

    destroy(m);
    if (host->struct_size)
        host->free(host, m);
}

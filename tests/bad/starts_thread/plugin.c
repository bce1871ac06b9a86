/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: create starts a thread that outlives the module.
 */
#define CREATE bad_create
#include "../base.h"

#include <pthread.h>
#include <unistd.h>

static void *wait_for_ever(void *arg)
{
    (void)arg;
    for (;;)
        pause();
    return NULL;
}

static loci_status bad_create(const loci_host *host, const loci_config *config, const loci_site *site,
                              const loci_shape *shape, loci_module **out, loci_error *err)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, wait_for_ever, NULL) == 0)
        pthread_detach(thread);
    return create(host, config, site, shape, out, err);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * core/plugin: what foreign code must leave as it found it: floating-point control, signal handlers, locale, working
 * folder, umask. Recorded before, compared and restored after.
 */
#ifndef LOCI_CORE_PLUGIN_MANNERS_H
#define LOCI_CORE_PLUGIN_MANNERS_H

#include "core/base/base.h"

#include <signal.h>
#include <sys/stat.h>

typedef struct loci_manners {
    uint32_t mxcsr, x87; /* control bits; 0 elsewhere than on x86 */
    int rounding;
    struct sigaction handlers[64]; /* of signal i + 1 */
    bool known[64];
    char *locale;
    int cwd; /* descriptor, or -1 */
    mode_t umask;
} loci_manners;

/* Call both from one thread: the floating-point control word belongs to it. */
loci_status loci_manners_record(loci_manners *m, loci_error *err);
/* Put back what changed and release m. `changed` gets the list, "" when all is well. */
void loci_manners_restore(loci_manners *m, loci_text *changed);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: what calls of a plugin must leave as they found it: what core/plugin/manners.h watches, and the
 * environment, open descriptors, threads, the mask of signals and what was printed.
 */
#ifndef LOCI_CORE_CHECK_WATCH_H
#define LOCI_CORE_CHECK_WATCH_H

#include "core/plugin/manners.h"

typedef struct loci_watched {
    loci_manners manners;
    uint64_t environment; /* a hash */
    uint8_t open[1024];   /* descriptor i: 0 closed, else what kind it is */
    int threads;
    sigset_t mask;
    off_t printed[2]; /* bytes of standard output and error, when they are files */
} loci_watched;

/* From one thread; nothing else of the process may start threads or open files in between. */
loci_status loci_watch_begin(loci_watched *w, loci_error *err);
/* Fails with what changed since: "<what> changed the umask, opened descriptor 5 (/tmp/x)". */
loci_status loci_watch_end(loci_watched *w, const char *what, loci_error *err);

/* Bytes of the heap in use, by malloc's count or a sanitizer's. */
uint64_t loci_heap_bytes(void);

#endif

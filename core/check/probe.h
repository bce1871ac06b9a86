/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check/probe: what a plugin file says of itself, asked in a process of its own.
 */
#ifndef LOCI_CORE_CHECK_PROBE_H
#define LOCI_CORE_CHECK_PROBE_H

#include "core/plugin/isolate.h"

#define LOCI_PROBE_CLASSES 64

typedef struct loci_probed {
    const char *state; /* "ok", "refused", "crash", "timeout"                               */
    char message[1024]; /* of a refusal: the loader's sentence; else signal, stage and what it printed */
    char stage[LOCI_STAGE_BYTES];
    double seconds;
    uint32_t n; /* classes, when ok */
    struct {
        const char *id, *version, *summary; /* "memory/titans" */
    } classes[LOCI_PROBE_CLASSES];
    loci_outcome outcome; /* holds the texts */
} loci_probed;

/* Load the file and read its classes. LOCI_E_STOPPED when *limits->stop was set;
 * otherwise fails only for want of a process. */
loci_status loci_probe(loci_probed *out, const char *path, const loci_limits *limits, loci_error *err);

#endif

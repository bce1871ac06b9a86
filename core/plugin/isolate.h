/* SPDX-License-Identifier: Apache-2.0
 *
 * core/plugin/isolate: run a function in a process of its own, so that whatever foreign code does there ends there.
 *
 *  (1) The caller holds no pool of threads and no plugin: what needs them opens them in the child.
 *  (2) A limit on time and one on memory hold. When the time is over the child and all that it started are killed.
 *  (3) The child says what it is about to call with loci_stage; the words outlive it, and name the call that crashed
 *      or never came back.
 *  (4) Standard output and error of the child are kept, not shown: what a plugin prints is a finding.
 */
#ifndef LOCI_CORE_PLUGIN_ISOLATE_H
#define LOCI_CORE_PLUGIN_ISOLATE_H

#include "core/base/base.h"
#include <signal.h>

#define LOCI_STAGE_BYTES 256
#define LOCI_REPLY_BYTES 16384

typedef struct loci_limits {
    double seconds;
    uint64_t bytes;                    /* of address space; 0: no limit. Ignored under a sanitizer, which maps terabytes */
    const volatile sig_atomic_t *stop; /* not NULL: kill the child once this is not 0                                    */
} loci_limits;

/* What the function has to say: a text of its own making, whole or cut. */
typedef struct loci_reply {
    bool skipped;
    char text[LOCI_REPLY_BYTES];
} loci_reply;

enum loci_ending {
    LOCI_ENDED,     /* the function returned: `status`, `reply` */
    LOCI_CRASHED,   /* a signal, or the end of the process      */
    LOCI_TIMED_OUT, /* (2)                                      */
    LOCI_CANCELLED, /* *stop                                    */
};

typedef struct loci_outcome {
    enum loci_ending ending;
    loci_status status;
    loci_reply reply;
    int signal, exit_code;        /* CRASHED: one of them is not 0, or the process ended with exit code 0           */
    char stage[LOCI_STAGE_BYTES]; /* the last one, "" before the first                                              */
    char out[1024], err[4096];    /* what was printed: the beginning of one, the end of the other                   */
    char log[2048];               /* the end of what was logged as a warning or an error                            */
    double seconds;
} loci_outcome;

typedef loci_status (*loci_isolated_fn)(void *arg, loci_reply *reply);

/* Fails only when no process can be had. */
loci_status loci_isolate(loci_outcome *out, const loci_limits *limits, loci_isolated_fn fn, void *arg, loci_error *err);
/* The same call in this process: for a debugger. No limits, nothing is kept but stage and reply. */
void loci_not_isolated(loci_outcome *out, loci_isolated_fn fn, void *arg);
/* "SIGSEGV in create, ..." of what did not end well; "" otherwise. */
void loci_outcome_words(char *to, size_t n, const loci_outcome *o, double limit_s);

/* What comes next; only the last words are kept. Outside of an isolated function they go nowhere. */
void loci_stage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/simt/schedule.h: which thread runs next, for tests in C.
 */
#ifndef LOCI_SIMT_SCHEDULE_H
#define LOCI_SIMT_SCHEDULE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SIMT_ROUND 0    /* in turn                                            */
#define SIMT_REVERSED 1 /* in turn, the last first, blocks too                */
#define SIMT_AHEAD 2    /* one warp as far as it gets, the first ready        */
#define SIMT_BEHIND 3   /* the same, the last ready                           */
#define SIMT_RANDOM 4   /* any, by seed                                       */
#define SIMT_SCHEDULES 5

/* For the launches that follow. */
void simt_schedule(int kind, uint64_t seed);
const char *simt_schedule_name(int kind);
/* What ended the last launch; "" when nothing did. */
const char *simt_message(void);
/* Launches since the program began. */
uint64_t simt_launches(void);

/* Called with 1 before a launch and with 0 after it; may be NULL. */
extern void (*simt_around)(int begins);
/* Lists that gpu_up carried. */
extern uint64_t simt_up_times, simt_up_bytes;

#ifdef __cplusplus
}
#endif
#endif

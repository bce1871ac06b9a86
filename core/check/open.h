/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: what a test finds open when it begins.
 */
#ifndef LOCI_CORE_CHECK_OPEN_H
#define LOCI_CORE_CHECK_OPEN_H

#include "core/check/check.h"

/* Fill c for this test, in its process. *asked_wrongly: the config is at fault, not the plugin. Skips the test when a
 * promise it needs is not made. */
loci_status loci_check_open(loci_check *c, const loci_check_run *run, const loci_check_test *test, bool *asked_wrongly,
                            loci_error *err);
void loci_check_close(loci_check *c);

/* A shape as a model of conf gives it to the component: sizes that vary by call are 0. */
void loci_check_shape(loci_shape *out, const loci_check *c);

#endif

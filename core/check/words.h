/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: rule (9) of loci/plugin.h: a failure has a message: one line, lower case, no full stop.
 */
#ifndef LOCI_CORE_CHECK_WORDS_H
#define LOCI_CORE_CHECK_WORDS_H

#include "core/base/base.h"

/* Is `said`, which came with `status` out of `what`, such a message? Fails with what is wrong about it. */
loci_status loci_words_check(const loci_error *said, loci_status status, const char *what, loci_error *err);
/* Likewise for one line of text: a summary, a reason. */
loci_status loci_words_line(const char *text, size_t room, const char *what, loci_error *err);

#endif

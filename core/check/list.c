/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: tests.inc as the table.
 */
#include "core/check/check.h"

#include <fnmatch.h>

const loci_check_test loci_check_tests[] = {
#define TEST(function, id, level, kinds, caps, after, does) \
    {id, level, kinds, caps, after, does, loci_check_##function},
#include "core/check/tests.inc"
#undef TEST
};
const uint32_t loci_check_n_tests = sizeof loci_check_tests / sizeof *loci_check_tests;

const char *const loci_check_status_names[] = {"pass", "fail", "skip", "crash", "timeout"};

bool loci_check_matches(const char *pattern, const char *id)
{
    return !pattern || fnmatch(pattern, id, 0) == 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/unit/rules/: memory rules written with loci/rule.h, for tests: classes of the program that links their files.
 */
#ifndef LOCI_TESTS_RULES_H
#define LOCI_TESTS_RULES_H

#include <loci/plugin.h>

extern const loci_class loci_rule_matrix; /* matrix.c: reference of titans, delta, hebbian */
extern const loci_class loci_rule_wide;   /* wide.c                                        */

#endif

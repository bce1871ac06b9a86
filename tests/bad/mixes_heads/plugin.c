/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: every head hears what the first one is told.
 */
#define TERM_BY 0.5
#define TERM_TOKEN t
#define TERM_HEAD 0
#include "../term.h"

/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: it claims streaming, and counts tokens from the beginning of the call.
 */
#define TERM_BY (0.1 * (double)(t % 5))
#define TERM_TOKEN t
#include "../term.h"

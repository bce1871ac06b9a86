/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: the read order is off by one: y of a token also holds what the next one writes.
 */
#define TERM_BY (t + 1 < r->len ? 0.5 : 0.0)
#define TERM_TOKEN (t + 1 < r->len ? t + 1 : t)
#include "../term.h"

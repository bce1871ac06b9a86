/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: later tokens are masked by a multiplication with 0, which keeps what is no number.
 */
#define TERM_BY 0.0
#define TERM_TOKEN (r->len - 1)
#include "../term.h"

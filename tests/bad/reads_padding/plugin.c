/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: the token behind a run is read, and multiplied by 0.
 */
#define TERM_BY 0.0
#define TERM_TOKEN (r->begin + r->len < io->v->shape[1] ? r->len : t)
#include "../term.h"

/* SPDX-License-Identifier: Apache-2.0
 *
 * core/tensor: JSON from files that nobody vouches for, through jansson.
 *
 *  (1) Nesting is measured before jansson sees the text: its reader recurses, and may not be led deep.
 *  (2) A repeated key is an error by name: readers disagree about which of the two counts.
 *  (3) jansson calls some failed allocations malformed text. So does loci_json_read then; nothing is lost or half-read.
 *  (4) A message never carries bytes of the file other than printable ASCII.
 */
#ifndef LOCI_CORE_TENSOR_JSON_H
#define LOCI_CORE_TENSOR_JSON_H

#include "core/base/base.h"

#include <jansson.h>

/* Parse n bytes that hold exactly one object, nested at most `depth` deep (the object itself is 1), whose arrays have
 * at most `items` elements each and which has at most one object or array in 12 bytes (items 0: neither is asked).
 * `what` begins the message. Returns code LOCI_E_CHECKPOINT for malformed text. Memory while the object lives is
 * jansson's: up to 30 times n, 80 times with items 0; json_decref it. */
loci_status loci_json_read(json_t **out, const char *text, size_t n, unsigned depth, size_t items, const char *what,
                           loci_error *err);
/* A number, or null when it is not finite: JSON has no other. NULL when memory ran out. */
json_t *loci_json_real(double x);

#endif

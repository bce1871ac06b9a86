/* SPDX-License-Identifier: Apache-2.0
 *
 * What a tensor of a call must be: desc.c checks those of the descriptor, call.c the rest.
 */
#ifndef ATTN_CPU_CHECK_H
#define ATTN_CPU_CHECK_H

#include <loci/attention.h>

#include "tile.h"

/* An output in which several elements from axis `from` on share their memory would be written by several threads. */
loci_status cpu_apart(loci_error *err, const char *name, const loci_tensor *t, int32_t from);

#define PACKED LOCI_PACKED

/* Returns from the caller when t is wrong. */
#define CHECK(...) LOCI_ATTN_CHECK("attention/cpu", __VA_ARGS__)

/* Every field of the descriptor. With a block table S becomes the longest k_len. */
loci_status cpu_desc_read(cpu_call *c, loci_dtype acc, loci_error *err);

#endif

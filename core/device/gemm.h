/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/gemm: what computes a block of a float32 product besides the kernels: the library that configure found,
 * with operands as they are or rounded to bfloat16.
 */
#ifndef LOCI_CORE_DEVICE_GEMM_H
#define LOCI_CORE_DEVICE_GEMM_H

#include "core/device/kern.h"
#include "core/device/room.h"

#include <stdbool.h>

/* C = alpha op(A) op(B) + beta C over row-major matrices, as they are stored, in the calling thread. */
typedef struct loci_block {
    bool ta, tb;
    int64_t M, N, K, lda, ldb, ldc; /* elements from row to row */
    float alpha, beta;
    const void *a, *b; /* float, or bfloat16 for loci_library_bf16 */
    float *c;
} loci_block;

/* gemm_library.c. False: nothing was done, because there is no library or the sizes are beyond it. */
bool loci_library_f32(const loci_block *b);
bool loci_library_has_bf16(void); /* and this machine computes with it */
bool loci_library_bf16(const loci_block *b);

/* gemm_bf16.c: A and B are float and are rounded on the way; M and N at most LOCI_BF16_EDGE. room has LOCI_BF16_ROOM
 * bytes. */
#define LOCI_BF16_EDGE 1024
#define LOCI_BF16_DEEP 512
#define LOCI_BF16_ROOM ((size_t)2 * LOCI_BF16_EDGE * LOCI_BF16_DEEP * sizeof(uint16_t))
bool loci_gemm_bf16(const loci_kern *k, const loci_block *b, void *room);

#endif

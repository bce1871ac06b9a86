/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/simt/toys.h: kernels too small to be of use, for test_simt. Each launch returns 0, or 1 with simt_message().
 */
#ifndef LOCI_SIMT_TOYS_H
#define LOCI_SIMT_TOYS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* out[block] = sum of in[block * threads ..]; in at the block's size. */
int toy_sum(const float *in, float *out, int blocks, int threads);
/* out = sum over blocks, by atomics. */
int toy_count(int *out, int blocks, int threads);
/* 64 threads, each wrong in the way named. */
#define TOY_TWO_LINES 0         /* warps meet at barriers of two lines         */
#define TOY_ONE_LEAVES 1        /* a warp returns before the barrier           */
#define TOY_SHUFFLE_IN_BRANCH 2 /* lanes below 16 shuffle, the others meet at the barrier */
#define TOY_TWO_SHUFFLES 3      /* lanes of a warp shuffle at two lines                   */
#define TOY_PAST_THE_END 4      /* a store one past shared memory                         */
#define TOY_COPY_IN_FLIGHT 5    /* returns without a wait                                 */
#define TOY_ODD_ADDRESS 6       /* cp.async between addresses that 16 does not divide     */
int toy_wrong(int how, int *out);
/* What shared memory holds at the start of each of two blocks: 16 floats each. */
int toy_fresh(float *out);
/* 32 threads: each copies 16 bytes, of which `bytes` are kept, and looks at them before and after the wait: 4 floats
 * each, before and after. The shared memory held 7 before. */
int toy_copy(const float *in, float *before, float *after, int bytes);
/* c[16,8] = a[16,16] b: b is [8,16] read by ldmatrix, or [16,8] read transposed. 16-bit numbers. */
int toy_product(const uint16_t *a, const uint16_t *b, float *c, int transposed, int fp16);
/* out[0..31] ballot of bits of `on`; [32..63] value from the lane below; [64..95] from the lane above; of lane numbers.
 */
int toy_votes(uint32_t on, uint32_t *out);
/* bits[n] of x[n], back[n] of bits[n]. */
void toy_round(const float *x, uint16_t *bf16, uint16_t *fp16, int n);
/* out[n], the first word of the draw at counter {[n][0], [n][1], [n][2], 0}: what dropout draws. */
void toy_philox(const uint32_t *counter, uint64_t key, uint32_t *out, int n);

#ifdef __cplusplus
}
#endif
#endif

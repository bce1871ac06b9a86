/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/rng: random numbers of the host: initial values and choices of data.
 *
 * Philox 4x32-10 (Salmon et al. 2011) through Random123, as everywhere in loci (loci/random.h). Nothing here has a
 * state: draw i under a key is a function of the two, so any part of a tensor can be drawn by anyone, in any order.
 * Uses are kept apart by the last counter word, so the same key may serve several.
 */
#ifndef LOCI_CORE_DEVICE_RNG_H
#define LOCI_CORE_DEVICE_RNG_H

#include <loci/random.h>
#include <stdint.h>

/* The generator itself: key is {low, high} of `key`. */
void loci_random_u32x4(uint64_t key, const uint32_t counter[4], uint32_t out[4]);

/* A key for what bears a name ("layer.3.mixer.q.weight") in a run. */
uint64_t loci_random_name_key(uint64_t seed, const char *full_name);

/* Draw i: 64 bits; a number in [0, 1) with 53 bits; an integer in [0, n) without bias (n 0 gives 0). */
uint64_t loci_random_at(uint64_t key, uint64_t i);
double loci_random_unit(uint64_t key, uint64_t i);
uint64_t loci_random_below(uint64_t key, uint64_t i, uint64_t n);

/* Element i of the shuffled numbers 0 .. n - 1: for i = 0 .. n - 1 every number comes once. Needs no memory. */
uint64_t loci_random_shuffled(uint64_t key, uint64_t i, uint64_t n);

/* Elements 0 .. n - 1 in [0, 1), and of N(0, 1). The _from forms start at element `first`. */
void loci_random_fill_uniform(double *out, uint64_t n, uint64_t key);
void loci_random_fill_normal(double *out, uint64_t n, uint64_t key);
void loci_random_fill_uniform_from(double *out, uint64_t first, uint64_t n, uint64_t key);
void loci_random_fill_normal_from(double *out, uint64_t first, uint64_t n, uint64_t key);

#endif

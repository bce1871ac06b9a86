/* SPDX-License-Identifier: Apache-2.0
 *
 * loci/random.h: how random numbers are keyed, so that every backend draws the same ones.
 *
 * Numbers come from Philox 4x32-10 (Salmon et al. 2011; Random123). A key never contains a batch index, a tile or a
 * thread: the same document gets the same numbers wherever and in whatever pieces it is computed.
 */
#ifndef LOCI_RANDOM_H
#define LOCI_RANDOM_H

#include <stdint.h>

/* The finaliser of SplitMix64 (Steele et al. 2014). */
static inline uint64_t loci_mix64(uint64_t x)
{
    x += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

/* The Philox key of a document's draws in one step: low word first. */
static inline uint64_t loci_random_key(uint64_t seed, uint64_t step, uint64_t id, uint32_t stream)
{
    return loci_mix64(loci_mix64(loci_mix64(loci_mix64(seed) ^ step) ^ id) ^ stream);
}

#endif

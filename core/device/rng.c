/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/rng: see rng.h.
 *
 *  (1) Counter {i low, i high, attempt, use}.
 *  (2) Normals by Box and Muller (1958), elements 2j and 2j + 1 from draw j; the logarithm's argument lies in (0, 1].
 *  (3) below(n) by Lemire (2019): the high word of 64 bits times n, drawn again when the low word falls into the
 *      2^64 mod n values that would favour some results.
 *  (4) shuffled(n) is a Feistel network of 8 rounds on the least even number of bits that holds n, walked along its
 *      cycle until the value is below n (Black and Rogaway 2002): a permutation, since each step is one.
 */
#include "core/device/rng.h"

#include <Random123/philox.h>
#include <math.h>

enum { USE_BITS, USE_UNIFORM, USE_NORMAL, USE_BELOW, USE_SHUFFLE };

void loci_random_u32x4(uint64_t key, const uint32_t counter[4], uint32_t out[4])
{
    philox4x32_ctr_t c = {{counter[0], counter[1], counter[2], counter[3]}};
    philox4x32_key_t k = {{(uint32_t)key, (uint32_t)(key >> 32)}};

    c = philox4x32(c, k);
    for (int i = 0; i < 4; i++)
        out[i] = c.v[i];
}

static void draw(uint64_t key, uint64_t i, uint32_t attempt, uint32_t use, uint64_t out[2])
{
    uint32_t counter[4] = {(uint32_t)i, (uint32_t)(i >> 32), attempt, use}, words[4];

    loci_random_u32x4(key, counter, words);
    out[0] = words[0] | (uint64_t)words[1] << 32;
    out[1] = words[2] | (uint64_t)words[3] << 32;
}

static double unit(uint64_t bits)
{
    return (double)(bits >> 11) * 0x1p-53;
}

/* FNV-1a of the name, then the finaliser, since FNV alone spreads its last bytes badly. */
uint64_t loci_random_name_key(uint64_t seed, const char *full_name)
{
    uint64_t h = UINT64_C(0xCBF29CE484222325);

    for (const unsigned char *p = (const unsigned char *)full_name; *p; p++)
        h = (h ^ *p) * UINT64_C(0x100000001B3);
    return loci_mix64(loci_mix64(seed) ^ loci_mix64(h));
}

uint64_t loci_random_at(uint64_t key, uint64_t i)
{
    uint64_t bits[2];

    draw(key, i, 0, USE_BITS, bits);
    return bits[0];
}

double loci_random_unit(uint64_t key, uint64_t i)
{
    return unit(loci_random_at(key, i));
}

uint64_t loci_random_below(uint64_t key, uint64_t i, uint64_t n)
{
    uint64_t bits[2], unfair = n ? -n % n : 0;

    for (uint32_t attempt = 0;; attempt++) {
        unsigned __int128 wide;
        draw(key, i, attempt, USE_BELOW, bits);
        wide = (unsigned __int128)bits[0] * n;
        if ((uint64_t)wide >= unfair)
            return (uint64_t)(wide >> 64);
    }
}

uint64_t loci_random_shuffled(uint64_t key, uint64_t i, uint64_t n)
{
    unsigned half = 1;
    uint64_t mask;

    while (half < 32 && n - 1 > (UINT64_C(1) << 2 * half) - 1)
        half++;
    mask = (UINT64_C(1) << half) - 1;
    do {
        uint64_t left = i >> half, right = i & mask;
        for (uint32_t round = 0; round < 8; round++) {
            uint64_t bits[2], old = left;
            draw(key, right, round, USE_SHUFFLE, bits);
            left = right;
            right = old ^ (bits[0] & mask);
        }
        i = left << half | right;
    } while (i >= n);
    return i;
}

void loci_random_fill_uniform_from(double *out, uint64_t first, uint64_t n, uint64_t key)
{
    uint64_t bits[2];

    for (uint64_t i = first; i < first + n; i++) {
        if (i == first || i % 2 == 0)
            draw(key, i / 2, 0, USE_UNIFORM, bits);
        *out++ = unit(bits[i % 2]);
    }
}

void loci_random_fill_normal_from(double *out, uint64_t first, uint64_t n, uint64_t key)
{
    double radius = 0, angle = 0;

    for (uint64_t i = first; i < first + n; i++) {
        if (i == first || i % 2 == 0) {
            uint64_t bits[2];
            draw(key, i / 2, 0, USE_NORMAL, bits);
            radius = sqrt(-2 * log(unit(bits[0]) + 0x1p-53));
            angle = 6.283185307179586 * unit(bits[1]);
        }
        *out++ = radius * (i % 2 ? sin(angle) : cos(angle));
    }
}

void loci_random_fill_uniform(double *out, uint64_t n, uint64_t key)
{
    loci_random_fill_uniform_from(out, 0, n, key);
}

void loci_random_fill_normal(double *out, uint64_t n, uint64_t key)
{
    loci_random_fill_normal_from(out, 0, n, key);
}

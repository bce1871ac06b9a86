/* SPDX-License-Identifier: Apache-2.0
 *
 * Random numbers: the published vectors, independence of the way they are asked for, and their distributions.
 */
#include "core/device/rng.h"
#include "tests/ck.h"

/* Known answers of Random123's own kat_vectors. */
static void random__matches_the_published_vectors(void)
{
    static const struct {
        uint32_t counter[4];
        uint64_t key;
        uint32_t out[4];
    } kat[] = {
        {{0, 0, 0, 0}, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         UINT64_C(0xffffffffffffffff),
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         UINT64_C(0x299f31d0a4093822),
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };

    for (size_t i = 0; i < sizeof kat / sizeof *kat; i++) {
        uint32_t out[4];
        loci_random_u32x4(kat[i].key, kat[i].counter, out);
        for (int k = 0; k < 4; k++)
            CK_TRUE(out[k] == kat[i].out[k], "vector %d word %d: %08x", (int)i, k, out[k]);
    }
}

static void random__element_depends_on_key_and_index_alone(void)
{
    double whole[101], piece[101];

    for (int normal = 0; normal < 2; normal++)
        for (uint64_t cut = 0; cut <= 101; cut += 1 + cut % 7) {
            void (*fill)(double *, uint64_t, uint64_t) = normal ? loci_random_fill_normal : loci_random_fill_uniform;
            void (*from)(double *, uint64_t, uint64_t, uint64_t) =
                normal ? loci_random_fill_normal_from : loci_random_fill_uniform_from;
            fill(whole, 101, 7);
            from(piece, 0, cut, 7);
            from(piece + cut, cut, 101 - cut, 7);
            CU_ASSERT_EQUAL(memcmp(whole, piece, sizeof whole), 0);
            fill(piece, 101, 8);
            CU_ASSERT_NOT_EQUAL(whole[3], piece[3]);
        }
}

static void random__uniform_and_normal_have_their_moments(void)
{
    enum { N = 200000 };
    double *v = malloc(N * sizeof *v), low = 1, high = 0;

    for (int normal = 0; normal < 2; normal++) {
        double mean = 0, var = 0, third = 0, fourth = 0, pairs = 0;
        if (normal)
            loci_random_fill_normal(v, N, 123);
        else
            loci_random_fill_uniform(v, N, 123);
        for (int i = 0; i < N; i++)
            mean += v[i] / N;
        for (int i = 0; i < N; i++) {
            double d = v[i] - mean;
            var += d * d / N;
            third += d * d * d / N;
            fourth += d * d * d * d / N;
            if (i % 2)
                pairs += d * (v[i - 1] - mean) / (N / 2);
            if (!normal) {
                low = v[i] < low ? v[i] : low;
                high = v[i] > high ? v[i] : high;
            }
        }
        CK_TRUE(fabs(mean - (normal ? 0 : 0.5)) < 0.01, "mean %g", mean);
        CK_TRUE(fabs(var / (normal ? 1 : 1.0 / 12) - 1) < 0.02, "variance %g", var);
        CK_TRUE(fabs(third) < 0.03, "third moment %g", third);
        CK_TRUE(fabs(fourth / (var * var) / (normal ? 3 : 1.8) - 1) < 0.03, "kurtosis %g", fourth / (var * var));
        CK_TRUE(fabs(pairs) < 0.01, "correlation of neighbours %g", pairs);
    }
    CU_ASSERT_TRUE(low >= 0 && high < 1 && low < 0.001 && high > 0.999);
    free(v);
}

static void random__names_give_different_keys(void)
{
    uint64_t a = loci_random_name_key(1, "layer.0.mixer.q.weight");

    CU_ASSERT_EQUAL(a, loci_random_name_key(1, "layer.0.mixer.q.weight"));
    CU_ASSERT_NOT_EQUAL(a, loci_random_name_key(2, "layer.0.mixer.q.weight"));
    CU_ASSERT_NOT_EQUAL(a, loci_random_name_key(1, "layer.1.mixer.q.weight"));
    CU_ASSERT_NOT_EQUAL(a, loci_random_name_key(1, "layer.0.mixer.k.weight"));
    CU_ASSERT_NOT_EQUAL(loci_random_name_key(0, ""), 0);
}

static void random__below_stays_below_and_is_even(void)
{
    static const uint64_t limits[] = {1, 2, 3, 10, 1000, UINT64_C(1) << 40, UINT64_C(0xC000000000000001)};
    int count[10] = {0};
    int third = 0;

    for (size_t k = 0; k < sizeof limits / sizeof *limits; k++)
        for (uint64_t i = 0; i < 1000; i++)
            CU_ASSERT_TRUE_FATAL(loci_random_below(5, i, limits[k]) < limits[k]);
    for (uint64_t i = 0; i < 100000; i++)
        count[loci_random_below(9, i, 10)]++;
    for (int i = 0; i < 10; i++)
        CK_TRUE(abs(count[i] - 10000) < 500, "%d came %d times of 100000", i, count[i]);
    /* Without the rejection, every third of these values would come twice as often as the others. */
    for (uint64_t i = 0; i < 30000; i++)
        third += loci_random_below(9, i, UINT64_C(0xC000000000000000)) % 3 == 0;
    CK_TRUE(abs(third - 10000) < 400, "multiples of 3 came %d times of 30000", third);
    CU_ASSERT_EQUAL(loci_random_below(1, 1, 0), 0);
}

static void random__shuffled_is_a_permutation(void)
{
    static const uint64_t sizes[] = {1, 2, 3, 4, 5, 16, 17, 100, 1000, 4097};
    static unsigned char seen[4097];

    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        uint64_t n = sizes[k], fixed = 0, bad = 0;
        memset(seen, 0, sizeof seen);
        for (uint64_t i = 0; i < n; i++) {
            uint64_t v = loci_random_shuffled(3, i, n);
            bad += v >= n || seen[v < n ? v : 0]++;
            fixed += v == i;
        }
        CK_TRUE(bad == 0, "n = %d: %d values twice or too large", (int)n, (int)bad);
        CU_ASSERT_TRUE(n < 100 || fixed < 12);
    }
    CU_ASSERT_TRUE(loci_random_shuffled(3, 1, UINT64_MAX) < UINT64_MAX);
}

#define TESTS(X) \
    X(random__matches_the_published_vectors) \
    X(random__element_depends_on_key_and_index_alone) \
    X(random__uniform_and_normal_have_their_moments) \
    X(random__names_give_different_keys) \
    X(random__below_stays_below_and_is_even) \
    X(random__shuffled_is_a_permutation)
CK_MAIN("random", TESTS)

/* SPDX-License-Identifier: Apache-2.0
 *
 * The shim that runs kernels as fibers: what it computes, and that it notices each kind of mistake.
 */
#include "core/device/rng.h"
#include "schedule.h"
#include "tests/ck.h"
#include "toys.h"

static void simt__every_schedule_gives_the_same_sum(void)
{
    static float in[3 * 256];
    float want[3] = {0, 0, 0}, got[3];

    for (int n = 0; n < 3 * 256; n++) {
        in[n] = (float)(n % 17 - 5);
        want[n / 256] += in[n];
    }
    for (int kind = 0; kind < SIMT_SCHEDULES; kind++)
        for (uint64_t seed = 0; seed < 5; seed++) {
            simt_schedule(kind, seed);
            CU_ASSERT(toy_sum(in, got, 3, 256) == 0);
            CK_TRUE(!memcmp(got, want, sizeof got), "%s gives %g, wanted %g", simt_schedule_name(kind), got[0],
                    want[0]);
        }
}

static void simt__blocks_and_threads_all_run(void)
{
    for (int kind = 0; kind < SIMT_SCHEDULES; kind++) {
        int n = 0;

        simt_schedule(kind, 1);
        CU_ASSERT(toy_count(&n, 7, 96) == 0 && n == 7 * 96);
    }
}

static void simt__mistakes_are_named_with_their_lines(void)
{
    static const struct {
        int how, lines;
        const char *what;
    } wrong[] = {{TOY_TWO_LINES, 2, "divergent"},       {TOY_ONE_LEAVES, 1, "has returned"},
                 {TOY_SHUFFLE_IN_BRANCH, 2, "shuffle"}, {TOY_TWO_SHUFFLES, 2, "shuffle"},
                 {TOY_COPY_IN_FLIGHT, 1, "in flight"},  {TOY_ODD_ADDRESS, 1, "divisible"}};
    static int out[64] __attribute__((aligned(16)));

    for (int kind = 0; kind < SIMT_SCHEDULES; kind++)
        for (size_t n = 0; n < sizeof wrong / sizeof *wrong; n++) {
            int lines = 0;

            simt_schedule(kind, n);
            CU_ASSERT(toy_wrong(wrong[n].how, out) != 0);
            for (const char *at = simt_message(); (at = strstr(at, "toys.cu:")) != NULL; at++)
                lines++;
            CK_TRUE(strstr(simt_message(), wrong[n].what) && lines == wrong[n].lines, "%s: %s",
                    simt_schedule_name(kind), simt_message());
        }
    simt_schedule(SIMT_ROUND, 0);
    CU_ASSERT(toy_wrong(-1, out) == 0 && out[63] == 63); /* and the next launch is whole again */
}

static void simt__a_store_past_shared_memory_is_noticed(void)
{
#if defined(__SANITIZE_ADDRESS__)
    CK_SKIP("AddressSanitizer would end the program");
#else
    static int out[64];

    simt_schedule(SIMT_ROUND, 0);
    CK_TRUE(toy_wrong(TOY_PAST_THE_END, out) && strstr(simt_message(), "past its 64 bytes"), "%s", simt_message());
#endif
}

static void simt__shared_memory_is_new_for_each_block(void)
{
    float out[32];

    for (int n = 0; n < 32; n++)
        out[n] = 0;
    CU_ASSERT(toy_fresh(out) == 0);
    for (int n = 0; n < 32; n++)
        CU_ASSERT(isnan(out[n]));
}

static void simt__copies_land_when_they_are_waited_for(void)
{
    static float in[128] __attribute__((aligned(16))), before[128], after[128];

    for (int n = 0; n < 128; n++)
        in[n] = (float)n;
    for (int bytes = 0; bytes <= 16; bytes += 4) {
        CU_ASSERT(toy_copy(in, before, after, bytes) == 0);
        for (int n = 0; n < 128; n++)
            CU_ASSERT(before[n] == 7 && after[n] == (n % 4 * 4 < bytes ? (float)n : 0));
    }
}

static void simt__tensor_cores_multiply(void)
{
    float a[256], b[128], c[128];
    uint16_t a16[2][256], b16[2][128], bt[128];

    for (int n = 0; n < 256; n++)
        a[n] = (float)(n * 7 % 13 - 6) / 4;
    for (int n = 0; n < 128; n++)
        b[n] = (float)(n * 5 % 11 - 5) / 2; /* [8,16] */
    toy_round(a, a16[0], a16[1], 256);
    toy_round(b, b16[0], b16[1], 128);
    for (int fp16 = 0; fp16 < 2; fp16++)
        for (int transposed = 0; transposed < 2; transposed++) {
            for (int n = 0; n < 128; n++)
                bt[n % 16 * 8 + n / 16] = b16[fp16][n];
            CU_ASSERT(toy_product(a16[fp16], transposed ? bt : b16[fp16], c, transposed, fp16) == 0);
            for (int n = 0; n < 128; n++) {
                float want = 0;

                for (int k = 0; k < 16; k++)
                    want += a[n / 8 * 16 + k] * b[n % 8 * 16 + k];
                CK_TRUE(c[n] == want, "c[%d] is %g, wanted %g", n, c[n], want);
            }
        }
}

static void simt__votes_and_shuffles(void)
{
    uint32_t out[96];

    CU_ASSERT(toy_votes(0x80f10203u, out) == 0);
    for (uint32_t n = 0; n < 32; n++)
        CU_ASSERT(out[n] == 0x80f10203u && out[32 + n] == (n ? n - 1 : 0) && out[64 + n] == (n < 31 ? n + 1 : 31));
}

/* Halfway between 1 and its neighbour to even, overflow, subnormals, zeros, NaN. */
static void simt__16_bit_numbers_round_to_nearest_even(void)
{
    static const struct {
        float x;
        uint16_t bf16, fp16;
    } know[] = {{1, 0x3f80, 0x3c00},
                {-2, 0xc000, 0xc000},
                {1 + 0x1p-8f, 0x3f80, 0x3c04},
                {1 + 3 * 0x1p-8f, 0x3f82, 0x3c0c},
                {1 + 0x1p-11f, 0x3f80, 0x3c00},
                {1 + 3 * 0x1p-11f, 0x3f80, 0x3c02},
                {65519, 0x4780, 0x7bff},
                {65520, 0x4780, 0x7c00},
                {0x1p-24f, 0x3380, 0x0001},
                {0x1p-25f, 0x3300, 0x0000},
                {3 * 0x1p-25f, 0x33c0, 0x0002},
                {-0.0f, 0x8000, 0x8000},
                {0x1p-14f, 0x3880, 0x0400},
                {INFINITY, 0x7f80, 0x7c00},
                {NAN, 0x7fff, 0x7fff}};
    enum { N = sizeof know / sizeof *know };
    float x[N];
    uint16_t bf16[N], fp16[N];

    for (int n = 0; n < N; n++)
        x[n] = know[n].x;
    toy_round(x, bf16, fp16, N);
    for (int n = 0; n < N; n++)
        CK_TRUE(bf16[n] == know[n].bf16 && fp16[n] == know[n].fp16, "%g is %04x and %04x, wanted %04x and %04x",
                (double)x[n], bf16[n], fp16[n], know[n].bf16, know[n].fp16);
}

/* The generator of Random123, which the CPU uses, and the card's own. */
static void simt__philox_draws_the_numbers_of_the_cpu(void)
{
    enum { N = 500 };
    static uint32_t counter[N][3], got[N];

    for (uint64_t key = 0; key < 8; key++) {
        const uint64_t k = key == 0 ? 0 : key == 1 ? ~UINT64_C(0) : loci_random_key(key, 3, 5, 7);

        for (uint32_t n = 0; n < N; n++)
            for (uint32_t i = 0; i < 3; i++)
                counter[n][i] = n < 8 ? (n >> i & 1) * 0xffffffffu : (uint32_t)loci_mix64(3 * n + i);
        toy_philox(counter[0], k, got, N);
        for (uint32_t n = 0; n < N; n++) {
            const uint32_t at[4] = {counter[n][0], counter[n][1], counter[n][2], 0};
            uint32_t want[4];

            loci_random_u32x4(k, at, want);
            CK_TRUE(got[n] == want[0], "draw %u of key %u is %08x, wanted %08x", n, (unsigned)key, got[n], want[0]);
        }
    }
}

#define TESTS(X) \
    X(simt__every_schedule_gives_the_same_sum) \
    X(simt__blocks_and_threads_all_run) \
    X(simt__mistakes_are_named_with_their_lines) \
    X(simt__a_store_past_shared_memory_is_noticed) \
    X(simt__shared_memory_is_new_for_each_block) \
    X(simt__copies_land_when_they_are_waited_for) \
    X(simt__tensor_cores_multiply) \
    X(simt__votes_and_shuffles) \
    X(simt__16_bit_numbers_round_to_nearest_even) \
    X(simt__philox_draws_the_numbers_of_the_cpu)
CK_MAIN("simt", TESTS)

/* SPDX-License-Identifier: Apache-2.0
 *
 * Products of operands rounded to bfloat16: by the library, by tiles of AMX, and by those emulated. A program of its
 * own, as oneDNN keeps the instruction set that its first product in a process was allowed: the levels of test_gemm
 * would take this product away.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "core/device/gemm.h"
#include "core/device/gemm_tile.h"
#include "tests/unit/ops_tools.h"

#if LOCI_HAVE_AMX
extern const loci_tiles loci_tiles_emulated;
#endif

/* The nearest number with eight bits of precision, ties to even, by arithmetic. */
static double rounded(double v)
{
    int e;

    frexp(v, &e);
    return ldexp(nearbyint(ldexp(v, 8 - e)), e - 8);
}

/* ---- who multiplies --------------------------------------------------------------------------------------------- */

enum way { LIBRARY, EMULATED, TILES, WAYS };
static const char *const way_names[WAYS] = {"library", "emulated tiles", "tiles"};

/* Can this machine multiply that way? */
static int way_runs(enum way way)
{
#if LOCI_HAVE_AMX
    int level;

    setenv("LOCI_CPU", "amx", 1);
    if (way == TILES)
        return loci_cpu_level(&level, &ck_err) == LOCI_OK && level == LOCI_CPU_AMX;
    __builtin_cpu_init();
    if (way == EMULATED)
        return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512bf16");
#endif
    return way == LIBRARY && loci_library_has_bf16();
}

/* room: of tiles, 0 for what a device has. */
static int bf16_open(enum way way, int threads, size_t room)
{
    const loci_tiles *tiles = NULL;

    if (!way_runs(way) || !rig_open(3, threads))
        return 0;
#if LOCI_HAVE_AMX
    if (way != LIBRARY)
        tiles = way == TILES ? &loci_tiles_amx : &loci_tiles_emulated;
#endif
    if (loci_cpu_round_with(rig.h.dev, tiles,
                            !tiles ? LOCI_BF16_ROOM
                            : room ? room
                                   : LOCI_TILE_ROOM,
                            &ck_err) == LOCI_OK)
        return 1;
    ck_host_close(&rig.h);
    return 0;
}

#define EACH_WAY(way) for (enum way way = LIBRARY; way < WAYS; way++)

/* How many run; nothing is passed over in silence. */
static int any_way(void)
{
    int n = 0;

    EACH_WAY(way)
    {
        n += way_runs(way);
        if (!way_runs(way))
            printf("    %s: not on this machine\n", way_names[way]);
    }
    return n;
}

/* ---- numbers ---------------------------------------------------------------------------------------------------- */

struct product {
    int64_t batch, M, N, K; /* B is the same for the whole batch when that is 2 */
    double alpha, beta;
};

static void round_all(struct ck_t *t)
{
    for (int64_t i = 0; i < t->n; i++)
        ck_set(t, i, rounded(ck_get(t, i)));
}

/* The product must be that of rounded operands, and so not that of the operands. */
static void try_product(enum way way, const struct product *p, unsigned flags)
{
    const int ta = flags & LOCI_GEMM_TA, tb = flags & LOCI_GEMM_TB;
    const int64_t as[3] = {p->batch, ta ? p->K : p->M, ta ? p->M : p->K};
    const int64_t bs[3] = {p->batch, tb ? p->N : p->K, tb ? p->K : p->N};
    struct ck_t a = ck_new(32, 0, 3, as, SHAPE(as[1] * (as[2] + 3), as[2] + 3, 1));
    struct ck_t b = ck_new(32, 0, 3, bs, SHAPE(p->batch == 2 ? 0 : bs[1] * (bs[2] + 1), bs[2] + 1, 1));
    struct ck_t c = ck_new(32, 0, 3, SHAPE(p->batch, p->M, p->N), SHAPE(p->M * (p->N + 2), p->N + 2, 1));
    const loci_gemm g = {sizeof g, flags, p->alpha, p->beta, T(&a), T(&b), T(&c)};
    double *exact, *want, *got, *old, off, error;

    ck_fill(&a, 1);
    ck_fill(&b, 1);
    if (p->beta == 0)
        ck_const(&c, NAN);
    else
        ck_fill(&c, 1);
    old = ck_read(&c);
    exact = ck_product(&a, &b, &c, flags, p->alpha, p->beta);
    CK_OK(rig.ops->gemm(&rig.x, &g, &ck_err));
    got = ck_read(&c);
    CK_TRUE(ck_intact(&c), "%s: %lld x %lld x %lld: wrote outside", way_names[way], (long long)p->M, (long long)p->N,
            (long long)p->K);
    round_all(&a);
    round_all(&b);
    for (int64_t i = 0; i < c.n; i++)
        ck_set(&c, i, old[i]);
    want = ck_product(&a, &b, &c, flags, p->alpha, p->beta);
    error = ck_rms(got, want, (size_t)c.n);
    off = ck_rms(got, exact, (size_t)c.n);
    CK_TRUE(error < 2e-6 && off > 1e-4,
            "%s: %lld x %lld x %lld, flags %u, alpha %g, beta %g: off by %.3g, unrounded %.3g", way_names[way],
            (long long)p->M, (long long)p->N, (long long)p->K, flags, p->alpha, p->beta, error, off);
    free(old);
    free(exact);
    free(want);
    free(got);
    ck_drop(&a);
    ck_drop(&b);
    ck_drop(&c);
}

static void gemm_bf16__rounds_operands_and_nothing_else(void)
{
    static const struct product all[] = {{1, 64, 64, 64, 1, 0},    {1, 64, 96, 64, 1, 1}, {1, 40, 70, 1100, -0.5, 0.3},
                                         {1, 33, 49, 545, 1, 0},   {1, 47, 31, 31, 1, 1}, {1, 9, 300, 65, 2, 0},
                                         {1, 300, 32, 1, 1, 1},    {3, 40, 40, 40, 1, 1}, {2, 40, 35, 33, -0.5, 0.3},
                                         {1, 1100, 40, 33, 1, 0.5}};

    if (!any_way())
        CK_SKIP("no product of bfloat16 on this machine");
    EACH_WAY(way)
    {
        if (!bf16_open(way, 2, 0))
            continue;
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            for (unsigned flags = 0; flags < 4; flags++)
                try_product(way, all + i, flags);
        ck_host_close(&rig.h);
    }
}

static void gemm_bf16__goes_in_rounds_where_a_room_is_small(void)
{
    static const struct product all[] = {
        {1, 40, 40, 1100, 1, 0}, {1, 40, 300, 100, 1, 1}, {1, 300, 40, 100, -0.5, 0.3}, {3, 40, 70, 150, 2, 1}};

    if (!way_runs(EMULATED) && !way_runs(TILES))
        CK_SKIP("no tiles on this machine, not even emulated ones");
    for (enum way way = EMULATED; way < WAYS; way++) {
        if (!bf16_open(way, 2, LOCI_TILE_ROOM_LEAST))
            continue;
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            for (unsigned flags = 0; flags < 4; flags++)
                try_product(way, all + i, flags);
        ck_host_close(&rig.h);
    }
}

/* Both are longer than what a thread keeps packed. */
static void gemm_bf16__has_two_long_sides(void)
{
    static const struct product square = {1, 1030, 1060, 9, 1, 1};

    if (!any_way())
        CK_SKIP("no product of bfloat16 on this machine");
    EACH_WAY(way)
    {
        if (!bf16_open(way, 2, 0))
            continue;
        try_product(way, &square, LOCI_GEMM_TA);
        ck_host_close(&rig.h);
    }
}

static uint64_t bf16_hash(enum way way, int threads)
{
    struct ck_t a, b, c;
    uint64_t h = 0;

    if (!bf16_open(way, threads, 0))
        return 0;
    a = ck_new(32, 0, 2, SHAPE(300, 700), NULL);
    b = ck_new(32, 0, 2, SHAPE(700, 210), NULL);
    c = ck_new(32, 0, 2, SHAPE(300, 210), NULL);
    ck_fill(&a, 1);
    ck_fill(&b, 1);
    ck_set(&a, 5, NAN);
    ck_set(&a, 5 * 700 + 1, INFINITY);
    loci_gemm g = {sizeof g, 0, 1, 0, T(&a), T(&b), T(&c)};
    if (rig.ops->gemm(&rig.x, &g, &ck_err) == LOCI_OK) {
        for (int64_t n = 0; n < 210; n++)
            CU_ASSERT_TRUE(isnan(ck_get(&c, n)) && isinf(ck_get(&c, 5 * 210 + n)) && isfinite(ck_get(&c, 210 + n)));
        for (int64_t i = 0; i < 210; i++)
            ck_set(&c, i, 0);
        h = ck_hash(&c, 1);
    }
    ck_drop(&a);
    ck_drop(&b);
    ck_drop(&c);
    ck_host_close(&rig.h);
    return h;
}

static void gemm_bf16__keeps_nan_and_the_bits_of_one_thread(void)
{
    if (!any_way())
        CK_SKIP("no product of bfloat16 on this machine");
    EACH_WAY(way)
    {
        uint64_t one = bf16_hash(way, 1);

        CU_ASSERT_EQUAL(one, bf16_hash(way, 2));
        CU_ASSERT_EQUAL(one, bf16_hash(way, 4));
    }
}

/* The tiles themselves: what runs here in C and what the processor does. */
static void gemm_bf16__emulated_tiles_are_the_processors(void)
{
    if (!way_runs(TILES))
        CK_SKIP("no AMX on this machine");
    CU_ASSERT_EQUAL(bf16_hash(EMULATED, 1), bf16_hash(TILES, 1));
}

static void gemm_bf16__takes_tiles_where_they_may_be_used(void)
{
    const loci_kern_set *set;

    if (!way_runs(TILES))
        CK_SKIP("no AMX on this machine");
    for (int capped = 0; capped < 2; capped++) {
        setenv("LOCI_CPU", capped ? "avx512" : "amx", 1);
        CK_OK(ck_host_open(&rig.h, 1, &ck_err));
        if (loci_cpu_round_products(rig.h.dev, &ck_err) == LOCI_OK) {
            set = rig.h.host.get_ext(&rig.h.host, ck_exec(&rig.h).device, LOCI_EXT_KERN);
            CU_ASSERT_TRUE(capped ? !set->tiles : set->tiles != NULL);
        } else
            CU_ASSERT_TRUE(capped);
        ck_host_close(&rig.h);
    }
}

static void gemm_bf16__is_refused_below_its_instruction_set(void)
{
    for (int which = 1; which < 3; which++) {
        if (!rig_open(which, 1))
            return;
        loci_error_clear(&ck_err);
        CU_ASSERT_EQUAL(loci_cpu_round_products(rig.h.dev, &ck_err), LOCI_E_UNSUPPORTED);
        CK_TRUE(strstr(ck_err.msg, "set run.compute = f32") != NULL, "%s", ck_err.msg);
        ck_host_close(&rig.h);
    }
}

#define TESTS(X) \
    X(gemm_bf16__rounds_operands_and_nothing_else) \
    X(gemm_bf16__goes_in_rounds_where_a_room_is_small) \
    X(gemm_bf16__has_two_long_sides) \
    X(gemm_bf16__keeps_nan_and_the_bits_of_one_thread) \
    X(gemm_bf16__emulated_tiles_are_the_processors) \
    X(gemm_bf16__takes_tiles_where_they_may_be_used) \
    X(gemm_bf16__is_refused_below_its_instruction_set)
CK_MAIN("gemm_bf16", TESTS)

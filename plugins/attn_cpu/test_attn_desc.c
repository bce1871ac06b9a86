/* SPDX-License-Identifier: Apache-2.0
 *
 * attention/cpu where one field of the descriptor needs more than the combinations of test_attn_cpu: bf16, buckets,
 * masks and block lists of many shapes, what is hidden, pools that rows share, and what is refused.
 */
#include "judge.h"

/* bf16 is storage: the arithmetic is that of float, the results are rounded once. */
static void cpu__bf16_errs_at_most_twice_as_much_as_ref(void)
{
    pool all = {{{0}}, {0}, {0}};

    for (int n = 0; n < 40; n++) {
        attn_prob *p = attn_new(2, n % 4 ? 1 + (int64_t)(ck_bits() % 60) : 1, 1 + (int64_t)(ck_bits() % 200), 4, 2,
                                n % 2 ? 1 : 4, 1 + (int64_t)(ck_bits() % 20), 1 + (int64_t)(ck_bits() % 20));
        attn_out *d, *ref, *cpu;
        result r[RESULTS];
        uint64_t stream;

        for (int f = 0; f < FEATURES; f++)
            if (ck_rand() < 0.15)
                feature(p, f);
        round_to_bf16(p);
        stream = ck_seed;
        d = attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'd'});
        ck_seed = stream;
        ref = attn_run(attn_host(), &loci_attn_ref_class, p, (attn_how){.dtype = 'b', .given = d});
        for (int level = 0; d && ref && level < 3; level++) {
            take_level(level);
            ck_seed = stream;
            cpu = attn_run(attn_host(), &loci_attn_cpu_class, p, (attn_how){.dtype = 'b', .given = d, .odd = n % 2});
            for (int i = 0; cpu && i < results(p, r); i++)
                all.cpu[level][i] += squares(get(cpu, r + i), get(d, r + i), r[i].n);
        }
        for (int i = 0; d && ref && i < results(p, r); i++) {
            all.ref[i] += squares(get(ref, r + i), get(d, r + i), r[i].n);
            all.want[i] += squares(get(d, r + i), NULL, r[i].n);
        }
        leave_levels();
        attn_done();
    }
    judge(&all, "bf16");
}

/* Distances that share a place in a worker's memory of buckets, and positions in disorder. */
static void cpu__far_buckets_equal_ref(void)
{
    for (int n = 0; n < 4; n++) {
        attn_prob *p = attn_new(1, 150, 1400, 2, 2, 2, 4, 4);

        p->buckets = 32;
        p->table = attn_real(32 * 2, 1);
        p->a.max_distance = n % 2 ? 1300 : 128;
        p->a.bidirectional = n / 2;
        p->a.offset = 700;
        if (n == 3) {
            p->k_pos = attn_ints(1400, 0, 0);
            for (int64_t j = 0; j < 1400; j++)
                p->k_pos[j] = (int32_t)(j * 511 % 1400);
        }
        check_double(p, n % 2, "far buckets");
        attn_done();
    }
}

/* Masks and block lists of many shapes: rows of blocks wider and narrower than a tile, one list for each head. */
static void cpu__masks_and_block_lists_of_any_shape_equal_ref(void)
{
    static const int32_t shapes[][2] = {{64, 64}, {1, 1}, {5, 3}, {16, 8}, {100, 9}, {7, 130}};

    for (int n = 0; n < 24; n++) {
        attn_prob *p = attn_new(2, 60, 150, 4, 2, 4, 6, 5);

        p->mask_B = n % 3 ? 2 : 1;
        p->mask_H = n % 2 ? 4 : 1;
        p->a.causal = n % 5 == 0;
        if (n < 12) {
            p->bq = shapes[n % 6][0];
            p->bk = shapes[n % 6][1];
            p->reversed = n % 2;
            p->sparse = attn_keep((size_t)(p->mask_H * p->T * p->S));
            for (int64_t x = 0; x < p->mask_H * p->T * p->S; x++)
                p->sparse[x] = (x % p->S / 25 + x / p->S % p->T / 20) % 3 != 1 && ck_rand() < (n < 6 ? 2 : 0.8);
        } else {
            p->mask = attn_keep((size_t)(p->mask_B * p->mask_H * p->T * p->S));
            for (int64_t x = 0; x < p->mask_B * p->mask_H * p->T * p->S; x++)
                p->mask[x] = (uint8_t)((x % p->S / 25 + x / p->S % p->T / 20) % 3 != 1 ? (n % 4 ? 1 : 255) : 0);
        }
        check_double(p, n % 2, n < 12 ? "blocks" : "mask");
        attn_done();
    }
}

/* Whatever hides a key, what it holds does not matter: nothing but its own gradient may change. */
static void cpu__a_hidden_key_may_hold_anything(void)
{
    for (int n = 0; n < 8; n++) {
        attn_prob *p = attn_new(2, 60, 120, 2, 2, 2, 4, 5);
        const attn_how how = {.dtype = "fdb"[n % 3]};
        attn_out *was, *is;
        result r[RESULTS];

        if (n % 4 == 0) { /* key 77 lies alone in its segment, and what follows in another that nobody has */
            p->q_seg = attn_ints(2 * 60, 0, 0);
            p->k_seg = attn_ints(2 * 120, 0, 0);
            for (int64_t j = 0; j < 240; j++)
                p->k_seg[j] = j % 120 == 77 ? 3 : j % 120 > 90;
        } else if (n % 4 == 1) {
            p->mask = attn_keep(60 * 120);
            for (int64_t x = 0; x < 60 * 120; x++)
                p->mask[x] = x % 120 != 77 && x % 120 <= 90;
        } else if (n % 4 == 2) {
            p->bq = 9;
            p->bk = 7;
            p->sparse = attn_keep(60 * 120);
            for (int64_t x = 0; x < 60 * 120; x++)
                p->sparse[x] = x % 120 / 7 != 11 && x % 120 <= 90;
        } else {
            p->bias = attn_real(60 * 120, 1);
            for (int64_t x = 0; x < 60 * 120; x++)
                p->bias[x] = x % 120 == 77 || x % 120 > 90 ? -INFINITY : p->bias[x];
        }
        p->a.softcap = n < 4 ? 0 : 3;
        p->sink = attn_real(2, 1);
        was = attn_run(attn_host(), &loci_attn_cpu_class, p, how);
        for (int64_t b = 0; b < 2; b++)
            for (int64_t j = 0; j < 120; j++)
                for (int64_t x = 0; (j == 77 || j > 90) && x < 10; x++) {
                    if (n % 4 < 3) /* a bias of -inf and a score that is not a number make none */
                        p->k[((b * 120 + j) * 2) * 4 + x % 8] = n & 1 ? INFINITY : NAN;
                    p->v[((b * 120 + j) * 2) * 5 + x] = n & 1 ? INFINITY : NAN;
                }
        is = attn_run(attn_host(), &loci_attn_cpu_class, p, how);
        for (int i = 0; was && is && i < results(p, r); i++)
            CK_TRUE(memcmp(get(was, r + i), get(is, r + i), (size_t)r[i].n * sizeof(double)) == 0, "%d: %s changes", n,
                    r[i].name);
        attn_done();
    }
}

/* Two rows that read the same blocks of a pool: the gradients of both add up there. */
static void cpu__rows_may_share_blocks_of_a_pool(void)
{
    enum { LEN = 20, TOK = 4, HD = 2 * 3 };
    double *got[2] = {attn_real(8 * TOK * HD, 0), attn_real(8 * TOK * HD, 0)};

    for (int threads = 1; threads <= 4; threads += 3) {
        const loci_class *const cls[2] = {&loci_attn_ref_class, &loci_attn_cpu_class};
        struct ck_host h;

        CK_OK(ck_host_open(&h, threads, &ck_err));
        for (int n = 0; n < 2; n++) {
            static const int32_t blocks[] = {3, 1, 7, 0, 2, 3, 1, 6, 5, 1 << 28},
                                 lens[] = {LEN, 13}; /* the last entry is never looked at */
            attn_tensor *t[8];
            loci_attn_desc a = {
                .struct_size = sizeof a, .causal = 1, .scale = 1, .window_left = -1, .window_right = -1};
            loci_attn_io io = {.struct_size = sizeof io, .desc = &a};
            loci_shape shape = {.struct_size = sizeof shape,
                                .flags = LOCI_X_SAVE,
                                .rows = 2,
                                .seq = 9,
                                .ctx = LEN,
                                .heads = 2,
                                .k_heads = 2,
                                .v_heads = 2,
                                .dk = 3,
                                .dv = 3,
                                .dtype = attn_dtype('d'),
                                .acc = attn_dtype('d'),
                                .device = {LOCI_CPU, 0},
                                .features = LOCI_A_PAGED | LOCI_A_LENGTHS};
            const loci_attention *fn = cls[n]->iface;
            loci_need need = {.struct_size = sizeof need};
            loci_exec x = ck_exec(&h);
            loci_module *m = NULL;

            ck_seed = 5;
            for (int i = 0; i < 8; i++) { /* q, o, d_o, dq; k, v, dk, dv */
                const int64_t *dims = i < 4 ? ATTN_DIMS(2, 9, 2, 3) : ATTN_DIMS(8, TOK, 2, 3);

                t[i] = attn_filled('d', 0, dims, i == 3 || i > 5 ? NULL : attn_real(8 * TOK * HD, 1), 0);
            }
            a.offset = LEN - 9;
            a.block_tok = TOK;
            a.block_table = attn_raw('i', 0, ATTN_DIMS(2, 5), blocks);
            a.k_len = attn_raw('i', 0, ATTN_DIMS(2), lens);
            io.q = &t[0]->t;
            io.o = &t[1]->t;
            io.d_o = &t[2]->t;
            io.dq = &t[3]->t;
            io.k = &t[4]->t;
            io.v = &t[5]->t;
            io.dk = &t[6]->t;
            io.dv = &t[7]->t;
            io.lse = &attn_filled('d', 0, ATTN_DIMS(2, 2, 9), NULL, 0)->t;
            CK_OK(cls[n]->create(&h.host, NULL, NULL, &shape, &m, &ck_err));
            CK_OK(cls[n]->plan(m, &shape, LOCI_OP_MIX, &need, &ck_err));
            x.scratch = (char *)attn_keep(need.scratch + 64) + 63;
            x.scratch = (char *)x.scratch - (uintptr_t)x.scratch % 64;
            x.scratch_bytes = need.scratch;
            x.flags = LOCI_X_SAVE;
            CK_OK(fn->forward(m, &x, &io, &ck_err));
            CK_OK(fn->backward(m, &x, &io, &ck_err));
            attn_get(t[6], got[n]);
            CU_ASSERT(attn_intact(t[6]) && attn_intact(t[7]));
            cls[n]->destroy(m);
        }
        ck_host_close(&h);
        CU_ASSERT(ck_rms(got[1], got[0], 8 * TOK * HD) < 1e-13);
    }
    attn_done();
}

static void refused_with(const attn_prob *p, const char *word)
{
    attn_run(attn_host(), &loci_attn_cpu_class, p, (attn_how){.dtype = 'f', .refused = 1});
    CK_TRUE(strstr(ck_err.msg, word) != NULL, "'%s' lacks '%s'", ck_err.msg, word);
    attn_done();
}

static void cpu__refuses_what_would_lead_out_of_a_tensor(void)
{
    attn_prob *p = attn_new(1, 8, 12, 2, 1, 1, 4, 4);

    p->a.dropout = 1;
    refused_with(p, "dropout 1 lies outside");
    p = attn_new(1, 8, 12, 2, 1, 1, 4, 4);
    p->buckets = 8;
    p->table = attn_real(16, 1);
    p->a.max_distance = 4;
    refused_with(p, "max_distance above 4");
    p = attn_new(1, 8, 12, 2, 1, 1, 4, 4);
    p->q_seg = attn_ints(8, 0, 0);
    refused_with(p, "go together");
    p = attn_new(1, 8, 12, 2, 1, 1, 4, 4);
    p->block_tok = 3;
    refused_with(p, "k_len");
    p = attn_new(1, 8, 12, 2, 1, 1, 4, 4);
    p->block_tok = 3;
    p->k_len = attn_ints(1, 13, 0);
    refused_with(p, "room for 12");
    p = attn_new(1, 8, 12, 2, 1, 1, 4, 4);
    p->mask_H = 3;
    p->mask = attn_keep(3 * 8 * 12);
    refused_with(p, "mask");
}

#define TESTS(X) \
    X(cpu__bf16_errs_at_most_twice_as_much_as_ref) \
    X(cpu__far_buckets_equal_ref) \
    X(cpu__masks_and_block_lists_of_any_shape_equal_ref) \
    X(cpu__a_hidden_key_may_hold_anything) \
    X(cpu__rows_may_share_blocks_of_a_pool) \
    X(cpu__refuses_what_would_lead_out_of_a_tensor)
CK_MAIN("attn_desc", TESTS)

/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads one call and cuts it. After cpu_call_read no kernel can reach outside a tensor: dtypes, shapes and lengths are
 * right, desc.c has read the descriptor, scratch suffices.
 */
#include "check.h"

static loci_status read_back(const cpu_call *c, loci_dtype type, loci_dtype acc, loci_error *err)
{
    const loci_attn_io *io = c->io;
    const loci_attn_desc *a = c->desc;
    const loci_tensor *k = io->k, *v = io->v;
    loci_status s;

    if (!io->d_o || !io->lse)
        return cpu_fail(err, LOCI_E_ARG, "a backward needs o, lse and d_o");
    if ((io->dbias && !a->bias) || (io->dtable && !a->table) || (io->dsink && !a->sink) || (io->dslopes && !a->slopes))
        return cpu_fail(err, LOCI_E_ARG, "a gradient is asked for something that is not given");
    CHECK(io->d_o, type, PACKED, c->B, c->T, c->H, c->e);
    CHECK(io->d_lse, acc, 0, c->B, c->H, c->T);
    CHECK(io->dq, type, PACKED, c->B, c->T, c->H, c->d);
    CHECK(io->dk, type, PACKED, k->shape[0], k->shape[1], c->Hk, c->d);
    CHECK(io->dv, type, PACKED, v->shape[0], v->shape[1], c->Hv, c->e);
    CHECK(io->dslopes, acc, 0, c->H);
    CHECK(io->dsink, acc, 0, c->H);
    if (io->dbias)
        CHECK(io->dbias, acc, 0, a->bias->shape[0], a->bias->shape[1], a->bias->shape[2], a->bias->shape[3]);
    if (io->dtable)
        CHECK(io->dtable, acc, 0, a->table->shape[0], c->H);
    if ((s = cpu_apart(err, "dq", io->dq, 0)) || (s = cpu_apart(err, "dk", io->dk, 0)) ||
        (s = cpu_apart(err, "dv", io->dv, 0)) || (s = cpu_apart(err, "dbias", io->dbias, 2)) ||
        (s = cpu_apart(err, "dtable", io->dtable, 0)))
        return s;
    return cpu_apart(err, "dsink", io->dsink, 0);
}

int cpu_call_fused(const cpu_call *c)
{
    return c->paged || c->B * c->groups >= (int64_t)c->workers;
}

static int64_t gcd(int64_t a, int64_t b)
{
    while (b) {
        int64_t r = a % b;

        a = b;
        b = r;
    }
    return a;
}

/* Queries in a tile: many share a copy of keys, but there should be tiles enough for all threads. A backward adds up by
 * tile, so that its width follows from the sizes of the call alone; no bit of a forward depends on it. */
static int64_t width(const cpu_call *c, int backward)
{
    const int64_t lanes = c->ops->lanes, heads = c->B * c->H, least = TILE_BACK / 2;
    int64_t most = heads * ((c->T + TILE_BACK - 1) / TILE_BACK) < 32 ? least : TILE_BACK;

    if (!backward) {
        const int64_t tasks = 4 * (c->workers ? c->workers : 1), strip = 3 * lanes;

        most = (heads * c->T / tasks + strip - 1) / strip * strip;
        most = most < least ? least : most < TILE_QUERIES ? most : TILE_QUERIES;
    }
    return c->T == 0 ? lanes : c->T < most ? (c->T + lanes - 1) / lanes * lanes : most;
}

/* Heads whose single queries go over the keys together: rows of heads are neighbours in memory, and heads that share
 * keys read them once. A strip is a head's, and there should be work for all. No bit depends on it. */
static int64_t bunch(const cpu_call *c)
{
    const int64_t most = TILE_BACK / (3 * c->ops->lanes), workers = c->workers ? c->workers : 1;
    int64_t n = (c->B * c->H * c->parts + 2 * workers - 1) / (2 * workers);

    if (c->T != 1 || n < 1)
        return 1;
    n = n < most ? n : most;
    n = n < c->H ? n : c->H;
    return n > c->k_share ? n / c->k_share * c->k_share : n;
}

/* Products and sums that stop at the largest number instead of wrapping: no scratch is that large. */
static uint64_t times(uint64_t a, uint64_t b)
{
    uint64_t r;

    return __builtin_mul_overflow(a, b, &r) ? UINT64_MAX : r;
}

static uint64_t plus(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

uint64_t cpu_call_cut(cpu_call *c, int backward)
{
    uint64_t real = c->ops->real, part = 0, parts = (uint64_t)(c->S + TILE_PART - 1) / TILE_PART, seen = 0, all;
    uint64_t keys = (uint64_t)(c->S + TILE_GROUP - 1) / TILE_GROUP * TILE_GROUP;
    uint64_t dp = (uint64_t)c->ops->pad(c->d), ep = (uint64_t)c->ops->pad(c->e);

    c->groups = gcd(c->Hk, c->Hv);
    c->k_share = c->Hk ? c->H / c->Hk : 1;
    c->v_share = c->Hv ? c->H / c->Hv : 1;
    c->wide = width(c, backward);
    c->tiles = (c->T + c->wide - 1) / c->wide;
    c->parts = c->T == 1 && parts > 1 ? (int64_t)parts : 1;
    c->bunch = bunch(c);
    c->room_bytes = c->ops->room_bytes(c);
    c->acc_bytes = 0;
    if (backward && c->groups) {
        uint64_t widths = (uint64_t)(c->Hk / c->groups) * dp + (uint64_t)(c->Hv / c->groups) * ep;
        uint64_t tiles = (uint64_t)(c->T + c->ops->lanes - 1) / (uint64_t)c->ops->lanes; /* the most: grows with T */

        if (!cpu_call_fused(c) && keys > TILE_KEYS)
            keys = TILE_KEYS;
        c->acc_bytes = times(times(keys, widths), real); /* keys and pads make it a multiple of 64 */
        part = times(times(times((uint64_t)c->B, (uint64_t)c->H), tiles), real);
    }
    if (parts > 1) /* any T: a plan serves fewer queries, too */
        seen = times(times(times((uint64_t)c->B, (uint64_t)c->H), parts), ((uint64_t)c->ops->lanes + ep) * real);
    part = part > seen ? part : seen; /* a backward needs the one, a forward the other */
    all = plus(times(c->workers, plus(c->room_bytes, c->acc_bytes)), part);
    c->rooms = c->exec ? c->exec->scratch : NULL;
    if (c->rooms && c->exec->scratch_bytes >= all) {
        c->accs = c->rooms + c->workers * c->room_bytes;
        c->part = c->seen = c->accs + c->workers * c->acc_bytes;
    }
    return all;
}

loci_status cpu_call_read(cpu_call *c, const tile_ops *ops, const loci_exec *exec, const loci_attn_io *io, int backward,
                          loci_error *err)
{
    const loci_tensor *q = io->q, *k = io->k, *v = io->v;
    loci_dtype type, acc;
    uint64_t bytes;
    loci_status s;

    if (io->struct_size < sizeof *io || !io->desc || io->desc->struct_size < sizeof *io->desc)
        return cpu_fail(err, LOCI_E_ARG, "the call or its descriptor is of an older header");
    if (!q || !k || !v || !io->o || q->ndim != 4 || k->ndim != 4 || v->ndim != 4)
        return cpu_fail(err, LOCI_E_ARG, "q, k, v and o are needed, with four axes each");
    acc = (loci_dtype){LOCI_FLOAT, (uint8_t)(8 * ops->real), 1};
    type = q->dtype.bits == 16 ? (loci_dtype){LOCI_BFLOAT, 16, 1} : acc;
    *c = (cpu_call){.exec = exec,
                    .io = io,
                    .desc = io->desc,
                    .ops = ops,
                    .B = q->shape[0],
                    .T = q->shape[1],
                    .S = k->shape[1],
                    .H = q->shape[2],
                    .Hk = k->shape[2],
                    .Hv = v->shape[2],
                    .d = q->shape[3],
                    .e = v->shape[3],
                    .half = type.bits == 16,
                    .paged = io->desc->block_table != NULL,
                    .workers = exec->host->workers(exec->host)};
    if (c->H && (!c->Hk || !c->Hv || c->H % c->Hk || c->H % c->Hv))
        return cpu_fail(err, LOCI_E_ARG, "%lld query heads are no multiple of %lld key heads and %lld value heads",
                        (long long)c->H, (long long)c->Hk, (long long)c->Hv);
    CHECK(io->q, type, PACKED, c->B, c->T, c->H, c->d);
    if (c->paged) {
        CHECK(io->k, type, PACKED, k->shape[0], io->desc->block_tok, c->Hk, c->d);
        CHECK(io->v, type, PACKED, k->shape[0], io->desc->block_tok, c->Hv, c->e);
    } else {
        CHECK(io->k, type, PACKED, c->B, c->S, c->Hk, c->d);
        CHECK(io->v, type, PACKED, c->B, c->S, c->Hv, c->e);
    }
    CHECK(io->o, type, PACKED, c->B, c->T, c->H, c->e);
    CHECK(io->lse, acc, 0, c->B, c->H, c->T);
    if ((s = cpu_apart(err, "o", io->o, 0)) || (s = cpu_apart(err, "lse", io->lse, 0)) ||
        (s = cpu_desc_read(c, acc, err)) || (backward && (s = read_back(c, type, acc, err))))
        return s;
    c->fetch |= backward && (c->half || c->paged);
    bytes = cpu_call_cut(c, backward);
    if (!io->dslopes)
        c->part = NULL;
    if (exec->scratch_bytes < bytes)
        return cpu_fail(err, LOCI_E_ARG, "scratch holds %llu bytes, this %s needs %llu: plan for %s",
                        (unsigned long long)exec->scratch_bytes, backward ? "backward" : "forward",
                        (unsigned long long)bytes, backward ? "its sizes with SAVE" : "its sizes");
    return LOCI_OK;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Cuts a call into tasks. No two tasks of a pass write the same memory, and each element is summed in one order, so the
 * bits depend neither on the number of threads nor on which of the two ways a backward takes.
 *
 *   forward           a task is a tile of queries of a head; the longest, last in a causal sequence, come first
 *   backward, fused   a task is (b, group of heads): dq, dk, dv in one sweep over all tile pairs, 5 products
 *   backward, split   where there are fewer groups than workers: dk, dv per (b, group, 128 keys), then dq per tile of
 *                     queries; 7 products
 *
 * dk and dv of a task are summed in the worker's accumulators and added to the caller's tensors at the end.
 */
#include <string.h>

#include "tile.h"

static void forward_tiles(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const cpu_call *c = arg;

    for (int64_t n = begin; n < end; n++) {
        int64_t head = n / c->tiles, tile = c->tiles - 1 - n % c->tiles;

        c->ops->forward(c, c->rooms + worker * c->room_bytes, head / c->H, head % c->H, tile);
    }
}

loci_status cpu_forward(cpu_call *c)
{
    return c->exec->host->parallel_for(c->exec, c->B * c->H * c->tiles, 1, forward_tiles, c);
}

/* Everything keys first .. last-1 of a group get, and with dq what its queries get from them. */
static void sweep(const cpu_call *c, int64_t b, int64_t g, int64_t first, int64_t last, int dq, uint32_t worker)
{
    const loci_attn_io *io = c->io;
    int64_t heads = c->H / c->groups, khs = c->Hk / c->groups, vhs = c->Hv / c->groups;
    int64_t rows = (last - first + TILE_GROUP - 1) / TILE_GROUP * TILE_GROUP;
    uint64_t real = io->q->dtype.bits / 8;
    uint64_t k_bytes = (uint64_t)(rows * c->ops->pad(c->d)) * real,
             v_bytes = (uint64_t)(rows * c->ops->pad(c->e)) * real;
    char *dk = c->accs + worker * c->acc_bytes, *dv = dk + (uint64_t)khs * k_bytes;

    memset(dk, 0, (uint64_t)khs * k_bytes + (uint64_t)vhs * v_bytes);
    for (int64_t h = g * heads; h < (g + 1) * heads; h++) {
        tile_back w = {.first = first, .last = last, .dq = dq && io->dq, .dslope = dq && io->dslopes};

        w.dk = io->dk ? dk + (uint64_t)(h / (c->H / c->Hk) - g * khs) * k_bytes : NULL;
        w.dv = io->dv ? dv + (uint64_t)(h / (c->H / c->Hv) - g * vhs) * v_bytes : NULL;
        for (int64_t tile = 0; tile < c->tiles; tile++)
            c->ops->backward(c, c->rooms + worker * c->room_bytes, b, h, tile, &w);
    }
    for (int64_t n = 0; io->dk && n < khs; n++)
        c->ops->add(io->dk, b, first, last, g * khs + n, dk + (uint64_t)n * k_bytes, c->desc->scale);
    for (int64_t n = 0; io->dv && n < vhs; n++)
        c->ops->add(io->dv, b, first, last, g * vhs + n, dv + (uint64_t)n * v_bytes, 1);
}

static void fused(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const cpu_call *c = arg;

    for (int64_t n = begin; n < end; n++)
        sweep(c, n / c->groups, n % c->groups, 0, c->S, 1, worker);
}

static void split_keys(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const cpu_call *c = arg;
    int64_t chunks = (c->S + TILE_KEYS - 1) / TILE_KEYS;

    for (int64_t n = begin; n < end; n++) {
        int64_t set = n / chunks, first = n % chunks * TILE_KEYS;

        sweep(c, set / c->groups, set % c->groups, first, first + TILE_KEYS < c->S ? first + TILE_KEYS : c->S, 0,
              worker);
    }
}

static void split_queries(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const cpu_call *c = arg;
    const tile_back w = {.last = c->S, .dq = c->io->dq != NULL, .dslope = c->io->dslopes != NULL};

    for (int64_t n = begin; n < end; n++) {
        int64_t head = n / c->tiles, tile = c->tiles - 1 - n % c->tiles;

        c->ops->backward(c, c->rooms + worker * c->room_bytes, head / c->H, head % c->H, tile, &w);
    }
}

/* dslopes += the parts, in order. */
static void add_slopes(const cpu_call *c)
{
    loci_tensor *to = c->io->dslopes;

    for (int64_t h = 0; h < c->H; h++) {
        double sum = 0;

        for (int64_t b = 0; b < c->B; b++)
            for (int64_t n = 0; n < c->tiles; n++) {
                int64_t at = (b * c->H + h) * c->tiles + n;

                sum += to->dtype.bits == 64 ? ((const double *)c->part)[at] : (double)((const float *)c->part)[at];
            }
        if (to->dtype.bits == 64)
            ((double *)loci_ptr(to))[h * to->strides[0]] += sum;
        else
            ((float *)loci_ptr(to))[h * to->strides[0]] += (float)sum;
    }
}

loci_status cpu_backward(cpu_call *c)
{
    const loci_attn_io *io = c->io;
    int64_t chunks = (c->S + TILE_KEYS - 1) / TILE_KEYS;
    loci_status s = LOCI_OK;

    if (!c->B || !c->H || !c->T || !c->S)
        return LOCI_OK;
    if ((io->dk || io->dv) && cpu_call_fused(c))
        s = c->exec->host->parallel_for(c->exec, c->B * c->groups, 1, fused, c);
    else {
        if (io->dk || io->dv)
            s = c->exec->host->parallel_for(c->exec, c->B * c->groups * chunks, 1, split_keys, c);
        if (!s && (io->dq || io->dslopes))
            s = c->exec->host->parallel_for(c->exec, c->B * c->H * c->tiles, 1, split_queries, c);
    }
    if (!s && io->dslopes)
        add_slopes(c);
    return s;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Cuts a call into tasks. No two tasks of a pass write the same memory, and each element is summed in one order, so the
 * bits depend neither on the number of threads nor on which of the two ways a backward takes.
 *
 *   forward           a task is a tile of queries of a head; the longest, last in a causal sequence, come first of all.
 *                     A single query is little work: a task is those of a bunch of heads over 1024 keys; then a task
 *                     for each head merges its parts in order. Parts follow from S alone
 *   backward, fused   a task is (b, group of heads): dq, dk, dv in one sweep over all tile pairs, 5 products
 *   backward, split   where there are fewer groups than workers: dk, dv per (b, group, 128 keys), then dq per tile of
 *                     queries; 7 products
 *
 *   pooled            with a block table: a task is a group of heads, because rows may share blocks
 *   dbias             with dq where each pair has its own; shared by rows or heads: a pass of its own, a task for each
 *                     tile of queries that takes rows and heads in order; 2 products more
 *   dtable            a pass of its own, a task for each head; 2 products more
 *   dsink             a sum over the queries of each head
 *
 * dk and dv of a task are summed in the worker's accumulators and added to the caller's tensors at the end.
 */
#include <string.h>

#include "tile.h"

static int64_t bunches(const cpu_call *c)
{
    return (c->H + c->bunch - 1) / c->bunch;
}

static void forward_tiles(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const cpu_call *c = arg;
    const int64_t sets = bunches(c), tiles = c->tiles * c->parts;

    for (int64_t n = begin; n < end; n++) {
        int64_t set = n % (c->B * sets), tile = tiles - 1 - n / (c->B * sets);

        c->ops->forward(c, c->rooms + worker * c->room_bytes, set / sets, set % sets * c->bunch, tile);
    }
}

static void merge_heads(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const cpu_call *c = arg;

    for (int64_t n = begin; n < end; n++)
        c->ops->merge(c, c->rooms + worker * c->room_bytes, n / c->H, n % c->H);
}

loci_status cpu_forward(cpu_call *c)
{
    const int64_t tasks = c->B * bunches(c) * c->tiles * c->parts;

    LOCI_RETURN_IF(c->exec->host->parallel_for(c->exec, tasks, 1, forward_tiles, c));
    return c->parts > 1 ? c->exec->host->parallel_for(c->exec, c->B * c->H, 8, merge_heads, c) : LOCI_OK;
}

/* Does one element of dbias belong to several rows, or several heads? */
static int shared(const loci_tensor *t, int32_t axis, int64_t n)
{
    return t && n > 1 && (t->shape[axis] == 1 || t->strides[axis] == 0);
}

static int bias_alone(const cpu_call *c)
{
    return c->io->dbias && !shared(c->io->dbias, 0, c->B) && !shared(c->io->dbias, 1, c->H);
}

/* What a pass over the queries adds to, each element once. */
static tile_back of_queries(const cpu_call *c, int64_t first, int64_t last)
{
    return (tile_back){
        .first = first,
        .last = last,
        .dq = c->io->dq != NULL,
        .dslope = c->io->dslopes != NULL,
        .dbias = bias_alone(c),
    };
}

/* Everything keys first .. last-1 of a group get, and with queries what its queries get from them. */
static void sweep(const cpu_call *c, int64_t b, int64_t g, int64_t first, int64_t last, int queries, uint32_t worker)
{
    const loci_attn_io *io = c->io;
    int64_t heads = c->H / c->groups, khs = c->Hk / c->groups, vhs = c->Hv / c->groups;
    int64_t rows = (last - first + TILE_GROUP - 1) / TILE_GROUP * TILE_GROUP, len = last;
    uint64_t real = c->ops->real;
    uint64_t k_bytes = (uint64_t)(rows * c->ops->pad(c->d)) * real,
             v_bytes = (uint64_t)(rows * c->ops->pad(c->e)) * real;
    char *dk = c->accs + worker * c->acc_bytes, *dv = dk + (uint64_t)khs * k_bytes;

    memset(dk, 0, (uint64_t)khs * k_bytes + (uint64_t)vhs * v_bytes);
    for (int64_t h = g * heads; h < (g + 1) * heads; h++) {
        tile_back w = queries ? of_queries(c, first, last) : (tile_back){.first = first, .last = last};

        w.dk = io->dk ? dk + (uint64_t)(h / (c->H / c->Hk) - g * khs) * k_bytes : NULL;
        w.dv = io->dv ? dv + (uint64_t)(h / (c->H / c->Hv) - g * vhs) * v_bytes : NULL;
        for (int64_t tile = 0; tile < c->tiles; tile++)
            c->ops->backward(c, c->rooms + worker * c->room_bytes, b, h, tile, &w);
    }
    if (c->paged) /* keys beyond have no block */
        len = cpu_i32(c->desc->k_len, b, 0);
    for (int64_t n = 0; io->dk && n < khs; n++)
        c->ops->add(c, io->dk, b, first, len, g * khs + n, dk + (uint64_t)n * k_bytes, c->desc->scale);
    for (int64_t n = 0; io->dv && n < vhs; n++)
        c->ops->add(c, io->dv, b, first, len, g * vhs + n, dv + (uint64_t)n * v_bytes, 1);
}

static void fused(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const cpu_call *c = arg;

    for (int64_t n = begin; n < end; n++)
        sweep(c, n / c->groups, n % c->groups, 0, c->S, 1, worker);
}

void cpu_backward_group(const cpu_call *c, int64_t n, uint32_t worker)
{
    sweep(c, n / c->groups, n % c->groups, 0, c->S, 1, worker);
}

/* Rows may share blocks of a pool: one after the other. */
static void pooled(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const cpu_call *c = arg;

    for (int64_t g = begin; g < end; g++)
        for (int64_t b = 0; b < c->B; b++)
            sweep(c, b, g, 0, c->S, 1, worker);
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
    const tile_back w = of_queries(c, 0, c->S);

    for (int64_t n = begin; n < end; n++) {
        int64_t head = n % (c->B * c->H), tile = c->tiles - 1 - n / (c->B * c->H);

        c->ops->backward(c, c->rooms + worker * c->room_bytes, head / c->H, head % c->H, tile, &w);
    }
}

/* ---- gradients that several rows or heads share ---- */

/* A task is a tile of queries, of one row or of all, of one head or of all. */
static void bias_tiles(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const cpu_call *c = arg;
    const tile_back w = {.last = c->S, .dbias = 1};
    const int all_b = shared(c->io->dbias, 0, c->B), all_h = shared(c->io->dbias, 1, c->H);
    const int64_t H = all_h ? 1 : c->H;

    for (int64_t n = begin; n < end; n++) {
        int64_t b0 = n / c->tiles / H, h0 = n / c->tiles % H;

        for (int64_t b = b0; b < (all_b ? c->B : b0 + 1); b++)
            for (int64_t h = h0; h < (all_h ? c->H : h0 + 1); h++)
                c->ops->backward(c, c->rooms + worker * c->room_bytes, b, h, n % c->tiles, &w);
    }
}

static void table_heads(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const cpu_call *c = arg;
    const tile_back w = {.last = c->S, .dtable = 1};

    for (int64_t h = begin; h < end; h++)
        for (int64_t n = 0; n < c->B * c->tiles; n++)
            c->ops->backward(c, c->rooms + worker * c->room_bytes, n / c->tiles, h, n % c->tiles, &w);
}

static void sink_heads(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const cpu_call *c = arg;

    (void)worker;
    for (int64_t h = begin; h < end; h++)
        c->ops->sink(c, h);
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

/* dq, dk, dv, the parts of dslopes, and dbias where each pair has its own. */
static loci_status main_passes(cpu_call *c)
{
    const loci_attn_io *io = c->io;
    int64_t chunks = (c->S + TILE_KEYS - 1) / TILE_KEYS;
    int keys = io->dk || io->dv, queries = io->dq || io->dslopes || bias_alone(c);

    if (keys && c->paged)
        return c->exec->host->parallel_for(c->exec, c->groups, 1, pooled, c);
    if (keys && cpu_call_fused(c))
        return c->exec->host->parallel_for(c->exec, c->B * c->groups, 1, fused, c);
    if (keys)
        LOCI_RETURN_IF(c->exec->host->parallel_for(c->exec, c->B * c->groups * chunks, 1, split_keys, c));
    return queries ? c->exec->host->parallel_for(c->exec, c->B * c->H * c->tiles, 1, split_queries, c) : LOCI_OK;
}

loci_status cpu_backward(cpu_call *c)
{
    const loci_attn_io *io = c->io;
    const loci_host *host = c->exec->host;

    if (!c->B || !c->H || !c->T)
        return LOCI_OK;
    if (io->dsink)
        LOCI_RETURN_IF(host->parallel_for(c->exec, c->H, 1, sink_heads, c));
    if (!c->S)
        return LOCI_OK;
    LOCI_RETURN_IF(main_passes(c));
    if (io->dslopes)
        add_slopes(c);
    if (io->dbias && !bias_alone(c))
        LOCI_RETURN_IF(host->parallel_for(
            c->exec, c->tiles * (shared(io->dbias, 0, c->B) ? 1 : c->B) * (shared(io->dbias, 1, c->H) ? 1 : c->H), 1,
            bias_tiles, c));
    return io->dtable ? host->parallel_for(c->exec, c->H, 1, table_heads, c) : LOCI_OK;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls whose products are made of bf16 numbers: which are served, how they are cut, and what becomes of a unit that
 * the kernel leaves.
 *
 *  (1) A task is a piece of a head, 16 units. Units share nothing, so the bits depend neither on the threads nor on
 *      which worker takes a piece; only how often keys are packed does. Where heads suffice a worker gets whole heads,
 *      or all heads of a key head, one after the other, and packs each key once.
 *  (2) A unit that the kernel leaves is computed again by the tiles of f32, one vector of queries at a time: 16 is a
 *      multiple of their lanes and a divisor of every unit.
 *  (3) A task of a backward is a key head with all its queries, as the fused task of run.c is a group of heads, and
 * what the kernel leaves is done there.
 */
#include "bf16.h"

#define PIECE 16 /* units */

typedef struct bf16_call {
    const cpu_call *c;
    cpu_call again; /* the same call for the tiles of f32: (2) */
    const bf16_ops *ops;
    char *rooms;
    uint64_t room_bytes;
    int64_t units, pieces; /* of a head */
} bf16_call;

/* Fewer queries than a unit's half are a decode: to pack keys that are read once is a waste. */
static int worth(int64_t T)
{
    return T >= 16 || attn_cpu_bf16_only;
}

static int sizes_fit(const cpu_call *c, const bf16_ops *ops)
{
    return ops && c->half && !c->paged && c->d > 0 && c->d <= BF16_WIDEST && c->e > 0 && c->e <= BF16_WIDEST &&
           c->S > 0 && worth(c->T);
}

/* A task of a backward is a key head with its value head, and there is one for each worker at least: (3). */
static int back_fits(const cpu_call *c, const bf16_ops *ops)
{
    return sizes_fit(c, ops) && ops->backward && c->Hk == c->Hv && c->B * c->Hk >= (int64_t)c->workers;
}

uint64_t bf16_call_bytes(const cpu_call *c, const bf16_ops *ops, int backward)
{
    const uint64_t room = sizes_fit(c, ops) ? ops->room_bytes(c) : 0;
    const uint64_t back = backward && back_fits(c, ops) ? ops->back_bytes(c) : 0;

    return c->workers * (room > back ? room : back);
}

int bf16_serves(const cpu_call *c, const bf16_ops *ops, int backward)
{
    const loci_attn_desc *a = c->desc;

    return (backward ? back_fits(c, ops) : sizes_fit(c, ops)) && !c->look && !c->adjust && !(c->dropout > 0) &&
           !a->slopes && !a->sink && !a->q_pos && !a->k_pos && !a->prefix && a->offset > -INT32_MAX &&
           a->offset < INT32_MAX;
}

/* Where the rooms of the workers begin, after what the tiles of f32 use; NULL when scratch does not suffice. */
static char *rooms_of(const cpu_call *c, uint64_t before, uint64_t room_bytes, const char *pass, loci_error *err)
{
    const uint64_t from = (before + 63) / 64 * 64, bytes = from + c->workers * room_bytes;

    if (c->exec->scratch_bytes >= bytes)
        return (char *)c->exec->scratch + from;
    cpu_fail(err, LOCI_E_ARG, "scratch holds %llu bytes, this %s needs %llu: plan for its sizes",
             (unsigned long long)c->exec->scratch_bytes, pass, (unsigned long long)bytes);
    return NULL;
}

/* ---- forward ---- */

static void again(const bf16_call *x, int64_t b, int64_t h, int64_t unit, uint32_t worker)
{
    const cpu_call *c = &x->again;
    int64_t tiles = x->ops->queries / c->wide, first = unit * tiles;

    for (int64_t n = first; n < first + tiles && n < c->tiles; n++)
        c->ops->forward(c, c->rooms + worker * c->room_bytes, b, h, n);
}

static void pieces(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const bf16_call *x = arg;
    const cpu_call *c = x->c;

    x->ops->begin();
    for (int64_t n = begin; n < end; n++) {
        int64_t head = n / x->pieces, from = (x->pieces - 1 - n % x->pieces) * PIECE;

        for (int64_t unit = from; unit < from + PIECE && unit < x->units; unit++)
            if (!x->ops->forward(c, x->rooms + worker * x->room_bytes, head / c->H, head % c->H, unit))
                again(x, head / c->H, head % c->H, unit, worker);
    }
    x->ops->end();
}

/* Pieces that one worker takes in a row: (1). */
static int64_t grain(const bf16_call *x)
{
    const cpu_call *c = x->c;
    int64_t heads[] = {c->Hk == c->Hv ? c->H / c->Hk : 1, 1}, workers = c->workers;

    for (int n = 0; n < 2; n++) {
        int64_t sets = c->B * c->H / heads[n];

        if (sets % workers == 0 || sets >= 4 * workers)
            return heads[n] * x->pieces;
    }
    return 1;
}

loci_status bf16_forward(cpu_call *c, const bf16_ops *ops, loci_error *err)
{
    bf16_call x = {.c = c, .again = *c, .ops = ops, .room_bytes = ops->room_bytes(c)};

    x.rooms = rooms_of(c, cpu_call_cut(&x.again, 0), x.room_bytes, "forward", err);
    if (!x.rooms)
        return LOCI_E_ARG;
    x.again.wide = c->ops->lanes;
    x.again.tiles = (c->T + x.again.wide - 1) / x.again.wide;
    x.units = (c->T + ops->queries - 1) / ops->queries;
    x.pieces = (x.units + PIECE - 1) / PIECE;
    for (uint32_t worker = 0; worker < c->workers; worker++)
        ops->room_open(c, x.rooms + worker * x.room_bytes);
    return c->exec->host->parallel_for(c->exec, c->B * c->H * x.pieces, grain(&x), pieces, &x);
}

/* ---- backward ---- */

static void key_heads(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    bf16_call *x = arg;
    const cpu_call *c = x->c;

    for (int64_t n = begin; n < end; n++) {
        int done;

        x->ops->begin();
        done = x->ops->backward(c, x->rooms + worker * x->room_bytes, n / c->Hk, n % c->Hk);
        x->ops->end();
        if (!done)
            cpu_backward_group(c, n, worker);
    }
}

loci_status bf16_backward(cpu_call *c, const bf16_ops *ops, loci_error *err)
{
    bf16_call x = {.c = c, .again = *c, .ops = ops, .room_bytes = ops->back_bytes(c)};

    x.rooms = rooms_of(c, cpu_call_cut(&x.again, 1), x.room_bytes, "backward", err);
    if (!x.rooms)
        return LOCI_E_ARG;
    return c->exec->host->parallel_for(c->exec, c->B * c->Hk, 1, key_heads, &x);
}

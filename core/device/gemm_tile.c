/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/gemm_tile: the jobs of a product and who takes them; see gemm_tile.h. Sizes here are in panels and steps.
 */
#include "core/device/gemm_tile.h"
#include "core/device/ops.h"

#include <stdatomic.h>

#define SIDE LOCI_TILE_SIDE
#define STEP LOCI_TILE_STEP
/* Panels. */
#define KEPT 32  /* that stay packed, at most */
#define BLOCK 8  /* of those, which with a strip and their squares of C are in the second cache */
#define STRIP 16 /* at most: wide, so that a row of C is written in long pieces */
#define NARROW 2 /* a strip that is not cut any further */
/* Steps. */
#define LONG 32 /* of a round, at most: in shorter ones C is read more often, in longer ones panels leave the cache */

#define WORKERS 64     /* that share a product, at most */
#define JOBS 4         /* wanted for each */
#define WORK (1 << 17) /* multiplications for each, or fewer are called */

/* `n` of something in parts of `part`; `at` is the first of the present one. */
typedef struct span {
    int64_t n, part, at;
} span;

typedef struct tile_job {
    const loci_tiles *tiles;
    const loci_tile_product *p;
    bool keep_b;      /* else A */
    span kept, strip; /* along the side that stays packed, and the other */
    span k;           /* the present round */
} tile_job;

/* Worker w's jobs go from next[w] to where those of w + 1 begin. */
typedef struct tile_round {
    tile_job job; /* but for the present parts */
    loci_rooms *rooms;
    int64_t jobs, workers;
    atomic_int_least64_t next[WORKERS];
} tile_round;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t shares(int64_t n, int64_t part)
{
    return (n + part - 1) / part;
}

/* As few parts as hold at most `biggest`, as large as each other. */
static span cut(int64_t n, int64_t biggest)
{
    return (span){n, shares(n, shares(n, biggest)), 0};
}

/* Numbers of the present part, when the whole has `n`. */
static int64_t numbers(span s, int64_t n)
{
    return least(s.part * SIDE, n - s.at * SIDE);
}

/* ---- a round ---------------------------------------------------------------------------------------------------- */

static void pack(const tile_job *j, uint16_t *to, bool b, span side, const loci_step *s)
{
    const loci_tile_product *p = j->p;
    const int64_t row = b ? p->b_col : p->a_row, col = b ? p->b_row : p->a_col;
    const float *x = (const float *)(const void *)((b ? p->b : p->a) + s->at[b]);

    j->tiles->pack(to, j->k.part * STEP, x + side.at * SIDE * row + j->k.at * SIDE * col, row, col,
                   numbers(side, b ? p->N : p->M), numbers(j->k, p->K), b);
}

/* The strip times what is kept, a block at a time. */
static void multiply(const tile_job *j, const uint16_t *kept, const uint16_t *strip, const loci_step *s)
{
    const loci_tile_product *p = j->p;
    const int64_t pitch = j->k.part * STEP, end = least(j->kept.n, j->kept.at + j->kept.part);

    for (int64_t at = j->kept.at; at < end; at += BLOCK, kept += BLOCK * pitch) {
        const span block = {j->kept.n, least(BLOCK, end - at), at};
        const span m = j->keep_b ? j->strip : block, n = j->keep_b ? block : j->strip;

        j->tiles->multiply(&(loci_tile_block){
            .a = j->keep_b ? strip : kept,
            .b = j->keep_b ? kept : strip,
            .pitch = pitch,
            .steps = least(j->k.part, j->k.n - j->k.at),
            .M = numbers(m, p->M),
            .N = numbers(n, p->N),
            .c = (float *)(void *)(p->c + s->at[2]) + m.at * SIDE * p->c_row + n.at * SIDE,
            .c_row = p->c_row,
            .alpha = p->alpha,
            .beta = j->k.at ? 1 : p->beta,
        });
    }
}

/* A job of one worker, in its room; `held` is what is packed there: the group and item of the job before, or -1. */
static void do_job(tile_job *j, int64_t i, int64_t *held, uint16_t *room)
{
    const int64_t strips = shares(j->strip.n, j->strip.part), groups = shares(j->kept.n, j->kept.part);
    uint16_t *strip = room + j->kept.part * j->k.part * STEP;
    loci_step s;

    j->strip.at = i % strips * j->strip.part;
    j->kept.at = i / strips % groups * j->kept.part;
    loci_walk_seek(j->p->batch, &s, i / strips / groups);
    if (*held != i / strips)
        pack(j, room, j->keep_b, j->kept, &s);
    *held = i / strips;
    pack(j, strip, !j->keep_b, j->strip, &s);
    multiply(j, room, strip, &s);
}

/* A worker takes its own share, which is the same in each round, so that its part of C stays near; then what others
 * have left of theirs. */
static void work(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    tile_round *r = arg;
    tile_job j = r->job;
    uint16_t *room = NULL;
    int64_t held = -1;

    (void)begin;
    (void)end;
    for (int64_t n = 0; n < r->workers; n++) {
        const int64_t w = (worker + n) % r->workers, past = (w + 1) * r->jobs / r->workers;

        for (int64_t i; (i = atomic_fetch_add(&r->next[w], 1)) < past;) {
            if (!room) {
                room = loci_room_take(r->rooms);
                j.tiles->open();
            }
            do_job(&j, i, &held, room);
        }
    }
    if (room) {
        j.tiles->close();
        loci_room_give(r->rooms, room);
    }
}

/* ---- the product ------------------------------------------------------------------------------------------------ */

/* The shorter side stays packed, as much of it as a room of so many steps of a panel holds beside a strip. */
static tile_job plan(const loci_tiles *tiles, const loci_tile_product *p, int64_t room)
{
    const int64_t m = shares(p->M, SIDE), n = shares(p->N, SIDE), k = shares(p->K, SIDE);
    tile_job j = {.tiles = tiles, .p = p, .keep_b = n < m};

    j.kept = cut(least(m, n), KEPT);
    j.strip = cut(most(m, n), STRIP);
    j.k = cut(k, least(LONG, room / (j.kept.part + j.strip.part)));
    return j;
}

static int64_t jobs_of(const tile_job *j)
{
    return j->p->batch->count * shares(j->kept.n, j->kept.part) * shares(j->strip.n, j->strip.part);
}

loci_status loci_gemm_tiles(const loci_exec *x, const loci_tiles *tiles, loci_rooms *rooms, const loci_tile_product *p)
{
    const double work_of_round =
        (double)p->M * (double)p->N * (double)least(p->K, LONG * SIDE) * (double)p->batch->count;
    tile_round r = {.job = plan(tiles, p, (int64_t)(loci_room_bytes(rooms) / (STEP * sizeof(uint16_t)))),
                    .rooms = rooms};
    tile_job *j = &r.job;
    loci_status status = LOCI_OK;

    r.workers = least(x->host->workers(x->host), WORKERS);
    if (work_of_round < (double)r.workers * WORK)
        r.workers = (int64_t)(work_of_round / WORK) + 1;
    while (jobs_of(j) < JOBS * r.workers && j->strip.part > NARROW)
        j->strip.part = shares(j->strip.part, 2);
    r.jobs = jobs_of(j);
    for (; j->k.at < j->k.n; j->k.at += j->k.part) {
        for (int64_t w = 0; w < r.workers; w++)
            atomic_store(&r.next[w], w * r.jobs / r.workers);
        LOCI_TRY(loci_ops_for(x, r.workers, 1, work, &r));
    }
out:
    return status;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocks of fibers: see simt.h.
 *
 *  (1) One fiber per thread, its stack kept from launch to launch. A fiber that waits goes back to `run_block`, which
 *      picks the next ready one; `warps` has a bit for each warp with a ready lane, `ready` a bit for each such lane.
 *  (2) The last to arrive does the work of all: it compares sites, calls the warp function, makes the others ready
 *      (wait.cc).
 *  (3) When nothing is ready and somebody waits, two of the sites at which threads stand are the message.
 *  (4) A failed launch leaves its fibers where they are; their stacks are used again by the next.
 */
#include "block.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define CANARY 0xA5

simt_place simt_here;

fiber fibers[MOST];
fiber *now;
int n_fibers, n_block;
static int n_done;
static uint32_t ready[MOST / 32], warps;
static context scheduler;
static void (*kernel)(void *);
static void *kernel_arg;
static char message[512];
static int kind, cursor;
static uint64_t seed = 1, launches;

static void to_scheduler(void)
{
    fiber *f = now;

    fiber_switch(&f->context, &scheduler, f->at == DONE);
    simt_here.thread = f->thread;
}

static void fiber_main(void)
{
    fiber_entered(&scheduler);
    kernel(kernel_arg);
    refuse_copies();
    now->at = DONE;
    n_done++;
    to_scheduler();
    abort();
}

void make_ready(fiber *f)
{
    int n = (int)(f - fibers);

    f->at = READY;
    ready[n / 32] |= 1u << n % 32;
    warps |= 1u << n / 32;
}

void wait_as(state at)
{
    int n = (int)(now - fibers);

    now->at = at;
    ready[n / 32] &= ~(1u << n % 32);
    if (!ready[n / 32])
        warps &= ~(1u << n / 32);
    to_scheduler();
}

void simt_fail(const char *format, ...)
{
    va_list list;

    va_start(list, format);
    vsnprintf(message, sizeof message, format, list);
    va_end(list);
    to_scheduler();
    abort();
}

/* ---- which one next ---- */

static uint64_t draw(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static int first_bit(uint32_t x)
{
    return __builtin_ctz(x);
}

static int last_bit(uint32_t x)
{
    return 31 - __builtin_clz(x);
}

/* The n-th set bit, counted around. */
static int some_bit(uint32_t x, uint64_t n)
{
    for (n %= (uint64_t)__builtin_popcount(x); n; n--)
        x &= x - 1;
    return first_bit(x);
}

static fiber *next_ready(void)
{
    int w;

    switch (kind) {
    case SIMT_ROUND:
        do
            cursor = (cursor + 1) % n_fibers;
        while (!(ready[cursor / 32] >> cursor % 32 & 1));
        return fibers + cursor;
    case SIMT_REVERSED:
        do
            cursor = (cursor + n_fibers - 1) % n_fibers;
        while (!(ready[cursor / 32] >> cursor % 32 & 1));
        return fibers + cursor;
    case SIMT_AHEAD:
        w = first_bit(warps);
        return fibers + w * 32 + first_bit(ready[w]);
    case SIMT_BEHIND:
        w = last_bit(warps);
        return fibers + w * 32 + last_bit(ready[w]);
    default:
        w = some_bit(warps, draw());
        return fibers + w * 32 + some_bit(ready[w], draw());
    }
}

/* Nothing is ready: two of the places at which threads stand. */
static void stuck(void)
{
    const fiber *a = NULL, *b = NULL;

    for (int n = 0; n < n_fibers; n++)
        if (fibers[n].at != DONE && !a)
            a = fibers + n;
    for (int n = 0; n < n_fibers && !b; n++)
        if (fibers[n].at == DONE || fibers[n].line != a->line || fibers[n].file != a->file)
            b = fibers + n;
    if (b && b->at != DONE)
        snprintf(message, sizeof message, "divergent: thread %d waits in %s at %s:%d, thread %d in %s at %s:%d",
                 (int)(a - fibers), a->what, a->file, a->line, (int)(b - fibers), b->what, b->file, b->line);
    else
        snprintf(message, sizeof message, "divergent: thread %d waits in %s at %s:%d, thread %d %s", (int)(a - fibers),
                 a->what, a->file, a->line, b ? (int)(b - fibers) : -1, b ? "has returned" : "is not in its mask");
}

static void start(fiber *f, int n)
{
    dim3 d = simt_here.block_dim;

    fiber_begin(&f->context, fiber_main);
    f->thread = dim3((unsigned)n % d.x, (unsigned)n / d.x % d.y, (unsigned)n / d.x / d.y);
    f->n_copies = f->group = f->line = 0;
    f->file = "";
    f->what = "";
    make_ready(f);
}

static void run_block(void)
{
    n_done = n_block = 0;
    warps = 0;
    memset(ready, 0, sizeof ready);
    for (int n = 0; n < n_fibers; n++)
        start(fibers + n, n);
    cursor = kind == SIMT_ROUND ? n_fibers - 1 : 0;
    while (n_done < n_fibers && !message[0]) {
        if (!warps) {
            stuck();
            return;
        }
        now = next_ready();
        simt_here.thread = now->thread;
        fiber_switch(&scheduler, &now->context, 0);
        if (now->at == DONE) {
            int n = (int)(now - fibers);

            ready[n / 32] &= ~(1u << n % 32);
            if (!ready[n / 32])
                warps &= ~(1u << n / 32);
        }
    }
}

/* ---- launching ---- */

static unsigned char *new_shared(size_t bytes)
{
    void *p = NULL;

    if (posix_memalign(&p, 1024, bytes + (SIMT_ASAN ? 0 : 64))) {
        perror("simt: no shared memory");
        exit(1);
    }
    memset(p, 0xff, bytes);
    if (!SIMT_ASAN)
        memset((char *)p + bytes, CANARY, 64);
    return (unsigned char *)p;
}

static void check_shared(const unsigned char *p, size_t bytes)
{
    for (size_t n = 0; !SIMT_ASAN && n < 64; n++)
        if (p[bytes + n] != CANARY && !message[0])
            snprintf(message, sizeof message, "block %u,%u,%u writes past its %zu bytes of shared memory",
                     simt_here.block.x, simt_here.block.y, simt_here.block.z, bytes);
}

void (*simt_around)(int begins);
uint64_t simt_up_times, simt_up_bytes;

void simt_up(void *to, const void *from, size_t bytes)
{
    if (simt_around)
        simt_around(1);
    memcpy(to, from, bytes);
    if (simt_around)
        simt_around(0);
    simt_up_times++;
    simt_up_bytes += bytes;
}

int simt_launch(dim3 grid, dim3 block, size_t shared_bytes, void (*run)(void *), void *arg)
{
    uint64_t blocks = (uint64_t)grid.x * grid.y * grid.z;
    unsigned threads = block.x * block.y * block.z;

    message[0] = 0;
    launches++;
    if (threads == 0 || threads > MOST || threads % 32 || !blocks || grid.y > 65535 || grid.z > 65535 ||
        shared_bytes > (size_t)99 << 10) {
        snprintf(message, sizeof message, "a launch of %ux%ux%u blocks of %u threads with %zu bytes of shared memory",
                 grid.x, grid.y, grid.z, threads, shared_bytes);
        return 1;
    }
    n_fibers = (int)threads;
    kernel = run;
    kernel_arg = arg;
    simt_here.grid_dim = grid;
    simt_here.block_dim = block;
    if (simt_around)
        simt_around(1);
    for (uint64_t n = 0; n < blocks && !message[0]; n++) {
        uint64_t at = kind == SIMT_REVERSED || kind == SIMT_BEHIND ? blocks - 1 - n : n;

        simt_here.block =
            dim3((unsigned)(at % grid.x), (unsigned)(at / grid.x % grid.y), (unsigned)(at / grid.x / grid.y));
        simt_here.shared = new_shared(shared_bytes);
        run_block();
        check_shared(simt_here.shared, shared_bytes);
        free(simt_here.shared);
    }
    for (int n = 0; n < n_fibers; n++)
        drop_copies(fibers + n);
    if (simt_around)
        simt_around(0);
    return message[0] != 0;
}

void simt_schedule(int which, uint64_t with)
{
    kind = which;
    seed = with * 2 + 1;
}

const char *simt_schedule_name(int which)
{
    static const char *const names[] = {"round robin", "reversed", "ahead", "behind", "random"};

    return names[which];
}

const char *simt_message(void)
{
    return message;
}

uint64_t simt_launches(void)
{
    return launches;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/simt/rt_simt: rt.h on the host, so that the device runs where there is no card. Kernels are those of
 * tests/simt.
 *
 *  (1) Device memory is one range of addresses. Outside of kernels and copies it can be neither read nor written: host
 *      code that touches a device tensor dies at that instruction, with a line that says so.
 *  (2) It is new for each allocation and full of 0xFF, NaN in f32 and f64; behind each lies a guard whose bytes are
 *      compared when it is freed. AddressSanitizer is told that nothing else may be touched.
 *  (3) Work is done when it is asked for, so a stream is in order. A staged list lands only when the next kernel starts
 *      or somebody waits: whoever overwrites pinned memory too early, or forgets to send, computes with the wrong list.
 *  (4) SIMT_COPIES=PATH appends "what times bytes" for up, down, stage, copy and zero to PATH when the program ends.
 *  (5) SIMT_CARD=none: there is no driver. SIMT_CARD=old: a card of compute capability 7.5.
 */
#include "plugins/attn_cuda/rt.h"
#include "tests/simt/asan.h"
#include "tests/simt/schedule.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MEMORY (UINT64_C(1) << 29) /* addresses, not bytes that are used */
#define PAGE (UINT64_C(2) << 20)
#define GUARD UINT64_C(64)
#define FILLED (UINT64_C(1) << 20) /* what is longer is full of 0 after so much: pages that nobody uses stay away */
#define MOST_BLOCKS 65536
#define MOST_STAGED 1024

struct block {
    uint64_t at, bytes; /* bytes: as asked for; the block is longer by the guard, rounded up */
    int used;
};

static char *memory;
static uint64_t end; /* all blocks lie before it */
static struct block blocks[MOST_BLOCKS];
static int n_blocks;
static struct {
    char *dst;
    const char *src;
    uint64_t bytes;
} staged[MOST_STAGED];
static int n_staged;
static struct count {
    const char *what;
    uint64_t times, bytes;
} counts[] = {{"up", 0, 0}, {"down", 0, 0}, {"stage", 0, 0}, {"copy", 0, 0}, {"zero", 0, 0}};
enum { UP, DOWN, STAGE, COPY, ZERO, COUNTS };

/* Whole pages of the large kind: with small ones the table of pages, walked twice a launch, is most of the time. */
static void open_memory(int on)
{
    if (memory && end)
        (void)mprotect(memory, (end + PAGE - 1) & ~(PAGE - 1), on ? PROT_READ | PROT_WRITE : PROT_NONE);
}

static void land(void)
{
    for (int i = 0; i < n_staged; i++)
        memcpy(staged[i].dst, staged[i].src, staged[i].bytes);
    n_staged = 0;
}

/* Around every launch. */
static void around(int on)
{
    open_memory(on);
    if (on)
        land();
}

static void touched(int sig, siginfo_t *info, void *context)
{
    static const char text[] = "rt_simt: host code touches device memory\n";

    (void)context;
    if ((char *)info->si_addr >= memory && (char *)info->si_addr < memory + MEMORY)
        (void)!write(2, text, sizeof text - 1);
    signal(sig, SIG_DFL);
}

static void report(void)
{
    const char *path = getenv("SIMT_COPIES");
    FILE *f = path ? fopen(path, "a") : NULL;

    counts[STAGE].times += simt_up_times;
    counts[STAGE].bytes += simt_up_bytes;
    for (int i = 0; f && i < COUNTS; i++)
        fprintf(f, "%s %llu %llu\n", counts[i].what, (unsigned long long)counts[i].times,
                (unsigned long long)counts[i].bytes);
    if (f)
        fclose(f);
}

static void counted(int what, uint64_t bytes)
{
    counts[what].times++;
    counts[what].bytes += bytes;
}

static uint64_t whole(uint64_t bytes)
{
    return (bytes + GUARD + 255) & ~UINT64_C(255);
}

const char *rt_probe(rt_card *card)
{
    const char *kind = getenv("SIMT_CARD");

    if (kind && !strcmp(kind, "none"))
        return "no NVIDIA driver is loaded";
    *card = (rt_card){.name = "host fibers", .major = 8, .minor = 0, .processors = 1, .memory = MEMORY};
    if (kind && !strcmp(kind, "old"))
        card->major = 7, card->minor = 5;
    return NULL;
}

static int first_memory(void)
{
    struct sigaction act = {.sa_sigaction = touched, .sa_flags = SA_SIGINFO};
    char *const room = mmap(NULL, MEMORY + PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (room == MAP_FAILED)
        return 0;
    memory = room + (PAGE - (uintptr_t)room % PAGE);
    (void)madvise(memory, MEMORY, MADV_HUGEPAGE);
    ASAN_POISON_MEMORY_REGION(memory, MEMORY);
    sigaction(SIGSEGV, &act, NULL);
    simt_around = around;
    atexit(report);
    return 1;
}

const char *rt_malloc(void **p, uint64_t bytes)
{
    struct block *b = NULL;

    *p = NULL;
    if ((!memory && !first_memory()) || bytes > MEMORY / 2)
        return "out of memory";
    for (int i = 0; i < n_blocks && !b; i++)
        if (!blocks[i].used && whole(blocks[i].bytes) == whole(bytes))
            b = &blocks[i];
    if (!b) {
        if (n_blocks == MOST_BLOCKS || end + whole(bytes) > MEMORY)
            return "out of memory";
        b = &blocks[n_blocks++];
        b->at = end;
        end += (whole(bytes) + 4095) & ~UINT64_C(4095);
    }
    b->bytes = bytes;
    b->used = 1;
    open_memory(1);
    ASAN_UNPOISON_MEMORY_REGION(memory + b->at, whole(bytes));
    memset(memory + b->at, 0xFF, bytes < FILLED ? bytes : FILLED);
    memset(memory + b->at + bytes, 0x5A, whole(bytes) - bytes);
    ASAN_POISON_MEMORY_REGION(memory + b->at + bytes, whole(bytes) - bytes);
    open_memory(0);
    *p = memory + b->at;
    return NULL;
}

void rt_free(void *p)
{
    for (int i = 0; i < n_blocks && p; i++) {
        const struct block *b = &blocks[i];

        if (!b->used || memory + b->at != (char *)p)
            continue;
        open_memory(1);
        ASAN_UNPOISON_MEMORY_REGION(memory + b->at, whole(b->bytes));
        for (uint64_t k = b->bytes; k < whole(b->bytes); k++)
            if (memory[b->at + k] != 0x5A) {
                fprintf(stderr, "rt_simt: a kernel wrote %llu bytes past an allocation of %llu\n",
                        (unsigned long long)(k - b->bytes), (unsigned long long)b->bytes);
                abort();
            }
        ASAN_POISON_MEMORY_REGION(memory + b->at, whole(b->bytes));
        open_memory(0);
        blocks[i].used = 0;
        return;
    }
    if (p) {
        fprintf(stderr, "rt_simt: %p is freed, which is no allocation\n", p);
        abort();
    }
}

const char *rt_pinned(void **p, uint64_t bytes)
{
    *p = aligned_alloc(64, (size_t)((bytes + 63) & ~UINT64_C(63)));
    return *p ? NULL : "out of memory";
}

void rt_unpin(void *p)
{
    free(p);
}

static const char *move(int what, void *dst, const void *src, uint64_t bytes)
{
    counted(what, bytes);
    around(1);
    if (src)
        memmove(dst, src, bytes);
    else
        memset(dst, 0, bytes);
    around(0);
    return NULL;
}

const char *rt_zero(void *stream, void *dst, uint64_t bytes)
{
    (void)stream;
    return move(ZERO, dst, NULL, bytes);
}

const char *rt_copy(void *stream, void *dst, const void *src, uint64_t bytes)
{
    (void)stream;
    return move(COPY, dst, src, bytes);
}

const char *rt_up(void *stream, void *dst, const void *src, uint64_t bytes)
{
    (void)stream;
    return move(UP, dst, src, bytes);
}

const char *rt_down(void *stream, void *dst, const void *src, uint64_t bytes)
{
    (void)stream;
    return move(DOWN, dst, src, bytes);
}

const char *rt_stage(void *stream, void *dst, const void *pinned, uint64_t bytes)
{
    counted(STAGE, bytes);
    if (n_staged == MOST_STAGED)
        rt_wait(stream);
    staged[n_staged].dst = dst;
    staged[n_staged].src = pinned;
    staged[n_staged++].bytes = bytes;
    return NULL;
}

const char *rt_wait(void *stream)
{
    (void)stream;
    around(1);
    around(0);
    return NULL;
}

const char *rt_error(int e)
{
    return e ? simt_message() : NULL;
}

/* A mark is passed once everything staged before it has landed. */
const char *rt_mark_new(void **mark)
{
    *mark = malloc(1);
    return *mark ? NULL : "out of memory";
}

void rt_mark_free(void *mark)
{
    free(mark);
}

const char *rt_mark(void *mark, void *stream)
{
    (void)mark;
    (void)stream;
    return NULL;
}

const char *rt_mark_wait(void *mark)
{
    (void)mark;
    return rt_wait(NULL);
}

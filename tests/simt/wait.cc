/* SPDX-License-Identifier: Apache-2.0
 *
 * Where fibers wait: operations of a warp, barriers, cp.async. See simt.h and simt.cc.
 */
#include "block.h"

#include <stdio.h>
#include <stdlib.h>

static void stand(const char *what, const char *file, int line)
{
    now->what = what;
    now->file = file;
    now->line = line;
}

static void same_site(const fiber *a, const fiber *b)
{
    if (a->line != b->line || strcmp(a->file, b->file) || a->fn != b->fn)
        simt_fail("divergent: thread %d is in %s at %s:%d, thread %d in %s at %s:%d", (int)(a - fibers), a->what,
                  a->file, a->line, (int)(b - fibers), b->what, b->file, b->line);
}

void simt_warp(const char *what, simt_warp_fn *fn, void *arg, uint32_t mask, const char *file, int line)
{
    int self = (int)(now - fibers), base = self / 32 * 32;
    void *all[32];

    stand(what, file, line);
    now->mask = mask;
    now->fn = fn;
    now->arg = arg;
    if (!(mask >> self % 32 & 1))
        simt_fail("thread %d is not in the mask %08x of %s at %s:%d", self, mask, what, file, line);
    for (int n = 0; n < 32; n++) {
        const fiber *f = fibers + base + n;

        all[n] = mask >> n & 1 ? f->arg : NULL;
        if ((mask >> n & 1) && base + n != self && (f->at != IN_WARP || f->mask != mask)) {
            wait_as(IN_WARP);
            return;
        }
    }
    for (int n = 0; n < 32; n++)
        if (mask >> n & 1)
            same_site(fibers + base + n, now); /* (2) */
    if (fn)
        fn(all);
    for (int n = 0; n < 32; n++)
        if ((mask >> n & 1) && base + n != self)
            make_ready(fibers + base + n);
}

void simt_warp_sync(uint32_t mask, const char *file, int line)
{
    if (!simt_skipped("syncwarp", file, line))
        simt_warp("__syncwarp", NULL, NULL, mask, file, line);
}

void simt_block(const char *file, int line)
{
    if (simt_skipped("syncthreads", file, line))
        return;
    stand("__syncthreads", file, line);
    now->fn = NULL;
    if (++n_block < n_fibers) {
        wait_as(IN_BLOCK);
        return;
    }
    n_block = 0;
    for (int n = 0; n < n_fibers; n++)
        same_site(fibers + n, now); /* (2) */
    for (int n = 0; n < n_fibers; n++)
        if (fibers + n != now)
            make_ready(fibers + n);
}

/* ---- cp.async ---- */

struct copy {
    void *to;
    const void *from;
    const char *file;
    int line, bytes, size, group;
};

void refuse_copies(void)
{
    if (now->n_copies)
        simt_fail("thread %d returns with the cp.async of %s:%d in flight", (int)(now - fibers), now->copies->file,
                  now->copies->line);
}

void drop_copies(fiber *f)
{
    free(f->copies);
    f->copies = NULL;
    f->room = 0;
}

void simt_copy(void *shared, const void *global, int bytes, int size, const char *file, int line)
{
    const uintptr_t unit = (uintptr_t)size;
    struct copy c = {shared, global, file, line, bytes, size, now->group};

    if ((uintptr_t)shared % unit || (bytes && (uintptr_t)global % unit) || bytes < 0 || bytes > size)
        simt_fail("cp.async of %d bytes from %p to %p at %s:%d: wanted 0 to %d between addresses divisible by %d",
                  bytes, global, shared, file, line, size, size);
    if (now->n_copies == now->room) {
        now->room = now->room ? 2 * now->room : 16;
        now->copies = (struct copy *)realloc(now->copies, (size_t)now->room * sizeof c);
        if (!now->copies) {
            perror("simt: no memory for copies");
            exit(1);
        }
    }
    now->copies[now->n_copies++] = c;
}

void simt_copy_commit(void)
{
    now->group++;
}

/* All but the latest `groups` land. */
void simt_copy_wait(int groups, const char *file, int line)
{
    int n = 0;

    if (simt_skipped("cp.async.wait_group", file, line))
        return;
    while (n < now->n_copies && now->copies[n].group < now->group - groups) {
        const struct copy *c = now->copies + n++;

        if (c->bytes)
            memcpy(c->to, c->from, (size_t)c->bytes);
        memset((char *)c->to + c->bytes, 0, (size_t)(c->size - c->bytes));
    }
    now->n_copies -= n;
    if (n)
        memmove(now->copies, now->copies + n, (size_t)now->n_copies * sizeof *now->copies);
}

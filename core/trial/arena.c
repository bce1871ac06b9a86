/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory with guard pages; see arena.h.
 *
 *     | page, closed | free, 0xa5 ... | the arena | < align bytes, 0xa5 | page, closed |
 *
 * and on a device, without pages:
 *
 *     | 64 to 127 bytes, 0xa5 | the arena | 64 to 127 bytes, 0xa5 |
 */
#include "core/trial/arena.h"
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CANARY 0xa5

#define ROOM UINT64_C(64) /* of known bytes, at least, on either side of what lies on a device */

static char *page_behind(const struct arena *a, uint64_t page)
{
    return (char *)a->map + a->mapped - page;
}

static loci_status host_side(struct arena *a, uint64_t bytes, uint64_t align, bool guard, loci_error *err)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    char *end;

    *a = (struct arena){.bytes = bytes};
    if (!guard) {
        a->at = loci_alloc(bytes);
        return a->at ? LOCI_OK : loci_fail(err, LOCI_E_NOMEM, "out of memory: %llu bytes", (unsigned long long)bytes);
    }
    if (bytes > UINT64_C(1) << 46)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory: %llu bytes", (unsigned long long)bytes);
    a->mapped = (bytes + align + page - 1) / page * page + 2 * page;
    a->map = mmap(NULL, a->mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (a->map == MAP_FAILED || mprotect((char *)a->map + page, a->mapped - 2 * page, PROT_READ | PROT_WRITE) != 0) {
        if (a->map != MAP_FAILED)
            munmap(a->map, a->mapped);
        *a = (struct arena){0};
        return loci_fail(err, LOCI_E_NOMEM, "out of memory: %llu bytes between guard pages", (unsigned long long)bytes);
    }
    end = page_behind(a, page);
    memset((char *)a->map + page, CANARY, a->mapped - 2 * page);
    a->at = end - (bytes + align - 1) / align * align;
    loci__arena_spoil(a);
    return LOCI_OK;
}

/* Bytes before what lies on the device: (2). */
static uint64_t before(const struct arena *a)
{
    return ROOM + (uint64_t)(uintptr_t)a->at % 64;
}

static uint64_t card_bytes(const struct arena *a)
{
    return before(a) + a->bytes + ROOM;
}

static loci_status failed(const struct arena *a, const char *what, loci_error *err)
{
    return loci_fail(err, LOCI_E_DEVICE, "device/%s: %s of %llu bytes failed", a->cx->device_meta->id, what,
                     (unsigned long long)card_bytes(a));
}

/* The known bytes before and behind. */
static loci_status surround(const struct arena *a, loci_error *err)
{
    const loci_device_class *d = a->cx->device_class;
    unsigned char known[2 * ROOM];

    memset(known, CANARY, sizeof known);
    if (d->up(a->cx->device_module, NULL, a->card, known, before(a)) != LOCI_OK ||
        d->up(a->cx->device_module, NULL, a->card + before(a) + a->bytes, known, ROOM) != LOCI_OK)
        return failed(a, "filling", err);
    return LOCI_OK;
}

loci_status loci__arena_new(struct arena *a, loci_context *cx, uint64_t bytes, uint64_t align, bool guard,
                            loci_error *err)
{
    loci_status status = host_side(a, bytes, align, guard, err);

    if (status != LOCI_OK || !cx || cx->device.type == LOCI_CPU)
        return status;
    a->cx = cx;
    if (!(a->card = loci_device_alloc(cx, card_bytes(a))))
        status = loci_fail(err, LOCI_E_NOMEM, "device/%s: out of memory: %llu bytes", cx->device_meta->id,
                           (unsigned long long)card_bytes(a));
    return status == LOCI_OK ? surround(a, err) : status;
}

void loci__arena_free(struct arena *a)
{
    if (a->card)
        loci_device_free(a->cx, a->card);
    if (a->map)
        munmap(a->map, a->mapped);
    else
        loci_free(a->at);
    *a = (struct arena){0};
}

void loci__arena_spoil(struct arena *a)
{
    if (a->map)
        memset(a->at, 0xff, a->bytes);
}

static bool canaries(const char *from, const char *to)
{
    for (; from < to; from++)
        if ((unsigned char)*from != CANARY)
            return false;
    return true;
}

static bool card_intact(const struct arena *a)
{
    const loci_device_class *d = a->cx->device_class;
    char known[3 * ROOM];

    return d->down(a->cx->device_module, NULL, known, a->card, before(a)) == LOCI_OK &&
           d->down(a->cx->device_module, NULL, known + before(a), a->card + before(a) + a->bytes, ROOM) == LOCI_OK &&
           canaries(known, known + before(a) + ROOM);
}

bool loci__arena_intact(const struct arena *a)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

    return (!a->map ||
            (canaries((char *)a->map + page, a->at) && canaries((char *)a->at + a->bytes, page_behind(a, page)))) &&
           (!a->card || card_intact(a));
}

void *loci__arena_given(const struct arena *a)
{
    return a->card ? a->card + before(a) : a->at;
}

loci_status loci__arena_up(struct arena *a, loci_error *err)
{
    return !a->card || !a->bytes ||
                   a->cx->device_class->up(a->cx->device_module, NULL, loci__arena_given(a), a->at, a->bytes) == LOCI_OK
               ? LOCI_OK
               : failed(a, "a copy up", err);
}

loci_status loci__arena_down(struct arena *a, loci_error *err)
{
    return !a->card || !a->bytes ||
                   a->cx->device_class->down(a->cx->device_module, NULL, a->at, loci__arena_given(a), a->bytes) ==
                       LOCI_OK
               ? LOCI_OK
               : failed(a, "a copy down", err);
}

/* `down` has finished when it returns, and what was asked for before it too. */
loci_status loci__arena_wait(const struct arena *a, loci_error *err)
{
    char known;

    return !a->card || a->cx->device_class->down(a->cx->device_module, NULL, &known, a->card, 1) == LOCI_OK
               ? LOCI_OK
               : failed(a, "waiting for the use", err);
}

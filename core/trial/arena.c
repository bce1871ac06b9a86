/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory with guard pages; see arena.h.
 *
 *     | page, closed | free, 0xa5 ... | the arena | < align bytes, 0xa5 | page, closed |
 */
#include "core/trial/arena.h"
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CANARY 0xa5

static char *page_behind(const struct arena *a, uint64_t page)
{
    return (char *)a->map + a->mapped - page;
}

loci_status loci__arena_new(struct arena *a, uint64_t bytes, uint64_t align, bool guard, loci_error *err)
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

void loci__arena_free(struct arena *a)
{
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

bool loci__arena_intact(const struct arena *a)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

    return !a->map ||
           (canaries((char *)a->map + page, a->at) && canaries((char *)a->at + a->bytes, page_behind(a, page)));
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/room: see room.h.
 */
#include "core/device/room.h"
#include "core/base/base.h"

#include <sched.h>
#include <stdatomic.h>

struct loci_rooms {
    char *memory;
    atomic_flag *taken;
    uint32_t n;
    size_t bytes; /* a multiple of 64 */
};

loci_rooms *loci_rooms_new(uint32_t n, size_t bytes)
{
    loci_rooms *r = loci_alloc(sizeof *r);

    if (!r)
        return NULL;
    r->n = n;
    r->bytes = (bytes + 63) / 64 * 64;
    r->memory = loci_alloc(n * r->bytes);
    r->taken = loci_alloc(n * sizeof *r->taken);
    if (!r->memory || !r->taken) {
        loci_rooms_free(r);
        return NULL;
    }
    for (uint32_t i = 0; i < n; i++)
        atomic_flag_clear(&r->taken[i]);
    return r;
}

void loci_rooms_free(loci_rooms *r)
{
    if (!r)
        return;
    loci_free(r->memory);
    loci_free(r->taken);
    loci_free(r);
}

size_t loci_room_bytes(const loci_rooms *r)
{
    return r->bytes;
}

void *loci_room_take(loci_rooms *r)
{
    for (;; sched_yield()) /* (2) */
        for (uint32_t i = 0; i < r->n; i++)
            if (!atomic_flag_test_and_set_explicit(&r->taken[i], memory_order_acquire))
                return r->memory + i * r->bytes;
}

void loci_room_give(loci_rooms *r, void *room)
{
    atomic_flag_clear_explicit(&r->taken[(size_t)((char *)room - r->memory) / r->bytes], memory_order_release);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/room: memory for the operands of a block, one room for each worker of a device.
 *
 *  (1) Rooms are allocated once, so that a product allocates nothing.
 *  (2) Whoever takes a room gives it back without waiting for anybody in between. So a thread that finds all rooms
 * taken, which happens only when several threads call one device, waits for a moment, not for an event.
 */
#ifndef LOCI_CORE_DEVICE_ROOM_H
#define LOCI_CORE_DEVICE_ROOM_H

#include <stddef.h>
#include <stdint.h>

typedef struct loci_rooms loci_rooms;

/* n rooms of so many bytes, each on a boundary of 64; NULL: no memory. */
loci_rooms *loci_rooms_new(uint32_t n, size_t bytes);
void loci_rooms_free(loci_rooms *r);         /* accepts NULL */
size_t loci_room_bytes(const loci_rooms *r); /* of one: what was asked for, or a little more */
void *loci_room_take(loci_rooms *r);
void loci_room_give(loci_rooms *r, void *room);

#endif

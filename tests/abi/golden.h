/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/abi/golden.h: how a golden plugin and its host compare what crossed the border.
 *
 * Each side says what it does, in lines through host->log, and the host (tests/abi/witness.h) compares:
 *
 *     put NAME BITS        a member was written            got NAME BITS        it was read on the other side
 *     ask NAME BITS...     a function was called with      heard NAME BITS...   its body received
 *
 *  (1) NAME and the access are made of the same words, TYPE and MEMBER, so that they cannot disagree. The names heard in
 *      a run are what the run has touched; tests/abi/golden.sh compares them with the ledger.
 *  (2) BITS are the bytes of a number or pointer, or a hash of what is longer than 8 bytes. Both sides are one process,
 *      so pointers compare.
 *  (3) A value that a member got is found nowhere else in its struct, so that a shift shows.
 */
#ifndef LOCI_TESTS_ABI_GOLDEN_H
#define LOCI_TESTS_ABI_GOLDEN_H

#include <loci/plugin.h>
#include <stdio.h>
#include <string.h>

#define GOLDEN_MODULE "golden"

static inline uint64_t golden_bits(const void *p, size_t n)
{
    const unsigned char *b = (const unsigned char *)p;
    uint64_t bits = 0;

    if (n <= sizeof bits) {
        memcpy(&bits, p, n);
        return bits;
    }
    bits = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (size_t i = 0; i < n; i++)
        bits = (bits ^ b[i]) * UINT64_C(0x100000001b3);
    return bits;
}

static inline void golden_say(const loci_host *h, const char *verb, const char *name, int n, const uint64_t *cells)
{
    char line[320];
    int at = snprintf(line, sizeof line, "%s %s", verb, name);

    for (int i = 0; i < n; i++)
        at += snprintf(line + at, sizeof line - (size_t)at, " %016llx", (unsigned long long)cells[i]);
    h->log(h, LOCI_LOG_DEBUG, GOLDEN_MODULE, line);
}

static inline void golden_say_bytes(const loci_host *h, const char *verb, const char *name, const void *p, size_t n)
{
    const uint64_t cell = golden_bits(p, n);

    golden_say(h, verb, name, 1, &cell);
}

/* ---- members ---- */

#define SIZE_OF(type, member) sizeof(((type *)0)->member)
/* Read, write, or tell of what a table holds already. */
#define GOT(h, type, p, member) \
    golden_say_bytes(h, "got", #type "." #member, &((const type *)(p))->member, SIZE_OF(type, member))
#define TELL(h, type, p, member) \
    golden_say_bytes(h, "put", #type "." #member, &((const type *)(p))->member, SIZE_OF(type, member))
#define PUT(h, type, p, member, value) (((type *)(p))->member = (value), TELL(h, type, p, member))

/* ---- calls ---- */

static inline uint64_t golden_real(double x)
{
    return golden_bits(&x, sizeof x);
}
static inline uint64_t golden_whole(int64_t x)
{
    return (uint64_t)x;
}
static inline uint64_t golden_pointer(const void *p)
{
    return (uint64_t)(uintptr_t)p;
}
static inline uint64_t golden_task(loci_task_fn fn)
{
    return golden_bits(&fn, sizeof fn);
}
static inline uint64_t golden_device(loci_device d)
{
    return golden_bits(&d, sizeof d);
}
#define CELL(x) \
    _Generic((x), \
        double: golden_real, \
        float: golden_real, \
        int32_t: golden_whole, \
        uint32_t: golden_whole, \
        int64_t: golden_whole, \
        uint64_t: golden_whole, \
        loci_device: golden_device, \
        loci_task_fn: golden_task, \
        default: golden_pointer)(x)
#define CELLS_1(a) CELL(a)
#define CELLS_2(a, ...) CELL(a), CELLS_1(__VA_ARGS__)
#define CELLS_3(a, ...) CELL(a), CELLS_2(__VA_ARGS__)
#define CELLS_4(a, ...) CELL(a), CELLS_3(__VA_ARGS__)
#define CELLS_5(a, ...) CELL(a), CELLS_4(__VA_ARGS__)
#define CELLS_6(a, ...) CELL(a), CELLS_5(__VA_ARGS__)
#define CELLS_7(a, ...) CELL(a), CELLS_6(__VA_ARGS__)
#define CELLS_8(a, ...) CELL(a), CELLS_7(__VA_ARGS__)
#define CELLS_9(a, ...) CELL(a), CELLS_8(__VA_ARGS__)
#define CELLS_10(a, ...) CELL(a), CELLS_9(__VA_ARGS__)
#define CELLS_PICK(a, b, c, d, e, f, g, h, i, j, name, ...) name
#define CELLS(...) \
    CELLS_PICK(__VA_ARGS__, CELLS_10, CELLS_9, CELLS_8, CELLS_7, CELLS_6, CELLS_5, CELLS_4, CELLS_3, CELLS_2, CELLS_1, \
               0) \
    (__VA_ARGS__)
#define SAY_CELLS(h, verb, name, ...) \
    golden_say(h, verb, name, (int)(sizeof((uint64_t[]){CELLS(__VA_ARGS__)}) / 8), (uint64_t[]){CELLS(__VA_ARGS__)})

/* Call TYPE's function at p; the arguments are evaluated more than once. */
#define ASK(h, type, p, fn, ...) \
    (SAY_CELLS(h, "ask", #type "." #fn, __VA_ARGS__), ((const type *)(p))->fn(__VA_ARGS__))
/* First line of a function's body. */
#define HEARD(h, type, fn, ...) SAY_CELLS(h, "heard", #type "." #fn, __VA_ARGS__)
/* What a function returns, and what its caller received. */
#define ANSWER(h, type, fn, value) SAY_CELLS(h, "put", #type "." #fn "()", value)
#define CAME(h, type, fn, value) SAY_CELLS(h, "got", #type "." #fn "()", value)

#endif

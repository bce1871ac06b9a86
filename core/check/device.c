/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: tests of a device: its memory and its threads. What it computes is tested by those who ask it to.
 */
#include "core/check/life.h"
#include "core/plugin/look.h"

#include <loci/device.h>
#include <stdatomic.h>
#include <string.h>

struct bytes {
    const loci_device_class *d;
    loci_module *m;
    unsigned char *a, *b; /* of the device */
};

static loci_status step(loci_status status, const char *what, loci_error *err)
{
    return status == LOCI_OK ? LOCI_OK : loci_fail(err, LOCI_E_PLUGIN, "%s failed with status %d", what, (int)status);
}

/* up, copy, zero a part, down: each n bytes from an odd place on. */
static loci_status round_trip(struct bytes *t, uint64_t n, loci_error *err)
{
    enum { FROM = 3, MOST = 5000 };
    unsigned char sent[MOST], back[MOST];
    loci_status status;

    for (uint64_t i = 0; i < n; i++)
        sent[i] = (unsigned char)(i * 7 + n);
    loci_stage("up of %llu bytes", (unsigned long long)n);
    LOCI_TRY(step(t->d->up(t->m, NULL, t->a + FROM, sent, n), "up", err));
    loci_stage("copy of %llu bytes", (unsigned long long)n);
    LOCI_TRY(step(t->d->copy(t->m, NULL, t->b + 1, t->a + FROM, n), "copy", err));
    loci_stage("zero of %llu bytes", (unsigned long long)(n / 2));
    LOCI_TRY(step(t->d->zero(t->m, NULL, t->b + 1, n / 2), "zero", err));
    loci_stage("down of %llu bytes", (unsigned long long)n);
    memset(back, 0xA5, sizeof back);
    LOCI_TRY(step(t->d->down(t->m, NULL, back, t->b + 1, n), "down", err));
    for (uint64_t i = 0; i < sizeof back; i++) {
        const unsigned char due = i >= n ? 0xA5 : i < n / 2 ? 0 : sent[i];
        if (back[i] != due)
            LOCI_TRY(loci_fail(err, LOCI_E_PLUGIN,
                               "%llu bytes went up, were copied and came down: byte %llu is %u, not %u",
                               (unsigned long long)n, (unsigned long long)i, back[i], due));
    }
out:
    return status;
}

loci_status loci_check_device_memory(loci_check *c, loci_error *err)
{
    static const uint64_t sizes[] = {0, 1, 63, 64, 65, 4096, 5000};
    const loci_device_class *d = c->cls->iface;
    struct bytes t = {.d = d};
    loci_life life;
    loci_status status;

    LOCI_TRY(loci_life_open(&life, c, err));
    LOCI_TRY(loci_life_must_make(&life, &t.m, err));
    loci_stage("alloc");
    t.a = d->alloc(t.m, 5100);
    t.b = d->alloc(t.m, 5100);
    if (!t.a || !t.b || t.a == t.b)
        LOCI_TRY(
            loci_fail(err, LOCI_E_PLUGIN, "alloc of 5100 bytes, twice, gives %p and %p", (void *)t.a, (void *)t.b));
    if ((uintptr_t)t.a % 64 || (uintptr_t)t.b % 64)
        LOCI_TRY(
            loci_fail(err, LOCI_E_PLUGIN, "alloc gives %p and %p: 64-byte alignment is due", (void *)t.a, (void *)t.b));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        LOCI_TRY(round_trip(&t, sizes[i], err));
    loci_stage("alloc of 2^62 bytes"); /* which a sanitizer's malloc calls a mistake */
    if (!loci_host_san() && d->alloc(t.m, UINT64_C(1) << 62))
        LOCI_TRY(loci_fail(err, LOCI_E_PLUGIN, "alloc gives 2^62 bytes, which no device has: NULL is due"));
    loci_stage("free of NULL");
    d->free(t.m, NULL);
out:
    if (t.m) {
        d->free(t.m, t.a);
        d->free(t.m, t.b);
        loci_life_end(&life, t.m);
    }
    loci_life_close(&life);
    return status;
}

enum { ITEMS = 1000 };

struct tally {
    atomic_int seen[ITEMS], wrong;
    int64_t n, grain;
    uint32_t workers;
};

static void count_items(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    struct tally *t = arg;

    if (worker >= t->workers || begin < 0 || end > t->n || begin >= end || begin % t->grain ||
        (end != t->n && end - begin != t->grain) || end - begin > t->grain)
        atomic_fetch_add(&t->wrong, 1);
    for (int64_t i = begin < 0 ? 0 : begin; i < end && i < ITEMS; i++)
        atomic_fetch_add(&t->seen[i], 1);
}

loci_status loci_check_device_tasks(loci_check *c, loci_error *err)
{
    static const struct {
        int64_t n, grain;
    } cuts[] = {{0, 1}, {1, 1}, {1, 100}, {7, 2}, {ITEMS, 1}, {ITEMS, 33}, {ITEMS, ITEMS}};
    const loci_device_class *d = c->cls->iface;
    static struct tally t;
    loci_module *m = NULL;
    loci_life life;
    loci_status status;

    LOCI_TRY(loci_life_open(&life, c, err));
    LOCI_TRY(loci_life_must_make(&life, &m, err));
    loci_stage("workers");
    if (!d->workers(m))
        LOCI_TRY(loci_fail(err, LOCI_E_PLUGIN, "it has 0 workers: 1 at least is due"));
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        memset(&t, 0, sizeof t);
        t.n = cuts[i].n;
        t.grain = cuts[i].grain;
        t.workers = d->workers(m);
        loci_stage("parallel_for of %lld items by %lld", (long long)t.n, (long long)t.grain);
        LOCI_TRY(step(d->parallel_for(m, t.n, t.grain, count_items, &t), "parallel_for", err));
        if (t.wrong)
            LOCI_TRY(loci_fail(err, LOCI_E_PLUGIN,
                               "parallel_for of %lld items by %lld gave %d pieces of another size or place",
                               (long long)t.n, (long long)t.grain, t.wrong));
        for (int k = 0; k < ITEMS; k++)
            if (t.seen[k] != (k < t.n))
                LOCI_TRY(loci_fail(err, LOCI_E_PLUGIN, "parallel_for of %lld items by %lld gave item %d %d times",
                                   (long long)t.n, (long long)t.grain, k, t.seen[k]));
    }
    loci_stage("get_ext");
    if (d->get_ext(m, "loci.nothing/1") || d->get_ext(m, "loci.ops/1x"))
        LOCI_TRY(loci_fail(err, LOCI_E_PLUGIN, "get_ext has an answer to an id that does not exist: NULL is due"));
out:
    if (m)
        loci_life_end(&life, m);
    loci_life_close(&life);
    return status;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: see ledger.h.
 */
#include "core/check/ledger.h"

#include <math.h>
#include <string.h>

static loci_ledger *book; /* (2) */

__attribute__((format(printf, 1, 2))) static void note(const char *fmt, ...)
{
    va_list args;

    if (book->wrong[0])
        return;
    va_start(args, fmt);
    (void)vsnprintf(book->wrong, sizeof book->wrong, fmt, args);
    va_end(args);
}

static void *ledger_alloc(const loci_host *h, uint64_t bytes)
{
    void *p;

    (void)h;
    book->calls++;
    if (book->closed)
        note("asked the host for memory outside of create and bind (%llu bytes)", (unsigned long long)bytes);
    if (book->fail_at > 0 && --book->fail_at == 0) {
        book->refused = true;
        return NULL;
    }
    if (book->n_blocks == LOCI_LEDGER_BLOCKS) {
        note("holds more than %d blocks of memory", LOCI_LEDGER_BLOCKS);
        return NULL;
    }
    p = bytes > (UINT64_C(1) << 31) ? NULL : loci_alloc((size_t)bytes);
    if (p) {
        book->blocks[book->n_blocks++] = p;
        book->bytes += bytes;
    }
    return p;
}

static void ledger_free(const loci_host *h, void *p)
{
    (void)h;
    if (!p)
        return;
    for (uint32_t i = 0; i < book->n_blocks; i++)
        if (book->blocks[i] == p) {
            book->blocks[i] = book->blocks[--book->n_blocks];
            loci_free(p);
            return;
        }
    note("freed a block that the host never gave it, or freed it twice (at %p)", p);
}

static const void *ledger_get_ext(const loci_host *h, loci_device device, const char *id)
{
    (void)h;
    if (book->no_services)
        return NULL;
    return book->cx->host.get_ext(&book->cx->host, device, id);
}

static void ledger_log(const loci_host *h, int32_t level, const char *module, const char *msg)
{
    (void)h;
    loci_log(level, module ? module : "", "%s", msg ? msg : "");
}

static uint32_t ledger_workers(const loci_host *h)
{
    (void)h;
    return book->cx->host.workers(&book->cx->host);
}

static bool well_named(const char *s)
{
    const size_t n = s ? strlen(s) : 0;

    return n > 0 && n < 100 && strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.") == n;
}

static void check_new_name(const char *what, const char *name)
{
    char line[140];

    if (!well_named(name)) {
        note("declared a slot whose name is `%.80s`: [a-zA-Z0-9_.]+ is wanted", name ? name : "NULL");
        return;
    }
    snprintf(line, sizeof line, "\n%s %s ", what, name);
    if (book->declared.at && strstr(book->declared.at, line))
        note("declared `%s` twice", name);
}

static void check_slot(const loci_slot *s)
{
    const bool state = s->flags & LOCI_SLOT_STATE, cache = s->flags & LOCI_SLOT_CACHE;

    if (s->ndim < 1 || s->ndim > LOCI_MAX_DIM || !s->shape) {
        note("declared `%s` with %d dimensions", s->name, s->ndim);
        return;
    }
    for (int32_t i = 0; i < s->ndim; i++)
        if (s->shape[i] < 0 && !(state && i == 0 && s->shape[i] == -1) && !(cache && i == 1 && s->shape[i] == -2))
            note("declared `%s` with a dimension of %lld", s->name, (long long)s->shape[i]);
    if (state && s->shape[0] != -1)
        note("declared the state `%s` with a first dimension of %lld, -1 is wanted", s->name, (long long)s->shape[0]);
    if (cache && (!state || s->ndim < 2 || s->shape[1] != -2))
        note("declared the cache `%s` without LOCI_SLOT_STATE or without -1, -2 before its shape", s->name);
    if (s->flags & ~(LOCI_SLOT_STATE | LOCI_SLOT_NO_DECAY | LOCI_SLOT_RESIDUAL | LOCI_SLOT_CACHE))
        note("declared `%s` with flags 0x%x, which this abi does not know", s->name, s->flags);
    if (!state && (s->init < LOCI_INIT_ZERO || s->init > LOCI_INIT_UNIFORM || !isfinite(s->a) || !isfinite(s->b) ||
                   (s->init == LOCI_INIT_NORMAL && s->b < 0)))
        note("declared the weight `%s` with the init %d, or numbers for it that are not finite", s->name, s->init);
}

static loci_status ledger_declare(const loci_host *h, void *decl, const loci_slot *slot, uint32_t *index)
{
    loci_text *t = &book->declared;
    const bool state = slot && (slot->flags & LOCI_SLOT_STATE);

    (void)h;
    if (decl != book)
        note("gave declare() something else than the `decl` it was given");
    if (!slot || !slot->name)
        return LOCI_E_ARG;
    check_new_name(state ? "state" : "weight", slot->name);
    check_slot(slot);
    loci_text_add(t, "\n%s %s [", state ? "state" : "weight", slot->name);
    for (int32_t i = 0; slot->shape && i < slot->ndim && i < LOCI_MAX_DIM; i++)
        loci_text_add(t, "%s%lld", i ? "," : "", (long long)slot->shape[i]);
    loci_text_add(t, "] flags %u dtype %u.%u init %d %g %g window %lld", slot->flags, slot->dtype.code,
                  slot->dtype.bits, slot->init, slot->a, slot->b, (long long)(state ? slot->window : 0));
    if (index)
        *index = state ? book->n_states : book->n_params;
    *(state ? &book->n_states : &book->n_params) += 1;
    return LOCI_OK;
}

static loci_status ledger_declare_gate(const loci_host *h, void *decl, const loci_gate *gate, uint32_t *index)
{
    (void)h;
    if (decl != book)
        note("gave declare_gate() something else than the `decl` it was given");
    if (!gate || !gate->name)
        return LOCI_E_ARG;
    check_new_name("gate", gate->name);
    if (!(gate->lo < gate->hi) || !(gate->init >= gate->lo && gate->init <= gate->hi) || !isfinite(gate->lo))
        note("declared the gate `%s` with a range or an init that does not lie in it", gate->name);
    loci_text_add(&book->declared, "\ngate %s [%g,%g) %g width %lld", gate->name, gate->lo, gate->hi, gate->init,
                  (long long)gate->width);
    if (index)
        *index = book->n_gates;
    book->n_gates++;
    return LOCI_OK;
}

static loci_status ledger_declare_sub(const loci_host *h, void *decl, const loci_child *child, const char *name,
                                      int64_t capacity, int64_t pinned, uint32_t *index)
{
    (void)h;
    if (decl != book || !child)
        note("gave declare_sub() no child, or something else than the `decl` it was given");
    check_new_name("sub", name);
    loci_text_add(&book->declared, "\nsub %s capacity %lld pinned %lld", name ? name : "", (long long)capacity,
                  (long long)pinned);
    if (index)
        *index = book->n_subs;
    book->n_subs++;
    return LOCI_OK;
}

loci_ledger *loci_ledger_new(loci_context *cx)
{
    loci_ledger *l = loci_alloc(sizeof *l);

    if (!l)
        return NULL;
    l->host = cx->host; /* (1) */
    l->cx = cx;
    l->host.alloc = ledger_alloc;
    l->host.free = ledger_free;
    l->host.log = ledger_log;
    l->host.get_ext = ledger_get_ext;
    l->host.workers = ledger_workers;
    l->host.declare = ledger_declare;
    l->host.declare_gate = ledger_declare_gate;
    l->host.declare_sub = ledger_declare_sub;
    book = l;
    return l;
}

void loci_ledger_free(loci_ledger *l)
{
    if (!l)
        return;
    for (uint32_t i = 0; i < l->n_blocks; i++)
        loci_free(l->blocks[i]);
    loci_text_free(&l->declared);
    book = NULL;
    loci_free(l);
}

void loci_ledger_clear(loci_ledger *l)
{
    loci_text_free(&l->declared);
    l->n_params = l->n_states = l->n_gates = l->n_subs = 0;
}

loci_status loci_ledger_balanced(const loci_ledger *l, const char *what, loci_error *err)
{
    if (l->wrong[0])
        return loci_fail(err, LOCI_E_PLUGIN, "%s: it %s", what, l->wrong);
    if (l->n_blocks)
        return loci_fail(err, LOCI_E_PLUGIN, "%s: %u of the blocks it asked the host for are not given back", what,
                         l->n_blocks);
    return LOCI_OK;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * core/plugin: does a loaded plugin say what its note said, and is every class complete?
 *
 *  (1) Nothing behind a size is read before the size is known to cover it.
 *  (2) After this, the rest of the library calls the required members without asking.
 *  (3) Built-ins go the same way; they lack only the note.
 */
#include "core/plugin/load.h"
#include "core/plugin/registry.h"

#include <loci/device.h>
#include <string.h>

/* What every interface begins with. */
typedef struct iface_head {
    uint32_t struct_size;
} iface_head;

/* Draft numbers are equal by now, so a shorter struct is a mistake in the plugin, not an older header. */
static loci_status check_size(uint32_t have, size_t need, const char *what, const char *of, const char *path,
                              loci_error *err)
{
    if (have < need)
        return loci_fail(err, LOCI_E_PLUGIN, "%s: %s: %s has struct_size %u, this abi has %zu: set it to sizeof", path,
                         of, what, have, need);
    return LOCI_OK;
}

static loci_status check_device(const loci_device_class *d, const char *of, const char *path, loci_error *err)
{
    const char *lacks = !d->alloc          ? "alloc"
                        : !d->free         ? "free"
                        : !d->zero         ? "zero"
                        : !d->copy         ? "copy"
                        : !d->up           ? "up"
                        : !d->down         ? "down"
                        : !d->workers      ? "workers"
                        : !d->parallel_for ? "parallel_for"
                        : !d->get_ext      ? "get_ext"
                                           : NULL;
    if (lacks)
        return loci_fail(err, LOCI_E_PLUGIN, "%s: %s: its interface has no %s, which every device must have", path, of,
                         lacks);
    return LOCI_OK;
}

static loci_status check_iface(const loci_class *c, const char *kind, const char *of, const char *path, loci_error *err)
{
    const iface_head *head = c->iface;
    bool forward = false, backward = false;
    size_t need = !strcmp(kind, "attention") ? sizeof(loci_attention)
                  : !strcmp(kind, "memory")  ? sizeof(loci_memory)
                  : !strcmp(kind, "device")  ? sizeof(loci_device_class)
                                             : sizeof(loci_mixer);
    loci_status status;
    if (!head)
        return loci_fail(err, LOCI_E_PLUGIN, "%s: %s: iface is NULL, it must point to the %s's functions", path, of,
                         kind);
    status = check_size(head->struct_size, need, "iface", of, path, err);
    if (status != LOCI_OK)
        return status;
    if (!strcmp(kind, "device"))
        return check_device(c->iface, of, path, err);
    if (!strcmp(kind, "attention")) {
        const loci_attention *a = c->iface;
        forward = a->forward;
        backward = a->backward;
    } else if (!strcmp(kind, "memory")) {
        const loci_memory *m = c->iface;
        forward = m->forward;
        backward = m->backward;
        if (m->needs & ~(LOCI_MEM_Q | LOCI_MEM_K | LOCI_MEM_V))
            return loci_fail(err, LOCI_E_PLUGIN, "%s: %s: needs has bits 0x%x, this abi knows q, k and v (0x7)", path,
                             of, m->needs);
    } else {
        const loci_mixer *m = c->iface;
        forward = m->forward;
        backward = m->backward;
    }
    if (!forward)
        return loci_fail(err, LOCI_E_PLUGIN, "%s: %s: its interface has no forward, which every %s must have", path, of,
                         kind);
    if (!backward && (c->caps & LOCI_CAP_BACKWARD))
        return loci_fail(
            err, LOCI_E_PLUGIN,
            "%s: %s: promises LOCI_CAP_BACKWARD but its interface has no backward: write it or drop the promise", path,
            of);
    return LOCI_OK;
}

static loci_status check_wants(const loci_class *c, const char *of, const char *path, loci_error *err)
{
    if (c->n_wants && (!c->wants || !c->bind))
        return loci_fail(err, LOCI_E_PLUGIN, "%s: %s: wants %u children but has no %s", path, of, c->n_wants,
                         c->wants ? "bind" : "list of them");
    for (uint32_t i = 0; i < c->n_wants; i++) {
        const loci_want *w = c->wants[i];
        loci_status status = check_size(w ? w->struct_size : 0, sizeof *w, "a want", of, path, err);
        if (status != LOCI_OK)
            return status;
        if (!w->role || !loci_id_ok(w->role) || !loci_kind_short(w->kind))
            return loci_fail(err, LOCI_E_PLUGIN,
                             "%s: %s: want %u has role '%s' and kind '%s': both must be set, kind to a LOCI_KIND_*",
                             path, of, i, w->role ? w->role : "NULL", w->kind ? w->kind : "NULL");
    }
    return LOCI_OK;
}

static loci_status check_keys(const loci_class *c, const char *of, const char *path, loci_error *err)
{
    if (c->n_keys && !c->keys)
        return loci_fail(err, LOCI_E_PLUGIN, "%s: %s: has %u keys but no list of them", path, of, c->n_keys);
    for (uint32_t i = 0; i < c->n_keys; i++) {
        const loci_key *k = c->keys[i];
        loci_status status = check_size(k ? k->struct_size : 0, sizeof *k, "a key", of, path, err);
        if (status == LOCI_OK)
            status = loci_verify_key(k, of, path, err);
        if (status != LOCI_OK)
            return status;
        for (uint32_t j = 0; j < i; j++)
            if (!strcmp(c->keys[j]->name, k->name))
                return loci_fail(err, LOCI_E_PLUGIN, "%s: %s: has the key %s twice", path, of, k->name);
    }
    return LOCI_OK;
}

static loci_status check_class(const loci_class *c, const loci_note *note, const char *path, loci_error *err)
{
    char of[LOCI_MAX_ID + 16];
    const char *kind, *lacks;
    loci_status status;
    if (!c)
        return loci_fail(err, LOCI_E_PLUGIN, "%s: its list of classes holds a NULL", path);
    LOCI_TRY(check_size(c->struct_size, sizeof *c, "the class",
                        LOCI_HAS(c, loci_class, id) && c->id ? c->id : "a class", path, err));
    if (!c->id || !loci_id_ok(c->id))
        return loci_fail(err, LOCI_E_PLUGIN,
                         "%s: the class id '%.80s' is ill-formed: a-z, 0-9, _ and -, with dots between words", path,
                         c->id ? c->id : "NULL");
    if (!(kind = loci_kind_short(c->kind)))
        return loci_fail(err, LOCI_E_PLUGIN, "%s: class %s is of kind '%.60s', this host knows %s: use a LOCI_KIND_*",
                         path, c->id, c->kind ? c->kind : "NULL", LOCI_KINDS);
    snprintf(of, sizeof of, "%s/%s", kind, c->id);
    if (note && !loci_note_has(note, kind, c->id))
        return loci_fail(err, LOCI_E_PLUGIN,
                         "%s: holds %s, which its note does not name: add class=%s to LOCI_PLUGIN_NOTE", path, of, of);
    lacks = !c->fit                                   ? "fit"
            : !c->create                              ? "create"
            : !c->destroy                             ? "destroy"
            : !c->plan && strcmp(kind, "device") != 0 ? "plan"
                                                      : NULL;
    if (lacks)
        return loci_fail(err, LOCI_E_PLUGIN, "%s: %s: has no %s, which every class must have", path, of, lacks);
    LOCI_TRY(check_iface(c, kind, of, path, err));
    LOCI_TRY(check_wants(c, of, path, err));
    LOCI_TRY(check_keys(c, of, path, err));
out:
    return status;
}

static loci_status check_plugin(const loci_plugin *p, const char *path, loci_error *err)
{
    if (p->magic != LOCI_MAGIC)
        return loci_fail(err, LOCI_E_PLUGIN,
                         "%s: %s begins with %08x instead of LOCI_MAGIC %08x: begin it with LOCI_PLUGIN_HEAD", path,
                         LOCI_ENTRY_NAME, p->magic, LOCI_MAGIC);
    if (p->struct_size >= offsetof(loci_plugin, reserved0) &&
        (p->abi_major != LOCI_ABI_MAJOR || p->abi_draft != LOCI_ABI_DRAFT))
        return loci_fail(
            err, LOCI_E_PLUGIN,
            "%s: its descriptor says plugin abi %u.draft.%u, this host has %u.draft.%u: rebuild the plugin with this "
            "host's headers",
            path, p->abi_major, p->abi_draft, LOCI_ABI_MAJOR, LOCI_ABI_DRAFT);
    if (p->struct_size < sizeof *p)
        return loci_fail(err, LOCI_E_PLUGIN,
                         "%s: its descriptor has struct_size %u, this abi has %zu: begin it with LOCI_PLUGIN_HEAD",
                         path, p->struct_size, sizeof *p);
    if (p->ptr_bits != 8 * sizeof(void *))
        return loci_fail(err, LOCI_E_PLUGIN,
                         "%s: built for %u-bit pointers, this host has %zu: build it for this machine", path,
                         p->ptr_bits, 8 * sizeof(void *));
    if (p->san & ~loci_host_san())
        return loci_fail(err, LOCI_E_PLUGIN,
                         "%s: built with %s, this host with %s: build both with the same -fsanitize", path,
                         loci_san_name(p->san & ~loci_host_san()), loci_san_name(loci_host_san()));
    if (!p->name || !p->version || !p->license)
        return loci_fail(err, LOCI_E_PLUGIN, "%s: its descriptor has no %s", path,
                         !p->name      ? "name"
                         : !p->version ? "version"
                                       : "license");
    if (!p->n_classes || p->n_classes > LOCI_MAX_CLASSES || !p->classes)
        return loci_fail(err, LOCI_E_PLUGIN, "%s: has %u classes, 1 to %d are expected", path,
                         p->classes ? p->n_classes : 0, LOCI_MAX_CLASSES);
    return LOCI_OK;
}

loci_status loci_verify(const loci_plugin *p, const loci_note *note, const char *path, loci_error *err)
{
    loci_status status = check_plugin(p, path, err);
    if (status != LOCI_OK)
        return status;
    for (uint32_t i = 0; i < p->n_classes; i++) {
        LOCI_TRY(check_class(p->classes[i], note, path, err));
        for (uint32_t j = 0; j < i; j++)
            if (!strcmp(p->classes[i]->id, p->classes[j]->id) && !strcmp(p->classes[i]->kind, p->classes[j]->kind))
                return loci_fail(err, LOCI_E_PLUGIN, "%s: holds %s/%s twice: remove one", path,
                                 loci_kind_short(p->classes[i]->kind), p->classes[i]->id);
    }
    /* Every class is in the note and none is there twice: equal counts mean equal sets. */
    if (note && note->n != p->n_classes)
        for (uint32_t i = 0; i < note->n; i++) {
            bool held = false;
            for (uint32_t j = 0; j < p->n_classes && !held; j++)
                held = !strcmp(note->classes[i].id, p->classes[j]->id) &&
                       !strcmp(note->classes[i].kind, loci_kind_short(p->classes[j]->kind));
            if (!held)
                return loci_fail(err, LOCI_E_PLUGIN,
                                 "%s: its note names %s/%s, which it does not hold: list the class, or remove the line",
                                 path, note->classes[i].kind, note->classes[i].id);
        }
out:
    return status;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * core/plugin: look at a file in the order of docs/design/plugins.md: policy, ELF, note, entry, sanitizer.
 *
 *  (1) The first objection is the one reported. Reading goes on behind an objection of the policy, since reading is
 *      harmless and tells which classes the refused file would have held.
 *  (2) A sanitizer's run-time cannot be loaded late: AddressSanitizer ends the process when it does not come first. So
 *      the mismatch is found in the symbol table; the field of the descriptor would be too late.
 */
#include "core/plugin/look.h"
#include "core/plugin/registry.h"

#include <string.h>
#include <unistd.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif

uint32_t loci_host_san(void)
{
    return LOCI_SAN | (__has_feature(address_sanitizer) ? 1u : 0u) | (__has_feature(thread_sanitizer) ? 2u : 0u);
}

const char *loci_san_name(uint32_t bits)
{
    return bits & 1 ? "AddressSanitizer" : bits & 2 ? "ThreadSanitizer" : "no sanitizer";
}

static loci_status check_note(loci_look *out, const char *path, loci_error *err)
{
    if (out->elf.note)
        return loci_note_parse(&out->note, out->elf.note, path, err);
    if (out->elf.n_entries)
        return loci_fail(err, LOCI_E_PLUGIN,
                         "%s: exports %s but has no loci note: add LOCI_PLUGIN_NOTE(\"class=kind/id\\n\") and rebuild",
                         path, out->elf.entries[0]);
    return loci_fail(err, LOCI_E_PLUGIN, "%s: is a shared object but no loci plugin: it has no loci note and no %s",
                     path, LOCI_ENTRY_NAME);
}

/* Of several majors ours is taken; a file may serve two hosts. */
static loci_status check_entry(const loci_elf *e, const char *path, loci_error *err)
{
    for (uint32_t i = 0; i < e->n_entries; i++)
        if (!strcmp(e->entries[i], LOCI_ENTRY_NAME))
            return LOCI_OK;
    if (!e->has_symbols)
        return LOCI_OK; /* dlsym will tell */
    if (e->n_entries)
        return loci_fail(err, LOCI_E_PLUGIN,
                         "%s: exports %s only, this host needs %s: build the plugin for this host, or use a newer host",
                         path, e->entries[0], LOCI_ENTRY_NAME);
    return loci_fail(err, LOCI_E_PLUGIN,
                     "%s: does not export %s: declare it LOCI_EXPORT extern const loci_plugin %s and rebuild", path,
                     LOCI_ENTRY_NAME, LOCI_ENTRY_NAME);
}

loci_status loci_look_at(loci_look *out, const char *path, int ownership, loci_error *err)
{
    int fd;
    loci_status status;
    memset(out, 0, sizeof *out);
    out->owners.struct_size = sizeof out->owners;
    status = loci_policy_open(&fd, &out->st, path, err);
    if (status != LOCI_OK)
        return status;
    if (ownership != LOCI_OWNERSHIP_OFF && loci_policy_owners(&out->st, path, &out->owners) != LOCI_OK &&
        ownership == LOCI_OWNERSHIP_CHECK)
        loci_fail(err, LOCI_E_PLUGIN, "%s", out->owners.msg);
    LOCI_TRY(loci_elf_read(&out->elf, fd, path, err));
    LOCI_TRY(check_note(out, path, err));
    LOCI_TRY(check_entry(&out->elf, path, err));
    if (out->elf.san & ~loci_host_san())
        LOCI_TRY(loci_fail(err, LOCI_E_PLUGIN,
                           "%s: built with %s, this host with %s: build both with the same -fsanitize", path,
                           loci_san_name(out->elf.san & ~loci_host_san()), loci_san_name(loci_host_san())));
    if (out->owners.code != LOCI_OK && ownership == LOCI_OWNERSHIP_CHECK)
        status = out->owners.code;
out:
    close(fd);
    return status;
}

void loci_look_free(loci_look *l)
{
    loci_elf_free(&l->elf);
    loci_note_free(&l->note);
}

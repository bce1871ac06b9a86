/* SPDX-License-Identifier: Apache-2.0
 *
 * core/plugin: the dynamic section of a shared object, read from the file: what it needs, what it exports, how it was
 * linked.
 *
 * The section speaks in virtual addresses; a loadable segment that covers an address says where in the file it lies.
 * The symbol table states no length: the hash table does. DT_HASH has it as nchain; DT_GNU_HASH, which most files carry
 * alone, holds a chain of hashes per bucket whose last one has its lowest bit set, so the symbol count is where the
 * chain of the highest bucket ends.
 *
 *  (1) As in elf.c: nothing is read that was not checked against the size of the file.
 *  (2) A name is an offset into the string table, which is copied with a NUL behind it: no name runs past the end.
 */
#include "core/plugin/elf.h"

#include <elf.h>
#include <inttypes.h>
#include <link.h>
#include <string.h>

#define MAX_DYNAMIC 65536
#define MAX_STRINGS (UINT64_C(64) << 20)
#define MAX_SYMBOLS (UINT64_C(1) << 22)

typedef struct tables {
    ElfW(Addr) strtab, symtab, hash, gnu_hash; /* addresses; 0: none */
    uint64_t strsz;
    uint64_t runpath; /* offsets into the string table, UINT64_MAX: none */
    bool pie;
} tables;

typedef struct image {
    const loci_elf_file *f;
    const ElfW(Phdr) * p;
    uint32_t n;
} image;

/* Read `bytes` at a virtual address. */
static loci_status at_address(const image *im, void *to, ElfW(Addr) a, uint64_t bytes, const char *what,
                              loci_error *err)
{
    for (uint32_t i = 0; i < im->n; i++) {
        const ElfW(Phdr) *p = &im->p[i];
        if (p->p_type == PT_LOAD && a >= p->p_vaddr && a - p->p_vaddr < p->p_filesz &&
            bytes <= p->p_filesz - (a - p->p_vaddr))
            return loci_elf_at(im->f, to, p->p_offset + (a - p->p_vaddr), bytes, what, err);
    }
    return loci_fail(err, LOCI_E_PLUGIN,
                     "%s: damaged: %s (%" PRIu64 " bytes at address %" PRIx64
                     ") lies in no segment of the file: build it again",
                     im->f->path, what, bytes, (uint64_t)a);
}

/* One pass for the addresses; names come second, when the strings are here. */
static void note_tables(loci_elf *out, tables *t, const ElfW(Dyn) * d, uint64_t n)
{
    for (uint64_t i = 0; i < n && d[i].d_tag != DT_NULL; i++) {
        switch (d[i].d_tag) {
        case DT_STRTAB:
            t->strtab = d[i].d_un.d_ptr;
            break;
        case DT_STRSZ:
            t->strsz = d[i].d_un.d_val;
            break;
        case DT_SYMTAB:
            t->symtab = d[i].d_un.d_ptr;
            break;
        case DT_HASH:
            t->hash = d[i].d_un.d_ptr;
            break;
        case DT_GNU_HASH:
            t->gnu_hash = d[i].d_un.d_ptr;
            break;
        case DT_RPATH:
        case DT_RUNPATH:
            t->runpath = d[i].d_un.d_val;
            break;
        case DT_TEXTREL:
            out->textrel = true;
            break;
        case DT_FLAGS:
            out->textrel = out->textrel || (d[i].d_un.d_val & DF_TEXTREL);
            out->static_tls = (d[i].d_un.d_val & DF_STATIC_TLS) != 0;
            break;
        case DT_FLAGS_1:
            t->pie = (d[i].d_un.d_val & DF_1_PIE) != 0;
            break;
        default:
            break;
        }
    }
}

static loci_status count_symbols(const image *im, const tables *t, uint64_t *count, loci_error *err)
{
    uint32_t head[4], *buckets = NULL, top = 0, hash = 0;
    loci_status status;
    if (t->hash) {
        LOCI_TRY(at_address(im, head, t->hash, 8, "the symbol hash table", err));
        *count = head[1];
        return LOCI_OK;
    }
    LOCI_TRY(at_address(im, head, t->gnu_hash, sizeof head, "the symbol hash table", err));
    if (head[0] > MAX_SYMBOLS || head[2] > MAX_SYMBOLS)
        return loci_fail(err, LOCI_E_PLUGIN, "%s: damaged: a symbol hash table of %" PRIu32 " buckets", im->f->path,
                         head[0]);
    if (!(buckets = loci_alloc(head[0] * sizeof *buckets)))
        return loci_fail(err, LOCI_E_NOMEM, "out of memory");
    ElfW(Addr) at = t->gnu_hash + sizeof head + head[2] * sizeof(ElfW(Addr));
    LOCI_TRY(at_address(im, buckets, at, head[0] * sizeof *buckets, "the symbol hash table", err));
    for (uint32_t i = 0; i < head[0]; i++)
        top = buckets[i] > top ? buckets[i] : top;
    at += head[0] * sizeof *buckets;
    for (*count = head[1]; top >= head[1] && top - head[1] < MAX_SYMBOLS && !(hash & 1); top++) {
        LOCI_TRY(at_address(im, &hash, at + (top - head[1]) * sizeof hash, sizeof hash, "the symbol hash table", err));
        *count = (uint64_t)top + 1;
    }
    status = LOCI_OK;
out:
    loci_free(buckets);
    return status;
}

/* What linkers and sanitizers put into every object. */
static bool is_nobodys(const char *name)
{
    static const char *const names[] = {"_init", "_fini", "_edata", "_end", "__bss_start", "edata", "end"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i]))
            return true;
    return !strncmp(name, "__odr_asan", 10) || !strncmp(name, "__asan_", 7) || !strncmp(name, "__gcov", 6);
}

static void note_symbol(loci_elf *out, const ElfW(Sym) * s, const char *name)
{
    const unsigned bind = s->st_info >> 4;
    const bool exported = s->st_shndx != SHN_UNDEF && s->st_shndx != SHN_ABS &&
                          (bind == STB_GLOBAL || bind == STB_WEAK || bind == STB_GNU_UNIQUE) &&
                          (s->st_other & 3) != STV_HIDDEN && (s->st_other & 3) != STV_INTERNAL;
    if (!strcmp(name, "__asan_init"))
        out->san |= 1;
    else if (!strcmp(name, "__tsan_init"))
        out->san |= 2;
    else if (exported && !strncmp(name, LOCI_ENTRY_PREFIX, strlen(LOCI_ENTRY_PREFIX))) {
        if (out->n_entries < LOCI_ELF_ENTRIES)
            out->entries[out->n_entries++] = name;
    } else if (exported && name[0] && !is_nobodys(name)) {
        if (out->n_others < LOCI_ELF_ENTRIES)
            out->others[out->n_others] = name;
        out->n_others++;
    }
}

static loci_status read_symbols(loci_elf *out, const image *im, const tables *t, loci_error *err)
{
    uint64_t n = 0;
    ElfW(Sym) *s = NULL;
    loci_status status;
    if (!t->symtab || !(t->hash || t->gnu_hash))
        return LOCI_OK;
    LOCI_TRY(count_symbols(im, t, &n, err));
    if (n > MAX_SYMBOLS || n * sizeof *s > im->f->size)
        return loci_fail(err, LOCI_E_PLUGIN, "%s: damaged: %" PRIu64 " symbols in a file of %" PRIu64 " bytes",
                         im->f->path, n, im->f->size);
    if (!(s = loci_alloc(n * sizeof *s)))
        return loci_fail(err, LOCI_E_NOMEM, "out of memory");
    LOCI_TRY(at_address(im, s, t->symtab, n * sizeof *s, "the symbol table", err));
    for (uint64_t i = 0; i < n; i++)
        if (s[i].st_name < t->strsz)
            note_symbol(out, &s[i], out->strings + s[i].st_name);
    out->has_symbols = true;
out:
    loci_free(s);
    return status;
}

loci_status loci_elf_dynamic(loci_elf *out, const loci_elf_file *f, const void *phdr, uint32_t n, loci_error *err)
{
    const image im = {f, phdr, n};
    const ElfW(Phdr) *seg = NULL;
    tables t = {.runpath = UINT64_MAX};
    ElfW(Dyn) *d = NULL;
    uint64_t n_dyn;
    loci_status status;

    for (uint32_t i = 0; i < n && !seg; i++)
        if (im.p[i].p_type == PT_DYNAMIC)
            seg = &im.p[i];
    n_dyn = seg ? seg->p_filesz / sizeof *d : 0;
    if (!n_dyn || n_dyn > MAX_DYNAMIC)
        return loci_fail(err, LOCI_E_PLUGIN,
                         "%s: has %s dynamic section, a plugin is a shared object: link it with -shared", f->path,
                         n_dyn ? "an oversized" : "no");
    if (!(d = loci_alloc(n_dyn * sizeof *d)))
        return loci_fail(err, LOCI_E_NOMEM, "out of memory");
    LOCI_TRY(loci_elf_at(f, d, seg->p_offset, n_dyn * sizeof *d, "the dynamic section", err));
    note_tables(out, &t, d, n_dyn);
    if (t.pie)
        LOCI_TRY(loci_fail(err, LOCI_E_PLUGIN, "%s: is a program, not a plugin: name the plugin's .so", f->path));
    if (!t.strtab || t.strsz > MAX_STRINGS || t.strsz > f->size)
        LOCI_TRY(loci_fail(err, LOCI_E_PLUGIN, "%s: damaged: a string table of %" PRIu64 " bytes in a file of %" PRIu64,
                           f->path, t.strsz, f->size));
    if (!(out->strings = loci_alloc(t.strsz + 1)))
        LOCI_TRY(loci_fail(err, LOCI_E_NOMEM, "out of memory"));
    LOCI_TRY(at_address(&im, out->strings, t.strtab, t.strsz, "the string table", err));
    for (uint64_t i = 0; i < n_dyn && d[i].d_tag != DT_NULL; i++)
        if (d[i].d_tag == DT_NEEDED && d[i].d_un.d_val < t.strsz && out->n_needed < LOCI_ELF_NEEDED)
            out->needed[out->n_needed++] = out->strings + d[i].d_un.d_val;
    if (t.runpath < t.strsz)
        out->runpath = out->strings + t.runpath;
    LOCI_TRY(read_symbols(out, &im, &t, err));
out:
    loci_free(d);
    return status;
}

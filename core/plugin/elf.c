/* SPDX-License-Identifier: Apache-2.0
 *
 * core/plugin: read an ELF file's header, program headers and notes before anybody maps it.
 *
 * dlopen is a poor judge of files. Given half a copy it maps past the end and the process dies of SIGBUS; given another
 * machine's file it says "no such file". So the file is read first, with pread from the descriptor that the path policy
 * approved, and each way of not being a plugin gets a sentence of its own.
 *
 *  (1) Every offset and length comes from the file and is checked against its size before it is read.
 *  (2) Every count has a limit, so a file cannot make us allocate more than it holds itself.
 *  (3) Only the host's own class and byte order are parsed; any other is refused by its first bytes. What the host is,
 *      this library's own ELF header says (__ehdr_start, which the linker provides).
 *
 * Source: System V ABI, chapters 4 and 5; the note layout of the same, with 8-byte padding where p_align is 8.
 */
#include "core/plugin/elf.h"

#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <link.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_SEGMENTS 256
#define MAX_NOTES (UINT64_C(1) << 20)

extern const ElfW(Ehdr) __ehdr_start __attribute__((weak, visibility("hidden")));

loci_status loci_elf_at(const loci_elf_file *f, void *to, uint64_t offset, uint64_t bytes, const char *what,
                        loci_error *err)
{
    if (offset > f->size || bytes > f->size - offset)
        return loci_fail(err, LOCI_E_PLUGIN,
                         "%s: damaged: %s should end at %" PRIu64 " but the file has %" PRIu64
                         " bytes: copy or build it again",
                         f->path, what, offset + bytes, f->size);
    for (uint64_t done = 0; done < bytes;) {
        ssize_t got = pread(f->fd, (char *)to + done, bytes - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return loci_fail(err, LOCI_E_PLUGIN, "%s: cannot be read: %s", f->path,
                             got ? strerror(errno) : "it became shorter meanwhile, is it being copied?");
        done += (uint64_t)got;
    }
    return LOCI_OK;
}

static const char *machine_name(unsigned m)
{
    static const struct {
        unsigned machine;
        const char *name;
    } names[] = {{EM_X86_64, "x86-64"}, {EM_AARCH64, "aarch64"}, {EM_386, "i386"},           {EM_ARM, "arm"},
                 {EM_RISCV, "riscv"},   {EM_PPC64, "ppc64"},     {EM_S390, "s390"},          {EM_MIPS, "mips"},
                 {EM_PPC, "ppc"},       {EM_SPARCV9, "sparc64"}, {EM_LOONGARCH, "loongarch"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].machine == m)
            return names[i].name;
    return "unknown";
}

/* A libtool .la is text that names its object: dlname='titans.so', in .libs/ until it is installed. */
static loci_status refuse_la(const loci_elf_file *f, const char *text, loci_error *err)
{
    const char *at = strstr(text, "\ndlname='"), *end = at ? strchr(at + 9, '\'') : NULL;
    const char *slash = strrchr(f->path, '/');
    int folder = slash ? (int)(slash - f->path) + 1 : 0;
    for (int i = 0; end && end > at + 9 && i < 2; i++) {
        char *so = loci_format("%.*s%s%.*s", folder, f->path, i ? "" : ".libs/", (int)(end - at - 9), at + 9);
        if (!so)
            return loci_fail(err, LOCI_E_NOMEM, "out of memory");
        if (access(so, F_OK) == 0) {
            loci_fail(err, LOCI_E_PLUGIN, "%s: is libtool's description of a plugin, not the plugin: name %s instead",
                      f->path, so);
            loci_free(so);
            return LOCI_E_PLUGIN;
        }
        loci_free(so);
    }
    return loci_fail(err, LOCI_E_PLUGIN,
                     "%s: is libtool's description of a plugin, and its shared object is not beside it: build it, "
                     "then name the .so",
                     f->path);
}

static loci_status refuse_not_elf(const loci_elf_file *f, loci_error *err)
{
    char head[4096] = "";
    uint64_t n = f->size < sizeof head - 1 ? f->size : sizeof head - 1;
    bool text = true;
    loci_status status = loci_elf_at(f, head, 0, n, "the beginning", err);
    if (status != LOCI_OK)
        return status;
    for (uint64_t i = 0; i < n && i < 512; i++)
        text = text && (isprint((unsigned char)head[i]) || isspace((unsigned char)head[i]) || (head[i] & 0x80));
    if (text && strstr(head, "libtool library file"))
        return refuse_la(f, head, err);
    if (text)
        return loci_fail(err, LOCI_E_PLUGIN, "%s: is a text file, a plugin is a shared object: name the .so", f->path);
    return loci_fail(err, LOCI_E_PLUGIN,
                     "%s: is no ELF file (it begins with %02x %02x %02x %02x), a plugin is a shared object: copy or "
                     "build it again",
                     f->path, head[0] & 0xff, head[1] & 0xff, head[2] & 0xff, head[3] & 0xff);
}

/* Class, byte order, machine and type, (3). */
static loci_status check_header(const loci_elf_file *f, const ElfW(Ehdr) * h, loci_error *err)
{
    const int bits = h->e_ident[EI_CLASS] == ELFCLASS64 ? 64 : h->e_ident[EI_CLASS] == ELFCLASS32 ? 32 : 0;
    const int little = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
    if (bits != __ELF_NATIVE_CLASS)
        return loci_fail(err, LOCI_E_PLUGIN, "%s: is a %d-bit object, this host is %d-bit: build it for this machine",
                         f->path, bits, __ELF_NATIVE_CLASS);
    if (h->e_ident[EI_DATA] != (little ? ELFDATA2LSB : ELFDATA2MSB))
        return loci_fail(err, LOCI_E_PLUGIN, "%s: has the other byte order: build it for this machine", f->path);
    if (&__ehdr_start && h->e_machine != __ehdr_start.e_machine)
        return loci_fail(err, LOCI_E_PLUGIN,
                         "%s: built for machine %u (%s), this host is %s: build it for this machine", f->path,
                         h->e_machine, machine_name(h->e_machine), machine_name(__ehdr_start.e_machine));
    if (h->e_type == ET_EXEC)
        return loci_fail(err, LOCI_E_PLUGIN, "%s: is a program, not a plugin: name the plugin's .so", f->path);
    if (h->e_type == ET_REL)
        return loci_fail(err, LOCI_E_PLUGIN, "%s: is an object file, not a plugin: link it with -shared", f->path);
    if (h->e_type != ET_DYN)
        return loci_fail(err, LOCI_E_PLUGIN, "%s: is an ELF file of type %u, a plugin is a shared object (type %u)",
                         f->path, h->e_type, ET_DYN);
    if (!h->e_phnum || h->e_phnum > MAX_SEGMENTS || h->e_phentsize != sizeof(ElfW(Phdr)))
        return loci_fail(err, LOCI_E_PLUGIN,
                         "%s: damaged: %u program headers of %u bytes, at most %d of %zu are expected: build it again",
                         f->path, h->e_phnum, h->e_phentsize, MAX_SEGMENTS, sizeof(ElfW(Phdr)));
    return LOCI_OK;
}

static void keep_build_id(loci_elf *out, const unsigned char *desc, uint64_t n)
{
    for (uint64_t i = 0; i < n && 2 * i + 2 < sizeof out->build_id; i++)
        snprintf(out->build_id + 2 * i, 3, "%02x", desc[i]);
}

/* The notes of one segment: sizes, owner, description, each padded to `align`. */
static loci_status read_notes(loci_elf *out, const loci_elf_file *f, const ElfW(Phdr) * p, loci_error *err)
{
    const uint64_t align = p->p_align == 8 ? 8 : 4, n = p->p_filesz;
    unsigned char *notes = NULL;
    loci_status status;
    if (n > MAX_NOTES)
        return loci_fail(err, LOCI_E_PLUGIN, "%s: has %" PRIu64 " bytes of notes, the limit is %" PRIu64, f->path, n,
                         MAX_NOTES);
    if (!(notes = loci_alloc(n)))
        return loci_fail(err, LOCI_E_NOMEM, "out of memory");
    LOCI_TRY(loci_elf_at(f, notes, p->p_offset, n, "a note segment", err));
    for (uint64_t at = 0; n - at >= sizeof(ElfW(Nhdr));) {
        ElfW(Nhdr) head;
        memcpy(&head, notes + at, sizeof head);
        uint64_t name = at + sizeof head, desc = (name + head.n_namesz + align - 1) & ~(align - 1);
        uint64_t next = (desc + head.n_descsz + align - 1) & ~(align - 1);
        if (desc > n || head.n_descsz > n - desc)
            break;
        if (head.n_namesz == 4 && !memcmp(notes + name, "GNU", 4) && head.n_type == NT_GNU_BUILD_ID) {
            keep_build_id(out, notes + desc, head.n_descsz);
        } else if (head.n_namesz == 5 && !memcmp(notes + name, "loci", 5) && head.n_type == 1 && !out->note) {
            if (!(out->note = loci_alloc((size_t)head.n_descsz + 1)))
                LOCI_TRY(loci_fail(err, LOCI_E_NOMEM, "out of memory"));
            memcpy(out->note, notes + desc, head.n_descsz);
        }
        if (next > n)
            break;
        at = next;
    }
    status = LOCI_OK;
out:
    loci_free(notes);
    return status;
}

static loci_status check_segments(const loci_elf_file *f, const ElfW(Phdr) * p, uint32_t n, loci_error *err)
{
    for (uint32_t i = 0; i < n; i++)
        if (p[i].p_offset > f->size || p[i].p_filesz > f->size - p[i].p_offset)
            return loci_fail(err, LOCI_E_PLUGIN,
                             "%s: truncated: segment %" PRIu32 " ends at %" PRIu64 " but the file has %" PRIu64
                             " bytes: copy it again",
                             f->path, i, (uint64_t)p[i].p_offset + p[i].p_filesz, f->size);
    return LOCI_OK;
}

loci_status loci_elf_read(loci_elf *out, int fd, const char *path, loci_error *err)
{
    struct stat st;
    ElfW(Ehdr) h;
    ElfW(Phdr) *p = NULL;
    loci_elf_file f = {.fd = fd, .path = path};
    char magic[SELFMAG] = "";
    loci_status status;

    memset(out, 0, sizeof *out);
    if (fstat(fd, &st))
        return loci_fail(err, LOCI_E_PLUGIN, "%s: cannot be examined: %s", path, strerror(errno));
    f.size = (uint64_t)st.st_size;
    if (!f.size)
        return loci_fail(err, LOCI_E_PLUGIN, "%s: is empty: copy or build it again", path);
    if (f.size >= SELFMAG)
        LOCI_TRY(loci_elf_at(&f, magic, 0, SELFMAG, "the ELF magic", err));
    if (memcmp(magic, ELFMAG, SELFMAG))
        return refuse_not_elf(&f, err);
    if (f.size < sizeof h)
        return loci_fail(err, LOCI_E_PLUGIN,
                         "%s: truncated: the ELF header ends at %zu but the file has %" PRIu64 " bytes: copy it again",
                         path, sizeof h, f.size);
    LOCI_TRY(loci_elf_at(&f, &h, 0, sizeof h, "the ELF header", err));
    LOCI_TRY(check_header(&f, &h, err));
    if (!(p = loci_alloc(h.e_phnum * sizeof *p)))
        return loci_fail(err, LOCI_E_NOMEM, "out of memory");
    LOCI_TRY(loci_elf_at(&f, p, h.e_phoff, h.e_phnum * sizeof *p, "the program header table", err));
    LOCI_TRY(check_segments(&f, p, h.e_phnum, err));
    for (uint32_t i = 0; i < h.e_phnum; i++)
        if (p[i].p_type == PT_NOTE)
            LOCI_TRY(read_notes(out, &f, &p[i], err));
    LOCI_TRY(loci_elf_dynamic(out, &f, p, h.e_phnum, err));
out:
    loci_free(p);
    return status;
}

void loci_elf_free(loci_elf *e)
{
    loci_free(e->strings);
    loci_free(e->note);
    memset(e, 0, sizeof *e);
}

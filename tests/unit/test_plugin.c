/* SPDX-License-Identifier: Apache-2.0
 *
 * What the loader refuses, and in which words: a refusal that does not say what to do is half a refusal. The plugins
 * are those of tests/bad; see tests/bad/bad.h.
 */
#include "core/plugin/look.h"
#include "tests/bad/bad.h"

#include <elf.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>

/* Load one file with a registry of its own. */
static loci_status load(const char *path, int ownership, loci_error *err)
{
    loci_registry *r = NULL;
    loci_status status = loci_registry_new(&r, ownership, err);
    if (status == LOCI_OK)
        status = loci_registry_load_file(r, path, err);
    loci_registry_free(r);
    return status;
}

/* The file is refused in a sentence that names it and holds each of the parts. */
static void refused(const char *path, int ownership, const char *const *parts)
{
    loci_error err = LOCI_ERROR_INIT;
    CU_ASSERT_EQUAL(load(path, ownership, &err), LOCI_E_PLUGIN);
    CU_ASSERT_EQUAL(err.code, LOCI_E_PLUGIN);
    has(err.msg, path);
    for (; *parts; parts++)
        has(err.msg, *parts);
    CK_TRUE(!strchr(err.msg, '\n') && err.msg[strlen(err.msg) - 1] != '.' && strlen(err.msg) < 490, "%s", err.msg);
}
#define REFUSED(path, ownership, ...) refused(path, ownership, (const char *const[]){__VA_ARGS__, NULL})

/* The same for a copy of tests/bad/NAME.so. */
static void refused_plugin(const char *name, const char *const *parts)
{
    bad_folder f = bad_open();
    refused(bad_copy(&f, name, "p.so"), LOCI_OWNERSHIP_OFF, parts);
    bad_close(&f);
}
#define REFUSED_PLUGIN(name, ...) refused_plugin(name, (const char *const[]){__VA_ARGS__, NULL})

/* ---- what loads -------------------------------------------------------------------------------------------------- */

static void loader__loads_a_good_plugin_under_the_strictest_policy(void)
{
    loci_error ck_err = LOCI_ERROR_INIT;
    bad_folder f = bad_open();
    loci_registry *r;
    const char *path = bad_copy(&f, "good", "any_name.so");
    const loci_class *c;
    bad_listen();
    CK_OK(loci_registry_new(&r, LOCI_OWNERSHIP_CHECK, &ck_err));
    CK_OK(loci_registry_load_file(r, path, &ck_err));
    CU_ASSERT_STRING_EQUAL(bad_heard, "");
    CU_ASSERT_EQUAL(loci_registry_n(r), 1);
    CU_ASSERT_STRING_EQUAL(loci_registry_entry(r, 0)->path, path);
    CU_ASSERT_EQUAL(strlen(loci_registry_entry(r, 0)->build_id), 40);
    CU_ASSERT_PTR_NOT_NULL(loci_registry_entry(r, 0)->plugin);
    CK_OK(loci_registry_find(r, &c, "memory", "momentum", NULL, &ck_err));
    CU_ASSERT_PTR_EQUAL(c, loci_registry_entry(r, 0)->cls);
    CU_ASSERT_STRING_EQUAL(c->summary, "a Hebbian memory with momentum, for tests");
    loci_registry_free(r);
    bad_close(&f);
}

static void loader__accepts_a_file_that_serves_two_majors(void)
{
    loci_error ck_err = LOCI_ERROR_INIT;
    bad_folder f = bad_open();
    CK_OK(load(bad_copy(&f, "two_majors", "p.so"), LOCI_OWNERSHIP_OFF, &ck_err));
    bad_close(&f);
}

/* ---- what is no plugin ------------------------------------------------------------------------------------------- */

static void loader__refuses_a_missing_file_and_a_relative_name(void)
{
    bad_folder f = bad_open();
    REFUSED(bad_path(&f, "none.so"), LOCI_OWNERSHIP_OFF, "cannot be opened", "No such file");
    REFUSED("here.so", LOCI_OWNERSHIP_OFF, "absolute path", "/here.so");
    bad_close(&f);
}

static void loader__refuses_an_empty_file(void)
{
    bad_folder f = bad_open();
    REFUSED(bad_write(&f, "p.so", "", 0), LOCI_OWNERSHIP_OFF, "is empty", "copy or build it again");
    bad_close(&f);
}

static void loader__refuses_a_text_file(void)
{
    bad_folder f = bad_open();
    REFUSED(bad_write(&f, "p.so", "GROUP ( libx.so )\n", 18), LOCI_OWNERSHIP_OFF, "is a text file", "name the .so");
    REFUSED(bad_write(&f, "q.so", "a\n", 2), LOCI_OWNERSHIP_OFF, "is a text file");
    REFUSED(bad_write(&f, "r.so", "\x01\x02\x03\x04\x05", 5), LOCI_OWNERSHIP_OFF, "is no ELF file", "01 02 03 04");
    bad_close(&f);
}

static void loader__names_the_object_beside_a_libtool_file(void)
{
    static const char la[] = "# p.la - a libtool library file\ndlname='p.so'\n";
    bad_folder f = bad_open();
    const char *path = bad_write(&f, "p.la", la, sizeof la - 1);
    REFUSED(path, LOCI_OWNERSHIP_OFF, "libtool's description", "not beside it");
    bad_copy(&f, "good", "p.so");
    REFUSED(path, LOCI_OWNERSHIP_OFF, "libtool's description", bad_path(&f, "p.so instead"));
    mkdir(bad_path(&f, ".libs"), 0755);
    bad_copy(&f, "good", ".libs/p.so");
    REFUSED(path, LOCI_OWNERSHIP_OFF, bad_path(&f, ".libs/p.so instead"));
    bad_close(&f);
}

static void loader__refuses_a_half_copied_file(void)
{
    bad_folder f = bad_open();
    size_t n;
    unsigned char *bytes = bad_bytes("good", &n);
    REFUSED(bad_write(&f, "p.so", bytes, 9000), LOCI_OWNERSHIP_OFF, "truncated: segment ", " ends at ",
            "but the file has 9000 bytes", "copy it again");
    REFUSED(bad_write(&f, "q.so", bytes, 40), LOCI_OWNERSHIP_OFF, "truncated: the ELF header ends at 64",
            "has 40 bytes");
    REFUSED(bad_write(&f, "r.so", bytes, 100), LOCI_OWNERSHIP_OFF, "program header table", "has 100 bytes");
    free(bytes);
    bad_close(&f);
}

static void loader__refuses_another_machine(void)
{
    bad_folder f = bad_open();
    const uint16_t aarch64 = EM_AARCH64, i386 = EM_386;
    const unsigned char narrow = ELFCLASS32, swapped = ELFDATA2MSB;
    const size_t at = offsetof(Elf64_Ehdr, e_machine);
#if defined(__x86_64__)
    REFUSED(bad_patched(&f, "p.so", at, &aarch64, 2), LOCI_OWNERSHIP_OFF, "machine 183 (aarch64)", "host is x86-64");
#endif
    REFUSED(bad_patched(&f, "q.so", at, &i386, 2), LOCI_OWNERSHIP_OFF, "machine 3 (i386)", "build it for this machine");
    REFUSED(bad_patched(&f, "r.so", EI_CLASS, &narrow, 1), LOCI_OWNERSHIP_OFF, "is a 32-bit object", "host is 64-bit");
    REFUSED(bad_patched(&f, "s.so", EI_DATA, &swapped, 1), LOCI_OWNERSHIP_OFF, "byte order");
    bad_close(&f);
}

static void loader__refuses_a_program_and_an_object_file(void)
{
    bad_folder f = bad_open();
    const uint16_t exec = ET_EXEC, rel = ET_REL, core = ET_CORE;
    const size_t at = offsetof(Elf64_Ehdr, e_type);
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = 0;
    REFUSED(self, LOCI_OWNERSHIP_OFF, "is a program, not a plugin");
    REFUSED(bad_patched(&f, "p.so", at, &exec, 2), LOCI_OWNERSHIP_OFF, "is a program, not a plugin");
    REFUSED(bad_patched(&f, "q.so", at, &rel, 2), LOCI_OWNERSHIP_OFF, "is an object file", "link it with -shared");
    REFUSED(bad_patched(&f, "r.so", at, &core, 2), LOCI_OWNERSHIP_OFF, "ELF file of type 4");
    bad_close(&f);
}

static void loader__refuses_folders_and_pipes_without_waiting(void)
{
    bad_folder f = bad_open();
    REFUSED(f.at, LOCI_OWNERSHIP_OFF, "is a folder", "--plugin-path");
    CU_ASSERT_EQUAL(mkfifo(bad_path(&f, "p.so"), 0600), 0);
    REFUSED(bad_path(&f, "p.so"), LOCI_OWNERSHIP_OFF, "is a device, pipe or socket");
    bad_close(&f);
}

static void loader__notices_every_cut_that_takes_part_of_a_segment(void)
{
    bad_folder f = bad_open();
    size_t n, end = 0;
    unsigned char *good = bad_bytes("good", &n);
    Elf64_Ehdr head;
    memcpy(&head, good, sizeof head);
    for (unsigned i = 0; i < head.e_phnum; i++) {
        Elf64_Phdr p;
        memcpy(&p, good + head.e_phoff + i * sizeof p, sizeof p);
        end = p.p_offset + p.p_filesz > end ? p.p_offset + p.p_filesz : end;
    }
    for (size_t cut = 0; cut < n; cut += cut + 1 == end ? 1 : cut < end && end - 1 - cut < 61 ? end - 1 - cut : 61) {
        loci_error err = LOCI_ERROR_INIT;
        loci_look look;
        loci_status status = loci_look_at(&look, bad_write(&f, "p.so", good, cut), LOCI_OWNERSHIP_OFF, &err);
        CK_TRUE((status == LOCI_OK) == (cut >= end), "cut at %zu of %zu: %d %s", cut, end, (int)status, err.msg);
        CU_ASSERT_EQUAL(status, err.code);
        loci_look_free(&look);
    }
    free(good);
    bad_close(&f);
}

/* Damage falls where it is read: the headers, the notes, the dynamic section and the first page, which holds the tables
 * of names. */
static void loader__reads_damaged_files_without_harm(void)
{
    bad_folder f = bad_open();
    size_t n;
    unsigned char *good = bad_bytes("good", &n), *bytes = malloc(n);
    struct {
        size_t at, bytes;
    } ranges[16] = {{0, sizeof(Elf64_Ehdr)}, {0, 4096}};
    unsigned n_ranges = 2, refusals = 0;
    Elf64_Ehdr head;
    memcpy(&head, good, sizeof head);
    ranges[n_ranges].at = head.e_phoff;
    ranges[n_ranges++].bytes = head.e_phnum * sizeof(Elf64_Phdr);
    for (unsigned i = 0; i < head.e_phnum; i++) {
        Elf64_Phdr p;
        memcpy(&p, good + head.e_phoff + i * sizeof p, sizeof p);
        if ((p.p_type == PT_NOTE || p.p_type == PT_DYNAMIC) && n_ranges < 16) {
            ranges[n_ranges].at = p.p_offset;
            ranges[n_ranges++].bytes = p.p_filesz;
        }
    }
    for (int i = 0; i < 800; i++) {
        loci_error err = LOCI_ERROR_INIT;
        loci_look look;
        memcpy(bytes, good, n);
        for (int k = 0; k < 3; k++) {
            const unsigned r = (unsigned)(ck_bits() % n_ranges);
            bytes[ranges[r].at + ck_bits() % ranges[r].bytes] = ck_bits() % 2 ? (unsigned char)ck_bits() : 0xff;
        }
        refusals += loci_look_at(&look, bad_write(&f, "p.so", bytes, n), LOCI_OWNERSHIP_OFF, &err) != LOCI_OK;
        loci_look_free(&look);
    }
    CK_TRUE(refusals > 200, "only %u of 800 damaged files were noticed", refusals);
    free(bytes);
    free(good);
    bad_close(&f);
}

/* ---- whose file -------------------------------------------------------------------------------------------------- */

static void policy__refuses_a_file_that_everyone_may_write(void)
{
    loci_error ck_err = LOCI_ERROR_INIT;
    bad_folder f = bad_open();
    const char *path = bad_copy(&f, "good", "p.so");
    chmod(path, 0757);
    REFUSED(path, LOCI_OWNERSHIP_CHECK, "can be changed by everyone", "mode 0757", "chmod go-w",
            "plugins.ownership = off");
    chmod(path, 0775);
    REFUSED(path, LOCI_OWNERSHIP_CHECK, "can be changed by its group", "mode 0775");
    bad_listen();
    CK_OK(load(path, LOCI_OWNERSHIP_WARN, &ck_err));
    has(bad_heard, "1 ");
    has(bad_heard, "can be changed by its group");
    bad_listen();
    CK_OK(load(path, LOCI_OWNERSHIP_OFF, &ck_err));
    CU_ASSERT_STRING_EQUAL(bad_heard, "");
    bad_close(&f);
}

static void policy__refuses_a_file_in_a_folder_that_everyone_may_write(void)
{
    bad_folder f = bad_open();
    mkdir(bad_path(&f, "open"), 0700);
    bad_copy(&f, "good", "open/p.so");
    chmod(bad_path(&f, "open"), 01777);
    REFUSED(bad_path(&f, "open/p.so"), LOCI_OWNERSHIP_CHECK, "its folder", bad_path(&f, "open"), "mode 1777");
    bad_close(&f);
}

static void policy__judges_where_a_link_stands_and_where_it_leads(void)
{
    loci_error ck_err = LOCI_ERROR_INIT;
    bad_folder f = bad_open();
    mkdir(bad_path(&f, "open"), 0700);
    mkdir(bad_path(&f, "shut"), 0700);
    bad_copy(&f, "good", "shut/p.so");
    bad_copy(&f, "good", "open/q.so");
    CU_ASSERT_EQUAL(symlink("../shut/p.so", bad_path(&f, "open/link.so")), 0);
    CU_ASSERT_EQUAL(symlink("../open/q.so", bad_path(&f, "shut/link.so")), 0);
    CK_OK(load(bad_path(&f, "open/link.so"), LOCI_OWNERSHIP_CHECK, &ck_err));
    chmod(bad_path(&f, "open"), 0777);
    REFUSED(bad_path(&f, "open/link.so"), LOCI_OWNERSHIP_CHECK, "its folder", bad_path(&f, "open"));
    REFUSED(bad_path(&f, "shut/link.so"), LOCI_OWNERSHIP_CHECK, "its folder", bad_path(&f, "open"));
    CK_OK(load(bad_path(&f, "shut/p.so"), LOCI_OWNERSHIP_CHECK, &ck_err));
    bad_close(&f);
}

static void policy__goes_up_to_a_folder_of_root(void)
{
    loci_error ck_err = LOCI_ERROR_INIT;
    bad_folder f = bad_open();
    const uid_t other = 65533;
    if (geteuid())
        CK_SKIP("only root can give folders away");
    mkdir(bad_path(&f, "his"), 0755);
    mkdir(bad_path(&f, "his/ours"), 0755);
    bad_copy(&f, "good", "his/ours/p.so");
    CU_ASSERT_EQUAL(chown(bad_path(&f, "his"), other, other), 0);
    CK_OK(load(bad_path(&f, "his/ours/p.so"), LOCI_OWNERSHIP_CHECK, &ck_err)); /* ours is root's: the walk ends */
    bad_copy(&f, "good", "his/p.so");
    REFUSED(bad_path(&f, "his/p.so"), LOCI_OWNERSHIP_CHECK, "its folder", "belongs to user 65533", "change its owner");
    CU_ASSERT_EQUAL(chown(bad_path(&f, "his/ours/p.so"), other, other), 0);
    REFUSED(bad_path(&f, "his/ours/p.so"), LOCI_OWNERSHIP_CHECK, "it belongs to user 65533");
    bad_close(&f);
}

static void loader__refuses_an_unreadable_file(void)
{
    bad_folder f = bad_open();
    const char *path = bad_copy(&f, "good", "p.so");
    const uid_t me = geteuid();
    chmod(path, 0);
    chmod(f.at, 0755);
    if (me == 0 && seteuid(65533))
        CK_SKIP("cannot become another user");
    REFUSED(path, LOCI_OWNERSHIP_OFF, "cannot be opened: Permission denied", "readable");
    if (me == 0)
        CU_ASSERT_EQUAL(seteuid(me), 0);
    bad_close(&f);
}

/* ---- note, entry, descriptor, classes ---------------------------------------------------------------------------- */

static void loader__refuses_a_file_without_a_note(void)
{
    REFUSED_PLUGIN("no_note", "has no loci note", "LOCI_PLUGIN_NOTE");
}

static void loader__refuses_an_object_that_is_not_ours(void)
{
    bad_folder f = bad_open();
    size_t n;
    unsigned char *bytes = bad_bytes("no_note", &n);
    for (size_t i = 0; i + 14 < n; i++) /* it exports another name */
        if (!memcmp(bytes + i, "loci_plugin_v1", 14))
            bytes[i] = 'x';
    REFUSED(bad_write(&f, "p.so", bytes, n), LOCI_OWNERSHIP_OFF, "is a shared object but no loci plugin");
    free(bytes);
    bad_close(&f);
}

static void loader__refuses_a_newer_abi_in_the_note(void)
{
    REFUSED_PLUGIN("newer_note", "built for plugin abi 1.draft.999", "this host has 1.draft.2", "rebuild the plugin");
}

static void loader__refuses_a_newer_abi_in_the_descriptor(void)
{
    REFUSED_PLUGIN("newer_struct", "descriptor says plugin abi 1.draft.999", "this host has 1.draft.2");
}

static void loader__names_the_other_major_that_a_file_exports(void)
{
    REFUSED_PLUGIN("other_major", "exports loci_plugin_v2 only", "needs loci_plugin_v1");
}

static void loader__refuses_a_file_without_an_entry(void)
{
    REFUSED_PLUGIN("no_entry", "does not export loci_plugin_v1", "LOCI_EXPORT");
}

static void loader__refuses_a_wrong_magic(void)
{
    REFUSED_PLUGIN("wrong_magic", "begins with 12345678 instead of LOCI_MAGIC 49434f4c", "LOCI_PLUGIN_HEAD");
}

static void loader__refuses_a_class_that_the_note_does_not_name(void)
{
    REFUSED_PLUGIN("unnoted_class", "holds memory/renamed", "add class=memory/renamed to LOCI_PLUGIN_NOTE");
}

static void loader__refuses_a_note_that_names_an_absent_class(void)
{
    REFUSED_PLUGIN("absent_class", "its note names memory/forgotten, which it does not hold");
}

static void loader__refuses_a_class_without_forward(void)
{
    REFUSED_PLUGIN("no_forward", "memory/momentum: its interface has no forward");
}

static void loader__refuses_a_default_that_does_not_parse(void)
{
    REFUSED_PLUGIN("bad_default", "memory/momentum: the default 'many' of key chunk is no whole number");
}

static void loader__refuses_another_sanitizer_before_and_after_dlopen(void)
{
    if (loci_host_san() & 2)
        CK_SKIP("this host is built with ThreadSanitizer");
    REFUSED_PLUGIN("needs_tsan", "built with ThreadSanitizer, this host with ", "-fsanitize");
    REFUSED_PLUGIN("claims_tsan", "built with ThreadSanitizer, this host with ", "-fsanitize");
}

static void loader__names_a_missing_dependency(void)
{
    REFUSED_PLUGIN("missing_library", "needs libloci_absent.so, which is not found", "libc.so.6", "LD_LIBRARY_PATH");
}

static void loader__names_an_undefined_symbol(void)
{
    REFUSED_PLUGIN("undefined_symbol", "undefined symbol loci_defined_nowhere", "-Wl,-z,defs");
}

/* ---- what loading changes ---------------------------------------------------------------------------------------- */

static void loader__restores_the_arithmetic_that_a_plugin_changed(void)
{
    loci_error ck_err = LOCI_ERROR_INIT;
    bad_folder f = bad_open();
    volatile float tiny = 5e-40f;
#if !defined(__x86_64__)
    CK_SKIP("the plugin flips MXCSR");
#endif
    bad_listen();
    CK_OK(load(bad_copy(&f, "flushes_denormals", "p.so"), LOCI_OWNERSHIP_OFF, &ck_err));
    CU_ASSERT(tiny * 1.5f > 0);
    has(bad_heard, "1 ");
    has(bad_heard, bad_path(&f, "p.so: loading it changed flush-to-zero"));
    has(bad_heard, "MXCSR 1f80 to 9fc0");
    REFUSED(bad_copy(&f, "flushes_denormals", "q.so"), LOCI_OWNERSHIP_CHECK, "changed flush-to-zero", "-ffast-math",
            "plugins.ownership = warn");
    CU_ASSERT(tiny * 1.5f > 0);
    bad_close(&f);
}

static void loader__restores_handlers_locale_folder_and_umask(void)
{
    loci_error ck_err = LOCI_ERROR_INIT;
    bad_folder f = bad_open();
    struct sigaction now;
    char cwd[PATH_MAX], here[PATH_MAX];
    const mode_t mask = umask(022);
    CU_ASSERT_PTR_NOT_NULL(getcwd(here, sizeof here));
    CU_ASSERT_EQUAL(chdir(f.at), 0);
    bad_listen();
    CK_OK(load(bad_copy(&f, "unmannered", "p.so"), LOCI_OWNERSHIP_WARN, &ck_err));
    has(bad_heard, "p.so: loading it changed ");
    has(bad_heard, "the handler of SIGUSR2");
    has(bad_heard, "the locale");
    has(bad_heard, "the working folder");
    has(bad_heard, "the umask");
    CU_ASSERT(!sigaction(SIGUSR2, NULL, &now) && now.sa_handler == SIG_DFL);
    CU_ASSERT_STRING_EQUAL(setlocale(LC_ALL, NULL), "C");
    CU_ASSERT_STRING_EQUAL(getcwd(cwd, sizeof cwd), f.at);
    CU_ASSERT_EQUAL(umask(mask), 022);
    CU_ASSERT_EQUAL(chdir(here), 0);
    REFUSED(bad_copy(&f, "unmannered", "q.so"), LOCI_OWNERSHIP_CHECK, "the handler of SIGUSR2",
            "the process as it was");
    bad_close(&f);
}

#define TESTS(X) \
    X(loader__loads_a_good_plugin_under_the_strictest_policy) \
    X(loader__accepts_a_file_that_serves_two_majors) \
    X(loader__refuses_a_missing_file_and_a_relative_name) \
    X(loader__refuses_an_empty_file) \
    X(loader__refuses_a_text_file) \
    X(loader__names_the_object_beside_a_libtool_file) \
    X(loader__refuses_a_half_copied_file) \
    X(loader__refuses_another_machine) \
    X(loader__refuses_a_program_and_an_object_file) \
    X(loader__refuses_folders_and_pipes_without_waiting) \
    X(loader__notices_every_cut_that_takes_part_of_a_segment) \
    X(loader__reads_damaged_files_without_harm) \
    X(policy__refuses_a_file_that_everyone_may_write) \
    X(policy__refuses_a_file_in_a_folder_that_everyone_may_write) \
    X(policy__judges_where_a_link_stands_and_where_it_leads) \
    X(policy__goes_up_to_a_folder_of_root) \
    X(loader__refuses_an_unreadable_file) \
    X(loader__refuses_a_file_without_a_note) \
    X(loader__refuses_an_object_that_is_not_ours) \
    X(loader__refuses_a_newer_abi_in_the_note) \
    X(loader__refuses_a_newer_abi_in_the_descriptor) \
    X(loader__names_the_other_major_that_a_file_exports) \
    X(loader__refuses_a_file_without_an_entry) \
    X(loader__refuses_a_wrong_magic) \
    X(loader__refuses_a_class_that_the_note_does_not_name) \
    X(loader__refuses_a_note_that_names_an_absent_class) \
    X(loader__refuses_a_class_without_forward) \
    X(loader__refuses_a_default_that_does_not_parse) \
    X(loader__refuses_another_sanitizer_before_and_after_dlopen) \
    X(loader__names_a_missing_dependency) \
    X(loader__names_an_undefined_symbol) \
    X(loader__restores_the_arithmetic_that_a_plugin_changed) \
    X(loader__restores_handlers_locale_folder_and_umask)
CK_MAIN("loader", TESTS)

/* SPDX-License-Identifier: Apache-2.0
 *
 * core/tensor: files that appear whole or not at all, whole-file reading, folders, fingerprints.
 *
 * Failures of the system are real ones: a limit on the size of files, a full file system of 64 KiB in a mount namespace
 * of its own, a folder of another user. Each that could harm this process happens in a child.
 */
#include "tests/ck.h"
#include "tests/folder.h"
#include "core/tensor/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static loci_error ck_err = LOCI_ERROR_INIT;

/* Entries of a folder other than . and .. */
static int count(const char *path)
{
    DIR *dir = opendir(path);
    int n = -2;
    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n;
}

static bool holds(const char *path, const char *text)
{
    char *got = NULL;
    size_t n = 0;
    bool same = loci_file_read(&got, &n, path, 1 << 20, NULL) == LOCI_OK && n == strlen(text) && !memcmp(got, text, n);
    loci_free(got);
    return same;
}

/* Run fn in a child; its exit status, or 1000 + the signal. */
static int in_child(int (*fn)(void))
{
    int how = 0;
    pid_t pid;
    (void)fflush(stdout);
    pid = fork();
    if (pid == 0)
        _exit(fn());
    if (pid < 0 || waitpid(pid, &how, 0) != pid)
        return -1;
    return WIFEXITED(how) ? WEXITSTATUS(how) : 1000 + WTERMSIG(how);
}

/* ---- writing ---- */

static void write__replaces_the_whole_file_and_leaves_nothing_else(void)
{
    struct stat st;
    mode_t mask = umask(027);
    CK_OK(loci_folder_make(in_folder("w"), &ck_err));
    CK_OK(loci_file_write(in_folder("w/a"), "first and long", 14, &ck_err));
    CK_OK(loci_file_write(in_folder("w/a"), "second", 6, &ck_err));
    (void)umask(mask);
    CU_ASSERT_TRUE(holds(in_folder("w/a"), "second"));
    CU_ASSERT_EQUAL(count(in_folder("w")), 1);
    CU_ASSERT_EQUAL(stat(in_folder("w/a"), &st), 0);
    CU_ASSERT_EQUAL(st.st_mode & 0777, 0640);
    CK_OK(loci_file_write(in_folder("w/empty"), NULL, 0, &ck_err));
    CU_ASSERT_TRUE(holds(in_folder("w/empty"), ""));
}

static void write__takes_long_and_relative_names(void)
{
    char name[256], here[4096];
    memset(name, 'n', 255);
    name[255] = '\0';
    CU_ASSERT_PTR_NOT_NULL_FATAL(getcwd(here, sizeof here));
    CK_OK(loci_file_write(in_folder(name), "x", 1, &ck_err));
    CU_ASSERT_EQUAL_FATAL(chdir(folder), 0);
    CU_ASSERT_EQUAL(loci_file_write("relative", "y", 1, &ck_err), LOCI_OK);
    CU_ASSERT_EQUAL_FATAL(chdir(here), 0);
    CU_ASSERT_TRUE(holds(in_folder("relative"), "y"));
}

static void write__replaces_a_link_and_not_what_it_points_to(void)
{
    CK_OK(loci_file_write(in_folder("target"), "kept", 4, &ck_err));
    CU_ASSERT_EQUAL(symlink("target", in_folder("link")), 0);
    CK_OK(loci_file_write(in_folder("link"), "new", 3, &ck_err));
    CU_ASSERT_TRUE(holds(in_folder("target"), "kept"));
    CU_ASSERT_TRUE(holds(in_folder("link"), "new"));
}

static void write__refuses_devices_folders_and_missing_folders(void)
{
    struct stat st;
    CU_ASSERT_EQUAL(loci_file_write("/dev/null", "x", 1, NULL), LOCI_E_IO);
    CU_ASSERT_EQUAL(loci_file_write("/dev/full", "x", 1, NULL), LOCI_E_IO);
    CU_ASSERT_TRUE(stat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode));
    CK_OK(loci_folder_make(in_folder("dir"), &ck_err));
    CU_ASSERT_EQUAL(loci_file_write(in_folder("dir"), "x", 1, NULL), LOCI_E_IO);
    CU_ASSERT_EQUAL(loci_file_write(in_folder("dir/"), "x", 1, NULL), LOCI_E_ARG);
    CU_ASSERT_EQUAL(loci_file_write(in_folder("dir/.."), "x", 1, NULL), LOCI_E_ARG);
    CU_ASSERT_EQUAL(loci_file_write("", "x", 1, NULL), LOCI_E_ARG);
    loci_error_clear(&ck_err);
    CU_ASSERT_EQUAL(loci_file_write(in_folder("none/x"), "x", 1, &ck_err), LOCI_E_IO);
    CU_ASSERT_PTR_NOT_NULL(strstr(ck_err.msg, "its folder cannot be opened: No such file"));
    loci_error_clear(&ck_err);
}

static void write__of_a_dropped_writer_leaves_no_trace(void)
{
    loci_writer *w = NULL;
    int before;
    CK_OK(loci_file_write(in_folder("d"), "old", 3, &ck_err));
    before = count(folder);
    CK_OK(loci_writer_begin(&w, in_folder("d"), 0, &ck_err));
    CK_OK(loci_writer_put(w, "half", 4, &ck_err));
    CU_ASSERT_EQUAL(count(folder), before + 1);
    CU_ASSERT_TRUE(holds(in_folder("d"), "old"));
    loci_writer_drop(w);
    CU_ASSERT_EQUAL(count(folder), before);
    CU_ASSERT_TRUE(holds(in_folder("d"), "old"));
}

static void write__only_deletes_its_own_temporary(void)
{
    CK_OK(loci_file_write(in_folder(".d.1-0.tmp"), "another's", 9, &ck_err));
    CU_ASSERT_EQUAL(loci_file_write(in_folder("dir"), "x", 1, NULL), LOCI_E_IO);
    CU_ASSERT_TRUE(holds(in_folder(".d.1-0.tmp"), "another's"));
}

static int too_large(void)
{
    static char much[100000];
    struct rlimit limit = {50000, 50000};
    loci_error err = LOCI_ERROR_INIT;
    int before = count(folder);
    (void)signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 77;
    if (loci_file_write(in_folder("big"), much, sizeof much, &err) != LOCI_E_IO ||
        !strstr(err.msg, "write: File too large"))
        return 1;
    return holds(in_folder("big"), "old") && count(folder) == before ? 0 : 2;
}

static void write__that_fails_half_way_keeps_the_old_file(void)
{
    int got;
    CK_OK(loci_file_write(in_folder("big"), "old", 3, &ck_err));
    got = in_child(too_large);
    if (got == 77)
        CK_SKIP("limits cannot be set");
    CU_ASSERT_EQUAL(got, 0);
}

/* Of the sizes that are tried some do not fit by the free space, some fit by it and fail later or succeed. */
static int disk_full(void)
{
    static char much[200000];
    loci_error err = LOCI_ERROR_INIT;
    int failed = 0;
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("loci", in_folder("small"), "tmpfs", 0, "size=65536") != 0)
        return 77;
    memset(much, 'x', sizeof much);
    if (loci_file_write(in_folder("small/a"), "old", 3, &err) != LOCI_OK)
        return 1;
    for (size_t n = 1000; n < sizeof much; n += 1000) {
        loci_writer *w = NULL;
        loci_status status;
        loci_error_clear(&err);
        status =
            loci_writer_begin(&w, in_folder("small/a"), n % 2000 ? n : 0, &err); /* 0: the space is not asked first */
        for (size_t done = 0; status == LOCI_OK && done < n; done += 1000)
            status = loci_writer_put(w, much + done, 1000, &err);
        if (status == LOCI_OK) {
            status = loci_writer_commit(w, &err);
            w = NULL;
        }
        loci_writer_drop(w);
        if (count(in_folder("small")) != 1)
            return 2;
        if (status == LOCI_OK)
            continue;
        failed++;
        if (status != LOCI_E_IO || !strstr(err.msg, "disk is full"))
            return 3;
    }
    return failed > 100 ? 0 : 4;
}

static void write__on_a_full_disk_says_so_and_leaves_nothing_behind(void)
{
    int got;
    CK_OK(loci_folder_make(in_folder("small"), &ck_err));
    got = in_child(disk_full);
    if (got == 77)
        CK_SKIP("a file system cannot be mounted here");
    CU_ASSERT_EQUAL(got, 0);
}

static int no_rights(void)
{
    loci_error err = LOCI_ERROR_INIT;
    char *text = NULL;
    if (geteuid() == 0 && seteuid(65534) != 0)
        return 77;
    if (loci_file_write(in_folder("closed/x"), "x", 1, &err) != LOCI_E_IO || !strstr(err.msg, "Permission denied"))
        return 1;
    loci_error_clear(&err);
    if (loci_folder_make(in_folder("closed/deep/er"), &err) != LOCI_E_IO || !strstr(err.msg, "Permission denied"))
        return 2;
    loci_error_clear(&err);
    if (loci_file_read(&text, NULL, in_folder("closed/secret"), 100, &err) != LOCI_E_IO || text)
        return 3;
    return loci_folder_remove(in_folder("closed"), NULL) == LOCI_E_IO ? 0 : 4;
}

static void rights__that_are_missing_are_errors(void)
{
    int got;
    CK_OK(loci_folder_make(in_folder("closed"), &ck_err));
    CK_OK(loci_file_write(in_folder("closed/secret"), "x", 1, &ck_err));
    CU_ASSERT_EQUAL(chmod(in_folder("closed/secret"), 0), 0);
    CU_ASSERT_EQUAL(chmod(in_folder("closed"), 0555), 0);
    CU_ASSERT_EQUAL(chmod(folder, 0755), 0);
    got = in_child(no_rights);
    CU_ASSERT_EQUAL(chmod(in_folder("closed"), 0755), 0);
    if (got == 77)
        CK_SKIP("rights cannot be given up");
    CU_ASSERT_EQUAL(got, 0);
    CU_ASSERT_EQUAL(count(in_folder("closed")), 1);
}

/* Killed at any moment, the target is one of the whole versions. */
static int write_for_ever(void)
{
    static char text[300000];
    for (char c = 'a';; c = c == 'z' ? 'a' : (char)(c + 1)) {
        memset(text, c, sizeof text);
        if (loci_file_write(in_folder("killed"), text, sizeof text, NULL) != LOCI_OK)
            return 1;
    }
}

static void write__that_is_killed_leaves_a_whole_file(void)
{
    CK_OK(loci_file_write(in_folder("killed"), "", 0, &ck_err));
    for (int round = 0; round < 20; round++) {
        char *text = NULL;
        size_t n = 0;
        pid_t pid = fork();
        if (pid == 0)
            _exit(write_for_ever());
        (void)usleep(1000 + (useconds_t)(ck_bits() % 20000));
        (void)kill(pid, SIGKILL);
        CU_ASSERT_EQUAL(waitpid(pid, NULL, 0), pid);
        CK_OK(loci_file_read(&text, &n, in_folder("killed"), 1 << 20, &ck_err));
        CU_ASSERT_TRUE(n == 0 || (n == 300000 && memcmp(text, text + 1, n - 1) == 0));
        loci_free(text);
    }
}

/* ---- reading, hashing ---- */

static void read__gives_all_bytes_and_a_nul(void)
{
    char *text = NULL;
    size_t n = 0;
    CK_OK(loci_file_write(in_folder("r"), "a\0b", 3, &ck_err));
    CK_OK(loci_file_read(&text, &n, in_folder("r"), 3, &ck_err));
    CU_ASSERT_TRUE(n == 3 && memcmp(text, "a\0b", 4) == 0);
    loci_free(text);
    text = NULL;
    CU_ASSERT_EQUAL(loci_file_read(&text, &n, in_folder("r"), 2, NULL), LOCI_E_IO);
    CU_ASSERT_PTR_NULL(text);
    CU_ASSERT_EQUAL(loci_file_read(&text, &n, in_folder("absent"), 2, NULL), LOCI_E_IO);
    CU_ASSERT_EQUAL(loci_file_read(&text, &n, folder, 2, NULL), LOCI_E_IO);
    CU_ASSERT_EQUAL(loci_file_read(&text, &n, "/dev/zero", 2, NULL), LOCI_E_IO);
}

static void read__goes_to_the_end_where_the_size_says_nothing(void)
{
    char *text = NULL;
    size_t n = 0;
    CK_OK(loci_file_read(&text, &n, "/proc/self/status", 1 << 20, &ck_err));
    CU_ASSERT_TRUE(n > 100 && strstr(text, "Name:"));
    loci_free(text);
    CU_ASSERT_EQUAL(loci_file_read(&text, &n, "/proc/self/status", 50, NULL), LOCI_E_IO);
}

static void hash__is_xxh64(void)
{
    uint64_t h = 0;
    char *much = malloc(1000000);
    CU_ASSERT_EQUAL(loci_hash("", 0, 0), UINT64_C(0xEF46DB3751D8E999));
    CU_ASSERT_EQUAL(loci_hash("abc", 3, 0), UINT64_C(0x44BC2CF5AD770999));
    memset(much, 7, 1000000);
    CK_OK(loci_file_write(in_folder("h"), much, 1000000, &ck_err));
    CK_OK(loci_file_hash(&h, in_folder("h"), &ck_err));
    CU_ASSERT_EQUAL(h, loci_hash(much, 1000000, 0));
    CU_ASSERT_EQUAL(loci_file_hash(&h, in_folder("absent"), NULL), LOCI_E_IO);
    free(much);
}

/* ---- folders ---- */

static void folder__is_made_with_its_parents(void)
{
    struct stat st;
    CK_OK(loci_folder_make(in_folder("p/q//r/"), &ck_err));
    CK_OK(loci_folder_make(in_folder("p/q/r"), &ck_err));
    CU_ASSERT_TRUE(stat(in_folder("p/q/r"), &st) == 0 && S_ISDIR(st.st_mode));
    CK_OK(loci_folder_sync(in_folder("p/q"), &ck_err));
    CU_ASSERT_EQUAL(loci_folder_sync(in_folder("p/absent"), NULL), LOCI_E_IO);
    CK_OK(loci_file_write(in_folder("p/file"), "x", 1, &ck_err));
    CU_ASSERT_EQUAL(loci_folder_make(in_folder("p/file"), NULL), LOCI_E_IO);
    CU_ASSERT_EQUAL(loci_folder_make(in_folder("p/file/x"), NULL), LOCI_E_IO);
}

static void folder__removal_does_not_follow_links(void)
{
    CK_OK(loci_folder_make(in_folder("kept"), &ck_err));
    CK_OK(loci_file_write(in_folder("kept/f"), "x", 1, &ck_err));
    CK_OK(loci_folder_make(in_folder("gone/a/b"), &ck_err));
    CK_OK(loci_file_write(in_folder("gone/a/f"), "x", 1, &ck_err));
    CU_ASSERT_EQUAL(symlink("../kept", in_folder("gone/link")), 0);
    CU_ASSERT_EQUAL(symlink("kept", in_folder("toplink")), 0);
    CU_ASSERT_EQUAL(loci_folder_remove(in_folder("toplink"), NULL), LOCI_E_IO);
    CU_ASSERT_EQUAL(loci_folder_remove(in_folder("toplink/"), NULL), LOCI_E_IO);
    CK_OK(loci_folder_remove(in_folder("gone/"), &ck_err));
    CU_ASSERT_EQUAL(count(in_folder("gone")), -2);
    CU_ASSERT_TRUE(holds(in_folder("kept/f"), "x"));
    CK_OK(loci_folder_remove(in_folder("gone"), &ck_err)); /* no error */
    CU_ASSERT_EQUAL(loci_folder_remove(in_folder("kept/f"), NULL), LOCI_E_IO);
}

/* ---- running out of memory ---- */

static loci_status each_call(loci_error *err)
{
    char *text = NULL;
    uint64_t h;
    loci_status status;
    LOCI_TRY(loci_folder_make(in_folder("m/n"), err));
    LOCI_TRY(loci_file_write(in_folder("m/n/f"), "x", 1, err));
    LOCI_TRY(loci_file_read(&text, NULL, in_folder("m/n/f"), 100, err));
    LOCI_TRY(loci_file_hash(&h, in_folder("m/n/f"), err));
    LOCI_TRY(loci_folder_remove(in_folder("m"), err));
out:
    loci_free(text);
    return status;
}

static void memory__every_allocation_may_fail(void)
{
    loci_status status;
    long n = 0;
    do {
        loci_error err = LOCI_ERROR_INIT;
        loci_memory_fail_at(++n);
        status = each_call(&err);
        loci_memory_fail_at(0);
        CU_ASSERT_TRUE(status == LOCI_OK || (status == LOCI_E_NOMEM && err.msg[0]));
        CU_ASSERT_EQUAL(loci_memory_held(), 0);
    } while (status != LOCI_OK && n < 100);
    CU_ASSERT_TRUE(n > 5);
}

static void the_folder_of_these_tests__can_be_removed(void)
{
    (void)in_folder("");
    CK_OK(loci_folder_remove(folder, &ck_err));
    CU_ASSERT_NOT_EQUAL(access(folder, F_OK), 0);
}

#define TESTS(X) \
    X(write__replaces_the_whole_file_and_leaves_nothing_else) \
    X(write__takes_long_and_relative_names) \
    X(write__replaces_a_link_and_not_what_it_points_to) \
    X(write__refuses_devices_folders_and_missing_folders) \
    X(write__of_a_dropped_writer_leaves_no_trace) \
    X(write__only_deletes_its_own_temporary) \
    X(write__that_fails_half_way_keeps_the_old_file) \
    X(write__on_a_full_disk_says_so_and_leaves_nothing_behind) \
    X(rights__that_are_missing_are_errors) \
    X(write__that_is_killed_leaves_a_whole_file) \
    X(read__gives_all_bytes_and_a_nul) \
    X(read__goes_to_the_end_where_the_size_says_nothing) \
    X(hash__is_xxh64) \
    X(folder__is_made_with_its_parents) \
    X(folder__removal_does_not_follow_links) \
    X(memory__every_allocation_may_fail) \
    X(the_folder_of_these_tests__can_be_removed)

CK_MAIN("file", TESTS)

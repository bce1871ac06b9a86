/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad/bad.h: what the tests of the loader share: the plugins of this folder, private folders, files made from
 * bytes, the log as text. The wrong files that need no compiler are made of good.so on the spot.
 *
 * A file that was loaded stays loaded, so every test loads copies of its own: another inode is another plugin.
 */
#ifndef LOCI_TESTS_BAD_H
#define LOCI_TESTS_BAD_H

#include "core/plugin/registry.h"
#include "tests/ck.h"

#include <ftw.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct bad_folder {
    char at[64];
} bad_folder;

static inline bad_folder bad_open(void)
{
    bad_folder f = {"/tmp/loci-plugin-XXXXXX"};
    if (!mkdtemp(f.at)) {
        perror("mkdtemp");
        exit(1);
    }
    return f;
}

static inline int bad_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void bad_close(const bad_folder *f)
{
    nftw(f->at, bad_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* FOLDER/NAME; valid until the eighth next call. */
static inline const char *bad_path(const bad_folder *f, const char *name)
{
    static char ring[8][256];
    static unsigned turn;
    char *at = ring[turn++ % 8];
    snprintf(at, sizeof ring[0], "%s/%s", f->at, name);
    return at;
}

static inline const char *bad_write(const bad_folder *f, const char *name, const void *bytes, size_t n)
{
    const char *path = bad_path(f, name);
    FILE *to = fopen(path, "wb");
    if (!to || fwrite(bytes, 1, n, to) != n || fclose(to)) {
        perror(path);
        exit(1);
    }
    chmod(path, 0755);
    return path;
}

/* The bytes of tests/bad/NAME.so of the build tree; free() them. */
static inline unsigned char *bad_bytes(const char *name, size_t *n)
{
    const char *build = getenv("LOCI_TEST_BUILD");
    char path[PATH_MAX];
    unsigned char *bytes = malloc(1 << 20);
    FILE *from;
    snprintf(path, sizeof path, "%s/tests/bad/%s.so", build ? build : ".", name);
    from = fopen(path, "rb");
    if (!bytes || !from) {
        perror(path);
        exit(1);
    }
    *n = fread(bytes, 1, 1 << 20, from);
    fclose(from);
    return bytes;
}

/* Copy tests/bad/PLUGIN.so to FOLDER/NAME. */
static inline const char *bad_copy(const bad_folder *f, const char *plugin, const char *name)
{
    size_t n;
    unsigned char *bytes = bad_bytes(plugin, &n);
    const char *path = bad_write(f, name, bytes, n);
    free(bytes);
    return path;
}

/* good.so with `count` bytes replaced at `offset`. */
static inline const char *bad_patched(const bad_folder *f, const char *name, size_t offset, const void *with,
                                      size_t count)
{
    size_t n;
    unsigned char *bytes = bad_bytes("good", &n);
    const char *path;
    memcpy(bytes + offset, with, count);
    path = bad_write(f, name, bytes, n);
    free(bytes);
    return path;
}

/* Assert that a message says something. */
static inline void has(const char *text, const char *part)
{
    CK_TRUE(strstr(text, part) != NULL, "'%s' is not in '%s'", part, text);
}

/* Everything logged since bad_listen, one message a line. */
static char bad_heard[8192];
static inline void bad_hear(void *arg, int32_t level, const char *module, const char *msg)
{
    const size_t n = strlen(bad_heard);
    (void)arg;
    (void)module;
    snprintf(bad_heard + n, sizeof bad_heard - n, "%d %s\n", (int)level, msg);
}
static inline void bad_listen(void)
{
    bad_heard[0] = 0;
    loci_log_to(bad_hear, NULL);
}

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/fuzz/fuzz_config: any bytes as a config file.
 *
 * Whatever is read must not crash, and what was understood must mean the same after a dump: the dump loads without a
 * complaint, and dumps to the same text.
 *
 *     clang -fsanitize=fuzzer,address -DLOCI_FUZZER ... && ./fuzz_config tests/fuzz/config
 *
 * Without LOCI_FUZZER it is a program that takes files and folders (without arguments: the seeds beside it), and tries
 * each file as it is, cut short everywhere, and in repeatable mutations.
 */
#include "core/config/config.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const loci_key key_chunk = {sizeof(loci_key), LOCI_KEY_INT, "chunk", "64", "Tokens.", NULL, 1, 65536};
static const loci_key key_mode = {sizeof(loci_key), LOCI_KEY_ENUM, "mode", "exact", "How.", "exact|frozen", 0, 0};
static const loci_key *const keys[] = {&key_chunk, &key_mode};

static void must(bool truth, const char *what, const char *detail)
{
    if (!truth) {
        fprintf(stderr, "%s: %s\n", what, detail);
        abort();
    }
}

static loci_conf *load(const char *text, size_t n, loci_status *status, loci_error *err)
{
    loci_conf *c = NULL;

    if (loci_conf_new(&c, err) != LOCI_OK || loci_conf_schema(c, "memory.titans", keys, 2, err) != LOCI_OK)
        abort();
    *status = loci_conf_text(c, "fuzz.ini", text, n, err);
    return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    loci_error err = LOCI_ERROR_INIT;
    loci_status status;
    loci_conf *c = load((const char *)data, size, &status, &err), *again, *arm = NULL;
    loci_text first = {0}, second = {0}, help = {0};
    loci_config view;

    must((status == LOCI_OK) == (err.msg[0] == '\0'), "status and message disagree", err.msg);
    (void)loci_conf_check(c, true, NULL);
    must(loci_conf_dump(&first, c, false, NULL) == LOCI_OK, "no dump", "");
    err = (loci_error)LOCI_ERROR_INIT;
    again = load(first.at, first.len, &status, &err);
    if (!strstr(err.msg, "holds at most")) { /* layers cut apart may be more lines than a file may have */
        must(status == LOCI_OK && loci_conf_check(again, true, &err) == LOCI_OK, "the dump does not load", err.msg);
        must(loci_conf_dump(&second, again, false, NULL) == LOCI_OK, "no dump", "");
        must(strcmp(first.at, second.at) == 0, "the dump of the dump differs", second.at);
    }
    if (loci_conf_n_arms(c)) {
        must(loci_conf_arm(&arm, c, loci_conf_arm_name(c, 0), NULL) == LOCI_OK, "no arm", "");
        (void)loci_conf_check(arm, false, NULL);
        loci_conf_free(arm);
    }
    must(loci_conf_view(&view, c, 1, "memory.titans", NULL) == LOCI_OK, "no view", "");
    must(view.get_int(view.ctx, "chunk") >= 1, "a value out of its range got through", "");
    (void)loci_conf_help(&help, c, first.len ? "memory.titans" : NULL, NULL);
    loci_text_free(&first);
    loci_text_free(&second);
    loci_text_free(&help);
    loci_conf_free(c);
    loci_conf_free(again);
    return 0;
}

#ifndef LOCI_FUZZER
static unsigned long tried;

static void attempt(const uint8_t *data, size_t size)
{
    LLVMFuzzerTestOneInput(data, size);
    tried++;
}

static void mutate(uint8_t *data, size_t size)
{
    static const char odd[] = "[]=.-;# \t\n\r\0\xFF\xC3\xEF:0123456789kMGarmlyeincud";
    uint64_t x = 1;

    for (size_t n = 0; n < size; n += 1 + size / 200)
        attempt(data, n);
    for (int i = 0; i < 400 && size; i++) {
        uint64_t r = (x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407)) >> 20;
        size_t at = (size_t)(r % size);
        uint8_t was = data[at];
        data[at] = (uint8_t)odd[(r >> 24) % (sizeof odd - 1)];
        attempt(data, size);
        if (i % 4)
            data[at] = was; /* every fourth stays */
    }
}

static int replay(const char *path)
{
    struct stat st;
    uint8_t *data;
    FILE *f;
    int bad = 0;

    if (stat(path, &st) != 0) {
        perror(path);
        return 1;
    }
    if (S_ISDIR(st.st_mode)) {
        DIR *dir = opendir(path);
        for (struct dirent *e; dir && (e = readdir(dir));) {
            char name[4096];
            snprintf(name, sizeof name, "%s/%s", path, e->d_name);
            if (e->d_name[0] != '.')
                bad |= replay(name);
        }
        if (dir)
            closedir(dir);
        return bad || !dir;
    }
    f = fopen(path, "rb");
    data = malloc((size_t)st.st_size + 1);
    if (!f || !data || fread(data, 1, (size_t)st.st_size, f) != (size_t)st.st_size) {
        perror(path);
        bad = 1;
    } else {
        attempt(data, (size_t)st.st_size);
        mutate(data, (size_t)st.st_size);
    }
    free(data);
    if (f)
        fclose(f);
    return bad;
}

int main(int argc, char **argv)
{
    const char *src = getenv("LOCI_TEST_SRC");
    char seeds[4096];
    int bad = 0;

    snprintf(seeds, sizeof seeds, "%s/tests/fuzz/config", src ? src : ".");
    if (argc < 2)
        bad = replay(seeds);
    for (int i = 1; i < argc; i++)
        bad |= replay(argv[i]);
    printf("%lu inputs\n", tried);
    return bad || tried == 0;
}
#endif

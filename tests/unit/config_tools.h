/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/unit/config_tools.h: what the tests of core/config share: a folder to write in, a log that is remembered, a
 * class's keys, and configs made of literals.
 */
#ifndef LOCI_TESTS_CONFIG_TOOLS_H
#define LOCI_TESTS_CONFIG_TOOLS_H

#include "core/config/config.h"
#include "tests/ck.h"

#include <sys/stat.h>
#include <unistd.h>

static loci_error ck_err = LOCI_ERROR_INIT;
static char folder[200], logged[1 << 16];

static void remember(void *arg, int32_t level, const char *module, const char *msg)
{
    size_t n = strlen(logged);
    (void)arg, (void)module;
    snprintf(logged + n, sizeof logged - n, "%s%s\n", level == LOCI_LOG_WARN ? "warning: " : "", msg);
}

static void sweep(void)
{
    char cmd[500];
    snprintf(cmd, sizeof cmd, "rm -rf '%s'", folder);
    (void)!(chdir("/") == 0 && system(cmd) == 0);
}

/* An empty folder that is the working directory, an empty log, no error. */
static void fresh(void)
{
    char cmd[500];
    if (!folder[0]) {
        atexit(sweep);
        const char *tmp = getenv("TMPDIR");
        snprintf(folder, sizeof folder, "%.150s/loci-config-XXXXXX", tmp && tmp[0] == '/' ? tmp : "/tmp");
        if (!mkdtemp(folder))
            exit(1);
    }
    snprintf(cmd, sizeof cmd, "rm -rf '%s' && mkdir '%s'", folder, folder);
    if (system(cmd) != 0 || chdir(folder) != 0)
        exit(1);
    logged[0] = '\0';
    loci_log_to(remember, NULL);
    loci_error_clear(&ck_err);
    unsetenv("LOCI_SET");
}
static void put(const char *name, const char *text)
{
    FILE *f = fopen(name, "wb");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0)
        exit(1);
}

/* A class's section, as a plugin would bring it. */
static const loci_key key_mode = {sizeof(loci_key), LOCI_KEY_ENUM, "mode", "exact", "How.", "exact|frozen", 0, 0};
static const loci_key key_chunk = {sizeof(loci_key), LOCI_KEY_INT, "chunk", "64", "Tokens.", NULL, 1, 65536};
static const loci_key key_rate = {sizeof(loci_key), LOCI_KEY_REAL, "rate", "0.5", "Rate.", NULL, 0, 1};
static const loci_key key_label = {sizeof(loci_key), LOCI_KEY_STR, "label", "", "Label.", NULL, 0, 0};
static const loci_key key_segment = {sizeof(loci_key), LOCI_KEY_INT, "segment", "512", "Tokens.", NULL, 1, 1 << 20};
static const loci_key *const titans_keys[] = {&key_mode, &key_chunk, &key_rate, &key_label};
static const loci_key *const mac_keys[] = {&key_segment};

static loci_status know(loci_conf *c, loci_error *err)
{
    loci_status status;
    LOCI_TRY(loci_conf_schema(c, "memory.titans", titans_keys, 4, err));
    LOCI_TRY(loci_conf_schema(c, "compose.mac", mac_keys, 1, err));
    LOCI_TRY(loci_conf_schema(c, "compose.mag", NULL, 0, err));
out:
    return status;
}

/* The text as t.ini with the schemas above; NULL after a failed assertion. */
static inline loci_conf *conf_of(const char *text)
{
    loci_conf *c = NULL;
    loci_status status = loci_conf_new(&c, &ck_err);
    if (status == LOCI_OK)
        status = know(c, &ck_err);
    if (status == LOCI_OK)
        status = loci_conf_text(c, "t.ini", text, strlen(text), &ck_err);
    CK_TRUE(status == LOCI_OK, "%s: %s", text, ck_err.msg);
    return c;
}

/* Reading the text, or checking it, must say exactly this; NULL: must succeed. */
static inline void says(const char *text, size_t n, bool check, const char *want)
{
    loci_conf *c = NULL;
    loci_error err = LOCI_ERROR_INIT;
    loci_status status = loci_conf_new(&c, &err);
    if (status == LOCI_OK)
        status = know(c, &err);
    if (status == LOCI_OK)
        status = loci_conf_text(c, "t.ini", text, n, &err);
    if (status == LOCI_OK && check)
        status = loci_conf_check(c, false, &err);
    CK_TRUE(status == (want ? LOCI_E_CONFIG : LOCI_OK), "status %d: %s", status, err.msg);
    CK_TRUE(strcmp(err.msg, want ? want : "") == 0, "got  %s\n    want %s", err.msg, want ? want : "nothing");
    loci_conf_free(c);
}
#define READS(text, want) says(text, sizeof(text) - 1, false, want)
#define CHECKS(text, want) says(text, sizeof(text) - 1, true, want)
#define STR_IS(got, want) \
    do { \
        const char *got_ = (got); \
        CK_TRUE(strcmp(got_, want) == 0, "got %s, want %s", got_, want); \
    } while (0)

#endif

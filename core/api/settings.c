/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings: a config as its layers are laid over each other; and what concerns the whole process.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "core/api/api.h"
#include <string.h>

const char *loci_version(void)
{
    return PACKAGE_VERSION;
}

void loci_on_log(void (*fn)(void *arg, int32_t level, const char *module, const char *msg), void *arg)
{
    loci_log_to(fn, arg);
}

void loci_api_give(void *out, const void *from, uint32_t theirs, uint32_t ours)
{
    uint32_t n = theirs < ours ? theirs : ours;

    if (out && n > sizeof theirs)
        memcpy((char *)out + sizeof theirs, (const char *)from + sizeof theirs, n - sizeof theirs);
}

void loci_api_take(void *own, const void *theirs, uint32_t their_size, uint32_t our_size)
{
    memset(own, 0, our_size);
    if (theirs)
        memcpy(own, theirs, their_size < our_size ? their_size : our_size);
}

/* ---- layers ----------------------------------------------------------------------------------------------------- */

loci_status loci_settings_new(loci_settings **out, loci_error *err)
{
    return loci_conf_new(out, err);
}

void loci_settings_free(loci_settings *s)
{
    loci_conf_free(s);
}

loci_status loci_settings_checkpoint(loci_settings *s, const char *folder, loci_error *err)
{
    loci_status status = LOCI_OK;
    char found[4096], *path = NULL;

    LOCI_TRY(loci_checkpoint_find(found, sizeof found, folder, err));
    path = loci_format("%s/config.ini", found);
    status = path ? loci_checkpoint_config(s, path, err) : loci_fail(err, LOCI_E_NOMEM, "out of memory for a path");
out:
    loci_free(path);
    return status;
}

loci_status loci_settings_file(loci_settings *s, const char *path, loci_error *err)
{
    return loci_conf_file(s, path, err);
}

loci_status loci_settings_text(loci_settings *s, const char *name, const char *text, size_t n, loci_error *err)
{
    return loci_conf_text(s, name, text, n, err);
}

loci_status loci_settings_set(loci_settings *s, const char *assignment, loci_error *err)
{
    return loci_conf_set(s, assignment, "set", err);
}

loci_status loci_settings_environment(loci_settings *s, loci_error *err)
{
    return loci_conf_env(s, err);
}

/* ---- values ----------------------------------------------------------------------------------------------------- */

loci_status loci_api_get(const loci_conf *c, const char *key, const char **out, loci_error *err)
{
    const char *dot = key ? strrchr(key, '.') : NULL;
    char section[64];

    *out = NULL;
    if (!dot || dot == key || (size_t)(dot - key) >= sizeof section)
        return loci_fail(err, LOCI_E_ARG, "`%s` is not of the form section.key", key ? key : "");
    snprintf(section, sizeof section, "%.*s", (int)(dot - key), key);
    if (!loci_conf_has(c, section, dot + 1))
        return loci_fail(err, LOCI_E_ARG, "there is no key `%s`: `loci config --help-config` lists them", key);
    *out = loci_conf_str(c, -1, section, dot + 1);
    return LOCI_OK;
}

loci_status loci_settings_get(const loci_settings *s, const char *key, const char **out, loci_error *err)
{
    return loci_api_get(s, key, out, err);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * core/config/dump: the effective config as a file.
 *
 * Loading the text gives a config with the same effective values for every layer and every arm, in the same order of
 * arms; walk.c says why. Numbers are canonical, so that two configs that mean the same in their plain sections and say
 * their layers in the same ranges have the same text.
 */
#include "core/config/conf.h"

#include <string.h>

typedef struct dump {
    loci_text *out;
    bool origins;
} dump;

static void dump_one(void *arg, const loci__seen *seen)
{
    dump *d = arg;

    if (!seen->key) {
        loci_text_add(d->out, "%s[%s]\n", d->out->len ? "\n" : "", seen->section);
        return;
    }
    if (d->origins)
        loci_text_add(d->out, "# %s\n", seen->origin);
    if (strlen(seen->key) + strlen(seen->value) + 3 > LOCI_CONF_LINE)
        loci_text_add(d->out, "%s=%s\n", seen->key, seen->value);
    else
        loci_text_add(d->out, "%s =%s%s\n", seen->key, seen->value[0] ? " " : "", seen->value);
}

loci_status loci_conf_dump(loci_text *out, const loci_conf *c, bool origins, loci_error *err)
{
    dump d = {out, origins};
    loci_status status;

    LOCI_TRY(loci__conf_walk(c, NULL, dump_one, &d, err));
    for (uint32_t i = 0; i < c->n_arms; i++) {
        loci_text_add(out, "\n[arm.%s]\n", c->arms[i]); /* names keep the order of first mention */
        LOCI_TRY(loci__conf_walk(c, c->arms[i], dump_one, &d, err));
    }
    if (out->failed)
        status = loci__nomem(err);
out:
    return status;
}

typedef struct each {
    void (*fn)(void *arg, const char *section, const char *key, const char *value, const char *origin);
    void *arg;
} each;

static void each_one(void *arg, const loci__seen *seen)
{
    each *e = arg;

    if (seen->key && seen->differs)
        e->fn(e->arg, seen->section, seen->key, seen->value, seen->origin);
}

loci_status loci_conf_each(const loci_conf *c,
                           void (*fn)(void *arg, const char *section, const char *key, const char *value,
                                      const char *origin),
                           void *arg)
{
    each e = {fn, arg};

    return loci__conf_walk(c, NULL, each_one, &e, NULL);
}

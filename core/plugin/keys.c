/* SPDX-License-Identifier: Apache-2.0
 *
 * core/plugin: a class's keys describe themselves, so a wrong description is found when the class is loaded and not
 * when a user happens to set the key.
 */
#include "core/plugin/load.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool name_ok(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return n && !name[n] && n < LOCI_MAX_ID;
}

/* Is `word` one of "a|b|c"? */
static bool is_choice(const char *choices, const char *word)
{
    const size_t n = strlen(word);
    for (const char *at = choices; at; at = strchr(at, '|'), at = at ? at + 1 : NULL)
        if (n && !strncmp(at, word, n) && (at[n] == '|' || !at[n]))
            return true;
    return false;
}

static loci_status check_number(const loci_key *k, const char *of, const char *path, loci_error *err)
{
    char *end;
    double value;
    errno = 0;
    value = k->type == LOCI_KEY_INT ? (double)strtoll(k->def, &end, 10) : strtod(k->def, &end);
    if (end == k->def || *end || errno == ERANGE || isnan(value))
        return loci_fail(err, LOCI_E_PLUGIN, "%s: %s: the default '%.60s' of key %s is no %s", path, of, k->def,
                         k->name, k->type == LOCI_KEY_INT ? "whole number" : "number");
    if (!(k->min <= k->max))
        return loci_fail(err, LOCI_E_PLUGIN, "%s: %s: the range of key %s is %g to %g", path, of, k->name, k->min,
                         k->max);
    if ((k->min != 0 || k->max != 0) && (value < k->min || value > k->max))
        return loci_fail(err, LOCI_E_PLUGIN, "%s: %s: the default %s of key %s is outside its range %g to %g", path, of,
                         k->def, k->name, k->min, k->max);
    return LOCI_OK;
}

loci_status loci_verify_key(const loci_key *k, const char *of, const char *path, loci_error *err)
{
    if (!k->name || !name_ok(k->name))
        return loci_fail(err, LOCI_E_PLUGIN, "%s: %s: the key '%.60s' is ill-formed: a-z, 0-9 and _", path, of,
                         k->name ? k->name : "NULL");
    if (!k->def || !k->help)
        return loci_fail(err, LOCI_E_PLUGIN, "%s: %s: key %s has no %s", path, of, k->name,
                         k->def ? "help" : "default");
    if (k->type == LOCI_KEY_INT || k->type == LOCI_KEY_REAL)
        return check_number(k, of, path, err);
    if (k->type == LOCI_KEY_BOOL && strcmp(k->def, "yes") && strcmp(k->def, "no"))
        return loci_fail(err, LOCI_E_PLUGIN, "%s: %s: the default '%.60s' of key %s is neither yes nor no", path, of,
                         k->def, k->name);
    if (k->type == LOCI_KEY_ENUM && (!k->choices || !is_choice(k->choices, k->def)))
        return loci_fail(err, LOCI_E_PLUGIN, "%s: %s: the default '%.60s' of key %s is none of its choices '%.120s'",
                         path, of, k->def, k->name, k->choices ? k->choices : "");
    if (k->type < LOCI_KEY_INT || k->type > LOCI_KEY_STR)
        return loci_fail(err, LOCI_E_PLUGIN, "%s: %s: key %s is of type %" PRId32 ", which this abi does not know",
                         path, of, k->name, k->type);
    return LOCI_OK;
}

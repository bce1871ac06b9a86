/* SPDX-License-Identifier: Apache-2.0
 *
 * core/config/help: every key, as a config file of the defaults with a comment above each.
 *
 * The text is itself a config that loads, so it can be saved and edited.
 */
#include "core/config/conf.h"

#include <string.h>

/* A text of a plugin may have several lines. */
static void add_comment(loci_text *out, const char *s)
{
    for (size_t n; *s; s += n + (s[n] == '\n')) {
        n = strcspn(s, "\n");
        loci_text_add(out, "# %.*s\n", (int)n, s);
    }
}

static void add_choices(loci_text *out, const char *choices)
{
    loci_text_add(out, "# one of ");
    for (; *choices; choices++)
        if (*choices == '|')
            loci_text_add(out, ", ");
        else
            loci_text_bytes(out, choices, 1);
    loci_text_add(out, "\n");
}

static void add_key(loci_text *out, const loci_key *k)
{
    char range[100];
    const char *type = "text";

    add_comment(out, k->help);
    loci__range_text(range, sizeof range, k);
    switch (k->type) {
    case LOCI_KEY_INT:
        type = "whole number";
        break;
    case LOCI_KEY_REAL:
        type = "number";
        break;
    case LOCI_KEY_BOOL:
        type = "yes or no";
        break;
    case LOCI_KEY_PATH:
        type = "path, relative to the file that says it";
        break;
    case LOCI_KEY_LIST:
        type = "list, items separated by commas";
        break;
    default:
        break;
    }
    if (k->type == LOCI_KEY_ENUM)
        add_choices(out, k->choices);
    else
        loci_text_add(out, "# %s%s%s\n", type, range[0] ? ", " : "", range);
    loci_text_add(out, "%s =%s%s\n", k->name, k->def[0] ? " " : "", k->def);
}

loci_status loci_conf_help(loci_text *out, const loci_conf *c, const char *section, loci_error *err)
{
    const loci__spec *only = section ? loci__spec_find(c, section) : NULL;
    const char *near;
    char cut[80];

    if (section && !only) {
        near = loci__near_section(c, section);
        section = loci__short(cut, 60, section);
        if (near)
            return loci_fail(err, LOCI_E_CONFIG, "no section [%s] is known, did you mean [%s]?", section, near);
        return loci_fail(err, LOCI_E_CONFIG, "no section [%s] is known, loci config --help-config lists all", section);
    }
    for (uint32_t i = 0; i < c->n_specs; i++) {
        if (only && only != &c->specs[i])
            continue;
        loci_text_add(out, "%s[%s]\n", out->len ? "\n" : "", c->specs[i].section);
        for (uint32_t k = 0; k < c->specs[i].n; k++)
            add_key(out, c->specs[i].keys[k]);
    }
    return out->failed ? loci__nomem(err) : LOCI_OK;
}

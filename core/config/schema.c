/* SPDX-License-Identifier: Apache-2.0
 *
 * core/config/schema: which keys a section has, and what items mean by them.
 *
 *  (1) A schema is judged when it arrives, defaults included, so that no getter can meet a bad default.
 *  (2) Order does not matter: items read before the schema are bound when it comes, those after it when they come.
 *  (3) "plugin.ID" is the schema of every section [plugin.anything].
 */
#include "core/config/conf.h"

#include <assert.h>
#include <math.h>
#include <string.h>

const loci__spec *loci__spec_find(const loci_conf *c, const char *section)
{
    if (strncmp(section, "plugin.", 7) == 0 && section[7])
        section = "plugin.ID"; /* (3) */
    for (uint32_t i = 0; i < c->n_specs; i++)
        if (strcmp(c->specs[i].section, section) == 0)
            return &c->specs[i];
    return NULL;
}

const loci_key *loci__spec_key(const loci__spec *spec, const char *key, uint32_t *index)
{
    for (uint32_t i = 0; spec && i < spec->n; i++)
        if (strcmp(spec->keys[i]->name, key) == 0) {
            if (index)
                *index = i;
            return spec->keys[i];
        }
    return NULL;
}

/* Is the key one that a config can speak about? (1) */
static bool key_described(const loci_key *k, char *why, size_t room)
{
    if (!LOCI_HAS(k, loci_key, max) || !k->name || !k->def || !k->help) {
        snprintf(why, room, "a loci_key lacks its size, name, default or help");
        return false;
    }
    if (!loci__key_ok(k->name, why, room))
        return false;
    if (!((k->type >= LOCI_KEY_INT && k->type <= LOCI_KEY_STR) || k->type == LOCI_KEY_PATH ||
          k->type == LOCI_KEY_LIST)) {
        snprintf(why, room, "key `%s` has the unknown type %d", k->name, k->type);
        return false;
    }
    if (k->type == LOCI_KEY_ENUM && (!k->choices || !*k->choices)) {
        snprintf(why, room, "key `%s` is an enum without choices", k->name);
        return false;
    }
    if (isnan(k->min) || isnan(k->max) || k->min > k->max) {
        snprintf(why, room, "key `%s` has a range that runs backwards", k->name);
        return false;
    }
    if (k->def[0] == ' ' || (k->def[0] && k->def[strlen(k->def) - 1] == ' ') || strlen(k->def) > LOCI_CONF_LINE / 2) {
        snprintf(why, room, "key `%s`: a default has no blanks around it and at most %d bytes", k->name,
                 LOCI_CONF_LINE / 2);
        return false;
    }
    return loci__text_ok(k->def, strlen(k->def), why, room);
}

/* The same section from the same class once more? */
static bool same_schema(const loci__spec *spec, const loci_key *const *keys, uint32_t n)
{
    if (spec->n != n)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        const loci_key *a = spec->keys[i], *b = keys[i];
        if (a != b && (!LOCI_HAS(b, loci_key, max) || !b->name || !b->def || strcmp(a->name, b->name) != 0 ||
                       strcmp(a->def, b->def) != 0 || a->type != b->type || a->min != b->min || a->max != b->max))
            return false;
    }
    return true;
}

static loci_status add_spec(loci_conf *c, const char *section, const loci_key *const *keys, uint32_t n, bool core,
                            loci_error *err)
{
    loci__spec spec = {.n = n, .core = core}, *bigger;
    char why[300] = "";

    spec.section = loci__conf_intern(c, section, strlen(section));
    spec.keys = loci__conf_take(c, n * sizeof *spec.keys);
    spec.defs = loci__conf_take(c, n * sizeof *spec.defs);
    if (!spec.section || !spec.keys || !spec.defs)
        return loci__nomem(err);
    for (uint32_t i = 0; i < n; i++) {
        spec.keys[i] = keys[i];
        if (!key_described(keys[i], why, sizeof why))
            return loci_fail(err, LOCI_E_PLUGIN, "section [%s]: %s", section, why);
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(keys[i]->name, keys[j]->name) == 0)
                return loci_fail(err, LOCI_E_PLUGIN, "section [%s]: key `%s` is described twice", section,
                                 keys[i]->name);
        if (loci__value_parse(c, &spec.defs[i], keys[i], keys[i]->def, NULL, why, sizeof why) != LOCI_OK)
            return loci__nomem(err);
        if (why[0])
            return loci_fail(err, LOCI_E_PLUGIN, "section [%s]: the default %s = %s: %s", section, keys[i]->name,
                             keys[i]->def, why);
    }
    if (!(bigger = loci_realloc(c->specs, (c->n_specs + 1) * sizeof *bigger)))
        return loci__nomem(err);
    c->specs = bigger;
    c->specs[c->n_specs++] = spec;
    return LOCI_OK;
}

loci_status loci__conf_core(loci_conf *c, loci_error *err)
{
    loci_status status = LOCI_OK;

    for (uint32_t i = 0; i < loci__core_count && status == LOCI_OK; i++) {
        const loci_key *keys[64];
        assert(loci__core_sections[i].n <= 64);
        for (uint32_t k = 0; k < loci__core_sections[i].n; k++)
            keys[k] = &loci__core_sections[i].keys[k];
        status = add_spec(c, loci__core_sections[i].section, keys, loci__core_sections[i].n, true, err);
    }
    return status;
}

loci_status loci_conf_schema(loci_conf *c, const char *section, const loci_key *const *keys, uint32_t n,
                             loci_error *err)
{
    const loci__spec *known = loci__spec_find(c, section);
    loci_status status;
    loci__place place;
    char why[300];

    if (known && same_schema(known, keys, n))
        return LOCI_OK;
    if (known)
        return loci_fail(err, LOCI_E_PLUGIN, "section [%s] is described twice, differently", section);
    status = loci__place_parse(c, &place, section, strlen(section), why, sizeof why);
    if (status == LOCI_E_NOMEM)
        return loci__nomem(err);
    if (status != LOCI_OK)
        return loci_fail(err, LOCI_E_PLUGIN, "%s", why);
    if (place.arm || place.lo >= 0)
        return loci_fail(err, LOCI_E_PLUGIN, "section [%s] cannot be a class's: arm and layer are taken", section);
    status = add_spec(c, section, keys, n, false, err);
    return status == LOCI_OK ? loci__conf_bind(c, err) : status;
}

loci_status loci__conf_bind(loci_conf *c, loci_error *err)
{
    char why[400];

    for (uint32_t i = 0; i < c->n_items; i++) {
        loci__item *it = &c->items[i];
        const loci_key *k;
        if (it->spec || !it->key || !(k = loci__spec_key(loci__spec_find(c, it->at.section), it->key, NULL)))
            continue;
        if (loci__value_parse(c, &it->value, k, it->raw, it->dir, why, sizeof why) != LOCI_OK)
            return loci__nomem(err);
        if (why[0] == '\0')
            (void)loci__core_ok(it->at.section, it->key, it->value.text, why, sizeof why);
        it->why = why[0] ? loci__conf_string(c, why, strlen(why)) : NULL;
        if (why[0] && !it->why)
            return loci__nomem(err);
        it->spec = k;
    }
    return LOCI_OK;
}

void loci_conf_unknown_sections(const loci_conf *c, void (*fn)(void *arg, const char *section), void *arg)
{
    /* By index and asking anew each time: fn may add schemas to this config. */
    for (uint32_t i = 0; i < c->n_items; i++) {
        const char *section = c->items[i].at.section;
        uint32_t before = 0;
        if (!loci__section_kind(section) || loci__spec_find(c, section))
            continue;
        while (before < i && c->items[before].at.section != section)
            before++;
        if (before == i)
            fn(arg, section);
    }
}

void loci_conf_each_key(const loci_conf *c, void (*fn)(void *arg, const char *section, const loci_key *key), void *arg)
{
    for (uint32_t i = 0; i < c->n_specs; i++)
        for (uint32_t k = 0; k < c->specs[i].n; k++)
            fn(arg, c->specs[i].section, c->specs[i].keys[k]);
}

loci_status loci_conf_split(const char *list, loci_status (*fn)(void *arg, const char *item, loci_error *err),
                            void *arg, loci_error *err)
{
    loci_status status = LOCI_OK;

    while (*list && status == LOCI_OK) {
        size_t n = strcspn(list, ","), skip = strspn(list, " \t"), end = n;
        while (end > skip && (list[end - 1] == ' ' || list[end - 1] == '\t'))
            end--;
        if (skip < end) {
            char *item = loci_format("%.*s", (int)(end - skip), list + skip);
            status = item ? fn(arg, item, err) : loci__nomem(err);
            loci_free(item);
        }
        list += n + (list[n] == ',');
    }
    return status;
}

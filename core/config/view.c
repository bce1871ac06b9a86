/* SPDX-License-Identifier: Apache-2.0
 *
 * core/config/view: asking. By the core, with section and key; by a class, with its own keys only.
 *
 *  (1) Looking up changes nothing, so any number of threads may ask.
 *  (2) A class's view is a copy of the values of one layer: what is said later does not change a component that exists.
 *  (3) The core asking for a key that no schema has is a defect and asserted. A class that does so gets a line in the
 *      log and 0 or "", because a stranger's defect must not end the process.
 */
#include "core/config/conf.h"

#include <assert.h>
#include <string.h>

static const loci__value nothing = {0, 0, ""};

static const loci__value *lookup(const loci_conf *c, int layer, const char *section, const char *key,
                                 const loci__item **item, int32_t *type)
{
    const loci__spec *spec = loci__spec_find(c, section);
    uint32_t index = 0;
    const loci_key *k = loci__spec_key(spec, key, &index);

    assert(k && "section and key have a schema");
    if (item)
        *item = NULL;
    if (!k)
        return &nothing;
    const loci__item *it = loci__conf_winner(c, NULL, layer, false, section, key);
    if (item)
        *item = it;
    if (type)
        *type = k->type;
    return it ? &it->value : &spec->defs[index];
}

int64_t loci_conf_int(const loci_conf *c, int layer, const char *section, const char *key)
{
    int32_t type = LOCI_KEY_INT;
    const loci__value *v = lookup(c, layer, section, key, NULL, &type);

    assert(type == LOCI_KEY_INT || type == LOCI_KEY_BOOL);
    return v->i;
}

double loci_conf_real(const loci_conf *c, int layer, const char *section, const char *key)
{
    int32_t type = LOCI_KEY_REAL;
    const loci__value *v = lookup(c, layer, section, key, NULL, &type);

    assert(type == LOCI_KEY_REAL);
    return v->r;
}

bool loci_conf_bool(const loci_conf *c, int layer, const char *section, const char *key)
{
    int32_t type = LOCI_KEY_BOOL;
    const loci__value *v = lookup(c, layer, section, key, NULL, &type);

    assert(type == LOCI_KEY_BOOL);
    return v->i != 0;
}

const char *loci_conf_str(const loci_conf *c, int layer, const char *section, const char *key)
{
    return lookup(c, layer, section, key, NULL, NULL)->text;
}

const char *loci_conf_origin(const loci_conf *c, int layer, const char *section, const char *key)
{
    const loci__item *it;

    (void)lookup(c, layer, section, key, &it, NULL);
    return it ? it->origin : "default";
}

bool loci_conf_is_set(const loci_conf *c, int layer, const char *section, const char *key)
{
    const loci__item *it;

    (void)lookup(c, layer, section, key, &it, NULL);
    return it != NULL;
}

bool loci_conf_has(const loci_conf *c, const char *section, const char *key)
{
    return loci__spec_key(loci__spec_find(c, section), key, NULL) != NULL;
}

/* What loci_config.ctx points to (2). */
typedef struct view {
    const char *section;
    const loci_key *const *keys;
    const loci__value *values;
    uint32_t n;
} view;

static const loci__value *seek(const view *v, const char *key, bool number, bool real)
{
    for (uint32_t i = 0; i < v->n; i++)
        if (strcmp(v->keys[i]->name, key) == 0) {
            int32_t type = v->keys[i]->type;
            if (number == (type == LOCI_KEY_INT || type == LOCI_KEY_BOOL) && real == (type == LOCI_KEY_REAL))
                return &v->values[i];
            break;
        }
    loci_log(LOCI_LOG_ERROR, "config", "the class of [%s] asks for the key `%s`, which it does not declare as such",
             v->section, key);
    return &nothing;
}

static int64_t view_int(void *ctx, const char *key)
{
    return seek(ctx, key, true, false)->i;
}

static double view_real(void *ctx, const char *key)
{
    return seek(ctx, key, false, true)->r;
}

static const char *view_str(void *ctx, const char *key)
{
    return seek(ctx, key, false, false)->text;
}

loci_status loci_conf_view(loci_config *out, loci_conf *c, int layer, const char *section, loci_error *err)
{
    const loci__spec *spec = loci__spec_find(c, section);
    loci__value *values;
    view *v;

    if (!spec)
        return loci_fail(err, LOCI_E_INTERNAL, "section [%s] has no schema", section);
    v = loci__conf_take(c, sizeof *v);
    values = loci__conf_take(c, spec->n * sizeof *values);
    if (!v || !values)
        return loci__nomem(err);
    for (uint32_t i = 0; i < spec->n; i++) {
        const loci__item *it = loci__conf_winner(c, NULL, layer, false, section, spec->keys[i]->name);
        values[i] = it ? it->value : spec->defs[i];
    }
    *v = (view){spec->section, spec->keys, values, spec->n};
    *out = (loci_config){sizeof *out, 0, v, view_int, view_real, view_str};
    return LOCI_OK;
}

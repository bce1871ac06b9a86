/* SPDX-License-Identifier: Apache-2.0
 *
 * core/config/layers: the store, who wins in it, and the layers that are not files.
 *
 * For a key several items may speak. The one that holds is, in this order:
 *
 *  (1) the one whose layers are fewest (an item without layers speaks for all of them);
 *  (2) the one of the strongest source: what an arm says, then --set, then LOCI_SET, then files;
 *  (3) the one said last.
 *
 *  (4) Choosing an arm raises the level of its items above everything said before, and raises the floor for whatever
 *      is set afterwards: `--set` speaks for all arms, an arm's own line is more specific, and a key that compare
 *      varies is said last.
 */
#include "core/config/conf.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#define CHUNK 8192

typedef struct loci__chunk {
    struct loci__chunk *next;
    size_t used, size;
    _Alignas(16) char bytes[];
} loci__chunk;

void *loci__conf_take(loci_conf *c, size_t bytes)
{
    loci__chunk *k = c->chunks;
    void *at;

    bytes = (bytes + 15) & ~(size_t)15;
    if (!k || k->size - k->used < bytes) {
        size_t size = bytes > CHUNK ? bytes : CHUNK;
        if (!(k = loci_alloc(sizeof *k + size)))
            return NULL;
        k->size = size;
        k->next = c->chunks;
        c->chunks = k;
    }
    at = k->bytes + k->used;
    k->used += bytes;
    return at;
}

const char *loci__conf_string(loci_conf *c, const char *s, size_t n)
{
    char *copy = loci__conf_take(c, n + 1);

    return copy ? memcpy(copy, s, n) : NULL; /* the arena is zeroed */
}

/* One more element; the arrays double, so that powers of two are their capacities. */
static bool grow(void *array, uint32_t n, size_t size)
{
    void *old, *bigger;

    if (n & (n - 1) || n == 1)
        return true;
    memcpy(&old, array, sizeof old);
    if (!(bigger = loci_realloc(old, (n ? 2 * (size_t)n : 2) * size)))
        return false;
    memcpy(array, &bigger, sizeof bigger);
    return true;
}

const char *loci__conf_intern(loci_conf *c, const char *s, size_t n)
{
    const char *name;

    for (uint32_t i = 0; i < c->n_names; i++)
        if (strncmp(c->names[i], s, n) == 0 && c->names[i][n] == '\0')
            return c->names[i];
    if (!grow(&c->names, c->n_names, sizeof *c->names) || !(name = loci__conf_string(c, s, n)))
        return NULL;
    return c->names[c->n_names++] = name;
}

loci_status loci__conf_add(loci_conf *c, const loci__item *item, loci_error *err)
{
    uint32_t a = 0;

    if (c->n_items >= LOCI_CONF_ITEMS)
        return loci_fail(err, LOCI_E_CONFIG, "%s: a config holds at most %d lines", item->origin, LOCI_CONF_ITEMS);
    if (item->at.arm) {
        while (a < c->n_arms && c->arms[a] != item->at.arm)
            a++;
        if (a == c->n_arms) {
            if (!grow(&c->arms, c->n_arms, sizeof *c->arms))
                return loci__nomem(err);
            c->arms[c->n_arms++] = item->at.arm;
        }
    }
    if (!grow(&c->items, c->n_items, sizeof *c->items))
        return loci__nomem(err);
    c->items[c->n_items++] = *item;
    return LOCI_OK;
}

bool loci__item_counts(const loci__item *item)
{
    return item->key && !(item->spec && item->why);
}

const char *loci__item_text(const loci__item *item)
{
    return item->spec ? item->value.text : item->raw;
}

static int32_t width(const loci__item *item)
{
    return item->at.lo < 0 ? INT32_MAX : item->at.hi - item->at.lo;
}

static int32_t strength(const loci__item *item)
{
    return item->level + (item->at.arm ? LOCI_CONF_ARM : 0);
}

bool loci__item_beats(const loci__item *a, const loci__item *b)
{
    if (!b || width(a) != width(b))
        return !b || width(a) < width(b);
    return strength(a) > strength(b) || (strength(a) == strength(b) && a > b);
}

const loci__item *loci__conf_winner(const loci_conf *c, const char *arm, int layer, bool layered, const char *section,
                                    const char *key)
{
    const loci__item *best = NULL;

    for (const loci__item *it = c->items, *end = it + c->n_items; it < end; it++)
        if (loci__item_counts(it) && (!it->at.arm || it->at.arm == arm) && (!layered || it->at.lo >= 0) &&
            (it->at.lo < 0 || (it->at.lo <= layer && layer <= it->at.hi)) && strcmp(it->key, key) == 0 &&
            strcmp(it->at.section, section) == 0 && loci__item_beats(it, best))
            best = it;
    return best;
}

loci_status loci_conf_new(loci_conf **out, loci_error *err)
{
    loci_status status;
    loci_conf *c = loci_alloc(sizeof *c);

    *out = NULL;
    if (!c || !loci__c_locale() || !grow(&c->items, 0, sizeof *c->items)) { /* items + 0 must be an address */
        loci_conf_free(c);
        return loci__nomem(err);
    }
    status = loci__conf_core(c, err);
    if (status == LOCI_OK)
        *out = c;
    else
        loci_conf_free(c);
    return status;
}

void loci_conf_free(loci_conf *c)
{
    if (!c)
        return;
    for (loci__chunk *k = c->chunks, *next; k; k = next) {
        next = k->next;
        loci_free(k);
    }
    loci_free(c->names);
    loci_free(c->items);
    loci_free(c->specs);
    loci_free(c->arms);
    loci_free(c);
}

/* Copy what somebody wrote; bound anew in the copy. */
static loci_status copy_item(loci_conf *to, const loci__item *item, const char *arm, int32_t level, loci_error *err)
{
    loci__item it = *item;

    it.at.arm = arm ? loci__conf_intern(to, arm, strlen(arm)) : NULL;
    it.at.section = loci__conf_intern(to, item->at.section, strlen(item->at.section));
    it.key = item->key ? loci__conf_intern(to, item->key, strlen(item->key)) : NULL;
    it.raw = item->raw ? loci__conf_string(to, item->raw, strlen(item->raw)) : NULL;
    it.dir = item->dir ? loci__conf_intern(to, item->dir, strlen(item->dir)) : NULL;
    it.origin = loci__conf_string(to, item->origin, strlen(item->origin));
    it.level = level;
    it.spec = NULL;
    it.why = NULL;
    if (!it.at.section || !it.origin || (arm && !it.at.arm) || (item->key && (!it.key || !it.raw)) ||
        (item->dir && !it.dir))
        return loci__nomem(err);
    return loci__conf_add(to, &it, err);
}

/* arm NULL: everything, arms kept. Otherwise that arm's config. */
static loci_status copy_conf(loci_conf **out, const loci_conf *c, const char *arm, loci_error *err)
{
    loci_status status;
    loci_conf *to = NULL;

    *out = NULL;
    LOCI_TRY(loci_conf_new(&to, err));
    for (uint32_t i = 0; i < c->n_specs; i++)
        if (!c->specs[i].core)
            LOCI_TRY(loci_conf_schema(to, c->specs[i].section, (const loci_key *const *)c->specs[i].keys, c->specs[i].n,
                                      err));
    for (uint32_t i = 0; i < c->n_items; i++) {
        const loci__item *it = &c->items[i];
        if (!arm || !it->at.arm)
            LOCI_TRY(copy_item(to, it, it->at.arm, it->level, err));
        else if (it->at.arm == arm && it->at.section[0]) /* (4) */
            LOCI_TRY(copy_item(to, it, NULL, it->level + LOCI_CONF_ARM, err));
    }
    to->n_sources = c->n_sources;
    to->floor = arm ? c->floor + LOCI_CONF_ARM : c->floor;
    LOCI_TRY(loci__conf_bind(to, err));
    *out = to;
    to = NULL;
out:
    loci_conf_free(to);
    return status;
}

loci_status loci_conf_clone(loci_conf **out, const loci_conf *c, loci_error *err)
{
    return copy_conf(out, c, NULL, err);
}

uint32_t loci_conf_n_arms(const loci_conf *c)
{
    return c->n_arms;
}

const char *loci_conf_arm_name(const loci_conf *c, uint32_t i)
{
    return i < c->n_arms ? c->arms[i] : NULL;
}

loci_status loci_conf_arm(loci_conf **out, const loci_conf *c, const char *name, loci_error *err)
{
    const char *near = NULL;
    char cut[80];
    unsigned best = UINT_MAX, d;

    *out = NULL;
    for (uint32_t i = 0; i < c->n_arms; i++) {
        if (strcmp(c->arms[i], name) == 0)
            return copy_conf(out, c, c->arms[i], err);
        if ((d = loci__slip(name, c->arms[i])) < best) {
            best = d;
            near = c->arms[i];
        }
    }
    name = loci__short(cut, 60, name);
    if (near)
        return loci_fail(err, LOCI_E_CONFIG, "no arm `%s` in the config, did you mean `%s`?", name, near);
    return loci_fail(err, LOCI_E_CONFIG, "no arm `%s` in the config, which has %u, write [arm.%s] to declare it", name,
                     c->n_arms, name);
}

/* "section.key=value" said by `origin`. */
static loci_status assign(loci_conf *c, const char *s, int32_t level, const char *origin, loci_error *err)
{
    char why[300], cut[80], cwd[LOCI_CONF_PATH + 1], *key;
    const char *equals = strchr(s, '='), *dot = equals, *value, *end;
    loci__item item = {.level = c->floor + level, .source = ++c->n_sources};
    loci_status status;

    if (!loci__text_ok(s, strlen(s), why, sizeof why))
        return loci_fail(err, LOCI_E_CONFIG, "%s: %s", origin, why);
    if (strlen(s) > LOCI_CONF_LINE)
        return loci_fail(err, LOCI_E_CONFIG, "%s: %zu bytes, the limit is %d", origin, strlen(s), LOCI_CONF_LINE);
    while (dot && dot > s && *dot != '.')
        dot--;
    if (!dot || dot == s)
        return loci_fail(err, LOCI_E_CONFIG, "%s: %s: write section.key=value", origin, loci__short(cut, 60, s));
    status = loci__place_parse(c, &item.at, s, (size_t)(dot - s), why, sizeof why);
    if (status != LOCI_OK)
        return status == LOCI_E_NOMEM ? loci__nomem(err) : loci_fail(err, status, "%s: %s", origin, why);
    for (end = equals; end > dot + 1 && (end[-1] == ' ' || end[-1] == '\t'); end--)
        ;
    if (!(key = loci_format("%.*s", (int)(end - dot - 1), dot + 1)))
        return loci__nomem(err);
    if (!loci__key_ok(key, why, sizeof why))
        status = loci_fail(err, LOCI_E_CONFIG, "%s: %s", origin, why);
    else if (item.at.section[0] == '\0')
        status = loci_fail(err, LOCI_E_CONFIG, "%s: %s: an arm's keys are written arm.%s.SECTION.key=value", origin,
                           loci__short(cut, 60, s), item.at.arm);
    value = equals + 1 + strspn(equals + 1, " \t");
    for (end = value + strlen(value); end > value && (end[-1] == ' ' || end[-1] == '\t'); end--)
        ;
    if (status == LOCI_OK) {
        item.key = loci__conf_intern(c, key, strlen(key));
        item.raw = loci__conf_string(c, value, (size_t)(end - value));
        item.origin = loci__conf_intern(c, origin, strlen(origin));
        if (getcwd(cwd, sizeof cwd) && cwd[0] == '/' && !(item.dir = loci__conf_intern(c, cwd, strlen(cwd))))
            status = loci__nomem(err);
        else if (!item.key || !item.raw || !item.origin)
            status = loci__nomem(err);
        else
            status = loci__conf_add(c, &item, err);
    }
    loci_free(key);
    return status;
}

loci_status loci_conf_set(loci_conf *c, const char *assignment, const char *origin, loci_error *err)
{
    loci_status status = assign(c, assignment, LOCI_CONF_FROM_SET, origin, err);

    return status == LOCI_OK ? loci__conf_bind(c, err) : status;
}

loci_status loci_conf_env(loci_conf *c, loci_error *err)
{
    static const char blank[] = " \t\n";
    loci_status status = LOCI_OK;
    const char *s = getenv("LOCI_SET");

    if (s && *s && (getauxval(AT_SECURE) || getuid() != geteuid() || getgid() != getegid())) {
        loci_log(LOCI_LOG_WARN, "config", "LOCI_SET is ignored because the process is privileged");
        return LOCI_OK;
    }
    for (s = s ? s + strspn(s, blank) : NULL; s && *s && status == LOCI_OK; s += strspn(s, blank)) {
        size_t n = strcspn(s, blank);
        char *one = loci_format("%.*s", (int)n, s);
        status = one ? assign(c, one, LOCI_CONF_FROM_ENV, "LOCI_SET", err) : loci__nomem(err);
        loci_free(one);
        s += n;
    }
    return status == LOCI_OK ? loci__conf_bind(c, err) : status;
}

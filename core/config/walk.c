/* SPDX-License-Identifier: Apache-2.0
 *
 * core/config/walk: the effective values, in an order that depends on them alone.
 *
 * Without an arm: every section that matters with every key of its schema and whatever else was said in it, then its
 * layers. Sections of layers may overlap, and which of two holds can differ by key. So the layers are cut at every edge
 * and each piece gets the values that hold there:
 *
 *      [layer.0-5.memory] dk = 8            0   2       5   7          layer.0-1: dk = 8
 *      [layer.2-7.memory] dv = 4            |---|-------|---|    ->    layer.2-5: dk = 8, dv = 4
 *                                                                      layer.6-7: dv = 4
 *
 *  (1) The pieces do not overlap, so read again they mean the same whatever their width and order.
 *  (2) An arm is read over the base as it was walked. Where a piece of it meets layers of the base it is cut into
 *      single layers, which nothing is narrower than, and only the values that the arm itself gives are shown.
 */
#include "core/config/conf.h"

#include <stdlib.h>
#include <string.h>

typedef struct walk {
    const loci_conf *c;
    const char *arm;
    loci__visit fn;
    void *arg;
    const char **sections, **keys;
    const loci__item **layered, **now, **held; /* items with layers; who wins per key, here and in the piece before */
    uint32_t *key_of;                          /* of layered                                                        */
    int32_t *cuts;
} walk;

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int by_number(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static uint32_t sort_names(const char **names, uint32_t n)
{
    uint32_t kept = 0;

    if (n)
        qsort(names, n, sizeof *names, by_name);
    for (uint32_t i = 0; i < n; i++)
        if (kept == 0 || strcmp(names[kept - 1], names[i]) != 0)
            names[kept++] = names[i];
    return kept;
}

/* Does anything choose the class whose section this is? */
static bool chosen(const loci_conf *c, const char *section)
{
    size_t kind = loci__section_kind(section), n;
    const loci__spec *spec;
    uint32_t index;

    if (!kind)
        return false;
    for (const loci__item *it = c->items; it < c->items + c->n_items; it++) {
        n = strlen(it->at.section);
        if (n == kind && strncmp(it->at.section, section, n) == 0 && loci__item_counts(it) &&
            strcmp(it->key, "backend") == 0 && strcmp(it->raw, section + kind + 1) == 0)
            return true;
    }
    for (uint32_t i = 0; i < c->n_specs; i++) {
        spec = &c->specs[i];
        if (strlen(spec->section) == kind && strncmp(spec->section, section, kind) == 0 &&
            loci__spec_key(spec, "backend", &index))
            return strcmp(spec->defs[index].text, section + kind + 1) == 0;
    }
    return false;
}

/* Does the config say section.key = value anywhere, in an arm for example? */
static bool said(const loci_conf *c, const char *section, const char *key, const char *value)
{
    for (const loci__item *it = c->items; it < c->items + c->n_items; it++)
        if (strcmp(it->at.section, section) == 0 && loci__item_counts(it) && strcmp(it->key, key) == 0 &&
            strcmp(it->raw, value) == 0)
            return true;
    return false;
}

/* Sections of tasks that nothing chooses would only fill the page. What is written and what is default count alike, so
 * that a dump of a dump is the dump. */
static bool idle_task(const loci_conf *c, const char *section)
{
    return strncmp(section, "task.", 5) == 0 &&
           !(said(c, "data", "source", "task") && (said(c, "data", "task", section + 5) ||
                                                   strcmp(loci_conf_str(c, -1, "data", "task"), section + 5) == 0));
}

static uint32_t collect_sections(walk *w)
{
    uint32_t n = 0;

    for (uint32_t i = 0; !w->arm && i < w->c->n_specs; i++) {
        const loci__spec *spec = &w->c->specs[i];
        if (strcmp(spec->section, "plugin.ID") != 0 && !idle_task(w->c, spec->section) &&
            (spec->core || chosen(w->c, spec->section)))
            w->sections[n++] = spec->section;
    }
    for (uint32_t i = 0; i < w->c->n_items; i++)
        if (w->c->items[i].at.arm == w->arm && w->c->items[i].at.section[0])
            w->sections[n++] = w->c->items[i].at.section;
    return sort_names(w->sections, n);
}

static void visit(const walk *w, const char *section, const char *key, const loci__item *it, const loci__value *def)
{
    loci__seen seen = {section, key, "", "", false, false};

    if (key) {
        seen.value = it ? loci__item_text(it) : def->text;
        seen.origin = it ? it->origin : "default";
        seen.set = it != NULL;
        seen.differs = it && (it->at.lo >= 0 || !def || strcmp(seen.value, def->text) != 0);
    }
    w->fn(w->arg, &seen);
}

/* [section] itself. */
static void walk_plain(walk *w, const char *section)
{
    const loci__spec *spec = loci__spec_find(w->c, section);
    loci__place at = {w->arm, section, -1, -1};
    uint32_t n = 0, index = 0;
    bool header = spec && !w->arm;
    char name[128];

    for (uint32_t i = 0; header && i < spec->n; i++)
        w->keys[n++] = spec->keys[i]->name;
    for (const loci__item *it = w->c->items; it < w->c->items + w->c->n_items; it++)
        if (it->at.arm == w->arm && it->at.lo < 0 && strcmp(it->at.section, section) == 0) {
            header = true;
            if (loci__item_counts(it))
                w->keys[n++] = it->key;
        }
    n = sort_names(w->keys, n);
    loci__place_text(name, sizeof name, &at);
    if (header)
        visit(w, name, NULL, NULL, NULL);
    for (uint32_t i = 0; i < n; i++) {
        const loci__value *def = loci__spec_key(spec, w->keys[i], &index) ? &spec->defs[index] : NULL;
        visit(w, name, w->keys[i], loci__conf_winner(w->c, w->arm, -1, false, section, w->keys[i]), def);
    }
}

/* One piece: layers lo to hi and who wins in them; `single` cuts it into layers. */
static void show_piece(const walk *w, const char *section, int32_t lo, int32_t hi, bool single, uint32_t n_keys)
{
    loci__place at = {w->arm, section, lo, hi};
    bool any = false;
    char name[128];

    for (uint32_t k = 0; k < n_keys; k++)
        any = any || w->held[k];
    if (!any)
        return;
    if (!loci__place_text(name, sizeof name, &at)) /* 10-11 may be longer than what was written, 10 cannot */
        single = true;
    for (int32_t layer = lo; layer <= hi; layer++) {
        if (single) {
            at.lo = at.hi = layer;
            loci__place_text(name, sizeof name, &at);
        }
        visit(w, name, NULL, NULL, NULL);
        for (uint32_t k = 0; k < n_keys; k++)
            if (w->held[k])
                visit(w, name, w->keys[k], w->held[k], NULL);
        if (!single)
            break;
    }
}

/* Do an arm's layers meet layers that the base says something about? (2) */
static bool over_base(const walk *w, uint32_t n, int32_t lo, int32_t hi)
{
    for (uint32_t i = 0; w->arm && i < n; i++)
        if (!w->layered[i]->at.arm && w->layered[i]->at.lo <= hi && lo <= w->layered[i]->at.hi)
            return true;
    return false;
}

/* [layer.N.section] */
static void walk_layers(walk *w, const char *section)
{
    uint32_t n = 0, n_keys, n_cuts = 0, cuts = 0;
    bool ours = false;
    int32_t begin = -1;

    for (const loci__item *it = w->c->items; it < w->c->items + w->c->n_items; it++)
        if (it->at.lo >= 0 && loci__item_counts(it) && (!it->at.arm || it->at.arm == w->arm) &&
            strcmp(it->at.section, section) == 0) {
            w->keys[n] = it->key;
            w->layered[n++] = it;
            w->cuts[cuts++] = it->at.lo;
            w->cuts[cuts++] = it->at.hi + 1;
            ours = ours || it->at.arm == w->arm;
        }
    if (!ours)
        return;
    n_keys = sort_names(w->keys, n);
    for (uint32_t i = 0; i < n; i++)
        for (w->key_of[i] = 0; w->keys[w->key_of[i]] != w->layered[i]->key;) /* (1) of conf.h */
            w->key_of[i]++;
    qsort(w->cuts, cuts, sizeof *w->cuts, by_number);
    for (uint32_t i = 0; i < cuts; i++)
        if (n_cuts == 0 || w->cuts[n_cuts - 1] != w->cuts[i])
            w->cuts[n_cuts++] = w->cuts[i];
    for (uint32_t p = 0; p < n_cuts; p++) { /* after the last cut nobody wins, which shows the last piece */
        memset(w->now, 0, n_keys * sizeof(w->now[0]));
        for (uint32_t i = 0; i < n; i++) {
            const loci__item *it = w->layered[i], **best = &w->now[w->key_of[i]];
            if (it->at.lo <= w->cuts[p] && w->cuts[p] <= it->at.hi && loci__item_beats(it, *best))
                *best = it;
        }
        for (uint32_t k = 0; k < n_keys; k++)
            if (w->now[k] && w->now[k]->at.arm != w->arm)
                w->now[k] = NULL;
        if (begin >= 0 && memcmp(w->now, w->held, n_keys * sizeof(w->now[0])) == 0)
            continue;
        if (begin >= 0)
            show_piece(w, section, begin, w->cuts[p] - 1, over_base(w, n, begin, w->cuts[p] - 1), n_keys);
        begin = w->cuts[p];
        memcpy(w->held, w->now, n_keys * sizeof(w->now[0]));
    }
}

loci_status loci__conf_walk(const loci_conf *c, const char *arm, loci__visit fn, void *fn_arg, loci_error *err)
{
    walk w = {.c = c, .arm = arm, .fn = fn, .arg = fn_arg};
    size_t most = c->n_items + c->n_specs + 1, keys = c->n_items + 1, pointer = sizeof(void *);
    char *room;
    uint32_t n;

    for (uint32_t i = 0; i < c->n_specs; i++)
        keys += c->specs[i].n;
    room = loci_alloc((most + 4 * keys) * pointer + keys * (sizeof *w.key_of + 2 * sizeof *w.cuts));
    if (!room)
        return loci__nomem(err);
    w.sections = (const char **)(void *)room;
    w.keys = w.sections + most;
    w.layered = (const loci__item **)(void *)(w.keys + keys);
    w.now = w.layered + keys;
    w.held = w.now + keys;
    w.key_of = (uint32_t *)(void *)(w.held + keys);
    w.cuts = (int32_t *)(void *)(w.key_of + keys);
    n = collect_sections(&w);
    for (uint32_t i = 0; i < n; i++)
        walk_plain(&w, w.sections[i]);
    for (uint32_t i = 0; i < n; i++)
        walk_layers(&w, w.sections[i]);
    loci_free(room);
    return LOCI_OK;
}

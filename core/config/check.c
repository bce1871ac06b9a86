/* SPDX-License-Identifier: Apache-2.0
 *
 * core/config/check: everything that is wrong with a config, in one run.
 *
 *  (1) Every problem goes to loci_log, each with its place; the error carries the first and the number of the others.
 *  (2) A name that is not known is an error, with the name that was probably meant: from the same section if one is
 *      near, else from another.
 *  (3) A section KIND.ID without a near name is a class that is not installed. A config may hold the settings of
 *      several arms, so that is a warning.
 *  (4) Within one file nothing is said twice.
 */
#include "core/config/conf.h"

#include <limits.h>
#include <string.h>

loci_status loci__nomem(loci_error *err)
{
    return loci_fail(err, LOCI_E_NOMEM, "no memory left for the config");
}

void loci__problem(loci__problems *p, const char *fmt, ...)
{
    char line[1200];
    va_list args;

    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    loci_log(LOCI_LOG_ERROR, "config", "%s", line);
    if (p->text.len < sizeof((loci_error *)0)->msg)
        loci_text_add(&p->text, "%s\n", line);
    p->n++;
}

loci_status loci__problems_end(loci__problems *p, bool all, loci_error *err)
{
    const size_t most = sizeof((loci_error *)0)->msg - 32;
    loci_status status = LOCI_OK;
    size_t take = 0;
    uint32_t shown = 0;

    if (p->text.failed)
        status = loci__nomem(err);
    else if (p->n) {
        for (const char *s = p->text.at, *end; (end = strchr(s, '\n')) && (shown == 0 || all); s = end + 1) {
            if (shown && (size_t)(end - p->text.at) > most)
                break;
            take = (size_t)(end - p->text.at);
            shown++;
        }
        if (take > most)
            for (take = most; take && ((unsigned char)p->text.at[take] & 0xC0) == 0x80; take--)
                ;
        if (shown < p->n)
            status = loci_fail(err, LOCI_E_CONFIG, "%.*s%s(and %u more)", (int)take, p->text.at, all ? "\n" : " ",
                               p->n - shown);
        else
            status = loci_fail(err, LOCI_E_CONFIG, "%.*s", (int)take, p->text.at);
    }
    loci_text_free(&p->text);
    *p = (loci__problems){0};
    return status;
}

const char *loci__near_section(const loci_conf *c, const char *section)
{
    const char *near = NULL;
    size_t kind = loci__section_kind(section);
    unsigned best = UINT_MAX;

    for (uint32_t i = 0; i < c->n_specs; i++) {
        const char *known = c->specs[i].section;
        size_t its = loci__section_kind(known);
        unsigned d;
        if (strcmp(known, "plugin.ID") == 0)
            continue;
        if (kind && its) /* ids of one kind; [memory.mac] for [compose.mac] is worth a word as well */
            d = loci__slip(section + kind + 1, known + its + 1);
        else if (kind)
            d = UINT_MAX;
        else {
            d = loci__slip(section, known);
            if (d == UINT_MAX && its && strcmp(section, known + its + 1) == 0)
                d = 4; /* [titans] for [memory.titans] */
        }
        if (kind && its && d != UINT_MAX && (kind != its || strncmp(section, known, kind) != 0))
            d = d == 0 ? 4 : UINT_MAX;
        if (d < best) {
            best = d;
            near = known;
        }
    }
    return near;
}

/* The nearest key (2); *where is the section it stands in. */
static const char *near_key(const loci_conf *c, const char *section, const char *key, const char **where)
{
    const char *near = NULL;
    size_t kind = loci__section_kind(section);
    unsigned best = UINT_MAX;

    for (int others = 0; others < 2 && !near; others++)
        for (uint32_t i = 0; i < c->n_specs; i++) {
            const loci__spec *spec = &c->specs[i];
            bool same = spec == loci__spec_find(c, section);
            bool kin = kind && strncmp(section, spec->section, kind + 1) == 0;
            if (same == (others == 1))
                continue;
            for (uint32_t k = 0; k < spec->n; k++) {
                unsigned d = loci__slip(key, spec->keys[k]->name);
                if (d == UINT_MAX || (d = 2 * d + !kin) >= best)
                    continue;
                best = d;
                near = spec->keys[k]->name;
                *where = same ? NULL : spec->section;
            }
        }
    return near;
}

typedef struct check {
    const loci_conf *c;
    loci__problems problems;
    bool allow_unknown;
} check;

static void unknown_name(check *k, const char *line)
{
    if (k->allow_unknown)
        loci_log(LOCI_LOG_WARN, "config", "%s", line);
    else
        loci__problem(&k->problems, "%s", line);
}

/* The section is not known; say so once for each source. */
static void unknown_section(check *k, const loci__item *it)
{
    const char *near = loci__near_section(k->c, it->at.section);
    char line[400];

    for (const loci__item *other = k->c->items; other < it; other++)
        if (other->source == it->source && other->at.section == it->at.section)
            return;
    if (near)
        snprintf(line, sizeof line, "%.200s: unknown section [%s], did you mean [%s]?", it->origin, it->at.section,
                 near);
    else if (loci__section_kind(it->at.section)) { /* (3) */
        loci_log(LOCI_LOG_WARN, "config", "%s: no class %s is known, section [%s] has no effect", it->origin,
                 it->at.section, it->at.section);
        return;
    } else
        snprintf(line, sizeof line, "%.200s: unknown section [%s], loci config --help-config lists all", it->origin,
                 it->at.section);
    unknown_name(k, line);
}

static void unknown_key(check *k, const loci__item *it)
{
    const char *where = NULL, *near = near_key(k->c, it->at.section, it->key, &where);
    char line[500], tail[200];

    if (near && where)
        snprintf(tail, sizeof tail, "did you mean `%s` in [%s]?", near, where);
    else if (near)
        snprintf(tail, sizeof tail, "did you mean `%s`?", near);
    else
        snprintf(tail, sizeof tail, "loci config --help-config=%s lists all", it->at.section);
    snprintf(line, sizeof line, "%.200s: unknown key `%s` in [%s], %s", it->origin, it->key, it->at.section, tail);
    unknown_name(k, line);
}

/* (4) */
static void check_repeat(check *k, const loci__item *it)
{
    char section[128];

    for (const loci__item *other = k->c->items; other < it; other++) {
        if (other->source != it->source || other->key != it->key || other->at.section != it->at.section ||
            other->at.arm != it->at.arm || other->at.lo != it->at.lo || other->at.hi != it->at.hi ||
            other->level != it->level)
            continue;
        loci__place_text(section, sizeof section, &it->at);
        if (it->key)
            loci__problem(&k->problems, "%s: `%s` in [%s] repeats line %u, keep one of them", it->origin, it->key,
                          section, other->line);
        else
            loci__problem(&k->problems, "%s: section [%s] repeats line %u, join them", it->origin, section,
                          other->line);
        return;
    }
}

static void check_item(check *k, const loci__item *it)
{
    char cut[80], section[128];

    if (it->at.section[0] == '\0')
        return;
    if (!loci__spec_find(k->c, it->at.section))
        unknown_section(k, it);
    else if (it->key && !it->spec && strncmp(it->key, "x-", 2) != 0)
        unknown_key(k, it);
    else if (it->key && it->why) {
        loci__place_text(section, sizeof section, &it->at);
        loci__problem(&k->problems, "%s: [%s] %s = %s: %s", it->origin, section, it->key, loci__short(cut, 60, it->raw),
                      it->why);
    }
}

loci_status loci_conf_check(const loci_conf *c, bool allow_unknown, loci_error *err)
{
    check k = {.c = c, .allow_unknown = allow_unknown};
    int64_t layers = loci_conf_int(c, -1, "model", "layers");

    for (const loci__item *it = c->items; it < c->items + c->n_items; it++) {
        check_repeat(&k, it);
        check_item(&k, it);
        if ((!it->key || it->line == 0) && !it->at.arm && it->at.hi >= layers)
            loci_log(LOCI_LOG_WARN, "config",
                     "%s: layer %d does not exist, model.layers is %lld and layers count from 0", it->origin, it->at.hi,
                     (long long)layers);
    }
    return loci__problems_end(&k.problems, false, err);
}

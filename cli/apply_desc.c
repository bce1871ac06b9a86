/* SPDX-License-Identifier: Apache-2.0
 *
 * loci apply: --desc causal=1,window_left=63,... and --pieces 3,1,7. The words are the members of loci_attn_desc that are
 * numbers; a mixer or composition has those of loci_mask.
 */
#include "cli/apply.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum type { INT32, INT64, UINT32, REAL };

static const struct member {
    const char *name;
    enum type type;
    size_t at;
    int mask; /* 1: the same in loci_mask */
    size_t mask_at;
    double least, most;
} members[] = {
#define D(m) offsetof(loci_attn_desc, m)
#define M(m) offsetof(loci_mask, m)
    {"causal", INT32, D(causal), 1, M(causal), 0, 1},
    {"scale", REAL, D(scale), 0, 0, -1e30, 1e30},
    {"softcap", REAL, D(softcap), 0, 0, 0, 1e30},
    {"window_left", INT64, D(window_left), 1, M(window_left), -1, 1e15},
    {"window_right", INT64, D(window_right), 1, M(window_right), -1, 1e15},
    {"prefix", INT64, D(prefix), 0, 0, 0, 1e9},
    {"offset", INT64, D(offset), 0, 0, -1e9, 1e9},
    {"max_distance", INT32, D(max_distance), 0, 0, 1, 1e9},
    {"bidirectional", INT32, D(bidirectional), 0, 0, 0, 1},
    {"dropout", REAL, D(dropout), 0, 0, 0, 0.999999},
    {"rng_stream", UINT32, D(rng_stream), 0, 0, 0, 4294967295.0},
    {"block_tok", UINT32, D(block_tok), 0, 0, 1, 1e9},
};
#define MEMBERS (sizeof members / sizeof *members)

json_t *apply_desc_json(bool attention)
{
    json_t *all = json_array();

    for (size_t i = 0; i < MEMBERS; i++) {
        const struct member *m = &members[i];
        json_t *one;
        if (!attention && !m->mask)
            continue;
        one = json_pack("{s:s, s:s, s:[f, f]}", "name", m->name, "type", m->type == REAL ? "real" : "int", "range",
                        m->least, m->most);
        json_object_set_new(one, "default",
                            m->type == REAL ? (m->least < 0 ? json_string("1 / sqrt(d)") : json_real(0))
                                            : json_integer(!strncmp(m->name, "window", 6) ? -1
                                                           : !strcmp(m->name, "causal")   ? !attention
                                                                                          : 0));
        json_array_append_new(all, one);
    }
    return all;
}

static loci_status unknown(const char *word, bool mask, loci_error *err)
{
    const char *nearest = NULL;
    loci_text all = {0};
    unsigned best = 4;
    loci_status status;

    for (size_t i = 0; i < MEMBERS; i++) {
        const unsigned d = loci_distance(word, members[i].name, best);
        if (mask && !members[i].mask)
            continue;
        loci_text_add(&all, "%s%s", all.len ? ", " : "", members[i].name);
        if (d < best) {
            best = d;
            nearest = members[i].name;
        }
    }
    if (nearest)
        status = loci_fail(err, LOCI_E_ARG, "--desc: there is no `%s`: did you mean `%s`?", word, nearest);
    else
        status = loci_fail(err, LOCI_E_ARG, "--desc: there is no `%s`: use %s", word, all.at ? all.at : "");
    loci_text_free(&all);
    return status;
}

static void store(void *at, enum type type, double value)
{
    if (type == REAL)
        memcpy(at, &value, sizeof value);
    else if (type == INT64)
        memcpy(at, &(int64_t){(int64_t)value}, 8);
    else if (type == INT32)
        memcpy(at, &(int32_t){(int32_t)value}, 4);
    else
        memcpy(at, &(uint32_t){(uint32_t)value}, 4);
}

static loci_status one(struct apply *a, char *word, bool mask, loci_error *err)
{
    char *equals = strchr(word, '='), *end;
    const struct member *m = NULL;
    double value;

    if (!equals)
        return loci_fail(err, LOCI_E_ARG, "--desc takes NAME=NUMBER,..., not `%s`", word);
    *equals = '\0';
    for (size_t i = 0; i < MEMBERS; i++)
        if (!strcmp(members[i].name, word) && (!mask || members[i].mask))
            m = &members[i];
    if (!m)
        return unknown(word, mask, err);
    errno = 0;
    value = strtod(equals + 1, &end);
    if (end == equals + 1 || *end || errno || !(value >= m->least && value <= m->most) ||
        (m->type != REAL && value != floor(value)))
        return loci_fail(err, LOCI_E_ARG, "--desc: %s = %s: %s from %.10g to %.10g is wanted", word, equals + 1,
                         m->type == REAL ? "a number" : "a whole number", m->least, m->most);
    if (mask)
        store((char *)&a->mask + m->mask_at, m->type, value);
    else
        store((char *)&a->desc + m->at, m->type, value);
    return LOCI_OK;
}

loci_status apply_desc(struct apply *a, loci_error *err)
{
    loci_status status = LOCI_OK;
    const bool mask = strcmp(a->c.kind, "attention") != 0;
    char *text = NULL, *save = NULL;

    a->desc.struct_size = sizeof a->desc;
    a->desc.window_left = a->desc.window_right = -1;
    a->desc.scale = NAN; /* 1 / sqrt(d), once d is known */
    a->mask = (loci_mask){sizeof a->mask, 0, -1, -1};
    if (mask) /* as a model calls it; a context of its own is seen whole */
        a->mask.causal = !loci_tensors_find(a->file, "context");
    if (!a->desc_text)
        return LOCI_OK;
    if (!strcmp(a->c.kind, "memory"))
        return loci_fail(err, LOCI_E_ARG, "--desc is for an attention, a mixer or a composition: a memory has no mask");
    text = loci_strdup(a->desc_text);
    if (!text)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory");
    for (char *word = strtok_r(text, ",", &save); word; word = strtok_r(NULL, ",", &save))
        LOCI_TRY(one(a, word, mask, err));
out:
    loci_free(text);
    return status;
}

loci_status apply_pieces(struct apply *a, loci_error *err)
{
    const char *at = a->pieces_text;
    char *end;

    if (!at)
        return LOCI_OK;
    if (!strcmp(a->c.kind, "attention"))
        return loci_fail(err, LOCI_E_ARG,
                         "--pieces is for what streams: an attention has no state, it runs in one call");
    a->pieces = loci_alloc((strlen(at) / 2 + 1) * sizeof *a->pieces);
    if (!a->pieces)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory");
    do {
        const long n = strtol(at, &end, 10);
        if (end == at || (*end && *end != ',') || n < 1 || n > INT32_MAX)
            return loci_fail(err, LOCI_E_ARG, "--pieces takes lengths of at least 1, like 3,1,7, not `%s`",
                             a->pieces_text);
        a->pieces[a->n_pieces++] = (int32_t)n;
        at = end + 1;
    } while (*end);
    return LOCI_OK;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: see subject.h: opening and running.
 */
#include "core/check/subject.h"

#include "core/device/rng.h"

#include <stdarg.h>
#include <string.h>

bool loci_is_kind(const loci_check *c, const char *kind)
{
    return !strcmp(c->kind, kind);
}

/* ---- chunks ------------------------------------------------------------------------------------------------------ */

static const char *const chunk_keys[] = {"chunk", "segment_tok"};

static const loci_key *key_of(const loci_class *cls, const char *name)
{
    for (uint32_t i = 0; i < cls->n_keys; i++)
        if (!strcmp(cls->keys[i]->name, name))
            return cls->keys[i];
    return NULL;
}

/* The chunk of the class that conf's section `kind` names: made short unless the user said it. */
static loci_status shorten(loci_subject *s, const char *kind, bool keep, loci_error *err)
{
    loci_status status = LOCI_OK;
    const loci_class *cls = NULL;
    loci_error unfound = LOCI_ERROR_INIT;
    loci_conf *conf = s->c->conf;
    const char *id = loci_is_kind(s->c, kind) ? s->c->id : loci_conf_str(conf, -1, kind, "backend");
    char section[128], set[192];

    if (loci_is_kind(s->c, kind))
        cls = s->c->cls;
    else if (!strcmp(id, "none") || !strcmp(id, "auto") ||
             loci_registry_find(s->c->cx->registry, &cls, kind, id, NULL, &unfound) != LOCI_OK)
        return LOCI_OK;
    snprintf(section, sizeof section, "%s.%s", kind, id);
    for (size_t i = 0; i < sizeof chunk_keys / sizeof *chunk_keys; i++) {
        const loci_key *key = key_of(cls, chunk_keys[i]);
        int64_t now;
        if (!key || key->type != LOCI_KEY_INT)
            continue;
        LOCI_TRY(loci_conf_schema(conf, section, cls->keys, cls->n_keys, err));
        if (!keep && !loci_conf_is_set(conf, -1, section, key->name) && key->min <= 4 && key->max >= 4) {
            snprintf(set, sizeof set, "%s.%s=4", section, key->name);
            LOCI_TRY(loci_conf_set(conf, set, "check", err));
        }
        now = loci_conf_int(conf, -1, section, key->name);
        s->chunk = now > s->chunk ? now : s->chunk;
    }
out:
    return status;
}

/* (2) of subject.h */
static loci_status choose_chunks(loci_subject *s, bool keep, loci_error *err)
{
    loci_status status = LOCI_OK;

    if (loci_is_kind(s->c, "attention"))
        return LOCI_OK;
    LOCI_TRY(shorten(s, s->c->kind, keep, err));
    if (loci_is_kind(s->c, "compose")) {
        LOCI_TRY(shorten(s, "memory", keep, err));
        LOCI_TRY(shorten(s, "mixer", keep, err));
    }
out:
    return status;
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

/* By fit, or in words by create: a size or dtype that it cannot serve with this config. */
static bool declined(const loci_error *why)
{
    return why->code == LOCI_E_PLUGIN || why->code == LOCI_E_UNSUPPORTED || why->code == LOCI_E_CONFIG;
}

/* Some sizes in turn, until one is served: not every rule can have e apart from d. */
static loci_status open_sizes(loci_subject *s, loci_context *cx, const loci_scene *scene, loci_dtype dtype,
                              loci_error *err)
{
    static const struct {
        int64_t dk, dv;
    } tries[] = {{4, 3}, {4, 4}, {8, 8}};
    const bool open = !scene->dk && !loci_is_kind(s->c, "mixer") && !loci_is_kind(s->c, "compose");
    loci_status status = LOCI_OK;

    for (size_t i = 0; i < (open ? sizeof tries / sizeof *tries : 1); i++) {
        loci_error_clear(err);
        s->size.dk = scene->dk ? scene->dk : tries[i].dk;
        s->size.dv = scene->dk ? scene->dv : tries[i].dv;
        s->size.dtype = dtype;
        loci_stage("create, %s, %lld heads, d %lld, e %lld", loci_dtype_name(dtype), (long long)s->size.heads,
                   (long long)s->size.dk, (long long)s->size.dv);
        status = loci_trial_open(&s->t, cx, s->c->kind, LOCI_TRIAL_AS_IS, &s->size, err);
        if (status == LOCI_OK || !declined(err))
            break;
    }
    return status;
}

static void set_lengths(loci_subject *s, bool ragged, int64_t pos0)
{
    for (int64_t d = 0; d < s->size.docs; d++)
        loci_trial_length(s->t, d, ragged ? s->size.seq - (d * 5) % (s->size.seq > 1 ? s->size.seq : 1) : s->size.seq,
                          pos0);
}

loci_status loci_subject_open(loci_subject *s, loci_check *c, const loci_scene *scene, loci_error *err)
{
    static const loci_dtype all[] = {{LOCI_FLOAT, 64, 1}, {LOCI_FLOAT, 32, 1}};
    loci_context *cx = scene->cx ? scene->cx : c->cx;
    loci_status status;

    memset(s, 0, sizeof *s);
    s->c = c;
    LOCI_TRY(choose_chunks(s, scene->own_chunk, err));
    s->size = (loci_trial_size){.docs = scene->docs ? scene->docs : 2,
                                .seq = scene->seq                       ? scene->seq
                                       : s->chunk > 0 && s->chunk <= 64 ? 2 * s->chunk + 3
                                                                        : 19,
                                .keys = scene->keys,
                                .blocks = scene->blocks,
                                .dim = loci_conf_int(c->conf, -1, "model", "dim"),
                                .heads = scene->heads ? scene->heads : 2,
                                .capacity = scene->capacity,
                                .desc = scene->desc,
                                .mask = scene->mask};
    s->size.k_heads = scene->k_heads ? scene->k_heads : s->size.heads;
    s->size.v_heads = scene->v_heads ? scene->v_heads : s->size.k_heads;
    if (loci_is_kind(c, "attention") && !scene->keys)
        s->size.keys = 9;
    if (scene->dtype.bits) {
        status = open_sizes(s, cx, scene, scene->dtype, err);
        if (status != LOCI_OK && declined(err)) {
            loci_error_clear(err);
            return LOCI_OK;
        }
    } else {
        for (size_t i = 0; i < 2; i++) {
            status = open_sizes(s, cx, scene, all[i], err);
            if (status == LOCI_OK || !declined(err))
                break;
        }
    }
    LOCI_TRY(status);
    s->exact = s->size.dtype.code == LOCI_FLOAT && s->size.dtype.bits == 64;
    s->limit = s->exact ? 1e-10 : s->size.dtype.bits == 32 ? 2e-5 : 2e-2;
    s->caps = loci_node_caps(loci_trial_node(s->t));
    set_lengths(s, scene->ragged, 0);
    loci_trial_fill(s->t, c->seed);
out:
    return status;
}

void loci_subject_close(loci_subject *s)
{
    loci_trial_free(s->t);
    s->t = NULL;
}

loci_status loci_subject_warm(loci_subject *s, int64_t tokens, loci_error *err)
{
    loci_left left = {0};
    loci_cutting cut = {0}; /* a call of just these tokens: (1) of subject.h */
    loci_status status;

    for (int64_t d = 0; d < s->size.docs; d++)
        loci_trial_length(s->t, d, tokens, 0);
    loci_trial_fill(s->t, s->c->seed + 1);
    LOCI_TRY(loci_cut_pieces(&cut, s->t, (const int32_t[]){(int32_t)tokens}, 1, err));
    LOCI_TRY(
        loci_subject_run(s, &(loci_trial_how){.cut = &cut}, err, "over the %lld tokens before", (long long)tokens));
    LOCI_TRY(loci_left_keep(&left, s, err));
    loci_trial_fill(s->t, s->c->seed);
    for (uint32_t i = 0; i < left.n; i++) {
        loci_port *p = loci_trial_port(s->t, i);
        if (!left.end[i])
            continue;
        memcpy(p->value, left.end[i], p->elements * sizeof *p->value);
        p->given = true;
    }
    set_lengths(s, false, tokens);
out:
    loci_cut_free(&cut);
    loci_left_free(&left);
    return status;
}

loci_status loci_subject_open_warm(loci_subject *s, loci_check *c, loci_error *err)
{
    loci_status status;

    LOCI_TRY(loci_subject_open(s, c, &(loci_scene){.capacity = 96}, err));
    if (s->caps & LOCI_CAP_STREAMING)
        LOCI_TRY(loci_subject_warm(s, 6, err));
out:
    return status;
}

void loci_subject_nudge(loci_subject *s)
{
    for (uint32_t i = 0; i < loci_trial_n_ports(s->t); i++) {
        loci_port *p = loci_trial_port(s->t, i);
        const uint64_t key = loci_random_name_key(s->c->seed + 9, p->name);
        for (uint64_t j = 0; p->real && p->role != LOCI_PORT_OUTPUT && j < p->elements; j++)
            p->value[j] *= 1 + 0x1p-24 * (2 * loci_random_unit(key, j) - 1);
    }
}

loci_status loci_subject_open_context(loci_subject *s, loci_check *c, int way, loci_error *err)
{
    static const loci_mask masks[] = {{sizeof(loci_mask), 0, -1, -1}, {sizeof(loci_mask), 1, -1, -1}};
    loci_error said = LOCI_ERROR_INIT;
    loci_status status;

    LOCI_TRY(loci_subject_open(s, c, &(loci_scene){.keys = 5, .mask = &masks[way]}, err));
    loci_stage("forward with a context, to ask whether its mask is served");
    if (way == 0 && loci_trial_run(s->t, NULL, &said) == LOCI_E_UNSUPPORTED)
        loci_subject_close(s);
out:
    return status;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

/* A trial has one `arg` for all it tells; here each has its own. */
struct told {
    loci_subject *s;
    const loci_trial_how *how;
};

static void stage(void *arg, const char *function)
{
    const loci_subject *s = ((const struct told *)arg)->s;

    loci_stage("%s %s, %s", function, s->what, loci_dtype_name(s->size.dtype));
}

static void seen(void *arg, const loci_exec *x, const loci_slots *slots)
{
    const struct told *told = arg;

    told->how->seen(told->how->arg, x, slots);
}

loci_status loci_subject_run(loci_subject *s, const loci_trial_how *how, loci_error *err, const char *words, ...)
{
    struct told told = {s, how};
    loci_trial_how now = how ? *how : (loci_trial_how){0};
    loci_error said = LOCI_ERROR_INIT;
    loci_status status;
    va_list args;

    va_start(args, words);
    (void)vsnprintf(s->what, sizeof s->what, words, args);
    va_end(args);
    now.stage = stage;
    now.seen = how && how->seen ? seen : NULL;
    now.arg = &told;
    status = loci_trial_run(s->t, &now, &said);
    if (status != LOCI_OK)
        return loci_fail(err, LOCI_E_PLUGIN, "%s: %s", s->what, said.msg[0] ? said.msg : "failed without a message");
    return LOCI_OK;
}

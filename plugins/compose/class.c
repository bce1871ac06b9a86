/* SPDX-License-Identifier: Apache-2.0
 *
 * compose: the five classes: how one mixer and one memory make a block.
 *
 *     plain  mixer only          mac  memory as context          mag  memory as gate
 *     lmm    memory only         mal  memory as layer
 *
 * They differ in what they want, in defaults, in the states they declare and in the function that runs them: once.c for
 * four, mac.c for one. A memory that is `none` turns mac, mag and mal into plain, whose weights they then have.
 */
#include "parts.h"
#include <stdio.h>
#include <string.h>

#define INT_KEY(id, name, def, lo, hi, help) \
    static const loci_key id = {sizeof(loci_key), LOCI_KEY_INT, name, def, help, NULL, lo, hi}
#define OTHER_KEY(id, type, name, def, choices, help) \
    static const loci_key id = {sizeof(loci_key), type, name, def, help, choices, 0, 0}
#define PERSISTENT "Learned rows before every document (mac: every segment), seen by all its tokens."
#define GATE \
    "normgate: rms(y) * sigmoid(rms(m)), both with gains; mul: y * m; sig: y * sigmoid(m); lerp: g * y + (1 - g) * " \
    "m, " \
    "g = sigmoid(W [y; m]); add: y + m."
INT_KEY(persistent_4, "persistent_tok", "4", 0, 4096, PERSISTENT);
INT_KEY(persistent_0, "persistent_tok", "0", 0, 4096, PERSISTENT);
INT_KEY(segment, "segment_tok", "64", 1, 1 << 20,
        "Tokens of a segment: what attention sees and how often the memory is read anew.");
INT_KEY(summary, "summary_tok", "8", 1, 4096,
        "Learned queries that read the memory for a segment; retrieval = summary.");
OTHER_KEY(
    retrieval, LOCI_KEY_ENUM, "retrieval", "strict", "strict|summary|previous|literal",
    "Whose queries read the memory for a segment. strict: its tokens', each row seen from its token on; summary: "
    "learned ones; previous: those of the segment before; literal: its tokens', all rows seen by all and the memory "
    "read when the segment is written, as printed in the paper: it sees the future.");
OTHER_KEY(gating, LOCI_KEY_ENUM, "gate", "normgate", GATE_FORMS, "How attention y and memory m join: " GATE);
OTHER_KEY(adding, LOCI_KEY_ENUM, "gate", "add", GATE_FORMS, "How the input y and memory m join: " GATE);
OTHER_KEY(to_memory_no, LOCI_KEY_BOOL, "persistent_to_memory", "no", NULL, "The memory reads the persistent rows too.");
OTHER_KEY(to_memory_yes, LOCI_KEY_BOOL, "persistent_to_memory", "yes", NULL,
          "The memory reads the persistent rows too.");
static const loci_key *const mac_keys[] = {&persistent_4, &segment, &retrieval, &summary, &gating};
static const loci_key *const mag_keys[] = {&persistent_4, &to_memory_no, &gating};
static const loci_key *const mal_keys[] = {&persistent_4, &to_memory_yes, &adding};
static const loci_key *const one_keys[] = {&persistent_0};

#define STREAM (LOCI_CAP_BACKWARD | LOCI_CAP_STREAMING | LOCI_CAP_CAUSAL)
static const loci_want any_mixer = {sizeof(loci_want), 0, "mixer", LOCI_KIND_MIXER, LOCI_CAP_BACKWARD};
static const loci_want the_mixer = {sizeof(loci_want), 0, "mixer", LOCI_KIND_MIXER, STREAM};
static const loci_want ctx_mixer = {sizeof(loci_want), 0, "mixer", LOCI_KIND_MIXER, STREAM | LOCI_CAP_CONTEXT};
static const loci_want some_memory = {sizeof(loci_want), 1, "memory", LOCI_KIND_MEMORY, STREAM};
static const loci_want the_memory = {sizeof(loci_want), 0, "memory", LOCI_KIND_MEMORY, STREAM};
static const loci_want *const mac_wants[] = {&ctx_mixer, &some_memory};
static const loci_want *const both[] = {&the_mixer, &some_memory};
static const loci_want *const mixer_only[] = {&any_mixer};
static const loci_want *const memory_only[] = {&the_memory};

/* ---- life -------------------------------------------------------------------------------------------------------- */

static loci_status fit(const loci_host *host, const loci_config *config, const loci_shape *shape, loci_fit *f)
{
    (void)config;
    if (shape->dtype.code != LOCI_FLOAT || (shape->dtype.bits != 32 && shape->dtype.bits != 64))
        snprintf(f->reason, sizeof f->reason, "computes in float32 or float64 only");
    else if (!host->get_ext(host, shape->device, LOCI_EXT_OPS))
        snprintf(f->reason, sizeof f->reason, "the device offers no " LOCI_EXT_OPS);
    else {
        f->score = 50;
        snprintf(f->reason, sizeof f->reason, "calls its children over the services of the device");
    }
    return LOCI_OK;
}

static enum retrieval retrieval_of(const loci_config *config)
{
    static const char *const names[] = {[STRICT] = "strict", [SUMMARY] = "summary", [PREVIOUS] = "previous"};
    const char *name = config->get_str(config->ctx, "retrieval");

    for (int i = STRICT; i < LITERAL; i++)
        if (!strcmp(names[i], name))
            return (enum retrieval)i;
    return LITERAL;
}

/* The keys that only some of the forms have. */
static void read_keys(loci_module *m, const loci_config *c)
{
    m->persistent_tok = c->get_int(c->ctx, "persistent_tok");
    m->to_memory = m->form == LMM;
    if (m->form == MAG || m->form == MAL)
        m->to_memory = c->get_int(c->ctx, "persistent_to_memory") != 0;
    if (m->form != PLAIN && m->form != LMM)
        m->gate = gate_find(c->get_str(c->ctx, "gate"));
    if (m->form == MAC) {
        m->segment_tok = c->get_int(c->ctx, "segment_tok");
        m->retrieval = retrieval_of(c);
        m->summary_tok = m->retrieval == SUMMARY ? c->get_int(c->ctx, "summary_tok") : 0;
    }
}

static loci_status create(enum form form, const loci_host *host, const loci_config *config, const loci_shape *shape,
                          loci_module **out, loci_error *err)
{
    struct loci_module *m = host->alloc(host, sizeof *m);

    if (!m)
        return loci_refuse(err, LOCI_E_NOMEM, "compose", "out of memory");
    m->host = host;
    m->ops = host->get_ext(host, shape->device, LOCI_EXT_OPS);
    m->form = form;
    LOCI_COPY(&m->shape, shape);
    m->dim = shape->dim;
    read_keys(m, config);
    if (!m->ops) {
        host->free(host, m);
        return loci_refuse(err, LOCI_E_DEVICE, "compose", "the device offers no " LOCI_EXT_OPS);
    }
    *out = m;
    return LOCI_OK;
}

#define CREATE(name, form) \
    static loci_status name(const loci_host *host, const loci_config *config, const loci_site *site, \
                            const loci_shape *shape, loci_module **out, loci_error *err) \
    { \
        (void)site; \
        return create(form, host, config, shape, out, err); \
    }
CREATE(create_plain, PLAIN)
CREATE(create_mac, MAC)
CREATE(create_mag, MAG)
CREATE(create_mal, MAL)
CREATE(create_lmm, LMM)

static void destroy(loci_module *m)
{
    m->host->free(m->host, m);
}

static loci_status bind(loci_module *m, uint32_t n, const loci_child *const *children, loci_error *err)
{
    if (n != (m->form == PLAIN || m->form == LMM ? 1 : 2) || !children[0])
        return loci_refuse(err, LOCI_E_ARG, "compose",
                           "a composition was bound to %u children that are not those it wants", n);
    m->mixer = m->form == LMM ? NULL : children[0];
    m->memory = m->form == LMM ? children[0] : n > 1 ? children[1] : NULL;
    if (!m->memory) {
        m->form = PLAIN;
        m->to_memory = false;
    }
    m->fed = m->mixer && m->persistent_tok > 0 && !(m->host->child_caps(m->mixer) & LOCI_CAP_CONTEXT);
    return LOCI_OK;
}

loci_status gain(loci_module *m, void *decl, const char *name, uint32_t *index)
{
    const loci_slot s = {sizeof s, LOCI_SLOT_NO_DECAY, name, 1, LOCI_INIT_CONST, &m->dim, {0, 0, 0}, 0, 1, 0, 0};

    return m->host->declare(m->host, decl, &s, index);
}

loci_status normal(loci_module *m, void *decl, const char *name, uint32_t flags, int64_t a, int64_t b, uint32_t *index)
{
    const loci_slot s = {sizeof s, flags, name, 2, LOCI_INIT_NORMAL, (int64_t[]){a, b}, {0, 0, 0}, 0, 0, 0.02, 0};

    return m->host->declare(m->host, decl, &s, index);
}

/* The cache of mac's mixer holds what attention sees of a segment. */
static loci_status declare_mac(loci_module *m, void *decl)
{
    const loci_host *host = m->host;
    const int64_t C = m->segment_tok, read = m->retrieval == SUMMARY ? m->summary_tok : C;
    const int64_t shape[] = {-1, C, m->dim};
    const loci_slot last = {.struct_size = sizeof last,
                            .flags = LOCI_SLOT_STATE,
                            .name = "last",
                            .ndim = 3,
                            .init = LOCI_INIT_ZERO,
                            .shape = shape,
                            .dtype = m->shape.dtype};

    if (m->retrieval == SUMMARY)
        LOCI_RETURN_IF(normal(m, decl, "summary", LOCI_SLOT_NO_DECAY, m->summary_tok, m->dim, &m->w_summary));
    if (m->retrieval == PREVIOUS)
        LOCI_RETURN_IF(host->declare(host, decl, &last, &m->s_last));
    LOCI_RETURN_IF(host->declare_sub(host, decl, m->mixer, "mix", m->persistent_tok + read + C, 0, &m->s_mix));
    LOCI_RETURN_IF(host->declare_sub(host, decl, m->memory, "run", 0, 0, &m->s_run));
    return host->declare_sub(host, decl, m->memory, "snap", 0, 0, &m->s_snap);
}

static loci_status declare(loci_module *m, void *decl, loci_error *err)
{
    const loci_host *host = m->host;
    const int64_t P = m->persistent_tok;

    (void)err; /* the host says what it refused */
    if (P > 0)
        LOCI_RETURN_IF(normal(m, decl, "persistent", LOCI_SLOT_NO_DECAY, P, m->dim, &m->w_persistent));
    if (m->memory && m->gate)
        LOCI_RETURN_IF(gate_declare(m, decl));
    if (m->form == MAC)
        return declare_mac(m, decl);
    if (m->mixer)
        LOCI_RETURN_IF(host->declare_sub(host, decl, m->mixer, "mix", 0, P, &m->s_mix));
    return m->memory ? host->declare_sub(host, decl, m->memory, "mem", 0, 0, &m->s_run) : LOCI_OK;
}

/* As printed, mac reads whole segments and sees their future. */
static uint64_t mac_promises(const loci_config *config)
{
    return retrieval_of(config) == LITERAL ? LOCI_CAP_BACKWARD : STREAM;
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

static loci_status plan(loci_module *m, const loci_shape *shape, int32_t op, loci_need *need, loci_error *err)
{
    if (op != LOCI_OP_MIX)
        return loci_refuse(err, LOCI_E_UNSUPPORTED, "compose", "a composition knows one operation, not number %d",
                           (int)op);
    LOCI_RETURN_IF(loci_countable(shape, "compose", err));
    return m->form == MAC ? mac_plan(m, shape, need, err) : once_plan(m, shape, need, err);
}

static loci_status forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_io *io, loci_error *err)
{
    struct call c;

    if (io->q->n_runs == 0)
        return LOCI_OK;
    LOCI_RETURN_IF(call_begin(&c, m, x, s, io, false, err));
    return m->form == MAC ? mac_forward(&c) : once_forward(&c);
}

static loci_status backward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_io *io, loci_error *err)
{
    struct call c;

    if (io->q->n_runs == 0)
        return LOCI_OK;
    LOCI_RETURN_IF(call_begin(&c, m, x, s, io, true, err));
    return m->form == MAC ? mac_backward(&c) : once_backward(&c);
}

static const loci_mixer iface = {sizeof iface, 0, forward, backward};

#define CLASS(name, keys_, wants_, promises_, summary_, doc_) \
    static const loci_class class_##name = {.struct_size = sizeof class_##name, \
                                            .id = #name, \
                                            .kind = LOCI_KIND_COMPOSE, \
                                            .version = "1.0", \
                                            .summary = summary_, \
                                            .doc = doc_, \
                                            .caps = STREAM, \
                                            .n_keys = sizeof keys_ / sizeof *keys_, \
                                            .n_wants = sizeof wants_ / sizeof *wants_, \
                                            .keys = keys_, \
                                            .wants = wants_, \
                                            .fit = fit, \
                                            .create = create_##name, \
                                            .destroy = destroy, \
                                            .bind = bind, \
                                            .declare = declare, \
                                            .plan = plan, \
                                            .iface = &iface, \
                                            .promises = promises_}

CLASS(plain, one_keys, mixer_only, NULL, "the mixer alone",
      "y = mix(x | [p; x]), p learned rows (none by default).\n"
      "Cost: mixer operations per token.\n"
      "Use: the baseline beside every other composition.");
CLASS(lmm, one_keys, memory_only, NULL, "the memory alone",
      "y = mem([p; x]), p learned rows (none by default).\n"
      "Cost: memory operations per token; a stream needs the same room and time for every token.\n"
      "Source: Behrouz et al. 2025, section 4.3 (LMM).\n"
      "Use: to see what a memory does by itself, and where a long stream must stay small.");
CLASS(mac, mac_keys, mac_wants, mac_promises,
      "memory as context: attention by segment over [persistent; read memory; segment]",
      "per segment: h = read(queries), y = mix(x | [p; h; x]), m = write and read(y), o = gate(y, m); causal unless\n"
      "retrieval = literal.\n"
      "Cost: attention of T queries over P + 2C rows each, a read and a step of the memory per token.\n"
      "Source: Behrouz et al. 2025, section 4.1; made causal, see docs/papers.md.\n"
      "Use: where what was stored should be weighed against the segment, token by token; the slowest of the three.");
CLASS(mag, mag_keys, both, NULL, "memory as gate: attention and memory side by side, joined by a gate",
      "o = gate(mix(x | [p; x]), mem(x)); by default gate(y, m) = rms(y) o sigmoid(rms(m)) with gains.\n"
      "Cost: mixer + memory operations per token.\n"
      "Source: Behrouz et al. 2025, section 4.2.\n"
      "Use: a window for what is near beside a memory for what is far; the first to try.");
CLASS(mal, mal_keys, both, NULL, "memory as layer: the memory with a residual, then attention over what it made",
      "z = [p; x], u = gate(z, mem(z)), z + mem(z) by default, y = mix(u | u).\n"
      "Cost: (mixer + memory) (T + persistent_tok) / T operations per token.\n"
      "Source: Behrouz et al. 2025, section 4.3; the residual is ours.\n"
      "Use: as the stacked layers of earlier hybrids, for comparison.");

static const loci_class *const classes[] = {&class_plain, &class_lmm, &class_mac, &class_mag, &class_mal};

LOCI_EXPORT extern const loci_plugin loci_plugin_v1;
const loci_plugin loci_plugin_v1 = {LOCI_PLUGIN_HEAD, "compose", "1.0", "Apache-2.0", 5, 0, classes};
LOCI_PLUGIN_NOTE("class=compose/plain\nclass=compose/lmm\nclass=compose/mac\nclass=compose/mag\nclass=compose/mal\n");

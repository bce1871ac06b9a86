/* SPDX-License-Identifier: Apache-2.0
 *
 * A component from the words of the command line; see component.h.
 */
#include "cli/component.h"
#include <string.h>

#define MEMBER(m) offsetof(loci_attn_desc, m)

const struct cli_optional cli_optionals[] = {
    {"mask", "B1 H1 T S", MEMBER(mask)}, {"bias", "B1 H1 T S", MEMBER(bias)},
    {"slopes", "H", MEMBER(slopes)},     {"table", "n H", MEMBER(table)},
    {"sink", "H", MEMBER(sink)},         {"q_len", "B", MEMBER(q_len)},
    {"lengths", "B", MEMBER(k_len)},     {"q_pos", "B T", MEMBER(q_pos)},
    {"k_pos", "B S", MEMBER(k_pos)},     {"segment_ids", "B S", MEMBER(q_seg)},
    {"q_seg", "B T", MEMBER(q_seg)},     {"k_seg", "B S", MEMBER(k_seg)},
    {"ids", "B", MEMBER(ids)},           {"block_table", "B n", MEMBER(block_table)}};
const size_t cli_n_optionals = sizeof cli_optionals / sizeof *cli_optionals;

loci_status cli_component_config(struct component *c, const struct options *o, const char *verb, loci_error *err)
{
    loci_status status = LOCI_OK;
    const char *slash = o->n_words == 1 ? strchr(o->words[0], '/') : NULL;
    char *set = NULL;

    if (!slash)
        return loci_fail(err, LOCI_E_ARG, "%s takes one component as KIND/ID, like memory/titans; `loci list` has them",
                         verb);
    c->word = o->words[0];
    c->id = slash + 1;
    c->kind = loci_format("%.*s", (int)(slash - o->words[0]), o->words[0]);
    set = loci_format("%s.backend=%s", c->kind ? c->kind : "", slash + 1);
    if (!c->kind || !set) {
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory");
        goto out;
    }
    if (!loci_kind_long(c->kind)) {
        status =
            loci_fail(err, LOCI_E_ARG, "`%s` is no kind: use attention, mixer, memory, compose or device", c->kind);
        goto out;
    }
    LOCI_TRY(cli_config(&c->conf, o, NULL, err));
    if (strcmp(c->kind, "device"))
        LOCI_TRY(loci_conf_set(c->conf, set, verb, err));
    if (!strcmp(c->kind, "compose") && !loci_conf_is_set(c->conf, -1, "memory", "backend")) /* any will do */
        LOCI_TRY(loci_conf_set(c->conf, "memory.backend=titans", verb, err));
out:
    loci_free(set);
    return status;
}

loci_status cli_component_context(struct component *c, const struct options *o, loci_error *err)
{
    return loci_context_new(&c->cx, c->conf, o->plugin_path, o->allow_unknown, err);
}

void cli_component_close(struct component *c)
{
    loci_context_free(c->cx);
    loci_conf_free(c->conf);
    loci_free(c->kind);
}

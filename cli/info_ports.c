/* SPDX-License-Identifier: Apache-2.0
 *
 * loci info: the tensors that `apply` takes and gives, from the list of ports that it fills itself.
 *
 *  (1) In a shape a number follows from the config, a word is decided by the call.
 *  (2) An attention is opened with nothing but q, k and v, and then once for each other tensor of its descriptor: those
 *      that it serves are listed.
 */
#include "cli/info.h"
#include <math.h>
#include <string.h>

const loci_trial_size info_small = {
    .docs = 1, .seq = 1, .keys = 1, .blocks = 1, .heads = 1, .k_heads = 1, .v_heads = 1, .dk = 1, .dv = 1};

json_t *info_names(loci_trial *t, bool out)
{
    json_t *all = json_array();

    for (uint32_t i = 0; i < loci_trial_n_ports(t); i++) {
        const loci_port *p = loci_trial_port(t, i);
        if (out ? p->role == LOCI_PORT_OUTPUT : p->role == LOCI_PORT_INPUT || p->role == LOCI_PORT_GATE)
            json_array_append_new(all, json_string(p->name));
    }
    return all;
}

/* What a call decides is a letter: B rows, T tokens, S keys or context rows, `rows` of a cache. */
static json_t *port_shape(const loci_port *p)
{
    const bool context = !strcmp(p->name, "context"), tokens = p->role != LOCI_PORT_WEIGHT;
    json_t *s = json_array();

    for (int32_t i = 0; i < p->ndim; i++)
        json_array_append_new(s, tokens && i == 0                                   ? json_string("B")
                                 : p->role == LOCI_PORT_STATE && i == 1 && p->cache ? json_string("rows")
                                 : p->role == LOCI_PORT_STATE || !tokens || i > 1
                                     ? json_integer((json_int_t)p->shape[i])
                                     : json_string(context ? "S" : "T"));
    return s;
}

static json_t *words(const char *text)
{
    json_t *s = json_array();

    for (const char *at = text; *at; at += strcspn(at, " "), at += *at == ' ')
        json_array_append_new(s, json_stringn(at, strcspn(at, " ")));
    return s;
}

static void add_port(json_t *all, const loci_port *p, json_t *shape, bool needed)
{
    static const char *const roles[] = {"input", "gate", "weight", "state", "output"};
    json_t *one = json_pack("{s:s, s:s, s:s, s:o, s:b, s:b}", "name", p->name, "role", roles[p->role], "dtype",
                            loci_dtype_name(p->dtype), "shape", shape, "needed", (int)needed, "gradient", (int)p->real);

    if (p->role == LOCI_PORT_GATE)
        json_object_set_new(one, "range",
                            json_pack("[f, o]", p->lo, isinf(p->hi) ? json_string("inf") : json_real(p->hi)));
    json_array_append_new(all, one);
}

json_t *info_ports(loci_trial *t)
{
    json_t *all = json_array();

    for (uint32_t i = 0; i < loci_trial_n_ports(t); i++) {
        const loci_port *p = loci_trial_port(t, i);
        add_port(all, p, port_shape(p),
                 (p->role == LOCI_PORT_INPUT && strcmp(p->name, "positions") && strcmp(p->name, "context")) ||
                     p->role == LOCI_PORT_GATE);
    }
    return all;
}

json_t *info_attention_ports(loci_context *cx, loci_trial *t, loci_dtype dtype)
{
    static const char *const axes[] = {"B T H d", "B S Hk d", "B S Hv e", "B T H e", "B H T"};
    const int64_t ones[] = {1, 1, 1, 1};
    json_t *all = json_array();
    loci_view view, lengths;

    for (uint32_t i = 0; i < loci_trial_n_ports(t); i++)
        add_port(all, loci_trial_port(t, i), words(axes[i]), i < 3);
    for (size_t i = 0; i < cli_n_optionals; i++) {
        const struct cli_optional *o = &cli_optionals[i];
        loci_attn_desc desc = {.struct_size = sizeof desc,
                               .scale = 1,
                               .window_left = -1,
                               .window_right = -1,
                               .max_distance = 1,
                               .block_tok = 1};
        loci_trial_size size = info_small;
        loci_trial *with = NULL;
        loci_error why = LOCI_ERROR_INIT;
        const loci_port *p;
        int32_t ndim = 1;
        for (const char *at = o->axes; *at; at++)
            ndim += *at == ' ';
        *(const loci_tensor **)(void *)((char *)&desc + o->at) =
            loci_view_set(&view, NULL, cx->device, loci_i32, ndim, ones);
        if (!strcmp(o->name, "segment_ids"))
            desc.k_seg = desc.q_seg;
        if (desc.block_table)
            desc.k_len = loci_view_set(&lengths, NULL, cx->device, loci_i32, 1, ones);
        size.dtype = dtype;
        size.desc = &desc;
        if (loci_trial_open(&with, cx, "attention", LOCI_TRIAL_AS_IS, &size, &why) == LOCI_OK) {
            p = loci_trial_find(with, o->name);
            add_port(all, p, words(o->axes), false);
        }
        loci_trial_free(with);
    }
    return all;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * What a node promises in its place, with its config.
 *
 *  (1) A class promises `caps`, or what its promises() makes of them with this config, which is never more.
 *  (2) What a mixer or a memory below it does not keep, a component cannot keep either: gradients, streaming and
 *      causality hold as far as they hold in its children. An attention is told the mask of every call and holds no
 *      state, so it takes nothing away.
 */
#include "core/model/node_impl.h"

#define OF_CHILDREN (LOCI_CAP_BACKWARD | LOCI_CAP_STREAMING | LOCI_CAP_CAUSAL)

static const struct {
    uint64_t cap;
    const char *name;
} names[] = {{LOCI_CAP_BACKWARD, "gradients"},
             {LOCI_CAP_STREAMING, "streaming"},
             {LOCI_CAP_CAUSAL, "causality"},
             {LOCI_CAP_CONTEXT, "a context other than its input"}};

const char *loci_cap_name(uint32_t i, uint64_t *cap)
{
    if (i >= sizeof names / sizeof *names)
        return NULL;
    *cap = names[i].cap;
    return names[i].name;
}

loci_status loci_node_promise(loci_node *n, loci_error *err)
{
    const loci_class *c = n->cls;

    n->caps = LOCI_HAS_FN(c, loci_class, promises) ? c->promises(&n->config) : c->caps;
    if (n->caps & ~c->caps)
        return loci_fail(
            err, LOCI_E_PLUGIN,
            "%s: %s/%s promises 0x%llx with this config and its class no more than 0x%llx: a defect of the "
            "plugin, choose another",
            n->path, n->section, c->id, (unsigned long long)n->caps, (unsigned long long)c->caps);
    return LOCI_OK;
}

void loci_node_promise_with_children(loci_node *n)
{
    for (uint32_t i = 0; i < n->n_children; i++)
        if (n->children[i] && n->children[i]->kind != LOCI_IS_ATTENTION)
            n->caps &= n->children[i]->caps | ~OF_CHILDREN;
}

loci_status loci_node_demand(const loci_node *n, uint64_t caps, loci_error *err)
{
    const uint64_t missing = caps & ~n->caps;
    const char *name = "something this version does not know";
    uint64_t cap;

    if (!missing)
        return LOCI_OK;
    for (uint32_t i = 0; loci_cap_name(i, &cap); i++)
        if (missing & cap) {
            name = loci_cap_name(i, &cap);
            break;
        }
    return loci_fail(err, LOCI_E_PLUGIN,
                     "%s: %s/%s cannot stand here: it does not promise %s%s: choose another %s.backend, or one above it "
                     "that asks for less",
                     n->path, n->section, n->cls->id, name, missing & n->cls->caps ? " with this config" : "", n->section);
}

uint64_t loci_node_caps(const loci_node *n)
{
    return n->caps;
}

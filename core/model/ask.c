/* SPDX-License-Identifier: Apache-2.0
 *
 * What a node tells about itself to those who describe a model: explain, info and inspect.
 */
#include "core/model/node_impl.h"

const char *loci_node_section(const loci_node *n)
{
    return n->section;
}

int loci_node_layer(const loci_node *n)
{
    return n->layer;
}

const char *loci_node_gate(const loci_node *n, uint32_t i, double *lo, double *hi)
{
    if (i >= n->n_gates)
        return NULL;
    *lo = n->gates[i].lo;
    *hi = n->gates[i].hi;
    return n->gates[i].name;
}

const char *loci_node_rule_state(const loci_node *n, uint32_t i)
{
    return n->kind == LOCI_IS_MEMORY && i < n->n_rule_states ? n->states[i].name : NULL;
}

uint64_t loci_node_parameters(const loci_node *n)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < n->n_params; i++)
        sum += n->params[i]->elements;
    return sum;
}

static loci_status config_of(void *arg, const loci_class *cls, loci_config *out, loci_error *err)
{
    const loci_node *n = arg;

    return loci_node_config(n->cx, n->layer, cls, out, err);
}

loci_status loci_node_candidates(const loci_node *n, loci_candidate **out, uint32_t *count, loci_error *err)
{
    return loci_registry_candidates(n->cx->registry, out, count, loci_kind_short(n->cls->kind), &n->cx->host, &n->shape,
                                    config_of, (void *)(uintptr_t)n, err);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Operations of a component, as its class counts them. A class's doc has a line "Cost: "; where what stands there is
 *
 *     EXPRESSION operations per token [and head] ...
 *
 * the expression (expr.c) is computed with
 *
 *     T S D       tokens of a row; keys a query sees, on average; width of the model
 *     H dk dv d   heads and widths: a memory's, or those of the attention that a mixer calls; d where dk = dv
 *     N           numbers in this component's weights of two axes: 2 N are its products
 *     seen(n)     as S, when a query looks back n tokens at most, itself included; 0: at all
 *     KEY         an INT or REAL key of the class, as configured
 *     mixer ...   the operations of the child in that role, a memory's front end with it
 *
 * Whoever says nothing, or something else, is not counted: 0. So a stranger's component has its GFLOP/s like ours, and
 * nothing is ever guessed.
 */
#include "core/bench/impl.h"
#include "core/model/node_impl.h"
#include <math.h>
#include <string.h>

#define LABEL "Cost: "
#define UNIT "operations per token"
#define EACH_HEAD " and head"

struct counting {
    const loci_node *node;
    const loci_bench_size *z;
};

static double seen(const loci_bench_size *z, double back)
{
    const bool decode = z->pass == LOCI_BENCH_DECODE;
    int64_t window = back > 0 && back < 1e15 ? (int64_t)back : 0;

    if (z->window_tok > 0 && (window == 0 || z->window_tok < window))
        window = z->window_tok;
    return decode ? loci_bench_pairs(1, z->T, z->T - 1, !z->full, window)
                  : loci_bench_pairs(z->T, z->T, 0, !z->full, window) / (double)z->T;
}

/* The numbers of weights [from, to) that are matrices. */
static double matrices(const loci_node *n, uint32_t from, uint32_t to)
{
    double sum = 0;

    for (uint32_t i = from; i < to; i++)
        if (n->params[i]->value.t.ndim >= 2)
            sum += (double)n->params[i]->elements;
    return sum;
}

/* The node that knows heads and widths. */
static const loci_shape *heads_of(const loci_node *n)
{
    if (n->kind == LOCI_IS_MEMORY || n->kind == LOCI_IS_ATTENTION)
        return &n->shape;
    for (uint32_t i = 0; n->kind == LOCI_IS_MIXER && i < n->n_children; i++)
        if (n->children[i] && n->children[i]->kind == LOCI_IS_ATTENTION)
            return &n->children[i]->shape;
    return NULL;
}

static double of_key(const loci_node *n, const char *name)
{
    for (uint32_t i = 0; i < n->cls->n_keys; i++) {
        const loci_key *k = n->cls->keys[i];
        if (strcmp(k->name, name) == 0)
            return k->type == LOCI_KEY_INT    ? (double)n->config.get_int(n->config.ctx, name)
                   : k->type == LOCI_KEY_REAL ? n->config.get_real(n->config.ctx, name)
                                              : NAN;
    }
    return NAN;
}

static double of_child(const loci_node *n, const char *role, const loci_bench_size *z)
{
    for (uint32_t i = 0; i < n->cls->n_wants && i < n->n_children; i++)
        if (strcmp(n->cls->wants[i]->role, role) == 0) {
            const double x = n->children[i] ? loci__bench_token_flops(n->children[i], z) : 0;
            return x > 0 || !n->children[i] ? x : NAN;
        }
    return NAN;
}

static double of_shape(const loci_node *n, const char *name)
{
    const loci_shape *s = heads_of(n);

    if (!s)
        return NAN;
    return !strcmp(name, "H")    ? (double)s->heads
           : !strcmp(name, "dk") ? (double)s->dk
           : !strcmp(name, "dv") ? (double)s->dv
           : s->dk == s->dv      ? (double)s->dk
                                 : NAN;
}

static double value(void *arg, const char *text, size_t n)
{
    const struct counting *c = arg;
    char name[64];

    if (n >= sizeof name)
        return NAN;
    memcpy(name, text, n);
    name[n] = '\0';
    if (!strcmp(name, "T"))
        return (double)c->z->T;
    if (!strcmp(name, "S"))
        return seen(c->z, 0);
    if (!strcmp(name, "D"))
        return (double)c->node->shape.dim;
    if (!strcmp(name, "N"))
        return matrices(c->node, 0, c->node->n_params - (c->node->front ? loci_front_params(c->node) : 0));
    if ((!strcmp(name, "H") || !strcmp(name, "dk") || !strcmp(name, "dv") || !strcmp(name, "d")) && heads_of(c->node))
        return of_shape(c->node, name);
    return isnan(of_key(c->node, name)) ? of_child(c->node, name, c->z) : of_key(c->node, name);
}

static double seen_by(void *arg, double back)
{
    const struct counting *c = arg;

    return seen(c->z, back);
}

double loci__bench_token_flops(const loci_node *n, const loci_bench_size *z)
{
    struct counting c = {n, z};
    const loci_names names = {value, seen_by, &c};
    const char *doc = n->cls->doc, *from, *to;
    double x;

    while (doc && strncmp(doc, LABEL, strlen(LABEL)) != 0)
        doc = strchr(doc, '\n') ? strchr(doc, '\n') + 1 : NULL;
    from = doc ? doc + strlen(LABEL) : NULL;
    to = from ? strstr(from, UNIT) : NULL;
    x = to ? loci__expr(from, (size_t)(to - from), &names) : NAN;
    if (to && strncmp(to + strlen(UNIT), EACH_HEAD, strlen(EACH_HEAD)) == 0)
        x *= heads_of(n) ? (double)heads_of(n)->heads : NAN;
    if (n->front)
        x += 2 * matrices(n, n->n_params - loci_front_params(n), n->n_params);
    return x > 0 ? x : 0;
}

double loci_bench_node_flops(const loci_node *n, const loci_bench_size *z)
{
    const double passes = z->pass == LOCI_BENCH_BACKWARD ? 2 : 1;

    return passes * (double)z->B * (double)(z->pass == LOCI_BENCH_DECODE ? 1 : z->T) * loci__bench_token_flops(n, z);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * core/plugin: ask every class of a kind whether it fits, and rank the answers.
 *
 *  (1) Nobody is left out: a class that cannot be loaded, configured or asked stands in the list with score 0 and the
 *      reason, so that the line on who won can say why each of the others lost.
 *  (2) Best score first, ties by id: the order does not depend on folders or on loading.
 */
#include "core/plugin/table.h"

#include <stdlib.h>
#include <string.h>

static int by_score(const void *a, const void *b)
{
    const loci_candidate *x = a, *y = b;
    return x->score != y->score ? (x->score < y->score) - (x->score > y->score) : strcmp(x->id, y->id);
}

static loci_status ask(loci_candidate *c, const loci_host *host, const loci_shape *shape, loci_config_of_fn config_of,
                       void *arg)
{
    loci_error why = LOCI_ERROR_INIT;
    loci_config config = {.struct_size = sizeof config};
    loci_fit fit = {.struct_size = sizeof fit};
    loci_status status = config_of(arg, c->cls, &config, &why);
    if (status != LOCI_OK) {
        snprintf(c->reason, sizeof c->reason, "%s", why.msg);
        return status;
    }
    status = c->cls->fit(host, &config, shape, &fit);
    fit.reason[sizeof fit.reason - 1] = 0;
    if (status != LOCI_OK)
        snprintf(c->reason, sizeof c->reason, "its fit failed with status %d%s%s", (int)status,
                 fit.reason[0] ? ": " : "", fit.reason);
    else
        snprintf(c->reason, sizeof c->reason, "%s", fit.reason[0] ? fit.reason : "it gives no reason");
    c->score = status == LOCI_OK && fit.score > 0 ? fit.score : 0;
    return LOCI_OK;
}

loci_status loci_registry_candidates(loci_registry *r, loci_candidate **out, uint32_t *n, const char *kind,
                                     const loci_host *host, const loci_shape *shape, loci_config_of_fn config_of,
                                     void *arg, loci_error *err)
{
    loci_candidate *list = loci_alloc(r->n_records * sizeof *list);
    *out = NULL;
    *n = 0;
    if (!list)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory");
    for (uint32_t i = 0; i < r->n_records; i++) {
        loci_candidate *c = &list[*n];
        const loci_entry *e = &r->records[i].e;
        loci_error why = LOCI_ERROR_INIT;
        loci_status status;
        if (strcmp(e->kind, kind) || (*n && !strcmp(list[*n - 1].id, e->id)))
            continue; /* another kind, or a shadow: the winner came first */
        c->id = e->id;
        ++*n;
        status = loci_registry_find(r, &c->cls, kind, e->id, NULL, &why);
        if (status == LOCI_OK)
            status = ask(c, host, shape, config_of, arg);
        else
            snprintf(c->reason, sizeof c->reason, "%s", why.msg);
        if (status == LOCI_E_NOMEM) {
            loci_free(list);
            *n = 0;
            return loci_fail(err, LOCI_E_NOMEM, "out of memory");
        }
    }
    qsort(list, *n, sizeof *list, by_score);
    *out = list;
    return LOCI_OK;
}

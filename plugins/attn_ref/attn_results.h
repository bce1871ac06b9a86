/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_ref/attn_results.h: for tests: what a run of an attention leaves, as a list, so that every result is
 * judged by one loop.
 */
#ifndef ATTN_RESULTS_H
#define ATTN_RESULTS_H

#include "attn_cases.h"

typedef struct result {
    const char *name;
    size_t at; /* in attn_out */
    int64_t n;
} result;

enum { RESULTS = 9 };
static const char *const result_names[RESULTS] = {"o", "lse", "dq", "dk", "dv", "dslopes", "dbias", "dtable", "dsink"};

/* Those of p; one that it does not have is 0 long. */
static inline int results(const attn_prob *p, result *r)
{
    const result all[] = {
        {"o", offsetof(attn_out, o), p->B * p->T * p->H * p->e},
        {"lse", offsetof(attn_out, lse), p->B * p->H * p->T},
        {"dq", offsetof(attn_out, dq), p->B * p->T * p->H * p->d},
        {"dk", offsetof(attn_out, dk), p->B * p->S * p->Hk * p->d},
        {"dv", offsetof(attn_out, dv), p->B * p->S * p->Hv * p->e},
        {"dslopes", offsetof(attn_out, dslopes), p->slopes ? p->H : 0},
        {"dbias", offsetof(attn_out, dbias), p->bias ? p->bias_B * p->bias_H * p->T * p->S : 0},
        {"dtable", offsetof(attn_out, dtable), p->table ? p->buckets * p->H : 0},
        {"dsink", offsetof(attn_out, dsink), p->sink ? p->H : 0},
    };

    memcpy(r, all, sizeof all);
    return RESULTS;
}

static inline const double *get(const attn_out *o, const result *r)
{
    return *(double *const *)((const char *)o + r->at);
}

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * loci bench: comma lists and numbers of the command line.
 */
#include "cli/bench.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LIST_MOST (sizeof((struct bench_list *)0)->at / sizeof(char *))

loci_status bench_split(struct bench_list *out, const char *text, const char *option, loci_error *err)
{
    const char *from = text;

    out->n = 0;
    while (from) {
        const char *comma = strchr(from, ',');
        const size_t n = comma ? (size_t)(comma - from) : strlen(from);
        if (n == 0)
            return loci_fail(err, LOCI_E_ARG, "%s=%s: an item of the list is empty", option, text);
        if (out->n == LIST_MOST)
            return loci_fail(err, LOCI_E_ARG, "%s=%s: at most %zu items are taken", option, text, LIST_MOST);
        out->at[out->n] = loci_format("%.*s", (int)n, from);
        if (!out->at[out->n++])
            return loci_fail(err, LOCI_E_NOMEM, "out of memory");
        from = comma ? comma + 1 : NULL;
    }
    return LOCI_OK;
}

loci_status bench_number(int64_t *out, const char *text, const char *option, loci_error *err)
{
    char *rest = NULL;
    long long n;

    errno = 0;
    n = strtoll(text, &rest, 10);
    if (rest == text || *rest || errno || n < 1 || n > INT32_MAX)
        return loci_fail(err, LOCI_E_ARG, "%s=%s: a number from 1 to %d is wanted", option, text, INT32_MAX);
    *out = n;
    return LOCI_OK;
}

void bench_list_free(struct bench_list *l)
{
    for (uint32_t i = 0; i < l->n; i++)
        loci_free(l->at[i]);
    l->n = 0;
}

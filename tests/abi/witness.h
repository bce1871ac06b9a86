/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/abi/witness.h: listens to what host and plugin say of themselves (golden.h) and compares.
 *
 *  (1) What is got is what was last put under that name; got and never put is wrong.
 *  (2) What a body heard is what was asked. A call that nobody announced is not compared; an announced one that no body
 *      heard is wrong.
 *  (3) A name is touched when it was got as it should be, and called when it was heard so.
 */
#ifndef LOCI_TESTS_ABI_WITNESS_H
#define LOCI_TESTS_ABI_WITNESS_H

#include "golden.h"
#include <stdbool.h>
#include <stdlib.h>

#define WITNESS_MOST 1024

struct fact {
    char name[64], cells[192];
    bool call, waiting, touched; /* waiting: asked, not heard yet */
};

static struct {
    struct fact at[WITNESS_MOST];
    int n, wrong;
} witness;

static struct fact *witness_fact(const char *name, bool call)
{
    struct fact *f = witness.at;

    for (; f < witness.at + witness.n; f++)
        if (f->call == call && !strcmp(f->name, name))
            return f;
    if (witness.n == WITNESS_MOST || strlen(name) >= sizeof f->name)
        abort();
    witness.n++;
    memset(f, 0, sizeof *f);
    snprintf(f->name, sizeof f->name, "%s", name);
    f->call = call;
    return f;
}

static void witness_wrong(const char *name, const char *what, const char *cells, const char *was)
{
    witness.wrong++;
    printf("%s: %s%s%s%s\n", name, what, cells, was ? ", it was" : "", was ? was : "");
}

/* loci_host.log */
static void witness_log(const loci_host *h, int32_t level, const char *module, const char *msg)
{
    char verb[8], name[64];
    const char *cells;
    struct fact *f;
    int at = 0;

    (void)h;
    if (level != LOCI_LOG_DEBUG || strcmp(module, GOLDEN_MODULE) != 0)
        return;
    if (sscanf(msg, "%7s %63s%n", verb, name, &at) != 2) {
        witness_wrong("loci_host.log", "cannot be read: ", msg, NULL);
        return;
    }
    cells = msg + at;
    f = witness_fact(name, verb[0] == 'a' || verb[0] == 'h');
    if (!strcmp(verb, "put") || !strcmp(verb, "ask")) {
        if (f->waiting)
            witness_wrong(name, "was asked and never heard", "", NULL);
        snprintf(f->cells, sizeof f->cells, "%s", cells);
        f->waiting = f->call;
    } else if (f->call && !f->waiting) {
        return;
    } else if (!strcmp(f->cells, cells)) {
        f->touched = true;
        f->waiting = false;
    } else {
        witness_wrong(name, f->call ? "heard" : "read", cells, f->cells[0] ? f->cells : " never written");
        f->waiting = false;
    }
}

/* How many things were wrong; names: also print what was touched, a line each. */
static int witness_end(bool names)
{
    for (int i = 0; i < witness.n; i++) {
        const struct fact *f = &witness.at[i];
        if (f->waiting)
            witness_wrong(f->name, "was asked and never heard", "", NULL);
        if (names && f->touched)
            printf("%s %s\n", f->call ? "called" : "touched", f->name);
    }
    return witness.wrong;
}

#endif

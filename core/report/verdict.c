/* SPDX-License-Identifier: Apache-2.0
 *
 * core/report: the verdict in words.
 *
 * A sentence a line, decided pairs first. A decided one names the better arm and the evidence. An undecided one says what would decide
 * it, and never that the arms are equal. Arms that come with a warning have it said last. Numbers carry as many digits as their interval supports and no more.
 */
#include "core/report/report.h"

#include <math.h>

enum { PRACTICAL = 1000 }; /* seeds; more than that is said as such */

/* Decimals that show two digits of `width`. */
static int decimals(double width)
{
    int d = width > 0 && isfinite(width) ? 1 - (int)floor(log10(width)) : 4;
    return d < 0 ? 0 : d > 9 ? 9 : d;
}

static void decided(loci_text *out, const loci_report *r, const loci_pair *p)
{
    bool a_wins = p->verdict == LOCI_VERDICT_A;
    const loci_report_arm *better = &r->arms[a_wins ? p->a : p->b], *worse = &r->arms[a_wins ? p->b : p->a];
    int d = decimals((p->hi - p->lo) / 2);
    loci_text_add(out, "%s is better than %s: its %s is %s by %.*f%s%s (95 %% interval %.*f to %.*f, ", better->name,
                  worse->name, r->metric, r->lower_is_better ? "lower" : "higher", d, fabs(p->diff), r->unit ? " " : "",
                  r->unit ? r->unit : "", d, fmin(fabs(p->lo), fabs(p->hi)), d, fmax(fabs(p->lo), fabs(p->hi)));
    if (p->p_holm < 0.0001)
        loci_text_add(out, "p < 0.0001");
    else
        loci_text_add(out, "p = %.2g", p->p_holm);
    loci_text_add(out, "%s, %d seeds).", r->n_pairs > 1 ? " after Holm" : "", (int)p->n);
}

static void undecided(loci_text *out, const loci_report *r, const loci_pair *p)
{
    const char *a = r->arms[p->a].name, *b = r->arms[p->b].name, *unit = r->unit ? r->unit : "";
    int d;
    if (p->n < 3) {
        loci_text_add(out, "Undecided between %s and %s: %d seed%s ha%s both, a verdict takes at least 3.", a, b,
                      (int)p->n, p->n == 1 ? "" : "s", p->n == 1 ? "s" : "ve");
        return;
    }
    d = decimals((p->hi - p->lo) / 2);
    loci_text_add(
        out,
        "Undecided between %s and %s: the %s differs by %.*f%s%s (95 %% interval of %s - %s: %.*f to %.*f, %d "
        "seeds), which may be chance.",
        a, b, r->metric, d, fabs(p->diff), *unit ? " " : "", unit, a, b, d, p->lo, d, p->hi, (int)p->n);
    if (isfinite(p->mde))
        loci_text_add(out, " %d seeds would find a difference of %.2g or more in four experiments of five", (int)p->n,
                      p->mde);
    if (p->seeds_needed > PRACTICAL)
        loci_text_add(out, "; to decide one as small as this takes more than %d", PRACTICAL);
    else if (p->seeds_needed > p->n)
        loci_text_add(out, "; if the difference is as large as it looks, %d seeds would decide it",
                      (int)p->seeds_needed);
    if (isfinite(p->mde))
        loci_text_add(out, ".");
}

/* Many undecided pairs are one sentence: the table has their numbers. */
static void all_undecided(loci_text *out, const loci_report *r)
{
    const char *between = "Undecided between ";

    for (uint32_t i = 0; i < r->n_pairs; i++)
        if (r->pairs[i].verdict == LOCI_VERDICT_UNDECIDED) {
            loci_text_add(out, "%s%s and %s", between, r->arms[r->pairs[i].a].name, r->arms[r->pairs[i].b].name);
            between = ", ";
        }
    loci_text_add(out, ": these differences may be chance; the table says how many seeds would decide each.");
}

void loci_report_verdict(loci_text *out, const loci_report *r)
{
    uint32_t told = 0, open = 0;

    if (r->n_pairs == 0)
        loci_text_add(out, "There is nothing to compare: %s.", r->n_arms == 1 ? "one arm ran" : "no arms ran");
    for (uint32_t i = 0; i < r->n_pairs; i++)
        if (r->pairs[i].verdict == LOCI_VERDICT_UNDECIDED)
            open++;
        else {
            loci_text_add(out, "%s", told++ ? "\n" : "");
            decided(out, r, &r->pairs[i]);
        }
    if (open > 2) {
        loci_text_add(out, "%s", told ? "\n" : "");
        all_undecided(out, r);
    }
    for (uint32_t i = 0; i < r->n_pairs && open <= 2; i++)
        if (r->pairs[i].verdict == LOCI_VERDICT_UNDECIDED) {
            loci_text_add(out, "%s", told++ ? "\n" : "");
            undecided(out, r, &r->pairs[i]);
        }
    for (uint32_t i = 0; i < r->n_arms; i++)
        if (r->arms[i].warning)
            loci_text_add(out, "\n%s %s.", r->arms[i].name, r->arms[i].warning);
}

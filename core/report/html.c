/* SPDX-License-Identifier: Apache-2.0
 *
 * core/report: the HTML report: see report.h.
 *
 *  (1) Every piece of text goes through `text`, which escapes it. What is written with `raw` are literals of this file,
 *      numbers, and the SVG of plot.c, which has escaped its own.
 *  (2) Nothing is fetched: no link, font, script or image from elsewhere; a Content-Security-Policy says so to the
 * browser. SVG inside HTML needs no namespace addresses, so they are taken out. (3) Several plots share one document:
 * the ids that gnuplot repeats in each are made different.
 */
#include "core/report/report.h"
#include "core/report/style.h"
#include "core/tensor/file.h"

#include <math.h>
#include <string.h>

#define raw(out, ...) loci_text_add(out, __VA_ARGS__)
#define text(out, s) loci_text_escaped(out, s)

/* ---- cells ---------------------------------------------------------------------------------------------------------
 */

static void head_cell(loci_text *out, const char *name, bool number)
{
    raw(out, "<th scope=\"col\"%s>", number ? " class=\"n\"" : "");
    text(out, name);
    raw(out, "</th>");
}

static void text_cell(loci_text *out, const char *s)
{
    raw(out, "<td>");
    text(out, s ? s : "\xe2\x80\x93");
    raw(out, "</td>");
}

/* A number, and in brackets its spread when there is one. */
static void number_cell(loci_text *out, double x, double spread)
{
    if (!isfinite(x))
        raw(out, "<td class=\"n\">\xe2\x80\x93</td>");
    else if (isfinite(spread))
        raw(out, "<td class=\"n\">%.4f \xc2\xb1 %.4f</td>", x, spread);
    else
        raw(out, "<td class=\"n\">%.4g</td>", x);
}

/* 12 345 678, with narrow spaces that a copy of the table keeps together. */
static void count_cell(loci_text *out, int64_t n)
{
    char digits[32];
    int len;
    if (n < 0) {
        raw(out, "<td class=\"n\">\xe2\x80\x93</td>");
        return;
    }
    len = snprintf(digits, sizeof digits, "%lld", (long long)n);
    raw(out, "<td class=\"n\">");
    for (int i = 0; i < len; i++)
        raw(out, "%c%s", digits[i], i + 1 < len && (len - i - 1) % 3 == 0 ? "&#8239;" : "");
    raw(out, "</td>");
}

static void bytes_cell(loci_text *out, int64_t n)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double x = (double)n;
    size_t u = 0;
    if (n < 0) {
        raw(out, "<td class=\"n\">\xe2\x80\x93</td>");
        return;
    }
    for (; x >= 1024 && u < 4; u++)
        x /= 1024;
    raw(out, "<td class=\"n\">%.*f %s</td>", u ? 1 : 0, x, units[u]);
}

/* ---- sections ------------------------------------------------------------------------------------------------------
 */

static void section_top(loci_text *out, const loci_report *r)
{
    bool decided = false;
    for (uint32_t i = 0; i < r->n_pairs; i++)
        decided |= r->pairs[i].verdict != LOCI_VERDICT_UNDECIDED;
    raw(out, "<h1>");
    text(out, r->title ? r->title : "Comparison");
    raw(out, "</h1>\n<p class=\"verdict%s\">", decided ? "" : " open");
    if (r->verdict) {
        text(out, r->verdict);
    } else {
        loci_text words = {0};
        loci_report_verdict(&words, r);
        text(out, words.at ? words.at : "");
        out->failed |= words.failed;
        loci_text_free(&words);
    }
    raw(out, "</p>\n");
}

static void section_made(loci_text *out, const loci_report *r)
{
    const char *const names[] = {"Command", "Version", "Machine", "Date"};
    const char *const values[] = {r->command, r->version, r->machine, r->date};
    raw(out, "<h2>How it was made</h2>\n<dl>\n");
    for (int i = 0; i < 4; i++)
        if (values[i]) {
            raw(out, "<dt>%s</dt><dd>%s", names[i], i ? "" : "<code>");
            text(out, values[i]);
            raw(out, "%s</dd>\n", i ? "" : "</code>");
        }
    raw(out, "</dl>\n");
}

static void section_arms(loci_text *out, const loci_report *r)
{
    raw(out, "<h2>Arms</h2>\n<div class=\"wide\"><table>\n<caption>");
    text(out, r->metric);
    raw(out, "%s", r->unit ? " in " : "");
    text(out, r->unit ? r->unit : "");
    raw(out, ", mean \xc2\xb1 standard error over seeds; %s is better.</caption>\n<thead><tr>",
        r->lower_is_better ? "lower" : "higher");
    head_cell(out, "Arm", false);
    head_cell(out, r->metric, true);
    head_cell(out, "Seeds", true);
    head_cell(out, "Parameters", true);
    head_cell(out, "State", true);
    head_cell(out, "Peak memory", true);
    head_cell(out, "Tokens/s", true);
    raw(out, "</tr></thead>\n<tbody>\n");
    for (uint32_t i = 0; i < r->n_arms; i++) {
        const loci_report_arm *a = &r->arms[i];
        raw(out, "<tr><th scope=\"row\">");
        text(out, a->name);
        if (a->about) {
            raw(out, "<br><span style=\"font-weight:400;color:var(--soft)\">");
            text(out, a->about);
            raw(out, "</span>");
        }
        if (a->warning) {
            raw(out, "<br><strong>\xe2\x9a\xa0 ");
            text(out, a->warning);
            raw(out, "</strong>");
        }
        raw(out, "</th>");
        number_cell(out, a->mean, a->se);
        if (a->failed)
            raw(out, "<td class=\"n\">%d (%d failed)</td>", (int)a->n, (int)a->failed);
        else
            raw(out, "<td class=\"n\">%d</td>", (int)a->n);
        count_cell(out, a->parameters);
        bytes_cell(out, a->state_bytes);
        bytes_cell(out, a->peak_bytes);
        count_cell(out, isfinite(a->tokens_per_s) && a->tokens_per_s >= 0 ? (int64_t)llround(a->tokens_per_s) : -1);
        raw(out, "</tr>\n");
    }
    raw(out, "</tbody></table></div>\n");
}

static void pair_row(loci_text *out, const loci_report *r, const loci_pair *p)
{
    raw(out, "<tr><th scope=\"row\">");
    text(out, r->arms[p->a].name);
    raw(out, " \xe2\x88\x92 ");
    text(out, r->arms[p->b].name);
    raw(out, "</th>");
    number_cell(out, p->diff, NAN);
    if (isfinite(p->lo) && isfinite(p->hi))
        raw(out, "<td class=\"n\">%.4g to %.4g</td>", p->lo, p->hi);
    else
        raw(out, "<td class=\"n\">\xe2\x80\x93</td>");
    raw(out, p->p_holm < 0.0001 ? "<td class=\"n\">&lt; 0.0001</td>" : "<td class=\"n\">%.3g</td>", p->p_holm);
    if (p->verdict == LOCI_VERDICT_UNDECIDED) {
        raw(out, "<td>undecided</td>");
    } else {
        raw(out, "<td class=\"won\">");
        text(out, r->arms[p->verdict == LOCI_VERDICT_A ? p->a : p->b].name);
        raw(out, " is better</td>");
    }
    raw(out, "<td class=\"n\">%d</td>", (int)p->n);
    number_cell(out, p->mde, NAN);
    if (p->seeds_needed >= LOCI_MAX_SEEDS_NEEDED)
        raw(out, "<td class=\"n\">&ge; %d</td></tr>\n", LOCI_MAX_SEEDS_NEEDED);
    else
        count_cell(out, p->seeds_needed > 0 ? p->seeds_needed : -1);
    raw(out, p->seeds_needed >= LOCI_MAX_SEEDS_NEEDED ? "" : "</tr>\n");
}

static void section_pairs(loci_text *out, const loci_report *r)
{
    if (r->n_pairs == 0)
        return;
    raw(out,
        "<h2>Pairs</h2>\n<div class=\"wide\"><table>\n<caption>Differences are paired by seed. The 95 %% interval is "
        "that of "
        "the pair alone (Student); p is adjusted over all pairs (Holm); a verdict takes 3 seeds, an interval without 0 "
        "and p &lt; 0.05. Detectable: the difference that these seeds find with a power of 80 %%. Seeds needed: to "
        "find "
        "the observed difference with a power of 80 %%.</caption>\n<thead><tr>");
    head_cell(out, "Pair", false);
    head_cell(out, "Difference", true);
    head_cell(out, "95 % interval", true);
    head_cell(out, "p (Holm)", true);
    head_cell(out, "Verdict", false);
    head_cell(out, "Seeds", true);
    head_cell(out, "Detectable", true);
    head_cell(out, "Seeds needed", true);
    raw(out, "</tr></thead>\n<tbody>\n");
    for (uint32_t i = 0; i < r->n_pairs; i++)
        pair_row(out, r, &r->pairs[i]);
    raw(out, "</tbody></table></div>\n");
}

static void section_baselines(loci_text *out, const loci_report *r)
{
    if (r->n_baselines == 0)
        return;
    raw(out,
        "<h2>Baselines</h2>\n<div class=\"wide\"><table>\n<caption>The same data without a model of ours.</caption>\n"
        "<thead><tr>");
    head_cell(out, "Baseline", false);
    head_cell(out, r->metric, true);
    head_cell(out, "What it is", false);
    raw(out, "</tr></thead>\n<tbody>\n");
    for (uint32_t i = 0; i < r->n_baselines; i++) {
        raw(out, "<tr><th scope=\"row\">");
        text(out, r->baselines[i].name);
        raw(out, "</th>");
        number_cell(out, r->baselines[i].value, NAN);
        text_cell(out, r->baselines[i].about);
        raw(out, "</tr>\n");
    }
    raw(out, "</tbody></table></div>\n");
}

static void section_keys(loci_text *out, const loci_report *r)
{
    raw(out, "<h2>What differs</h2>\n");
    if (isfinite(r->share_equal))
        raw(out, "<p>%.4g %% of the parameters start equal in all arms.</p>\n", 100 * r->share_equal);
    if (r->n_keys == 0) {
        raw(out, "<p>No key of the configs differs.</p>\n");
        return;
    }
    raw(out, "<div class=\"wide\"><table>\n<caption>Every key in which the arms differ, and where each value comes "
             "from.</caption>\n"
             "<thead><tr>");
    head_cell(out, "Key", false);
    for (uint32_t a = 0; a < r->n_arms; a++)
        head_cell(out, r->arms[a].name, false);
    raw(out, "</tr></thead>\n<tbody>\n");
    for (uint32_t i = 0; i < r->n_keys; i++) {
        const loci_report_key *k = &r->keys[i];
        raw(out, "<tr><th scope=\"row\"><code>");
        text(out, k->key);
        raw(out, "</code></th>");
        for (uint32_t a = 0; a < r->n_arms; a++) {
            raw(out, "<td>");
            text(out, k->values[a] ? k->values[a] : "\xe2\x80\x93");
            if (k->values[a] && k->origins && k->origins[a]) {
                raw(out, "<br><span style=\"color:var(--soft);font-size:.82rem\">");
                text(out, k->origins[a]);
                raw(out, "</span>");
            }
            raw(out, "</td>");
        }
        raw(out, "</tr>\n");
    }
    raw(out, "</tbody></table></div>\n");
}

/* ---- plots ---------------------------------------------------------------------------------------------------------
 */

/* Copy the SVG without namespace addresses (2) and with "gp" in front of ids turned into "p<number>-" (3). */
static void svg_inside(loci_text *out, const char *svg, uint32_t number)
{
    static const char *const id_marks[] = {"id='", "id=\"", "href='#", "url(#"};
    while (*svg) {
        const char *next = svg + 1;
        size_t mark = 0;
        if (strncmp(svg, "xmlns", 5) == 0 && (next = strchr(svg, '"')) && (next = strchr(next + 1, '"'))) {
            svg = next + 1;
            continue;
        }
        for (size_t i = 0; i < sizeof id_marks / sizeof *id_marks && !mark; i++)
            if (strncmp(svg, id_marks[i], strlen(id_marks[i])) == 0)
                mark = strlen(id_marks[i]);
        if (mark) {
            loci_text_bytes(out, svg, mark);
            raw(out, "p%u-", number);
            svg += mark;
            continue;
        }
        for (next = svg + 1; *next && *next != 'x' && *next != 'i' && *next != 'h' && *next != 'u';)
            next++;
        loci_text_bytes(out, svg, (size_t)(next - svg));
        svg = next;
    }
}

static loci_status section_plots(loci_text *out, const loci_report *r, loci_error *err)
{
    if (r->n_plots)
        raw(out, "<h2>Curves</h2>\n");
    for (uint32_t i = 0; i < r->n_plots; i++) {
        loci_text svg = {0};
        loci_error why = LOCI_ERROR_INIT;
        loci_status status = loci_plot_svg(&svg, &r->plots[i], &why);
        raw(out, "<figure>\n");
        if (status == LOCI_OK) {
            svg_inside(out, svg.at, i + 1);
        } else if (status != LOCI_E_NOMEM) {
            raw(out, "<p>Not drawn: ");
            text(out, why.msg);
            raw(out, ".</p>");
        }
        raw(out, "\n<figcaption>");
        text(out, r->plots[i].title ? r->plots[i].title : "");
        raw(out, ". Strong: the mean over seeds; pale: each seed.</figcaption>\n</figure>\n");
        loci_text_free(&svg);
        if (status == LOCI_E_NOMEM)
            return loci_fail(err, status, "%s", why.msg);
    }
    return LOCI_OK;
}

static void section_rest(loci_text *out, const loci_report *r)
{
    if (r->n_notes)
        raw(out, "<h2>Notes</h2>\n<ul>\n");
    for (uint32_t i = 0; i < r->n_notes; i++) {
        raw(out, "<li>");
        text(out, r->notes[i]);
        raw(out, "</li>\n");
    }
    raw(out, r->n_notes ? "</ul>\n" : "");
    if (r->n_configs)
        raw(out, "<h2>Effective configs</h2>\n");
    for (uint32_t i = 0; i < r->n_configs; i++) {
        raw(out, "<details><summary>");
        text(out, r->configs[i].name);
        raw(out, "</summary><pre>");
        text(out, r->configs[i].text);
        raw(out, "</pre></details>\n");
    }
}

loci_status loci_report_html(loci_text *out, const loci_report *r, loci_error *err)
{
    loci_status status;
    raw(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
             "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
             "<meta name=\"color-scheme\" content=\"light dark\">\n<meta http-equiv=\"Content-Security-Policy\" "
             "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>");
    text(out, r->title ? r->title : "Comparison");
    raw(out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<main>\n", style);
    section_top(out, r);
    section_arms(out, r);
    section_pairs(out, r);
    status = section_plots(out, r, err);
    if (status != LOCI_OK)
        return status;
    section_baselines(out, r);
    section_keys(out, r);
    section_made(out, r);
    section_rest(out, r);
    raw(out, "</main>\n</body>\n</html>\n");
    return out->failed ? loci_fail(err, LOCI_E_NOMEM, "no memory for the report") : LOCI_OK;
}

loci_status loci_report_write(const char *path, const loci_report *r, loci_error *err)
{
    loci_text html = {0};
    loci_status status;
    LOCI_TRY(loci_report_html(&html, r, err));
    LOCI_TRY(loci_file_write(path, html.at, html.len, err));
out:
    loci_text_free(&html);
    return status;
}

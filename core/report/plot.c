/* SPDX-License-Identifier: Apache-2.0
 *
 * core/report: the script for gnuplot, and what is done to the SVG it returns: see plot.h, whose numbers the comments
 * cite.
 */
#include "core/report/plot.h"
#include "core/report/pipe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N_COLOURS = 7, PAGE_W = 760, PAGE_H = 400 };

/* Okabe and Ito 2008, the pale yellow left out, black last. */
static const char *const colours[N_COLOURS] = {"0072B2", "D55E00", "009E73", "CC79A7", "E69F00", "56B4E9", "000000"};

/* ---- text ----------------------------------------------------------------------------------------------------------
 */

void loci_text_escaped(loci_text *out, const char *s)
{
    size_t plain;
    for (; *s; s++) {
        plain = 0;
        while (s[plain] && !strchr("&<>\"'", s[plain]) && (unsigned char)s[plain] >= 0x20 && s[plain] != 0x7f)
            plain++;
        loci_text_bytes(out, s, plain);
        s += plain;
        if (!*s)
            break;
        loci_text_add(out, "%s",
                      *s == '&'    ? "&amp;"
                      : *s == '<'  ? "&lt;"
                      : *s == '>'  ? "&gt;"
                      : *s == '"'  ? "&quot;"
                      : *s == '\'' ? "&#39;"
                      : *s == '\n' ? "\n"
                      : *s == '\t' ? "\t"
                                   : "\xef\xbf\xbd");
    }
}

/* (1): a line end would end the command; an apostrophe becomes a typographic one, because gnuplot 5.4 takes a doubled
 * one at the start of a string for the end of an empty string. */
static void quoted(loci_text *out, const char *s)
{
    loci_text_bytes(out, "'", 1);
    for (; s && *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '\'')
            loci_text_add(out, "\xe2\x80\x99");
        else
            loci_text_bytes(out, c < 0x20 || c == 0x7f ? " " : s, 1);
    }
    loci_text_bytes(out, "'", 1);
}

/* ---- data ----------------------------------------------------------------------------------------------------------
 */

static bool drawable(const loci_plot *p, double x, double y)
{
    return isfinite(x) && isfinite(y) && !(p->log_x && x <= 0) && !(p->log_y && y <= 0);
}

static uint64_t add_line(loci_text *out, const loci_plot *p, const loci_line *line)
{
    uint64_t drawn = 0;
    for (uint32_t i = 0; i < line->n; i++)
        if (drawable(p, line->x[i], line->y[i])) {
            loci_text_add(out, "%.9g %.9g\n", line->x[i], line->y[i]);
            drawn++;
        }
    return drawn;
}

/* The mean of the lines where all of them have a drawable point: one cursor per line, walking along the first. */
static uint64_t add_mean(loci_text *out, const loci_plot *p, const loci_series *s, uint32_t *at)
{
    uint64_t drawn = 0;
    memset(at, 0, s->n_lines * sizeof *at);
    for (uint32_t i = 0; s->n_lines && i < s->lines[0].n; i++) {
        double x = s->lines[0].x[i], sum = 0;
        bool all = true;
        for (uint32_t l = 0; l < s->n_lines && all; l++) {
            const loci_line *line = &s->lines[l];
            while (at[l] < line->n && line->x[at[l]] < x)
                at[l]++;
            all = at[l] < line->n && line->x[at[l]] == x && drawable(p, x, line->y[at[l]]);
            if (all)
                sum += line->y[at[l]];
        }
        if (all) {
            loci_text_add(out, "%.9g %.9g\n", x, sum / s->n_lines);
            drawn++;
        }
    }
    return drawn;
}

/* Datablocks $m<series> (mean) and $s<series> (lines, an empty line between them); the plot elements that draw them. */
static uint64_t add_series(loci_text *data, loci_text *pale, loci_text *strong, const loci_plot *p, uint32_t i,
                           uint32_t *at)
{
    const loci_series *s = &p->series[i];
    const char *colour = colours[i % N_COLOURS];
    uint64_t drawn = 0, mean = 0;
    if (s->n_lines > 1) {
        loci_text_add(data, "$s%u << EOD\n", i);
        for (uint32_t l = 0; l < s->n_lines; l++) {
            uint64_t n = add_line(data, p, &s->lines[l]);
            loci_text_add(data, n ? "\n" : "");
            drawn += n;
        }
        loci_text_add(data, "EOD\n");
        if (drawn)
            loci_text_add(pale, "%s$s%u using 1:2 with lines lw 1 lc rgb '#90%s' notitle", pale->len ? ", " : "", i,
                          colour);
    }
    loci_text_add(data, "$m%u << EOD\n", i);
    mean = add_mean(data, p, s, at);
    loci_text_add(data, "EOD\n");
    if (mean) {
        loci_text_add(strong, "%s$m%u using 1:2 with %s lw 2.4 dt %u ps 0.5 pt 7 lc rgb '#%s' title ",
                      strong->len ? ", " : "", i, mean == 1 ? "linespoints" : "lines", i / N_COLOURS + 1, colour);
        quoted(strong, s->name);
    }
    return drawn + mean;
}

static loci_status make_script(loci_text *script, const loci_plot *p, loci_error *err)
{
    loci_text pale = {0}, strong = {0};
    uint32_t most = 0, *at = NULL;
    uint64_t drawn = 0;
    loci_status status = LOCI_OK;

    for (uint32_t i = 0; i < p->n_series; i++)
        most = p->series[i].n_lines > most ? p->series[i].n_lines : most;
    if (!(at = loci_alloc(most * sizeof *at))) {
        status = loci_fail(err, LOCI_E_NOMEM, "no memory to plot");
        goto out;
    }
    loci_text_add(
        script,
        "set encoding utf8\nset terminal svg size %d,%d dynamic noenhanced font 'sans-serif,13' linewidth 1\n"
        "set border 3 lc rgb '#555555'\nset tics nomirror out scale 0.6 textcolor rgb '#333333'\n"
        "set grid ytics lc rgb '#DDDDDD' lw 0.6\nset key tmargin center horizontal Left reverse samplen 2.5 width 2 "
        "textcolor rgb '#111111'\nset autoscale xfix\nset offsets graph 0, graph 0, graph 0.04, graph 0.02\n"
        "set format x '%%g'\nset format y '%%g'\n%s%s",
        PAGE_W, PAGE_H, p->log_x ? "set logscale x 10\n" : "", p->log_y ? "set logscale y 10\n" : "");
    loci_text_add(script, "set xlabel ");
    quoted(script, p->x_label);
    loci_text_add(script, "\nset ylabel ");
    quoted(script, p->y_label);
    loci_text_add(script, "\n");
    for (uint32_t i = 0; i < p->n_series; i++)
        drawn += add_series(script, &pale, &strong, p, i, at);
    if (drawn == 0) {
        status = loci_fail(err, LOCI_E_DATA, "plot %s: no point that can be drawn", p->title ? p->title : "");
        goto out;
    }
    loci_text_add(script, "plot %s%s%s\n", pale.len ? pale.at : "", pale.len && strong.len ? ", " : "",
                  strong.len ? strong.at : "");
    if (script->failed || pale.failed || strong.failed)
        status = loci_fail(err, LOCI_E_NOMEM, "no memory to plot");
out:
    loci_free(at);
    loci_text_free(&pale);
    loci_text_free(&strong);
    return status;
}

/* ---- the SVG -------------------------------------------------------------------------------------------------------
 */

/* gnuplot writes <svg ... viewBox ...> <title>Gnuplot</title> <desc>...</desc> first; put ours there (2). */
static loci_status adopt(loci_text *out, const loci_text *svg, const loci_plot *p, loci_error *err)
{
    const char *open = svg->len ? strstr(svg->at, "<svg") : NULL, *tag_end = open ? strchr(open, '>') : NULL;
    const char *desc_end = tag_end ? strstr(tag_end, "</desc>") : NULL;
    loci_text whole = {0};
    bool failed;

    if (!desc_end || !strstr(desc_end, "</svg>"))
        return loci_fail(err, LOCI_E_INTERNAL, "gnuplot returned %zu bytes that are not its svg", svg->len);
    loci_text_bytes(&whole, open, (size_t)(tag_end - open));
    loci_text_add(&whole, " role=\"img\" aria-label=\"");
    loci_text_escaped(&whole, p->title ? p->title : "plot");
    loci_text_add(&whole, "\">\n<title>");
    loci_text_escaped(&whole, p->title ? p->title : "plot");
    loci_text_add(&whole, "</title>\n<desc>");
    if (p->about) {
        loci_text_escaped(&whole, p->about);
    } else {
        loci_text_escaped(&whole, p->y_label ? p->y_label : "y");
        loci_text_add(&whole, " over ");
        loci_text_escaped(&whole, p->x_label ? p->x_label : "x");
        for (uint32_t i = 0; i < p->n_series; i++) {
            loci_text_add(&whole, i ? ", " : " for ");
            loci_text_escaped(&whole, p->series[i].name);
        }
    }
    loci_text_add(&whole, "%s", desc_end);
    failed = whole.failed;
    if (!failed)
        loci_text_bytes(out, whole.at, whole.len);
    loci_text_free(&whole);
    return failed || out->failed ? loci_fail(err, LOCI_E_NOMEM, "no memory for a plot") : LOCI_OK;
}

loci_status loci_plot_svg(loci_text *out, const loci_plot *plot, loci_error *err)
{
    static const char *const argv[] = {"gnuplot", "--default-settings", "-", NULL};
    loci_text script = {0}, svg = {0};
    loci_status status;

    LOCI_TRY(make_script(&script, plot, err));
    status = loci__pipe_through(&svg, argv, script.at, script.len, 60, err);
    if (status == LOCI_E_UNSUPPORTED)
        status = loci_fail_in(err, status, "plots need gnuplot: install gnuplot-nox");
    if (status == LOCI_OK)
        status = adopt(out, &svg, plot, err);
out:
    loci_text_free(&script);
    loci_text_free(&svg);
    return status;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * core/report: plots, the verdict in words and the HTML report. With LOCI_KEEP_REPORT=FILE the example is kept there.
 */
#include "tests/ck.h"
#include "tests/folder.h"
#include "core/report/report.h"
#include "core/tensor/file.h"

#include <sys/stat.h>
#include <unistd.h>

static loci_error ck_err = LOCI_ERROR_INIT;

/* ---- an example ---- */

enum { ARMS = 3, SEEDS = 5, POINTS = 40 };

typedef struct example {
    double x[POINTS], y[ARMS][SEEDS][POINTS], finals[ARMS][SEEDS];
    loci_line lines[ARMS][SEEDS];
    loci_series series[ARMS];
    loci_plot plot;
    loci_pair pairs[3];
    loci_report_arm arms[ARMS];
    const char *values[2][ARMS], *origins[2][ARMS], *notes[1];
    loci_report_key keys[2];
    loci_report_row rows[2];
    loci_report_config configs[ARMS];
    loci_report report;
} example;

static void make_example(example *e)
{
    static const char *const names[ARMS] = {"mac", "mag", "mal <script>alert(1)</script> & 'co'"};
    static const double ends[ARMS] = {1.62, 1.70, 1.705};
    memset(e, 0, sizeof *e);
    for (int i = 0; i < POINTS; i++)
        e->x[i] = 50 * (i + 1);
    for (int a = 0; a < ARMS; a++) {
        for (int s = 0; s < SEEDS; s++) {
            double shift = 0.03 * ck_norm() + 0.02 * (s - 2);
            for (int i = 0; i < POINTS; i++)
                e->y[a][s][i] = ends[a] + shift + 3.5 * exp(-i / (6.0 + a)) + 0.015 * ck_norm();
            e->finals[a][s] = e->y[a][s][POINTS - 1] = ends[a] + 0.02 * (s - 2) + 0.02 * ck_norm();
            e->lines[a][s] = (loci_line){POINTS, e->x, e->y[a][s]};
        }
        e->series[a] = (loci_series){names[a], SEEDS, e->lines[a]};
        e->arms[a] = (loci_report_arm){.name = names[a],
                                       .n = SEEDS,
                                       .failed = a == 2,
                                       .parameters = 1234567 + 4096 * a,
                                       .state_bytes = 98304 << a,
                                       .peak_bytes = (INT64_C(3) << 28) + a,
                                       .tokens_per_s = 18250.4 - 900 * a};
        e->arms[a].mean = loci_sample_of(e->finals[a], SEEDS).mean;
        e->arms[a].se = loci_sample_of(e->finals[a], SEEDS).se;
        e->values[0][a] = names[a];
        e->origins[0][a] = "--vary";
        e->values[1][a] = a == 1 ? NULL : "64";
        e->origins[1][a] = a ? "default" : "etc/mac.ini:12";
        e->configs[a] = (loci_report_config){names[a], "[model]\nlayers = 4\n# <b>text</b>\n"};
    }
    e->arms[0].about = "memory as context";
    (void)loci_compare_pairs(e->pairs, ARMS, SEEDS, e->finals[0], true, NULL);
    e->plot = (loci_plot){"Validation loss while training",
                          NULL,
                          "step",
                          "validation loss (nats per byte)",
                          false,
                          false,
                          ARMS,
                          e->series};
    e->keys[0] = (loci_report_key){"compose.backend", e->values[0], e->origins[0]};
    e->keys[1] = (loci_report_key){"memory.titans.chunk", e->values[1], e->origins[1]};
    e->rows[0] = (loci_report_row){"uniform", "every byte equally likely", 5.545};
    e->rows[1] = (loci_report_row){"unigram", "bytes by their frequency in the training text", 3.31};
    e->notes[0] = "Seed 4 of arm mal ended without a finite loss <at step 310>.";
    e->report = (loci_report){.title = "mac, mag, mal",
                              .command = "loci compare etc/mac.ini etc/mag.ini --set train.steps=2000",
                              .version = "loci 0.1.0",
                              .machine = "2 cores, avx512",
                              .date = "2024-05-01 12:00 UTC",
                              .metric = "validation loss",
                              .unit = "nats per byte",
                              .lower_is_better = true,
                              .share_equal = 0.973,
                              .n_arms = ARMS,
                              .n_pairs = 3,
                              .n_keys = 2,
                              .n_baselines = 2,
                              .n_plots = 1,
                              .n_notes = 1,
                              .n_configs = ARMS,
                              .arms = e->arms,
                              .pairs = e->pairs,
                              .keys = e->keys,
                              .baselines = e->rows,
                              .plots = &e->plot,
                              .notes = e->notes,
                              .configs = e->configs};
}

/* ---- plots ---- */

static bool have_gnuplot(void)
{
    static example e;
    loci_text svg = {0};
    loci_status status;
    make_example(&e);
    status = loci_plot_svg(&svg, &e.plot, NULL);
    loci_text_free(&svg);
    return status != LOCI_E_UNSUPPORTED;
}

static void plot__is_svg_with_a_title_and_no_script(void)
{
    static example e;
    loci_text svg = {0};
    if (!have_gnuplot())
        CK_SKIP("no gnuplot");
    make_example(&e);
    CK_OK(loci_plot_svg(&svg, &e.plot, &ck_err));
    CU_ASSERT_EQUAL(strncmp(svg.at, "<svg", 4), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(svg.at, "</svg>"));
    CU_ASSERT_PTR_NOT_NULL(strstr(svg.at, "<title>Validation loss while training</title>"));
    CU_ASSERT_PTR_NOT_NULL(strstr(svg.at, "role=\"img\""));
    CU_ASSERT_PTR_NOT_NULL(strstr(svg.at, "validation loss (nats per byte)"));
    CU_ASSERT_PTR_NULL(strstr(svg.at, "<script"));
    CU_ASSERT_PTR_NOT_NULL(strstr(svg.at, "&lt;script&gt;alert(1)"));
    loci_text_free(&svg);
}

/* gnuplot runs commands in backquotes and after system: no text of ours may get there. */
static void plot__text_cannot_become_a_command(void)
{
    static const char *const evil[] = {"`touch %s`",
                                       "' ; system 'touch %s' ; '",
                                       "\"; system \"touch %s\"; \"",
                                       "a\nsystem 'touch %s'\n",
                                       "\\', system('touch %s'), '",
                                       "@x `touch %s`\nEOD\n!touch %s\n"};
    const double x[] = {1, 2}, y[] = {1, 2};
    const loci_line line = {2, x, y};
    if (!have_gnuplot())
        CK_SKIP("no gnuplot");
    for (size_t i = 0; i < sizeof evil / sizeof *evil; i++) {
        char *text = loci_format(evil[i], in_folder("pwned"), in_folder("pwned"));
        loci_series series = {text, 1, &line};
        loci_plot plot = {text, text, text, text, i % 2, false, 1, &series};
        loci_text svg = {0};
        CK_OK(loci_plot_svg(&svg, &plot, &ck_err));
        CU_ASSERT_NOT_EQUAL(access(in_folder("pwned"), F_OK), 0);
        loci_text_free(&svg);
        loci_free(text);
    }
}

static void plot__leaves_out_what_cannot_be_drawn(void)
{
    const double x[] = {0, 1, 10, 100}, y[] = {1, NAN, 3, INFINITY}, z[] = {1, 2, 3, 4};
    const loci_line lines[] = {{4, x, y}, {4, x, z}, {0, NULL, NULL}};
    const loci_series series[] = {{"gaps", 1, lines}, {"two", 2, lines}, {"none", 1, lines + 2}, {"no lines", 0, NULL}};
    loci_plot plot = {"t", NULL, "x", "y", true, false, 4, series};
    loci_text svg = {0};
    if (!have_gnuplot())
        CK_SKIP("no gnuplot");
    CK_OK(loci_plot_svg(&svg, &plot, &ck_err));
    loci_text_free(&svg);
    plot.n_series = 1;
    plot.series = series + 2;
    loci_text_add(&svg, "before");
    CU_ASSERT_EQUAL(loci_plot_svg(&svg, &plot, NULL), LOCI_E_DATA);
    CU_ASSERT_STRING_EQUAL(svg.at, "before");
    loci_text_free(&svg);
}

static void plot__names_the_package_when_gnuplot_is_missing(void)
{
    static example e;
    char *path = strdup(getenv("PATH"));
    loci_text svg = {0}, html = {0};
    make_example(&e);
    setenv("PATH", "/nonexistent", 1);
    loci_error_clear(&ck_err);
    CU_ASSERT_EQUAL(loci_plot_svg(&svg, &e.plot, &ck_err), LOCI_E_UNSUPPORTED);
    CU_ASSERT_PTR_NOT_NULL(strstr(ck_err.msg, "install gnuplot-nox"));
    loci_error_clear(&ck_err);
    CU_ASSERT_EQUAL(loci_report_html(&html, &e.report, &ck_err), LOCI_OK); /* the report does without */
    CU_ASSERT_PTR_NOT_NULL(strstr(html.at, "Not drawn: plots need gnuplot: install gnuplot-nox"));
    setenv("PATH", path, 1);
    free(path);
    loci_text_free(&svg);
    loci_text_free(&html);
}

static void plot__reports_a_program_that_fails(void)
{
    static example e;
    char *path = strdup(getenv("PATH")), *mine = loci_format("%s:%s", in_folder("bin"), path);
    loci_text svg = {0};
    make_example(&e);
    CK_OK(loci_folder_make(in_folder("bin"), &ck_err));
    write_text("bin/gnuplot", "#!/bin/sh\necho no such terminal >&2\nexit 3\n");
    CU_ASSERT_EQUAL(chmod(in_folder("bin/gnuplot"), 0755), 0);
    setenv("PATH", mine, 1);
    CU_ASSERT_EQUAL(loci_plot_svg(&svg, &e.plot, &ck_err), LOCI_E_INTERNAL); /* and SIGPIPE has killed nobody */
    CU_ASSERT_PTR_NOT_NULL(strstr(ck_err.msg, "no such terminal"));
    loci_error_clear(&ck_err);
    write_text("bin/gnuplot", "#!/bin/sh\necho hello\n");
    CU_ASSERT_EQUAL(loci_plot_svg(&svg, &e.plot, NULL), LOCI_E_INTERNAL);
    CU_ASSERT_EQUAL(svg.len, 0);
    setenv("PATH", path, 1);
    free(path);
    loci_free(mine);
}

/* ---- the report ---- */

static void html__stands_alone_and_escapes_everything(void)
{
    static example e;
    loci_text html = {0};
    make_example(&e);
    CK_OK(loci_report_html(&html, &e.report, &ck_err));
    CU_ASSERT_EQUAL(strlen(html.at), html.len);
    CU_ASSERT_PTR_NULL(strstr(html.at, "http:"));
    CU_ASSERT_PTR_NULL(strstr(html.at, "https:"));
    CU_ASSERT_PTR_NULL(strstr(html.at, "<script"));
    CU_ASSERT_PTR_NULL(strstr(html.at, "<link"));
    CU_ASSERT_PTR_NULL(strstr(html.at, "@import"));
    CU_ASSERT_PTR_NULL(strstr(html.at, "<b>text</b>"));
    CU_ASSERT_PTR_NULL(strstr(html.at, "<at step 310>"));
    CU_ASSERT_PTR_NOT_NULL(strstr(html.at, "mal &lt;script&gt;alert(1)&lt;/script&gt; &amp; &#39;co&#39;"));
    CU_ASSERT_PTR_NOT_NULL(strstr(html.at, "# &lt;b&gt;text&lt;/b&gt;"));
    loci_text_free(&html);
}

static void html__is_written_as_a_file(void)
{
    static example e;
    const char *keep = getenv("LOCI_KEEP_REPORT");
    make_example(&e);
    CK_OK(loci_report_write(keep ? keep : in_folder("example.html"), &e.report, &ck_err));
}

static void html__says_all_that_a_reader_needs(void)
{
    static const char *const wanted[] = {
        "<h1>mac, mag, mal</h1>",
        "mac is better than mag: its validation loss is lower by",
        "loci compare etc/mac.ini",
        "2 cores, avx512",
        "1&#8239;234&#8239;567",
        "96.0 KiB",
        "768.0 MiB",
        "18&#8239;250",
        "5 (1 failed)",
        "97.3 %",
        "etc/mac.ini:12",
        "every byte equally likely",
        "<details><summary>mac</summary>",
        "<th scope=\"col\"",
        "<th scope=\"row\"",
        "<caption>",
        "lang=\"en\"",
        "Seeds needed",
        "prefers-color-scheme:dark",
        "@media print",
        "undecided",
    };
    static example e;
    loci_text html = {0};
    const char *verdict;
    make_example(&e);
    CK_OK(loci_report_html(&html, &e.report, &ck_err));
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        CK_TRUE(strstr(html.at, wanted[i]) != NULL, "%s is missing", wanted[i]);
    verdict = strstr(html.at, "class=\"verdict");
    CU_ASSERT_TRUE(verdict && verdict < strstr(html.at, "<table")); /* first */
    loci_text_free(&html);
}

/* Every element that is opened is closed, in order: a small check that finds what a browser would silently mend. */
static void html__is_well_formed(void)
{
    static const char *const single[] = {"meta", "br", "!DOCTYPE"};
    static example e;
    loci_text html = {0};
    char stack[64][32];
    int depth = 0;
    make_example(&e);
    CK_OK(loci_report_html(&html, &e.report, &ck_err));
    for (const char *at = html.at; (at = strchr(at, '<')); at++) {
        const char *end = strchr(at, '>');
        size_t n = strcspn(at + 1, " \n\t/>");
        char name[32];
        bool closing = at[1] == '/', alone = false;
        CU_ASSERT_PTR_NOT_NULL_FATAL(end);
        if (closing)
            n = strcspn(at + 2, " >");
        (void)snprintf(name, sizeof name, "%.*s", (int)n, at + 1 + closing);
        for (size_t i = 0; i < sizeof single / sizeof *single; i++)
            alone |= strcmp(single[i], name) == 0;
        if (alone || end[-1] == '/')
            continue;
        if (closing) {
            CK_TRUE(depth > 0 && strcmp(stack[depth - 1], name) == 0, "</%s> closes <%s>", name,
                    depth ? stack[depth - 1] : "");
            depth -= depth > 0;
        } else {
            CU_ASSERT_TRUE_FATAL(depth < 63);
            strcpy(stack[depth++], name);
        }
        if (strcmp(name, "style") == 0 && !closing)
            at = strstr(at, "</style>") - 1;
    }
    CU_ASSERT_EQUAL(depth, 0);
    loci_text_free(&html);
}

static void html__several_plots_have_different_ids(void)
{
    static example e;
    loci_plot two[2];
    loci_text html = {0};
    if (!have_gnuplot())
        CK_SKIP("no gnuplot");
    make_example(&e);
    two[0] = two[1] = e.plot;
    two[1].log_x = true;
    e.report.plots = two;
    e.report.n_plots = 2;
    CK_OK(loci_report_html(&html, &e.report, &ck_err));
    for (const char *at = html.at; (at = strstr(at, " id=")); at++) {
        char id[64];
        const char *other;
        (void)snprintf(id, sizeof id, "%.*s", (int)(strcspn(at + 5, "'\"") + 6), at);
        other = strstr(at + 1, id);
        CK_TRUE(other == NULL || strstr(id, "textbox") == NULL, "%s twice", id);
        if (strstr(id, "gpPt0") || strstr(id, "canvas"))
            CK_TRUE(other == NULL, "%s twice", id);
    }
    CU_ASSERT_TRUE(strstr(html.at, "p1-gpPt0") && strstr(html.at, "p2-gpPt0"));
    loci_text_free(&html);
}

static void html__copes_with_nothing_at_all(void)
{
    loci_report empty = {.metric = "loss", .share_equal = NAN};
    const double v[2] = {1, NAN};
    loci_report_arm arms[2] = {{"a", NULL, 1, NAN, 1, 0, -1, -1, -1, NAN, NULL},
                               {"b", NULL, NAN, NAN, 0, 1, -1, -1, -1, NAN, NULL}};
    loci_pair pair;
    loci_text html = {0};
    CK_OK(loci_report_html(&html, &empty, &ck_err));
    CU_ASSERT_PTR_NOT_NULL(strstr(html.at, "nothing to compare: no arms ran"));
    loci_text_free(&html);
    CK_OK(loci_compare_pairs(&pair, 2, 1, v, true, &ck_err));
    empty.arms = arms;
    empty.n_arms = 2;
    empty.pairs = &pair;
    empty.n_pairs = 1;
    CK_OK(loci_report_html(&html, &empty, &ck_err));
    CU_ASSERT_PTR_NOT_NULL(strstr(html.at, "Undecided between a and b: 0 seeds have both"));
    CU_ASSERT_PTR_NULL(strstr(html.at, ">nan"));
    CU_ASSERT_PTR_NULL(strstr(html.at, "-nan"));
    loci_text_free(&html);
}

/* What must not be taken as it is says so beside its number and where the verdict is read. */
static void warning__stands_in_the_table_and_behind_the_verdict(void)
{
    static example e;
    loci_text html = {0}, words = {0};

    make_example(&e);
    e.arms[1].warning = "sees <the> future";
    CK_OK(loci_report_html(&html, &e.report, &ck_err));
    CU_ASSERT(strstr(html.at, "mag sees &lt;the&gt; future.</p>") != NULL);
    CU_ASSERT(strstr(html.at, "mag<br><strong>\xe2\x9a\xa0 sees &lt;the&gt; future</strong>") != NULL);
    CU_ASSERT(strstr(html.at, "<the>") == NULL);
    loci_report_verdict(&words, &e.report);
    CU_ASSERT(words.at && strstr(words.at, "\nmag sees <the> future.") != NULL);
    loci_text_free(&html);
    loci_text_free(&words);
}

static void verdict__is_a_sentence_per_pair(void)
{
    static const double finals[3][4] = {{1.00, 1.02, 0.98, 1.01}, {1.10, 1.13, 1.08, 1.12}, {1.12, 1.09, 1.09, 1.13}};
    loci_report_arm arms[3] = {{.name = "x"}, {.name = "y"}, {.name = "z"}};
    loci_pair pairs[3];
    loci_report r = {.metric = "loss",
                     .unit = "nats",
                     .lower_is_better = true,
                     .n_arms = 3,
                     .arms = arms,
                     .n_pairs = 3,
                     .pairs = pairs};
    loci_text words = {0};
    CK_OK(loci_compare_pairs(pairs, 3, 4, finals[0], true, &ck_err));
    loci_report_verdict(&words, &r);
    CU_ASSERT_EQUAL(strncmp(words.at, "x is better than y: its loss is lower by 0.1050 nats (95 % interval 0.0", 60),
                    0);
    CU_ASSERT_PTR_NOT_NULL(strstr(words.at, "after Holm, 4 seeds).\nx is better than z"));
    CU_ASSERT_PTR_NOT_NULL(strstr(words.at, "\nUndecided between y and z"));
    CU_ASSERT_PTR_NULL(strstr(words.at, "equal"));
    loci_text_free(&words);
}

static void report__every_allocation_may_fail(void)
{
    static example e;
    size_t held = loci_memory_held();
    loci_status status;
    long n = 0, step = 1;
    make_example(&e);
    do {
        loci_error err = LOCI_ERROR_INIT;
        loci_memory_fail_at(n += step);
        status = loci_report_write(in_folder("torture.html"), &e.report, &err);
        loci_memory_fail_at(0);
        CK_TRUE(status == LOCI_OK || (status == LOCI_E_NOMEM && err.msg[0]), "allocation %ld: %d %s", n, (int)status,
                err.msg);
        CU_ASSERT_EQUAL(loci_memory_held(), held);
    } while (status != LOCI_OK && n < 1000);
    CU_ASSERT_TRUE(n > 10 && access(in_folder("torture.html"), F_OK) == 0);
}

static void the_folder_of_these_tests__can_be_removed(void)
{
    (void)in_folder("");
    CK_OK(loci_folder_remove(folder, &ck_err));
    CU_ASSERT_EQUAL(loci_memory_held(), 0);
}

#define TESTS(X) \
    X(plot__is_svg_with_a_title_and_no_script) \
    X(plot__text_cannot_become_a_command) \
    X(plot__leaves_out_what_cannot_be_drawn) \
    X(plot__names_the_package_when_gnuplot_is_missing) \
    X(plot__reports_a_program_that_fails) \
    X(html__stands_alone_and_escapes_everything) \
    X(html__is_written_as_a_file) \
    X(html__says_all_that_a_reader_needs) \
    X(html__is_well_formed) \
    X(html__several_plots_have_different_ids) \
    X(html__copes_with_nothing_at_all) \
    X(warning__stands_in_the_table_and_behind_the_verdict) \
    X(verdict__is_a_sentence_per_pair) \
    X(report__every_allocation_may_fail) \
    X(the_folder_of_these_tests__can_be_removed)

CK_MAIN("report", TESTS)

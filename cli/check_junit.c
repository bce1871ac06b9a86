/* SPDX-License-Identifier: Apache-2.0
 *
 * loci check --junit: the results in the form that build servers read.
 *
 *     <testsuites name="/a/mine.so" tests="21" failures="1" errors="1" skipped="3" time="0.204">
 *       <testsuite name="memory/mine" ...> <testcase name="plan.huge" classname="memory/mine" time="0.009"> ...
 *
 *  (1) A crash and a timeout are errors, a claim that does not hold is a failure.
 *  (2) XML has no way to write most control characters: they become `?`. So do bytes that are no UTF-8.
 */
#include "cli/check.h"
#include <errno.h>
#include <string.h>

static const char *const states[] = {"fail", "crash", "timeout", "skip"};

/* (2); jansson has let only valid UTF-8 into the document. */
static void escape(FILE *to, const char *text)
{
    for (const char *p = text; *p; p++)
        switch (*p) {
        case '&':
            fputs("&amp;", to);
            break;
        case '<':
            fputs("&lt;", to);
            break;
        case '>':
            fputs("&gt;", to);
            break;
        case '"':
            fputs("&quot;", to);
            break;
        case '\n':
            fputs("&#10;", to);
            break;
        default:
            fputc((unsigned char)*p < 32 ? '?' : *p, to);
        }
}

static void attribute(FILE *to, const char *name, const char *text)
{
    fprintf(to, " %s=\"", name);
    escape(to, text);
    fputc('"', to);
}

/* Of one component, or of all (NULL). */
static void counts(FILE *to, const json_t *tests, const char *of)
{
    size_t n = 0, by_state[4] = {0};
    double seconds = 0;

    for (size_t i = 0; i < json_array_size(tests); i++) {
        const json_t *t = json_array_get(tests, i);
        if (of && strcmp(cli_text(t, "of"), of) != 0)
            continue;
        n++;
        seconds += json_number_value(json_object_get(t, "seconds"));
        for (size_t k = 0; k < 4; k++)
            by_state[k] += !strcmp(cli_text(t, "status"), states[k]);
    }
    fprintf(to, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\" time=\"%.3f\">\n", n, by_state[0],
            by_state[1] + by_state[2], by_state[3], seconds);
}

static void write_case(FILE *to, const json_t *t, const char *suite)
{
    const char *status = cli_text(t, "status");
    const char *element = !strcmp(status, "fail")   ? "failure"
                          : !strcmp(status, "skip") ? "skipped"
                          : !strcmp(status, "pass") ? NULL
                                                    : "error";

    fputs("    <testcase", to);
    attribute(to, "name", cli_text(t, "id"));
    attribute(to, "classname", suite);
    fprintf(to, " time=\"%.3f\"", json_number_value(json_object_get(t, "seconds")));
    if (!element) {
        fputs("/>\n", to);
        return;
    }
    fprintf(to, "><%s", element);
    attribute(to, "message", cli_text(t, "message"));
    if (strcmp(element, "skipped") != 0)
        attribute(to, "type", status);
    fputs("/></testcase>\n", to);
}

loci_status cli_check_junit(const char *path, const char *plugin, const json_t *tests, loci_error *err)
{
    FILE *to = fopen(path, "w");
    const char *open = NULL;

    if (!to)
        return loci_fail(err, LOCI_E_IO, "%s cannot be written: %s", path, strerror(errno));
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites", to);
    attribute(to, "name", plugin);
    counts(to, tests, NULL);
    for (size_t i = 0; i < json_array_size(tests); i++) {
        const json_t *t = json_array_get(tests, i);
        const char *of = cli_text(t, "of");
        if (!open || strcmp(open, of) != 0) {
            if (open)
                fputs("  </testsuite>\n", to);
            fputs("  <testsuite", to);
            attribute(to, "name", *of ? of : "file");
            counts(to, tests, of);
            open = of;
        }
        write_case(to, t, *of ? of : "file");
    }
    fputs(open ? "  </testsuite>\n</testsuites>\n" : "</testsuites>\n", to);
    if (ferror(to) | fclose(to))
        return loci_fail(err, LOCI_E_IO, "%s cannot be written: %s", path, strerror(errno));
    return LOCI_OK;
}

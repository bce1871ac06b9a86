/* SPDX-License-Identifier: Apache-2.0
 *
 * loci bench: a row as JSON, and from it as a line of a table and of CSV.
 */
#include "cli/bench.h"
#include "core/train/machine.h"
#include <math.h>
#include <string.h>

static json_t *count(int64_t n)
{
    return n > 0 ? json_integer((json_int_t)n) : json_null();
}

/* a / b, where there is an a and a b */
static double over(double a, double b)
{
    return a > 0 && b > 0 ? a / b : NAN;
}

static void put(json_t *row, const char *name, json_t *value)
{
    json_object_set_new(row, name, value);
}

static void put_times(json_t *row, const loci_bench_times *t)
{
    put(row, "seconds", cli_real(t->median));
    put(row, "p10_seconds", cli_real(t->p10));
    put(row, "p90_seconds", cli_real(t->p90));
    put(row, "least_seconds", cli_real(t->least));
    put(row, "most_seconds", cli_real(t->most));
    put(row, "cpu_seconds", cli_real(t->cpu));
    put(row, "samples", json_integer((json_int_t)t->samples));
    put(row, "calls", json_integer((json_int_t)t->calls));
}

static void put_rates(json_t *row, const loci_bench_row *r, const loci_bench_machine *m, const loci_bench_peak *p)
{
    const double rate = over(r->flops, r->t.median), cpu = over(r->flops, r->t.cpu),
                 bytes = over(r->bytes, r->t.median);

    put(row, "gflops", cli_real(rate / 1e9));
    put(row, "peak_gflops", cli_real(p->flops > 0 ? p->flops / 1e9 : NAN));
    put(row, "fraction", cli_real(over(rate, p->flops)));
    put(row, "gflops_per_cpu_s", cli_real(cpu / 1e9));
    put(row, "peak_gflops_per_cpu_s", cli_real(p->flops > 0 ? p->cpu_flops / 1e9 : NAN));
    put(row, "cpu_fraction", cli_real(over(cpu, p->cpu_flops)));
    put(row, "peak", p->flops > 0 ? json_string(p->name) : json_null());
    put(row, "bytes_per_s", cli_real(bytes));
    put(row, "read_bytes_per_s", cli_real(m->read > 0 ? m->read : NAN));
    put(row, "read_fraction", cli_real(over(bytes, m->read)));
    put(row, "triad_bytes_per_s", cli_real(m->triad > 0 ? m->triad : NAN));
    put(row, "state_bytes", count((int64_t)r->state_bytes));
    put(row, "tokens_per_s", cli_real(over(r->tokens, r->t.median)));
}

json_t *bench_row(const struct bench_case *c, const loci_bench_row *r, const loci_bench_machine *m)
{
    const loci_bench_size *z = &c->z;
    char machine[256];
    json_t *row = json_object();

    put(row, "what", json_string(c->what));
    put(row, "backend", json_string(r->backend));
    put(row, "dtype", c->dtype ? json_string(c->dtype) : json_null());
    put(row, "pass", c->pass ? json_string(c->pass) : json_null());
    put(row, "B", count(z->B));
    put(row, "H", count(z->H));
    put(row, "kv_heads", count(z->Hk));
    put(row, "T", count(z->T));
    put(row, "D", count(z->D));
    put(row, "M", count(z->M));
    put(row, "N", count(z->N));
    put(row, "K", count(z->K));
    put(row, "causal", c->causal_known ? json_boolean(!z->full) : json_null());
    put(row, "window_tok", count(z->window_tok));
    put(row, "threads", count(m->threads));
    loci_machine_name(machine, sizeof machine);
    put(row, "machine", json_string(machine));
    put_times(row, &r->t);
    put_rates(row, r, m, &m->peak[c->dtype ? loci_bench_unit_of(c->z.dtype) : LOCI_BENCH_F32]);
    return row;
}

void bench_row_profile(json_t *row, const loci_profile_share *p)
{
    const double calls = json_number_value(json_object_get(row, "calls"));
    json_t *of = json_object();

    for (int k = 0; k < LOCI_PROFILE_KINDS; k++)
        if (p->share[k] > 0)
            put(of, loci_profile_names[k],
                json_pack("{s:f, s:f, s:f}", "share", p->share[k], "calls", (double)p->calls[k] / calls, "runs",
                          (double)p->runs[k] / calls));
    put(of, "wait", json_pack("{s:f}", "share", p->wait));
    put(row, "profile", of);
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

/* A time in a unit that leaves three digits before the point at most. */
static const char *span(char *out, double s)
{
    if (s < 1e-6)
        snprintf(out, 32, "%.3g ns", 1e9 * s);
    else if (s < 1e-3)
        snprintf(out, 32, "%.3g us", 1e6 * s);
    else if (s < 1)
        snprintf(out, 32, "%.3g ms", 1e3 * s);
    else
        snprintf(out, 32, "%.4g s", s);
    return out;
}

static double real(const json_t *row, const char *name)
{
    const json_t *x = json_object_get(row, name);

    return json_is_number(x) ? json_number_value(x) : NAN;
}

static const char *cell(char *out, const char *format, double x)
{
    if (isfinite(x))
        snprintf(out, 32, format, x);
    else
        snprintf(out, 32, "-");
    return out;
}

#define LINE "%-22s%-6s%-9s%-24s%9s  %-21s%9s%6s%6s%8s%11s\n"

void bench_table_head(void)
{
    printf(LINE, "", "dtype", "pass", "size", "median", "p10 to p90", "GFLOP/s", "peak", "cpu", "GB/s", "tokens/s");
}

static const char *size_of(char *out, size_t n, const json_t *row)
{
    static const char *const names[] = {"B", "H", "T", "D", "M", "N", "K"};
    size_t at = 0;

    out[0] = '\0';
    for (size_t i = 0; i < sizeof names / sizeof *names && at < n; i++) {
        const json_t *x = json_object_get(row, names[i]);
        if (json_is_integer(x))
            at += (size_t)snprintf(out + at, n - at, "%s%s%lld", at ? " " : "", names[i],
                                   (long long)json_integer_value(x));
    }
    return out;
}

/* Where the time of the row went, a line a kind. */
static void table_profile(json_t *profile)
{
    const char *name;
    json_t *of;
    char calls[32], runs[32];

    json_object_foreach(profile, name, of)
        printf("  %-20s%6.1f %%  %s calls, %s dealt out\n", name, 100 * real(of, "share"),
               cell(calls, "%.4g", real(of, "calls")), cell(runs, "%.4g", real(of, "runs")));
}

void bench_table_row(const json_t *row)
{
    char name[160], size[96], median[32], from[32], to[32], spread[72], rate[32], peak[32], cpu[32], bytes[32],
        tokens[32];

    snprintf(name, sizeof name, "%s/%s", cli_text(row, "what"), cli_text(row, "backend"));
    snprintf(spread, sizeof spread, "%s to %s", span(from, real(row, "p10_seconds")),
             span(to, real(row, "p90_seconds")));
    printf(LINE, name, cli_text(row, "dtype"), cli_text(row, "pass"), size_of(size, sizeof size, row),
           span(median, real(row, "seconds")), spread, cell(rate, "%.1f", real(row, "gflops")),
           cell(peak, "%.2f", real(row, "fraction")), cell(cpu, "%.2f", real(row, "cpu_fraction")),
           cell(bytes, "%.2f", real(row, "bytes_per_s") / 1e9), cell(tokens, "%.0f", real(row, "tokens_per_s")));
    table_profile(json_object_get(row, "profile"));
    fflush(stdout);
}

/* ---- CSV -----------------------------------------------------------------------------------------------------------
 */

/* The members of a row in their order; a row says which there are. */
void bench_csv_head(void)
{
    const struct bench_case none = {.what = ""};
    const loci_bench_row nothing = {.tokens = 0};
    const loci_bench_machine machine = {.threads = 0};
    json_t *row = bench_row(&none, &nothing, &machine), *value;
    const char *name, *comma = "";

    json_object_foreach(row, name, value)
    {
        printf("%s%s", comma, name);
        comma = ",";
    }
    putchar('\n');
    json_decref(row);
}

void bench_csv_row(const json_t *row)
{
    const char *name, *comma = "";
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)row, name, value)
    {
        printf("%s", comma);
        if (json_is_string(value)) {
            putchar('"');
            for (const char *s = json_string_value(value); *s; s++)
                *s == '"' ? (void)printf("\"\"") : (void)putchar(*s);
            putchar('"');
        } else if (json_is_integer(value)) {
            printf("%lld", (long long)json_integer_value(value));
        } else if (json_is_real(value)) {
            printf("%.9g", json_real_value(value));
        } else if (json_is_boolean(value)) {
            printf("%s", json_is_true(value) ? "true" : "false");
        }
        comma = ",";
    }
    putchar('\n');
    fflush(stdout);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * loci bench: what its files share. A measured row is a JSON object with the same members whatever was measured, null
 * where there is nothing to say; the table and CSV are made from it.
 */
#ifndef LOCI_CLI_BENCH_H
#define LOCI_CLI_BENCH_H

#include "cli/cli.h"
#include "core/bench/bench.h"

enum bench_what {
    BENCH_ATTENTION,
    BENCH_MEMORY,
    BENCH_MIXER,
    BENCH_COMPOSE,
    BENCH_GEMM,
    BENCH_TRAIN,
    BENCH_DECODE,
    BENCH_STARTUP,
    BENCH_CALL
};

extern const char *const bench_whats[], *const bench_passes[]; /* the words of both enums */

/* bench_ask.c: the command line. NULL: not given. */
extern struct bench_request {
    enum bench_what what;
    const char *backend, *dtype, *pass, *rows, *heads, *kv, *tokens, *width, *m, *n, *k, *window, *seconds;
    bool full, layer, cold, csv, profile;
} bench_ask;
extern const struct argp_option bench_options[];
error_t bench_parse(int key, char *arg, struct argp_state *state);
/* What is measured; an option that would change nothing is refused. */
loci_status bench_read_words(const struct options *o, loci_error *err);
bool bench_is_component(void);
bool bench_is_model(void);
bool bench_has_heads(void); /* heads and their width are given: the rest has them from its config */
loci_status bench_number_or(int64_t *out, const char *text, const char *option, int64_t otherwise, loci_error *err);
loci_status bench_budget(double *out, loci_error *err);
loci_status bench_dtype(loci_dtype *out, const char *name, loci_error *err);
loci_status bench_pass(enum loci_bench_pass *out, const char *name, loci_error *err);

/* A comma list of the command line. */
struct bench_list {
    uint32_t n;
    char *at[32];
};

struct bench_case {
    const char *what, *dtype, *pass; /* NULL: no such thing */
    bool causal_known, heads_known;
    loci_bench_size z;
};

/* The row of a case; numbers of the machine stand in each, so that one row can be read alone. */
json_t *bench_row(const struct bench_case *c, const loci_bench_row *r, const loci_bench_machine *m);
/* Its member "profile". */
void bench_row_profile(json_t *row, const loci_profile_share *p);
void bench_table_head(void);
void bench_table_row(const json_t *row);
void bench_csv_head(void);
void bench_csv_row(const json_t *row);

/* bench_list.c: items of a list, and one as a number */
loci_status bench_split(struct bench_list *out, const char *text, const char *option, loci_error *err);
loci_status bench_number(int64_t *out, const char *text, const char *option, loci_error *err);
void bench_list_free(struct bench_list *l);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * One component named KIND/ID on the command line, as `info` describes it and `apply` runs it.
 */
#ifndef LOCI_CLI_COMPONENT_H
#define LOCI_CLI_COMPONENT_H

#include "cli/cli.h"
#include "core/trial/trial.h"

struct component {
    loci_conf *conf;
    loci_context *cx;
    char *kind;       /* "memory"                  */
    const char *word; /* "memory/titans"           */
    const char *id;   /* "titans", behind the word */
};

/* The config of the options, with the component as its kind's backend; c is zeroed before and closed after. A composition
 * gets a memory when the config names none. */
loci_status cli_component_config(struct component *c, const struct options *o, const char *verb, loci_error *err);
/* Then the context, which checks that config. */
loci_status cli_component_context(struct component *c, const struct options *o, loci_error *err);
void cli_component_close(struct component *c);

/* A tensor that an attention may be given beside q, k and v, as a member of its descriptor. */
struct cli_optional {
    const char *name;
    const char *axes; /* "B1 H1 T S": one word an axis; 1: or 1; n: any number */
    size_t at;        /* of the pointer in loci_attn_desc; segment_ids are q_seg and k_seg */
};
extern const struct cli_optional cli_optionals[];
extern const size_t cli_n_optionals;

#endif

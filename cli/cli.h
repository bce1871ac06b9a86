/* SPDX-License-Identifier: Apache-2.0
 *
 * cli: the command `loci`: one file per verb over libloci.
 *
 *  (1) Data goes to standard output, everything else to standard error. With --json standard output holds exactly one
 *      JSON document (train: one object a line).
 *  (2) A verb returns a status; the exit code follows from it alone (exit_of). Messages are printed in one place, main.
 */
#ifndef LOCI_CLI_H
#define LOCI_CLI_H

#include "core/base/base.h"
#include "core/config/config.h"

#include <argp.h>
#include <jansson.h>
#include <signal.h>

/* Exit codes; documented in the manual page and in `loci --help`. */
enum {
    EXIT_IS_OK = 0,
    EXIT_IS_INTERNAL = 1,
    EXIT_IS_USAGE = 2,
    EXIT_IS_CONFIG = 3,
    EXIT_IS_PLUGIN = 4,
    EXIT_IS_DATA = 5,
    EXIT_IS_CHECKPOINT = 6,
    EXIT_IS_NUMERIC = 7,
    EXIT_IS_MEMORY = 8,
    EXIT_IS_STOPPED = 9,
    EXIT_IS_DEVICE = 10
};

/* What every verb takes. */
struct options {
    const char **configs, **sets;
    size_t n_configs, n_sets;
    const char *plugin_path, *threads;
    bool json, allow_unknown;
    int level; /* LOCI_LOG_*: messages up to it are printed */
    const char **words;
    size_t n_words; /* the arguments that are no options */
};

struct verb {
    const char *name, *words, *summary, *help;
    const struct argp_option *options; /* its own, or NULL */
    error_t (*parse)(int key, char *arg, struct argp_state *state); /* for its own; ARGP_ERR_UNKNOWN otherwise */
    loci_status (*run)(const struct options *o, loci_error *err);
};
extern const struct verb verb_train, verb_eval, verb_generate, verb_compare, verb_apply, verb_check, verb_list,
    verb_bench, verb_info, verb_explain, verb_inspect, verb_config, verb_new, verb_doctor, verb_version;

/* Set by the first SIGINT, SIGTERM or SIGHUP (a second one ends at once), and by SIGUSR1. */
extern volatile sig_atomic_t cli_stop, cli_save;

/* *out = o with the arguments that are no options behind the -c files. loci_free(out->configs). */
loci_status cli_join_words(struct options *out, const struct options *o, loci_error *err);
/* base (a checkpoint's config.ini, may be NULL), the -c files, LOCI_SET, --threads, --set; nothing is checked yet. */
loci_status cli_config(loci_conf **out, const struct options *o, const char *base, loci_error *err);
/* The folder of a run: run.dir, else runs/<run.name, or the stem of the first config, or `fallback`>. loci_free it. */
char *cli_run_dir(const loci_conf *conf, const struct options *o, const char *fallback);
/* A checkpoint folder, from one or from a run folder (its newest). */
loci_status cli_checkpoint(char *out, size_t n, const char *folder, loci_error *err);
/* Print a document on standard output and forget it. */
loci_status cli_print_json(json_t *document, loci_error *err);
json_t *cli_real(double x); /* null when not finite */
bool cli_live(void);        /* may a live line be drawn on standard error? */
void cli_clear_line(void);
void cli_line_drawn(void); /* the next cli_clear_line has a line to clear */
/* "1.2 MiB", "3m 20s" into a buffer of 32 */
const char *cli_bytes(char *out, uint64_t bytes);
const char *cli_time(char *out, double seconds);

/* Words of text in lines of at most 80 columns: `first` begins the first line, the text stands `indent` columns in. */
void cli_wrap(const char *first, int indent, const char *text);
const char *cli_text(const json_t *object, const char *key); /* "" when there is no such text */
json_t *cli_or_null(const char *text);                        /* null for NULL and "" */
json_t *cli_promises(uint64_t caps);                          /* LOCI_CAP_* as an array of words */

struct loci_progress;
/* Progress of a training: a live line on a terminal, a line per evaluation elsewhere. arg: a struct cli_progress. */
struct cli_progress {
    const char *label;
    bool quiet, json;
    double last;
};
void cli_show_progress(void *arg, const struct loci_progress *p);

#endif

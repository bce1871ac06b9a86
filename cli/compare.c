/* SPDX-License-Identifier: Apache-2.0
 *
 * loci compare: arms x seeds, the table, the verdict, the report.
 */
#include "cli/cli.h"
#include "core/compare/compare.h"
#include <math.h>
#include <string.h>

static const char *vary;

enum { KEY_VARY = 2000 };

static const struct argp_option options[] = {
    {"vary", KEY_VARY, "SECTION.KEY=A,B,C", 0, "One arm per value; arms may differ in nothing else", 1}, {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    (void)state;
    if (key != KEY_VARY)
        return ARGP_ERR_UNKNOWN;
    vary = arg;
    return 0;
}

struct shown {
    struct cli_progress progress; /* first: cli_show_progress gets it */
    char label[200];
    bool quiet;
};

static void begin(void *arg, const char *arm, int64_t seed, uint32_t number, uint32_t of)
{
    struct shown *s = arg;

    if (of)
        snprintf(s->label, sizeof s->label, "[%u/%u] %s seed %lld", number, of, arm, (long long)seed);
    else
        snprintf(s->label, sizeof s->label, "[tune] %s", arm);
    s->progress.label = s->label;
}

static void end(void *arg, const char *arm, int64_t seed, const loci_result *r, const char *why)
{
    struct shown *s = arg;
    char accuracy[32] = "";

    (void)arm;
    (void)seed;
    if (s->quiet)
        return;
    cli_clear_line();
    if (r && isfinite(r->accuracy))
        snprintf(accuracy, sizeof accuracy, "  accuracy %.4f", r->accuracy);
    if (r)
        fprintf(stderr, "%s: loss %.4f  valid %.4f%s  %.0f tokens/s%s\n", s->label, r->loss, r->valid_loss, accuracy,
                r->tokens_per_s, r->reused ? "  (done before)" : "");
    else
        fprintf(stderr, "%s: no value: %s\n", s->label, why);
}

static void print_keys(const loci_comparison *c)
{
    fprintf(stderr, "%.1f %% of the parameters start equal in all arms; the arms differ in\n", 100 * c->share_equal);
    for (uint32_t i = 0; i < c->n_keys; i++) {
        fprintf(stderr, "  %s:", c->keys[i].key);
        for (uint32_t a = 0; a < c->n_arms; a++)
            fprintf(stderr, "%s %s = %s", a ? "," : "", c->arms[a].name,
                    c->keys[i].values[a] ? c->keys[i].values[a] : "(default)");
        fprintf(stderr, "\n");
    }
    if (!c->n_keys)
        fprintf(stderr, "  nothing\n");
}

static void print_table(const loci_comparison *c)
{
    char b[2][32];
    loci_text notes = {0};
    int width = 8;

    for (uint32_t i = 0; i < c->n_arms; i++)
        width = (int)strlen(c->arms[i].name) > width ? (int)strlen(c->arms[i].name) : width;
    printf("%-*s %18s %3s %10s %11s %10s %10s\n", width, "arm", c->metric, "n", "tokens/s", "parameters", "state", "peak");
    for (uint32_t i = 0; i < c->n_arms; i++) {
        const loci_arm *a = &c->arms[i];
        printf("%-*s %8.4f ± %7.4f %3u %10.0f %11llu %10s %10s%s%s%s\n", width, a->name, a->sample.mean, a->sample.se,
               a->sample.n, a->tokens_per_s, (unsigned long long)a->parameters, cli_bytes(b[0], a->state_bytes),
               cli_bytes(b[1], a->peak_bytes), a->tuned ? "  " : "", a->tuned ? a->tuned : "",
               a->causal ? "" : "  " LOCI_NOT_CAUSAL);
    }
    for (uint32_t i = c->baselines.n; i-- > 0;)
        printf("%-*s %8.4f\n", width, c->baselines.at[i].name,
               c->lower_is_better ? c->baselines.at[i].loss : c->baselines.at[i].accuracy);
    loci_comparison_notes(&notes, c);
    if (notes.len)
        printf("\n%s", notes.at);
    loci_text_free(&notes);
    printf("\n%-*s %10s  %-22s %8s %9s %9s %6s\n", 2 * width + 3, "pair", "difference", "95 % interval", "p (Holm)",
           "verdict", "mde", "seeds");
    for (uint32_t i = 0; i < c->n_pairs; i++) {
        const loci_pair *p = &c->pairs[i];
        printf("%-*s - %-*s %+10.4f  [%+.4f, %+.4f]%*s %8.3g %9s %9.4f %6d\n", width, c->arms[p->a].name, width,
               c->arms[p->b].name, p->diff, p->lo, p->hi, 4, "", p->p_holm,
               p->verdict == LOCI_VERDICT_UNDECIDED ? "undecided"
               : p->verdict == LOCI_VERDICT_A       ? c->arms[p->a].name
                                                    : c->arms[p->b].name,
               p->mde, (int)p->seeds_needed);
    }
    printf("\nmde: the smallest difference that this many seeds decide four times in five; seeds: how many would decide the "
           "observed one\n\n");
}

static loci_status confs_of(loci_conf ***confs, char ***names, uint32_t *n, const struct options *o, loci_error *err)
{
    loci_status status = LOCI_OK;
    uint32_t files = o->n_words ? (uint32_t)o->n_words : o->n_configs ? (uint32_t)o->n_configs : 1;

    *confs = loci_alloc(files * sizeof **confs);
    *names = loci_alloc(files * sizeof **names);
    if (!*confs || !*names)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory");
    for (uint32_t i = 0; i < files; i++) {
        const char *list[65], *file = o->n_words ? o->words[i] : o->n_configs ? o->configs[i] : "arm", *slash;
        struct options one = *o;
        if (o->n_words) { /* -c files are the base of every arm */
            if (o->n_configs > 64)
                return loci_fail(err, LOCI_E_ARG, "more than 64 configs");
            memcpy(list, o->configs, o->n_configs * sizeof *list);
            list[o->n_configs] = file;
            one.configs = list;
            one.n_configs = o->n_configs + 1;
        } else if (o->n_configs) {
            one.configs = &o->configs[i];
            one.n_configs = 1;
        }
        slash = strrchr(file, '/');
        (*names)[i] = loci_strdup(slash ? slash + 1 : file);
        if (!(*names)[i])
            return loci_fail(err, LOCI_E_NOMEM, "out of memory");
        if (strrchr((*names)[i], '.') > (*names)[i])
            *strrchr((*names)[i], '.') = '\0';
        LOCI_TRY(cli_config(&(*confs)[i], &one, NULL, err));
        *n = i + 1;
    }
out:
    return status;
}

static char *command_of(const struct options *o)
{
    loci_text t = {0};

    loci_text_add(&t, "loci compare");
    for (size_t i = 0; i < o->n_configs; i++)
        loci_text_add(&t, " -c %s", o->configs[i]);
    for (size_t i = 0; i < o->n_words; i++)
        loci_text_add(&t, " %s", o->words[i]);
    if (vary)
        loci_text_add(&t, " --vary %s", vary);
    for (size_t i = 0; i < o->n_sets; i++)
        loci_text_add(&t, " --set %s", o->sets[i]);
    return t.at;
}

static loci_status run(const struct options *o, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_conf **confs = NULL;
    char **names = NULL, *dir = NULL, *command = NULL;
    uint32_t n = 0;
    loci_comparison *c = NULL;
    json_t *doc = NULL;
    loci_text verdict = {0};
    struct shown shown = {.progress = {NULL, o->level < LOCI_LOG_INFO, false, 0}, .quiet = o->level < LOCI_LOG_INFO};
    loci_compare_how how = {.plugin_path = o->plugin_path,
                            .allow_unknown = o->allow_unknown,
                            .stop = &cli_stop,
                            .begin = begin,
                            .progress = cli_show_progress,
                            .end = end,
                            .arg = &shown};

    LOCI_TRY(confs_of(&confs, &names, &n, o, err));
    dir = cli_run_dir(confs[0], o, "compare");
    command = command_of(o);
    if (!dir || !command) {
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory");
        goto out;
    }
    status = loci_comparison_new(&c, confs, (const char *const *)names, n, vary, dir, err);
    memset(confs, 0, n * sizeof *confs); /* taken over */
    LOCI_TRY(status);
    LOCI_TRY(loci_comparison_check(c, o->plugin_path, o->allow_unknown, err));
    if (!shown.quiet)
        print_keys(c);
    LOCI_TRY(loci_comparison_run(c, &how, err));
    cli_clear_line();
    LOCI_TRY(loci_comparison_write(c, command, &doc, err));
    if (o->json) {
        status = cli_print_json(doc, err);
        doc = NULL;
    } else {
        print_table(c);
        loci_comparison_verdict(&verdict, c);
        printf("%s\n\nreport: %s/report.html\n", verdict.at ? verdict.at : "", dir);
    }
out:
    json_decref(doc);
    loci_text_free(&verdict);
    loci_comparison_free(c);
    for (uint32_t i = 0; names && i < n; i++) {
        loci_free(names[i]);
        loci_conf_free(confs[i]);
    }
    loci_free(names);
    loci_free(confs);
    loci_free(dir);
    loci_free(command);
    return status;
}

const struct verb verb_compare = {
    "compare", "[CONFIG...]", "A/B: arms x seeds, paired, with a verdict",
    "Train every arm with every seed, compare them seed by seed and write report.html and compare.json. Arms are the "
    "[arm.NAME.SECTION] sections of one config, or one per config file, or one per value of --vary. Here every -c "
    "is an arm of its own, unless files are given without -c: then these are the arms and the -c files lie under each.\v"
    "The same command goes on after an interruption and reuses finished runs when seeds or arms are added. `undecided` is a "
    "result and exits with 0; the table then says how many seeds would decide.\n\n"
    "  loci compare etc/mac.ini etc/mag.ini etc/mal.ini\n"
    "  loci compare -c etc/mag.ini --vary compose.backend=mac,mag,mal --set compare.seeds=5",
    options, parse, run};

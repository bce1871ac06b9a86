/* SPDX-License-Identifier: Apache-2.0
 *
 * What verbs share: the config from the options, run folders, JSON, the live line.
 */
#include "cli/cli.h"
#include "core/train/train.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

loci_status cli_join_words(struct options *out, const struct options *o, loci_error *err)
{
    *out = *o;
    out->configs = loci_alloc((o->n_configs + o->n_words + 1) * sizeof *out->configs);
    if (!out->configs)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory");
    memcpy(out->configs, o->configs, o->n_configs * sizeof *out->configs);
    for (size_t i = 0; i < o->n_words; i++)
        out->configs[out->n_configs++] = o->words[i];
    return LOCI_OK;
}

loci_status cli_config(loci_conf **out, const struct options *o, const char *base, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_conf *c = NULL;
    char threads[64];

    *out = NULL;
    LOCI_TRY(loci_conf_new(&c, err));
    if (base)
        LOCI_TRY(loci_checkpoint_config(c, base, err));
    for (size_t i = 0; i < o->n_configs; i++)
        LOCI_TRY(loci_conf_file(c, o->configs[i], err));
    LOCI_TRY(loci_conf_env(c, err));
    if (o->threads) {
        snprintf(threads, sizeof threads, "run.threads=%.40s", o->threads);
        LOCI_TRY(loci_conf_set(c, threads, "--threads", err));
    }
    for (size_t i = 0; i < o->n_sets; i++)
        LOCI_TRY(loci_conf_set(c, o->sets[i], "--set", err));
    *out = c;
    return LOCI_OK;
out:
    loci_conf_free(c);
    return status;
}

/* "a/etc/../runs" is "a/runs": what a person would have written. Links are not followed. */
static void shorten(char *path)
{
    char *up;

    while ((up = strstr(path, "/../")) && up > path) {
        char *before = up;
        while (before > path && before[-1] != '/')
            before--;
        if (before == path || !strncmp(before, "..", 2))
            return;
        memmove(before, up + 4, strlen(up + 4) + 1);
    }
}

char *cli_run_dir(const loci_conf *conf, const struct options *o, const char *fallback)
{
    const char *dir = loci_conf_str(conf, -1, "run", "dir"), *name = loci_conf_str(conf, -1, "run", "name");
    char *stem = NULL, *out;

    if (*dir) {
        out = loci_strdup(dir);
        if (out)
            shorten(out);
        return out;
    }
    if (!*name && o->n_configs) {
        const char *slash = strrchr(o->configs[0], '/');
        stem = loci_strdup(slash ? slash + 1 : o->configs[0]);
        if (stem && strrchr(stem, '.') && strrchr(stem, '.') != stem)
            *strrchr(stem, '.') = '\0';
        name = stem ? stem : fallback;
    } else if (!*name) {
        name = fallback;
    }
    out = loci_format("runs/%s", name);
    loci_free(stem);
    return out;
}

loci_status cli_checkpoint(char *out, size_t n, const char *folder, loci_error *err)
{
    return loci_checkpoint_find(out, n, folder, err);
}

loci_status cli_print_json(json_t *document, loci_error *err)
{
    int bad = document ? json_dumpf(document, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(17)) : -1;

    json_decref(document);
    if (bad)
        return loci_fail(err, LOCI_E_NOMEM, "the JSON document could not be written");
    putchar('\n');
    return LOCI_OK;
}

json_t *cli_real(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

bool cli_live(void)
{
    const char *term = getenv("TERM");

    return isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
}

static bool line_drawn;

void cli_clear_line(void)
{
    if (line_drawn)
        fputs("\r\033[K", stderr);
    line_drawn = false;
}

void cli_line_drawn(void)
{
    line_drawn = true;
}

const char *cli_bytes(char *out, uint64_t bytes)
{
    if (bytes < 1024)
        snprintf(out, 32, "%llu B", (unsigned long long)bytes);
    else if (bytes < UINT64_C(1) << 20)
        snprintf(out, 32, "%.1f KiB", (double)bytes / 1024);
    else if (bytes < UINT64_C(1) << 30)
        snprintf(out, 32, "%.1f MiB", (double)bytes / 1048576);
    else
        snprintf(out, 32, "%.2f GiB", (double)bytes / 1073741824);
    return out;
}

const char *cli_time(char *out, double s)
{
    if (!isfinite(s))
        snprintf(out, 32, "-");
    else if (s < 60)
        snprintf(out, 32, "%.0fs", s);
    else if (s < 3600)
        snprintf(out, 32, "%dm %02ds", (int)s / 60, (int)s % 60);
    else
        snprintf(out, 32, "%dh %02dm", (int)(s / 3600), (int)(s / 60) % 60);
    return out;
}

void cli_show_progress(void *arg, const loci_progress *p)
{
    struct cli_progress *c = arg;
    char eta[32], valid[64] = "";
    bool eval = !strcmp(p->event, "eval"), last = p->step == p->steps;
    double now = loci_seconds();

    if (isfinite(p->valid_loss))
        snprintf(valid, sizeof valid, "  valid %.4f", p->valid_loss);
    if (isfinite(p->accuracy))
        snprintf(valid, sizeof valid, "  valid %.4f  accuracy %.4f", p->valid_loss, p->accuracy);
    if (c->json) {
        if (!strcmp(p->event, "save"))
            return;
        json_t *line = json_pack("{s:s, s:I, s:o, s:o, s:o, s:o, s:o}", "event", p->event, "step", (json_int_t)p->step,
                                 "loss_nats", cli_real(p->loss), "valid_loss_nats", cli_real(p->valid_loss), "accuracy",
                                 cli_real(p->accuracy), "lr", cli_real(p->lr), "tokens_per_s",
                                 cli_real(p->tokens_per_s));
        if (line)
            json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(17));
        json_decref(line);
        putchar('\n');
        fflush(stdout);
    }
    if (c->quiet)
        return;
    if (cli_live() && (now - c->last > 0.1 || eval || last)) {
        cli_clear_line();
        fprintf(stderr, "%s%sstep %lld/%lld  loss %.4f%s  %.0f tokens/s  ETA %s", c->label ? c->label : "",
                c->label ? "  " : "", (long long)p->step, (long long)p->steps, p->loss, valid, p->tokens_per_s,
                cli_time(eta, p->eta_s));
        fflush(stderr);
        line_drawn = true;
        c->last = now;
    }
    if (eval && !c->label) {
        cli_clear_line();
        fprintf(stderr, "step %lld/%lld  loss %.4f%s  %.0f tokens/s  ETA %s\n", (long long)p->step, (long long)p->steps,
                p->loss, valid, p->tokens_per_s, cli_time(eta, p->eta_s));
    }
}

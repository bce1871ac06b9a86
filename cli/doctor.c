/* SPDX-License-Identifier: Apache-2.0
 *
 * loci doctor: is everything in place? A line for each thing that a run depends on: ok, warn or fail, with the remedy.
 *
 *  (1) It goes on after whatever is wrong. The exit code is that of the first thing that failed; a warning is none.
 */
#include "cli/doctor.h"
#include "core/model/node.h"
#include "core/plugin/policy.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

extern char **environ;

static const char *const state_names[] = {"ok", "warn", "fail"};

void doctor_finds(struct doctor *d, const char *area, const char *what, enum finding f, loci_status code,
                  const char *remedy, const char *fmt, ...)
{
    char text[1200];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    d->n[f]++;
    if (f == IS_FAIL && d->worst == LOCI_OK)
        d->worst = code;
    json_array_append_new(d->findings, json_pack("{s:s, s:s, s:s, s:s, s:o}", "area", area, "what", what, "state",
                                                 state_names[f], "text", text, "remedy", cli_or_null(remedy)));
}

/* ---- environment ------------------------------------------------------------------------------------------------ */

static void environment(struct doctor *d)
{
    static const char *const known[] = {"LOCI_SET", "LOCI_PLUGIN_PATH", "LOCI_CPU"};
    enum { N = sizeof known / sizeof *known };
    char name[128], hint[200];
    int seen = 0;

    for (char **e = environ; *e; e++) {
        size_t n = strcspn(*e, "=");
        const char *near = NULL;
        bool is = false;
        if (strncmp(*e, "LOCI_", 5) || n >= sizeof name)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)n, *e);
        for (int i = 0; i < N; i++) {
            is |= !strcmp(name, known[i]);
            if (loci_distance(name, known[i], 2) <= 2)
                near = known[i];
        }
        seen++;
        snprintf(hint, sizeof hint, "%s%s", near ? "did you mean " : "unset it", near ? near : "");
        if (is)
            FINE(d, "environment", name, "%s", (*e)[n] ? *e + n + 1 : "");
        else
            WARN(d, "environment", name, hint, "no variable of loci: it has no effect");
    }
    if (!seen)
        FINE(d, "environment", "LOCI_*", "none is set");
}

/* ---- config and folders ----------------------------------------------------------------------------------------- */

static loci_conf *config(struct doctor *d, const struct options *o)
{
    loci_error why = LOCI_ERROR_INIT;
    loci_conf *conf = NULL;
    loci_context *cx = NULL;
    loci_status status = cli_config(&conf, o, NULL, &why);

    if (status == LOCI_OK)
        status = loci_context_new(&cx, conf, o->plugin_path, o->allow_unknown, &why);
    if (status != LOCI_OK) {
        FAIL(d, "config", o->n_configs ? o->configs[o->n_configs - 1] : "defaults", status,
             "`loci config` with the same words reports everything that is wrong", "%s", why.msg);
        if (!conf && loci_conf_new(&conf, NULL) != LOCI_OK) /* unreadable: go on with the defaults, (1) */
            return NULL;
    } else {
        FINE(d, "config", o->n_configs ? o->configs[o->n_configs - 1] : "defaults", "device %s with %u threads",
             cx->device_meta->id, cx->device_class->workers(cx->device_module));
    }
    loci_context_free(cx);
    return conf;
}

static void data(struct doctor *d, const loci_conf *conf)
{
    static const char *const keys[] = {"train", "valid"};

    for (int i = 0; i < 2; i++) {
        const char *path = loci_conf_str(conf, -1, "data", keys[i]);
        char what[32];
        snprintf(what, sizeof what, "data.%s", keys[i]);
        if (*path && access(path, R_OK) != 0)
            FAIL(d, "config", what, LOCI_E_DATA,
                 "scripts/data makes the shipped texts; otherwise name a file that is there", "%s: %s", path,
                 strerror(errno));
        else if (*path)
            FINE(d, "config", what, "%s can be read", path);
    }
}

/* Cut `path` down to the nearest folder that exists. */
static void existing(char *path)
{
    while (access(path, F_OK) != 0) {
        char *slash = strrchr(path, '/');
        if (!slash || slash == path) {
            strcpy(path, slash ? "/" : ".");
            return;
        }
        *slash = '\0';
    }
}

static void run_folder(struct doctor *d, const loci_conf *conf, const struct options *o)
{
    enum { FEW_BYTES = 1 << 30 };
    char *dir = cli_run_dir(conf, o, "run"), b[32];
    char *at = dir ? loci_format("%s/.", dir) : NULL;
    struct statvfs fs;

    if (at) {
        existing(at);
        if (access(at, W_OK | X_OK) != 0)
            FAIL(d, "folders", "run.dir", LOCI_E_IO, "chmod u+wx it, or name another place with run.dir",
                 "%s cannot be made below %s: %s", dir, at, strerror(errno));
        else
            FINE(d, "folders", "run.dir", "%s can be written", dir);
        if (statvfs(at, &fs) != 0)
            WARN(d, "folders", "disk", "look at the file system", "%s: %s", at, strerror(errno));
        else if ((uint64_t)fs.f_bavail * fs.f_frsize < FEW_BYTES)
            WARN(d, "folders", "disk", "remove old runs, lower train.keep, or name another place with run.dir",
                 "%s free", cli_bytes(b, (uint64_t)fs.f_bavail * fs.f_frsize));
        else
            FINE(d, "folders", "disk", "%s free", cli_bytes(b, (uint64_t)fs.f_bavail * fs.f_frsize));
    }
    loci_free(at);
    loci_free(dir);
}

/* ---- plugins ---------------------------------------------------------------------------------------------------- */

struct search {
    struct doctor *d;
    loci_registry *r;
    const char *source; /* "--plugin-path" */
    const char *how;    /* plugins.ownership */
    bool must_exist;
};

static bool lies_in(const loci_entry *e, const char *folder)
{
    size_t n = strlen(folder);

    return !strncmp(e->path, folder, n) && e->path[n] == '/' && !strchr(e->path + n + 1, '/');
}

/* What the policy on owners says of a file or folder, whatever plugins.ownership would make of it. */
static bool objection(loci_error *why, const char *path)
{
    struct stat st;

    loci_error_clear(why);
    return stat(path, &st) == 0 && loci_policy_owners(&st, path, why) != LOCI_OK;
}

static void judge(const struct search *s, const char *folder)
{
    loci_error why = LOCI_ERROR_INIT;
    bool bad = objection(&why, folder);

    for (uint32_t i = 0; !bad && i < loci_registry_n(s->r); i++)
        if (lies_in(loci_registry_entry(s->r, i), folder))
            bad = objection(&why, loci_registry_entry(s->r, i)->path);
    if (!bad)
        return;
    if (!strcmp(s->how, "check"))
        FAIL(s->d, "plugins", "permissions", LOCI_E_PLUGIN, "chmod go-w, or chown, what is named", "%s", why.msg);
    else if (!strcmp(s->how, "warn"))
        WARN(s->d, "plugins", "permissions", "chmod go-w, or chown, what is named", "%s", why.msg);
}

static void look_in(const struct search *s, const char *folder)
{
    const loci_class *cls;
    loci_error why = LOCI_ERROR_INIT;
    const char *told = NULL;
    int classes = 0, broken = 0;

    if (access(folder, R_OK | X_OK) != 0) {
        if (s->must_exist)
            FAIL(s->d, "plugins", s->source, LOCI_E_PLUGIN, "make it, make it readable, or leave it out", "%s: %s",
                 folder, strerror(errno));
        else
            FINE(s->d, "plugins", s->source, "%s: %s; nothing is installed there", folder, strerror(errno));
        return;
    }
    if (loci_registry_path(s->r, folder, false, &why) != LOCI_OK) {
        FAIL(s->d, "plugins", s->source, LOCI_E_PLUGIN, "write the folder from the root", "%s", why.msg);
        return;
    }
    for (uint32_t i = 0; i < loci_registry_n(s->r); i++) {
        const loci_entry *e = loci_registry_entry(s->r, i);
        if (lies_in(e, folder) && !e->broken && !e->shadowed_by)
            loci_registry_find(s->r, &cls, e->kind, e->id, NULL, NULL); /* a failure is kept in the entry */
    }
    for (uint32_t i = 0; i < loci_registry_n(s->r); i++) {
        const loci_entry *e = loci_registry_entry(s->r, i);
        if (lies_in(e, folder) && e->broken) { /* once a file, which may hold several classes */
            broken++;
            if (told && !strcmp(told, e->broken))
                continue;
            told = e->broken;
            WARN(s->d, "plugins", "broken", "rebuild it for this host, or take it out of the folder", "%s", e->broken);
        } else if (lies_in(e, folder) && e->shadowed_by) {
            WARN(s->d, "plugins", "shadowed", "remove one of the two, or change the order of the folders",
                 "%s/%s of %s comes from %s", e->kind, e->id, e->path, e->shadowed_by);
        } else if (lies_in(e, folder)) {
            classes++;
        }
    }
    if (classes || !s->must_exist)
        FINE(s->d, "plugins", s->source, "%s: %d components", folder, classes);
    else
        WARN(s->d, "plugins", s->source, "`make` fills the folder of a build; *.so is what counts",
             "%s: no component%s", folder, broken ? " that can be used" : "");
    judge(s, folder);
}

static loci_status look_in_each(void *arg, const char *folder, loci_error *err)
{
    (void)err;
    look_in(arg, folder);
    return LOCI_OK;
}

static void look_in_list(struct search *s, const char *source, const char *folders, bool must_exist)
{
    s->source = source;
    s->must_exist = must_exist;
    for (const char *at = folders; at && *at; at += strcspn(at, ":"), at += *at == ':') {
        char *one = loci_format("%.*s", (int)strcspn(at, ":"), at);
        if (one && *one)
            look_in(s, one);
        loci_free(one);
    }
}

static void plugins(struct doctor *d, const loci_conf *conf, const struct options *o)
{
    struct search s = {.d = d, .how = loci_conf_str(conf, -1, "plugins", "ownership")};
    char *defaults = loci_plugin_default_path();

    if (!defaults ||
        loci_registry_new(&s.r, strcmp(s.how, "check") ? LOCI_OWNERSHIP_OFF : LOCI_OWNERSHIP_CHECK, NULL) != LOCI_OK) {
        FAIL(d, "plugins", "search", LOCI_E_NOMEM, "end other programs", "out of memory");
    } else {
        look_in_list(&s, "--plugin-path", o->plugin_path, true);
        look_in_list(&s, "LOCI_PLUGIN_PATH", loci_plugin_env_path(), true);
        s.source = "plugins.path";
        s.must_exist = true;
        loci_conf_split(loci_conf_str(conf, -1, "plugins", "path"), look_in_each, &s, NULL);
        look_in_list(&s, "default", defaults, false);
    }
    loci_registry_free(s.r);
    loci_free(defaults);
}

/* ---- the verb --------------------------------------------------------------------------------------------------- */

static void print_text(const struct doctor *d)
{
    const char *area = "";

    for (size_t i = 0; i < json_array_size(d->findings); i++) {
        const json_t *f = json_array_get(d->findings, i);
        char label[200];
        if (strcmp(area, cli_text(f, "area")))
            printf("%s%s\n", i ? "\n" : "", cli_text(f, "area"));
        area = cli_text(f, "area");
        snprintf(label, sizeof label, "  %-5s %-16s ", cli_text(f, "state"), cli_text(f, "what"));
        cli_wrap(label, 25, cli_text(f, "text"));
        snprintf(label, sizeof label, "%22s-> ", "");
        if (*cli_text(f, "remedy"))
            cli_wrap(label, 25, cli_text(f, "remedy"));
    }
    printf("\n%d ok, %d warnings, %d failures\n", d->n[IS_OK], d->n[IS_WARN], d->n[IS_FAIL]);
}

static loci_status run(const struct options *o, loci_error *err)
{
    struct doctor d = {.findings = json_array()};
    struct options own = {0};
    loci_conf *conf = NULL;
    loci_status status = cli_join_words(&own, o, err);

    if (status != LOCI_OK || !d.findings)
        return status != LOCI_OK ? status : loci_fail(err, LOCI_E_NOMEM, "out of memory");
    doctor_machine(&d);
    doctor_libraries(&d);
    doctor_accelerator(&d);
    environment(&d);
    conf = config(&d, &own);
    if (conf) {
        data(&d, conf);
        plugins(&d, conf, &own);
        run_folder(&d, conf, &own);
    }
    if (o->json)
        status = cli_print_json(json_pack("{s:O, s:i, s:i, s:i}", "findings", d.findings, "ok", d.n[IS_OK], "warnings",
                                          d.n[IS_WARN], "failures", d.n[IS_FAIL]),
                                err);
    else
        print_text(&d);
    if (status == LOCI_OK && d.worst != LOCI_OK)
        status = loci_fail(err, d.worst, "%d things failed", d.n[IS_FAIL]);
    json_decref(d.findings);
    loci_conf_free(conf);
    loci_free(own.configs);
    return status;
}

const struct verb verb_doctor = {
    "doctor", "[CONFIG...]", "is everything in place?",
    "Look at the processor, the libraries, the plugin folders, the environment, the config and the folder of runs; say of "
    "each whether it is ok, and what to do where it is not. Ends with 0 when nothing failed, otherwise with the code of "
    "the first failure.\v"
    "  loci doctor\n  loci doctor etc/mac.ini --json",
    NULL, NULL, run};

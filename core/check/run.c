/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: run the tests of a file, then those of each of its components.
 *
 *  (1) This process only scans: nothing of a plugin runs here. Each test opens what it needs in its own process
 *      (open.c), so that one test cannot spoil the next.
 *  (2) The classes of a file are those of its note. A file whose note cannot be read has none, and its tests say why.
 *  (3) A built-in has no file to test.
 *  (4) A test is skipped without a process when the test it comes after has failed for the same component or for the
 *      file.
 */
#include "core/check/open.h"
#include "core/plugin/look.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct runner {
    const loci_check_run *run;
    loci_check_sum *sum;
    const loci_check_test *tests;
    uint32_t n_tests;
    bool *failed; /* by test: for the file, and for the component at hand */
    loci_error *err;
};

struct job {
    const struct runner *r;
    const loci_check_test *test;
    loci_check c;
};

static loci_status work(void *arg, loci_reply *reply)
{
    struct job *j = arg;
    loci_error why = LOCI_ERROR_INIT;
    bool asked_wrongly = false;
    loci_status status;

    j->c.reply = reply;
    status = loci_check_open(&j->c, j->r->run, j->test, &asked_wrongly, &why);
    if (status == LOCI_OK && !reply->skipped)
        status = j->test->run(&j->c, &why);
    if (status != LOCI_OK)
        snprintf(reply->text, sizeof reply->text, "%s", why.msg[0] ? why.msg : "it failed without a word");
    if (j->r->run->in_process)
        loci_check_close(&j->c);
    return asked_wrongly ? LOCI_E_CONFIG : status == LOCI_OK ? LOCI_OK : LOCI_E_PLUGIN;
}

/* ---- one test ---------------------------------------------------------------------------------------------------- */

static bool sanitizer_spoke(const char *text)
{
    return strstr(text, "runtime error: ") != NULL;
}

static void judge(loci_check_result *to, const loci_outcome *o, const loci_check_run *run)
{
    memcpy(to->stage, o->stage, sizeof to->stage);
    to->seconds = o->seconds;
    if (o->ending != LOCI_ENDED) {
        to->status = o->ending == LOCI_TIMED_OUT ? LOCI_CHECK_TIMEOUT : LOCI_CHECK_CRASH;
        loci_outcome_words(to->message, sizeof to->message, o, run->limits.seconds);
        return;
    }
    snprintf(to->message, sizeof to->message, "%.1000s", o->reply.text);
    to->status = o->status != LOCI_OK ? LOCI_CHECK_FAIL : o->reply.skipped ? LOCI_CHECK_SKIP : LOCI_CHECK_PASS;
    if (sanitizer_spoke(o->err)) { /* undefined behaviour, reported and survived */
        const char *at = strstr(o->err, "runtime error: ");
        to->status = LOCI_CHECK_FAIL;
        snprintf(to->message, sizeof to->message, "%.*s: %s", (int)strcspn(at, "\n"), at, o->stage);
    }
}

/* (4) */
static const loci_check_test *spoilt_by(const struct runner *r, const loci_check_test *test)
{
    for (uint32_t i = 0; test->after && i < r->n_tests; i++)
        if (!strcmp(r->tests[i].id, test->after))
            return r->failed[i] ? &r->tests[i] : spoilt_by(r, &r->tests[i]);
    return NULL;
}

static void count(const struct runner *r, const loci_check_result *result)
{
    switch (result->status) {
    case LOCI_CHECK_PASS:
        r->sum->passed++;
        break;
    case LOCI_CHECK_SKIP:
        r->sum->skipped++;
        break;
    default:
        r->sum->failed++;
        r->failed[result->test - r->tests] = true;
    }
    if (r->run->ends)
        r->run->ends(r->run->arg, result);
}

static loci_status run_test(struct runner *r, const loci_check_test *test, const char *path, const char *kind,
                            const char *id, const char *of)
{
    loci_check_result result = {.test = test, .of = of, .seed = r->run->seed};
    struct job job = {.r = r, .test = test, .c = {.path = path, .kind = kind, .id = id, .seed = r->run->seed}};
    const loci_check_test *spoilt = spoilt_by(r, test);
    loci_status status = LOCI_OK;
    loci_outcome *o;

    if (spoilt) {
        result.status = LOCI_CHECK_SKIP;
        snprintf(result.message, sizeof result.message, "%s failed", spoilt->id);
        count(r, &result);
        return LOCI_OK;
    }
    if (!(o = loci_alloc(sizeof *o)))
        return loci_fail(r->err, LOCI_E_NOMEM, "out of memory");
    if (r->run->begins)
        r->run->begins(r->run->arg, of, test);
    if (r->run->in_process)
        loci_not_isolated(o, work, &job);
    else
        status = loci_isolate(o, &r->run->limits, work, &job, r->err);
    if (status == LOCI_OK && o->ending == LOCI_CANCELLED)
        status = loci_fail(r->err, LOCI_E_STOPPED, "interrupted in %s: %s", test->id, o->stage);
    else if (status == LOCI_OK && o->ending == LOCI_ENDED && o->status == LOCI_E_CONFIG)
        status = loci_fail(r->err, LOCI_E_CONFIG, "%.480s", o->reply.text);
    if (status == LOCI_OK) {
        judge(&result, o, r->run);
        count(r, &result);
    }
    loci_free(o);
    return status;
}

static loci_status run_tests(struct runner *r, uint32_t kind_bit, const char *path, const char *kind, const char *id)
{
    loci_status status = LOCI_OK;
    char of[LOCI_MAX_ID + 16] = "";

    if (kind)
        snprintf(of, sizeof of, "%s/%s", kind, id);
    for (uint32_t i = 0; i < r->n_tests; i++)
        if (r->tests[i].kinds & LOCI_OF_CLASSES)
            r->failed[i] = false; /* the component before this one is another matter */
    for (uint32_t i = 0; i < r->n_tests && status == LOCI_OK; i++) {
        const loci_check_test *t = &r->tests[i];
        if ((t->kinds & kind_bit) && t->level <= r->run->level && loci_check_matches(r->run->only, t->id))
            status = run_test(r, t, path, kind, id, of);
    }
    return status;
}

/* ---- what is to be tested ---------------------------------------------------------------------------------------- */

static uint32_t bit_of(const char *kind)
{
    return !strcmp(kind, "attention") ? LOCI_OF_ATTENTION
           : !strcmp(kind, "mixer")   ? LOCI_OF_MIXER
           : !strcmp(kind, "memory")  ? LOCI_OF_MEMORY
           : !strcmp(kind, "compose") ? LOCI_OF_COMPOSE
                                      : LOCI_OF_DEVICE;
}

/* Is it KIND/ID? *kind is the static name, *id points into what. */
static bool names_component(const char *what, char *kind, size_t n, const char **id)
{
    const char *slash = strchr(what, '/');

    if (!slash || (size_t)(slash - what) >= n || strchr(slash + 1, '/') || access(what, F_OK) == 0)
        return false;
    snprintf(kind, n, "%.*s", (int)(slash - what), what);
    *id = slash + 1;
    return loci_kind_long(kind) != NULL;
}

static loci_status run_component(struct runner *r, const char *kind, const char *id)
{
    loci_status status;
    loci_registry *registry = NULL;
    const loci_entry *found = NULL;
    char *path = NULL;

    LOCI_TRY(loci_context_registry(&registry, r->run->conf, r->run->plugin_path, r->err));
    for (uint32_t i = 0; i < loci_registry_n(registry) && !found; i++) {
        const loci_entry *e = loci_registry_entry(registry, i);
        if (!e->shadowed_by && !strcmp(e->kind, kind) && !strcmp(e->id, id))
            found = e;
    }
    if (!found) { /* the registry knows the words for it */
        const loci_class *none;
        status = loci_registry_find(registry, &none, kind, id, NULL, r->err);
        goto out;
    }
    if (!(path = loci_strdup(found->path))) {
        status = loci_fail(r->err, LOCI_E_NOMEM, "out of memory");
        goto out;
    }
    snprintf(r->sum->plugin, sizeof r->sum->plugin, "%s", path);
    if (strcmp(path, "built-in") != 0)
        LOCI_TRY(run_tests(r, LOCI_OF_FILE, path, NULL, NULL)); /* (3) */
    LOCI_TRY(run_tests(r, bit_of(kind), path, kind, id));
out:
    loci_free(path);
    loci_registry_free(registry);
    return status;
}

static loci_status run_file(struct runner *r, const char *file)
{
    loci_status status;
    loci_error unused = LOCI_ERROR_INIT;
    char path[PATH_MAX];
    loci_look look = {0};

    if (!realpath(file, path))
        return loci_fail(r->err, LOCI_E_PLUGIN,
                         "%s is neither a plugin file nor KIND/ID (attention, mixer, memory, compose, device): `loci "
                         "list` has what is installed",
                         file);
    snprintf(r->sum->plugin, sizeof r->sum->plugin, "%s", path);
    (void)loci_look_at(&look, path, LOCI_OWNERSHIP_OFF, &unused); /* (2) */
    LOCI_TRY(run_tests(r, LOCI_OF_FILE, path, NULL, NULL));
    for (uint32_t i = 0; i < look.note.n; i++)
        LOCI_TRY(
            run_tests(r, bit_of(look.note.classes[i].kind), path, look.note.classes[i].kind, look.note.classes[i].id));
out:
    loci_look_free(&look);
    return status;
}

loci_status loci_check_all(loci_check_sum *sum, const loci_check_run *run, const char *what, loci_error *err)
{
    struct runner r = {
        run,  sum, run->tests ? run->tests : loci_check_tests, run->tests ? run->n_tests : loci_check_n_tests,
        NULL, err};
    const char *id = NULL;
    loci_status status;
    char kind[16];

    memset(sum, 0, sizeof *sum);
    if (!(r.failed = loci_alloc(r.n_tests + 1)))
        return loci_fail(err, LOCI_E_NOMEM, "out of memory");
    if (names_component(what, kind, sizeof kind, &id))
        status = run_component(&r, kind, id);
    else
        status = run_file(&r, what);
    loci_free(r.failed);
    return status;
}

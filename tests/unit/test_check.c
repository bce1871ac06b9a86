/* SPDX-License-Identifier: Apache-2.0
 *
 * The runner of `loci check`: what becomes of a function that ends well, badly, late or not at all in a process of its
 * own, and of tests whose results hang together.
 */
#include "core/check/check.h"
#include "core/check/probe.h"
#include "core/check/watch.h"
#include "core/check/words.h"
#include "core/plugin/look.h"
#include "tests/bad/bad.h"

#include <fcntl.h>
#include <sys/wait.h>

static loci_error ck_err = LOCI_ERROR_INIT;
static loci_outcome outcome; /* large */

#define IN_TIME \
    { \
        20, 0, NULL \
    }

static void isolate(const loci_limits *limits, loci_isolated_fn fn, void *arg)
{
    loci_status status;

    loci_error_clear(&ck_err);
    status = loci_isolate(&outcome, limits, fn, arg, &ck_err);
    CK_TRUE(status == LOCI_OK, "isolate: %s", ck_err.msg);
}

static const char *words(double limit)
{
    static char text[1024];

    loci_outcome_words(text, sizeof text, &outcome, limit);
    return text;
}

/* ---- one function in one process ----------------------------------------------------------------------------------
 */

static int touched;

static loci_status says_so(void *arg, loci_reply *reply)
{
    touched = 1;
    snprintf(reply->text, sizeof reply->text, "got %s", (const char *)arg);
    loci_stage("call %d", 7);
    return LOCI_E_STATE;
}

static void isolation__brings_status_text_and_stage_back_and_nothing_else(void)
{
    static char arg[] = "seven";

    touched = 0;
    isolate(&(loci_limits)IN_TIME, says_so, arg);
    CU_ASSERT_EQUAL(outcome.ending, LOCI_ENDED);
    CU_ASSERT_EQUAL(outcome.status, LOCI_E_STATE);
    CU_ASSERT_STRING_EQUAL(outcome.reply.text, "got seven");
    CU_ASSERT_STRING_EQUAL(outcome.stage, "call 7");
    CU_ASSERT_EQUAL(touched, 0);
    CU_ASSERT_STRING_EQUAL(words(1), "");
    loci_not_isolated(&outcome, says_so, arg);
    CU_ASSERT_EQUAL(touched, 1);
    CU_ASSERT_STRING_EQUAL(outcome.stage, "call 7");
}

static loci_status dies(void *arg, loci_reply *reply)
{
    (void)reply;
    loci_stage("forward of float64, cut 3,1,7");
    raise(*(int *)arg);
    return LOCI_OK;
}

static void crash__is_named_by_signal_and_stage(void)
{
    int signals[] = {SIGSEGV, SIGFPE, SIGABRT, SIGKILL};

    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        char name[32];
        isolate(&(loci_limits)IN_TIME, dies, &signals[i]);
        CU_ASSERT_EQUAL(outcome.ending, LOCI_CRASHED);
        if (loci_host_san() && signals[i] != SIGKILL)
            continue; /* a sanitizer turns them into an exit */
        CU_ASSERT_EQUAL(outcome.signal, signals[i]);
        snprintf(name, sizeof name, "SIG%s: ", sigabbrev_np(signals[i]));
        has(words(1), name);
        has(words(1), "forward of float64, cut 3,1,7");
    }
}

static loci_status leaves(void *arg, loci_reply *reply)
{
    (void)reply;
    fprintf(stderr, "first line\nthe licence has run out\n");
    loci_stage("create");
    _exit(*(int *)arg);
}

static void exit__of_a_plugin_is_a_crash_whatever_the_code(void)
{
    int codes[] = {0, 3};

    for (int i = 0; i < 2; i++) {
        isolate(&(loci_limits)IN_TIME, leaves, &codes[i]);
        CU_ASSERT_EQUAL(outcome.ending, LOCI_CRASHED);
        CU_ASSERT_EQUAL(outcome.signal, 0);
        CU_ASSERT_EQUAL(outcome.exit_code, codes[i]);
        has(words(1), "create");
        has(words(1), "(it printed: the licence has run out)");
    }
}

static loci_status hangs(void *arg, loci_reply *reply)
{
    (void)arg;
    (void)reply;
    signal(SIGTERM, SIG_IGN);
    loci_stage("plan");
    for (;;)
        pause();
    return LOCI_OK;
}

static void hang__ends_when_the_time_is_over(void)
{
    const double begin = loci_seconds();

    isolate(&(loci_limits){0.2, 0, NULL}, hangs, NULL);
    CU_ASSERT_EQUAL(outcome.ending, LOCI_TIMED_OUT);
    CU_ASSERT(loci_seconds() - begin < 15);
    CU_ASSERT(outcome.seconds >= 0.2);
    CU_ASSERT_STRING_EQUAL(words(0.2), "not back after 0.2 s: plan");
}

static void interruption__kills_the_child(void)
{
    volatile sig_atomic_t stop = SIGINT;
    const loci_limits limits = {20, 0, &stop};
    const double begin = loci_seconds();

    isolate(&limits, hangs, NULL);
    CU_ASSERT_EQUAL(outcome.ending, LOCI_CANCELLED);
    CU_ASSERT(loci_seconds() - begin < 15);
}

/* A grandchild that sleeps behind its parent's back, holding every descriptor. */
static loci_status leaves_one_behind(void *arg, loci_reply *reply)
{
    const pid_t pid = fork();

    (void)arg;
    if (pid == 0)
        for (;;)
            pause();
    snprintf(reply->text, sizeof reply->text, "%d", (int)pid);
    return LOCI_OK;
}

static void child__takes_what_it_started_with_it(void)
{
    bool gone = false;
    pid_t left;

    isolate(&(loci_limits){20, 0, NULL}, leaves_one_behind, NULL);
    CU_ASSERT_EQUAL(outcome.ending, LOCI_ENDED);
    CU_ASSERT(outcome.seconds < 15);
    left = (pid_t)atoi(outcome.reply.text);
    CU_ASSERT(left > 1);
    for (int i = 0; i < 500 && !gone; i++) {
        char path[64], state[256] = "";
        FILE *f;
        snprintf(path, sizeof path, "/proc/%d/stat", (int)left);
        f = fopen(path, "r");
        gone = !f || !fgets(state, sizeof state, f) || strstr(state, ") Z"); /* Z: dead, and nobody has asked */
        if (f)
            fclose(f);
        if (!gone)
            usleep(10000);
    }
    CU_ASSERT(gone);
}

static loci_status takes_memory(void *arg, loci_reply *reply)
{
    const size_t size = (size_t)64 << 20;
    size_t n = 0;

    (void)arg;
    while (n < 64 && malloc(size))
        n++;
    snprintf(reply->text, sizeof reply->text, "%zu", n);
    return LOCI_OK;
}

static void memory__is_limited(void)
{
    if (loci_host_san())
        CK_SKIP("a sanitizer maps more than any limit");
    isolate(&(loci_limits){20, UINT64_C(1) << 30, NULL}, takes_memory, NULL);
    CU_ASSERT_EQUAL(outcome.ending, LOCI_ENDED);
    CK_TRUE(atoi(outcome.reply.text) > 0 && atoi(outcome.reply.text) < 16, "%s blocks of 64 MiB in 1 GiB",
            outcome.reply.text);
}

static loci_status prints(void *arg, loci_reply *reply)
{
    (void)arg;
    printf("to output");
    fprintf(stderr, "to error");
    loci_log(LOCI_LOG_WARN, "test", "to the log");
    snprintf(reply->text, sizeof reply->text, "%d", (int)lseek(STDERR_FILENO, 0, SEEK_CUR));
    return LOCI_OK;
}

static void print__is_kept_apart_from_the_log(void)
{
    isolate(&(loci_limits)IN_TIME, prints, NULL);
    CU_ASSERT_STRING_EQUAL(outcome.out, "to output");
    CU_ASSERT_STRING_EQUAL(outcome.err, "to error");
    CU_ASSERT_STRING_EQUAL(outcome.log, "test: to the log\n");
}

/* ---- a list of tests ----------------------------------------------------------------------------------------------
 */

static loci_status passes(loci_check *c, loci_error *err)
{
    (void)err;
    loci_check_note(c, "seed %d", (int)c->seed);
    return LOCI_OK;
}

static loci_status fails(loci_check *c, loci_error *err)
{
    return loci_fail(err, LOCI_E_PLUGIN, "%s is wrong", c->id ? c->id : "the file");
}

static loci_status skips(loci_check *c, loci_error *err)
{
    (void)err;
    return loci_check_skip(c, "nothing to test");
}

static loci_status crashes(loci_check *c, loci_error *err)
{
    (void)c;
    (void)err;
    loci_stage("state_init");
    raise(SIGKILL);
    return LOCI_OK;
}

static const loci_check_test list[] = {
    {"a.passes", 1, LOCI_OF_FILE, 0, NULL, "", passes},
    {"a.fails", 1, LOCI_OF_FILE, 0, NULL, "", fails},
    {"a.after", 1, LOCI_OF_FILE, 0, "a.fails", "", passes},
    {"a.later", 1, LOCI_OF_FILE, 0, "a.after", "", crashes},
    {"b.skips", 2, LOCI_OF_MEMORY, 0, NULL, "", skips},
    {"b.gradients", 2, LOCI_OF_MEMORY, LOCI_CAP_BACKWARD, NULL, "", passes},
    {"b.context", 2, LOCI_OF_MEMORY, LOCI_CAP_CONTEXT, NULL, "", passes},
    {"c.crashes", 3, LOCI_OF_MEMORY, 0, NULL, "", crashes},
    {"c.mixers", 3, LOCI_OF_MIXER, 0, NULL, "", crashes},
};
enum { N_LIST = sizeof list / sizeof *list };

struct heard {
    int n;
    loci_check_result results[2 * N_LIST];
    char of[2 * N_LIST][64];
};

static void hear(void *arg, const loci_check_result *r)
{
    struct heard *h = arg;

    snprintf(h->of[h->n], sizeof h->of[0], "%s", r->of);
    h->results[h->n++] = *r;
}

static const loci_check_result *result(const struct heard *h, const char *id)
{
    for (int i = 0; i < h->n; i++)
        if (!strcmp(h->results[i].test->id, id))
            return &h->results[i];
    return NULL;
}

static loci_status run_list(struct heard *h, loci_check_sum *sum, const char *what, int level, const char *only)
{
    static loci_conf *conf;
    loci_check_run run = {.level = level,
                          .only = only,
                          .seed = 42,
                          .limits = IN_TIME,
                          .tests = list,
                          .n_tests = N_LIST,
                          .ends = hear,
                          .arg = h};
    loci_status status;

    memset(h, 0, sizeof *h);
    loci_error_clear(&ck_err);
    if (loci_conf_new(&conf, &ck_err) != LOCI_OK)
        return LOCI_E_NOMEM;
    run.conf = conf;
    status = loci_check_all(sum, &run, what, &ck_err);
    loci_conf_free(conf);
    return status;
}

static void runner__judges_counts_and_names(void)
{
    const bad_folder f = bad_open();
    loci_check_sum sum;
    struct heard h;

    CK_OK(run_list(&h, &sum, bad_copy(&f, "good", "p.so"), 3, NULL));
    CU_ASSERT_EQUAL(h.n, 8); /* no mixer is in it */
    CU_ASSERT_EQUAL(sum.passed, 2);
    CU_ASSERT_EQUAL(sum.failed, 2);
    CU_ASSERT_EQUAL(sum.skipped, 4);
    has(sum.plugin, "/p.so");
    CU_ASSERT_EQUAL(result(&h, "a.passes")->status, LOCI_CHECK_PASS);
    CU_ASSERT_STRING_EQUAL(result(&h, "a.passes")->message, "seed 42");
    CU_ASSERT_EQUAL(result(&h, "a.fails")->status, LOCI_CHECK_FAIL);
    CU_ASSERT_STRING_EQUAL(result(&h, "a.fails")->message, "the file is wrong");
    CU_ASSERT_EQUAL(result(&h, "a.after")->status, LOCI_CHECK_SKIP);
    CU_ASSERT_STRING_EQUAL(result(&h, "a.after")->message, "a.fails failed");
    CU_ASSERT_STRING_EQUAL(result(&h, "a.later")->message, "a.fails failed");
    CU_ASSERT_STRING_EQUAL(result(&h, "b.skips")->message, "nothing to test");
    CU_ASSERT_EQUAL(result(&h, "b.gradients")->status, LOCI_CHECK_PASS);
    CU_ASSERT_EQUAL(result(&h, "b.context")->status, LOCI_CHECK_SKIP);
    has(result(&h, "b.context")->message, "does not promise a context");
    CU_ASSERT_EQUAL(result(&h, "c.crashes")->status, LOCI_CHECK_CRASH);
    CU_ASSERT_STRING_EQUAL(result(&h, "c.crashes")->message, "SIGKILL: state_init");
    CU_ASSERT_STRING_EQUAL(result(&h, "c.crashes")->stage, "state_init");
    CU_ASSERT_STRING_EQUAL(h.of[0], "");
    CU_ASSERT_STRING_EQUAL(h.of[7], "memory/momentum");
    bad_close(&f);
}

static void runner__keeps_to_level_and_pattern(void)
{
    const bad_folder f = bad_open();
    const char *path = bad_copy(&f, "good", "p.so");
    loci_check_sum sum;
    struct heard h;

    CK_OK(run_list(&h, &sum, path, 1, NULL));
    CU_ASSERT_EQUAL(h.n, 4);
    CK_OK(run_list(&h, &sum, path, 3, "b.*"));
    CU_ASSERT_EQUAL(h.n, 3);
    CK_OK(run_list(&h, &sum, path, 3, "a.after")); /* what it comes after was not asked for */
    CU_ASSERT_EQUAL(h.n, 1);
    CU_ASSERT_EQUAL(sum.passed, 1);
    bad_close(&f);
}

static void runner__refuses_what_is_no_plugin_in_words(void)
{
    loci_check_sum sum;
    struct heard h;

    CU_ASSERT_EQUAL(run_list(&h, &sum, "/nowhere/p.so", 3, NULL), LOCI_E_PLUGIN);
    has(ck_err.msg, "/nowhere/p.so is neither a plugin file nor KIND/ID");
    CU_ASSERT_EQUAL(run_list(&h, &sum, "memory/nobody", 3, NULL), LOCI_E_PLUGIN);
    has(ck_err.msg, "no memory is called 'nobody'");
    CU_ASSERT_EQUAL(h.n, 0);
}

static void runner__tests_a_file_that_cannot_be_read_as_a_file_only(void)
{
    const bad_folder f = bad_open();
    loci_check_sum sum;
    struct heard h;

    CK_OK(run_list(&h, &sum, bad_write(&f, "p.so", "text\n", 5), 3, NULL));
    CU_ASSERT_EQUAL(h.n, 4);
    CK_OK(run_list(&h, &sum, "device/cpu", 3, NULL)); /* no file, and no test in the list for devices */
    CU_ASSERT_EQUAL(h.n, 0);
    CU_ASSERT_STRING_EQUAL(sum.plugin, "built-in");
    bad_close(&f);
}

static void tests__have_ids_of_their_own_and_name_real_ones(void)
{
    for (uint32_t i = 0; i < loci_check_n_tests; i++) {
        const loci_check_test *t = &loci_check_tests[i];
        bool before = !t->after;
        CU_ASSERT(t->level >= 1 && t->level <= 3);
        CU_ASSERT(t->kinds && t->does[0] && t->run);
        for (uint32_t k = 0; k < i; k++) {
            CK_TRUE(strcmp(t->id, loci_check_tests[k].id) != 0, "%s is there twice", t->id);
            before = before || !strcmp(t->after, loci_check_tests[k].id);
        }
        CK_TRUE(before, "%s comes after %s, which does not come before it", t->id, t->after);
    }
}

/* ---- what tests are made of ----------------------------------------------------------------------------------------
 */

static void words__are_one_line_lower_case_and_unstopped(void)
{
    static const struct {
        const char *msg, *says;
    } all[] = {{"width 3: a multiple of 4 wanted", NULL},
               {"SiLU is not served", NULL},
               {"T = 5 is too short", NULL},
               {"a list that goes on ...", NULL},
               {"", "no message"},
               {"two\nlines", "more than one line"},
               {"it ends.", "full stop"},
               {"Out of memory", "capital"},
               {" space first", "space"}};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        loci_error said = LOCI_ERROR_INIT, err = LOCI_ERROR_INIT;
        loci_status status;
        said.code = LOCI_E_ARG;
        snprintf(said.msg, sizeof said.msg, "%s", all[i].msg);
        status = loci_words_check(&said, LOCI_E_ARG, "plan", &err);
        CK_TRUE((status == LOCI_OK) == !all[i].says, "`%s`: %s", all[i].msg, err.msg);
        if (all[i].says)
            has(err.msg, all[i].says);
        loci_error_clear(&err);
        CU_ASSERT_EQUAL(loci_words_check(&said, LOCI_E_STATE, "plan", &err), LOCI_E_PLUGIN);
        CU_ASSERT_EQUAL(loci_words_check(&said, 5, "plan", &err), LOCI_E_PLUGIN);
    }
}

static loci_status watches(void *arg, loci_reply *reply)
{
    loci_error err = LOCI_ERROR_INIT;
    loci_watched w;
    loci_status status;

    loci_watch_begin(&w, &err);
    ((void (*)(void))arg)();
    status = loci_watch_end(&w, "it", &err);
    snprintf(reply->text, sizeof reply->text, "%s", err.msg);
    return status;
}

static void does_nothing(void)
{
}

static void does_much(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    setenv("LOCI_TEST_WATCH", "1", 1);
    if (open("/dev/null", O_RDONLY) < 0)
        return;
    umask(0123);
    printf("hello");
}

static void watch__sees_what_a_call_changed(void)
{
    isolate(&(loci_limits)IN_TIME, watches, (void *)does_nothing);
    CK_TRUE(outcome.status == LOCI_OK, "%s", outcome.reply.text);
    isolate(&(loci_limits)IN_TIME, watches, (void *)does_much);
    CU_ASSERT_EQUAL(outcome.status, LOCI_E_PLUGIN);
    has(outcome.reply.text, "opened descriptor");
    has(outcome.reply.text, "/dev/null");
    has(outcome.reply.text, "the umask");
    has(outcome.reply.text, "the environment");
    has(outcome.reply.text, "the mask of signals");
    has(outcome.reply.text, "printed 5 bytes on standard output");
}

static void probe__says_what_became_of_a_file(void)
{
    static const struct {
        const char *plugin, *state, *says;
    } all[] = {{"good", "ok", ""},
               {"wrong_magic", "refused", "12345678"},
               {"crash_at_load", "crash", "start-up code"},
               {"hang_at_load", "timeout", "not back after 1 s: loading it: its start-up code"}};
    static loci_probed p;
    const bad_folder f = bad_open();

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const loci_limits limits = {i == 3 ? 1 : 20, 0, NULL};
        CK_OK(loci_probe(&p, bad_copy(&f, all[i].plugin, "p.so"), &limits, &ck_err));
        CU_ASSERT_STRING_EQUAL(p.state, all[i].state);
        has(p.message, all[i].says);
        if (i == 0) {
            CU_ASSERT_EQUAL(p.n, 1);
            CU_ASSERT_STRING_EQUAL(p.classes[0].id, "memory/momentum");
            CU_ASSERT_STRING_EQUAL(p.classes[0].version, "1.0");
            has(p.classes[0].summary, "momentum");
        }
    }
    bad_close(&f);
}

#define TESTS(X) \
    X(isolation__brings_status_text_and_stage_back_and_nothing_else) \
    X(crash__is_named_by_signal_and_stage) \
    X(exit__of_a_plugin_is_a_crash_whatever_the_code) \
    X(hang__ends_when_the_time_is_over) \
    X(interruption__kills_the_child) \
    X(child__takes_what_it_started_with_it) \
    X(memory__is_limited) \
    X(print__is_kept_apart_from_the_log) \
    X(runner__judges_counts_and_names) \
    X(runner__keeps_to_level_and_pattern) \
    X(runner__refuses_what_is_no_plugin_in_words) \
    X(runner__tests_a_file_that_cannot_be_read_as_a_file_only) \
    X(tests__have_ids_of_their_own_and_name_real_ones) \
    X(words__are_one_line_lower_case_and_unstopped) \
    X(watch__sees_what_a_call_changed) \
    X(probe__says_what_became_of_a_file)
CK_MAIN("check", TESTS)

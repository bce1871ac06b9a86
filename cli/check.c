/* SPDX-License-Identifier: Apache-2.0
 *
 * loci check: is a plugin right? A line per test; core/check has the tests.
 *
 *  (1) Standard output has the results, standard error what is going on.
 *  (2) A failed test is a LOCI_E_PLUGIN of the whole: exit code 4, as for every plugin that cannot be used.
 *  (3) Behind a failure stands the command that repeats just this test, seed included.
 */
#include "cli/check.h"
#include "core/device/rng.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { KEY_LEVEL = 2000, KEY_ONLY, KEY_LIST, KEY_FAILED, KEY_JUNIT, KEY_SEED, KEY_IN_PROCESS, KEY_LIMIT, KEY_DEVICE };

static struct {
    int level;
    const char *only, *junit, *device;
    bool list, only_failed, in_process, seed_given;
    uint64_t seed;
    double limit;
} want = {.level = 3, .limit = 60, .seed = 1};

static const struct argp_option own[] = {
    {"level", KEY_LEVEL, "N", 0, "1: abi, life cycle and misuse; 2: numbers too; 3: hardness too (the default)", 1},
    {"only", KEY_ONLY, "PATTERN", 0, "Only tests whose id matches, like 'plan.*'", 1},
    {"list", KEY_LIST, 0, 0, "Say which tests there are and what holds when each passes; run none", 1},
    {"only-failed", KEY_FAILED, 0, 0, "Print the tests that fail only", 1},
    {"junit", KEY_JUNIT, "FILE", 0, "Also write the results as JUnit's XML", 1},
    {"device", KEY_DEVICE, "NAME", 0,
     "Where its tensors live, cpu or cuda: run.device (the device in the same file, else cpu)", 1},
    {"seed", KEY_SEED, "N", 0, "Seed of every random number of the tests (1)", 1},
    {"limit", KEY_LIMIT, "SECONDS", 0, "Time a test may take (60)", 1},
    {"in-process", KEY_IN_PROCESS, 0, 0, "Run the tests in this process, without limits: for a debugger", 1},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    char *end = NULL;

    errno = 0;
    switch (key) {
    case KEY_LEVEL:
        want.level = (int)strtol(arg, &end, 10);
        if (*end || end == arg || want.level < 1 || want.level > 3)
            argp_error(state, "--level is 1, 2 or 3, not `%s`", arg);
        return 0;
    case KEY_ONLY:
        want.only = arg;
        return 0;
    case KEY_LIST:
        want.list = true;
        return 0;
    case KEY_FAILED:
        want.only_failed = true;
        return 0;
    case KEY_DEVICE:
        want.device = arg;
        return 0;
    case KEY_JUNIT:
        want.junit = arg;
        return 0;
    case KEY_SEED:
        want.seed = strtoull(arg, &end, 10);
        if (*end || end == arg || errno || *arg == '-')
            argp_error(state, "--seed is a whole number, not `%s`", arg);
        return 0;
    case KEY_LIMIT:
        want.limit = strtod(arg, &end);
        if (*end || end == arg || !(want.limit > 0 && want.limit <= 86400))
            argp_error(state, "--limit is a number of seconds up to 86400, not `%s`", arg);
        return 0;
    case KEY_IN_PROCESS:
        want.in_process = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const char *const kind_names[] = {"file", "attention", "mixer", "memory", "compose", "device"};

static void list_tests(void)
{
    for (uint32_t i = 0; i < loci_check_n_tests; i++) {
        const loci_check_test *t = &loci_check_tests[i];
        char label[64];
        if (t->level > want.level || !loci_check_matches(want.only, t->id))
            continue;
        snprintf(label, sizeof label, "%d  %-20s ", t->level, t->id);
        cli_wrap(label, 24, t->does);
    }
}

static json_t *list_json(void)
{
    json_t *all = json_array();

    for (uint32_t i = 0; i < loci_check_n_tests; i++) {
        const loci_check_test *t = &loci_check_tests[i];
        json_t *kinds = json_array();
        if (t->level > want.level || !loci_check_matches(want.only, t->id)) {
            json_decref(kinds);
            continue;
        }
        for (size_t k = 0; k < sizeof kind_names / sizeof *kind_names; k++)
            if (t->kinds & (1u << k))
                json_array_append_new(kinds, json_string(kind_names[k]));
        json_array_append_new(all, json_pack("{s:s, s:i, s:s, s:o, s:o}", "id", t->id, "level", t->level, "does",
                                             t->does, "kinds", kinds, "promises", cli_promises(t->caps)));
    }
    return all;
}

/* ---- results ----------------------------------------------------------------------------------------------------- */

struct told {
    const struct options *o;
    const char *word;
    json_t *tests, *components;
    char of[160];
    double seconds;
};

static bool failed(const loci_check_result *r)
{
    return r->status != LOCI_CHECK_PASS && r->status != LOCI_CHECK_SKIP;
}

/* A word as a shell reads it. */
static void print_word(const char *option, const char *word)
{
    const bool plain =
        *word && strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:=,+-") == strlen(word);

    printf(" %s%s", option, plain ? "" : "'");
    for (const char *p = word; *p; p++)
        if (*p == '\'')
            fputs("'\\''", stdout);
        else
            putchar(*p);
    if (!plain)
        putchar('\'');
}

/* (3) */
static void print_command(const struct told *t, const loci_check_result *r)
{
    printf("         repeat: loci check");
    print_word("", t->word);
    printf(" --only %s --seed %llu", r->test->id, (unsigned long long)r->seed);
    for (size_t i = 0; i < t->o->n_configs; i++)
        print_word("-c ", t->o->configs[i]);
    for (size_t i = 0; i < t->o->n_sets; i++)
        print_word("--set ", t->o->sets[i]);
    if (want.device)
        print_word("--device ", want.device);
    if (t->o->plugin_path)
        print_word("--plugin-path ", t->o->plugin_path);
    if (t->o->threads)
        print_word("--threads ", t->o->threads);
    putchar('\n');
}

static void ends(void *arg, const loci_check_result *r)
{
    struct told *t = arg;

    t->seconds += r->seconds;
    json_array_append_new(t->tests,
                          json_pack("{s:s, s:s, s:i, s:s, s:s, s:s, s:I, s:f}", "id", r->test->id, "of", r->of, "level",
                                    r->test->level, "status", loci_check_status_names[r->status], "message", r->message,
                                    "stage", r->stage, "seed", (json_int_t)r->seed, "seconds", r->seconds));
    cli_clear_line();
    if (t->o->json || (want.only_failed && !failed(r)))
        return;
    if (strcmp(t->of, r->of) != 0) {
        snprintf(t->of, sizeof t->of, "%s", r->of);
        printf("%s\n", *t->of ? t->of : "file");
    }
    printf("  %-7s %-18s %s\n", loci_check_status_names[r->status], r->test->id,
           r->message[0] ? r->message : r->test->does);
    if (failed(r))
        print_command(t, r);
    fflush(stdout);
}

static void begins(void *arg, const char *of, const loci_check_test *test)
{
    const struct told *t = arg;

    if (t->o->level >= LOCI_LOG_INFO && cli_live()) {
        cli_clear_line();
        fprintf(stderr, "%s%s%s", of, *of ? " " : "", test->id);
        fflush(stderr);
        cli_line_drawn();
    }
}

static loci_status results(const struct told *t, const loci_check_sum *sum, loci_error *err)
{
    loci_status status = LOCI_OK;

    if (want.junit)
        LOCI_TRY(cli_check_junit(want.junit, sum->plugin, t->tests, err));
    if (t->o->json)
        LOCI_TRY(
            cli_print_json(json_pack("{s:s, s:i, s:i, s:i, s:O}", "plugin", sum->plugin, "passed", (int)sum->passed,
                                     "failed", (int)sum->failed, "skipped", (int)sum->skipped, "tests", t->tests),
                           err));
    else
        printf("%s: %u passed, %u failed, %u skipped in %.2f s\n", sum->plugin, sum->passed, sum->failed, sum->skipped,
               t->seconds);
    if (sum->failed)
        status =
            loci_fail(err, LOCI_E_PLUGIN, "%s: %u of %u tests failed", t->word, sum->failed, sum->passed + sum->failed);
    else if (!sum->passed)
        status = loci_fail(err, LOCI_E_ARG, "%s: no test was run: `loci check --list` has their ids", t->word);
out:
    return status;
}

/* ---- several words ----------------------------------------------------------------------------------------------- */

/* Address space of a test: what a plugin may use, and what the allocator reserves for each thread. */
static uint64_t room(const struct options *o)
{
    const long threads = o->threads ? strtol(o->threads, NULL, 10) : 0;

    return (UINT64_C(4) << 30) + (threads > 0 && threads <= 1024 ? (uint64_t)threads << 28 : 0);
}

static loci_status check_one(const struct options *o, loci_conf *conf, const char *word, loci_error *err)
{
    struct told told = {.o = o, .word = word, .tests = json_array(), .of = "?"};
    const loci_check_run run = {.conf = conf,
                                .plugin_path = o->plugin_path,
                                .allow_unknown = o->allow_unknown,
                                .in_process = want.in_process,
                                .level = want.level,
                                .only = want.only,
                                .seed = want.seed,
                                .limits = {want.limit, room(o), &cli_stop},
                                .begins = begins,
                                .ends = ends,
                                .arg = &told};
    loci_check_sum sum;
    loci_status status;

    LOCI_TRY(loci_check_all(&sum, &run, word, err));
    LOCI_TRY(results(&told, &sum, err));
out:
    json_decref(told.tests);
    return status;
}

static loci_status run(const struct options *o, loci_error *err)
{
    loci_conf *conf = NULL;
    loci_status status = LOCI_OK;
    char device[64];

    if (want.list && o->json)
        return cli_print_json(list_json(), err);
    if (want.list) {
        list_tests();
        return LOCI_OK;
    }
    if (o->n_words == 0)
        return loci_fail(err, LOCI_E_ARG,
                         "check takes a plugin file or KIND/ID, like memory/titans; `loci list` has them");
    if (o->n_words > 1 && (o->json || want.junit))
        return loci_fail(err, LOCI_E_ARG,
                         "--json and --junit describe one plugin, and %zu are named: check one at a time", o->n_words);
    LOCI_TRY(cli_config(&conf, o, NULL, err));
    if (want.device) {
        snprintf(device, sizeof device, "run.device=%s", want.device);
        LOCI_TRY(loci_conf_set(conf, device, "--device", err));
    }
    for (size_t i = 0; i < o->n_words; i++) {
        loci_error why = LOCI_ERROR_INIT;
        loci_status one = check_one(o, conf, o->words[i], &why);
        if (one != LOCI_OK && status == LOCI_OK)
            status = loci_fail(err, one, "%s", why.msg);
        else if (one != LOCI_OK)
            loci_log(LOCI_LOG_ERROR, "check", "%s", why.msg);
        if (one == LOCI_E_STOPPED)
            break;
    }
out:
    loci_conf_free(conf);
    return status;
}

const struct verb verb_check = {
    "check",
    "FILE.so | KIND/ID ...",
    "is a plugin right: abi, numbers, hardness",
    "Test a plugin file and every component in it, or one component, each test in a process of its own: a crash or a "
    "hang "
    "is a failed test that names the call. A component is judged by what it promises with its config (-c, --set).\v"
    "  loci check ./mine.so\n  loci check memory/titans --set memory.titans.depth=2 --level 2\n\n"
    "exit codes: 0 all tests passed or were skipped, 4 a test failed or there is no such plugin, 3 the config is "
    "wrong, 9 "
    "interrupted",
    own,
    parse,
    run};

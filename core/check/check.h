/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: is a plugin right? Every test of `loci check`, and who runs them.
 *
 *     core/check/tests.inc   the list: one line a test
 *     run.c                  which tests for which component, in which order, and what came of it
 *     ../plugin/isolate.c    one process a test
 *     file.c, class.c ...    the tests
 *
 * To add a test: one line in tests.inc (its columns are explained there) and the function it names, anywhere:
 *
 *     loci_status loci_check_fit_pure(loci_check *c, loci_error *err)
 *     {
 *         loci_stage("fit");
 *         ...
 *         return same ? LOCI_OK : loci_fail(err, LOCI_E_PLUGIN, "fit said %d and then %d", a, b);
 *     }
 *
 *  (1) A test is one claim. It returns LOCI_OK when that holds; anything else is a failure, and err has the sentence: what
 *      was found, what was expected. The first broken claim ends the test.
 *  (2) Before each call of the plugin it says with loci_stage what it is about to call: "plan, op step, seq 33".
 *  (3) It runs in a process of its own with nothing open but what `c` holds. Numbers come from c->seed alone.
 *  (4) A component is judged by what it promises with its config: a test that needs a promise says so in the list and is
 *      skipped without it. A test that finds out only then that it has nothing to test returns loci_check_skip().
 *  (5) A test that cannot mean anything once another has failed names that one (`after`): it is skipped, and says why.
 */
#ifndef LOCI_CORE_CHECK_H
#define LOCI_CORE_CHECK_H

#include "core/plugin/isolate.h"
#include "core/model/node.h"

/* What a test is about: the file, or each component of these kinds in it. */
#define LOCI_OF_FILE 1u
#define LOCI_OF_ATTENTION 2u
#define LOCI_OF_MIXER 4u
#define LOCI_OF_MEMORY 8u
#define LOCI_OF_COMPOSE 16u
#define LOCI_OF_DEVICE 32u
#define LOCI_OF_LAYERS (LOCI_OF_MIXER | LOCI_OF_MEMORY | LOCI_OF_COMPOSE)
#define LOCI_OF_MODELS (LOCI_OF_LAYERS | LOCI_OF_ATTENTION)
#define LOCI_OF_CLASSES (LOCI_OF_MODELS | LOCI_OF_DEVICE)

/* What a test is given, in its process. Of a test of the file only path, conf and seed are set. */
typedef struct loci_check {
    const char *path; /* of the file, absolute; "built-in"                                                    */
    const char *kind, *id;
    uint64_t seed;
    loci_conf *conf;      /* KIND.backend names the component. The test may set keys of it: nobody else reads it */
    loci_context *cx;     /* the file's classes win in its registry; cx->host is the test's to change         */
    const loci_class *cls;
    uint64_t caps;        /* LOCI_CAP_* it keeps with conf and its children; 0 in a test that requires none   */
    loci_reply *reply;    /* for loci_check_skip and loci_check_note                                          */
    const char *plugin_path; /* for a context of the test's own                                               */
} loci_check;

typedef struct loci_check_test {
    const char *id;
    int level; /* 1: ABI, life cycle, misuse; 2: numbers; 3: hardness */
    uint32_t kinds; /* LOCI_OF_*                                       */
    uint64_t caps;  /* promises that it tests or needs                 */
    const char *after; /* id, or NULL, (5)                             */
    const char *does;
    loci_status (*run)(loci_check *c, loci_error *err);
} loci_check_test;

/* return loci_check_skip(c, "it has no weights"): not tested, and why. */
loci_status loci_check_skip(loci_check *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A remark that stands behind the word pass. */
void loci_check_note(loci_check *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* All tests in their order, and their functions. */
#define TEST(function, id, level, kinds, caps, after, does) \
    loci_status loci_check_##function(loci_check *c, loci_error *err);
#include "core/check/tests.inc"
#undef TEST
extern const loci_check_test loci_check_tests[];
extern const uint32_t loci_check_n_tests;

/* ---- running them ------------------------------------------------------------------------------------------------ */

enum loci_check_status { LOCI_CHECK_PASS, LOCI_CHECK_FAIL, LOCI_CHECK_SKIP, LOCI_CHECK_CRASH, LOCI_CHECK_TIMEOUT };
extern const char *const loci_check_status_names[]; /* "pass", ... */

typedef struct loci_check_result {
    const loci_check_test *test;
    const char *of; /* "memory/titans"; "" for a test of the file */
    enum loci_check_status status;
    char message[1024]; /* of a failure: what was found; of a skip: why; of a pass: a remark or "" */
    char stage[LOCI_STAGE_BYTES];
    double seconds;
    uint64_t seed;
} loci_check_result;

typedef struct loci_check_run {
    loci_conf *conf; /* the user's: files and --set; not checked, not changed */
    const char *plugin_path;
    bool allow_unknown, in_process;
    int level;        /* tests up to it */
    const char *only; /* a pattern for ids, as of a shell; NULL: all */
    uint64_t seed;
    loci_limits limits;
    const loci_check_test *tests; /* NULL: loci_check_tests */
    uint32_t n_tests;
    /* Told before and after each test; either may be NULL. */
    void (*begins)(void *arg, const char *of, const loci_check_test *test);
    void (*ends)(void *arg, const loci_check_result *result);
    void *arg;
} loci_check_run;

typedef struct loci_check_sum {
    uint32_t passed, failed, skipped; /* failed: crashes and timeouts too */
    char plugin[4096];                /* the file, "built-in" for one that has none */
} loci_check_sum;

/* `what`: a plugin file, or KIND/ID found on the path. LOCI_OK also when tests fail: *sum tells. Errors are those that
 * leave nothing to judge: no such file or id, a config that is wrong, an interruption (LOCI_E_STOPPED). */
loci_status loci_check_all(loci_check_sum *sum, const loci_check_run *run, const char *what, loci_error *err);

/* Does a test's id match the pattern of `only`? */
bool loci_check_matches(const char *pattern, const char *id);

#endif

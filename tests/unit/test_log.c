/* SPDX-License-Identifier: Apache-2.0
 *
 * core/report: the log of a run, and finding runs again: the scan of run folders and the index.
 */
#include "tests/ck.h"
#include "tests/folder.h"
#include "core/report/index.h"
#include "core/report/log.h"
#include "core/tensor/file.h"
#include "core/tensor/json.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static loci_error ck_err = LOCI_ERROR_INIT;

static bool holds(const char *name, const char *text)
{
    char *got = NULL;
    size_t n = 0;
    bool same = loci_file_read(&got, &n, in_folder(name), 1 << 24, NULL) == LOCI_OK && strcmp(got, text) == 0;
    if (!same)
        printf("\n    %s holds: %s\n", name, got ? got : "nothing");
    loci_free(got);
    return same;
}

/* ---- the log ---- */

static loci_status put_step(loci_joblog *log, int step)
{
    return loci_joblog_put(
        log, json_pack("{s:s, s:i, s:o}", "event", "step", "step", step, "loss_nats", loci_json_real(0.5)), &ck_err);
}

static void log__writes_one_whole_line_at_a_time(void)
{
    loci_joblog *log = NULL;
    CK_OK(loci_joblog_open(&log, in_folder("a.jsonl"), -1, &ck_err));
    CK_OK(put_step(log, 1));
    CU_ASSERT_TRUE(holds("a.jsonl", "{\"event\":\"step\",\"step\":1,\"loss_nats\":0.5}\n")); /* before it is closed */
    CK_OK(loci_joblog_put(log, json_pack("{s:o, s:s}", "x", loci_json_real(NAN), "s", "two\nlines"), &ck_err));
    CK_OK(loci_joblog_close(log, &ck_err));
    CU_ASSERT_TRUE(
        holds("a.jsonl", "{\"event\":\"step\",\"step\":1,\"loss_nats\":0.5}\n{\"x\":null,\"s\":\"two\\nlines\"}\n"));
    CK_OK(loci_joblog_open(&log, in_folder("a.jsonl"), -1, &ck_err));
    CU_ASSERT_EQUAL(loci_joblog_put(log, NULL, NULL), LOCI_E_NOMEM);
    CU_ASSERT_EQUAL(loci_joblog_put(log, json_array(), NULL), LOCI_E_ARG);
    CK_OK(put_step(log, 2));
    CK_OK(loci_joblog_close(log, &ck_err));
    CU_ASSERT_TRUE(holds("a.jsonl",
                         "{\"event\":\"step\",\"step\":1,\"loss_nats\":0.5}\n{\"x\":null,\"s\":\"two\\nlines\"}\n"
                         "{\"event\":\"step\",\"step\":2,\"loss_nats\":0.5}\n"));
    CU_ASSERT_EQUAL(loci_joblog_close(NULL, NULL), LOCI_OK);
}

static void log__removes_a_torn_last_line_when_opened(void)
{
    loci_joblog *log = NULL;
    write_text("torn.jsonl", "{\"step\":1}\n{\"step\":2}\n{\"ste");
    CK_OK(loci_joblog_open(&log, in_folder("torn.jsonl"), -1, &ck_err));
    CU_ASSERT_TRUE(holds("torn.jsonl", "{\"step\":1}\n{\"step\":2}\n"));
    CK_OK(loci_joblog_close(log, &ck_err));
}

static void log__forgets_what_lies_behind_the_step_it_resumes_at(void)
{
    static const char text[] =
        "{\"event\":\"start\"}\n{\"step\":1}\n{\"step\":2}\nnot json\n{\"event\":\"save\"}\n{\"step\":3}\n"
        "{\"event\":\"note\"}\n{\"step\":1}\n";
    loci_joblog *log = NULL;
    write_text("cut.jsonl", text);
    CK_OK(loci_joblog_open(&log, in_folder("cut.jsonl"), 3, &ck_err));
    CK_OK(loci_joblog_close(log, &ck_err));
    CU_ASSERT_TRUE(holds("cut.jsonl", text));
    CK_OK(loci_joblog_open(&log, in_folder("cut.jsonl"), 2, &ck_err));
    CK_OK(put_step(log, 3));
    CK_OK(loci_joblog_close(log, &ck_err));
    CU_ASSERT_TRUE(holds("cut.jsonl",
                         "{\"event\":\"start\"}\n{\"step\":1}\n{\"step\":2}\nnot json\n{\"event\":\"save\"}\n"
                         "{\"event\":\"step\",\"step\":3,\"loss_nats\":0.5}\n"));
    CK_OK(loci_joblog_open(&log, in_folder("cut.jsonl"), 0, &ck_err));
    CK_OK(loci_joblog_close(log, &ck_err));
    CU_ASSERT_TRUE(holds("cut.jsonl", "{\"event\":\"start\"}\n"));
}

static int warnings;
static void count_warning(void *arg, int32_t level, const char *module, const char *msg)
{
    (void)arg;
    (void)module;
    warnings += level == LOCI_LOG_WARN && strstr(msg, "left out");
}

typedef struct seen {
    int n, stop_at;
    double sum;
    uint64_t last;
} seen;

static loci_status see(void *arg, const json_t *object, uint64_t number, loci_error *err)
{
    seen *s = arg;
    s->sum += json_number_value(json_object_get(object, "step"));
    s->last = number;
    if (++s->n == s->stop_at)
        return loci_fail(err, LOCI_E_STOPPED, "enough");
    return LOCI_OK;
}

static void log__reading_skips_what_is_no_object(void)
{
    seen s = {0};
    char deep[3000];
    warnings = 0;
    loci_log_to(count_warning, NULL);
    write_text("mixed.jsonl",
               "{\"step\":1}\n\n[1]\nnonsense\n{\"step\":1,\"step\":2}\n{\"step\":10}\n{\"a\":\"\\u0000\"}\n{\"st");
    CK_OK(loci_joblog_each(in_folder("mixed.jsonl"), see, &s, &ck_err));
    CU_ASSERT_TRUE(s.n == 2 && s.sum == 11 && s.last == 6);
    CU_ASSERT_EQUAL(warnings, 6);
    memset(deep, '[', sizeof deep);
    deep[0] = '{';
    deep[sizeof deep - 1] = '\0';
    write_text("deep.jsonl", deep);
    CK_OK(loci_joblog_each(in_folder("deep.jsonl"), see, &s, &ck_err));
    loci_log_to(NULL, NULL);
    s = (seen){.stop_at = 1};
    loci_error_clear(&ck_err);
    CU_ASSERT_EQUAL(loci_joblog_each(in_folder("mixed.jsonl"), see, &s, &ck_err), LOCI_E_STOPPED);
    CU_ASSERT_EQUAL(s.n, 1);
    loci_error_clear(&ck_err);
    CU_ASSERT_EQUAL(loci_joblog_each(in_folder("absent"), see, &s, NULL), LOCI_E_IO);
    CU_ASSERT_EQUAL(loci_joblog_each("/dev/zero", see, &s, NULL), LOCI_E_IO);
}

/* Lines around the limit, and one far beyond it in the middle: the others are seen, with their right numbers. */
static void log__lines_have_a_limit(void)
{
    size_t n = 3 * (size_t)LOCI_MAX_LOG_LINE;
    char *much = malloc(n + 100);
    loci_joblog *log = NULL;
    seen s = {0};
    FILE *f = fopen(in_folder("long.jsonl"), "wb");
    memset(much, 'x', n);
    much[n] = '\0';
    fprintf(f, "{\"step\":1}\n%s\n{\"step\":2}\n{\"step\":3,\"s\":\"%.*s\"}\n{\"step\":4}\n", much,
            LOCI_MAX_LOG_LINE - 17, much);
    fclose(f);
    warnings = 0;
    loci_log_to(count_warning, NULL);
    CK_OK(loci_joblog_each(in_folder("long.jsonl"), see, &s, &ck_err));
    loci_log_to(NULL, NULL);
    CU_ASSERT_TRUE(s.n == 4 && s.sum == 10 && s.last == 5 && warnings == 1);
    CK_OK(loci_joblog_open(&log, in_folder("long.jsonl"), 3, &ck_err));
    CU_ASSERT_EQUAL(loci_joblog_put(log, json_pack("{s:s}", "s", much), NULL), LOCI_E_ARG);
    CK_OK(put_step(log, 4));
    CK_OK(loci_joblog_close(log, &ck_err));
    s = (seen){0};
    loci_log_to(count_warning, NULL);
    CK_OK(loci_joblog_each(in_folder("long.jsonl"), see, &s, &ck_err));
    loci_log_to(NULL, NULL);
    CU_ASSERT_TRUE(s.n == 4 && s.last == 5);
    free(much);
}

static int full_disk(void)
{
    struct rlimit limit = {5000, 5000};
    loci_joblog *log = NULL;
    int lines = 0;
    seen s = {0};
    (void)signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 77;
    if (loci_joblog_open(&log, in_folder("full.jsonl"), -1, NULL) != LOCI_OK)
        return 1;
    while (lines < 1000 && put_step(log, 1) == LOCI_OK)
        lines++;
    if (lines == 1000 || lines < 50)
        return 2;
    (void)loci_joblog_close(log, NULL);
    return loci_joblog_each(in_folder("full.jsonl"), see, &s, NULL) == LOCI_OK && s.n == lines && s.sum == lines ? 0
                                                                                                                 : 3;
}

static void log__takes_back_a_line_that_did_not_fit(void)
{
    int how = 0;
    pid_t pid;
    (void)fflush(stdout);
    pid = fork();
    if (pid == 0)
        _exit(full_disk());
    CU_ASSERT_EQUAL(waitpid(pid, &how, 0), pid);
    if (WIFEXITED(how) && WEXITSTATUS(how) == 77)
        CK_SKIP("limits cannot be set");
    CU_ASSERT_TRUE(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    if (!WIFEXITED(how) || WEXITSTATUS(how) != 0)
        printf("\n    status %d\n", how);
}

/* ---- the index ---- */

typedef struct listed {
    char names[200];
    loci_run_row last;
} listed;

static loci_status list_row(void *arg, const loci_run_row *row, loci_error *err)
{
    listed *l = arg;
    (void)err;
    (void)snprintf(l->names + strlen(l->names), sizeof l->names - strlen(l->names), "%s ", row->name);
    l->last = *row;
    return LOCI_OK;
}

static void make_runs(void)
{
    static const char *const made[] = {"runs/old/checkpoints/000010", "runs/sweep/mac-1", "runs/new", "runs/empty"};
    for (int i = 0; i < 4; i++)
        CK_OK(loci_folder_make(in_folder(made[i]), &ck_err));
    write_text("runs/old/log.jsonl",
               "{\"event\":\"start\",\"time\":1000}\n{\"event\":\"step\",\"step\":10,\"loss_nats\":2.5}\n"
               "{\"event\":\"end\",\"step\":10,\"loss_nats\":2.25,\"valid_loss_nats\":2.5,\"time\":1060}\n");
    write_text("runs/old/config.ini", "[run]\nseed = 1\n");
    write_text("runs/old/checkpoints/000010/log.jsonl", "{}\n");
    write_text("runs/sweep/mac-1/log.jsonl",
               "{\"event\":\"start\",\"time\":2000}\n{\"event\":\"step\",\"step\":3,\"loss_nats\":null}\n");
    write_text("runs/new/log.jsonl", "{\"event\":\"start\",\"time\":3000}\n");
    CU_ASSERT_TRUE(symlink("..", in_folder("runs/loop")) == 0 || access(in_folder("runs/loop"), F_OK) == 0);
}

static void scan__finds_runs_and_reads_their_logs(void)
{
    listed l = {0};
    loci_run_row row;
    uint64_t hash = 1;
    make_runs();
    CK_OK(loci_runs_scan(in_folder("runs"), list_row, &l, &ck_err));
    CU_ASSERT_STRING_EQUAL(l.names, "new old sweep/mac-1 ");
    CK_OK(loci_run_read(&row, "old", in_folder("runs/old"), &ck_err));
    CK_OK(loci_file_hash(&hash, in_folder("runs/old/config.ini"), &ck_err));
    CU_ASSERT_TRUE(row.started == 1000 && row.finished == 1060 && row.step == 10 && row.loss_nats == 2.25);
    CU_ASSERT_TRUE(row.valid_loss_nats == 2.5 && row.config_hash == hash);
    CK_OK(loci_run_read(&row, "s", in_folder("runs/sweep/mac-1"), &ck_err));
    CU_ASSERT_TRUE(isnan(row.finished) && isnan(row.loss_nats) && row.step == 3 && row.config_hash == 0);
    CU_ASSERT_EQUAL(loci_run_read(&row, "e", in_folder("runs/empty"), NULL), LOCI_E_IO);
    CU_ASSERT_EQUAL(loci_runs_scan(in_folder("absent"), list_row, &l, NULL), LOCI_E_IO);
}

static bool have_sqlite(void)
{
    loci_runs *runs = NULL;
    loci_status status = loci_runs_open(&runs, in_folder("runs"), NULL);
    loci_runs_close(runs);
    return status != LOCI_E_UNSUPPORTED;
}

static void index__is_rebuilt_from_the_folders_and_lists_the_newest_first(void)
{
    loci_runs *runs = NULL;
    listed l = {0};
    make_runs();
    if (!have_sqlite())
        CK_SKIP("built without sqlite");
    CK_OK(loci_runs_open(&runs, in_folder("runs"), &ck_err));
    CK_OK(loci_runs_add(runs, &(loci_run_row){"gone", 1, 2, UINT64_MAX, 3, 4, NAN}, &ck_err));
    CK_OK(loci_runs_list(runs, list_row, &l, &ck_err));
    CU_ASSERT_STRING_EQUAL(l.names, "gone ");
    CU_ASSERT_TRUE(l.last.started == 1 && l.last.finished == 2 && l.last.config_hash == UINT64_MAX &&
                   l.last.step == 3 && l.last.loss_nats == 4 && isnan(l.last.valid_loss_nats));
    CK_OK(loci_runs_rebuild(runs, &ck_err));
    loci_runs_close(runs);
    CK_OK(loci_runs_open(&runs, in_folder("runs"), &ck_err));
    l = (listed){{0}, {0}};
    CK_OK(loci_runs_list(runs, list_row, &l, &ck_err));
    CU_ASSERT_STRING_EQUAL(l.names, "new sweep/mac-1 old ");
    CK_OK(loci_runs_add(runs, &(loci_run_row){"old'; DROP TABLE run; --", 9999, NAN, 0, -1, NAN, NAN}, &ck_err));
    CK_OK(loci_runs_add(runs, &(loci_run_row){"old", 5000, NAN, 0, -1, NAN, NAN}, &ck_err)); /* replaces */
    l = (listed){{0}, {0}};
    CK_OK(loci_runs_list(runs, list_row, &l, &ck_err));
    CU_ASSERT_STRING_EQUAL(l.names, "old'; DROP TABLE run; -- old new sweep/mac-1 ");
    loci_runs_close(runs);
}

static void index__that_is_damaged_or_newer_is_made_again(void)
{
    loci_runs *runs = NULL;
    listed l = {0};
    make_runs();
    if (!have_sqlite())
        CK_SKIP("built without sqlite");
    write_text("runs/runs.sqlite",
               "this is no database, it only has its name, and it is long enough to be looked at ........");
    CK_OK(loci_runs_open(&runs, in_folder("runs"), &ck_err));
    CK_OK(loci_runs_list(runs, list_row, &l, &ck_err));
    loci_runs_close(runs);
    CU_ASSERT_STRING_EQUAL(l.names, "new sweep/mac-1 old ");
    {
        FILE *f = fopen(in_folder("runs/runs.sqlite"), "r+b"); /* user_version: four big-endian bytes at 60 */
        fseek(f, 63, SEEK_SET);
        fputc(99, f);
        fclose(f);
    }
    l = (listed){{0}, {0}};
    CK_OK(loci_runs_open(&runs, in_folder("runs"), &ck_err));
    CK_OK(loci_runs_list(runs, list_row, &l, &ck_err));
    loci_runs_close(runs);
    CU_ASSERT_STRING_EQUAL(l.names, "new sweep/mac-1 old ");
    CU_ASSERT_EQUAL(loci_runs_open(&runs, in_folder("absent"), NULL), LOCI_E_IO);
}

static void the_folder_of_these_tests__can_be_removed(void)
{
    (void)in_folder("");
    CK_OK(loci_folder_remove(folder, &ck_err));
    CU_ASSERT_EQUAL(loci_memory_held(), 0);
}

#define TESTS(X) \
    X(log__writes_one_whole_line_at_a_time) \
    X(log__removes_a_torn_last_line_when_opened) \
    X(log__forgets_what_lies_behind_the_step_it_resumes_at) \
    X(log__reading_skips_what_is_no_object) \
    X(log__lines_have_a_limit) \
    X(log__takes_back_a_line_that_did_not_fit) \
    X(scan__finds_runs_and_reads_their_logs) \
    X(index__is_rebuilt_from_the_folders_and_lists_the_newest_first) \
    X(index__that_is_damaged_or_newer_is_made_again) \
    X(the_folder_of_these_tests__can_be_removed)

CK_MAIN("log", TESTS)

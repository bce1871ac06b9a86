/* SPDX-License-Identifier: Apache-2.0
 *
 * core/base: errors, counted memory, sizes, messages, text.
 */
#include "core/base/base.h"
#include "tests/ck.h"

#include <pthread.h>

/* ---- errors ---------------------------------------------------------------------------------------------------- */

static void error__first_failure_wins(void)
{
    loci_error err = LOCI_ERROR_INIT;
    CU_ASSERT_EQUAL(loci_fail(&err, LOCI_E_ARG, "value %d is above %d", 7, 5), LOCI_E_ARG);
    CU_ASSERT_EQUAL(loci_fail(&err, LOCI_E_IO, "later"), LOCI_E_IO);
    CU_ASSERT_EQUAL(err.code, LOCI_E_ARG);
    CU_ASSERT_STRING_EQUAL(err.msg, "value 7 is above 5");
}

static void error__null_is_allowed(void)
{
    CU_ASSERT_EQUAL(loci_fail(NULL, LOCI_E_NOMEM, "x"), LOCI_E_NOMEM);
    CU_ASSERT_EQUAL(loci_fail_in(NULL, LOCI_E_NOMEM, "x"), LOCI_E_NOMEM);
    loci_error_clear(NULL);
}

static void error__outer_text_comes_before_inner(void)
{
    loci_error err = LOCI_ERROR_INIT;
    loci_fail(&err, LOCI_E_IO, "no such file");
    CU_ASSERT_EQUAL(loci_fail_in(&err, LOCI_E_CONFIG, "a.ini:%d", 3), LOCI_E_CONFIG);
    CU_ASSERT_EQUAL(err.code, LOCI_E_CONFIG);
    CU_ASSERT_STRING_EQUAL(err.msg, "a.ini:3: no such file");
}

static void error__outer_text_alone_when_inner_said_nothing(void)
{
    loci_error err = LOCI_ERROR_INIT;
    CU_ASSERT_EQUAL(loci_fail_in(&err, LOCI_E_DEVICE, "layer %d", 2), LOCI_E_DEVICE);
    CU_ASSERT_EQUAL(err.code, LOCI_E_DEVICE);
    CU_ASSERT_STRING_EQUAL(err.msg, "layer 2");
}

static void error__long_messages_are_cut_visibly(void)
{
    loci_error err = LOCI_ERROR_INIT;
    char text[1000];
    size_t n;
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    loci_fail(&err, LOCI_E_ARG, "%s", text);
    CU_ASSERT_EQUAL(strlen(err.msg), sizeof err.msg - 1);
    CU_ASSERT_STRING_EQUAL(err.msg + sizeof err.msg - 4, "...");
    loci_fail_in(&err, LOCI_E_ARG, "outer");
    CU_ASSERT_EQUAL(strlen(err.msg), sizeof err.msg - 1);
    CU_ASSERT_EQUAL(strncmp(err.msg, "outer: xxx", 10), 0);
    CU_ASSERT_STRING_EQUAL(err.msg + sizeof err.msg - 4, "...");

    /* two-byte characters at odd offsets: none is cut in half */
    for (size_t i = 0; i + 2 < sizeof text; i += 2)
        memcpy(text + i, "\xC3\xA9", 3);
    loci_error_clear(&err);
    loci_fail(&err, LOCI_E_ARG, "a%s", text);
    n = strlen(err.msg);
    CU_ASSERT_STRING_EQUAL(err.msg + n - 3, "...");
    CU_ASSERT_EQUAL((unsigned char)err.msg[n - 4], 0xA9);
}

static void error__may_quote_itself(void)
{
    loci_error err = LOCI_ERROR_INIT;
    loci_fail(&err, LOCI_E_IO, "inner");
    loci_fail_in(&err, LOCI_E_IO, "[%s]", err.msg);
    CU_ASSERT_STRING_EQUAL(err.msg, "[inner]: inner");
}

static void error__cleared_takes_the_next(void)
{
    loci_error err = LOCI_ERROR_INIT;
    loci_fail(&err, LOCI_E_IO, "one");
    loci_error_clear(&err);
    CU_ASSERT_EQUAL(err.code, LOCI_OK);
    CU_ASSERT_EQUAL(err.struct_size, sizeof err);
    CU_ASSERT_STRING_EQUAL(err.msg, "");
    loci_fail(&err, LOCI_E_ARG, "two");
    CU_ASSERT_STRING_EQUAL(err.msg, "two");
}

static void error__of_an_older_writer_is_not_overrun(void)
{
    loci_error err = {.struct_size = (uint32_t)offsetof(loci_error, msg)};
    memset(err.msg, 0x5A, sizeof err.msg);
    loci_fail(&err, LOCI_E_IO, "text");
    loci_fail_in(&err, LOCI_E_IO, "more");
    CU_ASSERT_EQUAL(err.code, LOCI_E_IO);
    CU_ASSERT_EQUAL(err.msg[0], 0x5A);
    CU_ASSERT_EQUAL(err.msg[sizeof err.msg - 1], 0x5A);
}

/* ---- memory ---------------------------------------------------------------------------------------------------- */

static int all_zero(const char *p, size_t n)
{
    while (n > 0 && p[n - 1] == 0)
        n--;
    return n == 0;
}

static void memory__is_aligned_zeroed_and_counted(void)
{
    static const size_t sizes[] = {0, 1, 15, 16, 63, 64, 65, 1000, 1 << 20};
    size_t before = loci_memory_held(), sum = 0;
    void *p[sizeof sizes / sizeof *sizes];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        p[i] = loci_alloc(sizes[i]);
        CU_ASSERT_PTR_NOT_NULL_FATAL(p[i]);
        CU_ASSERT_EQUAL((uintptr_t)p[i] % 64, 0);
        CU_ASSERT(all_zero(p[i], sizes[i]));
        memset(p[i], 0xFF, sizes[i]);
        sum += sizes[i];
        CU_ASSERT_EQUAL(loci_memory_held() - before, sum);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        loci_free(p[i]);
    loci_free(NULL);
    CU_ASSERT_EQUAL(loci_memory_held(), before);
}

static void memory__realloc_keeps_and_zeroes(void)
{
    char *p = loci_realloc(NULL, 10), *q;
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    memset(p, 7, 10);
    q = loci_realloc(p, 5000);
    CU_ASSERT_PTR_NOT_NULL_FATAL(q);
    CU_ASSERT_EQUAL((uintptr_t)q % 64, 0);
    CU_ASSERT(q[0] == 7 && q[9] == 7);
    CU_ASSERT(all_zero(q + 10, 4990));
    q = loci_realloc(q, 3);
    CU_ASSERT_PTR_NOT_NULL_FATAL(q);
    CU_ASSERT(q[0] == 7 && q[2] == 7);
    q = loci_realloc(q, 10);
    CU_ASSERT_PTR_NOT_NULL_FATAL(q);
    CU_ASSERT(all_zero(q + 3, 7));
    loci_free(q);
}

static void memory__failed_realloc_leaves_the_old_block(void)
{
    size_t before = loci_memory_held();
    char *p = loci_alloc(4);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    p[3] = 9;
    loci_memory_fail_at(1);
    CU_ASSERT_PTR_NULL(loci_realloc(p, 100));
    CU_ASSERT_EQUAL(p[3], 9);
    CU_ASSERT_EQUAL(loci_memory_held(), before + 4);
    loci_free(p);
}

static void memory__peak_is_the_most_since_reset(void)
{
    size_t before;
    void *p;
    loci_memory_reset_peak();
    before = loci_memory_held();
    CU_ASSERT_EQUAL(loci_memory_peak(), before);
    p = loci_alloc(3000);
    loci_free(p);
    p = loci_alloc(100);
    CU_ASSERT_EQUAL(loci_memory_peak(), before + 3000);
    loci_memory_reset_peak();
    CU_ASSERT_EQUAL(loci_memory_peak(), before + 100);
    loci_free(p);
}

static void memory__nth_allocation_fails_once(void)
{
    void *a, *b, *c;
    loci_memory_fail_at(2);
    a = loci_alloc(1);
    b = loci_alloc(1);
    c = loci_alloc(1);
    CU_ASSERT_PTR_NOT_NULL(a);
    CU_ASSERT_PTR_NULL(b);
    CU_ASSERT_PTR_NOT_NULL(c);
    loci_free(a);
    loci_free(c);
    loci_memory_fail_at(1);
    loci_memory_fail_at(0);
    a = loci_alloc(1);
    CU_ASSERT_PTR_NOT_NULL(a);
    loci_free(a);
}

static void memory__too_much_is_null_not_a_wrap(void)
{
    CU_ASSERT_PTR_NULL(loci_alloc(SIZE_MAX));
    CU_ASSERT_PTR_NULL(loci_alloc(SIZE_MAX - 64));
    CU_ASSERT_PTR_NULL(loci_alloc(PTRDIFF_MAX));
}

static void *churn(void *arg)
{
    void *own[8] = {0};
    (void)arg;
    for (size_t i = 0; i < 20000; i++) {
        loci_free(own[i % 8]);
        own[i % 8] = loci_alloc(i % 300);
    }
    for (size_t i = 0; i < 8; i++)
        loci_free(own[i]);
    return NULL;
}

static void memory__count_is_exact_across_threads(void)
{
    size_t before = loci_memory_held();
    pthread_t threads[4];
    loci_memory_reset_peak();
    for (size_t i = 0; i < 4; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, churn, NULL), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CU_ASSERT_EQUAL(loci_memory_held(), before);
    CU_ASSERT(loci_memory_peak() >= before + 299);
    CU_ASSERT(loci_memory_peak() <= before + 4 * 8 * 299);
}

static void memory__strings_are_counted(void)
{
    size_t before = loci_memory_held();
    char *s = loci_strdup("abc"), *f = loci_format("%s-%04d", "x", 12);
    CU_ASSERT_STRING_EQUAL(s, "abc");
    CU_ASSERT_STRING_EQUAL(f, "x-0012");
    CU_ASSERT_EQUAL(loci_memory_held() - before, 4 + 7);
    loci_free(s);
    loci_free(f);
    loci_memory_fail_at(1);
    CU_ASSERT_PTR_NULL(loci_strdup("abc"));
    loci_memory_fail_at(1);
    CU_ASSERT_PTR_NULL(loci_format("abc"));
    loci_memory_fail_at(0);
}

/* ---- sizes ----------------------------------------------------------------------------------------------------- */

static void sizes__that_do_not_fit_are_refused(void)
{
    uint64_t r = 42;
    CU_ASSERT_FALSE(loci_mul(&r, UINT64_C(1) << 32, UINT64_C(1) << 32));
    CU_ASSERT_FALSE(loci_add(&r, UINT64_MAX, 1));
    CU_ASSERT_EQUAL(r, 42);
    CU_ASSERT(loci_mul(&r, UINT32_MAX, UINT32_MAX));
    CU_ASSERT_EQUAL(r, UINT64_C(0xFFFFFFFE00000001));
    CU_ASSERT(loci_mul(&r, UINT64_MAX, 0));
    CU_ASSERT_EQUAL(r, 0);
    CU_ASSERT(loci_add(&r, UINT64_MAX - 1, 1));
    CU_ASSERT_EQUAL(r, UINT64_MAX);
    CU_ASSERT_EQUAL(loci_align64(0), 0);
    CU_ASSERT_EQUAL(loci_align64(1), 64);
    CU_ASSERT_EQUAL(loci_align64(64), 64);
}

/* ---- messages -------------------------------------------------------------------------------------------------- */

static struct {
    int32_t level;
    char module[16];
    size_t len;
    int calls;
} heard;

static void hear(void *arg, int32_t level, const char *module, const char *msg)
{
    CU_ASSERT_PTR_EQUAL(arg, &heard);
    heard.level = level;
    snprintf(heard.module, sizeof heard.module, "%s", module);
    heard.len = strlen(msg);
    if (heard.calls++ == 0)
        loci_log(level, "again", "from inside");
}

static void log__goes_to_the_sink_whole(void)
{
    size_t before = loci_memory_held();
    loci_log_to(NULL, NULL);
    loci_log(LOCI_LOG_ERROR, "none", "nobody hears this");
    CU_ASSERT_EQUAL(heard.calls, 0);
    loci_log_to(hear, &heard);
    loci_log(LOCI_LOG_WARN, "one", "%d", 5);
    CU_ASSERT_EQUAL(heard.calls, 2);
    CU_ASSERT_EQUAL(heard.level, LOCI_LOG_WARN);
    loci_log(LOCI_LOG_INFO, "two", "%5000d", 1);
    CU_ASSERT_EQUAL(heard.len, 5000);
    CU_ASSERT_STRING_EQUAL(heard.module, "two");
    loci_memory_fail_at(1);
    loci_log(LOCI_LOG_INFO, "two", "%5000d", 1);
    CU_ASSERT_EQUAL(heard.len, 1023);
    loci_memory_fail_at(0);
    loci_log_to(NULL, NULL);
    CU_ASSERT_EQUAL(loci_memory_held(), before);
}

/* ---- text ------------------------------------------------------------------------------------------------------ */

static void text__grows_and_stays_terminated(void)
{
    loci_text t = {0};
    loci_text_bytes(&t, "", 0);
    CU_ASSERT_STRING_EQUAL(t.at, "");
    for (int i = 0; i < 1000; i++)
        loci_text_add(&t, "%03d,", i);
    loci_text_bytes(&t, "a\0b", 3);
    CU_ASSERT_FALSE(t.failed);
    CU_ASSERT_EQUAL(t.len, 4003);
    CU_ASSERT_EQUAL(memcmp(t.at, "000,001,", 8), 0);
    CU_ASSERT_EQUAL(memcmp(t.at + 3996, "999,a\0b\0", 8), 0);
    loci_text_free(&t);
    CU_ASSERT_PTR_NULL(t.at);
    loci_text_free(&t);
}

static void text__keeps_what_it_had_when_memory_ends(void)
{
    loci_text t = {0};
    loci_text_add(&t, "kept");
    loci_memory_fail_at(1);
    loci_text_add(&t, "%500d", 1);
    CU_ASSERT(t.failed);
    loci_text_add(&t, "x");
    loci_text_bytes(&t, "y", 1);
    CU_ASSERT_STRING_EQUAL(t.at, "kept");
    loci_text_free(&t);
}

/* ---- the rest -------------------------------------------------------------------------------------------------- */

static void distance__counts_edits_up_to_a_limit(void)
{
    char a[300], b[300];
    CU_ASSERT_EQUAL(loci_distance("", "", 3), 0);
    CU_ASSERT_EQUAL(loci_distance("", "ab", 3), 2);
    CU_ASSERT_EQUAL(loci_distance("kitten", "sitting", 5), 3);
    CU_ASSERT_EQUAL(loci_distance("sitting", "kitten", 3), 3);
    CU_ASSERT_EQUAL(loci_distance("kitten", "sitting", 2), 3);
    CU_ASSERT_EQUAL(loci_distance("abcdef", "uvwxyz", 2), 3);
    CU_ASSERT_EQUAL(loci_distance("a", "abcdefgh", 2), 3);
    CU_ASSERT_EQUAL(loci_distance("window_tok", "windw_tok", 0), 1);
    memset(a, 'a', 299);
    memset(b, 'a', 299);
    a[299] = b[299] = '\0';
    b[150] = 'b';
    CU_ASSERT_EQUAL(loci_distance(a, b, 4), 1);
    loci_memory_fail_at(1);
    CU_ASSERT_EQUAL(loci_distance(a, b, 4), 5);
    loci_memory_fail_at(0);
}

static void seconds__never_go_back(void)
{
    double t = loci_seconds();
    for (int i = 0; i < 1000; i++) {
        double u = loci_seconds();
        CU_ASSERT(u >= t);
        t = u;
    }
    CU_ASSERT(t > 0);
}

#define TESTS(X) \
    X(error__first_failure_wins) \
    X(error__null_is_allowed) \
    X(error__outer_text_comes_before_inner) \
    X(error__outer_text_alone_when_inner_said_nothing) \
    X(error__long_messages_are_cut_visibly) \
    X(error__may_quote_itself) \
    X(error__cleared_takes_the_next) \
    X(error__of_an_older_writer_is_not_overrun) \
    X(memory__is_aligned_zeroed_and_counted) \
    X(memory__realloc_keeps_and_zeroes) \
    X(memory__failed_realloc_leaves_the_old_block) \
    X(memory__peak_is_the_most_since_reset) \
    X(memory__nth_allocation_fails_once) \
    X(memory__too_much_is_null_not_a_wrap) \
    X(memory__count_is_exact_across_threads) \
    X(memory__strings_are_counted) \
    X(sizes__that_do_not_fit_are_refused) \
    X(log__goes_to_the_sink_whole) \
    X(text__grows_and_stays_terminated) \
    X(text__keeps_what_it_had_when_memory_ends) \
    X(distance__counts_edits_up_to_a_limit) \
    X(seconds__never_go_back)
CK_MAIN("base", TESTS)

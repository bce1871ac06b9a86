/* SPDX-License-Identifier: Apache-2.0
 *
 * The pool of threads: every item once, in pieces that do not depend on the threads, nested, forked, shared.
 */
#include "core/device/flush.h"
#include "core/device/pool.h"
#include "tests/ck.h"

#include <float.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ITEMS 1000

struct seen {
    _Atomic int hits[ITEMS];
    _Atomic int pieces, too_high;
    int64_t grain, n;
    uint32_t workers;
    _Atomic int odd; /* pieces that do not begin at a multiple of the grain, or do not end where they should */
};

static void mark(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    struct seen *s = arg;

    for (int64_t i = begin; i < end; i++)
        s->hits[i]++;
    s->pieces++;
    s->too_high += worker >= s->workers;
    s->odd += begin % s->grain != 0 || (end != begin + s->grain && end != s->n);
}

static void pool__visits_every_item_once_in_pieces_of_the_grain(void)
{
    static const int64_t counts[] = {0, 1, 2, 7, 64, 999, 1000}, grains[] = {1, 3, 64, 1000, 5000};

    for (int threads = 1; threads <= 5; threads += 2) {
        loci_pool *p = loci_pool_new(threads);
        CU_ASSERT_PTR_NOT_NULL_FATAL(p);
        CU_ASSERT_EQUAL(loci_pool_workers(p), (uint32_t)threads);
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
            for (size_t k = 0; k < sizeof grains / sizeof *grains; k++) {
                static struct seen s;
                int64_t n = counts[i], g = grains[k], wrong = 0;
                memset(&s, 0, sizeof s);
                s.grain = g;
                s.n = n;
                s.workers = loci_pool_workers(p);
                loci_pool_run(p, n, g, mark, &s);
                for (int64_t j = 0; j < ITEMS; j++)
                    wrong += s.hits[j] != (j < n);
                CK_TRUE(wrong == 0, "threads %d, n %d, grain %d: %d items wrong", threads, (int)n, (int)g, (int)wrong);
                CU_ASSERT_EQUAL(s.pieces, (n + g - 1) / g);
                CU_ASSERT_EQUAL(s.too_high, 0);
                CU_ASSERT_EQUAL(s.odd, 0);
            }
        loci_pool_free(p);
    }
}

static void pool__takes_a_grain_below_one_as_one(void)
{
    static struct seen s = {.grain = 1, .n = 5, .workers = 2};
    loci_pool *p = loci_pool_new(2);

    loci_pool_run(p, 5, 0, mark, &s);
    loci_pool_run(p, -3, 1, mark, &s);
    CU_ASSERT_EQUAL(s.pieces, 5);
    loci_pool_free(p);
}

struct huge {
    _Atomic int pieces;
    _Atomic int64_t last;
};

static void count_huge(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    struct huge *h = arg;

    (void)worker;
    h->pieces += end > begin;
    if (end == INT64_MAX)
        h->last = begin;
}

static void pool__cuts_the_largest_range_without_overflow(void)
{
    struct huge h = {0};
    int64_t grain = INT64_MAX / 4;
    loci_pool *p = loci_pool_new(2);

    loci_pool_run(p, INT64_MAX, grain, count_huge, &h);
    CU_ASSERT_EQUAL(h.pieces, 5);
    CU_ASSERT_EQUAL(h.last, 4 * grain);
    loci_pool_free(p);
}

/* Two pieces that wait for each other: they can only finish when two threads work. */
struct meeting {
    _Atomic int here;
    _Atomic int alone;
};

static void meet(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    struct meeting *m = arg;
    time_t until = time(NULL) + 10;

    (void)begin;
    (void)end;
    (void)worker;
    m->here++;
    while (m->here < 2)
        if (time(NULL) > until) {
            m->alone++;
            return;
        }
}

static void pool__works_with_several_threads_at_once(void)
{
    struct meeting m = {0};
    loci_pool *p = loci_pool_new(2);

    loci_pool_run(p, 2, 1, meet, &m);
    CU_ASSERT_EQUAL(m.alone, 0);
    loci_pool_free(p);
}

static void pool__wakes_threads_that_went_to_sleep(void)
{
    loci_pool *p = loci_pool_new(2);

    for (int i = 0; i < 5; i++) {
        struct meeting m = {0};
        struct timespec nap = {0, 20000000};
        loci_pool_run(p, 2, 1, meet, &m);
        CU_ASSERT_EQUAL(m.alone, 0);
        nanosleep(&nap, NULL);
    }
    loci_pool_free(p);
}

struct nest {
    loci_pool *pool;
    _Atomic int inner, other_worker, other_thread;
};
struct nest_inner {
    struct nest *nest;
    uint32_t worker;
    pthread_t self;
    int64_t next;
    int out_of_order;
};

static void nested_inner(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    struct nest_inner *in = arg;

    in->nest->inner += (int)(end - begin);
    in->nest->other_worker += worker != in->worker;
    in->nest->other_thread += !pthread_equal(in->self, pthread_self());
    in->out_of_order += begin != in->next;
    in->next = end;
}

static void nested_outer(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    struct nest *n = arg;

    for (int64_t i = begin; i < end; i++) {
        struct nest_inner in = {n, worker, pthread_self(), 0, 0};
        loci_pool_run(n->pool, 10, 3, nested_inner, &in);
        n->other_worker += in.out_of_order;
    }
}

static void pool__runs_nested_calls_inline_and_in_order(void)
{
    for (int64_t items = 1; items <= 40; items += 39) {
        struct nest n = {.pool = loci_pool_new(3)};
        loci_pool_run(n.pool, items, 1, nested_outer, &n);
        CU_ASSERT_EQUAL(n.inner, 10 * items);
        CU_ASSERT_EQUAL(n.other_worker, 0);
        CU_ASSERT_EQUAL(n.other_thread, 0);
        loci_pool_free(n.pool);
    }
}

struct caller {
    loci_pool *pool;
    int wrong;
};

static void *call_often(void *arg)
{
    struct caller *c = arg;
    struct seen *s = calloc(1, sizeof *s);

    for (int i = 0; i < 200; i++) {
        memset(s, 0, sizeof *s);
        s->grain = 7;
        s->n = 500;
        s->workers = 3;
        loci_pool_run(c->pool, 500, 7, mark, s);
        for (int j = 0; j < ITEMS; j++)
            c->wrong += s->hits[j] != (j < 500);
    }
    free(s);
    return NULL;
}

static void pool__serves_several_callers(void)
{
    struct caller c[3];
    pthread_t t[3];
    loci_pool *p = loci_pool_new(3);

    for (int i = 0; i < 3; i++) {
        c[i] = (struct caller){p, 0};
        CU_ASSERT_EQUAL_FATAL(pthread_create(&t[i], NULL, call_often, &c[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(t[i], NULL);
        CU_ASSERT_EQUAL(c[i].wrong, 0);
    }
    loci_pool_free(p);
}

/* Half the smallest normal number, by an operation that the compiler cannot do for us. */
static void halve(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    volatile float least = FLT_MIN;
    volatile double least_f64 = DBL_MIN;
    bool *flushed = arg;

    (void)worker;
    for (int64_t i = begin; i < end; i++)
        flushed[i] = least * 0.5f == 0 && least_f64 * 0.5 == 0;
}

static void pool__counts_subnormals_as_zero_inside_pieces_only(void)
{
    bool flushed[64] = {false}, outside = true;

    if (!LOCI_FLUSH)
        CK_SKIP("this processor is left as it is");
    for (int threads = 1; threads <= 2; threads++) {
        loci_pool *p = loci_pool_new(threads);
        memset(flushed, 0, sizeof flushed);
        loci_pool_run(p, 64, 1, halve, flushed);
        for (int i = 0; i < 64; i++)
            CK_TRUE(flushed[i], "%d threads, piece %d", threads, i);
        halve(&outside, 0, 1, 0);
        CU_ASSERT_FALSE(outside);
        loci_pool_free(p);
    }
}

static void pool__survives_fork(void)
{
    struct meeting m = {0};
    loci_pool *p = loci_pool_new(2);
    int status = 0;
    pid_t child;

    if (LOCI_SAN == 2) {
        loci_pool_free(p);
        CK_SKIP("thread sanitizer forbids new threads after a fork");
    }
    loci_pool_run(p, 2, 1, meet, &m);
    child = fork();
    CU_ASSERT_TRUE_FATAL(child >= 0);
    if (child == 0) {
        struct meeting in_child = {0};
        loci_pool_run(p, 2, 1, meet, &in_child);
        _exit(in_child.alone ? 1 : 42);
    }
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 42);
    m.here = 0;
    loci_pool_run(p, 2, 1, meet, &m); /* and the parent's threads are still there */
    CU_ASSERT_EQUAL(m.alone, 0);
    loci_pool_free(p);
}

static void pool__can_be_made_and_freed_unused(void)
{
    loci_pool *p = loci_pool_new(0);

    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    CU_ASSERT_TRUE(loci_pool_workers(p) >= 1);
    loci_pool_free(p);
    loci_pool_free(NULL);
}

static void pool__reports_no_memory(void)
{
    for (long n = 1; n <= 2; n++) {
        loci_memory_fail_at(n);
        CU_ASSERT_PTR_NULL(loci_pool_new(2));
        loci_memory_fail_at(0);
    }
}

struct place {
    int core;                /* the caller's */
    _Atomic int met, in_way; /* threads that came, and those that may run on that core */
};

/* The caller stays until a thread has come. */
static void cross(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    struct place *p = arg;
    cpu_set_t mine;

    (void)begin;
    (void)end;
    if (worker > 0) {
        CU_ASSERT_EQUAL(sched_getaffinity(0, sizeof mine, &mine), 0);
        p->in_way += CPU_ISSET(p->core, &mine) != 0;
        p->met++;
    }
    for (int ms = 0; worker == 0 && !p->met && ms < 10000; ms++)
        usleep(1000);
}

/* Runs a pool from every core that this process may use; from how many could a thread get in the caller's way? */
static int in_way(loci_pool *pool, const cpu_set_t *cores)
{
    struct place anywhere = {.core = 0};
    int n = 0;

    loci_pool_run(pool, 2, 1, cross, &anywhere); /* threads start with the caller's cores */
    for (int core = 0; core < CPU_SETSIZE; core++) {
        struct place p = {.core = core};
        cpu_set_t one;

        if (!CPU_ISSET(core, cores))
            continue;
        CPU_ZERO(&one);
        CPU_SET(core, &one);
        CU_ASSERT_EQUAL(sched_setaffinity(0, sizeof one, &one), 0);
        loci_pool_run(pool, 2, 1, cross, &p);
        CU_ASSERT_TRUE(p.met > 0);
        n += p.in_way > 0;
    }
    CU_ASSERT_EQUAL(sched_setaffinity(0, sizeof *cores, cores), 0);
    return n;
}

static void pool__leaves_the_callers_core_to_it(void)
{
    loci_pool *pair = loci_pool_new(2), *crowd;
    cpu_set_t cores;

    CU_ASSERT_EQUAL_FATAL(sched_getaffinity(0, sizeof cores, &cores), 0);
    crowd = loci_pool_new(CPU_COUNT(&cores) + 1);
    CU_ASSERT_FATAL(pair && crowd);
    if (CPU_COUNT(&cores) > 1)
        CU_ASSERT_EQUAL(in_way(pair, &cores), 0);
    loci_pool_free(pair);
    CU_ASSERT_EQUAL(in_way(crowd, &cores), CPU_COUNT(&cores)); /* more threads than cores: all run everywhere */
    loci_pool_free(crowd);
}

struct whose {
    _Atomic pid_t thread;
    cpu_set_t cores; /* that it may use */
};

static void look(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    struct whose *w = arg;

    (void)begin;
    (void)end;
    if (worker > 0) {
        CU_ASSERT_EQUAL(sched_getaffinity(0, sizeof w->cores, &w->cores), 0);
        w->thread = gettid();
    }
    for (int ms = 0; worker == 0 && !w->thread && ms < 10000; ms++)
        usleep(1000);
}

/* Whoever puts a thread elsewhere is not overruled when the caller moves. */
static void pool__leaves_a_thread_where_others_put_it(void)
{
    struct whose w = {.thread = 0};
    cpu_set_t cores, theirs, one;
    loci_pool *p;

    CU_ASSERT_EQUAL_FATAL(sched_getaffinity(0, sizeof cores, &cores), 0);
    if (CPU_COUNT(&cores) < 2)
        CK_SKIP("needs two cores");
    p = loci_pool_new(2);
    loci_pool_run(p, 2, 1, look, &w);
    CPU_XOR(&theirs, &cores, &w.cores); /* what the pool keeps it from */
    CU_ASSERT_EQUAL_FATAL(CPU_COUNT(&theirs), 1);
    CU_ASSERT_EQUAL_FATAL(sched_setaffinity(w.thread, sizeof theirs, &theirs), 0);
    for (int i = 0; i < 2 * CPU_SETSIZE; i++) {
        const int core = i % CPU_SETSIZE;

        if (!CPU_ISSET(core, &cores))
            continue;
        CPU_ZERO(&one);
        CPU_SET(core, &one);
        CU_ASSERT_EQUAL(sched_setaffinity(0, sizeof one, &one), 0);
        w.thread = 0;
        loci_pool_run(p, 2, 1, look, &w);
        CU_ASSERT_TRUE(w.thread > 0 && CPU_EQUAL(&w.cores, &theirs));
    }
    CU_ASSERT_EQUAL(sched_setaffinity(0, sizeof cores, &cores), 0);
    loci_pool_free(p);
}

#define TESTS(X) \
    X(pool__visits_every_item_once_in_pieces_of_the_grain) \
    X(pool__takes_a_grain_below_one_as_one) \
    X(pool__cuts_the_largest_range_without_overflow) \
    X(pool__works_with_several_threads_at_once) \
    X(pool__wakes_threads_that_went_to_sleep) \
    X(pool__runs_nested_calls_inline_and_in_order) \
    X(pool__serves_several_callers) \
    X(pool__counts_subnormals_as_zero_inside_pieces_only) \
    X(pool__survives_fork) \
    X(pool__leaves_the_callers_core_to_it) \
    X(pool__leaves_a_thread_where_others_put_it) \
    X(pool__can_be_made_and_freed_unused) \
    X(pool__reports_no_memory)
CK_MAIN("pool", TESTS)

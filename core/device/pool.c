/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/pool: see pool.h. How a call meets its threads:
 *
 *   caller                                    thread
 *   writes the job, opens the door            waits until `epoch` differs from the last one it saw
 *   epoch + 1, wakes sleepers                 enters: door + 1, only while it is open
 *   takes pieces until none is left           takes pieces until none is left
 *   closes the door                           leaves: door - 1
 *   waits until nobody is inside
 *
 *  (7) The job is written only while the door is closed and nobody is inside, so a thread that wakes too late finds a
 *      closed door and never reads a job that is being replaced. The caller does not wait for late threads.
 *  (8) Sleeping follows Dekker: announce, look again, sleep; the waker publishes, then looks who announced. Both sides
 *      use sequentially consistent atomics, so one of them sees the other.
 *  (9) After a fork the child has one thread. The handlers below hold the list of pools still during the fork and then
 *      make each pool of the child as new, its threads not yet started.
 * (10) The end is announced like a job: quit, then epoch + 1. A thread reads them the other way round, epoch first, or
 *      it could miss the end and then sleep on the epoch that announced it.
 * (11) Schedulers like to wake a thread on the core of the one that wakes it, and those of some virtual machines pack
 *      threads on few cores. There it would wait for the caller, which computes, while another core idles. So where
 *      there is a core for each thread, threads may run on all cores but the one that the caller was on last. A thread
 *      whose cores somebody else has set since then (taskset, a cpuset, a scheduler of the program) stays as it is.
 */
#include "core/device/pool.h"
#include "core/device/flush.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#define DOOR_OPEN UINT32_C(0x80000000)
#define SPIN_NS 30000
#define MAX_THREADS 1024

typedef struct pool_thread {
    loci_pool *pool;
    uint32_t worker;
    pthread_t handle;
    cpu_set_t given; /* the cores that it inherited or that we set last, (11) */
} pool_thread;

struct loci_pool {
    uint32_t threads;     /* asked for, the caller included */
    uint32_t n_started;   /* threads running, without the caller */
    bool start_failed;    /* do not try again at every call */
    pool_thread *started; /* [threads - 1] */
    cpu_set_t cores;      /* that this process could use when the pool was made; empty where that is unknown */
    int shunned;          /* the core that the threads leave to the caller, -1: none, (11) */
    pthread_mutex_t call; /* held by the one call in progress */

    loci_task_fn fn;
    void *arg;
    uint64_t n, grain, pieces;
    _Alignas(64) _Atomic uint64_t next;
    _Alignas(64) _Atomic uint32_t door; /* DOOR_OPEN | threads inside */
    _Alignas(64) _Atomic uint32_t epoch;
    _Atomic uint32_t sleepers;
    _Atomic bool caller_sleeps, quit;

    pthread_mutex_t sleep;
    pthread_cond_t wake, done;
    loci_pool *next_pool;
};

static pthread_mutex_t pools_lock = PTHREAD_MUTEX_INITIALIZER;
static loci_pool *pools;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static _Thread_local bool inside;            /* this thread is computing a piece */
static _Thread_local uint32_t inside_worker; /* as which worker */

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Spin until *word differs from `old` (want true) or equals it (want false); false when the time is up. */
static bool spin(_Atomic uint32_t *word, uint32_t old, bool differs)
{
    int64_t until = 0;

    for (unsigned i = 1;; i++) {
        if ((atomic_load(word) != old) == differs)
            return true;
        relax();
        if (i % 32 == 0) {
            int64_t now = now_ns();
            if (!until)
                until = now + SPIN_NS;
            else if (now > until)
                return false;
        }
    }
}

static void take_pieces(loci_pool *p, uint32_t worker)
{
    uint64_t i;
    uint32_t control = loci_flush_on();

    inside = true;
    inside_worker = worker;
    while ((i = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed)) < p->pieces) {
        uint64_t begin = i * p->grain;
        uint64_t end = p->n - begin > p->grain ? begin + p->grain : p->n;
        p->fn(p->arg, (int64_t)begin, (int64_t)end, worker);
    }
    inside = false;
    loci_flush_off(control);
}

static bool enter(loci_pool *p)
{
    uint32_t door = atomic_load(&p->door);

    while (door & DOOR_OPEN)
        if (atomic_compare_exchange_weak(&p->door, &door, door + 1))
            return true;
    return false;
}

static void leave(loci_pool *p)
{
    if (atomic_fetch_sub(&p->door, 1) == 1 && atomic_load(&p->caller_sleeps)) {
        pthread_mutex_lock(&p->sleep);
        pthread_cond_signal(&p->done);
        pthread_mutex_unlock(&p->sleep);
    }
}

static void *thread_main(void *arg)
{
    const pool_thread *self = arg;
    loci_pool *p = self->pool;
    uint32_t seen;

    for (;;) {
        seen = atomic_load(&p->epoch); /* (10) */
        if (atomic_load(&p->quit))
            return NULL;
        if (enter(p)) {
            take_pieces(p, self->worker);
            leave(p);
        }
        if (spin(&p->epoch, seen, true))
            continue;
        pthread_mutex_lock(&p->sleep);
        atomic_fetch_add(&p->sleepers, 1);
        while (atomic_load(&p->epoch) == seen)
            pthread_cond_wait(&p->wake, &p->sleep);
        atomic_fetch_sub(&p->sleepers, 1);
        pthread_mutex_unlock(&p->sleep);
    }
}

static void announce(loci_pool *p)
{
    atomic_fetch_add(&p->epoch, 1);
    if (atomic_load(&p->sleepers)) {
        pthread_mutex_lock(&p->sleep);
        pthread_cond_broadcast(&p->wake);
        pthread_mutex_unlock(&p->sleep);
    }
}

/* (11) */
static void leave_core(loci_pool *p)
{
    const int core = sched_getcpu();
    cpu_set_t others = p->cores, now;

    if (core < 0 || core == p->shunned || !CPU_ISSET(core, &others) || (uint32_t)CPU_COUNT(&others) < p->threads)
        return;
    CPU_CLR(core, &others);
    p->shunned = core;
    for (uint32_t i = 0; i < p->n_started; i++) {
        pool_thread *t = &p->started[i];
        if (pthread_getaffinity_np(t->handle, sizeof now, &now) == 0 && CPU_EQUAL(&now, &t->given) &&
            pthread_setaffinity_np(t->handle, sizeof others, &others) == 0)
            t->given = others;
    }
}

/* Signals are the program's business, so the threads block them all. */
static void start_threads(loci_pool *p)
{
    sigset_t all, old;

    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &old) != 0)
        return;
    while (p->n_started + 1 < p->threads && !p->start_failed) {
        pool_thread *t = &p->started[p->n_started];
        t->pool = p;
        t->worker = p->n_started + 1;
        CPU_ZERO(&t->given);
        sched_getaffinity(0, sizeof t->given, &t->given);
        if (pthread_create(&t->handle, NULL, thread_main, t) == 0)
            p->n_started++;
        else
            p->start_failed = true;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void run_inline(uint64_t n, uint64_t grain, loci_task_fn fn, void *arg)
{
    bool outer = inside;
    uint32_t worker = outer ? inside_worker : 0, control = loci_flush_on();

    inside = true;
    inside_worker = worker;
    for (uint64_t begin = 0; begin < n;) {
        uint64_t end = n - begin > grain ? begin + grain : n;
        fn(arg, (int64_t)begin, (int64_t)end, worker);
        begin = end;
    }
    inside = outer;
    loci_flush_off(control);
}

static void close_door(loci_pool *p)
{
    uint32_t left = atomic_fetch_and(&p->door, ~DOOR_OPEN) & ~DOOR_OPEN;

    if (left == 0 || spin(&p->door, 0, false))
        return;
    pthread_mutex_lock(&p->sleep);
    atomic_store(&p->caller_sleeps, true);
    while (atomic_load(&p->door) != 0)
        pthread_cond_wait(&p->done, &p->sleep);
    atomic_store(&p->caller_sleeps, false);
    pthread_mutex_unlock(&p->sleep);
}

void loci_pool_run(loci_pool *p, int64_t n, int64_t grain, loci_task_fn fn, void *arg)
{
    uint64_t step = grain < 1 ? 1 : (uint64_t)grain;

    if (n <= 0)
        return;
    if (inside || p->threads == 1 || (uint64_t)n <= step || pthread_mutex_trylock(&p->call) != 0) {
        run_inline((uint64_t)n, step, fn, arg);
        return;
    }
    start_threads(p);
    leave_core(p);
    p->fn = fn;
    p->arg = arg;
    p->n = (uint64_t)n;
    p->grain = step;
    p->pieces = ((uint64_t)n - 1) / step + 1;
    atomic_store_explicit(&p->next, 0, memory_order_relaxed);
    atomic_store(&p->door, DOOR_OPEN);
    announce(p);
    take_pieces(p, 0);
    close_door(p);
    pthread_mutex_unlock(&p->call);
}

uint32_t loci_pool_workers(const loci_pool *p)
{
    return p->threads;
}

static void make_fresh(loci_pool *p)
{
    pthread_mutex_init(&p->call, NULL);
    pthread_mutex_init(&p->sleep, NULL);
    pthread_cond_init(&p->wake, NULL);
    pthread_cond_init(&p->done, NULL);
    atomic_store(&p->door, 0);
    atomic_store(&p->sleepers, 0);
    atomic_store(&p->caller_sleeps, false);
    p->n_started = 0;
    p->start_failed = false;
    p->shunned = -1;
}

static void before_fork(void)
{
    pthread_mutex_lock(&pools_lock);
}

static void after_fork_parent(void)
{
    pthread_mutex_unlock(&pools_lock);
}

static void after_fork_child(void)
{
    for (loci_pool *p = pools; p; p = p->next_pool)
        make_fresh(p);
    pthread_mutex_unlock(&pools_lock);
}

static void watch_forks(void)
{
    pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

static int count_cores(cpu_set_t *set)
{
    int n = 1;

    if (sched_getaffinity(0, sizeof *set, set) == 0)
        n = CPU_COUNT(set);
    else
        CPU_ZERO(set);
    return n < 1 ? 1 : n;
}

loci_pool *loci_pool_new(int threads)
{
    loci_pool *p = loci_alloc(sizeof *p);
    int cores;

    if (!p)
        return NULL;
    cores = count_cores(&p->cores);
    if (threads < 1)
        threads = cores;
    p->threads = threads > MAX_THREADS ? MAX_THREADS : (uint32_t)threads;
    p->started = loci_alloc(sizeof(pool_thread) * p->threads);
    if (!p->started) {
        loci_free(p);
        return NULL;
    }
    make_fresh(p);
    pthread_once(&fork_once, watch_forks);
    pthread_mutex_lock(&pools_lock);
    p->next_pool = pools;
    pools = p;
    pthread_mutex_unlock(&pools_lock);
    return p;
}

void loci_pool_free(loci_pool *p)
{
    loci_pool **at = &pools;

    if (!p)
        return;
    pthread_mutex_lock(&pools_lock);
    while (*at != p)
        at = &(*at)->next_pool;
    *at = p->next_pool;
    pthread_mutex_unlock(&pools_lock);
    atomic_store(&p->quit, true);
    announce(p);
    for (uint32_t i = 0; i < p->n_started; i++)
        pthread_join(p->started[i].handle, NULL);
    pthread_mutex_destroy(&p->call);
    pthread_mutex_destroy(&p->sleep);
    pthread_cond_destroy(&p->wake);
    pthread_cond_destroy(&p->done);
    loci_free(p->started);
    loci_free(p);
}

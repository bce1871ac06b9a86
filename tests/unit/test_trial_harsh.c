/* SPDX-License-Identifier: Apache-2.0
 *
 * Trials in want and in harsh memory: an allocation that fails is a status, and whoever leaves his own is caught.
 */
#include "tests/unit/trial_rig.h"
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* The n-th allocation fails, for every n: a status and its sentence, nothing lost. (Some are only for a
 * message, and missed by nobody.) */
static void want_of_memory__is_a_status(void)
{
    static const char *const names[] = {"titans exact", "titans with front end", "mha", "mag"};

    NEED_PLUGINS;
    for (size_t i = 0; i < SUBJECTS; i++) {
        const struct subject *s = &subjects[i];
        const loci_trial_size size = {.docs = 2, .seq = 4, .dim = 8, .heads = 2, .dk = 4, .dv = 4, .dtype = loci_f64};
        loci_status status = LOCI_E_NOMEM;
        long refused = 0;
        bool wanted = false;
        struct rig r;
        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            wanted |= !strcmp(s->name, names[k]);
        if (!wanted)
            continue;
        CK_OK(rig_open(&r, s->kind, s->form, s->set, &size));
        loci_trial_free(r.t);
        r.t = NULL;
        for (long n = 1; n < 1200; n++) {
            loci_memory_fail_at(n);
            status = loci_trial_open(&r.t, r.cx, s->kind, s->form, &size, &ck_err);
            if (status == LOCI_OK)
                status = loci_trial_run(r.t, &(loci_trial_how){.back = true}, &ck_err);
            loci_memory_fail_at(0);
            if (status != LOCI_OK)
                CK_TRUE(status == LOCI_E_NOMEM && ck_err.msg[0], "%s, allocation %ld: %d, %s", s->name, n, (int)status,
                        ck_err.msg);
            refused += status != LOCI_OK;
            loci_trial_free(r.t);
            r.t = NULL;
            loci_error_clear(&ck_err);
        }
        CK_TRUE(status == LOCI_OK && refused > 50, "%s: %ld refusals, and at last %d", s->name, refused, (int)status);
        rig_close(&r);
    }
}

/* ---- who leaves his own ------------------------------------------------------------------------------------------ */

/* What a child process that runs fn ends with. */
static int ending(void (*fn)(void *), void *arg)
{
    int status = 0;
    const pid_t pid = fork();

    if (pid == 0) {
        const struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        fn(arg);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return -1;
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void touch(void *p)
{
    *(volatile char *)p = 1;
}

static void an_arena__ends_where_it_says(void)
{
    struct arena a;

    CK_OK(loci__arena_new(&a, NULL, 8, 8, true, &ck_err));
    CK_TRUE(ending(touch, (char *)a.at + 7) == 0, "the last byte");
    CK_TRUE(ending(touch, (char *)a.at + 8) == SIGSEGV, "the byte behind the last");
    loci__arena_free(&a);
    CK_OK(loci__arena_new(&a, NULL, 70, 64, true, &ck_err));
    CK_TRUE(((uintptr_t)a.at & 63) == 0, "64 bytes");
    CK_TRUE(loci__arena_intact(&a), "untouched");
    ((char *)a.at)[70] = 1;
    CK_TRUE(!loci__arena_intact(&a), "a byte behind the end");
    CK_TRUE(ending(touch, (char *)a.at + 128) == SIGSEGV, "the page behind the end");
    loci__arena_free(&a);
}

/* A device whose memory is the host's, elsewhere. */
static void *toy_alloc(loci_module *dev, uint64_t bytes)
{
    (void)dev;
    return aligned_alloc(64, (bytes + 63) / 64 * 64);
}

static void toy_free(loci_module *dev, void *p)
{
    (void)dev;
    free(p);
}

static loci_status toy_zero(loci_module *dev, void *stream, void *dst, uint64_t bytes)
{
    (void)dev;
    (void)stream;
    memset(dst, 0, bytes);
    return LOCI_OK;
}

static loci_status toy_move(loci_module *dev, void *stream, void *dst, const void *src, uint64_t bytes)
{
    (void)dev;
    (void)stream;
    memcpy(dst, src, bytes);
    return LOCI_OK;
}

static void an_arena__has_a_side_on_a_device(void)
{
    static const loci_device_class toy = {.struct_size = sizeof toy,
                                          .type = LOCI_CUDA,
                                          .alloc = toy_alloc,
                                          .free = toy_free,
                                          .zero = toy_zero,
                                          .up = toy_move,
                                          .down = toy_move};
    static const loci_class meta = {.struct_size = sizeof meta, .id = "toy"};
    loci_context cx = {.device_class = &toy, .device_meta = &meta, .device = {LOCI_CUDA, 0}};
    static const int outside[] = {-1, -64, 70, 133};
    struct arena a;

    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        char *card;
        CK_OK(loci__arena_new(&a, &cx, 70, i % 2 ? 4 : 64, i > 1, &ck_err));
        card = loci__arena_given(&a);
        CK_TRUE(card != (char *)a.at && ((uintptr_t)card & 63) == ((uintptr_t)a.at & 63), "its own place, as odd");
        memset(a.at, 1, 70);
        CK_OK(loci__arena_up(&a, &ck_err));
        CK_TRUE(card[0] == 1 && card[69] == 1 && loci__arena_intact(&a), "up, and nothing around it");
        card[69] = 2;
        CK_OK(loci__arena_down(&a, &ck_err));
        CK_TRUE(((char *)a.at)[69] == 2 && loci__arena_intact(&a), "down");
        card[outside[i]] = 0;
        CK_TRUE(!loci__arena_intact(&a), "a byte at %d", outside[i]);
        loci__arena_free(&a);
    }
}

/* A rule that is right but for one thing. */
enum { BAD_SCRATCH, BAD_SAVED, BAD_PADDING, BADS };
static struct bad {
    const loci_memory *right;
    int way;
} bad;

static loci_status bad_forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                               loci_error *err)
{
    const loci_status status = bad.right->forward(m, x, s, io, err);

    if (bad.way == BAD_SCRATCH)
        ((char *)x->scratch)[x->scratch_bytes] = 1;
    if (bad.way == BAD_SAVED && x->saved)
        ((char *)x->saved)[x->saved_bytes] = 1;
    if (bad.way == BAD_PADDING)
        ((double *)loci_ptr(io->y))[0] = 1; /* a token of padding, in the packed cut */
    return status;
}

static void run_harshly(void *t)
{
    loci_trial_run(t, &(loci_trial_how){.back = true, .harsh = true}, NULL);
}

static void harsh_memory__catches_who_leaves_his_own(void)
{
    struct rig r;

    NEED_PLUGINS;
    for (bad.way = 0; bad.way < BADS; bad.way++) {
        loci_class cls;
        loci_memory iface;
        loci_cutting packed;
        loci_status status;
        int end;
        if (!subject_open(&r, &subjects[0], loci_f64))
            return;
        cls = *r.t->node->cls;
        bad.right = cls.iface;
        iface = *bad.right;
        iface.forward = bad_forward;
        cls.iface = &iface;
        r.t->node->cls = &cls;
        CK_OK(loci_cut_packed(&packed, r.t, &ck_err));
        if (bad.way == BAD_PADDING) {
            status = loci_trial_run(r.t, &(loci_trial_how){.cut = &packed}, &ck_err);
            CK_TRUE(status == LOCI_E_PLUGIN && strstr(ck_err.msg, "which is in no run"), "%s", ck_err.msg);
        } else {
            end = ending(run_harshly, r.t);
            CK_TRUE(end == SIGSEGV, "way %d ended with %d", bad.way, end);
        }
        loci_cut_free(&packed);
        rig_close(&r);
    }
}

#define TESTS(X) \
    X(want_of_memory__is_a_status) \
    X(an_arena__ends_where_it_says) \
    X(an_arena__has_a_side_on_a_device) \
    X(harsh_memory__catches_who_leaves_his_own)
CK_MAIN("trial in harsh memory", TESTS)

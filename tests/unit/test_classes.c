/* SPDX-License-Identifier: Apache-2.0
 *
 * Classes: what a descriptor must say before anybody calls into it, and how `auto` ranks those that do. The plugin here
 * is compiled in, so that each of its fields can be spoiled.
 */
#include "core/plugin/load.h"
#include "tests/bad/bad.h"

/* ---- built-ins and selection ------------------------------------------------------------------------------------- */

static int32_t scores[3] = {10, 250, 10};

static loci_status fit0(const loci_host *h, const loci_config *g, const loci_shape *s, loci_fit *f)
{
    (void)h, (void)g, (void)s;
    f->score = scores[0];
    snprintf(f->reason, sizeof f->reason, "plain");
    return LOCI_OK;
}
static loci_status fit1(const loci_host *h, const loci_config *g, const loci_shape *s, loci_fit *f)
{
    (void)h, (void)g, (void)s;
    f->score = scores[1];
    snprintf(f->reason, sizeof f->reason, "fast");
    return LOCI_OK;
}
static loci_status fit2(const loci_host *h, const loci_config *g, const loci_shape *s, loci_fit *f)
{
    (void)h, (void)g, (void)s, (void)f;
    return LOCI_E_DEVICE;
}
static loci_status create(const loci_host *h, const loci_config *g, const loci_site *t, const loci_shape *s,
                          loci_module **m, loci_error *e)
{
    (void)h, (void)g, (void)t, (void)s, (void)m, (void)e;
    return LOCI_E_UNSUPPORTED;
}
static void destroy(loci_module *m)
{
    (void)m;
}
static loci_status plan(loci_module *m, const loci_shape *s, int32_t op, loci_need *n, loci_error *e)
{
    (void)m, (void)s, (void)op, (void)n, (void)e;
    return LOCI_OK;
}
static loci_status forward(loci_module *m, const loci_exec *x, const loci_slots *s, const loci_rule_io *io,
                           loci_error *e)
{
    (void)m, (void)x, (void)s, (void)io, (void)e;
    return LOCI_OK;
}
static const loci_memory rule = {.struct_size = sizeof rule, .needs = LOCI_MEM_V, .forward = forward};
#define CLASS(name, its_fit) \
    { \
        .struct_size = sizeof(loci_class), .id = name, .kind = LOCI_KIND_MEMORY, .version = "1", .fit = its_fit, \
        .create = create, .destroy = destroy, .plan = plan, .iface = &rule \
    }
static loci_class three[] = {CLASS("ccc", fit0), CLASS("bbb", fit1), CLASS("aaa", fit2)};
static const loci_class *const list[] = {&three[0], &three[1], &three[2]};
static const loci_plugin builtin = {LOCI_PLUGIN_HEAD, "built in", "1", "Apache-2.0", 3, 0, list};

static loci_status no_config(void *arg, const loci_class *c, loci_config *out, loci_error *err)
{
    (void)out;
    if (arg && !strcmp(c->id, arg))
        return loci_fail(err, LOCI_E_CONFIG, "its section is wrong");
    return LOCI_OK;
}

static void registry__built_ins_pass_the_same_checks(void)
{
    loci_error ck_err = LOCI_ERROR_INIT, refusal = LOCI_ERROR_INIT;
    loci_registry *r;
    const loci_class *c;
    loci_plugin twice = builtin;
    const loci_class *const same[] = {&three[0], &three[0]};
    twice.n_classes = 2;
    twice.classes = same;
    CK_OK(loci_registry_new(&r, LOCI_OWNERSHIP_CHECK, &ck_err));
    CU_ASSERT_EQUAL(loci_registry_builtin(r, &twice, &refusal), LOCI_E_PLUGIN);
    has(refusal.msg, "built-in: holds memory/ccc twice");
    CU_ASSERT_EQUAL(loci_registry_n(r), 0);
    CK_OK(loci_registry_builtin(r, &builtin, &ck_err));
    CU_ASSERT_EQUAL(loci_registry_n(r), 3);
    CU_ASSERT_STRING_EQUAL(loci_registry_entry(r, 0)->id, "aaa");
    CU_ASSERT_STRING_EQUAL(loci_registry_entry(r, 0)->path, "built-in");
    CK_OK(loci_registry_find(r, &c, "memory", "bbb", NULL, &ck_err));
    CU_ASSERT_PTR_EQUAL(c, &three[1]);
    loci_registry_free(r);
}

/* One field of a good class spoiled at a time. */
static void verify__names_what_a_class_lacks(void)
{
    static const loci_memory shorter = {.struct_size = 8, .forward = forward};
    static const loci_memory greedy = {.struct_size = sizeof greedy, .needs = 8, .forward = forward};
    static const loci_want want = {.struct_size = sizeof want, .role = "mixer", .kind = LOCI_KIND_MIXER};
    static const loci_want *const wants[] = {&want};
    static const struct {
        const char *part;
        loci_class c;
    } cases[] = {
#define BASE .struct_size = sizeof(loci_class), .version = "1", .create = create, .destroy = destroy
#define GOOD BASE, .id = "x", .kind = LOCI_KIND_MEMORY, .fit = fit0, .plan = plan
        {"memory/x: has no fit", {BASE, .id = "x", .kind = LOCI_KIND_MEMORY, .plan = plan, .iface = &rule}},
        {"memory/x: has no plan", {BASE, .id = "x", .kind = LOCI_KIND_MEMORY, .fit = fit0, .iface = &rule}},
        {"id 'X' is ill-formed", {BASE, .id = "X", .kind = LOCI_KIND_MEMORY, .fit = fit0, .iface = &rule}},
        {"id 'NULL' is ill-formed", {BASE, .kind = LOCI_KIND_MEMORY, .fit = fit0, .plan = plan, .iface = &rule}},
        {"is of kind 'loci.memory/2'", {BASE, .id = "x", .kind = "loci.memory/2", .fit = fit0, .iface = &rule}},
        {"iface is NULL", {GOOD}},
        {"iface has struct_size 8", {GOOD, .iface = &shorter}},
        {"needs has bits 0x8", {GOOD, .iface = &greedy}},
        {"promises LOCI_CAP_BACKWARD", {GOOD, .iface = &rule, .caps = LOCI_CAP_BACKWARD}},
        {"wants 1 children but has no bind", {GOOD, .iface = &rule, .n_wants = 1, .wants = wants}},
        {"has 2 keys but no list", {GOOD, .iface = &rule, .n_keys = 2}},
        {"x: the class has struct_size 16", {.struct_size = 16, .id = "x"}},
#undef GOOD
#undef BASE
    };
    loci_error ck_err = LOCI_ERROR_INIT;
    loci_registry *r;
    CK_OK(loci_registry_new(&r, LOCI_OWNERSHIP_OFF, &ck_err));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        loci_error err = LOCI_ERROR_INIT;
        const loci_class *const one[] = {&cases[i].c};
        loci_plugin p = builtin;
        p.n_classes = 1;
        p.classes = one;
        CU_ASSERT_EQUAL(loci_registry_builtin(r, &p, &err), LOCI_E_PLUGIN);
        has(err.msg, cases[i].part);
    }
    loci_registry_free(r);
}

static void select__ranks_everyone_and_says_why(void)
{
    loci_error ck_err = LOCI_ERROR_INIT;
    bad_folder f = bad_open();
    loci_registry *r;
    loci_candidate *list_of;
    uint32_t n;
    static const loci_shape shape = {.struct_size = sizeof shape};
    char bbb[] = "bbb";
    bad_copy(&f, "newer_note", "p.so");
    CK_OK(loci_registry_new(&r, LOCI_OWNERSHIP_OFF, &ck_err));
    CK_OK(loci_registry_path(r, f.at, true, &ck_err));
    CK_OK(loci_registry_builtin(r, &builtin, &ck_err));
    CK_OK(loci_registry_candidates(r, &list_of, &n, "memory", NULL, &shape, no_config, NULL, &ck_err));
    CU_ASSERT_EQUAL(n, 4);
    CU_ASSERT_STRING_EQUAL(list_of[0].id, "bbb");
    CU_ASSERT_EQUAL(list_of[0].score, 250);
    CU_ASSERT_STRING_EQUAL(list_of[0].reason, "fast");
    CU_ASSERT_STRING_EQUAL(list_of[1].id, "ccc");
    CU_ASSERT_STRING_EQUAL(list_of[2].id, "aaa");
    has(list_of[2].reason, "its fit failed with status -4");
    CU_ASSERT_STRING_EQUAL(list_of[3].id, "momentum");
    CU_ASSERT_PTR_NULL(list_of[3].cls);
    has(list_of[3].reason, "1.draft.999");
    loci_free(list_of);
    CK_OK(loci_registry_candidates(r, &list_of, &n, "memory", NULL, &shape, no_config, bbb, &ck_err));
    CU_ASSERT_STRING_EQUAL(list_of[0].id, "ccc");
    CU_ASSERT_STRING_EQUAL(list_of[2].id, "bbb");
    CU_ASSERT_STRING_EQUAL(list_of[2].reason, "its section is wrong");
    loci_free(list_of);
    CK_OK(loci_registry_candidates(r, &list_of, &n, "mixer", NULL, &shape, no_config, NULL, &ck_err));
    CU_ASSERT_EQUAL(n, 0);
    loci_free(list_of);
    loci_registry_free(r);
    bad_close(&f);
}

static void verify__checks_every_field_of_a_key(void)
{
    static const struct {
        loci_key k;
        const char *part; /* NULL: accepted */
    } cases[] = {
        {{.type = LOCI_KEY_INT, .name = "n", .def = "4", .help = "h", .min = 1, .max = 8}, NULL},
        {{.type = LOCI_KEY_INT, .name = "n", .def = "9", .help = "h", .min = 1, .max = 8}, "outside its range 1 to 8"},
        {{.type = LOCI_KEY_INT, .name = "n", .def = "4.5", .help = "h"}, "'4.5' of key n is no whole number"},
        {{.type = LOCI_KEY_INT, .name = "n", .def = "", .help = "h"}, "no whole number"},
        {{.type = LOCI_KEY_INT, .name = "n", .def = "99999999999999999999", .help = "h"}, "no whole number"},
        {{.type = LOCI_KEY_REAL, .name = "lr", .def = "1e-3", .help = "h"}, NULL},
        {{.type = LOCI_KEY_REAL, .name = "lr", .def = "inf", .help = "h", .min = 0, .max = INFINITY}, NULL},
        {{.type = LOCI_KEY_REAL, .name = "lr", .def = "1e-3x", .help = "h"}, "is no number"},
        {{.type = LOCI_KEY_REAL, .name = "lr", .def = "1", .help = "h", .min = 2, .max = 1},
         "range of key lr is 2 to 1"},
        {{.type = LOCI_KEY_BOOL, .name = "b", .def = "no", .help = "h"}, NULL},
        {{.type = LOCI_KEY_BOOL, .name = "b", .def = "true", .help = "h"}, "neither yes nor no"},
        {{.type = LOCI_KEY_ENUM, .name = "m", .def = "b", .help = "h", .choices = "a|b|cc"}, NULL},
        {{.type = LOCI_KEY_ENUM, .name = "m", .def = "cc", .help = "h", .choices = "a|b|cc"}, NULL},
        {{.type = LOCI_KEY_ENUM, .name = "m", .def = "c", .help = "h", .choices = "a|b|cc"}, "none of its choices"},
        {{.type = LOCI_KEY_ENUM, .name = "m", .def = "c", .help = "h"}, "none of its choices"},
        {{.type = LOCI_KEY_STR, .name = "s", .def = "", .help = "h"}, NULL},
        {{.type = LOCI_KEY_STR, .name = "s", .help = "h"}, "key s has no default"},
        {{.type = LOCI_KEY_STR, .name = "s", .def = ""}, "key s has no help"},
        {{.type = LOCI_KEY_STR, .name = "S", .def = "", .help = "h"}, "the key 'S' is ill-formed"},
        {{.type = LOCI_KEY_STR, .def = "", .help = "h"}, "the key 'NULL' is ill-formed"},
        {{.type = 5, .name = "s", .def = "", .help = "h"}, "of type 5"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        loci_error err = LOCI_ERROR_INIT;
        loci_status status = loci_verify_key(&cases[i].k, "memory/x", "/p.so", &err);
        CK_TRUE((status == LOCI_OK) == !cases[i].part, "case %zu: %s", i, err.msg);
        if (cases[i].part) {
            has(err.msg, cases[i].part);
            has(err.msg, "/p.so: memory/x: ");
        }
    }
}

static void registry__survives_the_failure_of_any_allocation(void)
{
    bad_folder f = bad_open();
    long n = 0;
    loci_status status = LOCI_E_NOMEM;
    size_t held = loci_memory_held();
    bad_copy(&f, "good", "a.so");
    mkdir(bad_path(&f, "later"), 0755);
    bad_copy(&f, "newer_note", "later/b.so");
    bad_copy(&f, "good", "later/c.so");
    bad_write(&f, "d.so", "text\n", 5);
    while (status == LOCI_E_NOMEM && ++n < 1000) {
        loci_error err = LOCI_ERROR_INIT;
        loci_registry *r = NULL;
        const loci_class *c;
        loci_memory_fail_at(n);
        status = loci_registry_new(&r, LOCI_OWNERSHIP_CHECK, &err);
        if (status == LOCI_OK)
            status = loci_registry_path(r, f.at, true, &err);
        if (status == LOCI_OK)
            status = loci_registry_path(r, bad_path(&f, "later"), true, &err);
        if (status == LOCI_OK)
            status = loci_registry_builtin(r, &builtin, &err);
        if (status == LOCI_OK)
            status = loci_registry_find(r, &c, "memory", "momentum", NULL, &err);
        loci_memory_fail_at(0);
        loci_registry_free(r);
        CK_TRUE(status == LOCI_OK || status == LOCI_E_NOMEM, "allocation %ld: status %d: %s", n, (int)status, err.msg);
    }
    CK_TRUE(status == LOCI_OK && n > 30, "%ld allocations, status %d", n, (int)status);
    CU_ASSERT_EQUAL(loci_memory_held(), held);
    bad_close(&f);
}

#define TESTS(X) \
    X(registry__built_ins_pass_the_same_checks) \
    X(verify__names_what_a_class_lacks) \
    X(verify__checks_every_field_of_a_key) \
    X(select__ranks_everyone_and_says_why) \
    X(registry__survives_the_failure_of_any_allocation)
CK_MAIN("classes", TESTS)

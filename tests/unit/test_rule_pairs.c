/* SPDX-License-Identifier: Apache-2.0
 *
 * The matrix memories that are installed, as they are loaded, against tests/unit/rules/matrix.c: forward and adjoint in
 * float64 to rounding, and in float32 with at most twice the error of the float32 reference plus 4 ulp, both judged by
 * the float64 one. The suite of each plugin holds gradients against differences at small widths; here the widths are
 * those of use, and every element counts.
 */
#include "tests/unit/rules/rules.h"
#include "tests/unit/trial.h"
#include <dlfcn.h>

static const loci_class *const classes[] = {&loci_rule_matrix};
const loci_plugin loci_plugin_v1 = {LOCI_PLUGIN_HEAD, "rules", "1", "Apache-2.0", 1, 0, classes};

/* A plugin's class with these keys, and the reference with its own. */
typedef struct pair {
    const char *file, *id, *keys[8];
    subject reference;
} pair;

#define MATRIX(...) {.name = "reference", .id = "matrix", .keys = {__VA_ARGS__, NULL}, .top = {0.5, 0.95}}
#define TITANS "mem_titans.so", "titans"
#define DELTA "mem_delta.so", "delta"
#define HEBBIAN "mem_hebbian.so", "hebbian"

static const pair pairs[] = {
    {TITANS, {"mode", "sequential", NULL}, MATRIX("chunk", "0")},
    {TITANS, {"mode", "exact", NULL}, MATRIX("chunk", "0")},
    {TITANS, {"mode", "exact", "chunk", "7", "read_order", "before_write", NULL}, MATRIX("before", "yes")},
    {TITANS, {"mode", "exact", "chunk", "64", "loss_scale", "0.5", NULL}, MATRIX("loss_scale", "0.5")},
    {TITANS, {"mode", "frozen", "chunk", "4", NULL},
     {.name = "reference", .id = "matrix", .keys = {"chunk", "4", NULL}, .top = {0.5, 0.7, 0.3}}},
    {TITANS, {"momentum", "no", NULL}, MATRIX("momentum", "no")},
    {TITANS, {"forget", "no", NULL},
     {.name = "reference", .id = "matrix", .keys = {"forget", "no", NULL}, .top = {0.9}}},
    {DELTA, {"mode", "exact", NULL}, MATRIX("momentum", "no", "error", "decayed")},
    {DELTA, {"mode", "sequential", NULL}, MATRIX("momentum", "no", "error", "decayed")},
    {DELTA, {"decay_order", "error_on_undecayed", NULL}, MATRIX("momentum", "no")},
    {DELTA, {"forget", "no", "read_order", "before_write", NULL},
     MATRIX("momentum", "no", "forget", "no", "before", "yes")},
    {DELTA, {"mode", "frozen", "chunk", "4", NULL},
     {.name = "reference", .id = "matrix", .keys = {"momentum", "no", "error", "decayed", "chunk", "4", NULL},
      .top = {0.5, 0.4}}},
    {HEBBIAN, {"mode", "exact", NULL}, MATRIX("momentum", "no", "error", "none")},
    {HEBBIAN, {"mode", "sequential", "step", "one", NULL}, MATRIX("momentum", "no", "error", "none", "step", "no")},
    {HEBBIAN, {"momentum", "yes", NULL}, MATRIX("error", "none")},
};

static const loci_class *load(const char *file, const char *id)
{
    const char *folder = getenv("LOCI_TEST_PLUGINS");
    const loci_plugin *plugin;
    char path[4096];
    void *so;

    snprintf(path, sizeof path, "%s/%s", folder ? folder : "plugins/.all", file);
    so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    plugin = so ? (const loci_plugin *)dlsym(so, "loci_plugin_v1") : NULL;
    for (uint32_t i = 0; plugin && i < plugin->n_classes; i++)
        if (!strcmp(plugin->classes[i]->id, id))
            return plugin->classes[i];
    printf("no class %s in %s: %s\n", id, path, so ? "another plugin" : dlerror());
    exit(1);
}

/* Three documents in two rows, one that goes on inside a chunk, padding between. */
static trial documents(const subject *s, bool equal)
{
    static const loci_run runs[] = {{0, 0, 61, 1, 2, 1}, {1, 1, 40, 2, 0, 2}, {1, 44, 21, 0, 9, 3}};
    trial t = trial_new(s, 2, 66, 2, 32, 24);

    t.n_runs = 3;
    t.states = 3;
    memcpy(t.runs, runs, sizeof runs);
    trial_fill(&t);
    for (int64_t i = t.dk; i < t.n[PART_K] && equal; i++)
        t.x[PART_K][i] = t.x[PART_K][i - t.dk];
    return t;
}

static trial of(const trial *t, const loci_class *cls, int bits, const char *const *keys)
{
    trial c = trial_copy(t);
    rule r;

    CK_TRUE(rule_open_class(&r, cls, bits, t->H, t->dk, t->dv, 2, keys, NULL) == LOCI_OK, "%s", ck_err.msg);
    trial_run(&r, &c, true);
    rule_close(&r);
    return c;
}

/* f32, and how far it may be. */
static void no_less_exact(const pair *p, const char *what, const double *got, const double *reference,
                          const double *exact, int64_t n)
{
    const double off = apart(got, exact, n), most = 2 * apart(reference, exact, n) + 4 * 0x1p-23;

    CK_TRUE(off <= most, "%s, %s %s: %s is off by %g, twice the reference's is %g", p->id, p->keys[0], p->keys[1], what,
            off, most);
}

static void compare(const pair *p, bool equal)
{
    const loci_class *cls = load(p->file, p->id);
    trial t = documents(&p->reference, equal);
    trial exact = of(&t, &loci_rule_matrix, 64, p->reference.keys);
    trial plain = of(&t, &loci_rule_matrix, 32, p->reference.keys);
    trial got = of(&t, cls, 64, p->keys), fast = of(&t, cls, 32, p->keys);
    const double off = results_apart(&got, &exact), grad = gradients_apart(&got, &exact);

    CK_TRUE(off < 1e-12 && grad < 1e-11, "%s, %s %s: %g, gradients %g", p->id, p->keys[0], p->keys[1], off, grad);
    no_less_exact(p, "y", fast.y, plain.y, exact.y, t.n_y);
    for (int i = 0; i < RULE_MOST; i++)
        no_less_exact(p, "a state", fast.out[i], plain.out[i], exact.out[i], t.n[PART_STATE + i]);
    for (int part = 0; part < PARTS; part++)
        no_less_exact(p, part < PART_GATE ? "dq, dk or dv" : part < PART_STATE ? "d(gate)" : "d(state)", fast.dx[part],
                      plain.dx[part], exact.dx[part], t.n[part]);
    trial_free(&t), trial_free(&exact), trial_free(&plain), trial_free(&got), trial_free(&fast);
}

static void every_plugin_has_the_outputs_and_gradients_of_its_reference(void)
{
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        compare(&pairs[i], false);
}

static void and_so_it_has_when_all_keys_are_equal(void)
{
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        compare(&pairs[i], true);
}

/* Every reference but its own is another rule: the comparison tells them apart. */
static void references_differ_from_one_another(void)
{
    static const struct {
        int pair;
        const char *keys[6];
    } other[] = {{0, {"before", "yes", NULL}},    {0, {"loss_scale", "1.01", NULL}},
                 {0, {"error", "decayed", NULL}}, {0, {"error", "none", NULL}},
                 {4, {"chunk", "5", NULL}},       {7, {"momentum", "no", "error", "undecayed", NULL}}};

    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        const subject *s = &pairs[other[i].pair].reference;
        trial t = documents(s, false), exact = of(&t, &loci_rule_matrix, 64, s->keys);
        trial got = of(&t, &loci_rule_matrix, 64, other[i].keys);

        CK_TRUE(results_apart(&got, &exact) > 1e-3 && gradients_apart(&got, &exact) > 1e-3, "%s = %s is not seen",
                other[i].keys[0], other[i].keys[1]);
        trial_free(&t), trial_free(&exact), trial_free(&got);
    }
}

#define TESTS(X) \
    X(every_plugin_has_the_outputs_and_gradients_of_its_reference) \
    X(and_so_it_has_when_all_keys_are_equal) \
    X(references_differ_from_one_another)

CK_MAIN("rule_pairs", TESTS)

/* test_host.h: the least host that a plugin can be tested with, and its gradients against differences.
 *
 * A test opens the shared object as loci does, answers what the plugin asks of its host, and runs it in double. What
 * the plugin declares (weights, states, gates) is found by declaring, so a test need not be told when they change.
 *
 *  (1) A part is a tensor that the loss depends on: x its numbers, dx their gradient. A state has also what it became
 *      and the weight of that in the loss. The loss is the sum of outputs and states, each times a number of its own.
 *  (2) The call: one row of T tokens. Two documents lie in it, tokens 0-2 at their beginning and 4-6 which have been
 *      going on for a while; token 3 belongs to none.
 *  (3) Gradients start at 1, not 0, as they must be added to.
 *
 * It checks that a formula and its adjoint belong together. `loci check` asks a good deal more.
 */
#ifndef TEST_HOST_H
#define TEST_HOST_H

#include <CUnit/Basic.h>
#include <dlfcn.h>
#include <loci/author.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifndef DK /* widths of keys and values: define others before this header is included */
#define DK 3
#endif
#ifndef DV
#define DV 4
#endif
enum { T = 7, H = 2, DIM = 6, STATES = 2, KEYS = 9, MOST = 24, FREE = 3 };
#define UNTOUCHED 1234.5

typedef struct part {
    char name[64];
    loci_view in, out, grad; /* out: of a state */
    double *x, *dx, *became, *weight;
    int64_t n;
} part;

static part parts[MOST];
static int n_parts;
static loci_tensor params[MOST], grads[MOST], state_in[MOST], state_out[MOST], state_grad[MOST], gates[MOST],
    dgates[MOST];
static uint32_t n_params, n_states, n_gates;
static int state_part[MOST];

static const loci_dtype f64 = {LOCI_FLOAT, 64, 1};
static const loci_device cpu = {LOCI_CPU, 0};
static const loci_run two[] = {{0, 0, 3, 1, 0, 1}, {0, 4, 3, 0, 2, 2}};
static loci_batch batch __attribute__((unused)) = {sizeof(loci_batch), 2, two, NULL};
static loci_error error = LOCI_ERROR_INIT;

/* A call of the plugin that must succeed; the test ends where it does not. */
#define OK(call) \
    do { \
        if ((call) != LOCI_OK) { \
            printf("\n    %s: %s\n", #call, error.msg[0] ? error.msg : "failed without saying why"); \
            CU_FAIL_FATAL(#call); \
        } \
    } while (0)

/* ---- numbers ---- */

static double noise(double lo, double hi)
{
    static uint64_t s = 1;

    s = s * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return lo + (hi - lo) * (double)(s >> 11) * 0x1p-53;
}

static double *numbers(int64_t n, double lo, double hi)
{
    double *x = (double *)calloc((size_t)n + 1, sizeof *x);

    for (int64_t i = 0; x && i < n; i++)
        x[i] = noise(lo, hi);
    return x;
}

static part *part_new(const char *prefix, const char *name, int32_t ndim, const int64_t *shape, double lo, double hi)
{
    part *p = &parts[n_parts++];

    snprintf(p->name, sizeof p->name, "%s%s", prefix, name);
    p->n = 1;
    for (int32_t i = 0; i < ndim; i++)
        p->n *= shape[i];
    p->x = numbers(p->n, lo, hi);
    p->dx = numbers(p->n, 0, 0);
    p->became = numbers(p->n, 0, 0);
    p->weight = numbers(p->n, -1, 1);
    loci_view_set(&p->in, p->x, cpu, f64, ndim, shape);
    loci_view_set(&p->out, p->became, cpu, f64, ndim, shape);
    loci_view_set(&p->grad, p->dx, cpu, f64, ndim, shape);
    return p;
}

/* "q", "gate beta", "weight out.weight", "state M" */
static inline part *part_find(const char *name)
{
    for (int i = 0; i < n_parts; i++)
        if (!strcmp(parts[i].name, name))
            return &parts[i];
    printf("\n    there is no %s\n", name);
    CU_FAIL_FATAL("a part by that name");
    return &parts[0];
}

static void forget_parts(void)
{
    while (n_parts > 0) {
        part *p = &parts[--n_parts];
        free(p->x), free(p->dx), free(p->became), free(p->weight);
    }
    n_params = n_states = n_gates = 0;
}

/* ---- services ---- */

static void *host_alloc(const loci_host *h, uint64_t bytes)
{
    (void)h;
    return calloc(1, bytes);
}

static void host_free(const loci_host *h, void *p)
{
    (void)h;
    free(p);
}

static void host_log(const loci_host *h, int32_t level, const char *module, const char *msg)
{
    (void)h, (void)level;
    printf("%s: %s\n", module, msg);
}

static loci_status host_declare(const loci_host *h, void *decl, const loci_slot *s, uint32_t *index)
{
    int64_t shape[LOCI_MAX_DIM];
    const int state = (s->flags & LOCI_SLOT_STATE) != 0;
    part *p;

    (void)h, (void)decl;
    for (int32_t i = 0; i < s->ndim; i++)
        shape[i] = s->shape[i] == -1 ? STATES : s->shape[i];
    p = part_new(state ? "state " : "weight ", s->name, s->ndim, shape, -0.8, 0.8);
    if (state) {
        state_part[n_states] = n_parts - 1;
        state_in[n_states] = p->in.t;
        state_out[n_states] = p->out.t;
        state_grad[n_states] = p->grad.t;
        *index = n_states++;
    } else {
        params[n_params] = p->in.t;
        grads[n_params] = p->grad.t;
        *index = n_params++;
    }
    return LOCI_OK;
}

static loci_status host_declare_gate(const loci_host *h, void *decl, const loci_gate *g, uint32_t *index)
{
    const int64_t shape[] = {1, T, H, g->width};
    const double hi = g->hi < g->lo + 2 ? g->hi : g->lo + 2, margin = (hi - g->lo) / 10;
    part *p = part_new("gate ", g->name, g->width > 1 ? 4 : 3, shape, g->lo + margin, hi - margin);

    (void)h, (void)decl;
    gates[n_gates] = p->in.t;
    dgates[n_gates] = p->grad.t;
    *index = n_gates++;
    return LOCI_OK;
}

static uint32_t host_workers(const loci_host *h)
{
    (void)h;
    return 1;
}

static loci_status host_parallel_for(const loci_exec *x, int64_t n, int64_t grain, loci_task_fn f, void *arg)
{
    (void)x;
    for (int64_t at = 0; at < n; at += grain)
        f(arg, at, at + grain < n ? at + grain : n, 0);
    return LOCI_OK;
}

static const void *host_get_ext(const loci_host *h, loci_device d, const char *id)
{
    (void)h, (void)d, (void)id;
    return NULL;
}

static loci_host host;

/* The defaults of the class's keys are the config. */
static const char *config_text(void *ctx, const char *key)
{
    const loci_class *c = (const loci_class *)ctx;

    for (uint32_t i = 0; i < c->n_keys; i++)
        if (!strcmp(c->keys[i]->name, key))
            return c->keys[i]->def;
    return "";
}

static int64_t config_int(void *ctx, const char *key)
{
    const char *text = config_text(ctx, key);

    return !strcmp(text, "yes") ? 1 : strtoll(text, NULL, 0);
}

static double config_real(void *ctx, const char *key)
{
    return strtod(config_text(ctx, key), NULL);
}

/* ---- one plugin and one instance ---- */

static const loci_class *cls;
static loci_module *module;
static loci_need need;
static void *scratch, *saved, *host_scratch;
static loci_exec exec_;
static loci_slots slots;
static const loci_child *const *test_children; /* of a composition's, for bind */
static uint32_t n_test_children;

/* The class in the file; NULL, said why. */
static const loci_class *load(const char *path)
{
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const loci_plugin *p = object ? (const loci_plugin *)dlsym(object, "loci_plugin_v1") : NULL;

    if (!p || p->magic != LOCI_MAGIC || p->n_classes < 1) {
        printf("%s: %s\n", path, object ? "it holds no plugin" : dlerror());
        return NULL;
    }
    return p->classes[0];
}

static void *filled(uint64_t bytes)
{
    void *p = aligned_alloc(64, (bytes + 127) & ~UINT64_C(63));

    return p ? memset(p, 0xff, bytes) : NULL; /* not a number */
}

/* An instance, its parts and its memory. 0: said why. */
static int open_instance(int32_t op)
{
    loci_config config = {sizeof config, 0, (void *)(uintptr_t)cls, config_int, config_real, config_text};
    const loci_site site = {sizeof site, 0, 1, 0, "test."};
    loci_shape shape;
    loci_fit fit = {sizeof fit, 0, ""};

    memset(&shape, 0, sizeof shape);
    memset(&need, 0, sizeof need);
    error.code = LOCI_OK;
    need.struct_size = sizeof need;
    shape.struct_size = sizeof shape;
    shape.dim = DIM;
    shape.heads = shape.k_heads = shape.v_heads = H;
    shape.dk = DK;
    shape.dv = DV;
    shape.dtype = shape.acc = f64;
    shape.device = cpu;
    cls->fit(&host, &config, &shape, &fit);
    if (fit.score <= 0) {
        printf("\n    it declines float64 on the cpu with dk %d, dv %d: %s\n", DK, DV, fit.reason);
        return 0;
    }
    if (cls->create(&host, &config, &site, &shape, &module, &error) != LOCI_OK ||
        (cls->bind && cls->bind(module, n_test_children, test_children, &error) != LOCI_OK) ||
        (cls->declare && cls->declare(module, NULL, &error) != LOCI_OK)) {
        printf("%s\n", error.msg);
        return 0;
    }
    shape.rows = 1;
    shape.seq = T;
    shape.ctx = KEYS;
    shape.runs = 2;
    shape.states = STATES;
    shape.flags = LOCI_X_SAVE;
    if (cls->plan(module, &shape, op, &need, &error) != LOCI_OK) {
        printf("%s\n", error.msg);
        return 0;
    }
    scratch = filled(need.scratch);
    saved = filled(need.saved);
    host_scratch = filled(need.host);
    memset(&exec_, 0, sizeof exec_);
    exec_.struct_size = sizeof exec_;
    exec_.host = &host;
    exec_.device = cpu;
    exec_.flags = LOCI_X_SAVE;
    exec_.scratch = scratch;
    exec_.scratch_bytes = need.scratch;
    exec_.saved = saved;
    exec_.saved_bytes = need.saved;
    exec_.host_scratch = host_scratch;
    exec_.host_bytes = need.host;
    memset(&slots, 0, sizeof slots);
    slots.struct_size = sizeof slots;
    slots.n_params = n_params;
    slots.n_state = n_states;
    slots.params = params;
    slots.grads = grads;
    slots.state_in = state_in;
    slots.state_out = state_out;
    slots.state_grad = state_grad;
    return 1;
}

static void close_instance(void)
{
    cls->destroy(module);
    free(scratch), free(saved), free(host_scratch);
    forget_parts();
}

/* ---- differences ---- */

/* The test's own: a forward that returns the loss of its outputs alone, and the backward of it. */
static double run_forward(void);
static void run_backward(void);

/* Does token t belong to a document? */
static inline int in_run(int64_t t)
{
    return t != FREE;
}

static double states_loss(void)
{
    double sum = 0;

    for (uint32_t i = 0; i < n_states; i++) {
        const part *p = &parts[state_part[i]];
        for (int64_t j = 0; j < p->n; j++)
            sum += p->weight[j] * p->became[j];
    }
    return sum;
}

static double loss(void)
{
    const double y = run_forward(); /* first: it makes the states */

    return y + states_loss();
}

/* Gradients of all parts. */
static void gradients(void)
{
    for (int i = 0; i < n_parts; i++)
        for (int64_t j = 0; j < parts[i].n; j++)
            parts[i].dx[j] = 1;
    for (uint32_t i = 0; i < n_states; i++) {
        part *p = &parts[state_part[i]];
        memcpy(p->dx, p->weight, (size_t)p->n * sizeof(double));
    }
    loss();
    memset(scratch, 0xff, need.scratch);
    run_backward();
    for (int i = 0; i < n_parts; i++)
        for (int64_t j = 0; j < parts[i].n && strncmp(parts[i].name, "state ", 6) != 0; j++)
            parts[i].dx[j] -= 1;
}

/* How far dx is from fourth-order central differences of step h, as a share of their size. */
static double off_by(part *p, const double *dx, double h)
{
    double off = 0, size = 0;

    for (int64_t j = 0; j < p->n; j++) {
        const double was = p->x[j];
        double f[4], want;

        for (int k = 0; k < 4; k++) {
            p->x[j] = was + h * (k < 2 ? k - 2 : k - 1);
            f[k] = loss();
        }
        p->x[j] = was;
        want = (8 * (f[2] - f[1]) - (f[3] - f[0])) / (12 * h);
        off += (dx[j] - want) * (dx[j] - want);
        size += want * want;
    }
    return sqrt(off / (size > 0 ? size : 1));
}

/* Every part. A long step is wrong where a function bends, a short one where numbers round: the best of four counts. */
static void differences(void)
{
    gradients();
    for (int i = 0; i < n_parts; i++) {
        double *dx = numbers(parts[i].n, 0, 0), best = INFINITY;

        memcpy(dx, parts[i].dx, (size_t)parts[i].n * sizeof *dx);
        for (double h = 1e-2; h > 5e-6 && !(best < 1e-7); h /= 10)
            best = fmin(best, off_by(&parts[i], dx, h));
        if (!(best < 1e-6))
            printf("\n    %s: the gradient is off by %.1e of its size\n", parts[i].name, best);
        CU_ASSERT(best < 1e-6);
        free(dx);
    }
}

/* ---- the program ---- */

static int run_tests(const char *name, int argc, char **argv, const CU_TestInfo *tests)
{
    const char *path = argc > 1 ? argv[1] : getenv("PLUGIN");
    CU_pSuite suite;
    unsigned failed;

    host.struct_size = sizeof host;
    host.abi_major = LOCI_ABI_MAJOR;
    host.abi_draft = LOCI_ABI_DRAFT;
    host.name = "test";
    host.version = "0";
    host.log = host_log;
    host.alloc = host_alloc;
    host.free = host_free;
    host.declare = host_declare;
    host.declare_gate = host_declare_gate;
    host.workers = host_workers;
    host.parallel_for = host_parallel_for;
    host.get_ext = host_get_ext;
    if (!path || !(cls = load(path))) {
        printf("usage: %s PLUGIN.so\n", argv[0]);
        return 1;
    }
    if (CU_initialize_registry() != CUE_SUCCESS || !(suite = CU_add_suite(name, NULL, NULL)))
        return 1;
    for (; tests->pName; tests++)
        CU_add_test(suite, tests->pName, tests->pTestFunc);
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    failed = CU_get_number_of_tests_failed() + (CU_get_number_of_tests_run() == 0);
    CU_cleanup_registry();
    return failed ? 1 : 0;
}

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/abi/test_golden.c: the golden plugins in the real host.
 *
 * golden_host knows the headers and nothing else; this is the other half. compose/golden runs mixer/golden, which runs
 * attention/golden, and memory/golden, through loci's loader, its nodes, caches, front end, loci.ops/1 and loci.scan/1.
 * They answer with what the services said, and those answers are small numbers that anyone can check: golden_ops.h and
 * golden_memory.c say why. A plugin of an earlier minor version, kept as a file, goes the same way.
 */
#include "core/model/node.h"
#include "tests/ck.h"

#include <loci/scan.h>

#define DIM 24
#define TOKENS 3
#define OPS 19 /* answers in y, then o, the number of keys; the last channel is compose's */

static loci_error ck_err = LOCI_ERROR_INIT;

struct rig {
    loci_conf *conf;
    loci_context *cx;
    loci_weights weights;
    loci_node *node;
    loci_session session;
    loci_need need;
    void *scratch, *host, *saved, *state_in, *state_out, *state_grad;
    double rule_y[12], rule_state; /* of the last token, as memory/golden left them */
};

static void rig_close(struct rig *r)
{
    void *const held[] = {r->scratch, r->host, r->saved, r->state_in, r->state_out, r->state_grad};

    for (size_t i = 0; i < sizeof held / sizeof *held; i++)
        loci_free(held[i]);
    loci_node_free(r->node);
    if (r->cx)
        loci_weights_free(&r->weights, r->cx);
    loci_context_free(r->cx);
    loci_conf_free(r->conf);
    memset(r, 0, sizeof *r);
    loci_error_clear(&ck_err);
}

/* settings: "section.key=value section.key=value" */
static loci_status rig_context(struct rig *r, const char *settings)
{
    loci_status status = LOCI_OK;
    const char *build = getenv("LOCI_TEST_BUILD");
    char path[4096], text[512], *save = NULL;

    memset(r, 0, sizeof *r);
    snprintf(path, sizeof path, "%s/tests/abi", build ? build : ".");
    snprintf(text, sizeof text, "plugins.ownership=off run.threads=2 %s", settings);
    LOCI_TRY(loci_conf_new(&r->conf, &ck_err));
    for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save))
        LOCI_TRY(loci_conf_set(r->conf, word, "--set", &ck_err));
    LOCI_TRY(loci_context_new(&r->cx, r->conf, path, false, &ck_err));
out:
    return status;
}

static loci_status see_rule(void *arg, const loci_node *n, const loci_exec *x, const loci_rule_io *io,
                            const loci_slots *slots, loci_error *err)
{
    struct rig *r = arg;
    const loci_tensor *y = io->y;

    (void)n;
    (void)x;
    (void)err;
    for (int64_t head = 0; head < y->shape[2]; head++)
        for (int64_t j = 0; j < y->shape[3] && head * y->shape[3] + j < 12; j++)
            r->rule_y[head * y->shape[3] + j] =
                ((double *)loci_ptr(y))[(TOKENS - 1) * y->strides[1] + head * y->strides[2] + j];
    r->rule_state = *(double *)loci_ptr(&slots->state_out[0]);
    return LOCI_OK;
}

/* The cotangent of the rule's last state is 5. */
static loci_status set_cotangent(void *arg, const char *name, const loci_tensor *t, loci_error *err)
{
    int *found = arg;

    (void)err;
    if (strlen(name) > 2 && !strcmp(name + strlen(name) - 2, ".S")) {
        *(double *)loci_ptr(t) = 5;
        ++*found;
    }
    return LOCI_OK;
}

static loci_status rig_node(struct rig *r)
{
    loci_status status = LOCI_OK;
    loci_session none = {0};
    loci_shape shape;

    LOCI_TRY(rig_context(r, "compose.backend=golden mixer.backend=golden memory.backend=golden "
                            "attention.backend=golden memory.heads=1 memory.dk=12 memory.dv=12"));
    loci_session_shape(&shape, &none, r->cx, DIM, loci_f64);
    shape.session = NULL;
    LOCI_TRY(loci_node_new(&r->node, r->cx, &r->weights, "compose", 0, 1, "layer.0.compose", &shape, 0, &ck_err));
    LOCI_TRY(loci_weights_alloc(&r->weights, r->cx, true, false, &ck_err));
    LOCI_TRY(loci_weights_init(&r->weights, r->cx, 7, &ck_err));
    r->session = (loci_session){1, TOKENS, 1, 1, TOKENS, LOCI_X_SAVE | LOCI_X_TRAIN};
    loci_session_shape(&shape, &r->session, r->cx, DIM, loci_f64);
    r->need = (loci_need){.struct_size = sizeof r->need};
    LOCI_TRY(loci_node_need(r->node, &shape, LOCI_OP_MIX, &r->need, &ck_err));
    r->scratch = loci_alloc(r->need.scratch);
    r->host = loci_alloc(r->need.host);
    r->saved = loci_alloc(r->need.saved);
    r->state_in = loci_alloc(loci_node_state_bytes(r->node, &r->session));
    r->state_out = loci_alloc(loci_node_state_bytes(r->node, &r->session));
    r->state_grad = loci_alloc(loci_node_state_bytes(r->node, &r->session));
out:
    return status;
}

static bool near(double got, double want)
{
    return fabs(got - want) <= 1e-9 * (1 + fabs(want));
}

/* ---- what the services say, in the order of golden_ops.h, then parallel_for's sum of 0 .. 9 ---- */

static const double ops_say[OPS] = {27, 7,   6,  3.25, 14, 27, 25, 6, 8, 31, 352, 7, 12, 3, 0.69314718055994531,
                                    4,  2.5, 16, 45};
/* keys, w, then S of the scan, y and so on: golden_memory.c. */
static const double scan_says[10] = {13.5, 6, 15, 6, 3, 7.5, 0.75, 0.5, 6, 209};

static void golden__answers_are_those_of_the_services(void)
{
    struct rig r;
    double x[TOKENS][DIM], y[TOKENS][DIM], dy[TOKENS][DIM], dx[TOKENS][DIM];
    int32_t positions[TOKENS] = {0, 1, 2};
    const int64_t wide[] = {1, TOKENS, DIM}, when[] = {1, TOKENS};
    const loci_run run = {0, 0, TOKENS, 0, 0, 5};
    const loci_mask mask = {sizeof mask, 1, -1, -1};
    loci_view vx, vy, vdy, vdx, vpos;
    const loci_watch seen = {see_rule, &r};
    int found = 0;
    loci_batch batch;
    loci_exec exec;
    loci_io io;
    const loci_weight *w;

    CK_OK(rig_node(&r));
    r.cx->watch = &seen;
    for (int t = 0; t < TOKENS; t++)
        for (int d = 0; d < DIM; d++) {
            x[t][d] = 0.1 * (t + 1) - 0.05 * d;
            dy[t][d] = 1;
            y[t][d] = dx[t][d] = 0;
        }
    batch = (loci_batch){sizeof batch, 1, &run, loci_view_set(&vpos, positions, r.cx->device, loci_i32, 2, when)};
    io = (loci_io){.struct_size = sizeof io, .op = LOCI_OP_MIX, .q = &batch, .mask = &mask};
    io.x = loci_view_set(&vx, x, r.cx->device, loci_f64, 3, wide);
    io.y = loci_view_set(&vy, y, r.cx->device, loci_f64, 3, wide);
    io.state_in = r.state_in;
    io.state_out = r.state_out;
    loci_exec_init(&exec, r.cx, &r.session, LOCI_X_SAVE | LOCI_X_TRAIN, 5, 3);
    exec.scratch = r.scratch;
    exec.scratch_bytes = r.need.scratch;
    exec.host_scratch = r.host;
    exec.host_bytes = r.need.host;
    exec.saved = r.saved;
    exec.saved_bytes = r.need.saved;
    CK_OK(loci_node_reset(r.node, &exec, r.state_in, &batch, &ck_err));
    CK_OK(loci_node_forward(r.node, &exec, &io, &ck_err));
    for (int t = 0; t < TOKENS; t++) {
        for (int j = 0; j < OPS; j++)
            CK_TRUE(near(y[t][j], ops_say[j]), "token %d: service %d says %.17g, not %g", t, j, y[t][j], ops_say[j]);
        CK_TRUE(y[t][OPS] == TOKENS, "the attention saw %g keys, not %d", y[t][OPS], TOKENS);
        CK_TRUE(y[t][DIM - 1] == 2 * (6 + TOKENS), "twice the memory's state is %g", y[t][DIM - 1]);
    }
    for (int j = 0; j < 10; j++)
        CK_TRUE(near(r.rule_y[j], scan_says[j]), "the rule's number %d is %.17g, not %g", j, r.rule_y[j], scan_says[j]);
    CU_ASSERT_EQUAL(r.rule_state, 6 + TOKENS);

    /* dq and the gradients of the two rows are 1 each, from every run that attention/golden saw, which is one. */
    io.dy = loci_view_set(&vdy, dy, r.cx->device, loci_f64, 3, wide);
    io.dx = loci_view_set(&vdx, dx, r.cx->device, loci_f64, 3, wide);
    io.state_grad = r.state_grad;
    CK_OK(loci_node_each_state(r.node, &r.session, r.state_grad, "", set_cotangent, &found, &ck_err));
    CU_ASSERT_EQUAL(found, 1);
    CK_OK(loci_weights_zero_grads(&r.weights, r.cx));
    CK_OK(loci_node_backward(r.node, &exec, &io, &ck_err));
    CK_OK(loci_node_reset_back(r.node, &exec, r.state_grad, &batch, &ck_err));
    for (int t = 0; t < TOKENS; t++)
        CK_TRUE(dx[t][0] == 3 && dx[t][1] == 0, "token %d: dx is %g, %g", t, dx[t][0], dx[t][1]);
    w = loci_weights_find(&r.weights, "layer.0.memory.w");
    CU_ASSERT_PTR_NOT_NULL(w);
    if (w) {
        CU_ASSERT_EQUAL(*(double *)loci_ptr(&w->value.t), 6);
        CU_ASSERT_EQUAL(*(double *)loci_ptr(&w->grad.t), 5); /* state_init_back */
    }
    rig_close(&r);
}

static void golden__device_serves_a_context(void)
{
    struct rig r;
    loci_session none = {0};
    loci_exec exec;
    double *p, sum = 0;
    int64_t two = 2, one = 1;
    loci_tensor t;

    CK_OK(rig_context(&r, "run.order=golden"));
    CU_ASSERT_STRING_EQUAL(r.cx->device_meta->id, "golden");
    p = loci_device_alloc(r.cx, 2 * sizeof *p);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    CU_ASSERT(p[0] == 0 && p[1] == 0);
    t = (loci_tensor){p, r.cx->device, 1, loci_f64, &two, &one, 0};
    loci_exec_init(&exec, r.cx, &none, 0, 1, 1);
    CK_OK(r.cx->ops->sumsq(&exec, &t, &sum, &ck_err));
    CU_ASSERT_EQUAL(sum, 42);
    CU_ASSERT_EQUAL(r.cx->host.workers(&r.cx->host), 3);
    CU_ASSERT_PTR_NOT_NULL(r.cx->host.get_ext(&r.cx->host, r.cx->device, LOCI_EXT_SCAN));
    loci_device_free(r.cx, p);
    rig_close(&r);
}

/* A plugin of a draft in which loci_exec ended with `seed`, and one of a draft in which it went on. */
static void copy__knows_what_both_sides_know(void)
{
    struct {
        loci_exec x;
        uint64_t more;
    } longer;
    loci_exec shorter, copy;

    memset(&shorter, 0x5a, sizeof shorter);
    shorter.struct_size = offsetof(loci_exec, step);
    shorter.seed = 7;
    memset(&copy, 0xa5, sizeof copy);
    LOCI_COPY(&copy, &shorter);
    CU_ASSERT_EQUAL(copy.struct_size, sizeof copy);
    CU_ASSERT_EQUAL(copy.seed, 7);
    CU_ASSERT(copy.step == 0 && copy.scratch == NULL && copy.host_bytes == 0);
    memset(&longer, 0, sizeof longer);
    longer.x.struct_size = sizeof longer;
    longer.x.host_bytes = 9;
    LOCI_COPY(&copy, &longer.x);
    CU_ASSERT_EQUAL(copy.struct_size, sizeof copy);
    CU_ASSERT_EQUAL(copy.host_bytes, 9);
}

#define TESTS(X) \
    X(copy__knows_what_both_sides_know) X(golden__answers_are_those_of_the_services) X(golden__device_serves_a_context)
CK_MAIN("golden", TESTS)

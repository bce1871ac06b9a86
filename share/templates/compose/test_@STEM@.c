/* Is the composition right? What must hold of any of a mixer and a memory; facts.h has what holds of this one. See
 * test_host.h.
 *
 * Its children are played here: a mixer y = 2 x, and a memory y = x o x that saves x. Both spoil the scratch they are
 * given, so that a buffer that lies there would be seen. */
#include "test_host.h"

struct loci_child {
    int squares;
};

static const struct loci_child mixer = {0}, memory = {1};
static const loci_child *const children[] = {&mixer, &memory};
static part *x, *y;
static int calls[2];

/* ---- children ---- */

static loci_status need_of(const loci_child *c, const loci_shape *s, int32_t op, loci_need *n, loci_error *err)
{
    (void)err;
    CU_ASSERT(op == (c->squares ? LOCI_OP_STEP : LOCI_OP_MIX));
    n->scratch += 256;
    if (c->squares && s->flags & LOCI_X_SAVE)
        n->saved += (uint64_t)(s->rows * s->seq * DIM) * sizeof(double);
    return LOCI_OK;
}

static double *at(const loci_tensor *t, const loci_run *r, int32_t i)
{
    return (double *)loci_ptr(t) + r->row * t->strides[0] + (r->begin + i) * t->strides[1];
}

static loci_status play(const loci_child *c, const loci_exec *e, const loci_io *io, int back)
{
    double *kept = (double *)e->saved;

    calls[c->squares]++;
    CU_ASSERT(e->scratch_bytes >= 256);
    memset(e->scratch, 0xff, e->scratch_bytes);
    for (uint32_t n = 0; n < io->q->n_runs; n++)
        for (int32_t i = 0; i < io->q->runs[n].len; i++)
            for (int d = 0; d < DIM; d++) {
                const loci_run *r = &io->q->runs[n];
                const double v = at(io->x, r, i)[d];
                double *k = kept + (r->begin + i) * DIM + d;

                if (!back)
                    at(io->y, r, i)[d] = c->squares ? v * v : 2 * v;
                if (!back && c->squares && e->flags & LOCI_X_SAVE)
                    *k = v;
                if (back)
                    at(io->dx, r, i)[d] += at(io->dy, r, i)[d] * (c->squares ? 2 * *k : 2);
            }
    return LOCI_OK;
}

static loci_status play_forward(const loci_child *c, const loci_exec *e, const loci_io *io, loci_error *err)
{
    (void)err;
    return play(c, e, io, 0);
}

static loci_status play_backward(const loci_child *c, const loci_exec *e, const loci_io *io, loci_error *err)
{
    (void)err;
    return play(c, e, io, 1);
}

static loci_status sub(const loci_host *h, void *decl, const loci_child *c, const char *name, int64_t capacity,
                       int64_t pinned, uint32_t *index)
{
    (void)h, (void)decl, (void)name, (void)capacity, (void)pinned;
    *index = (uint32_t)c->squares;
    return LOCI_OK;
}

static uint64_t caps_of(const loci_child *c)
{
    (void)c;
    return LOCI_CAP_BACKWARD | LOCI_CAP_STREAMING | LOCI_CAP_CAUSAL;
}

/* ---- the composition ---- */

static void open_composition(void)
{
    static const void *sub_in[2];
    static void *sub_out[2], *sub_grad[2];
    const int64_t shape[] = {1, T, DIM};

    host.child_need = need_of;
    host.child_forward = play_forward;
    host.child_backward = play_backward;
    host.declare_sub = sub;
    host.child_caps = caps_of;
    test_children = children;
    n_test_children = 2;
    x = part_new("", "x", 3, shape, -1, 1);
    y = part_new("", "y", 3, shape, 0, 0); /* nothing depends on it: its differences are 0 */
    CU_ASSERT_FATAL(open_instance(LOCI_OP_MIX));
    slots.n_subs = 2;
    slots.sub_in = sub_in;
    slots.sub_out = sub_out;
    slots.sub_grad = sub_grad;
}

static loci_status run(int back)
{
    static const loci_mask mask = {sizeof mask, 1, -1, -1};
    const loci_mixer *m = (const loci_mixer *)cls->iface;
    loci_tensor dy = y->in.t;
    loci_io io;

    memset(&io, 0, sizeof io);
    io.struct_size = sizeof io;
    io.op = LOCI_OP_MIX;
    io.x = &x->in.t;
    io.y = &y->out.t;
    io.q = &batch;
    io.mask = &mask;
    dy.data = y->weight;
    io.dy = &dy;
    io.dx = &x->grad.t;
    return back ? m->backward(module, &exec_, &slots, &io, &error) : m->forward(module, &exec_, &slots, &io, &error);
}

static double run_forward(void)
{
    double sum = 0;

    for (int64_t i = 0; i < y->n; i++)
        y->became[i] = UNTOUCHED;
    OK(run(0));
    for (int64_t i = 0; i < y->n; i++)
        if (in_run(i / DIM))
            sum += y->weight[i] * y->became[i];
    return sum;
}

static void run_backward(void)
{
    OK(run(1));
    for (int64_t i = 0; i < y->n; i++)
        y->dx[i] = 1;
}

static void gradients_are_those_of_differences(void)
{
    open_composition();
    differences();
    close_instance();
}

static void a_token_of_no_document_is_left_alone(void)
{
    open_composition();
    gradients();
    for (int64_t i = 0; i < DIM; i++) {
        CU_ASSERT(y->became[FREE * DIM + i] == UNTOUCHED);
        CU_ASSERT(x->dx[FREE * DIM + i] == 0);
    }
    close_instance();
}

/* A call that saves nothing gives the same. */
static void it_saves_only_when_asked_to(void)
{
    double want[T * DIM];

    open_composition();
    loss();
    memcpy(want, y->became, sizeof want);
    exec_.flags = 0;
    exec_.saved = NULL;
    exec_.saved_bytes = 0;
    calls[0] = calls[1] = 0;
    loss();
    CU_ASSERT(memcmp(want, y->became, sizeof want) == 0);
    CU_ASSERT(calls[0] == 1 && calls[1] == 1);
    close_instance();
}

#include "facts.h"

int main(int argc, char **argv)
{
    static const CU_TestInfo tests[] = {
        {"gradients_are_those_of_differences", gradients_are_those_of_differences},
        {"a_token_of_no_document_is_left_alone", a_token_of_no_document_is_left_alone},
        {"it_saves_only_when_asked_to", it_saves_only_when_asked_to},
        FACTS /* of facts.h */
            CU_TEST_INFO_NULL,
    };

    return run_tests("@ID@", argc, argv, tests);
}

/* Is the mixer right? What must hold of any mixer with a state; facts.h has what holds of this one. See test_host.h. */
#include "test_host.h"

static part *x, *y;

static void open_mixer(void)
{
    const int64_t shape[] = {1, T, DIM};

    x = part_new("", "x", 3, shape, -1, 1);
    y = part_new("", "y", 3, shape, 0, 0); /* nothing depends on it: its differences are 0 */
    CU_ASSERT_FATAL(open_instance(LOCI_OP_MIX));
}

/* Mixers keep no initial state of their own: the row of a document that begins is zero. */
static void start(void)
{
    for (uint32_t i = 0; i < n_states; i++) {
        const int64_t row = parts[state_part[i]].n / STATES;
        memset(parts[state_part[i]].x + two[0].state * row, 0, (size_t)row * sizeof(double));
    }
}

static loci_status run(int back)
{
    static const loci_mask mask = {sizeof mask, 1, -1, -1};
    const loci_mixer *m = (const loci_mixer *)cls->iface;
    int32_t pos[T];
    loci_tensor dy = y->in.t;
    loci_view at;
    loci_io io;

    for (int t = 0; t < T; t++)
        pos[t] = -1;
    for (uint32_t i = 0; i < batch.n_runs; i++)
        for (int32_t t = 0; t < batch.runs[i].len; t++)
            pos[batch.runs[i].begin + t] = (int32_t)batch.runs[i].pos + t;
    batch.pos = loci_view_set(&at, pos, cpu, (loci_dtype){LOCI_INT, 32, 1}, 2, (int64_t[]){1, T});
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
    start();
    OK(run(0));
    for (int64_t i = 0; i < y->n; i++)
        if (in_run(i / DIM))
            sum += y->weight[i] * y->became[i];
    return sum;
}

static void run_backward(void)
{
    OK(run(1));
    for (uint32_t i = 0; i < n_states; i++) { /* it is always zero */
        const int64_t row = parts[state_part[i]].n / STATES;
        memset(parts[state_part[i]].dx + two[0].state * row, 0, (size_t)row * sizeof(double));
    }
    for (int64_t i = 0; i < y->n; i++)
        y->dx[i] = 1;
}

static void gradients_are_those_of_differences(void)
{
    open_mixer();
    differences();
    close_instance();
}

static void a_token_of_no_document_is_left_alone(void)
{
    double want[T * DIM];

    open_mixer();
    gradients();
    for (int64_t i = 0; i < DIM; i++) {
        CU_ASSERT(y->became[FREE * DIM + i] == UNTOUCHED);
        CU_ASSERT(x->dx[FREE * DIM + i] == 0);
        x->x[FREE * DIM + i] = NAN;
    }
    memcpy(want, y->became, sizeof want);
    loss();
    CU_ASSERT(memcmp(want, y->became, sizeof want) == 0);
    close_instance();
}

/* One call for each token, the state handed on, gives what one call gives. */
static void token_by_token_is_the_same(void)
{
    double want[T * DIM], whole, off = 0;

    open_mixer();
    loss();
    whole = states_loss();
    memcpy(want, y->became, sizeof want);
    start();
    for (int32_t t = 0; t < 3; t++) {
        loci_run one[2] = {two[0], two[1]};

        for (int r = 0; r < 2; r++) {
            one[r].begin += t;
            one[r].pos += t;
            one[r].len = 1;
        }
        batch.runs = one;
        OK(run(0));
        batch.runs = two;
        for (uint32_t i = 0; i < n_states; i++) {
            part *p = &parts[state_part[i]];
            memcpy(p->x, p->became, (size_t)p->n * sizeof(double));
        }
    }
    for (int64_t i = 0; i < T * DIM; i++)
        off = fmax(off, fabs(y->became[i] - want[i]));
    CU_ASSERT(off < 1e-12);
    CU_ASSERT(fabs(whole - states_loss()) < 1e-12);
    close_instance();
}

static void no_token_sees_a_later_one(void)
{
    double want[T * DIM];

    open_mixer();
    loss();
    memcpy(want, y->became, sizeof want);
    for (int64_t i = 0; i < DIM; i++)
        x->x[2 * DIM + i] = x->x[6 * DIM + i] = 1e6; /* the last of each document */
    loss();
    CU_ASSERT(memcmp(want, y->became, 2 * DIM * sizeof(double)) == 0);
    CU_ASSERT(memcmp(want + 4 * DIM, y->became + 4 * DIM, 2 * DIM * sizeof(double)) == 0);
    CU_ASSERT(memcmp(want + 2 * DIM, y->became + 2 * DIM, DIM * sizeof(double)) != 0);
    close_instance();
}

#include "facts.h"

int main(int argc, char **argv)
{
    static const CU_TestInfo tests[] = {
        {"gradients_are_those_of_differences", gradients_are_those_of_differences},
        {"a_token_of_no_document_is_left_alone", a_token_of_no_document_is_left_alone},
        {"token_by_token_is_the_same", token_by_token_is_the_same},
        {"no_token_sees_a_later_one", no_token_sees_a_later_one},
        FACTS /* of facts.h */
            CU_TEST_INFO_NULL,
    };

    return run_tests("@ID@", argc, argv, tests);
}

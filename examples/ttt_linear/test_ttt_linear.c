/* Is the memory right? What must hold of any rule; facts.h has what holds of this one. See test_host.h.
 * A rule that wants keys and values of one width says `#define DV DK` here. */
#define DV DK
#include "test_host.h"

static part *q, *k, *v, *y;

static void open_rule(void)
{
    const int64_t keys[] = {1, T, H, DK}, values[] = {1, T, H, DV};

    q = part_new("", "q", 4, keys, -1, 1);
    k = part_new("", "k", 4, keys, -1, 1);
    v = part_new("", "v", 4, values, -1, 1);
    y = part_new("", "y", 4, values, 0, 0); /* nothing depends on it: its differences are 0 */
    CU_ASSERT_FATAL(open_instance(LOCI_OP_STEP));
}

/* The initial state is the rule's; a document that has been going on has what its state holds. */
static loci_status start(int back)
{
    static const loci_batch first = {sizeof first, 1, two, NULL};
    const loci_memory *m = (const loci_memory *)cls->iface;
    loci_slots s = slots;

    if (!back) {
        for (uint32_t i = 0; i < n_states; i++) {
            const int64_t row = parts[state_part[i]].n / STATES;
            memset(parts[state_part[i]].x + two[0].state * row, 0, (size_t)row * sizeof(double));
        }
        s.state_out = state_in;
        return m->state_init ? m->state_init(module, &exec_, &s, &first, &error) : LOCI_OK;
    }
    return m->state_init_back ? m->state_init_back(module, &exec_, &s, &first, &error) : LOCI_OK;
}

static loci_rule_io io_of(const loci_tensor *const *gate, loci_tensor *const *dgate)
{
    loci_rule_io io;

    memset(&io, 0, sizeof io);
    io.struct_size = sizeof io;
    io.op = LOCI_OP_STEP;
    io.batch = &batch;
    io.q = &q->in.t;
    io.k = &k->in.t;
    io.v = &v->in.t;
    io.gate = gate;
    io.y = &y->out.t;
    io.dgate = dgate;
    return io;
}

static loci_status run(int back)
{
    const loci_memory *m = (const loci_memory *)cls->iface;
    const loci_tensor *gate[MOST];
    loci_tensor *dgate[MOST], dy = y->in.t;
    loci_rule_io io = io_of(gate, dgate);

    for (uint32_t i = 0; i < n_gates; i++) {
        gate[i] = &gates[i];
        dgate[i] = &dgates[i];
    }
    dy.data = y->weight;
    io.dy = &dy;
    io.dq = &q->grad.t;
    io.dk = &k->grad.t;
    io.dv = &v->grad.t;
    return back ? m->backward(module, &exec_, &slots, &io, &error) : m->forward(module, &exec_, &slots, &io, &error);
}

static double run_forward(void)
{
    double sum = 0;

    for (int64_t i = 0; i < y->n; i++)
        y->became[i] = UNTOUCHED;
    OK(start(0));
    OK(run(0));
    for (int64_t i = 0; i < y->n; i++)
        if (in_run(i / (H * DV)))
            sum += y->weight[i] * y->became[i];
    return sum;
}

/* What arrives at the initial state goes to the weights that made it; the differences of the state itself are 0. */
static void run_backward(void)
{
    OK(run(1));
    OK(start(1));
    for (uint32_t i = 0; i < n_states; i++) {
        const int64_t row = parts[state_part[i]].n / STATES;
        memset(parts[state_part[i]].dx + two[0].state * row, 0, (size_t)row * sizeof(double));
    }
    for (int64_t i = 0; i < y->n; i++)
        y->dx[i] = 1;
}

static void gradients_are_those_of_differences(void)
{
    open_rule();
    differences();
    close_instance();
}

static void a_token_of_no_document_is_left_alone(void)
{
    open_rule();
    gradients();
    for (int64_t i = 0; i < H * DV; i++) {
        CU_ASSERT(y->became[FREE * H * DV + i] == UNTOUCHED);
        CU_ASSERT(v->dx[FREE * H * DV + i] == 0);
    }
    close_instance();
}

/* One call for each token, the state handed on, gives what one call gives. */
static void token_by_token_is_the_same(void)
{
    double whole, off = 0;
    double *want;

    open_rule();
    whole = loss();
    want = numbers(y->n, 0, 0);
    memcpy(want, y->became, (size_t)y->n * sizeof *want);
    OK(start(0));
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
    for (int64_t i = 0; i < y->n; i++)
        off = fmax(off, fabs(y->became[i] - want[i]));
    CU_ASSERT(off < 1e-12);
    for (int64_t i = 0; i < y->n; i++)
        if (in_run(i / (H * DV)))
            whole -= y->weight[i] * want[i];
    CU_ASSERT(fabs(whole - states_loss()) < 1e-12);
    free(want);
    close_instance();
}

#include "facts.h"

int main(int argc, char **argv)
{
    static const CU_TestInfo tests[] = {
        {"gradients_are_those_of_differences", gradients_are_those_of_differences},
        {"a_token_of_no_document_is_left_alone", a_token_of_no_document_is_left_alone},
        {"token_by_token_is_the_same", token_by_token_is_the_same},
        FACTS /* of facts.h */
            CU_TEST_INFO_NULL,
    };

    return run_tests("org.example.ttt-linear", argc, argv, tests);
}

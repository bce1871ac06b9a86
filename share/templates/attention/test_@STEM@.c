/* Is the attention right? What must hold of any backend; facts.h has what holds of this one. See test_host.h. */
#include "test_host.h"

enum { HEADS = 4 };

static part *q, *k, *v;
static loci_view o_view, lse_view, do_view, dlse_view;
static double o[T * HEADS * DV], lse[HEADS * T], d_o[T * HEADS * DV], d_lse[HEADS * T];
static loci_attn_desc desc;

/* Four query heads over two key heads and one value head. */
static void open_attention(void)
{
    const int64_t qs[] = {1, T, HEADS, DK}, ks[] = {1, KEYS, 2, DK}, vs[] = {1, KEYS, 1, DV};
    const int64_t os[] = {1, T, HEADS, DV}, ls[] = {1, HEADS, T};

    q = part_new("", "q", 4, qs, -2, 2);
    k = part_new("", "k", 4, ks, -2, 2);
    v = part_new("", "v", 4, vs, -2, 2);
    loci_view_set(&o_view, o, cpu, f64, 4, os);
    loci_view_set(&do_view, d_o, cpu, f64, 4, os);
    loci_view_set(&lse_view, lse, cpu, f64, 3, ls);
    loci_view_set(&dlse_view, d_lse, cpu, f64, 3, ls);
    for (int i = 0; i < T * HEADS * DV; i++)
        d_o[i] = noise(-1, 1);
    for (int i = 0; i < HEADS * T; i++)
        d_lse[i] = noise(-1, 1);
    memset(&desc, 0, sizeof desc);
    desc.struct_size = sizeof desc;
    desc.scale = 0.7;
    desc.causal = 1;
    desc.window_left = desc.window_right = -1;
    desc.offset = KEYS - T;
    CU_ASSERT_FATAL(open_instance(LOCI_OP_MIX));
}

static loci_status run(int back)
{
    const loci_attention *a = (const loci_attention *)cls->iface;
    loci_attn_io io;

    memset(&io, 0, sizeof io);
    io.struct_size = sizeof io;
    io.desc = &desc;
    io.q = &q->in.t;
    io.k = &k->in.t;
    io.v = &v->in.t;
    io.o = &o_view.t;
    io.lse = &lse_view.t;
    io.d_o = &do_view.t;
    io.d_lse = &dlse_view.t;
    io.dq = &q->grad.t;
    io.dk = &k->grad.t;
    io.dv = &v->grad.t;
    return back ? a->backward(module, &exec_, &io, &error) : a->forward(module, &exec_, &io, &error);
}

static double run_forward(void)
{
    double sum = 0;

    OK(run(0));
    for (int i = 0; i < T * HEADS * DV; i++)
        sum += d_o[i] * o[i];
    for (int i = 0; i < HEADS * T; i++)
        sum += isfinite(lse[i]) ? d_lse[i] * lse[i] : 0;
    return sum;
}

static void run_backward(void)
{
    OK(run(1));
}

static void gradients_are_those_of_differences(void)
{
    open_attention();
    differences();
    desc.window_left = 3;
    desc.prefix = 2;
    differences();
    desc.causal = 0;
    desc.window_right = 1;
    desc.offset = -2; /* the first query sees the prefix, and keys of negative distance */
    differences();
    close_instance();
}

/* Positions and segments: two documents in one row, each as if alone. */
static void gradients_with_positions_and_segments_too(void)
{
    static int32_t qp[T] = {0, 1, 2, 3, 0, 1, 2}, kp[KEYS] = {0, 1, 2, 3, -1, 0, 1, 2, 3};
    static int32_t qs[T] = {1, 1, 1, 1, 2, 2, 2}, ks[KEYS] = {1, 1, 1, 1, 2, 2, 2, 2, 3}, n[1] = {KEYS - 1};
    const loci_dtype i32 = {LOCI_INT, 32, 1};
    loci_view a, b, c, d, e;

    open_attention();
    desc.q_pos = loci_view_set(&a, qp, cpu, i32, 2, (int64_t[]){1, T});
    desc.k_pos = loci_view_set(&b, kp, cpu, i32, 2, (int64_t[]){1, KEYS});
    desc.q_seg = loci_view_set(&c, qs, cpu, i32, 2, (int64_t[]){1, T});
    desc.k_seg = loci_view_set(&d, ks, cpu, i32, 2, (int64_t[]){1, KEYS});
    desc.k_len = loci_view_set(&e, n, cpu, i32, 1, (int64_t[]){1});
    differences();
    close_instance();
}

static void a_query_that_sees_nothing_is_zero(void)
{
    open_attention();
    desc.offset = -3;
    gradients();
    for (int i = 0; i < 3 * HEADS * DV; i++)
        CU_ASSERT(o[i] == 0);
    CU_ASSERT(lse[0] == -INFINITY && lse[1] == -INFINITY && lse[2] == -INFINITY && isfinite(lse[3]));
    for (int i = 0; i < 3 * HEADS * DK; i++)
        CU_ASSERT(q->dx[i] == 0);
    close_instance();
}

#include "facts.h"

int main(int argc, char **argv)
{
    static const CU_TestInfo tests[] = {
        {"gradients_are_those_of_differences", gradients_are_those_of_differences},
        {"gradients_with_positions_and_segments_too", gradients_with_positions_and_segments_too},
        {"a_query_that_sees_nothing_is_zero", a_query_that_sees_nothing_is_zero},
        FACTS /* of facts.h */
            CU_TEST_INFO_NULL,
    };

    return run_tests("@ID@", argc, argv, tests);
}

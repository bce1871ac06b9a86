/* What holds of this formula and of no other; test_@STEM@.c, which has what holds of any, includes it. Begin with a
 * fact of yours that is plain to see, and add it to FACTS. */

/* Each channel is a share of both, and at a large gate the memory alone. */
static void a_large_gate_is_the_memory_alone(void)
{
    open_composition();
    for (int d = 0; d < DIM; d++)
        part_find("weight gate")->x[d] = 40;
    loss();
    for (int64_t i = 0; i < y->n; i++)
        if (in_run(i / DIM))
            CU_ASSERT(fabs(y->became[i] - x->x[i] * x->x[i]) < 1e-12);
    close_instance();
}

#define FACTS {"a_large_gate_is_the_memory_alone", a_large_gate_is_the_memory_alone},

/* What holds of this formula and of no other; test_@STEM@.c, which has what holds of any, includes it. Begin with a
 * fact of yours that is plain to see, and add it to FACTS. */

/* A large step stores the pair: what is asked for with its key comes back. */
static void a_large_step_stores_the_pair(void)
{
    part *beta;

    open_rule();
    beta = part_find("gate beta");
    for (int64_t i = 0; i < beta->n; i++)
        beta->x[i] = 1e9;
    memcpy(q->x, k->x, (size_t)k->n * sizeof(double));
    loss();
    for (int64_t i = 0; i < y->n; i++)
        if (in_run(i / (H * DV)))
            CU_ASSERT(fabs(y->became[i] - v->x[i]) < 1e-6);
    close_instance();
}

#define FACTS {"a_large_step_stores_the_pair", a_large_step_stores_the_pair},

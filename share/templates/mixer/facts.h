/* What holds of this formula and of no other; test_@STEM@.c, which has what holds of any, includes it. Begin with a
 * fact of yours that is plain to see, and add it to FACTS. */

/* The mean of a constant is that constant: of a document that goes on as it began, h is u and y is W_out W_in x. */
static void the_average_of_a_constant_is_the_constant(void)
{
    open_mixer();
    for (int64_t t = 5; t < 7; t++)
        memcpy(x->x + t * DIM, x->x + 4 * DIM, DIM * sizeof(double));
    for (int64_t d = 0; d < DIM; d++) { /* the state of the second document is u already */
        const double *w = part_find("weight in.weight")->x + d * DIM;
        double *h = part_find("state h")->x + two[1].state * DIM;

        h[d] = 0;
        for (int64_t e = 0; e < DIM; e++)
            h[d] += w[e] * x->x[4 * DIM + e];
    }
    loss();
    for (int64_t i = 0; i < DIM; i++)
        CU_ASSERT(fabs(y->became[4 * DIM + i] - y->became[6 * DIM + i]) < 1e-12);
    close_instance();
}

#define FACTS {"the_average_of_a_constant_is_the_constant", the_average_of_a_constant_is_the_constant},

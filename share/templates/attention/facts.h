/* What holds of this backend; test_@STEM@.c, which has what holds of any, includes it. Add to FACTS what you make of
 * it. */

static void rows_are_averages_of_what_they_see(void)
{
    open_attention();
    desc.causal = 1;
    desc.offset = 0;
    loss();
    for (int h = 0; h < HEADS; h++)
        for (int x = 0; x < DV; x++) { /* the first query sees the first key alone */
            CU_ASSERT(fabs(o[h * DV + x] - v->x[x]) < 1e-12);
        }
    memset(k->x, 0, (size_t)k->n * sizeof(double)); /* the last sees T alike */
    loss();
    for (int x = 0; x < DV; x++) {
        double mean = 0;
        for (int j = 0; j < T; j++)
            mean += v->x[j * DV + x] / T;
        CU_ASSERT(fabs(o[(T - 1) * HEADS * DV + x] - mean) < 1e-12);
        CU_ASSERT(fabs(lse[T - 1] - log(T)) < 1e-12);
    }
    close_instance();
}

static void what_it_lacks_is_declined_by_name(void)
{
    loci_fit fit = {sizeof fit, 0, ""};
    loci_shape shape;

    memset(&shape, 0, sizeof shape);
    shape.struct_size = sizeof shape;
    shape.heads = shape.k_heads = shape.v_heads = 2;
    shape.dk = shape.dv = 4;
    shape.dtype = shape.acc = f64;
    shape.device = cpu;
    shape.features = LOCI_A_POS | LOCI_A_LENGTHS | LOCI_A_PREFIX | LOCI_A_WINDOW;
    CU_ASSERT(cls->fit(&host, NULL, &shape, &fit) == LOCI_OK && fit.score > 0);
    shape.features |= LOCI_A_DROPOUT;
    CU_ASSERT(cls->fit(&host, NULL, &shape, &fit) == LOCI_OK);
    CU_ASSERT(fit.score == 0 && strstr(fit.reason, "dropout") != NULL);
}

#define FACTS \
    {"rows_are_averages_of_what_they_see", rows_are_averages_of_what_they_see}, \
        {"what_it_lacks_is_declined_by_name", what_it_lacks_is_declined_by_name},

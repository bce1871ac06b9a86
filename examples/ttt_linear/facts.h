/* What holds of TTT-Linear and of no other; test_ttt_linear.c, which has what holds of any rule, includes it. */

/* All gradients of a mini-batch are taken at the same weights, so their order does not matter for what is left. */
static void tokens_of_a_minibatch_commute(void)
{
    part *eta, *W;
    double *left;

    open_rule();
    eta = part_find("gate eta");
    W = part_find("state W");
    loss();
    left = numbers(W->n, 0, 0);
    memcpy(left, W->became, (size_t)W->n * sizeof *left);
    for (int64_t i = 0; i < H * DK; i++) { /* tokens 4 and 5 are the second document's positions 2 and 3 */
        const double a = k->x[4 * H * DK + i], b = v->x[4 * H * DK + i];

        k->x[4 * H * DK + i] = k->x[5 * H * DK + i];
        v->x[4 * H * DK + i] = v->x[5 * H * DK + i];
        k->x[5 * H * DK + i] = a;
        v->x[5 * H * DK + i] = b;
    }
    for (int64_t h = 0; h < H; h++) {
        const double a = eta->x[4 * H + h];

        eta->x[4 * H + h] = eta->x[5 * H + h];
        eta->x[5 * H + h] = a;
    }
    loss();
    for (int64_t i = 0; i < W->n; i++)
        CU_ASSERT(fabs(left[i] - W->became[i]) < 1e-12);
    free(left);
    close_instance();
}

/* |x + LN(W x + b) - v|^2 for the key and value of token t, at head h of the second document's state. */
static double inner_loss(const double *W, const double *b, int64_t t, int64_t h)
{
    const double *key = k->x + (t * H + h) * DK, *value = v->x + (t * H + h) * DV;
    const double *gain = part_find("weight gain")->x + h * DV, *bias = part_find("weight bias")->x + h * DV;
    double z[DV], mean = 0, var = 0, sum = 0;

    for (int i = 0; i < DV; i++) {
        z[i] = b[h * DV + i];
        for (int c = 0; c < DK; c++)
            z[i] += W[(h * DV + i) * DK + c] * key[c];
        mean += z[i] / DV;
    }
    for (int i = 0; i < DV; i++)
        var += (z[i] - mean) * (z[i] - mean) / DV;
    for (int i = 0; i < DV; i++)
        sum += pow(key[i] + gain[i] * (z[i] - mean) / sqrt(var + 1e-6) + bias[i] - value[i], 2);
    return sum;
}

/* A token that begins a mini-batch: a small step makes its loss smaller, and by what the gradient promises. */
static void a_small_step_descends(void)
{
    const loci_run one[] = {{0, 4, 1, 0, 16, 2}};
    part *W, *b, *eta;

    open_rule();
    W = part_find("state W");
    b = part_find("state b");
    eta = part_find("gate eta");
    for (int64_t i = 0; i < eta->n; i++)
        eta->x[i] = 1e-5;
    batch.runs = one;
    batch.n_runs = 1;
    OK(run(0));
    batch.runs = two;
    batch.n_runs = 2;
    for (int64_t h = 0; h < H;
         h++) { /* half the sum of squares falls by eta times the squared gradient, = |dW|^2 / eta */
        double moved = 0;
        const double fell = (inner_loss(W->x, b->x, 4, h) - inner_loss(W->became, b->became, 4, h)) / 2;

        for (int64_t i = h * DV * DK; i < (h + 1) * DV * DK; i++)
            moved += pow(W->became[i] - W->x[i], 2) / 1e-5;
        for (int64_t i = h * DV; i < (h + 1) * DV; i++)
            moved += pow(b->became[i] - b->x[i], 2) / 1e-5;
        CU_ASSERT(fell > 0);
        CU_ASSERT(fabs(fell / moved - 1) < 1e-2);
    }
    close_instance();
}

#define FACTS \
    {"tokens_of_a_minibatch_commute", tokens_of_a_minibatch_commute}, {"a_small_step_descends", a_small_step_descends},

/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/unit/suite_use.h: the part of suite.h about a rule in use: where a document begins, files, long times, recall.
 */

/* The initial state is written for the runs and no others, and its gradient reaches the weights it is made of. */
static void the_first_state_is_that_of_the_weights(void)
{
    SUITE_EACH(s)
    {
        static const loci_run runs[] = {{0, 0, 1, 2, 0, 0}, {1, 0, 1, 0, 0, 1}};
        const loci_batch batch = {sizeof batch, 2, runs, NULL};
        trial t = trial_new(s, 3, 1, 2, 4, 3);
        box state[RULE_MOST], again[RULE_MOST], grad[RULE_MOST], weight[RULE_MOST], dweight[RULE_MOST];
        loci_tensor states[RULE_MOST], grads[RULE_MOST], weights[RULE_MOST], dweights[RULE_MOST];
        loci_slots slots = {.struct_size = sizeof slots, .state_out = states, .state_grad = grads};
        loci_exec x;
        rule r;

        trial_fill(&t);
        if (!subject_open(s, &r, 64, t.H, t.dk, t.dv, 1, NULL))
            return;
        x = ck_exec(&r.h);
        slots.n_state = r.n_state, slots.n_params = r.n_weight, slots.params = weights, slots.grads = dweights;
        for (uint32_t i = 0; i < r.n_state; i++) {
            box_state(&state[i], &r, i, NULL, 3), box_state(&again[i], &r, i, NULL, 3);
            box_state(&grad[i], &r, i, t.dout[i], 3);
            box_fill(&state[i], SENTINEL);
            states[i] = state[i].t, grads[i] = grad[i].t;
        }
        for (uint32_t i = 0; i < r.n_weight; i++) {
            box_shape(&weight[i], t.x[PART_WEIGHT + i], 64, r.weight[i].ndim, r.weight_shape[i]);
            box_shape(&dweight[i], NULL, 64, r.weight[i].ndim, r.weight_shape[i]);
            weights[i] = weight[i].t, dweights[i] = dweight[i].t;
        }
        if (r.iface->state_init)
            CU_ASSERT(r.iface->state_init(r.m, &x, &slots, &batch, &ck_err) == LOCI_OK);
        for (uint32_t i = 0; i < r.n_state; i++)
            for (int64_t j = 0; j < state[i].n; j++) {
                const bool named = j / (state[i].n / 3) != 1;
                const double got = box_at(&state[i], j);

                CU_ASSERT_FATAL(!r.iface->state_init || (got == SENTINEL) == !named);
                CU_ASSERT_FATAL(r.n_weight || !named || !r.iface->state_init || got == 0);
            }
        if (r.n_weight)
            CU_ASSERT(r.iface->state_init_back(r.m, &x, &slots, &batch, &ck_err) == LOCI_OK);
        for (uint32_t i = 0; i < r.n_state; i++)
            states[i] = again[i].t;
        for (uint32_t w = 0; w < r.n_weight; w++)
            for (int64_t j = 0; j < weight[w].n; j++) { /* the map is linear: one difference is exact */
                const double old = box_at(&weight[w], j);
                double want = 0;

                box_put(&weight[w], j, old + 1);
                CU_ASSERT(r.iface->state_init(r.m, &x, &slots, &batch, &ck_err) == LOCI_OK);
                box_put(&weight[w], j, old);
                for (uint32_t i = 0; i < r.n_state; i++)
                    for (int64_t e = 0; e < state[i].n; e++)
                        if (e / (state[i].n / 3) != 1)
                            want += t.dout[i][e] * (box_at(&again[i], e) - box_at(&state[i], e));
                CU_ASSERT(fabs(box_at(&dweight[w], j) - want) < 1e-12);
            }
        for (uint32_t i = 0; i < r.n_state; i++)
            box_take(&state[i], NULL), box_take(&again[i], NULL), box_take(&grad[i], NULL);
        for (uint32_t i = 0; i < r.n_weight; i++)
            box_take(&weight[i], NULL), box_take(&dweight[i], NULL);
        rule_close(&r);
        trial_free(&t);
    }
}

/* Through the file that a checkpoint is made of: written within a chunk, read by another instance. */
static void a_state_survives_its_file_within_a_chunk(void)
{
    SUITE_EACH(s)
    {
        char path[] = "/tmp/loci-suite-XXXXXX";
        const int made = mkstemp(path);
        trial t = trial_new(s, 1, 23, 2, 6, 5), a, b, c;
        loci_named named[RULE_MOST];
        loci_tensors *file = NULL;
        float *data[RULE_MOST];
        char names[RULE_MOST][16];
        uint32_t n = 0;

        t.runs[0].pos = 1;
        trial_fill(&t);
        a = trial_copy(&t);
        a.runs[0].len = 9;
        trial_once(&a, 32, NULL, false);
        b = trial_copy(&t);
        b.runs[0] = (loci_run){0, 9, 14, 0, 10, 0};
        for (int i = 0; i < RULE_MOST; i++)
            memcpy(b.x[PART_STATE + i], a.out[i], (size_t)t.n[PART_STATE + i] * sizeof(double));
        c = trial_copy(&b);
        trial_once(&b, 32, NULL, false);
        for (int i = 0; i < RULE_MOST && t.n[PART_STATE + i]; i++, n++) {
            snprintf(names[i], sizeof names[i], "s%d", i);
            data[i] = calloc((size_t)t.n[PART_STATE + i], sizeof **data);
            for (int64_t j = 0; j < t.n[PART_STATE + i]; j++)
                data[i][j] = (float)a.out[i][j];
            named[i] = (loci_named){.name = names[i], .dtype = {LOCI_FLOAT, 32, 1}, .ndim = 1, .data = data[i]};
            named[i].shape[0] = t.n[PART_STATE + i];
            named[i].bytes = (uint64_t)t.n[PART_STATE + i] * sizeof **data;
        }
        CU_ASSERT_FATAL(made >= 0 && close(made) == 0);
        CU_ASSERT_FATAL(loci_tensors_write(path, named, n, NULL, &ck_err) == LOCI_OK);
        CU_ASSERT_FATAL(loci_tensors_open(&file, path, &ck_err) == LOCI_OK);
        for (uint32_t i = 0; i < n; i++) {
            const loci_named *got = loci_tensors_find(file, names[i]);

            for (int64_t j = 0; j < t.n[PART_STATE + i]; j++)
                c.x[PART_STATE + i][j] = ((const float *)got->data)[j];
            free(data[i]);
        }
        loci_tensors_close(file);
        remove(path);
        trial_once(&c, 32, NULL, false);
        CU_ASSERT(memcmp(b.y, c.y, (size_t)t.n_y * sizeof(double)) == 0);
        for (uint32_t i = 0; i < n; i++)
            CU_ASSERT(memcmp(b.out[i], c.out[i], (size_t)t.n[PART_STATE + i] * sizeof(double)) == 0);
        trial_once(&t, 32, NULL, false); /* and the two pieces are the whole */
        CK_TRUE(apart(c.y + 9 * t.H * t.dv, t.y + 9 * t.H * t.dv, 14 * t.H * t.dv) < 1e-5, "%s", s->name);
        trial_free(&t), trial_free(&a), trial_free(&b), trial_free(&c);
    }
}

/* A trial of T equal tokens: key, query and value are unit vectors. */
static inline trial equal_tokens(const subject *s, int64_t T, int64_t d)
{
    trial t = trial_new(s, 1, T, 1, d, d);

    trial_fill(&t);
    for (int64_t j = 0; j < T * d; j++) {
        t.x[PART_K][j] = t.x[PART_Q][j] = j % d == 3;
        t.x[PART_V][j] = j % d == 5;
    }
    return t;
}

static inline double largest(const double *x, int64_t n)
{
    double top = 0;

    for (int64_t j = 0; j < n; j++)
        top = farther(top, fabs(x[j]));
    return top;
}

/* Gates jump between the ends of their ranges; nothing grows without bound, and no gradient is lost to overflow. */
static void repeated_tokens_stay_bounded(void)
{
    SUITE_EACH(s)
    {
        trial t = equal_tokens(s, 2000, 8);
        const double bound = s->bound > 0 ? s->bound : 10;
        rule r;

        if (subject_open(s, &r, 32, t.H, t.dk, t.dv, 1, NULL)) {
            for (uint32_t i = 0; i < r.n_gate; i++)
                for (int64_t j = 0; j < t.n[PART_GATE + i]; j++) {
                    const double hi = s->calm[i] < 0 ? r.gate[i].lo : s->calm[i] > 0 ? s->calm[i] : gate_top(s, &r, i);

                    t.x[PART_GATE + i][j] = ck_rand() < 0.5 ? r.gate[i].lo : hi;
                }
            trial_run(&r, &t, true);
            CK_TRUE(largest(t.y, t.n_y) < bound, "%s: %g", s->name, largest(t.y, t.n_y));
            for (int p = 0; p < PARTS; p++)
                CK_TRUE(isfinite(largest(t.dx[p], t.n[p])), "%s: gradient of part %d", s->name, p);
            rule_close(&r);
        }
        trial_free(&t);
    }
}

/* Outside its bound a frozen chunk diverges: the limit that the manual states is real. */
static void equal_tokens_diverge_where_the_manual_says(void)
{
    SUITE_EACH(s)
    if (!left_out(s, NOT_DIVERGING)) {
        trial t = equal_tokens(s, 40 * (s->chunk ? s->chunk : 1), 8);

        for (int i = 0; i < RULE_MOST; i++)
            for (int64_t j = 0; j < t.n[PART_GATE + i]; j++)
                t.x[PART_GATE + i][j] = s->diverging[i];
        trial_once(&t, 64, NULL, false);
        CK_TRUE(largest(t.y, t.n_y) > 1e6, "%s: %g", s->name, largest(t.y, t.n_y));
        trial_free(&t);
    }
}

/* 100000 calls of one token in f32, against the same in f64. */
static void long_decoding_does_not_drift(void)
{
    SUITE_EACH(s)
    if (!left_out(s, NOT_STEADY)) {
        enum { STEPS = 100000, ROUND = 500 };
        trial t = trial_new(s, 1, ROUND, 1, 4, 4);
        double *state[2][RULE_MOST], y[2][4] = {{0}}, off = 0;
        rule r[2];

        trial_fill(&t);
        for (int i = 0; i < 2; i++) {
            first_states(&t, state[i]);
            subject_open(s, &r[i], i ? 64 : 32, 1, 4, 4, 1, NULL);
        }
        for (int step = 0; step < STEPS; step++) {
            if (step && step % ROUND == 0) {
                trial_free(&t);
                t = trial_new(s, 1, ROUND, 1, 4, 4);
                t.runs[0].pos = step;
                trial_fill(&t);
            }
            for (int i = 0; i < 2; i++)
                decode(&r[i], &t, step % ROUND, state[i], y[i]);
            off = farther(off, step % ROUND == ROUND - 1 ? ck_rms(y[0], y[1], 4) : 0);
        }
        for (int i = 0; i < RULE_MOST; i++)
            off = farther(off, apart(state[0][i], state[1][i], t.n[PART_STATE + i]));
        CK_TRUE(off < 1e-4, "%s: %g", s->name, off);
        for (int i = 0; i < 2; i++) {
            free_states(state[i]);
            rule_close(&r[i]);
        }
        trial_free(&t);
    }
}

/* As many orthonormal pairs as the width holds are recalled, and a second write of a key replaces the first. */
static void orthonormal_pairs_are_recalled_and_replaced(void)
{
    SUITE_EACH(s)
    if (!left_out(s, NOT_STORING)) {
        enum { D = 16 };
        const int64_t rounds = left_out(s, NOT_REPLACING) ? 1 : 2;
        trial t = trial_new(s, 1, D * rounds, 1, D, D), read;

        trial_fill(&t);
        t.op = LOCI_OP_WRITE;
        for (int64_t j = 0; j < t.n[PART_K]; j++)
            t.x[PART_K][j] = j / D % D == j % D;
        for (int i = 0; i < RULE_MOST; i++) {
            memset(t.x[PART_STATE + i], 0, (size_t)t.n[PART_STATE + i] * sizeof(double));
            for (int64_t j = 0; j < t.n[PART_GATE + i]; j++)
                t.x[PART_GATE + i][j] = s->storing[i];
        }
        trial_once(&t, 32, NULL, false);
        read = trial_new(s, 1, D, 1, D, D);
        read.op = LOCI_OP_READ;
        trial_fill(&read);
        memcpy(read.x[PART_Q], t.x[PART_K], (size_t)(D * D) * sizeof(double));
        for (int i = 0; i < RULE_MOST; i++)
            memcpy(read.x[PART_STATE + i], t.out[i], (size_t)t.n[PART_STATE + i] * sizeof(double));
        trial_once(&read, 32, NULL, false);
        CK_TRUE(apart(read.y, t.x[PART_V] + (rounds - 1) * D * D, D * D) < 1e-5, "%s: %g", s->name,
                apart(read.y, t.x[PART_V] + (rounds - 1) * D * D, D * D));
        trial_free(&read);
        trial_free(&t);
    }
}

#define SUITE_USE(X) \
    X(the_first_state_is_that_of_the_weights) \
    X(a_state_survives_its_file_within_a_chunk) \
    X(repeated_tokens_stay_bounded) \
    X(equal_tokens_diverge_where_the_manual_says) \
    X(long_decoding_does_not_drift) \
    X(orthonormal_pairs_are_recalled_and_replaced)

/* SPDX-License-Identifier: Apache-2.0
 *
 * The whole model: causality, runs, streams, threads, and the ways to take one step that give the same. Its gradients
 * are test_model_gradients.c's.
 */
#include "tests/unit/model.h"

/* Logits of the streams of a run list, copied to out[row * SEQ + t]. */
static loci_status logits_of(struct world *w, const int32_t *in, const loci_run *runs, uint32_t n, double *out)
{
    double loss;
    int64_t count;
    loci_status status = loci_pass_forward(w->p, in, NULL, runs, n, 1, 0, 1, &loss, &count, NULL, &ck_err);

    if (status == LOCI_OK)
        memcpy(out, loci_pass_logits(w->p), (size_t)(w->p->session.rows * w->p->session.seq * VOCAB) * sizeof *out);
    return status;
}

static const char *const every[] = {
    "[compose]\nbackend = plain\n[compose.plain]\npersistent_tok = 2\n",
    "[compose]\nbackend = lmm\n",
    "[compose]\nbackend = mag\n[compose.mag]\npersistent_tok = 2\n",
    "[compose]\nbackend = mal\n",
    "[compose]\nbackend = mac\n[compose.mac]\npersistent_tok = 2\nsegment_tok = 4\n",
    "[compose]\nbackend = mac\n[compose.mac]\nsegment_tok = 4\n[memory.titans]\nmode = frozen\n"};
#define N_EVERY (int)(sizeof every / sizeof *every)

static void the_past_does_not_change_with_the_future(void)
{
    for (int i = 0; i < N_EVERY; i++) {
        struct world w;
        double a[ROWS * SEQ * VOCAB], b[ROWS * SEQ * VOCAB];
        int32_t changed[ROWS * SEQ];
        CK_OK(open_world(&w, every[i], 0, SEQ, SEQ));
        CK_OK(logits_of(&w, w.in, NULL, 0, a));
        for (int t = 1; t < SEQ; t++) {
            memcpy(changed, w.in, sizeof changed);
            for (int r = 0; r < ROWS; r++)
                for (int u = t; u < SEQ; u++)
                    changed[r * SEQ + u] = (changed[r * SEQ + u] + 1 + u % 5) % VOCAB;
            CK_OK(logits_of(&w, changed, NULL, 0, b));
            for (int r = 0; r < ROWS; r++) {
                CK_TRUE(!memcmp(a + r * SEQ * VOCAB, b + r * SEQ * VOCAB, (size_t)(t * VOCAB) * sizeof *a),
                        "%s: tokens from %d on change what came before", every[i], t);
                CK_TRUE(memcmp(a + (r * SEQ + t) * VOCAB, b + (r * SEQ + t) * VOCAB, VOCAB * sizeof *a) != 0,
                        "%s: token %d changes nothing", every[i], t);
            }
        }
        close_world(&w);
    }
}

/* Every split into two pieces and single tokens: each stream in a row of its own, state carried by the pass. */
static void a_stream_equals_the_whole_for_every_split(void)
{
    for (int i = 0; i < N_EVERY; i++) {
        struct world w, s;
        double whole[ROWS * SEQ * VOCAB], got[ROWS * SEQ * VOCAB], part[ROWS * SEQ * VOCAB];
        CK_OK(open_world(&w, every[i], 0, SEQ, SEQ));
        CK_OK(open_world(&s, every[i], 0, SEQ, SEQ));
        CK_OK(logits_of(&w, w.in, NULL, 0, whole));
        for (int cut = 0; cut < SEQ; cut++) { /* 0: one token at a time */
            for (int at = 0, n; at < SEQ; at += n) {
                int32_t in[ROWS * SEQ] = {0};
                loci_run runs[ROWS];
                n = cut == 0 ? 1 : at == 0 ? cut : SEQ - cut;
                for (int r = 0; r < ROWS; r++) {
                    runs[r] = (loci_run){r, 0, n, r, at, (uint64_t)r};
                    memcpy(in + r * SEQ, w.in + r * SEQ + at, (size_t)n * sizeof *in);
                    for (int t = n; t < SEQ; t++)
                        in[r * SEQ + t] = -1;
                }
                CK_OK(logits_of(&s, in, runs, ROWS, part));
                for (int r = 0; r < ROWS; r++)
                    memcpy(got + (r * SEQ + at) * VOCAB, part + r * SEQ * VOCAB, (size_t)(n * VOCAB) * sizeof *got);
            }
            CK_TRUE(ck_rms(got, whole, ROWS * SEQ * VOCAB) < 1e-10, "%s: cut %d: %.3g", every[i], cut,
                    ck_rms(got, whole, ROWS * SEQ * VOCAB));
        }
        close_world(&s);
        close_world(&w);
    }
}

static void packed_documents_equal_documents_alone(void)
{
    for (int i = 0; i < N_EVERY; i++) {
        struct world w;
        double all[ROWS * SEQ * VOCAB], one[ROWS * SEQ * VOCAB];
        CK_OK(open_world(&w, every[i], 0, SEQ, SEQ));
        CK_OK(logits_of(&w, w.in, packed, 3, all));
        for (int d = 0; d < 3; d++) {
            loci_run alone = packed[d];
            int32_t in[ROWS * SEQ];
            int at = (packed[d].row * SEQ + packed[d].begin), n = packed[d].len;
            for (int t = 0; t < ROWS * SEQ; t++)
                in[t] = -1;
            memcpy(in, w.in + at, (size_t)n * sizeof *in);
            alone.row = alone.begin = 0;
            alone.state = 4;
            CK_OK(logits_of(&w, in, &alone, 1, one));
            CK_TRUE(ck_rms(one, all + at * VOCAB, (size_t)(n * VOCAB)) < 1e-12, "%s: document %d: %.3g", every[i], d,
                    ck_rms(one, all + at * VOCAB, (size_t)(n * VOCAB)));
        }
        close_world(&w);
    }
}

static void the_bits_do_not_depend_on_the_threads(void)
{
    for (int i = 0; i < N_EVERY; i++) {
        uint64_t hash[3];
        for (int t = 0; t < 3; t++) {
            struct world w;
            char text[400];
            snprintf(text, sizeof text, "%s[run]\ndtype = f32\nthreads = %d\n", every[i], 1 << t);
            CK_OK(open_world(&w, text, LOCI_X_SAVE | LOCI_X_TRAIN, SEQ, SEQ));
            loss_of(&w, NULL, 0);
            CK_OK(loci_pass_backward(w.p, &ck_err));
            hash[t] = 0;
            for (uint32_t k = 0; k < w.m->weights.n; k++)
                hash[t] = loci_hash(loci_ptr(&w.m->weights.at[k]->grad.t), w.m->weights.at[k]->elements * 4, hash[t]);
            close_world(&w);
        }
        CK_TRUE(hash[0] == hash[1] && hash[0] == hash[2], "%s", every[i]);
    }
}

/* One step: a copy of its gradients, its loss, the bytes of its pass. */
static void step_of(const char *text, uint64_t head_bytes, const loci_run *runs, uint32_t n, void *copy, double *loss,
                    uint64_t *bytes, uint64_t *elements)
{
    struct world w;
    void *all;

    CK_OK(open_world(&w, text, LOCI_X_SAVE | LOCI_X_TRAIN, SEQ, SEQ));
    loci_pass_free(w.p);
    w.m->head_bytes = head_bytes;
    CK_OK(loci_pass_new(&w.p, w.m, ROWS, SEQ, ROWS * 3, ROWS * 3, SEQ, LOCI_X_SAVE | LOCI_X_TRAIN, &ck_err));
    CK_OK(loci_pass_alloc(w.p, &ck_err));
    *bytes = loci_pass_bytes(w.p);
    *elements = w.m->weights.elements;
    *loss = loss_of(&w, runs, n);
    CK_OK(loci_pass_backward(w.p, &ck_err));
    all = gradients(&w);
    memcpy(copy, &all, sizeof all);
    close_world(&w);
}

static void recomputed_activations_change_no_bit_and_take_less_memory(void)
{
    for (int i = 0; i < 3 * N_EVERY; i++) {
        static const char *const ways[] = {"", "[run]\ndtype = f32\n", "[model]\nlayers = 4\nffn = gelu\n"};
        uint64_t bytes[2], n;
        double loss[2];
        void *g[2] = {NULL, NULL};
        for (int again = 0; again < 2; again++) {
            char text[400];
            snprintf(text, sizeof text, "%s%s[train]\nrecompute = %s\n", every[i / 3], ways[i % 3],
                     again ? "layer" : "none");
            step_of(text, 0, i % 2 ? packed : NULL, i % 2 ? 3 : 0, &g[again], &loss[again], &bytes[again], &n);
        }
        CK_TRUE(g[0] && g[1] && memcmp(g[0], g[1], n * (i % 3 == 1 ? 4 : 8)) == 0, "%s%s: gradients differ",
                every[i / 3], ways[i % 3]);
        CK_TRUE(loss[0] == loss[1] && isfinite(loss[0]), "%.17g and %.17g", loss[0], loss[1]);
        CK_TRUE(bytes[1] < bytes[0], "%s%s: %llu bytes and %llu", every[i / 3], ways[i % 3],
                (unsigned long long)bytes[0], (unsigned long long)bytes[1]);
        loci_free(g[0]);
        loci_free(g[1]);
    }
}

/* core/device/fused.h: what it offers is one way to compute, not another result. */
static void a_device_without_fused_passes_takes_the_same_step(void)
{
    static const char *const nets[] = {"ffn = swiglu\n", "ffn = gelu\n", "ffn = none\n"};

    for (int i = 0; i < 6; i++) {
        double loss[2];
        uint64_t bytes[2];
        void *g[2];
        int64_t n = 0;
        for (int without = 0; without < 2; without++) {
            struct world w;
            char text[200];
            snprintf(text, sizeof text, "[model]\n%s[train]\nrecompute = %s\n", nets[i % 3], i < 3 ? "none" : "layer");
            CK_OK(open_world(&w, text, LOCI_X_SAVE | LOCI_X_TRAIN, SEQ, SEQ));
            CU_ASSERT_PTR_NOT_NULL(w.cx->fused);
            if (without)
                w.cx->fused = NULL;
            loci_pass_free(w.p);
            CK_OK(loci_pass_new(&w.p, w.m, ROWS, SEQ, ROWS * 3, ROWS * 3, SEQ, LOCI_X_SAVE | LOCI_X_TRAIN, &ck_err));
            CK_OK(loci_pass_alloc(w.p, &ck_err));
            bytes[without] = loci_pass_bytes(w.p);
            loss[without] = loss_of(&w, packed, 3);
            CK_OK(loci_pass_backward(w.p, &ck_err));
            g[without] = gradients(&w);
            n = (int64_t)w.m->weights.elements;
            close_world(&w);
        }
        CK_TRUE(fabs(loss[0] - loss[1]) <= 1e-13 * fabs(loss[0]), "%s: %.17g and %.17g", nets[i % 3], loss[0], loss[1]);
        CK_TRUE(ck_rms(g[0], g[1], (size_t)n) < 1e-13, "%s: %.3g", nets[i % 3], ck_rms(g[0], g[1], (size_t)n));
        CK_TRUE(i % 3 == 2 ? bytes[0] == bytes[1] : bytes[0] < bytes[1], "%s: %llu bytes and %llu", nets[i % 3],
                (unsigned long long)bytes[0], (unsigned long long)bytes[1]);
        loci_free(g[0]);
        loci_free(g[1]);
    }
}

/* An evaluation in the memory of a training. */
static void a_pass_in_borrowed_memory_gives_the_same_bits_and_takes_less(void)
{
    struct world w;
    loci_pass *own = NULL, *guest = NULL;
    double trained, alone = 0, beside = 1;
    int64_t count;
    void *carried;

    CK_OK(open_world(&w, every[0], LOCI_X_SAVE | LOCI_X_TRAIN, SEQ, SEQ));
    CK_OK(loci_pass_new(&own, w.m, ROWS, SEQ, ROWS, ROWS, SEQ, 0, &ck_err));
    CK_OK(loci_pass_new(&guest, w.m, ROWS, SEQ, ROWS, ROWS, SEQ, 0, &ck_err));
    loci_pass_borrow(guest, w.p);
    CK_OK(loci_pass_alloc(own, &ck_err));
    CK_OK(loci_pass_alloc(guest, &ck_err));
    CU_ASSERT_PTR_EQUAL(guest->saved, w.p->saved);
    CU_ASSERT_PTR_EQUAL(guest->state_in, w.p->state_out);
    CU_ASSERT_TRUE(loci_pass_bytes(guest) + guest->state_bytes < loci_pass_bytes(own));
    trained = loss_of(&w, NULL, 0);
    CK_OK(loci_pass_backward(w.p, &ck_err));
    CK_OK(loci_pass_carry(w.p, &ck_err));
    carried = loci_alloc(w.p->state_bytes);
    memcpy(carried, w.p->state_in, w.p->state_bytes);
    CK_OK(loci_pass_forward(own, w.in, w.next, NULL, 0, 0, 0, 0, &alone, &count, NULL, &ck_err));
    CK_OK(loci_pass_forward(guest, w.in, w.next, NULL, 0, 0, 0, 0, &beside, &count, NULL, &ck_err));
    CU_ASSERT_EQUAL(alone, beside);
    CU_ASSERT_EQUAL(memcmp(carried, w.p->state_in, w.p->state_bytes), 0);
    CU_ASSERT_EQUAL(trained, loss_of(&w, NULL, 0));
    loci_free(carried);
    loci_pass_free(own);
    loci_pass_free(guest);
    close_world(&w);
}

static void losses_alone_need_no_logits_of_all_tokens(void)
{
    enum { N = ROWS * SEQ };
    struct world w;
    loci_pass *p[2] = {NULL, NULL};
    int32_t answers[2][N];
    double loss[2] = {0, 1};
    const double *logits;
    int64_t count;

    CK_OK(open_world(&w, every[0], 0, SEQ, SEQ));
    w.m->head_bytes = 3 * VOCAB * sizeof(double);
    w.next[2] = -1;
    for (int i = 0; i < 2; i++) {
        CK_OK(loci_pass_new(&p[i], w.m, ROWS, SEQ, ROWS, ROWS, SEQ, 0, &ck_err));
        if (i == 1)
            loci_pass_losses_alone(p[i]);
        CK_OK(loci_pass_alloc(p[i], &ck_err));
        loci_pass_ask(p[i], answers[i]);
        CK_OK(loci_pass_forward(p[i], w.in, w.next, NULL, 0, 0, 0, 0, &loss[i], &count, NULL, &ck_err));
        CU_ASSERT_EQUAL(count, N - 1);
    }
    CU_ASSERT_TRUE(loci_pass_bytes(p[1]) < loci_pass_bytes(p[0]));
    CK_TRUE(fabs(loss[0] - loss[1]) < 1e-12, "%.17g and %.17g", loss[0], loss[1]);
    CU_ASSERT_EQUAL(memcmp(answers[0], answers[1], sizeof answers[0]), 0);
    logits = loci_pass_logits(p[0]);
    for (int t = 0; t < N; t++)
        for (int v = 0; v < VOCAB && t != 2; v++)
            CK_TRUE(logits[t * VOCAB + v] <= logits[t * VOCAB + answers[0][t]], "token %d: %d, not %d", t, v,
                    (int)answers[0][t]);
    CU_ASSERT_EQUAL(answers[0][2], -1);
    CU_ASSERT_EQUAL(loci_pass_forward(p[1], w.in, NULL, NULL, 0, 0, 0, 0, &loss[1], &count, NULL, &ck_err), LOCI_E_ARG);
    loci_pass_free(p[0]);
    loci_pass_free(p[1]);
    close_world(&w);
}

static void a_head_in_pieces_is_the_head_at_once(void)
{
    static const uint64_t limits[] = {1, 3 * VOCAB * 8, 5 * VOCAB * 8 + 1};

    for (int i = 0; i < 2; i++) {
        const char *text = i ? "[compose]\nbackend = mag\n[model]\ntied = no\n" : every[0];
        uint64_t whole_bytes, bytes, n;
        double whole_loss, loss, *whole = NULL;
        step_of(text, 0, packed, 3, &whole, &whole_loss, &whole_bytes, &n);
        for (int k = 0; k < 3; k++) {
            double *g = NULL;
            step_of(text, limits[k], packed, 3, &g, &loss, &bytes, &n);
            CK_TRUE(ck_rms(g, whole, (size_t)n) < 1e-13, "%llu bytes of logits: %.3g", (unsigned long long)limits[k],
                    ck_rms(g, whole, (size_t)n));
            CK_TRUE(fabs(loss - whole_loss) < 1e-12, "%.17g and %.17g", loss, whole_loss);
            CK_TRUE(bytes < whole_bytes, "%llu and %llu", (unsigned long long)bytes, (unsigned long long)whole_bytes);
            loci_free(g);
        }
        loci_free(whole);
    }
}

static void no_memory_is_the_plain_block(void)
{
    static const char *const names[] = {"mag", "mal", "mac"};
    for (int i = 0; i < 2; i++) {
        struct world a, b;
        double x[ROWS * SEQ * VOCAB], y[ROWS * SEQ * VOCAB];
        char text[300];
        snprintf(text, sizeof text,
                 "[compose]\nbackend = %s\n[compose.%s]\npersistent_tok = 2\n[memory]\nbackend = none\n", names[i],
                 names[i]);
        CK_OK(open_world(&a,
                         "[compose]\nbackend = plain\n[compose.plain]\npersistent_tok = 2\n[memory]\nbackend = none\n",
                         0, SEQ, SEQ));
        CK_OK(open_world(&b, text, 0, SEQ, SEQ));
        CK_TRUE(a.m->weights.n == b.m->weights.n, "%s has %u weights, plain %u", names[i], b.m->weights.n,
                a.m->weights.n);
        CK_OK(logits_of(&a, a.in, NULL, 0, x));
        CK_OK(logits_of(&b, a.in, NULL, 0, y));
        CK_TRUE(!memcmp(x, y, sizeof x), "%s without memory is not the plain block", names[i]);
        close_world(&a);
        close_world(&b);
    }
}

static void equal_names_start_equal(void)
{
    struct world a, b;
    const loci_weight *x, *y;

    CK_OK(open_world(&a, every[2], 0, SEQ, SEQ));
    CK_OK(open_world(&b, every[4], 0, SEQ, SEQ));
    for (uint32_t i = 0; i < a.m->weights.n; i++) {
        x = a.m->weights.at[i];
        y = loci_weights_find(&b.m->weights, x->name);
        if (y && y->elements == x->elements)
            CK_TRUE(!memcmp(loci_ptr(&x->value.t), loci_ptr(&y->value.t), x->elements * 8), "%s", x->name);
    }
    CU_ASSERT(loci_weights_find(&a.m->weights, "layer.0.mixer.q.weight") != NULL);
    CU_ASSERT(loci_weights_find(&b.m->weights, "layer.1.memory.front.q.weight") != NULL);
    close_world(&a);
    close_world(&b);
}

static void a_component_may_differ_by_layer(void)
{
    struct world w;

    CK_OK(open_world(&w, "[compose]\nbackend = mag\n[layer.1.compose]\nbackend = plain\n", 0, SEQ, SEQ));
    CU_ASSERT_STRING_EQUAL(loci_node_id(w.m->layers[0].compose), "mag");
    CU_ASSERT_STRING_EQUAL(loci_node_id(w.m->layers[1].compose), "plain");
    CU_ASSERT(loci_weights_find(&w.m->weights, "layer.1.memory.front.q.weight") == NULL);
    close_world(&w);
}

/* Wide enough that products are left to the library. */
#define WIDE "[compose]\nbackend = mag\n[model]\ndim = 64\n[run]\ndtype = f32\n"

static void bf16_products_give_nearly_the_gradients_of_f32_and_learn(void)
{
    struct world w;
    float *g[2] = {NULL, NULL};
    double far = 0, size = 0, first = 0, last = 0;
    uint64_t n = 0;

    for (int k = 0; k < 2; k++) {
        loci_status status = open_world(&w, k ? WIDE "compute = bf16\n" : WIDE, LOCI_X_SAVE | LOCI_X_TRAIN, SEQ, SEQ);
        if (status == LOCI_E_UNSUPPORTED) {
            close_world(&w);
            loci_free(g[0]);
            CK_SKIP("no product of bfloat16 on this machine");
        }
        CK_OK(status);
        n = w.m->weights.elements;
        for (int step = 0; step < (k ? 30 : 1); step++) {
            CK_OK(loci_weights_zero_grads(&w.m->weights, w.cx));
            last = loss_of(&w, NULL, 0);
            first = step ? first : last;
            CK_OK(loci_pass_backward(w.p, &ck_err));
            g[k] = step ? g[k] : gradients(&w);
            for (uint32_t i = 0; i < w.m->weights.n; i++)
                for (uint64_t j = 0; j < w.m->weights.at[i]->elements; j++)
                    ((float *)loci_ptr(&w.m->weights.at[i]->value.t))[j] -=
                        2e-3f * ((float *)loci_ptr(&w.m->weights.at[i]->grad.t))[j];
        }
        close_world(&w);
    }
    for (uint64_t i = 0; i < n; i++) {
        far += ((double)g[1][i] - (double)g[0][i]) * ((double)g[1][i] - (double)g[0][i]);
        size += (double)g[0][i] * (double)g[0][i];
    }
    far = sqrt(far / size);
    CK_TRUE(far > 1e-4 && far < 3e-2, "gradients differ by %.3g", far);
    CK_TRUE(last < 0.7 * first, "the loss went from %g to %g", first, last);
    loci_free(g[0]);
    loci_free(g[1]);
}

static void bf16_products_are_refused_where_there_are_none(void)
{
    struct world w;

    setenv("LOCI_CPU", "avx2", 1);
    CU_ASSERT_EQUAL(open_world(&w, WIDE "compute = bf16\n", 0, SEQ, SEQ), LOCI_E_UNSUPPORTED);
    CK_TRUE(strstr(ck_err.msg, "set run.compute = f32") != NULL, "%s", ck_err.msg);
    close_world(&w);
    unsetenv("LOCI_CPU");
    CU_ASSERT_EQUAL(open_world(&w, "[run]\ncompute = bf16\n", 0, SEQ, SEQ), LOCI_E_CONFIG);
    CK_TRUE(strstr(ck_err.msg, "run.dtype is f64: change one") != NULL, "%s", ck_err.msg);
    close_world(&w);
}

static void a_step_of_training_without_targets_is_refused(void)
{
    struct world w;
    double out[ROWS * SEQ * VOCAB];

    CK_OK(open_world(&w, every[0], LOCI_X_SAVE, SEQ, SEQ));
    CU_ASSERT_EQUAL(logits_of(&w, w.in, NULL, 0, out), LOCI_E_ARG);
    CK_TRUE(strstr(ck_err.msg, "needs targets") != NULL, "%s", ck_err.msg);
    close_world(&w);
}

static void a_number_that_is_not_finite_is_named(void)
{
    struct world w;
    char text[400];
    const loci_weight *p;

    CK_OK(open_world(&w, every[2], LOCI_X_SAVE, SEQ, SEQ));
    p = loci_weights_find(&w.m->weights, "layer.1.memory.front.gate.theta.bias");
    CU_ASSERT_FATAL(p != NULL);
    loss_of(&w, NULL, 0);
    ((double *)loci_ptr(&p->value.t))[0] = NAN;
    CK_OK(loci_pass_find_fault(w.p, true, text, sizeof text, &ck_err));
    CK_TRUE(strstr(text, "layer.1.memory.front.gate.theta.bias") != NULL, "%s", text);
    close_world(&w);
}

#define TESTS(X) \
    X(the_past_does_not_change_with_the_future) \
    X(a_stream_equals_the_whole_for_every_split) \
    X(packed_documents_equal_documents_alone) \
    X(the_bits_do_not_depend_on_the_threads) \
    X(recomputed_activations_change_no_bit_and_take_less_memory) \
    X(a_device_without_fused_passes_takes_the_same_step) \
    X(a_pass_in_borrowed_memory_gives_the_same_bits_and_takes_less) \
    X(losses_alone_need_no_logits_of_all_tokens) \
    X(a_head_in_pieces_is_the_head_at_once) \
    X(no_memory_is_the_plain_block) \
    X(equal_names_start_equal) \
    X(a_component_may_differ_by_layer) \
    X(bf16_products_give_nearly_the_gradients_of_f32_and_learn) \
    X(bf16_products_are_refused_where_there_are_none) \
    X(a_step_of_training_without_targets_is_refused) \
    X(a_number_that_is_not_finite_is_named)
CK_MAIN("model", TESTS)

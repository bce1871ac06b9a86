/* SPDX-License-Identifier: Apache-2.0
 *
 * The probe of gates and memories, in float64 over the plugins of the build tree: what it sees is what the model
 * computes, and looking changes nothing.
 */
#include "core/train/probe.h"
#include "core/train/train.h"
#include "tests/ck.h"
#include <unistd.h>

#define SEQ 13
#define ROWS 3

static loci_error ck_err = LOCI_ERROR_INIT;

struct world {
    loci_conf *conf;
    loci_context *cx;
    loci_model *m;
    loci_data *d;
};

static const char common[] = "[run]\ndtype = f64\nthreads = 1\n[model]\nlayers = 2\ndim = 8\ninit_std = 0.3\n"
                             "[mixer.mha]\nheads = 2\nwindow_tok = 5\n[compose.mac]\nsegment_tok = 4\n"
                             "[memory]\nbackend = titans\nheads = 2\nconv = 3\n[memory.titans]\nchunk = 3\n";

static loci_status open_world(struct world *w, const char *compose)
{
    loci_status status = LOCI_OK;
    char path[] = "/tmp/loci-probe-XXXXXX", set[80];
    int fd = mkstemp(path);
    FILE *text = fd < 0 ? NULL : fdopen(fd, "w");

    memset(w, 0, sizeof *w);
    loci_error_clear(&ck_err);
    ck_seed = 11;
    for (int i = 0; text && i < 2000; i++)
        fputc('a' + (int)(ck_bits() % 26), text);
    if (!text || fclose(text) != 0)
        return LOCI_E_IO;
    LOCI_TRY(loci_conf_new(&w->conf, &ck_err));
    LOCI_TRY(loci_conf_text(w->conf, "common", common, strlen(common), &ck_err));
    snprintf(set, sizeof set, "compose.backend=%s", compose);
    LOCI_TRY(loci_conf_set(w->conf, set, "test", &ck_err));
    snprintf(set, sizeof set, "data.train=%s", path);
    LOCI_TRY(loci_conf_set(w->conf, set, "test", &ck_err));
    LOCI_TRY(loci_context_new(&w->cx, w->conf, getenv("LOCI_TEST_PLUGINS"), false, &ck_err));
    LOCI_TRY(loci_model_new(&w->m, w->cx, &ck_err));
    LOCI_TRY(loci_model_alloc(w->m, false, 5, &ck_err));
    LOCI_TRY(loci_data_open(&w->d, w->conf, SEQ, &ck_err));
out:
    unlink(path);
    return status;
}

static void close_world(struct world *w)
{
    loci_model_free(w->m);
    loci_data_free(w->d);
    loci_context_free(w->cx);
    loci_conf_free(w->conf);
}

static double evaluation(struct world *w)
{
    loci_pass *pass = NULL;
    loci_evaluation e = {.loss = NAN};

    if (loci_pass_new(&pass, w->m, ROWS, SEQ, ROWS, ROWS, SEQ, 0, &ck_err) != LOCI_OK ||
        loci_pass_alloc(pass, &ck_err) != LOCI_OK ||
        loci_evaluate(&e, w->d, pass, ROWS, false, NULL, &ck_err) != LOCI_OK)
        e.loss = NAN;
    loci_pass_free(pass);
    return e.loss;
}

static void same_values(const loci_numbers *a, const loci_numbers *b, const char *what)
{
    CK_TRUE(a->n == b->n && a->n > 0, "%s: %zu values and %zu", what, a->n, b->n);
    if (a->n == b->n)
        CK_TRUE(ck_rms(a->at, b->at, a->n) < 1e-10, "%s: differ by %g", what, ck_rms(a->at, b->at, a->n));
}

/* rows: what the composition feeds the memory before the first token. */
static void pieces_of(const char *compose, int rows)
{
    struct world w;
    loci_probe whole, cut;

    CK_OK(open_world(&w, compose));
    CK_OK(loci_probe_run(&whole, w.m, w.d, ROWS, SEQ, 1, &ck_err));
    CU_ASSERT_EQUAL(whole.tokens, ROWS * SEQ);
    CU_ASSERT_EQUAL(whole.n_gates, 2 * 3);
    CU_ASSERT_EQUAL(whole.n_norms, 2 * 2);
    for (int pieces = 2; pieces <= SEQ; pieces += 3) {
        CK_OK(loci_probe_run(&cut, w.m, w.d, ROWS, SEQ, pieces, &ck_err));
        CK_TRUE(fabs(cut.loss - whole.loss) < 1e-11, "%s in %d: loss %.15g, not %.15g", compose, pieces, cut.loss,
                whole.loss);
        CU_ASSERT_EQUAL_FATAL(cut.n_gates, whole.n_gates);
        CU_ASSERT_EQUAL_FATAL(cut.n_norms, whole.n_norms);
        for (uint32_t i = 0; i < cut.n_gates; i++) { /* each row is read to its end before the next, or in turns */
            loci_numbers_sort(&whole.gates[i].values);
            loci_numbers_sort(&cut.gates[i].values);
            same_values(&cut.gates[i].values, &whole.gates[i].values, cut.gates[i].name);
            CK_TRUE(cut.gates[i].values.n == (size_t)(ROWS * (SEQ + rows) * 2), "%s in %d: %zu values of %s", compose,
                    pieces, cut.gates[i].values.n, cut.gates[i].name);
        }
        for (uint32_t i = 0; i < cut.n_norms; i++) {
            const loci_probe_norm *a = &whole.norms[i], *b = &cut.norms[i];
            loci_numbers last[2] = {{a->norms.at + (a->positions.n - 1) * 2, 2, 2},
                                    {b->norms.at + (b->positions.n - 1) * 2, 2, 2}};
            CU_ASSERT_EQUAL(a->positions.at[a->positions.n - 1], SEQ + rows);
            CU_ASSERT_EQUAL(b->positions.at[b->positions.n - 1], SEQ + rows);
            CU_ASSERT_TRUE(b->positions.n >= (size_t)(SEQ + cut.piece - 1) / (size_t)cut.piece);
            for (size_t k = 1; k < b->positions.n; k++)
                CU_ASSERT_TRUE(b->positions.at[k] > b->positions.at[k - 1]);
            same_values(&last[0], &last[1], a->state);
        }
        loci_probe_free(&cut);
    }
    loci_probe_free(&whole);
    close_world(&w);
}

static void what_is_seen_does_not_depend_on_the_pieces(void)
{
    pieces_of("lmm", 0);
    pieces_of("mag", 0);
    pieces_of("mal", 4);
    pieces_of("mac", 0);
}

static void looking_changes_no_bit(void)
{
    struct world w;
    loci_probe p;
    double before, after;

    CK_OK(open_world(&w, "mac"));
    before = evaluation(&w);
    CK_OK(loci_probe_run(&p, w.m, w.d, ROWS, SEQ, 4, &ck_err));
    CU_ASSERT_PTR_NULL(w.cx->watch);
    after = evaluation(&w);
    CK_TRUE(before == after, "%.17g became %.17g", before, after);
    CK_TRUE(fabs(p.loss - before) < 1e-11, "the probe says %.15g, an evaluation %.15g", p.loss, before);
    loci_probe_free(&p);
    close_world(&w);
}

static void fill(struct world *w, const char *name, double value)
{
    const loci_weight *p = loci_weights_find(&w->m->weights, name);

    CU_ASSERT_FATAL(p != NULL);
    for (uint64_t i = 0; i < p->elements; i++)
        ((double *)loci_ptr(&p->value.t))[i] = value;
}

static const loci_probe_gate *gate(const loci_probe *p, int layer, const char *name)
{
    for (uint32_t i = 0; i < p->n_gates; i++)
        if (loci_node_layer(p->gates[i].node) == layer && !strcmp(p->gates[i].name, name))
            return &p->gates[i];
    return NULL;
}

static void a_gate_without_weights_has_the_value_of_its_bias(void)
{
    struct world w;
    loci_probe p;
    const loci_probe_gate *alpha, *eta;

    CK_OK(open_world(&w, "mag"));
    fill(&w, "layer.1.memory.front.gate.alpha.weight", 0);
    fill(&w, "layer.1.memory.front.gate.alpha.bias", log(0.25 / 0.75));
    fill(&w, "layer.1.memory.front.gate.eta.weight", 0);
    fill(&w, "layer.1.memory.front.gate.eta.bias", -10);
    CK_OK(loci_probe_run(&p, w.m, w.d, ROWS, SEQ, 3, &ck_err));
    alpha = gate(&p, 1, "alpha");
    eta = gate(&p, 1, "eta");
    CU_ASSERT_FATAL(alpha && eta);
    for (size_t i = 0; i < alpha->values.n; i++) {
        CU_ASSERT_DOUBLE_EQUAL(alpha->values.at[i], 0.25, 1e-14);
        CU_ASSERT_DOUBLE_EQUAL(eta->values.at[i], 1 / (1 + exp(10)), 1e-14);
    }
    CU_ASSERT_DOUBLE_EQUAL(loci_gate_half_life(alpha), log(2) / -log(0.75), 1e-12);
    CU_ASSERT_EQUAL(loci_gate_saturated(alpha), 0);
    CU_ASSERT_EQUAL(loci_gate_saturated(eta), 1);
    alpha = gate(&p, 0, "alpha");
    CU_ASSERT_FATAL(alpha != NULL);
    CK_TRUE(alpha->values.at[0] != alpha->values.at[1], "the gates of layer 0 are all equal");
    loci_probe_free(&p);
    close_world(&w);
}

/* In layer 0 of lmm the memory reads n = e / rms(e), e the embedding of the token: alpha = sigmoid(W n + b), row by
 * row, token by token, head by head. */
static void the_values_are_those_of_the_formula(void)
{
    struct world w;
    loci_probe p;
    const loci_probe_gate *alpha;
    const double *embed, *weight, *bias;
    double want[ROWS * SEQ * 2], n[8];
    int32_t in[SEQ], next[SEQ];

    CK_OK(open_world(&w, "lmm"));
    embed = loci_ptr(&loci_weights_find(&w.m->weights, "embed.weight")->value.t);
    weight = loci_ptr(&loci_weights_find(&w.m->weights, "layer.0.memory.front.gate.alpha.weight")->value.t);
    bias = loci_ptr(&loci_weights_find(&w.m->weights, "layer.0.memory.front.gate.alpha.bias")->value.t);
    for (int64_t r = 0; r < ROWS; r++) {
        loci_data_window(w.d, r, ROWS, SEQ, in, next, NULL);
        for (int64_t t = 0; t < SEQ; t++) {
            double squares = 0;
            for (int c = 0; c < 8; c++)
                squares += embed[in[t] * 8 + c] * embed[in[t] * 8 + c];
            for (int c = 0; c < 8; c++)
                n[c] = embed[in[t] * 8 + c] / sqrt(squares / 8 + w.m->eps);
            for (int h = 0; h < 2; h++) {
                double z = bias[h];
                for (int c = 0; c < 8; c++)
                    z += weight[h * 8 + c] * n[c];
                want[(r * SEQ + t) * 2 + h] = 1 / (1 + exp(-z));
            }
        }
    }
    CK_OK(loci_probe_run(&p, w.m, w.d, ROWS, SEQ, 1, &ck_err));
    alpha = gate(&p, 0, "alpha");
    CU_ASSERT_FATAL(alpha && alpha->values.n == ROWS * SEQ * 2);
    CK_TRUE(ck_rms(alpha->values.at, want, ROWS * SEQ * 2) < 1e-12, "relative error %g",
            ck_rms(alpha->values.at, want, ROWS * SEQ * 2));
    loci_probe_free(&p);
    close_world(&w);
}

static void half_life_and_saturation_follow_their_formulas(void)
{
    double never[] = {0, 0}, mixed[] = {0.5, 0}, open[] = {0.5, 0.009, 0.011, 3};
    loci_probe_gate g = {.lo = 0, .hi = 1, .values = {never, 2, 2}};

    CU_ASSERT_TRUE(isinf(loci_gate_half_life(&g)));
    CU_ASSERT_EQUAL(loci_gate_saturated(&g), 1);
    g.values.at = mixed; /* a half forgotten at every other token: half after two */
    CU_ASSERT_DOUBLE_EQUAL(loci_gate_half_life(&g), 2, 1e-14);
    CU_ASSERT_EQUAL(loci_gate_saturated(&g), 0.5);
    g = (loci_probe_gate){.lo = 0, .hi = INFINITY, .values = {open, 4, 4}};
    CU_ASSERT_EQUAL(loci_gate_saturated(&g), 0.25);
}

struct sums {
    double norm[2];
};

static loci_status add_norm(void *arg, const char *name, const loci_tensor *t, loci_error *err)
{
    struct sums *s = arg;
    int64_t each = t->strides[1];

    (void)err;
    if (strncmp(name, "layer.0.", 8) || strlen(name) < 2 || strcmp(name + strlen(name) - 2, ".M"))
        return LOCI_OK;
    for (int64_t r = 0; r < ROWS; r++)
        for (int64_t h = 0; h < 2; h++) {
            const double *at = (const double *)loci_ptr(t) + r * t->strides[0] + h * each;
            double squares = 0;
            for (int64_t i = 0; i < each; i++)
                squares += at[i] * at[i];
            s->norm[h] += sqrt(squares) / ROWS;
        }
    return LOCI_OK;
}

/* The state itself, left behind by an evaluation of the same windows, has the norm that the probe tells. */
static void the_last_norm_is_that_of_the_state(void)
{
    struct world w;
    loci_probe p;
    loci_pass *pass = NULL;
    struct sums s = {{0, 0}};
    loci_evaluation e;

    CK_OK(open_world(&w, "mag"));
    CK_OK(loci_probe_run(&p, w.m, w.d, ROWS, SEQ, 5, &ck_err));
    CK_OK(loci_pass_new(&pass, w.m, ROWS, SEQ, ROWS, ROWS, SEQ, 0, &ck_err));
    CK_OK(loci_pass_alloc(pass, &ck_err));
    CK_OK(loci_evaluate(&e, w.d, pass, ROWS, false, NULL, &ck_err));
    CK_OK(loci_pass_each_state(pass, add_norm, &s, &ck_err));
    CU_ASSERT_STRING_EQUAL(p.norms[0].state, "M");
    CU_ASSERT_EQUAL(loci_node_layer(p.norms[0].node), 0);
    CK_TRUE(s.norm[0] > 1e-3, "the state is all but zero: %g", s.norm[0]);
    for (size_t h = 0; h < 2; h++)
        CU_ASSERT_DOUBLE_EQUAL(p.norms[0].norms.at[(p.norms[0].positions.n - 1) * 2 + h], s.norm[h], 1e-11);
    loci_probe_free(&p);
    loci_pass_free(pass);
    close_world(&w);
}

static void a_model_without_memory_has_nothing_to_show(void)
{
    struct world w;
    loci_probe p;

    CK_OK(open_world(&w, "plain"));
    CK_OK(loci_probe_run(&p, w.m, w.d, ROWS, SEQ, 4, &ck_err));
    CU_ASSERT_EQUAL(p.n_gates, 0);
    CU_ASSERT_EQUAL(p.n_norms, 0);
    CU_ASSERT_TRUE(p.loss > 0);
    loci_probe_free(&p);
    close_world(&w);
}

static void a_want_of_memory_is_a_status_and_leaves_no_watch(void)
{
    struct world w;
    loci_probe p;
    loci_status status = LOCI_E_NOMEM;
    long n = 0;

    CK_OK(open_world(&w, "mag"));
    while (status == LOCI_E_NOMEM && n < 4000) {
        loci_error_clear(&ck_err);
        loci_memory_fail_at(++n);
        status = loci_probe_run(&p, w.m, w.d, ROWS, SEQ, 4, &ck_err);
        loci_memory_fail_at(0);
        CU_ASSERT_PTR_NULL(w.cx->watch);
        loci_probe_free(&p);
    }
    CK_TRUE(status == LOCI_OK && n > 20, "after %ld allocations: status %d, %s", n, (int)status, ck_err.msg);
    close_world(&w);
}

#define TESTS(X) \
    X(what_is_seen_does_not_depend_on_the_pieces) \
    X(looking_changes_no_bit) \
    X(a_gate_without_weights_has_the_value_of_its_bias) \
    X(the_values_are_those_of_the_formula) \
    X(half_life_and_saturation_follow_their_formulas) \
    X(the_last_norm_is_that_of_the_state) \
    X(a_model_without_memory_has_nothing_to_show) \
    X(a_want_of_memory_is_a_status_and_leaves_no_watch)
CK_MAIN("probe", TESTS)

/* SPDX-License-Identifier: Apache-2.0
 *
 * mem_titans against titans_ref.tmpl, and titans_ref.tmpl against central differences.
 */
#include "tests/unit/rule.h"
#include <loci/scan.h>

#define REAL double
#define NAME(f) f##_f64
#include "plugins/mem_titans/titans_ref.tmpl"
#undef REAL
#undef NAME
#define REAL float
#define NAME(f) f##_f32
#include "plugins/mem_titans/titans_ref.tmpl"

static const char *const modes[] = {"sequential", "exact", "frozen"};
static const char *const orders[] = {"after_write", "before_write"};

/* ---- one head of one run: numbers, the oracle, and the plugin ---- */

typedef struct story {
    titans_case_f64 a;
    int64_t n;           /* dk dv */
    double *in[9];       /* q k v alpha eta theta M S C */
    double *dy, *end[3]; /* cotangents of y and the final states */
    double *y, *grad[9], *last[3];
} story;

static int64_t story_size(const story *s, int i)
{
    return i < 2 ? s->a.T * s->a.dk : i == 2 ? s->a.T * s->a.dv : i < 6 ? s->a.T : s->n;
}

static story story_new(int64_t T, int64_t dk, int64_t dv, int64_t chunk, int64_t phase, int before, double c)
{
    story s = {.a = {.T = T, .dk = dk, .dv = dv, .chunk = chunk, .phase = phase, .before = before, .c = c}};

    s.n = dk * dv;
    for (int i = 0; i < 9; i++) {
        s.in[i] = numbers(story_size(&s, i), i < 2 ? 1 / sqrt((double)dk) : 1);
        s.grad[i] = numbers(story_size(&s, i), 0);
        for (int64_t j = 0; i > 2 && i < 6 && j < T; j++)
            s.in[i][j] = i == 3 ? 0.2 * ck_rand() : 0.1 + 0.6 * ck_rand();
    }
    s.y = numbers(T * dv, 0);
    s.dy = numbers(T * dv, 1);
    for (int i = 0; i < 3; i++) {
        s.end[i] = numbers(s.n, 1);
        s.last[i] = numbers(s.n, 0);
    }
    return s;
}

static void story_free(story *s)
{
    for (int i = 0; i < 9; i++) {
        free(s->in[i]);
        free(s->grad[i]);
    }
    for (int i = 0; i < 3; i++) {
        free(s->end[i]);
        free(s->last[i]);
    }
    free(s->y);
    free(s->dy);
}

/* y and last by the oracle; with back the gradients of <y, dy> + <last, end>. */
static void tell(story *s, bool back)
{
    titans_case_f64 a = s->a;
    double *state[3], *end[3];

    for (int i = 0; i < 3; i++) {
        state[i] = numbers((a.T + 1) * s->n, 0);
        memcpy(state[i], s->in[6 + i], (size_t)s->n * 8);
        end[i] = numbers(s->n, 0);
        memcpy(end[i], s->end[i], (size_t)s->n * 8);
    }
    a.q = s->in[0], a.k = s->in[1], a.v = s->in[2], a.alpha = s->in[3], a.eta = s->in[4], a.theta = s->in[5];
    a.M = state[0], a.S = state[1], a.C = state[2];
    a.y = s->y, a.dy = s->dy;
    a.dq = s->grad[0], a.dk_ = s->grad[1], a.dv_ = s->grad[2];
    a.dalpha = s->grad[3], a.deta = s->grad[4], a.dtheta = s->grad[5];
    a.G = end[0], a.Z = end[1], a.P = end[2];
    titans_ref_f64(&a);
    for (int i = 0; i < 3; i++)
        memcpy(s->last[i], state[i] + a.T * s->n, (size_t)s->n * 8);
    if (back) {
        titans_ref_back_f64(&a);
        for (int i = 0; i < 3; i++)
            memcpy(s->grad[6 + i], end[i], (size_t)s->n * 8);
    }
    for (int i = 0; i < 3; i++) {
        free(state[i]);
        free(end[i]);
    }
}

static double loss(story *s)
{
    double sum = 0;

    tell(s, false);
    for (int64_t i = 0; i < s->a.T * s->a.dv; i++)
        sum += s->y[i] * s->dy[i];
    for (int i = 0; i < (s->a.chunk ? 3 : 2); i++)
        for (int64_t j = 0; j < s->n; j++)
            sum += s->last[i][j] * s->end[i][j];
    return sum;
}

static void the_oracle_has_the_gradients_of_its_differences(void)
{
    static const int chunk_phase[][2] = {{0, 0}, {1, 0}, {3, 0}, {3, 2}, {20, 4}};

    for (int which = 0; which < 10; which++) {
        story s = story_new(7, 3, 2, chunk_phase[which / 2][0], chunk_phase[which / 2][1], which % 2, 1.3);
        double worst = 0;

        loss(&s);
        tell(&s, true);
        for (int i = 0; i < (s.a.chunk ? 9 : 8); i++) {
            double mean = 0, want[64];

            for (int64_t j = 0; j < story_size(&s, i); j++) {
                const double x = s.in[i][j], step = 1e-3;
                double f[4];

                for (int k = 0; k < 4; k++) {
                    s.in[i][j] = x + step * (k < 2 ? k - 2 : k - 1);
                    f[k] = loss(&s);
                }
                s.in[i][j] = x;
                want[j] = (8 * (f[2] - f[1]) - (f[3] - f[0])) / (12 * step);
                mean += want[j] * want[j] / (double)story_size(&s, i);
            }
            for (int64_t j = 0; j < story_size(&s, i); j++) {
                const double off = fabs(want[j] - s.grad[i][j]);

                worst = fmax(worst, off == 0 ? 0 : off / fmax(fabs(want[j]), 1e-3 * sqrt(mean)));
            }
        }
        CK_TRUE(worst < 1e-6, "chunk %d, phase %d, order %d: %g", (int)s.a.chunk, (int)s.a.phase, which % 2, worst);
        story_free(&s);
    }
}

static void the_oracle_in_f32_is_the_oracle(void)
{
    enum { T = 40, D = 8 };
    story s = story_new(T, D, D, 0, 0, 0, 1);
    titans_case_f32 a = {.T = T, .dk = D, .dv = D, .c = 1};
    float *x[20];
    double *got = numbers(T * D, 0);

    tell(&s, true);
    for (int i = 0; i < 20; i++)
        x[i] = (float *)calloc((T + 1) * D * D, sizeof *x[i]);
    for (int i = 0; i < 9; i++)
        for (int64_t j = 0; j < story_size(&s, i); j++)
            x[i][j] = (float)s.in[i][j];
    for (int64_t j = 0; j < T * D; j++)
        x[10][j] = (float)s.dy[j];
    for (int i = 0; i < 2; i++)
        for (int64_t j = 0; j < D * D; j++)
            x[17 + i][j] = (float)s.end[i][j];
    a.q = x[0], a.k = x[1], a.v = x[2], a.alpha = x[3], a.eta = x[4], a.theta = x[5], a.M = x[6], a.S = x[7],
    a.C = x[8];
    a.y = x[9], a.dy = x[10], a.dq = x[11], a.dk_ = x[12], a.dv_ = x[13], a.dalpha = x[14], a.deta = x[15];
    a.dtheta = x[16], a.G = x[17], a.Z = x[18], a.P = x[19];
    titans_ref_f32(&a);
    titans_ref_back_f32(&a);
    for (int i = -1; i < 6; i++) {
        const int64_t n = i < 0 ? T * D : story_size(&s, i);

        for (int64_t j = 0; j < n; j++)
            got[j] = x[i < 0 ? 9 : 11 + i][j];
        CU_ASSERT(ck_rms(got, i < 0 ? s.y : s.grad[i], (size_t)n) < 1e-5);
    }
    for (int i = 0; i < 20; i++)
        free(x[i]);
    free(got);
    story_free(&s);
}

/* ---- the plugin against the oracle ---- */

/* Two heads, three runs (two packed in a row with padding between, one alone), states permuted; each is a story. */
static double plugin_off(const char *const *keys, int bits, int mode, int64_t chunk, int before, double c, int skip)
{
    static const loci_run runs[] = {{1, 2, 21, 2, 37, 0}, {0, 0, 9, 0, 0, 1}, {0, 11, 12, 3, 5, 2}};
    const int64_t B = 2, T = 23, H = 2, dk = 6, dv = 5, n = dk * dv, sizes[9] = {dk, dk, dv, 1, 1, 1, n, n, n};
    rule_call call = {.op = LOCI_OP_STEP, .B = B, .T = T, .states = 4, .runs = runs, .n_runs = 3};
    double *in[9], *grad[9], *y = numbers(B * T * H * dv, 0), *dy = numbers(B * T * H * dv, 0), *end[3], *out[3];
    story s[6];
    double worst = 0;
    rule r;

    for (int i = 0; i < 9; i++) {
        in[i] = numbers(i < 6 ? B * T * H * sizes[i] : 4 * H * n, 0);
        grad[i] = numbers(i < 6 ? B * T * H * sizes[i] : 4 * H * n, 0);
    }
    for (int i = 0; i < 3; i++) {
        end[i] = numbers(4 * H * n, 0);
        out[i] = numbers(4 * H * n, 0);
    }
    for (int item = 0; item < 6; item++) {
        const loci_run *at = &runs[item / H];
        const int64_t h = item % H;

        s[item] = story_new(at->len, dk, dv, mode == 2 ? chunk : 0, mode == 2 ? at->pos % chunk : 0, before, c);
        for (int64_t j = 0; j < at->len; j++) { /* a gate that is off is 0 */
            s[item].in[3][j] *= skip & 1 ? 0 : 1;
            s[item].in[4][j] *= skip & 2 ? 0 : 1;
        }
        for (int64_t j = 0; j < n; j++) {
            s[item].in[7][j] *= skip & 2 ? 0 : 1;
            s[item].end[1][j] *= skip & 2 ? 0 : 1;
            s[item].end[2][j] *= mode == 2 ? 1 : 0;
        }
        tell(&s[item], true);
        for (int64_t t = 0; t < at->len; t++) {
            const int64_t o = (at->row * T + at->begin + t) * H + h;

            for (int i = 0; i < 6; i++)
                memcpy(in[i] + o * sizes[i], s[item].in[i] + t * sizes[i], (size_t)sizes[i] * 8);
            memcpy(dy + o * dv, s[item].dy + t * dv, (size_t)dv * 8);
        }
        for (int i = 0; i < 3; i++) {
            memcpy(in[6 + i] + (at->state * H + h) * n, s[item].in[6 + i], (size_t)n * 8);
            memcpy(end[i] + (at->state * H + h) * n, s[item].end[i], (size_t)n * 8);
        }
    }
    call.q = in[0], call.k = in[1], call.v = in[2], call.dq = grad[0], call.dk = grad[1], call.dv = grad[2];
    call.y = y, call.dy = dy;
    for (int i = 0, g = 0, st = 0; i < 3; i++) {
        if (i == 2 || !(skip & (1 << i))) {
            call.gate[g] = in[3 + i];
            call.dgate[g++] = grad[3 + i];
        }
        if (i == 1 && skip & 2)
            continue;
        call.state[st] = in[6 + i];
        call.dstate[st] = end[i];
        call.out[st] = out[i];
        call.din[st++] = grad[6 + i];
    }
    if (rule_open(&r, "titans", bits, H, dk, dv, 2, keys) == LOCI_OK)
        CK_TRUE(rule_run(&r, &call, true) == LOCI_OK, "%s", ck_err.msg);
    for (int item = 0; item < 6; item++) {
        const loci_run *at = &runs[item / H];
        const int64_t h = item % H;
        double got[64 * 8];

        for (int i = -1; i < 6; i++) {
            const int64_t w = i < 0 ? dv : sizes[i];

            if ((i == 3 && skip & 1) || (i == 4 && skip & 2))
                continue;
            for (int64_t t = 0; t < at->len; t++)
                memcpy(got + t * w, (i < 0 ? y : grad[i]) + ((at->row * T + at->begin + t) * H + h) * w, (size_t)w * 8);
            worst = fmax(worst, ck_rms(got, i < 0 ? s[item].y : s[item].grad[i], (size_t)(at->len * w)));
        }
        for (int i = 0; i < (mode == 2 ? 3 : 2); i++)
            if (i != 1 || !(skip & 2)) {
                worst = fmax(worst, ck_rms(out[i] + (at->state * H + h) * n, s[item].last[i], (size_t)n));
                worst = fmax(worst, ck_rms(grad[6 + i] + (at->state * H + h) * n, s[item].grad[6 + i], (size_t)n));
            }
        story_free(&s[item]);
    }
    for (int i = 0; i < 9; i++) {
        free(in[i]);
        free(grad[i]);
    }
    for (int i = 0; i < 3; i++) {
        free(end[i]);
        free(out[i]);
    }
    free(y);
    free(dy);
    rule_close(&r);
    return worst;
}

static void every_mode_follows_the_oracle_forward_and_backward(void)
{
    for (int mode = 0; mode < 3; mode++)
        for (int chunk = 1; chunk <= 16; chunk += chunk == 1 ? 4 : 11)
            for (int before = 0; before < 2; before++)
                for (int bits = 32; bits <= 64; bits += 32) {
                    char text[8];
                    const char *const keys[] = {"mode",         modes[mode],  "chunk", text, "read_order",
                                                orders[before], "loss_scale", "1.5",   NULL};
                    double off;

                    snprintf(text, sizeof text, "%d", chunk);
                    off = plugin_off(keys, bits, mode, chunk, before, 1.5, 0);
                    CK_TRUE(off < (bits == 64 ? 1e-12 : 1e-5), "%s, chunk %d, %s, f%d: %g", modes[mode], chunk,
                            orders[before], bits, off);
                }
}

static void gates_can_be_switched_off(void)
{
    for (int mode = 0; mode < 3; mode++)
        for (int skip = 1; skip < 4; skip++) {
            const char *const keys[] = {"mode",     modes[mode],
                                        "chunk",    "5",
                                        "momentum", skip & 2 ? "no" : "yes",
                                        "forget",   skip & 1 ? "no" : "yes",
                                        NULL};
            const double off = plugin_off(keys, 64, mode, 5, 0, 1, skip);

            CK_TRUE(off < 1e-12, "%s, switched off %d: %g", modes[mode], skip, off);
        }
}

/* A wrong chunk, a lost momentum and a lost loss scale are seen: the comparison is not vacuous. */
static void the_comparison_sees_other_rules(void)
{
    const char *const frozen[] = {"mode", "frozen", "chunk", "4", NULL};
    const char *const before[] = {"read_order", "before_write", NULL};
    const char *const scaled[] = {"loss_scale", "2", NULL};

    CU_ASSERT(plugin_off(frozen, 64, 2, 5, 0, 1, 0) > 1e-3);
    CU_ASSERT(plugin_off(frozen, 64, 0, 1, 0, 1, 0) > 1e-3);
    CU_ASSERT(plugin_off(before, 64, 0, 1, 0, 1, 0) > 1e-3);
    CU_ASSERT(plugin_off(scaled, 64, 0, 1, 0, 1, 0) > 1e-3);
}

static void single_steps_equal_one_call(void)
{
    for (int mode = 0; mode < 3; mode++) {
        const char *const keys[] = {"mode", modes[mode], "chunk", "6", NULL};
        story s = story_new(40, 5, 4, mode == 2 ? 6 : 0, 0, 0, 1);
        double *state[3], *got = numbers(160, 0);
        rule r;

        tell(&s, false);
        CK_OK(rule_open(&r, "titans", 64, 1, 5, 4, 1, keys));
        for (int i = 0; i < 3; i++) {
            state[i] = numbers(20, 0);
            memcpy(state[i], s.in[6 + i], 20 * 8);
        }
        for (int t = 0; t < 40; t++) {
            const loci_run run = {0, 0, 1, 0, t, 0};
            rule_call c = {.op = LOCI_OP_STEP, .B = 1, .T = 1, .states = 1, .runs = &run, .n_runs = 1};

            c.q = s.in[0] + t * 5, c.k = s.in[1] + t * 5, c.v = s.in[2] + t * 4, c.y = got + t * 4;
            for (int i = 0; i < 3; i++) {
                c.gate[i] = s.in[3 + i] + t;
                c.state[i] = c.out[i] = state[i];
            }
            CK_OK(rule_run(&r, &c, false));
        }
        CU_ASSERT(ck_rms(got, s.y, 160) < 1e-13);
        CU_ASSERT(ck_rms(state[0], s.last[0], 20) < 1e-13 && ck_rms(state[1], s.last[1], 20) < 1e-13);
        for (int i = 0; i < 3; i++)
            free(state[i]);
        free(got);
        story_free(&s);
        rule_close(&r);
    }
}

/* ---- what the class declares ---- */

static void exact_and_sequential_have_the_same_slots_and_frozen_one_state_more(void)
{
    for (int mode = 0; mode < 3; mode++) {
        const char *const keys[] = {"mode", modes[mode], "init_state", "learned", "theta_max", "0.5", NULL};
        rule r;

        CK_OK(rule_open(&r, "titans", 32, 2, 8, 4, 1, keys));
        CU_ASSERT(r.n_weight == 1 && !strcmp(r.weight[0].name, "M0"));
        CU_ASSERT(r.weight[0].flags == LOCI_SLOT_NO_DECAY && r.weight[0].ndim == 3);
        CU_ASSERT(r.n_state == (mode == 2 ? 3 : 2));
        CU_ASSERT(!strcmp(r.state[0].name, "M") && !strcmp(r.state[1].name, "S"));
        CU_ASSERT(mode != 2 || !strcmp(r.state[2].name, "C"));
        CU_ASSERT(r.n_gate == 3 && !strcmp(r.gate[0].name, "alpha") && !strcmp(r.gate[1].name, "eta"));
        CU_ASSERT(!strcmp(r.gate[2].name, "theta") && r.gate[2].hi == 0.5 && r.gate[2].init == 0.1);
        rule_close(&r);
    }
}

static void a_learned_start_is_written_and_its_gradient_summed(void)
{
    const char *const keys[] = {"init_state", "learned", NULL};
    const loci_run runs[] = {{0, 0, 1, 2, 0, 0}, {1, 0, 1, 0, 0, 1}};
    const loci_batch batch = {sizeof batch, 2, runs, NULL};
    double *m0 = numbers(2 * 4 * 3, 1), *junk = numbers(3 * 24, 1), *out[2], *g = numbers(24, 0);
    box weight, grad, state[2];
    loci_tensor states[2];
    loci_slots s = {.struct_size = sizeof s, .n_state = 2, .n_params = 1};
    loci_exec x;
    rule r;

    CK_OK(rule_open(&r, "titans", 64, 2, 3, 4, 1, keys));
    x = ck_exec(&r.h);
    box_make(&weight, m0, 64, 3, 2, 4, 3, 0);
    box_make(&grad, NULL, 64, 3, 2, 4, 3, 0);
    for (int i = 0; i < 2; i++) {
        box_make(&state[i], junk, 64, 4, 3, 2, 4, 3);
        states[i] = state[i].t;
        out[i] = numbers(72, 0);
    }
    s.params = &weight.t;
    s.grads = &grad.t;
    s.state_out = states;
    CK_OK(r.iface->state_init(r.m, &x, &s, &batch, &ck_err));
    s.state_grad = states;
    CK_OK(r.iface->state_init_back(r.m, &x, &s, &batch, &ck_err));
    box_take(&state[0], out[0]);
    box_take(&state[1], out[1]);
    box_take(&weight, NULL);
    box_take(&grad, g);
    for (int i = 0; i < 24; i++) {
        CU_ASSERT(out[0][i] == m0[i] && out[0][48 + i] == m0[i] && out[0][24 + i] == junk[24 + i]);
        CU_ASSERT(out[1][i] == 0 && out[1][48 + i] == 0 && out[1][24 + i] == junk[24 + i]);
        CU_ASSERT(g[i] == 2 * m0[i]);
    }
    free(m0), free(junk), free(g), free(out[0]), free(out[1]);
    rule_close(&r);
}

static const void *only_ops(const loci_host *h, loci_device device, const char *id)
{
    return !strcmp(id, LOCI_EXT_SCAN) ? NULL : ck_host_get_ext(h, device, id);
}

static void fit_says_why_not(void)
{
    rule r;
    loci_shape shape;
    loci_config config;
    loci_fit f = {.struct_size = sizeof f};

    CK_OK(rule_open(&r, "titans", 32, 2, 8, 8, 1, NULL));
    config = rule_config(&r);
    shape = rule_shape(&r, 0, 0, 0, 0);
    CU_ASSERT(r.cls->fit(&r.h.host, &config, &shape, &f) == LOCI_OK && f.score == 100);
    shape.dtype = (loci_dtype){LOCI_BFLOAT, 16, 1};
    CU_ASSERT(r.cls->fit(&r.h.host, &config, &shape, &f) == LOCI_OK && f.score == 0 && strstr(f.reason, "float32"));
    shape.dtype = shape.acc;
    r.h.host.get_ext = only_ops;
    CU_ASSERT(r.cls->fit(&r.h.host, &config, &shape, &f) == LOCI_OK && f.score == 0 && strstr(f.reason, "loci.scan/1"));
    rule_close(&r);
}

#define TESTS(X) \
    X(the_oracle_has_the_gradients_of_its_differences) \
    X(the_oracle_in_f32_is_the_oracle) \
    X(every_mode_follows_the_oracle_forward_and_backward) \
    X(gates_can_be_switched_off) \
    X(the_comparison_sees_other_rules) \
    X(single_steps_equal_one_call) \
    X(exact_and_sequential_have_the_same_slots_and_frozen_one_state_more) \
    X(a_learned_start_is_written_and_its_gradient_summed) \
    X(fit_says_why_not)

CK_MAIN("titans", TESTS)

/* SPDX-License-Identifier: Apache-2.0
 *
 * The whole model: gradients of every weight against central differences.
 */
#include "tests/unit/model.h"

static double difference(struct world *w, double *at, double h, const loci_run *runs, uint32_t n)
{
    double old = *at, f[4];

    for (int k = 0; k < 4; k++) {
        *at = old + (double[]){h, -h, 2 * h, -2 * h}[k];
        f[k] = loss_of(w, runs, n);
    }
    *at = old;
    return (8 * (f[0] - f[1]) - (f[2] - f[3])) / (12 * h);
}

/* Gradients of every weight for one config and run list, every element, against differences of fourth order, at the
 * step that suits the element: a large one for small gradients, a small one where a norm is strongly curved. The loss
 * is a sum of some twenty tokens, so a difference is good to about 1e-10: gradients below LEAST are judged as if that
 * large. */
#define LEAST 3e-4

static void check_gradients(const char *text, const loci_run *runs, uint32_t n_runs)
{
    struct world w;
    double worst = 0, *kept, *of;
    char where[256] = "";

    CK_OK(open_world(&w, text, LOCI_X_SAVE | LOCI_X_TRAIN, SEQ, SEQ));
    CK_TRUE(isfinite(loss_of(&w, runs, n_runs)), "loss: %s", ck_err.msg);
    CK_OK(loci_pass_backward(w.p, &ck_err));
    of = kept = gradients(&w); /* every forward below adds to the head's */
    CU_ASSERT_FATAL(kept != NULL);
    for (uint32_t i = 0; i < w.m->weights.n; of += w.m->weights.at[i++]->elements) {
        const loci_weight *p = w.m->weights.at[i];
        double *at = loci_ptr(&p->value.t), *g = of, biggest = 0;
        for (uint64_t j = 0; j < p->elements; j++)
            biggest = fmax(biggest, fabs(g[j]));
        CK_TRUE(biggest > 0, "%s has no gradient at all", p->name);
        for (uint64_t j = 0; j < p->elements; j++) {
            double fd = 0, e = INFINITY;
            for (double h = 1e-3; h > 1e-6 && e > 1e-7; h /= 4) { /* by 8, truncation met rounding at 1e-6 */
                double one = difference(&w, &at[j], h, runs, n_runs);
                double error = fabs(one - g[j]) / fmax(fmax(fabs(one), fabs(g[j])), LEAST);
                if (error < e) {
                    e = error;
                    fd = one;
                }
            }
            if (!(e <= worst)) {
                worst = e;
                snprintf(where, sizeof where, "%s[%llu]: %.12g, differences say %.12g", p->name, (unsigned long long)j,
                         g[j], fd);
            }
        }
    }
    CK_TRUE(worst <= 1e-6, "%s\n    relative error %.3g at %s", text, worst, where);
    loci_free(kept);
    close_world(&w);
}

static void gradients_of_plain(void)
{
    check_gradients("[compose]\nbackend = plain\n[compose.plain]\npersistent_tok = 2\n[memory]\nbackend = none\n", NULL,
                    0);
}

static void gradients_of_lmm(void)
{
    check_gradients("[compose]\nbackend = lmm\n", NULL, 0);
    check_gradients("[compose]\nbackend = lmm\n[memory.titans]\nmode = sequential\n[model]\nffn = gelu\ntied = no\n",
                    NULL, 0);
}

static void gradients_of_mag(void)
{
    check_gradients("[compose]\nbackend = mag\n[compose.mag]\npersistent_tok = 2\n", NULL, 0);
    check_gradients("[compose]\nbackend = mag\n[memory.titans]\nmode = frozen\n", NULL, 0);
}

static void gradients_of_mal(void)
{
    check_gradients("[compose]\nbackend = mal\n[compose.mal]\npersistent_tok = 2\n", NULL, 0);
}

static void gradients_of_mac_with_several_segments_and_a_ragged_last_one(void)
{
    check_gradients("[compose]\nbackend = mac\n[compose.mac]\npersistent_tok = 2\nsegment_tok = 4\n", NULL, 0);
    check_gradients("[compose]\nbackend = mac\n[compose.mac]\npersistent_tok = 1\nsegment_tok = "
                    "4\n[memory.titans]\nmode = frozen\n",
                    NULL, 0);
}

static void gradients_of_packed_documents_with_padding(void)
{
    static const char *const texts[] = {
        "[compose]\nbackend = mac\n[compose.mac]\npersistent_tok = 1\nsegment_tok = 3\n",
        "[compose]\nbackend = mag\n[compose.mag]\npersistent_tok = 1\n", "[compose]\nbackend = mal\n",
        "[compose]\nbackend = lmm\n"};
    for (int i = 0; i < 4; i++) {
        struct world w;
        CK_OK(open_world(&w, texts[i], LOCI_X_SAVE, SEQ, SEQ));
        close_world(&w);
        check_gradients(texts[i], packed, 3);
    }
}

#define TESTS(X) \
    X(gradients_of_plain) \
    X(gradients_of_lmm) \
    X(gradients_of_mag) \
    X(gradients_of_mal) \
    X(gradients_of_mac_with_several_segments_and_a_ragged_last_one) \
    X(gradients_of_packed_documents_with_padding)
CK_MAIN("model_gradients", TESTS)

/* SPDX-License-Identifier: Apache-2.0
 *
 * ttt_linear.c: TTT-Linear, a memory that is trained at test time, on loci/rule.h.
 *
 * The memory is a small model f of one layer, and to write a token is a step of gradient descent on how well f turns
 * its key into its value:
 *
 *     f(x; W, b)     = x + LN(W x + b)                      LN: layer norm with learned gain and bias
 *     loss(W, b; t)  = 1/2 |f(k_t; W, b) - v_t|^2
 *     W_t = W_(t-1) - eta_t d loss / dW (W', b')            b_t likewise
 *     y_t = f(q_t; W_t, b_t)
 *
 *  (1) W', b' are W and b as a mini-batch of so many tokens found them: all gradients of a mini-batch are taken there,
 *      as if at once. Where a mini-batch begins follows from the place in the document, so any cutting gives the same.
 *  (2) With z = W' k + b', zh = (z - mean z) / sd z and e = gain o zh + bias - (v - k), the error against the residual
 *      that is left to explain, the gradient with respect to z is the adjoint of a layer norm applied to gain o e:
 *          delta = N(gain o e),   N(x) = (x - mean x - zh mean(x o zh)) / sd
 *      so dW = delta k' and db = delta.
 *  (3) delta contains zh and sd, so the adjoint of a write has second derivatives: see write_back.
 *
 * Sun et al. 2024, Learning to (Learn at Test Time): RNNs with Expressive Hidden States, sections 2.1 to 2.4, 2.7.
 * Departs: the front end is loci's (q and k of length 1, each with a projection of its own), eta has no factor for the
 * place in the mini-batch, b starts from small random numbers instead of zeros.
 */
#define LOCI_RULE_ID "org.example.ttt-linear"
#define LOCI_RULE_SUMMARY "TTT-Linear: a layer with layer norm, trained by every token"
#define LOCI_RULE_DOC \
    "f(x) = x + LN(W x + b);  W = W - eta d/dW |f(k) - v|^2 / 2, in mini-batches;  y = f(q)\n" \
    "Cost: 6 d^2 operations per token and head forward; a state of 2 d^2 + 2 d numbers.\n" \
    "Source: Sun et al. 2024, Learning to (Learn at Test Time): RNNs with Expressive Hidden States.\n" \
    "Use: against titans with frozen chunks, to see what the norm inside the inner loss is worth."
#define LOCI_RULE_KEYS(X) \
    X(INT, minibatch_tok, "16", NULL, 1, 1048576, "Tokens whose gradients are taken at the same weights.") \
    X(REAL, rate, "1", NULL, 1e-6, 1000, "Largest step eta, as a multiple of 1 / d.")
#define LOCI_RULE_STATES(X) \
    X(W, 0.02, r->dv, r->dk) \
    X(b, 0.02, r->dv) \
    X(W_batch, 0, r->dv, r->dk) \
    X(b_batch, 0, r->dv)
#define LOCI_RULE_GATES(X) X(eta, 0, r->rate / (double)r->dk, r->rate / (double)(2 * r->dk), 1)
#define LOCI_RULE_WEIGHTS(X) X(gain, 1, 0, r->dv) X(bias, 0, 0, r->dv)
#define LOCI_RULE_REFUSE (r->dk != r->dv ? "it adds keys to values: set memory.dv = memory.dk" : NULL)
#define LOCI_RULE_WORK (5 * r->dv)
#include <loci/rule.h>

/* zh = (W x + b - mean) / sd; returns sd. */
static loci_real LOCI_NAME(normal)(loci_real *zh, const loci_real *W, const loci_real *b, const loci_real *x, int64_t d)
{
    loci_real mean = 0, var = 0;

    for (int64_t i = 0; i < d; i++) {
        zh[i] = b[i];
        for (int64_t c = 0; c < d; c++)
            zh[i] += W[i * d + c] * x[c];
        mean += zh[i] / (loci_real)d;
    }
    for (int64_t i = 0; i < d; i++) {
        zh[i] -= mean;
        var += zh[i] * zh[i] / (loci_real)d;
    }
    var = (loci_real)sqrt((double)var + 1e-6);
    for (int64_t i = 0; i < d; i++)
        zh[i] /= var;
    return var;
}

/* out = N(x) of (2): the adjoint of zh -> z, and its own adjoint. out may be x. */
static void LOCI_NAME(project)(loci_real *out, const loci_real *x, const loci_real *zh, loci_real sd, int64_t d)
{
    loci_real mean = 0, along = 0;

    for (int64_t i = 0; i < d; i++) {
        mean += x[i] / (loci_real)d;
        along += x[i] * zh[i] / (loci_real)d;
    }
    for (int64_t i = 0; i < d; i++)
        out[i] = (x[i] - mean - zh[i] * along) / sd;
}

static int LOCI_NAME(begins)(const loci_token *t)
{
    return t->pos % t->r->minibatch_tok == 0;
}

static void LOCI_NAME(write)(const loci_token *t, const loci_state *m)
{
    const int64_t d = t->r->dv;
    loci_real *zh = t->work, *delta = zh + d, sd;

    if (LOCI_NAME(begins)(t)) { /* (1) */
        memcpy(m->W_batch, m->W, (size_t)(d * d) * sizeof *m->W);
        memcpy(m->b_batch, m->b, (size_t)d * sizeof *m->b);
    }
    sd = LOCI_NAME(normal)(zh, m->W_batch, m->b_batch, t->k, d);
    for (int64_t i = 0; i < d; i++)
        delta[i] = t->gain[i] * (t->gain[i] * zh[i] + t->bias[i] - t->v[i] + t->k[i]);
    LOCI_NAME(project)(delta, delta, zh, sd, d);
    for (int64_t i = 0; i < d; i++) {
        for (int64_t c = 0; c < d; c++)
            m->W[i * d + c] -= *t->eta * delta[i] * t->k[c];
        m->b[i] -= *t->eta * delta[i];
    }
}

/* From the gradients of W and b after the token, with r what arrives at delta:
 *     deta -= delta'(G_W k + G_b)         r = -eta (G_W k + G_b)         dk -= eta G_W'delta
 *     x = gain o e:   dx = N(r)           dzh = -(r mean(x o zh) + x mean(r o zh)) / sd         dsd = -r'delta / sd
 *     e:              de = gain o dx      dgain += dx o e
 *     e = gain o zh + bias - v + k:       dgain += de o zh   dbias += de   dv -= de   dk += de   dzh += gain o de
 *     zh, sd of z:    dz = N(dzh) + dsd zh / d
 *     z = W' k + b':  dW' += dz k'        db' += dz          dk += W''dz
 * and where a mini-batch begins, W' and b' are W and b. */
static void LOCI_NAME(write_back)(const loci_token *t, const loci_seen *m, const loci_grad *g, const loci_state *G)
{
    const int64_t d = t->r->dv;
    const int begins = LOCI_NAME(begins)(t);
    const loci_real *W = begins ? m->W : m->W_batch, *b = begins ? m->b : m->b_batch;
    loci_real *GW = begins ? G->W : G->W_batch, *Gb = begins ? G->b : G->b_batch;
    loci_real *zh = t->work, *x = zh + d, *delta = x + d, *r = delta + d, *dzh = r + d;
    loci_real sd, x_zh = 0, r_zh = 0, dsd = 0;

    sd = LOCI_NAME(normal)(zh, W, b, t->k, d);
    for (int64_t i = 0; i < d; i++)
        x[i] = t->gain[i] * (t->gain[i] * zh[i] + t->bias[i] - t->v[i] + t->k[i]);
    LOCI_NAME(project)(delta, x, zh, sd, d);
    for (int64_t i = 0; i < d; i++) {
        loci_real arrives = G->b[i];

        for (int64_t c = 0; c < d; c++) {
            arrives += G->W[i * d + c] * t->k[c];
            g->k[c] -= *t->eta * delta[i] * G->W[i * d + c];
        }
        *g->eta -= delta[i] * arrives;
        r[i] = -*t->eta * arrives;
        x_zh += x[i] * zh[i] / (loci_real)d;
        r_zh += r[i] * zh[i] / (loci_real)d;
        dsd -= r[i] * delta[i] / sd;
    }
    for (int64_t i = 0; i < d; i++)
        dzh[i] = -(r[i] * x_zh + x[i] * r_zh) / sd;
    LOCI_NAME(project)(r, r, zh, sd, d); /* dx from here on */
    for (int64_t i = 0; i < d; i++) {
        const loci_real e = t->gain[i] * zh[i] + t->bias[i] - t->v[i] + t->k[i], de = t->gain[i] * r[i];

        t->d.gain[i] += r[i] * e + de * zh[i];
        t->d.bias[i] += de;
        g->v[i] -= de;
        g->k[i] += de;
        dzh[i] += t->gain[i] * de;
    }
    LOCI_NAME(project)(dzh, dzh, zh, sd, d); /* dz from here on */
    if (begins) {                            /* nothing that came before reaches what W' and b' were */
        for (int64_t i = 0; i < d * d; i++) {
            G->W[i] += G->W_batch[i];
            G->W_batch[i] = 0;
        }
        for (int64_t i = 0; i < d; i++) {
            G->b[i] += G->b_batch[i];
            G->b_batch[i] = 0;
        }
    }
    for (int64_t i = 0; i < d; i++) {
        const loci_real dz = dzh[i] + dsd * zh[i] / (loci_real)d;

        for (int64_t c = 0; c < d; c++) {
            g->k[c] += W[i * d + c] * dz;
            GW[i * d + c] += dz * t->k[c];
        }
        Gb[i] += dz;
    }
}

static void LOCI_NAME(read)(const loci_query *t, const loci_seen *m, loci_real *y)
{
    const int64_t d = t->r->dv;

    LOCI_NAME(normal)(y, m->W, m->b, t->q, d);
    for (int64_t i = 0; i < d; i++)
        y[i] = t->q[i] + t->gain[i] * y[i] + t->bias[i];
}

static void LOCI_NAME(read_back)(const loci_query *t, const loci_seen *m, const loci_real *dy, loci_real *dq,
                                 const loci_state *G)
{
    const int64_t d = t->r->dv;
    loci_real *zh = t->work, *dz = zh + d;
    const loci_real sd = LOCI_NAME(normal)(zh, m->W, m->b, t->q, d);

    for (int64_t i = 0; i < d; i++) {
        t->d.gain[i] += dy[i] * zh[i];
        t->d.bias[i] += dy[i];
        dq[i] += dy[i];
        dz[i] = t->gain[i] * dy[i];
    }
    LOCI_NAME(project)(dz, dz, zh, sd, d);
    for (int64_t i = 0; i < d; i++) {
        for (int64_t c = 0; c < d; c++) {
            dq[c] += m->W[i * d + c] * dz[i];
            G->W[i * d + c] += dz[i] * t->q[c];
        }
        G->b[i] += dz[i];
    }
}

#include LOCI_RULE_AGAIN("ttt_linear.c")

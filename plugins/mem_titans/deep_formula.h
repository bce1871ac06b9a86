/* SPDX-License-Identifier: Apache-2.0
 *
 * The deep memory of mem_titans in plain loops of double, token by token as the formula is written, for one head: what
 * the plugin is held against. Weights and momentum are one long vector each, layer after layer, row by row.
 *
 *     g_t   = d/dW of half | net(P, k_t) - v_t |^2        P = W_{t-1};  frozen: the weights before t's chunk
 *     S_t   = eta_t S_{t-1} - c theta_t g_t
 *     W_t   = (1 - alpha_t) W_{t-1} + S_t
 *     y_t   = net(W_t, q_t), or net(W_{t-1}, q_t) before the write
 *
 * with the gates of each layer's own where they are per layer. The gradient is backpropagation, written out.
 */
#ifndef LOCI_MEM_TITANS_DEEP_FORMULA_H
#define LOCI_MEM_TITANS_DEEP_FORMULA_H

#include "tests/unit/trial.h"

#define DEEP_MOST 8    /* layers         */
#define DEEP_WIDE 2048 /* width, at most */

struct deep_how {
    int depth, expansion, frozen; /* frozen: tokens of a chunk; 0: sequential */
    bool before, residual, gelu, per_layer, no_momentum, no_forget;
    double c; /* 0: 1 */
};

static inline int64_t deep_width(const struct deep_how *how, int64_t dk, int64_t dv, int l)
{
    return l == how->depth ? dv : l == 0 ? dk : how->expansion * dk;
}

static inline double deep_act(const struct deep_how *how, double z)
{
    const double u = 0.7978845608028654 * (z + 0.044715 * z * z * z);

    return how->gelu ? 0.5 * z * (1 + tanh(u)) : z / (1 + exp(-z));
}

static inline double deep_slope(const struct deep_how *how, double z)
{
    const double u = 0.7978845608028654 * (z + 0.044715 * z * z * z), t = tanh(u), s = 1 / (1 + exp(-z));

    return how->gelu ? 0.5 * (1 + t) + 0.5 * z * (1 - t * t) * 0.7978845608028654 * (1 + 3 * 0.044715 * z * z)
                     : s * (1 + z * (1 - s));
}

/* net(W, x); z and h [DEEP_MOST + 1][DEEP_WIDE]: what the layers compute, h[0] = x, the last z without the residual. */
static inline void deep_net(const struct deep_how *how, const double *W, const double *x, int64_t dk, int64_t dv,
                            double (*z)[DEEP_WIDE], double (*h)[DEEP_WIDE], double *y)
{
    memcpy(h[0], x, (size_t)dk * sizeof *x);
    for (int l = 1; l <= how->depth; l++) {
        const int64_t rows = deep_width(how, dk, dv, l), cols = deep_width(how, dk, dv, l - 1);

        for (int64_t i = 0; i < rows; i++) {
            z[l][i] = 0;
            for (int64_t j = 0; j < cols; j++)
                z[l][i] += W[i * cols + j] * h[l - 1][j];
            h[l][i] = deep_act(how, z[l][i]);
        }
        W += rows * cols;
    }
    for (int64_t i = 0; i < dv; i++)
        y[i] = z[how->depth][i] + (how->residual ? x[i] : 0);
}

/* g = d/dW of half | net(W, k) - v |^2; dx, unless NULL, the same of k. */
static inline void deep_gradient(const struct deep_how *how, const double *W, const double *k, const double *v,
                                 int64_t dk, int64_t dv, int64_t n, double *g, double *dx)
{
    static double z[DEEP_MOST + 1][DEEP_WIDE], h[DEEP_MOST + 1][DEEP_WIDE], b[2][DEEP_WIDE], e[DEEP_WIDE];
    int64_t at = n;

    deep_net(how, W, k, dk, dv, z, h, e);
    for (int64_t i = 0; i < dv; i++)
        b[how->depth % 2][i] = e[i] -= v[i];
    for (int l = how->depth; l >= 1; l--) {
        const int64_t rows = deep_width(how, dk, dv, l), cols = deep_width(how, dk, dv, l - 1);
        const double *up = b[l % 2];
        double *down = b[(l - 1) % 2];

        at -= rows * cols;
        for (int64_t j = 0; j < cols; j++) {
            down[j] = 0;
            for (int64_t i = 0; i < rows; i++) {
                g[at + i * cols + j] = up[i] * h[l - 1][j];
                down[j] += W[at + i * cols + j] * up[i];
            }
            if (l > 1)
                down[j] *= deep_slope(how, z[l - 1][j]);
            else if (dx)
                dx[j] = down[j] + (how->residual ? e[j] : 0);
        }
    }
}

/* States as the class declares them: W of every layer, S of every layer unless there is no momentum, C when frozen. */
static inline void deep_formula(const head *a, const void *how_)
{
    static double z[DEEP_MOST + 1][DEEP_WIDE], h[DEEP_MOST + 1][DEEP_WIDE];
    const struct deep_how *how = (const struct deep_how *)how_;
    const int L = how->depth, w = how->per_layer ? L : 1;
    double *vec[3], *g;
    int64_t n = 0;

    for (int l = 1; l <= L; l++)
        n += deep_width(how, a->dk, a->dv, l) * deep_width(how, a->dk, a->dv, l - 1);
    g = numbers(n, 0);
    for (int r = 0, state = 0; r < 3; r++) {
        const bool there = r == 0 || (r == 1 ? !how->no_momentum : how->frozen > 0);

        vec[r] = numbers(n, 0);
        for (int64_t l = 1, at = 0; l <= L && there; l++, state++) {
            const int64_t size = deep_width(how, a->dk, a->dv, (int)l) * deep_width(how, a->dk, a->dv, (int)l - 1);

            memcpy(vec[r] + at, a->state[state], (size_t)size * sizeof *g);
            at += size;
        }
    }
    for (int64_t t = 0; t < a->T; t++) {
        const bool write = a->op != LOCI_OP_READ, read = a->op != LOCI_OP_WRITE;

        if (read && (how->before || !write))
            deep_net(how, vec[0], a->q + t * a->dk, a->dk, a->dv, z, h, a->y + t * a->dv);
        if (!write)
            continue;
        if (how->frozen && (a->pos + t) % how->frozen == 0)
            memcpy(vec[2], vec[0], (size_t)n * sizeof *g);
        deep_gradient(how, vec[how->frozen ? 2 : 0], a->k + t * a->dk, a->v + t * a->dv, a->dk, a->dv, n, g, NULL);
        for (int64_t l = 1, i = 0; l <= L; l++) {
            const int64_t end = i + deep_width(how, a->dk, a->dv, (int)l) * deep_width(how, a->dk, a->dv, (int)l - 1);
            const int64_t at = t * w + (how->per_layer ? l - 1 : 0);
            int gate = 0;
            const double alpha = how->no_forget ? 0 : a->gate[gate++][at];
            const double eta = how->no_momentum ? 0 : a->gate[gate++][at];
            const double theta = a->gate[gate][at] * (how->c > 0 ? how->c : 1);

            for (; i < end; i++) {
                vec[1][i] = eta * vec[1][i] - theta * g[i];
                vec[0][i] = (1 - alpha) * vec[0][i] + vec[1][i];
            }
        }
        if (read && !how->before)
            deep_net(how, vec[0], a->q + t * a->dk, a->dk, a->dv, z, h, a->y + t * a->dv);
    }
    for (int r = 0, state = 0; r < 3; r++) {
        const bool there = r == 0 || (r == 1 ? !how->no_momentum : how->frozen > 0);

        for (int64_t l = 1, at = 0; l <= L && there; l++, state++) {
            const int64_t size = deep_width(how, a->dk, a->dv, (int)l) * deep_width(how, a->dk, a->dv, (int)l - 1);

            memcpy(a->state[state], vec[r] + at, (size_t)size * sizeof *g);
            at += size;
        }
        free(vec[r]);
    }
    free(g);
}

#endif

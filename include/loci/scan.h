/* SPDX-License-Identifier: Apache-2.0
 *
 * loci/scan.h: the device services of recurrences, loci.scan/1.
 *
 * Get the table with host->get_ext(host, device, LOCI_EXT_SCAN). Four recurrences, each with sizes, forward and
 * backward over a batch of runs; state rows, gradients and padding as everywhere in loci/plugin.h. State is in acc.
 *
 *   L  linear recurrence (Katharopoulos et al. 2020; Yang et al. 2024, GLA)
 *        S_t = S_{t-1} diag(exp g_t) + v_t k_t'          y_t = scale S_t q_t
 *   D  diagonal scan (Griffin: De et al. 2024)
 *        h_t = exp(g_t) o h_{t-1} + v_t                  y_t = h_t
 *   W  diagonal plus low rank (RWKV-7: Peng et al. 2025; delta rule: Yang et al. 2024)
 *        S_t = S_{t-1} diag(exp g_t) + (S_{t-1} u_t) w_t' + v_t k_t'      y_t = scale S_t q_t
 *   M  delta rule with momentum and forgetting (Titans: Behrouz et al. 2025, eqs. 9-14)
 *        e_t = A_t k_t - v_t         Z_t = eta_t Z_{t-1} - c theta_t e_t k_t'     M_t = (1 - alpha_t) M_{t-1} + Z_t
 *        y_t = scale M_t q_t (after the write), scale M_{t-1} q_t (before it)   c = loss_scale, A_t by `error`, below
 *
 * Shapes. q, k, u, w [B,T,H,d]; v, y [B,T,H,e]; in D v, y, g are [B,T,N]. g, log decay <= 0, acc: NULL (none), [H],
 * [B,T,H] or [B,T,H,d] (D: [B,T,N]). alpha, eta, theta [B,T,H], acc.
 * States, all [states, ...]: L, W: S [H,e,d].  D: h [N].  M: M, Z [H,e,d]; in frozen mode a third, C [H,e,d], the
 * memory at the start of the chunk in progress (not with error NONE); the phase of the chunk is run.pos mod chunk.
 *
 * Modes of M (memory-rules: the exact chunk equals the recurrence up to rounding for every chunk size):
 *   SEQUENTIAL  the recurrence, token by token
 *   EXACT       chunks of `chunk` tokens, one triangular solve each
 *   FROZEN      the error is taken at the memory of the chunk's start: M_c in place of M_{t-1} in A_t (Titans section
 *               3.2); an error that is decayed still decays by its own token alone, A_t = (1 - alpha_t) M_c
 * Modes of L: SEQUENTIAL, and EXACT: up to `chunk` tokens at once, in whatever form the device finds fastest, equal to the
 * recurrence up to rounding for every chunk size, every cut of a run and every decay, 0 and -inf included (Yang et al.
 * 2024, GLA, section 4; nothing is divided by a decay and no exponents are subtracted). A chunk may be longer than the
 * run; memory grows with its tokens, not with their square. D and W know SEQUENTIAL only.
 *
 * op READ reads scale M q without writing, WRITE writes without reading; where state_out is other storage than state_in,
 * READ copies the rows of its runs. With eta NULL the tensor of Z may have data NULL.
 */
#ifndef LOCI_SCAN_H
#define LOCI_SCAN_H

#include <loci/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LOCI_EXT_SCAN "loci.scan/1"

#define LOCI_SCAN_L 1
#define LOCI_SCAN_D 2
#define LOCI_SCAN_W 3
#define LOCI_SCAN_M 4

#define LOCI_SCAN_SEQUENTIAL 0
#define LOCI_SCAN_EXACT 1
#define LOCI_SCAN_FROZEN 2

#define LOCI_SCAN_AFTER_WRITE 0
#define LOCI_SCAN_BEFORE_WRITE 1

/* What a write of M corrects: e_t = A_t k_t - v_t with
 *   UNDECAYED  A_t = M_{t-1}                       Titans
 *   DECAYED    A_t = (1 - alpha_t) M_{t-1}         gated delta rule (Yang et al. 2024): forget first
 *   NONE       A_t = 0                             Hebbian: nothing is predicted, modes EXACT and FROZEN are one
 * Gated DeltaNet as published, with gates g and b, is DECAYED with alpha = 1 - g, theta = b; it is also UNDECAYED with
 * alpha = 1 - g, theta = g b and values v / g. */
#define LOCI_SCAN_ERROR_UNDECAYED 0
#define LOCI_SCAN_ERROR_DECAYED 1
#define LOCI_SCAN_ERROR_NONE 2

typedef struct loci_scan_io {
    uint32_t struct_size;
    int32_t scan; /* LOCI_SCAN_L ... M                                              */
    int32_t op;   /* M: LOCI_OP_READ, WRITE, STEP; the others: LOCI_OP_STEP         */
    int32_t mode, chunk, read_order;
    int32_t error; /* M: LOCI_SCAN_ERROR_*                                          */
    uint32_t reserved0;
    double scale, loss_scale;
    const loci_batch *batch;
    const loci_tensor *q, *k, *v, *g, *u, *w;
    const loci_tensor *alpha, *eta, *theta; /* M; NULL: 0, 0, 1                      */
    loci_tensor *y;
    const loci_tensor *state_in;  /* an array: one tensor per state listed above     */
    const loci_tensor *state_out; /* may be state_in's storage without SAVE          */
    /* backward: inputs as the forward had them, state_out as it left it */
    const loci_tensor *state_grad;
    const loci_tensor *dy;
    loci_tensor *dq, *dk, *dv, *dg, *du, *dw, *dalpha, *deta, *dtheta; /* added to; NULL: not wanted */
} loci_scan_io;

/* The scalar tables of a chunk of n tokens, for a rule that has M's momentum and forgetting but whose memory is not one
 * matrix (Titans' deep memory: the error of a chunk is taken at its start, and every weight matrix W with momentum S,
 * written by outer products u_j, is  W_t = beta_t W_0 + f_t S_0 - sum_j G[t][j] u_j,  S_t = m_t S_0 - sum_j N[t][j] u_j).
 * Everything that enters the chunk reaches time t = 0 .. n, after t tokens, by a pair of scalars of one recurrence:
 *   s_t = eta_t s_{t-1} + [t is token j] c theta_j        p_t = (1 - alpha_t) p_{t-1} + s_t         c = loss_scale
 *   from W_0: p_0 = 1, s_0 = 0, p = beta.   From S_0: p_0 = 0, s_0 = 1, p = f, s = m.   From token j, counted from 0:
 *   p = G[.][j], s = N[.][j], 0 for t <= j.
 * Additions and multiplications only: gates of exactly 0 and 1 are ordinary. Numbers at times <= t depend on the gates
 * of the first t tokens alone. All in acc; n at most LOCI_COEF_TOK. Cost per table: n^2 steps, times 3 in coef_back. */
#define LOCI_COEF_TOK 512
typedef struct loci_coef {
    uint32_t struct_size, reserved0;
    double loss_scale;
    const loci_tensor *alpha, *eta, *theta; /* [B,n,H] or [B,n,H,w], any strides but the last; NULL: 0, 0, 1        */
    loci_tensor *beta, *f, *m;              /* [B,H,n+1] or [B,H,w,n+1]                                            */
    loci_tensor *G, *N;                     /* [B,H,n+1,n] or [B,H,w,n+1,n]; the two last axes without gaps        */
    /* coef_back: the tables above as coef left them, and the cotangents of beta, f, G, of m at time n [..,1] and of N
     * at time n [..,n]; the last axes without gaps. dG and dN are overwritten. */
    loci_tensor *dbeta, *df, *dm, *dG, *dN;
    loci_tensor *dalpha, *deta, *dtheta; /* added to; NULL: not wanted */
} loci_coef;

typedef struct loci_scan {
    uint32_t struct_size, reserved0;
    /* Raises need by what forward and backward take of scratch and saved for the shape's limits (rows, seq, runs,
     * heads, dk, dv, dtype, acc, flags); for D dk is N. io: scan, op, mode, chunk, error are read. */
    loci_status (*plan)(const loci_scan_io *, const loci_shape *, loci_need *, loci_error *);
    loci_status (*forward)(const loci_exec *, const loci_scan_io *, loci_error *);
    loci_status (*backward)(const loci_exec *, const loci_scan_io *, loci_error *);
    /* Scalar tables of many chunks at once, and their adjoint. No scratch. */
    loci_status (*coef)(const loci_exec *, const loci_coef *, loci_error *);
    loci_status (*coef_back)(const loci_exec *, const loci_coef *, loci_error *);
} loci_scan;

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/scan_call.c: see scan_call.h. What a call must be is loci/author_scan.h's; here is how it is cut.
 */
#include "core/device/scan_call.h"
#include "core/base/base.h"
#include <string.h>

#define WIDEST (INT64_C(1) << 20) /* so that products of a few sizes fit into 64 bits */

static void cut_rule(scan_job *j, const loci_scan_call *c, const loci_scan_io *io)
{
    *j = (scan_job){.scan = c->scan,
                    .mode = c->mode,
                    .read = c->read,
                    .write = c->write,
                    .before = c->before,
                    .decayed = c->decayed,
                    .blind = c->blind,
                    .scale = io->scale,
                    .c = io->loss_scale,
                    .n_state = c->n_state,
                    .nsub = 1};
    j->exact = j->write && j->mode == LOCI_SCAN_EXACT;
    j->frozen = j->write && j->mode == LOCI_SCAN_FROZEN;
    j->n_ck = j->scan == LOCI_SCAN_M && j->write ? 2 : 1;
    j->seg = !j->write ? SCAN_READ_TOK : !j->exact ? SCAN_TOK : SCAN_EXACT_TOK;
    j->chunk = j->seg;
    if (j->frozen) {
        j->chunk = io->chunk;
        j->seg = io->chunk < SCAN_FROZEN_TOK ? io->chunk : SCAN_FROZEN_TOK;
        j->nsub = (j->chunk + j->seg - 1) / j->seg;
    }
}

loci_status loci_scan_rule(scan_job *j, const loci_scan_io *io, loci_error *err)
{
    loci_scan_call c;
    const loci_status status = loci_scan_call_rule(&c, io, err);

    if (status == LOCI_OK)
        cut_rule(j, &c, io);
    return status;
}

loci_status loci_scan_views(scan_job *j, const loci_scan_io *io, uint8_t *bits, loci_error *err)
{
    loci_status status;
    loci_scan_call c;

    LOCI_TRY(loci_scan_call_rule(&c, io, err));
    LOCI_TRY(loci_scan_call_see(&c, io, j->back, j->save, LOCI_CPU, err));
    j->q = c.q, j->k = c.k, j->v = c.v, j->g = c.g, j->u = c.u, j->w = c.w, j->y = c.y;
    j->alpha = c.alpha, j->eta = c.eta, j->theta = c.theta;
    j->dq = c.dq, j->dk = c.dk, j->dv = c.dv, j->dg = c.dg, j->du = c.du, j->dw = c.dw, j->dy = c.dy;
    j->dalpha = c.dalpha, j->deta = c.deta, j->dtheta = c.dtheta;
    memcpy(j->in, c.in, sizeof c.in);
    memcpy(j->out, c.out, sizeof c.out);
    memcpy(j->grad, c.grad, sizeof c.grad);
    j->g_head = c.g_head;
    j->g_channel = c.g_channel;
    j->keeps_z =
        j->scan == LOCI_SCAN_M && (j->eta.at || j->in[1].at || j->out[1].at || j->grad[1].at);
    j->B = c.B, j->T = c.T, j->H = c.H, j->d = c.d, j->e = c.e;
    j->runs = c.runs;
    j->n_runs = c.n_runs;
    *bits = c.bits;
out:
    return status;
}

/* ---- sizes ------------------------------------------------------------------------------------------------------ */

loci_status loci_scan_sizes(scan_job *j, uint64_t slots, uint64_t size, scan_bytes *out, loci_error *err)
{
    const int64_t widest = j->scan == LOCI_SCAN_D ? 1 : j->d > j->e ? j->d : j->e;
    uint64_t state, tokens;

    *out = (scan_bytes){0};
    j->cap = j->seg < j->T ? j->seg : j->T > 1 ? j->T : 1;
    if (j->d < 1 || j->e < 1 || widest > WIDEST || j->cap > WIDEST)
        return loci_fail(err, LOCI_E_ARG, "scan: widths %lld and %lld: both must be between 1 and %lld",
                         (long long)j->d, (long long)j->e, (long long)WIDEST);
    j->blocks = j->scan == LOCI_SCAN_D ? (j->d + SCAN_BLOCK - 1) / SCAN_BLOCK : j->H;
    if (!loci_mul(&state, (uint64_t)j->n_runs, (uint64_t)j->blocks) || state > INT64_MAX / 64)
        return loci_fail(err, LOCI_E_ARG, "scan: %lld runs of %lld parts are too many", (long long)j->n_runs,
                         (long long)j->blocks);
    j->items = (int64_t)state;
    j->lanes = j->items < SCAN_LANES ? j->items : SCAN_LANES;
    j->lane = loci_scan_f64__ref.lane(j); /* elements: the same for every build */
    out->part = loci_align64(state * size);
    if (!loci_mul(&out->lanes, (uint64_t)(j->lanes * j->lane), size))
        goto huge;
    if (!loci_mul(&state, (uint64_t)(j->n_ck * scan_state(j)), (uint64_t)j->H * size) ||
        !loci_mul(&out->checkpoint, state, slots))
        goto huge;
    if (j->scan == LOCI_SCAN_M && (j->exact || j->frozen) && !j->blind) {
        if (!loci_mul(&tokens, (uint64_t)j->B, (uint64_t)j->T) ||
            !loci_mul(&out->err, tokens, (uint64_t)(j->H * j->e) * size) || out->err > UINT64_MAX / 2)
            goto huge;
        out->err = loci_align64(out->err);
    }
    return LOCI_OK;
huge:
    return loci_fail(err, LOCI_E_ARG,
                     "scan: %lld rows of %lld tokens, %lld heads of %lld x %lld do not fit into memory",
                     (long long)j->B, (long long)j->T, (long long)j->H, (long long)j->e, (long long)j->d);
}

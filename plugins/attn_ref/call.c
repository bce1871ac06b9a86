/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads one call. After it, no kernel can reach outside a tensor: shapes agree, lengths and block numbers are in range,
 * scratch suffices. What a message names is what the caller has to change.
 */
#include <loci/attention.h>

#include "ref.h"

/* A product that stops at 2^62 instead of wrapping: no scratch is that large. */
static uint64_t times(uint64_t a, uint64_t b)
{
    uint64_t r, most = UINT64_C(1) << 62;

    return __builtin_mul_overflow(a, b, &r) || r > most ? most : r;
}

uint64_t ref_room_bytes(int f64, int64_t S, int64_t d, int64_t e)
{
    uint64_t reals = (uint64_t)S + 2 * (uint64_t)d + 2 * (uint64_t)e + (uint64_t)(d > e ? d : e);

    return (times(reals, f64 ? 8 : 4) + 63) / 64 * 64;
}

uint64_t ref_shift_bytes(int f64, int64_t B, int64_t H, int64_t T)
{
    return times(times(times((uint64_t)B, (uint64_t)H), (uint64_t)T), f64 ? 8 : 4);
}

uint64_t ref_scratch_bytes(uint32_t workers, uint64_t room, uint64_t shift)
{
    uint64_t rooms = times(workers, room);

    return rooms + shift;
}

#define CHECK(...) LOCI_ATTN_CHECK("attention/ref", __VA_ARGS__)

static loci_status need(loci_error *err, int there, const char *what)
{
    return there ? LOCI_OK : ref_fail(err, LOCI_E_ARG, "%s", what);
}

static loci_status read_back(const ref_call *c, loci_dtype type, loci_dtype acc, loci_error *err)
{
    const loci_attn_io *io = c->io;
    const loci_attn_desc *a = c->desc;
    const loci_tensor *k = io->k, *v = io->v;
    loci_status s;

    if ((s = need(err, io->d_o && io->lse, "a backward needs o, lse and d_o")) ||
        (s = need(err, (a->bias || !io->dbias) && (a->slopes || !io->dslopes), "dbias or dslopes without its input")) ||
        (s = need(err, (a->table || !io->dtable) && (a->sink || !io->dsink), "dtable or dsink without its input")))
        return s;
    CHECK(io->d_o, type, 0, c->B, c->T, c->H, c->e);
    CHECK(io->d_lse, acc, 0, c->B, c->H, c->T);
    CHECK(io->dq, type, 0, c->B, c->T, c->H, c->d);
    CHECK(io->dk, type, 0, k->shape[0], k->shape[1], c->Hk, c->d);
    CHECK(io->dv, type, 0, v->shape[0], v->shape[1], c->Hv, c->e);
    if (io->dbias)
        CHECK(io->dbias, acc, 0, a->bias->shape[0], a->bias->shape[1], a->bias->shape[2], a->bias->shape[3]);
    CHECK(io->dslopes, acc, 0, c->H);
    if (io->dtable)
        CHECK(io->dtable, acc, 0, a->table->shape[0], c->H);
    CHECK(io->dsink, acc, 0, c->H);
    return LOCI_OK;
}

loci_status ref_call_read(ref_call *c, const loci_exec *exec, const loci_attn_io *io, int backward, loci_error *err)
{
    const loci_attn_desc *a = io->desc;
    const loci_tensor *q = io->q, *k = io->k, *v = io->v;
    uint32_t workers = exec->host->workers(exec->host);
    loci_dtype type, acc;
    uint64_t bytes;
    loci_status s;

    if (io->struct_size < sizeof *io || !a || a->struct_size < sizeof *a)
        return ref_fail(err, LOCI_E_ARG, "the call or its descriptor is of an older header");
    if (!q || !k || !v || !io->o || q->ndim != 4 || k->ndim != 4 || v->ndim != 4)
        return ref_fail(err, LOCI_E_ARG, "q, k, v and o are needed, with four axes each");
    type = q->dtype;
    acc = (loci_dtype){LOCI_FLOAT, (uint8_t)(type.bits == 64 ? 64 : 32), 1};
    *c = (ref_call){.exec = exec,
                    .io = io,
                    .desc = a,
                    .B = q->shape[0],
                    .T = q->shape[1],
                    .S = k->shape[1],
                    .H = q->shape[2],
                    .Hk = k->shape[2],
                    .Hv = v->shape[2],
                    .d = q->shape[3],
                    .e = v->shape[3],
                    .f64 = type.bits == 64,
                    .dropout = exec->flags & LOCI_X_TRAIN ? a->dropout : 0};
    if (!(type.code == LOCI_FLOAT && (type.bits == 32 || type.bits == 64)) &&
        !(type.code == LOCI_BFLOAT && type.bits == 16))
        return ref_fail(err, LOCI_E_UNSUPPORTED, "q has dtype code %u of %u bits; ref serves f32, f64 and bf16",
                        type.code, type.bits);
    if (c->H && (!c->Hk || !c->Hv || c->H % c->Hk || c->H % c->Hv))
        return ref_fail(err, LOCI_E_ARG, "%lld query heads are no multiple of %lld key heads and %lld value heads",
                        (long long)c->H, (long long)c->Hk, (long long)c->Hv);
    CHECK(io->q, type, 0, c->B, c->T, c->H, c->d);
    if (a->block_table) {
        CHECK(io->k, type, 0, k->shape[0], a->block_tok, c->Hk, c->d);
        CHECK(io->v, type, 0, k->shape[0], a->block_tok, c->Hv, c->e);
    } else {
        CHECK(io->k, type, 0, c->B, c->S, c->Hk, c->d);
        CHECK(io->v, type, 0, c->B, c->S, c->Hv, c->e);
    }
    CHECK(io->o, type, 0, c->B, c->T, c->H, c->e);
    CHECK(io->lse, acc, 0, c->B, c->H, c->T);
    LOCI_RETURN_IF(loci_attn_check_desc("attention/ref", io, acc, &c->S, err));
    if (backward && (s = read_back(c, type, acc, err)))
        return s;

    c->room_bytes = ref_room_bytes(c->f64, c->S, c->d, c->e);
    c->rooms = exec->scratch;
    bytes = ref_scratch_bytes(workers, c->room_bytes, backward ? ref_shift_bytes(c->f64, c->B, c->H, c->T) : 0);
    if (exec->scratch_bytes < bytes)
        return ref_fail(err, LOCI_E_ARG, "scratch holds %llu bytes, this %s needs %llu: plan for %s",
                        (unsigned long long)exec->scratch_bytes, backward ? "backward" : "forward",
                        (unsigned long long)bytes, backward ? "its sizes with SAVE" : "its sizes");
    c->shift = c->rooms ? c->rooms + workers * c->room_bytes : NULL;
    return LOCI_OK;
}

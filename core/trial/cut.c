/* SPDX-License-Identifier: Apache-2.0
 *
 * Cuts: the same documents put before a component in different ways. A builder walks twice, once to count and once to
 * write; a call's pieces follow each other in one array.
 */
#include "core/trial/impl.h"
#include <string.h>

/* The growing cut. */
struct builder {
    loci_cutting *cut;
    loci_piece *pieces;
    uint32_t n, cap;
};

static loci_status begin(struct builder *b, loci_cutting *out, uint64_t calls, uint64_t pieces, loci_error *err)
{
    *out = (loci_cutting){0};
    *b = (struct builder){.cut = out};
    if (calls > UINT32_MAX || pieces > UINT32_MAX)
        return loci_fail(err, LOCI_E_ARG, "a cut of %llu pieces is too long: make them longer",
                         (unsigned long long)pieces);
    /* one allocation: the calls, then the pieces */
    out->calls = loci_alloc(calls * sizeof *out->calls + pieces * sizeof *b->pieces + sizeof *b->pieces);
    if (!out->calls)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory for a cut of %llu pieces", (unsigned long long)pieces);
    b->pieces = (loci_piece *)(void *)(out->calls + calls);
    b->cap = (uint32_t)pieces;
    return LOCI_OK;
}

static void call(struct builder *b, int64_t rows, int64_t seq)
{
    b->cut->calls[b->cut->n_calls++] = (loci_cut_call){(int32_t)rows, (int32_t)seq, 0, b->pieces + b->n};
}

static void piece(struct builder *b, int64_t doc, int64_t from, int64_t len, int64_t row, int64_t at)
{
    loci_cut_call *c = &b->cut->calls[b->cut->n_calls - 1];

    if (len == 0)
        return;
    b->pieces[b->n++] = (loci_piece){(int32_t)doc, (int32_t)from, (int32_t)len, (int32_t)row, (int32_t)at};
    c->n++;
    if (at + len > c->seq)
        c->seq = (int32_t)(at + len);
    if (row + 1 > c->rows)
        c->rows = (int32_t)(row + 1);
}

loci_status loci_cut_shuffled(loci_cutting *out, const loci_trial *t, const int32_t *order, loci_error *err)
{
    struct builder b;
    loci_status status = begin(&b, out, 1, (uint64_t)t->size.docs, err);

    if (status != LOCI_OK)
        return status;
    call(&b, t->size.docs, t->size.seq);
    for (int64_t i = 0; i < t->size.docs; i++) {
        const int64_t d = order ? order[i] : i;
        piece(&b, d, 0, t->len[d], i, 0);
    }
    return LOCI_OK;
}

loci_status loci_cut_whole(loci_cutting *out, const loci_trial *t, loci_error *err)
{
    return loci_cut_shuffled(out, t, NULL, err);
}

static uint64_t total(const loci_trial *t)
{
    uint64_t sum = 0;

    for (int64_t d = 0; d < t->size.docs; d++)
        sum += (uint64_t)t->len[d];
    return sum;
}

/* Call j holds piece j of every document that has one; its rows are those documents. */
loci_status loci_cut_pieces(loci_cutting *out, const loci_trial *t, const int32_t *lengths, uint32_t n, loci_error *err)
{
    struct builder b;
    int64_t from = 0, longest = 0;
    loci_status status;

    for (uint32_t i = 0; i < n; i++)
        if (lengths[i] < 1)
            return loci_fail(err, LOCI_E_ARG, "a piece has at least 1 token, not %d", (int)lengths[i]);
    if (n == 0)
        return loci_fail(err, LOCI_E_ARG, "pieces need at least one length");
    for (int64_t d = 0; d < t->size.docs; d++)
        longest = t->len[d] > longest ? t->len[d] : longest;
    status = begin(&b, out, (uint64_t)longest, total(t), err);
    for (uint32_t j = 0; status == LOCI_OK && from < longest; j++) {
        const int64_t len = lengths[j < n ? j : n - 1];
        int64_t row = 0;
        call(&b, 0, 0);
        for (int64_t d = 0; d < t->size.docs; d++)
            if (t->len[d] > from)
                piece(&b, d, from, t->len[d] - from < len ? t->len[d] - from : len, row++, 0);
        from += len;
    }
    return status;
}

loci_status loci_cut_alone(loci_cutting *out, const loci_trial *t, loci_error *err)
{
    struct builder b;
    loci_status status = begin(&b, out, (uint64_t)t->size.docs, (uint64_t)t->size.docs, err);

    for (int64_t d = 0; status == LOCI_OK && d < t->size.docs; d++) {
        if (t->len[d] == 0)
            continue;
        call(&b, 1, 0);
        piece(&b, d, 0, t->len[d], 0, 0);
    }
    return status;
}

/* A token of padding before every document, two behind the last. */
loci_status loci_cut_packed(loci_cutting *out, const loci_trial *t, loci_error *err)
{
    struct builder b;
    int64_t at = 1;
    loci_status status = begin(&b, out, 1, (uint64_t)t->size.docs, err);

    if (status != LOCI_OK)
        return status;
    if (total(t) + (uint64_t)t->size.docs + 2 > INT32_MAX)
        return loci_fail(err, LOCI_E_ARG, "%llu tokens do not fit one row", (unsigned long long)total(t));
    call(&b, 1, (int64_t)total(t) + t->size.docs + 2);
    for (int64_t d = 0; d < t->size.docs; d++) {
        piece(&b, d, 0, t->len[d], 0, at);
        at += t->len[d] + 1;
    }
    return LOCI_OK;
}

void loci_cut_free(loci_cutting *cut)
{
    loci_free(cut->calls);
    *cut = (loci_cutting){0};
}

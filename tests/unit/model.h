/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/unit/model.h: a tiny whole model through the plugins of the build tree, in float64: two layers, eight channels.
 * Its memory has a learned initial state that is not zero, so that no path is hidden by a zero.
 */
#ifndef LOCI_TESTS_MODEL_H
#define LOCI_TESTS_MODEL_H

#include "core/model/model.h"
#include "tests/ck.h"

#define SEQ 11
#define ROWS 2
#define VOCAB 7

static loci_error ck_err = LOCI_ERROR_INIT;

struct world {
    loci_conf *conf;
    loci_context *cx;
    loci_model *m;
    loci_pass *p;
    int32_t in[ROWS * SEQ], next[ROWS * SEQ];
};

static const char common[] =
    "[run]\ndtype = f64\nthreads = 1\n[model]\nlayers = 2\ndim = 8\nvocab = 7\ninit_std = 0.3\n"
    "[mixer]\nbackend = mha\n[mixer.mha]\nheads = 2\nwindow_tok = 5\n"
    "[memory]\nbackend = titans\nheads = 2\nconv = 3\n"
    "[memory.titans]\ninit_state = learned\nchunk = 3\n";

static inline loci_status open_world(struct world *w, const char *text, uint64_t flags, int64_t seq, int64_t capacity)
{
    loci_status status = LOCI_OK;
    const char *path = getenv("LOCI_TEST_PLUGINS");

    memset(w, 0, sizeof *w);
    loci_error_clear(&ck_err);
    LOCI_TRY(loci_conf_new(&w->conf, &ck_err));
    LOCI_TRY(loci_conf_text(w->conf, "common", common, strlen(common), &ck_err));
    LOCI_TRY(loci_conf_text(w->conf, "case", text, strlen(text), &ck_err));
    LOCI_TRY(loci_context_new(&w->cx, w->conf, path, false, &ck_err));
    LOCI_TRY(loci_model_new(&w->m, w->cx, &ck_err));
    LOCI_TRY(loci_model_alloc(w->m, (flags & LOCI_X_SAVE) != 0, 5, &ck_err));
    LOCI_TRY(loci_pass_new(&w->p, w->m, ROWS, seq, ROWS * 3, ROWS * 3, capacity, flags, &ck_err));
    LOCI_TRY(loci_pass_alloc(w->p, &ck_err));
    ck_seed = 3;
    for (int i = 0; i < ROWS * SEQ; i++) {
        w->in[i] = (int32_t)(ck_bits() % VOCAB);
        w->next[i] = (int32_t)(ck_bits() % VOCAB);
    }
out:
    return status;
}

static inline void close_world(struct world *w)
{
    loci_pass_free(w->p);
    loci_model_free(w->m);
    loci_context_free(w->cx);
    loci_conf_free(w->conf);
}

static inline double loss_of(struct world *w, const loci_run *runs, uint32_t n)
{
    double loss = NAN;
    int64_t count;

    if (loci_pass_forward(w->p, w->in, w->next, runs, n, 1, 0, 1, &loss, &count, NULL, &ck_err) != LOCI_OK)
        return NAN;
    return loss;
}

/* Two documents in one row, padding at the end of it, one short document in the other. */
static const loci_run packed[] = {{0, 0, 4, 0, 0, 10}, {0, 4, 5, 1, 0, 11}, {1, 2, 7, 2, 0, 12}};

/* A copy of all gradients, one weight after the other, in the bytes of the model's type. */
static inline void *gradients(const struct world *w)
{
    const uint64_t size = loci_dtype_bytes(w->m->dtype);
    char *all = loci_alloc(w->m->weights.elements * size), *at = all;

    for (uint32_t i = 0; all && i < w->m->weights.n; i++) {
        const loci_weight *p = w->m->weights.at[i];
        memcpy(at, loci_ptr(&p->grad.t), p->elements * size);
        at += p->elements * size;
    }
    return all;
}

#endif

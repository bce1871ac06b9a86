/* SPDX-License-Identifier: Apache-2.0
 *
 * loci apply KIND/ID: one component on tensors from a file, so that it can be held against any other implementation.
 *
 *  (1) Sizes and the element type come from the file; the config says the rest. Nothing is rounded on the way in, and
 *      what is computed in is written.
 *  (2) The file of the results appears whole, after everything has gone well, or not at all.
 */
#include "cli/apply.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct apply a;
static const char *op_text, *pos_text;

enum { KEY_IN = 2000, KEY_OUT, KEY_GRAD, KEY_DESC, KEY_LAYER, KEY_PIECES, KEY_SEED, KEY_OP, KEY_POS };

static const struct argp_option options[] = {
    {"in", KEY_IN, "FILE", 0, "Tensors to run on: safetensors, npz or npy", 1},
    {"out", KEY_OUT, "FILE", 0, "Where the results go, as safetensors", 1},
    {"grad", KEY_GRAD, 0, 0, "Also the backward: gradients of everything that was read", 1},
    {"desc", KEY_DESC, "NAME=N,...", 0,
     "Members of an attention's descriptor (causal, scale, softcap, window_left, window_right, prefix, offset, ...); "
     "of a "
     "mixer or composition causal, window_left and window_right",
     1},
    {"layer", KEY_LAYER, 0, 0, "A memory with its front end: x in, y out", 1},
    {"op", KEY_OP, "OP", 0, "Of a memory: step (the default), read or write", 1},
    {"pieces", KEY_PIECES, "N,...", 0, "As a stream: calls of so many tokens, the last number again until the end", 1},
    {"pos", KEY_POS, "N", 0, "Tokens that every row had before these (0)", 1},
    {"seed", KEY_SEED, "N", 0, "Of the weights that the file does not have (run.seed)", 1},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    (void)state;
    switch (key) {
    case KEY_IN:
        a.in = arg;
        return 0;
    case KEY_OUT:
        a.out = arg;
        return 0;
    case KEY_GRAD:
        a.grad = true;
        return 0;
    case KEY_DESC:
        a.desc_text = arg;
        return 0;
    case KEY_LAYER:
        a.layer = true;
        return 0;
    case KEY_OP:
        op_text = arg;
        return 0;
    case KEY_PIECES:
        a.pieces_text = arg;
        return 0;
    case KEY_POS:
        pos_text = arg;
        return 0;
    case KEY_SEED:
        a.seed_text = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- the request ------------------------------------------------------------------------------------------------- */

static loci_status check_words(loci_error *err)
{
    const bool memory = !strcmp(a.c.kind, "memory"), attention = !strcmp(a.c.kind, "attention");
    const char *end = a.out ? strrchr(a.out, '.') : NULL;
    char *rest = NULL;

    if (!a.in || !a.out)
        return loci_fail(err, LOCI_E_ARG, "apply reads --in=FILE and writes --out=FILE: give both");
    if (end && (!strcmp(end, ".npz") || !strcmp(end, ".npy")))
        return loci_fail(err, LOCI_E_ARG, "--out=%s: results are written as safetensors: name it so", a.out);
    if (!strcmp(a.c.kind, "device"))
        return loci_fail(err, LOCI_E_ARG,
                         "%s: a device is not applied: name an attention, mixer, memory or composition", a.c.word);
    if (a.layer && !memory)
        return loci_fail(err, LOCI_E_ARG, "--layer puts the front end before a memory; %s is none", a.c.word);
    if (op_text && !memory)
        return loci_fail(err, LOCI_E_ARG, "--op is for a memory; %s is none", a.c.word);
    if (op_text && strcmp(op_text, "step") && strcmp(op_text, "read") && strcmp(op_text, "write"))
        return loci_fail(err, LOCI_E_ARG, "--op=%s: a memory knows step, read and write", op_text);
    a.op = !memory                                ? LOCI_OP_MIX
           : op_text && !strcmp(op_text, "read")  ? LOCI_OP_READ
           : op_text && !strcmp(op_text, "write") ? LOCI_OP_WRITE
                                                  : LOCI_OP_STEP;
    if (pos_text && attention)
        return loci_fail(err, LOCI_E_ARG, "--pos is for what streams: an attention has offset and q_pos");
    errno = 0;
    a.pos = pos_text ? strtol(pos_text, &rest, 10) : 0;
    if (pos_text && (rest == pos_text || *rest || errno || a.pos < 0 || a.pos > INT32_MAX / 2))
        return loci_fail(err, LOCI_E_ARG, "--pos=%s: a number of tokens from 0 to %d is wanted", pos_text,
                         INT32_MAX / 2);
    a.form = memory && a.layer ? LOCI_TRIAL_LAYER : LOCI_TRIAL_AS_IS;
    return LOCI_OK;
}

static loci_status take_seed(loci_error *err)
{
    char *set = a.seed_text ? loci_format("run.seed=%s", a.seed_text) : NULL;
    loci_status status = LOCI_OK;

    if (a.seed_text)
        status = set ? loci_conf_set(a.c.conf, set, "--seed", err) : loci_fail(err, LOCI_E_NOMEM, "out of memory");
    loci_free(set);
    return status;
}

/* ---- what was done ----------------------------------------------------------------------------------------------- */

static void print_list(const char *verb, const char *path, const json_t *list)
{
    loci_text t = {0};
    char first[16];

    for (size_t i = 0; i < json_array_size(list); i++) {
        if (i == 12 && json_array_size(list) > 13) {
            loci_text_add(&t, ",  and %zu more", json_array_size(list) - i);
            break;
        }
        const json_t *one = json_array_get(list, i), *shape = json_object_get(one, "shape");
        loci_text_add(&t, "%s%s %s [", i ? ",  " : "", cli_text(one, "name"), cli_text(one, "dtype"));
        for (size_t k = 0; k < json_array_size(shape); k++)
            loci_text_add(&t, "%s%lld", k ? "," : "", (long long)json_integer_value(json_array_get(shape, k)));
        loci_text_add(&t, "]");
    }
    snprintf(first, sizeof first, "%s ", verb);
    fprintf(stderr, "%s%s: %s\n", first, path, t.at ? t.at : "nothing");
    loci_text_free(&t);
}

static const char *const op_names[] = {"mix", "read", "write", "step"};

static loci_status tell(const struct options *o, loci_error *err)
{
    json_t *pieces;

    if (o->level >= LOCI_LOG_INFO) {
        print_list("read", a.in, a.read);
        print_list("wrote", a.out, a.written);
    }
    if (!o->json)
        return LOCI_OK;
    pieces = json_array();
    for (uint32_t i = 0; i < a.n_pieces; i++)
        json_array_append_new(pieces, json_integer(a.pieces[i]));
    return cli_print_json(json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:I, s:I, s:o, s:O, s:O, s:O}", "id", a.c.word,
                                    "op", !strcmp(a.c.kind, "attention") ? "attend" : op_names[a.op], "dtype",
                                    loci_dtype_name(a.size.dtype), "in", a.in, "out", a.out, "layer", (int)a.layer,
                                    "seed", (json_int_t)loci_conf_int(a.c.conf, -1, "run", "seed"), "pos",
                                    (json_int_t)a.pos, "pieces", pieces, "read", a.read, "written", a.written,
                                    "warnings", a.warnings),
                          err);
}

static loci_status run(const struct options *o, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_trial_how how = {.op = a.op};

    LOCI_TRY(cli_component_config(&a.c, o, "apply", err));
    LOCI_TRY(check_words(err));
    LOCI_TRY(take_seed(err));
    LOCI_TRY(cli_component_context(&a.c, o, err));
    LOCI_TRY(loci_tensors_open(&a.file, a.in, err));
    LOCI_TRY(apply_desc(&a, err));
    LOCI_TRY(apply_pieces(&a, err));
    LOCI_TRY(apply_size(&a, err));
    if (isnan(a.desc.scale))
        a.desc.scale = a.size.dk > 0 ? 1 / sqrt((double)a.size.dk) : 1;
    a.size.desc = &a.desc;
    a.size.mask = &a.mask;
    LOCI_TRY(loci_trial_open(&a.t, a.c.cx, a.c.kind, a.form, &a.size, err));
    a.read = json_array();
    a.written = json_array();
    a.warnings = json_array();
    for (int64_t d = 0; d < a.size.docs && strcmp(a.c.kind, "attention"); d++)
        loci_trial_length(a.t, d, a.size.seq, a.pos);
    LOCI_TRY(apply_read(&a, err));
    if (a.n_pieces) {
        LOCI_TRY(loci_cut_pieces(&a.cut, a.t, a.pieces, a.n_pieces, err));
        how.cut = &a.cut;
    }
    how.op = a.op;
    how.back = a.grad;
    how.train = a.desc.dropout > 0;
    LOCI_TRY(loci_trial_run(a.t, &how, err));
    LOCI_TRY(apply_write(&a, err));
    status = tell(o, err);
out:
    loci_cut_free(&a.cut);
    loci_trial_free(a.t);
    loci_tensors_close(a.file);
    cli_component_close(&a.c);
    loci_free(a.views);
    loci_free(a.pieces);
    json_decref(a.read);
    json_decref(a.written);
    json_decref(a.warnings);
    return status;
}

const struct verb verb_apply = {
    "apply",
    "KIND/ID",
    "one component on tensors from a file",
    "Run one component, forward and with --grad backward, on tensors from a file, and write the results: to hold it "
    "against "
    "another implementation. `loci info KIND/ID --json` has the names and shapes (ports). Inputs: q, k, v, bias, mask, "
    "lengths ... of an attention; x, context, positions of a mixer; q, k, v, gate.* of a memory; x of a composition "
    "and of "
    "a memory with --layer; param.* and state.* of each that has them; d_o, d_lse, d_y, d_state.*, the cotangents. "
    "Results: "
    "o, lse, y, state.*, the weights that were not given, and with --grad d_* of inputs and grad.* of weights.\v"
    "  loci apply attention/cpu --in=qkv.safetensors --out=o.safetensors --desc=causal=1 --grad\n"
    "  loci apply memory/titans --set memory.titans.chunk=4 --in=in.npz --out=out.safetensors --pieces=3,1,7\n"
    "  loci apply memory/delta --layer --in=x.safetensors --out=y.safetensors --seed=3 --json",
    options,
    parse,
    run};

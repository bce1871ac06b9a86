/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/abi/golden_fill.h: the structs of a call, every member with a value of its own. What a plugin follows is real:
 * two rows of five tokens of width 24, and two documents: row 0, token 0, and row 1, tokens 2 to 4.
 */
#ifndef LOCI_TESTS_ABI_GOLDEN_FILL_H
#define LOCI_TESTS_ABI_GOLDEN_FILL_H

#include "golden_parts.h"
#include "golden_services.h"

#define ROWS 2
#define TOKENS 5
#define DIM 24
#define STATES 6

static double numbers[65536], *next_number = numbers;
static _Alignas(64) char scratch[1 << 20], saved[1 << 16], host_scratch[1 << 16];

/* ---- the call's tensors ---- */

static golden_view x, y, dx, dy, k, o, lse, dq, dk, dv, rule_y, weight[3], grad[3], state_in[3], state_out[3],
    state_grad[3];
static int32_t positions[ROWS * TOKENS];
static golden_view pos;
static loci_tensor weights[3], grads[3], states_in[3], states_out[3], states_grad[3];

static void make_tensors(void)
{
    const int64_t wide[] = {ROWS, TOKENS, DIM, 0}, heads[] = {ROWS, TOKENS, 1, 1}, rule[] = {ROWS, TOKENS, 2, 6},
                  times[] = {ROWS, 1, TOKENS, 0}, one[] = {1, 0, 0, 0}, state[] = {STATES, 1, 0, 0},
                  token[] = {ROWS, TOKENS, 0, 0};
    double **at = &next_number;

    golden_make(&x, at, wide, 1, 1);
    golden_make(&y, at, wide, 0, 0);
    golden_make(&dx, at, wide, 0, 0);
    golden_make(&dy, at, wide, 1, 0);
    golden_make(&k, at, heads, 0, 1);
    golden_make(&o, at, heads, 0, 0);
    golden_make(&lse, at, times, 0, 0);
    golden_make(&dq, at, heads, 0, 0);
    golden_make(&dk, at, heads, 0, 0);
    golden_make(&dv, at, heads, 0, 0);
    golden_make(&rule_y, at, rule, 0, 0);
    golden_make_i32(&pos, positions, token);
    for (int i = 0; i < 3; i++) {
        weights[i] = *golden_make(&weight[i], at, one, 6, 0);
        grads[i] = *golden_make(&grad[i], at, one, 0, 0);
        states_in[i] = *golden_make(&state_in[i], at, state, 0, 0);
        states_out[i] = *golden_make(&state_out[i], at, state, 0, 0);
        states_grad[i] = *golden_make(&state_grad[i], at, state, 0, 0);
    }
}

/* The one tensor whose members are told of; its data begins before its first number. */
static void fill_tensor(loci_tensor *t)
{
    loci_device device = t->device;
    loci_dtype dtype = t->dtype;

    PUT(&host, loci_device, &device, type, LOCI_CPU);
    FILL(loci_device, &device, id);
    PUT(&host, loci_dtype, &dtype, code, LOCI_FLOAT);
    PUT(&host, loci_dtype, &dtype, bits, 64);
    FILL(loci_dtype, &dtype, lanes);
    PUT(&host, loci_tensor, t, device, device);
    PUT(&host, loci_tensor, t, dtype, dtype);
    PUT(&host, loci_tensor, t, byte_offset, t->byte_offset + 16);
    PUT(&host, loci_tensor, t, data, (char *)t->data - 16);
    TELL(&host, loci_tensor, t, ndim);
    TELL(&host, loci_tensor, t, shape);
    TELL(&host, loci_tensor, t, strides);
}

/* ---- the call's structs ---- */

static loci_run runs[2], k_runs[2];
static loci_batch batch, k_batch;
static loci_exec exec;
static loci_slots slots;
static loci_mask mask;
static loci_io io;
static loci_rule_io rule_io;
static loci_attn_desc desc;
static loci_blocks blocks;
static loci_attn_io attn_io;

static void fill_batch(void)
{
    loci_run *run = &runs[1];

    k_runs[0] = runs[0] = (loci_run){0, 0, 1, 0, 3, 8};
    k_runs[1] = (loci_run){1, 2, 3, 4, 7, 9};
    k_batch.struct_size = sizeof k_batch;
    k_batch.n_runs = 2;
    k_batch.runs = k_runs;
    k_batch.pos = &pos.t;
    PUT(&host, loci_run, run, row, 1);
    PUT(&host, loci_run, run, begin, 2);
    PUT(&host, loci_run, run, len, 3);
    PUT(&host, loci_run, run, state, 4);
    FILL(loci_run, run, pos);
    FILL(loci_run, run, id);
    PUT(&host, loci_batch, &batch, struct_size, sizeof batch);
    PUT(&host, loci_batch, &batch, n_runs, 2);
    PUT(&host, loci_batch, &batch, runs, runs);
    PUT(&host, loci_batch, &batch, pos, &pos.t);
}

static void fill_exec(void)
{
    const loci_device cpu = {LOCI_CPU, 0};

    PUT(&host, loci_exec, &exec, struct_size, sizeof exec);
    FILL(loci_exec, &exec, reserved0);
    PUT(&host, loci_exec, &exec, host, &host);
    FILL(loci_exec, &exec, session);
    PUT(&host, loci_exec, &exec, device, cpu);
    FILL(loci_exec, &exec, stream);
    PUT(&host, loci_exec, &exec, flags, LOCI_X_SAVE);
    FILL(loci_exec, &exec, seed);
    FILL(loci_exec, &exec, step);
    PUT(&host, loci_exec, &exec, scratch, scratch);
    PUT(&host, loci_exec, &exec, scratch_bytes, sizeof scratch);
    PUT(&host, loci_exec, &exec, saved, saved);
    PUT(&host, loci_exec, &exec, saved_bytes, sizeof saved);
    PUT(&host, loci_exec, &exec, host_scratch, host_scratch);
    PUT(&host, loci_exec, &exec, host_bytes, sizeof host_scratch + 1); /* unlike saved_bytes */
}

static void fill_slots(void)
{
    static const void *sub_in[2] = {&sub_in[0], &sub_in[1]};
    static void *sub_out[2] = {&sub_out[0], &sub_out[1]}, *sub_grad[2] = {&sub_grad[0], &sub_grad[1]};

    PUT(&host, loci_slots, &slots, struct_size, sizeof slots);
    FILL(loci_slots, &slots, n_params);
    FILL(loci_slots, &slots, n_state);
    FILL(loci_slots, &slots, n_subs);
    PUT(&host, loci_slots, &slots, params, weights);
    PUT(&host, loci_slots, &slots, grads, grads);
    PUT(&host, loci_slots, &slots, state_in, states_in);
    SAY_CELLS(&host, "put", "loci_slots.state_in[1]", &states_in[1]);
    PUT(&host, loci_slots, &slots, state_out, states_out);
    PUT(&host, loci_slots, &slots, state_grad, states_grad);
    FILL(loci_slots, &slots, cache);
    PUT(&host, loci_slots, &slots, sub_in, sub_in);
    PUT(&host, loci_slots, &slots, sub_out, sub_out);
    PUT(&host, loci_slots, &slots, sub_grad, sub_grad);
}

static void fill_io(void)
{
    PUT(&host, loci_mask, &mask, struct_size, sizeof mask);
    FILL(loci_mask, &mask, causal);
    FILL(loci_mask, &mask, window_left);
    FILL(loci_mask, &mask, window_right);
    PUT(&host, loci_io, &io, struct_size, sizeof io);
    FILL(loci_io, &io, op);
    PUT(&host, loci_io, &io, x, &x.t);
    FILL(loci_io, &io, ctx);
    PUT(&host, loci_io, &io, y, &y.t);
    PUT(&host, loci_io, &io, q, &batch);
    PUT(&host, loci_io, &io, k, &k_batch);
    PUT(&host, loci_io, &io, mask, &mask);
    FILL(loci_io, &io, state_in);
    FILL(loci_io, &io, state_out);
    FILL(loci_io, &io, state_grad);
    PUT(&host, loci_io, &io, dy, &dy.t);
    PUT(&host, loci_io, &io, dx, &dx.t);
    FILL(loci_io, &io, dctx);
}

static void fill_rule_io(void)
{
    PUT(&host, loci_rule_io, &rule_io, struct_size, sizeof rule_io);
    FILL(loci_rule_io, &rule_io, op);
    PUT(&host, loci_rule_io, &rule_io, batch, &batch);
    FILL(loci_rule_io, &rule_io, q);
    FILL(loci_rule_io, &rule_io, k);
    FILL(loci_rule_io, &rule_io, v);
    FILL(loci_rule_io, &rule_io, gate);
    PUT(&host, loci_rule_io, &rule_io, y, &rule_y.t);
    FILL(loci_rule_io, &rule_io, dy);
    FILL(loci_rule_io, &rule_io, dq);
    FILL(loci_rule_io, &rule_io, dk);
    FILL(loci_rule_io, &rule_io, dv);
    FILL(loci_rule_io, &rule_io, dgate);
}

static void fill_desc(void)
{
    PUT(&host, loci_blocks, &blocks, struct_size, sizeof blocks);
    FILL(loci_blocks, &blocks, bq);
    FILL(loci_blocks, &blocks, bk);
    FILL(loci_blocks, &blocks, heads);
    FILL(loci_blocks, &blocks, ptr);
    FILL(loci_blocks, &blocks, col);
    FILL(loci_blocks, &blocks, kind);
    FILL(loci_blocks, &blocks, t_ptr);
    FILL(loci_blocks, &blocks, t_col);
    FILL(loci_blocks, &blocks, t_kind);
    FILL(loci_blocks, &blocks, tiles);
    PUT(&host, loci_attn_desc, &desc, struct_size, sizeof desc);
    FILL(loci_attn_desc, &desc, causal);
    FILL(loci_attn_desc, &desc, scale);
    FILL(loci_attn_desc, &desc, softcap);
    FILL(loci_attn_desc, &desc, window_left);
    FILL(loci_attn_desc, &desc, window_right);
    FILL(loci_attn_desc, &desc, prefix);
    FILL(loci_attn_desc, &desc, offset);
    FILL(loci_attn_desc, &desc, q_pos);
    FILL(loci_attn_desc, &desc, k_pos);
    FILL(loci_attn_desc, &desc, q_seg);
    FILL(loci_attn_desc, &desc, k_seg);
    FILL(loci_attn_desc, &desc, q_len);
    FILL(loci_attn_desc, &desc, k_len);
    FILL(loci_attn_desc, &desc, mask);
    FILL(loci_attn_desc, &desc, bias);
    FILL(loci_attn_desc, &desc, slopes);
    FILL(loci_attn_desc, &desc, table);
    FILL(loci_attn_desc, &desc, max_distance);
    FILL(loci_attn_desc, &desc, bidirectional);
    FILL(loci_attn_desc, &desc, sink);
    FILL(loci_attn_desc, &desc, dropout);
    FILL(loci_attn_desc, &desc, rng_stream);
    FILL(loci_attn_desc, &desc, block_tok);
    FILL(loci_attn_desc, &desc, ids);
    FILL(loci_attn_desc, &desc, block_table);
    PUT(&host, loci_attn_desc, &desc, blocks, &blocks);
}

static void fill_attn_io(void)
{
    fill_desc();
    PUT(&host, loci_attn_io, &attn_io, struct_size, sizeof attn_io);
    FILL(loci_attn_io, &attn_io, reserved0);
    PUT(&host, loci_attn_io, &attn_io, desc, &desc);
    FILL(loci_attn_io, &attn_io, q);
    PUT(&host, loci_attn_io, &attn_io, k, &k.t);
    FILL(loci_attn_io, &attn_io, v);
    PUT(&host, loci_attn_io, &attn_io, o, &o.t);
    PUT(&host, loci_attn_io, &attn_io, lse, &lse.t);
    FILL(loci_attn_io, &attn_io, d_o);
    FILL(loci_attn_io, &attn_io, d_lse);
    PUT(&host, loci_attn_io, &attn_io, dq, &dq.t);
    PUT(&host, loci_attn_io, &attn_io, dk, &dk.t);
    PUT(&host, loci_attn_io, &attn_io, dv, &dv.t);
    FILL(loci_attn_io, &attn_io, dbias);
    FILL(loci_attn_io, &attn_io, dslopes);
    FILL(loci_attn_io, &attn_io, dtable);
    FILL(loci_attn_io, &attn_io, dsink);
}

/* ---- the structs of a life ---- */

static loci_shape shape;
static loci_site site;
static loci_config config;

static void fill_shape(void)
{
    const loci_dtype dtype = {LOCI_FLOAT, 64, 1}, acc = {LOCI_FLOAT, 32, 1};
    const loci_device cpu = {LOCI_CPU, 0};

    PUT(&host, loci_shape, &shape, struct_size, sizeof shape);
    FILL(loci_shape, &shape, reserved0);
    FILL(loci_shape, &shape, session);
    FILL(loci_shape, &shape, flags);
    PUT(&host, loci_shape, &shape, rows, ROWS);
    PUT(&host, loci_shape, &shape, seq, TOKENS);
    FILL(loci_shape, &shape, ctx);
    FILL(loci_shape, &shape, runs);
    PUT(&host, loci_shape, &shape, states, STATES);
    PUT(&host, loci_shape, &shape, dim, DIM);
    FILL(loci_shape, &shape, heads);
    FILL(loci_shape, &shape, k_heads);
    FILL(loci_shape, &shape, v_heads);
    FILL(loci_shape, &shape, dk);
    FILL(loci_shape, &shape, dv);
    PUT(&host, loci_shape, &shape, dtype, dtype);
    PUT(&host, loci_shape, &shape, acc, acc);
    PUT(&host, loci_shape, &shape, device, cpu);
    FILL(loci_shape, &shape, features);
}

static void fill_site(void)
{
    PUT(&host, loci_site, &site, struct_size, sizeof site);
    FILL(loci_site, &site, layer);
    FILL(loci_site, &site, n_layers);
    FILL(loci_site, &site, reserved0);
    PUT(&host, loci_site, &site, path, "layer.3");
}

static int64_t get_int(void *ctx, const char *key)
{
    HEARD(&host, loci_config, get_int, ctx, key);
    return 3;
}

static double get_real(void *ctx, const char *key)
{
    HEARD(&host, loci_config, get_real, ctx, key);
    return 0.5;
}

static const char *get_str(void *ctx, const char *key)
{
    HEARD(&host, loci_config, get_str, ctx, key);
    return "text";
}

static void fill_config(void)
{
    PUT(&host, loci_config, &config, struct_size, sizeof config);
    FILL(loci_config, &config, reserved0);
    FILL(loci_config, &config, ctx);
    PUT(&host, loci_config, &config, get_int, get_int);
    PUT(&host, loci_config, &config, get_real, get_real);
    PUT(&host, loci_config, &config, get_str, get_str);
}

#endif

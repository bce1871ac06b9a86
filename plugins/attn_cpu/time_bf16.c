/* SPDX-License-Identifier: Apache-2.0
 *
 * time_bf16 [T D [THREADS]]: a causal forward of bf16 numbers, B=1, H D = 1024, with every kernel that this processor
 * can run, whatever the machine would choose; loci bench attention shows only what it chose. A line for each kernel:
 * the median of several calls, useful GFLOP/s (2 T^2 D H operations), and its share of what all threads reach in
 * registers with vdpbf16ps and with an f32 FMA, measured just before and after.
 *
 *     make plugins/attn_cpu/time_bf16 && plugins/attn_cpu/time_bf16 2048 64 2
 */
#include <time.h>

#include "../attn_ref/attn_tensor.h"
#include "bf16.h"
#include "tests/unit/host.h"

#define CALLS 41
#define RUN_S 2.0

static loci_error ck_err = {.struct_size = sizeof ck_err};

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* Median seconds of a call; 0 when it fails. */
static double forward_s(const struct ck_host *h, int64_t T, int64_t H, int64_t D)
{
    const loci_class *cls = &loci_attn_cpu_class;
    const loci_attention *fn = cls->iface;
    const int64_t *dims = ATTN_DIMS(1, T, H, D);
    loci_attn_desc a = {
        .struct_size = sizeof a, .causal = 1, .scale = 1 / sqrt((double)D), .window_left = -1, .window_right = -1};
    loci_attn_io io = {.struct_size = sizeof io, .desc = &a};
    loci_shape shape = {.struct_size = sizeof shape,
                        .rows = 1,
                        .seq = T,
                        .ctx = T,
                        .heads = H,
                        .k_heads = H,
                        .v_heads = H,
                        .dk = D,
                        .dv = D,
                        .dtype = attn_dtype('b'),
                        .acc = attn_dtype('f'),
                        .device = {LOCI_CPU, 0}};
    loci_need need = {.struct_size = sizeof need};
    loci_exec x = ck_exec(h);
    loci_module *m = NULL;
    double seconds[CALLS], start = now_s();
    loci_status s = cls->create(&h->host, NULL, NULL, &shape, &m, &ck_err);
    int n = 0;

    s = s ? s : cls->plan(m, &shape, LOCI_OP_MIX, &need, &ck_err);
    x.scratch = loci_alloc((size_t)need.scratch + 64); /* 64-byte aligned */
    x.scratch_bytes = need.scratch;
    io.q = &attn_filled('b', 0, dims, attn_real(T * H * D, 1), 0)->t;
    io.k = &attn_filled('b', 0, dims, attn_real(T * H * D, 1), 0)->t;
    io.v = &attn_filled('b', 0, dims, attn_real(T * H * D, 1), 0)->t;
    io.o = &attn_filled('b', 0, dims, NULL, 0)->t;
    io.lse = &attn_filled('f', 0, ATTN_DIMS(1, H, T), NULL, 0)->t;
    s = s ? s : fn->forward(m, &x, &io, &ck_err);
    for (start = now_s(); !s && n < CALLS && (n < 5 || now_s() - start < RUN_S); n++) {
        double from = now_s();

        s = fn->forward(m, &x, &io, &ck_err);
        seconds[n] = now_s() - from;
    }
    if (s)
        fprintf(stderr, "time_bf16: %s\n", ck_err.msg);
    loci_free(x.scratch);
    cls->destroy(m);
    attn_done();
    qsort(seconds, (size_t)n, sizeof *seconds, ascending);
    return s ? 0 : seconds[n / 2];
}

int main(int argc, char **argv)
{
    const int64_t T = argc > 2 ? atoll(argv[1]) : 2048, D = argc > 2 ? atoll(argv[2]) : 64;
    const int threads = argc > 3 ? atoi(argv[3]) : 2;
    const int64_t H = 1024 / D ? 1024 / D : 1;
    const bf16_ops *all[3] = {&attn_cpu_bf16_none}; /* the tiles of f32 first */
    struct ck_host h;
    int n = 1;

    if (ck_host_open(&h, threads, &ck_err)) {
        fprintf(stderr, "time_bf16: %s\n", ck_err.msg);
        return 1;
    }
#if CPU_HAVE_BF16
    if (__builtin_cpu_supports("avx512bf16"))
        all[n++] = &attn_cpu_bf16_dot;
#endif
#if CPU_HAVE_AMX
    if (bf16_pick() == &attn_cpu_bf16_amx)
        all[n++] = &attn_cpu_bf16_amx;
#endif
    for (int i = 0; i < n; i++) {
        double seconds, rate;

        attn_cpu_bf16_only = all[i];
        seconds = forward_s(&h, T, H, D);
        rate = seconds > 0 ? 2e-9 * (double)T * (double)T * (double)D * (double)H / seconds : 0;
        printf("T %lld D %lld H %lld threads %d  %-12s %9.3f ms %7.1f GFLOP/s", (long long)T, (long long)D,
               (long long)H, threads, i ? all[i]->name : tile_pick()->name, 1e3 * seconds, rate);
#if CPU_HAVE_BF16
        if (__builtin_cpu_supports("avx512bf16")) {
            const bf16_rates r = attn_cpu_bf16_rates();

            printf("  %.2f of vdpbf16ps (%.0f), %.2f of FMA (%.0f)", rate / (1e-9 * r.dot * threads),
                   1e-9 * r.dot * threads, rate / (1e-9 * r.fma * threads), 1e-9 * r.fma * threads);
        }
#endif
        printf("\n");
    }
    ck_host_close(&h);
    return 0;
}

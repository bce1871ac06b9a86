/* SPDX-License-Identifier: Apache-2.0
 *
 * How long recurrence L takes in chunks, beside token by token. From a build folder:
 *
 *     make bench/scan_l && bench/scan_l [TOKENS [WIDTH [THREADS]]]        1024 64 2 when not given
 *
 * One row, four heads, keys and values of WIDTH channels, a decay per channel, float32. Each time is the best of
 * thirty; LOCI_CPU=ref|avx2|avx512 caps the instructions.
 */
#include "tests/unit/test_scan.h"
#include <time.h>

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

struct timing {
    double forward_ms, backward_ms;
};

/* Every tensor is float32 and contiguous: [1, tokens, 4, width]. */
static struct timing measure(struct ck_host *h, prob *p)
{
    const int64_t shape[4] = {1, p->T, p->H, p->d}, state[4] = {1, p->H, p->e, p->d};
    const loci_scan *scan = loci_cpu_scan();
    const loci_shape limits = prob_shape(p, 32, LOCI_X_SAVE);
    const loci_batch batch = {sizeof batch, p->n_runs, p->runs, NULL};
    struct timing best = {INFINITY, INFINITY};
    double *const from[] = {p->x[Q],  p->x[K],  p->x[V],  p->x[G],  p->y,      p->dy,     p->dx[Q],
                            p->dx[K], p->dx[V], p->dx[G], p->x[M0], p->out[0], p->dout[0]};
    loci_need need = {.struct_size = sizeof need};
    loci_exec x = ck_exec(h);
    box b[13];
    const loci_scan_io io = {.struct_size = sizeof io,
                             .scan = p->scan,
                             .op = p->op,
                             .mode = p->mode,
                             .chunk = p->chunk,
                             .scale = 1,
                             .loss_scale = 1,
                             .batch = &batch,
                             .q = &b[0].t,
                             .k = &b[1].t,
                             .v = &b[2].t,
                             .g = &b[3].t,
                             .y = &b[4].t,
                             .dy = &b[5].t,
                             .dq = &b[6].t,
                             .dk = &b[7].t,
                             .dv = &b[8].t,
                             .dg = &b[9].t,
                             .state_in = &b[10].t,
                             .state_out = &b[11].t,
                             .state_grad = &b[12].t};

    for (int i = 0; i < 13; i++)
        box_make(&b[i], from[i], i < 10 ? p->n[V] : p->n[M0], 4, i < 10 ? shape : state, 32);
    if (scan->plan(&io, &limits, &need, &ck_err) != LOCI_OK)
        exit(1);
    x.flags = LOCI_X_SAVE;
    x.scratch = arena(x.scratch_bytes = need.scratch);
    x.saved = arena(x.saved_bytes = need.saved);
    for (int i = 0; i < 30; i++) {
        double start = now_ms(), middle;

        if (scan->forward(&x, &io, &ck_err) != LOCI_OK)
            exit(1);
        middle = now_ms();
        if (scan->backward(&x, &io, &ck_err) != LOCI_OK)
            exit(1);
        best.forward_ms = fmin(best.forward_ms, middle - start);
        best.backward_ms = fmin(best.backward_ms, now_ms() - middle);
    }
    free(x.scratch);
    free(x.saved);
    for (int i = 0; i < 13; i++)
        free(b[i].t.data);
    return best;
}

int main(int argc, char **argv)
{
    static const int chunks[] = {0, 16, 32, 64, 128};
    const int tokens = argc > 1 ? atoi(argv[1]) : 1024, width = argc > 2 ? atoi(argv[2]) : 64,
              threads = argc > 3 ? atoi(argv[3]) : 2;
    struct timing first = {0, 0};
    struct ck_host host;

    if (tokens < 1 || width < 1 || ck_host_open(&host, threads, &ck_err) != LOCI_OK) {
        fprintf(stderr, "usage: scan_l [TOKENS [WIDTH [THREADS]]]\n");
        return 1;
    }
    printf("%d tokens, 4 heads of %d, %d threads\n%-12s%14s%14s%12s\n", tokens, width, threads, "chunk", "forward ms",
           "backward ms", "times seq.");
    for (int i = 0; i < 5; i++) {
        prob p = prob_new(LOCI_SCAN_L, 1, tokens, 4, width, width);
        struct timing t;

        p.mode = chunks[i] ? LOCI_SCAN_EXACT : LOCI_SCAN_SEQUENTIAL;
        p.chunk = chunks[i];
        prob_fill(&p);
        t = measure(&host, &p);
        first = i ? first : t;
        if (chunks[i])
            printf("%-12d", chunks[i]);
        else
            printf("%-12s", "sequential");
        printf("%14.2f%14.2f%12.2f\n", t.forward_ms, t.backward_ms,
               (first.forward_ms + first.backward_ms) / (t.forward_ms + t.backward_ms));
        prob_free(&p);
    }
    ck_host_close(&host);
    return 0;
}

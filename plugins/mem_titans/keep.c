/* SPDX-License-Identifier: Apache-2.0
 *
 * How a run is cut into segments, and which states a forward keeps for its backward. Segments lie where the chunks of
 * the document lie, so the first and the last may be shorter. Kept are the states before segments k, 2k, ... of a run
 * (k: stretch): about every 64 tokens, or every 16 of mode sequential. A backward computes those between again, k - 1
 * of them at a time; so memory is that of kept states and one stretch, never of tokens.
 */
#include "deep.h"

/* Segments counted from the start of the chunk in which the run begins; tokens from the run's start. */
static int64_t start(const deep *d, int64_t phase, int64_t i)
{
    return i / d->nsub * d->chunk + i % d->nsub * d->seg - phase;
}

static int64_t first(const deep *d, int64_t phase)
{
    return phase / d->seg;
}

int64_t span_count(const deep *d, int64_t phase, int64_t len)
{
    const int64_t last = phase + len - 1;

    return len > 0 ? last / d->chunk * d->nsub + last % d->chunk / d->seg - first(d, phase) + 1 : 0;
}

span span_at(const deep *d, int64_t phase, int64_t len, int64_t i)
{
    const int64_t at = first(d, phase) + i, from = start(d, phase, at), to = start(d, phase, at + 1);
    const span s = {from > 0 ? from : 0, 0, from >= 0 && at % d->nsub == 0};

    return (span){s.from, (to < len ? to : len) - s.from, s.begins};
}

int64_t stretch(const deep *d)
{
    const int64_t k = STRETCH_TOK / d->seg;

    return d->nsub > 1 || k < 1 ? 1 : k < STRETCH_MOST ? k : STRETCH_MOST;
}

int64_t kept(const deep *d, int64_t phase, int64_t len)
{
    const int64_t n = span_count(d, phase, len);

    return n > 1 ? (n - 1) / stretch(d) : 0;
}

/* A run touches at most len / chunk + 2 chunks, and of one that it shares it has fewer than nsub segments to itself. */
int64_t kept_most(const deep *d, int64_t n_tokens, int64_t runs)
{
    return (d->nsub * (n_tokens / d->chunk + runs) + (d->nsub - 1) * runs) / stretch(d);
}

memory memory_cut(const deep *d, loci_cursor *c)
{
    const loci_module *m = d->m;
    memory a = {0};

    for (int l = 1; l <= m->L; l++) {
        a.W[l] = mat_cut(d, c, m->width[l], m->width[l - 1]);
        if (m->momentum)
            a.S[l] = mat_cut(d, c, m->width[l], m->width[l - 1]);
        if (d->nsub > 1)
            a.C[l] = mat_cut(d, c, m->width[l], m->width[l - 1]);
    }
    return a;
}

uint64_t memory_bytes(const deep *d)
{
    loci_cursor c = {0};

    memory_cut(d, &c);
    return c.at;
}

void memory_copy(deep *d, const memory *to, const memory *from)
{
    for (int l = 1; l <= d->m->L; l++) {
        const mat pairs[3][2] = {{to->W[l], from->W[l]}, {to->S[l], from->S[l]}, {to->C[l], from->C[l]}};

        for (int i = 0; i < 3; i++)
            if (pairs[i][0].at && pairs[i][0].at != pairs[i][1].at)
                mat_map(d, LOCI_MAP_COPY, pairs[i][0], pairs[i][1], 1, 0);
    }
}

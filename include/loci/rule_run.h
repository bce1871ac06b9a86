/* SPDX-License-Identifier: Apache-2.0
 *
 * loci/rule_run.h: the machinery of loci/rule.h, which includes it once for float and once for double; rule_class.h
 * then makes the class. Authors do not include it; alone it declares nothing.
 *
 *  (1) One item of work is one run and head: it computes on copies in the memory of its worker (loci_rule_lane), and no
 *      two items write one number.
 *  (2) A run is cut into stretches of seg = ceil(sqrt T) tokens. With SAVE, a forward keeps the states before every
 *      stretch but the first. A call of T tokens in B rows has at most B T / seg such stretches, which is at most
 *      B seg, and that grows with B and T; so a plan covers every smaller call.
 *  (3) Gradients of weights are summed by item first, in a place of each item, and then over the runs of a head, in
 *      their order: the same bits for any number of threads.
 *  (4) A backward takes the stretches from the last to the first: it computes the states before each of its tokens
 *      again, then goes back over them.
 */
#include <loci/author.h>
#include <string.h>

#if defined(LOCI_RULE_PASS) && LOCI_RULE_PASS == 1

/* How many there are. */
#define LOCI_RULE_X(...) +1
enum {
    LOCI_RULE_N_STATES = 0 LOCI_RULE_STATES(LOCI_RULE_X),
    LOCI_RULE_N_GATES = 0 LOCI_RULE_GATES(LOCI_RULE_X),
    LOCI_RULE_N_WEIGHTS = 0 LOCI_RULE_WEIGHTS(LOCI_RULE_X)
};
#undef LOCI_RULE_X

/* A state (shape, start), gate (lo, hi, init) or weight (shape, mean init, deviation start). n numbers per head; 0: not
 * declared. at: its place among its kind. */
typedef struct loci_rule_part {
    const char *name;
    int64_t shape[LOCI_MAX_DIM - 1], strides[LOCI_MAX_DIM - 1], n, at;
    int32_t rank;
    uint32_t index, weight; /* slot or gate; slot of the learned start */
    double start, lo, hi, init;
} loci_rule_part;

struct loci_module {
    const loci_host *host;
    loci_rule rule;
    int bits;
    int64_t n_state, n_gate, n_weight; /* numbers of all states, of all gates, of all weights, of one head */
    loci_rule_part state[LOCI_RULE_N_STATES], gate[LOCI_RULE_N_GATES + 1], weight[LOCI_RULE_N_WEIGHTS + 1];
};

typedef struct loci_rule_job {
    const loci_module *m;
    const loci_exec *x;
    const loci_slots *s;
    const loci_rule_io *io;
    int64_t seg;
    uint64_t lane; /* bytes of a worker */
    void *sums;    /* (3): [runs, H, n_weight] */
    int back;
} loci_rule_job;

static inline int64_t loci_rule_seg(int64_t tokens)
{
    int64_t seg = 1;

    while (seg * seg < tokens)
        seg++;
    return seg;
}

/* How often a run's states are kept; seg 0: a call that does not write keeps none. */
static inline int64_t loci_rule_kept(int64_t len, int64_t seg)
{
    return len > 0 && seg > 0 ? (len - 1) / seg : 0;
}

static inline int64_t loci_rule_work(const loci_rule *r)
{
    (void)r;
#ifdef LOCI_RULE_WORK
    return LOCI_RULE_WORK;
#else
    return 0;
#endif
}

static inline int loci_rule_reads_before(const loci_rule *r)
{
    (void)r;
#ifdef LOCI_RULE_READS_BEFORE_WRITE
    return (LOCI_RULE_READS_BEFORE_WRITE) != 0;
#else
    return 0;
#endif
}

/* a b, or what no memory has. */
static inline uint64_t loci_rule_times(uint64_t a, uint64_t b)
{
    return a && b > (UINT64_MAX >> 8) / a ? UINT64_MAX >> 8 : a * b;
}

#endif

#if defined(LOCI_RULE_PASS) && LOCI_RULE_PASS < 3

/* A worker's memory: copies of what belongs to one head. */
typedef struct LOCI_NAME(loci_rule_lane) {
    loci_real *m, *g, *trail; /* states; gradients; states before each token of a stretch and after its last */
    loci_real *q, *k, *v, *y, *gate, *dq, *dk, *dv, *dy, *dgate, *work;
    loci_real *weight, *dweight; /* the second: the item's place among job.sums */
} LOCI_NAME(loci_rule_lane);

/* With base NULL it only counts. */
static uint64_t LOCI_NAME(loci_rule_cut)(LOCI_NAME(loci_rule_lane) *l, const loci_module *m, int64_t seg, int back,
                                         void *base)
{
    const loci_rule *r = &m->rule;
    loci_cursor c = {(char *)base, 0};
    const uint64_t size = sizeof(loci_real), n = loci_rule_times((uint64_t)m->n_state, size);
    const uint64_t dk = loci_rule_times((uint64_t)r->dk, size), dv = loci_rule_times((uint64_t)r->dv, size);
    const uint64_t gates = loci_rule_times((uint64_t)m->n_gate, size);

    l->m = (loci_real *)loci_cut(&c, n);
    l->g = (loci_real *)loci_cut(&c, back ? n : 0);
    l->trail = (loci_real *)loci_cut(&c, back ? loci_rule_times(n, (uint64_t)seg + 1) : 0);
    l->q = (loci_real *)loci_cut(&c, dk);
    l->k = (loci_real *)loci_cut(&c, dk);
    l->v = (loci_real *)loci_cut(&c, dv);
    l->y = (loci_real *)loci_cut(&c, dv);
    l->gate = (loci_real *)loci_cut(&c, gates);
    l->dq = (loci_real *)loci_cut(&c, dk);
    l->dk = (loci_real *)loci_cut(&c, dk);
    l->dv = (loci_real *)loci_cut(&c, dv);
    l->dy = (loci_real *)loci_cut(&c, dv);
    l->dgate = (loci_real *)loci_cut(&c, gates);
    l->work = (loci_real *)loci_cut(&c, loci_rule_times((uint64_t)loci_rule_work(r), size));
    l->weight = (loci_real *)loci_cut(&c, loci_rule_times((uint64_t)m->n_weight, size));
    l->dweight = NULL;
    return c.at;
}

/* ---- between tensors and copies --------------------------------------------------------------------------------- */

/* Numbers of one token and head: t is [B,T,H] or [B,T,H,n]. to NULL: add `from` to the tensor, unless it is NULL. */
static void LOCI_NAME(loci_rule_row)(const loci_tensor *t, const loci_run *run, int64_t i, int64_t h, int64_t n,
                                     loci_real *to, const loci_real *from)
{
    const int64_t step = t && t->ndim > 3 ? t->strides[3] : 1;
    loci_real *p;

    if (!t || !loci_ptr(t))
        return;
    p = (loci_real *)loci_ptr(t) + run->row * t->strides[0] + (run->begin + i) * t->strides[1] + h * t->strides[2];
    for (int64_t x = 0; x < n; x++)
        if (to)
            to[x] = p[x * step];
        else
            p[x * step] += from[x];
}

/* One state of one head, between memories with strides of their own. from NULL: zeros. */
static void LOCI_NAME(loci_rule_move)(const loci_rule_part *s, loci_real *to, const int64_t *to_strides,
                                      const loci_real *from, const int64_t *from_strides, int add)
{
    const int32_t last = s->rank - 1;

    for (int64_t row = 0; row < s->n / s->shape[last]; row++) {
        int64_t rest = row, at_to = 0, at_from = 0;

        for (int32_t a = last - 1; a >= 0; a--) {
            at_to += rest % s->shape[a] * to_strides[a];
            at_from += rest % s->shape[a] * from_strides[a];
            rest /= s->shape[a];
        }
        for (int64_t x = 0; x < s->shape[last]; x++, at_to += to_strides[last], at_from += from_strides[last])
            to[at_to] = (add ? to[at_to] : 0) + (from ? from[at_from] : 0);
    }
}

/* State s of row `row` and head h in the tensors of a call; NULL where there is no data. */
static loci_real *LOCI_NAME(loci_rule_at)(const loci_rule_part *s, const loci_tensor *of, int64_t row, int64_t h)
{
    const loci_tensor *t = of ? &of[s->index] : NULL;
    loci_real *p = t ? (loci_real *)loci_ptr(t) : NULL;

    return p ? p + row * t->strides[0] + h * t->strides[1] : NULL;
}

/* All states of a row and head: from the tensors of the call to the copy, or, with out, back. What has no data reads as
 * zero and is not written. */
static void LOCI_NAME(loci_rule_states)(const loci_module *m, const loci_tensor *of, int64_t row, int64_t h,
                                        loci_real *copy, int out)
{
    for (int i = 0; i < LOCI_RULE_N_STATES; i++) {
        const loci_rule_part *s = &m->state[i];
        loci_real *p = s->n ? LOCI_NAME(loci_rule_at)(s, of, row, h) : NULL;
        const int64_t *strides = p ? of[s->index].strides + 2 : s->strides;

        if (out && p)
            LOCI_NAME(loci_rule_move)(s, p, strides, copy + s->at, s->strides, 0);
        else if (!out && s->n)
            LOCI_NAME(loci_rule_move)(s, copy + s->at, s->strides, p, strides, 0);
    }
}

/* The weights of head h. */
static void LOCI_NAME(loci_rule_weights)(const loci_rule_job *j, int64_t h, loci_real *copy)
{
    for (int i = 0; i < LOCI_RULE_N_WEIGHTS; i++) {
        const loci_rule_part *w = &j->m->weight[i];
        const loci_tensor *t = w->n ? &j->s->params[w->index] : NULL;

        if (t)
            LOCI_NAME(loci_rule_move)(w, copy + w->at, w->strides, (const loci_real *)loci_ptr(t) + h * t->strides[0],
                                      t->strides + 1, 0);
    }
}

/* The pointers of the author's structs into copies. */
#define LOCI_RULE_X(name, ...) to.name = m->state[i].n ? from + m->state[i].at : NULL, i++;
static loci_state LOCI_NAME(loci_rule_state)(const loci_module *m, loci_real *from)
{
    loci_state to;
    int i = 0;

    LOCI_RULE_STATES(LOCI_RULE_X)
    return to;
}

static loci_seen LOCI_NAME(loci_rule_seen)(const loci_module *m, const loci_real *from)
{
    loci_seen to;
    int i = 0;

    LOCI_RULE_STATES(LOCI_RULE_X)
    return to;
}
#undef LOCI_RULE_X

#define LOCI_RULE_X(name, ...) to.name = l->dweight && j->m->weight[i].n ? l->dweight + j->m->weight[i].at : NULL, i++;
static loci_learned LOCI_NAME(loci_rule_learned)(const loci_rule_job *j, const LOCI_NAME(loci_rule_lane) *l)
{
    loci_learned to;
    int i = 0;

    to.n = j->m->n_weight;
    LOCI_RULE_WEIGHTS(LOCI_RULE_X)
    (void)l, (void)i;
    return to;
}
#undef LOCI_RULE_X

#define LOCI_RULE_X(name, ...) to->name = j->m->weight[i].n ? l->weight + j->m->weight[i].at : NULL, i++;
static void LOCI_NAME(loci_rule_token_weights)(const loci_rule_job *j, const LOCI_NAME(loci_rule_lane) *l,
                                               loci_token *to)
{
    int i = 0;

    LOCI_RULE_WEIGHTS(LOCI_RULE_X)
    to->d = LOCI_NAME(loci_rule_learned)(j, l);
    (void)i;
}

static void LOCI_NAME(loci_rule_query_weights)(const loci_rule_job *j, const LOCI_NAME(loci_rule_lane) *l,
                                               loci_query *to)
{
    int i = 0;

    LOCI_RULE_WEIGHTS(LOCI_RULE_X)
    to->d = LOCI_NAME(loci_rule_learned)(j, l);
    (void)i;
}
#undef LOCI_RULE_X

#define LOCI_RULE_X(name, ...) to.name = j->m->gate[i].n ? from + j->m->gate[i].at : NULL, i++;
static loci_token LOCI_NAME(loci_rule_token)(const loci_rule_job *j, const LOCI_NAME(loci_rule_lane) *l, int64_t pos)
{
    const loci_real *from = l->gate;
    loci_token to;
    int i = 0;

    to.r = &j->m->rule;
    to.pos = pos;
    to.work = l->work;
    to.k = l->k;
    to.v = l->v;
    LOCI_RULE_GATES(LOCI_RULE_X)
    LOCI_NAME(loci_rule_token_weights)(j, l, &to);
    (void)from, (void)i;
    return to;
}

static loci_grad LOCI_NAME(loci_rule_grad)(const loci_rule_job *j, const LOCI_NAME(loci_rule_lane) *l)
{
    loci_real *from = l->dgate;
    loci_grad to;
    int i = 0;

    to.k = l->dk;
    to.v = l->dv;
    LOCI_RULE_GATES(LOCI_RULE_X)
    (void)j, (void)from, (void)i;
    return to;
}
#undef LOCI_RULE_X

/* ---- one token -------------------------------------------------------------------------------------------------- */

static void LOCI_NAME(loci_rule_write)(const loci_rule_job *j, const LOCI_NAME(loci_rule_lane) *l, const loci_run *run,
                                       int64_t i, int64_t h, loci_real *states)
{
    const loci_token t = LOCI_NAME(loci_rule_token)(j, l, run->pos + i);
    const loci_state m = LOCI_NAME(loci_rule_state)(j->m, states);

    LOCI_NAME(loci_rule_row)(j->io->k, run, i, h, j->m->rule.dk, l->k, NULL);
    LOCI_NAME(loci_rule_row)(j->io->v, run, i, h, j->m->rule.dv, l->v, NULL);
    for (int g = 0; g < LOCI_RULE_N_GATES; g++)
        if (j->m->gate[g].n)
            LOCI_NAME(loci_rule_row)(j->io->gate[j->m->gate[g].index], run, i, h, j->m->gate[g].n,
                                     l->gate + j->m->gate[g].at, NULL);
    LOCI_NAME(write)(&t, &m);
}

static loci_query LOCI_NAME(loci_rule_query)(const loci_rule_job *j, const LOCI_NAME(loci_rule_lane) *l,
                                             const loci_run *run, int64_t i, int64_t h)
{
    loci_query t;

    t.r = &j->m->rule;
    t.pos = run->pos + i;
    t.work = l->work;
    t.q = l->q;
    LOCI_NAME(loci_rule_query_weights)(j, l, &t);
    LOCI_NAME(loci_rule_row)(j->io->q, run, i, h, t.r->dk, l->q, NULL);
    return t;
}

static void LOCI_NAME(loci_rule_read)(const loci_rule_job *j, const LOCI_NAME(loci_rule_lane) *l, const loci_run *run,
                                      int64_t i, int64_t h)
{
    const loci_query t = LOCI_NAME(loci_rule_query)(j, l, run, i, h);
    const loci_seen m = LOCI_NAME(loci_rule_seen)(j->m, l->m);
    const loci_tensor *y = j->io->y;
    loci_real *to = (loci_real *)loci_ptr(y);

    LOCI_NAME(read)(&t, &m, l->y);
    to += run->row * y->strides[0] + (run->begin + i) * y->strides[1] + h * y->strides[2];
    memcpy(to, l->y, (size_t)t.r->dv * sizeof *to);
}

/* states: before the token. */
static void LOCI_NAME(loci_rule_write_back)(const loci_rule_job *j, const LOCI_NAME(loci_rule_lane) *l,
                                            const loci_run *run, int64_t i, int64_t h, const loci_real *states)
{
    const loci_token t = LOCI_NAME(loci_rule_token)(j, l, run->pos + i);
    const loci_seen m = LOCI_NAME(loci_rule_seen)(j->m, states);
    const loci_grad d = LOCI_NAME(loci_rule_grad)(j, l);
    const loci_state g = LOCI_NAME(loci_rule_state)(j->m, l->g);
    const loci_rule *r = &j->m->rule;

    LOCI_NAME(loci_rule_row)(j->io->k, run, i, h, r->dk, l->k, NULL);
    LOCI_NAME(loci_rule_row)(j->io->v, run, i, h, r->dv, l->v, NULL);
    memset(l->dk, 0, (size_t)r->dk * sizeof *l->dk);
    memset(l->dv, 0, (size_t)r->dv * sizeof *l->dv);
    for (int n = 0; n < LOCI_RULE_N_GATES; n++) {
        const loci_rule_part *p = &j->m->gate[n];

        if (p->n)
            LOCI_NAME(loci_rule_row)(j->io->gate[p->index], run, i, h, p->n, l->gate + p->at, NULL);
        memset(l->dgate + p->at, 0, (size_t)p->n * sizeof *l->dgate);
    }
    LOCI_NAME(write_back)(&t, &m, &d, &g);
    LOCI_NAME(loci_rule_row)(j->io->dk, run, i, h, r->dk, NULL, l->dk);
    LOCI_NAME(loci_rule_row)(j->io->dv, run, i, h, r->dv, NULL, l->dv);
    for (int n = 0; n < LOCI_RULE_N_GATES && j->io->dgate; n++)
        if (j->m->gate[n].n)
            LOCI_NAME(loci_rule_row)(j->io->dgate[j->m->gate[n].index], run, i, h, j->m->gate[n].n, NULL,
                                     l->dgate + j->m->gate[n].at);
}

static void LOCI_NAME(loci_rule_read_back)(const loci_rule_job *j, const LOCI_NAME(loci_rule_lane) *l,
                                           const loci_run *run, int64_t i, int64_t h, const loci_real *states)
{
    const loci_query t = LOCI_NAME(loci_rule_query)(j, l, run, i, h);
    const loci_seen m = LOCI_NAME(loci_rule_seen)(j->m, states);
    const loci_state g = LOCI_NAME(loci_rule_state)(j->m, l->g);

    LOCI_NAME(loci_rule_row)(j->io->dy, run, i, h, t.r->dv, l->dy, NULL);
    memset(l->dq, 0, (size_t)t.r->dk * sizeof *l->dq);
    LOCI_NAME(read_back)(&t, &m, l->dy, l->dq, &g);
    LOCI_NAME(loci_rule_row)(j->io->dq, run, i, h, t.r->dk, NULL, l->dq);
}

/* ---- one run and head ------------------------------------------------------------------------------------------- */

static loci_real *LOCI_NAME(loci_rule_saved)(const loci_rule_job *j, int64_t slot, int64_t h)
{
    return (loci_real *)j->x->saved + (slot * j->m->rule.heads + h) * j->m->n_state;
}

static void LOCI_NAME(loci_rule_forward)(const loci_rule_job *j, const LOCI_NAME(loci_rule_lane) *l,
                                         const loci_run *run, int64_t slot, int64_t h)
{
    const int writes = j->io->op != LOCI_OP_READ, reads = j->io->op != LOCI_OP_WRITE;
    const int before = loci_rule_reads_before(&j->m->rule);
    const size_t bytes = (size_t)j->m->n_state * sizeof(loci_real);

    LOCI_NAME(loci_rule_states)(j->m, j->s->state_in, run->state, h, l->m, 0);
    for (int64_t i = 0; i < run->len; i++) {
        if (writes && i && i % j->seg == 0 && j->x->flags & LOCI_X_SAVE)
            memcpy(LOCI_NAME(loci_rule_saved)(j, slot++, h), l->m, bytes);
        if (reads && before)
            LOCI_NAME(loci_rule_read)(j, l, run, i, h);
        if (writes)
            LOCI_NAME(loci_rule_write)(j, l, run, i, h, l->m);
        if (reads && !before)
            LOCI_NAME(loci_rule_read)(j, l, run, i, h);
    }
    LOCI_NAME(loci_rule_states)(j->m, j->s->state_out, run->state, h, l->m, 1);
}

/* Tokens [from, to), whose first finds the states in trail[0]. */
static void LOCI_NAME(loci_rule_stretch)(const loci_rule_job *j, const LOCI_NAME(loci_rule_lane) *l,
                                         const loci_run *run, int64_t from, int64_t to, int64_t h)
{
    const int writes = j->io->op != LOCI_OP_READ, reads = j->io->op != LOCI_OP_WRITE;
    const int before = loci_rule_reads_before(&j->m->rule);
    const int64_t n = j->m->n_state;

    for (int64_t i = from; i < to && writes; i++) {
        loci_real *m = l->trail + (i - from) * n;

        memcpy(m + n, m, (size_t)n * sizeof *m);
        LOCI_NAME(loci_rule_write)(j, l, run, i, h, m + n);
    }
    for (int64_t i = to - 1; i >= from; i--) {
        const loci_real *m = writes ? l->trail + (i - from) * n : l->trail;

        if (reads && !before)
            LOCI_NAME(loci_rule_read_back)(j, l, run, i, h, writes ? m + n : m);
        if (writes)
            LOCI_NAME(loci_rule_write_back)(j, l, run, i, h, m);
        if (reads && before)
            LOCI_NAME(loci_rule_read_back)(j, l, run, i, h, m);
    }
}

static void LOCI_NAME(loci_rule_backward)(const loci_rule_job *j, const LOCI_NAME(loci_rule_lane) *l,
                                          const loci_run *run, int64_t slot, int64_t h)
{
    const int64_t kept = loci_rule_kept(run->len, j->seg);

    LOCI_NAME(loci_rule_states)(j->m, j->s->state_grad, run->state, h, l->g, 0);
    for (int64_t s = kept; s >= 0; s--) {
        if (s == 0)
            LOCI_NAME(loci_rule_states)(j->m, j->s->state_in, run->state, h, l->trail, 0);
        else
            memcpy(l->trail, LOCI_NAME(loci_rule_saved)(j, slot + s - 1, h),
                   (size_t)j->m->n_state * sizeof(loci_real));
        LOCI_NAME(loci_rule_stretch)(j, l, run, s * j->seg, s < kept ? (s + 1) * j->seg : run->len, h);
    }
    LOCI_NAME(loci_rule_states)(j->m, j->s->state_grad, run->state, h, l->g, 1);
}

/* Items [begin, end): run after run, head after head. */
static void LOCI_NAME(loci_rule_items)(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const loci_rule_job *j = (const loci_rule_job *)arg;
    const loci_run *runs = j->io->batch->runs;
    const int64_t H = j->m->rule.heads;
    LOCI_NAME(loci_rule_lane) l;

    LOCI_NAME(loci_rule_cut)(&l, j->m, j->seg, j->back, (char *)j->x->scratch + worker * j->lane);
    for (int64_t item = begin; item < end; item++) {
        int64_t slot = 0;

        for (int64_t r = 0; r < item / H; r++)
            slot += loci_rule_kept(runs[r].len, j->seg);
        LOCI_NAME(loci_rule_weights)(j, item % H, l.weight);
        if (j->back && j->m->n_weight) {
            l.dweight = (loci_real *)j->sums + item * j->m->n_weight;
            memset(l.dweight, 0, (size_t)j->m->n_weight * sizeof *l.dweight);
        }
        if (j->back)
            LOCI_NAME(loci_rule_backward)(j, &l, &runs[item / H], slot, item % H);
        else
            LOCI_NAME(loci_rule_forward)(j, &l, &runs[item / H], slot, item % H);
    }
}

/* (3): heads [begin, end): the sums of its items, run after run, to the weights' gradients. */
static void LOCI_NAME(loci_rule_sum)(void *arg, int64_t begin, int64_t end, uint32_t worker)
{
    const loci_rule_job *j = (const loci_rule_job *)arg;

    (void)worker;
    for (int64_t h = begin; h < end; h++)
        for (int64_t r = 0; r < j->io->batch->n_runs; r++)
            for (int i = 0; i < LOCI_RULE_N_WEIGHTS; i++) {
                const loci_rule_part *w = &j->m->weight[i];
                const loci_tensor *t = w->n ? &j->s->grads[w->index] : NULL;

                if (t)
                    LOCI_NAME(loci_rule_move)(w, (loci_real *)loci_ptr(t) + h * t->strides[0], t->strides + 1,
                                              (const loci_real *)j->sums +
                                                  (r * j->m->rule.heads + h) * j->m->n_weight + w->at,
                                              w->strides, 1);
            }
}

/* The start of every run's states: what is learned, or zero. Back: the gradients of what is learned. */
static void LOCI_NAME(loci_rule_start)(const loci_module *m, const loci_slots *s, const loci_batch *batch, int back)
{
    for (uint32_t r = 0; r < batch->n_runs; r++)
        for (int i = 0; i < LOCI_RULE_N_STATES; i++) {
            const loci_rule_part *p = &m->state[i];
            const loci_tensor *of = back ? s->state_grad : s->state_out;
            const loci_tensor *w = p->start > 0 ? &(back ? s->grads : s->params)[p->weight] : NULL;

            for (int64_t h = 0; h < m->rule.heads && p->n && (w || !back); h++) {
                loci_real *state = LOCI_NAME(loci_rule_at)(p, of, batch->runs[r].state, h);
                loci_real *weight = w ? (loci_real *)loci_ptr(w) + h * w->strides[0] : NULL;
                const int64_t *strides = of[p->index].strides + 2;

                if (back)
                    LOCI_NAME(loci_rule_move)(p, weight, w->strides + 1, state, strides, 1);
                else
                    LOCI_NAME(loci_rule_move)(p, state, strides, weight, w ? w->strides + 1 : p->strides, 0);
            }
        }
}

#endif

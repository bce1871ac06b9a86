/* SPDX-License-Identifier: Apache-2.0
 *
 * Streaming = batch, through the public header, for whatever is installed: every composition with every mixer and
 * memory that it takes, and every choice of their keys. Then what a stream is beyond its numbers: growth, copies,
 * bytes, memory.
 *
 * Models are float64 and small, and every weight is moved off its initial value, so that no gate, bias or initial state
 * is hidden by a zero. The batch is one feed of all tokens, whose mean loss must be that of an evaluation.
 */
#include "core/infer/infer.h"
#include "core/tensor/file.h"
#include <loci/random.h>
#include "core/plugin/registry.h"
#include "tests/ck.h"
#include <unistd.h>

static loci_error ck_err = LOCI_ERROR_INIT;

#define T 100
#define VOCAB 11
#define SAME 1e-10

static const char base[] =
    "[run]\ndtype = f64\nthreads = 1\n[model]\nlayers = 2\ndim = 16\nvocab = 11\ninit_std = 0.3\n"
    "[mixer.mha]\nheads = 2\nwindow_tok = 7\n[memory]\nheads = 2\nconv = 3\n";

static int32_t text[T];

static void fill_text(void)
{
    ck_seed = 17;
    for (int i = 0; i < T; i++)
        text[i] = (int32_t)(ck_bits() % VOCAB);
}

/* ---- engines ---------------------------------------------------------------------------------------------------- */

static loci_status open_engine(loci_engine **e, const char *what)
{
    loci_status status = LOCI_OK;
    loci_settings *s = NULL;
    loci_engine_options o = {.struct_size = sizeof o, .plugin_path = getenv("LOCI_TEST_PLUGINS")};
    loci_engine_facts f = {.struct_size = sizeof f};

    *e = NULL;
    loci_error_clear(&ck_err);
    LOCI_TRY(loci_settings_new(&s, &ck_err));
    LOCI_TRY(loci_settings_text(s, "base", base, strlen(base), &ck_err));
    LOCI_TRY(loci_settings_text(s, "case", what, strlen(what), &ck_err));
    LOCI_TRY(loci_engine_open(e, s, &o, &ck_err));
    loci_engine_describe(*e, &f);
    ck_seed = 5;
    for (int32_t i = 0; i < f.weights; i++) {
        const loci_tensor *w;
        LOCI_TRY(loci_engine_weight(*e, i, NULL, &w, NULL, &ck_err));
        for (int64_t j = 0; j < loci_elements(w); j++)
            if (w->dtype.bits == 64)
                ((double *)loci_ptr(w))[j] += 0.2 * ck_norm();
            else
                ((float *)loci_ptr(w))[j] += (float)(0.2 * ck_norm());
    }
out:
    loci_settings_free(s);
    return status;
}

static loci_status open_stream(loci_stream **s, loci_engine *e, int64_t piece)
{
    loci_stream_options o = {.struct_size = sizeof o, .piece_tok = piece};

    return loci_stream_open(s, e, &o, &ck_err);
}

/* Feed tokens [from, to) in pieces, each as long as the next of `cuts` (0 ends: begin again); out [T, VOCAB]. */
static loci_status feed(loci_stream *s, int64_t from, int64_t to, const int64_t *cuts, double *out)
{
    const int64_t *cut = cuts;

    for (int64_t at = from; at < to;) {
        const loci_tensor *logits;
        int64_t n = *cut < to - at ? *cut : to - at;
        loci_status status = loci_stream_feed(s, text + at, n, &logits, &ck_err);
        if (status != LOCI_OK)
            return status;
        memcpy(out + at * VOCAB, loci_ptr(logits), (size_t)(n * VOCAB) * sizeof *out);
        at += n;
        cut = cut[1] ? cut + 1 : cuts;
    }
    return LOCI_OK;
}

static double loss_of(const double *logits, const int32_t *targets)
{
    double total = 0;

    for (int t = 0; t < T; t++) {
        const double *l = logits + t * VOCAB;
        double sum = 0;
        for (int i = 0; i < VOCAB; i++)
            sum += exp(l[i]);
        total += log(sum) - l[targets[t]];
    }
    return total / T;
}

/* ---- streaming = batch ------------------------------------------------------------------------------------------ */

enum verdict { HOLDS, REFUSED, BROKEN };

static void check_partitions(const char *what, loci_engine *e, const double *want)
{
    static const struct {
        int64_t piece, cuts[8];
    } ways[] = {{1, {1}}, {32, {1, 31, 7, 32, 3, 26}}, {32, {1}}, {100, {50, 1, 49}}, {8, {8}}};
    static double got[T * VOCAB];

    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        loci_stream *s = NULL;
        double error;
        CK_OK(open_stream(&s, e, ways[i].piece));
        CK_OK(feed(s, 0, T, ways[i].cuts, got));
        error = ck_rms(got, want, T * VOCAB);
        CK_TRUE(error <= SAME, "%s\n    partition %zu differs from the batch by %.3g", what, i, error);
        loci_stream_close(s);
    }
}

static enum verdict check(const char *what)
{
    static double want[T * VOCAB];
    int32_t targets[T];
    loci_engine *e = NULL;
    loci_stream *whole = NULL;
    loci_examples x = {sizeof x, 0, 1, T, text, targets};
    loci_measure m = {.struct_size = sizeof m};
    unsigned failures = CU_get_number_of_failures();
    double error;
    loci_status status = open_engine(&e, what);

    if (status == LOCI_OK)
        status = open_stream(&whole, e, T);
    if (status == LOCI_E_CONFIG || status == LOCI_E_PLUGIN || status == LOCI_E_UNSUPPORTED) {
        loci_engine_close(e);
        return REFUSED;
    }
    for (int i = 0; i < T; i++)
        targets[i] = text[(i + 1) % T];
    CK_TRUE(status == LOCI_OK, "%s\n    status %d: %s", what, status, ck_err.msg);
    if (status != LOCI_OK || feed(whole, 0, T, (const int64_t[]){T, 0}, want) != LOCI_OK ||
        loci_engine_evaluate(e, &x, &m, &ck_err) != LOCI_OK) {
        CK_TRUE(false, "%s\n    %s", what, ck_err.msg);
    } else {
        error = fabs(loss_of(want, targets) - m.loss_nats) / m.loss_nats;
        CK_TRUE(error <= SAME, "%s\n    the loss of a stream differs from an evaluation's by %.3g", what, error);
        check_partitions(what, e, want);
    }
    loci_stream_close(whole);
    loci_engine_close(e);
    return CU_get_number_of_failures() == failures ? HOLDS : BROKEN;
}

/* ---- what is installed ------------------------------------------------------------------------------------------ */

#define MOST 64

struct installed {
    loci_conf *conf;
    loci_context *cx;
    const loci_class *compose[MOST], *mixer[MOST], *memory[MOST];
    int n_compose, n_mixer, n_memory;
};

static loci_status list_classes(struct installed *in)
{
    loci_status status = LOCI_OK;

    memset(in, 0, sizeof *in);
    loci_error_clear(&ck_err);
    LOCI_TRY(loci_conf_new(&in->conf, &ck_err));
    LOCI_TRY(loci_context_new(&in->cx, in->conf, getenv("LOCI_TEST_PLUGINS"), false, &ck_err));
    for (uint32_t i = 0; i < loci_registry_n(in->cx->registry); i++) {
        const loci_entry *e = loci_registry_entry(in->cx->registry, i);
        const loci_class *c, **list = !strcmp(e->kind, "compose")  ? in->compose
                                      : !strcmp(e->kind, "mixer")  ? in->mixer
                                      : !strcmp(e->kind, "memory") ? in->memory
                                                                   : NULL;
        int *n = list == in->compose ? &in->n_compose : list == in->mixer ? &in->n_mixer : &in->n_memory;
        if (!list || e->shadowed_by || *n == MOST)
            continue;
        LOCI_TRY(loci_registry_find(in->cx->registry, &c, e->kind, e->id, NULL, &ck_err));
        list[(*n)++] = c;
    }
out:
    return status;
}

static void forget_classes(struct installed *in)
{
    loci_context_free(in->cx);
    loci_conf_free(in->conf);
}

static bool wants(const loci_class *c, const char *role)
{
    for (uint32_t i = 0; i < c->n_wants; i++)
        if (!strcmp(c->wants[i]->role, role))
            return true;
    return false;
}

struct tally {
    int holds, refused, broken;
};

static void count(struct tally *t, enum verdict v, const char *what)
{
    t->holds += v == HOLDS;
    t->refused += v == REFUSED;
    t->broken += v == BROKEN;
    if (v == REFUSED)
        printf("\n    refused: %.*s... %.200s", (int)strcspn(what, "\n"), what, ck_err.msg);
}

static void compose_text(char *out, size_t n, const char *compose, const char *mixer, const char *memory)
{
    snprintf(out, n, "# %s with %s and %s\n[compose]\nbackend = %s\n[mixer]\nbackend = %s\n[memory]\nbackend = %s\n",
             compose, mixer, memory, compose, mixer, memory);
}

static void stream__every_combination_that_is_installed_equals_its_batch(void)
{
    struct installed in;
    int of_mixer[MOST] = {0}, of_memory[MOST] = {0};
    struct tally all = {0};
    char what[512];

    fill_text();
    CK_OK(list_classes(&in));
    for (int c = 0; c < in.n_compose; c++) {
        struct tally t = {0};
        int mixers = wants(in.compose[c], "mixer") ? in.n_mixer : 1,
            memories = wants(in.compose[c], "memory") ? in.n_memory : 1;
        for (int x = 0; x < mixers; x++)
            for (int y = 0; y < memories; y++) {
                enum verdict v;
                compose_text(what, sizeof what, in.compose[c]->id, mixers > 1 ? in.mixer[x]->id : "mha",
                             memories > 1 ? in.memory[y]->id : "titans");
                v = check(what);
                count(&t, v, what);
                of_mixer[x] += v == HOLDS && wants(in.compose[c], "mixer");
                of_memory[y] += v == HOLDS && wants(in.compose[c], "memory");
            }
        CK_TRUE(t.holds > 0, "compose/%s streams with nothing", in.compose[c]->id);
        all.holds += t.holds;
        all.refused += t.refused;
        all.broken += t.broken;
    }
    for (int i = 0; i < in.n_mixer; i++)
        CK_TRUE(of_mixer[i] > 0 || !(in.mixer[i]->caps & LOCI_CAP_STREAMING), "mixer/%s streams nowhere",
                in.mixer[i]->id);
    for (int i = 0; i < in.n_memory; i++)
        CK_TRUE(of_memory[i] > 0 || !(in.memory[i]->caps & LOCI_CAP_STREAMING), "memory/%s streams nowhere",
                in.memory[i]->id);
    CK_TRUE(in.n_compose >= 5 && in.n_mixer >= 1 && in.n_memory >= 2, "the list is too short to mean anything");
    printf("\n    %d combinations of %d compositions, %d mixers, %d memories hold, %d refused ", all.holds,
           in.n_compose, in.n_mixer, in.n_memory, all.refused);
    forget_classes(&in);
}

/* Every choice of an ENUM or BOOL key, one key at a time, the class standing in `what`. */
static void check_choices(struct tally *t, const loci_class *c, const char *kind, const char *what)
{
    for (uint32_t k = 0; k < c->n_keys; k++) {
        const loci_key *key = c->keys[k];
        const char *choices = key->type == LOCI_KEY_BOOL ? "yes|no" : key->type == LOCI_KEY_ENUM ? key->choices : "";
        for (const char *at = choices; *at;) {
            size_t n = strcspn(at, "|");
            char one[1024];
            snprintf(one, sizeof one, "# %s/%s: %s = %.*s\n%s[%s.%s]\n%s = %.*s\n", kind, c->id, key->name, (int)n, at,
                     what, kind, c->id, key->name, (int)n, at);
            if (strlen(key->def) != n || strncmp(key->def, at, n) != 0)
                count(t, check(one), one);
            at += n + (at[n] == '|');
        }
    }
}

static void stream__every_choice_of_every_key_equals_its_batch(void)
{
    struct installed in;
    struct tally t = {0};
    char what[512];

    fill_text();
    CK_OK(list_classes(&in));
    for (int i = 0; i < in.n_compose; i++) {
        compose_text(what, sizeof what, in.compose[i]->id, "mha", "titans");
        check_choices(&t, in.compose[i], "compose", what);
    }
    for (int i = 0; i < in.n_mixer; i++) {
        compose_text(what, sizeof what, "mag", in.mixer[i]->id, "titans");
        check_choices(&t, in.mixer[i], "mixer", what);
    }
    for (int i = 0; i < in.n_memory; i++) {
        compose_text(what, sizeof what, "lmm", "mha", in.memory[i]->id);
        check_choices(&t, in.memory[i], "memory", what);
    }
    CK_TRUE(t.holds >= 4, "only %d choices were tried", t.holds);
    printf("\n    %d choices hold, %d refused ", t.holds, t.refused);
    forget_classes(&in);
}

/* ---- life of a stream ------------------------------------------------------------------------------------------- */

static const char mag[] = "[compose]\nbackend = mag\n[memory]\nbackend = titans\n[memory.titans]\nchunk = 5\n";
static const char unlimited[] = "[compose]\nbackend = plain\n[mixer.mha]\nwindow_tok = 0\n";

static void stream__grows_where_attention_has_no_window(void)
{
    static double want[T * VOCAB], got[T * VOCAB];
    loci_engine *e = NULL;
    loci_stream *s = NULL, *whole = NULL;
    uint64_t begun;

    fill_text();
    CK_OK(open_engine(&e, unlimited));
    CK_OK(open_stream(&whole, e, T));
    CK_OK(feed(whole, 0, T, (const int64_t[]){T, 0}, want));
    CK_OK(open_stream(&s, e, 3));
    begun = loci_stream_size(s);
    CK_OK(feed(s, 0, T, (const int64_t[]){3, 1, 2, 0}, got));
    CK_TRUE(ck_rms(got, want, T * VOCAB) <= SAME, "a stream that grew differs by %.3g", ck_rms(got, want, T * VOCAB));
    CK_TRUE(loci_stream_size(s) > 20 * begun, "%llu bytes became %llu", (unsigned long long)begun,
            (unsigned long long)loci_stream_size(s));
    loci_stream_close(s);
    loci_stream_close(whole);
    loci_engine_close(e);
}

static void stream__clones_and_saved_states_go_on_with_the_same_bits(void)
{
    static const char *const models[] = {mag, unlimited,
                                         "[compose]\nbackend = mac\n[compose.mac]\nsegment_tok = 16\n"
                                         "[memory]\nbackend = titans\n"};
    static double want[T * VOCAB], got[T * VOCAB];

    fill_text();
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        const int64_t one[] = {1, 0}, seven[] = {7, 0};
        loci_engine *e = NULL;
        loci_stream *s = NULL, *twin = NULL, *later = NULL;
        uint64_t bytes;
        char *saved;
        CK_OK(open_engine(&e, models[i]));
        CK_OK(open_stream(&s, e, 8));
        CK_OK(feed(s, 0, 37, seven, want));
        bytes = loci_stream_size(s);
        saved = malloc(bytes);
        CK_OK(loci_stream_save(s, saved, bytes, &ck_err));
        CK_OK(loci_stream_clone(&twin, s, &ck_err));
        CK_TRUE(loci_stream_tokens(twin) == 37, "the clone is at %lld", (long long)loci_stream_tokens(twin));
        CK_OK(feed(s, 37, T, one, want));
        CK_OK(feed(twin, 37, T, one, got));
        CK_TRUE(!memcmp(got + 37 * VOCAB, want + 37 * VOCAB, (T - 37) * VOCAB * sizeof *got),
                "model %zu: a clone differs", i);
        CK_OK(open_stream(&later, e, 8));
        CK_OK(loci_stream_restore(later, saved, bytes, &ck_err));
        memset(got, 0, sizeof got);
        CK_OK(feed(later, 37, T, one, got));
        CK_TRUE(!memcmp(got + 37 * VOCAB, want + 37 * VOCAB, (T - 37) * VOCAB * sizeof *got),
                "model %zu: restored differs", i);
        /* Reset: as if fresh. And one stream does not see another. */
        loci_stream_reset(twin);
        CK_OK(feed(twin, 0, 37, seven, got));
        CK_TRUE(!memcmp(got, want, 37 * VOCAB * sizeof *got), "model %zu: after a reset it differs", i);
        free(saved);
        loci_stream_close(s);
        loci_stream_close(twin);
        loci_stream_close(later);
        loci_engine_close(e);
    }
}

static void refuses(loci_stream *s, const void *bytes, uint64_t n, const char *why)
{
    loci_error_clear(&ck_err);
    CK_TRUE(loci_stream_restore(s, bytes, n, &ck_err) == LOCI_E_STATE && ck_err.msg[0], "%s is taken: %s", why,
            ck_err.msg);
    CK_TRUE(loci_stream_tokens(s) == 3, "%s: the stream was changed", why);
}

static void stream__refuses_a_state_that_is_not_its_own(void)
{
    loci_engine *e = NULL, *other = NULL;
    loci_stream *s = NULL, *t = NULL;
    uint64_t bytes;
    unsigned char *saved;
    double logits[T * VOCAB];

    fill_text();
    CK_OK(open_engine(&e, mag));
    CK_OK(open_stream(&s, e, 8));
    CK_OK(feed(s, 0, 3, (const int64_t[]){3, 0}, logits));
    bytes = loci_stream_size(s);
    saved = malloc(bytes);
    CK_OK(loci_stream_save(s, saved, bytes, &ck_err));
    CK_OK(loci_stream_restore(s, saved, bytes, &ck_err));
    refuses(s, saved, bytes - 1, "a state cut by one byte");
    refuses(s, saved, 10, "ten bytes");
    for (size_t i = 0; i < 56; i++) { /* every byte of the head but the last eight, which say nothing */
        unsigned char was = saved[i];
        saved[i] ^= 0x81;
        if (i < 24 || i >= 40) /* the number of tokens may be another one, and so may room that is not used */
            refuses(s, saved, bytes, "a damaged head");
        saved[i] = was;
    }
    CK_TRUE(loci_stream_save(s, saved, bytes - 1, &ck_err) == LOCI_E_ARG, "a buffer that is too small is written");
    CK_OK(open_engine(&other, "[compose]\nbackend = mag\n[memory]\nbackend = titans\nconv = 4\n"));
    CK_OK(open_stream(&t, other, 8));
    CK_OK(feed(t, 0, 3, (const int64_t[]){3, 0}, logits));
    refuses(t, saved, bytes, "another model's state");
    loci_stream_close(t);
    CK_OK(open_stream(&t, e, 9));
    CK_OK(feed(t, 0, 3, (const int64_t[]){3, 0}, logits));
    refuses(t, saved, bytes, "a state with other pieces");
    free(saved);
    loci_stream_close(t);
    loci_stream_close(s);
    loci_engine_close(other);
    loci_engine_close(e);
}

static void stream__refuses_tokens_and_lengths_out_of_range(void)
{
    const int32_t high[] = {1, VOCAB}, low[] = {-1};
    loci_stream_options o = {.struct_size = sizeof o, .piece_tok = 4, .most_tok = 6};
    const loci_tensor *logits;
    loci_engine *e = NULL;
    loci_stream *s = NULL;

    fill_text();
    CK_OK(open_engine(&e, unlimited));
    CK_OK(loci_stream_open(&s, e, &o, &ck_err));
    CK_TRUE(loci_stream_feed(s, high, 2, NULL, &ck_err) == LOCI_E_ARG && strstr(ck_err.msg, "token 1 is 11"), "%s",
            ck_err.msg);
    loci_error_clear(&ck_err);
    CK_TRUE(loci_stream_feed(s, low, 1, NULL, &ck_err) == LOCI_E_ARG, "a negative token is taken");
    CK_TRUE(loci_stream_feed(s, text, 5, NULL, &ck_err) == LOCI_E_ARG, "a feed longer than a piece is taken");
    CK_TRUE(loci_stream_feed(s, text, 0, NULL, &ck_err) == LOCI_E_ARG, "a feed of nothing is taken");
    CK_TRUE(loci_stream_tokens(s) == 0, "a refused feed moved the stream");
    loci_error_clear(&ck_err);
    CK_OK(loci_stream_prefill(s, text, 6, &logits, &ck_err));
    CK_TRUE(logits->shape[0] == 1 && logits->shape[1] == VOCAB, "logits [%lld, %lld]", (long long)logits->shape[0],
            (long long)logits->shape[1]);
    CK_TRUE(loci_stream_feed(s, text, 1, NULL, &ck_err) == LOCI_E_STATE && strstr(ck_err.msg, "may hold 6"), "%s",
            ck_err.msg);
    loci_stream_close(s);
    o.piece_tok = -1;
    loci_error_clear(&ck_err);
    CK_TRUE(loci_stream_open(&s, e, &o, &ck_err) == LOCI_E_ARG && !s, "a negative piece is planned");
    loci_engine_close(e);
}

/* ---- long streams ----------------------------------------------------------------------------------------------- */

static size_t resident_bytes(void)
{
    unsigned long all = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (f && fscanf(f, "%lu %lu", &all, &resident) != 2)
        resident = 0;
    if (f)
        fclose(f);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static double thousand(loci_stream *s, uint64_t from)
{
    double begin = loci_seconds();

    for (int i = 0; i < 1000; i++) {
        int32_t token = (int32_t)(loci_mix64(from + (uint64_t)i) % VOCAB);
        CK_TRUE(loci_stream_feed(s, &token, 1, NULL, &ck_err) == LOCI_OK, "%s", ck_err.msg);
    }
    return loci_seconds() - begin;
}

/* Constant once the window is full. */
static void long_stream(const char *name, const char *what)
{
    int32_t piece[64];
    const loci_tensor *logits;
    loci_engine *e = NULL;
    loci_stream *s = NULL;
    size_t held, peak, resident;
    double first, last;
    uint64_t bytes;

    CK_OK(open_engine(&e, what));
    CK_OK(open_stream(&s, e, 64));
    first = thousand(s, 0);
    held = loci_memory_held();
    resident = resident_bytes();
    bytes = loci_stream_size(s);
    loci_memory_reset_peak();
    while (loci_stream_tokens(s) < 99000) {
        for (int i = 0; i < 64; i++)
            piece[i] = (int32_t)(loci_mix64((uint64_t)(loci_stream_tokens(s) + i)) % VOCAB);
        CK_OK(loci_stream_feed(s, piece, 64, &logits, &ck_err));
    }
    last = thousand(s, 99000);
    CK_OK(loci_stream_feed(s, piece, 64, &logits, &ck_err));
    for (int i = 0; i < VOCAB; i++)
        CK_TRUE(isfinite(((double *)loci_ptr(logits))[i]), "logit %d is not finite after %lld tokens", i,
                (long long)loci_stream_tokens(s));
    peak = loci_memory_peak();
    CK_TRUE(loci_memory_held() == held && peak == held && loci_stream_size(s) == bytes,
            "%s: %zu bytes held became %zu, peak %zu", name, held, loci_memory_held(), peak);
    CK_TRUE(resident_bytes() < resident + (1 << 20), "%s: %zu bytes resident became %zu", name, resident,
            resident_bytes());
    printf("\n    %s: %lld tokens, %llu bytes of state, a token takes %.1f us at the beginning and %.1f us at the end ",
           name, (long long)loci_stream_tokens(s), (unsigned long long)bytes, 1e3 * first, 1e3 * last);
    loci_stream_close(s);
    loci_engine_close(e);
}

static void stream__of_a_hundred_thousand_tokens_holds_constant_memory(void)
{
    long_stream("lmm", "[model]\nlayers = 1\n[compose]\nbackend = lmm\n[memory]\nbackend = titans\n");
    long_stream("mag, window 700",
                "[model]\nlayers = 1\n[compose]\nbackend = mag\n[memory]\nbackend = titans\n[mixer.mha]\n"
                "window_tok = 700\n");
    long_stream("mag, window 7", "[model]\nlayers = 1\n[compose]\nbackend = mag\n[memory]\nbackend = titans\n");
    long_stream("mac, segment 16",
                "[model]\nlayers = 1\n[compose]\nbackend = mac\n[compose.mac]\nsegment_tok = 16\n[memory]\n"
                "backend = titans\n");
}

#define TESTS(X) \
    X(stream__every_combination_that_is_installed_equals_its_batch) \
    X(stream__every_choice_of_every_key_equals_its_batch) X(stream__grows_where_attention_has_no_window) \
        X(stream__clones_and_saved_states_go_on_with_the_same_bits) X(stream__refuses_a_state_that_is_not_its_own) \
            X(stream__refuses_tokens_and_lengths_out_of_range) \
                X(stream__of_a_hundred_thousand_tokens_holds_constant_memory)
CK_MAIN("stream", TESTS)

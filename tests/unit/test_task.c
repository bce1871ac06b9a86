/* SPDX-License-Identifier: Apache-2.0
 *
 * The synthetic tasks: what their sequences are made of, that they follow from seed, split and index alone, and how
 * right answers are counted.
 */
#include "core/compare/compare.h"
#include "core/data/task.h"
#include "core/train/score.h"
#include "tests/ck.h"
#include <unistd.h>

static loci_error ck_err = LOCI_ERROR_INIT;

#define MOST 512

static loci_conf *conf_of(const char *text)
{
    loci_conf *c = NULL;

    loci_error_clear(&ck_err);
    if (loci_conf_new(&c, &ck_err) != LOCI_OK || loci_conf_text(c, "test", text, strlen(text), &ck_err) != LOCI_OK)
        CK_TRUE(0, "%s", ck_err.msg);
    return c;
}

/* A task as a source; keys: lines of [task.NAME]. */
static loci_data *open_task(const char *name, int seed, int64_t seq, const char *keys)
{
    char text[600];
    loci_data *d = NULL;
    loci_conf *c;

    snprintf(text, sizeof text, "[run]\nseed = %d\n[data]\nsource = task\ntask = %s\n[task.%s]\n%s", seed, name, name, keys);
    c = conf_of(text);
    if (loci_data_open(&d, c, seq, &ck_err) != LOCI_OK)
        d = NULL;
    loci_conf_free(c);
    return d;
}

/* Validation sequence i. */
static struct {
    int32_t token[MOST], target[MOST], source[MOST];
} s;

static void sequence(const loci_data *d, int64_t i, int64_t seq)
{
    loci_data_window(d, i, 1000, seq, s.token, s.target, s.source);
}

/* What holds for every task: as many targets as said, each an answer that stands at its source, before it. */
static void check_labels(const loci_data *d, int64_t seq)
{
    int64_t labels = 0;

    for (int64_t t = 0; t < seq; t++) {
        CU_ASSERT(s.token[t] >= 0 && s.token[t] < d->vocab);
        CU_ASSERT((s.target[t] < 0) == (s.source[t] < 0));
        if (s.target[t] < 0)
            continue;
        labels++;
        CU_ASSERT_FATAL(s.source[t] >= 0 && s.source[t] < t);
        CU_ASSERT(s.token[s.source[t]] == s.target[t]);
    }
    CU_ASSERT(labels == d->labels);
}

/* ---- definitions ------------------------------------------------------------------------------------------------ */

/* Pairs first, keys different and of the lower half, values different and of the upper half, every key asked for once at
 * a slot, and the answer its latest value. writes: pairs written in all. */
static void recall(const char *name, const char *keys, int64_t seq, int pairs, int writes, bool zeros)
{
    loci_data *d = open_task(name, 3, seq, keys);
    bool rewritten = false, twice = false;

    CU_ASSERT_FATAL(d != NULL);
    CU_ASSERT(d->labels == pairs && d->scored && !d->carry);
    for (int64_t i = 0; i < 200; i++) {
        int32_t latest[128] = {0}, half = (int32_t)d->vocab / 2, written[128] = {0}, asked = 0;
        bool seen[256] = {false};

        sequence(d, i, seq);
        check_labels(d, seq);
        for (int w = 0; w < writes; w++) {
            int32_t k = s.token[2 * w], v = s.token[2 * w + 1];
            CU_ASSERT_FATAL(k >= 1 && k < half && v >= half && v < d->vocab);
            CU_ASSERT(w >= pairs || written[k] == 0);
            CU_ASSERT(w < pairs || written[k] > 0);
            CU_ASSERT(!seen[v]);
            seen[v] = true;
            rewritten |= written[k] == 1;
            twice |= written[k] == 2;
            written[k]++;
            latest[k] = v;
        }
        for (int64_t t = 2 * writes; t < seq; t++) {
            if (s.target[t] < 0) {
                CU_ASSERT(!zeros || s.token[t] == 0);
                continue;
            }
            CU_ASSERT((t - 2 * writes) % 2 == 0);
            CU_ASSERT(s.target[t] == latest[s.token[t]]);
            CU_ASSERT(written[s.token[t]] > 0);
            written[s.token[t]] = 0;
            asked++;
        }
        CU_ASSERT(asked == pairs);
    }
    CU_ASSERT(rewritten == (writes > pairs));
    CU_ASSERT(twice == !strcmp(name, "random-overwrite"));
    loci_data_free(d);
}

static void recall_asks_every_key_for_its_latest_value(void)
{
    recall("mqar", "vocab = 128\npairs = 16\nfillers = zero\n", 128, 16, 16, true);
    recall("mqar", "vocab = 64\npairs = 8\n", 64, 8, 8, false);
    recall("overwrite", "", 96, 8, 12, true);
    recall("random-overwrite", "", 96, 8, 24, true);
    recall("random-overwrite", "writes = 5\nfillers = random\n", 96, 8, 13, false);
}

/* One pair: slot g of G is asked at with probability w_g over their sum, w_g = (g + 1)^(a - 1). */
static void questions_follow_the_power_law(void)
{
    enum { SEQ = 64, SLOTS = 31, N = 20000 };
    loci_data *d = open_task("mqar", 5, SEQ, "vocab = 64\npairs = 1\nfillers = zero\npower = 0.3\n");
    double count[SLOTS] = {0}, sum = 0, chi = 0;

    CU_ASSERT_FATAL(d != NULL);
    for (int64_t i = 0; i < N; i++) {
        sequence(d, i, SEQ);
        for (int64_t t = 2; t < SEQ; t++)
            if (s.target[t] >= 0)
                count[(t - 2) / 2]++;
    }
    for (int g = 0; g < SLOTS; g++)
        sum += pow(g + 1, -0.7);
    for (int g = 0; g < SLOTS; g++) {
        const double want = N * pow(g + 1, -0.7) / sum;
        chi += (count[g] - want) * (count[g] - want) / want;
    }
    CK_TRUE(chi < 69, "chi-square with 30 degrees of freedom is %g", chi); /* mean 30, deviation 7.7 */
    loci_data_free(d);
}

static void copy_asks_for_the_first_symbols_in_order(void)
{
    loci_data *d = open_task("copy", 3, 40, "symbols = 6\nlength = 10\n");

    CU_ASSERT_FATAL(d != NULL);
    CU_ASSERT(d->vocab == 8);
    for (int64_t i = 0; i < 50; i++) {
        sequence(d, i, 40);
        check_labels(d, 40);
        for (int t = 0; t < 40; t++) {
            CU_ASSERT(t < 10 ? s.token[t] < 6 : s.token[t] == (t == 29 ? 7 : 6));
            CU_ASSERT(s.target[t] == (t < 30 ? -1 : s.token[t - 30]));
        }
    }
    loci_data_free(d);
}

static void selective_copy_asks_for_the_symbols_among_the_noise(void)
{
    loci_data *d = open_task("selective-copy", 3, 30, "vocab = 9\nlength = 6\n");
    int taken[24] = {0};

    CU_ASSERT_FATAL(d != NULL);
    for (int64_t i = 0; i < 2000; i++) {
        int k = 0;

        sequence(d, i, 30);
        check_labels(d, 30);
        for (int t = 0; t < 24; t++) {
            CU_ASSERT(s.token[t] < 8 && s.target[t] == -1);
            if (s.token[t] == 0)
                continue;
            CU_ASSERT_FATAL(k < 6);
            CU_ASSERT(s.target[24 + k] == s.token[t]);
            k++;
            taken[t]++;
        }
        CU_ASSERT(k == 6);
        for (int t = 24; t < 30; t++)
            CU_ASSERT(s.token[t] == 8);
    }
    for (int t = 0; t < 24; t++) /* every place alike: 500, deviation 19 */
        CK_TRUE(abs(taken[t] - 500) < 100, "place %d is taken %d times of 2000", t, taken[t]);
    loci_data_free(d);
}

static void induction_asks_for_what_followed_the_mark(void)
{
    loci_data *d = open_task("induction", 3, 20, "vocab = 7\n");
    bool first = false, last = false;

    CU_ASSERT_FATAL(d != NULL);
    for (int64_t i = 0; i < 400; i++) {
        int marks = 0;

        sequence(d, i, 20);
        check_labels(d, 20);
        for (int t = 0; t < 20; t++)
            marks += s.token[t] == 6;
        CU_ASSERT(marks == 2 && s.token[19] == 6 && s.target[19] < 6);
        CU_ASSERT(s.token[s.source[19] - 1] == 6);
        first |= s.source[19] == 1;
        last |= s.source[19] == 18;
    }
    CU_ASSERT(first && last);
    loci_data_free(d);
}

static void needles_lie_where_they_are_told_to(void)
{
    static const struct {
        const char *keys;
        int64_t low, high; /* of the needle's key */
    } cases[] = {{"distance = 20\n", 0, 35},
                 {"distance = 20\nhaystack = sentences\n", 0, 35},
                 {"distance = 20\nhaystack = random\ndepth = 0\n", 0, 0},
                 {"distance = 20\ndepth = 1\n", 35, 35},
                 {"distance = 0\ndepth = 0.5\n", 28, 28}};

    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        loci_data *d = open_task("needle", 3, 64, cases[c].keys);
        int64_t low = 64, high = 0;

        CU_ASSERT_FATAL(d != NULL);
        CU_ASSERT(d->vocab == 256 && d->labels == 4);
        for (int64_t i = 0; i < 500; i++) {
            int64_t at;

            sequence(d, i, 64);
            check_labels(d, 64);
            at = s.source[60] - 1;
            low = at < low ? at : low;
            high = at > high ? at : high;
            CU_ASSERT(s.token[60] == s.token[at] && s.token[at] < 16);
            for (int t = 0; t < 60; t++)
                CU_ASSERT(t >= at && t <= at + 4 ? s.token[t] < 16 + 64 : s.token[t] >= 16 + 64);
            for (int j = 0; j < 4; j++) {
                CU_ASSERT(s.source[60 + j] == at + 1 + j && s.target[60 + j] >= 16 && s.target[60 + j] < 16 + 64);
                CU_ASSERT(j == 3 || s.token[61 + j] == s.target[60 + j]);
            }
        }
        CK_TRUE(low == cases[c].low && high == cases[c].high, "case %d: needles at %lld to %lld", (int)c, (long long)low,
                (long long)high);
        loci_data_free(d);
    }
}

/* In a chain every word has four successors, whatever the seed. */
static void the_haystack_is_one_language_for_all_seeds(void)
{
    static bool next[256][256];
    int most = 0;

    memset(next, 0, sizeof next);
    for (int seed = 1; seed <= 2; seed++) {
        loci_data *d = open_task("needle", seed, 256, "depth = 1\n");
        CU_ASSERT_FATAL(d != NULL);
        for (int64_t i = 0; i < 100; i++) {
            sequence(d, i, 256);
            for (int t = 0; t + 1 < 240; t++)
                next[s.token[t]][s.token[t + 1]] = true;
        }
        loci_data_free(d);
    }
    for (int a = 80; a < 256; a++) {
        int n = 0;
        for (int b = 80; b < 256; b++)
            n += next[a][b];
        most = n > most ? n : most;
    }
    CK_TRUE(most == 4, "a word has %d successors", most);
}

/* ---- from seed, split and index alone --------------------------------------------------------------------------- */

static const char *const names[] = {"copy",   "selective-copy", "mqar",     "overwrite", "random-overwrite",
                                    "needle", "induction"};
#define N_NAMES (sizeof names / sizeof *names)

static void a_sequence_follows_from_seed_split_and_index(void)
{
    enum { SEQ = 96, ROWS = 3 };
    static int32_t token[ROWS * SEQ], target[ROWS * SEQ], again[ROWS * SEQ], there[ROWS * SEQ];
    loci_run runs[ROWS];

    for (size_t n = 0; n < N_NAMES; n++) {
        loci_data *a = open_task(names[n], 1, SEQ, ""), *b = open_task(names[n], 1, SEQ, "");
        loci_data *other = open_task(names[n], 2, SEQ, "");
        CU_ASSERT_FATAL(a && b && other);
        loci_data_batch(a, 1, 7, ROWS, SEQ, token, target, runs);
        sequence(b, 3, SEQ); /* what was asked for before does not matter */
        loci_data_batch(b, 1, 7, ROWS, SEQ, again, there, runs);
        CU_ASSERT(memcmp(token, again, sizeof token) == 0 && memcmp(target, there, sizeof target) == 0);
        for (int r = 0; r < ROWS; r++) { /* rows of a wide batch are those of narrow ones: index = micro-batch x rows + row */
            loci_data_batch(a, 1, (uint64_t)(7 * ROWS + r), 1, SEQ, again, there, runs);
            CU_ASSERT(memcmp(token + r * SEQ, again, SEQ * sizeof *again) == 0);
            CU_ASSERT(runs[0].pos == 0 && runs[0].len == SEQ && runs[0].row == 0);
        }
        CU_ASSERT(memcmp(token, token + SEQ, SEQ * sizeof *token) != 0);
        sequence(a, 21, SEQ); /* the validation sequence of an index is not the training one */
        CU_ASSERT(memcmp(token, s.token, SEQ * sizeof *token) != 0);
        loci_data_batch(a, 2, 7, ROWS, SEQ, again, there, runs);
        CU_ASSERT(memcmp(token, again, sizeof token) != 0);
        CK_TRUE(a->train_hash == b->train_hash && a->valid_hash == b->valid_hash && a->train_hash != a->valid_hash &&
                    a->valid_hash != other->valid_hash,
                "%s: hashes", names[n]);
        loci_data_free(a), loci_data_free(b), loci_data_free(other);
    }
}

static void another_answer_is_an_answer_and_another(void)
{
    for (size_t n = 0; n < N_NAMES; n++) {
        loci_data *d = open_task(names[n], 1, 96, "");
        CU_ASSERT_FATAL(d != NULL);
        for (int64_t i = 0; i < 50; i++) {
            sequence(d, i, 96);
            for (int t = 0; t < 96; t++)
                if (s.target[t] >= 0) {
                    int32_t x = loci_data_other(d, i, s.source[t], s.target[t]);
                    CU_ASSERT(x != s.target[t] && x >= 0 && x < d->vocab);
                    CU_ASSERT(x == loci_data_other(d, i, s.source[t], s.target[t]));
                }
        }
        loci_data_free(d);
    }
}

static void settings_that_do_not_go_together_name_key_and_remedy(void)
{
    static const struct {
        const char *name, *keys;
        int64_t seq;
        const char *says[3];
    } cases[] = {
        {"mqar", "vocab = 64\npairs = 8\n", 65, {"data.seq_tok = 65", "even", ""}},
        {"mqar", "vocab = 64\npairs = 32\n", 256, {"task.mqar.pairs = 32", "31 keys", "raise vocab"}},
        {"mqar", "vocab = 128\npairs = 33\n", 128, {"task.mqar.pairs = 33", "132 tokens", "128"}},
        {"random-overwrite", "vocab = 32\n", 96, {"task.random-overwrite.vocab = 32", "24 writes", "raise it to 48"}},
        {"copy", "length = 20\n", 40, {"task.copy.length = 20", "41 tokens", "data.seq_tok is 40"}},
        {"selective-copy", "length = 20\n", 30, {"task.selective-copy.length = 20", "40 tokens", ""}},
        {"needle", "distance = 60\n", 64, {"task.needle.distance = 60", "69 tokens", "data.seq_tok is 64"}},
        {"needle", "vocab = 82\n", 64, {"task.needle.vocab = 82", "raise it to 84", ""}},
        {"induction", "", 2, {"data.seq_tok = 2", "takes 3", ""}},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        loci_data *d = open_task(cases[i].name, 1, cases[i].seq, cases[i].keys);
        CK_TRUE(d == NULL && ck_err.code == LOCI_E_CONFIG, "case %d opens", (int)i);
        for (int j = 0; j < 3; j++)
            CK_TRUE(strstr(ck_err.msg, cases[i].says[j]) != NULL, "case %d: `%s` is not in: %s", (int)i, cases[i].says[j],
                    ck_err.msg);
        loci_data_free(d);
    }
    loci_conf *c = conf_of("[data]\nsource = task\ntask = copy\ncarry = yes\n");
    loci_data *d = NULL;
    CU_ASSERT(loci_data_open(&d, c, 64, &ck_err) == LOCI_E_CONFIG && strstr(ck_err.msg, "data.carry = no"));
    loci_conf_free(c);
}

static void a_model_must_know_every_token(void)
{
    loci_conf *c = conf_of("[model]\nvocab = 100\n");
    loci_data *d = open_task("needle", 1, 64, "");

    CU_ASSERT_FATAL(d != NULL);
    CU_ASSERT(loci_data_fits(d, 256, c, &ck_err) == LOCI_OK);
    CU_ASSERT(loci_data_fits(d, 100, c, &ck_err) == LOCI_E_CONFIG);
    CK_TRUE(strstr(ck_err.msg, "model.vocab = 100") && strstr(ck_err.msg, "set model.vocab = 256"), "%s", ck_err.msg);
    loci_data_free(d);
    loci_conf_free(c);
}

/* ---- dumps ------------------------------------------------------------------------------------------------------ */

static void a_dump_of_a_dump_is_the_dump(void)
{
    static const char *const texts[] = {"", "[data]\ntask = copy\n", "[data]\nsource = task\n",
                                        "[data]\nsource = task\ntask = needle\n[task.needle]\ndistance = 9\n",
                                        "[arm.a.data]\nsource = task\ntask = copy\n[arm.b]\n"};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        loci_conf *c = conf_of(texts[i]), *again;
        loci_text one = {0}, two = {0};

        CK_OK(loci_conf_dump(&one, c, false, &ck_err));
        again = conf_of(one.at);
        CK_OK(loci_conf_dump(&two, again, false, &ck_err));
        CK_TRUE(!strcmp(one.at, two.at), "config %d", (int)i);
        CK_TRUE((strstr(one.at, "[task.") != NULL) == (i > 1), "config %d: sections of tasks", (int)i);
        loci_text_free(&one), loci_text_free(&two);
        loci_conf_free(c), loci_conf_free(again);
    }
}

/* ---- scores ----------------------------------------------------------------------------------------------------- */

static const loci_bucket *bucket(const loci_buckets *b, double x)
{
    for (uint32_t i = 0; i < b->n; i++)
        if (x >= b->at[i].from && x <= b->at[i].to)
            return &b->at[i];
    return NULL;
}

/* Two sequences of ten tokens with three questions each; the first is all right, the second has one right. */
static void right_answers_are_counted_by_order_distance_and_depth(void)
{
    const loci_data d = {.labels = 3, .scored = true};
    const int32_t target[10] = {-1, -1, -1, -1, 5, -1, 6, -1, -1, 7};
    const int32_t source[10] = {-1, -1, -1, -1, 3, -1, 2, -1, -1, 1};
    const int32_t all[10] = {-1, -1, -1, -1, 5, -1, 6, -1, -1, 7}, one[10] = {-1, -1, -1, -1, 4, -1, 6, -1, -1, 6};
    loci_evaluation e;

    loci_score_begin(&e, &d, 2);
    e.tokens = 6;
    loci_score_sequence(&e, 10, target, source, all);
    loci_score_sequence(&e, 10, target, source, one);
    loci_score_end(&e, 12, false);
    CU_ASSERT_DOUBLE_EQUAL(e.loss, 2, 1e-15);
    CU_ASSERT_DOUBLE_EQUAL(e.accuracy, 4.0 / 6, 1e-15);
    CU_ASSERT_DOUBLE_EQUAL(e.exact, 0.5, 1e-15);
    CU_ASSERT(isnan(e.lift));
    CU_ASSERT(e.by_position.n == 3);
    for (int k = 0; k < 3; k++)
        CU_ASSERT(bucket(&e.by_position, k)->n == 2 && bucket(&e.by_position, k)->right == (k == 1 ? 2 : 1));
    CU_ASSERT(bucket(&e.by_distance, 1)->n == 2 && bucket(&e.by_distance, 1)->right == 1);
    CU_ASSERT(bucket(&e.by_distance, 4)->n == 2 && bucket(&e.by_distance, 4)->right == 2);
    CU_ASSERT(bucket(&e.by_distance, 8)->n == 2 && bucket(&e.by_distance, 8)->right == 1);
    CU_ASSERT(bucket(&e.by_distance, 2)->n == 0);
    CU_ASSERT(e.by_depth.at[1].n == 2 && e.by_depth.at[2].n == 2 && e.by_depth.at[3].n == 2 && e.by_depth.at[0].n == 0);
    CU_ASSERT(e.by_depth.at[2].right == 2 && e.by_depth.at[1].right == 1);
}

static void chance_is_one_of_the_answers(void)
{
    loci_data *d = open_task("needle", 1, 64, "");
    loci_baselines b;

    CU_ASSERT_FATAL(d != NULL);
    CK_OK(loci_data_baselines(&b, d, 10, 64, &ck_err));
    CU_ASSERT(b.n == 1 && !strcmp(b.at[0].name, "chance"));
    CU_ASSERT_DOUBLE_EQUAL(b.at[0].accuracy, 1.0 / 64, 1e-15);
    CU_ASSERT_DOUBLE_EQUAL(b.at[0].loss, log(64), 1e-12);
    loci_data_free(d);
}

#define TESTS(X) \
    X(recall_asks_every_key_for_its_latest_value) \
    X(questions_follow_the_power_law) \
    X(copy_asks_for_the_first_symbols_in_order) \
    X(selective_copy_asks_for_the_symbols_among_the_noise) \
    X(induction_asks_for_what_followed_the_mark) \
    X(needles_lie_where_they_are_told_to) \
    X(the_haystack_is_one_language_for_all_seeds) \
    X(a_sequence_follows_from_seed_split_and_index) \
    X(another_answer_is_an_answer_and_another) \
    X(settings_that_do_not_go_together_name_key_and_remedy) \
    X(a_model_must_know_every_token) \
    X(a_dump_of_a_dump_is_the_dump) \
    X(right_answers_are_counted_by_order_distance_and_depth) \
    X(chance_is_one_of_the_answers)

CK_MAIN("task", TESTS)

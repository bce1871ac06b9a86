/* SPDX-License-Identifier: Apache-2.0
 *
 * Schedules, the optimiser, data order, config differences, comparisons before they run.
 */
#include "core/compare/compare.h"
#include "core/config/diff.h"
#include "core/data/source.h"
#include "core/tensor/file.h"
#include "core/train/train.h"
#include "tests/ck.h"
#include <unistd.h>

static loci_error ck_err = LOCI_ERROR_INIT;

static loci_conf *conf_of(const char *text)
{
    loci_conf *c = NULL;

    loci_error_clear(&ck_err);
    if (loci_conf_new(&c, &ck_err) != LOCI_OK || loci_conf_text(c, "test", text, strlen(text), &ck_err) != LOCI_OK)
        CK_TRUE(0, "%s", ck_err.msg);
    return c;
}

static void schedules_follow_their_formulas(void)
{
    loci_conf *c = conf_of("[train]\nlr = 2\nwarmup = 4\nlr_min = 0.1\nschedule = cosine\n");
    CU_ASSERT_DOUBLE_EQUAL(loci_schedule_lr(c, 0, 104), 0.5, 1e-15);
    CU_ASSERT_DOUBLE_EQUAL(loci_schedule_lr(c, 3, 104), 2, 1e-15);
    CU_ASSERT_DOUBLE_EQUAL(loci_schedule_lr(c, 4, 104), 2, 1e-15);
    CU_ASSERT_DOUBLE_EQUAL(loci_schedule_lr(c, 54, 104), 2 * (0.1 + 0.9 * 0.5), 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(loci_schedule_lr(c, 104, 104), 0.2, 1e-12);
    loci_conf_free(c);
    c = conf_of("[train]\nlr = 2\nwarmup = 0\nlr_min = 0\nschedule = linear\n");
    CU_ASSERT_DOUBLE_EQUAL(loci_schedule_lr(c, 25, 100), 1.5, 1e-12);
    loci_conf_free(c);
    c = conf_of("[train]\nlr = 2\nwarmup = 0\nlr_min = 0.01\nschedule = step\nstep_every = 10\nstep_gamma = 0.5\n");
    CU_ASSERT_DOUBLE_EQUAL(loci_schedule_lr(c, 9, 100), 2, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(loci_schedule_lr(c, 20, 100), 0.5, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(loci_schedule_lr(c, 99, 100), 0.02, 1e-12);
    loci_conf_free(c);
    c = conf_of("[train]\nlr = 2\nwarmup = 0\nschedule = constant\n");
    CU_ASSERT_DOUBLE_EQUAL(loci_schedule_lr(c, 77, 100), 2, 1e-15);
    loci_conf_free(c);
}

/* Two steps of AdamW on one model, against the formula in float64. */
static void adamw_follows_its_formula_and_clips_by_the_global_norm(void)
{
    loci_conf *c = conf_of("[run]\ndtype = f64\n[model]\nlayers = 1\ndim = 4\nvocab = 5\n[mixer.mha]\nheads = 1\n"
                           "[train]\nclip = 0.5\nweight_decay = 0.1\nbeta1 = 0.8\nbeta2 = 0.9\neps = 1e-6\n");
    loci_context *cx = NULL;
    loci_model *m = NULL;
    double norm = 0, expect = 0;

    CK_OK(loci_context_new(&cx, c, getenv("LOCI_TEST_PLUGINS"), false, &ck_err));
    CK_OK(loci_model_new(&m, cx, &ck_err));
    CK_OK(loci_model_alloc(m, true, 1, &ck_err));
    for (uint32_t i = 0; i < m->weights.n; i++)
        for (uint64_t j = 0; j < m->weights.at[i]->elements; j++) {
            double g = 0.01 * (double)(j % 7) - 0.02;
            ((double *)loci_ptr(&m->weights.at[i]->grad.t))[j] = g;
            expect += g * g;
        }
    CK_OK(loci_optimiser_norm(m, &norm, &ck_err));
    CU_ASSERT_DOUBLE_EQUAL(norm, sqrt(expect), 1e-12);
    for (uint32_t i = 0; i < m->weights.n; i++) {
        const loci_weight *w = m->weights.at[i];
        double *p = loci_ptr(&w->value.t), g = ((double *)loci_ptr(&w->grad.t))[0], start = p[0], mean = 0, square = 0,
               want = start, scale = norm > 0.5 ? 0.5 / norm : 1, decay = w->flags & LOCI_SLOT_NO_DECAY ? 0 : 0.1;
        if (i > 0)
            break;
        for (int t = 0; t < 2; t++) {
            mean = 0.8 * mean + 0.2 * g * scale;
            square = 0.9 * square + 0.1 * g * g * scale * scale;
            want -= 0.01 * (mean / (1 - pow(0.8, t + 1)) / (sqrt(square / (1 - pow(0.9, t + 1))) + 1e-6) + decay * want);
            CK_OK(loci_optimiser_step(m, c, 0.01, t, norm, &ck_err));
        }
        CU_ASSERT_DOUBLE_EQUAL(p[0], want, 1e-12);
    }
    loci_model_free(m);
    loci_context_free(cx);
    loci_conf_free(c);
}

static char folder[] = "/tmp/loci-test-train-XXXXXX";

static loci_data *data_of(const char *more, int64_t seq, size_t bytes)
{
    char path[128], text[400];
    char *all = loci_alloc(bytes);
    loci_data *d = NULL;
    loci_conf *c;

    for (size_t i = 0; i < bytes; i++)
        all[i] = (char)(i * 7 % 251);
    snprintf(path, sizeof path, "%s/text", folder);
    CU_ASSERT(loci_file_write(path, all, bytes, &ck_err) == LOCI_OK);
    loci_free(all);
    snprintf(text, sizeof text, "[data]\ntrain = %s\n%s", path, more);
    c = conf_of(text);
    if (loci_data_open(&d, c, seq, &ck_err) != LOCI_OK)
        d = NULL;
    loci_conf_free(c);
    return d;
}

static void validation_text_is_never_trained_on(void)
{
    loci_data *d = data_of("valid_fraction = 0.25\n", 8, 1000);
    const struct loci_text_data *x;
    int32_t in[4 * 8], next[4 * 8];
    loci_run runs[4];

    CU_ASSERT_FATAL(d != NULL);
    x = d->own;
    CU_ASSERT_EQUAL(x->n_train, 750);
    CU_ASSERT_EQUAL(x->n_valid, 250);
    CU_ASSERT(x->valid == x->train + 750);
    for (uint64_t micro = 0; micro < 2000; micro++) {
        loci_data_batch(d, 3, micro, 4, 8, in, next, runs);
        for (int i = 0; i < 32; i++)
            CU_ASSERT_FATAL(in[i] >= 0 && in[i] < 256 && next[i] >= 0);
        for (int i = 0; i < 32; i++) /* bytes follow each other as in the text */
            if (i % 8 < 7)
                CU_ASSERT_FATAL(in[i + 1] == next[i]);
    }
    loci_data_free(d);
}

static void a_batch_depends_on_seed_and_step_alone(void)
{
    loci_data *d = data_of("", 16, 5000);
    int32_t a[64], b[64], c[64], next[64];
    loci_run runs[4];

    CU_ASSERT_FATAL(d != NULL);
    loci_data_batch(d, 3, 17, 4, 16, a, next, runs);
    loci_data_batch(d, 3, 18, 4, 16, c, next, runs);
    loci_data_batch(d, 3, 17, 4, 16, b, next, runs);
    CU_ASSERT(!memcmp(a, b, sizeof a));
    CU_ASSERT(memcmp(a, c, sizeof a) != 0);
    loci_data_batch(d, 4, 17, 4, 16, c, next, runs);
    CU_ASSERT(memcmp(a, c, sizeof a) != 0);
    loci_data_free(d);
}

static void windows_of_an_evaluation_do_not_overlap(void)
{
    loci_data *d = data_of("", 16, 5000);
    const struct loci_text_data *x;
    int32_t in[16], next[16];
    int64_t n;

    CU_ASSERT_FATAL(d != NULL);
    x = d->own;
    n = loci_data_windows(d, 0, 160, 16);
    CU_ASSERT_EQUAL(n, 10);
    CU_ASSERT_EQUAL(loci_data_windows(d, 3, 160, 16), 3);
    CU_ASSERT_EQUAL(loci_data_windows(d, 0, 1 << 30, 16), (int64_t)((x->n_valid - 1) / 16));
    n = loci_data_windows(d, 0, 1 << 30, 16);
    for (int64_t i = 0; i < n; i++) {
        loci_data_window(d, i, n, 16, in, next, NULL);
        CU_ASSERT_EQUAL(in[0], x->valid[i * (((int64_t)x->n_valid - 17) / (n - 1))]);
    }
    CU_ASSERT(((int64_t)x->n_valid - 17) / (n - 1) >= 16);
    loci_data_free(d);
}

static void carried_rows_read_their_share_in_order(void)
{
    loci_data *d = data_of("carry = yes\nvalid_fraction = 0.1\n", 10, 1000);
    int32_t in[20], next[20], last[2] = {0, 0};
    loci_run runs[2];

    CU_ASSERT_FATAL(d != NULL);
    for (uint64_t micro = 0; micro < 100; micro++) {
        loci_data_batch(d, 1, micro, 2, 10, in, next, runs);
        for (int r = 0; r < 2; r++) {
            CU_ASSERT_EQUAL(runs[r].pos % 10, 0);
            if (runs[r].pos > 0)
                CU_ASSERT_EQUAL(in[10 * r], last[r]);
            last[r] = next[10 * r + 9];
        }
    }
    CU_ASSERT_EQUAL(loci_data_longest(d, 2, 10), 450);
    loci_data_free(d);
}

static void too_little_text_is_refused_with_the_remedy(void)
{
    CU_ASSERT(data_of("", 64, 100) == NULL);
    CK_TRUE(strstr(ck_err.msg, "data.valid_fraction") != NULL, "%s", ck_err.msg);
    CU_ASSERT(data_of("", 500, 100) == NULL);
    CK_TRUE(strstr(ck_err.msg, "data.seq_tok") != NULL, "%s", ck_err.msg);
}

static void counting_baselines_are_ordered_and_exact_where_known(void)
{
    loci_data *d = data_of("", 16, 20000); /* the next byte follows from the last one */
    loci_baselines b;

    CU_ASSERT_FATAL(d != NULL);
    CK_OK(loci_data_baselines(&b, d, 100, 16, &ck_err));
    CU_ASSERT_EQUAL(b.n, 3);
    CU_ASSERT_DOUBLE_EQUAL(b.at[0].loss, log(256), 1e-12);
    CU_ASSERT(b.at[2].loss < b.at[1].loss && b.at[1].loss < b.at[0].loss);
    CU_ASSERT(fabs(b.at[1].loss - log(251)) < 0.01);
    loci_data_free(d);
}

static void note(void *arg, const char *section, const char *key, const char *a, const char *b)
{
    loci_text_add(arg, "%s.%s:%s>%s ", section, key, a ? a : "-", b ? b : "-");
}

static void config_differences_are_listed_once_each(void)
{
    loci_text t = {0};

    CK_OK(loci_conf_diff("[a]\nx = 1\ny = 2\n[b]\nz = 3\n", "# c\n[a]\nx = 1\ny = 5\n[c]\nw = 9\n", note, &t, &ck_err));
    CU_ASSERT_STRING_EQUAL(t.at, "a.y:2>5 b.z:3>- c.w:->9 ");
    loci_text_free(&t);
}

static void arms_are_checked_before_anything_runs(void)
{
    static const struct {
        const char *text, *vary, *want;
    } bad[] = {{"[model]\ndim = 8\n", "", "two arms"},
               {"[arm.a.model]\ndim = 8\n[arm.b]\n", "model.dim=8,16", "nothing else"},
               {"[model]\ndim = 8\n", "model.dim", "section.key=value"},
               {"[compare]\nseeds = 0\n", "model.dim=8,16", "seeds"},
               {"[compare]\nseeds = 1,1\n", "model.dim=8,16", "twice"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        loci_comparison *c = NULL;
        loci_conf *conf = conf_of(bad[i].text);
        const char *name = "x";
        loci_status s = loci_comparison_new(&c, &conf, &name, 1, bad[i].vary, folder, &ck_err);
        CU_ASSERT_EQUAL(s, LOCI_E_CONFIG);
        CK_TRUE(strstr(ck_err.msg, bad[i].want) != NULL, "%s", ck_err.msg);
        loci_comparison_free(c);
    }
}

static void arms_know_in_which_keys_they_differ(void)
{
    loci_comparison *c = NULL;
    loci_conf *conf = conf_of("[model]\nlayers = 1\n[mixer.mha]\nheads = 2\n[arm.small.model]\ndim = 8\n[arm.base]\n");
    const char *name = "x";

    CK_OK(loci_comparison_new(&c, &conf, &name, 1, "", folder, &ck_err));
    CK_OK(loci_comparison_check(c, getenv("LOCI_TEST_PLUGINS"), false, &ck_err));
    CU_ASSERT_EQUAL_FATAL(c->n_keys, 1);
    CU_ASSERT_STRING_EQUAL(c->keys[0].key, "model.dim");
    CU_ASSERT_STRING_EQUAL(c->keys[0].values[0], "8");
    CU_ASSERT_STRING_EQUAL(c->keys[0].values[1], "128");
    CU_ASSERT(c->share_equal < 0.01);
    loci_comparison_free(c);
}

#define TESTS(X) \
    X(schedules_follow_their_formulas) \
    X(adamw_follows_its_formula_and_clips_by_the_global_norm) \
    X(validation_text_is_never_trained_on) \
    X(a_batch_depends_on_seed_and_step_alone) \
    X(windows_of_an_evaluation_do_not_overlap) \
    X(carried_rows_read_their_share_in_order) \
    X(too_little_text_is_refused_with_the_remedy) \
    X(counting_baselines_are_ordered_and_exact_where_known) \
    X(config_differences_are_listed_once_each) \
    X(arms_are_checked_before_anything_runs) \
    X(arms_know_in_which_keys_they_differ)

static int clean_up(void)
{
    return loci_folder_remove(folder, NULL) == LOCI_OK ? 0 : 1;
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : NULL;
    CU_pSuite suite;

    if (!mkdtemp(folder) || CU_initialize_registry() != CUE_SUCCESS ||
        !(suite = CU_add_suite("train", NULL, clean_up)))
        return 1;
    TESTS(CK_ADD_)
    return ck_run();
}

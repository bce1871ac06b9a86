/* SPDX-License-Identifier: Apache-2.0
 *
 * loci inspect: what is in a file of tensors, a checkpoint or a run.
 *
 *  (1) Without --gates nothing is run and no plugin is loaded: files are read, within their limits.
 *  (2) One document is made, and printed either as it is or as text.
 */
#include "cli/inspect.h"
#include "core/train/train.h"
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *tensor, *text;
static bool values, diff, gates;

enum { KEY_TENSOR = 2000, KEY_VALUES, KEY_DIFF, KEY_GATES, KEY_TEXT, BINS = 16, BAR = 48 };

static const struct argp_option options[] = {
    {"tensor", KEY_TENSOR, "NAME", 0, "One tensor: figures and a histogram", 1},
    {"values", KEY_VALUES, 0, 0, "With --tensor: its values, as CSV, a line for each row of the last axis", 1},
    {"diff", KEY_DIFF, 0, 0, "Compare two; ends with 0 when they are equal and with 6 when they differ", 1},
    {"gates", KEY_GATES, 0, 0, "Run one batch through a checkpoint and look at its gates and memories", 1},
    {"text", KEY_TEXT, "FILE", 0, "With --gates: the text to read instead of the checkpoint's own", 1},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    (void)state;
    switch (key) {
    case KEY_TENSOR:
        tensor = arg;
        return 0;
    case KEY_VALUES:
        values = true;
        return 0;
    case KEY_DIFF:
        diff = true;
        return 0;
    case KEY_GATES:
        gates = true;
        return 0;
    case KEY_TEXT:
        text = arg;
        gates = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- pieces of the document ------------------------------------------------------------------------------------------ */

json_t *inspect_array(const double *v, size_t n)
{
    json_t *all = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(all, cli_real(v[i]));
    return all;
}

static json_t *shape_json(const loci_named *t)
{
    json_t *all = json_array();

    for (int32_t i = 0; i < t->ndim; i++)
        json_array_append_new(all, json_integer(t->shape[i]));
    return all;
}

const char *inspect_shape(char *room, size_t n, const json_t *shape)
{
    size_t at = 0;

    snprintf(room, n, "one value");
    for (size_t i = 0; i < json_array_size(shape) && at < n; i++)
        at += (size_t)snprintf(room + at, n - at, "%s%lld", i ? "x" : "",
                               (long long)json_integer_value(json_array_get(shape, i)));
    return room;
}

static json_t *tensor_json(const loci_named *t, const loci_figures *f)
{
    double zeros = f->n ? (double)f->zeros / (double)f->n : 0;

    return json_pack("{s:s, s:s, s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:f, s:I}", "name", t->name, "dtype",
                     loci_dtype_name(t->dtype), "shape", shape_json(t), "elements", (json_int_t)f->n, "bytes",
                     (json_int_t)t->bytes, "rms", cli_real(f->rms), "mean", cli_real(f->mean), "std", cli_real(f->std),
                     "min", cli_real(f->min), "max", cli_real(f->max), "max_abs", cli_real(f->max_abs), "zeros", zeros,
                     "not_finite", (json_int_t)f->not_finite);
}

/* The norm of each stream and head: a state is [streams, heads, ...]. The tails of convolutions have no heads, and a long
 * second axis holds the rows of a cache. */
static json_t *norms_json(const loci_named *t)
{
    enum { MOST_HEADS = 64 };
    json_t *all = json_array();
    uint64_t each;

    if (t->ndim < 3 || t->shape[1] > MOST_HEADS || strstr(t->name, ".front.") || t->bytes == 0)
        return all;
    each = loci_named_elements(t) / (uint64_t)(t->shape[0] * t->shape[1]);
    for (int64_t s = 0; s < t->shape[0]; s++) {
        json_t *row = json_array();
        for (int64_t h = 0; h < t->shape[1]; h++) {
            double squares = 0;
            for (uint64_t i = 0; i < each; i++) {
                double v = loci_named_value(t, (uint64_t)(s * t->shape[1] + h) * each + i);
                squares += v * v;
            }
            json_array_append_new(row, cli_real(sqrt(squares)));
        }
        json_array_append_new(all, row);
    }
    return all;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const loci_named *const *)a)->name, (*(const loci_named *const *)b)->name);
}

loci_status inspect_file(json_t **out, const char *path, bool norms, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_tensors *file = NULL;
    const loci_named **sorted = NULL;
    json_t *all = json_array();
    uint64_t elements = 0, bytes = 0, bad = 0;
    uint32_t n;

    *out = NULL;
    LOCI_TRY(loci_tensors_open(&file, path, err));
    n = loci_tensors_n(file);
    sorted = loci_alloc((n + (size_t)1) * sizeof *sorted);
    if (!sorted) {
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory for the names in %s", path);
        goto out;
    }
    for (uint32_t i = 0; i < n; i++)
        sorted[i] = loci_tensors_at(file, i);
    qsort(sorted, n, sizeof *sorted, by_name);
    for (uint32_t i = 0; i < n; i++) {
        loci_figures f = loci_figures_of(sorted[i]);
        json_t *one = tensor_json(sorted[i], &f);
        if (norms)
            json_object_set_new(one, "norms", norms_json(sorted[i]));
        json_array_append_new(all, one);
        elements += f.n;
        bytes += sorted[i]->bytes;
        bad += f.not_finite;
    }
    *out = json_pack("{s:s, s:O, s:I, s:I, s:I}", "path", path, "tensors", all, "elements", (json_int_t)elements, "bytes",
                     (json_int_t)bytes, "not_finite", (json_int_t)bad);
    if (!*out)
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory for the figures of %s", path);
out:
    json_decref(all);
    loci_free(sorted);
    loci_tensors_close(file);
    return status;
}

/* ---- as text ------------------------------------------------------------------------------------------------------------ */

/* How much of "layer.3.memory.front.q.weight" is a heading: "layer.3.memory", or nothing. */
static size_t heading(const char *name)
{
    const char *at = name;

    if (strncmp(name, "layer.", 6))
        return 0;
    for (int dots = 0; *at; at++)
        if (*at == '.' && ++dots == 3)
            return (size_t)(at - name);
    return 0;
}

static void print_norms(const json_t *norms)
{
    loci_text t = {0};
    char label[64];

    for (size_t s = 0; s < json_array_size(norms); s++) {
        const json_t *row = json_array_get(norms, s);
        for (size_t h = 0; h < json_array_size(row); h++)
            loci_text_add(&t, " %.4g", json_number_value(json_array_get(row, h)));
        snprintf(label, sizeof label, "      norm by head, stream %zu:", s);
        cli_wrap(label, 31, t.at ? t.at + 1 : "");
        loci_text_free(&t);
    }
}

static void print_tensor_line(const json_t *t, size_t skip)
{
    char size[32], shape[64];
    json_int_t bad = json_integer_value(json_object_get(t, "not_finite"));

    printf("%*s%-*s %-4s %-11s %9s %8.3g %8.3g %3.0f %%", skip ? 4 : 2, "", skip ? 23 : 25, cli_text(t, "name") + skip,
           cli_text(t, "dtype"),
           inspect_shape(shape, sizeof shape, json_object_get(t, "shape")),
           cli_bytes(size, (uint64_t)json_integer_value(json_object_get(t, "bytes"))),
           json_number_value(json_object_get(t, "rms")), json_number_value(json_object_get(t, "max_abs")),
           100 * json_number_value(json_object_get(t, "zeros")));
    if (bad)
        printf("  %lld not finite", (long long)bad);
    putchar('\n');
    print_norms(json_object_get(t, "norms"));
}

void inspect_print_file(const json_t *file, const char *title)
{
    const json_t *all = json_object_get(file, "tensors");
    const char *last = "";
    size_t last_n = 0;
    char b[32];

    printf("%s%s: %zu tensors, %lld values, %s", title, cli_text(file, "path"), json_array_size(all),
           (long long)json_integer_value(json_object_get(file, "elements")),
           cli_bytes(b, (uint64_t)json_integer_value(json_object_get(file, "bytes"))));
    if (json_integer_value(json_object_get(file, "not_finite")))
        printf(", %lld NOT FINITE", (long long)json_integer_value(json_object_get(file, "not_finite")));
    putchar('\n');
    if (json_array_size(all))
        printf("  %-25s %-4s %-11s %9s %8s %8s %5s\n", "name", "type", "shape", "size", "rms", "max |x|", "zeros");
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *t = json_array_get(all, i);
        const char *name = cli_text(t, "name");
        size_t n = heading(name);
        if (n && (n != last_n || strncmp(name, last, n)))
            printf("  %.*s\n", (int)n, name);
        last = name;
        last_n = n;
        print_tensor_line(t, n ? n + 1 : 0);
    }
}

/* ---- one tensor ----------------------------------------------------------------------------------------------------- */

static void print_values(const loci_named *t)
{
    uint64_t n = loci_named_elements(t), row = t->ndim ? (uint64_t)t->shape[t->ndim - 1] : 1;

    for (uint64_t i = 0; i < n; i++)
        printf("%.9g%s", loci_named_value(t, i), (i + 1) % row ? "," : "\n");
}

static void print_histogram(const json_t *counts, double lo, double hi)
{
    double width = (hi - lo) / BINS;
    json_int_t most = 1;

    for (size_t i = 0; i < BINS; i++) {
        json_int_t n = json_integer_value(json_array_get(counts, i));
        most = n > most ? n : most;
    }
    for (size_t i = 0; i < BINS; i++) {
        json_int_t n = json_integer_value(json_array_get(counts, i));
        int bar = (int)((n * BAR + most - 1) / most);
        printf("  %11.4g %-*.*s %lld\n", lo + width * (double)i, BAR, bar,
               "################################################", (long long)n);
    }
}

static void print_tensor(const json_t *t)
{
    const json_t *h = json_object_get(t, "histogram");
    char shape[64];

    printf("%s: %s, %s\n", cli_text(t, "name"), cli_text(t, "dtype"),
           inspect_shape(shape, sizeof shape, json_object_get(t, "shape")));
    printf("  mean %.6g  std %.6g  rms %.6g\n  min %.6g  max %.6g\n", json_number_value(json_object_get(t, "mean")),
           json_number_value(json_object_get(t, "std")), json_number_value(json_object_get(t, "rms")),
           json_number_value(json_object_get(t, "min")), json_number_value(json_object_get(t, "max")));
    printf("  zeros %.2f %%, not finite %lld of %lld\n", 100 * json_number_value(json_object_get(t, "zeros")),
           (long long)json_integer_value(json_object_get(t, "not_finite")),
           (long long)json_integer_value(json_object_get(t, "elements")));
    if (h)
        print_histogram(json_object_get(h, "counts"), json_number_value(json_object_get(t, "min")),
                        json_number_value(json_object_get(t, "max")));
}

static loci_status show_tensor(const loci_named *t, bool as_json, loci_error *err)
{
    loci_figures f = loci_figures_of(t);
    uint64_t counts[BINS];
    json_t *doc = tensor_json(t, &f), *bins = json_array(), *list = json_array();

    if (values && !as_json) {
        json_decref(doc);
        json_decref(bins);
        json_decref(list);
        print_values(t);
        return LOCI_OK;
    }
    if (f.n > f.not_finite) {
        loci_figures_bins(counts, BINS, t, &f);
        for (int i = 0; i < BINS; i++)
            json_array_append_new(bins, json_integer((json_int_t)counts[i]));
        json_object_set_new(doc, "histogram", json_pack("{s:f, s:f, s:O}", "from", f.min, "to", f.max, "counts", bins));
    }
    for (uint64_t i = 0; values && i < f.n; i++)
        json_array_append_new(list, cli_real(loci_named_value(t, i)));
    if (values)
        json_object_set(doc, "values", list);
    json_decref(bins);
    json_decref(list);
    if (as_json)
        return cli_print_json(doc, err);
    print_tensor(doc);
    json_decref(doc);
    return LOCI_OK;
}

static const char *nearest_name(const loci_tensors *file, const char *name)
{
    const char *nearest = NULL;
    unsigned best = 12;

    for (uint32_t i = 0; i < loci_tensors_n(file); i++) {
        unsigned d = loci_distance(name, loci_tensors_at(file, i)->name, best);
        if (d < best) {
            best = d;
            nearest = loci_tensors_at(file, i)->name;
        }
    }
    return nearest;
}

static loci_status one_tensor(const char *const *paths, size_t n, bool as_json, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_tensors *file = NULL;
    const loci_named *t = NULL;
    loci_text near = {0};

    for (size_t i = 0; i < n && !t; i++) {
        loci_tensors_close(file);
        file = NULL;
        if (n > 1 && access(paths[i], F_OK) != 0)
            continue;
        LOCI_TRY(loci_tensors_open(&file, paths[i], err));
        t = loci_tensors_find(file, tensor);
        if (!t && nearest_name(file, tensor) && !near.len)
            loci_text_add(&near, ": did you mean `%s`?", nearest_name(file, tensor));
    }
    status = t ? show_tensor(t, as_json, err)
               : loci_fail(err, LOCI_E_ARG, "there is no tensor `%s` in %s%s", tensor, paths[0], near.at ? near.at : "");
out:
    loci_text_free(&near);
    loci_tensors_close(file);
    return status;
}

/* ---- two of them ---------------------------------------------------------------------------------------------------- */

static bool is_file(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && !S_ISDIR(st.st_mode);
}

/* The file of weights behind a word: itself, or that of a checkpoint or run. loci_free it. */
static loci_status weights_of(char **out, const char *word, loci_error *err)
{
    loci_status status = LOCI_OK;
    char folder[4096];

    *out = NULL;
    if (!is_file(word))
        LOCI_TRY(cli_checkpoint(folder, sizeof folder, word, err));
    *out = is_file(word) ? loci_strdup(word) : loci_format("%s/model.safetensors", folder);
    if (!*out)
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory");
out:
    return status;
}

static json_t *difference_json(const loci_difference *d)
{
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "name", d->name, "what",
                     !d->b           ? "only in a"
                     : !d->a         ? "only in b"
                     : d->comparable ? "values"
                                     : "shape or type",
                     "a", d->a ? shape_json(d->a) : json_null(), "b", d->b ? shape_json(d->b) : json_null(), "relative_rms",
                     cli_real(d->rel), "max_abs", cli_real(d->max_abs));
}

static void print_difference(const json_t *d)
{
    const char *what = cli_text(d, "what");
    char a[64], b[64];

    if (!strcmp(what, "values"))
        printf("  %9.3g %9.3g  %s\n", json_number_value(json_object_get(d, "relative_rms")),
               json_number_value(json_object_get(d, "max_abs")), cli_text(d, "name"));
    else if (!strncmp(what, "only", 4))
        printf("  %19s  %s\n", what, cli_text(d, "name"));
    else
        printf("  %19s  %s: %s, %s\n", "shape or type", cli_text(d, "name"),
               inspect_shape(a, sizeof a, json_object_get(d, "a")), inspect_shape(b, sizeof b, json_object_get(d, "b")));
}

static void print_diff(const json_t *doc)
{
    const json_t *all = json_object_get(doc, "differences");

    printf("a  %s\nb  %s\n", cli_text(doc, "a"), cli_text(doc, "b"));
    if (json_array_size(all))
        printf("  %9s %9s  %s\n", "rel rms", "max |d|", "name");
    for (size_t i = 0; i < json_array_size(all); i++)
        print_difference(json_array_get(all, i));
    printf("%lld of %lld tensors are equal\n", (long long)json_integer_value(json_object_get(doc, "equal")),
           (long long)json_integer_value(json_object_get(doc, "tensors")));
}

static loci_status compare(const char *left, const char *right, bool as_json, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_tensors *a = NULL, *b = NULL;
    loci_difference *list = NULL;
    char *paths[2] = {NULL, NULL};
    json_t *all = json_array(), *doc;
    uint32_t n = 0, same = 0;

    LOCI_TRY(weights_of(&paths[0], left, err));
    LOCI_TRY(weights_of(&paths[1], right, err));
    LOCI_TRY(loci_tensors_open(&a, paths[0], err));
    LOCI_TRY(loci_tensors_open(&b, paths[1], err));
    LOCI_TRY(loci_tensors_diff(&list, &n, a, b, err));
    for (uint32_t i = 0; i < n; i++) {
        same += list[i].same;
        if (!list[i].same)
            json_array_append_new(all, difference_json(&list[i]));
    }
    doc = json_pack("{s:s, s:s, s:O, s:I, s:I}", "a", paths[0], "b", paths[1], "differences", all, "equal",
                    (json_int_t)same, "tensors", (json_int_t)n);
    if (as_json) {
        LOCI_TRY(cli_print_json(doc, err));
    } else {
        print_diff(doc);
        json_decref(doc);
    }
    if (same < n)
        status = loci_fail(err, LOCI_E_CHECKPOINT, "they differ in %u of %u tensors", n - same, n);
out:
    json_decref(all);
    loci_free(list);
    loci_tensors_close(a);
    loci_tensors_close(b);
    loci_free(paths[0]);
    loci_free(paths[1]);
    return status;
}

/* ---- folders ------------------------------------------------------------------------------------------------------------ */

static loci_status put_file(json_t *doc, const char *key, const char *folder, const char *file, bool norms, bool needed,
                            loci_error *err)
{
    char *path = loci_format("%s/%s", folder, file);
    json_t *one = NULL;
    loci_status status = path ? LOCI_OK : loci_fail(err, LOCI_E_NOMEM, "out of memory");

    if (path && (needed || access(path, F_OK) == 0))
        status = inspect_file(&one, path, norms, err);
    if (one)
        json_object_set_new(doc, key, one);
    loci_free(path);
    return status;
}

static loci_status folder_json(json_t *doc, const char *word, const struct options *o, loci_error *err)
{
    loci_status status = LOCI_OK;
    char *log = loci_format("%s/log.jsonl", word), folder[4096];
    bool run = log && access(log, F_OK) == 0;
    json_t *part = NULL;
    loci_error why = LOCI_ERROR_INIT;

    if (run) {
        LOCI_TRY(inspect_log(&part, word, err));
        json_object_set_new(doc, "log", part);
    }
    status = cli_checkpoint(folder, sizeof folder, word, &why);
    if (status != LOCI_OK && run && !gates) { /* a run that has saved nothing yet */
        json_object_set_new(doc, "no_checkpoint", json_string(why.msg));
        status = LOCI_OK;
        goto out;
    }
    if (status != LOCI_OK) {
        loci_fail(err, status, "%s", why.msg);
        goto out;
    }
    LOCI_TRY(inspect_facts(&part, folder, err));
    json_object_set_new(doc, "checkpoint", part);
    LOCI_TRY(put_file(doc, "model", folder, "model.safetensors", false, true, err));
    LOCI_TRY(put_file(doc, "state", folder, "state.safetensors", true, false, err));
    LOCI_TRY(put_file(doc, "optimizer", folder, "optimizer.safetensors", false, false, err));
    if (gates) {
        LOCI_TRY(inspect_gates(&part, folder, text, o, err));
        json_object_set_new(doc, "gates", part);
    }
out:
    loci_free(log);
    return status;
}

static void print_folder(const json_t *doc)
{
    const json_t *optimizer = json_object_get(doc, "optimizer"), *state = json_object_get(doc, "state");
    char b[32];

    if (json_object_get(doc, "log"))
        inspect_print_log(json_object_get(doc, "log"));
    if (json_object_get(doc, "no_checkpoint"))
        cli_wrap("", 0, cli_text(doc, "no_checkpoint"));
    if (json_object_get(doc, "checkpoint"))
        inspect_print_facts(json_object_get(doc, "checkpoint"));
    if (json_object_get(doc, "model"))
        inspect_print_file(json_object_get(doc, "model"), "\n");
    if (json_array_size(json_object_get(state, "tensors")))
        inspect_print_file(state, "\n");
    if (optimizer)
        printf("\n%s: moments of %zu tensors, %s%s\n", cli_text(optimizer, "path"),
               json_array_size(json_object_get(optimizer, "tensors")) / 2,
               cli_bytes(b, (uint64_t)json_integer_value(json_object_get(optimizer, "bytes"))),
               json_integer_value(json_object_get(optimizer, "not_finite")) ? ", SOME NOT FINITE" : "");
    if (json_object_get(doc, "gates"))
        inspect_print_gates(json_object_get(doc, "gates"));
}

static loci_status whole(const char *word, const struct options *o, loci_error *err)
{
    loci_status status = LOCI_OK;
    json_t *doc = NULL;
    bool file = is_file(word);

    if (file && gates)
        return loci_fail(err, LOCI_E_ARG, "%s is a file: --gates needs a checkpoint or a run, which know their config", word);
    if (file) {
        LOCI_TRY(inspect_file(&doc, word, false, err));
    } else {
        doc = json_object();
        LOCI_TRY(folder_json(doc, word, o, err));
    }
    if (o->json) {
        json_incref(doc);
        status = cli_print_json(doc, err);
    } else if (file) {
        inspect_print_file(doc, "");
    } else {
        print_folder(doc);
    }
out:
    json_decref(doc);
    return status;
}

static loci_status run(const struct options *o, loci_error *err)
{
    loci_status status = LOCI_OK;
    char folder[4096], *paths[3] = {NULL, NULL, NULL};

    if (o->n_words != (diff ? 2 : 1))
        return loci_fail(err, LOCI_E_ARG, "inspect takes %s, and %zu were given",
                         diff ? "two files, checkpoints or runs with --diff" : "one file, checkpoint or run", o->n_words);
    if (values && !tensor)
        return loci_fail(err, LOCI_E_ARG, "--values prints one tensor: name it with --tensor");
    if (diff && (tensor || gates))
        return loci_fail(err, LOCI_E_ARG, "--diff goes with neither --tensor nor --gates");
    if (diff)
        return compare(o->words[0], o->words[1], o->json, err);
    if (!tensor)
        return whole(o->words[0], o, err);
    if (is_file(o->words[0]))
        return one_tensor(o->words, 1, o->json, err);
    LOCI_TRY(cli_checkpoint(folder, sizeof folder, o->words[0], err));
    paths[0] = loci_format("%s/model.safetensors", folder);
    paths[1] = loci_format("%s/state.safetensors", folder);
    paths[2] = loci_format("%s/optimizer.safetensors", folder);
    status = paths[0] && paths[1] && paths[2] ? one_tensor((const char *const *)paths, 3, o->json, err)
                                              : loci_fail(err, LOCI_E_NOMEM, "out of memory");
out:
    for (int i = 0; i < 3; i++)
        loci_free(paths[i]);
    return status;
}

const struct verb verb_inspect = {
    "inspect", "PATH...", "what is in a checkpoint, a run or a file of tensors",
    "Show a safetensors, npy or npz file, a checkpoint folder, or a run folder: shapes, sizes, norms, and what is not "
    "finite. Only --gates runs anything: it reads one batch of validation text and tells what the gates did and how the "
    "memories grew.\v"
    "  loci inspect runs/mac\n"
    "  loci inspect runs/mac --gates\n"
    "  loci inspect runs/mac --tensor=norm.weight --values\n"
    "  loci inspect --diff runs/a runs/b",
    options, parse, run};

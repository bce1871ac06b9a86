/* SPDX-License-Identifier: Apache-2.0
 *
 * loci inspect --tensor: one tensor: figures, a histogram, its values.
 */
#include "cli/inspect.h"
#include <unistd.h>

enum { BINS = 16, BAR = 48 };

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

static loci_status show_tensor(const loci_named *t, bool values, bool as_json, loci_error *err)
{
    loci_figures f = loci_figures_of(t);
    uint64_t counts[BINS];
    json_t *doc = inspect_tensor_json(t, &f), *bins = json_array(), *list = json_array();

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

loci_status inspect_tensor(const char *tensor, const char *const *paths, size_t n, bool values, bool as_json,
                           loci_error *err)
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
    status =
        t ? show_tensor(t, values, as_json, err)
          : loci_fail(err, LOCI_E_ARG, "there is no tensor `%s` in %s%s", tensor, paths[0], near.at ? near.at : "");
out:
    loci_text_free(&near);
    loci_tensors_close(file);
    return status;
}

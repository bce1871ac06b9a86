/* SPDX-License-Identifier: Apache-2.0
 *
 * loci inspect: a file of tensors as a table.
 */
#include "cli/inspect.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

json_t *inspect_array(const double *v, size_t n)
{
    json_t *all = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(all, cli_real(v[i]));
    return all;
}

json_t *inspect_shape_json(const loci_named *t)
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

json_t *inspect_tensor_json(const loci_named *t, const loci_figures *f)
{
    double zeros = f->n ? (double)f->zeros / (double)f->n : 0;

    return json_pack("{s:s, s:s, s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:f, s:I}", "name", t->name, "dtype",
                     loci_dtype_name(t->dtype), "shape", inspect_shape_json(t), "elements", (json_int_t)f->n, "bytes",
                     (json_int_t)t->bytes, "rms", cli_real(f->rms), "mean", cli_real(f->mean), "std", cli_real(f->std),
                     "min", cli_real(f->min), "max", cli_real(f->max), "max_abs", cli_real(f->max_abs), "zeros", zeros,
                     "not_finite", (json_int_t)f->not_finite);
}

/* The norm of each stream and head: a state is [streams, heads, ...]. The tails of convolutions have no heads, and a
 * long second axis holds the rows of a cache. */
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
        json_t *one = inspect_tensor_json(sorted[i], &f);
        if (norms)
            json_object_set_new(one, "norms", norms_json(sorted[i]));
        json_array_append_new(all, one);
        elements += f.n;
        bytes += sorted[i]->bytes;
        bad += f.not_finite;
    }
    *out = json_pack("{s:s, s:O, s:I, s:I, s:I}", "path", path, "tensors", all, "elements", (json_int_t)elements,
                     "bytes", (json_int_t)bytes, "not_finite", (json_int_t)bad);
    if (!*out)
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory for the figures of %s", path);
out:
    json_decref(all);
    loci_free(sorted);
    loci_tensors_close(file);
    return status;
}

/* ---- as text ---------------------------------------------------------------------------------------------------- */

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
           cli_text(t, "dtype"), inspect_shape(shape, sizeof shape, json_object_get(t, "shape")),
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

/* SPDX-License-Identifier: Apache-2.0
 *
 * loci inspect --diff: in what two files of tensors differ.
 */
#include "cli/inspect.h"
#include <string.h>

/* The file of weights behind a word: itself, or that of a checkpoint or run. loci_free it. */
static loci_status weights_of(char **out, const char *word, loci_error *err)
{
    loci_status status = LOCI_OK;
    char folder[4096];

    *out = NULL;
    if (!inspect_is_file(word))
        LOCI_TRY(cli_checkpoint(folder, sizeof folder, word, err));
    *out = inspect_is_file(word) ? loci_strdup(word) : loci_format("%s/model.safetensors", folder);
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
                     "a", d->a ? inspect_shape_json(d->a) : json_null(), "b",
                     d->b ? inspect_shape_json(d->b) : json_null(), "relative_rms", cli_real(d->rel), "max_abs",
                     cli_real(d->max_abs));
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
               inspect_shape(a, sizeof a, json_object_get(d, "a")),
               inspect_shape(b, sizeof b, json_object_get(d, "b")));
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

loci_status inspect_diff(const char *left, const char *right, bool as_json, loci_error *err)
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

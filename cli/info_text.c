/* SPDX-License-Identifier: Apache-2.0
 *
 * loci info: the document of a component as text.
 */
#include "cli/info.h"
#include "core/model/model.h"
#include <string.h>

static void print_shape(const json_t *shape)
{
    printf("[");
    for (size_t i = 0; i < json_array_size(shape); i++) {
        json_int_t n = json_integer_value(json_array_get(shape, i));
        if (n == -1)
            printf("%sstates", i ? ", " : "");
        else if (n == -2)
            printf("%srows", i ? ", " : "");
        else
            printf("%s%lld", i ? ", " : "", (long long)n);
    }
    printf("]");
}

/* "[0, 65536]", "exact|frozen"; "" without limits. */
static void print_range(loci_text *t, const json_t *range)
{
    if (json_is_string(range))
        loci_text_add(t, "; %s", json_string_value(range));
    else if (json_is_array(range) && json_is_null(json_array_get(range, 1)))
        loci_text_add(t, "; %.10g or more", json_number_value(json_array_get(range, 0)));
    else if (json_is_array(range))
        loci_text_add(t, "; %.10g to %.10g", json_number_value(json_array_get(range, 0)),
                      json_number_value(json_array_get(range, 1)));
}

static void print_keys(const json_t *doc)
{
    const json_t *keys = json_object_get(doc, "keys");

    if (json_array_size(keys))
        printf("\nkeys of [%s.%s]\n", cli_text(doc, "kind"), strchr(cli_text(doc, "id"), '/') + 1);
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *k = json_array_get(keys, i);
        loci_text t = {0};
        char label[160];
        snprintf(label, sizeof label, "  %-20s %-4s ", cli_text(k, "name"), cli_text(k, "type"));
        loci_text_add(&t, "%s", *cli_text(k, "default") ? cli_text(k, "default") : "(empty)");
        print_range(&t, json_object_get(k, "range"));
        loci_text_add(&t, "\n%s", cli_text(k, "doc"));
        cli_wrap(label, 28, t.at ? t.at : "");
        loci_text_free(&t);
    }
}

/* Inputs and outputs; weights and states are among the slots. */
static void print_ports(const json_t *ports)
{
    bool any = false;

    for (size_t i = 0; i < json_array_size(ports); i++) {
        const json_t *p = json_array_get(ports, i), *shape = json_object_get(p, "shape");
        const char *role = cli_text(p, "role");
        if (!strcmp(role, "weight") || !strcmp(role, "state"))
            continue;
        if (!any)
            printf("\ninputs and outputs of `loci apply`\n");
        any = true;
        printf("  %-24s %-7s [", cli_text(p, "name"), role);
        for (size_t k = 0; k < json_array_size(shape); k++) {
            const json_t *axis = json_array_get(shape, k);
            printf(json_is_string(axis) ? "%s%s" : "%s%.0s", k ? ", " : "", json_string_value(axis));
            if (!json_is_string(axis))
                printf("%lld", (long long)json_integer_value(axis));
        }
        printf("]%s\n", json_is_false(json_object_get(p, "needed")) && !strcmp(role, "input") ? "  or without" : "");
    }
}

void info_print(const json_t *doc)
{
    static const char *const parts[] = {"cost", "source", "use"};
    const json_t *slots = json_object_get(doc, "slots"), *gates = json_object_get(doc, "gates");
    const json_t *promises = json_object_get(doc, "promises");
    loci_text t = {0};

    loci_text_add(&t, "%s %s: %s", cli_text(doc, "id"), cli_text(doc, "version"), cli_text(doc, "doc"));
    cli_wrap("", 0, t.at ? t.at : "");
    loci_text_free(&t);
    if (*cli_text(doc, "formula"))
        printf("\n%s\n\n", cli_text(doc, "formula"));
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (*cli_text(doc, parts[i]))
            cli_wrap(parts[i], 10, cli_text(doc, parts[i]));
    for (size_t i = 0; i < json_array_size(promises); i++)
        loci_text_add(&t, "%s%s", i ? ", " : "with this config: ", json_string_value(json_array_get(promises, i)));
    if (t.len && json_is_false(json_object_get(doc, "causal")))
        loci_text_add(&t, "; not causality: a model with it " LOCI_NOT_CAUSAL);
    if (t.len)
        cli_wrap("promises", 10, t.at);
    loci_text_free(&t);
    print_keys(doc);
    if (json_array_size(slots))
        printf("\nslots\n");
    for (size_t i = 0; i < json_array_size(slots); i++) {
        const json_t *s = json_array_get(slots, i);
        printf("  %-24s %-7s ", cli_text(s, "name"), cli_text(s, "role"));
        print_shape(json_object_get(s, "shape"));
        printf("\n");
    }
    if (json_array_size(gates))
        printf("\ngates\n");
    for (size_t i = 0; i < json_array_size(gates); i++) {
        const json_t *g = json_array_get(gates, i), *range = json_object_get(g, "range");
        const json_t *hi = json_array_get(range, 1);
        printf("  %-24s [%g, ", cli_text(g, "name"), json_number_value(json_array_get(range, 0)));
        printf(json_is_string(hi) ? "inf" : "%g", json_number_value(hi));
        printf(")  starts at %g", json_number_value(json_object_get(g, "init")));
        if (json_integer_value(json_object_get(g, "width")) > 1)
            printf("  %lld numbers per head", (long long)json_integer_value(json_object_get(g, "width")));
        putchar('\n');
    }
    print_ports(json_object_get(doc, "ports"));
    if (json_is_false(json_object_get(doc, "layer")))
        printf("\nwith its front end, as in a model: loci info %s --layer\n", cli_text(doc, "id"));
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * loci explain: its document as text.
 */
#include "cli/explain.h"
#include <string.h>

enum { INDENT = 13 };

static void add_others(loci_text *t, const json_t *of)
{
    const json_t *others = json_object_get(of, "others");

    for (size_t i = 0; i < json_array_size(others); i++) {
        const json_t *o = json_array_get(others, i);
        const char *slash = strchr(cli_text(o, "id"), '/');
        loci_text_add(t, "%s%s (%d: %s)", i ? ", " : "others: ", slash ? slash + 1 : cli_text(o, "id"),
                      (int)json_integer_value(json_object_get(o, "score")), cli_text(o, "reason"));
    }
    loci_text_add(t, "%s", json_array_size(others) ? "" : "no others");
}

static void print_line(loci_text *t, const char *label)
{
    cli_wrap(label, INDENT, t->at ? t->at : "");
    loci_text_free(t);
}

static void print_part(const json_t *p)
{
    const json_t *keys = json_object_get(p, "keys"), *promises = json_object_get(p, "promises");
    const char *role = cli_text(p, "role"), *id = cli_text(p, "id");
    const char *name = strchr(id, '/') ? strchr(id, '/') + 1 : "none";
    loci_text t = {0};
    char label[40];
    bool any = false;

    snprintf(label, sizeof label, "  %s", role);
    loci_text_add(&t, "%s%s%s, %s at %s: %s.backend = %s", name, *id ? " " : "", cli_text(p, "version"),
                  strcmp(cli_text(p, "backend"), "auto") ? "named" : "chosen", cli_text(p, "origin"), role,
                  cli_text(p, "backend"));
    print_line(&t, label);
    if (!*id)
        return;
    loci_text_add(&t, "score %d: %s", (int)json_integer_value(json_object_get(p, "score")), cli_text(p, "reason"));
    print_line(&t, "");
    add_others(&t, p);
    print_line(&t, "");
    for (size_t i = 0; i < json_array_size(promises); i++)
        loci_text_add(&t, "%s%s", i ? ", " : "promises ", json_string_value(json_array_get(promises, i)));
    loci_text_add(&t, "; %lld parameters", (long long)json_integer_value(json_object_get(p, "parameters")));
    print_line(&t, "");
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *k = json_array_get(keys, i);
        if (!json_is_true(json_object_get(k, "set")))
            continue;
        loci_text_add(&t, "%s%s.%s = %s (%s)", any ? ", " : "set: ", cli_text(k, "section"), cli_text(k, "key"),
                      cli_text(k, "value"), cli_text(k, "origin"));
        any = true;
    }
    if (any)
        print_line(&t, "");
    cli_wrap("", INDENT, cli_text(p, "path"));
}

static void print_sizes(const json_t *s)
{
    char b[6][32];
    loci_text t = {0};
#define BYTES(i, key) cli_bytes(b[i], (uint64_t)json_integer_value(json_object_get(s, key)))

    loci_text_add(&t, "%lld parameters; state of a stream %s",
                  (long long)json_integer_value(json_object_get(s, "parameters")), BYTES(0, "state_bytes"));
    print_line(&t, "\nsizes");
    loci_text_add(&t,
                  "a training holds %s and its data: weights %s, gradients and moments %s, activations and scratch %s, "
                  "evaluation %s",
                  BYTES(0, "train_bytes"), BYTES(1, "weights_bytes"), BYTES(2, "optimiser_bytes"),
                  BYTES(3, "activations_bytes"), BYTES(4, "evaluation_bytes"));
    if (json_integer_value(json_object_get(s, "free_bytes")))
        loci_text_add(&t, "; this machine has %s free", BYTES(5, "free_bytes"));
#undef BYTES
    print_line(&t, "");
}

static void print_device(const json_t *d)
{
    loci_text t = {0};
    const char *id = strchr(cli_text(d, "id"), '/');

    loci_text_add(&t, "%s %s, %s at %s: run.device = %s", id ? id + 1 : "", cli_text(d, "version"),
                  strcmp(cli_text(d, "device"), "auto") ? "named" : "chosen", cli_text(d, "origin"),
                  cli_text(d, "device"));
    if (!strcmp(cli_text(d, "device"), "auto"))
        loci_text_add(&t, ", the first of run.order = %s that works", cli_text(d, "order"));
    print_line(&t, "device");
    loci_text_add(&t, "score %d: %s; %d threads", (int)json_integer_value(json_object_get(d, "score")),
                  cli_text(d, "reason"), (int)json_integer_value(json_object_get(d, "threads")));
    print_line(&t, "");
    add_others(&t, d);
    print_line(&t, "");
    cli_wrap("", INDENT, cli_text(d, "path"));
}

void explain_print(const json_t *doc)
{
    const json_t *layers = json_object_get(doc, "layers"), *warnings = json_object_get(doc, "warnings");
    const json_t *arms = json_object_get(doc, "arms"), *p;
    char b[32];
    size_t k;

    print_device(json_object_get(doc, "device"));
    for (size_t i = 0; i < json_array_size(layers); i++) {
        const json_t *l = json_array_get(layers, i);
        int first = (int)json_integer_value(json_object_get(l, "first"));
        int last = (int)json_integer_value(json_object_get(l, "last"));
        printf(first == last ? "\nlayer %d" : "\nlayers %d-%d", first, last);
        printf(": state of a stream %s%s\n",
               cli_bytes(b, (uint64_t)json_integer_value(json_object_get(l, "state_bytes"))),
               first == last ? "" : " in each");
        json_array_foreach(json_object_get(l, "parts"), k, p) print_part(p);
    }
    print_sizes(json_object_get(doc, "sizes"));
    for (size_t i = 0; i < json_array_size(warnings); i++)
        cli_wrap(i ? "" : "\nwarnings", INDENT, json_string_value(json_array_get(warnings, i)));
    if (json_array_size(arms)) {
        loci_text t = {0};
        for (size_t i = 0; i < json_array_size(arms); i++)
            loci_text_add(&t, "%s%s", i ? ", " : "", json_string_value(json_array_get(arms, i)));
        loci_text_add(&t, "; what stands above is the base of all: --arm NAME explains one");
        print_line(&t, "\narms");
    }
}

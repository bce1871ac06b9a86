/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: tests of what a class says of itself.
 */
#include "core/check/check.h"
#include "core/check/words.h"
#include "core/model/node_impl.h"
#include "core/plugin/note.h"

#include <ctype.h>
#include <string.h>

#define ALL_CAPS (LOCI_CAP_BACKWARD | LOCI_CAP_STREAMING | LOCI_CAP_CAUSAL | LOCI_CAP_CONTEXT)

/* "Cost: ", "Source: ", "Use: " in this order, each with text behind it. */
static loci_status check_doc(const char *doc, loci_error *err)
{
    static const char *const labels[] = {"Cost:", "Source:", "Use:"};
    size_t last = 0;

    if (!doc || !*doc || isspace((unsigned char)*doc))
        return loci_fail(err, LOCI_E_PLUGIN, "its doc is empty or begins with a space: it begins with the formula");
    for (const char *at = doc; *at; at += strcspn(at, "\n"), at += *at == '\n')
        for (size_t i = 0; i < 3; i++) {
            const size_t n = strlen(labels[i]);
            if (strncmp(at, labels[i], n) != 0)
                continue;
            if (at[n] != ' ' || strcspn(at + n + 1, "\n") == 0)
                return loci_fail(err, LOCI_E_PLUGIN, "the line `%s` of its doc is empty: text follows behind one space",
                                 labels[i]);
            if (i + 1 <= last)
                return loci_fail(err, LOCI_E_PLUGIN,
                                 "the line `%s` of its doc stands behind `%s`: Cost, Source, Use is the order",
                                 labels[i], labels[last - 1]);
            last = i + 1;
        }
    for (const char *p = doc; *p; p++)
        if (iscntrl((unsigned char)*p) && *p != '\n')
            return loci_fail(err, LOCI_E_PLUGIN, "its doc holds the control character %d: newlines only", *p);
    return LOCI_OK;
}

loci_status loci_check_class_text(loci_check *c, loci_error *err)
{
    const loci_class *k = c->cls;
    loci_status status;

    LOCI_TRY(loci_words_line(k->version, 64, "its version", err));
    if (strcspn(k->version, " \t") != strlen(k->version) || !isdigit((unsigned char)k->version[0]))
        LOCI_TRY(
            loci_fail(err, LOCI_E_PLUGIN, "its version is `%.40s`: numbers joined by dots are expected", k->version));
    LOCI_TRY(loci_words_line(k->summary, 120, "its summary", err));
    if (k->summary[strlen(k->summary) - 1] == '.')
        LOCI_TRY(loci_fail(err, LOCI_E_PLUGIN, "its summary ends with a full stop: it stands in a list"));
    LOCI_TRY(check_doc(k->doc, err));
    for (uint32_t i = 0; i < k->n_keys; i++) {
        char of[120];
        snprintf(of, sizeof of, "the help of key %.60s", k->keys[i]->name);
        LOCI_TRY(loci_words_line(k->keys[i]->help, 1000, of, err));
    }
out:
    return status;
}

static const char *words_for(uint64_t caps, char *to, size_t n)
{
    const char *name;
    uint64_t cap;

    to[0] = '\0';
    for (uint32_t i = 0; (name = loci_cap_name(i, &cap)); i++)
        if (caps & cap)
            snprintf(to + strlen(to), n - strlen(to), "%s%s", to[0] ? ", " : "", name);
    return to[0] ? to : "nothing";
}

loci_status loci_check_class_promises(loci_check *c, loci_error *err)
{
    const loci_class *k = c->cls;
    const bool layer = strcmp(c->kind, "attention") != 0;
    loci_config config;
    uint64_t now = k->caps;
    char words[200];
    loci_status status;

    LOCI_TRY(loci_node_config(c->cx, 0, k, &config, err));
    if (k->caps & ~ALL_CAPS)
        LOCI_TRY(loci_fail(err, LOCI_E_PLUGIN, "its caps are 0x%llx, this abi knows 0x%llx",
                           (unsigned long long)k->caps, (unsigned long long)ALL_CAPS));
    for (uint32_t i = 0; i < k->n_wants; i++)
        if (k->wants[i]->caps & ~ALL_CAPS)
            LOCI_TRY(loci_fail(err, LOCI_E_PLUGIN, "it wants a %s that promises 0x%llx, this abi knows 0x%llx",
                               k->wants[i]->role, (unsigned long long)k->wants[i]->caps, (unsigned long long)ALL_CAPS));
    if (LOCI_HAS_FN(k, loci_class, promises)) {
        loci_stage("promises");
        now = k->promises(&config);
        if (now & ~k->caps)
            LOCI_TRY(
                loci_fail(err, LOCI_E_PLUGIN,
                          "with this config it promises 0x%llx, more than its class does (0x%llx): caps is the most "
                          "that it can promise",
                          (unsigned long long)now, (unsigned long long)k->caps));
        if (k->promises(&config) != now)
            LOCI_TRY(loci_fail(err, LOCI_E_PLUGIN, "promises gave two answers to the same config"));
    }
    loci_check_note(c, "it promises %s%s", words_for(now, words, sizeof words),
                    layer && !(now & LOCI_CAP_CAUSAL) ? "; it is not causal with this config: it may see the future"
                                                      : "");
out:
    return status;
}

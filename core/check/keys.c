/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: test of a class's keys: every value that the config would let through is served or refused in words.
 *
 *  (1) One key is changed at a time, the others keep what the user or the class said.
 *  (2) fit may decline; then nothing is created. What is not declined is created alone first, for its own message, and
 *      then with its children, as a model does it.
 *  (3) Values are the choices of an ENUM, both of a BOOL, and the ends of a range. An end that would only ask for
 *      gigabytes is still a legal value: create may refuse it, and must not crash.
 */
#include "core/check/life.h"
#include "core/check/open.h"
#include "core/check/words.h"
#include "core/model/node_impl.h"
#include "core/plugin/note.h"

#include <math.h>
#include <string.h>

struct trying {
    loci_check *c;
    loci_ledger *ledger;
    char section[LOCI_MAX_ID + 16];
    uint32_t served, refused;
};

/* fit and create with the config as it is. *made: it was created. */
static loci_status alone(struct trying *t, const char *what, bool *made, loci_error *err)
{
    loci_check *c = t->c;
    const loci_site site = {sizeof site, 0, 1, 0, c->kind};
    loci_error said = LOCI_ERROR_INIT;
    loci_fit fit = {.struct_size = sizeof fit};
    loci_module *m = NULL;
    loci_config config;
    loci_shape shape;
    loci_status status;
    char of[300];

    *made = false;
    snprintf(of, sizeof of, "create with %.200s", what);
    loci_check_shape(&shape, c);
    LOCI_TRY(loci_node_config(c->cx, 0, c->cls, &config, err));
    loci_stage("fit with %s", what);
    LOCI_TRY(c->cls->fit(&t->ledger->host, &config, &shape, &fit));
    if (fit.score <= 0)
        return loci_words_line(fit.reason, sizeof fit.reason, "the reason of fit", err);
    loci_stage("%s", of);
    status = c->cls->create(&t->ledger->host, &config, &site, &shape, &m, &said);
    if (m) {
        loci_stage("destroy, after %s", of);
        c->cls->destroy(m);
    }
    *made = status == LOCI_OK;
    if (status != LOCI_OK)
        return loci_words_check(&said, status, of, err);
    LOCI_TRY(loci_ledger_balanced(t->ledger, of, err));
out:
    return status;
}

static loci_status with_children(struct trying *t, const char *what, bool *made, loci_error *err)
{
    loci_check *c = t->c;
    loci_error said = LOCI_ERROR_INIT;
    loci_weights weights = {0};
    loci_node *node = NULL;
    loci_shape shape;
    loci_status status;

    loci_check_shape(&shape, c);
    loci_stage("a model's component with %s", what);
    status = loci_node_new(&node, c->cx, &weights, c->kind, 0, 1, c->kind, &shape, 0, &said);
    loci_node_free(node);
    loci_weights_free(&weights, c->cx);
    *made = status == LOCI_OK;
    if (status != LOCI_OK && !said.msg[0])
        return loci_fail(err, LOCI_E_PLUGIN, "bind or declare with %s failed with status %d and no message", what,
                         (int)status);
    return LOCI_OK;
}

static loci_status try_value(struct trying *t, const char *key, const char *value, loci_error *err)
{
    char *text = loci_format("%s.%s=%s", t->section, key, value);
    const char *what;
    loci_status status;
    bool made = false;

    if (!text)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory");
    what = text + strlen(t->section) + 1;
    LOCI_TRY(loci_conf_set(t->c->conf, text, "check", err));
    LOCI_TRY(alone(t, what, &made, err));
    if (made && strcmp(t->c->kind, "device") != 0)
        LOCI_TRY(with_children(t, what, &made, err));
    *(made ? &t->served : &t->refused) += 1;
out:
    loci_free(text);
    return status;
}

static loci_status try_key(struct trying *t, const loci_key *k, loci_error *err)
{
    char *usual = loci_strdup(loci_conf_str(t->c->conf, 0, t->section, k->name));
    loci_status status = usual ? LOCI_OK : loci_fail(err, LOCI_E_NOMEM, "out of memory");
    char value[128];

    LOCI_TRY(status);
    if (k->type == LOCI_KEY_ENUM)
        for (const char *at = k->choices; *at;) {
            const size_t n = strcspn(at, "|");
            snprintf(value, sizeof value, "%.*s", (int)n, at);
            LOCI_TRY(try_value(t, k->name, value, err));
            at += n + (at[n] == '|');
        }
    if (k->type == LOCI_KEY_BOOL)
        for (int i = 0; i < 2; i++)
            LOCI_TRY(try_value(t, k->name, i ? "yes" : "no", err));
    if ((k->type == LOCI_KEY_INT || k->type == LOCI_KEY_REAL) && (k->min != 0 || k->max != 0))
        for (int i = 0; i < 2; i++) {
            const double end = i ? k->max : k->min;
            if (!isfinite(end))
                continue;
            snprintf(value, sizeof value, k->type == LOCI_KEY_INT ? "%.0f" : "%.17g", end);
            LOCI_TRY(try_value(t, k->name, value, err));
        }
    LOCI_TRY(try_value(t, k->name, usual, err));
out:
    loci_free(usual);
    return status;
}

loci_status loci_check_class_keys(loci_check *c, loci_error *err)
{
    struct trying t = {.c = c, .ledger = loci_ledger_new(c->cx)};
    loci_status status = LOCI_OK;

    if (!t.ledger)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory");
    snprintf(t.section, sizeof t.section, "%s.%s", c->kind, c->id);
    LOCI_TRY(loci_conf_schema(c->conf, t.section, c->cls->keys, c->cls->n_keys, err));
    for (uint32_t i = 0; i < c->cls->n_keys; i++)
        if (c->cls->keys[i]->type != LOCI_KEY_STR)
            LOCI_TRY(try_key(&t, c->cls->keys[i], err));
    loci_check_note(c, "%u keys: %u values served, %u refused in words", c->cls->n_keys, t.served, t.refused);
out:
    loci_ledger_free(t.ledger);
    return status;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * From configs to arms: who takes part, in which keys they differ, how much of them starts equal.
 */
#include "core/compare/compare.h"
#include <stdlib.h>
#include <string.h>

static loci_status no_memory(loci_error *err)
{
    return loci_fail(err, LOCI_E_NOMEM, "out of memory for a comparison");
}

/* ---- arms ------------------------------------------------------------------------------------------------------------------- */

static loci_status add_arm(loci_comparison *c, const char *name, loci_conf *conf, loci_error *err)
{
    loci_arm *grown = loci_realloc(c->arms, (c->n_arms + 1) * sizeof *c->arms);

    if (!grown) {
        loci_conf_free(conf);
        return no_memory(err);
    }
    c->arms = grown;
    c->arms[c->n_arms] = (loci_arm){.name = loci_strdup(name), .conf = conf};
    c->n_arms++;
    if (!c->arms[c->n_arms - 1].name)
        return no_memory(err);
    if (!*name || name[0] == '.' || strchr(name, '/'))
        return loci_fail(err, LOCI_E_CONFIG, "the arm `%s` cannot name a folder: use a name without / that does not begin "
                                             "with a dot",
                         name);
    for (uint32_t i = 0; i + 1 < c->n_arms; i++)
        if (!strcmp(c->arms[i].name, name))
            return loci_fail(err, LOCI_E_CONFIG, "two arms are called %s: give each file, or each value of --vary, once", name);
    return LOCI_OK;
}

struct varying {
    loci_comparison *c;
    const loci_conf *base;
    const char *key;
};

static loci_status add_value(void *arg, const char *item, loci_error *err)
{
    struct varying *v = arg;
    loci_status status = LOCI_OK;
    loci_conf *conf = NULL;
    char *set = loci_format("%s=%s", v->key, item);

    LOCI_TRY(set ? loci_conf_clone(&conf, v->base, err) : no_memory(err));
    LOCI_TRY(loci_conf_set(conf, set, "--vary", err));
    status = add_arm(v->c, item, conf, err);
    conf = NULL;
out:
    loci_conf_free(conf);
    loci_free(set);
    return status;
}

static loci_status vary_arms(loci_comparison *c, const loci_conf *base, const char *vary, loci_error *err)
{
    char *key = loci_strdup(vary), *equals = key ? strchr(key, '=') : NULL;
    struct varying v = {c, base, key};
    loci_status status;

    if (!key)
        return no_memory(err);
    if (!equals) {
        status = loci_fail(err, LOCI_E_CONFIG, "`%s` does not say what to vary: write section.key=value,value", vary);
    } else {
        char *end = equals;
        *equals = '\0';
        while (end > key && (end[-1] == ' ' || end[-1] == '\t'))
            *--end = '\0';
        status = loci_conf_split(equals + 1, add_value, &v, err);
    }
    loci_free(key);
    return status;
}

static loci_status make_arms(loci_comparison *c, loci_conf **confs, const char *const *names, uint32_t n,
                             const char *vary, loci_error *err)
{
    loci_status status = LOCI_OK;
    uint32_t sections = loci_conf_n_arms(confs[0]);

    if (n == 1 && *vary && sections)
        return loci_fail(err, LOCI_E_CONFIG, "the config has [arm.*] sections, and --vary %s asks for others: arms of a "
                                             "--vary may differ in nothing else",
                         vary);
    if (n > 1 && *vary)
        return loci_fail(err, LOCI_E_CONFIG, "--vary takes one config, and %u were given: arms of a --vary may differ in "
                                             "nothing else",
                         n);
    if (n == 1 && *vary)
        return vary_arms(c, confs[0], vary, err);
    for (uint32_t i = 0; n == 1 && i < sections; i++) {
        loci_conf *arm = NULL;
        LOCI_TRY(loci_conf_arm(&arm, confs[0], loci_conf_arm_name(confs[0], i), err));
        LOCI_TRY(add_arm(c, loci_conf_arm_name(confs[0], i), arm, err));
    }
    for (uint32_t i = 0; !(n == 1 && sections) && i < n; i++) {
        loci_conf *arm = NULL;
        if (loci_conf_n_arms(confs[i])) {
            status = loci_fail(err, LOCI_E_CONFIG, "%s has [arm.*] sections: compare it alone", names[i]);
            goto out;
        }
        LOCI_TRY(loci_conf_clone(&arm, confs[i], err));
        LOCI_TRY(add_arm(c, names[i], arm, err));
    }
out:
    return status;
}

static loci_status add_seed(void *arg, const char *item, loci_error *err)
{
    loci_comparison *c = arg;
    char *end;
    long long seed = strtoll(item, &end, 10);
    int64_t *grown;

    if (end == item || *end || seed < 0)
        return loci_fail(err, LOCI_E_CONFIG, "compare.seeds: `%s` is no seed: give a count, or a comma list of whole "
                                             "numbers from 0",
                         item);
    for (uint32_t i = 0; i < c->n_seeds; i++)
        if (c->seeds[i] == seed)
            return loci_fail(err, LOCI_E_CONFIG, "compare.seeds names %lld twice", seed);
    grown = loci_realloc(c->seeds, (c->n_seeds + 1) * sizeof *c->seeds);
    if (!grown)
        return no_memory(err);
    c->seeds = grown;
    c->seeds[c->n_seeds++] = seed;
    return LOCI_OK;
}

static loci_status make_seeds(loci_comparison *c, loci_error *err)
{
    loci_status status = LOCI_OK;
    const loci_conf *conf = c->arms[0].conf;
    const char *text = loci_conf_str(conf, -1, "compare", "seeds");
    long long count = strchr(text, ',') ? 0 : strtoll(text, NULL, 10);
    char item[32];

    if (strchr(text, ','))
        return loci_conf_split(text, add_seed, c, err);
    if (count < 1 || count > 1000)
        return loci_fail(err, LOCI_E_CONFIG, "%s: compare.seeds = %s must be 1 to 1000, or a comma list",
                         loci_conf_origin(conf, -1, "compare", "seeds"), text);
    for (long long i = 0; i < count; i++) {
        snprintf(item, sizeof item, "%lld", (long long)loci_conf_int(conf, -1, "run", "seed") + i);
        LOCI_TRY(add_seed(c, item, err));
    }
out:
    return status;
}

loci_status loci_comparison_new(loci_comparison **out, loci_conf **confs, const char *const *names, uint32_t n,
                                const char *vary, const char *dir, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_comparison *c = loci_alloc(sizeof *c);

    *out = NULL;
    LOCI_TRY(c ? LOCI_OK : no_memory(err));
    if (n == 0) {
        status = loci_fail(err, LOCI_E_CONFIG, "compare needs a config");
        goto out;
    }
    LOCI_TRY(make_arms(c, confs, names, n, vary ? vary : loci_conf_str(confs[0], -1, "compare", "vary"), err));
    if (c->n_arms < 2) {
        status = loci_fail(err, LOCI_E_CONFIG,
                           "compare needs two arms, and there is %u: give several configs, [arm.NAME.SECTION] sections, "
                           "or --vary section.key=value,value",
                           c->n_arms);
        goto out;
    }
    LOCI_TRY(make_seeds(c, err));
    c->dir = loci_strdup(dir);
    c->metric = loci_strdup(loci_conf_str(c->arms[0].conf, -1, "compare", "metric"));
    LOCI_TRY(c->dir && c->metric ? LOCI_OK : no_memory(err));
    c->lower_is_better = strcmp(c->metric, "accuracy") != 0;
    c->n_pairs = loci_pairs_n(c->n_arms);
    for (uint32_t i = 0; i < c->n_arms; i++) {
        c->arms[i].values = loci_alloc(c->n_seeds * sizeof(double));
        c->arms[i].runs = loci_alloc(c->n_seeds * sizeof(loci_result));
        LOCI_TRY(c->arms[i].values && c->arms[i].runs ? LOCI_OK : no_memory(err));
    }
    *out = c;
    c = NULL;
out:
    for (uint32_t i = 0; i < n; i++)
        loci_conf_free(confs[i]);
    loci_comparison_free(c);
    return status;
}

/* ---- the keys in which they differ --------------------------------------------------------------------------------------------- */

struct keys {
    loci_comparison *c;
    uint32_t arm, cap;
    bool failed;
};

static bool says_nothing(const char *section, const char *key)
{
    return !strcmp(section, "compare") || (!strcmp(section, "run") && (!strcmp(key, "dir") || !strcmp(key, "name")));
}

static void note_value(void *arg, const char *section, const char *key, const char *value, const char *origin)
{
    struct keys *k = arg;
    loci_comparison *c = k->c;
    char *full = loci_format("%s.%s", section, key);
    uint32_t i = 0;

    if (!full || says_nothing(section, key) || !strcmp(origin, "default")) {
        k->failed |= !full;
        loci_free(full);
        return;
    }
    while (i < c->n_keys && strcmp(c->keys[i].key, full))
        i++;
    if (i == c->n_keys) {
        loci_arm_key *grown = loci_realloc(c->keys, (c->n_keys + 1) * sizeof *c->keys);
        if (grown) {
            c->keys = grown;
            c->keys[i] = (loci_arm_key){full, loci_alloc(c->n_arms * sizeof(char *)), loci_alloc(c->n_arms * sizeof(char *))};
            c->n_keys++;
            full = NULL;
        }
    }
    if (i < c->n_keys && c->keys[i].values && c->keys[i].origins) {
        c->keys[i].values[k->arm] = loci_strdup(value);
        c->keys[i].origins[k->arm] = loci_strdup(origin);
    } else {
        k->failed = true;
    }
    loci_free(full);
}

static void free_key(loci_arm_key *k, uint32_t n_arms)
{
    for (uint32_t i = 0; i < n_arms; i++) {
        loci_free(k->values ? k->values[i] : NULL);
        loci_free(k->origins ? k->origins[i] : NULL);
    }
    loci_free(k->values);
    loci_free(k->origins);
    loci_free(k->key);
}

static bool differs(const loci_arm_key *k, uint32_t n_arms)
{
    for (uint32_t i = 1; i < n_arms; i++)
        if ((k->values[0] == NULL) != (k->values[i] == NULL) || (k->values[0] && strcmp(k->values[0], k->values[i])))
            return true;
    return false;
}

/* Where an arm says nothing, its default is the value. Keys of layer sections stay silent: there the base section holds. */
static bool add_defaults(loci_comparison *c, loci_arm_key *k)
{
    const char *dot = strrchr(k->key, '.');
    char *section = loci_format("%.*s", (int)(dot - k->key), k->key);
    bool ok = section != NULL;

    for (uint32_t i = 0; ok && i < c->n_arms; i++)
        if (!k->values[i] && loci_conf_has(c->arms[i].conf, section, dot + 1)) {
            k->values[i] = loci_strdup(loci_conf_str(c->arms[i].conf, -1, section, dot + 1));
            k->origins[i] = loci_strdup("default");
            ok = k->values[i] && k->origins[i];
        }
    loci_free(section);
    return ok;
}

static loci_status find_keys(loci_comparison *c, loci_error *err)
{
    struct keys k = {.c = c};
    uint32_t kept = 0;

    for (k.arm = 0; k.arm < c->n_arms; k.arm++)
        if (loci_conf_each(c->arms[k.arm].conf, note_value, &k) != LOCI_OK || k.failed)
            return no_memory(err);
    for (uint32_t i = 0; i < c->n_keys; i++)
        if (!add_defaults(c, &c->keys[i]))
            return no_memory(err);
    for (uint32_t i = 0; i < c->n_keys; i++)
        if (differs(&c->keys[i], c->n_arms))
            c->keys[kept++] = c->keys[i];
        else
            free_key(&c->keys[i], c->n_arms);
    c->n_keys = kept;
    return LOCI_OK;
}

/* ---- what starts equal --------------------------------------------------------------------------------------------------------- */

static bool alike(const loci_weight *a, const loci_weight *b)
{
    if (!b || a->value.t.ndim != b->value.t.ndim || a->init != b->init || a->a != b->a || a->b != b->b)
        return false;
    for (int32_t i = 0; i < a->value.t.ndim; i++)
        if (a->value.shape[i] != b->value.shape[i])
            return false;
    return true;
}

static loci_status measure_share(loci_comparison *c, loci_model **models)
{
    uint64_t most = 1, equal = 0;

    for (uint32_t i = 0; i < c->n_arms; i++) {
        c->arms[i].parameters = models[i]->weights.elements;
        c->arms[i].causal = loci_model_causal(models[i]);
        most = c->arms[i].parameters > most ? c->arms[i].parameters : most;
    }
    for (uint32_t w = 0; w < models[0]->weights.n; w++) {
        const loci_weight *first = models[0]->weights.at[w];
        bool all = true;
        for (uint32_t i = 1; i < c->n_arms; i++)
            all &= alike(first, loci_weights_find(&models[i]->weights, first->name));
        equal += all ? first->elements : 0;
    }
    c->share_equal = (double)equal / (double)most;
    return LOCI_OK;
}

/* An arm on a task is checked whole, since that costs nothing; text would have to be read. */
static loci_status check_data(const loci_comparison *c, const loci_model *m, loci_error *err)
{
    const loci_conf *conf = m->cx->conf;
    loci_data *d = NULL;
    loci_status status;

    if (strcmp(loci_conf_str(conf, -1, "data", "source"), "task"))
        return c->lower_is_better ? LOCI_OK
                                  : loci_fail(err, LOCI_E_CONFIG, "%s: compare.metric = accuracy, and text has no right answers: "
                                                                  "set data.source = task, or another metric",
                                              loci_conf_origin(c->arms[0].conf, -1, "compare", "metric"));
    status = loci_data_open(&d, conf, loci_conf_int(conf, -1, "data", "seq_tok"), err);
    if (status == LOCI_OK)
        status = loci_data_fits(d, m->vocab, conf, err);
    loci_data_free(d);
    return status;
}

loci_status loci_comparison_check(loci_comparison *c, const char *plugin_path, bool allow_unknown, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_context **cx = loci_alloc(c->n_arms * sizeof *cx);
    loci_model **models = loci_alloc(c->n_arms * sizeof *models);

    LOCI_TRY(cx && models ? LOCI_OK : no_memory(err));
    for (uint32_t i = 0; i < c->n_arms; i++) {
        status = loci_context_new(&cx[i], c->arms[i].conf, plugin_path, allow_unknown, err);
        if (status == LOCI_OK)
            status = loci_model_new(&models[i], cx[i], err);
        if (status == LOCI_OK)
            status = check_data(c, models[i], err);
        if (status != LOCI_OK) {
            loci_fail_in(err, status, "arm %s", c->arms[i].name);
            goto out;
        }
    }
    LOCI_TRY(measure_share(c, models));
    for (uint32_t i = 0; i < c->n_arms; i++)
        if (!c->arms[i].causal)
            loci_log(LOCI_LOG_WARN, "compare", "arm %s " LOCI_NOT_CAUSAL, c->arms[i].name);
    LOCI_TRY(find_keys(c, err));
out:
    for (uint32_t i = 0; i < c->n_arms; i++) {
        if (models)
            loci_model_free(models[i]);
        if (cx)
            loci_context_free(cx[i]);
    }
    loci_free(models);
    loci_free(cx);
    return status;
}

void loci_comparison_free(loci_comparison *c)
{
    if (!c)
        return;
    for (uint32_t i = 0; i < c->n_arms; i++) {
        loci_conf_free(c->arms[i].conf);
        loci_free(c->arms[i].name);
        loci_free(c->arms[i].tuned);
        loci_free(c->arms[i].values);
        loci_free(c->arms[i].runs);
    }
    for (uint32_t i = 0; i < c->n_keys; i++)
        free_key(&c->keys[i], c->n_arms);
    loci_free(c->keys);
    loci_free(c->arms);
    loci_free(c->seeds);
    loci_free(c->pairs);
    loci_free(c->metric);
    loci_free(c->dir);
    loci_free(c);
}

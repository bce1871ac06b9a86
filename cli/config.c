/* SPDX-License-Identifier: Apache-2.0
 *
 * loci config: the effective config, where each value comes from, and what every key means.
 */
#include "cli/cli.h"
#include "core/model/node.h"
#include <string.h>

static const char *help_section;
static bool help, origins;

enum { KEY_HELP = 2000, KEY_ORIGINS, KEY_DUMP };

static const struct argp_option options[] = {
    {"dump", KEY_DUMP, 0, 0, "Print the effective config as a file that loads to the same values (the default)", 1},
    {"origins", KEY_ORIGINS, 0, 0, "Say above each value where it comes from", 1},
    {"help-config", KEY_HELP, "SECTION", OPTION_ARG_OPTIONAL, "Explain every key, or those of one section", 1},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    (void)state;
    switch (key) {
    case KEY_DUMP:
        return 0;
    case KEY_ORIGINS:
        origins = true;
        return 0;
    case KEY_HELP:
        help = true;
        help_section = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Every class that is installed lends its keys to --help-config. */
static void add_schemas(loci_context *cx)
{
    for (uint32_t i = 0; i < loci_registry_n(cx->registry); i++) {
        const loci_entry *e = loci_registry_entry(cx->registry, i);
        const loci_class *cls;
        loci_error why = LOCI_ERROR_INIT;
        char section[300];
        if (e->broken || e->shadowed_by || loci_registry_find(cx->registry, &cls, e->kind, e->id, NULL, &why) != LOCI_OK)
            continue;
        snprintf(section, sizeof section, "%s.%s", e->kind, e->id);
        if (cls->n_keys)
            loci_conf_schema(cx->conf, section, cls->keys, cls->n_keys, &why);
    }
}

static void add_value(void *arg, const char *section, const char *key, const char *value, const char *origin)
{
    json_t *all = arg, *s = json_object_get(all, section);

    if (!s) {
        s = json_object();
        json_object_set_new(all, section, s);
    }
    json_object_set_new(s, key, json_pack("{s:s, s:s}", "value", value, "origin", origin));
}

struct defaults {
    json_t *all;
    const loci_conf *conf;
};

static void add_default(void *arg, const char *section, const loci_key *key)
{
    struct defaults *d = arg;

    if (loci_conf_has(d->conf, section, key->name) && !strchr(section, '<') && strcmp(section, "plugin.ID"))
        add_value(d->all, section, key->name, loci_conf_str(d->conf, -1, section, key->name),
                  loci_conf_origin(d->conf, -1, section, key->name));
}

static loci_status run(const struct options *o, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_conf *conf = NULL;
    loci_context *cx = NULL;
    loci_text text = {0};
    struct options own = {0};

    LOCI_TRY(cli_join_words(&own, o, err));
    LOCI_TRY(cli_config(&conf, &own, NULL, err));
    LOCI_TRY(loci_context_new(&cx, conf, o->plugin_path, o->allow_unknown, err));
    if (help) {
        add_schemas(cx);
        LOCI_TRY(loci_conf_help(&text, conf, help_section, err));
    } else if (o->json) {
        json_t *all = json_object();
        struct defaults d = {all, conf};
        loci_conf_each_key(conf, add_default, &d);
        status = loci_conf_each(conf, add_value, all);
        LOCI_TRY(status == LOCI_OK ? cli_print_json(all, err) : loci_fail(err, status, "out of memory"));
    } else {
        LOCI_TRY(loci_conf_dump(&text, conf, origins, err));
    }
    if (text.at)
        fputs(text.at, stdout);
out:
    loci_text_free(&text);
    loci_context_free(cx);
    loci_conf_free(conf);
    loci_free(own.configs);
    return status;
}

const struct verb verb_config = {"config", "[CONFIG...]", "the effective config and what every key means",
                                 "Print the config that results from files, environment and --set.\v"
                                 "  loci config -c etc/mac.ini --origins\n  loci config --help-config=memory.titans",
                                 options, parse, run};

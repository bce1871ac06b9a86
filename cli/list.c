/* SPDX-License-Identifier: Apache-2.0
 *
 * loci list: what is installed, what shadows what, and what is broken.
 */
#include "cli/list.h"
#include <string.h>

enum { KEY_DEEP = 2000 };

static bool deep;
static const struct argp_option own[] = {
    {"deep", KEY_DEEP, 0, 0, "Look into every file, shadowed ones too, each in a process of its own", 1}, {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    (void)arg;
    (void)state;
    if (key != KEY_DEEP)
        return ARGP_ERR_UNKNOWN;
    deep = true;
    return 0;
}

/* Load what can be loaded, so that version and text are known; a failure becomes part of the listing. */
static void load_all(loci_context *cx)
{
    for (uint32_t i = 0; i < loci_registry_n(cx->registry); i++) {
        const loci_entry *e = loci_registry_entry(cx->registry, i);
        const loci_class *cls;
        loci_error why = LOCI_ERROR_INIT;
        if (e->broken || e->shadowed_by || e->cls)
            continue;
        if (loci_registry_find(cx->registry, &cls, e->kind, e->id, NULL, &why) != LOCI_OK)
            loci_log(LOCI_LOG_WARN, "list", "%s", why.msg);
    }
}

json_t *cli_list_entry(const loci_entry *e)
{
    char id[300], abi[32] = "";
    json_t *j;

    snprintf(id, sizeof id, "%s/%s", e->kind, e->id);
    if (e->plugin)
        snprintf(abi, sizeof abi, "%d.draft.%d", e->plugin->abi_major, e->plugin->abi_draft);
    j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "id", *e->id ? id : "", "kind", e->kind, "version",
                  e->cls ? e->cls->version : "", "abi", abi, "path", e->path, "doc", e->cls ? e->cls->summary : "",
                  "build_id", e->build_id);
    if (j && e->shadowed_by)
        json_object_set_new(j, "shadowed_by", json_string(e->shadowed_by));
    if (j && e->broken)
        json_object_set_new(j, "broken", json_string(e->broken));
    return j;
}

static void print_entry(const loci_entry *e)
{
    char id[300];

    snprintf(id, sizeof id, "%s/%s", e->kind, e->id);
    if (e->broken)
        printf("%-22s broken   %s: %s\n", *e->id ? id : "-", e->path, e->broken);
    else if (e->shadowed_by)
        printf("%-22s shadowed by %s: %s\n", id, e->shadowed_by, e->path);
    else
        printf("%-22s %-8s %s\n%-31s %s\n", id, e->cls ? e->cls->version : "?", e->cls ? e->cls->summary : "", "",
               e->path);
}

static loci_status run(const struct options *o, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_conf *conf = NULL;
    loci_context *cx = NULL;
    json_t *all = NULL;

    if (deep)
        return cli_list_deep(o, err);
    LOCI_TRY(cli_config(&conf, o, NULL, err));
    LOCI_TRY(loci_context_new(&cx, conf, o->plugin_path, o->allow_unknown, err));
    load_all(cx);
    if (o->json) {
        all = json_array();
        for (uint32_t i = 0; i < loci_registry_n(cx->registry); i++)
            json_array_append_new(all, cli_list_entry(loci_registry_entry(cx->registry, i)));
        status = cli_print_json(all, err);
    } else {
        for (uint32_t i = 0; i < loci_registry_n(cx->registry); i++)
            print_entry(loci_registry_entry(cx->registry, i));
    }
out:
    loci_context_free(cx);
    loci_conf_free(conf);
    return status;
}

const struct verb verb_list = {"list", NULL, "what is installed: kind/id, version, file",
                               "List every component that can be named in a config, the file it comes from, what "
                               "another file shadows, and files that cannot be used with the reason.",
                               own, parse, run};

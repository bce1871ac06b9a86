/* SPDX-License-Identifier: Apache-2.0
 *
 * loci list --deep: every file on the path, each looked into by a process of its own, so that a file that crashes or
 * hangs is a line of the list and not the end of it.
 */
#include "cli/list.h"
#include "core/check/probe.h"
#include <string.h>

static const double patience_s = 20;

/* What the file says of the class, in place of what loading it here would have said. */
static void add_class(json_t *j, const loci_probed *p, const char *id)
{
    for (uint32_t i = 0; i < p->n; i++)
        if (!strcmp(p->classes[i].id, id)) {
            json_object_set_new(j, "version", json_string(p->classes[i].version));
            json_object_set_new(j, "doc", json_string(p->classes[i].summary));
        }
}

static void print_probed(const json_t *j, const loci_probed *p)
{
    const char *id = cli_text(j, "id");

    if (!strcmp(p->state, "ok"))
        printf("%-22s %-8s %s\n%-31s %s\n", id, cli_text(j, "version"), cli_text(j, "doc"), "", cli_text(j, "path"));
    else if (!strcmp(p->state, "refused"))
        printf("%-22s %-8s %s\n", *id ? id : "-", p->state, p->message);
    else
        printf("%-22s %-8s %s: %s\n", *id ? id : "-", p->state, cli_text(j, "path"), p->message);
    if (json_object_get(j, "shadowed_by"))
        printf("%-31s shadowed by %s\n", "", cli_text(j, "shadowed_by"));
    fflush(stdout);
}

static loci_status one(json_t *all, loci_probed *p, const loci_registry *r, uint32_t i, bool text, loci_error *err)
{
    const loci_limits limits = {patience_s, UINT64_C(4) << 30, &cli_stop};
    const loci_entry *e = loci_registry_entry(r, i);
    json_t *j = cli_list_entry(e);
    const char *before = i ? loci_registry_entry(r, i - 1)->path : "";
    loci_status status;

    if (!j)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory");
    json_array_append_new(all, j);
    if (!strcmp(e->path, "built-in")) {
        memset(p, 0, sizeof *p);
        p->state = "ok";
    } else if (!p->state || strcmp(before, e->path) != 0) { /* the classes of a file often stand together */
        status = loci_probe(p, e->path, &limits, err);
        if (status != LOCI_OK)
            return status;
    }
    add_class(j, p, cli_text(j, "id"));
    json_object_set_new(j, "probe",
                        json_pack("{s:s, s:s, s:s, s:f}", "state", p->state, "message", p->message, "stage", p->stage,
                                  "seconds", p->seconds));
    if (text)
        print_probed(j, p);
    return LOCI_OK;
}

loci_status cli_list_deep(const struct options *o, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_conf *conf = NULL;
    loci_registry *r = NULL;
    json_t *all = json_array();
    loci_probed *p = loci_alloc(sizeof *p);

    if (!p) {
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory");
        goto out;
    }
    LOCI_TRY(cli_config(&conf, o, NULL, err));
    LOCI_TRY(loci_context_registry(&r, conf, o->plugin_path, err));
    for (uint32_t i = 0; i < loci_registry_n(r); i++)
        LOCI_TRY(one(all, p, r, i, !o->json, err));
    if (o->json)
        LOCI_TRY(cli_print_json(json_incref(all), err));
out:
    json_decref(all);
    loci_registry_free(r);
    loci_conf_free(conf);
    loci_free(p);
    return status;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check/probe: see probe.h.
 *
 *  (1) The reply is text: a line per class, its fields apart by tabs; a tab or newline inside of one becomes a space.
 *  (2) Ownership is not judged again: the scan that found the file has.
 */
#include "core/check/probe.h"
#include "core/plugin/registry.h"

#include <string.h>

static void add_field(loci_reply *reply, const char *text, char end)
{
    size_t n = strlen(reply->text);

    for (const char *p = text ? text : ""; *p && n + 2 < sizeof reply->text; p++)
        reply->text[n++] = *p == '\t' || *p == '\n' ? ' ' : *p;
    reply->text[n++] = end;
    reply->text[n] = '\0';
}

static loci_status look_inside(void *arg, loci_reply *reply)
{
    const char *path = arg;
    loci_registry *r = NULL;
    loci_error err = LOCI_ERROR_INIT;
    loci_status status;

    loci_stage("loading it: its start-up code");
    LOCI_TRY(loci_registry_new(&r, LOCI_OWNERSHIP_OFF, &err));
    LOCI_TRY(loci_registry_load_file(r, path, &err));
    for (uint32_t i = 0; i < loci_registry_n(r); i++) {
        const loci_entry *e = loci_registry_entry(r, i);
        char id[300];
        if (!e->cls || strlen(reply->text) + 1000 > sizeof reply->text)
            continue;
        snprintf(id, sizeof id, "%s/%s", e->kind, e->id);
        loci_stage("reading %s", id);
        add_field(reply, id, '\t');
        add_field(reply, e->cls->version, '\t');
        add_field(reply, e->cls->summary, '\n');
    }
out:
    if (status != LOCI_OK)
        snprintf(reply->text, sizeof reply->text, "%s", err.msg);
    loci_registry_free(r);
    return status;
}

/* (1); the texts are cut where they stand. */
static void read_classes(loci_probed *out)
{
    char *at = out->outcome.reply.text;

    while (*at && out->n < LOCI_PROBE_CLASSES) {
        char *tab = strchr(at, '\t'), *second = tab ? strchr(tab + 1, '\t') : NULL,
             *end = second ? strchr(second, '\n') : NULL;
        if (!end)
            return;
        *tab = *second = *end = '\0';
        out->classes[out->n].id = at;
        out->classes[out->n].version = tab + 1;
        out->classes[out->n].summary = second + 1;
        out->n++;
        at = end + 1;
    }
}

loci_status loci_probe(loci_probed *out, const char *path, const loci_limits *limits, loci_error *err)
{
    loci_outcome *o = &out->outcome;
    loci_status status;

    memset(out, 0, sizeof *out);
    status = loci_isolate(o, limits, look_inside, (void *)(uintptr_t)path, err);
    if (status != LOCI_OK)
        return status;
    if (o->ending == LOCI_CANCELLED)
        return loci_fail(err, LOCI_E_STOPPED, "interrupted while %s was looked into", path);
    memcpy(out->stage, o->stage, sizeof out->stage);
    out->seconds = o->seconds;
    out->state = o->ending == LOCI_CRASHED     ? "crash"
                 : o->ending == LOCI_TIMED_OUT ? "timeout"
                 : o->status != LOCI_OK        ? "refused"
                                               : "ok";
    if (o->ending != LOCI_ENDED)
        loci_outcome_words(out->message, sizeof out->message, o, limits->seconds);
    else if (o->status != LOCI_OK)
        snprintf(out->message, sizeof out->message, "%.1000s", o->reply.text);
    else
        read_classes(out);
    return LOCI_OK;
}

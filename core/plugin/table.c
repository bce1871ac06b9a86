/* SPDX-License-Identifier: Apache-2.0
 *
 * core/plugin: the table kind/id -> file, and who wins when several files hold one id.
 *
 *  (1) Sorted by kind, id, rank, path: the same files give the same table whatever order a folder lists them in.
 *  (2) Of equal kind and id the first is the winner and the rest are shadowed by it. Files that the winner's folder
 * holds beside it are no shadows but duplicates: the folder says two things at once, and both are marked broken. (3)
 * Strings of an entry belong to its file, the message of a duplicate to its record.
 */
#include "core/plugin/table.h"

#include <stdlib.h>
#include <string.h>

static int by_name_and_rank(const void *a, const void *b)
{
    const loci_record *x = a, *y = b;
    int order = strcmp(x->e.kind, y->e.kind);
    if (!order)
        order = strcmp(x->e.id, y->e.id);
    if (!order)
        order = (x->file->rank > y->file->rank) - (x->file->rank < y->file->rank);
    return order ? order : strcmp(x->e.path, y->e.path);
}

static bool same_name(const loci_record *a, const loci_record *b)
{
    return a->e.id[0] && !strcmp(a->e.kind, b->e.kind) && !strcmp(a->e.id, b->e.id);
}

static const loci_class *class_of(const loci_plugin *p, const char *kind, const char *id)
{
    for (uint32_t i = 0; p && i < p->n_classes; i++)
        if (!strcmp(p->classes[i]->id, id) && !strcmp(p->classes[i]->kind, loci_kind_long(kind)))
            return p->classes[i];
    return NULL;
}

static void refresh(loci_record *rec)
{
    rec->e.plugin = rec->file->plugin;
    rec->e.broken = rec->file->broken ? rec->file->broken : rec->twice;
    rec->e.cls = rec->e.id[0] ? class_of(rec->e.plugin, rec->e.kind, rec->e.id) : NULL;
}

static void free_records(loci_record *records, uint32_t n)
{
    for (uint32_t i = 0; records && i < n; i++)
        loci_free(records[i].twice);
    loci_free(records);
}

static void fill_records(const loci_registry *r, loci_record *to)
{
    for (uint32_t i = 0; i < r->n_files; i++) {
        loci_plugin_file *f = r->files[i];
        for (uint32_t j = 0; j < (f->note.n ? f->note.n : 1); j++, to++) {
            to->file = f;
            to->e.kind = f->note.n ? f->note.classes[j].kind : "";
            to->e.id = f->note.n ? f->note.classes[j].id : "";
            to->e.path = f->path;
            to->e.build_id = f->build_id;
            refresh(to);
        }
    }
}

/* The m records at `first` hold the same class, (2). */
static loci_status mark(loci_record *first, uint32_t m, loci_error *err)
{
    for (uint32_t i = 1; i < m; i++) {
        loci_record *rec = first + i;
        if (rec->file->rank != first->file->rank) {
            rec->e.shadowed_by = first->e.path;
            continue;
        }
        for (int k = 0; k < 2; k++) {
            loci_record *one = k ? rec : first;
            if (!one->twice && !(one->twice = loci_format("%s and %s in one folder both hold %s/%s: remove one of them",
                                                          first->e.path, rec->e.path, rec->e.kind, rec->e.id)))
                return loci_fail(err, LOCI_E_NOMEM, "out of memory");
            refresh(one);
        }
    }
    return LOCI_OK;
}

loci_status loci_table_build(loci_registry *r, loci_error *err)
{
    uint32_t n = 0;
    loci_record *records;
    for (uint32_t i = 0; i < r->n_files; i++)
        n += r->files[i]->note.n ? r->files[i]->note.n : 1;
    if (!(records = loci_alloc(n * sizeof *records)))
        return loci_fail(err, LOCI_E_NOMEM, "out of memory");
    fill_records(r, records);
    qsort(records, n, sizeof *records, by_name_and_rank);
    for (uint32_t i = 0, m; i < n; i += m) {
        for (m = 1; i + m < n && same_name(&records[i], &records[i + m]); m++)
            ;
        if (mark(&records[i], m, err) != LOCI_OK) {
            free_records(records, n);
            return LOCI_E_NOMEM;
        }
    }
    free_records(r->records, r->n_records);
    r->records = records;
    r->n_records = n;
    return LOCI_OK;
}

void loci_table_free(loci_registry *r)
{
    free_records(r->records, r->n_records);
    r->records = NULL;
    r->n_records = 0;
}

void loci_table_refresh(loci_registry *r, const loci_plugin_file *f)
{
    for (uint32_t i = 0; i < r->n_records; i++)
        if (r->records[i].file == f)
            refresh(&r->records[i]);
}

loci_record *loci_table_find(const loci_registry *r, const char *kind, const char *id)
{
    for (uint32_t i = 0; i < r->n_records; i++)
        if (!strcmp(r->records[i].e.kind, kind) && !strcmp(r->records[i].e.id, id))
            return &r->records[i];
    return NULL;
}

/* ---- a class that nobody has ------------------------------------------------------------------------------------- */

#define NEAR 3      /* edits that still count as a slip */
#define MAX_NAMED 8 /* names listed when none is near   */

static bool first_of_name(const loci_registry *r, uint32_t i)
{
    return i == 0 || !same_name(&r->records[i], &r->records[i - 1]);
}

static void add_near(loci_text *t, const loci_registry *r, const char *kind, const char *id)
{
    const unsigned most = strlen(id) < 2 * NEAR ? 1 + (unsigned)strlen(id) / 3 : NEAR;
    uint32_t n = 0;
    for (unsigned d = 0; d <= most && n < 3; d++)
        for (uint32_t i = 0; i < r->n_records && n < 3; i++) {
            const loci_entry *e = &r->records[i].e;
            if (first_of_name(r, i) && !strcmp(e->kind, kind) && loci_distance(e->id, id, most) == d)
                loci_text_add(t, "%s%s", n++ ? ", " : "; nearest: ", e->id);
        }
    for (uint32_t i = 0; i < r->n_records && !n; i++)
        if (!strcmp(r->records[i].e.id, id)) {
            loci_text_add(t, "; but there is %s/%s", r->records[i].e.kind, id);
            n++;
        }
    for (uint32_t i = 0, named = 0; i < r->n_records && !n && named <= MAX_NAMED; i++) {
        const loci_entry *e = &r->records[i].e;
        if (first_of_name(r, i) && !strcmp(e->kind, kind)) {
            loci_text_add(t, "%s%s", named ? ", " : "; there are: ", named < MAX_NAMED ? e->id : "...");
            named++;
        }
    }
}

loci_status loci_table_unknown(const loci_registry *r, const char *kind, const char *id, loci_error *err)
{
    loci_text t = {0};
    const char *broken = NULL;
    uint32_t n_broken = 0;
    loci_status status = LOCI_E_PLUGIN;
    for (uint32_t i = 0; i < r->n_records; i++)
        if (!r->records[i].e.id[0] && r->records[i].e.broken && !n_broken++)
            broken = r->records[i].e.path;
    loci_text_add(&t, "no %s is called '%.80s'", kind, id);
    add_near(&t, r, kind, id);
    loci_text_add(&t, "; add its folder with --plugin-path or [plugins] path; searched %.200s",
                  r->folders.len ? r->folders.at : "no folder");
    if (n_broken)
        loci_text_add(&t, "; %u %s there cannot be used, see loci list (%.100s)", n_broken,
                      n_broken > 1 ? "files" : "file", broken);
    if (t.failed)
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory");
    else
        loci_fail(err, status, "%s", t.at);
    loci_text_free(&t);
    return status;
}

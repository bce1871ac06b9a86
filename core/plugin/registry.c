/* SPDX-License-Identifier: Apache-2.0
 *
 * core/plugin: scan folders, load what is asked for. The steps a file goes through are in docs/design/plugins.md.
 *
 *  (1) Scanning looks and runs nothing. Whatever is wrong with a file is kept as its `broken` and hurts nobody but who
 *      asks for it.
 *  (2) Loading looks again: between a scan and the first use a file may have been rebuilt.
 *  (3) One device and inode is one file, whatever names lead to it; the first name counts.
 *  (4) A file that failed to load is not tried again: its constructors have run.
 */
#include "core/plugin/load.h"
#include "core/plugin/table.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

loci_status loci_registry_new(loci_registry **out, int ownership, loci_error *err)
{
    loci_registry *r = loci_alloc(sizeof *r);
    *out = r;
    if (!r)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory");
    r->ownership = ownership;
    r->next_named = INT64_MIN;
    return LOCI_OK;
}

static void free_file(loci_plugin_file *f)
{
    if (!f)
        return;
    loci_note_free(&f->note);
    loci_free(f->path);
    loci_free(f->broken);
    loci_free(f);
}

void loci_registry_free(loci_registry *r)
{
    if (!r)
        return;
    loci_table_free(r);
    for (uint32_t i = 0; i < r->n_files; i++)
        free_file(r->files[i]);
    loci_free(r->files);
    loci_text_free(&r->folders);
    loci_free(r);
}

uint32_t loci_registry_n(const loci_registry *r)
{
    return r->n_records;
}

const loci_entry *loci_registry_entry(const loci_registry *r, uint32_t i)
{
    return i < r->n_records ? &r->records[i].e : NULL;
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static loci_status keep_file(loci_registry *r, loci_plugin_file *f, loci_error *err)
{
    loci_plugin_file **more = loci_realloc(r->files, (r->n_files + (size_t)1) * sizeof(loci_plugin_file *));
    if (!more)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory");
    r->files = more;
    r->files[r->n_files++] = f;
    return LOCI_OK;
}

static loci_plugin_file *known_file(const loci_registry *r, const struct stat *st)
{
    for (uint32_t i = 0; st->st_ino && i < r->n_files; i++)
        if (r->files[i]->dev == st->st_dev && r->files[i]->ino == st->st_ino)
            return r->files[i];
    return NULL;
}

/* A file record of what a look has seen. The note moves over; `why` is the objection, or "". */
static loci_status new_file(loci_plugin_file **out, loci_look *look, const char *path, int64_t rank, const char *why,
                            loci_error *err)
{
    loci_plugin_file *f = *out = loci_alloc(sizeof *f);
    if (!f || !(f->path = loci_strdup(path)) || (why[0] && !(f->broken = loci_strdup(why)))) {
        free_file(f);
        *out = NULL;
        return loci_fail(err, LOCI_E_NOMEM, "out of memory");
    }
    f->dev = look->st.st_dev;
    f->ino = look->st.st_ino;
    f->rank = rank;
    f->note = look->note;
    memcpy(f->build_id, look->elf.build_id, sizeof f->build_id);
    memset(&look->note, 0, sizeof look->note);
    return LOCI_OK;
}

/* Look at a file and keep what was seen, unless it is known already, (1) (3). */
static loci_status scan_file(loci_registry *r, const char *path, int64_t rank, loci_plugin_file **out, loci_error *err)
{
    loci_error why = LOCI_ERROR_INIT;
    loci_look look;
    loci_status status = loci_look_at(&look, path, r->ownership, &why);
    *out = NULL;
    if (status == LOCI_E_NOMEM) {
        loci_fail(err, status, "%s", why.msg);
    } else if ((*out = known_file(r, &look.st))) {
        status = LOCI_OK;
    } else {
        status = new_file(out, &look, path, rank, why.msg, err);
        if (status == LOCI_OK && (status = keep_file(r, *out, err)) != LOCI_OK) {
            free_file(*out);
            *out = NULL;
        }
    }
    loci_look_free(&look);
    return status;
}

/* (2) (4) */
static loci_status load_file(loci_registry *r, loci_plugin_file *f, loci_error *err)
{
    loci_error why = LOCI_ERROR_INIT;
    loci_look look;
    loci_status status = LOCI_OK;
    if (f->plugin || f->broken)
        return f->plugin ? LOCI_OK : loci_fail(err, LOCI_E_PLUGIN, "%s", f->broken);
    status = loci_look_at(&look, f->path, r->ownership, &why);
    if (status == LOCI_OK)
        status = loci_load(&f->plugin, f->path, &look, r->ownership, &why);
    if (status != LOCI_OK) {
        loci_fail(err, status, "%s", why.msg);
        if (status != LOCI_E_NOMEM)
            f->broken = loci_strdup(why.msg); /* without memory it is tried again */
    }
    loci_look_free(&look);
    loci_table_refresh(r, f);
    return status;
}

/* ---- folders ----------------------------------------------------------------------------------------------------- */

static int is_object(const struct dirent *d)
{
    size_t n = strlen(d->d_name);
    return d->d_name[0] != '.' && n > 3 && !strcmp(d->d_name + n - 3, ".so");
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name); /* alphasort would ask the locale */
}

static loci_status scan_folder(loci_registry *r, const char *folder, bool must_exist, loci_error *err)
{
    struct dirent **names = NULL;
    int n = scandir(folder, &names, is_object, by_bytes);
    const int why = errno;
    loci_status status = LOCI_OK;
    if (n < 0 && why == ENOMEM)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory");
    if (n < 0 && must_exist)
        return loci_fail(err, LOCI_E_PLUGIN, "the plugin folder %s cannot be searched: %s: make it or leave it out",
                         folder, strerror(why));
    if (n >= 0)
        loci_text_add(&r->folders, "%s%s", r->folders.len ? ", " : "", folder);
    for (int i = 0; i < n; i++) {
        loci_plugin_file *f;
        char *path = status == LOCI_OK ? loci_format("%s/%s", folder, names[i]->d_name) : NULL;
        if (path)
            status = scan_file(r, path, r->next_rank, &f, err);
        else if (status == LOCI_OK)
            status = loci_fail(err, LOCI_E_NOMEM, "out of memory");
        loci_free(path);
        free(names[i]);
    }
    free(names);
    r->next_rank++;
    return status;
}

loci_status loci_registry_path(loci_registry *r, const char *folders, bool must_exist, loci_error *err)
{
    loci_status status = LOCI_OK;
    for (const char *at = folders; status == LOCI_OK && at && *at;) {
        size_t n = strcspn(at, ":"), keep = n;
        const char *next = at + n + (at[n] == ':');
        char *folder;
        while (keep > 1 && at[keep - 1] == '/')
            keep--;
        if (keep && at[0] != '/')
            status = loci_fail(err, LOCI_E_PLUGIN,
                               "the plugin folder '%.*s' is relative: write it from the root, the working folder is "
                               "never searched",
                               (int)keep, at);
        else if (keep && !(folder = loci_format("%.*s", keep > 1 ? (int)keep : 0, at)))
            status = loci_fail(err, LOCI_E_NOMEM, "out of memory");
        else if (keep) {
            status = scan_folder(r, folder[0] ? folder : "/", must_exist, err);
            loci_free(folder);
        }
        at = next;
    }
    if (r->folders.failed && status == LOCI_OK)
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory");
    return status == LOCI_OK ? loci_table_build(r, err) : status;
}

/* ---- single plugins ---------------------------------------------------------------------------------------------- */

/* A built-in's note is made of what it holds. */
static loci_status note_of(loci_note *out, const loci_plugin *p, loci_error *err)
{
    loci_text t = {0};
    loci_status status;
    loci_text_add(&t, "%s", LOCI_ABI_NOTE);
    for (uint32_t i = 0; i < p->n_classes; i++)
        loci_text_add(&t, "class=%s/%s\n", loci_kind_short(p->classes[i]->kind), p->classes[i]->id);
    status = t.failed ? loci_fail(err, LOCI_E_NOMEM, "out of memory") : loci_note_parse(out, t.at, p->name, err);
    loci_text_free(&t);
    return status;
}

loci_status loci_registry_builtin(loci_registry *r, const loci_plugin *p, loci_error *err)
{
    loci_look look = {0};
    loci_plugin_file *f = NULL;
    loci_status status;
    LOCI_TRY(loci_verify(p, NULL, "built-in", err));
    LOCI_TRY(note_of(&look.note, p, err));
    LOCI_TRY(new_file(&f, &look, "built-in", r->next_rank, "", err));
    f->plugin = p;
    LOCI_TRY(keep_file(r, f, err));
    r->next_rank++;
    f = NULL;
    LOCI_TRY(loci_table_build(r, err));
out:
    free_file(f);
    loci_note_free(&look.note);
    return status;
}

loci_status loci_registry_load_file(loci_registry *r, const char *path, loci_error *err)
{
    loci_plugin_file *f;
    loci_status status = scan_file(r, path, r->next_named, &f, err);
    if (status != LOCI_OK)
        return status;
    if (f->rank >= 0 || f->rank == r->next_named)
        f->rank = r->next_named++;
    status = loci_table_build(r, err);
    return status == LOCI_OK ? load_file(r, f, err) : status;
}

/* ---- find -------------------------------------------------------------------------------------------------------- */

/* Shadowing is how a rebuilt plugin is tested, and how the wrong one is tested. The same build twice is neither. */
static void report_shadows(const loci_registry *r, loci_record *winner)
{
    for (const loci_record *s = winner + 1; !winner->reported && s < r->records + r->n_records && s->e.shadowed_by;
         s++) {
        bool same = s->e.build_id[0] && !strcmp(s->e.build_id, winner->e.build_id);
        if (strcmp(s->e.kind, winner->e.kind) || strcmp(s->e.id, winner->e.id))
            break;
        loci_log(same ? LOCI_LOG_INFO : LOCI_LOG_WARN, "plugin", "%s/%s is taken from %s, which shadows %s%s",
                 s->e.kind, s->e.id, s->e.shadowed_by, s->e.path, same ? " (the same build)" : "");
    }
    winner->reported = true;
}

static loci_status find(loci_registry *r, const loci_class **out, const char *kind, const char *id, loci_error *err)
{
    loci_record *rec;
    loci_status status;
    if (!loci_kind_long(kind))
        return loci_fail(err, LOCI_E_PLUGIN, "no kind is called '%.80s': the kinds are %s", kind, LOCI_KINDS);
    if (!(rec = loci_table_find(r, kind, id)))
        return loci_table_unknown(r, kind, id, err);
    if (rec->e.broken)
        return loci_fail(err, LOCI_E_PLUGIN, "%s", rec->e.broken);
    if (!rec->file->plugin) {
        status = load_file(r, rec->file, err);
        if (status != LOCI_OK)
            return status;
    }
    if (!rec->e.cls)
        return loci_fail(err, LOCI_E_PLUGIN, "%s: no longer holds %s/%s, it was rebuilt since it was found: run again",
                         rec->e.path, kind, id);
    report_shadows(r, rec);
    *out = rec->e.cls;
    return LOCI_OK;
}

loci_status loci_registry_find(loci_registry *r, const loci_class **out, const char *kind, const char *id,
                               const char *wanted_by, loci_error *err)
{
    loci_status status;
    *out = NULL;
    status = find(r, out, kind, id, err);
    return status != LOCI_OK && wanted_by ? loci_fail_in(err, status, "%s", wanted_by) : status;
}

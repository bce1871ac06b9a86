/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: tests of a plugin file: what it is, how it was linked, what happens when it is loaded.
 *
 * The steps are those of docs/design/plugins.md, each a test of its own, so that a refusal names its reason twice: by
 * the test and by the loader's sentence. Ownership is not asked: whose file it is says nothing about the plugin.
 */
#include "core/check/check.h"
#include "core/check/watch.h"
#include "core/plugin/load.h"

#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOAD_SECONDS 0.5

loci_status loci_check_file_header(loci_check *c, loci_error *err)
{
    loci_elf elf = {0};
    loci_status status;
    struct stat st;
    int fd;

    LOCI_TRY(loci_policy_open(&fd, &st, c->path, err));
    status = loci_elf_read(&elf, fd, c->path, err);
    close(fd);
    if (status == LOCI_OK && (elf.san & ~loci_host_san()))
        status =
            loci_fail(err, LOCI_E_PLUGIN, "%s: built with %s, this host with %s: build both with the same -fsanitize",
                      c->path, loci_san_name(elf.san & ~loci_host_san()), loci_san_name(loci_host_san()));
out:
    loci_elf_free(&elf);
    return status;
}

/* The file as it was read; the note may be wrong. */
static loci_status look(loci_look *l, const loci_check *c, loci_error *err)
{
    loci_error note = LOCI_ERROR_INIT;

    (void)loci_look_at(l, c->path, LOCI_OWNERSHIP_OFF, &note);
    return l->elf.strings ? LOCI_OK : loci_fail(err, LOCI_E_PLUGIN, "%s", note.msg);
}

loci_status loci_check_file_note(loci_check *c, loci_error *err)
{
    loci_look l;
    loci_status status = look(&l, c, err);

    if (status == LOCI_OK && !l.elf.note)
        status =
            loci_fail(err, LOCI_E_PLUGIN, "%s: has no loci note: add LOCI_PLUGIN_NOTE(\"class=kind/id\\n\")", c->path);
    if (status == LOCI_OK) {
        loci_note again = {0};
        status = loci_note_parse(&again, l.elf.note, c->path, err);
        loci_note_free(&again);
    }
    if (status == LOCI_OK && !l.note.n)
        status =
            loci_fail(err, LOCI_E_PLUGIN, "%s: its note names no class: add a line class=kind/id for each", c->path);
    loci_look_free(&l);
    return status;
}

loci_status loci_check_file_exports(loci_check *c, loci_error *err)
{
    loci_look l;
    loci_status status = look(&l, c, err);
    loci_text names = {0};
    bool ours = false;

    LOCI_TRY(status);
    for (uint32_t i = 0; i < l.elf.n_entries; i++)
        ours = ours || !strcmp(l.elf.entries[i], LOCI_ENTRY_NAME);
    for (uint32_t i = 0; i < l.elf.n_others && i < LOCI_ELF_ENTRIES; i++)
        loci_text_add(&names, "%s%s", i ? ", " : "", l.elf.others[i]);
    if (!l.elf.has_symbols)
        status = loci_fail(err, LOCI_E_PLUGIN, "%s: its symbols cannot be counted: link it as others do", c->path);
    else if (!ours)
        status =
            loci_fail(err, LOCI_E_PLUGIN, "%s: does not export %s: declare it LOCI_EXPORT extern const loci_plugin %s",
                      c->path, LOCI_ENTRY_NAME, LOCI_ENTRY_NAME);
    else if (l.elf.n_others)
        status = loci_fail(err, LOCI_E_PLUGIN,
                           "%s: exports %u more than %s (%s%s): compile it with -fvisibility=hidden, or they may stand "
                           "in for another object's",
                           c->path, l.elf.n_others, LOCI_ENTRY_NAME, names.at ? names.at : "",
                           l.elf.n_others > LOCI_ELF_ENTRIES ? ", ..." : "");
out:
    loci_text_free(&names);
    loci_look_free(&l);
    return status;
}

/* Folders that packages use; $ORIGIN is the plugin's own. */
static bool foreign_folder(const char *at, size_t n)
{
    static const char *const known[] = {"$ORIGIN", "${ORIGIN}", "/usr/", "/lib", "/opt/"};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (n >= strlen(known[i]) && !strncmp(at, known[i], strlen(known[i])))
            return false;
    return n > 0;
}

loci_status loci_check_file_links(loci_check *c, loci_error *err)
{
    loci_look l;
    loci_status status = look(&l, c, err);

    if (status == LOCI_OK && l.elf.static_tls)
        status = loci_fail(err, LOCI_E_PLUGIN,
                           "%s: uses static thread-local storage, of which a process has little: build it without "
                           "-ftls-model=initial-exec",
                           c->path);
    if (status == LOCI_OK && l.elf.textrel)
        status = loci_fail(err, LOCI_E_PLUGIN, "%s: its code is changed while loading (TEXTREL): build it with -fPIC",
                           c->path);
    for (const char *at = l.elf.runpath; status == LOCI_OK && at && *at;) {
        const size_t n = strcspn(at, ":");
        if (foreign_folder(at, n))
            status = loci_fail(err, LOCI_E_PLUGIN,
                               "%s: looks for libraries in %.*s, a folder of the machine it was built on: link it "
                               "without -rpath, or with $ORIGIN",
                               c->path, (int)n, at);
        at += n + (at[n] == ':');
    }
    loci_look_free(&l);
    return status;
}

static loci_status load(const loci_plugin **out, loci_look *l, const loci_check *c, int ownership, loci_error *err)
{
    loci_status status;

    LOCI_TRY(loci_look_at(l, c->path, LOCI_OWNERSHIP_OFF, err));
    loci_stage("loading it: its start-up code");
    LOCI_TRY(loci_load_entry(out, c->path, l, ownership, err));
out:
    return status;
}

static double computing(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

loci_status loci_check_file_loads(loci_check *c, loci_error *err)
{
    const loci_plugin *p;
    const double begin = computing();
    loci_look l;
    loci_status status = load(&p, &l, c, LOCI_OWNERSHIP_OFF, err);
    const double took = computing() - begin;

    loci_look_free(&l);
    if (status == LOCI_OK && took > LOAD_SECONDS)
        return loci_fail(err, LOCI_E_PLUGIN,
                         "%s: loading it took %.2f s, at most %.1f are expected: leave work to create", c->path, took,
                         LOAD_SECONDS);
    return status;
}

loci_status loci_check_file_manners(loci_check *c, loci_error *err)
{
    const loci_plugin *p;
    loci_watched w;
    loci_look l = {0};
    loci_error strict = LOCI_ERROR_INIT;
    loci_status status = loci_watch_begin(&w, err), manners;

    if (status != LOCI_OK)
        return status;
    /* Under CHECK the loader itself refuses what it put back. */
    manners = load(&p, &l, c, LOCI_OWNERSHIP_CHECK, &strict);
    loci_look_free(&l);
    status = loci_watch_end(&w, "loading it", err);
    return manners == LOCI_OK ? status : loci_fail(err, manners, "%s", strict.msg);
}

loci_status loci_check_file_descriptor(loci_check *c, loci_error *err)
{
    const loci_plugin *p;
    loci_look l = {0};
    loci_status status = load(&p, &l, c, LOCI_OWNERSHIP_OFF, err);

    if (status == LOCI_OK)
        status = loci_verify(p, &l.note, c->path, err);
    loci_look_free(&l);
    return status;
}

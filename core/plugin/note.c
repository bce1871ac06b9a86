/* SPDX-License-Identifier: Apache-2.0
 *
 * core/plugin: parse the note. The ABI is a draft, so its number must be the host's exactly.
 *
 *  (1) Classes come first, the verdict on the ABI last: a file of another draft still says what it would have held.
 *  (2) A class named twice, an unknown kind or an ill-formed id spoils the whole note: it was written by hand, and
 *      guessing which line was meant would hide the mistake.
 */
#include "core/plugin/note.h"
#include "core/plugin/registry.h"

#include <loci/device.h>
#include <string.h>

static const struct {
    const char *name, *kind;
} kinds[] = {{"attention", LOCI_KIND_ATTENTION},
             {"compose", LOCI_KIND_COMPOSE},
             {"device", LOCI_KIND_DEVICE},
             {"memory", LOCI_KIND_MEMORY},
             {"mixer", LOCI_KIND_MIXER}};

const char *loci_kind_short(const char *kind)
{
    for (size_t i = 0; kind && i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i].kind, kind))
            return kinds[i].name;
    return NULL;
}

const char *loci_kind_long(const char *kind)
{
    for (size_t i = 0; kind && i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i].name, kind))
            return kinds[i].kind;
    return NULL;
}

bool loci_id_ok(const char *id)
{
    size_t n = 0;
    for (bool start = true; id[n] && n < LOCI_MAX_ID; n++) {
        bool plain = (id[n] >= 'a' && id[n] <= 'z') || (id[n] >= '0' && id[n] <= '9') || id[n] == '_' || id[n] == '-';
        if (!plain && (id[n] != '.' || start))
            return false;
        start = id[n] == '.';
    }
    return n && n < LOCI_MAX_ID && id[n - 1] != '.';
}

bool loci_note_has(const loci_note *n, const char *kind, const char *id)
{
    for (uint32_t i = 0; i < n->n; i++)
        if (!strcmp(n->classes[i].kind, kind) && !strcmp(n->classes[i].id, id))
            return true;
    return false;
}

/* value is "kind/id", cut in place. */
static loci_status add_class(loci_note *out, char *value, const char *path, loci_error *err)
{
    char *slash = strchr(value, '/');
    const char *kind = NULL;
    if (slash) {
        *slash = 0;
        kind = loci_kind_short(loci_kind_long(value));
        *slash = '/';
    }
    if (!kind)
        return loci_fail(err, LOCI_E_PLUGIN, "%s: its note says class=%.80s, a class is kind/id, kind one of %s", path,
                         value, LOCI_KINDS);
    if (!loci_id_ok(slash + 1))
        return loci_fail(err, LOCI_E_PLUGIN,
                         "%s: its note says class=%.80s, an id is a-z, 0-9, _ and -, with dots between words", path,
                         value);
    if (loci_note_has(out, kind, slash + 1))
        return loci_fail(err, LOCI_E_PLUGIN, "%s: its note says class=%.80s twice: remove one", path, value);
    if (out->n == LOCI_MAX_CLASSES)
        return loci_fail(err, LOCI_E_PLUGIN, "%s: its note has more than %d classes", path, LOCI_MAX_CLASSES);
    out->classes[out->n].kind = kind;
    out->classes[out->n++].id = slash + 1;
    return LOCI_OK;
}

static loci_status check_abi(const loci_note *n, const char *path, loci_error *err)
{
    const char *ours = &LOCI_ABI_NOTE[strlen("abi=")];
    const int len = (int)strlen(ours) - 1; /* without its newline */
    if (!n->abi[0])
        return loci_fail(err, LOCI_E_PLUGIN, "%s: its note has no line abi=%.*s: write it with LOCI_PLUGIN_NOTE", path,
                         len, ours);
    if (strlen(n->abi) != (size_t)len || memcmp(n->abi, ours, (size_t)len))
        return loci_fail(err, LOCI_E_PLUGIN,
                         "%s: built for plugin abi %s, this host has %.*s: rebuild the plugin with this host's headers",
                         path, n->abi, len, ours);
    return LOCI_OK;
}

loci_status loci_note_parse(loci_note *out, const char *text, const char *path, loci_error *err)
{
    size_t most = 0;
    loci_status status;
    memset(out, 0, sizeof *out);
    for (const char *at = text; at; at = strchr(at, '\n'), at = at ? at + 1 : NULL)
        most += !strncmp(at, "class=", 6);
    out->text = loci_strdup(text);
    out->classes = loci_alloc(most * sizeof *out->classes);
    if (!out->text || !out->classes)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory");
    for (char *line = out->text, *end; line && *line; line = end ? end + 1 : NULL) {
        if ((end = strchr(line, '\n')))
            *end = 0;
        if (!strncmp(line, "class=", 6))
            LOCI_TRY(add_class(out, line + 6, path, err));
        else if (!strncmp(line, "abi=", 4))
            snprintf(out->abi, sizeof out->abi, "%s", line + 4);
        else if (*line && !strchr(line, '='))
            LOCI_TRY(
                loci_fail(err, LOCI_E_PLUGIN, "%s: its note has the line '%.80s', lines are key=value", path, line));
    }
    LOCI_TRY(check_abi(out, path, err));
    if (!out->n)
        LOCI_TRY(loci_fail(
            err, LOCI_E_PLUGIN,
            "%s: its note names no class: write LOCI_PLUGIN_NOTE(\"class=kind/id\\n\"), a line per class", path));
out:
    return status;
}

void loci_note_free(loci_note *n)
{
    loci_free(n->text);
    loci_free(n->classes);
    memset(n, 0, sizeof *n);
}

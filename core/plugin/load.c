/* SPDX-License-Identifier: Apache-2.0
 *
 * core/plugin: dlopen, and the sentences that the dynamic linker does not give.
 *
 *  (1) RTLD_NOW: a missing symbol is an error here, not the end of the process at the first call. RTLD_LOCAL: two
 *      plugins never see each other's names. RTLD_NODELETE: nothing is unloaded, since threads, thread-local
 *      destructors and device contexts of the plugin may outlive any moment at which we would dare to.
 *  (2) Constructors run inside dlopen. What they change in the process is put back, and named; under
 *      LOCI_OWNERSHIP_CHECK the plugin is refused for it. They run once in a process: a file that is mapped already
 *      cannot be observed again.
 *  (3) The entry must lie in this object: dlsym also finds the entry of a plugin that this one was linked against.
 *  (4) The file is compared with what was looked at immediately before dlopen opens it by name. The gap that is left
 *      belongs to those who may write the folder, whom the policy has judged.
 */
#include "core/plugin/load.h"
#include "core/plugin/manners.h"
#include "core/plugin/registry.h"

#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- a missing dependency: for the message only ------------------------------------------------------------------ */

/* Is `name` in one of the folders of a colon list? $ORIGIN is the plugin's folder. */
static bool in_folders(const char *list, const char *name, const char *plugin)
{
    const int origin = (int)(strrchr(plugin, '/') - plugin);
    bool found = false;
    for (const char *at = list; at && *at && !found;) {
        const int n = (int)strcspn(at, ":;");
        const int skip = !strncmp(at, "$ORIGIN", 7) ? 7 : !strncmp(at, "${ORIGIN}", 9) ? 9 : 0;
        char *file = loci_format("%.*s%.*s/%s", skip ? origin : 0, plugin, n - skip, at + skip, name);
        found = file && access(file, F_OK) == 0;
        loci_free(file);
        at += n + (at[n] != 0);
    }
    return found;
}

static bool resolvable(const char *name, const char *plugin, const char *runpath)
{
    void *handle = dlopen(name, RTLD_LAZY | RTLD_NOLOAD);
    if (handle) {
        dlclose(handle);
        return true;
    }
    if (strchr(name, '/'))
        return access(name, F_OK) == 0;
    return in_folders(runpath, name, plugin) || in_folders(secure_getenv("LD_LIBRARY_PATH"), name, plugin) ||
           in_folders("/lib:/usr/lib:/lib64:/usr/lib64:/usr/local/lib:/usr/local/cuda/lib64", name, plugin) ||
           in_folders("/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu:/lib/aarch64-linux-gnu:"
                      "/usr/lib/aarch64-linux-gnu",
                      name, plugin);
}

static loci_status refuse_dlopen(const char *path, const loci_elf *e, const char *why, loci_error *err)
{
    loci_text missing = {0}, needed = {0};
    const char *symbol = strstr(why, "undefined symbol: ");
    loci_status status = LOCI_E_PLUGIN;
    for (uint32_t i = 0; i < e->n_needed; i++) {
        loci_text_add(&needed, "%s%s", i ? ", " : "", e->needed[i]);
        if (!resolvable(e->needed[i], path, e->runpath))
            loci_text_add(&missing, "%s%s", missing.len ? ", " : "", e->needed[i]);
    }
    if (missing.failed || needed.failed)
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory");
    else if (missing.len)
        loci_fail(err, status,
                  "%s: needs %s, which is not found (of all it needs: %s): install it, or put its folder into "
                  "LD_LIBRARY_PATH",
                  path, missing.at, needed.at);
    else if (symbol)
        loci_fail(err, status,
                  "%s: undefined symbol %s, in none of the libraries it needs (%s): link what defines it "
                  "(-Wl,-z,defs finds this at link time)",
                  path, symbol + strlen("undefined symbol: "), needed.len ? needed.at : "none");
    else if (strstr(why, "static TLS"))
        loci_fail(err, status,
                  "%s: no room for its static thread-local storage: build it without -ftls-model=initial-exec", path);
    else
        loci_fail(err, status, "%s: cannot be loaded: %s (it needs: %s)", path, why,
                  needed.len ? needed.at : "nothing");
    loci_text_free(&missing);
    loci_text_free(&needed);
    return status;
}

/* ---- loading ----------------------------------------------------------------------------------------------------- */

static loci_status watched_dlopen(void **handle, const char *path, const loci_look *look, int ownership,
                                  loci_error *err)
{
    loci_manners before;
    loci_text changed = {0};
    loci_status status = loci_manners_record(&before, err);
    char *why = NULL;
    if (status != LOCI_OK)
        return status;
    dlerror();
    *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE); /* (1) */
    if (!*handle)
        why = loci_strdup(dlerror()); /* the next call of dlopen takes its text away */
    loci_manners_restore(&before, &changed);
    if (changed.failed || (!*handle && !why))
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory");
    else if (!*handle)
        status = refuse_dlopen(path, &look->elf, why, err);
    else if (changed.len && ownership == LOCI_OWNERSHIP_CHECK)
        status = loci_fail(err, LOCI_E_PLUGIN,
                           "%s: loading it changed %s; a plugin leaves the process as it was: mend it, or set "
                           "plugins.ownership = warn",
                           path, changed.at);
    else if (changed.len)
        loci_log(LOCI_LOG_WARN, "plugin", "%s: loading it changed %s; this was put back", path, changed.at);
    loci_text_free(&changed);
    loci_free(why);
    return status;
}

/* (3) */
static loci_status find_entry(const loci_plugin **out, void *handle, const char *path, loci_error *err)
{
    struct link_map *mine = NULL, *its = NULL;
    Dl_info info;
    void *entry = dlsym(handle, LOCI_ENTRY_NAME);
    if (!entry)
        return loci_fail(err, LOCI_E_PLUGIN, "%s: does not export %s: declare it LOCI_EXPORT and rebuild", path,
                         LOCI_ENTRY_NAME);
    if (dlinfo(handle, RTLD_DI_LINKMAP, &mine) || !dladdr1(entry, &info, (void **)&its, RTLD_DL_LINKMAP) || mine != its)
        return loci_fail(err, LOCI_E_PLUGIN,
                         "%s: the %s it offers lies in %s, not in itself: do not link a plugin to another", path,
                         LOCI_ENTRY_NAME, its && its->l_name[0] ? its->l_name : "another object");
    *out = entry;
    return LOCI_OK;
}

static void warn(const loci_look *look, const char *path)
{
    if (look->owners.code != LOCI_OK)
        loci_log(LOCI_LOG_WARN, "plugin", "%s", look->owners.msg);
    if (look->elf.static_tls)
        loci_log(LOCI_LOG_WARN, "plugin",
                 "%s: uses static thread-local storage, of which a process has little: build it without "
                 "-ftls-model=initial-exec",
                 path);
    if (look->elf.textrel)
        loci_log(LOCI_LOG_WARN, "plugin", "%s: its code is changed while loading (TEXTREL): build it with -fPIC", path);
}

loci_status loci_load_entry(const loci_plugin **out, const char *path, const loci_look *look, int ownership,
                            loci_error *err)
{
    void *handle;
    loci_status status;
    *out = NULL;
    warn(look, path);
    if (!loci_policy_same(&look->st, path)) /* (4) */
        return loci_fail(err, LOCI_E_PLUGIN, "%s: was exchanged while it was being examined: run again", path);
    status = watched_dlopen(&handle, path, look, ownership, err);
    return status == LOCI_OK ? find_entry(out, handle, path, err) : status;
}

loci_status loci_load(const loci_plugin **out, const char *path, const loci_look *look, int ownership, loci_error *err)
{
    loci_status status = loci_load_entry(out, path, look, ownership, err);
    if (status == LOCI_OK)
        status = loci_verify(*out, &look->note, path, err);
    if (status != LOCI_OK)
        *out = NULL;
    return status;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * core/plugin: where plugins are looked for when nobody says.
 *
 * A program run from its build tree must find the plugins built beside it, and an installed one must never look there.
 * A marker file tells the two apart: only a build writes plugins/.all/.loci-build-tree.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "core/plugin/registry.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUILD_FOLDER "plugins/.all"
#define BUILD_MARK ".loci-build-tree"

const char *loci_plugin_env_path(void)
{
    const char *path = secure_getenv("LOCI_PLUGIN_PATH");
    if (!path && getenv("LOCI_PLUGIN_PATH"))
        loci_log(LOCI_LOG_WARN, "plugin", "LOCI_PLUGIN_PATH is ignored: this process runs with raised privileges");
    return path && path[0] ? path : NULL;
}

/* The build tree's plugins, "" when this program is not in one. Libtool keeps the real program in .libs. */
static void add_build_folder(loci_text *t)
{
    char exe[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    for (int up = 0; n > 0 && up < 2; up++) {
        char *slash, *mark;
        exe[n] = 0;
        if (!(slash = strrchr(exe, '/')))
            return;
        *slash = 0;
        n = slash - exe;
        if (up && strcmp(slash + 1, ".libs"))
            return;
        if (!(mark = loci_format("%s/" BUILD_FOLDER "/" BUILD_MARK, exe))) {
            t->failed = true;
            return;
        }
        if (access(mark, F_OK) == 0) {
            loci_text_add(t, "%s/" BUILD_FOLDER, exe);
            up = 2;
        }
        loci_free(mark);
    }
}

char *loci_plugin_default_path(void)
{
    loci_text t = {0};
    char *list;
    add_build_folder(&t);
#ifdef LOCI_PLUGIN_DIR
    loci_text_add(&t, "%s%s", t.len ? ":" : "", LOCI_PLUGIN_DIR);
#endif
    list = t.failed ? NULL : loci_strdup(t.len ? t.at : "");
    loci_text_free(&t);
    return list;
}

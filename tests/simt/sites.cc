/* SPDX-License-Identifier: Apache-2.0
 *
 * The lines that wait: which ran, and which one is left out (simt.h (5)).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sites.h"

struct site {
    const char *what, *file;
    int line;
};

static site sites[512];
static int n_sites;

static void write_sites(void)
{
    FILE *f = fopen(getenv("SIMT_SITES"), "a");

    for (int n = 0; f && n < n_sites; n++) {
        const char *slash = strrchr(sites[n].file, '/');

        fprintf(f, "%s %s:%d\n", sites[n].what, slash ? slash + 1 : sites[n].file, sites[n].line);
    }
    if (f)
        fclose(f);
}

int simt_skipped(const char *what, const char *file, int line)
{
    static const char *skip = getenv("SIMT_SKIP"), *list = getenv("SIMT_SITES");
    const char *slash;
    size_t length;

    if (list) {
        int n = 0;

        while (n < n_sites && (sites[n].line != line || sites[n].file != file))
            n++;
        if (n == n_sites && n < (int)(sizeof sites / sizeof *sites)) {
            if (!n_sites)
                atexit(write_sites);
            sites[n_sites++] = site{what, file, line};
        }
    }
    if (!skip)
        return 0;
    slash = strrchr(file, '/');
    file = slash ? slash + 1 : file;
    length = strlen(file);
    return !strncmp(skip, file, length) && skip[length] == ':' && atoi(skip + length + 1) == line;
}

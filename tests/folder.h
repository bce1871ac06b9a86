/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/folder.h: a folder of a test's own below /tmp, made when it is first asked for. A program's last test removes it:
 * loci_folder_remove(folder, &ck_err).
 */
#ifndef LOCI_TESTS_FOLDER_H
#define LOCI_TESTS_FOLDER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];

/* The path of `name` in it; it is good for three more calls. */
static inline const char *in_folder(const char *name)
{
    static char path[4][4096];
    static int turn;

    if (!folder[0]) {
        strcpy(folder, "/tmp/loci-test-XXXXXX");
        if (!mkdtemp(folder))
            abort();
    }
    turn = (turn + 1) % 4;
    (void)snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static inline void write_text(const char *name, const char *text)
{
    FILE *f = fopen(in_folder(name), "wb");

    if (!f || fputs(text, f) < 0 || fclose(f) != 0)
        abort();
}

#endif

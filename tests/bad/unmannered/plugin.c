/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: its start-up code changes a signal handler, the locale, the working folder and the umask.
 */
#include "../base.h"

#include <locale.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

static void __attribute__((constructor)) start(void)
{
    signal(SIGUSR2, SIG_IGN);
    setlocale(LC_ALL, "C.UTF-8");
    if (chdir("/"))
        return;
    umask(0);
}

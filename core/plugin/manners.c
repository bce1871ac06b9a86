/* SPDX-License-Identifier: Apache-2.0
 *
 * core/plugin: record and compare the state of the process around code that is not ours.
 *
 * The case that matters: a shared object linked with -ffast-math carries start-up code that switches the loading thread
 * to flush-to-zero. From then on the *other* arm of a comparison computes with other numbers, and nothing says so.
 *
 *  (1) What changed is put back before anything else runs.
 *  (2) On x86 the whole control words are compared (MXCSR without its sticky exception flags, the x87 control word);
 *      elsewhere the rounding mode, which is all that C can ask for.
 */
#include "core/plugin/manners.h"

#include <fcntl.h>
#include <fenv.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#define N_SIGNALS (int)(sizeof((loci_manners *)0)->handlers / sizeof *((loci_manners *)0)->handlers)
#define MXCSR_FLAGS 0x3fu
#define MXCSR_FLUSH 0x8040u /* flush-to-zero and denormals-are-zero */

#if defined(__x86_64__)
static void read_control(loci_manners *m)
{
    uint16_t word;
    __asm__ volatile("fnstcw %0" : "=m"(word));
    m->x87 = word;
    m->mxcsr = _mm_getcsr() & ~MXCSR_FLAGS;
}

static void write_control(const loci_manners *m)
{
    uint16_t word = (uint16_t)m->x87;
    __asm__ volatile("fldcw %0" : : "m"(word));
    _mm_setcsr(m->mxcsr | (_mm_getcsr() & MXCSR_FLAGS));
}
#else
static void read_control(loci_manners *m)
{
    m->mxcsr = m->x87 = 0;
}

static void write_control(const loci_manners *m)
{
    (void)m;
}
#endif

loci_status loci_manners_record(loci_manners *m, loci_error *err)
{
    memset(m, 0, sizeof *m);
    read_control(m);
    m->rounding = fegetround();
    for (int i = 0; i < N_SIGNALS; i++)
        m->known[i] = sigaction(i + 1, NULL, &m->handlers[i]) == 0;
    m->cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    m->umask = umask(077);
    umask(m->umask);
    if (!(m->locale = loci_strdup(setlocale(LC_ALL, NULL)))) {
        if (m->cwd >= 0)
            close(m->cwd);
        return loci_fail(err, LOCI_E_NOMEM, "out of memory");
    }
    return LOCI_OK;
}

static void add(loci_text *changed, const char *what)
{
    loci_text_add(changed, "%s%s", changed->len ? ", " : "", what);
}

static void restore_control(const loci_manners *m, loci_text *changed)
{
    loci_manners now;
    read_control(&now);
    if (now.mxcsr != m->mxcsr || now.x87 != m->x87) {
        write_control(m);
        if (now.mxcsr & ~m->mxcsr & MXCSR_FLUSH)
            add(changed, "flush-to-zero arithmetic (it is linked with -ffast-math: link it without)");
        else
            add(changed, "the floating-point control word");
        loci_text_add(changed, " [MXCSR %04x to %04x, x87 %04x to %04x]", m->mxcsr, now.mxcsr, m->x87, now.x87);
    }
    if (fegetround() != m->rounding) {
        fesetround(m->rounding);
        add(changed, "the rounding mode");
    }
}

static void restore_signals(const loci_manners *m, loci_text *changed)
{
    for (int i = 0; i < N_SIGNALS; i++) {
        struct sigaction now;
        const char *name = sigabbrev_np(i + 1);
        if (!m->known[i] || sigaction(i + 1, NULL, &now))
            continue;
        if (now.sa_handler == m->handlers[i].sa_handler && now.sa_flags == m->handlers[i].sa_flags)
            continue;
        sigaction(i + 1, &m->handlers[i], NULL);
        add(changed, "the handler of ");
        if (name)
            loci_text_add(changed, "SIG%s", name);
        else
            loci_text_add(changed, "signal %d", i + 1);
    }
}

static void restore_cwd(const loci_manners *m, loci_text *changed)
{
    struct stat before, now;
    if (m->cwd < 0)
        return;
    if (!fstat(m->cwd, &before) && (stat(".", &now) || before.st_dev != now.st_dev || before.st_ino != now.st_ino))
        add(changed, fchdir(m->cwd) ? "the working folder (which cannot be restored)" : "the working folder");
    close(m->cwd);
}

void loci_manners_restore(loci_manners *m, loci_text *changed)
{
    restore_control(m, changed);
    restore_signals(m, changed);
    if (strcmp(setlocale(LC_ALL, NULL), m->locale)) {
        setlocale(LC_ALL, m->locale);
        add(changed, "the locale");
    }
    restore_cwd(m, changed);
    if (umask(m->umask) != m->umask)
        add(changed, "the umask");
    loci_free(m->locale);
}

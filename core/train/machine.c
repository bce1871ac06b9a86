/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about the machine, from /proc; see machine.h.
 */
#include "core/train/machine.h"
#include "core/device/cpu.h"
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(LOCI_HAVE_ONEDNN) && LOCI_HAVE_ONEDNN
#include <dnnl.h>
#endif

#ifndef LOCI_VERSION
#define LOCI_VERSION PACKAGE_VERSION
#endif

/* The text behind "key : " on its first line in a file of /proc. */
static void field(char *out, size_t n, const char *path, const char *key)
{
    FILE *f = fopen(path, "r");
    char line[512];

    out[0] = '\0';
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, key, strlen(key)) && strchr(line, ':')) {
            char *value = strchr(line, ':') + 1;
            value += strspn(value, " \t");
            value[strcspn(value, "\n")] = '\0';
            snprintf(out, n, "%s", value);
            break;
        }
    if (f)
        fclose(f);
}

static void gemm_name(char *out, size_t n)
{
#if defined(LOCI_HAVE_ONEDNN) && LOCI_HAVE_ONEDNN
    const dnnl_version_t *v = dnnl_version();
    snprintf(out, n, "oneDNN %d.%d.%d", v->major, v->minor, v->patch);
#elif defined(LOCI_HAVE_CBLAS) && LOCI_HAVE_CBLAS
    snprintf(out, n, "CBLAS");
#else
    snprintf(out, n, "plain");
#endif
}

void loci_machine_name(char *out, size_t n)
{
    static const char *const levels[] = {"baseline", "AVX2", "AVX-512", "AMX"};
    char cpu[256], gemm[64];
    int level = 0;

    field(cpu, sizeof cpu, "/proc/cpuinfo", "model name");
    gemm_name(gemm, sizeof gemm);
    if (loci_cpu_level(&level, NULL) != LOCI_OK)
        level = 0;
    snprintf(out, n, "%s, %s kernels, gemm %s, loci %s", *cpu ? cpu : "unknown CPU", levels[level & 3], gemm,
             LOCI_VERSION);
}

uint64_t loci_machine_memory(void)
{
    char text[256];

    field(text, sizeof text, "/proc/meminfo", "MemAvailable");
    return strtoull(text, NULL, 10) * 1024;
}

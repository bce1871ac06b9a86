/* SPDX-License-Identifier: Apache-2.0
 *
 * loci doctor: the machine and the libraries. Nothing here depends on a config.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "cli/doctor.h"
#include "core/device/cpu.h"
#include "core/report/pipe.h"
#include "core/tensor/file.h"
#include "core/train/machine.h"
#include <dlfcn.h>
#include <fenv.h>
#include <glob.h>
#include <langinfo.h>
#include <locale.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#if LOCI_HAVE_ONEDNN
#include <dnnl.h>
#endif
#if LOCI_HAVE_SQLITE
#include <sqlite3.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { FEW_BYTES = 512 << 20 };

/* ---- processor -------------------------------------------------------------------------------------------------- */

static void features(char *out, size_t n)
{
    size_t at = 0;

    out[0] = '\0';
#if defined(__x86_64__)
    __builtin_cpu_init();
#define HAS(name) \
    if (__builtin_cpu_supports(name) && at < n) \
    at += (size_t)snprintf(out + at, n - at, "%s%s", at ? " " : "", name)
    HAS("avx2");
    HAS("fma");
    HAS("avx512f");
    HAS("avx512bw");
    HAS("avx512vl");
    HAS("avx512dq");
    HAS("avx512vnni");
#undef HAS
#endif
    if (!at)
        snprintf(out, n, "no vector extension that loci has kernels for");
}

static void processor(struct doctor *d)
{
    static const char *const names[] = {"ref", "avx2", "avx512", "amx"};
    const char *cap = getenv("LOCI_CPU");
    char machine[512], has[256];
    loci_error why = LOCI_ERROR_INIT;
    cpu_set_t set;
    int level = 0;

    loci_machine_name(machine, sizeof machine);
    machine[strcspn(machine, ",")] = '\0';
    features(has, sizeof has);
    FINE(d, "machine", "processor", "%s: %s", machine, has);
    if (loci_cpu_level(&level, &why) != LOCI_OK)
        FAIL(d, "machine", "kernels", LOCI_E_ARG, "unset LOCI_CPU", "%s", why.msg);
    else if (cap && *cap)
        WARN(d, "machine", "kernels", "unset LOCI_CPU for the fastest", "%s, capped by LOCI_CPU=%s", names[level & 3],
             cap);
    else
        FINE(d, "machine", "kernels", "%s, the best this processor has kernels for", names[level & 3]);
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        FINE(d, "machine", "threads", "%d of %ld processors may be used", CPU_COUNT(&set),
             sysconf(_SC_NPROCESSORS_ONLN));
}

/* What a container may hold; 0 when nobody says. */
static uint64_t memory_limit(void)
{
    char *text = NULL;
    uint64_t limit = 0;

    if (loci_file_read(&text, NULL, "/sys/fs/cgroup/memory.max", 100, NULL) == LOCI_OK)
        limit = strtoull(text, NULL, 10);
    loci_free(text);
    return limit;
}

static void memory(struct doctor *d)
{
    uint64_t have = loci_machine_memory(), limit = memory_limit();
    char b[2][32];

    if (!have)
        WARN(d, "machine", "memory", "set run.max_memory, so that a run too large is refused before it starts",
             "the system does not say how much is free");
    else if (have < FEW_BYTES)
        WARN(d, "machine", "memory", "end other programs, or lower model.dim and train.batch", "%s free",
             cli_bytes(b[0], have));
    else
        FINE(d, "machine", "memory", "%s free%s%s", cli_bytes(b[0], have),
             limit ? ", this group of processes may hold " : "", limit ? cli_bytes(b[1], limit) : "");
}

static void arithmetic(struct doctor *d)
{
    bool flushes = false;

#if defined(__x86_64__)
    flushes = (_mm_getcsr() & 0x8040u) != 0; /* flush to zero, denormals are zero */
#endif
    if (fegetround() != FE_TONEAREST || flushes)
        FAIL(d, "machine", "floating point", LOCI_E_NUMERIC,
             "look for a preloaded library built with -ffast-math (LD_PRELOAD)",
             "the control word is not the usual one: %s",
             flushes ? "denormals are flushed" : "rounding is not to nearest");
    else
        FINE(d, "machine", "floating point", "rounds to nearest, keeps denormals");
}

static void language(struct doctor *d)
{
    locale_t l = newlocale(LC_ALL_MASK, "", (locale_t)0);
    const char *code = l ? nl_langinfo_l(CODESET, l) : "";

    if (!l)
        WARN(d, "machine", "locale", "apt-get install locales, or set LC_ALL=C.UTF-8",
             "the locale that LANG or LC_ALL names is not installed");
    else if (strcmp(code, "UTF-8"))
        WARN(d, "machine", "locale", "set LC_ALL=C.UTF-8: tables hold a few signs beyond ASCII",
             "its character set is %s", code);
    else
        FINE(d, "machine", "locale", "%s; numbers are written with a point in every locale", code);
    if (l)
        freelocale(l);
}

void doctor_machine(struct doctor *d)
{
    processor(d);
    memory(d);
    arithmetic(d);
    language(d);
}

/* ---- libraries -------------------------------------------------------------------------------------------------- */

static void products(struct doctor *d)
{
#if LOCI_HAVE_ONEDNN
    const dnnl_version_t *v = dnnl_version();
    FINE(d, "libraries", "matrix products", "oneDNN %d.%d.%d", v->major, v->minor, v->patch);
#elif LOCI_HAVE_CBLAS
    WARN(d, "libraries", "matrix products", "apt-get install libdnnl-dev, then configure and make again",
         "a CBLAS; oneDNN is faster");
#else
    WARN(d, "libraries", "matrix products", "apt-get install libdnnl-dev, then configure and make again",
         "plain loops: a training is many times slower than it need be");
#endif
}

static void plots(struct doctor *d)
{
    static const char *const argv[] = {"gnuplot", "--version", NULL};
    loci_text out = {0};
    loci_error why = LOCI_ERROR_INIT;

    if (loci__pipe_through(&out, argv, "", 0, 10, &why) == LOCI_OK && out.at)
        FINE(d, "libraries", "plots", "%.*s", (int)strcspn(out.at, "\n"), out.at);
    else
        WARN(d, "libraries", "plots", "apt-get install gnuplot-nox", "no gnuplot: reports have tables and no curves");
    loci_text_free(&out);
}

void doctor_libraries(struct doctor *d)
{
    products(d);
#if LOCI_HAVE_SQLITE
    FINE(d, "libraries", "index of runs", "SQLite %s", sqlite3_libversion());
#else
    WARN(d, "libraries", "index of runs", "apt-get install libsqlite3-dev, then configure and make again",
         "built without SQLite: runs are listed by reading every folder");
#endif
    plots(d);
    FINE(d, "libraries", "json", "jansson %s", jansson_version_str());
    FINE(d, "libraries", "config", "inih, linked; it tells no version");
    FINE(d, "libraries", "hashing", "xxHash %d.%d.%d", XXH_VERSION_MAJOR, XXH_VERSION_MINOR, XXH_VERSION_RELEASE);
}

/* ---- the accelerator -------------------------------------------------------------------------------------------- */

static size_t count(const char *pattern)
{
    glob_t g = {0};
    size_t n = glob(pattern, 0, NULL, &g) == 0 ? g.gl_pathc : 0;

    globfree(&g);
    return n;
}

void doctor_accelerator(struct doctor *d)
{
    size_t cards = count("/dev/nvidia[0-9]*");
    void *driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
    char *version = NULL;
    bool module = loci_file_read(&version, NULL, "/proc/driver/nvidia/version", 4096, NULL) == LOCI_OK;
    bool readable = access("/dev/nvidiactl", R_OK | W_OK) == 0;
    bool toolkit = count("/usr/local/cuda*/bin/nvcc") + count("/usr/bin/nvcc") > 0;

    if (version)
        version[strcspn(version, "\n")] = '\0';
    if (!cards && !module && !driver)
        FINE(d, "accelerator", "nvidia", "no card; everything runs on the processor");
    else if (!cards)
        WARN(d, "accelerator", "nvidia",
             "load the kernel module (modprobe nvidia), or hand the device to this container",
             "a driver, and no card at /dev/nvidia0");
    else if (!readable)
        WARN(d, "accelerator", "nvidia", "add this user to the group that owns /dev/nvidiactl",
             "%zu cards, and /dev/nvidiactl may not be opened", cards);
    else if (!driver)
        WARN(d, "accelerator", "nvidia", "apt-get install libcuda1 of the same version as the kernel module",
             "%zu cards, and no libcuda.so.1", cards);
    else
        FINE(d, "accelerator", "nvidia", "%zu cards; %s", cards, module ? version : "the driver tells no version");
    FINE(d, "accelerator", "toolkit", "%s",
         toolkit ? "nvcc is here" : "no nvcc; only building the CUDA plugins needs it");
    loci_free(version);
    if (driver)
        dlclose(driver);
}

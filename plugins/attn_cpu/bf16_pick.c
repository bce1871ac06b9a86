/* SPDX-License-Identifier: Apache-2.0
 *
 * Which bf16 kernel this machine runs. A feature bit is a permission, not a reason: vdpbf16ps has twice the throughput
 * of an f32 FMA on AMD's Zen 4 and half of it on Intel's Emerald Rapids, so it is measured once in a process and taken
 * where it wins by a fifth. The two kinds lie so far from that line that the choice does not change from run to run.
 * AMX, at eight and more times the FMA, needs no measurement but the system's permission, which covers all threads.
 */
#include <pthread.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "bf16.h"

#define WINS 1.2

const bf16_ops *attn_cpu_bf16_only;
const bf16_ops attn_cpu_bf16_none = {.name = "none"};

#if defined(__x86_64__)
#define ARCH_REQ_XCOMP_PERM 0x1023
#define TILE_DATA 18 /* the component of XSAVE that holds tiles; 17 is their configuration */

/* The system saves tiles (XCR0), and lets this process use them. */
static int tiles_permitted(void)
{
    uint32_t low, high, a, b, c, d;

    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
        return 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low >> (TILE_DATA - 1) & 3) == 3 && syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) == 0;
}

static bf16_facts facts_of_machine(void)
{
    bf16_facts f = {.vectors = tile_machine() >= CPU_AVX512};
    uint32_t a, b, c, d;

    if (f.vectors && __get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        uint32_t leaves = a;

        const int tiles = (d >> 22 & 1) && (d >> 24 & 1) && (c >> 1 & 1) && (b >> 8 & 1);

        f.dot_bit = leaves >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 5 & 1);
        f.amx_bits = tiles && f.dot_bit;
    }
    f.amx_os = f.amx_bits && CPU_HAVE_AMX && tiles_permitted();
#if CPU_HAVE_BF16
    if (f.dot_bit && !f.amx_os) {
        const bf16_rates rates = attn_cpu_bf16_rates();

        f.ratio = rates.dot / rates.fma;
    }
#endif
    return f;
}
#else
static bf16_facts facts_of_machine(void)
{
    return (bf16_facts){0};
}
#endif

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bf16_facts machine;

static void look(void)
{
    machine = facts_of_machine();
}

const bf16_ops *bf16_choose(const bf16_facts *f)
{
    (void)f;
#if CPU_HAVE_AMX
    if (f->cap >= CPU_AMX && f->vectors && f->amx_bits && f->amx_os)
        return &attn_cpu_bf16_amx;
#endif
#if CPU_HAVE_BF16
    if (f->cap >= CPU_AVX512 && f->vectors && f->dot_bit && f->ratio >= WINS)
        return &attn_cpu_bf16_dot;
#endif
    return NULL;
}

const bf16_ops *bf16_pick(void)
{
    bf16_facts f;

    if (attn_cpu_bf16_only)
        return attn_cpu_bf16_only == &attn_cpu_bf16_none ? NULL : attn_cpu_bf16_only;
    if (tile_cap() < CPU_AVX512)
        return NULL;
    pthread_once(&once, look);
    f = machine;
    f.cap = tile_cap();
    return bf16_choose(&f);
}

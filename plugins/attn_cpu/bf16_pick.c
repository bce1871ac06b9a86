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
#endif

#include "../../isa/amx_may.h"
#include "bf16.h"

#define WINS 1.2

const bf16_ops *attn_cpu_bf16_only;
const bf16_ops attn_cpu_bf16_none = {.name = "none"};

#if defined(__x86_64__)
static bf16_facts facts_of_machine(void)
{
    bf16_facts f = {.vectors = tile_machine() >= CPU_AVX512};
    uint32_t a, b, c, d;

    if (f.vectors && __get_cpuid_count(7, 0, &a, &b, &c, &d) && a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d))
        f.dot_bit = a >> 5 & 1;
    f.amx_bits = f.vectors && amx_bits();
    f.amx_os = f.amx_bits && CPU_HAVE_AMX && amx_permitted();
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

/* SPDX-License-Identifier: Apache-2.0
 *
 * May this process use the tiles of AMX? They are so large that Linux gives them only to a process that has asked
 * (Documentation/arch/x86/xstate.rst); until then their first use is a signal. What is granted covers all threads.
 */
#ifndef LOCI_ISA_AMX_MAY_H
#define LOCI_ISA_AMX_MAY_H

#include <stdint.h>

#if defined(__x86_64__)

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#define AMX_ASK_FOR_STATE 0x1023 /* ARCH_REQ_XCOMP_PERM of arch_prctl                                 */
#define AMX_TILE_DATA 18         /* the component of XSAVE that holds tiles; 17 is their configuration */

/* The processor has AMX-TILE and AMX-BF16, and what the kernels use besides: AVX512-BF16, AVX512-VBMI, BMI2. */
static inline int amx_bits(void)
{
    uint32_t a, b, c, d, leaves;

    if (!__get_cpuid_count(7, 0, &leaves, &b, &c, &d) || leaves < 1)
        return 0;
    if (!(d >> 22 & 1) || !(d >> 24 & 1) || !(c >> 1 & 1) || !(b >> 8 & 1))
        return 0;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 5 & 1);
}

/* The system saves tiles (XCR0), and lets this process use them from now on. Only where amx_bits. */
static inline int amx_permitted(void)
{
    uint32_t low, high, a, b, c, d;

    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
        return 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low >> (AMX_TILE_DATA - 1) & 3) == 3 && syscall(SYS_arch_prctl, AMX_ASK_FOR_STATE, AMX_TILE_DATA) == 0;
}

#else

static inline int amx_bits(void)
{
    return 0;
}

static inline int amx_permitted(void)
{
    return 0;
}

#endif

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/flush: subnormal numbers count as 0 while kernels run (ADR 0008).
 *
 * An x86 core takes some hundred cycles for an operation that meets a subnormal. loci_flush_on makes the calling thread
 * read and write 0 in their place and returns the control word that loci_flush_off puts back; the exception flags
 * raised in between are dropped. Elsewhere nothing happens.
 */
#ifndef LOCI_CORE_DEVICE_FLUSH_H
#define LOCI_CORE_DEVICE_FLUSH_H

#include <stdint.h>
#if defined(__x86_64__)
#include <xmmintrin.h>

#define LOCI_FLUSH 1
#define LOCI_FLUSH_BITS 0x8040u /* MXCSR: flush-to-zero, denormals-are-zero */

static inline uint32_t loci_flush_on(void)
{
    uint32_t was = _mm_getcsr();

    _mm_setcsr(was | LOCI_FLUSH_BITS);
    return was;
}

static inline void loci_flush_off(uint32_t was)
{
    _mm_setcsr(was);
}
#else
#define LOCI_FLUSH 0

static inline uint32_t loci_flush_on(void)
{
    return 0;
}

static inline void loci_flush_off(uint32_t was)
{
    (void)was;
}
#endif

#endif

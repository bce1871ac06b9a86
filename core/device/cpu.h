/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/cpu: the built-in device, class device/cpu: host memory, the pool of threads, loci.ops/1 and loci.scan/1.
 *
 *  (1) Kernels exist once per instruction set (kern.inc). The best one the CPU can run is chosen when the device is
 *      opened; LOCI_CPU = ref, avx2, avx512 or amx caps the choice, and any other value is refused.
 *  (2) Services find the chosen kernels through the host, as the private extension LOCI_EXT_KERN of the device of the
 *      call, so two devices with different caps live beside each other.
 */
#ifndef LOCI_CORE_DEVICE_CPU_H
#define LOCI_CORE_DEVICE_CPU_H

#include <loci/device.h>
#include <loci/ops.h>
#include "core/base/base.h"

#define LOCI_CPU_REF 0
#define LOCI_CPU_AVX2 1
#define LOCI_CPU_AVX512 2
#define LOCI_CPU_AMX 3

#define LOCI_EXT_KERN "loci.cpu.kern/1" /* a loci_kern_set; for the CPU's own services only */

extern const loci_plugin loci_cpu_plugin;
extern const loci_ops loci_cpu_ops; /* ops.c; loci.scan/1 is in core/device/scan.h */

/* Open the device with so many threads, the caller included; 0 or less: one per core this process may use. Close it
 * with loci_cpu_close. */
loci_status loci_cpu_open(loci_module **out, const loci_device_class **iface, int threads, loci_error *err);
/* From now on the operands of float32 products are rounded to bfloat16; sums stay float32. LOCI_E_UNSUPPORTED where
 * neither this build nor its library has such a product for the processor, as capped by LOCI_CPU. */
loci_status loci_cpu_round_products(loci_module *dev, loci_error *err);
/* The same by these tiles (gemm_tile.h), or by the library when NULL, in rooms of so many bytes; whatever the
 * processor. */
struct loci_tiles;
loci_status loci_cpu_round_with(loci_module *dev, const struct loci_tiles *tiles, size_t room, loci_error *err);
void loci_cpu_close(loci_module *dev); /* accepts NULL */

/* LOCI_CPU_*: what this machine can run, capped by LOCI_CPU. */
loci_status loci_cpu_level(int *level, loci_error *err);

#endif

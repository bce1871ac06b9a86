/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/scan: loci.scan/1 on the CPU.
 *
 * The contract is loci/scan.h. Every call cuts its work into items, one per run and head (recurrence D: per run and
 * block of channels), which share nothing; the bits of a result do not depend on the number of threads. The code for
 * f32 is the best of scan.inc that the level of the device (core/device/cpu.h) permits.
 *
 * In addition to that contract: when eta is NULL, the tensor of Z may have data NULL in state_in, state_out and
 * state_grad, and no momentum is kept.
 */
#ifndef LOCI_CORE_DEVICE_SCAN_H
#define LOCI_CORE_DEVICE_SCAN_H

#include <loci/scan.h>

const loci_scan *loci_cpu_scan(void);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * core/device/scan_call.h: from a call, or the limits of a plan, to a scan_job.
 */
#ifndef LOCI_CORE_DEVICE_SCAN_CALL_H
#define LOCI_CORE_DEVICE_SCAN_CALL_H

#include "core/device/scan_kernel.h"

/* Bytes of a job: one err, all checkpoints, all lanes, and what stands behind the lanes. */
typedef struct scan_bytes {
    uint64_t err, checkpoint, lanes, part;
} scan_bytes;

/* What the recurrence, its op and its mode say; j is cleared first. */
loci_status loci_scan_rule(scan_job *j, const loci_scan_io *io, loci_error *err);
/* Views of the tensors, and the sizes they agree on; bits is 32 or 64. exec, batch and all tensors are checked. */
loci_status loci_scan_views(scan_job *j, const loci_scan_io *io, uint8_t *bits, loci_error *err);
/* Items, lanes and bytes once B, T, H, d, e and n_runs are known; slots: segments with a checkpoint. */
loci_status loci_scan_sizes(scan_job *j, uint64_t slots, uint64_t size, scan_bytes *out, loci_error *err);

#endif

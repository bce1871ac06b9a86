/* SPDX-License-Identifier: Apache-2.0
 *
 * loci.scan/1 once more, with scan_wide.c as its code for f32.
 */
#define loci_cpu_scan loci_wide_scan
#include "core/device/scan.c"

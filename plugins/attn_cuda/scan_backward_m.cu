/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/scan_backward_m: M, and an M that is only read, backward.
 */
#include "scan_backward.h"

int cuda_scan_backward_m(void *stream, const scan_job *j)
{
    return j->write ? scan_kind<backward_of, LOCI_SCAN_M>(stream, *j) : scan_kind<backward_of, READ>(stream, *j);
}

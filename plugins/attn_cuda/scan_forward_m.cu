/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/scan_forward_m: M, and an M that is only read, forward.
 */
#include "scan_forward.h"

int cuda_scan_forward_m(void *stream, const scan_job *j)
{
    return j->write ? scan_kind<forward_of, LOCI_SCAN_M>(stream, *j) : scan_kind<forward_of, READ>(stream, *j);
}

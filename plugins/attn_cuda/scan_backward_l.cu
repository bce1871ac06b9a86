/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/scan_backward_l: L backward.
 */
#include "scan_backward.h"

int cuda_scan_backward_l(void *stream, const scan_job *j)
{
    return scan_kind<backward_of, LOCI_SCAN_L>(stream, *j);
}

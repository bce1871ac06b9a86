/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/scan_backward_w: W backward.
 */
#include "scan_backward.h"

int cuda_scan_backward_w(void *stream, const scan_job *j)
{
    return scan_kind<backward_of, LOCI_SCAN_W>(stream, *j);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/scan_forward_l: L forward.
 */
#include "scan_forward.h"

int cuda_scan_forward_l(void *stream, const scan_job *j)
{
    return scan_kind<forward_of, LOCI_SCAN_L>(stream, *j);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * toys.cu for the host.
 */
#include "toys.cu"

/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/unit/test_gemm.c on the card that runs on the host, with a cuBLAS: see card.h.
 */
#define CK_CARD 1
#define CK_CARD_BLAS 1
#include "tests/unit/test_gemm.c"

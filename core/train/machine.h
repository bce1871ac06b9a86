/* SPDX-License-Identifier: Apache-2.0
 *
 * The machine and build a run was made on, as one line: what must be equal for bits to be equal.
 */
#ifndef LOCI_CORE_TRAIN_MACHINE_H
#define LOCI_CORE_TRAIN_MACHINE_H

#include <stddef.h>
#include <stdint.h>

/* "AMD EPYC ..., AVX-512 kernels, gemm oneDNN 2.6.3, loci 0.1" */
void loci_machine_name(char *out, size_t n);
/* Memory that could be had now, in bytes; 0 when unknown. */
uint64_t loci_machine_memory(void);

#endif

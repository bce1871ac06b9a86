# SPDX-License-Identifier: Apache-2.0
#
# plugins/: one folder and one line each.

# The headers of a memory rule's tests: one call of it, and what every rule must pass.
rule_parts  = tests/unit/rule.h tests/unit/host.h tests/ck.h
suite_parts = tests/unit/suite.h tests/unit/suite_same.h tests/unit/suite_use.h tests/unit/trial.h \
                tests/unit/matrix.h $(rule_parts)

# What the matrix memories share is compiled into each of them.
matrix_scan  = %D%/mem_matrix/scan.c %D%/mem_matrix/scan.h
matrix_parts = %D%/mem_matrix/matrix.c %D%/mem_matrix/matrix.h $(matrix_scan)

include %D%/attn_ref/local.mk
include %D%/attn_cpu/local.mk
include %D%/attn_cuda/local.mk
include %D%/mix_mha/local.mk
include %D%/mix_gla/local.mk
include %D%/mem_titans/local.mk
include %D%/mem_delta/local.mk
include %D%/mem_hebbian/local.mk
include %D%/mem_none/local.mk
include %D%/compose/local.mk

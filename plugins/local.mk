# SPDX-License-Identifier: Apache-2.0
#
# plugins/: one folder and one line each.
include %D%/attn_ref/local.mk
include %D%/attn_cpu/local.mk
include %D%/mix_mha/local.mk
include %D%/mix_gla/local.mk
include %D%/mem_titans/local.mk
include %D%/mem_none/local.mk
include %D%/compose/local.mk

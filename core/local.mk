# SPDX-License-Identifier: Apache-2.0
#
# core/: the library, a folder per concern.
include %D%/base/local.mk
include %D%/config/local.mk
include %D%/plugin/local.mk
include %D%/tensor/local.mk
include %D%/device/local.mk
include %D%/model/local.mk
include %D%/trial/local.mk
include %D%/train/local.mk
include %D%/data/local.mk
include %D%/compare/local.mk
include %D%/report/local.mk
include %D%/infer/local.mk
include %D%/api/local.mk
include %D%/check/local.mk
include %D%/bench/local.mk

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The attention kernels over many more combinations of features than make check runs.
set -eu

attn=$LOCI_TEST_BUILD/tests/simt/test_attn
[ -x "$attn" ] || make -C "$LOCI_TEST_BUILD" tests/simt/test_attn || {
    echo "no C++ compiler: the kernels are not built for the host"
    exit 77
}
LOCI_SIMT_LONG=1 "$attn" combinations

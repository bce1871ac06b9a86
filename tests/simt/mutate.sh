#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# No barrier of a kernel is superfluous: without any one of them a test fails.
set -eu
cd "$LOCI_TEST_SRC"

attn=$LOCI_TEST_BUILD/tests/simt/test_attn
[ -x "$attn" ] || {
    echo "no C++ compiler: the kernels are not built for the host"
    exit 77
}
tests/simt/mutate "$attn" schedules plugins/attn_cuda/attn_*.cu plugins/attn_cuda/attn_*.h

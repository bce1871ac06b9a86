#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# No barrier of a kernel is superfluous: without any one of them a test fails. A program's tests, and whose waits they must
# notice. "" are all tests.
set -u
# shellcheck disable=SC2153 # the test driver sets it
cd "$LOCI_TEST_SRC" || exit 1

simt=$LOCI_TEST_BUILD/tests/simt cuda=plugins/attn_cuda rc=0
[ -x "$simt/test_attn" ] || {
    echo "no C++ compiler: the kernels are not built for the host"
    exit 77
}

seen=" $cuda/gpu.h "

removed() { # PROGRAM WORD SOURCE...
    seen+="${*:3} "
    tests/simt/mutate "$simt/$1" "$2" "${@:3}" || rc=1
}

removed test_attn schedules $cuda/attn_*.cu $cuda/attn_*.h
removed test_card_scan_tiles schedules $cuda/scan_*.cu $cuda/scan_*.h
removed test_card_coef "" $cuda/coef.cu
removed test_card_ops_back "" $cuda/ops_loss.cu $cuda/ops_sum.cu
removed test_card_conv "" $cuda/ops_conv.cu
removed test_card_gemm "" $cuda/gemm.cu

for file in "$cuda"/*.cu "$cuda"/*.h; do
    grep -qE '__sync(threads|warp)\(|gpu_copy_wait<' "$file" || continue
    [[ $seen == *" $file "* ]] || {
        echo "$file: it waits, and no program is named for it here"
        rc=1
    }
done
exit $rc

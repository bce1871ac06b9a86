#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# tests/simt/nvcc.sh [KERNELS.cu...]: what the CUDA compiler says of the kernels, without a GPU: they compile for every
# architecture, no register is spilled but by kernels of double, which are for tests, and the PTX of attention holds the
# instructions that it is written for.
# NVCC is the compiler (nvcc); LOCI_CUDA_ARCHS the architectures ("80 86 89 90 100 120"). Takes eight minutes for each.
set -eu
cd "${LOCI_TEST_SRC-$(dirname "$0")/../..}"

nvcc=${NVCC-nvcc}
command -v "$nvcc" >/dev/null || {
    echo "skipped: no $nvcc"
    exit 77
}
archs=${LOCI_CUDA_ARCHS-80 86 89 90 100 120}
[ $# -gt 0 ] || set -- plugins/attn_cuda/*.cu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
bad=0

fail() {
    echo "FAILED: $1"
    bad=$((bad + 1))
}

# Lines "kernel: ..." of the resource report, of those that spill, <double> apart, which is Id in a mangled name.
spills() {
    awk '/Compiling entry function/ { split($0, part, "\047"); name = part[2] }
         name !~ /kernelId/ && /bytes stack frame/ && !/ 0 bytes spill stores, 0 bytes spill loads/ { print name ":" $0 }'
}

for file in "$@"; do
    name=$(basename "$file" .cu)
    for arch in $archs; do
        if ! "$nvcc" -std=c++17 -O3 -gencode "arch=compute_$arch,code=sm_$arch" -Xptxas -v --keep --keep-dir "$dir" \
            -Iinclude -c "$file" -o "$dir/$name.o" >"$dir/log" 2>&1; then
            cat "$dir/log"
            fail "$name does not compile for sm_$arch"
            continue
        fi
        kernels=$(grep -c 'Compiling entry function' "$dir/log")
        spills <"$dir/log" >"$dir/spills"
        if [ -s "$dir/spills" ]; then
            cat "$dir/spills"
            fail "$name spills for sm_$arch"
        fi
        echo "$name sm_$arch: $kernels kernels, most registers $(sed -n 's/.*Used \([0-9]*\) registers.*/\1/p' "$dir/log" |
            sort -n | tail -n 1)"
        case $name in attn_sums | [!a]*) continue ;; esac
        for wanted in 'mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32' 'mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32' \
            'ldmatrix.sync.aligned.m8n8.x4.shared.b16' 'ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16' \
            'cp.async.cg.shared.global' 'cp.async.wait_group' 'ex2.approx.ftz.f32'; do
            grep -qF "$wanted" "$dir/$name".*ptx || fail "$name sm_$arch: no $wanted"
        done
    done
done
[ $bad -eq 0 ]

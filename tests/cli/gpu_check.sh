#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# scripts/gpu-check where there is no card: what it says, what it would do, and its steps themselves, run with a card that
# is not there: nvidia-smi and nvcc are scripts here, and the card is that of tests/simt.
# shellcheck disable=SC2317 # facts are called by their names
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

shim=$LOCI_TEST_BUILD/tests/simt/.libs/attn_cuda.so

gpu_check() {
    rc=0
    PATH=$PWD/bin:$PATH BUILD=$PWD/build LOCI_CARD_PLUGIN=$shim "$LOCI_TEST_SRC/scripts/gpu-check" "$@" >out 2>err </dev/null ||
        rc=$?
    last="gpu-check $*"
}

# no_card, or a card of that compute capability.
pretend() {
    mkdir -p bin
    if [ "$1" = no_card ]; then
        printf '#!/bin/sh\nexit 9\n' >bin/nvidia-smi
    else
        printf '#!/bin/sh\necho "Pretended card, %s, 81559 MiB, 550.54"\n' "$1" >bin/nvidia-smi
    fi
    printf '#!/bin/sh\necho "Cuda compilation tools, release 12.4, V12.4.1"\n' >bin/nvcc
    chmod +x bin/*
}

without_a_card_it_says_so_and_runs_nothing() {
    pretend no_card
    gpu_check
    exits 77
    says 'no GPU was found' 'compute capability 8.0 or later'
    absent build
    gpu_check --dry-run
    exits 0
    says 'no GPU was found'
    prints '--with-cuda' 'make -C' 'compiled.sh' 'card.sh' '--level 3' 'memcheck' 'bench/gpu.py'
    absent build
}

an_old_card_is_no_card() {
    pretend 7.5
    gpu_check
    exits 77
    says 'Pretended card' 'below 8.0'
}

words_it_does_not_know_are_refused() {
    pretend 9.0
    gpu_check --fast
    exits 2
    gpu_check --only
    exits 2
}

the_build_is_for_the_card_that_is_there() {
    pretend 12.1
    gpu_check --dry-run --only 'conf*'
    exits 0
    prints 'Pretended card, 12.1' 'compute_121,code=sm_121'
    lacks out 'make -C'
}

# A build that is there already, and the shim as the card: the steps, their table and the page.
its_steps_run_and_make_a_page() {
    [ -f "$shim" ] || skip 'the plugin is not built for the host: a C++ compiler is missing'
    pretend 8.0
    mkdir build
    ln -s "$LOCI_COMMAND" build/loci
    gpu_check --only 'check [dh]*/[ch]*' --page page.md
    exits 0
    prints 'passed' 'check device/cuda' 'page.md'
    has_all page.md 'Pretended card, 8.0' '| check device/cuda | passed |' 'Not measured.'
    printf '#!/bin/sh\nexit 1\n' >bin/nvcc
    rm build/loci
    gpu_check --only 'check device/cuda' --page page.md
    exits 1
    prints 'FAILED' '1 steps failed'
}

report() { # BYTES-SPILLED: of one kernel in the words of ptxas
    mkdir -p code
    cat >code/attn_forward.ptxas <<END
ptxas info    : Compiling entry function '_Z12attn_forwardI8tile_mmaILi1ELi64ELi2ELi64EELb0EEv9attn_args' for 'sm_80'
ptxas info    : Function properties for _Z12attn_forwardI8tile_mmaILi1ELi64ELi2ELi64EELb0EEv9attn_args
    0 bytes stack frame, $1 bytes spill stores, $1 bytes spill loads
ptxas info    : Used 168 registers, used 1 barriers, 12 bytes smem, 848 bytes cmem[0]
END
}

# A cuobjdump that shows these instructions, of that kernel, in PTX and in machine code.
pretend_dump() { # PTX SASS
    cat >bin/cuobjdump <<END
#!/bin/sh
case \$1 in
-lelf) echo "ELF file    1: attn_forward.1.sm_80.cubin" ;;
-ptx) printf '.visible .entry _Z12attn_forwardI8tile_mmaILi1ELi64ELi2ELi64EELb0EEv9attn_args(\n'; printf '%s;\n' $1 ;;
-sass) printf '\t\tFunction : _Z12attn_forwardI8tile_mmaILi1ELi64ELi2ELi64EELb0EEv9attn_args\n'; printf '%s ;\n' $2 ;;
esac
END
    chmod +x bin/cuobjdump
    : >code/attn_forward.o
}

compiled() {
    rc=0
    PATH=$PWD/bin:$PATH CUOBJDUMP=$PWD/bin/cuobjdump bash "$LOCI_TEST_SRC/tests/simt/compiled.sh" code >out 2>err || rc=$?
    last=compiled.sh
}

what_the_compiler_made_of_the_kernels_is_judged() {
    local ptx='mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 cp.async.cg.shared.global'
    local matrix=ldmatrix.sync.aligned.m8n8.x4.shared.b16 sass='HMMA.16816.F32.BF16 LDGSTS.E.BYPASS.128'
    pretend 8.0
    compiled
    exits 77
    report 0
    pretend_dump "$ptx $matrix" "$sass LDSM.16.M88.4"
    compiled
    exits 0
    prints '168       0     0     12  sm_80' '1 kernels and targets, 0 spill' 'PTX of attn_forward: 1 kernels'
    pretend_dump "$ptx" "$sass LDSM.16.M88.4"
    compiled
    exits 1
    prints "no $matrix"
    pretend_dump "$ptx $matrix" "$sass"
    compiled
    exits 1
    prints 'no LDSM'
    report 8
    pretend_dump "$ptx $matrix" "$sass LDSM.16.M88.4"
    compiled
    exits 1
    prints '1 of 1 kernels spill'
}

facts what_the_compiler_made_of_the_kernels_is_judged without_a_card_it_says_so_and_runs_nothing an_old_card_is_no_card words_it_does_not_know_are_refused \
    the_build_is_for_the_card_that_is_there its_steps_run_and_make_a_page

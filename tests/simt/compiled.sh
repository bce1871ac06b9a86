#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# tests/simt/compiled.sh [FOLDER]: what the CUDA compiler made of the kernels of this build, without a GPU. FOLDER holds
# the objects and the compiler's reports (plugins/attn_cuda/.libs of a build --with-cuda).
#
#   from the reports   a table of the attention kernels: registers, bytes spilled, stack, shared memory that is fixed (what
#                      a launch asks for comes on top). One that spills or keeps a stack is a failure; so is any other kernel
#                      that spills, but for those of double, which are for tests.
#   from the objects   what each attention kernel consists of, in PTX and in machine code: mma.sync, ldmatrix and cp.async
#                      (HMMA, LDSM, LDGSTS) in those of 16 bits, cp.async and plain multiply and add in those of float.
#                      This takes cuobjdump, from the CUDA Toolkit or the Python package triton; CUOBJDUMP names it.
set -u
export LC_ALL=C
dir=${1-${LOCI_TEST_BUILD:-build}/plugins/attn_cuda/.libs}

if ! ls "$dir"/attn_*.ptxas >/dev/null 2>&1; then
    echo "skipped: no reports of the CUDA compiler in $dir: configure --with-cuda"
    exit 77
fi
bad=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

fail() {
    echo "FAILED: $1"
    bad=$((bad + 1))
}

plain() { # mangled names to those of the source, where binutils are there
    if command -v c++filt >/dev/null; then c++filt; else cat; fi
}

# ---- the reports ----------------------------------------------------------------------------------------------------

# Of each kernel a line: name sm registers spilled stack shared.
kernels() { # FILE...
    awk '/Compiling entry function/ { split($0, q, "\047"); name = q[2]; sm = q[4]; stack = spilled = -1 }
         /bytes stack frame/ && name { stack = $1; spilled = $5 + $9 }
         /Used [0-9]+ registers/ && name {
             registers = shared = 0
             for (i = 1; i <= NF; i++) {
                 if ($(i + 1) ~ /^registers/) registers = $i
                 if ($(i + 1) == "bytes" && $(i + 2) ~ /^smem/) shared = $i
             }
             print name, sm, registers, spilled, stack, shared
             name = ""
         }' "$@"
}

kernels "$dir"/attn_*.ptxas | sort -u | plain >"$tmp/table"
printf '%9s %7s %5s %6s  %-6s %s\n' registers spilled stack shared target kernel
# What c++filt leaves has spaces: the numbers are the last five words.
awk '{ sm = $(NF - 4); name = $0; sub(/ [^ ]+ [^ ]+ [^ ]+ [^ ]+ [^ ]+$/, "", name); gsub(/void |\(attn_args[^)]*\)/, "", name)
       printf "%9d %7d %5d %6d  %-6s %s\n", $(NF - 3), $(NF - 2), $(NF - 1), $NF, sm, name }' "$tmp/table" | sort -k6 -k5,5
n=$(wc -l <"$tmp/table")
spilling=$(awk '$(NF - 2) != 0 || $(NF - 1) != 0' "$tmp/table" | wc -l)
[ "$n" -gt 0 ] || fail "the reports name no kernel"
[ "$spilling" -eq 0 ] || fail "$spilling of $n kernels spill registers or keep a stack"
echo "$n kernels and targets, $spilling spill"

for file in "$dir"/*.ptxas; do
    case ${file##*/} in attn_*) continue ;; esac
    kernels "$file" | awk -v file="$(basename "$file" .ptxas)" '
        { n++; if ($3 > most) most = $3; if ($1 ~ /kernelId/) wide += $4 > 0; else single += $4 > 0 }
        END { printf "%s: %d kernels and targets, at most %d registers; %d spill, and %d of double\n", file, n, most, single, wide
              exit single > 0 }' || fail "$(basename "$file" .ptxas): a kernel of float spills"
done

# ---- the objects ----------------------------------------------------------------------------------------------------

find_cuobjdump() {
    local in_triton=
    command -v "${CUOBJDUMP:-cuobjdump}" && return
    command -v "$(dirname "$(command -v "${NVCC:-nvcc}" || echo /usr/local/cuda/bin/nvcc)")/cuobjdump" && return
    in_triton=$("${PYTHON:-python3}" -c 'import importlib.util as u; print(u.find_spec("triton").submodule_search_locations[0])' \
        2>/dev/null) || return
    command -v "$in_triton/backends/nvidia/bin/cuobjdump"
}

# Of each kernel in the text a line "KERNEL INSTRUCTION..." with those of the wanted that it holds.
holds() { # PATTERN-OF-A-BEGINNING WANTED...: reads what cuobjdump prints
    awk -v begin="$1" -v wanted="${*:2}" '
        function close_it() { if (name) { printf "%s", name; for (i = 1; i <= n; i++) if (has[i]) printf " %s", want[i]; print "" } }
        BEGIN { n = split(wanted, want, " ") }
        $0 ~ begin { close_it(); name = $0; sub(/.*[ \t](Function : |\.entry )/, "", name); sub(/[(]?[ \t]*$/, "", name); split("", has) }
        name { for (i = 1; i <= n; i++) if (!has[i] && index($0, want[i])) has[i] = 1 }
        END { close_it() }'
}

# Which of the words a kernel of this name must hold, and which it must not.
demand() { # WHAT FILE MMA-OF-BF16 MMA-OF-FP16 COPY LDMATRIX
    local what=$1 name rest kinds=0
    while read -r name rest; do
        case $name in
        *tile_mmaILi1E*) need="$3 $5 $6" not=none ;;
        *tile_mmaILi2E*) need="$4 $5 $6" not=$3 ;;
        *tile_fma*) need=$5 not="$3 $4" ;;
        *) continue ;;
        esac
        kinds=$((kinds + 1))
        for word in $need; do
            case " $rest " in *" $word "*) ;; *) fail "$what of $(echo "$name" | plain): no $word" ;; esac
        done
        for word in $not; do
            case " $rest " in *" $word "*) fail "$what of $(echo "$name" | plain): $word, where float multiplies and adds" ;; esac
        done
    done <"$2"
    [ $kinds -gt 0 ] || fail "$what: no kernel of tiles was found"
    echo "$what: $kinds kernels of tiles hold what they are written for"
}

if ! dump=$(find_cuobjdump); then
    echo "not looked at: instructions. There is no cuobjdump: install the CUDA Toolkit's, or the Python package triton"
    [ $bad -eq 0 ]
    exit
fi
PATH=$(dirname "$dump"):$PATH # it calls nvdisasm
bf16=mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 fp16=mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32
for object in "$dir"/attn_*.o; do
    name=$(basename "$object" .o)
    [ "$name" != attn_sums ] || continue # no tiles
    if "$dump" -ptx "$object" 2>/dev/null | grep -q '\.entry'; then
        "$dump" -ptx "$object" | holds '\.entry ' $bf16 $fp16 cp.async.cg.shared.global \
            ldmatrix.sync.aligned.m8n8.x4.shared.b16 >"$tmp/ptx"
        demand "PTX of $name" "$tmp/ptx" $bf16 $fp16 cp.async.cg.shared.global ldmatrix.sync.aligned.m8n8.x4.shared.b16
    else
        echo "PTX of $name: none in this build (CUDA_ARCH)"
    fi
    for sm in $("$dump" -lelf "$object" | sed -n 's/.*\.\(sm_[0-9a-z]*\)\.cubin.*/\1/p' | sort -u); do
        "$dump" -sass -arch "$sm" "$object" | holds 'Function : ' HMMA.16816.F32.BF16 'HMMA.16816.F32' LDGSTS LDSM >"$tmp/sass"
        demand "$sm code of $name" "$tmp/sass" HMMA.16816.F32.BF16 HMMA.16816.F32 LDGSTS LDSM
    done
done
[ $bad -eq 0 ]

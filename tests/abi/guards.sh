#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What each guard of the ABI sees: every change below is made to a copy of the headers, and each guard is asked.
#
#     places   the ledger's offsets and sizes, C11 and C++11      types      its types, function signatures among them
#     values   its constants                                      holes      the compiler's warning of padding
#     diff     scripts/ledger --check                             golden     golden plugins built before the change, run
#                                                                            by a host built after it
#
# A cell is the number of errors, or of golden plugins that went wrong, "-" for none; "no build": the host does not compile
# with the changed headers, since it names a member that is gone; diff says allowed or forbidden. The
# rows must be those of the table in docs/design/abi.md, which is made with --table.
#
# shellcheck disable=SC2016 # backquotes are Markdown
set -euo pipefail
export LC_ALL=C

if [ "$(getconf LONG_BIT)" != 64 ]; then
    echo "skipped: the ledger is of machines with pointers of 64 bits"
    exit 77
fi
cd "$LOCI_TEST_SRC"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0 rows=0
cc=${LOCI_TEST_CC:-cc} cxx=${LOCI_TEST_CXX:-c++} goldens=$LOCI_TEST_BUILD/tests/abi
draft=$(sed -n 's/^#define LOCI_ABI_DRAFT \([0-9]*\).*/\1/p' include/loci/plugin.h)
mkdir -p "$tmp/tests"
cp -r scripts "$tmp/scripts" && cp -r tests/abi "$tmp/tests/abi"
copy_headers() { # afresh, and so that they can be changed where the sources cannot
    rm -rf "$tmp/include" && cp -r include "$tmp/include" && chmod -R u+w "$tmp"
}
printf '#include "tests/abi/assert.h"\n#include "tests/abi/draft_%s.inc"\n' "$draft" | tee "$tmp/a.c" >"$tmp/a.cc"

bad() {
    echo "FAIL: $*"
    failed=$((failed + 1))
}

errors() { # errors WORDS: how many of the two compilers' errors begin with them, the larger number
    local c cpp
    c=$(grep -cE "error: .*ledger: ($1) " "$tmp/c" || :)
    cpp=$(grep -cE "error: .*ledger: ($1) " "$tmp/cpp" || :)
    [ "$c" = "$cpp" ] || echo "C sees $c and C++ $cpp of $1" >>"$tmp/apart"
    cell "$c"
}

cell() {
    if [ "$1" -gt 0 ]; then echo "$1"; else echo -; fi
}

golden() { # the number of golden plugins that notice
    local kind n=0 before after
    # shellcheck disable=SC2086
    $cc -std=c11 -w -D_GNU_SOURCE ${LOCI_TEST_SAN-} -I"$tmp/include" -o "$tmp/host" tests/abi/golden_host.c -ldl \
        2>"$tmp/compiling" || {
        echo no build
        return
    }
    for kind in attention mixer memory compose device; do
        before=$(tail -n 1 "$tmp/before.$kind")
        after=$("$tmp/host" "$goldens/golden_$kind.so" 2>/dev/null | tail -n 1) || :
        [ "$before" = "$after" ] || n=$((n + 1))
    done
    cell $n
}

row() { # row WORDS HEADER SED: one change of one header; all: grow.awk
    local what=$1 header=$2 edit=$3 places types values holes diff old line flags
    copy_headers
    if [ "$header" = all ]; then
        for header in plugin.h ops.h scan.h device.h; do
            awk -v spare='' -f tests/abi/grow.awk "include/loci/$header" >"$tmp/include/loci/$header"
        done
    else
        sed -i -e "$edit" "$tmp/include/loci/$header"
    fi
    if cmp -s "include/loci/$header" "$tmp/include/loci/$header"; then
        bad "'$what' changes nothing: $edit"
        return
    fi
    flags="-I$tmp -I$tmp/include -fsyntax-only"
    case $($cc --version) in *clang*) flags="$flags -ferror-limit=0" ;; esac
    # shellcheck disable=SC2086
    {
        $cc -std=c11 -w $flags "$tmp/a.c" 2>"$tmp/c" || :
        $cxx -std=c++11 -w -I"$tmp" -I"$tmp/include" -fsyntax-only "$tmp/a.cc" 2>"$tmp/cpp" || :
        $cc -std=c11 -Wpadded $flags "$tmp/a.c" 2>"$tmp/padded" || :
    }
    : >"$tmp/apart"
    places=$(errors 'place of|size of')
    types=$(errors 'type of')
    values=$(errors constant)
    [ ! -s "$tmp/apart" ] || bad "$what: $(cat "$tmp/apart")"
    holes=$(cell "$(grep -c 'warning: .*padd' "$tmp/padded" || :)")
    CC=$cc "$tmp/scripts/ledger" --check --include "$tmp/include" >"$tmp/diff" 2>&1 && bad "--check does not see '$what'"
    diff=forbidden
    grep -q '^forbidden' "$tmp/diff" || diff=allowed
    grep -q "raise LOCI_ABI_DRAFT to $((draft + 1))" "$tmp/diff" || bad "--check does not say what to do: $(cat "$tmp/diff")"
    old=$(golden)
    line="| $what | $places | $types | $values | $holes | $diff | $old |"
    rows=$((rows + 1))
    echo "$line"
    [ -n "$table" ] || grep -qxF "$line" docs/design/abi.md || bad "not in the table of docs/design/abi.md"
}

table=
[ "${1-}" != --table ] || table=yes

# Without a change nobody speaks.
copy_headers
# shellcheck disable=SC2086
$cc -std=c11 -w -I"$tmp" -I"$tmp/include" -fsyntax-only "$tmp/a.c" || bad "the ledger does not hold to begin with"
for kind in attention mixer memory compose device; do
    "$goldens/golden_host" "$goldens/golden_$kind.so" >"$tmp/before.$kind" || bad "golden_$kind fails to begin with"
done
[ "$(golden)" = - ] || bad "golden plugins fail with the headers as they are"

row 'append to `loci_host`' plugin.h '/(\*child_caps)(/a void (*more)(double);'
row 'append four bytes to `loci_need`' plugin.h 's/uint64_t scratch, saved, host;/& uint32_t more;/'
row 'append to every struct that grows' all grow.awk
row 'new constant' plugin.h '/^#define LOCI_OP_STEP/i #define LOCI_OP_MORE 4'
row 'reorder members of `loci_host`' plugin.h '/void \*(\*alloc)(const loci_host/{h;d};/void (\*free)(const loci_host/G'
row 'insert into `loci_exec`' plugin.h '/^typedef struct loci_exec/,/^}/s/void \*stream;/uint64_t more; &/'
row 'insert into `loci_memory`, behind `void *`' plugin.h 's/uint32_t needs;/& const void *more;/'
row 'append to frozen `loci_run`' plugin.h '/^typedef struct loci_run/,/^}/s/uint64_t id;/& uint64_t more;/'
row 'remove the last of `loci_attn_io`' plugin.h 's/, \*dtable, \*dsink;/, *dtable;/'
row 'swap two of one type in `loci_attn_desc`' plugin.h 's/int64_t window_left, window_right; \/\* -1: unbounded  /int64_t window_right, window_left; \/* -1: unbounded  /'
row '`uint64_t` to `int64_t`, same place' plugin.h '/^typedef struct loci_exec/,/^}/s/uint64_t seed;/int64_t seed;/'
row '`double` to `float` in one argument' ops.h '/(\*map1)(/s/double alpha/float alpha/'
row 'renumber two flags' plugin.h 's/^\(#define LOCI_MEM_K\) 2u/\1 4u/;s/^\(#define LOCI_MEM_V\) 4u/\1 2u/'
row 'renumber two codes' plugin.h 's/^\(#define LOCI_E_ARG\) (-1) /\1 (-2) /;s/^\(#define LOCI_E_UNSUPPORTED\) (-2)/\1 (-1)/'
row 'another revision of a kind' plugin.h 's,"loci.memory/1","loci.memory/2",'

[ -n "$table" ] || echo "$rows changes, $failed failures"
[ $failed -eq 0 ] && [ $rows -eq 15 ]

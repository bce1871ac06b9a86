#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The ledger of this draft is what the headers say, as C11 and as C++11, and it leaves nothing out: what a compiler's
# debug information and its list of macros hold is compared with it.
set -euo pipefail
export LC_ALL=C

if [ "$(getconf LONG_BIT)" != 64 ]; then
    echo "skipped: the ledger is of machines with pointers of 64 bits"
    exit 77
fi
cd "$LOCI_TEST_SRC"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0
cc=${LOCI_TEST_CC:-cc} cxx=${LOCI_TEST_CXX:-c++}

bad() {
    echo "FAIL: $*"
    failed=$((failed + 1))
}

# ---- the file is that of the headers: otherwise said is what changed and what to do ----

CC=$cc scripts/ledger --check || bad "the headers and the ledger of their draft differ, see above"

# ---- every line holds ----

draft=$(sed -n 's/^#define LOCI_ABI_DRAFT \([0-9]*\).*/\1/p' include/loci/plugin.h)
ledger=tests/abi/draft_$draft.inc
files=(tests/abi/draft_*.inc)
[ "${files[*]}" = "$ledger" ] || bad "the only ledger of draft $draft is $ledger, found: ${files[*]}"
printf '#include "tests/abi/assert.h"\n#include "%s"\n' "$ledger" | tee "$tmp/a.c" >"$tmp/a.cc"
# shellcheck disable=SC2086 # compilers may hold words
{
    $cc -std=c11 -Wall -Wextra -Wpadded -Werror -I. -Iinclude -fsyntax-only "$tmp/a.c" || bad "as C11"
    $cxx -std=c++11 -Wall -Wextra -Wno-invalid-offsetof -Werror -I. -Iinclude -fsyntax-only "$tmp/a.cc" || bad "as C++11"
}

# ---- nothing is left out ----

# shellcheck disable=SC2086
$cc -std=c11 -I. -Iinclude -gdwarf-4 -fno-eliminate-unused-debug-types -c -o "$tmp/a.o" "$tmp/a.c"
if command -v readelf >/dev/null; then
    # Members of structs of ours with their offsets, as "struct.member at"; a typedef names its struct.
    readelf -W --debug-dump=info "$tmp/a.o" 2>/dev/null | awk '
        /^ *<[0-9a-f]+><[0-9a-f]+>: Abbrev Number/ {
            put()
            tag = $NF
            gsub(/[()]/, "", tag)
            split($1, id, /[<>]/)
            if (tag == "DW_TAG_structure_type")
                owner = ""
            depth = id[2]
            name = at = ""
            next
        }
        /DW_AT_name/ { name = $NF }
        /DW_AT_data_member_location/ { at = $NF }
        function put() {
            if (tag == "DW_TAG_structure_type")
                owner = name
            if (tag == "DW_TAG_member" && owner ~ /^loci_/)
                print owner "." name " " at
        }
        END { put() }' | sort >"$tmp/compiled"
    sed -n 's/^MEMBER(\([a-z_]*\), \([A-Za-z_0-9]*\), \([0-9]*\), .*/\1.\2 \3/p' "$ledger" | sort >"$tmp/listed"
    [ -s "$tmp/compiled" ] || bad "readelf shows no member of a struct of ours"
    diff "$tmp/listed" "$tmp/compiled" >"$tmp/apart" ||
        bad "members in the ledger (<) and in debug information (>) differ: $(cat "$tmp/apart")"
else
    echo "not compared with debug information: readelf is not installed (apt-get install binutils)"
fi

# Macros without arguments: constants of the ledger, guards of headers, and what scripts/ledger sets apart.
apart=$(sed -n "s/^apart='\(.*\)'$/\1/p" scripts/ledger)
# shellcheck disable=SC2086
$cc -std=c11 -I. -Iinclude -E -dM "$tmp/a.c" | awk '$2 ~ /^LOCI_[A-Za-z0-9_]*$/ { print $2 }' |
    grep -vxE 'LOCI_(PLUGIN|OPS|SCAN|DEVICE|TESTS_ABI_ASSERT)_H' | sort >"$tmp/defined"
{
    # shellcheck disable=SC2086
    printf '%s\n' $apart
    sed -n 's/^\(NUMBER\|TEXT\)(\([A-Z0-9_a-z]*\), .*/\2/p' "$ledger"
} | sort >"$tmp/known"
diff "$tmp/known" "$tmp/defined" >"$tmp/apart" ||
    bad "constants in the ledger (<) and as the compiler has them (>) differ: $(cat "$tmp/apart")"

echo "$(grep -c '^[A-Z]*(' "$ledger") lines, $(wc -l <"$tmp/listed") members, $failed failures"
[ $failed -eq 0 ]

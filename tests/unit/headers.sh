#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Each public header compiles alone, and twice, as C99, C11 and C++11, without a warning; and each is installed.
set -eu

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0 compiled=0

compile() { # compile HEADER SUFFIX COMPILER STANDARD
    printf '#include <loci/%s>\n#include <loci/%s>\n' "$1" "$1" >"$tmp/alone.$2"
    # shellcheck disable=SC2086 # CC may hold words
    if $3 "-std=$4" -Wall -Wextra -pedantic -Werror -fsyntax-only -I"$LOCI_TEST_SRC/include" "$tmp/alone.$2"; then
        compiled=$((compiled + 1))
    else
        echo "FAIL: loci/$1 as $4"
        failed=$((failed + 1))
    fi
}

for header in "$LOCI_TEST_SRC"/include/loci/*.h; do
    name=$(basename "$header")
    case " $LOCI_TEST_HEADERS " in
    *"include/loci/$name "*) ;;
    *)
        echo "FAIL: loci/$name is not in lociinclude_HEADERS of Makefile.am"
        failed=$((failed + 1))
        ;;
    esac
    compile "$name" c "${LOCI_TEST_CC:-cc}" c99
    compile "$name" c "${LOCI_TEST_CC:-cc}" c11
    compile "$name" cc "${LOCI_TEST_CXX:-c++}" c++11
done
echo "$compiled compiled, $failed failed"
[ "$failed" -eq 0 ] && [ "$compiled" -gt 0 ]

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Each public header compiles alone, and twice, as C99 to C17 and C++11 to C++20, without a warning; so do all of them
# together in both orders, and their macros where they are used. Each is installed.
set -eu

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0 compiled=0

compile() { # compile WORDS FILE COMPILER STANDARD
    # shellcheck disable=SC2086 # CC may hold words
    if $3 "-std=$4" -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -pedantic-errors -Werror -fsyntax-only \
        -I"$LOCI_TEST_SRC/include" "$tmp/$2"; then
        compiled=$((compiled + 1))
    else
        echo "FAIL: $1 as $4"
        failed=$((failed + 1))
    fi
}

everywhere() { # everywhere WORDS: text.c, in every language
    cp "$tmp/text.c" "$tmp/text.cc"
    for standard in c99 c11 c17; do
        compile "$1" text.c "${LOCI_TEST_CC:-cc}" $standard
    done
    for standard in c++11 c++14 c++17 c++20; do
        compile "$1" text.cc "${LOCI_TEST_CXX:-c++}" $standard
    done
}

: >"$tmp/all"
: >"$tmp/reverse"
for header in "$LOCI_TEST_SRC"/include/loci/*.h; do
    name=$(basename "$header")
    case " $LOCI_TEST_HEADERS " in
    *"include/loci/$name "*) ;;
    *)
        echo "FAIL: loci/$name is not in lociinclude_HEADERS of Makefile.am"
        failed=$((failed + 1))
        ;;
    esac
    printf '#include <loci/%s>\n#include <loci/%s>\n' "$name" "$name" >"$tmp/text.c"
    everywhere "loci/$name"
    echo "#include <loci/$name>" >>"$tmp/all"
    { echo "#include <loci/$name>" && cat "$tmp/reverse"; } >"$tmp/more"
    mv "$tmp/more" "$tmp/reverse"
done
cp "$tmp/all" "$tmp/text.c"
everywhere "all headers in order"
cp "$tmp/reverse" "$tmp/text.c"
everywhere "all headers in reverse order"
cat "$tmp/all" "$LOCI_TEST_SRC/tests/unit/headers_use.inc" >"$tmp/text.c"
everywhere "the macros of the headers"

echo "$compiled compiled, $failed failed"
[ "$failed" -eq 0 ] && [ "$compiled" -gt 0 ]

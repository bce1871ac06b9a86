#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# docs/components.md says what the components say: composed anew it is the same, byte for byte. And every class that is
# built here tells its formula, its cost and when to use it.
set -eu

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0" CC="${LOCI_TEST_CC:-cc}"

"$LOCI_TEST_SRC/scripts/components" "$LOCI_COMMAND" - >"$tmp/components.md"
if ! diff -u "$LOCI_TEST_SRC/docs/components.md" "$tmp/components.md"; then
    echo "FAIL: docs/components.md is not what the components say; run scripts/components"
    exit 1
fi

# A section without one of these is a class whose doc does not follow the convention of docs/design/plugins.md.
awk '
    function judge() { if (name && !(formula && cost && use)) { print "FAIL: " name " does not tell its " \
        (formula ? cost ? "use" : "cost" : "formula"); bad = 1 } }
    /^### / { judge(); name = $2; formula = cost = use = 0; seen++ }
    /^## /  { judge(); name = "" }
    /^```$/ { formula = 1 }
    /^\*\*Cost\.\*\*/ { cost = 1 }
    /^\*\*Use\.\*\*/ { use = 1 }
    END { judge(); if (seen < 10) { print "FAIL: only " seen " components"; bad = 1 } exit bad }' "$tmp/components.md"
echo "the page is what the components say"

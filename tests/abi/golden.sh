#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Every golden plugin reads, writes and hears exactly what its host writes, reads and asks; and between them they touch
# every member of every struct of the ledger and call every function of it.
set -euo pipefail
export LC_ALL=C

cd "$LOCI_TEST_SRC"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0

bad() {
    echo "FAIL: $*"
    failed=$((failed + 1))
}

for kind in attention mixer memory compose device; do
    "$LOCI_TEST_BUILD/tests/abi/golden_host" "$LOCI_TEST_BUILD/tests/abi/golden_$kind.so" --names >"$tmp/$kind" ||
        bad "golden_$kind"
    grep -vE '^(touched|called) ' "$tmp/$kind" || :
done
cat "$tmp"/* | awk '$1 == "touched" || $1 == "called" { print $1, $2 }' | sort -u >"$tmp/names"

# log carries what is compared; nobody is handed along who could hear promises.
scripts/ledger --list | awk -F '\t' -v quiet=' loci_host.log loci_class.promises ' '
    $1 == "member" {
        name = $2 "." $3
        print name, ($4 ~ /\(\*\)/ && !index(quiet, " " name " ") ? "called" : "touched")
    }' >"$tmp/members"
awk 'NR == FNR { seen[$2, $1] = 1; next }
     !(($1, $2) in seen) { print $1 " was not " $2 }' "$tmp/names" "$tmp/members" >"$tmp/missing"
[ ! -s "$tmp/missing" ] || bad "no golden plugin touches these: $(cat "$tmp/missing")"

echo "$(wc -l <"$tmp/members") members, $failed failures"
[ $failed -eq 0 ] && [ -s "$tmp/members" ]

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Slow. Old and new meet: the library is built once more, with AddressSanitizer, from headers in which every struct that
# crosses in a call has grown, and runs golden plugins that were built before; then golden plugins built with the grown
# headers are run by the library as it is. guards.sh does the first with a host of headers only; here it is the real one.
#
# What a plugin's tables are made of does not grow here: while the ABI is a draft the loader demands their whole size.
set -euo pipefail
export LC_ALL=C

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0
spare=' loci_plugin loci_class loci_key loci_want loci_attention loci_mixer loci_memory loci_device_class '

goldens() { # goldens FOLDER INCLUDE FLAG...: the golden plugins, built into FOLDER/tests/abi
    local folder=$1 include=$2 kind
    shift 2
    mkdir -p "$folder/tests/abi"
    for kind in attention mixer memory compose device; do
        # shellcheck disable=SC2086 # CC may hold words
        $LOCI_TEST_CC -std=c11 -w -D_GNU_SOURCE "$@" -I"$include" -fPIC -shared -fvisibility=hidden \
            -o "$folder/tests/abi/golden_$kind.so" "$LOCI_TEST_SRC/tests/abi/golden_$kind.c"
    done
}

meet() { # meet WORDS PROGRAM FOLDER
    if ! LOCI_TEST_BUILD=$3 LOCI_TEST_PLUGINS='' "$2" >"$tmp/log" 2>&1; then
        echo "FAIL: $1"
        sed 's/^/      /' "$tmp/log" | head -n 40
        failed=$((failed + 1))
    fi
    tail -n 1 "$tmp/log"
}

mkdir "$tmp/tree" "$tmp/tree/build"
tar -C "$LOCI_TEST_SRC" --exclude='./build*' --exclude=./.git --exclude=./runs --exclude=./data --exclude='*.o' \
    --exclude='*.lo' --exclude=.libs --exclude=./config.status --exclude=./config.h --exclude=./Makefile \
    --exclude=./libtool -cf - . | tar -C "$tmp/tree" -xf -
chmod -R u+w "$tmp/tree"
grown=$tmp/tree/include
for header in plugin ops scan device; do
    awk -v spare="$spare" -f "$LOCI_TEST_SRC/tests/abi/grow.awk" "$LOCI_TEST_SRC/include/loci/$header.h" \
        >"$grown/loci/$header.h"
done
appended=$(cat "$grown"/loci/*.h | grep -c 'uint64_t appended\[2\];')

cd "$tmp/tree/build"
{
    ../configure -q CC="$LOCI_TEST_CC" --enable-asan --enable-ubsan && make -j2 tests/abi/test_golden
} >"$tmp/build" 2>&1 || {
    echo "FAIL: a tree with grown headers does not build"
    tail -n 20 "$tmp/build"
    exit 1
}
rm tests/abi/golden_*.so
goldens "$tmp/tree/build" "$LOCI_TEST_SRC/include" -fsanitize=address,undefined -fno-sanitize-recover=all
meet 'old plugins in a newer host' "$tmp/tree/build/tests/abi/test_golden" "$tmp/tree/build"
# shellcheck disable=SC2086 # flags are words
goldens "$tmp/newer" "$grown" $LOCI_TEST_SAN
meet 'newer plugins in this host' "$LOCI_TEST_BUILD/tests/abi/test_golden" "$tmp/newer"

echo "$appended structs grew, $failed failures"
[ $failed -eq 0 ] && [ "$appended" -gt 20 ]

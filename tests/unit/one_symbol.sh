#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Each plugin of the tree exports exactly loci_plugin_v1, carries the note, needs no symbol of loci and never includes
# core/. Every plugin of the Makefile is in the folder of built plugins.
set -eu

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0 seen=0

bad() {
    echo "FAIL: $*"
    failed=$((failed + 1))
}

for object in "$LOCI_TEST_PLUGINS"/*.so; do
    [ -e "$object" ] || break
    name=$(basename "$object")
    seen=$((seen + 1))
    exported=$(nm -D --defined-only "$object" | awk '{print $NF}' | sort | tr '\n' ' ')
    [ "$exported" = "loci_plugin_v1 " ] || bad "$name exports: $exported"
    readelf -SW "$object" >"$tmp/sections"
    grep -q '\.note\.loci\.plugin' "$tmp/sections" || bad "$name has no section .note.loci.plugin"
    nm -D --undefined-only "$object" >"$tmp/undefined"
    if grep ' loci_' "$tmp/undefined"; then
        bad "$name needs a symbol of loci"
    fi
    readelf -dW "$object" >"$tmp/dynamic"
    if grep 'NEEDED.*libloci' "$tmp/dynamic"; then
        bad "$name is linked to libloci"
    fi
done

named=$(echo "$LOCI_TEST_PLUGIN_LIST" | wc -w)
[ "$seen" -eq "$named" ] || bad "the Makefile names $named plugins, $seen lie in $LOCI_TEST_PLUGINS"

# Tests beside a plugin may look into the core; the plugin may not.
if find "$LOCI_TEST_SRC/plugins" \( -name '*.[ch]' -o -name '*.tmpl' -o -name '*.inc' \) ! -name 'test_*' \
    -exec grep -n '#include "core/' /dev/null {} + | grep .; then
    bad "a plugin includes core/"
fi

echo "$seen plugins, $failed failures"
[ "$failed" -eq 0 ]

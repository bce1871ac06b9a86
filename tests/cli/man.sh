#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The manual page says what the command says: composed anew it is docs/man/loci.1, byte for byte; and roff understands it.
set -eu

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
unset LOCI_SET LOCI_CPU LOCI_PLUGIN_PATH
# The argp of glibc forgets a few bytes when it prints help; LeakSanitizer would change the exit code.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"

"$LOCI_TEST_SRC/scripts/man" "$LOCI_COMMAND" - >"$tmp/loci.1"
for part in NAME SYNOPSIS VERBS 'EXIT STATUS'; do
    grep -qx ".SH $part" "$tmp/loci.1" || {
        echo "FAIL: the page has no section $part"
        exit 1
    }
done
if ! diff -u "$LOCI_TEST_SRC/docs/man/loci.1" "$tmp/loci.1"; then
    echo "FAIL: docs/man/loci.1 is not what the command says; run scripts/man"
    exit 1
fi
if command -v groff >/dev/null; then
    groff -man -ww -Tutf8 "$tmp/loci.1" >/dev/null 2>"$tmp/words"
    if [ -s "$tmp/words" ]; then
        cat "$tmp/words"
        echo "FAIL: groff has something to say about the page"
        exit 1
    fi
fi
echo "the page is what the command says"
